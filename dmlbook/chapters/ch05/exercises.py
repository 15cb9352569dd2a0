"""Exercises of chapter 05: roles counted, and how fast one-hot centroids catch up; the others stand beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch05.batch_exercises import BATCHES
from dmlbook.chapters.ch05.deeper_exercises import DEEPER, listed
from dmlbook.chapters.ch05.theory import farthest_mean_distance


def _roles(sizes: Sequence[int], m: int) -> tuple[int, int, int]:
    anchor = (sizes[m] - 1) * (sum(sizes) - sizes[m])
    return anchor, anchor, sum(n * (n - 1) for r, n in enumerate(sizes) if r != m)


def _parts(anchor: Callable | None = None, negative: Callable | None = None) -> Callable:
    """``_roles`` with one number or both taken from ``(n, N, C, sizes of the others)`` instead."""

    def wrong(sizes: Sequence[int], m: int) -> tuple[float, float, float]:
        right = _roles(sizes, m)
        given = sizes[m], sum(sizes), len(sizes), [n for r, n in enumerate(sizes) if r != m]
        as_anchor = right[0] if anchor is None else anchor(*given)
        return as_anchor, as_anchor, right[2] if negative is None else negative(*given)

    return wrong


def _counted_from_1(sizes: Sequence[int], m: int) -> tuple[int, int, int]:
    """Index m - 1 throughout, which for m = 0 is the last class, and never the one that is left out."""
    anchor = (sizes[m - 1] - 1) * (sum(sizes) - sizes[m - 1])
    return anchor, anchor, sum(n * (n - 1) for r, n in enumerate(sizes) if r != m - 1)


def _as_if_balanced(sizes: Sequence[int], m: int, *, whole: bool = False) -> tuple[float, float, float]:
    mean = sum(sizes) // len(sizes) if whole else sum(sizes) / len(sizes)
    return ((len(sizes) - 1) * mean * (mean - 1),) * 3


def _own_size(n: int, N: int, C: int, others: Sequence[int]) -> int:
    """A factor of (5.4) with n in the place of N / C."""
    return (C - 1) * n * (n - 1)


def _roles_cases() -> Sequence[Case]:
    problems = [([4, 4], 0), ([2, 5, 3], 0), ([2, 5, 3], 1), ([1, 6], 0), ([3, 3, 2, 7], 3)]
    return [Case((sizes, m), _roles(sizes, m), f"sizes = {sizes}, m = {m}") for sizes, m in problems]


def _ratio(classes: int) -> float:
    return math.sqrt(1 - 1 / classes)


def _shortfall_cases() -> Sequence[Case]:
    return [Case((c,), c * (1 - _ratio(c)), f"classes = {c}") for c in (2, 3, 10, 100)]


ONE_SIZE = "That is right where all classes are of one size, N / C. Here they are not: use each class's own size."
OWN_SIZE = "You took the size of the image's own class for that of all the others."
ROLES = {
    "its own positive": Misconception(
        _parts(lambda n, N, C, others: n * (N - n), lambda n, N, C, others: sum(r * r for r in others)),
        "An image is not its own positive: a class of n images has n (n - 1) ordered pairs, not n squared.",
    ),
    "its own positive, as anchor": Misconception(
        _parts(lambda n, N, C, others: n * (N - n)),
        "As an anchor the image has n - 1 positives, not n: it is not its own positive.",
    ),
    "its own positive, as negative": Misconception(
        _parts(None, lambda n, N, C, others: sum(r * r for r in others)),
        "As a negative it meets ordered pairs of two different images: n (n - 1) of each other class, not n squared.",
    ),
    "pairs without order": Misconception(
        _parts(None, lambda n, N, C, others: sum(r * (r - 1) for r in others) // 2),
        "You counted each pair of anchor and positive once. Either of the two can be the anchor: n (n - 1).",
    ),
    "all classes of one size": Misconception(
        _as_if_balanced,
        ONE_SIZE,
    ),
    "all classes of one size, in whole numbers": Misconception(partial(_as_if_balanced, whole=True), ONE_SIZE),
    "its own size for all": Misconception(
        _parts(_own_size, _own_size),
        f"{OWN_SIZE} An anchor has N - n negatives, and a negative meets the ordered pairs of each other class.",
    ),
    "its own size for all, as anchor": Misconception(_parts(_own_size), f"{OWN_SIZE} An anchor has N - n negatives."),
    "its own size for all, as negative": Misconception(
        _parts(None, _own_size),
        f"{OWN_SIZE} As a negative it meets the ordered pairs of each other class: use that class's size.",
    ),
    "negative as often as anchor": Misconception(
        lambda sizes, m: (_roles(sizes, m)[0],) * 3,
        "The three roles are taken equally often only if classes are of one size. As a negative it is met "
        "by the pairs of the OTHER classes.",
    ),
    "the whole class": Misconception(
        lambda sizes, m: tuple(sizes[m] * count for count in _roles(sizes, m)),
        "That is how often all images of the class take the roles together. Asked is one image's share.",
    ),
    "partners, not triplets": Misconception(
        _parts(lambda n, N, C, others: n - 1, lambda n, N, C, others: N - n),
        "You counted partners. A triplet has two more images: multiply the choices of both.",
    ),
    "negatives from its own class": Misconception(
        _parts(lambda n, N, C, others: (n - 1) * (N - 1)),
        "As an anchor it meets negatives of the other classes only: N - n, not N - 1.",
    ),
    "negatives from all images": Misconception(
        _parts(lambda n, N, C, others: (n - 1) * N),
        "As an anchor it meets negatives of the other classes only: N - n, not N.",
    ),
    "one negative a class": Misconception(
        _parts(lambda n, N, C, others: (n - 1) * (C - 1)),
        "Every image of another class is a negative, N - n of them, not one for each of the C - 1 classes.",
    ),
    "pairs of two classes": Misconception(
        _parts(None, lambda n, N, C, others: (N - n) * (N - n - 1)),
        "As a negative it meets an anchor and a positive of ONE class. You also counted pairs across classes.",
    ),
    "pairs of its own class": Misconception(
        _parts(None, lambda n, N, C, others: n * (n - 1) + sum(r * (r - 1) for r in others)),
        "As a negative it meets pairs of the other classes only: leave its own class out of the sum.",
    ),
    "positives, not pairs": Misconception(
        _parts(None, lambda n, N, C, others: sum(r - 1 for r in others)),
        "As a negative it meets a pair, an anchor and a positive: n (n - 1) of each other class, not n - 1.",
    ),
    "anchors, not pairs": Misconception(
        _parts(None, lambda n, N, C, others: N - n),
        "As a negative it meets a pair, an anchor and a positive: n (n - 1) of each other class, not n.",
    ),
    "negatives first": Misconception(
        lambda sizes, m: _roles(sizes, m)[::-1],
        "The numbers are right and stand in another order: anchor, positive, negative.",
    ),
    "counted from 1": Misconception(
        lambda sizes, m: _roles(sizes, (m - 1) % len(sizes)),
        "Those are the numbers of the class before: m counts from 0.",
    ),
    "index m - 1": Misconception(_counted_from_1, "You looked up sizes[m - 1]: m counts from 0."),
    "half the positives": Misconception(
        lambda sizes, m: (_roles(sizes, m)[0], _roles(sizes, m)[0] // 2, _roles(sizes, m)[2]),
        "Anchor and positive are an ordered pair: the image is as often the positive as the anchor. Do not halve.",
    ),
    "anchors alone, as positive": Misconception(
        lambda sizes, m: (_roles(sizes, m)[0], sizes[m] - 1, _roles(sizes, m)[2]),
        "As a positive it has n - 1 anchors, and each of them meets all N - n negatives: multiply.",
    ),
    "one negative too few": Misconception(
        _parts(lambda n, N, C, others: (n - 1) * (N - n - 1)),
        "The minus one belongs to the image's own class alone. All N - n images of other classes are negatives.",
    ),
    "the total": Misconception(
        lambda sizes, m: sum(_roles(sizes, m)),
        "Their sum is right. Return the three numbers: anchor, positive, negative.",
    ),
}
DIFFERENCE = "You took the difference of the distances. The shortfall is a share: 1 - one-hot / simplex."
SHORTFALL = {
    "squared distances": Misconception(
        lambda classes: classes * (1 - _ratio(classes) ** 2),
        "You compared squared distances. Take the root of each first; with squares it is 1 for every C.",
    ),
    "upside down": Misconception(
        lambda classes: classes * (1 / _ratio(classes) - 1),
        "The ratio is upside down: one-hot is the smaller of the two and stands above.",
    ),
    "upside down, with its minus": Misconception(
        lambda classes: classes * (1 - 1 / _ratio(classes)),
        "The ratio is upside down, so the shortfall came out negative: one-hot is the smaller and stands above.",
    ),
    "not multiplied by C": Misconception(
        lambda classes: 1 - _ratio(classes),
        "That is the shortfall itself, which vanishes. Multiply it by C to see how fast.",
    ),
    "angles": Misconception(
        lambda classes: classes * (1 - math.pi / 2 / math.acos(-1 / (classes - 1))),
        "You compared angles. The bound is made of distances.",
    ),
    "the limit itself": Misconception(
        lambda classes: 0.5,
        "One half is the limit. Return the number itself, at this C.",
    ),
    "a guess for large C": Misconception(
        lambda classes: 1 / (2 * classes),
        "1 / (2 C) is what the shortfall is near to for large C. Return C times the shortfall itself.",
    ),
    "a difference": Misconception(
        lambda classes: classes * (farthest_mean_distance(classes) - math.sqrt(2)),
        DIFFERENCE,
    ),
    "a difference, the other way": Misconception(
        lambda classes: classes * (math.sqrt(2) - farthest_mean_distance(classes)),
        DIFFERENCE,
    ),
    "a difference of squares": Misconception(
        lambda classes: classes * (2 * classes / (classes - 1) - 2),
        f"{DIFFERENCE} And you compared squared distances.",
    ),
    "one with its minus": Misconception(
        lambda classes: classes * (1 + _ratio(classes)),
        "One of the two has a minus, the other has not: compare two distances, or two values of the bound.",
    ),
    "C times 1, minus the ratio": Misconception(
        lambda classes: classes - _ratio(classes),
        "The brackets are missing: C multiplies the whole shortfall, C * (1 - ratio).",
    ),
    "1 minus C times the ratio": Misconception(
        lambda classes: 1 - classes * _ratio(classes),
        "The brackets are missing: C multiplies the whole shortfall, C * (1 - ratio).",
    ),
    "times C - 1": Misconception(
        lambda classes: (classes - 1) * (1 - _ratio(classes)),
        "You multiplied by C - 1. Asked is C times the shortfall.",
    ),
    "the ratio": Misconception(
        lambda classes: classes * _ratio(classes),
        "That is C times the ratio. The shortfall is what the ratio lacks to 1.",
    ),
    "the bare ratio": Misconception(
        _ratio,
        "That is the ratio of the distances. The shortfall is what it lacks to 1; then multiply by C.",
    ),
    "one class more": Misconception(
        lambda classes: classes * (1 - math.sqrt(1 - 1 / (classes + 1))),
        "The simplex's distance belongs to C + 1 points. For C of them it is the root of 2 C / (C - 1).",
    ),
    "one-hot 2 apart": Misconception(
        lambda classes: classes * (1 - math.sqrt(2) * _ratio(classes)),
        "Two coordinate axes are the root of 2 apart, not 2.",
    ),
    "in whole numbers": Misconception(
        lambda classes: classes * (1 - math.sqrt(2) / math.sqrt(2 * classes // (classes - 1))),
        "2 C // (C - 1) is cut to a whole number. Divide with one slash.",
    ),
    "no root of the simplex": Misconception(
        lambda classes: classes * (1 - math.sqrt(2) / (2 * classes / (classes - 1))),
        "2 C / (C - 1) is the simplex's squared distance: take the root of it, as of one-hot's 2.",
    ),
    "all pairs": Misconception(
        lambda classes: classes * (classes - 1) * (1 - _ratio(classes)),
        "You multiplied by C (C - 1), the number of pairs. Multiply by C alone.",
    ),
    "times the root of C": Misconception(
        lambda classes: math.sqrt(classes) * (1 - _ratio(classes)),
        "You multiplied by the root of C. That still vanishes: multiply by C.",
    ),
    "no root of the denominator": Misconception(
        lambda classes: classes * (1 - math.sqrt(2) * (classes - 1) / math.sqrt(2 * classes)),
        "The root goes over the whole fraction 2 C / (C - 1), its denominator too.",
    ),
}
EXERCISES: tuple[Exercise, ...] = (
    Exercise("5.1", "three roles", _roles_cases, ROLES, read=listed),
    *BATCHES,
    Exercise("5.4", "how fast one-hot catches up", _shortfall_cases, SHORTFALL),
    *DEEPER,
)
