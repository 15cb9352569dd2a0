"""Exercises of chapter 00: a table of cosines with a bug, Recall@1, and what guessing scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dmlbook._types import Float, Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch00 import chance_exercises


def _cosines(x: Tensor) -> Float[Tensor, "N N"]:
    return (x @ x.T) / (x.norm(dim=1)[:, None] * x.norm(dim=1))


def _cosine_cases() -> Sequence[Case]:
    problems = [
        [[3.0, 4.0], [4.0, 3.0]],
        [[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]],
        [[1.0, 2.0, 2.0], [-2.0, -4.0, -4.0], [6.0, 0.0, 0.0], [0.0, 1.0, -1.0]],
    ]
    return [Case((torch.tensor(x),), _cosines(torch.tensor(x)), f"x = {x}") for x in problems]


def _by(x: Tensor, lengths: Tensor) -> Float[Tensor, "N N"]:
    return x @ x.T / (lengths[:, None] * lengths)


def _recall_at_1(embeddings: Tensor, labels: Tensor, hide_self: bool = True, farthest: bool = False) -> float:
    similarities = embeddings @ embeddings.T
    if hide_self:
        similarities.fill_diagonal_(torch.inf if farthest else -torch.inf)
    found = similarities.argmin(1) if farthest else similarities.argmax(1)
    return float((labels[found] == labels).float().mean())


def _hits(x: Tensor, y: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Whether the most similar image of those allowed, by default all others, has the query's label."""
    allowed = ~torch.eye(len(y), dtype=torch.bool) if allowed is None else allowed
    return y[(x @ x.T).masked_fill(~allowed, -torch.inf).argmax(1)] == y


def _shifted(x: Tensor) -> Tensor:
    """Where the most similar image stands once the query is cut out of its row."""
    found = (x @ x.T).fill_diagonal_(-torch.inf).argmax(1)
    return found - (found > torch.arange(len(x))).long()


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
        ([0, 0, 90, 100, 112], [0, 1, 0, 1, 1]),  # two identical images of two classes
        ([0, 0, 30, 100, 112], [0, 0, 1, 1, 1]),  # of one class
        ([0, 10, 60, 70, 130], [0, 0, 1, 1, 2]),  # one alone in its class
        ([0, 180, 180], [0, 1, 1]),  # and one whose others are opposite
    ]
    cases = []
    for degrees, classes in problems:
        x, y = _points(degrees), torch.tensor(classes)
        cases.append(Case((x, y), _recall_at_1(x, y), f"angles {degrees}, labels {classes}"))
    return cases


EXERCISES = (
    Exercise(
        "0.1",
        "the planted bug",
        _cosine_cases,
        {
            "the bug itself": Misconception(
                lambda x: x @ x.T / x.norm(dim=1) / x.norm(dim=1),
                "The bug is still there: both divisions are by the length of the column's point. The row's has to go, "
                "too: give it an axis, x.norm(dim=1)[:, None].",
            ),
            "plain inner products": Misconception(
                lambda x: x @ x.T,
                "Those are inner products: they grow with the lengths. Divide by the length of the row's point and of "
                "the column's.",
            ),
            "the column's length alone": Misconception(
                lambda x: x @ x.T / x.norm(dim=1),
                "You divided by the column's length alone. Divide by the row's as well: a cosine has both.",
            ),
            "the row's length alone": Misconception(
                lambda x: x @ x.T / x.norm(dim=1)[:, None],
                "You divided by the row's length alone. Divide by the column's as well: a cosine has both.",
            ),
            "the row's length twice": Misconception(
                lambda x: x @ x.T / x.square().sum(1)[:, None],
                "Both divisions are by the row's length now. One of them has to be by the column's.",
            ),
            "one length for all": Misconception(
                lambda x: x @ x.T / x.norm().square(),
                "x.norm() is one number, the length of all points taken together. Each point has its own: dim=1.",
            ),
            "along the wrong axis": Misconception(
                lambda x: (x / x.norm(dim=0)) @ (x / x.norm(dim=0)).T,
                "You took the lengths down the columns of x (dim=0). A point is a row: dim=1.",
            ),
            "squared lengths": Misconception(
                lambda x: x @ x.T / (x.square().sum(1)[:, None] * x.square().sum(1)),
                "You divided by the squared lengths. Take their square roots (.norm()).",
            ),
            "distances": Misconception(
                lambda x: (x[:, None] - x).norm(dim=2),
                "Those are distances: 0 for equal points. The cosine of a point with itself is 1.",
            ),
            "sums of sizes for lengths": Misconception(
                lambda x: _by(x, x.abs().sum(1)),
                "Your lengths are sums of sizes (p=1). A length is the root of the sum of squares: .norm().",
            ),
            "the largest entry for the length": Misconception(
                lambda x: _by(x, x.abs().amax(1)),
                "You divided by each point's largest entry. Its length is the root of its sum of squares: .norm().",
            ),
            "the mean point taken out": Misconception(
                lambda x: _cosines(x - x.mean(0)),
                "You subtracted the mean of the points first. A cosine looks from 0, not from the mean.",
            ),
            "correlations": Misconception(
                lambda x: _cosines(x - x.mean(1, keepdim=True)),
                "Those are correlations: each row's own mean is taken out first. A cosine takes nothing out.",
            ),
            "each with itself": Misconception(
                lambda x: torch.ones(len(x)),
                "You compared each point with itself alone. The table has N rows and N columns: every point with every "
                "point.",
            ),
            "the diagonal emptied": Misconception(
                lambda x: _cosines(x).fill_diagonal_(0),
                "You emptied the diagonal. A point's cosine with itself is 1, and here it stays in the table.",
            ),
            "the mean of the two lengths": Misconception(
                lambda x: x @ x.T / ((x.norm(dim=1)[:, None] + x.norm(dim=1)) / 2),
                "You divided by the mean of the two lengths. Divide by their product.",
            ),
            "the longer of the two": Misconception(
                lambda x: x @ x.T / torch.maximum(x.norm(dim=1)[:, None], x.norm(dim=1)) ** 2,
                "You divided twice by the longer of the two lengths. Divide once by each.",
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
            "the first of the list dropped": Misconception(
                lambda x, y: float((y[(x @ x.T).topk(2).indices[:, 1]] == y).float().mean()),
                "You dropped the first of each list. Where another image is identical, that may be the other one, and "
                "the query stays in: take it out by its number.",
            ),
            "diagonal of zeros": Misconception(
                lambda x, y: float((y[(x @ x.T).fill_diagonal_(0).argmax(1)] == y).float().mean()),
                "A query found itself: you set its cosine with itself to 0, and all its others are negative. Use minus "
                "infinity.",
            ),
            "diagonal of minus ones": Misconception(
                lambda x, y: float((y[(x @ x.T).fill_diagonal_(-1).argmax(1)] == y).float().mean()),
                "A query found itself: you set its cosine with itself to -1, and its others lie opposite, at -1 as "
                "well. Use minus infinity.",
            ),
            "rows alone in their class left out": Misconception(
                lambda x, y: float(_hits(x, y)[(y[:, None] == y).sum(1) > 1].float().mean()),
                "You left out the rows that are alone in their class. Here they are misses, and count.",
            ),
            "the first query alone": Misconception(
                lambda x, y: float(_hits(x, y)[0]),
                "That is the hit of the first row alone. Does your loop return before it has seen the others?",
            ),
            "the size of the cosine": Misconception(
                lambda x, y: float((y[(x @ x.T).abs().fill_diagonal_(-1).argmax(1)] == y).float().mean()),
                "You dropped the cosine's sign. An image that lies opposite is the least similar one.",
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
            "misses instead of hits": Misconception(
                lambda x, y: 1 - _recall_at_1(x, y),
                "That is the share of queries whose first image is of another class. Recall counts those of the same.",
            ),
            "percent": Misconception(
                lambda x, y: 100 * _recall_at_1(x, y),
                "That is in percent. Recall is a fraction in [0, 1].",
            ),
            "not normalized by N": Misconception(
                lambda x, y: _recall_at_1(x, y) * len(y) / (len(y) - 1),
                "You divided by N - 1. Each query has N - 1 others, but there are N queries.",
            ),
            "any match in the list": Misconception(
                lambda x, y: float(((y[:, None] == y).sum(1) > 1).float().mean()),
                "You asked whether the list holds a match anywhere. Only its first place counts.",
            ),
            "one hit a class": Misconception(
                _recall_per_class,
                "You counted classes with any hit. Every image is a query of its own: average over images.",
            ),
            "the mean over classes": Misconception(
                lambda x, y: float(torch.stack([_hits(x, y)[y == c].float().mean() for c in y.unique()]).mean()),
                "You averaged within each class first. Each image counts the same: one mean over all.",
            ),
            "later images alone": Misconception(
                lambda x, y: float(_hits(x, y, torch.ones(len(y), len(y)).triu(1) > 0)[:-1].sum()) / len(y),
                "Each query looked only at the images behind it. Its list holds those before it, too.",
            ),
            "one number too low": Misconception(
                lambda x, y: float((y[_shifted(x)] == y).float().mean()),
                "With the query cut out, the places behind it move up by one: your label is that of the image before. "
                "Leave the query in its place, at minus infinity.",
            ),
            "all identical ones out": Misconception(
                lambda x, y: float(_hits(x, y, x @ x.T < 1 - 1e-6).float().mean()),
                "You took out all that is identical with the query. Only the query leaves its list: by its number.",
            ),
            "two places": Misconception(
                lambda x, y: float(
                    (y[(x @ x.T).fill_diagonal_(-torch.inf).topk(2).indices] == y[:, None]).any(1).float().mean()
                ),
                "You asked whether one of the first two is right. The 1 of Recall@1 says that only the first counts.",
            ),
            "the hits themselves": Misconception(
                lambda x, y: _hits(x, y).float(),
                "Those are the hits, one for each query. Their mean is the share.",
            ),
        },
    ),
    *chance_exercises.EXERCISES,
)
