"""What learners make of SoftTriple's objective and of its price: each fault by its name, with what to say of it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from dmlbook._types import Tensor
from dmlbook.losses.centers import EPSILON
from dmlbook.losses.proxies import margin_cross_entropy
from dmlbook.losses.softtriple import hardtriple_similarity, logsumexp_similarity, softtriple_similarity

NO_EPSILON = (
    "Where two centers coincide your gradient is not a number: the root of 0 has an infinite slope. Put the 1e-5 under "
    "the root, before it is taken."
)
PRICE_FAULTS = {
    "squared distances": "You summed squared distances. Those merge nothing: take the root of each.",
    "one minus cosine": "1 - cosine is half the squared distance. The price is the distance, the root of 2 - 2 cosine.",
    "every pair twice": "The price is twice too large. Each pair counts once, and the divisor is K (K - 1), which is "
    "twice the number of pairs: half the mean distance.",
    "the whole table": "You averaged over the whole table of K times K. Its diagonal holds no pair: divide by "
    "K (K - 1), not by K squared.",
    "half the whole table": "You averaged over the whole table of K times K. Its diagonal holds no pair: divide by "
    "K (K - 1), not by K squared.",
    "not divided": "The price is tau times the sum. Divide it by C K (K - 1), so that tau means the same for any C, K.",
    "C is missing": "The price is divided by K (K - 1), but not by the number of classes C.",
    "pairs of all classes": "You compare centers of different classes, too. The price would pull classes together: "
    "take pairs of one class only.",
    "pairs of all classes, averaged": "You average over pairs of all centers, also of different classes. The price "
    "would pull classes together: take pairs of one class only.",
    "one length for a class": "You took one length for all differences of a class. That is a group of its own: first "
    "the length of each difference, then the sum.",
    "one length for all classes": "You summed the squares of all classes before the root. Each class pays for each of "
    "its own pairs: first the length of each difference, then the sum.",
    "neighbors only": "You compared each center with the next one alone. Every two of a class are a pair.",
    "epsilon for each coordinate": "The 1e-5 is added to every coordinate, so it grows with their number. Add it once, "
    "to the squared distance.",
    "coordinate by coordinate": "You summed the sizes of coordinates. A difference is one group: take its length.",
    "root of one minus cosine": "You took the root of 1 - cosine. The squared distance is twice that, 2 - 2 cosine.",
    "tau is missing": "The price is not weighted: multiply it by tau.",
    "subtracted": "You subtracted the price: centers would be paid for being apart. It is added to the loss.",
    "cut off": "The price has no slope: something in it was detached, or computed without gradients.",
}
DIAGONAL = {
    "the diagonal's epsilon": "You summed over the whole table. A center and itself are no pair, and with the 1e-5 "
    "under the root each pays 0.003: leave the diagonal out.",
    "the diagonal among the pairs": "Your pairs hold each center with itself, which is no pair, and with the 1e-5 "
    "under the root pays 0.003: j and k differ, triu_indices(K, K, 1).",
    "the whole table, summed": "You summed over the whole table: every pair twice, and each center with itself, which "
    "with the 1e-5 under the root pays 0.003. Take each pair once.",
}
LOSS_FAULTS = {
    "too small an epsilon": "1e-8 is lost beside products of single precision: 2 - 2 cosine of two centers in one "
    "place may be rounded below it, to a negative number. The task asks for 1e-5.",
    "no price": "That is SoftTriple's loss alone. Add the price of the centers, tau times the second term of (4.6).",
    "the closest center": "You took the closest center alone: that is HardTriple. Average by softmax(s / gamma).",
    "one of the closest centers": "You took the closest center alone: that is HardTriple. Average by the weights q.",
    "the plain mean": "You averaged the centers' similarities evenly. Weigh them by softmax(s / gamma).",
    "log-sum-exp": "You took gamma times the log-sum-exp. SoftTriple takes the mean of s under softmax(s / gamma).",
    "weights over classes": "Your softmax(s / gamma) runs over the classes, not over a class's centers, the last axis.",
    "weights over all centers": "Your softmax(s / gamma) runs over the centers of all classes at once. Each class has "
    "weights of its own, which sum to 1.",
    "axes exchanged": "You gave centers to the wrong classes: in a row (C, K) the centers of one class stand side by "
    "side, so unfold it as C times K, not K times C.",
    "averaged twice": "Cross-entropy is the mean over the images already: you divided by their number once more.",
    "gamma multiplies": "You multiplied by gamma inside the softmax. Divide: a small gamma picks the closest center.",
    "weights cut off": "The value is right and its slope is not: the weights q depend on the centers, too. Do not "
    "detach them.",
    "the weights alone": "You summed the weights q, which always make 1. Multiply each with its cosine s first.",
    "a margin kept": "You took 0.01 off the own class's similarity, the margin of chapter 03. The task has no margin.",
    "divided by the scale": "You divided the class similarities by the scale lambda. Multiply: it sharpens them.",
    "classes are paired": "You compared centers of different classes: the pairs are those of one class's K centers.",
    "no scale": "The class similarities go into the cross-entropy multiplied by the scale lambda.",
    "scale in the weights": "The scale multiplies the class similarities alone, and not those in softmax(s / gamma).",
    "summed over images": "You summed over the images. The loss is their mean, and so tau keeps its meaning.",
    "not normalized": "You used the centers as they come. Divide each by its length first: a center is a direction.",
    "normalized over the centers": "F.normalize works along its second axis unless told otherwise, here over the "
    "centers of a class. A center's own coordinates are the last axis: dim=-1.",
    "lengths in the cosines": "The cosines are taken with centers as they come. Divide each by its length first.",
    "lengths in the price": "The price is taken on centers as they come. Divide each by its length first.",
    "scaled price": "The price was multiplied by the scale, too. It is added after the cross-entropy.",
}


def price(unit: Tensor, tau: float, *, fault: str = "", epsilon: float = EPSILON) -> Tensor:
    """tau times half the mean distance of a class's centers (C, K, D), or what learners make of it."""
    classes, per_class, _ = unit.shape
    every_class = fault.startswith("pairs of all classes")
    compared = unit.flatten(0, 1)[None] if every_class else unit
    compared = compared.transpose(0, 1) if fault == "classes are paired" else compared
    first, second = torch.triu_indices(compared.shape[1], compared.shape[1], 1)
    difference = compared[:, first] - compared[:, second]  # (C, P, D)
    square = difference.square().sum(-1)
    if fault == "neighbors only":
        square = square[:, second == first + 1]
    elif fault == "epsilon for each coordinate":
        square, epsilon = (difference.square() + epsilon).sum(-1), 0.0
    elif fault == "too small an epsilon":
        square, epsilon = 2 - 2 * (compared @ compared.mT)[:, first, second], 1e-8
    elif fault == "root of one minus cosine":
        square = square / 2
    apart = (square + epsilon).sqrt().sum()
    diagonal = classes * per_class * epsilon**0.5
    if fault in ("squared distances", "one minus cosine"):
        apart = square.sum() / (2 if fault == "one minus cosine" else 1)
    elif fault == "one length for a class":
        apart = (square.sum(-1) + epsilon).sqrt().sum()
    elif fault == "one length for all classes":
        apart = (square.sum(0) + epsilon).sqrt().sum()
    elif fault == "the diagonal's epsilon":
        apart = apart + diagonal / 2
    elif fault == "the diagonal among the pairs":
        apart = apart + diagonal
    elif fault == "the whole table, summed":
        apart = 2 * apart + diagonal
    elif fault == "coordinate by coordinate":
        apart = difference.abs().sum()
    divisor = classes * per_class * (per_class - 1)
    divisor = {
        "every pair twice": divisor / 2,
        "the whole table": classes * per_class**2 / 2,
        "half the whole table": classes * per_class**2,
        "not divided": 1,
        "C is missing": per_class * (per_class - 1),
        "pairs of all classes, averaged": classes * per_class * (classes * per_class - 1),
    }.get(fault, divisor)
    value = apart / divisor * (1 if fault == "tau is missing" else tau)
    return -value if fault == "subtracted" else value.detach() if fault == "cut off" else value


def loss(
    centers: Tensor,
    images: Tensor,
    labels: Tensor,
    scale: float,
    gamma: float,
    tau: float,
    *,
    fault: str = "",
    epsilon: float = EPSILON,
) -> Tensor:
    """SoftTriple's objective, or what learners make of it."""
    unit = F.normalize(centers, dim=1 if fault == "normalized over the centers" else -1)
    raw = ("not normalized", "lengths in the cosines")
    similarities = torch.einsum("bd,ckd->bck", images, centers if fault in raw else unit)
    logits = _class_similarities(similarities, gamma, scale, fault)
    logits = logits * {"no scale": 1, "divided by the scale": 1 / scale}.get(fault, scale)
    margin = 0.01 * scale if fault == "a margin kept" else 0.0
    value = margin_cross_entropy(logits, labels, scale=1.0, margin=margin)
    value = value * {"summed over images": len(labels), "averaged twice": 1 / len(labels)}.get(fault, 1)
    if fault == "no price":
        return value
    raw = ("not normalized", "lengths in the price")
    paid = price(centers if fault in raw else unit, tau, fault=fault, epsilon=epsilon)
    return value + paid * (scale if fault == "scaled price" else 1)


def _class_similarities(similarities: Tensor, gamma: float, scale: float, fault: str) -> Tensor:
    if fault == "the closest center":
        return hardtriple_similarity(similarities)
    if fault == "one of the closest centers":
        return similarities.max(-1).values
    if fault == "the plain mean":
        return similarities.mean(-1)
    if fault == "the weights alone":
        return torch.softmax(similarities / gamma, -1).sum(-1)
    if fault == "log-sum-exp":
        return logsumexp_similarity(similarities, gamma=gamma)
    if fault == "weights over all centers":
        return (torch.softmax(similarities.flatten(1) / gamma, 1).view_as(similarities) * similarities).sum(-1)
    if fault == "axes exchanged":
        images, classes, per_class = similarities.shape
        similarities = similarities.reshape(images, per_class, classes).mT
    if fault in ("weights over classes", "weights cut off"):
        weights = torch.softmax(similarities / gamma, dim=1 if fault == "weights over classes" else 2)
        return ((weights.detach() if fault == "weights cut off" else weights) * similarities).sum(-1)
    smooth = {"gamma multiplies": 1 / gamma, "scale in the weights": gamma / scale}.get(fault, gamma)
    return softtriple_similarity(similarities, gamma=smooth)
