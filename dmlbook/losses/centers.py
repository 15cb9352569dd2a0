"""The centers of a class: their distances, the price that merges them, how many are left, and whose an image is."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dmlbook._checks import above, at_least, bad_input, check_batch, check_finite, checked
from dmlbook._types import Float, Int, Tensor

EPSILON = 1e-5
"""Added under the regularizer's square root, as in the official code: 0.003 of distance between merged centers."""


@checked(epsilon=at_least(0))
def center_distances(centers: Float[Tensor, "*batch K D"], *, epsilon: float = EPSILON) -> Float[Tensor, "*batch P"]:
    """Distance of each pair of centers of one class, as the regularizer takes it: with epsilon under the root.

    Args:
        centers: Unit vectors, K >= 2 for each class.
        epsilon: Added under the root, >= 0. At 0 the gradient of a pair that coincides is not a number.

    Returns:
        sqrt(2 + epsilon - 2 w_s . w_t) for the P = K (K - 1) / 2 pairs t < s, in float32 or float64.
        ``center_regularizer`` is half their mean.

    Unit vectors in float32 have squared lengths that are off by up to 5e-7 (2,048 dimensions), and products in TF32 or
    bfloat16 are off by 1e-3: both would reach the epsilon under the root, and beyond. So products are taken in float64
    whatever torch's settings, and where the lengths' rounding leaves less than half of epsilon, half of it is taken;
    the gradient of a pair is that of the formula with such a root, by each of its centers at most sqrt(2 / epsilon)
    long, so it stays finite.

    Raises:
        ValueError: ``centers`` has fewer than two axes or one center, or ``epsilon`` is negative.

    Source: Qian et al., ICCV 2019, the terms of R; epsilon as in the official code. Chapter 4.

    Example:
        >>> center_distances(torch.eye(2), epsilon=0.0)
        tensor([1.4142])
    """
    per_class = centers.shape[-2]
    if per_class < 2:
        got = f"shape {tuple(centers.shape)}"
        raise bad_input("centers", "be a tensor (..., K, D) with K >= 2", got, "A pair needs two centers.")
    first, second = torch.triu_indices(per_class, per_class, 1, device=centers.device)
    exact = centers if centers.device.type == "mps" else centers.double()  # Apple's GPUs have no float64, nor TF32
    with torch.autocast(centers.device.type, enabled=False):
        inner = (exact @ exact.mT)[..., first, second]  # no center is compared with those of other classes
    root = 2 + epsilon - 2 * inner
    kept = root + (root.clamp(min=epsilon / 2) - root).detach()
    return kept.sqrt().to(centers.dtype if centers.dtype == torch.float64 else torch.float32)


@checked(epsilon=at_least(1e-6))
def center_regularizer(centers: Float[Tensor, "C K D"], *, epsilon: float = EPSILON) -> Float[Tensor, ""]:
    """Half the mean distance between two centers of one class: small where spare centers have merged.

    Costs C K^2 D: no center is compared with those of other classes.

    Args:
        centers: Unit vectors, K for each of C classes.
        epsilon: Added under the root, > 0, so that the gradient stays finite where centers coincide.

    Returns:
        1 / (C K (K - 1)) times the sum over classes and pairs of sqrt(2 + epsilon - 2 w_s . w_t); 0 for K = 1.

    Raises:
        ValueError: ``centers`` is not (C, K, D), or ``epsilon`` is below 1e-6: there the rounding of unit vectors in
            float32 decides as much as it does.

    Source: Qian et al., ICCV 2019 (the L2,1 norm of center differences, normalized as in the objective), epsilon as
    in the official code. pytorch-metric-learning 2.9 adds the smallest positive number instead, which is lost beside
    2: there a pair at distance d is nearer by about epsilon / (2 d), and where two centers coincide the gradient is
    not a number. Chapter 4.

    Example:
        >>> center_regularizer(torch.eye(2)[None])  # two orthogonal centers: sqrt(2) / 2
        tensor(0.7071)
    """
    per_class = centers.shape[1]
    if per_class == 1:
        return centers.sum() * 0.0
    return center_distances(centers, epsilon=epsilon).mean() / 2


@dataclass(frozen=True)
class CenterReport:
    """How many distinct centers each class has kept.

    Attributes:
        threshold: Centers closer than this (Euclidean distance of unit vectors, in [0, 2]) count as one.
        counts: Distinct centers of each class (C,), 1 to K.
        groups: To which distinct center each center belongs (C, K), numbered from 0 within its class.
    """

    threshold: float
    counts: Int[Tensor, " C"]
    groups: Int[Tensor, "C K"]

    def __str__(self) -> str:
        classes, per_class = self.groups.shape
        sizes, classes_of = torch.unique(self.counts, return_counts=True)
        table = ", ".join(f"{n} in {c}" for n, c in zip(sizes.tolist(), classes_of.tolist(), strict=True))
        mean = self.counts.double().mean()
        return (
            f"distinct centers of {per_class}, at distance {self.threshold:g}: "
            f"mean {mean:.2f} over {classes} classes (centers in classes: {table})"
        )


@checked(threshold=above(0, up_to=2))
def distinct_centers(centers: Float[Tensor, "C K D"], *, threshold: float = 0.1) -> CenterReport:
    """Count each class's distinct centers: two are one if a chain of steps shorter than ``threshold`` joins them.

    Args:
        centers: Unit vectors, K for each of C classes.
        threshold: Euclidean distance of unit vectors, in (0, 2]; 0.1 is an angle of 5.7 degrees.

    Raises:
        ValueError: ``centers`` is not (C, K, D) or not finite, or ``threshold`` is out of range.

    Source: none; the paper counts surviving centers and names no threshold, so ours is stated with each count.
    Chapter 4.

    Example:
        >>> print(distinct_centers(torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])))
        distinct centers of 3, at distance 0.1: mean 2.00 over 1 classes (centers in classes: 2 in 1)
    """
    check_finite(centers=centers)
    centers = centers.detach().double()
    per_class = centers.shape[1]
    joined = torch.cdist(centers, centers, compute_mode="donot_use_mm_for_euclid_dist") < threshold  # (C, K, K)
    for _ in range(max(per_class - 1, 1).bit_length()):  # each round doubles the length of the chains
        joined = (joined.double() @ joined.double()) > 0
    first = joined.int().argmax(-1)  # (C, K) the lowest-numbered center of each one's group
    leaders = first == torch.arange(per_class, device=centers.device)  # (C, K)
    groups = (leaders.cumsum(-1) - 1).gather(1, first)
    return CenterReport(threshold, leaders.sum(-1), groups)


@checked
def assigned_centers(
    embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"], centers: Float[Tensor, "C K D"]
) -> Int[Tensor, " B"]:
    """The number of the center of its own class that each embedding is closest to, 0 to K - 1.

    Args:
        embeddings: Of any length but 0.
        labels: Classes, 0 to C - 1.
        centers: Unit vectors.

    Raises:
        ValueError: Shapes or labels do not fit, or an embedding or a center is not finite.

    Source: where q of Qian et al., ICCV 2019, is largest. Chapter 4.

    Example:
        >>> assigned_centers(torch.eye(2), torch.tensor([0, 0]), torch.eye(2).flip(0)[None])
        tensor([1, 0])
    """
    labels = check_batch(embeddings, labels, num_classes=len(centers))
    check_finite(embeddings=embeddings, centers=centers)
    return torch.einsum("bd,bkd->bk", embeddings, centers[labels].to(embeddings.dtype)).argmax(-1)
