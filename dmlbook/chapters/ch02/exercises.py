"""Exercises of chapter 02: a batch loss, one with a bug, a limit, a floor, and a case that is tight."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch02.loss_exercises import LOSS_EXERCISES
from dmlbook.chapters.ch02.tight_exercise import TIGHT


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
        ((0.25, 0.5, 0.375), 0, 1e5),
        ((0.5, 0.4999, 0.25), 2, 1e4),
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
    problems = [(100, 0.1), (5, 0.01), (3, 1.0), (11318, 0.5), (11318, 1e-9)]
    return [Case((c, t), _scale(c, t), f"num_classes = {c}, target = {t:g}") for c, t in problems]


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
            "the own similarity only once": Misconception(
                lambda s, y, scale: _rest(s, y, scale) + scale * s[y],
                "The hardest violation has the own similarity subtracted, your loss has not. Both take (2.2).",
            ),
            "lambda forgotten": Misconception(
                lambda s, y, scale: _rest(s, y, 1.0),
                "Lambda does not enter: it multiplies each exponent of (2.10).",
            ),
            "violations turned around": Misconception(
                lambda s, y, scale: _rest(-s, y, scale),
                "Your violations have the wrong sign: by (2.2) the own similarity is subtracted from that to class c.",
            ),
            "exponents cut off": Misconception(
                lambda s, y, scale: _rest(((s - s[y]) * scale).clamp(max=700), y, 1.0),
                "Exponents were cut off: two different violations above the cut look like a tie. Take the hardest out "
                "of the sum instead.",
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
            "the own class twice": Misconception(
                lambda s, y, scale: torch.log1p(_rest(s, y, scale).exp()),
                "A 1 was added to the sum (log1p?). The own class is in it already: its violation is 0.",
            ),
            "cut off at 0": Misconception(
                lambda s, y, scale: _rest((s - s[y]).clamp(min=0), y, scale),
                "Violations below 0 were cut off, as by the hinge of a triplet loss. SoftMax keeps them: small terms.",
            ),
            "the mean of the terms": Misconception(
                lambda s, y, scale: _rest(s, y, scale) - math.log(len(s)),
                "You took the mean of the terms. (2.10) has their sum, log C more.",
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
            "whole numbers": Misconception(
                lambda c, t: math.ceil(_scale(c, t)),
                "You tried whole numbers only: this is the next one. The smallest scale is no whole number.",
            ),
            "the cosine with the wrong sign": Misconception(
                lambda c, t: math.log((c - 1) / math.expm1(t)) / (1 - 1 / (c - 1)),
                "You took 1 / (C - 1) from 1. The cosines of a regular simplex are negative: that is added to 1.",
            ),
            "logarithm of a part": Misconception(
                lambda c, t: (c - 1) / c * math.log(c - 1) / math.expm1(t),
                "The logarithm ends too early: it is of the whole quotient (C - 1) / (e^target - 1).",
            ),
            "the bound of the gap": Misconception(
                lambda c, t: math.log(c) / t,
                "That is where log(C) / lambda, the width of the band of (2.9), is the target. Asked for is (2.13).",
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
    TIGHT,
)
