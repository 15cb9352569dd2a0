"""Normalized SoftMax read as a smoothed triplet loss: the weights it puts on triplets, its limits, what it guarantees.

A triplet here is (image, center of its own class, center of another class). All functions are pure.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from dmlbook._checks import above, at_least, bad_input, check_batch, checked
from dmlbook._types import Float, Int, Tensor


@checked
def violations(similarities: Float[Tensor, "B C"], labels: Int[Tensor, " B"]) -> Float[Tensor, "B C"]:
    """By how much the center of class c beats the center of the own class: x . w_c - x . w_y.

    Args:
        similarities: Similarity of embedding b and center of class c; cosines in [-1, 1] for unit vectors.
        labels: Own classes y, 0 to C - 1.

    Returns:
        Violations, 0 at the own class. Positive: the wrong center is closer. Cosines give values in [-2, 2].

    Raises:
        ValueError: Shapes do not fit, or a label is no class.

    Source: the triplet constraint of Qian et al., ICCV 2019, with centers in the place of examples. Chapter 2.

    Example:
        >>> violations(torch.tensor([[0.5, 0.75, -0.25]]), torch.tensor([0]))
        tensor([[ 0.0000,  0.2500, -0.7500]])
    """
    labels = check_batch(similarities, labels, num_classes=similarities.shape[1])
    return similarities - similarities.gather(1, labels[:, None])


@checked
def hardest_violation(similarities: Float[Tensor, "B C"], labels: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    """The largest violation of each image, >= 0 because the own class counts with 0.

    Raises:
        ValueError: Shapes do not fit, or a label is no class.

    Source: the limit of normalized SoftMax for lambda towards infinity. Chapter 2.

    Example:
        >>> hardest_violation(torch.tensor([[0.5, 0.75], [0.5, 0.25]]), torch.tensor([0, 0]))
        tensor([0.2500, 0.0000])
    """
    return violations(similarities, labels).amax(1)


@checked(scale=above(0))
def smoothed_hardest(
    similarities: Float[Tensor, "B C"], labels: Int[Tensor, " B"], *, scale: float = 20.0
) -> Float[Tensor, " B"]:
    """Normalized SoftMax of each image divided by its scale: logsumexp(scale * violations) / scale.

    Args:
        similarities: Similarity of embedding b and center of class c.
        labels: Own classes.
        scale: lambda, > 0.

    Returns:
        Between the hardest violation and log(C) / scale above it, in units of cosine.

    Raises:
        ValueError: Shapes do not fit, a label is no class, or ``scale`` is not positive.

    Source: Qian et al., ICCV 2019, normalized SoftMax; the gap is derived in chapter 2.

    Example:
        >>> smoothed_hardest(torch.tensor([[0.0, 0.0]]), torch.tensor([1]), scale=1.0)  # log 2: guessing
        tensor([0.6931])
    """
    return torch.logsumexp(scale * violations(similarities, labels), 1) / scale


@checked(scale=above(0))
def smoothing_weights(similarities: Float[Tensor, "B C"], *, scale: float = 20.0) -> Float[Tensor, "B C"]:
    """The weights p of the triplets of each image: softmax(scale * similarities), which maximize the objective.

    Args:
        similarities: Similarity of embedding b and center of class c. Violations give the same weights.
        scale: lambda, > 0. Towards 0: all weights 1 / C. Towards infinity: all weight on the closest center.

    Returns:
        Rows >= 0 that sum to 1.

    Raises:
        ValueError: ``similarities`` is not (B, C), or ``scale`` is not positive.

    Source: Qian et al., ICCV 2019. Chapter 2.

    Example:
        >>> smoothing_weights(torch.tensor([[0.3, 0.3]]), scale=20.0)
        tensor([[0.5000, 0.5000]])
    """
    return torch.softmax(scale * similarities, dim=1)


@checked(scale=above(0))
def smoothed_objective(
    weights: Float[Tensor, "B C"],
    similarities: Float[Tensor, "B C"],
    labels: Int[Tensor, " B"],
    *,
    scale: float = 20.0,
) -> Float[Tensor, " B"]:
    """scale * (weighted sum of the violations) + entropy of the weights, whose maximum over p is normalized SoftMax.

    Args:
        weights: p, rows >= 0 that sum to 1.
        similarities: Similarity of embedding b and center of class c.
        labels: Own classes.
        scale: lambda, > 0.

    Returns:
        The objective in nats. It is the loss minus KL(p || softmax(scale * similarities)).

    Raises:
        ValueError: Shapes do not fit, a row of weights is no distribution, or ``scale`` is not positive.

    Source: Qian et al., ICCV 2019, SoftMax as a smoothed triplet loss. Chapter 2.

    Example:
        >>> smoothed_objective(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
        tensor([0.6931])
    """
    sums = weights.detach().sum(1)
    if bool((weights.detach() < 0).any()) or not torch.allclose(sums, torch.ones_like(sums), atol=1e-4):
        got = f"a smallest weight of {weights.min():.4g} and sums from {sums.min():.4g} to {sums.max():.4g}"
        raise bad_input("weights", "be >= 0 and sum to 1", got, "Apply softmax to them.")
    mean_violation = (weights * violations(similarities, labels)).sum(1)
    return scale * mean_violation + torch.special.entr(weights).sum(1)  # entr(0) is 0


@checked(scale=above(0))
def softmax_gradient(
    similarities: Float[Tensor, "B C"], labels: Int[Tensor, " B"], *, scale: float = 20.0
) -> Float[Tensor, "B C"]:
    """Gradient of each image's normalized SoftMax loss in its similarities: scale * (p - one-hot of the own class).

    Args:
        similarities: Similarity of embedding b and center of class c.
        labels: Own classes.
        scale: lambda, > 0.

    Returns:
        Rows that sum to 0: the own class has the only negative entry, -scale * (1 - p_y).

    Raises:
        ValueError: Shapes do not fit, a label is no class, or ``scale`` is not positive.

    Source: derived in chapter 2.

    Example:
        >>> softmax_gradient(torch.tensor([[0.0, 0.0]]), torch.tensor([0]), scale=2.0)
        tensor([[-1.,  1.]])
    """
    labels = check_batch(similarities, labels, num_classes=similarities.shape[1])
    own = F.one_hot(labels, similarities.shape[1]).to(similarities.dtype)
    return scale * (smoothing_weights(similarities, scale=scale) - own)


@checked(num_classes=at_least(2), scale=above(0))
def smallest_softmax_loss(num_classes: int, *, scale: float = 20.0) -> float:
    """The least mean loss of unit vectors in balanced classes: log(1 + (C - 1) exp(-scale * C / (C - 1))).

    Where classes differ in size, it is the least mean over the classes of their mean losses; the mean over the images
    can be lower.

    Args:
        num_classes: C, >= 2.
        scale: lambda, > 0.

    Returns:
        The floor in nats, < log C. A regular simplex with every image on its center attains it (D >= C - 1).

    Raises:
        ValueError: A number is out of range.

    Source: derived in chapter 2; a floor of this kind is in Wang et al., NormFace, 2017.

    Example:
        >>> round(smallest_softmax_loss(2, scale=1.0), 4)  # log(1 + e^-2)
        0.1269
    """
    return math.log1p((num_classes - 1) * math.exp(-scale * num_classes / (num_classes - 1)))


@checked(scale=above(0))
def margin_from_loss(loss: Float[Tensor, "*B"], *, scale: float = 20.0) -> Float[Tensor, "*B"]:
    """What an image's loss says about its margin: its own center wins by at least -log(e^loss - 1) / scale.

    Args:
        loss: Normalized SoftMax of single images (not a mean), >= 0. Use float64: a loss that was rounded to 0 would
            promise an infinite margin.
        scale: lambda, > 0, that of the loss.

    Returns:
        The margin in units of cosine; negative above log 2. Exact for two classes.

    Raises:
        ValueError: A loss is negative, or ``scale`` is not positive.

    Source: derived in chapter 2.

    Example:
        >>> margin_from_loss(torch.tensor([0.126928]), scale=1.0)  # log(1 + e^-2): two opposite centers
        tensor([2.])
    """
    if bool((loss.detach() < 0).any()):
        remedy = "Cross-entropy is never negative: look at its sign."
        raise bad_input("loss", "be >= 0", f"{loss.min():.4g}", remedy)
    return -(loss + torch.log(-torch.expm1(-loss))) / scale  # log(e^l - 1) without e^l, which overflows


@checked
def example_margin(margin: Float[Tensor, "*B"], radius: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """What a margin over centers leaves between examples that lie within ``radius`` of theirs: margin - 2 radius.

    Args:
        margin: delta = x_i . w_y - x_i . w_k, in [-2, 2].
        radius: eps, the largest distance of x_j and of x_k to their centers, in [0, 2].

    Returns:
        A lower bound of x_i . x_j - x_i . x_k for |x_i| <= 1. Above 0: x_i is more similar to x_j than to x_k.

    Raises:
        ValueError: A number is out of range.

    Source: Qian et al., ICCV 2019, the theorem from centers back to examples. Chapter 2.

    Example:
        >>> example_margin(torch.tensor([0.5]), torch.tensor([0.125]))
        tensor([0.2500])
    """
    _check_margin(margin, radius)
    return margin - 2 * radius


@checked
def sharp_example_margin(margin: Float[Tensor, "*B"], radius: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """The largest lower bound for unit vectors: 2 sin(arcsin(margin / 2) - 2 arcsin(radius / 2)), and at least -2.

    Args:
        margin: delta, in [-2, 2].
        radius: eps, in [0, 2].

    Returns:
        Attained by some five unit vectors, whatever the two numbers; never below ``example_margin``.

    Raises:
        ValueError: A number is out of range.

    Source: derived in chapter 2.

    Example:
        >>> sharp_example_margin(torch.tensor([0.5]), torch.tensor([0.5]))  # here margin - 2 radius is exact
        tensor([-0.5000])
    """
    _check_margin(margin, radius)
    angle = torch.arcsin(margin / 2) - 2 * torch.arcsin(radius / 2)
    return 2 * torch.sin(angle.clamp(min=-math.pi / 2))


def _check_margin(margin: Tensor, radius: Tensor) -> None:
    if margin.shape != radius.shape and margin.numel() != 1 != radius.numel():
        raise bad_input("radius", "be as many as the margins", tuple(radius.shape), "Give one for each.")
    for name, low, values, remedy in (
        ("margin", -2, margin.detach(), "It is a difference of two cosines."),
        ("radius", 0, radius.detach(), "It is a distance of two unit vectors."),
    ):
        if not bool(((values >= low) & (values <= 2)).all()):
            got = f"values from {values.min():.4g} to {values.max():.4g}"
            raise bad_input(name, f"lie in [{low}, 2]", got, remedy)
