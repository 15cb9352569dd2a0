"""Losses with several learned centers a class: HardTriple and SoftTriple."""

from __future__ import annotations

import torch

from dmlbook._checks import above, at_least, checked, finite, one_of
from dmlbook._types import Float, Int, Tensor
from dmlbook.losses.base import CenterLoss
from dmlbook.losses.centers import CenterReport, center_regularizer, distinct_centers
from dmlbook.losses.proxies import margin_cross_entropy


@checked
def hardtriple_similarity(similarities: Float[Tensor, "B C K"]) -> Float[Tensor, "B C"]:
    """Similarity of each embedding to each class: that of the class's closest center.

    Args:
        similarities: Cosine of embedding b and center k of class c, in [-1, 1].

    Raises:
        ValueError: ``similarities`` is not (B, C, K).

    Source: Qian et al., ICCV 2019, S of HardTriple. Chapter 3.

    Example:
        >>> hardtriple_similarity(torch.tensor([[[1.0, 0.0]]]))
        tensor([[1.]])
    """
    return similarities.amax(-1)


@checked(gamma=above(0))
def softtriple_similarity(similarities: Float[Tensor, "B C K"], *, gamma: float = 0.1) -> Float[Tensor, "B C"]:
    """Similarity of each embedding to each class: its centers' similarities, averaged by how close they are.

    Args:
        similarities: Cosine of embedding b and center k of class c, in [-1, 1].
        gamma: Smoothing, in units of cosine, > 0. Towards 0: the closest center alone. Large: the plain mean, and
            about the variance over the centers, divided by gamma, above it.

    Returns:
        Expected similarity under ``softmax(similarities / gamma)`` over the K centers.

    Raises:
        ValueError: ``similarities`` is not (B, C, K), or ``gamma`` is not positive.

    Source: Qian et al., ICCV 2019, SoftTriple's relaxed similarity S'. Chapter 3.

    Example:
        >>> softtriple_similarity(torch.tensor([[[1.0, 0.0]]]), gamma=0.1)
        tensor([[1.0000]])
    """
    # A softmax written out: torch's own copies the tensor where K is not its innermost axis, which is slow on a CPU.
    closest = similarities.amax(-1, keepdim=True).detach()
    weights = ((similarities - closest) / gamma).exp()  # (B, C, K), 1 at the closest center
    return (weights * similarities).sum(-1) / weights.sum(-1)


@checked(gamma=above(0))
def logsumexp_similarity(similarities: Float[Tensor, "B C K"], *, gamma: float = 0.1) -> Float[Tensor, "B C"]:
    """The smoothed maximum gamma log sum_k exp(s_k / gamma): SoftTriple's similarity plus gamma times the entropy of q.

    Unlike SoftTriple's own, it never falls when a center comes closer.

    Args:
        similarities: Cosine of embedding b and center k of class c, in [-1, 1].
        gamma: Smoothing, in units of cosine, > 0.

    Returns:
        Between the maximum over the centers and that plus gamma log K.

    Raises:
        ValueError: ``similarities`` is not (B, C, K), or ``gamma`` is not positive.

    Source: the value of the problem that defines q in Qian et al., ICCV 2019; not the paper's loss. Chapter 3.
    """
    closest = similarities.amax(-1, keepdim=True).detach()
    return closest[..., 0] + gamma * ((similarities - closest) / gamma).exp().sum(-1).log()


class _SeveralCenters(CenterLoss):
    """HardTriple and SoftTriple: a similarity to each class, a margin cross-entropy, and the regularizer."""

    @checked(scale=above(0), tau=at_least(0), margin=finite)
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        centers_per_class: int,
        generator: torch.Generator | None,
        *,
        scale: float,
        margin: float,
        tau: float,
    ) -> None:
        super().__init__(num_classes, embedding_size, centers_per_class, generator)
        self.scale, self.margin, self.tau = scale, margin, tau

    def class_similarities(self, embeddings: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        """Similarity of each embedding to each class."""
        raise NotImplementedError

    def compute(self, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        similarities = self.class_similarities(embeddings)
        value = margin_cross_entropy(similarities, labels, scale=self.scale, margin=self.margin)
        if self.tau == 0 or len(self.weight) == 1:
            return value
        return value + self.tau * center_regularizer(self._unit_centers(value.dtype).to(value.dtype).transpose(0, 1))

    def report(self, *, threshold: float = 0.1) -> CenterReport:
        """How many distinct centers each class has kept: see ``distinct_centers``."""
        return distinct_centers(self.centers, threshold=threshold)


class HardTriple(_SeveralCenters):
    """Several centers a class, of which an image counts only the closest one.

    Costs B C K D.

    Args:
        num_classes: C, >= 2.
        embedding_size: D, >= 1.
        centers_per_class: K, >= 1.
        scale: lambda, > 0.
        margin: delta, in units of cosine.
        tau: Weight of the center regularizer, >= 0; HardTriple in the paper has none.
        generator: Draws the first centers; None: the book's.

    Source: Qian et al., ICCV 2019. Chapter 3.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        embedding_size: int,
        centers_per_class: int = 10,
        scale: float = 20.0,
        margin: float = 0.01,
        tau: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_size, centers_per_class, generator, scale=scale, margin=margin, tau=tau)

    @checked
    def class_similarities(self, embeddings: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        return hardtriple_similarity(self.similarities(embeddings))


class SoftTriple(_SeveralCenters):
    """Several centers a class, averaged by how close they are to the image; spare centers are merged.

    Costs B C K D, and C K^2 D for the regularizer.

    Args:
        num_classes: C, >= 2.
        embedding_size: D, >= 1.
        centers_per_class: K, >= 1. K = 1 is normalized SoftMax with a margin.
        scale: lambda, > 0.
        gamma: Smoothing over the centers, in units of cosine, > 0.
        tau: Weight of the center regularizer, >= 0.
        margin: delta, in units of cosine.
        similarity: ``"expected"``, the paper's, or ``"logsumexp"``, which never falls when a center comes closer.
        generator: Draws the first centers; None: the book's.

    Source: Qian et al., ICCV 2019; the defaults are its official code's. Equal to pytorch-metric-learning's
    SoftTripleLoss, with its SparseCentersRegularizer weighted by tau, but for epsilon: ``center_regularizer``.
    Chapters 3 and 4.
    """

    @checked(gamma=above(0), similarity=one_of("expected", "logsumexp"))
    def __init__(
        self,
        *,
        num_classes: int,
        embedding_size: int,
        centers_per_class: int = 10,
        scale: float = 20.0,
        gamma: float = 0.1,
        tau: float = 0.2,
        margin: float = 0.01,
        similarity: str = "expected",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_size, centers_per_class, generator, scale=scale, margin=margin, tau=tau)
        self.gamma, self.similarity = gamma, similarity

    @checked
    def class_similarities(self, embeddings: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        smooth = softtriple_similarity if self.similarity == "expected" else logsumexp_similarity
        return smooth(self.similarities(embeddings), gamma=self.gamma)
