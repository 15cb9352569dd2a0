"""Recall@K, R-precision and MAP@R: exact, in bounded memory, and with ties at their expected value.

Where several images lie equally far from a query, no order among them is right. Every measure here is its expected
value when ties are ordered at random, in closed form: nothing is drawn, and the order of the images cannot matter.
Equally far means: squared distances that are equal in float64, computed without any rounding before that. Cosines are
compared as distances of unit vectors in float64, which tells apart directions that differ by more than about 1e-15.
A query is never its own match. Queries whose class has one image have no match at all: they are searched, not scored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import torch

from dmlbook._checks import at_least, bad_input, check_number, check_unique, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.retrieval.exact import Sorted, sort_by_class, sum_in_fixed_order

BLOCK = 1024


@checked(block=at_least(1))
def recall_at_k(
    embeddings: Float[Tensor, "N D"],
    labels: Int[Tensor, " N"],
    ks: Iterable[int] = (1, 2, 4, 8),
    *,
    metric: str = "cosine",
    block: int = BLOCK,
) -> dict[int, float]:
    """Fraction of queries with an image of their class among the K nearest others, for every K at once.

    No search is needed: the K that a query needs is one more than the number of images nearer than its nearest match,
    and counting those takes half of the symmetric distance matrix, one block at a time.

    Args:
        embeddings: One row per image, of any floating type, on any device. Rows need not have unit norm.
        labels: Class of each image, any integers.
        ks: Numbers of neighbours, 1 to N - 1.
        metric: ``"cosine"`` or ``"euclidean"``; equal on unit-norm rows.
        block: Side of the blocks, which bounds the memory: never N x N. 60,502 x 64 embeddings took 220 MB at 1024,
            most of it float64 copies of the embeddings. The scores do not depend on it.

    Returns:
        The recall in [0, 1] for each K. The mean is over images whose class has another image.

    Raises:
        ValueError: An embedding is not finite, or zero under cosine; no class has two images; a K is out of range.

    Source: the protocol of Oh Song et al., CVPR 2016, which both of the book's papers follow. Chapter 1.

    Example:
        Points at 0, 1 and 4 on a line, the outer two of one class, and one of another class at 5:

        >>> points, classes = torch.tensor([[0.0], [1.0], [4.0], [5.0]]), torch.tensor([0, 0, 0, 1])
        >>> recall_at_k(points, classes, ks=(1, 2), metric="euclidean")  # 4 finds 5 first
        {1: 0.6666666666666666, 2: 1.0}
    """
    prepared = sort_by_class(embeddings, labels, metric, block)
    ks = check_ks(ks, len(prepared))
    return recall(prepared, ks, block)


@checked(block=at_least(1))
def r_precision(
    embeddings: Float[Tensor, "N D"], labels: Int[Tensor, " N"], *, metric: str = "cosine", block: int = BLOCK
) -> float:
    """Fraction of matches among a query's R nearest others, R the number of its matches; mean over queries.

    Args, Raises: as ``recall_at_k``, without ``ks``.

    Returns:
        R-precision in [0, 1].

    Source: Musgrave et al., A Metric Learning Reality Check, ECCV 2020. Chapter 1.

    Example:
        >>> points, classes = torch.tensor([[0.0], [1.0], [4.0], [5.0]]), torch.tensor([0, 0, 0, 1])
        >>> r_precision(points, classes, metric="euclidean")  # 1, 1 and 1/2 for the three queries
        0.8333333333333334
    """
    return precision(sort_by_class(embeddings, labels, metric, block), block)[0]


@checked(block=at_least(1))
def map_at_r(
    embeddings: Float[Tensor, "N D"], labels: Int[Tensor, " N"], *, metric: str = "cosine", block: int = BLOCK
) -> float:
    """Mean average precision at R: like R-precision, but early matches count for more.

    For one query: the mean over places p = 1..R of (precision among the first p) x (1 if place p is a match, else 0).

    Args, Raises: as ``recall_at_k``, without ``ks``.

    Returns:
        MAP@R in [0, 1].

    Source: Musgrave et al., A Metric Learning Reality Check, ECCV 2020. Chapter 1.

    Example:
        >>> points, classes = torch.tensor([[0.0], [1.0], [4.0], [5.0]]), torch.tensor([0, 0, 0, 1])
        >>> map_at_r(points, classes, metric="euclidean")  # 1, 1 and (0 + 1/2) / 2
        0.75
    """
    return precision(sort_by_class(embeddings, labels, metric, block), block)[1]


def check_ks(ks: Iterable[int], images: int) -> list[int]:
    """The Ks must be different integers in 1..N - 1, one at least; they come back as Python's own."""
    found = [k.item() if hasattr(k, "item") else k for k in ks]
    if not found:
        raise bad_input("ks", "hold a number of neighbours", "none", "Pass ks=(1,) for Recall@1.")
    for k in found:
        remedy = f"There are {images} images, so {images - 1} others to retrieve."
        check_number(low=1, high=images - 1, integer=True, remedy=remedy, ks=k)
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
    for rows, cols, similarities, same in _half_of_pairs(prepared, block, same_class_only=True):
        similarities.masked_fill_(~same, -math.inf)
        best[rows] = torch.maximum(best[rows], similarities.amax(1))
        best[cols] = torch.maximum(best[cols], similarities.amax(0))
    slack = prepared.slack(best, slice(None))
    above, below = best + slack, best - slack
    nearer, not_farther = torch.zeros(2, len(classes), dtype=torch.int64, device=device)
    for rows, cols, similarities, _ in _half_of_pairs(prepared, block):
        for queries, axis in ((rows, 1), (cols, 0))[: 1 if rows == cols else 2]:  # the block serves both of its sides
            nearer[queries] += _count(similarities > above[queries].unsqueeze(axis), axis)
            not_farther[queries] += _count(similarities >= below[queries].unsqueeze(axis), axis)
    alone = torch.ones_like(nearer)
    found = torch.stack([nearer, alone, alone], 1)
    found[nearer + 1 < not_farther, 0] = -1  # something is about as near as the nearest match
    (open_queries,) = (found[:, 0] < 0).nonzero(as_tuple=True)
    for queries in _parts(open_queries, max(16, block // 8)):
        found[queries] = _settled_ranks(prepared, queries, below[queries], above[queries], block)
    return found[prepared.queries]


def _settled_ranks(
    prepared: Sorted, queries: Int[Tensor, " Q"], below: Float[Tensor, " Q"], above: Float[Tensor, " Q"], block: int
) -> Int[Tensor, "Q 3"]:
    """The same of queries for which the quick similarities between ``below`` and ``above`` do not decide."""
    classes, first, last = prepared.classes, prepared.classes[queries[0]], prepared.classes[queries[-1]]
    matches = ((classes >= first) & (classes <= last)).nonzero().flatten()  # of all these queries: classes lie together

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
    for nearer, settled, same in contested(torch.arange(len(classes), device=classes.device)):
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


def _half_of_pairs(
    prepared: Sorted, block: int, *, same_class_only: bool = False
) -> Iterator[tuple[slice, slice, Tensor, Tensor | None]]:
    """Blocks on and above the diagonal: rows, columns, similarities (self: -inf), and which pairs are of one class.

    The last is None where no pair is. Classes lie together, so such blocks hug the diagonal.
    """
    classes, ascending = prepared.classes, prepared.classes.tolist()
    slices = [slice(start, min(start + block, len(classes))) for start in range(0, len(classes), block)]
    for i, rows in enumerate(slices):
        for cols in slices[i:]:
            touch = ascending[cols.start] <= ascending[rows.stop - 1]
            if same_class_only and not touch:
                break
            similarities = prepared.similarities(rows, cols)
            if rows == cols:
                similarities.fill_diagonal_(-math.inf)
            yield rows, cols, similarities, (classes[rows, None] == classes[cols]) if touch else None


def precision(prepared: Sorted, block: int) -> tuple[float, float]:
    """R-precision and MAP@R of a sorted set, from whole rows, as many at a time as 4 ``block``^2 numbers hold."""
    n, device = len(prepared), prepared.classes.device
    step = max(1, 4 * block * block // n)
    starts = (prepared.sizes.cumsum(0) - prepared.sizes)[prepared.classes]  # where the class of each image begins
    r_precisions, averages = [], []
    first, sizes = prepared.queries.start, prepared.sizes[prepared.classes].tolist()
    while first < n:
        size, stop = sizes[first], min(first + step, n)
        while sizes[stop - 1] != size:  # rows of one R at a time need no padding
            stop -= 1
        rows = torch.arange(first, stop, device=device)
        similarities = prepared.similarities(slice(first, stop), slice(None))  # (rows, N)
        similarities.scatter_(1, rows[:, None], -math.inf)
        top = similarities.topk(size, dim=1).values
        (unclear,) = _too_close(prepared, top, rows).nonzero(as_tuple=True)
        for some in _parts(unclear, max(16, block // 8)):
            similarities[some] = _settled_top(prepared, similarities[some], top[some, -2], rows[some], block)
            top[some] = similarities[some].topk(size, dim=1).values
        own = similarities.gather(1, starts[rows, None] + torch.arange(size, device=device))
        own = own.sort(dim=1, descending=True).values[:, :-1].contiguous()  # all but the query: (rows, R)
        top, beyond = top[:, :-1].contiguous(), top[:, -1]
        cut = (top[:, -1] == beyond).nonzero().flatten()  # rows whose last tie goes on beyond the first R
        tied_last = torch.zeros_like(rows)
        tied_last[cut] = _count(similarities[cut] == beyond[cut, None], 1).long()
        one, other = precision_of_rows(own, top, tied_last)
        r_precisions += one.tolist()
        averages += other.tolist()
        first = stop
    return math.fsum(r_precisions) / len(r_precisions), math.fsum(averages) / len(averages)


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
        found[:, cols] = prepared.settled(rows, cols).masked_fill_(~candidates[:, cols], -math.inf)
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
