"""What learners make of SoftTriple's batch loss: each fault by its name, with what to say of it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from dmlbook._types import Tensor
from dmlbook.losses import hardtriple_similarity, logsumexp_similarity

LOSS_FAULTS = {
    "embeddings as they are": "Cosines need unit vectors: you normalized the centers and not the embeddings.",
    "centers as they are": "Cosines need unit vectors: you normalized the embeddings and not the centers.",
    "nothing normalized": "You took plain products. Cosines need unit vectors: normalize embeddings and centers.",
    "softmax over classes": "Your inner softmax runs over the classes. It chooses among the K centers of one class: "
    "the last axis of (B, C, K).",
    "softmax over all centers": "Your inner softmax runs over all C K centers at once. Each class has weights of its "
    "own, of sum 1 over its K centers.",
    "gamma multiplied": "You multiplied by gamma. It divides: a *small* gamma lets the closest center win.",
    "no gamma": "Gamma does not enter: these are the weights for gamma = 1, where cosines hardly differ.",
    "the scale inside": "You put the scale into the inner softmax. There it is 1 / gamma; the scale compares classes.",
    "the log-sum-exp value": "That is gamma times log-sum-exp, the value V (3.12). S' is the mean of the cosines under "
    "the weights: lower by gamma times their entropy.",
    "the closest center": "That is HardTriple: the closest center alone. Let every center count by its weight.",
    "the plain mean": "All centers of a class count alike here, as for an infinite gamma. Weigh them.",
    "the sum over centers": "You added a class's cosines up. Their *weighted mean* is asked for, weights of sum 1.",
    "weights held fixed": "The value is right, the gradient is not: the weights were cut off (detach, no_grad, item). "
    "They depend on the cosines, and that is where the pushes of §3.7 come from.",
    "no margin": "The margin has no effect. Lowered on every class it cancels: lower the own class alone.",
    "margin after scaling": "You subtracted the margin after scaling. It is in units of cosine: the scale multiplies "
    "it too.",
    "margin helps": "The margin has the wrong sign (or lowers the others): the own class must win by *more*.",
    "no scale": "The scale does not enter. Cosines as logits differ by 2 at most: they need it.",
    "the sum over the batch": "You added the losses of the batch up. Return their mean, as all losses of the book do.",
    "the own class is not below": "Below the fraction the own class is missing: its sum runs over *all* classes.",
    "scaled before the weights": "You multiplied the cosines by the scale before the inner softmax, which is then too "
    "sharp. The scale comes after S'.",
    "normalized over another axis": "Your centers have length 1 over another axis. A center's own coordinates are the "
    "last axis of (C, K, D): dim=-1.",
    "centers averaged first": "You averaged a class's centers before taking cosines: one center is left of K. Take the "
    "cosine with each.",
    "divided by K as well": "The weights sum to 1 already: add the weighted cosines up, without dividing by K again.",
    "one image's weights for all": "Each image was given its own class's weights for every class. Each class has "
    "weights of its own, from its own cosines.",
    "C and K mixed up": "The cosines land at the wrong places: (C, K) was read as (K, C). Keep the axes' order, or "
    'name them: einsum("bd,ckd->bck").',
    "lengths held fixed": "The value is right, the gradient is not: the lengths were cut off (detach, no_grad). They "
    "are part of the cosine: normalize inside the gradient.",
    "no margin below": "The margin stands above the fraction alone. In (3.7) the own class's term *below* has it too.",
    "the margin in every labeled column": "You lowered whole columns, those of all labels, for every image. Each image "
    "lowers one entry, in its own row: F.one_hot, or two index lists.",
    "as many columns as labels": "F.one_hot(labels) has no more columns than the largest label asks for. With one "
    "column the margin reaches every class, where it cancels. Name the classes: F.one_hot(labels, C).",
    "the margin in the first row alone": "Only the first image has its margin. Each image lowers its own entry, in its "
    "own row.",
    "the margin counts twice": "You lowered the own class *and* raised the others: the margin counts twice.",
    "the margin for class 0": "You lowered class 0 for every image. Each image lowers its own class: see its label.",
    "the margin on one center": "You lowered the own class's closest cosine before the weights. The margin comes off "
    "S', the class similarity.",
    "softmax twice": "F.cross_entropy takes the softmax itself, and was given probabilities: give it logits.",
    "softmax over the batch": "Your outer softmax runs over the images. It compares classes: the last axis of (B, C).",
    "the mean over all classes": "You averaged the logarithms of all classes' probabilities. Only the own class's "
    "enters the loss: pick its column.",
    "one loss an image": "You return one loss an image. Average them.",
}


def similar(s: Tensor, scale: float, gamma: float, fault: str, labels: Tensor | None = None) -> Tensor:
    """Class similarities (B, C) from cosines (B, C, K), with a fault of ``LOSS_FAULTS`` or without."""
    if fault == "the log-sum-exp value":
        return logsumexp_similarity(s, gamma=gamma)
    if fault == "the closest center":
        return hardtriple_similarity(s)
    if fault == "the plain mean":
        return s.mean(-1)
    if fault == "the sum over centers":
        return s.sum(-1)
    sharpness = {"gamma multiplied": gamma, "no gamma": 1.0, "the scale inside": scale}.get(fault, 1 / gamma)
    sharpness = scale / gamma if fault == "scaled before the weights" else sharpness
    if fault == "softmax over all centers":
        q = (sharpness * s).flatten(1).softmax(1).view_as(s)
    else:
        q = (sharpness * s).softmax(1 if fault == "softmax over classes" else -1)
    if fault == "one image's weights for all":
        q = q[torch.arange(len(s)), labels][:, None]
    found = ((q.detach() if fault == "weights held fixed" else q) * s).sum(-1)
    return found / s.shape[-1] if fault == "divided by K as well" else found


def cosines(embeddings: Tensor, centers: Tensor, fault: str = "") -> Tensor:
    """Of each image and each center of each class, (B, C, K)."""
    plain = {"nothing normalized"}
    x = embeddings if fault in plain | {"embeddings as they are"} else F.normalize(embeddings, dim=-1)
    if fault == "lengths held fixed":
        x = embeddings / embeddings.norm(dim=-1, keepdim=True).detach()
        w = centers / centers.norm(dim=-1, keepdim=True).detach()
    elif fault == "normalized over another axis":
        w = F.normalize(centers, dim=1)
    else:
        w = centers if fault in plain | {"centers as they are"} else F.normalize(centers, dim=-1)
    if fault == "centers averaged first":
        w = F.normalize(centers.mean(1, keepdim=True), dim=-1)
    if fault == "C and K mixed up":
        return (x @ w.flatten(0, 1).T).unflatten(1, (w.shape[1], w.shape[0])).transpose(1, 2)
    return torch.einsum("bd,ckd->bck", x, w)


def lowered(found: Tensor, labels: Tensor, margin: float, fault: str = "") -> Tensor:
    """Class similarities less the margin where it belongs, or by a fault somewhere else."""
    own = F.one_hot(labels, found.shape[1])
    if fault == "the margin in every labeled column":
        found = found.clone()
        found[:, labels] -= margin  # as it is written: a label that comes twice doubles the slope, too
        return found
    if fault == "as many columns as labels":
        return found - margin * F.one_hot(labels)
    if fault == "the margin in the first row alone":
        return found - margin * own * (torch.arange(len(found)) == 0)[:, None]
    if fault == "the margin counts twice":
        return found - margin * (2 * own - 1)
    if fault == "the margin for class 0":
        return found - margin * F.one_hot(torch.zeros_like(labels), found.shape[1])
    return found - margin * own


def loss(
    embeddings: Tensor, centers: Tensor, labels: Tensor, scale: float, gamma: float, margin: float, *, fault: str
) -> Tensor:
    """SoftTriple of a batch with a fault of ``LOSS_FAULTS``."""
    s = cosines(embeddings, centers, fault)
    own = F.one_hot(labels, len(centers)).bool()
    if fault == "the margin on one center":
        highest = s == s.masked_fill(~own[..., None], -torch.inf).amax((1, 2), keepdim=True)
        s, margin = torch.where(highest, s - margin, s), 0.0
    found = similar(s, scale, gamma, fault, labels)
    scale = 1.0 if fault == "no scale" else scale
    margin *= {"no margin": 0.0, "margin after scaling": 1 / scale, "margin helps": -1.0}.get(fault, 1.0)
    logits = scale * lowered(found, labels, margin, fault)
    if fault == "the own class is not below":
        return (torch.logsumexp(logits.masked_fill(own, -torch.inf), 1) - logits[own]).mean()
    if fault == "no margin below":
        return (torch.logsumexp(scale * found, 1) - logits[own]).mean()
    if fault == "the mean over all classes":
        return -logits.log_softmax(1).mean()
    if fault == "softmax over the batch":
        return -logits.log_softmax(0)[own].mean()
    logits = logits.softmax(1) if fault == "softmax twice" else logits
    reduction = {"the sum over the batch": "sum", "one loss an image": "none"}.get(fault, "mean")
    return F.cross_entropy(logits, labels, reduction=reduction)
