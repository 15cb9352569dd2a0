"""Losses with one learned center a class: normalized SoftMax, and the cross-entropy that SoftTriple shares with it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from dmlbook._checks import above, check_batch, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.losses.base import CenterLoss


@checked(scale=above(0), margin=finite)
def margin_cross_entropy(
    class_similarities: Float[Tensor, "B C"], labels: Int[Tensor, " B"], *, scale: float = 20.0, margin: float = 0.0
) -> Float[Tensor, ""]:
    """Mean over the batch of -log softmax(scale * S)_y, where S is lowered by ``margin`` at the own class y.

    Args:
        class_similarities: Similarity of embedding b and class c, cosines in [-1, 1].
        labels: Class numbers, 0 to C - 1.
        scale: lambda, > 0. Towards infinity, divided by it, the loss is the hardest violation alone.
        margin: delta, in units of cosine: by how much the own class must win.

    Raises:
        ValueError: Shapes or labels do not fit, or ``scale`` is not positive.

    Source: Qian et al., ICCV 2019: normalized SoftMax (margin 0), and the outer form of HardTriple and SoftTriple.
    Chapters 2 and 3.

    Example:
        >>> margin_cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))  # log 2: guessing
        tensor(0.6931)
    """
    labels = check_batch(class_similarities, labels, num_classes=class_similarities.shape[1])
    own = F.one_hot(labels, class_similarities.shape[1]).to(class_similarities.dtype)
    return F.cross_entropy(scale * (class_similarities - margin * own), labels)


class NormalizedSoftmax(CenterLoss):
    """Cross-entropy on cosines: each class has one center, and an image belongs to the class whose center it is near.

    Costs B C D.

    Args:
        num_classes: C, >= 2.
        embedding_size: D, >= 1.
        scale: lambda, > 0.
        margin: delta, in units of cosine; 0 in the paper.
        generator: Draws the first centers; None: the book's.

    Source: Qian et al., ICCV 2019. Equal to pytorch-metric-learning's NormalizedSoftmaxLoss with temperature
    1 / scale. Chapter 2.
    """

    @checked(scale=above(0), margin=finite)
    def __init__(
        self,
        *,
        num_classes: int,
        embedding_size: int,
        scale: float = 20.0,
        margin: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_size, 1, generator)
        self.scale, self.margin = scale, margin

    def compute(self, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        similarities = self.similarities(embeddings)[:, :, 0]
        return margin_cross_entropy(similarities, labels, scale=self.scale, margin=self.margin)
