"""Exercise 1.3 of chapter 01: Recall@1 where images tie, and what learners make of a tie."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from dmlbook._types import Float, Int, Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception


def _apart(x: Float[Tensor, "N D"], power: int = 2) -> Float[Tensor, "N N"]:
    return (x[:, None] - x).abs().pow(power).sum(2).fill_diagonal_(torch.inf)


def _match(y: Int[Tensor, " N"]) -> Tensor:
    return (y[:, None] == y).fill_diagonal_(False)


def _by_chance(x: Tensor, y: Tensor, *, power: int = 2) -> float:
    apart = _apart(x, power)
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
    if rule == "itself":
        tied = apart.fill_diagonal_(0) == 0
        return float(((tied & (_match(y) | itself)).sum(1) / tied.sum(1)).mean())
    if rule == "nearly":
        tied = apart.sqrt() <= apart.amin(1, keepdim=True).sqrt() + 0.5
    if rule == "of the match":
        nearest = apart.where(_match(y), torch.inf).amin(1)
        before = (apart < nearest[:, None]).any(1)
        return float((~before / (apart <= nearest[:, None]).sum(1)).mean())
    if rule == "at the match":
        tied = apart == apart.where(_match(y), torch.inf).amin(1, keepdim=True)
    right = (tied & _match(y)).sum(1)
    if rule in ("nearly", "at the match"):
        return float((right / tied.sum(1)).mean())
    if rule == "one against the wrong":
        return float(((right > 0) / (1 + tied.sum(1) - right)).mean())
    if rule == "of the list":
        chance = _match(y).sum(1) / (len(y) - 1)
        lost, shared = right == 0, (right > 0) & (right < tied.sum(1))
        return float(torch.where(lost, 0.0, torch.where(shared, chance, 1.0)).mean())
    if rule == "found alone":
        found = right > 0
        return float((right / tied.sum(1))[found].mean()) if found.any() else 0.0
    if rule == "how many":
        return float(right.float().mean())
    if rule == "one too many":
        return float((right / (tied | itself).sum(1)).mean())
    if rule == "odds":
        return float((right / (tied.sum(1) - right).clamp(min=1)).mean())
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
        ("nearly a tie", [[0, 0], [5, 0], [-5, 1], [20, 3], [24, 4], [13, 1]], [0, 0, 1, 1, 1, 0]),
    ]
    cases = []
    for text, points, classes in problems:
        x, y = torch.tensor(points, dtype=torch.float64), torch.tensor(classes)
        cases.append(Case((x, y), _by_chance(x, y), f"{text}: points {points}, labels {classes}"))
    return cases


EXERCISES = (
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
            "the match counted against itself": Misconception(
                lambda x, y: 0.0,
                "All queries score 0. The nearest match is at its own distance: with `<=` it counts itself among those "
                "that come before it.",
            ),
            "the query finds itself": Misconception(
                partial(_of_ties, rule="itself"),
                "The query finds itself, at distance 0: nothing else is as near. Put infinity on the diagonal.",
            ),
            "the chance of the whole list": Misconception(
                partial(_of_ties, rule="of the list"),
                "Where images tie you took the chance of a random list. Only the tied images can come first.",
            ),
            "one against the wrong": Misconception(
                partial(_of_ties, rule="one against the wrong"),
                "You let one right image stand against the wrong ones that tie with it. Count all right ones that tie.",
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
            "the city's distance": Misconception(
                partial(_by_chance, power=1),
                "You added up the differences along the axes. The straight-line distance counts (§1.1): square them, "
                "add, and take the root.",
            ),
            "nearly tied": Misconception(
                partial(_of_ties, rule="nearly"),
                "Images that are almost as near count as tied. The points are whole numbers: only equal distances are.",
            ),
            "one match of the tied": Misconception(
                partial(_of_ties, rule="of the match"),
                "You counted one right image among the tied, however many are right: two of five give 2/5, not 1/5.",
            ),
            "at the match's distance": Misconception(
                partial(_of_ties, rule="at the match"),
                "You looked at the distance of the nearest match. Images of other classes that are nearer come first: "
                "look at the smallest distance of all.",
            ),
            "queries without a chance left out": Misconception(
                partial(_of_ties, rule="found alone"),
                "You left out the queries whose first image cannot be right. They score 0, and count.",
            ),
            "how many are right": Misconception(
                partial(_of_ties, rule="how many"),
                "That is how many of the tied images are right. Divide by how many are tied.",
            ),
            "one tied image too many": Misconception(
                partial(_of_ties, rule="one too many"),
                "You divided by one tied image too many: the query is at distance 0 of itself. Take it out first.",
            ),
            "right against wrong": Misconception(
                partial(_of_ties, rule="odds"),
                "You divided the right ones by the wrong ones. A chance divides by all that are tied.",
            ),
        },
    ),
)
