"""Which pairs of a batch a loss of chapter 06 learns from: its slope in every distance or similarity it is made of."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional as F

from dmlbook import losses
from dmlbook._checks import above, bad_input, check_batch, check_finite, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.geometry import distances, normalize, squared_distances
from dmlbook.losses import Loss

WITH_TRIPLETS = (losses.TripletLoss, losses.SemiHardLoss)
ON_EXAMPLES = (*WITH_TRIPLETS, losses.LiftedStructure, losses.FacilityLocation, losses.NPairs)
SQUARED = (losses.SemiHardLoss, losses.ProxyNCA, losses.TripletCenter)
ONE_PROXY = (losses.NormalizedSoftmax, losses.ProxyAnchor)
COSINES = (*ONE_PROXY, losses.HardTriple, losses.SoftTriple, losses.SubcenterArcFace)


class Felt(NamedTuple):
    """A loss as a function of its pairs: its value, and the size of its slope in each pair."""

    value: Tensor
    own: Float[Tensor, " P"]
    foreign: Float[Tensor, " Q"]


@checked
def felt_pairs(loss: Loss, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"]) -> Felt:
    """How steeply a loss depends on each distance or similarity that it is computed from.

    For losses on examples the pairs are those of the batch, each once, in the order of its rows; for losses on
    representatives those of an image and a representative.

    Args:
        loss: One of ``losses.NAMES``.
        embeddings: The batch.
        labels: Class numbers.

    Returns:
        The loss, without what is no pair's (N-pairs' lengths, SoftTriple's regularizer), and its absolute derivatives
        in pairs of one class and of two.

    Raises:
        ValueError: Shapes or labels do not fit, or the loss is none of ours.

    Source: made for chapter 6.

    Example:
        >>> felt_pairs(losses.LiftedStructure(), torch.eye(3), torch.tensor([0, 0, 1])).own  # J = 1 + log 2
        tensor([1.6931])
    """
    labels = check_batch(embeddings, labels, num_classes=loss.num_classes)
    points = normalize(embeddings) if getattr(loss, "normalize", True) else embeddings
    pairs = _pairs_of(loss, points.detach()).requires_grad_()
    value = _formula(loss, pairs, labels)
    (slope,) = torch.autograd.grad(value, pairs)
    if isinstance(loss, ON_EXAMPLES):
        first, second = torch.triu_indices(len(labels), len(labels), 1)
        slope = (slope + slope.T)[first, second]  # d_ij and d_ji are one number
        own = labels[first] == labels[second]
    else:
        own = F.one_hot(labels, pairs.shape[1]).bool()  # (B, C)
        own = own if pairs.ndim == 2 else own[:, :, None].expand_as(slope)
    return Felt(value.detach(), slope[own].abs(), slope[~own].abs())


class Used(NamedTuple):
    """Shares of a batch's pairs of one class, of two classes, and of its triplets: None for losses without any."""

    positives: float
    negatives: float
    triplets: float | None


@checked(threshold=above(0, up_to=1))
def used_pairs(
    loss: Loss, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"], *, threshold: float = 1e-3
) -> Used:
    """Which share of a batch's pairs teaches: those whose slope is more than ``threshold`` times the largest.

    Args:
        loss: One of ``losses.NAMES``; with representatives, its pairs are those of image and representative.
        embeddings: The batch.
        labels: Class numbers; some pair must be of one class, and some of two.
        threshold: In (0, 1]. A smooth loss reaches all pairs a little, so its shares depend on it.

    Raises:
        ValueError: Shapes, labels or the threshold do not fit, an embedding is not finite, or there are no pairs of
            one of the two sorts.

    Source: made for chapter 6.

    Example:
        >>> used_pairs(losses.SemiHardLoss(), torch.eye(3), torch.tensor([0, 0, 1]))
        Used(positives=1.0, negatives=1.0, triplets=1.0)
    """
    check_finite(embeddings=embeddings)
    felt = felt_pairs(loss, embeddings, labels)
    if len(felt.own) == 0 or len(felt.foreign) == 0:
        rule = "hold pairs of one class and of two"
        got = f"{len(felt.own)} and {len(felt.foreign)}"
        raise bad_input("labels", rule, got, "Draw batches with ClassBatches.")
    limit = threshold * max(float(felt.own.max()), float(felt.foreign.max()))
    shares = [float((slopes > limit).double().mean()) for slopes in (felt.own, felt.foreign)]
    return Used(*shares, _used_triplets(loss, embeddings, labels))


def _pairs_of(loss: Loss, points: Float[Tensor, "B D"]) -> Tensor:
    """What the loss is computed from: (B, B) on examples, else (B, C), or (B, C, K) with several centers."""
    if isinstance(loss, losses.NPairs):
        return points @ points.T
    if isinstance(loss, COSINES):
        similarities = loss.similarities(points).detach()
        return similarities[:, :, 0] if isinstance(loss, ONE_PROXY) else similarities
    if isinstance(loss, losses.ProxyNCA):
        others = loss.centers[:, 0].detach()
    elif isinstance(loss, ON_EXAMPLES):
        others = points
    elif isinstance(loss, losses.TripletCenter | losses.CentroidBound):
        others = loss.centroids
    else:
        known = ", ".join(losses.NAMES)
        raise bad_input("loss", f"be one of {known}", type(loss).__name__, "Make it with losses.make.")
    squared = isinstance(loss, SQUARED) or getattr(loss, "distance", "") == "squared"
    return (squared_distances if squared else distances)(points, others.to(points.dtype))


def _formula(loss: Loss, pairs: Tensor, labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
    """The loss, by the formula that its class calls."""
    match loss:
        case losses.TripletLoss():
            mean, active = losses.triplet_mean(pairs, labels, margin=loss.margin, hinge=loss.hinge)
            return mean / active.where(active > 0, 1) if loss.average == "active" else mean
        case losses.SemiHardLoss():
            return losses.semihard_mean(pairs, labels, margin=loss.margin)
        case losses.LiftedStructure():
            return losses.lifted_mean(pairs, labels, margin=loss.margin)
        case losses.FacilityLocation():
            count = len(labels)
            weight = loss.margin_weight * count
            return losses.clustering_gap(pairs, labels, margin_weight=weight, rounds=loss.rounds) / count
        case losses.NPairs():
            members = [(labels == label).nonzero()[:2, 0] for label in torch.unique(labels)]
            chosen = [pair for pair in members if len(pair) == 2]
            anchors, positives = torch.stack(chosen).T if chosen else labels.new_zeros(2, 0)
            return losses.npairs_mean(loss.scale * pairs[anchors][:, positives]) if chosen else pairs.sum() * 0.0
        case losses.ProxyNCA():
            return losses.proxy_nca_mean(loss.scale * pairs, labels, denominator=loss.denominator)
        case losses.TripletCenter():
            options = {"margin": loss.margin, "negatives": loss.negatives, "known": loss.known}
            return losses.triplet_center_mean(pairs, labels, **options)
        case losses.CentroidBound():
            return (loss.class_weights.to(pairs.dtype)[labels] * losses.centroid_terms(pairs, labels)).mean()
        case losses.ProxyAnchor():
            return losses.proxy_anchor_loss(pairs, labels, scale=loss.scale, margin=loss.margin)
        case losses.SubcenterArcFace():
            turned = losses.angular_margin(losses.hardtriple_similarity(pairs), labels, margin=loss.margin)
            return F.cross_entropy(loss.scale * turned, labels)
        case losses.NormalizedSoftmax():
            return losses.margin_cross_entropy(pairs, labels, scale=loss.scale, margin=loss.margin)
        case losses.HardTriple():
            similarities = losses.hardtriple_similarity(pairs)
        case _:  # SoftTriple
            expected = loss.similarity == "expected"
            smooth = losses.softtriple_similarity if expected else losses.logsumexp_similarity
            similarities = smooth(pairs, gamma=loss.gamma)
    return losses.margin_cross_entropy(similarities, labels, scale=loss.scale, margin=loss.margin)


def _used_triplets(loss: Loss, embeddings: Tensor, labels: Int[Tensor, " B"]) -> float | None:
    """The share of the valid triplets that lose something; of those that semi-hard selection passes over, none do."""
    if not isinstance(loss, WITH_TRIPLETS):
        return None
    points = normalize(embeddings) if loss.normalize else embeddings
    pairs = _pairs_of(loss, points.detach()).requires_grad_()
    count = losses.count_triplets(labels)
    if isinstance(loss, losses.TripletLoss):
        active = losses.triplet_mean(pairs.detach(), labels, margin=loss.margin)[1]
        return float(active) if loss.hinge else 1.0
    positives, _ = losses.pair_masks(labels)
    (slope,) = torch.autograd.grad(losses.semihard_mean(pairs, labels, margin=loss.margin), pairs)
    return int((slope[positives] > 0).sum()) / count  # each positive pair has one triplet
