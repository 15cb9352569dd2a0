"""Which images make pairs and triplets: of a batch alone, or of a batch and references."""

from __future__ import annotations

import torch

from dmlbook._checks import check_labels, check_shape, checked
from dmlbook._types import Bool, Int, Tensor


@checked
def pair_masks(
    labels: Int[Tensor, " B"], ref_labels: Int[Tensor, " M"] | None = None
) -> tuple[Bool[Tensor, "B M"], Bool[Tensor, "B M"]]:
    """Which pairs are positive (one class, two images) and which negative (two classes).

    Args:
        labels: Class numbers of the rows.
        ref_labels: Of the columns, which are other images. None: rows and columns are the same images.

    Example:
        >>> pair_masks(torch.tensor([0, 0, 1]))[0].int()
        tensor([[0, 1, 0],
                [1, 0, 0],
                [0, 0, 0]], dtype=torch.int32)
    """
    labels = check_labels(labels)
    if ref_labels is not None:
        same = labels[:, None] == check_labels(ref_labels, argument="ref_labels")[None, :]
        return same, ~same
    same = labels[:, None] == labels[None, :]
    return same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device), ~same


@checked
def valid_triplets(labels: Int[Tensor, " B"]) -> Bool[Tensor, "B B B"]:
    """True at (anchor, positive, negative) where the triplet is valid. B^3 entries: to look at, not to train with."""
    positives, negatives = pair_masks(labels)
    return positives[:, :, None] & negatives[:, None, :]


@checked
def count_triplets(labels: Int[Tensor, " B"]) -> int:
    """How many valid triplets there are: the sum over classes of n (n - 1) (N - n), without listing one.

    Example:
        >>> count_triplets(torch.tensor([0, 0, 1, 1]))
        8
    """
    sizes = torch.unique(check_labels(labels), return_counts=True)[1]
    return int((sizes * (sizes - 1) * (len(labels) - sizes)).sum())


def masks(distances: Tensor, labels: Tensor, ref_labels: Tensor | None) -> tuple[Bool[Tensor, "B M"], ...]:
    if ref_labels is None and distances.shape[0] != distances.shape[1]:
        check_shape(expected="B B", distances=distances)
    return pair_masks(labels, ref_labels)
