"""The nearest of many embeddings, exactly: no index that could miss one."""

from __future__ import annotations

import torch

from dmlbook._checks import at_least, bad_input, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.retrieval.exact import ROUNDING, SAMPLE

BLOCK = 1 << 25
"""Distances, and coordinates of the gallery in float64, at a time, at most."""
SPARE = 16
"""Candidates beyond those that are wanted: so many near ties cost nothing."""


@checked(queries=finite, gallery=finite, most=at_least(1))
def nearest_in(
    queries: Float[Tensor, "Q D"], gallery: Float[Tensor, "N D"], *, most: int = 12
) -> tuple[Float[Tensor, "Q K"], Int[Tensor, "Q K"]]:
    """The ``most`` nearest of a gallery, or all of it where it is smaller, nearest first.

    Candidates are found by one matrix product in float64, around the gallery's middle, and measured again from their
    differences. Where the product's rounding could have hidden a nearer one, all rows are measured so. Those that are
    equally far come in the order of their numbers.

    Args:
        queries: Q embeddings.
        gallery: N embeddings, at least one.
        most: How many, >= 1.

    Raises:
        ValueError: The gallery is empty, or something is not finite or of another width.

    Returns:
        Their Euclidean distances, and their numbers.

    Example:
        >>> nearest_in(torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), most=1)
        (tensor([[0.]]), tensor([[1]]))
    """
    if len(gallery) == 0:
        raise bad_input("gallery", "hold at least one embedding", "none", "Embed some photographs.")
    most = min(most, len(gallery))
    middle = gallery[:: -(-len(gallery) // SAMPLE)].double().median(dim=0).values
    distances, numbers = [], []
    for part in queries.double().split(max(1, BLOCK // max(len(gallery), queries.shape[1]))):
        found, sure = _candidates(part, gallery, middle, most)
        far = (gallery[found].double() - part[:, None]).norm(dim=2)
        far, order = far.sort(dim=1, stable=True)
        found = found.gather(1, order)[:, :most]
        far = far[:, :most]
        for row in (far[:, -1].square() >= sure).nonzero().flatten().tolist():
            measured = torch.cat([(rows.double() - part[row]).norm(dim=1) for rows in _blocks(gallery)])
            measured, order = measured.sort(stable=True)
            far[row], found[row] = measured[:most], order[:most]
        distances.append(far.float())
        numbers.append(found)
    return torch.cat(distances), torch.cat(numbers)


def _candidates(
    queries: Float[Tensor, "Q D"], gallery: Float[Tensor, "N D"], middle: Float[Tensor, " D"], most: int
) -> tuple[Int[Tensor, "Q C"], Float[Tensor, " Q"]]:
    """Rows that seem near, in the order of their numbers, and the squared distance below which no other one can be."""
    x = queries - middle
    squares, longest, start = x.square().sum(1), 0.0, 0
    seem = torch.empty(len(x), 0, dtype=torch.float64, device=x.device)
    found = torch.empty(len(x), 0, dtype=torch.long, device=x.device)
    beyond = torch.full((len(x),), torch.inf, dtype=torch.float64, device=x.device)
    for rows in _blocks(gallery):
        y = rows.double() - middle
        lengths = y.square().sum(1)
        longest = max(longest, float(lengths.max()))
        near = torch.arange(start, start + len(y), device=x.device).expand(len(x), -1)
        seem, found = torch.cat([seem, lengths - 2 * x @ y.T], 1), torch.cat([found, near], 1)
        start += len(y)
        kept = min(most + SPARE, seem.shape[1])
        if kept < seem.shape[1]:
            values, places = seem.topk(kept + 1, largest=False, sorted=True)
            beyond = torch.minimum(beyond, values[:, -1])
            seem, found = values[:, :-1], found.gather(1, places[:, :-1])
    # A product of D + 2 terms errs by (2D + 8) roundings of (|x| + |y|)^2 at most, see ``retrieval.exact``; so do both.
    slack = (4 * x.shape[1] + 16) * ROUNDING * (squares.sqrt() + longest**0.5).square()
    return found.sort(dim=1).values, beyond + squares - slack


def _blocks(gallery: Float[Tensor, "N D"]) -> tuple[Tensor, ...]:
    return gallery.split(max(1, BLOCK // max(gallery.shape[1], 1)))
