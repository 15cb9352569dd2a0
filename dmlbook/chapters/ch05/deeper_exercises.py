"""Exercises of chapter 05's companion: the price of a square, and a gap."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch05.theory import farthest_mean_distance, gap_per_triplet
from dmlbook.geometry import distances, one_hot, simplex
from dmlbook.losses import centroid_terms


def listed(answer: object) -> object:
    """Dictionaries and lists of the asked numbers, in their order, are answers too."""
    values = list(answer.values()) if isinstance(answer, dict) else answer
    return tuple(values) if isinstance(values, list) else values


def _weights(s: float, t: float) -> tuple[float, float]:
    return 2 + s + 1 / s + 1 / t, 1 / (1 + t)


def _weights_cases() -> Sequence[Case]:
    problems = ((1.0, 1.0), (1.0, 0.25), (2.0, 0.5), (0.5, 3.0))
    return [Case((s, t), _weights(s, t), f"positive = {s:g}, negative = {t:g}") for s, t in problems]


def _gap(eps: float, classes: int, displaced: tuple[float, float] = (1, 1), points: Tensor | None = None) -> float:
    """Gap per triplet over eps; the two images of each class go outward by these shares of eps / 2."""
    points = (simplex(classes, classes) if points is None else points).double()
    labels = torch.arange(classes).repeat(2)
    x = torch.cat([(1 + share * eps / 2) * points for share in displaced])
    return gap_per_triplet(x, labels, points) / eps


def _gap_along_the_axes(eps: float, classes: int) -> float:
    points, labels = simplex(classes, classes).double(), torch.arange(classes).repeat(2)
    return gap_per_triplet(points[labels] + eps / 2, labels, points) / eps


def _one_added(eps: float, classes: int) -> float:
    points, labels = simplex(classes, classes).double(), torch.arange(classes).repeat(2)
    return gap_per_triplet(1 + eps / 2 * points[labels], labels, points) / eps


def _gap_of_strangers(eps: float, classes: int) -> float:
    points = simplex(classes, classes).double()
    x, labels = (1 + eps / 2) * points.repeat(2, 1), torch.arange(classes).repeat_interleave(2)
    return gap_per_triplet(x, labels, points) / eps


def _bound_alone(eps: float, classes: int) -> float:
    points, labels = simplex(classes, classes).double(), torch.arange(classes).repeat(2)
    apart = distances((1 + eps / 2) * points[labels], points)
    return float(centroid_terms(apart, labels).mean()) / eps


def _gap_cases() -> Sequence[Case]:
    problems = ((0.4, 2), (0.1, 3), (0.02, 3), (0.25, 6))
    return [Case((eps, c), _gap(eps, c), f"eps = {eps:g}, classes = {c}") for eps, c in problems]


def _count(classes: int) -> int:
    """Triplets of two images a class."""
    return 2 * classes * (2 * classes - 2)


SQUARES = {
    "the others in full": Misconception(
        lambda s, t: (_weights(s, t)[0], 1.0),
        "The others keep only a part 1 / (1 + t) of the negative's slack t: divide the second inequality by 1 + t.",
    ),
    "not divided by 1 + t": Misconception(
        lambda s, t: (_weights(s, t)[0] + 1, 1 / (1 + t)),
        "The negative's own distance has to be divided by 1 + t too: (1 + 1/t) / (1 + t) = 1/t.",
    ),
    "nothing divided by 1 + t": Misconception(
        lambda s, t: (_weights(s, t)[0] + 1, 1.0),
        "The second inequality bounds (1 + t) times the squared distance: divide all of it by 1 + t.",
    ),
    "multiplied by 1 + t": Misconception(
        lambda s, t: (_weights(s, t)[0] + 1, 1 + t),
        "1 + t stands before the distance of the two images. To free that, divide by 1 + t; you multiplied.",
    ),
    "t upside down": Misconception(
        lambda s, t: (2 + s + 1 / s + t, t / (1 + t)),
        "t and 1/t are swapped in the second inequality: 1 + t belongs to the distance of the two images.",
    ),
    "t upside down, for the own one": Misconception(
        lambda s, t: (2 + s + 1 / s + t, 1 / (1 + t)),
        "As a negative the image brings (1 + 1/t) / (1 + t), which is 1/t, not t.",
    ),
    "the triangle's weights": Misconception(
        lambda s, t: (3.0, 1.0),
        "Those are the weights for plain distances. Squares have to pay more: that is what the slacks are for.",
    ),
    "the positive forgotten": Misconception(
        lambda s, t: (1 + s + 1 / t, 1 / (1 + t)),
        "An image is the positive as well, and brings 1 + 1/s there.",
    ),
    "the anchor forgotten": Misconception(
        lambda s, t: (1 + 1 / s + 1 / t, 1 / (1 + t)),
        "An image is the anchor as well, and brings 1 + s there.",
    ),
    "the negative forgotten": Misconception(
        lambda s, t: (2 + s + 1 / s, 1 / (1 + t)),
        "An image is the negative as well, and brings 1/t there.",
    ),
    "the positive's slack left at 1": Misconception(
        lambda s, t: (4 + 1 / t, 1 / (1 + t)),
        "Those are the weights of (5.13), with slack 1 for the positive: 1 + s and 1 + 1/s take the place of 2 and 2.",
    ),
    "1 / (1 + t) for both": Misconception(
        lambda s, t: (2 + s + 1 / s + 1 / (1 + t), 1 / (1 + t)),
        "The negative's own distance brings (1 + 1/t) / (1 + t), and that is 1/t, not 1 / (1 + t).",
    ),
    "1 / t for both": Misconception(
        lambda s, t: (_weights(s, t)[0], 1 / t),
        "1/t is the weight of the negative's own distance. That to the other centroid is divided by 1 + t.",
    ),
    "1 + t for the others": Misconception(
        lambda s, t: (_weights(s, t)[0], 1 + t),
        "You multiplied the others by 1 + t. The second inequality is divided by it.",
    ),
    "one taken off the other": Misconception(
        lambda s, t: (_weights(s, t)[0] - _weights(s, t)[1], 1 / (1 + t)),
        "You took the others' weight off the own one's. They stand before different distances: keep them apart.",
    ),
    "both as anchors": Misconception(
        lambda s, t: (2 + 2 * s + 1 / t, 1 / (1 + t)),
        "One of the two distances in the first inequality has 1 + 1/s: the positive's.",
    ),
    "slacks swapped": Misconception(
        lambda s, t: _weights(t, s),
        "You swapped the two slacks: the first belongs to the positive, the second to the negative.",
    ),
    "others first": Misconception(
        lambda s, t: _weights(s, t)[::-1],
        "The two weights stand in the other order: first that of the own centroid.",
    ),
    "a minus": Misconception(
        lambda s, t: (_weights(s, t)[0], -1 / (1 + t)),
        "The minus stands in (5.13) already: return both weights as positive numbers.",
    ),
    "a mean over roles": Misconception(
        lambda s, t: (_weights(s, t)[0] / 3, 1 / (1 + t)),
        "You averaged over the three roles. Their weights add up.",
    ),
}
OUTWARD = {
    "the limit itself": Misconception(
        lambda eps, classes: 2.0,
        "2 eps is the limit. On a simplex, three classes or more do not reach it: measure the gap.",
    ),
    "the limit for tiny eps": Misconception(
        lambda eps, classes: 1.5 + farthest_mean_distance(classes) / 4,
        "3/2 + e/4 is what it tends to as eps vanishes. At this eps it is another number: measure the gap.",
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
    "one of two": Misconception(
        lambda eps, classes: _gap(eps, classes, (1, 0)),
        "Only one image of each class was displaced. Both go outward, to the same place.",
    ),
    "by eps": Misconception(
        lambda eps, classes: _gap(eps, classes, (2, 2)),
        "You went a whole eps away. The premise allows half of it.",
    ),
    "labels in another order": Misconception(
        _gap_of_strangers,
        "Points and labels are in different orders: an image is no longer with its own centroid.",
    ),
    "one-hot": Misconception(
        lambda eps, classes: _gap(eps, classes, points=one_hot(classes, classes)),
        "Those are one-hot centroids. Asked is the simplex.",
    ),
    "the bound alone": Misconception(
        _bound_alone,
        "That is the bound itself. The gap is what it has above the triplet loss: take that off.",
    ),
    "1 added": Misconception(
        _one_added,
        "You added 1 to every coordinate: brackets. Straight outward is (1 + eps / 2) times c.",
    ),
    "along the axes": Misconception(
        _gap_along_the_axes,
        "You added eps / 2 to every coordinate. Straight away from the origin is a factor: (1 + eps / 2) c.",
    ),
    "not divided by eps": Misconception(
        lambda eps, classes: eps * _gap(eps, classes),
        "That is the gap per triplet. Divide it by eps, to compare it with 2.",
    ),
    "divided by eps / 2": Misconception(
        lambda eps, classes: 2 * _gap(eps, classes),
        "You divided by eps / 2, the way of an image. Divide by eps.",
    ),
    "the sum": Misconception(
        lambda eps, classes: _count(classes) * _gap(eps, classes),
        "That is the gap of the sum over all triplets. Divide it by their number, losses.count_triplets.",
    ),
    "the sum, not divided by eps": Misconception(
        lambda eps, classes: eps * _count(classes) * _gap(eps, classes),
        "That is the gap of the sum over all triplets. Divide it by their number, and by eps.",
    ),
    "per image": Misconception(
        lambda eps, classes: _count(classes) * _gap(eps, classes) / (2 * classes),
        "You divided by the number of images. Divide by that of triplets, losses.count_triplets.",
    ),
    "turned around": Misconception(
        lambda eps, classes: -_gap(eps, classes),
        "The bound is the larger of the two: the gap is L_d - L_t.",
    ),
    "back on the sphere": Misconception(
        lambda eps, classes: 0.0,
        "No gap is left: were the images brought back to length 1, or the centroids displaced with them?",
    ),
}
DEEPER = (
    Exercise("5.6", "the price of a square", _weights_cases, SQUARES, read=listed),
    Exercise("5.7", "outward on a simplex", _gap_cases, OUTWARD),
)
