"""Exercises of chapter 09: trustworthiness from its formula, a planted bug, a false cluster, the purity of centers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.seeding import SEED, generator

Matrix = list[list[float]]
Served = Sequence[tuple[int, int, int]]


def _order(far: Sequence[float], i: int, *, itself: bool = False) -> list[int]:
    """Everybody from i's nearest on; i itself only if asked for, then first."""
    others = sorted((j for j in range(len(far)) if j != i), key=lambda j: far[j])
    return [i, *others] if itself else others


def _trust(
    true: Matrix,
    seen: Matrix,
    k: int,
    *,
    cost: Callable[[int, int, int], int] = lambda rank, on_map, k: rank - k,
    itself: bool = False,
    false_only: bool = True,
) -> float:
    """Trustworthiness, or what learners make of it; ``cost`` gets both ranks of a neighbor, from 1, and k."""
    n, total = len(true), 0
    for i in range(n):
        order, on_map = (_order(far[i], i, itself=itself) for far in (true, seen))
        for j in on_map[:k]:
            if not false_only or j not in order[:k]:
                total += cost(order.index(j) + 1, on_map.index(j) + 1, k)
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * total


def _distances(points: Tensor) -> Matrix:
    return torch.cdist(points, points).tolist()


def _trust_cases() -> Sequence[Case]:
    line = torch.arange(6.0)[:, None] ** 1.3
    torn = torch.tensor([[0.0], [1.0], [2.0], [13.0], [14.0], [15.0]])
    draw = generator(SEED, "exercise 9.1")
    cloud, places = torch.randn(9, 4, generator=draw), torch.randn(9, 2, generator=draw)
    problems = [
        ("six points on a line, drawn as they are, k = 1", line, line + 0.001 * line**2, 1),
        ("six points on a line, torn in the middle, k = 2", line, torn, 2),
        ("the torn ones as the truth, k = 2", torn, line[[0, 3, 1, 4, 2, 5]], 2),
        ("nine points drawn anywhere, k = 3", cloud, places, 3),
    ]
    return [
        Case((_distances(a), _distances(b), k), _trust(_distances(a), _distances(b), k), text)
        for text, a, b, k in problems
    ]


def _kept(true: Matrix, seen: Matrix, k: int, *, itself: bool = False, same_place: bool = False) -> float:
    """The mean share of neighbors that the map kept, or what learners make of it."""
    total = 0.0
    for i in range(len(true)):
        a, b = (_order(far[i], i, itself=itself)[:k] for far in (true, seen))
        total += sum(x == y for x, y in zip(a, b, strict=True)) if same_place else len({*a} & {*b})
    return total / (k * len(true))


def _mended_by_less(true: Matrix, seen: Matrix, k: int) -> float:
    """Itself counted among the k, and taken off again: k - 1 neighbors are looked at."""
    return (_kept(true, seen, k, itself=True) * k - 1) / k


def _of_one_less(true: Matrix, seen: Matrix, k: int) -> float:
    return (_kept(true, seen, k, itself=True) * k - 1) / (k - 1) if k > 1 else 0.0


def _jaccard(true: Matrix, seen: Matrix, k: int) -> float:
    near = [[{*_order(far[i], i)[:k]} for far in (true, seen)] for i in range(len(true))]
    return sum(len(a & b) / len(a | b) for a, b in near) / len(near)


def _kept_cases() -> Sequence[Case]:
    draw = generator(SEED, "exercise 9.2")
    found = []
    for count, k in ((5, 2), (8, 3), (12, 4)):
        true, seen = (_distances(torch.randn(count, d, generator=draw)) for d in (4, 2))
        found.append(Case((true, seen, k), _kept(true, seen, k), f"{count} points drawn anywhere, k = {k}"))
    return found


def _together(
    similar: Matrix,
    group: Sequence[bool],
    k: int,
    *,
    everybody: bool = False,
    alike: bool = False,
    itself: bool = False,
) -> float:
    """Of a group's k most similar others, how many are of the group; or what learners make of it."""
    shares = []
    for i, inside in enumerate(group):
        if inside or everybody:
            near = _order([-value for value in similar[i]], i, itself=itself)[:k]
            shares.append(sum(group[j] == group[i] if alike else group[j] for j in near) / k)
    return sum(shares) / len(shares)


def _fully(similar: Matrix, group: Sequence[bool], k: int) -> float:
    """The share of members of whom all k neighbors are members."""
    members = [i for i, inside in enumerate(group) if inside]
    near = [_order([-value for value in similar[i]], i)[:k] for i in members]
    return sum(all(group[j] for j in row) for row in near) / len(members)


def _together_cases() -> Sequence[Case]:
    angles = torch.tensor([0.0, 0.1, 0.25, 0.4, 1.6, 1.7, 1.9, 2.2])
    points = torch.stack([angles.cos(), angles.sin()], 1)
    similar = (points @ points.T).tolist()
    draw = generator(SEED, "exercise 9.3")
    cloud = torch.nn.functional.normalize(torch.randn(12, 4, generator=draw), dim=1)
    any_two = (cloud @ cloud.T).tolist()
    problems = [
        ("two bundles of four, the group is the first", similar, [True] * 4 + [False] * 4, 2),
        ("the same, the group is half of each", similar, [True, True, False, False] * 2, 3),
        ("twelve points drawn anywhere, the group is the first five", any_two, [True] * 5 + [False] * 7, 3),
    ]
    return [Case(tuple(p), _together(*p), text) for text, *p in problems]


def _at_centers(served: Served, key: Callable = lambda label, center: (label, center)) -> list[list[int]]:
    """The kinds at each center, in the order in which they come."""
    found: dict[object, list[int]] = {}
    for label, center, kind in served:
        found.setdefault(key(label, center), []).append(kind)
    return list(found.values())


def _most(kinds: list[int]) -> int:
    return max(Counter(kinds).values())


def _purity(served: Served, **key: Callable) -> float:
    return sum(map(_most, _at_centers(served, **key))) / len(served)


def _mean_of_centers(served: Served) -> float:
    shares = [_most(kinds) / len(kinds) for kinds in _at_centers(served)]
    return sum(shares) / len(shares)


def _all_ties(served: Served) -> float:
    """Of several most frequent kinds all are counted."""
    return sum(sum(kinds.count(kind) == _most(kinds) for kind in kinds) for kinds in _at_centers(served)) / len(served)


def _purity_cases() -> Sequence[Case]:
    one = [(0, 0, 6), (0, 0, 5), (0, 0, 5), (0, 1, 6)]
    two = [*one, (1, 0, 7), (1, 0, 7), (1, 0, 7), (1, 0, 8), (1, 2, 8)]
    mixed = [(0, k % 3, k % 4) for k in range(10)] + [(1, k % 2, 4 + k % 3) for k in range(9)]
    problems = [("one class", one), ("two classes whose centers have the same numbers", two), ("19 images", mixed)]
    return [Case((served,), _purity(served), text) for text, served in problems]


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "9.1",
        "may it be trusted?",
        _trust_cases,
        {
            "the other way round": Misconception(
                lambda true, seen, k: _trust(seen, true, k),
                "That is continuity: you charged the true neighbors that the map lost. Charge those that it made up.",
            ),
            "itself a neighbor": Misconception(
                lambda true, seen, k: _trust(true, seen, k, itself=True),
                "Each point is counted as its own nearest neighbor: at distance 0 it comes first. Leave it out.",
            ),
            "the whole rank": Misconception(
                lambda true, seen, k: _trust(true, seen, k, cost=lambda rank, *_: rank),
                "You charged the whole rank. The cost is how far beyond k it is: the first one outside costs 1.",
            ),
            "counted": Misconception(
                lambda true, seen, k: _trust(true, seen, k, cost=lambda *_: 1),
                "You counted the false neighbors. Each costs its rank beyond k: a far one is a greater lie.",
            ),
            "ranks from 0": Misconception(
                lambda true, seen, k: _trust(true, seen, k, cost=lambda rank, _, k: rank - 1 - k),
                "Your ranks start at 0. The nearest has rank 1, so the first one outside costs 1 and not 0.",
            ),
            "the rank on the map": Misconception(
                lambda true, seen, k: _trust(true, seen, k, cost=lambda _, on_map, k: on_map - k),
                "You took the rank on the map. A false neighbor costs its rank by `true`, beyond k.",
            ),
            "true ones charged": Misconception(
                lambda true, seen, k: _trust(true, seen, k, false_only=False),
                "You charged all k, and true neighbors have costs below 0. Only those outside the true k cost.",
            ),
            "not taken from 1": Misconception(
                lambda true, seen, k: 1 - _trust(true, seen, k),
                "That is the cost. Trustworthiness is 1 less the cost: 1 where nothing was made up.",
            ),
        },
    ),
    Exercise(
        "9.2",
        "the planted bug",
        _kept_cases,
        {
            "the bug itself": Misconception(
                lambda true, seen, k: _kept(true, seen, k, itself=True),
                "The bug is still there: what is each point's nearest point, on every map?",
            ),
            "itself taken off": Misconception(
                _mended_by_less,
                "You took the point itself off again, and now look at k - 1 neighbors. Leave it out before taking k.",
            ),
            "itself taken off, of k - 1": Misconception(
                _of_one_less,
                "You took the point itself off, and what is left is the share of k - 1 neighbors. Leave it out before.",
            ),
            "k + 1 with itself": Misconception(
                lambda true, seen, k: _kept(true, seen, k + 1, itself=True),
                "Of the k + 1 that you looked at one is the point itself, always right. Leave it out of both counts.",
            ),
            "of either": Misconception(
                _jaccard, "You divided by all that are near in either. The share asked for is of k, for each point."
            ),
            "the same place in the list": Misconception(
                lambda true, seen, k: _kept(true, seen, k, same_place=True),
                "You asked for the same neighbor at the same place. It is enough to be among the k, in any order.",
            ),
        },
    ),
    Exercise(
        "9.3",
        "the false cluster",
        _together_cases,
        {
            "itself a neighbor": Misconception(
                lambda similar, group, k: _together(similar, group, k, itself=True),
                "Each image is its own most similar one. Leave it out, or every group looks a little real.",
            ),
            "everybody": Misconception(
                lambda similar, group, k: _together(similar, group, k, everybody=True),
                "You averaged over all images. The question is about the group: average over its members.",
            ),
            "everybody and their like": Misconception(
                lambda similar, group, k: _together(similar, group, k, everybody=True, alike=True),
                "You asked all images how many of their like are near. Ask the group's members alone.",
            ),
            "of the group": Misconception(
                lambda similar, group, k: _together(similar, group, k) * k / sum(group),
                "You divided by the size of the group. Of k neighbors: divide by k.",
            ),
            "the least similar": Misconception(
                lambda similar, group, k: _together([[-value for value in row] for row in similar], group, k),
                "You took the smallest similarities: those are the farthest. Similar is large.",
            ),
            "all or nothing": Misconception(
                _fully, "You asked that all k be of the group. The share of them is averaged."
            ),
        },
    ),
    Exercise(
        "9.4",
        "how pure are the centers?",
        _purity_cases,
        {
            "classes mixed": Misconception(
                lambda served: _purity(served, key=lambda label, center: center),
                "Centers of different classes have the same numbers: center 0 of class 0 is not center 0 of class 1.",
            ),
            "the mean of centers": Misconception(
                _mean_of_centers,
                "You averaged over centers. A center that serves one image then weighs as much as one of fifty.",
            ),
            "the first kind": Misconception(
                lambda served: sum(kinds.count(kinds[0]) for kinds in _at_centers(served)) / len(served),
                "You counted the kind that comes first at each center. Take the most frequent one.",
            ),
            "all of a tie": Misconception(
                _all_ties, "Where several kinds are the most frequent, you counted all of them. One counts."
            ),
            "centers ignored": Misconception(
                lambda served: _purity(served, key=lambda label, center: label),
                "You took the most frequent kind of each class. Purity asks each center of a class.",
            ),
            "kinds at one center": Misconception(
                lambda served: _purity([(label, kind, center) for label, center, kind in served]),
                "That is the other way round: how much of a kind is at one center. Purity asks each center.",
            ),
        },
    ),
)
