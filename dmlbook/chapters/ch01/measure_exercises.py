"""Exercises of chapter 01 on measures: from cosine to distance, two scores from nothing, and a bug where images tie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch

from dmlbook._types import Float, Int, Tensor
from dmlbook.book.circle import on_circle
from dmlbook.book.exercises import Case, Exercise, Misconception


def _chord(cosine: float) -> float:
    return math.sqrt(max(2 - 2 * cosine, 0))


def _chord_cases() -> Sequence[Case]:
    return [Case((c,), _chord(c), f"cosine = {c}") for c in (0.5, 0.0, -1.0, 0.92, 1.0)]


SCORE_FAULTS = {
    "the query finds itself": "Each query is in its own list, and finds itself first. Take it out by its number.",
    "the first of the list dropped": "You dropped the first of each list. Where an image is identical, that may be "
    "the other one, and the query stays in: take it out by its number.",
    "the least similar first": "Your lists begin with the least similar image. Sort the cosines from large to small.",
    "queries without a match counted": "An image alone in its class has nothing to find. It is no query: the means run "
    "over the others. (It stays in their lists.)",
    "recall as a share of k": "Recall at k counted how many of the first k are right. It asks whether any is: 0 or 1.",
    "recall as a share of all hits": "That is recall as other fields have it, found hits of all hits. Here one hit "
    "among the first k is enough: 0 or 1.",
    "recall at place k alone": "You looked at place k alone. A hit at any of the first k places counts.",
    "average precision of the whole list": "Your average precision goes on to the end of the list. MAP@R stops at "
    "place R: hits beyond it count 0.",
    "average precision of the first k": "Your average precision stops at place k. It stops at R, which differs from "
    "query to query.",
    "R-precision": "Your second number is R-precision: each hit among the first R counts 1. In (1.4) it counts the "
    "share of hits up to its place.",
    "misses counted": "Your average precision adds the share of hits at every place. Only places with a hit count.",
    "divided by the hits found": "You divided by the hits among the first R. Divide by R itself, or finding less would "
    "cost nothing.",
    "the query counted in R": "R is the number of OTHER images of the class: without the query.",
    "the two swapped": "Recall at k comes first, MAP@R second.",
    "sums": "Those are sums over the queries. Divide by their number.",
    "the mean over classes": "You averaged within each class first. Each query counts the same: one mean over all.",
}


def _lists(x: Tensor, y: Tensor, fault: str) -> list[tuple[list[int], int]]:
    """Hits of each query in the order of its list, and its class."""
    cosines, found = x @ x.T, []
    for i in range(len(y)):
        order = cosines[i].argsort(descending=fault != "the least similar first", stable=True).tolist()
        drop = order[0] if fault == "the first of the list dropped" else i
        order = order if fault == "the query finds itself" else [j for j in order if j != drop]
        found.append(([int(y[j] == y[i]) for j in order], int(y[i])))
    return found


def _recalled(hits: list[int], k: int, fault: str) -> float:
    if fault == "recall as a share of k":
        return sum(hits[:k]) / k
    if fault == "recall as a share of all hits":
        return sum(hits[:k]) / max(sum(hits), 1)
    return float(hits[k - 1] if fault == "recall at place k alone" else max(hits[:k]))


def _precision(hits: list[int], k: int, fault: str) -> float:
    r = sum(hits) + (fault == "the query counted in R")
    places = {"average precision of the whole list": len(hits), "average precision of the first k": k}.get(fault, r)
    shares = [sum(hits[:p]) / p for p in range(1, min(places, len(hits)) + 1)]
    if fault == "R-precision":
        return sum(hits[:r]) / max(r, 1)
    counted = [1] * len(shares) if fault == "misses counted" else hits
    total = sum(h * share for h, share in zip(counted, shares, strict=False))
    return total / max(sum(hits[:r]) if fault == "divided by the hits found" else r, 1)


def _scores(x: Tensor, y: Tensor, k: int, *, fault: str = "") -> tuple[float, float]:
    """Recall at k and MAP@R, or what learners make of them: one of ``SCORE_FAULTS``."""
    lists = _lists(x, y, fault)
    if fault != "queries without a match counted":
        lists = [(hits, c) for hits, c in lists if sum(int(other) == c for other in y) > 1]
    rows = torch.tensor([[_recalled(h, k, fault), _precision(h, k, fault)] for h, _ in lists], dtype=torch.float64)
    classes = torch.tensor([c for _, c in lists])
    if fault == "the mean over classes":
        rows = torch.stack([rows[classes == c].mean(0) for c in classes.unique()])
    both = rows.sum(0) if fault == "sums" else rows.mean(0)
    first, second = both.tolist()
    return (second, first) if fault == "the two swapped" else (first, second)


def _score_cases() -> Sequence[Case]:
    problems: list[tuple[list[float], list[int], int, str]] = [
        ([0, 10, 40, 50, 120], [0, 0, 0, 1, 1], 2, "the five points of the chapter"),
        ([0, 11, 25, 70, 84, 99, 180], [0, 1, 0, 1, 1, 0, 2], 1, "a class of one image"),
        ([0, 0, 20, 31, 45, 60, 120], [1, 2, 0, 0, 0, 2, 1], 1, "two identical images of two classes"),
        ([5, 12, 40, 44, 51, 90, 98, 130, 171], [0, 1, 0, 0, 1, 1, 1, 0, 1], 3, "nine points"),
    ]
    cases = []
    for degrees, classes, k, text in problems:
        x, y = on_circle(degrees, dtype=torch.float64), torch.tensor(classes)
        cases.append(Case((x, y, k), _scores(x, y, k), f"{text}, angles {degrees}, labels {classes}, k = {k}"))
    return cases


def _apart(x: Float[Tensor, "N D"]) -> Float[Tensor, "N N"]:
    return (x[:, None] - x).square().sum(2).fill_diagonal_(torch.inf)


def _match(y: Int[Tensor, " N"]) -> Tensor:
    return (y[:, None] == y).fill_diagonal_(False)


def _by_chance(x: Tensor, y: Tensor) -> float:
    apart = _apart(x)
    tied = apart == apart.amin(1, keepdim=True)
    return float(((tied & _match(y)).sum(1) / tied.sum(1)).mean())


def _in_favor(x: Tensor, y: Tensor, *, strict: bool = False) -> float:
    apart, match = _apart(x), _match(y)
    own, other = apart.where(match, torch.inf).amin(1), apart.where(~match, torch.inf).amin(1)
    return float((own < other if strict else own <= other).float().mean())


def _first_of_ties(x: Tensor, y: Tensor, *, last: bool = False) -> float:
    apart = _apart(x)
    tied = (apart == apart.amin(1, keepdim=True)).int()
    place = len(y) - 1 - tied.flip(1).argmax(1) if last else tied.argmax(1)
    return float((y[place] == y).float().mean())


def _of_ties(x: Tensor, y: Tensor, rule: str) -> float:
    apart = _apart(x)
    itself = torch.eye(len(y), dtype=torch.bool)
    tied = apart == apart.amin(1, keepdim=True)
    right = (tied & _match(y)).sum(1)
    if rule == "half":
        return float(torch.where(right == tied.sum(1), 1.0, torch.where(right > 0, 0.5, 0.0)).mean())
    if rule == "left out":
        clear = tied.sum(1) == 1
        return float((right[clear] > 0).float().mean()) if clear.any() else 0.0
    if rule == "the query too":
        return float(((right + 1) / (tied | itself).sum(1)).mean())
    if rule == "one mean for all":
        return float(right.sum() / tied.sum())
    return float((2 * right > tied.sum(1)).float().mean())


def _tie_cases() -> Sequence[Case]:
    problems = [
        ("all at one point", [[1, 1]] * 6, [0, 0, 0, 1, 1, 1]),
        ("on a line, no tie", [[0, 0], [1, 0], [4, 0], [6, 0], [9, 0]], [0, 0, 1, 1, 0]),
        ("on a line, ties", [[0, 0], [1, 0], [2, 0], [3, 0], [4, 0], [7, 0]], [0, 1, 1, 0, 1, 0]),
        ("a cross", [[0, 0], [2, 0], [-2, 0], [0, 2], [0, -2], [9, 0]], [0, 0, 0, 0, 1, 1]),
    ]
    cases = []
    for text, points, classes in problems:
        x, y = torch.tensor(points, dtype=torch.float64), torch.tensor(classes)
        cases.append(Case((x, y), _by_chance(x, y), f"{text}: points {points}, labels {classes}"))
    return cases


EXERCISES = (
    Exercise(
        "1.1",
        "from cosine to distance",
        _chord_cases,
        {
            "the squared distance": Misconception(
                lambda c: 2 - 2 * c,
                "That is the squared distance. Take the root: for orthogonal vectors the distance is 1.41, not 2.",
            ),
            "cosine distance": Misconception(
                lambda c: 1 - c,
                "1 - cosine is half the squared distance. It ranks alike, but it is no distance.",
            ),
            "the root of one minus the cosine": Misconception(
                lambda c: math.sqrt(max(1 - c, 0)),
                "You lost the 2 under the root: the squared distance is 2 - 2 cosines.",
            ),
            "the 2 before the root": Misconception(
                lambda c: 2 * math.sqrt(max(1 - c, 0)),
                "The 2 belongs under the root: opposite points are at distance 2, not 2.83.",
            ),
            "the angle": Misconception(
                lambda c: math.acos(max(-1.0, min(1.0, c))),
                "That is the angle, the way along the sphere. The distance goes straight through: the chord.",
            ),
            "the angle in degrees": Misconception(
                lambda c: math.degrees(math.acos(max(-1.0, min(1.0, c)))),
                "That is the angle, in degrees. The distance goes straight through the sphere: the chord.",
            ),
            "the sine": Misconception(
                lambda c: math.sqrt(max(1 - c * c, 0)),
                "That is the sine of the angle. Opposite points (cosine -1) must have distance 2.",
            ),
            "the sign": Misconception(
                lambda c: math.sqrt(max(2 + 2 * c, 0)),
                "With plus you get the distance to the opposite point. Equal vectors (cosine 1) must have distance 0.",
            ),
            "the square of the square": Misconception(
                lambda c: (2 - 2 * c) ** 2,
                "You squared where the root belongs: (1.1) gives the square already.",
            ),
        },
    ),
    Exercise(
        "1.2",
        "two scores from nothing",
        _score_cases,
        {fault: Misconception(partial(_scores, fault=fault), message) for fault, message in SCORE_FAULTS.items()},
    ),
    Exercise(
        "1.3",
        "the planted bug",
        _tie_cases,
        {
            "the bug itself": Misconception(
                _in_favor,
                "The bug is still there: a query whose match ties with others counts as a hit, as if luck were "
                "always on its side.",
            ),
            "always a miss": Misconception(
                partial(_in_favor, strict=True),
                "Now a tie with an image of another class is always a miss. It is one by chance: count the chance.",
            ),
            "the first of the tied": Misconception(
                _first_of_ties,
                "You took the first of the tied images. Which one is first hangs on how the set is sorted: count the "
                "share of the tied images that are right.",
            ),
            "the last of the tied": Misconception(
                partial(_first_of_ties, last=True),
                "You took the last of the tied images. Which one is last hangs on how the set is sorted: count the "
                "share of the tied images that are right.",
            ),
            "a tie counts one half": Misconception(
                partial(_of_ties, rule="half"),
                "A tie is not always an even bet: with one match among five tied images the chance is 1/5.",
            ),
            "ties left out": Misconception(
                partial(_of_ties, rule="left out"),
                "You left the queries with a tie out. An embedding with one point for all would then have no score: "
                "count their chance.",
            ),
            "the query among the tied": Misconception(
                partial(_of_ties, rule="the query too"),
                "The query is among its own tied images. Take it out first.",
            ),
            "one mean for all": Misconception(
                partial(_of_ties, rule="one mean for all"),
                "You divided all right ones by all tied ones. First the share of each query, then the mean.",
            ),
            "the majority": Misconception(
                partial(_of_ties, rule="majority"),
                "You took a vote of the tied images. The first place is one of them, by chance: count the share.",
            ),
        },
    ),
)
