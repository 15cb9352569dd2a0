"""How Recall@K, R-precision and MAP@R are counted: where each query's nearest match stands, block by block."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import torch

from dmlbook._checks import bad_input, check_number, check_unique
from dmlbook._types import Float, Int, Tensor
from dmlbook.retrieval.exact import Sorted, sum_in_fixed_order

BLOCK = 1024


def check_ks(ks: Iterable[int], images: int, *, gallery: bool = False) -> list[int]:
    """The Ks must be different integers, one at least, and no more than there is to retrieve.

    Args:
        ks: Numbers of neighbours.
        images: Of the set, a query among them; of the gallery, if there is one.
        gallery: Whether the queries lie outside ``images``.

    Returns:
        The Ks as Python's own integers.
    """
    most = images if gallery else images - 1
    remedy = f"The gallery holds {images}." if gallery else f"There are {images} images, so {most} others to retrieve."
    found = [k.item() if hasattr(k, "item") else k for k in ks]
    if not found:
        raise bad_input("ks", "hold a number of neighbours", "none", "Pass ks=(1,) for Recall@1.")
    for k in found:
        check_number(low=1, high=most, integer=True, remedy=remedy, ks=k)
    check_unique(ks=found)
    return found


def recall(prepared: Sorted, ks: Sequence[int], block: int) -> dict[int, float]:
    """Recall@K of a sorted set."""
    triples, queries = torch.unique(_best_match_ranks(prepared, block), dim=0, return_counts=True)
    triples, queries = triples.tolist(), queries.tolist()
    found = {k: [n * expected_recall(*triple, k) for triple, n in zip(triples, queries, strict=True)] for k in ks}
    return {k: math.fsum(terms) / sum(queries) for k, terms in found.items()}  # fsum: the same in every order


def expected_recall(better: int, matches: int, tied: int, k: int) -> float:
    """Chance of a match among the first ``k``: ``better`` others first, then ``tied`` with ``matches`` among them.

    Example:
        One match in a tie of four, nothing nearer: half of the orders show it within two places.

        >>> expected_recall(0, 1, 4, 2)
        0.5
    """
    places = min(max(k - better, 0), tied)
    return 1 - math.comb(tied - matches, places) / math.comb(tied, places)


def _best_match_ranks(prepared: Sorted, block: int) -> Int[Tensor, "Q 3"]:
    """For each query: the images nearer than its nearest match, the matches as near as that, and all images as near."""
    classes, device = prepared.classes, prepared.classes.device
    best = torch.full((len(prepared),), -math.inf, dtype=torch.float64, device=device)
    for sides, similarities, same in _pairs(prepared, block, same_class_only=True):
        similarities.masked_fill_(~same, -math.inf)
        for queries, axis in sides:
            best[queries] = torch.maximum(best[queries], similarities.amax(axis))
    slack = prepared.slack(best, slice(None))
    above, below = best + slack, best - slack
    nearer, not_farther = torch.zeros(2, len(classes), dtype=torch.int64, device=device)
    for sides, similarities, _ in _pairs(prepared, block):
        for queries, axis in sides:
            nearer[queries] += _count(similarities > above[queries].unsqueeze(axis), axis)
            not_farther[queries] += _count(similarities >= below[queries].unsqueeze(axis), axis)
    alone = torch.ones_like(nearer)
    found = torch.stack([nearer, alone, alone], 1)
    found[nearer + 1 < not_farther, 0] = -1  # something is about as near as the nearest match
    (open_queries,) = (found[prepared.queries, 0] < 0).nonzero(as_tuple=True)  # those without a match ask nothing
    open_queries += prepared.queries.start
    for queries in _parts(open_queries, max(16, block // 8)):
        found[queries] = _settled_ranks(prepared, queries, below[queries], above[queries], block)
    return found[prepared.queries]


def _settled_ranks(
    prepared: Sorted, queries: Int[Tensor, " Q"], below: Float[Tensor, " Q"], above: Float[Tensor, " Q"], block: int
) -> Int[Tensor, "Q 3"]:
    """The same of queries for which the quick similarities between ``below`` and ``above`` do not decide."""
    classes, first, last = prepared.classes, prepared.classes[queries[0]], prepared.classes[queries[-1]]
    searched = torch.arange(prepared.apart, len(classes), device=classes.device)
    matches = searched[(classes[searched] >= first) & (classes[searched] <= last)]  # of all these queries

    def contested(others: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for cols in _parts(others, block):
            similarities = prepared.similarities(queries, cols).masked_fill_(queries[:, None] == cols, -math.inf)
            nearer = similarities > above[:, None]
            unclear = ~nearer & (similarities >= below[:, None])
            (some,) = unclear.any(0).nonzero(as_tuple=True)
            settled = prepared.settled(queries, cols[some]).masked_fill_(~unclear[:, some], -math.inf)
            yield _count(nearer, 1), settled, classes[queries, None] == classes[cols[some]]

    best = torch.full_like(above, -math.inf)
    for _, settled, same in contested(matches):
        if settled.shape[1]:
            best = torch.maximum(best, settled.masked_fill(~same, -math.inf).amax(1))
    counts = torch.zeros(len(queries), 3, dtype=torch.int64, device=classes.device)
    for nearer, settled, same in contested(searched):
        tied = settled == best[:, None]
        counts[:, 0] += nearer + _count(settled > best[:, None], 1)
        counts[:, 1] += _count(tied & same, 1)
        counts[:, 2] += _count(tied, 1)
    return counts


def _parts(indices: Int[Tensor, " M"], size: int) -> Iterator[Tensor]:
    return (indices[start : start + size] for start in range(0, len(indices), size))


def _count(mask: Tensor, axis: int) -> Tensor:
    """Trues along an axis; several times faster than summing the mask as 64-bit integers."""
    return mask.view(torch.uint8).sum(axis, dtype=torch.int32)


def _pairs(
    prepared: Sorted, block: int, *, same_class_only: bool = False
) -> Iterator[tuple[tuple[tuple[slice, int], ...], Tensor, Tensor | None]]:
    """Blocks of queries and what they search: whose they are, similarities (self: -inf), and which are of one class.

    Each block serves the queries along its axis 1; where a set searches itself, only blocks on and above the diagonal
    are made, and serve those along axis 0, too. The last is None where no pair is of one class. Classes lie together,
    so such blocks hug the diagonal.
    """
    classes, ascending, itself = prepared.classes, prepared.classes.tolist(), not prepared.apart
    searched = _slices(prepared.apart, len(classes), block)
    for i, rows in enumerate(searched if itself else _slices(0, prepared.apart, block)):
        for cols in searched[i:] if itself else searched:
            touch = ascending[cols.start] <= ascending[rows.stop - 1]
            touch = touch and ascending[rows.start] <= ascending[cols.stop - 1]
            if same_class_only and not touch:
                continue
            similarities = prepared.similarities(rows, cols)
            if rows == cols:
                similarities.fill_diagonal_(-math.inf)
            sides = ((rows, 1), (cols, 0)) if itself and rows != cols else ((rows, 1),)
            yield sides, similarities, (classes[rows, None] == classes[cols]) if touch else None


def _slices(start: int, stop: int, block: int) -> list[slice]:
    return [slice(first, min(first + block, stop)) for first in range(start, stop, block)]


def precision(prepared: Sorted, block: int) -> tuple[float, float]:
    """R-precision and MAP@R of a sorted set, from whole rows, as many at a time as 4 ``block``^2 numbers hold."""
    device, itself = prepared.classes.device, int(not prepared.apart)
    step = max(1, 4 * block * block // (len(prepared) - prepared.apart))
    starts = (prepared.sizes.cumsum(0) - prepared.sizes)[prepared.classes]  # where each one's class begins, of those
    r_precisions, averages = [], []
    first, last, sizes = prepared.queries.start, prepared.queries.stop, prepared.sizes[prepared.classes].tolist()
    while first < last:
        size, stop = sizes[first], min(first + step, last)
        while sizes[stop - 1] != size:  # rows of one R at a time need no padding
            stop -= 1
        rows, r = torch.arange(first, stop, device=device), size - itself
        similarities = _with_itself(prepared, slice(first, stop))
        top = similarities.topk(r + 1, dim=1).values
        (unclear,) = _too_close(prepared, top, rows).nonzero(as_tuple=True)
        for some in _parts(unclear, max(16, block // 8)):
            similarities[some] = _settled_top(prepared, similarities[some], top[some, -2], rows[some], block)
            top[some] = similarities[some].topk(r + 1, dim=1).values
        own = similarities.gather(1, starts[rows, None] + torch.arange(size, device=device))
        own = own.sort(dim=1, descending=True).values[:, :r].contiguous()  # all but the query: (rows, R)
        top, beyond = top[:, :-1].contiguous(), top[:, -1]
        cut = (top[:, -1] == beyond).nonzero().flatten()  # rows whose last tie goes on beyond the first R
        tied_last = torch.zeros_like(rows)
        tied_last[cut] = _count(similarities[cut] == beyond[cut, None], 1).long()
        one, other = precision_of_rows(own, top, tied_last)
        r_precisions += one.tolist()
        averages += other.tolist()
        first = stop
    return math.fsum(r_precisions) / len(r_precisions), math.fsum(averages) / len(averages)


def _with_itself(prepared: Sorted, rows: slice) -> Float[Tensor, "Q N"]:
    """Similarities of queries to all that is searched, and -inf to the query itself: in a column more if it is not."""
    similarities = prepared.similarities(rows, slice(prepared.apart, None))
    if prepared.apart:
        return torch.nn.functional.pad(similarities, (0, 1), value=-math.inf)
    similarities.diagonal(rows.start).fill_(-math.inf)
    return similarities


def _too_close(prepared: Sorted, top: Float[Tensor, "Q T"], rows: Int[Tensor, " Q"]) -> Tensor:
    """Rows in which some of the largest similarities, descending, might be in another order."""
    gaps, slack = top[:, :-1] - top[:, 1:], prepared.slack(top[:, -2], rows)
    return (gaps <= slack[:, None]).any(1)


def _settled_top(
    prepared: Sorted, similarities: Float[Tensor, "Q N"], least: Float[Tensor, " Q"], rows: Tensor, block: int
) -> Float[Tensor, "Q N"]:
    """Rows that hold what might be as large as ``least``, settled, and -inf for all that is smaller."""
    candidates = similarities >= (least - prepared.slack(least, rows))[:, None]
    found = torch.full_like(similarities, -math.inf)
    for cols in _parts(candidates.any(0).nonzero().flatten(), block):
        found[:, cols] = prepared.settled(rows, cols + prepared.apart).masked_fill_(~candidates[:, cols], -math.inf)
    return found


def precision_of_rows(
    own: Float[Tensor, "Q R"], top: Float[Tensor, "Q R"], tied_last: Int[Tensor, " Q"]
) -> tuple[Float[Tensor, " Q"], Float[Tensor, " Q"]]:
    """Expected R-precision and average precision at R of each query, over random orders of ties.

    A match in a tie of t images of which m are matches, behind g nearer images of which h are matches, takes each of
    the places g + 1 .. g + t alike. At place g + q, matches up to and with it are h + 1 + (q - 1) (m - 1) / (t - 1) on
    average.

    Args:
        own: Similarities to the matches, descending.
        top: The R largest similarities, descending.
        tied_last: Number of images as similar as the last of ``top`` where some of them are cut off there, else 0.
    """
    r = own.shape[1]
    nearer = torch.searchsorted(-top, -own)  # g, or R if the match is not in the first R whatever its luck
    tied = torch.searchsorted(-top, -own, right=True) - nearer
    tied = torch.where(own == top[:, -1:], tied.maximum(tied_last[:, None]), tied).clamp(min=1)  # t
    hits = torch.searchsorted(-own, -own)  # h
    tied_matches = torch.searchsorted(-own, -own, right=True) - hits  # m
    places = torch.minimum(r - nearer, tied)  # of the tie's places, those within the first R
    harmonic = torch.cat([torch.zeros(1), (1 / torch.arange(1, r + 1, dtype=torch.float64)).cumsum(0)]).to(own.device)
    slope = (tied_matches - 1) / (tied - 1).clamp(min=1).double()
    precisions = slope * places + (hits + 1 - slope * (nearer + 1)) * (harmonic[nearer + places] - harmonic[nearer])
    return sum_in_fixed_order(places / tied.double()) / r, sum_in_fixed_order(precisions / tied) / r
