"""Losses on triplets of a batch: all valid ones, or FaceNet's semi-hard ones. Exact, and never cubic in memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional as F

from dmlbook._checks import at_least, bad_input, check_batch, check_finite, checked, finite, one_of
from dmlbook._types import Float, Int, Tensor
from dmlbook.losses.base import Loss
from dmlbook.losses.masks import count_triplets, masks, pair_masks
from dmlbook.losses.mined import joined_mean, lost_distance, pair_counts
from dmlbook.losses.references import ITSELF, References, pair_distances


class TripletShares(NamedTuple):
    """Shares of the valid triplets; together 1. ``hard`` and ``semihard`` ones are active, ``easy`` ones are not."""

    hard: float
    semihard: float
    easy: float


@checked(margin=at_least(0))
def triplet_kinds(distances: Float[Tensor, "B B"], labels: Int[Tensor, " B"], *, margin: float = 0.2) -> TripletShares:
    """How many of the valid triplets are hard, semi-hard and easy, by where the negative lies.

    Hard: no farther than the positive. Semi-hard: farther, but inside the margin, d(a, p) < d(a, n) < d(a, p) + margin.
    Easy: beyond it. A negative exactly at the margin loses nothing and is easy, as FaceNet has it, whose semi-hard ones
    "lie inside the margin"; the miners of pytorch-metric-learning call it semi-hard.

    Args:
        distances: Of each anchor (row) to each image, squared or not.
        labels: Class numbers.
        margin: In units of the distances, >= 0.

    Raises:
        ValueError: Shapes or labels do not fit, a distance is not finite, the margin is negative, or no triplet is
            valid.

    Source: the names of Schroff et al., CVPR 2015. Chapter 1.

    Example:
        >>> triplet_kinds(torch.tensor([[0.0, 1.0, 1.1], [1.0, 0.0, 0.9], [1.1, 0.9, 0.0]]), torch.tensor([0, 0, 1]))
        TripletShares(hard=0.5, semihard=0.5, easy=0.0)
    """
    check_finite(distances=distances)
    positives, negatives = pair_masks(labels)
    count = count_triplets(labels)
    if count == 0:
        rule = "hold two classes, and one of them twice"
        raise bad_input("labels", rule, "no valid triplet", "Draw batches with ClassBatches.")
    row, _ = _sorted_negatives(distances.detach(), negatives)
    hard = torch.searchsorted(row, distances.detach().contiguous(), right=True).where(positives, 0).sum()
    closer = torch.searchsorted(row, (distances.detach() + margin).contiguous()).where(positives, 0).sum()
    active = torch.maximum(closer, hard)  # with margin 0 a negative as far as the positive is hard, and loses nothing
    return TripletShares(int(hard) / count, int(active - hard) / count, int(count - active) / count)


@checked(margin=finite)
def triplet_mean(
    distances: Float[Tensor, "B M"],
    labels: Int[Tensor, " B"],
    ref_labels: Int[Tensor, " M"] | None = None,
    *,
    margin: float = 0.0,
    hinge: bool = True,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean over all valid triplets of [d(a, p) - d(a, n) + margin]_+, or of the same without the hinge [.]_+.

    Exact in O(B M log M) time and O(B M) memory: each row's negatives are sorted once, and prefix sums then give each
    positive the sum over all negatives closer than it plus the margin.

    Args:
        distances: Of each anchor (row) to each image (column), squared or not.
        labels: Class numbers of the rows.
        ref_labels: Of the columns, where they are references. None: rows and columns are the same images.
        margin: In units of the distances.
        hinge: Whether triplets that already satisfy the margin count as 0, or as negative numbers.

    Returns:
        The mean (0 where no triplet is valid), and the share of valid triplets with d(a, p) + margin > d(a, n). Where
        a distance is NaN, both are.

    Raises:
        ValueError: Shapes do not fit, or the margin is not a finite number.

    Source: the constraint of Qian et al., ICCV 2019, and of Schroff et al., CVPR 2015; without the hinge and with
    margin 0 the triplet loss of Do et al., CVPR 2019. Chapters 1 and 5.
    """
    positives, negatives = masks(distances, labels, ref_labels)
    limits = distances + margin  # (B, M): a negative closer than this violates the pair's margin
    row, closer = _sorted_negatives(distances, negatives)
    violations = torch.searchsorted(row.detach(), limits.detach().contiguous())  # (B, M) negatives closer than limit
    violations = violations.where(positives, 0)
    listed = count_triplets(labels) if ref_labels is None else int((positives.sum(1) * negatives.sum(1)).sum())
    count = max(listed, 1)
    # Division comes first: in float32 a sum over a million triplets would lose what the mean keeps.
    if hinge:
        total = ((violations * limits - closer.gather(1, violations)) / count).sum()
    else:
        others = negatives.sum(1, keepdim=True)  # (B, 1)
        total = ((others * limits - closer.gather(1, others)) / count).where(positives, 0).sum()
    lost = lost_distance(distances)
    return total + lost, violations.sum().to(distances.dtype) / count + lost


@checked
def triplet_sum(distances: Float[Tensor, "N N"], labels: Int[Tensor, " N"]) -> Float[Tensor, ""]:
    """The sum of d(i, j) - d(i, k) over all valid triplets, in O(N^2): without a hinge it is a weighted sum of pairs.

    Args:
        distances: Of each image to each, squared or not.
        labels: Class numbers, >= 0.

    Returns:
        A pair of one class counts once for each possible negative, + (N - n_y); a pair of two classes once for each
        possible positive of its anchor, - (n_y - 1).

    Raises:
        ValueError: Shapes or labels do not fit.

    Source: derived in chapter 5.
    """
    labels = check_batch(distances, labels)
    sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    of_image = sizes[2][sizes[1]]  # (N,) how many images its class has
    same = labels[:, None] == labels
    weights = torch.where(same, len(labels) - of_image[:, None], 1 - of_image[:, None])  # (N, N)
    return (weights.fill_diagonal_(0).to(distances.dtype) * distances).sum()


@checked(margin=at_least(0))
def semihard_mean(
    distances: Float[Tensor, "B M"],
    labels: Int[Tensor, " B"],
    ref_labels: Int[Tensor, " M"] | None = None,
    *,
    margin: float = 0.2,
) -> Float[Tensor, ""]:
    """Mean over positive pairs of [d(a, p) - d(a, n) + margin]_+, with n the closest negative farther than p.

    Where no negative is farther than p, the farthest one is taken. Pairs whose batch holds no negative do not count.

    Args:
        distances: Of each anchor (row) to each image (column); squared in the paper.
        labels: Class numbers of the rows.
        ref_labels: Of the columns, where they are references. None: rows and columns are the same images.
        margin: In units of the distances, >= 0; 0.2 in the paper.

    Raises:
        ValueError: Shapes do not fit, or the margin is negative.

    Source: the rule of TensorFlow's ``triplet_semihard_loss``, after Schroff et al., CVPR 2015 (FaceNet), who ask for a
    negative farther than p but within the margin. Chapter 1.
    """
    return _semihard(distances, *masks(distances, labels, ref_labels), margin=margin)


def _semihard(distances: Tensor, positives: Tensor, negatives: Tensor, *, margin: float) -> Float[Tensor, ""]:
    row, _ = _sorted_negatives(distances, negatives)
    others = negatives.sum(1, keepdim=True)  # (B, 1) how many negatives the row has
    chosen = torch.searchsorted(row.detach(), distances.detach().contiguous(), right=True)  # first one farther than p
    chosen = torch.minimum(chosen, others - 1).clamp(min=0)
    counted = positives & (others > 0)
    # Rows without a negative hold only infinity, which must not meet a gradient, not even times 0.
    negative = row.gather(1, chosen).where(counted, 0)
    losses = (distances - negative + margin).clamp(min=0).where(counted, 0)
    return losses.sum() / counted.sum().clamp(min=1) + lost_distance(distances)


class TripletLoss(Loss):
    """The triplet loss over all valid triplets of the batch.

    Costs B^2 (D + log B).

    Args:
        margin: In units of the distance, >= 0. On the unit sphere squared distances reach 4 and distances 2.
        distance: ``"squared"`` Euclidean (FaceNet) or ``"euclidean"`` (Do et al.).
        hinge: False gives the plain mean of d(a, p) - d(a, n), as in Do et al.
        average: ``"valid"`` triplets, all of them, or only the ``"active"`` ones whose hinge is positive.
        normalize: Whether embeddings are scaled to unit length first.

    Takes the triplets of a pytorch-metric-learning miner as a third argument, and then averages over those; of a miner
    of pairs, over the triplets that two pairs of one anchor make: in B^2 log B time and B^2 memory, not one by one.
    Against M references, B M log M and B M.
    """

    compares_images = True
    images_per_class = 4

    @checked(margin=at_least(0), distance=one_of("squared", "euclidean"), average=one_of("valid", "active"))
    def __init__(
        self,
        *,
        margin: float = 0.2,
        distance: str = "squared",
        hinge: bool = True,
        average: str = "valid",
        normalize: bool = True,
    ) -> None:
        super().__init__()
        if average == "active" and not hinge:
            raise bad_input("average", 'be "valid" without a hinge', average, "Only a hinge is active.")
        self.margin, self.distance, self.hinge = margin, distance, hinge
        self.average, self.normalize = average, normalize

    def compute(
        self,
        embeddings: Float[Tensor, "B D"],
        labels: Int[Tensor, " B"],
        references: References = ITSELF,
        mined: list[Tensor] | None = None,
    ) -> Float[Tensor, ""]:
        apart = pair_distances(embeddings, references, self.distance, self.normalize)
        if mined is None:
            given = {"margin": self.margin, "hinge": self.hinge}
            return self._averaged(*triplet_mean(apart, labels, references.labels, **given))
        if len(mined) == 4:
            return self._averaged(*joined_mean(apart, *mined, margin=self.margin, hinge=self.hinge))
        anchor, positive, negative = mined
        losses = apart[anchor, positive] - apart[anchor, negative] + self.margin
        losses = losses.clamp(min=0) if self.hinge else losses
        counted = (losses > 0).sum() if self.average == "active" else torch.tensor(len(losses))
        return losses.sum() / counted.clamp(min=1)

    def _averaged(self, mean: Tensor, active: Tensor) -> Tensor:
        return mean / active.where(active > 0, 1) if self.average == "active" else mean

    def extra_repr(self) -> str:
        return f"margin={self.margin}, distance={self.distance}, hinge={self.hinge}, average={self.average}"


class SemiHardLoss(Loss):
    """The triplet loss on semi-hard triplets: for each positive pair the closest negative beyond the positive.

    Costs B^2 (D + log B).

    Args:
        margin: In units of squared distance, >= 0.
        normalize: Whether embeddings are scaled to unit length first.

    Of a miner's pairs or triplets it takes, for each positive pair, the closest of its anchor's negatives beyond the
    positive: it chooses among them. A pair that is listed twice counts once.

    Source: Schroff et al., CVPR 2015. Batches need several images a class: ``sampling.ClassBatches``.
    """

    compares_images = True
    images_per_class = 4

    @checked(margin=at_least(0))
    def __init__(self, *, margin: float = 0.2, normalize: bool = True) -> None:
        super().__init__()
        self.margin, self.normalize = margin, normalize

    def compute(
        self,
        embeddings: Float[Tensor, "B D"],
        labels: Int[Tensor, " B"],
        references: References = ITSELF,
        mined: list[Tensor] | None = None,
    ) -> Float[Tensor, ""]:
        apart = pair_distances(embeddings, references, "squared", self.normalize)
        if mined is None:
            return semihard_mean(apart, labels, references.labels, margin=self.margin)
        own, foreign = pair_counts(mined, tuple(apart.shape))
        return _semihard(apart, own > 0, foreign > 0, margin=self.margin)

    def extra_repr(self) -> str:
        return f"margin={self.margin}"


def _sorted_negatives(apart: Tensor, negatives: Tensor) -> tuple[Float[Tensor, "B M"], Float[Tensor, "B M1"]]:
    """Each row's negatives, ascending, infinity behind them; and the sums of the first 0, 1, ... of them."""
    row = apart.where(negatives, torch.inf).sort(dim=1).values
    sums = row.where(row < torch.inf, 0).cumsum(1)
    return row, F.pad(sums, (1, 0))
