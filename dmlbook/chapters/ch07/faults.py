"""What learners make of chapter 07's split, lead and schedule: each fault by its name, with what to say."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import partial

from dmlbook.book.exercises import Misconception

T = {2: 12.7062, 3: 4.3027, 4: 3.1824, 5: 2.7764}
"""Student's t as the exercise prints it, by the number of seeds."""


def _held(labels: list[int], share: float) -> list[int]:
    classes = sorted(set(labels))
    return classes[len(classes) - round(share * len(classes)) :]


def _of(labels: list[int], held: Sequence[int]) -> list[int]:
    return [i for i, label in enumerate(labels) if label in held]


def _last(classes: list[int], share: float) -> list[int]:
    return classes[len(classes) - round(share * len(classes)) :]


def _to_the_highest(labels: list[int], share: float) -> list[int]:
    count = max(labels) + 1
    return [i for i, label in enumerate(labels) if label >= count - round(share * count)]


def _one_more(labels: list[int], share: float) -> list[int]:
    classes = sorted(set(labels))
    return _of(labels, classes[max(len(classes) - round(share * len(classes)) - 1, 0) :])


def _until(labels: list[int], share: float, *, beyond: bool) -> list[int]:
    """Whole classes from the highest on, until the share of images is reached, or while it is not exceeded."""
    held, images = [], 0
    for c in sorted(set(labels), reverse=True):
        more = 0 if beyond else labels.count(c)
        if images >= round(share * len(labels)) if beyond else images + more > share * len(labels):
            break
        held.append(c)
        images += labels.count(c)
    return _of(labels, held)


_BY_IMAGES = "You counted the share in images. It is a share of the classes: round(share * number of classes)."
_GAPS = "You compared labels with a number, as if they were 0, 1, 2, ... without gaps: take from sorted(set(labels))."
SPLIT_FAULTS: dict[str, tuple[Callable[[list[int], float], list], str]] = {
    "their labels": (
        lambda y, share: [label for label in y if label in _held(y, share)],
        "Those are the labels of the held-out images. The task asks for their positions: enumerate(labels).",
    ),
    "class numbers": (
        _held,
        "Those are the held-out classes. The task asks for the positions of all of their images.",
    ),
    "one image a class": (
        lambda y, share: [y.index(c) for c in _held(y, share)],
        "You found one image of each held-out class, as index() does. Collect all of them.",
    ),
    "one image a class, sorted": (
        lambda y, share: sorted(y.index(c) for c in _held(y, share)),
        "You found one image of each held-out class, as index() does. Collect all of them.",
    ),
    "in order of appearance": (
        lambda y, share: _of(y, _last(list(dict.fromkeys(y)), share)),
        "Your classes stand in the order in which they appear, and the last need not be the highest: sort them.",
    ),
    "class by class": (
        lambda y, share: [i for c in _held(y, share) for i in range(len(y)) if y[i] == c],
        "The images are right, but listed class by class. The task asks for sorted positions.",
    ),
    "counted from 1": (
        lambda y, share: [i + 1 for i in _of(y, _held(y, share))],
        "Your positions are counted from 1. The first image is at position 0.",
    ),
    "a mask": (
        lambda y, share: [label in _held(y, share) for label in y],
        "That says for each image whether it is held out. The task asks for the positions of those that are.",
    ),
    "one class more": (
        _one_more,
        "You held out one class more than round(share * number of classes).",
    ),
    "the largest classes": (
        lambda y, share: _of(y, _last(sorted(sorted(set(y)), key=y.count), share)),
        "You held out the classes with most images. The task asks for those with the highest numbers.",
    ),
    "positions after sorting": (
        lambda y, share: _of(sorted(y), _held(y, share)),
        "Those are positions in the sorted labels. The task asks where the images stand as they are given.",
    ),
    "labels without gaps": (
        lambda y, share: [i for i, label in enumerate(y) if label >= (n := len(set(y))) - round(share * n)],
        _GAPS,
    ),
    "labels above a share of the classes": (
        lambda y, share: [i for i, label in enumerate(y) if label >= (1 - share) * len(set(y))],
        _GAPS,
    ),
    "labels above a share of the highest": (
        lambda y, share: [i for i, label in enumerate(y) if label > (1 - share) * max(y)],
        _GAPS,
    ),
    "as many classes as a share of the images": (
        lambda y, share: _of(y, sorted(set(y))[max(len(set(y)) - round(share * len(y)), 0) :]),
        _BY_IMAGES,
    ),
    "classes until the images suffice": (partial(_until, beyond=True), _BY_IMAGES),
    "classes while the images allow": (partial(_until, beyond=False), _BY_IMAGES),
    "numbers up to the highest": (
        _to_the_highest,
        "You took max(labels) + 1 for the number of classes. Numbers may have gaps: count with set(labels).",
    ),
}


def _half(values: Sequence[float]) -> float:
    return T[len(values)] * statistics.stdev(values) / len(values) ** 0.5


def _ahead(a: Sequence[float], b: Sequence[float]) -> list[float]:
    return [one - other for one, other in zip(a, b, strict=True)]


def _lead(
    half: Callable[[Sequence[float], Sequence[float], list[float]], float],
) -> Callable[[Sequence[float], Sequence[float]], tuple[float, float]]:
    """The right mean lead, with another half-width: of the two methods' scores and of their differences."""
    return lambda a, b: (statistics.fmean(_ahead(a, b)), half(a, b, _ahead(a, b)))


def _of_differences(change: Callable) -> Callable[[Sequence[float], Sequence[float]], tuple[float, float]]:
    """Mean and half-width, both of other numbers than the differences seed by seed."""

    def told(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
        values = change(a, b)
        return statistics.fmean(values), _half(values)

    return told


LEAD_FAULTS: dict[str, tuple[Callable[[Sequence[float], Sequence[float]], object], str]] = {
    "sizes of the differences": (
        _of_differences(lambda a, b: [abs(each) for each in _ahead(a, b)]),
        "You dropped the signs of the differences. Where the first is behind, its lead is negative.",
    ),
    "sorted before": (
        _of_differences(lambda a, b: _ahead(sorted(a), sorted(b))),
        "You sorted the scores first: then the differences are no longer those of one seed.",
    ),
    "shares": (
        _of_differences(lambda a, b: [one / other - 1 for one, other in zip(a, b, strict=True)]),
        "That is the lead as a share of the second's score. The task asks for the difference itself.",
    ),
    "around 0": (
        _lead(lambda a, b, d: T[len(d)] * (sum(v * v for v in d) / (len(d) - 1) / len(d)) ** 0.5),
        "Your spread is measured from 0. It is that around the mean lead: subtract the mean before you square.",
    ),
    "no root of the variance": (
        _lead(lambda a, b, d: T[len(d)] * statistics.variance(d) / len(d) ** 0.5),
        "You used the variance for s. It is the square: take its root.",
    ),
    "no root at all": (
        _lead(lambda a, b, d: T[len(d)] * statistics.variance(d) / len(d)),
        "You used the variance divided by n. s divided by the root of n is the root of that.",
    ),
    "both ends": (
        lambda a, b: (statistics.fmean(d := _ahead(a, b)) - _half(d), statistics.fmean(d) + _half(d)),
        "Those are the two ends of the interval. The task asks for its middle and its half-width.",
    ),
    "the lead alone": (
        lambda a, b: statistics.fmean(_ahead(a, b)),
        "That is the mean lead alone. Return two numbers: the lead, and its half-width.",
    ),
    "the median": (
        lambda a, b: (sorted(d := _ahead(a, b))[len(d) // 2], _half(d)),
        "That is a median. The task asks for the mean lead.",
    ),
    "the first one's spread": (
        _lead(lambda a, b, d: _half(a)),
        "That is the half-width of the first method's own mean. The v_i are the differences, seed by seed.",
    ),
    "the second one's spread": (
        _lead(lambda a, b, d: _half(b)),
        "That is the half-width of the second method's own mean. The v_i are the differences, seed by seed.",
    ),
    "two half-widths added": (
        _lead(lambda a, b, d: _half(a) + _half(b)),
        "You added the half-widths of the two methods. The runs are paired: take the differences seed by seed first.",
    ),
    "root of n - 1": (
        _lead(lambda a, b, d: _half(d) * (len(d) / (len(d) - 1)) ** 0.5),
        "n - 1 stands under the sum of s. The mean's spread is s divided by the root of n.",
    ),
    "the t of two seeds for all": (
        _lead(lambda a, b, d: T[2] * statistics.stdev(d) / len(d) ** 0.5),
        "You used the t of two seeds for every number of seeds. Look it up by n.",
    ),
    "one line too early": (
        _lead(lambda a, b, d: T[max(len(d) - 1, 2)] * statistics.stdev(d) / len(d) ** 0.5),
        "You looked t up one line too early. The table goes by n itself, which has n - 1 degrees of freedom.",
    ),
    "one line too late": (
        _lead(lambda a, b, d: (T | {6: 2.5706})[len(d) + 1] * statistics.stdev(d) / len(d) ** 0.5),
        "You looked t up one line too late. The table goes by n itself, which has n - 1 degrees of freedom.",
    ),
    "all scores in one list": (
        _lead(lambda a, b, d: T[len(d)] * statistics.stdev([*a, *b]) / len(d) ** 0.5),
        "Your spread is that of both methods' scores together. The v_i are the differences, seed by seed.",
    ),
    "one t for all": (
        _lead(lambda a, b, d: T[5] * statistics.stdev(d) / len(d) ** 0.5),
        "You used the t of five seeds for every number of seeds. Look it up by n.",
    ),
}

RATE_FAULTS: dict[str, tuple[Callable[[int, float, Sequence[int]], float], str]] = {
    "the last milestone alone": (
        lambda epoch, base, milestones: base * (0.1 if epoch >= milestones[-1] else 1.0),
        "The rate falls at every milestone, not only at the last. Does a later pass of your loop undo an earlier one?",
    ),
    "the milestones to come": (
        lambda epoch, base, milestones: base * 0.1 ** sum(epoch < m for m in milestones),
        "You counted the milestones that are still to come. Count those that the epoch has reached.",
    ),
    "in every epoch since": (
        lambda epoch, base, milestones: base * 0.1 ** sum(max(epoch - m + 1, 0) for m in milestones),
        "Your rate falls again in every epoch after a milestone. It falls once at each.",
    ),
    "without the base": (
        lambda epoch, base, milestones: 0.1 ** sum(epoch >= m for m in milestones),
        "That is the factor alone. The rate is base times it.",
    ),
    "ten times how many": (
        lambda epoch, base, milestones: base / (10 * sum(epoch >= m for m in milestones) or 1),
        "Two milestones divide by 10 times 10, not by 10 times 2: the factors are multiplied.",
    ),
    "a hundredth": (
        lambda epoch, base, milestones: base * 0.01 ** sum(epoch >= m for m in milestones),
        "You took a hundredth at each milestone. It is a tenth.",
    ),
    "linearly": (
        lambda epoch, base, milestones: base * (1 - 0.9 * sum(epoch >= m for m in milestones) / len(milestones)),
        "You spread one fall over all milestones. At each of them the rate falls to a tenth of what it was.",
    ),
}


def looked_up(function: Callable, arguments: tuple) -> object:
    """What the function returns; a line that its table lacks is said in the exercise's words.

    Raises:
        LookupError: It looked for a line that is not there.
    """
    try:
        return function(*arguments)
    except KeyError as error:
        raise LookupError(f"{error} is no line of your table: it goes by n itself, the number of seeds") from error


def misconceptions(faults: dict[str, tuple[Callable, str]]) -> dict[str, Misconception]:
    """The faults as an exercise takes them."""
    return {name: Misconception(wrong, message) for name, (wrong, message) in faults.items()}
