"""Searches that know no proof: for the best weights of triplets, and for five points that break the theorem."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F

from dmlbook._checks import above, bad_input, between, check_filled, check_lengths, checked, finite
from dmlbook._types import Float, Tensor
from dmlbook.seeding import SEED, generator


@checked(violations=finite, scale=between(0, 1e4))
def best_weights(violations: Float[Tensor, " C"], *, scale: float) -> tuple[float, Float[Tensor, " C"]]:
    """The largest scale * (weighted violation) + entropy that SciPy's SLSQP finds from equal weights, and where.

    It is given the objective and the two conditions, weights >= 0 that sum to 1, and nothing of softmax.

    Example:
        >>> value, weights = best_weights(torch.tensor([0.0, 0.5], dtype=torch.float64), scale=2.0)
        >>> round(value, 4), [round(weight, 4) for weight in weights.tolist()]  # log(1 + e), and softmax of (0, 1)
        (1.3133, [0.2689, 0.7311])
    """
    from scipy.optimize import minimize  # slow to import

    check_filled(violations=violations)
    v = violations.double()

    def minus_objective(u: np.ndarray) -> float:
        weights = torch.from_numpy(u)
        return -float(scale * weights @ v + torch.special.entr(weights).sum())

    conditions = {"bounds": [(0, 1)] * len(v), "constraints": {"type": "eq", "fun": lambda u: u.sum() - 1}}
    found = minimize(minus_objective, [1 / len(v)] * len(v), method="SLSQP", tol=1e-12, **conditions)
    return -float(found.fun), torch.from_numpy(found.x)


@checked(eps=between(0, 2))
def five_points(free: Float[Tensor, "5 S D"], eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of any vectors: unit x_i, w_y, w_k, and unit x_j, x_k at distance ``eps`` from the two centers, (S, D) each.

    Example:
        >>> x, own, other, near_own, near_other = five_points(torch.eye(3).repeat(2, 1)[:5, None], 1.0)
        >>> (near_own - own).norm(), (near_other - other).norm()
        (tensor(1.), tensor(1.))
    """
    if free.shape[-1] < 2:
        raise bad_input("free", "have two dimensions or more", free.shape[-1], "On a line nothing can turn.")
    x, own, other, *towards = F.normalize(free, dim=-1)
    turn, examples = 2 * math.asin(eps / 2), []  # the angle between two unit vectors at distance eps
    for center, direction in zip((own, other), towards, strict=True):
        sideways = direction - (direction * center).sum(-1, keepdim=True) * center  # at right angles to the center
        examples.append(math.cos(turn) * center + math.sin(turn) * F.normalize(sideways, dim=-1))
    return x, own, other, examples[0], examples[1]


@checked
def measure(
    x: Float[Tensor, "... D"],
    own: Float[Tensor, "... D"],
    other: Float[Tensor, "... D"],
    near_own: Float[Tensor, "... D"],
    near_other: Float[Tensor, "... D"],
) -> tuple[Tensor, Tensor]:
    """Margin over the centers and gap between the examples, of each five points.

    Example:
        >>> east, north = torch.eye(2)
        >>> measure(east, east, north, north, north)  # the center is ahead by 1, the example by nothing
        (tensor(1.), tensor(0.))
    """
    check_lengths(x=x, own=own, other=other, near_own=near_own, near_other=near_other)
    return (x * (own - other)).sum(-1), (x * (near_own - near_other)).sum(-1)


@checked(
    dimension=between(2, 1000),
    eps=between(0, 2),
    length=above(0),
    searches=between(1, 100_000),
    steps=between(1, 100_000),
)
def attack(
    dimension: int,
    eps: float,
    *,
    length: float = 1.0,
    price: float | Float[Tensor, " S"] = 1.0,
    searches: int = 256,
    steps: int = 300,
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Descend on gap - price * margin from random starts.

    Args:
        dimension: D, at least 2.
        eps: Distance of the two examples from their centers.
        length: Of x_i; the theorem needs at most 1.
        price: One for all searches, or one a search.
        searches: How many.
        steps: Of Adam.

    Returns:
        Margins and gaps at the start, and those at the end, (S,) each.

    Raises:
        ValueError: A number is out of range, or there are not as many prices as searches.
    """
    prices = torch.as_tensor(price, dtype=torch.float64)
    if prices.ndim and len(prices) != searches:
        raise bad_input("price", f"be one, or one for each of {searches} searches", len(prices), "Give as many.")
    random = generator(SEED, "attack", dimension, eps, length)
    free = torch.randn(5, searches, dimension, generator=random, dtype=torch.float64).requires_grad_()
    adam = torch.optim.Adam([free], lr=0.05)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)

    def look() -> tuple[Tensor, Tensor]:
        x, *others = five_points(free, eps)
        return measure(length * x, *others)

    start = tuple(values.detach() for values in look())
    for _ in range(steps):
        margin, gap = look()
        adam.zero_grad()
        (gap - prices * margin).sum().backward()
        adam.step()
        slower.step()
    return start, tuple(values.detach() for values in look())


@checked(delta=between(-2, 2), eps=between(0, 2))
def tight_case(delta: float, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Five unit vectors of the plane with this margin whose gap is the smallest that there is.

    Args:
        delta: The margin x_i . w_y - x_i . w_k.
        eps: The distance of x_j from w_y, and of x_k from w_k.

    Returns:
        x_i (in the east), w_y, w_k, x_j, x_k: the centers opposite each other, each example turned from its own.

    Raises:
        ValueError: A number is out of range.

    Source: derived in chapter 2.

    Example:
        >>> margin, gap = measure(*tight_case(0.5, 0.5))
        >>> round(float(margin), 4), round(float(gap), 4)  # margin - 2 eps: at delta = eps nothing is given away
        (0.5, -0.5)
    """
    tilt, turn, right = math.asin(delta / 2), 2 * math.asin(eps / 2), math.pi / 2
    angles = (0.0, right - tilt, -right - tilt, right - tilt + turn, -right - tilt + turn)
    points = torch.tensor([[math.cos(angle), math.sin(angle)] for angle in angles], dtype=torch.float64)
    return tuple(points)
