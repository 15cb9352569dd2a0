"""Exercises of chapter 02 in which a batch loss is written: normalized SoftMax from nothing, and one with a bug."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional as F

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception, value_and_slopes
from dmlbook.chapters.ch02.theory import smallest_softmax_loss

OVERFLOW = (
    "At a scale of 1000 it is not finite: exp overflows, or a probability is 0 and its logarithm infinite. "
    "Take the largest logit out first, or let F.cross_entropy or torch.logsumexp do it."
)


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(vectors, dim=1)


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
        "The value is right, but nothing hangs on it: a number that has left torch (item, float, numpy, detach) has "
        "no gradient.",
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
    "base 2": (
        lambda logits, y, stable=True: _mean(logits, y, stable) / math.log(2),
        "Your logarithm is to base 2. The loss is in nats.",
    ),
}
FINITE = "the scale lost, the scale divides, one length for all, squared distances, distances, softmax twice, "
FINITE += "without keepdim, no denominator, only the hardest"
"""Faults with which exponentials as they are written do not overflow."""


def _loss(x: Tensor, w: Tensor, labels: Tensor, scale: float, *, fault: str = "", stable: bool = True) -> object:
    """Normalized SoftMax of a batch, or what learners make of it."""
    logits = OF_LOGITS.get(fault, (_logits, ""))[0](x, w, scale)
    if fault == "divided by the scale":
        return OF_LOSS[fault][0](logits, labels, stable, scale)
    return OF_LOSS.get(fault, (_mean, ""))[0](logits, labels, stable)


def _tried(function: Callable, arguments: tuple) -> object:
    """Value and slopes in embeddings and centers; an answer that is no number with a slope, as it is."""
    x, w, *rest = arguments
    said = []

    def of_both(both: Tensor) -> object:
        said.append(function(both[: len(x)].clone(), both[len(x) :].clone(), *rest))
        return said[-1]

    try:
        return value_and_slopes(of_both, (torch.cat([x, w]),))
    except TypeError:
        if not said:
            raise
        return _or_nan(said[-1])


def _or_nan(said: object) -> object:
    """As ``value_and_slopes`` has it: all are nan where one is not finite."""
    if not isinstance(said, (float, Tensor)) or bool(torch.as_tensor(said).isfinite().all()):
        return said
    return torch.full_like(torch.as_tensor(said), torch.nan)


def _loss_cases() -> Sequence[Case]:
    """One image, or as many images as classes: what is subtracted along the wrong axis still has a value."""
    problems = [
        ("one image", [[2.0, 0.5]], [[1.6, 1.2], [0.48, -0.14], [0.6, -0.8]], [0], 5.0),
        ("two images", [[0.3, 0.4], [-1.0, 2.0]], [[1.0, 2.0], [0.5, -0.5]], [0, 1], 2.0),
        ("three images", [[1.0, 2.0], [-0.5, 0.2], [2.0, 1.0]], [[0.1, 0.4], [-3.0, 0.5], [1.0, -0.5]], [0, 1, 0], 4.0),
        (
            "a scale of 1000",
            [[3.0, 1.0], [0.2, 0.7], [-1.0, 0.4]],
            [[0.1, 0.4], [2.0, 0.5], [-1.0, 2.0]],
            [0, 0, 2],
            1e3,
        ),
    ]
    cases = []
    for text, x, w, labels, scale in problems:
        arguments = (torch.tensor(x).double(), torch.tensor(w).double(), torch.tensor(labels), scale)
        said = f"{text}, x = {x}, centers = {w}, labels = {labels}, scale = {scale:g}: value, then slopes"
        cases.append(Case(arguments, _tried(_loss, arguments), said))
    return cases


def _named(*faults: str) -> dict[str, Misconception]:
    """Each fault alone, and with exponentials that overflow."""
    found = {"overflow": Misconception(partial(_loss, stable=False), OVERFLOW)}
    for fault in faults:
        message = (OF_LOGITS | OF_LOSS)[fault][1]
        found[fault] = Misconception(partial(_loss, fault=fault), message)
        naive = partial(_loss, fault=fault, stable=False)
        if fault not in FINITE.split(", "):
            found[f"{fault}, and overflow"] = Misconception(naive, f"{message} Then: {OVERFLOW}")
    return found


def _planted(x: Tensor, w: Tensor, labels: Tensor, scale: float) -> Tensor:
    unit_x, unit_w = F.normalize(torch.cat([scale * x, w]), dim=1).split([len(x), len(w)])
    return F.cross_entropy(unit_x @ unit_w.T, labels)


LOSS_EXERCISES: tuple[Exercise, ...] = (
    Exercise("2.1", "the loss of a batch", _loss_cases, _named(*OF_LOGITS, *OF_LOSS), call=_tried),
    Exercise(
        "2.2",
        "the planted bug",
        _loss_cases,
        {
            "the bug itself": Misconception(
                _planted,
                "The bug is still there: the value does not depend on the scale. What does F.normalize do to a factor?",
            ),
            "the loss times the scale": Misconception(
                lambda x, w, y, scale: scale * _planted(x, w, y, scale),
                "You multiplied the loss. Slopes grow, the weights of the triplets stay those of lambda = 1, and so "
                "does the floor, times the scale.",
            ),
            "the floor subtracted": Misconception(
                lambda x, w, y, scale: _planted(x, w, y, scale) - smallest_softmax_loss(len(w), scale=1.0),
                "You subtracted the floor. The value can reach 0 now, and no slope has changed.",
            ),
            **_named(
                "embeddings not normalized",
                "centers not normalized",
                "nothing normalized",
                "the scale divides",
                "the scale twice",
                "columns normalized",
                "divided by the scale",
                "sum over the batch",
                "lengths held constant",
            ),
        },
        call=_tried,
    ),
)
