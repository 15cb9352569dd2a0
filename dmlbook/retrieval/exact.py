"""Distances in their true order, so that ties are ties: in any order of the images, any block, on any device.

A matrix product says of nearly all pairs which is the nearer one, and how far it may be wrong. What it cannot tell is
settled in integers, without any rounding; the squared distance is rounded once, to float64. Two images are equally far
from a third where those 53 bits agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from dmlbook._checks import bad_input, check_batch, check_choice, check_number
from dmlbook._types import Float, Int, Tensor

METRICS = ("cosine", "euclidean")
ROUNDING = 2.0**-53
"""Relative error of one operation in float64."""
SAMPLE = 256
"""Rows, at most, whose median is taken for the middle of a set."""
UNDERFLOW = 2.0**-1000
"""More than what all the products lose that are too small for a float64."""


def sum_in_fixed_order(terms: Float[Tensor, "N M"]) -> Float[Tensor, " N"]:
    """Row sums by halving: every rounding is known. ``Tensor.sum`` may add in another order in another block."""
    while terms.shape[1] > 1:
        half = terms.shape[1] // 2
        terms = torch.cat([terms[:, :half] + terms[:, half : 2 * half], terms[:, 2 * half :]], dim=1)
    return terms[:, 0]


def exact_points(embeddings: Float[Tensor, "N D"], metric: str) -> Float[Tensor, "N D"]:
    """Embeddings as the float64 numbers that are ranked, no coordinate above 1.

    Args:
        embeddings: Finite, of any floating type.
        metric: ``"cosine"`` puts them on the unit sphere, where the order by distance is the order by cosine: that
            rounds their directions, by about 1e-16. ``"euclidean"`` divides by a power of two: nothing is rounded
            (what is 1e150 times smaller than the largest coordinate may vanish when it is squared).

    Raises:
        ValueError: An embedding is zero (cosine).
    """
    device = "cpu" if embeddings.device.type == "mps" else embeddings.device  # Apple's GPUs have no float64
    points = embeddings.detach().to(device, torch.float64)
    if metric == "euclidean":
        exponent = math.frexp(float(points.abs().max()))[1]
        return points * 2.0 ** -(exponent // 2) * 2.0 ** -(exponent - exponent // 2)
    largest = points.abs().amax(1, keepdim=True)
    zero = (largest[:, 0] == 0).nonzero().flatten()
    if len(zero):
        got = f"{len(zero)} zero vectors, the first at index {int(zero[0])}"
        raise bad_input("embeddings", "have a direction", got, 'Find out why, or use metric="euclidean".')
    points = points / largest  # no square overflows or vanishes, and multiples of one row become equal
    return points / _lengths(points)[:, None]


def _lengths(points: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
    """Of rows without a coordinate above 1: sums of whole numbers, so that the coordinates' order does not matter."""
    squares, step = points * points, 2.0 ** (53 - math.ceil(math.log2(points.shape[1])))
    whole = (squares * step).round()
    rest = ((squares * step - whole) * step).round()
    return ((whole.sum(1) + rest.sum(1) / step) / step).sqrt()


@dataclass(frozen=True)
class Sorted:
    """A set ready for ranking, its images brought into the order of their classes, small classes first.

    Attributes:
        points: What is ranked, (N, D), no coordinate above 1.
        shifted: For quick products: rows (x, 1, |x|^2), (N, D + 2), x the points around their rough middle.
        classes: Class of each image (N,), ascending from 0.
        sizes: Images of each class (C,), ascending.
    """

    points: Float[Tensor, "N D"]
    shifted: Float[Tensor, "N E"]
    classes: Int[Tensor, " N"]
    sizes: Int[Tensor, " C"]

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def queries(self) -> slice:
        """Images that have a match. Those without one come first: their classes are the smallest."""
        return slice(int((self.sizes == 1).sum()), len(self))

    def similarities(self, rows: slice | Tensor, cols: slice | Tensor) -> Float[Tensor, "R S"]:
        """Minus the squared distances, quickly; ``slack`` says how well."""
        x = self.shifted[rows]
        left = torch.cat([2 * x[:, :-2], -x[:, -1:], -x[:, -2:-1]], 1)  # (2x, -|x|^2, -1)
        return left @ self.shifted[cols].T

    def slack(self, similarities: Float[Tensor, " R"], rows: slice | Tensor) -> Float[Tensor, " R"]:
        """How far another of the quick similarities must be from this one to be surely on that side of it.

        A product of D + 2 terms errs by at most (2D + 8) roundings of (|x| + |y|)^2, the lengths and the shift
        included, in whatever order it is added; and (|x| + |y|)^2 <= 8 |x|^2 + 2 |x - y|^2. Two of them err twice.
        """
        error = (2 * self.points.shape[1] + 8) * ROUNDING
        return 2.1 * (error * (8 * self.shifted[rows, -1] + 2 * similarities.abs()) + UNDERFLOW)

    def settled(self, rows: Int[Tensor, " R"], cols: Int[Tensor, " S"]) -> Float[Tensor, "R S"]:
        """Minus the squared distances, rounded once: the same for the same two points in any set and block.

        Coordinates become integers of so many bits that a float64 holds every sum of their products.
        """
        bits = (53 - math.ceil(math.log2(self.points.shape[1]))) // 2
        one, other = _digits(self.points[rows], bits), _digits(self.points[cols], bits)
        levels = [0] * (len(one) + len(other) + abs(len(one) - len(other)) - 1)
        for digits, column in ((one, True), (other, False)):
            for i, x in enumerate(digits):
                for j, y in enumerate(digits):
                    squares = (x * y).sum(1).long()
                    levels[i + j] = levels[i + j] + (squares[:, None] if column else squares)
        for i, x in enumerate(one):
            for j, y in enumerate(other):
                levels[i + j] = levels[i + j] - 2 * (x @ y.T).long()
        carry, value = 0, 0.0
        for level in reversed(levels):  # the smallest first
            level = level + carry
            carry = level >> bits
            value = (value + (level - (carry << bits)).double()) / 2**bits
        return -(carry.double() + value) / 2**bits


def _digits(points: Float[Tensor, "N D"], bits: int) -> list[Tensor]:
    """Coordinates in base 2^bits, as many digits as they need: whole numbers of at most 2^bits, the largest first."""
    digits, rest = [], points * 2**bits
    while not digits or rest.any():
        digits.append(rest.round())
        rest = (rest - digits[-1]) * 2**bits
    return digits


def check_set(embeddings: Tensor, labels: Tensor, metric: str = "cosine", block: int = 1) -> Tensor:
    """What every measure here asks of its input: a finite batch, a known metric, and a class of two images.

    Returns:
        The labels as int64.
    """
    labels = check_batch(embeddings, labels)
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
    return labels


def sort_by_class(embeddings: Tensor, labels: Tensor, metric: str, block: int) -> Sorted:
    """Check the input and bring it into the form that the measures work on. Labels may be any integers."""
    labels = check_set(embeddings, labels, metric, block)
    points = exact_points(embeddings, metric)
    _, classes, sizes = torch.unique(labels.to(points.device), return_inverse=True, return_counts=True)
    by_size = sizes.argsort(stable=True)
    classes = by_size.argsort()[classes]  # numbered anew, small classes first
    order = classes.argsort(stable=True)
    points, classes = points[order], classes[order]
    middle = points[:: -(-len(points) // SAMPLE)].median(dim=0).values
    x = points - middle  # products err less where rows are short
    norms = (x * x).sum(1, keepdim=True)
    return Sorted(points, torch.cat([x, torch.ones_like(norms), norms], 1), classes, sizes[by_size])
