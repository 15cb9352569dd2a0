"""Exercises of chapter 01 on triplets: the semi-hard batch loss from nothing, and a hardest negative with a bug."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional as F

from dmlbook._types import Float, Tensor
from dmlbook.book.circle import on_circle
from dmlbook.book.exercises import Case, Exercise, Misconception, value_and_slopes
from dmlbook.geometry import squared_distances
from dmlbook.losses import semihard_mean

NOT_A_NUMBER = (
    "The value or a slope is nan. Two usual reasons: 0 times infinity in a mask (`masked_fill` and `where` do not "
    "multiply), and a root, whose slope at 0 is infinite, on the diagonal."
)
MINING_FAULTS = {
    "the hardest": "You took the closest negative of all, the hardest. (1.11) takes the closest of those beyond the "
    "positive.",
    "the farthest": "You took the farthest negative, or one beyond the margin: the easy ones. Take the closest of "
    "those beyond the positive.",
    "the nearest to the positive": "You took the negative whose distance is most like the positive's. It must also be "
    "farther.",
    "as far as the positive": "A negative exactly as far as the positive is hard, not semi-hard: farther means >, not "
    ">=.",
    "the closest where none is farther": "Where no negative is farther than the positive, the rule takes the farthest "
    "one, not the closest.",
    "left out where none is farther": "Where no negative is farther than the positive, the pair is not left out: the "
    "rule takes the farthest negative.",
    "nothing where none is farther": "Where no negative is farther than the positive, the pair does not count 0: the "
    "rule takes the farthest negative.",
    "only within the margin": "You left out pairs without a negative inside the margin, as the table of kinds has it. "
    "(1.11) takes the closest beyond the positive, however far: such a pair counts, with 0.",
    "all triplets": "You averaged over all triplets of the batch. Mining takes one negative a pair.",
    "the mean over active pairs": "You divided by the pairs that lose something. Divide by all pairs of anchor and "
    "positive, those that lose 0 too.",
    "the mean over images": "You divided by the number of images. Divide by that of the pairs of anchor and positive.",
    "the sum": "That is the sum over the pairs. Take their mean.",
    "pairs without order": "You took each pair once. Either image can be the anchor, with negatives of its own: all "
    "ordered pairs.",
    "the image with itself": "You took an image for its own positive. The anchor and the positive are two images.",
    "no hinge": "The hinge is missing: a pair that wins by more than the margin counts 0, not less.",
    "a margin's sign": "The margin has the wrong sign: the loss is positive minus negative plus margin.",
    "distances": "Those are plain distances. (1.11) and (1.10) take squared ones.",
    "cosines": "You compared cosines. A squared distance is 2 - 2 cosines: the same margin asks for twice as much.",
    "positive and negative swapped": "The signs are swapped: positives are to come closer, negatives to go away.",
    "measured from the positive": "You asked which negatives are far from the positive. All distances of (1.11) start "
    "at the anchor: the negative is farther from i than j is.",
    "a place in a shorter list": "You found a place in the list of the negatives alone, and took it for a number of "
    "the whole batch: argmin counts within what it is given.",
    "one positive an anchor": "You took one mean over the positives of an anchor. Each pair has its own negative and "
    "its own hinge; average after the hinge, not before.",
    "the mean of the anchors' means": "You averaged each anchor first. All pairs count alike: a class of more images "
    "has more of them.",
    "a soft hinge": "That is softplus, a hinge with a rounded corner. (1.10) is 0 from the margin on.",
    "a fixed margin": "You wrote 0.2. The margin is an argument.",
    "twice the margin": "The margin is charged twice. In (1.10) it already is that on squared distances, alpha.",
    "no gradient through the negative": "The value is right, its slope is not: the negative's distance was detached.",
    "no gradient through the positive": "The value is right, its slope is not: the positive's distance was detached.",
    "not a number": NOT_A_NUMBER,
}


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
        own = [j for j in images if labels[j] == labels[i] and (j != i or fault == "the image with itself")]
        if fault == "one positive an anchor" and own:
            mean, far = apart[i, own].mean(), apart[i, negatives]
            beyond = far[far > mean]
            lost += [mean - (beyond.min() if len(beyond) else far.max())]
            continue
        for j in own:
            if not (j < i and fault == "pairs without order"):
                chosen = _chosen(apart.detach(), i, j, negatives, margin, fault)
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
    elif fault != "no hinge":
        values = values.clamp(min=0)
    if fault == "not a number":
        return values.sum() * torch.nan
    if fault == "the mean of the anchors' means":
        of = torch.tensor(anchors)
        return torch.stack([values[of == i].mean() for i in of.unique()]).mean()
    counts = {"the mean over active pairs": int((values > 0).sum()), "the mean over images": images, "the sum": 1}
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
    }
    always = {
        "the hardest": [closest],
        "the farthest": [farthest],
        "the nearest to the positive": [min(negatives, key=lambda k: abs(row[k] - limit))],
        "all triplets": negatives,
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


HIDE = "What hides has to be larger than every distance, and squared ones on the sphere reach 4."
HARDEST_FAULTS = {
    "the bug itself": "The bug is still there: the zeros that hide the images of the own class are smaller than every "
    "distance, so the minimum is always 0.",
    "the smallest that is not 0": "You took the smallest distance that is not 0. It may be that to an image of the own "
    "class, which is no negative.",
    "the farthest negative": "You turned the minimum into a maximum. That is the farthest negative, the easiest.",
    "the mean negative": "You averaged over the negatives. Asked for: the closest.",
    "the closest of the batch": "You took one minimum over the whole batch. Each anchor has its own closest negative.",
    "the closest positive": "The closest positive now stands where the farthest belongs: that half had no bug.",
    "no hinge": "The mask is right, and the hinge is gone: an anchor that wins by more than the margin counts 0.",
    "the sum": "The mask is right. Take the mean over the anchors, not the sum.",
    "distances": "The mask is right. The distances are squared ones here.",
    "swapped": "The signs are swapped: positives are to come closer, negatives to go away.",
    "the margin forgotten": "The mask is right, and the margin is gone.",
    "no gradient through the negative": "The value is right, its slope is not: the negative's distance was detached.",
    "the mask's sign": "You hid the wrong side: the closest of the OWN class is subtracted now, and that is the anchor "
    "itself, or a positive.",
    "hidden behind a 1": f"You hid the own class behind a 1. {HIDE}",
    "hidden behind a 2": f"You hid the own class behind a 2. {HIDE}",
    "not a number": NOT_A_NUMBER,
    "the farthest pair of the batch": "You took one maximum over the whole batch. Each anchor has its own farthest "
    "positive.",
    "the mean positive": "You averaged over the positives. Asked for: the farthest, and that half had no bug.",
    "all positives": "You compared every positive with the closest negative. Asked for: the farthest one alone.",
    "the mean over active anchors": "The mask is right. Divide by all anchors, those that lose 0 too.",
    "the hinge of the mean": "The hinge stands around the mean. Each anchor has its own; the mean is the last step.",
    "a soft hinge": "The mask is right. That is softplus, a hinge with a rounded corner: (1.10) ends in a sharp one.",
    "a fixed margin": "The mask is right. You wrote 0.2; the margin is an argument.",
    "the semi-hard rule": "That is the loss of exercise 1.5. Here: the farthest positive, and the closest negative.",
}


def _hardest(x: Tensor, labels: Tensor, margin: float, *, fault: str = "") -> Float[Tensor, ""]:
    """The loss on each anchor's farthest positive and closest negative; or one of ``HARDEST_FAULTS``."""
    if fault == "the semi-hard rule":
        return _mined(x, labels, margin)
    apart = (x[:, None] - x).square().sum(2)
    apart = (apart + 1e-12).sqrt() if fault == "distances" else apart
    far, near = _both_ends(apart, labels[:, None] == labels, fault)
    margin = {"the margin forgotten": 0.0, "a fixed margin": 0.2}.get(fault, margin)
    gaps = (near - far if fault == "swapped" else far - near) + margin
    if fault in ("no hinge", "the hinge of the mean"):
        return gaps.mean() if fault == "no hinge" else gaps.mean().clamp(min=0)
    gaps = F.softplus(gaps) if fault == "a soft hinge" else gaps.clamp(min=0)
    counts = {"the sum": 1, "the mean over active anchors": max(int((gaps > 0).sum()), 1)}
    return gaps.sum() / counts.get(fault, gaps.numel())


def _both_ends(apart: Tensor, same: Tensor, fault: str) -> tuple[Tensor, Tensor]:
    """The distances of each anchor's positive and negative."""
    eye = torch.eye(len(same), dtype=torch.bool)
    others = same & ~eye
    far = {
        "the closest positive": lambda: apart.masked_fill(~others, torch.inf).amin(1),
        "the mean positive": lambda: (apart * others).sum(1) / others.sum(1),
        "the farthest pair of the batch": lambda: apart[others].amax(),
        "all positives": lambda: apart[others],
    }
    near = {
        "the bug itself": lambda: torch.zeros_like(apart[0]),
        "the smallest that is not 0": lambda: apart.masked_fill(eye, torch.inf).amin(1),
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
        far.get(fault, lambda: apart.masked_fill(~same, 0).amax(1))(),
        near.get(fault, lambda: apart.masked_fill(same, torch.inf).amin(1))(),
    )


def _hardest_cases() -> Sequence[Case]:
    problems = [
        ("the five points of the chapter", [0, 10, 40, 50, 120], [0, 0, 0, 1, 1], 0.5),
        ("three classes", [0, 23, 57, 101, 128, 165, 214], [0, 1, 0, 1, 2, 2, 0], 0.2),
        ("two far classes, a wide margin", [0, 15, 142, 168], [0, 0, 1, 1], 3.25),
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
