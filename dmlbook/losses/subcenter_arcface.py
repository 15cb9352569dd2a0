"""Sub-center ArcFace: HardTriple whose margin is an angle."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from dmlbook._checks import above, at_least, between, check_batch, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.losses.base import CenterLoss
from dmlbook.losses.softtriple import hardtriple_similarity

TINY = 1e-7
"""Least squared sine: below it, where image and center coincide or are opposite, a sine has no finite slope."""


@checked(margin=between(0, math.pi / 2))
def angular_margin(
    class_similarities: Float[Tensor, "B C"], labels: Int[Tensor, " B"], *, margin: float = 0.5
) -> Float[Tensor, "B C"]:
    """The similarities with cos(theta) of the own class replaced by cos(theta + margin): as if it were farther away.

    Args:
        class_similarities: Cosine of embedding b and class c, in [-1, 1].
        labels: Class numbers, 0 to C - 1.
        margin: m, in radians, 0 to pi / 2.

    Returns:
        Of the same shape. Where theta + m would pass pi, and its cosine would rise again, cos(theta) - m sin(m).

    Raises:
        ValueError: Shapes or labels do not fit, or the margin is out of range.

    Source: Deng et al., CVPR 2019 (ArcFace) and ECCV 2020 (Sub-center ArcFace). The last case is as in
    pytorch-metric-learning; the authors' mxnet code of the sub-center form leaves it out, and there an opposite image
    costs less than a merely distant one. Chapter 6.

    Example:
        >>> angular_margin(torch.tensor([[1.0, 0.0]]), torch.tensor([1]), margin=math.pi / 2)
        tensor([[ 1., -1.]])
    """
    labels = check_batch(class_similarities, labels, num_classes=class_similarities.shape[1])
    index = labels[:, None]
    cosine = class_similarities.gather(1, index)
    sine = (1 - cosine.square()).clamp(min=TINY).sqrt()
    moved = cosine * math.cos(margin) - sine * math.sin(margin)  # cos(theta + m)
    past = cosine < -math.cos(margin)  # theta > pi - m
    moved = torch.where(past, cosine - margin * math.sin(margin), moved)
    return class_similarities.scatter(1, index, moved)


class SubcenterArcFace(CenterLoss):
    """Several centers a class, the closest one counts, and the own class must win by an angle.

    Costs B C K D.

    Args:
        num_classes: C, >= 2.
        embedding_size: D, >= 1.
        centers_per_class: K, >= 1; 3 in the paper. K = 1 is ArcFace.
        scale: s, > 0; 64 in the paper.
        margin: m, in radians, 0 to pi / 2; 0.5 in the paper. With 0 the loss is HardTriple without its margin.
        generator: Draws the first centers; None: the book's.

    Source: Deng et al., ECCV 2020, without its second half (drop images far from the dominant sub-center and train
    plain ArcFace on the rest). There the further centers collect mislabelled images; SoftTriple's are for images
    labelled well that look different. Equal to pytorch-metric-learning's SubCenterArcFaceLoss. Chapter 6.
    """

    @checked(scale=above(0), margin=between(0, math.pi / 2), centers_per_class=at_least(1))
    def __init__(
        self,
        *,
        num_classes: int,
        embedding_size: int,
        centers_per_class: int = 3,
        scale: float = 64.0,
        margin: float = 0.5,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_size, centers_per_class, generator)
        self.scale, self.margin = scale, margin

    def compute(self, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        similarities = hardtriple_similarity(self.similarities(embeddings))
        return F.cross_entropy(self.scale * angular_margin(similarities, labels, margin=self.margin), labels)
