"""The exercise of the companion of chapter 02: the five vectors at which the exact bound gives nothing away."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch02.attack import tight_case


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


TIGHT = Exercise(
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
)
