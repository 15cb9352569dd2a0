"""Exercises of chapter 00: cosine, Recall@1, and what guessing scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dmlbook._types import Float, Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception


def _cosine(a: Tensor, b: Tensor) -> float:
    return float((a @ b) / (a.norm() * b.norm()))


def _cosine_cases() -> Sequence[Case]:
    pairs = [([3.0, 4.0], [3.0, 4.0]), ([3.0, 4.0], [4.0, 3.0]), ([1.0, 0.0], [0.0, 2.0]), ([1.0, 2.0], [-2.0, -4.0])]
    return [
        Case((torch.tensor(a), torch.tensor(b)), _cosine(torch.tensor(a), torch.tensor(b)), f"a = {a}, b = {b}")
        for a, b in pairs
    ]


def _recall_at_1(embeddings: Tensor, labels: Tensor, hide_self: bool = True, farthest: bool = False) -> float:
    similarities = embeddings @ embeddings.T
    if hide_self:
        similarities.fill_diagonal_(torch.inf if farthest else -torch.inf)
    found = similarities.argmin(1) if farthest else similarities.argmax(1)
    return float((labels[found] == labels).float().mean())


def _recall_per_class(embeddings: Tensor, labels: Tensor) -> float:
    similarities = (embeddings @ embeddings.T).fill_diagonal_(-torch.inf)
    hits = labels[similarities.argmax(1)] == labels
    return float(torch.stack([hits[labels == c].any() for c in labels.unique()]).float().mean())


def _points(degrees: Sequence[float]) -> Float[Tensor, "N 2"]:
    angles = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angles.cos(), angles.sin()], 1)


def _recall_cases() -> Sequence[Case]:
    problems: list[tuple[list[float], list[int]]] = [
        ([0, 10, 25, 100, 110], [0, 0, 1, 1, 1]),
        ([0, 10, 80, 180], [0, 1, 0, 1]),
        ([0, 5, 40, 50, 200, 222], [0, 0, 0, 1, 1, 1]),
    ]
    cases = []
    for degrees, classes in problems:
        x, y = _points(degrees), torch.tensor(classes)
        cases.append(Case((x, y), _recall_at_1(x, y), f"angles {degrees}, labels {classes}"))
    return cases


def _chance_cases() -> Sequence[Case]:
    return [
        Case((c, n), (n - 1) / (c * n - 1), f"num_classes = {c}, per_class = {n}")
        for c, n in [(2, 2), (10, 5), (100, 60)]
    ]


EXERCISES = (
    Exercise(
        "0.1",
        "the angle, not the length",
        _cosine_cases,
        {
            "plain inner product": Misconception(
                lambda a, b: float(a @ b),
                "That is the inner product: it grows with the lengths. Divide by both of them.",
            ),
            "brackets": Misconception(
                lambda a, b: float((a @ b) / a.norm() * b.norm()),
                "Python divides by the first length, then multiplies by the second: put brackets around them.",
            ),
            "one length only": Misconception(
                lambda a, b: float((a @ b) / a.norm()),
                "You divided by one length. That is how far b reaches along a; divide by the length of b as well.",
            ),
            "distance": Misconception(
                lambda a, b: float((a - b).norm()),
                "That is the Euclidean distance: 0 for equal vectors. The cosine of equal vectors is 1.",
            ),
            "squared lengths": Misconception(
                lambda a, b: float((a @ b) / (a.square().sum() * b.square().sum())),
                "You divided by the squared lengths. Take their square roots (.norm()).",
            ),
        },
    ),
    Exercise(
        "0.2",
        "Recall@1 from scratch",
        _recall_cases,
        {
            "the query finds itself": Misconception(
                lambda x, y: _recall_at_1(x, y, hide_self=False),
                "Each query found itself: its cosine with itself is 1. Take it out of the list before you look.",
            ),
            "diagonal of zeros": Misconception(
                lambda x, y: float((y[(x @ x.T).fill_diagonal_(0).argmax(1)] == y).float().mean()),
                "A query found itself: you set its cosine with itself to 0, and all its others are negative. Use minus "
                "infinity.",
            ),
            "positions": Misconception(
                lambda x, y: float(((x @ x.T).fill_diagonal_(-torch.inf).argmax(1) == y).float().mean()),
                "You compared positions with labels: argmax gives the number of the image; look up its label.",
            ),
            "farthest": Misconception(
                lambda x, y: _recall_at_1(x, y, farthest=True),
                "You took the least similar image. A cosine is large where images are close: argmax, not argmin.",
            ),
            "counts instead of a share": Misconception(
                lambda x, y: _recall_at_1(x, y) * len(y),
                "That is the number of hits. Recall is a fraction in [0, 1]: divide by the number of queries.",
            ),
            "one hit a class": Misconception(
                _recall_per_class,
                "You counted classes with any hit. Every image is a query of its own: average over images.",
            ),
        },
    ),
    Exercise(
        "0.3",
        "what guessing scores",
        _chance_cases,
        {
            "one in C": Misconception(
                lambda num_classes, per_class: 1 / num_classes,
                "1 / C would be right if the query could find itself. Take it out: one image fewer of its class, "
                "and one fewer in all.",
            ),
            "self only out of the total": Misconception(
                lambda num_classes, per_class: per_class / (num_classes * per_class - 1),
                "You took the query out of the total, but it also leaves its own class: n - 1 right answers remain.",
            ),
            "self only out of the class": Misconception(
                lambda num_classes, per_class: (per_class - 1) / (num_classes * per_class),
                "You took the query out of its class, but it also leaves the list: N - 1 images remain.",
            ),
        },
    ),
)
