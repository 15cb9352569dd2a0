"""Losses on the pairs of a batch that weigh all negatives smoothly: lifted structure and N-pairs."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from dmlbook._checks import above, at_least, bad_input, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.geometry import distances
from dmlbook.losses.base import Loss
from dmlbook.losses.masks import masks, pair_masks
from dmlbook.losses.mined import lost_distance, pair_counts
from dmlbook.losses.references import ITSELF, References, ends


@checked(margin=finite)
def lifted_mean(
    distances: Float[Tensor, "B M"],
    labels: Int[Tensor, " B"],
    ref_labels: Int[Tensor, " M"] | None = None,
    *,
    margin: float = 1.0,
) -> Float[Tensor, ""]:
    """Half the mean over positive pairs (i, j) of [J_ij]_+^2, where J weighs all negatives of both ends smoothly.

    J_ij = d_ij + log( sum_k exp(margin - d_ik) + sum_l exp(margin - d_jl) ), k and l over all images of other classes.
    Costs B M: the sums over negatives are one number a row. A reference is no anchor and has no row, so that against
    references the sum over k stands alone.

    Args:
        distances: Of each image (row) to each (column); Euclidean, not squared, in the paper.
        labels: Class numbers of the rows.
        ref_labels: Of the columns, where they are references. None: rows and columns are the same images.
        margin: alpha, in units of the distances.

    Returns:
        0 where no pair is positive, or no image has another class.

    Raises:
        ValueError: Shapes do not fit, or the margin is not a finite number.

    Source: Oh Song et al., CVPR 2016, the smooth form, as in its official code. Chapter 6.

    Example:
        >>> square = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 2.0], [2.0, 2.0, 0.0]])
        >>> lifted_mean(square, torch.tensor([0, 0, 1]))  # J = 1 + log(2 exp(-1)) = log 2
        tensor(0.2402)
    """
    positives, negatives = masks(distances, labels, ref_labels)
    reach = (margin - distances).masked_fill(~negatives, -torch.inf)
    squares = _squares(distances, reach, both=ref_labels is None).where(positives, 0)
    return squares.sum() / (2 * positives.sum().clamp(min=1))  # both orders of a pair are in both sums


def _squares(distances: Tensor, reach: Tensor, *, both: bool) -> Float[Tensor, "B M"]:
    """[J_ij]_+^2 of every pair. ``reach``: minus infinity where no negative is; ``both``: columns are rows."""
    push = torch.logsumexp(reach, dim=1)  # (B,), minus infinity where all are of one class
    of_ends = torch.logaddexp(push[:, None], push[None, :]) if both else push[:, None]
    return (distances + of_ends).clamp(min=0).square()


@checked
def npairs_mean(similarities: Float[Tensor, "P Q"]) -> Float[Tensor, ""]:
    """Mean over pairs i of log(1 + sum_j exp(s_ij - s_ii)): each anchor picks its positive among all pairs' positives.

    Args:
        similarities: Inner product of anchor i and the positive of pair j; every pair is of another class. Columns
            beyond the P pairs are further negatives, of classes that have no pair.

    Raises:
        ValueError: ``similarities`` has fewer columns than rows.

    Source: Sohn, NIPS 2016, the multi-class N-pair loss. It is a cross-entropy whose class weights are images.
    Chapter 6.

    Example:
        >>> npairs_mean(torch.zeros(2, 2))  # log 2: guessing
        tensor(0.6931)
    """
    rows, columns = similarities.shape
    if columns < rows:
        remedy = "Column i holds the positive of row i."
        raise bad_input("similarities", "have a column for each row", f"shape {tuple(similarities.shape)}", remedy)
    return F.cross_entropy(similarities, torch.arange(rows, device=similarities.device))


class LiftedStructure(Loss):
    """Pulls each positive pair together against a smooth maximum over all negatives of both of its ends.

    Args:
        margin: alpha, in units of distance; 1 in the paper.
        normalize: Whether embeddings are scaled to unit length first. The paper does not, and its hinge cannot close on
            the sphere: that takes a negative farther than the positive by margin + log(2 n), n negatives, and two unit
            vectors are at most 2 apart.

    Costs B^2 D. Against M references B M D, and the negatives are those of the anchor: a reference is no anchor and has
    none. A miner's pairs are the positives and negatives; one that is listed twice counts twice.

    Source: Oh Song et al., CVPR 2016; Euclidean distances, not squared, as in the official code. Its batches also pair
    each image with a second view of itself; ours do not. Without references equal to pytorch-metric-learning's
    LiftedStructureLoss, which scales embeddings to unit length unless its distance is told not to. Chapter 6.
    """

    compares_images = True
    images_per_class = 4

    @checked(margin=finite)
    def __init__(self, *, margin: float = 1.0, normalize: bool = False) -> None:
        super().__init__()
        self.margin, self.normalize = margin, normalize

    def compute(
        self,
        embeddings: Float[Tensor, "B D"],
        labels: Int[Tensor, " B"],
        references: References = ITSELF,
        mined: list[Tensor] | None = None,
    ) -> Float[Tensor, ""]:
        apart = distances(*ends(embeddings, references, self.normalize))
        if mined is None:
            return lifted_mean(apart, labels, references.labels, margin=self.margin)
        own, foreign = pair_counts(mined, tuple(apart.shape))
        times = foreign.clamp(min=1).to(apart.dtype).log()
        reach = (self.margin - apart + times).masked_fill(foreign == 0, -torch.inf)
        squares = _squares(apart, reach, both=references.labels is None).where(own > 0, 0)
        return (own * squares).sum() / (2 * own.sum().clamp(min=1)) + lost_distance(apart)

    def extra_repr(self) -> str:
        return f"margin={self.margin}, normalize={self.normalize}"


class NPairs(Loss):
    """One pair a class; each anchor is to be closer to its positive than to the positives of all other classes.

    The first image of a class in the batch is its anchor, the second its positive; further ones are passed over, and so
    are classes with one image. Costs P^2 D for P pairs. Against references the positive is the first reference of the
    anchor's class, and the first one of every class without a pair is one more negative. Of a miner's pairs the first
    positive one of each class is taken, and its negatives are passed over, as in pytorch-metric-learning.

    Args:
        length_weight: Weight of the mean squared length of the pairs' embeddings, >= 0, which keeps them from growing.
        normalize: Whether embeddings are scaled to unit length first. The paper does not: its embeddings' lengths set
            how sharp the softmax is. With unit length it needs ``scale``.
        scale: Multiplies the inner products, > 0; 1 in the paper.

    Source: Sohn, NIPS 2016, without its mining of hard classes; ``length_weight`` 0.001 is what TensorFlow's
    ``npairs_loss`` amounts to. Equal to pytorch-metric-learning's NPairsLoss with an inner product that does not
    normalize, on batches of pairs. Chapter 6.
    """

    compares_images = True
    images_per_class = 2

    @checked(length_weight=at_least(0), scale=above(0))
    def __init__(self, *, length_weight: float = 0.001, normalize: bool = False, scale: float = 1.0) -> None:
        super().__init__()
        self.length_weight, self.normalize, self.scale = length_weight, normalize, scale

    def compute(
        self,
        embeddings: Float[Tensor, "B D"],
        labels: Int[Tensor, " B"],
        references: References = ITSELF,
        mined: list[Tensor] | None = None,
    ) -> Float[Tensor, ""]:
        points, others = ends(embeddings, references, self.normalize)
        anchor, positive = _chosen_pairs(labels, references.labels, mined)
        if len(anchor) == 0:
            return points.sum() * 0.0
        anchors, positives = points[anchor], others[positive]  # (P, D)
        lengths = (anchors.square().sum(1) + positives.square().sum(1)).mean() / 2
        candidates = positives
        if references.labels is not None:
            first = _first_of_each(references.labels)
            further = ~torch.isin(references.labels[first], labels[anchor])
            candidates = torch.cat([positives, others[first[further]]])  # (Q, D)
        return npairs_mean(self.scale * anchors @ candidates.T) + self.length_weight * lengths

    def extra_repr(self) -> str:
        return f"length_weight={self.length_weight}, normalize={self.normalize}, scale={self.scale}"


def _chosen_pairs(
    labels: Int[Tensor, " B"], ref_labels: Int[Tensor, " M"] | None, mined: list[Tensor] | None
) -> tuple[Int[Tensor, " P"], Int[Tensor, " P"]]:
    """Anchor and positive of one pair a class, in the order of the class numbers."""
    if mined is None and ref_labels is None:
        return _first_pairs(labels)
    anchor, positive = pair_masks(labels, ref_labels)[0].nonzero(as_tuple=True) if mined is None else mined[:2]
    chosen = _first_of_each(labels[anchor])
    return anchor[chosen], positive[chosen]


def _first_of_each(labels: Int[Tensor, " N"]) -> Int[Tensor, " C"]:
    """Where each class stands first, in the order of the class numbers."""
    sorted_labels, order = labels.sort(stable=True)
    starts = torch.ones_like(sorted_labels, dtype=torch.bool)
    starts[1:] = sorted_labels[1:] != sorted_labels[:-1]
    return order[starts]


def _first_pairs(labels: Int[Tensor, " B"]) -> tuple[Int[Tensor, " P"], Int[Tensor, " P"]]:
    """Where the first and the second image of each class with two stand, in the order of the class numbers."""
    sorted_labels, order = labels.sort(stable=True)
    starts = torch.ones_like(sorted_labels, dtype=torch.bool)
    starts[1:] = sorted_labels[1:] != sorted_labels[:-1]
    first = starts.nonzero()[:, 0]
    has_second = torch.zeros_like(first, dtype=torch.bool)
    inside = first + 1 < len(labels)
    has_second[inside] = ~starts[first[inside] + 1]
    return order[first[has_second]], order[first[has_second] + 1]
