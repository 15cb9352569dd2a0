"""Lengths, angles and point sets: what every loss and every retrieval measure is made of."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from dmlbook._checks import at_least, bad_input, checked
from dmlbook._types import Float, Tensor


@checked
def normalize(vectors: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
    """Each vector divided by its length. A vector of length 0 has no direction and stays 0.

    Example:
        >>> normalize(torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """
    return F.normalize(vectors, dim=-1)


@checked
def cosines(left: Float[Tensor, "N D"], right: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    """Cosine of the angle between each vector of ``left`` and each of ``right``, in [-1, 1] up to rounding.

    Raises:
        ValueError: The two are not (N, D) and (M, D).

    Example:
        >>> cosines(torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
        tensor([[1., 0.]])
    """
    return normalize(left) @ normalize(right).T


@checked
def squared_distances(left: Float[Tensor, "N D"], right: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    """Squared Euclidean distance between each vector of ``left`` and each of ``right``, >= 0.

    One matrix product. Rounding leaves an error of about 1e-7 times the squared lengths (float32): harmless here,
    but its square root would be wrong by 3e-4 between points that coincide, so ``distances`` is computed otherwise.

    Raises:
        ValueError: The two are not (N, D) and (M, D).
    """
    lengths = left.square().sum(-1)[:, None] + right.square().sum(-1)[None, :]  # (N, M)
    return (lengths - 2 * left @ right.T).clamp(min=0)


@checked
def distances(left: Float[Tensor, "N D"], right: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    """Euclidean distance between each vector of ``left`` and each of ``right``.

    Taken from the differences, not from a matrix product: exact at 0, where the gradient is 0 and not infinite.

    Raises:
        ValueError: The two are not (N, D) and (M, D).

    Example:
        >>> distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[5., 0.]])
    """
    return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")


@checked(num_classes=at_least(1), dimension=at_least(1))
def one_hot(num_classes: int, dimension: int) -> Float[Tensor, "C D"]:
    """The first ``num_classes`` coordinate axes: unit vectors, all sqrt(2) apart.

    Raises:
        ValueError: There are fewer dimensions than classes.
    """
    if dimension < num_classes:
        remedy = 'Raise the dimension, or choose "kmeans", which fits in any.'
        raise bad_input("dimension", f"be at least num_classes = {num_classes}", dimension, remedy)
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
        generator: Draws the points and the start of k-means; None: torch's own.
        points_per_class: How many random points a center, >= 2. At most 50,000 are drawn in all.

    Raises:
        ValueError: A number is out of range.

    Source: one of the two ways to fix centroids in Do et al., CVPR 2019; how many points they drew is not known to us.
    """
    from sklearn.cluster import KMeans  # a second to import, and only this needs it

    count = max(2 * num_classes, min(50_000, points_per_class * num_classes))
    points = normalize(torch.randn(count, dimension, generator=generator))
    state = int(torch.randint(2**31 - 1, (), generator=generator))
    found = KMeans(num_classes, n_init=1, random_state=state).fit(points.numpy())
    return normalize(torch.from_numpy(found.cluster_centers_)).float()
