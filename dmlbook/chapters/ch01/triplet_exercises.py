"""Exercises of chapter 01 on triplets: the semi-hard batch loss from nothing, and a hardest negative with a bug."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional as F

from dmlbook._types import Float, Tensor
from dmlbook.book.circle import on_circle
from dmlbook.book.exercises import Case, Exercise, Misconception, value_and_slopes
from dmlbook.chapters.ch01.faults import HARDEST_FAULTS, MINING_FAULTS
from dmlbook.geometry import squared_distances
from dmlbook.losses import semihard_mean


def _along_circle(function: Callable, arguments: tuple) -> object:
    """For ``Exercise.call``: the value, and its slope at each point of the unit circle, in the direction of the circle.

    The points have length 1. So ``2 - 2 x @ x.T``, or to normalize them again, is as right as squared differences; the
    three have different slopes across the circle, and the same along it.
    """
    found = value_and_slopes(function, arguments)
    if not isinstance(found, Tensor):
        return found
    x, slopes = arguments[0], found[1:].unflatten(0, (-1, 2))
    return torch.cat([found[:1], x[:, 0] * slopes[:, 1] - x[:, 1] * slopes[:, 0]])


_along_circle.slopes = True


def _mined(x: Tensor, labels: Tensor, margin: float, *, fault: str = "") -> Float[Tensor, ""]:
    """The semi-hard batch loss, or what learners make of it: one of ``MINING_FAULTS``."""
    apart = 1 - x @ x.T if fault == "cosines" else (x[:, None] - x).square().sum(2)
    apart = (apart + 1e-12).sqrt() if fault == "distances" else apart
    margin = {"a fixed margin": 0.2, "twice the margin": 2 * margin}.get(fault, margin)
    lost, anchors, images = [], [], range(len(labels))
    for i in images:
        negatives = [k for k in images if labels[k] != labels[i]]
        rest = [k for k in images if k != i] if fault == "negatives of the own class" else negatives
        own = [j for j in images if labels[j] == labels[i] and (j != i or fault == "the image with itself")]
        if fault == "one positive an anchor" and own:
            mean, far = apart[i, own].mean(), apart[i, negatives]
            beyond = far[far > mean]
            lost += [mean - (beyond.min() if len(beyond) else far.max())]
            continue
        for j in own:
            if not (j < i and fault == "pairs without order"):
                chosen = _chosen(apart.detach(), i, j, [k for k in rest if k != j], margin, fault)
                lost += [x.sum() * 0 if k is None else _gap(apart[i, j], apart[i, k], fault) for k in chosen]
                anchors += [i] * len(chosen)
    return _average(torch.stack(lost or [x.sum() * 0 - margin]), anchors, len(labels), margin, fault)


def _gap(positive: Tensor, negative: Tensor, fault: str) -> Tensor:
    """What one pair lacks, without the margin."""
    if fault == "positive and negative swapped":
        return negative - positive
    if fault == "no gradient through the negative":
        return positive - negative.detach()
    return (positive.detach() if fault == "no gradient through the positive" else positive) - negative


def _average(gaps: Tensor, anchors: list[int], images: int, margin: float, fault: str) -> Tensor:
    """The hinge of every pair, and the mean."""
    values = gaps + (-margin if fault == "a margin's sign" else margin)
    if fault == "nothing where none is farther":
        values = values - margin * (gaps == 0)
    if fault == "a soft hinge":
        values = F.softplus(values)
    elif fault == "the hinge of the mean":
        return values.mean().clamp(min=0)
    elif fault != "no hinge":
        values = values.clamp(min=0)
    if fault == "not a number":
        return values.sum() * torch.nan
    each = {"the mean of the anchors' means": Tensor.mean, "the costliest pair of an anchor": Tensor.amax}.get(fault)
    if each:
        of = torch.tensor(anchors)
        return torch.stack([each(values[of == i]) for i in of.unique()]).mean()
    counts = {
        "the mean over active pairs": int((values > 0).sum()),
        "the mean over images": images,
        "the mean over the whole table": images**2,
        "the sum": 1,
    }
    return values.sum() / max(counts.get(fault, len(values)), 1)


def _chosen(apart: Tensor, i: int, j: int, negatives: list[int], margin: float, fault: str) -> list[int | None]:
    """The negatives that one pair is compared with; None stands for a loss of 0."""
    row, limit = apart[i], apart[i, j]
    measured = apart[j] if fault == "measured from the positive" else row
    far = [k for k in negatives if measured[k] > limit or (fault == "as far as the positive" and row[k] == limit)]
    closest, farthest = (rule(negatives, key=lambda k: row[k]) for rule in (min, max))
    if fault == "only within the margin":
        far = [k for k in far if row[k] < limit + margin]
        return [min(far, key=lambda k: row[k])] if far else []
    if fault == "a place in a shorter list":
        among = far or negatives
        return [among.index(min(far, key=lambda k: row[k]) if far else farthest)]
    instead = {
        "the closest where none is farther": [closest],
        "left out where none is farther": [],
        "nothing where none is farther": [None],
        "the farthest of any class": [int(row.argmax())],
    }
    always = {
        "the hardest": [closest],
        "the farthest": [farthest],
        "the nearest to the positive": [min(negatives, key=lambda k: abs(row[k] - limit))],
        "all triplets": negatives,
        "a mask that multiplies": [i],  # at distance 0
    }
    fallback = instead.get(fault, [farthest])
    return always.get(fault) or ([min(far, key=lambda k: row[k])] if far else fallback)


def _mining_cases() -> Sequence[Case]:
    problems = [
        ("the five points of the chapter", [0, 10, 40, 50, 120], [0, 0, 0, 1, 1], 0.5),
        ("three classes, one of a single image", [0, 20, 59, 82, 131, 153, 194, 293], [0, 0, 1, 0, 1, 2, 1, 0], 0.2),
        ("far positives", [0, 175, 60, 103, 141], [0, 0, 1, 1, 1], 0.4),
    ]
    points = [(on_circle(degrees, dtype=torch.float64), text, y, margin) for text, degrees, y, margin in problems]
    tie = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.6, -0.8], [-1.0, 0.0]], dtype=torch.float64)
    points.append((tie, "a negative exactly as far as the positive", [0, 0, 1, 1], 0.3))
    cases = []
    for x, text, y, margin in points:
        arguments = (x, torch.tensor(y), margin)
        said = f"{text}, labels = {y}, margin = {margin}: the value, then its slope along the circle at each point"
        cases.append(Case(arguments, _along_circle(_reference, arguments), said))
    return cases


def _reference(x: Tensor, labels: Tensor, margin: float) -> Float[Tensor, ""]:
    return semihard_mean(squared_distances(x, x), labels, margin=margin)


def _hardest(x: Tensor, labels: Tensor, margin: float, *, fault: str = "") -> Float[Tensor, ""]:
    """The loss on each anchor's farthest positive and closest negative; or one of ``HARDEST_FAULTS``."""
    if fault == "the semi-hard rule":
        return _mined(x, labels, margin)
    apart = (x[:, None] - x).square().sum(2)
    apart = (apart + 1e-12).sqrt() if fault == "distances" else apart
    far, near = _both_ends(apart, labels[:, None] == labels, fault, margin)
    margins = {
        "the margin forgotten": 0.0,
        "a fixed margin": 0.2,
        "a margin's sign": -margin,
        "the margin outside": 0.0,
    }
    outside = margin if fault == "the margin outside" else 0.0
    margin = (margins | {"twice the margin": 2 * margin}).get(fault, margin)
    gaps = (near - far if fault == "swapped" else far - near) + margin
    if fault in ("no hinge", "the hinge of the mean"):
        return gaps.mean() if fault == "no hinge" else gaps.mean().clamp(min=0)
    gaps = F.softplus(gaps) if fault == "a soft hinge" else gaps.clamp(min=0)
    counts = {"the sum": 1, "the mean over active anchors": max(int((gaps > 0).sum()), 1)}
    return gaps.sum() / counts.get(fault, gaps.numel()) + outside


def _both_ends(apart: Tensor, same: Tensor, fault: str, margin: float) -> tuple[Tensor, Tensor]:
    """The distances of each anchor's positive and negative."""
    eye = torch.eye(len(same), dtype=torch.bool)
    others, farthest = same & ~eye, apart.masked_fill(~same, 0).amax(1)
    far = {
        "the closest positive": lambda: apart.masked_fill(~others, torch.inf).amin(1),
        "the mean positive": lambda: (apart * others).sum(1) / others.sum(1),
        "the farthest pair of the batch": lambda: apart[others].amax(),
        "both of the batch": lambda: apart[others].amax(),
        "the farthest of any class": lambda: apart.amax(1),
        "all positives": lambda: apart[others],
    }
    near = {
        "the bug itself": lambda: torch.zeros_like(apart[0]),
        "the smallest that is not 0": lambda: apart.where(apart > 0, torch.inf).amin(1),
        "the diagonal alone hidden": lambda: apart.masked_fill(eye, torch.inf).amin(1),
        "a zero taken for hidden": lambda: apart.where((apart > 0) & ~same, torch.inf).amin(1),
        "beyond the farthest positive": lambda: apart.where((apart > farthest[:, None]) & ~same, torch.inf).amin(1),
        "beyond the farthest positive, or at 4": lambda: apart.where((apart > farthest[:, None]) & ~same, 4.0).amin(1),
        "both of the batch": lambda: apart[~same].amin(),
        "hidden behind the margin": lambda: apart.masked_fill(same, margin).amin(1),
        "the farthest negative": lambda: apart.masked_fill(same, 0).amax(1),
        "the mean negative": lambda: (apart * ~same).sum(1) / (~same).sum(1),
        "the closest of the batch": lambda: apart[~same].amin(),
        "no gradient through the negative": lambda: apart.detach().masked_fill(same, torch.inf).amin(1),
        "the mask's sign": lambda: apart.masked_fill(~others, torch.inf).amin(1),
        "hidden behind a 1": lambda: apart.masked_fill(same, 1).amin(1),
        "hidden behind a 2": lambda: apart.masked_fill(same, 2).amin(1),
        "not a number": lambda: apart.sum(1) * torch.nan,
        "all positives": lambda: apart.masked_fill(same, torch.inf).amin(1)[others.nonzero()[:, 0]],
    }
    return (
        far.get(fault, lambda: farthest)(),
        near.get(fault, lambda: apart.masked_fill(same, torch.inf).amin(1))(),
    )


def _hardest_cases() -> Sequence[Case]:
    problems = [
        ("the five points of the chapter", [0, 10, 40, 50, 120], [0, 0, 0, 1, 1], 0.5),
        ("three classes", [0, 23, 57, 101, 128, 165, 214], [0, 1, 0, 1, 2, 2, 0], 0.2),
        ("two far classes, a wide margin", [0, 15, 142, 168], [0, 0, 1, 1], 3.25),
        ("a negative exactly on its anchor", [0, 34, 140, 0, 51, 123], [0, 0, 0, 1, 1, 1], 0.3),
    ]
    cases = []
    for text, degrees, y, margin in problems:
        arguments = (on_circle(degrees, dtype=torch.float64), torch.tensor(y), margin)
        said = (
            f"{text}, angles {degrees}, labels {y}, margin = {margin}: the value, then its slope along the circle at "
        )
        cases.append(Case(arguments, _along_circle(_hardest, arguments), f"{said}each point"))
    return cases


EXERCISES = (
    Exercise(
        "1.5",
        "the semi-hard batch loss",
        _mining_cases,
        {fault: Misconception(partial(_mined, fault=fault), message) for fault, message in MINING_FAULTS.items()},
        call=_along_circle,
    ),
    Exercise(
        "1.6",
        "the planted bug",
        _hardest_cases,
        {fault: Misconception(partial(_hardest, fault=fault), message) for fault, message in HARDEST_FAULTS.items()},
        call=_along_circle,
    ),
)
