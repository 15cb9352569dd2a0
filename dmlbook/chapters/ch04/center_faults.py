"""What learners make of a count of centers: each fault by its name, with what to say."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from dmlbook import losses
from dmlbook._types import Tensor


def _apart(centers: Tensor) -> Tensor:
    return (centers[:, None] - centers[None]).norm(dim=-1)


def _groups(close: Tensor) -> int:
    """Groups that a table of who is close to whom makes, chains followed."""
    close = close | close.T | torch.eye(len(close), dtype=torch.bool)
    for _ in close:
        close = (close.double() @ close.double()) > 0
    return len(torch.unique(close, dim=0))


def _cosines(centers: Tensor) -> Tensor:
    return (centers @ centers.T).clamp(-1, 1)


def _greedy(centers: Tensor, threshold: float) -> int:
    kept: list[Tensor] = []
    for center in centers:
        if all(float((center - other).norm()) >= threshold for other in kept):
            kept.append(center)
    return len(kept)


def distinct(centers: Tensor, threshold: float) -> int:
    """The right count of one class's centers (K, D)."""
    return int(losses.distinct_centers(centers[None], threshold=threshold).counts[0])


def _close_pairs(centers: Tensor, threshold: float) -> int:
    return int((_apart(centers) < threshold).triu(1).sum())


def _around(centers: Tensor, threshold: float, *, whole: bool = False) -> int:
    """By angle in the first two coordinates, each with the next; ``whole``: angles from 0 to a whole turn."""
    turn = torch.atan2(centers[:, 1], centers[:, 0])
    turn = (turn.remainder(2 * math.pi) if whole else turn).sort().values
    row = torch.stack([turn.cos(), turn.sin()], -1)
    return 1 + int(((row[1:] - row[:-1]).norm(dim=1) >= threshold).sum())


def _two_coordinates(centers: Tensor, threshold: float) -> int:
    turn = torch.atan2(centers[:, 1], centers[:, 0])
    return _groups(_apart(torch.stack([turn.cos(), turn.sin()], -1)) < threshold)


def _sorted(centers: Tensor, threshold: float) -> int:
    row = centers[centers[:, 0].argsort()]
    return 1 + int(((row[1:] - row[:-1]).norm(dim=1) >= threshold).sum())


NOT_ROUND = (
    "You sorted by angle and compared each with the next. The last one stands beside the first: close the circle, or "
    "compare all pairs."
)
COUNT_FAULTS: dict[str, tuple[Callable[[Tensor, float], int], str]] = {
    "no chains": (
        _greedy,
        "You kept a center if it is far from those kept before. Then the order decides: a center between two others "
        "joins both into one. Follow the chain.",
    ),
    "one step only": (
        lambda w, t: len(torch.unique((_apart(w) < t).int().argmax(1))),
        "You gave each center to the first one that it is close to, and went no further. Follow the chain to its end.",
    ),
    "none before it": (
        lambda w, t: int(((_apart(w) < t).tril(-1).sum(1) == 0).sum()),
        "Your count is that of the centers that have no close one before them. In a chain whose middle comes last both "
        "ends are counted: a center that is close to two groups must join them into one.",
    ),
    "rows of the table": (
        lambda w, t: len(torch.unique(_apart(w) < t, dim=0)),
        "You counted different rows of the table of who is close to whom. In a chain, centers of one group have "
        "different neighbors: follow the chain.",
    ),
    "rows that are distinct": (
        lambda w, t: len(torch.unique(w, dim=0)),
        "You counted rows that differ at all, and never used the threshold. Centers that are close count as one.",
    ),
    "every close pair takes one away": (
        lambda w, t: len(w) - _close_pairs(w, t),
        "Three centers in one place make three close pairs, but only two of them are spare.",
    ),
    "close pairs": (_close_pairs, "You counted close pairs. Asked for is the number of groups that are left."),
    "spare ones": (lambda w, t: len(w) - distinct(w, t), "You counted the centers that are spare. Count those left."),
    "only lonely centers": (
        lambda w, t: int(((_apart(w) < t).sum(1) == 1).sum()),
        "You counted the centers that have no neighbor. A merged group still is one center: count it once.",
    ),
    "in their order": (
        lambda w, t: 1 + int(((w[1:] - w[:-1]).norm(dim=1) >= t).sum()),
        "You compared each row with the one before it. Close centers need not stand side by side: compare all pairs.",
    ),
    "sorted along one axis": (
        _sorted,
        "You sorted along the first axis and compared each with the next. Two centers can be level there and far "
        "apart: compare all pairs.",
    ),
    "not round the circle": (
        _around,
        NOT_ROUND,
    ),
    "not round the circle, from 0": (lambda w, t: _around(w, t, whole=True), NOT_ROUND),
    "two coordinates": (
        _two_coordinates,
        "You looked at the angle in the first two coordinates alone. Centers may have more: compare the distances.",
    ),
    "root of a negative": (
        lambda w, t: _groups((2 - 2 * w @ w.T).sqrt() < t),
        "Two equal centers' cosine can be rounded above 1, and a root of less than 0 is not a number, nor below any "
        "threshold. Cut off at 0 before the root, clamp(min=0), or take the norm of the difference.",
    ),
    "two steps only": (
        lambda w, t: len(torch.unique((_apart(w) < t).double() @ (_apart(w) < t).double() > 0, dim=0)),
        "You followed the chain for two steps. It may be longer: go on until nothing is added.",
    ),
    "each with its nearest": (
        lambda w, t: len(w) - int(((_apart(w) + 9 * torch.eye(len(w))).amin(1) < t).sum()) // 2,
        "You took one away for every two centers that have a close one. A group may be larger than a pair: follow the "
        "chain.",
    ),
    "rounded places": (
        lambda w, t: len(torch.unique((w / t).round(), dim=0)),
        "You rounded the places to a grid of the threshold's size. Two close centers can lie on both sides of a line "
        "of it: compare distances.",
    ),
    "the threshold included": (
        lambda w, t: _groups(_apart(w) <= t),
        "You joined two centers whose distance equals the threshold, too. Closer means below: <.",
    ),
    "coordinate by coordinate": (
        lambda w, t: _groups(((w[:, None] - w[None]).abs() < t).all(-1)),
        "You compared each coordinate with the threshold. It is meant for the distance, in which they count together.",
    ),
    "cosine for distance": (
        lambda w, t: _groups(1 - _cosines(w) < t),
        "You compared 1 - cosine with the threshold. That is half the squared distance: the distance is the root of "
        "2 - 2 cosine.",
    ),
    "squared distance": (
        lambda w, t: _groups(_apart(w).square() < t),
        "You compared the squared distance, 2 - 2 cosine, with the threshold. The threshold is a distance.",
    ),
    "angle for distance": (
        lambda w, t: _groups(torch.acos(_cosines(w)) < t),
        "You compared the angle, in radians, with the threshold. The threshold is the straight distance of two points.",
    ),
    "degrees": (
        lambda w, t: _groups(torch.rad2deg(torch.acos(_cosines(w))) < t),
        "You compared an angle in degrees with the threshold. The threshold is the straight distance of two points.",
    ),
    "far for close": (
        lambda w, t: _groups(_apart(w) > t),
        "You joined the centers that are far apart. Two are one if their distance is below the threshold.",
    ),
    "the lonely ones and one more": (
        lambda w, t: 1 + int(((_apart(w) < t).sum(1) == 1).sum()),
        "You counted the centers that have no neighbor, and one more for all the others. They may be several groups.",
    ),
    "cosine below": (
        lambda w, t: _groups(_cosines(w) < t),
        "You joined two centers where their cosine is below the threshold: those are far apart. Compare the distance.",
    ),
    "cosine above": (
        lambda w, t: _groups(_cosines(w) > t),
        "You compared the cosine with the threshold. The threshold is a distance: the root of 2 - 2 cosine.",
    ),
}
