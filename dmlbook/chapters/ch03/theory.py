"""How an image leans on the centers of a class: its weights, the problem they solve, where SoftTriple moves them."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from dmlbook import losses
from dmlbook._checks import above, at_least, bad_input, check_batch, checked, finite
from dmlbook._types import Float, Int, Tensor


@checked(gamma=above(0))
def center_weights(similarities: Float[Tensor, "B C K"], *, gamma: float = 0.1) -> Float[Tensor, "B C K"]:
    """The weight q of each center: how much embedding b leans on center k when it is compared with class c.

    Args:
        similarities: Cosine of embedding b and center k of class c, in [-1, 1].
        gamma: Smoothing, in units of cosine, > 0. Towards 0: all weight on the closest center. Large: 1 / K for each.

    Returns:
        softmax(similarities / gamma) over the K centers: positive, of sum 1 for each embedding and class.

    Raises:
        ValueError: ``similarities`` is not (B, C, K), or ``gamma`` is not positive.

    Source: Qian et al., ICCV 2019, the q of SoftTriple's relaxed similarity. Chapter 3.

    Example:
        >>> center_weights(torch.tensor([[[0.8, 0.6]]]), gamma=0.1)
        tensor([[[0.8808, 0.1192]]])
    """
    return torch.softmax(similarities / gamma, dim=-1)


@checked(gamma=above(0))
def center_objective(
    weights: Float[Tensor, "B C K"], similarities: Float[Tensor, "B C K"], *, gamma: float = 0.1
) -> Float[Tensor, "B C"]:
    """Expected similarity under any weights, plus gamma times their entropy: what ``center_weights`` makes largest.

    Args:
        weights: Not negative, of sum 1 over the K centers; the entropy takes 0 log 0 as 0.
        similarities: Cosine of embedding b and center k of class c, in [-1, 1].
        gamma: Smoothing, in units of cosine, > 0.

    Returns:
        At most ``logsumexp_similarity(similarities, gamma=gamma)``, reached by ``center_weights`` alone; below it by
        gamma times the Kullback-Leibler divergence of ``weights`` from them.

    Raises:
        ValueError: Shapes do not fit, or ``gamma`` is not positive.

    Source: Qian et al., ICCV 2019, the problem that defines q. Chapter 3.

    Example:
        >>> center_objective(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.8, 0.6]]]))  # no entropy: 0.8 alone
        tensor([[0.8000]])
    """
    return (weights * similarities + gamma * torch.special.entr(weights)).sum(-1)


@checked(gamma=above(0))
def similarity_gradient(similarities: Float[Tensor, "B C K"], *, gamma: float = 0.1) -> Float[Tensor, "B C K"]:
    """The slope of SoftTriple's similarity S' in the similarity to each center.

    Not a set of weights: negative for every center whose cosine lies more than gamma below S'.

    Args:
        similarities: Cosine of embedding b and center k of class c, in [-1, 1].
        gamma: Smoothing, in units of cosine, > 0.

    Returns:
        q_k (1 + (s_k - S') / gamma), of sum 1 over the K centers.

    Raises:
        ValueError: ``similarities`` is not (B, C, K), or ``gamma`` is not positive.

    Source: derived from Qian et al., ICCV 2019; the paper does not print it. Chapter 3.

    Example:
        >>> similarity_gradient(torch.tensor([[[0.8, 0.6]]]), gamma=0.1)  # the second center is pushed away
        tensor([[[ 1.0908, -0.0908]]])
    """
    weights = center_weights(similarities, gamma=gamma)
    expected = (weights * similarities).sum(-1, keepdim=True)
    return weights * (1 + (similarities - expected) / gamma)


@checked(num_classes=at_least(2), scale=above(0), margin=finite)
def opposite_pairs_floor(num_classes: int, *, scale: float = 20.0, margin: float = 0.0) -> float:
    """The least mean loss that one center a class can reach on opposite pairs x and -x of images of one class.

    No choice of centers, of any number of dimensions, comes below it.

    Args:
        num_classes: C, >= 2.
        scale: lambda, > 0.
        margin: delta, in units of cosine.

    Returns:
        log(1 + (C - 1) exp(scale * margin)); without a margin log C, which is guessing.

    Raises:
        ValueError: A number is out of range.

    Source: derived here, by the Cauchy-Schwarz inequality. Chapter 3.

    Example:
        >>> round(opposite_pairs_floor(2), 4)
        0.6931
    """
    push = scale * margin + math.log(num_classes - 1)
    return max(push, 0.0) + math.log1p(math.exp(-abs(push)))  # log(1 + e^push), safe where e^push overflows


@checked(scale=above(0), gamma=above(0), margin=finite)
def softtriple_batch_loss(
    embeddings: Float[Tensor, "B D"],
    centers: Float[Tensor, "C K D"],
    labels: Int[Tensor, " B"],
    scale: float = 20.0,
    gamma: float = 0.1,
    margin: float = 0.01,
) -> Float[Tensor, ""]:
    """SoftTriple of a batch as one function of embeddings and centers: what exercise 3.1 builds.

    Args:
        embeddings: Of any length; they are normalized.
        centers: K for each of C classes, of any length; they are normalized.
        labels: The class of each embedding.
        scale: lambda, > 0.
        gamma: Smoothing, in units of cosine, > 0.
        margin: delta, in units of cosine.

    Returns:
        The mean over the batch.

    Raises:
        ValueError: Shapes do not fit, or a number is out of range.

    Source: Qian et al., ICCV 2019, without the regularizer. Chapter 3.

    Example:
        >>> centers = torch.tensor([[[0.8, 0.6], [0.6, 0.8]], [[0.6, -0.8], [0.28, -0.96]]])
        >>> softtriple_batch_loss(torch.tensor([[2.0, 0.0]]), centers, torch.tensor([0]))
        tensor(0.0277)
    """
    labels = check_batch(embeddings, labels, num_classes=len(centers))
    if embeddings.dtype != centers.dtype:
        got = f"{centers.dtype} for {embeddings.dtype}"
        raise bad_input("centers", "have the embeddings' precision", got, "Call centers.to(embeddings.dtype).")
    cosines = torch.einsum("bd,ckd->bck", F.normalize(embeddings, dim=-1), F.normalize(centers, dim=-1))
    similar = losses.softtriple_similarity(cosines, gamma=gamma)
    return losses.margin_cross_entropy(similar, labels, scale=scale, margin=margin)
