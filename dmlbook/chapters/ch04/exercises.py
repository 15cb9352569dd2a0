"""Exercises of chapter 04: a group that vanishes, the regularizer, counting centers, a pair on the circle, a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from dmlbook import losses
from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch04 import theory
from dmlbook.seeding import generator


def _shrink_cases() -> Sequence[Case]:
    problems = [
        ([[3.0, 4.0], [0.3, -0.4], [0.0, 0.0]], 1.0),
        ([[-6.0, 0.5, 2.0], [1.0, -2.0, 1.0]], 2.5),
        ([[0.5, 2.0], [0.3, 0.4], [-0.6, 0.9]], 0.8),
    ]
    cases = []
    for rows, t in problems:
        matrix = torch.tensor(rows)
        cases.append(Case((matrix, t), theory.shrink_by_norm(matrix, strength=t), f"V = {rows}, t = {t}"))
    return cases


def _lengths(rows: Tensor) -> Tensor:
    return rows.norm(dim=1, keepdim=True).clamp(min=1e-12)


def _unit(*shape: int, seed: int) -> Tensor:
    draws = torch.randn(*shape, generator=generator(seed, "exercise 4"))
    return torch.nn.functional.normalize(draws, dim=-1)


def _priced(cosines: Tensor, tau: float, power: float = 0.5) -> float:
    classes, per_class, _ = cosines.shape
    first, second = torch.triu_indices(per_class, per_class, 1)
    apart = (2 - 2 * cosines[:, first, second]) ** power
    return float(tau * apart.sum() / (classes * per_class * (per_class - 1)))


def _price_cases() -> Sequence[Case]:
    problems = [
        (torch.eye(3)[None], 0.2, "three centers of one class at right angles, tau = 0.2"),
        (_unit(4, 3, 5, seed=1), 1.0, "the cosines of 4 classes of 3 random centers, tau = 1"),
        (_unit(2, 6, 3, seed=2), 0.5, "the cosines of 2 classes of 6 random centers, tau = 0.5"),
    ]
    cases = []
    for centers, tau, text in problems:
        cosines = centers @ centers.mT
        cosines.diagonal(dim1=1, dim2=2).fill_(1.0)  # no rounding there: its root is taken by some
        cases.append(Case((cosines, tau), _priced(cosines, tau), text))
    return cases


def _on_circle(degrees: Sequence[float]) -> Tensor:
    turn = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([turn.cos(), turn.sin()], -1)


def _distinct(centers: Tensor, threshold: float) -> int:
    return int(losses.distinct_centers(centers[None], threshold=threshold).counts[0])


def _close(centers: Tensor, threshold: float) -> Tensor:
    apart = (centers[:, None] - centers[None]).norm(dim=-1)
    return (apart < threshold).triu(1)


def _greedy(centers: Tensor, threshold: float) -> int:
    kept: list[Tensor] = []
    for center in centers:
        if all(float((center - other).norm()) >= threshold for other in kept):
            kept.append(center)
    return len(kept)


def _count_cases() -> Sequence[Case]:
    problems = [
        ([0.0, 90.0, 90.5], 0.1),
        ([0.0, 0.5, 1.0, 180.0], 0.1),
        ([0.0, 10.0, 5.0, 120.0], 0.1),
        ([20.0, 26.0, 32.0, 38.0, 200.0, 203.0], 0.15),
        ([0.0, 12.0, 40.0], 0.1),
    ]
    return [
        Case((_on_circle(degrees), t), _distinct(_on_circle(degrees), t), f"angles {degrees}, threshold {t}")
        for degrees, t in problems
    ]


def _left(angle: float, t: float) -> float:
    """Degrees between the two centers, for wishes ``angle`` degrees apart."""
    return 2 * math.degrees(theory.fused_on_circle(math.radians(angle) / 2, strength=t))


def _not_halved(angle: float, t: float) -> float:
    """Degrees between the two, from (4.4) with the whole angle for phi."""
    return 2 * math.degrees(math.atan2(max(math.sin(math.radians(angle)) - t, 0.0), math.cos(math.radians(angle))))


def _left_squared(angle: float, t: float) -> float:
    half = math.radians(angle) / 2
    theta = torch.linspace(0, half, 20001, dtype=torch.float64)
    return 2 * math.degrees(theta[(2 * t * theta.sin() ** 2 - 2 * torch.cos(theta - half)).argmin()])


def _angle_cases() -> Sequence[Case]:
    problems = [(60.0, 0.0), (60.0, 0.25), (60.0, 0.5), (100.0, 0.5), (100.0, 0.9), (20.0, 0.1)]
    return [Case((a, t), _left(a, t), f"wishes {a:g} degrees apart, t = {t}") for a, t in problems]


def _limit_cases() -> Sequence[Case]:
    problems = [(0.5, 1e-2), (0.9, 1e-2), (0.8, 1e-4), (0.99, 1e-4), (0.0, 1e-5)]
    return [
        Case(
            (share, epsilon),
            theory.rest_distance(share, epsilon=epsilon),
            f"pull {share} of what the corner holds, epsilon {epsilon:g}",
        )
        for share, epsilon in problems
    ]


EXERCISES = (
    Exercise(
        "4.1",
        "groups that vanish",
        _shrink_cases,
        {
            "coordinate by coordinate": Misconception(
                lambda rows, t: rows.sign() * (rows.abs() - t).clamp(min=0),
                "You thresholded each coordinate: that is the answer for the price |u_1| + |u_2|. The price here is "
                "the length of a row, and its coordinates vanish together or not at all.",
            ),
            "the matrix as one group": Misconception(
                lambda rows, t: rows * (1 - t / rows.norm().clamp(min=1e-12)).clamp(min=0),
                "You took one length, that of the whole matrix. Each row is a group of its own: dim=1, keepdim=True.",
            ),
            "past zero": Misconception(
                lambda rows, t: rows - t * rows / _lengths(rows),
                "Where a row is shorter than t, yours points backwards. A length cannot be negative: stop at 0.",
            ),
            "the squared price": Misconception(
                lambda rows, t: rows / (1 + t),
                "That is the answer for the squared price, (4.2). It never reaches 0.",
            ),
            "all or nothing": Misconception(
                lambda rows, t: rows * (_lengths(rows) > t),
                "You keep a row whole where it is longer than t. The price is also paid by what is kept: its length "
                "falls by t.",
            ),
            "t as a share": Misconception(
                lambda rows, t: rows * max(1 - t, 0.0),
                "You took t as a share of the length. It is an amount: divide it by the length of the row first.",
            ),
        },
    ),
    Exercise(
        "4.2",
        "the price from cosines",
        _price_cases,
        {
            "every pair twice": Misconception(
                lambda cosines, tau: 2 * _priced(cosines, tau),
                "Twice too large: either you took the whole table, where each pair stands twice, or you divided by the "
                "number of pairs K (K - 1) / 2. The sum takes each pair once, the divisor is K (K - 1).",
            ),
            "squared distances": Misconception(
                lambda cosines, tau: _priced(cosines, tau, power=1),
                "You summed 2 - 2 cosine, the squared distances. Those merge nothing: take the root.",
            ),
            "one minus cosine": Misconception(
                lambda cosines, tau: _priced(cosines, tau, power=1) / 2,
                "You took 1 - cosine for the distance. That is half the squared distance; the distance is "
                "the root of 2 - 2 cosine.",
            ),
            "not divided": Misconception(
                lambda cosines, tau: _priced(cosines, tau) * len(cosines) * cosines.shape[1] * (cosines.shape[1] - 1),
                "That is tau times the sum. Divide it by C K (K - 1), so that tau means the same for any C and K.",
            ),
            "C is missing": Misconception(
                lambda cosines, tau: _priced(cosines, tau) * len(cosines),
                "You divided by K (K - 1) but not by the number of classes C.",
            ),
        },
    ),
    Exercise(
        "4.3",
        "how many are distinct",
        _count_cases,
        {
            "no chains": Misconception(
                _greedy,
                "You kept a center if it is far from those kept before. Then the order decides: a center between two "
                "others joins both into one. Follow the chain.",
            ),
            "every close pair takes one away": Misconception(
                lambda centers, t: len(centers) - int(_close(centers, t).sum()),
                "Three centers in one place make three close pairs, but only two of them are spare.",
            ),
            "only lonely centers": Misconception(
                lambda centers, t: int((~(_close(centers, t) | _close(centers, t).T).any(1)).sum()),
                "You counted the centers that have no neighbor. A merged group still is one center: count it once.",
            ),
            "cosine for distance": Misconception(
                lambda centers, t: int(losses.distinct_centers(centers[None], threshold=(2 * t) ** 0.5).counts[0]),
                "You compared 1 - cosine with the threshold. The threshold is a distance, and the squared distance is "
                "2 - 2 cosine.",
            ),
        },
    ),
    Exercise(
        "4.4",
        "two centers on the circle",
        _angle_cases,
        {
            "half the angle": Misconception(
                lambda angle, t: _left(angle, t) / 2,
                "That is the angle from the middle to one center. The task asks for the angle between the two.",
            ),
            "the wish was not halved": Misconception(
                _not_halved,
                "phi is the angle from the middle to one wish: half of what is given.",
            ),
            "past zero": Misconception(
                lambda angle, t: (
                    2
                    * math.degrees(math.atan2(math.sin(math.radians(angle / 2)) - t, math.cos(math.radians(angle / 2))))
                ),
                "Your centers pass one another once t exceeds sin(phi). They stay together: the numerator stops at 0.",
            ),
            "the squared price": Misconception(
                _left_squared,
                "That is the squared price: your centers never meet.",
            ),
            "as on the line": Misconception(
                lambda angle, t: angle * max(1 - t / math.sin(math.radians(angle) / 2), 0.0),
                "You shrank the angle as (4.3) shrinks a distance. It meets at the right t, but on the circle it is "
                "sin(phi) that shrinks while cos(phi) stays: use the tangent.",
            ),
        },
    ),
    Exercise(
        "4.5",
        "how nearly they merge",
        _limit_cases,
        {
            "epsilon without its root": Misconception(
                lambda share, epsilon: epsilon * share / math.sqrt(1 - share**2),
                "d^2 is proportional to epsilon, so d is proportional to its root.",
            ),
            "epsilon divided out": Misconception(
                lambda share, epsilon: share / math.sqrt(1 - share**2),
                "That is d / root(epsilon). Asked for is d, which depends on epsilon.",
            ),
            "the share itself": Misconception(
                lambda share, epsilon: math.sqrt(epsilon) * share,
                "You set d / root(epsilon) = share, which is only right for small pulls. d stands under the root, too.",
            ),
            "without the root": Misconception(
                lambda share, epsilon: math.sqrt(epsilon) * share / (1 - share**2),
                "Square both sides and solve for d squared; then take the root of all of it, 1 - r^2 included.",
            ),
            "slope of d squared": Misconception(
                lambda share, epsilon: math.sqrt(epsilon) * share / math.sqrt(1 + share**2),
                "A sign: d^2 = r^2 (d^2 + epsilon) gives d^2 (1 - r^2) = r^2 epsilon.",
            ),
        },
    ),
)
