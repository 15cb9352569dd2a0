"""Exercises of chapter 02: a batch loss, one with a bug, a limit, a floor, and a case that is tight."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch02.attack import tight_case
from dmlbook.chapters.ch02.loss_exercises import LOSS_EXERCISES


def _rest(similarities: Tensor, label: int, scale: float) -> Tensor:
    return torch.logsumexp(scale * (similarities - similarities.max()), 0)


def _rest_naive(similarities: Tensor, label: int, scale: float) -> Tensor:
    v = similarities - similarities[label]
    return v.mul(scale).exp().sum().log() - scale * v.max()


def _tried_rest(function: Callable, arguments: tuple) -> object:
    """What a function returns; nan for whatever is not finite, in Python's way too, which is an exception."""
    try:
        found = function(*arguments)
    except OverflowError:
        return torch.tensor(math.nan)
    single = isinstance(found, float) or (isinstance(found, torch.Tensor) and found.numel() == 1)
    return torch.tensor(math.nan) if single and not math.isfinite(found) else found


def _others(similarities: Tensor, label: int) -> Tensor:
    v = similarities - similarities[label]
    return v[torch.arange(len(v)) != label]


def _rest_cases() -> Sequence[Case]:
    problems = [
        ((0.8, 0.96, 0.6), 0, 20.0),
        ((0.8, 0.96, 0.6), 1, 5.0),
        ((0.5, 0.5, -0.25), 0, 1e3),
        ((0.25, 0.5, 0.5, 0.5), 0, 1e6),
        ((0.5, 0.5, 0.5, 0.5), 2, 1e6),
    ]
    cases = []
    for numbers, label, scale in problems:
        similarities = torch.tensor(numbers, dtype=torch.float64)
        text = f"similarities = {numbers}, class {label}, scale = {scale:g}"
        cases.append(Case((similarities, label, scale), _rest(similarities, label, scale), text))
    return cases


def _scale(num_classes: int, target: float) -> float:
    return (num_classes - 1) / num_classes * math.log((num_classes - 1) / math.expm1(target))


def _scale_cases() -> Sequence[Case]:
    problems = [(100, 0.1), (5, 0.01), (3, 1.0), (11318, 0.5)]
    return [Case((c, t), _scale(c, t), f"num_classes = {c}, target = {t}") for c, t in problems]


def _at(angle: float) -> Tensor:
    return torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)


def _turn(eps: float) -> float:
    """The angle between two unit vectors at this distance."""
    return 2 * math.asin(eps / 2)


def _tight(delta: float, turns: tuple[float, float], *, alone: bool = False, tilt: float | None = None) -> list[Tensor]:
    """Examples turned from their centers; where ``alone``, the own center alone makes the margin."""
    right, tilt = math.pi / 2, math.asin(delta / 2) if tilt is None else tilt
    own, other = (right - math.asin(delta), -right) if alone else (right - tilt, -right - tilt)
    return [_at(0), _at(own), _at(other), _at(own + turns[0]), _at(other + turns[1])]


def _straight(delta: float, eps: float) -> list[Tensor]:
    """From the centers straight on, parallel to the image."""
    x, own, other = tight_case(delta, eps)[:3]
    return [x, own, other, own - eps * x, other + eps * x]


def _back_on_the_circle(delta: float, eps: float) -> list[Tensor]:
    *first, near_own, near_other = _straight(delta, eps)
    return [*first, near_own / near_own.norm(), near_other / near_other.norm()]


def _read_tight(points: object) -> object:
    """What matters of the five points, in numbers short enough for one line."""
    if not isinstance(points, (list, tuple)) or len(points) != 5:
        return points
    five = torch.stack([torch.as_tensor(p, dtype=torch.float64) for p in points])
    if five.shape != (5, 2):
        return f"five vectors of shape {tuple(five.shape[1:])}"
    x, own, other, near_own, near_other = five
    found = {
        "margin": x @ (own - other),
        "radii": torch.stack([(near_own - own).norm(), (near_other - other).norm()]),
        "gap": x @ (near_own - near_other),
        "lengths": five.norm(dim=1),
    }

    def short(numbers: float | list[float]) -> float | list[float]:
        return [round(n, 4) for n in numbers] if isinstance(numbers, list) else round(numbers, 4)

    return {name: short(value.tolist()) for name, value in found.items()}


def _tight_cases() -> Sequence[Case]:
    problems = [(0.3, 0.3), (0.9, 0.3), (0.4, 0.8)]
    return [Case((d, eps), _read_tight(tight_case(d, eps)), f"delta = {d}, eps = {eps}") for d, eps in problems]


EXERCISES: tuple[Exercise, ...] = (
    *LOSS_EXERCISES,
    Exercise(
        "2.3",
        "a limit, checked numerically",
        _rest_cases,
        {
            "overflow": Misconception(
                _rest_naive,
                "As written, (2.3) overflows at a large scale: exp of 710 is infinite in float64, of 89 in float32. "
                "Take the hardest violation out first.",
            ),
            "the gap itself": Misconception(
                lambda s, y, scale: _rest(s, y, scale) / scale,
                "You divided by the scale. That gap tends to 0 whatever the ties; times the scale it tends to the "
                "logarithm of their number.",
            ),
            "own class left out of the maximum": Misconception(
                lambda s, y, scale: _rest(s, y, scale) + scale * (s.max() - s[y] - _others(s, y).max()),
                "The hardest violation was taken over the other classes only. The own class takes part with 0, so "
                "it is never negative.",
            ),
            "own class left out": Misconception(
                lambda s, y, scale: torch.logsumexp(scale * (_others(s, y) - _others(s, y).max()), 0),
                "The own class is missing from the sum and from the maximum. Its violation 0 is a term like the "
                "others.",
            ),
            "own class left out of the sum": Misconception(
                lambda s, y, scale: torch.logsumexp(scale * (_others(s, y) - s.max() + s[y]), 0),
                "The own class is missing from the sum, not from the maximum. It is the term that "
                "keeps the logarithm from falling without bound where the image is easy.",
            ),
            "own class left out, and overflow": Misconception(
                lambda s, y, scale: (
                    (_others(s, y) * scale).exp().sum().log() - scale * _others(s, y).max().clamp(min=0)
                ),
                "The own class is missing from the sum: its violation 0 is a term like the others. And as written the "
                "exponentials overflow.",
            ),
            "the largest similarity": Misconception(
                lambda s, y, scale: _rest(s, y, scale) - scale * s[y],
                "You subtracted lambda times the largest similarity. The hardest violation is that minus the own "
                "similarity.",
            ),
            "the own similarity": Misconception(
                lambda s, y, scale: torch.logsumexp(scale * s, 0) - scale * s[y],
                "That is the loss. The hardest violation, times lambda, is still to be subtracted.",
            ),
            "the hardest not times the scale": Misconception(
                lambda s, y, scale: _rest(s, y, scale) + (scale - 1) * (s.max() - s[y]),
                "You subtracted the hardest violation itself. It is lambda times that which the loss is compared with.",
            ),
            "sign turned around": Misconception(
                lambda s, y, scale: -_rest(s, y, scale),
                "The sign is turned around: the loss is the larger of the two.",
            ),
            "the limit": Misconception(
                lambda s, y, scale: (s == s.max()).sum().double().log(),
                "That is the limit, the logarithm of the number of ties. Asked for is the value at this lambda.",
            ),
            "no logarithm": Misconception(
                lambda s, y, scale: _rest(s, y, scale).exp(),
                "The logarithm is missing: this tends to the number of ties itself.",
            ),
        },
        call=_tried_rest,
    ),
    Exercise(
        "2.4",
        "how large must the scale be?",
        _scale_cases,
        {
            "centers at right angles": Misconception(
                lambda c, t: math.log((c - 1) / math.expm1(t)),
                "That is for centers at right angles, margin 1. In a regular simplex the margin is C / (C - 1), a "
                "little more.",
            ),
            "opposite centers": Misconception(
                lambda c, t: 0.5 * math.log((c - 1) / math.expm1(t)),
                "You gave every pair of centers the margin 2: opposite centers. Only two classes can all be opposite.",
            ),
            "one other class": Misconception(
                lambda c, t: (c - 1) / c * -math.log(math.expm1(t)),
                "There are C - 1 other classes, and each adds its exponential: the factor C - 1 is missing.",
            ),
            "e^target": Misconception(
                lambda c, t: (c - 1) / c * math.log((c - 1) / math.exp(t)),
                "The 1 inside the logarithm of (2.13) is the own class: the others add up to e^target - 1.",
            ),
            "the target itself": Misconception(
                lambda c, t: (c - 1) / c * math.log((c - 1) / t),
                "You divided by the target. First take the exponential of both sides of (2.13): e^target - 1.",
            ),
            "upside down": Misconception(
                lambda c, t: c / (c - 1) * math.log((c - 1) / math.expm1(t)),
                "The factor is upside down: lambda is multiplied by C / (C - 1) in (2.13), so it is divided by that.",
            ),
            "all classes": Misconception(
                lambda c, t: (c - 1) / c * math.log(c / math.expm1(t)),
                "There are C - 1 other classes, not C: the own one is the 1 inside the logarithm.",
            ),
            "sign turned around": Misconception(
                lambda c, t: -_scale(c, t),
                "The sign is turned around: the exponent of (2.13) is minus lambda times the margin.",
            ),
            "the exponential left out": Misconception(
                lambda c, t: (c - 1) / c * (c - 1) / math.expm1(t),
                "The logarithm is missing: lambda stands in an exponent.",
            ),
            "right angles, one other class": Misconception(
                lambda c, t: -math.log(math.expm1(t)),
                "That is the margin between two classes at lambda = 1. Here C - 1 others add up, and the margin is "
                "C / (C - 1).",
            ),
            "right angles, e^target": Misconception(
                lambda c, t: math.log((c - 1) / math.exp(t)),
                "The margin is C / (C - 1), not 1; and the others add up to e^target - 1, for the 1 is the own class.",
            ),
        },
    ),
    Exercise(
        "2.6",
        "nothing left to give",
        _tight_cases,
        {
            "off the sphere": Misconception(
                _straight,
                "Parallel to x_i and of length eps, and so off the sphere: x_j and x_k are not of length 1. Turn them "
                "away from their centers, along the circle.",
            ),
            "angle instead of distance": Misconception(
                lambda delta, eps: _tight(delta, (eps, eps)),
                "The radii are too small: you turned by the angle eps. Two unit vectors at that angle are nearer than "
                "eps: the distance is 2 sin(angle / 2).",
            ),
            "half the angle": Misconception(
                lambda delta, eps: _tight(delta, (_turn(eps) / 2, _turn(eps) / 2)),
                "The radii are half of what they should be, or nearly: two unit vectors at distance eps are "
                "2 arcsin(eps / 2) apart in angle.",
            ),
            "straight on, and back to the circle": Misconception(
                _back_on_the_circle,
                "You stepped on by eps and then normalized, which changes the distance. Turn by an angle instead.",
            ),
            "one example the good way": Misconception(
                lambda delta, eps: _tight(delta, (_turn(eps), -_turn(eps))),
                "Both examples were turned away from x_i. That lowers x_i . x_j, and x_i . x_k too: x_k has to come "
                "nearer.",
            ),
            "tilted by the whole margin": Misconception(
                lambda delta, eps: _tight(delta, (_turn(eps), _turn(eps)), tilt=math.asin(delta)),
                "The margin is twice what was asked: both centers make it, each its half. Tilt by arcsin(delta / 2).",
            ),
            "the good direction": Misconception(
                lambda delta, eps: _tight(delta, (-_turn(eps), -_turn(eps))),
                "The examples moved the wrong way: x_j towards x_i and x_k away from it. The gap grew instead of "
                "shrinking.",
            ),
            "one center does it all": Misconception(
                lambda delta, eps: _tight(delta, (_turn(eps), _turn(eps)), alone=True),
                "Margin and radii are right, the gap is too large: w_k is at right angles to x_i and w_y alone makes "
                "the margin. Share it: the two centers lie opposite each other.",
            ),
            "the case of margin eps": Misconception(
                lambda delta, eps: tight_case(eps, eps),
                "That is the worst case of §2b.5, whose margin is eps. Here the margin is given: tilt the centers "
                "by arcsin(delta / 2).",
            ),
            "examples on their centers": Misconception(
                lambda delta, eps: _tight(delta, (0.0, 0.0)),
                "The radii are 0: x_j and x_k lie on their centers. Move each to the distance eps.",
            ),
            "order of the five": Misconception(
                lambda delta, eps: [tight_case(delta, eps)[n] for n in (0, 1, 3, 2, 4)],
                "Right points, other order: x_i, then both centers w_y and w_k, then both examples x_j and x_k.",
            ),
        },
        read=_read_tight,
    ),
)
