"""Recall@K, R-precision and MAP@R: exact, in bounded memory, and with ties at their expected value.

Where several images lie equally far from a query, no order among them is right. Every measure here is its expected
value when ties are ordered at random, in closed form: nothing is drawn, and the order of the images cannot matter.
Equally far means: squared distances that are equal in float64, computed without any rounding before that. Cosines are
compared as distances of unit vectors in float64, which tells apart directions that differ by more than about 1e-15.

Without a ``gallery`` each image searches all others: a query is never its own match. With one, the queries search the
gallery alone, and nothing is excluded: a copy of a query in the gallery is found, so leave out what is there twice.
Queries without a match, whose class has no other image or none in the gallery, are left out of every mean.
"""

from __future__ import annotations

from collections.abc import Iterable

from dmlbook._checks import at_least, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.retrieval.exact import sort_by_class
from dmlbook.retrieval.ranking import BLOCK, check_ks, precision, recall


@checked(block=at_least(1))
def recall_at_k(
    embeddings: Float[Tensor, "N D"],
    labels: Int[Tensor, " N"],
    ks: Iterable[int] = (1, 2, 4, 8),
    *,
    gallery: Float[Tensor, "M D"] | None = None,
    gallery_labels: Int[Tensor, " M"] | None = None,
    metric: str = "cosine",
    block: int = BLOCK,
) -> dict[int, float]:
    """Fraction of queries with an image of their class among the K nearest others, for every K at once.

    No search is needed: the K that a query needs is one more than the number of images nearer than its nearest match,
    and counting those takes half of the symmetric distance matrix, one block at a time.

    Args:
        embeddings: One row per image, of any floating type, on any device. Rows need not have unit norm.
        labels: Class of each image, any integers.
        ks: Numbers of neighbours, 1 to N - 1, or to M in a gallery.
        gallery: Embeddings to search instead of the others: ``embeddings`` are then queries alone.
        gallery_labels: Class of each, in the numbers of ``labels``.
        metric: ``"cosine"`` or ``"euclidean"``; equal on unit-norm rows.
        block: Side of the blocks, which bounds the memory: never N x N. 60,502 x 64 embeddings took 220 MB at 1024,
            most of it float64 copies of the embeddings. The scores do not depend on it.

    Returns:
        The recall in [0, 1] for each K. The mean is over images whose class has another image, or one in the gallery.

    Raises:
        ValueError: An embedding is not finite, or zero under cosine; no class has two images; a K is out of range;
            the gallery fits the queries in no class, dimension or device, or comes without labels.

    Source: the protocol of Oh Song et al., CVPR 2016, which both of the book's papers follow. Chapter 1.

    Example:
        Points at 0, 1 and 4 on a line, the outer two of one class, and one of another class at 5:

        >>> points, classes = torch.tensor([[0.0], [1.0], [4.0], [5.0]]), torch.tensor([0, 0, 0, 1])
        >>> recall_at_k(points, classes, ks=(1, 2), metric="euclidean")  # 4 finds 5 first
        {1: 0.6666666666666666, 2: 1.0}

        The same points as a gallery that a new image at 4.4 searches:

        >>> recall_at_k(torch.tensor([[4.4]]), torch.tensor([1]), (1, 2), gallery=points, gallery_labels=classes,
        ...             metric="euclidean")
        {1: 0.0, 2: 1.0}
    """
    prepared = sort_by_class(embeddings, labels, metric, block, gallery, gallery_labels)
    ks = check_ks(ks, len(prepared) - prepared.apart, gallery=gallery is not None)
    return recall(prepared, ks, block)


@checked(block=at_least(1))
def r_precision(
    embeddings: Float[Tensor, "N D"],
    labels: Int[Tensor, " N"],
    *,
    gallery: Float[Tensor, "M D"] | None = None,
    gallery_labels: Int[Tensor, " M"] | None = None,
    metric: str = "cosine",
    block: int = BLOCK,
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
    return precision(sort_by_class(embeddings, labels, metric, block, gallery, gallery_labels), block)[0]


@checked(block=at_least(1))
def map_at_r(
    embeddings: Float[Tensor, "N D"],
    labels: Int[Tensor, " N"],
    *,
    gallery: Float[Tensor, "M D"] | None = None,
    gallery_labels: Int[Tensor, " M"] | None = None,
    metric: str = "cosine",
    block: int = BLOCK,
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
    return precision(sort_by_class(embeddings, labels, metric, block, gallery, gallery_labels), block)[1]
