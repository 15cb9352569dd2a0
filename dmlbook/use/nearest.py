"""The nearest of many embeddings, exactly: no index that could miss one."""

from __future__ import annotations

import torch

from dmlbook._checks import at_least, checked, finite
from dmlbook._types import Float, Int, Tensor

BLOCK = 1 << 25
"""Distances at a time, at most."""


@checked(queries=finite, gallery=finite, most=at_least(1))
def nearest_in(
    queries: Float[Tensor, "Q D"], gallery: Float[Tensor, "N D"], *, most: int = 12
) -> tuple[Float[Tensor, "Q K"], Int[Tensor, "Q K"]]:
    """The ``most`` nearest of a gallery, or all of it where it is smaller, nearest first.

    Candidates are found by one matrix product and measured again from their differences in float64, so that near ones
    are in order, too.

    Args:
        queries: Q embeddings.
        gallery: N embeddings, at least one.
        most: How many, >= 1.

    Returns:
        Their Euclidean distances, and their numbers.

    Example:
        >>> nearest_in(torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), most=1)
        (tensor([[0.]]), tensor([[1]]))
    """
    most = min(most, len(gallery))
    spare = min(most + 16, len(gallery))
    squares = gallery.square().sum(1)
    distances, numbers = [], []
    for part in queries.split(max(1, BLOCK // len(gallery))):
        rough = (squares - 2 * part @ gallery.T).topk(spare, largest=False).indices  # (q, spare)
        exact = (gallery[rough].double() - part[:, None].double()).norm(dim=2)
        exact, order = exact.sort(dim=1, stable=True)
        distances.append(exact[:, :most].float())
        numbers.append(rough.gather(1, order)[:, :most])
    return torch.cat(distances), torch.cat(numbers)
