"""What learners make of a count of centers and of a pair on the circle: each fault by its name, with what to say."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from dmlbook import losses
from dmlbook._types import Tensor
from dmlbook.chapters.ch04 import theory


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


def _sorted(centers: Tensor, threshold: float) -> int:
    row = centers[centers[:, 0].argsort()]
    return 1 + int(((row[1:] - row[:-1]).norm(dim=1) >= threshold).sum())


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
        "You counted the centers that have no close one before them. In a chain whose middle comes last both ends are "
        "counted: follow the chain.",
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
    "cosine below": (
        lambda w, t: _groups(_cosines(w) < t),
        "You joined two centers where their cosine is below the threshold: those are far apart. Compare the distance.",
    ),
    "cosine above": (
        lambda w, t: _groups(_cosines(w) > t),
        "You compared the cosine with the threshold. The threshold is a distance: the root of 2 - 2 cosine.",
    ),
}


def left(angle: float, t: float) -> float:
    """Degrees between the two centers, for wishes ``angle`` degrees apart."""
    return 2 * math.degrees(theory.fused_on_circle(math.radians(angle) / 2, strength=t))


def _turned(phi: float, t: float, floor: float = 0.0) -> float:
    """Degrees between the two, from the sine and cosine of any phi, in radians."""
    return 2 * math.degrees(math.atan2(max(math.sin(phi) - t, floor), math.cos(phi)))


def _left_squared(angle: float, t: float) -> float:
    half = math.radians(angle) / 2
    theta = torch.linspace(0, half, 20001, dtype=torch.float64)
    return 2 * math.degrees(theta[(4 * t * theta.sin() ** 2 - 2 * torch.cos(theta - half)).argmin()])


def _one_moves(angle: float, t: float) -> float:
    whole = math.radians(angle)
    apart = torch.linspace(0, whole, 20001, dtype=torch.float64)
    return math.degrees(apart[(2 * t * (apart / 2).sin() - torch.cos(whole - apart)).argmin()])


def _sine(angle: float) -> float:
    return math.sin(math.radians(angle) / 2)


CIRCLE_FAULTS: dict[str, tuple[Callable[[float, float], float], str]] = {
    "half the angle": (
        lambda a, t: left(a, t) / 2,
        "That is the angle from the middle to one center. The task asks for the angle between the two.",
    ),
    "the wish was not halved": (
        lambda a, t: _turned(math.radians(a), t),
        "You took the whole angle between the wishes for phi. From the middle to one wish it is half of that.",
    ),
    "past zero": (
        lambda a, t: _turned(math.radians(a) / 2, t, -math.inf),
        "Your centers pass one another once t exceeds sin(phi). They stay together: stop at 0.",
    ),
    "the squared price": (_left_squared, "That is the squared price, t times the squared distance: yours never meet."),
    "half the squared price": (
        lambda a, t: _left_squared(a, t / 2),
        "That is a squared price, half of t times the squared distance: your centers never meet.",
    ),
    "as on the line": (
        lambda a, t: a * max(1 - t / _sine(a), 0.0),
        "You shrank the angle as (4.3) shrinks a distance. It meets at the right t, but on the circle another quantity "
        "shrinks: write the cost with sine and cosine of the center's angle.",
    ),
    "the line's distance": (
        lambda a, t: 2 * math.degrees(math.asin(max(_sine(a) - t, 0.0))),
        "You shrank the straight distance as on the line, and turned it into an angle. It meets at the right t, but "
        "centers that may not leave the circle stop elsewhere.",
    ),
    "t off the angle": (
        lambda a, t: max(a - 2 * math.degrees(t), 0.0),
        "You took t off the angle of each center. The price is on the straight distance, not on the arc.",
    ),
    "twice t as a share": (
        lambda a, t: a * max(1 - 2 * t, 0.0),
        "You took 2 t as a share of the angle, as (4.3) has it for wishes at distance 1. On the circle another "
        "quantity shrinks: write the cost with sine and cosine of the center's angle.",
    ),
    "the price on the arc": (
        lambda a, t: max(a - 2 * math.degrees(math.asin(min(t, 1.0))), 0.0),
        "You charged the arc between the two. The price is on their straight distance, 2 sin(theta).",
    ),
    "only one moves": (
        _one_moves,
        "You held one center at its pose and moved the other. Both give way: minimize over both.",
    ),
    "the whole angle, answer not doubled": (
        lambda a, t: _turned(math.radians(a), t) / 2,
        "From the middle to one wish it is half of the angle; and what you find there is half of the answer.",
    ),
    "a share": (
        lambda a, t: a * max(1 - t, 0.0),
        "You took t as a share of the angle. Poses close together meet sooner.",
    ),
    "twice the price": (
        lambda a, t: _turned(math.radians(a) / 2, 2 * t),
        "You charged twice: two centers theta from the middle are 2 sin(theta) apart, and each pulls with t.",
    ),
    "half the price": (
        lambda a, t: _turned(math.radians(a) / 2, t / 2),
        "You charged half: the pair is 2 sin(theta) apart and pays t for each unit of it.",
    ),
    "radians out": (
        lambda a, t: math.radians(left(a, t)),
        "That is the angle in radians. The task asks for degrees: math.degrees.",
    ),
    "half, in radians": (
        lambda a, t: math.radians(left(a, t)) / 2,
        "That is one center's angle from the middle, in radians. Asked for are the degrees between the two.",
    ),
    "degrees as radians": (
        lambda a, t: _turned(a / 2, t),
        "You gave degrees to a sine that wants radians: math.radians first.",
    ),
    "no conversion at all": (
        lambda a, t: math.radians(_turned(a / 2, t)),
        "Python's sine and arc tangent know radians only: convert on the way in and on the way out.",
    ),
    "no conversion, by the tangent": (
        lambda a, t: 2 * math.atan(max(math.sin(a / 2) - t, 0.0) / math.cos(a / 2)),
        "Python's sine and arc tangent know radians only: convert on the way in and on the way out.",
    ),
    "the distance left": (
        lambda a, t: 2 * math.sin(math.radians(left(a, t)) / 2),
        "That is the straight distance of the two centers. Asked for is the angle between them.",
    ),
    "the cosine shrunk": (
        lambda a, t: 2 * math.degrees(math.atan2(_sine(a), math.cos(math.radians(a) / 2) - t)),
        "You took t off the cosine, so your centers move apart. What separates them is the sine.",
    ),
}
