"""Exercises of chapter 05: roles counted, the bound's terms, hinges and squares, a gap, a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.geometry import distances, simplex
from dmlbook.losses import centroid_bound_sum, count_triplets, triplet_sum


def _roles(sizes: Sequence[int], m: int) -> tuple[int, int, int]:
    anchor = (sizes[m] - 1) * (sum(sizes) - sizes[m])
    return anchor, anchor, sum(n * (n - 1) for r, n in enumerate(sizes) if r != m)


def _own_positive(sizes: Sequence[int], m: int) -> tuple[int, int, int]:
    anchor = sizes[m] * (sum(sizes) - sizes[m])
    return anchor, anchor, sum(n * n for r, n in enumerate(sizes) if r != m)


def _unordered(sizes: Sequence[int], m: int) -> tuple[int, int, int]:
    anchor, positive, negative = _roles(sizes, m)
    return anchor, positive, negative // 2


def _as_if_balanced(sizes: Sequence[int], m: int) -> tuple[float, float, float]:
    mean = sum(sizes) / len(sizes)
    return ((len(sizes) - 1) * mean * (mean - 1),) * 3


def _roles_cases() -> Sequence[Case]:
    problems = [([4, 4], 0), ([2, 5, 3], 0), ([2, 5, 3], 1), ([1, 6], 0), ([3, 3, 2, 7], 3)]
    return [Case((sizes, m), _roles(sizes, m), f"sizes = {sizes}, m = {m}") for sizes, m in problems]


def _others(distances: Tensor, y: int) -> Tensor:
    return torch.cat([distances[:y], distances[y + 1 :]])


DISTANCES = (
    (torch.tensor([0.5, 2.0]), 0),
    (torch.tensor([1.5, 0.4, 1.1]), 1),
    (torch.tensor([0.9, 1.4, 1.2, 0.3, 1.6]), 3),
    (torch.tensor([0.8, 0.2, 0.7]), 0),
)


def _term(distances: Tensor, y: int) -> float:
    return float(3 * distances[y] - _others(distances, y).mean())


def _term_cases() -> Sequence[Case]:
    return [Case((d, y), _term(d, y), f"distances = {_numbers(d)}, y = {y}") for d, y in DISTANCES]


def _hinges(distances: Tensor, y: int, margin: float) -> Tensor:
    return distances[y] - _others(distances, y) + margin


def _hinged(distances: Tensor, y: int, margin: float) -> float:
    return float(2 * distances[y] + _hinges(distances, y, margin).clamp(min=0).mean())


def _hinged_cases() -> Sequence[Case]:
    return [
        Case((d, y, margin), _hinged(d, y, margin), f"distances = {_numbers(d)}, y = {y}, margin = {margin}")
        for margin in (0.2, 1.0)
        for d, y in DISTANCES
    ]


def _own_included(distances: Tensor, y: int, margin: float) -> float:
    return float(2 * distances[y] + (distances[y] - distances + margin).clamp(min=0).mean())


def _weights_cases() -> Sequence[Case]:
    problems = ((1.0, 1.0), (1.0, 0.25), (2.0, 0.5), (0.5, 3.0))
    return [Case((s, t), (2 + s + 1 / s + 1 / t, 1 / (1 + t)), f"s = {s:g}, t = {t:g}") for s, t in problems]


def _gap(eps: float, classes: int, displaced: tuple[float, float] = (1, 1)) -> float:
    """Gap per triplet over eps; the two images of each class go outward by these shares of eps / 2."""
    points, labels = simplex(classes, classes).double(), torch.arange(classes).repeat(2)
    x = torch.cat([(1 + share * eps / 2) * points for share in displaced])
    gap = centroid_bound_sum(distances(x, points), labels) - triplet_sum(distances(x, x), labels)
    return float(gap) / count_triplets(labels) / eps


def _gap_cases() -> Sequence[Case]:
    problems = ((0.4, 2), (0.1, 3), (0.02, 3), (0.25, 6))
    return [Case((eps, c), _gap(eps, c), f"eps = {eps:g}, classes = {c}") for eps, c in problems]


def _ratio(classes: int) -> float:
    return math.sqrt(1 - 1 / classes)


def _shortfall_cases() -> Sequence[Case]:
    return [Case((c,), c * (1 - _ratio(c)), f"classes = {c}") for c in (2, 3, 10, 100)]


def _numbers(values: Tensor) -> list[float]:
    return [round(value, 4) for value in values.tolist()]


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "5.1",
        "three roles",
        _roles_cases,
        {
            "its own positive": Misconception(
                _own_positive,
                "An image is not its own positive: a class of n images has n (n - 1) ordered pairs, not n squared.",
            ),
            "its own positive, as anchor": Misconception(
                lambda sizes, m: (_own_positive(sizes, m)[0],) * 2 + (_roles(sizes, m)[2],),
                "As an anchor the image has n - 1 positives, not n: it is not its own positive.",
            ),
            "pairs without order": Misconception(
                _unordered,
                "You counted each pair of anchor and positive once. Either of the two can be the anchor: n (n - 1).",
            ),
            "all classes of one size": Misconception(
                _as_if_balanced,
                "That is right where all classes are of one size, N / C. Here they are not: use each class's own size.",
            ),
            "negative as often as anchor": Misconception(
                lambda sizes, m: (_roles(sizes, m)[0],) * 3,
                "The three roles are taken equally often only if classes are of one size. As a negative it is met "
                "by the pairs of the OTHER classes.",
            ),
        },
        read=lambda answer: tuple(answer) if isinstance(answer, list) else answer,
    ),
    Exercise(
        "5.2",
        "one image's share",
        _term_cases,
        {
            "the own one among the others": Misconception(
                lambda d, y: float(3 * d[y] - d.mean()),
                "You averaged over all C centroids. The own one is none of the others: leave it out, divide by C - 1.",
            ),
            "divided by C": Misconception(
                lambda d, y: float(3 * d[y] - _others(d, y).sum() / len(d)),
                "You summed over C - 1 centroids and divided by C.",
            ),
            "a sum, not a mean": Misconception(
                lambda d, y: float(3 * d[y] - _others(d, y).sum()),
                "The others enter with their mean, not their sum: with many classes a sum would outweigh the own "
                "centroid, and images would flee from it.",
            ),
            "divided by 3 as well": Misconception(
                lambda d, y: float(3 * d[y] - _others(d, y).mean() / 3),
                "The 3 is there twice: either 3 d_y minus the mean, or d_y minus a third of the mean, times G.",
            ),
            "a third of it": Misconception(
                lambda d, y: _term(d, y) / 3,
                "That is the term behind G, of the sum. Per triplet it is three times that: 3 d_y minus the mean.",
            ),
            "own weight 1": Misconception(
                lambda d, y: float(d[y] - _others(d, y).mean()),
                "The own distance counts three times: as anchor, as positive and as negative. With weight 1 it is no "
                "bound.",
            ),
            "squared": Misconception(
                lambda d, y: _term(d.square(), y),
                "You squared the distances. The triangle inequality is about distances: with squares and these weights "
                "it is no bound.",
            ),
        },
    ),
    Exercise(
        "5.3",
        "the hinged share",
        _hinged_cases,
        {
            "the whole in the hinge": Misconception(
                lambda d, y, margin: max(3 * float(d[y]) - float(_others(d, y).mean()) + margin, 0.0),
                "You hinged the whole term. Only the anchor's part stays inside, class by class; 2 d_y stands outside.",
            ),
            "the whole in each hinge": Misconception(
                lambda d, y, margin: float((2 * d[y] + _hinges(d, y, margin)).clamp(min=0).mean()),
                "You took 2 d_y into the hinge of each class. It stands outside: only d_y - d_r + margin is hinged.",
            ),
            "the own one left in the sum": Misconception(
                lambda d, y, margin: _hinged(d, y, margin) + margin / (len(d) - 1),
                "You divide by C - 1, and still sum over all C classes: at r = y the hinge is the margin itself.",
            ),
            "the hinge of the mean": Misconception(
                lambda d, y, margin: float(2 * d[y] + _hinges(d, y, margin).mean().clamp(min=0)),
                "You hinged the mean. One close class that violates the margin is then hidden by the far ones: that is "
                "no bound; hinge first, then average.",
            ),
            "no hinge": Misconception(
                lambda d, y, margin: float(2 * d[y] + _hinges(d, y, margin).mean()),
                "Where is the hinge? Negative numbers must become 0 before you average.",
            ),
            "the margin outside": Misconception(
                lambda d, y, margin: float(2 * d[y] + _hinges(d, y, 0.0).clamp(min=0).mean() + margin),
                "The margin belongs inside the hinge: triplets that are right by more than it count nothing.",
            ),
            "the own one among the others": Misconception(
                _own_included,
                "At r = y the hinge is the margin itself. Leave the own class out, and divide by C - 1.",
            ),
            "three times the own": Misconception(
                lambda d, y, margin: _hinged(d, y, margin) + float(d[y]),
                "One of the three d_y went into the hinge, as the anchor's. Two stay outside: positive and negative.",
            ),
        },
    ),
    Exercise(
        "5.4",
        "the price of a square",
        _weights_cases,
        {
            "the others in full": Misconception(
                lambda s, t: (2 + s + 1 / s + 1 / t, 1.0),
                "The others keep only a part 1 / (1 + t): divide the second inequality by 1 + t.",
            ),
            "not divided by 1 + t": Misconception(
                lambda s, t: (2 + s + 1 / s + 1 + 1 / t, 1 / (1 + t)),
                "The negative's own distance has to be divided by 1 + t too: (1 + 1/t) / (1 + t) = 1/t.",
            ),
            "t upside down": Misconception(
                lambda s, t: (2 + s + 1 / s + t, t / (1 + t)),
                "t and 1/t are swapped in the second inequality: 1 + t belongs to the distance of the two images.",
            ),
            "the triangle's weights": Misconception(
                lambda s, t: (3.0, 1.0),
                "Those are the weights for plain distances. Squares have to pay more: that is what s and t are for.",
            ),
            "the positive forgotten": Misconception(
                lambda s, t: (1 + s + 1 / t, 1 / (1 + t)),
                "An image is the positive as well, and brings 1 + 1/s there.",
            ),
        },
        read=lambda answer: tuple(answer) if isinstance(answer, list) else answer,
    ),
    Exercise(
        "5.5",
        "outward on a simplex",
        _gap_cases,
        {
            "the limit itself": Misconception(
                lambda eps, classes: 2.0,
                "2 eps is the limit. On a simplex, three classes or more do not reach it: measure the gap.",
            ),
            "inward": Misconception(
                lambda eps, classes: _gap(eps, classes, (-1, -1)),
                "You displaced the images towards the origin: outward is (1 + eps / 2) c.",
            ),
            "scattered": Misconception(
                lambda eps, classes: _gap(eps, classes, (1, -1)),
                "One image of a class went outward, the other inward: then the way from one to the other leads through "
                "the centroid, and that detour costs nothing.",
            ),
            "by eps": Misconception(
                lambda eps, classes: _gap(eps, classes, (2, 2)),
                "You went a whole eps away. The premise allows half of it.",
            ),
            "not divided by eps": Misconception(
                lambda eps, classes: eps * _gap(eps, classes),
                "That is the gap per triplet. Divide it by eps, to compare it with 2.",
            ),
        },
    ),
    Exercise(
        "5.6",
        "how fast one-hot catches up",
        _shortfall_cases,
        {
            "squared distances": Misconception(
                lambda classes: classes * (1 - _ratio(classes) ** 2),
                "You compared squared distances. Take the root of each first; with squares it is 1 for every C.",
            ),
            "upside down": Misconception(
                lambda classes: classes * (1 / _ratio(classes) - 1),
                "The ratio is upside down: one-hot is the smaller of the two and stands above.",
            ),
            "not multiplied by C": Misconception(
                lambda classes: 1 - _ratio(classes),
                "That is the shortfall itself, which vanishes. Multiply it by C to see how fast.",
            ),
            "angles": Misconception(
                lambda classes: classes * (1 - math.pi / 2 / math.acos(-1 / (classes - 1))),
                "You compared angles. The bound is made of distances.",
            ),
        },
    ),
)
