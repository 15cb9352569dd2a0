"""What the miners of pytorch-metric-learning hand over: triplets, or pairs that are joined at their anchors."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from dmlbook._checks import bad_input, check_labels, checked, finite
from dmlbook._types import Float, Int, Tensor


def mined_indices(indices_tuple: tuple, count: int, others: int) -> list[Int[Tensor, " _"]]:
    """The three or four index tensors, as int64, once it is known that they name images that are there.

    Args:
        indices_tuple: Anchors, positives, negatives; or anchors, positives, anchors, negatives.
        count: Images that may be anchors.
        others: Images that may be their positives and negatives.

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
    anchors, ends = (found[0::2], found[1::2]) if len(found) == 4 else (found[:1], found[1:])
    for group, bound, of in ((anchors, count, "batch"), (ends, others, "batch" if others == count else "references")):
        every = torch.cat(group)
        if len(every):
            low, high = torch.stack(torch.aminmax(every)).tolist()
            if low < 0 or high >= bound:
                remedy = f"Mine in the {of} that the loss is taken of."
                raise bad_input("indices_tuple", f"lie in 0..{bound - 1}", f"{low}..{high}", remedy)
    return found


def check_classes(found: list[Int[Tensor, " _"]], labels: Int[Tensor, " B"], ref_labels: Int[Tensor, " M"]) -> None:
    """Raises unless each anchor is paired with references of its class as positives, and of others as negatives.

    Indices that were mined in the batch alone are places in it, and name other images among references.
    """
    other = found[2] if len(found) == 4 else found[0]
    wrong = labels[found[0]] != ref_labels[found[1]], labels[other] == ref_labels[found[-1]]
    count = sum(int(each.sum()) for each in wrong)
    if count:
        got = f"{count} of {sum(map(len, wrong))} pairs that do not"
        remedy = "Mine among the references: miner(embeddings, labels, ref_emb, ref_labels)."
        raise bad_input("indices_tuple", "pair anchors with references of their class and of others", got, remedy)


def pair_counts(
    pairs: list[Int[Tensor, " _"]], shape: tuple[int, int]
) -> tuple[Int[Tensor, "B M"], Int[Tensor, "B M"]]:
    """How often each pair is listed as a positive and as a negative one; a triplet lists one of each."""
    rows, columns = shape
    anchor, positive, other, negative = pairs if len(pairs) == 4 else (pairs[0], pairs[1], pairs[0], pairs[2])
    own, foreign = (
        torch.bincount(anchor * columns + end, minlength=rows * columns).view(shape)
        for anchor, end in ((anchor, positive), (other, negative))
    )
    return own, foreign


def lost_distance(distances: Tensor) -> Float[Tensor, ""]:
    """0, or NaN where a distance is NaN: sorted to the end, it would be passed over."""
    return torch.where(distances.detach().isnan().any(), torch.nan, 0.0).to(distances.dtype)


@checked(margin=finite)
def joined_mean(
    distances: Float[Tensor, "B M"],
    first: Int[Tensor, " P"],
    positive: Int[Tensor, " P"],
    second: Int[Tensor, " Q"],
    negative: Int[Tensor, " Q"],
    *,
    margin: float,
    hinge: bool = True,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean of [d(a, p) - d(a, n) + margin]_+ over the triplets of each pair (a, p) and each pair (a, n) of its anchor.

    There can be B M^2 of them, and none is listed: as in ``triplet_mean``, each anchor's negatives are sorted once, and
    prefix sums give each positive the sum over the closer ones. B M log M time and B M memory.

    Args:
        distances: Of each anchor (row) to each image that may be its other end, squared or not.
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
    own, foreign = pair_counts([first, positive, second, negative], tuple(distances.shape))  # (B, M)
    row, order = distances.where(foreign > 0, torch.inf).sort(dim=1)
    times = foreign.gather(1, order)
    limits = distances + margin
    numbers = F.pad(times.cumsum(1), (1, 0))  # (B, M + 1) how many of the first 0, 1, ... there are, and their sum
    sums = F.pad((row.where(times > 0, 0) * times).cumsum(1), (1, 0))
    reached = torch.searchsorted(row.detach(), limits.detach().contiguous())
    active = numbers.gather(1, reached)  # (B, M) negatives of the anchor that are closer than the limit
    triplets = (own.sum(1) * foreign.sum(1)).sum().clamp(min=1)
    # Division comes first: in float32 a sum over a million triplets would lose what the mean keeps.
    losses = (active * limits - sums.gather(1, reached)) if hinge else numbers[:, -1:] * limits - sums[:, -1:]
    mean = (own * (losses / triplets)).where(own > 0, 0).sum()
    lost = lost_distance(distances)
    return mean + lost, (own * active).sum().to(distances.dtype) / triplets + lost
