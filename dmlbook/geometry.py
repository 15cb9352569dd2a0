"""Lengths, angles and point sets: what every loss and every retrieval measure is made of."""

from __future__ import annotations

import torch

from dmlbook import seeding
from dmlbook._checks import at_least, bad_input, check_memory, checked
from dmlbook._types import Float, Tensor

QUICK_FROM = 2000
"""Classes beyond which ``kmeans_on_sphere`` takes the quick way."""


@checked
def normalize(vectors: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
    """Each vector divided by its length, whatever the length: the one rule for every loss that works on the sphere.

    A vector of length 0 has no direction: it stays 0, and its gradient is 0, so that no step moves it. Every other one
    gets length 1, and its gradient grows as one over its length. NaN and infinity make the whole vector NaN.

    The vector is first scaled by a power of two, which is exact: otherwise squares of entries above 1e19 would overflow
    in float32, and those below 1e-22 would be lost. Peers divide by the length or 1e-12, whichever is larger: equal to
    the last bit from there on, while a vector of length 0 gets a gradient of up to 1e12.

    Example:
        >>> normalize(torch.tensor([[3.0, 4.0], [3e20, 4e20], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    if vectors.device.type == "cpu" and torch._C._functorch.maybe_current_level() is None:  # else the look would cost
        lengths = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
        seen = lengths.detach()
        if not bool(((seen < 1e-15) | (seen > 1e18)).any()):
            return vectors / lengths  # the same to the last bit, in half the time
    largest = vectors.detach().abs().amax(-1, keepdim=True)
    power = largest / (2 * torch.frexp(largest).mantissa)  # the power of two just below; 0 / 0 at 0
    zero = largest == 0
    scaled = vectors / power.masked_fill(zero, torch.inf)  # entries up to 2, or 0
    return scaled / torch.linalg.vector_norm(scaled + zero, dim=-1, keepdim=True)  # of 0 a length has no derivatives


@checked
def cosines(left: Float[Tensor, "N D"], right: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    """Cosine of the angle between each vector of ``left`` and each of ``right``, in [-1, 1] up to rounding.

    Raises:
        ValueError: The two are not (N, D) and (M, D).

    Example:
        >>> cosines(torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
        tensor([[1., 0.]])
    """
    _check_precision(left, right)
    return normalize(left) @ normalize(right).T


@checked
def squared_distances(left: Float[Tensor, "N D"], right: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    """Squared Euclidean distance between each vector of ``left`` and each of ``right``, >= 0.

    One matrix product. Rounding leaves an error of about 1e-7 times the squared lengths (float32): harmless here,
    but its square root would be wrong by 3e-4 between points that coincide, so ``distances`` is computed otherwise.

    Raises:
        ValueError: The two are not (N, D) and (M, D).
    """
    _check_precision(left, right)
    lengths = left.square().sum(-1)[:, None] + right.square().sum(-1)[None, :]  # (N, M)
    return (lengths - 2 * left @ right.T).clamp(min=0)


@checked
def distances(left: Float[Tensor, "N D"], right: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    """Euclidean distance between each vector of ``left`` and each of ``right``.

    Taken from the differences, not from a matrix product: exact at 0, where the gradient is 0 and not infinite. Can be
    differentiated twice, and in forward mode.

    Raises:
        ValueError: The two are not (N, D) and (M, D).

    Example:
        >>> distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[5., 0.]])
    """
    _check_precision(left, right)
    return _Distances.apply(left, right)


def _check_precision(left: Tensor, right: Tensor) -> None:
    if left.dtype is not right.dtype:
        raise bad_input("right", f"be {left.dtype} as left is", right.dtype, "Convert one: right.to(left.dtype).")


class _Distances(torch.autograd.Function):
    """torch.cdist, which has neither a second derivative nor a forward one: here are both, and its own first one.

    What is to be differentiated again is taken from products: where two points are nearer than 1e-3 of their lengths,
    differentiate in float64.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(left: Tensor, right: Tensor) -> Tensor:
        return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)
        ctx.save_for_forward(*inputs, output)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        left, right, apart = ctx.saved_tensors
        if not torch.is_grad_enabled():  # exact also where two points nearly coincide
            back = torch.ops.aten._cdist_backward
            mirrored = gradient.mT.contiguous(), right.contiguous(), left.contiguous(), 2.0, apart.mT.contiguous()
            return back(gradient.contiguous(), left.contiguous(), right.contiguous(), 2.0, apart), back(*mirrored)
        pull = _over(gradient, apart)  # (N, M)
        return _pulled(pull, left, right), _pulled(pull.mT, right, left)

    @staticmethod
    def jvp(ctx, of_left: Tensor | None, of_right: Tensor | None) -> Tensor:
        left, right, apart = ctx.saved_tensors
        moved = torch.zeros_like(apart)
        if of_left is not None:
            moved = moved + (left * of_left).sum(-1, keepdim=True) - of_left @ right.mT
        if of_right is not None:
            moved = moved + (right * of_right).sum(-1)[..., None, :] - left @ of_right.mT
        return _over(moved, apart)


def _over(values: Tensor, apart: Tensor) -> Tensor:
    """Divided by the distance; 0 between points that coincide."""
    return (values / apart.where(apart > 0, 1)).where(apart > 0, 0)


def _pulled(pull: Tensor, ours: Tensor, others: Tensor) -> Tensor:
    """sum_j pull_ij (ours_i - others_j), without a tensor for each difference."""
    return pull.sum(-1, keepdim=True) * ours - pull @ others


@checked(num_classes=at_least(1), dimension=at_least(1))
def one_hot(num_classes: int, dimension: int) -> Float[Tensor, "C D"]:
    """The first ``num_classes`` coordinate axes: unit vectors, all sqrt(2) apart.

    Raises:
        ValueError: There are fewer dimensions than classes.
    """
    if dimension < num_classes:
        remedy = 'Raise the dimension, or choose "kmeans", which fits in any.'
        raise bad_input("dimension", f"be at least num_classes = {num_classes}", dimension, remedy)
    check_memory(float(num_classes) * dimension, "table", num_classes=num_classes, dimension=dimension)
    return torch.eye(num_classes, dimension)


@checked(num_classes=at_least(2), dimension=at_least(1))
def simplex(num_classes: int, dimension: int) -> Float[Tensor, "C D"]:
    """The corners of a regular simplex: unit vectors, all sqrt(2 C / (C - 1)) apart, the farthest that C can be.

    Returns:
        Unit vectors whose pairwise cosines all are -1 / (C - 1), in the first C - 1 of the dimensions.

    Raises:
        ValueError: ``dimension`` is below ``num_classes - 1``, or there are fewer than two classes.

    Source: classical; chapter 5 shows why no other unit vectors reach its smallest distance.

    Example:
        >>> simplex(2, 1).abs()
        tensor([[1.],
                [1.]])
    """
    if dimension < num_classes - 1:
        rule = f"be at least num_classes - 1 = {num_classes - 1}"
        remedy = 'Raise the dimension, or choose "kmeans", which fits in any.'
        raise bad_input("dimension", rule, dimension, remedy)
    numbers = 2.0 * num_classes * max(num_classes, dimension)  # each of eight bytes
    check_memory(numbers, "table", num_classes=num_classes, dimension=dimension)
    # Corner c differs from corners before it in axis c alone: the rows of a Cholesky factor of the wanted Gram matrix.
    gram = torch.full((num_classes, num_classes), -1.0 / (num_classes - 1), dtype=torch.float64)
    gram.fill_diagonal_(1.0)
    factor = torch.linalg.cholesky(gram[:-1, :-1])  # (C - 1, C - 1); the last corner is minus the sum of the others
    corners = torch.zeros(num_classes, dimension, dtype=torch.float64)
    corners[:-1, : num_classes - 1] = factor
    corners[-1] = -corners.sum(0)
    return normalize(corners).float()


@checked(num_classes=at_least(1), dimension=at_least(1), points_per_class=at_least(2))
def kmeans_on_sphere(
    num_classes: int, dimension: int, *, generator: torch.Generator | None = None, points_per_class: int = 100
) -> Float[Tensor, "C D"]:
    """Well spread unit vectors in any dimension: the k-means centers of random points of the unit sphere, normalized.

    Args:
        num_classes: How many, >= 1.
        dimension: Of what size, >= 1.
        generator: Draws the points and the start of k-means; None: the book's, made from ``SEED``.
        points_per_class: How many random points a center, >= 2. At most 50,000 are drawn in
            all, or two a center where these are more.

    Beyond ``QUICK_FROM`` classes k-means starts from random points, not from chosen ones (k-means++, which takes most
    of the time), and stops after 20 rounds: the spread is the same.

    Raises:
        ValueError: A number is out of range, or there are more classes than the sphere has room for: on a line, with
            ``dimension`` 1, it is two points.

    Source: one of the two ways to fix centroids in Do et al., CVPR 2019; how many points they drew is not known to us.
    """
    from sklearn.cluster import KMeans  # a second to import, and only this needs it

    if dimension == 1 and num_classes > 2:
        remedy = "A line has two directions: raise the dimension, or keep two classes."
        raise bad_input("dimension", "be at least 2 for more than two classes", dimension, remedy)
    generator = seeding.generator(seeding.SEED, "centers") if generator is None else generator
    count = max(2 * num_classes, min(50_000, points_per_class * num_classes))
    check_memory(float(count) * dimension, "table", num_classes=num_classes, dimension=dimension)
    points = normalize(torch.randn(count, dimension, generator=generator))
    state = int(torch.randint(2**31 - 1, (), generator=generator))
    quick = {"init": "random", "max_iter": 20} if num_classes > QUICK_FROM else {}
    found = KMeans(num_classes, n_init=1, random_state=state, **quick).fit(points.numpy())
    return normalize(torch.from_numpy(found.cluster_centers_)).float()
