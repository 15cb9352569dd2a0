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
    _check_directions(largest[:, 0])
    points = points / largest  # no square overflows or vanishes, and multiples of one row become equal
    return points / _lengths(points)[:, None]


def _check_directions(largest: Float[Tensor, " N"]) -> None:
    """Of each row the largest coordinate, in absolute value: one that is 0 throughout points nowhere."""
    zero = (largest == 0).nonzero().flatten()
    if len(zero):
        got = f"{len(zero)} zero vectors, the first at index {int(zero[0])}"
        raise bad_input("embeddings", "have a direction", got, 'Find out why, or use metric="euclidean".')


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
        classes: Class of each image (N,), ascending from 0; with a gallery ascending twice.
        sizes: Images of each class that are searched (C,), ascending.
        apart: Rows at the head that are queries alone, the others being their gallery; 0: all rows are both.
    """

    points: Float[Tensor, "N D"]
    shifted: Float[Tensor, "N E"]
    classes: Int[Tensor, " N"]
    sizes: Int[Tensor, " C"]
    apart: int = 0

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def queries(self) -> slice:
        """Images that ask and have a match. Those without one come first: their classes are the smallest."""
        stop, alone = self.apart or len(self), int(not self.apart)
        return slice(int((self.sizes[self.classes[:stop]] == alone).sum()), stop)

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


def check_set(
    embeddings: Tensor, labels: Tensor, metric: str = "cosine", block: int = 1, *, queries: bool = False
) -> Tensor:
    """What every measure here asks of its input: a finite batch, a known metric, and a class of two images.

    ``queries``: whether they search something else, so that each class may have one image.

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
    if not queries and len(torch.unique(labels)) == len(labels):
        got = f"{len(labels)} images of {len(labels)} classes"
        raise bad_input("labels", "name some class twice", got, "Nothing can be retrieved: pass more images.")
    return labels


def check_gallery(
    embeddings: Tensor, labels: Tensor, gallery: Tensor | None, gallery_labels: Tensor | None, metric: str = "cosine"
) -> Tensor:
    """What a gallery must be: embeddings as the queries', with labels of which one at least is a query's.

    Returns:
        Its labels as int64.
    """
    if gallery is None or gallery_labels is None:
        absent = "gallery" if gallery is None else "gallery_labels"
        raise bad_input(absent, "be given with the other", None, "Pass both, or neither for the images themselves.")
    try:
        found = check_set(gallery, gallery_labels, metric, queries=True)
        if metric == "cosine":
            _check_directions(gallery.detach().abs().amax(1))
    except ValueError as error:
        said = (
            str(error).replace(": embeddings must", ": gallery must").replace(": labels must", ": gallery_labels must")
        )
        raise ValueError(said) from error
    if gallery.shape[1] != embeddings.shape[1] or gallery.device != embeddings.device:
        got = f"{gallery.shape[1]} on {gallery.device} for {embeddings.shape[1]} on {embeddings.device}"
        raise bad_input("gallery", "have the dimensions and the device of the embeddings", got, "Embed both alike.")
    if not torch.isin(labels, found).any():
        got = f"none of the classes of {len(labels)} queries"
        raise bad_input("gallery_labels", "name a class of the queries", got, "Number the classes of both alike.")
    return found


def sort_by_class(
    embeddings: Tensor,
    labels: Tensor,
    metric: str,
    block: int,
    gallery: Tensor | None = None,
    gallery_labels: Tensor | None = None,
) -> Sorted:
    """Check the input and bring it into the form that the measures work on. Labels may be any integers."""
    within = gallery is None and gallery_labels is None
    labels = check_set(embeddings, labels, metric, block, queries=not within)
    apart = 0 if within else len(labels)
    if not within:
        labels = torch.cat([labels, check_gallery(embeddings, labels, gallery, gallery_labels, metric)])
        embeddings = torch.cat([embeddings.detach(), gallery.detach()])
    points = exact_points(embeddings, metric)
    _, classes = torch.unique(labels.to(points.device), return_inverse=True)
    sizes = torch.bincount(classes[apart:], minlength=int(classes.max()) + 1)
    by_size = sizes.argsort(stable=True)
    classes = by_size.argsort()[classes]  # numbered anew, small classes first
    order = torch.cat([classes[:apart].argsort(stable=True), apart + classes[apart:].argsort(stable=True)])
    points, classes = points[order], classes[order]
    middle = points[:: -(-len(points) // SAMPLE)].median(dim=0).values
    x = points - middle  # products err less where rows are short
    norms = (x * x).sum(1, keepdim=True)
    return Sorted(points, torch.cat([x, torch.ones_like(norms), norms], 1), classes, sizes[by_size], apart)
