"""What learners make of normalized SoftMax's batch loss: each fault by its name, with what to say of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional as F

from dmlbook._types import Tensor

OVERFLOW = (
    "At a scale of 1000 it is not finite: exp overflows, or a probability is 0 and its logarithm infinite. "
    "Take the largest logit out first, or let F.cross_entropy or torch.logsumexp do it."
)
OPPOSITE = (
    "Where an image lies opposite its own center, (2.3) as written overflows at a scale of 1000, and the probability "
    "of its class is 0, its logarithm infinite. Take each image's largest out of its sum and add it back, or let "
    "F.cross_entropy or torch.logsumexp do it."
)
CUT_OFF = (
    "Exponents were cut off: it is finite now and no longer the loss, and a violation that is cut off has no slope. "
    "Take each image's largest out of its sum instead, and add it back."
)


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(vectors, dim=1)


def _by_data(vectors: Tensor) -> Tensor:
    """Unit rows whose gradient is that of the rows as they were."""
    return vectors + (_unit(vectors) - vectors).detach()


def _logits(x: Tensor, w: Tensor, scale: float) -> Tensor:
    return scale * _unit(x) @ _unit(w).T


def _each(logits: Tensor, labels: Tensor, stable: bool = True) -> Tensor:
    """The loss of each image; or with exponentials as they are written."""
    own = logits.gather(1, labels[:, None])[:, 0]
    return (torch.logsumexp(logits, 1) if stable else logits.exp().sum(1).log()) - own


def _mean(logits: Tensor, labels: Tensor, stable: bool = True) -> Tensor:
    return _each(logits, labels, stable).mean()


def _own(logits: Tensor, labels: Tensor, stable: bool = True) -> Tensor:
    """The probability of the own class."""
    return (-_each(logits, labels, stable)).exp()


def _weighted(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The mean over the images of their weighted violations, times lambda."""
    return (weights * (logits - logits.gather(1, labels[:, None]))).sum(1).mean()


def _without_own(logits: Tensor, labels: Tensor, stable: bool = True) -> Tensor:
    others = logits.masked_fill(F.one_hot(labels, logits.shape[1]).bool(), -torch.inf)
    log_sum = torch.logsumexp(others, 1) if stable else others.exp().sum(1).log()
    return (log_sum - logits.gather(1, labels[:, None])[:, 0]).mean()


def _down_the_batch(logits: Tensor, labels: Tensor, stable: bool = True) -> Tensor:
    log_sum = torch.logsumexp(logits, 0) if stable else logits.exp().sum(0).log()
    return (log_sum[labels] - logits.gather(1, labels[:, None])[:, 0]).mean()


def _along_columns(logits: Tensor, labels: Tensor, stable: bool = True) -> Tensor:
    violations = logits - logits.gather(1, labels[:, None])[:, 0]
    return (torch.logsumexp(violations, 1) if stable else violations.exp().sum(1).log()).mean()


OF_LOGITS: dict[str, tuple[Callable[[Tensor, Tensor, float], Tensor], str]] = {
    "embeddings not normalized": (
        lambda x, w, scale: scale * x @ _unit(w).T,
        "The centers are brought to length 1, the embeddings are not: each image brings a scale of its own.",
    ),
    "centers not normalized": (
        lambda x, w, scale: scale * _unit(x) @ w.T,
        "The embeddings are brought to length 1, the centers are not: a long center is close to everything.",
    ),
    "nothing normalized": (
        lambda x, w, scale: scale * x @ w.T,
        "Neither embeddings nor centers have length 1: these are inner products, not cosines.",
    ),
    "the scale lost": (
        lambda x, w, scale: _unit(x) @ _unit(w).T,
        "The scale has no effect. It is missing, or it stands where normalizing divides it out again.",
    ),
    "the scale divides": (
        lambda x, w, scale: _unit(x) @ _unit(w).T / scale,
        "You divided by the scale: that is what one does with a temperature, which is 1 / lambda.",
    ),
    "the scale twice": (
        lambda x, w, scale: scale * _logits(x, w, scale),
        "The scale stands in it twice, once on each side of the product: the logits are lambda squared times cosines.",
    ),
    "columns normalized": (
        lambda x, w, scale: scale * F.normalize(x, dim=0) @ F.normalize(w, dim=0).T,
        "Columns were brought to length 1, not rows. An embedding is a row: dim=1.",
    ),
    "one length for all": (
        lambda x, w, scale: scale * (x / x.norm()) @ (w / w.norm()).T,
        "norm() without dim is one number for the whole matrix. Each row needs its own: dim=1, keepdim=True.",
    ),
    "squared lengths": (
        lambda x, w, scale: scale * (x / x.square().sum(1, keepdim=True)) @ (w / w.square().sum(1, keepdim=True)).T,
        "You divided by the squared length: the root is missing.",
    ),
    "lengths held constant": (
        lambda x, w, scale: (
            scale * (x / x.norm(dim=1, keepdim=True).detach()) @ (w / w.norm(dim=1, keepdim=True).detach()).T
        ),
        "The value is right, the slopes are not: lengths were held constant (detach, no_grad or .data). The gradient "
        "goes through the normalization too, so that only the part along the sphere is left.",
    ),
    "centers held constant": (
        lambda x, w, scale: _logits(x, w.detach(), scale),
        "The value is right, and the centers get no slope: they were detached, and would never learn.",
    ),
    "squared distances": (
        lambda x, w, scale: -scale * torch.cdist(_unit(x), _unit(w)).square(),
        "These are squared distances. On the sphere they are 2 - 2 cos, so your scale is twice what was asked.",
    ),
    "distances": (
        lambda x, w, scale: -scale * torch.cdist(_unit(x), _unit(w)),
        "These are distances. (2.1) takes cosines.",
    ),
    "lengths changed in place": (
        lambda x, w, scale: scale * _by_data(x) @ _by_data(w).T,
        "The value is right, the slopes are not: lengths were changed in place, under no_grad or through .data, and "
        "the gradient knows nothing of it. Make new tensors, x / x.norm(dim=1, keepdim=True).",
    ),
    "the root of the scale": (
        lambda x, w, scale: _logits(x, w, math.sqrt(scale)),
        "The root of the scale stands in it once. Either lambda on the cosines, or its root on both factors.",
    ),
    "a scale of its own": (
        lambda x, w, scale: _logits(x, w, 20.0),
        "The scale is always 20. It is an argument.",
    ),
    "softmax twice": (
        lambda x, w, scale: torch.softmax(_logits(x, w, scale), 1),
        "SoftMax was taken twice: F.cross_entropy wants logits, not probabilities.",
    ),
}
OF_LOSS: dict[str, tuple[Callable[[Tensor, Tensor, bool], Tensor], str]] = {
    "sum over the batch": (
        lambda logits, y, stable=True: _each(logits, y, stable).sum(),
        "You summed over the images. The loss of a batch is their mean.",
    ),
    "one loss an image": (_each, "That is the loss of every image. Return one number: their mean."),
    "a plain number": (
        lambda logits, y, stable=True: float(_mean(logits, y, stable).detach()),
        "The value is right, but nothing hangs on it: a number that has left torch (item, float, numpy, detach, "
        "no_grad) has no gradient.",
    ),
    "divided by the classes": (
        lambda logits, y, stable=True: _each(logits, y, stable).sum() / logits.shape[1],
        "You divided by the number of classes. The mean is over the images.",
    ),
    "mean over images and classes": (
        lambda logits, y, stable=True: _mean(logits, y, stable) / logits.shape[1],
        "The mean was taken over all B times C entries, zeros too. It is over the B images.",
    ),
    "down the batch": (
        _down_the_batch,
        "The sum runs over the images (dim=0). It runs over the classes, along the row of each image: dim=1.",
    ),
    "own class left out": (
        _without_own,
        "The own class is missing from the denominator: this loss can be negative, and never stops pulling.",
    ),
    "without keepdim": (
        _along_columns,
        "The own similarities, (B,), were subtracted along the rows: image i lost that of image j. Make them (B, 1).",
    ),
    "no logarithm": (
        lambda logits, y, stable=True: -_own(logits, y, stable).mean(),
        "The logarithm is missing: this is minus the mean probability.",
    ),
    "one minus the probability": (
        lambda logits, y, stable=True: 1 - _own(logits, y, stable).mean(),
        "This is one minus the mean probability. The loss is minus its logarithm, image by image.",
    ),
    "logarithm of the mean": (
        lambda logits, y, stable=True: -_own(logits, y, stable).mean().log(),
        "You took the mean of the probabilities and then the logarithm. First the logarithm, then the mean.",
    ),
    "sign turned around": (
        lambda logits, y, stable=True: -_mean(logits, y, stable),
        "The sign is turned around: going down would push images away from their centers.",
    ),
    "no denominator": (
        lambda logits, y, stable=True: -logits.gather(1, y[:, None]).mean(),
        "Only the own center counts. Without the others nothing keeps the classes apart.",
    ),
    "only the hardest": (
        lambda logits, y, stable=True: (logits.amax(1) - logits.gather(1, y[:, None])[:, 0]).mean(),
        "That is lambda times the hardest violation. SoftMax smooths it: a sum over all classes.",
    ),
    "divided by the scale": (
        lambda logits, y, stable=True, scale=1.0: _mean(logits, y, stable) / scale,
        "You divided the loss by the scale. That is what comes near the hardest violation; the loss is (2.1) itself.",
    ),
    "class by class": (
        lambda logits, y, stable=True: torch.stack(
            [_each(logits, y, stable)[y == c].mean() for c in y.unique()]
        ).mean(),
        "The mean was taken class by class. It is over the images, and a class with more of them counts more.",
    ),
    "the maximum of the batch": (
        lambda logits, y, stable=True: (
            (logits - logits.max()).exp().sum(1).log() + logits.max() - logits.gather(1, y[:, None])[:, 0]
        ).mean(),
        "The largest logit of the whole batch was taken out. An image all of whose logits are far below it keeps only "
        "zeros, and log 0. Take out each row's own: max(dim=1, keepdim=True).",
    ),
    "without the entropy": (
        lambda logits, y, stable=True: _weighted(logits, y, torch.softmax(logits, 1)),
        "That is the weighted mean violation, times lambda. By (2.4) the entropy H(p) is missing from the loss.",
    ),
    "fixed weights and no entropy": (
        lambda logits, y, stable=True: _weighted(logits, y, torch.softmax(logits, 1).detach()),
        "The slopes are right (§2.4), the value is not: by (2.4) the entropy H(p) is missing from the loss.",
    ),
    "the largest not added back": (
        lambda logits, y, stable=True: (torch.logsumexp(logits, 1) - logits.amax(1)).mean(),
        "The largest violation was taken out of the sum and not added back: lambda times it is missing, as in (2.10).",
    ),
    "violations turned around": (
        lambda logits, y, stable=True: torch.logsumexp(logits.gather(1, y[:, None]) - logits, 1).mean(),
        "Your violations have the wrong sign: by (2.2) the own similarity is subtracted from that to class c.",
    ),
    "base 2": (
        lambda logits, y, stable=True: _mean(logits, y, stable) / math.log(2),
        "Your logarithm is to base 2. The loss is in nats.",
    ),
}
FINITE = "the scale lost, the scale divides, one length for all, squared distances, distances, softmax twice, "
FINITE += "no denominator, only the hardest, a scale of its own, the root of the scale, "
FINITE += "the maximum of the batch, without the entropy, fixed weights and no entropy, "
FINITE += "the largest not added back, violations turned around"
"""Faults with which exponentials as they are written do not overflow."""


def loss(x: Tensor, w: Tensor, labels: Tensor, scale: float, *, fault: str = "", stable: bool = True) -> object:
    """Normalized SoftMax of a batch, or what learners make of it."""
    logits = OF_LOGITS.get(fault, (_logits, ""))[0](x, w, scale)
    if fault == "divided by the scale":
        return OF_LOSS[fault][0](logits, labels, stable, scale)
    return OF_LOSS.get(fault, (_mean, ""))[0](logits, labels, stable)


def by_violations(x: Tensor, w: Tensor, labels: Tensor, scale: float) -> Tensor:
    """(2.3) as it is written: finite until a violation, times the scale, is above 709."""
    logits = _logits(x, w, scale)
    return (logits - logits.gather(1, labels[:, None])).exp().sum(1).log().mean()


def cut_off(x: Tensor, w: Tensor, labels: Tensor, scale: float) -> Tensor:
    """(2.3) with no exponent above 700."""
    logits = _logits(x, w, scale)
    return torch.logsumexp((logits - logits.gather(1, labels[:, None])).clamp(max=700), 1).mean()
