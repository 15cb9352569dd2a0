"""Exercises of chapter 07: a fair split, the training loop, a planted bug in it, a lead over seeds, the schedule."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from functools import partial

from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch07 import faults, loops

T_975 = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 9: 2.2622}
"""Student's t at 97.5 percent, by degrees of freedom."""


def _validation_images(labels: list[int], share: float, by: str = "class") -> list[int]:
    classes = sorted(set(labels))
    held = set(classes[len(classes) - round(share * len(classes)) :])
    if by == "image":
        return list(range(len(labels) - round(share * len(labels)), len(labels)))
    if by == "each class":
        kept = []
        for c in classes:
            members = [i for i, label in enumerate(labels) if label == c]
            kept += members[len(members) - round(share * len(members)) :]
        return sorted(kept)
    if by == "first":
        held = set(classes[: round(share * len(classes))])
    if by == "from the end":
        held = set(classes[-round(share * len(classes)) :])
    if by == "number":
        held = set(range(max(labels) + 1 - round(share * len(classes)), max(labels) + 1))
    return [i for i, label in enumerate(labels) if label in held]


def _split_cases() -> Sequence[Case]:
    problems = [
        ([0, 0, 1, 1, 2, 2, 3, 3], 0.5),
        ([0, 1, 2, 3], 0.1),
        ([0, 0, 1, 2, 3], 0.4),
        ([3, 0, 2, 0, 1, 3, 3, 1, 2, 2], 0.25),
        ([7, 7, 7, 5, 9, 5, 8, 9], 0.5),
        ([0, 0, 2, 4, 6, 6], 0.5),
    ]
    return [Case((y, share), _validation_images(y, share), f"labels = {y}, share = {share}") for y, share in problems]


def _lead(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    ahead = [a - b for a, b in zip(first, second, strict=True)]
    return statistics.fmean(ahead), _half_width(ahead)


def _half_width(values: Sequence[float]) -> float:
    n = len(values)
    return T_975[n - 1] * statistics.stdev(values) / n**0.5


def _lead_cases() -> Sequence[Case]:
    problems = [
        ([50.0, 52.0], [47.0, 50.0]),
        ([41.0, 43.0, 45.0], [40.0, 41.5, 44.5]),
        ([60.1, 58.3, 59.4, 61.0, 59.7], [60.9, 57.9, 60.0, 61.4, 58.5]),
    ]
    return [Case((a, b), _lead(a, b), f"first = {a}, second = {b}: mean lead, half-width") for a, b in problems]


def _spread(half: Callable[[list[float]], float]) -> Callable[[Sequence[float], Sequence[float]], tuple[float, float]]:
    """The right mean lead, with another half-width of the differences."""
    return lambda a, b: (_lead(a, b)[0], half([x - y for x, y in zip(a, b, strict=True)]))


def _rate(epoch: int, base: float, milestones: Sequence[int]) -> float:
    return base * 0.1 ** sum(epoch >= m for m in milestones)


def _rate_cases() -> Sequence[Case]:
    two, three = (20, 40), (10, 20, 30)
    calls = [(1, 1.0, two), (19, 1.0, two), (20, 1.0, two), (39, 0.5, two), (40, 0.5, two), (35, 8.0, three)]
    return [Case(each, _rate(*each), "epoch {}, base {}, milestones {}".format(*each)) for each in calls]


def _apart(a: Sequence[float], b: Sequence[float]) -> float:
    """The half-width as if the two had nothing in common: seeds that are not paired."""
    n = len(a)
    return T_975[n - 1] * math.sqrt((statistics.variance(a) + statistics.variance(b)) / n)


EXERCISES = (
    Exercise(
        "7.1",
        "hold out classes, not images",
        _split_cases,
        {
            "images, not classes": Misconception(
                partial(_validation_images, by="image"),
                "You held out the last images, whatever their class: classes are then cut in two, and validation shows "
                "classes that training has seen.",
            ),
            "the training images": Misconception(
                lambda y, share: sorted(set(range(len(y))) - set(_validation_images(y, share))),
                "Those are the images that are left for training. The task asks for the held-out ones.",
            ),
            "rounded down": Misconception(
                lambda y, share: [i for i in range(len(y)) if y[i] in sorted(set(y))[::-1][: int(share * len(set(y)))]],
                "int() rounds down: 0.4 of 4 classes is 1.6, which rounds to 2.",
            ),
            "rounded up": Misconception(
                lambda y, share: [
                    i for i in range(len(y)) if y[i] in sorted(set(y))[::-1][: math.ceil(share * len(set(y)))]
                ],
                "You rounded up, or held out one class at least: round(0.1 * 4) is 0, and then none is held out.",
            ),
            "some images of each class": Misconception(
                partial(_validation_images, by="each class"),
                "You held out some images of every class. That measures known classes; retrieval must find new ones.",
            ),
            "the first classes": Misconception(
                partial(_validation_images, by="first"),
                "You held out the lowest class numbers. The task asks for the highest ones.",
            ),
            "none is all": Misconception(
                partial(_validation_images, by="from the end"),
                "Where none is to be held out you hold out all: classes[-0:] is the whole list. Count from the front.",
            ),
            "numbers that no class has": Misconception(
                partial(_validation_images, by="number"),
                "You took class numbers below the highest one. Numbers may have gaps: take from sorted(set(labels)).",
            ),
            **faults.misconceptions(faults.SPLIT_FAULTS),
        },
    ),
    Exercise("7.2", "the training loop", loops.loop_cases, loops.loop_misconceptions(), call=loops.looped),
    Exercise("7.3", "the planted bug", loops.bug_cases, loops.bug_misconceptions(), call=loops.trained),
    Exercise(
        "7.4",
        "a lead over seeds",
        _lead_cases,
        {
            "not paired": Misconception(
                lambda a, b: (_lead(a, b)[0], _apart(a, b)),
                "You put two separate spreads together. The runs are paired: take the differences seed by seed first.",
            ),
            "the other way round": Misconception(
                lambda a, b: _lead(b, a), "The sign is turned: the lead is that of first over second."
            ),
            "the spread of one run": Misconception(
                _spread(lambda d: T_975[len(d) - 1] * statistics.stdev(d)),
                "That covers a single further run. The mean of n runs varies less: divide by the root of n.",
            ),
            "standard deviation": Misconception(
                _spread(statistics.stdev),
                "That is the standard deviation of single differences. The interval is for their mean: divide by "
                "root n and multiply by t.",
            ),
            "the whole width": Misconception(
                _spread(lambda d: 2 * _half_width(d)),
                "That is the whole width of the interval. The task asks for half of it, what stands after the ±.",
            ),
            "1.96": Misconception(
                _spread(lambda d: 1.96 * statistics.stdev(d) / len(d) ** 0.5),
                "1.96 needs many runs. With n of them use Student's t at n - 1 degrees of freedom: 4.30 for n = 3.",
            ),
            "divided by n": Misconception(
                _spread(lambda d: T_975[len(d) - 1] * statistics.pstdev(d) / len(d) ** 0.5),
                "Your standard deviation divides by n. Around a mean taken from the same runs it divides by n - 1.",
            ),
            "standard error only": Misconception(
                _spread(lambda d: statistics.stdev(d) / len(d) ** 0.5),
                "That is the standard error. Multiply by Student's t for 95 percent.",
            ),
            "not the root": Misconception(
                _spread(lambda d: T_975[len(d) - 1] * statistics.stdev(d) / len(d)),
                "You divided by n. The spread of a mean falls with the root of n.",
            ),
            **faults.misconceptions(faults.LEAD_FAULTS),
        },
        read=lambda answer: tuple(answer) if isinstance(answer, list) else answer,
        call=faults.looked_up,
    ),
    Exercise(
        "7.6",
        "the schedule",
        _rate_cases,
        {
            "one epoch late": Misconception(
                lambda epoch, base, milestones: base * 0.1 ** sum(epoch > m for m in milestones),
                "One epoch late: epoch 20 itself already has the smaller rate (>=, not >).",
            ),
            "only once": Misconception(
                lambda epoch, base, milestones: base * (0.1 if epoch >= milestones[0] else 1.0),
                "The rate falls at every milestone, not only at the first: two of them make 0.01.",
            ),
            "by a tenth": Misconception(
                lambda epoch, base, milestones: base * 0.9 ** sum(epoch >= m for m in milestones),
                "You lowered the rate by a tenth. It falls to a tenth: multiply by 0.1.",
            ),
            "subtracted": Misconception(
                lambda epoch, base, milestones: base - 0.1 * sum(epoch >= m for m in milestones),
                "You subtracted 0.1; the rate is multiplied by it.",
            ),
            "from zero": Misconception(
                lambda epoch, base, milestones: base * 0.1 ** sum(epoch + 1 >= m for m in milestones),
                "One epoch early: epochs are counted from 1, and epoch 19 still has the full rate.",
            ),
            "at the milestone alone": Misconception(
                lambda epoch, base, milestones: base * (0.1 if epoch in milestones else 1.0),
                "The smaller rate holds from the milestone on, not in that epoch alone.",
            ),
            "halved": Misconception(
                lambda epoch, base, milestones: base * 0.5 ** sum(epoch >= m for m in milestones),
                "You halved the rate. It falls to a tenth at each milestone.",
            ),
            "a factor a step": Misconception(
                lambda epoch, base, milestones: base * 0.1 * sum(epoch >= m for m in milestones) or base,
                "Two milestones make 0.1 times 0.1, not 2 times 0.1: the factors are multiplied.",
            ),
            **faults.misconceptions(faults.RATE_FAULTS),
        },
    ),
)
