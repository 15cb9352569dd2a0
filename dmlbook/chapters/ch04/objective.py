"""SoftTriple's objective as one function of the centers' raw parameters: what an exercise asks for, and trains with."""

from __future__ import annotations

from torch.nn import functional as F

from dmlbook._checks import above, at_least, check_batch, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.losses.centers import center_regularizer
from dmlbook.losses.proxies import margin_cross_entropy
from dmlbook.losses.softtriple import softtriple_similarity


@checked(scale=above(0), gamma=above(0), tau=at_least(0))
def objective(
    centers: Float[Tensor, "C K D"],
    images: Float[Tensor, "B D"],
    labels: Int[Tensor, " B"],
    scale: float,
    gamma: float,
    tau: float,
) -> Float[Tensor, ""]:
    """SoftTriple's loss of a batch without a margin, and the price of its centers.

    Args:
        centers: Raw parameters of the centers, of any length but 0.
        images: Unit vectors.
        labels: Classes, 0 to C - 1.
        scale: lambda, > 0.
        gamma: Smoothing over the centers, > 0.
        tau: Weight of the price, >= 0.

    Raises:
        ValueError: Shapes or labels do not fit, or a number is out of range.

    Source: the objective of Qian et al., ICCV 2019. Chapter 4.

    Example:
        >>> corners = torch.eye(2)
        >>> objective(corners[:, None], corners, torch.tensor([0, 1]), 1.0, 0.1, 0.0)  # log(1 + exp(-1))
        tensor(0.3133)
    """
    labels = check_batch(images, labels, num_classes=len(centers))
    unit = F.normalize(centers.to(images.dtype), dim=-1)
    similarities = (images @ unit.flatten(0, 1).T).view(len(images), *unit.shape[:2])  # (B, C, K)
    soft = softtriple_similarity(similarities, gamma=gamma)
    return margin_cross_entropy(soft, labels, scale=scale, margin=0.0) + tau * center_regularizer(unit)
