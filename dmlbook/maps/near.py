"""Nearest neighbors of each of a set's own members, by any distance, without the whole matrix of distances."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dmlbook._checks import at_least, checked
from dmlbook._types import Float, Int, Tensor

BLOCK = 1024


@checked(count=at_least(0), k=at_least(1), block=at_least(1))
def nearest(
    count: int, k: int, distances: Callable[[Int[Tensor, " B"]], Float[Tensor, "B N"]], *, block: int = BLOCK
) -> Int[Tensor, "N k"]:
    """The ``k`` members with the smallest distance to each member, itself left out.

    Args:
        count: N.
        k: How many, below N.
        distances: From the members of these numbers to all, a new tensor; called for ``block`` of them at a time.
    """
    found = []
    for rows in torch.arange(count).split(block):
        far = distances(rows)
        far[torch.arange(len(rows)), rows] = torch.inf
        found.append(far.topk(k, largest=False).indices)
    return torch.cat(found)
