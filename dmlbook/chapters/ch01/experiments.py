"""Counting for chapter 01: what batches hold of neighbors, triplets and close negatives; two measures in one line."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from dmlbook import records
from dmlbook._checks import at_least, bad_input, check_below, check_filled, check_lengths, checked, finite
from dmlbook._types import Float, Int, Tensor


@checked(scores=finite)
def both_measures(scores: Float[Tensor, "S 2"]) -> str:
    """Recall@1 and MAP@R of S seeds, or their differences, in percent: mean, half-width and number of seeds.

    Example:
        >>> both_measures(torch.tensor([[0.5, 0.25], [0.5, 0.25]]))
        'Recall@1 50.0 ± 0.0 (2), MAP@R 25.0 ± 0.0 (2)'
    """
    at_1, at_r = (records.percent(column) for column in scores.T.tolist())
    return f"Recall@1 {at_1}, MAP@R {at_r}"


@checked(nearest=at_least(0))
def neighbors_met(nearest: Int[Tensor, "N k"], batches: Iterable[Int[Tensor, " B"]]) -> tuple[float, float]:
    """Over all images of all batches: the mean share of their nearest that is in the batch, and how often any is.

    Args:
        nearest: For each image the numbers of its k nearest others.
        batches: Numbers of the images of each batch.

    Raises:
        ValueError: There is no batch, or a number is not that of an image.

    Example:
        >>> neighbors_met(torch.tensor([[1, 2], [0, 2], [1, 0]]), [torch.tensor([0, 1])])
        (0.5, 1.0)
    """
    check_filled(nearest=nearest)
    check_below(len(nearest), "images", nearest=nearest)
    met = []
    for batch in batches:
        check_below(len(nearest), "images", batches=batch)
        inside = torch.zeros(len(nearest), dtype=torch.bool)
        inside[batch] = True
        met.append(inside[nearest[batch]])  # (B, k)
    found = torch.cat(_some(met))
    return float(found.float().mean()), float(found.any(1).float().mean())


@checked(labels=at_least(0))
def triplets_met(labels: Int[Tensor, " N"], batches: Iterable[Int[Tensor, " B"]]) -> float:
    """Over all images of all batches: the mean share of the triplets with it as anchor that is in the batch.

    Args:
        labels: Classes of all N images, two of them at least, of two images at least.
        batches: Numbers of the images of each batch.

    Raises:
        ValueError: There is no batch, or a number is not that of an image.

    Example:
        >>> triplets_met(torch.tensor([0, 0, 1, 1]), [torch.tensor([0, 1, 2])])  # 1 of 2, 1 of 2, none of 2
        0.3333333432674408
    """
    sizes, shares = torch.bincount(labels), []
    for batch in batches:
        check_below(len(labels), "images", batches=batch)
        y = labels[batch]
        own = (y[:, None] == y).sum(1)  # the image itself among them
        shares.append((own - 1) * (len(y) - own) / ((sizes[y] - 1) * (len(labels) - sizes[y])))
    return float(torch.cat(_some(shares)).mean())


@checked(ranks=at_least(1), labels=at_least(0))
def closest_ranks(
    ranks: Int[Tensor, "N N"], labels: Int[Tensor, " N"], batches: Iterable[Int[Tensor, " B"]]
) -> tuple[float, list[int]]:
    """The mean rank of the closest negative that an image meets in its batch, and how many negatives each one meets.

    Args:
        ranks: For each image the rank of each other among its negatives, 1 for the closest.
        labels: Classes of all N images.
        batches: Numbers of the images of each batch.

    Returns:
        The mean over the images of all batches that meet a negative; and for each of these images their number.

    Raises:
        ValueError: No image of any batch meets a negative.
    """
    check_lengths(ranks=ranks, labels=labels)
    found, met = [], []
    for batch in batches:
        check_below(len(labels), "images", batches=batch)
        negative = labels[batch][:, None] != labels[batch]
        closest = ranks[batch][:, batch].where(negative, len(labels)).amin(1)
        found.append(closest[negative.any(1)])
        met += negative.sum(1)[negative.any(1)].tolist()
    return float(torch.cat(_some(found)).double().mean()), met


def _some(found: list[Tensor]) -> list[Tensor]:
    if not sum(len(one) for one in found):
        raise bad_input("batches", "hold images to count", "none", "Pass the batches of an epoch at least.")
    return found
