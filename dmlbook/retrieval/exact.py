"""Distances without rounding error, so that ties are ties: in any order of the images, any block, on any device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from dmlbook._checks import bad_input, check_batch, check_choice, check_number
from dmlbook._types import Float, Int, Tensor

METRICS = ("cosine", "euclidean")
GRID = 2.0**25
"""Coordinates are rounded to multiples of 1 / GRID of (at most twice) the largest norm."""
FARTHEST = 1000.0
"""The largest norm may exceed the median one by this factor; beyond it the grid would be too coarse for the others."""


def sum_in_fixed_order(terms: Float[Tensor, "N M"]) -> Float[Tensor, " N"]:
    """Row sums by halving: every rounding is known. ``Tensor.sum`` may add in another order in another block."""
    while terms.shape[1] > 1:
        half = terms.shape[1] // 2
        terms = torch.cat([terms[:, :half] + terms[:, half : 2 * half], terms[:, 2 * half :]], dim=1)
    return terms[:, 0]


def grid_points(embeddings: Float[Tensor, "N D"], metric: str) -> Float[Tensor, "N D"]:
    """Embeddings as float64 on a grid, no norm above 1, so that their squared distances have no rounding error.

    A float64 holds every sum of products of multiples of 2^-25 up to 1: it does not matter in which order a matrix
    product adds them. Nothing real is lost: a float32 embedding of unit norm carries errors above 2^-25 itself.

    Args:
        embeddings: Finite, of any floating type.
        metric: ``"cosine"`` puts them on the unit sphere, where the order by distance is the order by cosine.
            ``"euclidean"`` moves their median to the origin and scales by a power of two: integers stay exact.

    Raises:
        ValueError: An embedding is zero (cosine), or lies over 1000 times as far out as the median one (Euclidean).
    """
    device = "cpu" if embeddings.device.type == "mps" else embeddings.device  # Apple's GPUs have no float64
    points = embeddings.detach().to(device, torch.float64)
    if metric == "cosine":
        largest = points.abs().amax(1, keepdim=True)
        zero = (largest[:, 0] == 0).nonzero().flatten()
        if len(zero):
            got = f"{len(zero)} zero vectors, the first at index {int(zero[0])}"
            raise bad_input("embeddings", "have a direction", got, 'Find out why, or use metric="euclidean".')
        points = points / largest  # no square overflows or vanishes
        points = points / sum_in_fixed_order(points * points).sqrt()[:, None]
        return (points * GRID).round() / GRID
    points = points / _power_of_two(float(points.abs().max()))
    points = points - points.sort(dim=0).values[(len(points) - 1) // 2]  # the median: the same in every order
    norms = sum_in_fixed_order(points * points).sqrt()
    largest = float(norms.max())
    if largest == 0:  # all in one place
        return points
    typical = float(norms[norms > 0].median())
    if largest > FARTHEST * typical:
        got = f"index {int(norms.argmax())} at {largest / typical:.3g} times"
        rule = f"lie within {FARTHEST:g} times the median distance from their middle"
        raise bad_input("embeddings", rule, got, 'Look at that image, or use metric="cosine".')
    return (points / (2 * _power_of_two(largest)) * GRID).round() / GRID


def _power_of_two(number: float) -> float:
    """The largest power of two that is not above ``number``: to divide by it changes no digit."""
    return math.ldexp(1.0, math.frexp(number)[1] - 1) if number else 1.0


@dataclass(frozen=True)
class Sorted:
    """A set ready for ranking, its images brought into the order of their classes, small classes first.

    ``left @ right.T`` is minus the squared distance of every pair, exactly, self-pairs included.

    Attributes:
        left: Rows (2x, -|x|^2, -1), (N, D + 2).
        right: Rows (x, 1, |x|^2), (N, D + 2).
        classes: Class of each image (N,), ascending from 0.
        sizes: Images of each class (C,), ascending.
    """

    left: Float[Tensor, "N E"]
    right: Float[Tensor, "N E"]
    classes: Int[Tensor, " N"]
    sizes: Int[Tensor, " C"]

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def queries(self) -> slice:
        """Images that have a match. Those without one come first: their classes are the smallest."""
        return slice(int((self.sizes == 1).sum()), len(self))


def check_set(embeddings: Tensor, labels: Tensor, metric: str = "cosine", block: int = 1) -> None:
    """What every measure here asks of its input: a finite batch, a known metric, and a class of two images."""
    check_batch(embeddings, labels)
    check_choice(choices=METRICS, metric=metric)
    check_number(low=1, integer=True, block=block)
    if embeddings.shape[1] == 0:
        raise bad_input("embeddings", "have a dimension", "shape (N, 0)", "Pass one vector per image.")
    broken = (~torch.isfinite(embeddings)).any(1).nonzero().flatten()
    if len(broken):
        got = f"{len(broken)} rows with NaN or infinity, the first at index {int(broken[0])}"
        raise bad_input("embeddings", "be finite", got, "Training diverged, or those images are broken.")
    if len(torch.unique(labels)) == len(labels):
        got = f"{len(labels)} images of {len(labels)} classes"
        raise bad_input("labels", "name some class twice", got, "Nothing can be retrieved: pass more images.")


def sort_by_class(embeddings: Tensor, labels: Tensor, metric: str, block: int) -> Sorted:
    """Check the input and bring it into the form that the measures work on. Labels may be any integers."""
    check_set(embeddings, labels, metric, block)
    points = grid_points(embeddings, metric)
    _, classes, sizes = torch.unique(labels.to(points.device), return_inverse=True, return_counts=True)
    by_size = sizes.argsort(stable=True)
    classes = by_size.argsort()[classes]  # numbered anew, small classes first
    order = classes.argsort(stable=True)
    points, classes = points[order], classes[order]
    norms = (points * points).sum(1, keepdim=True)  # exact, like every sum of products from here on
    one = torch.ones_like(norms)
    left, right = torch.cat([2 * points, -norms, -one], 1), torch.cat([points, one, norms], 1)
    return Sorted(left, right, classes, sizes[by_size])
