"""Exercises of chapter 03: similarity to a class, the margin's place, pull and push, and what one center costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch03.theory import opposite_pairs_floor


def _weights(cosines: Sequence[float], gamma: float) -> list[float]:
    top = max(cosines)
    raw = [math.exp((c - top) / gamma) for c in cosines]
    return [w / sum(raw) for w in raw]


def _similarity(cosines: Sequence[float], gamma: float) -> float:
    return math.fsum(q * c for q, c in zip(_weights(cosines, gamma), cosines, strict=True))


def _value(cosines: Sequence[float], gamma: float) -> float:
    top = max(cosines)
    return top + gamma * math.log(math.fsum(math.exp((c - top) / gamma) for c in cosines))


COSINES = (([0.8, 0.6], 0.1), ([0.3, -0.5, 0.9, 0.7], 0.2), ([-0.4, -0.1, -0.9], 0.5), ([0.9, 0.2, 0.1], 2.0))


def _similarity_cases() -> Sequence[Case]:
    return [Case((list(s), g), _similarity(s, g), f"cosines = {s}, gamma = {g}") for s, g in COSINES]


def _loss(similar: Sequence[float], y: int, scale: float, margin: float) -> float:
    logits = [scale * (value - (margin if c == y else 0.0)) for c, value in enumerate(similar)]
    return _value(logits, 1.0) - logits[y]


def _loss_cases() -> Sequence[Case]:
    problems = [
        ([0.6, 0.5], 0, 10.0, 0.2),
        ([0.2, 0.5, -0.1], 1, 4.0, 0.1),
        ([0.7, 0.6, 0.65, -0.3], 3, 2.0, 0.3),
        ([0.1, 0.1], 1, 1.0, 0.5),
    ]
    return [Case(p, _loss(*p), "similar = {}, y = {}, scale = {}, margin = {}".format(*p)) for p in problems]


def _slopes(cosines: Sequence[float], gamma: float) -> list[float]:
    mean = _similarity(cosines, gamma)
    return [q * (1 + (c - mean) / gamma) for q, c in zip(_weights(cosines, gamma), cosines, strict=True)]


def _slope_from(anchor: Callable, *, divide: bool = True, sign: int = 1) -> Callable:
    """The slope with the distance measured from elsewhere, or in other units, or the other way round."""

    def slopes(cosines: Sequence[float], gamma: float) -> list[float]:
        base, unit = anchor(cosines, gamma), gamma if divide else 1.0
        return [q * (1 + sign * (c - base) / unit) for q, c in zip(_weights(cosines, gamma), cosines, strict=True)]

    return slopes


def _slope_cases() -> Sequence[Case]:
    return [Case((list(s), g), _slopes(s, g), f"cosines = {s}, gamma = {g}") for s, g in COSINES]


def _turning_point() -> float:
    low, high = 0.0, 10.0
    for _ in range(80):
        u = (low + high) / 2
        low, high = (u, high) if u / (1 + math.exp(-u)) < 1 else (low, u)
    return low


def _gap_cases() -> Sequence[Case]:
    u = _turning_point()
    return [Case((gamma,), u * gamma, f"gamma = {gamma}") for gamma in (0.1, 0.3, 1.0)]


def _price_cases() -> Sequence[Case]:
    problems = [(2, 20.0, 0.0), (2, 10.0, 0.1), (5, 4.0, 0.2), (100, 20.0, 0.01)]
    return [
        Case(p, opposite_pairs_floor(p[0], scale=p[1], margin=p[2]), "C = {}, scale = {}, margin = {}".format(*p))
        for p in problems
    ]


EXERCISES = (
    Exercise(
        "3.1",
        "similarity to a class",
        _similarity_cases,
        {
            "gamma multiplied": Misconception(
                lambda s, g: _similarity(s, 1 / g),
                "You multiplied by gamma. It divides: a *small* gamma has to let the closest center win.",
            ),
            "no gamma": Misconception(
                lambda s, g: _similarity(s, 1.0),
                "Gamma does not enter: these are the weights for gamma = 1, where cosines hardly differ.",
            ),
            "the log-sum-exp value": Misconception(
                _value,
                "That is gamma times log-sum-exp, the value V of the problem that gives the weights. S' is the mean of "
                "the cosines under them: lower by gamma times the entropy (section 3.5).",
            ),
            "the closest center": Misconception(
                lambda s, g: max(s), "That is HardTriple's similarity. Let every center count by its weight."
            ),
            "the plain mean": Misconception(
                lambda s, g: sum(s) / len(s), "All centers count alike here, as for an infinite gamma. Weigh them."
            ),
            "weights not normalized": Misconception(
                lambda s, g: math.fsum(math.exp(c / g) * c for c in s),
                "The weights do not add up to 1: divide by the sum of the exponentials.",
            ),
        },
    ),
    Exercise(
        "3.2",
        "where the margin goes",
        _loss_cases,
        {
            "no margin": Misconception(
                lambda similar, y, scale, margin: _loss(similar, y, scale, 0.0),
                "The margin has no effect. Did you lower every class by it? Then it cancels: lower the own one alone.",
            ),
            "margin after scaling": Misconception(
                lambda similar, y, scale, margin: _loss(similar, y, scale, margin / scale),
                "You subtracted the margin after scaling. It is in units of cosine: the scale multiplies it too.",
            ),
            "margin helps": Misconception(
                lambda similar, y, scale, margin: _loss(similar, y, scale, -margin),
                "The margin has the wrong sign: the own class is raised (or the others lowered), which makes its task "
                "easier. It must win by more.",
            ),
            "margin only above": Misconception(
                lambda similar, y, scale, margin: _loss(similar, y, scale, 0.0) + scale * margin,
                "Above the fraction the margin is there, below it is missing. The own class is lowered in both places.",
            ),
            "no scale": Misconception(
                lambda similar, y, scale, margin: _loss(similar, y, 1.0, margin),
                "The scale does not enter. Cosines as logits differ by 2 at most: they need it.",
            ),
            "no own class below": Misconception(
                lambda similar, y, scale, margin: (
                    _value([scale * v for c, v in enumerate(similar) if c != y], 1.0) - scale * (similar[y] - margin)
                ),
                "Below the fraction the own class is missing: the sum runs over the other classes *and* the own one.",
            ),
        },
    ),
    Exercise(
        "3.3",
        "pulled or pushed",
        _slope_cases,
        {
            "the weights alone": Misconception(
                _weights,
                "Those are the weights q: right for the log-sum-exp value. In S' the weights change with the "
                "cosine, and that adds q_k (s_k - S') / gamma.",
            ),
            "distance to the closest": Misconception(
                _slope_from(lambda s, g: max(s)),
                "You measured from the largest cosine. Measure from S', the weighted mean; then the slopes sum to 1.",
            ),
            "distance to the plain mean": Misconception(
                _slope_from(lambda s, g: sum(s) / len(s)),
                "You measured from the plain mean of the cosines. It is the mean under the weights, S'.",
            ),
            "not in units of gamma": Misconception(
                _slope_from(_similarity, divide=False),
                "The distance s_k - S' has to be divided by gamma: that is where q's own slope comes from.",
            ),
            "the sign turned": Misconception(
                _slope_from(_similarity, sign=-1),
                "The distance has the wrong sign: a center that is closer than S' is pulled *more* than its weight.",
            ),
        },
    ),
    Exercise(
        "3.4",
        "where pull turns into push",
        _gap_cases,
        {
            "gamma itself": Misconception(
                lambda gamma: gamma,
                "Gamma is the distance from S' at which the slope is 0. S' lies below the larger cosine, so the gap "
                "of the two cosines is larger.",
            ),
            "in units of gamma": Misconception(
                lambda gamma: _turning_point(),
                "That is the gap in units of gamma: multiply by gamma.",
            ),
            "twice gamma": Misconception(
                lambda gamma: 2 * gamma,
                "You put S' in the middle of the two cosines, where it is for equal weights. The closer center has the "
                "larger weight, so S' lies nearer to it.",
            ),
            "rounded": Misconception(
                lambda gamma: 1.28 * gamma,
                "Close, but rounded: the constant that multiplies gamma is not quite 1.28. Halve the interval further.",
            ),
            "never": Misconception(
                lambda gamma: math.inf,
                "That is so for the log-sum-exp value, which never pushes. For S' there is such a gap.",
            ),
        },
    ),
    Exercise(
        "3.5",
        "the price of one center",
        _price_cases,
        {
            "two classes only": Misconception(
                lambda C, scale, margin: opposite_pairs_floor(2, scale=scale, margin=margin),
                "The number of classes does not enter: with C classes there are C - 1 others below the fraction.",
            ),
            "guessing without margin": Misconception(
                lambda C, scale, margin: math.log(C),
                "log C is the price without a margin. With one, even equal similarities fall short by it.",
            ),
            "the margin lowers it": Misconception(
                lambda C, scale, margin: opposite_pairs_floor(C, scale=scale, margin=-margin),
                "The margin has the wrong sign: it makes the task harder, so the price rises.",
            ),
            "margin without scale": Misconception(
                lambda C, scale, margin: opposite_pairs_floor(C, scale=1.0, margin=margin),
                "The scale multiplies the margin too.",
            ),
            "zero": Misconception(
                lambda C, scale, margin: 0.0,
                "Zero would mean that every image is right. Of x and -x in one class, one is wrong or undecided.",
            ),
        },
    ),
)
