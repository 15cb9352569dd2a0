"""Exercises of chapter 01 on triplets: the semi-hard batch loss from nothing, and a hardest negative with a bug."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch.nn import functional as F

from dmlbook._types import Float, Tensor
from dmlbook.book.circle import on_circle
from dmlbook.book.exercises import Case, Exercise, Misconception, value_and_slopes
from dmlbook.geometry import squared_distances
from dmlbook.losses import semihard_mean

MINING_FAULTS = {
    "the hardest": "You took the closest negative of all, the hardest. (1.11) takes the closest of those beyond the "
    "positive.",
    "the farthest": "You took the farthest negative, the easiest. Take the closest of those beyond the positive.",
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
    "normalized": "You normalized x again. It has length 1 already, and the gradient of the length is none of the "
    "loss's business here.",
    "positive and negative swapped": "The signs are swapped: positives are to come closer, negatives to go away.",
}


def _mined(x: Tensor, labels: Tensor, margin: float, *, fault: str = "") -> Float[Tensor, ""]:
    """The semi-hard batch loss, or what learners make of it: one of ``MINING_FAULTS``."""
    x = F.normalize(x, dim=1) if fault == "normalized" else x
    apart = 1 - x @ x.T if fault == "cosines" else (x[:, None] - x).square().sum(2)
    apart = (apart + 1e-12).sqrt() if fault == "distances" else apart
    lost, images = [], range(len(labels))
    for i in images:
        negatives = [k for k in images if labels[k] != labels[i]]
        for j in images:
            other = j != i or fault == "the image with itself"
            if labels[j] == labels[i] and other and not (j < i and fault == "pairs without order"):
                chosen = _chosen(apart.detach()[i], j, negatives, margin, fault)
                lost += [x.sum() * 0 if k is None else apart[i, j] - apart[i, k] for k in chosen]
    if fault == "positive and negative swapped":
        lost = [-term for term in lost]
    values = torch.stack(lost or [x.sum() * 0 - margin]) + (-margin if fault == "a margin's sign" else margin)
    if fault == "nothing where none is farther":
        values = values - margin * torch.tensor([float(term == 0) for term in lost], dtype=values.dtype)
    values = values if fault == "no hinge" else values.clamp(min=0)
    counts = {"the mean over active pairs": int((values > 0).sum()), "the mean over images": len(labels), "the sum": 1}
    return values.sum() / max(counts.get(fault, len(values)), 1)


def _chosen(apart: Tensor, positive: int, negatives: list[int], margin: float, fault: str) -> list[int | None]:
    """The negatives that one pair is compared with; None stands for a loss of 0."""
    limit = apart[positive]
    far = [k for k in negatives if apart[k] > limit or (fault == "as far as the positive" and apart[k] == limit)]
    closest, farthest = (rule(negatives, key=lambda k: apart[k]) for rule in (min, max))
    if fault == "only within the margin":
        far = [k for k in far if apart[k] < limit + margin]
        return [min(far, key=lambda k: apart[k])] if far else []
    instead = {
        "the closest where none is farther": [closest],
        "left out where none is farther": [],
        "nothing where none is farther": [None],
    }
    always = {
        "the hardest": [closest],
        "the farthest": [farthest],
        "the nearest to the positive": [min(negatives, key=lambda k: abs(apart[k] - limit))],
        "all triplets": negatives,
    }
    fallback = instead.get(fault, [farthest])
    return always.get(fault) or ([min(far, key=lambda k: apart[k])] if far else fallback)


def _mining_cases() -> Sequence[Case]:
    problems = [
        ("the five points of the chapter", [0, 10, 40, 50, 120], [0, 0, 0, 1, 1], 0.5),
        ("three classes, one of a single image", [0, 17, 65, 80, 130, 152, 200, 290], [0, 0, 1, 0, 1, 2, 1, 0], 0.2),
        ("far positives", [0, 175, 60, 100, 140], [0, 0, 1, 1, 1], 0.4),
    ]
    points = [(on_circle(degrees, dtype=torch.float64), text, y, margin) for text, degrees, y, margin in problems]
    tie = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.6, -0.8], [-1.0, 0.0]], dtype=torch.float64)
    points.append((tie, "a negative exactly as far as the positive", [0, 0, 1, 1], 0.3))
    cases = []
    for x, text, y, margin in points:
        arguments = (x, torch.tensor(y), margin)
        said = f"{text}, labels = {y}, margin = {margin}: the value, then its slope in each coordinate"
        cases.append(Case(arguments, value_and_slopes(_reference, arguments), said))
    return cases


def _reference(x: Tensor, labels: Tensor, margin: float) -> Float[Tensor, ""]:
    return semihard_mean(squared_distances(x, x), labels, margin=margin)


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
}


def _hardest(x: Tensor, labels: Tensor, margin: float, *, fault: str = "") -> Float[Tensor, ""]:
    """The loss on each anchor's farthest positive and closest negative; or one of ``HARDEST_FAULTS``."""
    apart = (x[:, None] - x).square().sum(2)
    apart = (apart + 1e-12).sqrt() if fault == "distances" else apart
    same = labels[:, None] == labels
    others = same & ~torch.eye(len(labels), dtype=torch.bool)
    far = apart.masked_fill(~same, 0).amax(1)
    near = apart.masked_fill(same, torch.inf).amin(1)
    if fault == "the bug itself":
        near = torch.zeros_like(near)
    elif fault == "the smallest that is not 0":
        near = apart.masked_fill(torch.eye(len(labels), dtype=torch.bool), torch.inf).amin(1)
    elif fault == "the farthest negative":
        near = apart.masked_fill(same, 0).amax(1)
    elif fault == "the mean negative":
        near = (apart * ~same).sum(1) / (~same).sum(1)
    elif fault == "the closest of the batch":
        near = near.amin()
    elif fault == "the closest positive":
        far = apart.masked_fill(~others, torch.inf).amin(1)
    elif fault == "no gradient through the negative":
        near = near.detach()
    elif fault == "the mask's sign":
        near = apart.masked_fill(~others, torch.inf).amin(1)
    gaps = near - far if fault == "swapped" else far - near
    gaps = gaps if fault == "the margin forgotten" else gaps + margin
    gaps = gaps if fault == "no hinge" else gaps.clamp(min=0)
    return gaps.sum() if fault == "the sum" else gaps.mean()


def _hardest_cases() -> Sequence[Case]:
    problems = [
        ("the five points of the chapter", [0, 10, 40, 50, 120], [0, 0, 0, 1, 1], 0.5),
        ("three classes", [0, 25, 60, 95, 130, 160, 220], [0, 1, 0, 1, 2, 2, 0], 0.2),
        ("two far classes", [0, 12, 31, 180, 205], [0, 0, 0, 1, 1], 0.3),
    ]
    cases = []
    for text, degrees, y, margin in problems:
        arguments = (on_circle(degrees, dtype=torch.float64), torch.tensor(y), margin)
        said = f"{text}, angles {degrees}, labels {y}, margin = {margin}: the value, then its slope in each coordinate"
        cases.append(Case(arguments, value_and_slopes(_hardest, arguments), said))
    return cases


EXERCISES = (
    Exercise(
        "1.5",
        "the semi-hard batch loss",
        _mining_cases,
        {fault: Misconception(partial(_mined, fault=fault), message) for fault, message in MINING_FAULTS.items()},
        call=value_and_slopes,
    ),
    Exercise(
        "1.6",
        "the planted bug",
        _hardest_cases,
        {fault: Misconception(partial(_hardest, fault=fault), message) for fault, message in HARDEST_FAULTS.items()},
        call=value_and_slopes,
    ),
)
