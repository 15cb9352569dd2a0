"""Exercises of chapter 01 on measures: from cosine to distance, two scores from nothing, and a bug where images tie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch

from dmlbook._types import Tensor
from dmlbook.book.circle import on_circle
from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch01 import tie_exercises


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
    "images alone in their class out of the lists": "You took images that are alone in their class out altogether. "
    "They are no queries, but they stand in the lists of the others, and can come first there.",
    "identical images out of the lists": "You took out all that is identical with the query, by its cosine of 1. Only "
    "the query itself leaves its list: take it out by its number.",
    "a diagonal of zeros": "You set a query's cosine with itself to 0, and cut off the last of the list. Where others "
    "have negative cosines the query stays, and one of them is lost: use minus infinity.",
    "the query finds itself, alone too": "Each query is in its own list, and finds itself first, even where it is "
    "alone in its class. Take it out by its number.",
    "the query finds itself, not counted in R": "R is right, without the query. But the query still stands in its own "
    "list, before all others. Take it out by its number.",
    "a diagonal of zeros, and the whole list": "You set a query's cosine with itself to 0. Where others have "
    "negative cosines the query comes before them, as a hit: use minus infinity.",
    "the first of the list dropped, R from the labels": "You dropped the first of each list. Where an image is "
    "identical, that may be the other one, and the query stays in: take it out by its number.",
    "average precision up to k, over k": "Your average precision sees k. It stops at R, and divides by R.",
    "average precision up to k, over the smaller": "Your average precision sees k. It stops at R, and divides by R.",
    "hits so far, undivided": "You added up how many hits there are up to each hit. Divide each by its place.",
    "one over the first hit's place": "That is the reciprocal rank: one over the place of the first hit. MAP@R looks "
    "at all hits among the first R.",
    "sums over the sum of R": "You divided the sum of all queries by the sum of their R. First the average of each "
    "query, then the mean.",
    "recall at 1": "Your recall looks at the first place alone. Its `k` is an argument.",
    "one over the place": "A hit at place p counts 1 / p in your second number. It counts the share of hits up to p, "
    "its own included: all hits so far, divided by p.",
    "the share before the hit": "You count the hits before a place. The share is up to and WITH the hit itself.",
    "a place too few": "Your average precision stops one place before R: the other images of the class are R, and "
    "places run from 1 to R.",
    "a place too many": "Your recall looks at k + 1 places. The query has left the list: its first k places count.",
    "queries without a match perfect": "An image alone in its class has nothing to find: it is no query, and scores "
    "neither 0 nor 1.",
    "one R for all": "You used the R of one query for all. R differs from query to query, with the size of its class.",
    "recall alone": "That is recall alone. Return two numbers: recall at k, and MAP@R.",
}
LAST = ("a diagonal of zeros", "identical images out of the lists")  # and the last of the list is cut off
BY_K = ("average precision up to k, over k", "average precision up to k, over the smaller")
WHOLE = ("the query finds itself, not counted in R", "a diagonal of zeros, and the whole list")  # it stays in the list
FIRST = ("the first of the list dropped", "the first of the list dropped, R from the labels")
OUT = "images alone in their class out of the lists"


def _lists(x: Tensor, y: Tensor, fault: str) -> list[tuple[list[int], int]]:
    """Hits of each query in the order of its list, and its class."""
    cosines, found = x @ x.T, []
    if fault.startswith("a diagonal of zeros"):
        cosines.fill_diagonal_(0)
    if fault == "identical images out of the lists":
        cosines[cosines > 1 - 1e-6] = -torch.inf
    for i in range(len(y)):
        order = cosines[i].argsort(descending=fault != "the least similar first", stable=True).tolist()
        drop = order[0] if fault in FIRST else order[-1] if fault in LAST else i
        if not fault.startswith("the query finds itself") and fault not in WHOLE:
            order = [j for j in order if j != drop]
        found.append(([int(y[j] == y[i]) for j in order], int(y[i])))
    return found


def _recalled(hits: list[int], k: int, fault: str) -> float:
    if fault == "recall as a share of k":
        return sum(hits[:k]) / k
    if fault == "recall as a share of all hits":
        return sum(hits[:k]) / max(sum(hits), 1)
    k = {"a place too many": k + 1, "recall at 1": 1}.get(fault, k)
    return float(hits[k - 1] if fault == "recall at place k alone" else max(hits[:k]))


def _precision(hits: list[int], k: int, fault: str, first: int, own: int) -> float:
    """AP@R, or what learners make of it; ``first`` is the R of the first query, ``own`` what R is by the labels."""
    r = first if fault == "one R for all" else sum(hits) + (fault == "the query counted in R")
    if fault in (*WHOLE, FIRST[1]):
        r = own
    ends = {"average precision of the whole list": len(hits), "average precision of the first k": k}
    ends |= dict.fromkeys(BY_K, k) | {"a place too few": r - 1}
    places = ends.get(fault, r)
    shares = [sum(hits[:p]) / p for p in range(1, min(places, len(hits)) + 1)]
    if fault == "one over the place":
        shares = [1 / p for p in range(1, len(shares) + 1)]
    if fault == "the share before the hit":
        shares = [0.0, *shares[:-1]]
    if fault == "hits so far, undivided":
        shares = [float(sum(hits[:p])) for p in range(1, len(shares) + 1)]
    if fault == "one over the first hit's place":
        return 1 / (hits.index(1) + 1) if any(hits) else 0.0
    if fault == "R-precision":
        return sum(hits[:r]) / max(r, 1)
    counted = [1] * len(shares) if fault == "misses counted" else hits
    total = sum(h * share for h, share in zip(counted, shares, strict=False))
    over = {"divided by the hits found": sum(hits[:r]), BY_K[0]: k, BY_K[1]: min(r, k)}.get(fault, r)
    return total / max(over, 1)


def _scores(x: Tensor, y: Tensor, k: int, *, fault: str = "") -> tuple[float, float] | float:
    """Recall at k and MAP@R, or what learners make of them: one of ``SCORE_FAULTS``."""
    sizes = torch.bincount(y)[y]
    if fault == OUT:
        x, y = x[sizes > 1], y[sizes > 1]
    lists = _lists(x, y, fault)
    alone = int((sizes == 1).sum())
    if fault in LAST:
        lists = [(hits, c) for hits, c in lists if any(hits)]
    elif fault not in ("queries without a match counted", "the query finds itself, alone too"):
        lists = [(hits, c) for hits, c in lists if sum(int(other) == c for other in y) > 1]
    first = sum(lists[0][0])
    own = [sum(int(other) == c for other in y) - 1 for _, c in lists]
    scored = [[_recalled(h, k, fault), _precision(h, k, fault, first, r)] for (h, _), r in zip(lists, own, strict=True)]
    if fault == "queries without a match perfect":
        scored += [[1.0, 1.0]] * alone
    rows = torch.tensor(scored, dtype=torch.float64)
    classes = torch.tensor([c for _, c in lists])
    if fault == "the mean over classes":
        rows = torch.stack([rows[classes == c].mean(0) for c in classes.unique()])
    both = rows.sum(0) if fault == "sums" else rows.mean(0)
    recall, precision = both.tolist()
    if fault == "sums over the sum of R":
        precision = sum(one * r for (_, one), r in zip(scored, own, strict=True)) / sum(own)
    if fault == "recall alone":
        return recall
    return (precision, recall) if fault == "the two swapped" else (recall, precision)


def _score_cases() -> Sequence[Case]:
    problems: list[tuple[list[float], list[int], int, str]] = [
        ([0, 10, 40, 50, 120], [0, 0, 0, 1, 1], 2, "the five points of the chapter"),
        ([0, 11, 25, 70, 84, 99, 180], [0, 1, 0, 1, 1, 0, 2], 1, "a class of one image"),
        ([0, 0, 20, 31, 45, 60, 120], [1, 2, 0, 0, 0, 2, 1], 1, "two identical images of two classes"),
        ([5, 12, 40, 44, 51, 90, 98, 130, 171], [0, 1, 0, 0, 1, 1, 1, 0, 1], 3, "nine points"),
        ([0, 9, 22, 40, 60, 66], [0, 2, 0, 1, 1, 0], 1, "a class of one image, among the others"),
        ([10, 10, 33, 50, 77, 81], [0, 0, 1, 0, 1, 1], 2, "two identical images of one class"),
        ([0, 100, 125, 220], [0, 1, 1, 0], 1, "a query far from all others"),
    ]
    cases = []
    for degrees, classes, k, text in problems:
        x, y = on_circle(degrees, dtype=torch.float64), torch.tensor(classes)
        cases.append(Case((x, y, k), _scores(x, y, k), f"{text}, angles {degrees}, labels {classes}, k = {k}"))
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
            "half of the cosine": Misconception(
                lambda c: math.sqrt(2 - c),
                "The cosine stands twice under the root: 2 - 2 cosines. Equal vectors must have distance 0.",
            ),
            "the cosine outside": Misconception(
                lambda c: math.sqrt(2) - 2 * c,
                "The root reaches over both terms: of 2 - 2 cosines, not of the first 2 alone.",
            ),
            "twice the sine": Misconception(
                lambda c: 2 * math.sqrt(max(1 - c * c, 0)),
                "That is twice the sine of the angle; the chord is twice the sine of HALF of it. Opposite points are "
                "at distance 2, not 0.",
            ),
            "the cosine squared": Misconception(
                lambda c: math.sqrt(max(2 - 2 * c * c, 0)),
                "You squared the cosine. In (1.1) it stands as it is, with its sign.",
            ),
            "the cosine without its sign": Misconception(
                lambda c: math.sqrt(2 - 2 * abs(c)),
                "You dropped the cosine's sign. Opposite points (cosine -1) are at distance 2, equal ones at 0.",
            ),
        },
    ),
    Exercise(
        "1.2",
        "two scores from nothing",
        _score_cases,
        {fault: Misconception(partial(_scores, fault=fault), message) for fault, message in SCORE_FAULTS.items()},
    ),
    *tie_exercises.EXERCISES,
)
