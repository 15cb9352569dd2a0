"""What the miners of pytorch-metric-learning hand over: triplets, or pairs that are joined at their anchors."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from dmlbook._checks import bad_input, check_labels, checked, finite
from dmlbook._types import Float, Int, Tensor


def mined_indices(indices_tuple: tuple, count: int) -> list[Int[Tensor, " T"]]:
    """The three or four index tensors, as int64, once it is known that they name images of the batch.

    Raises:
        ValueError: There are not three or four, or one holds no integers, or an index is out of range.
    """
    if len(indices_tuple) not in (3, 4):
        rule = "be anchors, positives, negatives, or anchors, positives, anchors, negatives"
        raise bad_input("indices_tuple", rule, f"{len(indices_tuple)} entries", "Pass what a miner returned.")
    found = [check_labels(indices, argument="indices_tuple") for indices in indices_tuple]
    counts = [len(indices) for indices in found]
    if counts[0] != counts[1] or counts[2] != counts[-1] or (len(found) == 3 and counts[1] != counts[2]):
        raise bad_input("indices_tuple", "hold as many ends as anchors", counts, "Pass what a miner returned.")
    every = torch.cat(found)
    if len(every):
        low, high = torch.stack(torch.aminmax(every)).tolist()
        if low < 0 or high >= count:
            remedy = "Mine in the batch that the loss is taken of."
            raise bad_input("indices_tuple", f"lie in 0..{count - 1}", f"{low}..{high}", remedy)
    return found


def lost_distance(distances: Tensor) -> Float[Tensor, ""]:
    """0, or NaN where a distance is NaN: sorted to the end, it would be passed over."""
    return torch.where(distances.detach().isnan().any(), torch.nan, 0.0).to(distances.dtype)


@checked(margin=finite)
def joined_mean(
    distances: Float[Tensor, "B B"],
    first: Int[Tensor, " P"],
    positive: Int[Tensor, " P"],
    second: Int[Tensor, " Q"],
    negative: Int[Tensor, " Q"],
    *,
    margin: float,
    hinge: bool = True,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean of [d(a, p) - d(a, n) + margin]_+ over the triplets of each pair (a, p) and each pair (a, n) of its anchor.

    There can be B^3 of them, and none is listed: as in ``triplet_mean``, each anchor's negatives are sorted once, and
    prefix sums give each positive the sum over the closer ones. B^2 log B time and B^2 memory.

    Args:
        distances: Of each anchor (row) to each image, squared or not.
        first: Anchors of the positive pairs.
        positive: Their other ends.
        second: Anchors of the negative pairs.
        negative: Their other ends. A pair that is listed twice counts twice.
        margin: In units of the distances.
        hinge: Whether triplets that already satisfy the margin count as 0, or as negative numbers.

    Returns:
        The mean (0 where no two pairs have one anchor), and the share of triplets with d(a, p) + margin > d(a, n).
        Where a distance is NaN, both are.

    Raises:
        ValueError: Shapes do not fit, or the margin is not a finite number.

    Source: the triplets are those of pytorch-metric-learning's ``convert_to_triplets``, which lists them.
    """
    count = len(distances)
    own, foreign = (
        torch.bincount(anchor.long() * count + end.long(), minlength=count**2).view(count, count)
        for anchor, end in ((first, positive), (second, negative))
    )  # (B, B) how often each pair is listed
    row, order = distances.where(foreign > 0, torch.inf).sort(dim=1)
    times = foreign.gather(1, order)
    limits = distances + margin
    numbers = F.pad(times.cumsum(1), (1, 0))  # (B, B + 1) how many of the first 0, 1, ... there are, and their sum
    sums = F.pad((row.where(times > 0, 0) * times).cumsum(1), (1, 0))
    reached = torch.searchsorted(row.detach(), limits.detach().contiguous())
    active = numbers.gather(1, reached)  # (B, B) negatives of the anchor that are closer than the limit
    triplets = (own.sum(1) * foreign.sum(1)).sum().clamp(min=1)
    # Division comes first: in float32 a sum over a million triplets would lose what the mean keeps.
    losses = (active * limits - sums.gather(1, reached)) if hinge else numbers[:, -1:] * limits - sums[:, -1:]
    mean = (own * (losses / triplets)).where(own > 0, 0).sum()
    lost = lost_distance(distances)
    return mean + lost, (own * active).sum().to(distances.dtype) / triplets + lost
