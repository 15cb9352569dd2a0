"""All measures of one set of embeddings at once, beside what embeddings that know nothing would score."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable

import torch

from dmlbook._checks import at_least, bad_input, between, check_labels, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.retrieval.clustering import MOST_STARTS, clustering
from dmlbook.retrieval.exact import check_gallery, check_set, sort_by_class
from dmlbook.retrieval.ranking import BLOCK, check_ks, expected_recall, precision, precision_of_rows, recall
from dmlbook.seeding import SEED


@checked
def chance(
    labels: Int[Tensor, " N"],
    ks: Iterable[int] = (1, 2, 4, 8),
    *,
    gallery_labels: Int[Tensor, " M"] | None = None,
) -> dict[str, float]:
    """Expected Recall@K, R-precision and MAP@R when the others, or the gallery, are retrieved in random order.

    It depends on the sizes of the classes alone, and is what embeddings score that are all equal.

    Args:
        labels: Class of each image, any integers.
        ks: Numbers of neighbours, 1 to N - 1, or to M in a gallery.
        gallery_labels: Class of each image of the gallery that is searched instead of the others.

    Returns:
        Fractions in [0, 1] under ``recall_at_1`` and so on, ``r_precision`` and ``map_at_r``.

    Raises:
        ValueError: No class has two images, or a K is out of range.

    Example:
        >>> chance(torch.tensor([0, 0, 1, 1]), ks=(1, 2))["recall_at_1"]  # one match among three others
        0.33333333333333337
    """
    labels = check_labels(labels)
    if len(labels) == 0:
        raise bad_input("labels", "hold at least one class", "none", "Skip empty sets.")
    ones, within = torch.ones(len(labels), 1, device=labels.device), gallery_labels is None
    check_set(ones, labels, queries=not within)
    if within:
        found, others = labels, len(labels) - 1
    else:
        found = check_gallery(ones, labels, torch.ones(len(gallery_labels), 1, device=labels.device), gallery_labels)
        others = len(found)
    ks = check_ks(ks, len(found), gallery=not within)
    kinds, queries = _matches(labels, found, within=within)

    def mean(values: list[float]) -> float:
        return math.fsum(value * n for value, (_, n) in zip(values, kinds, strict=True)) / queries

    levels = {f"recall_at_{k}": mean([expected_recall(0, matches, others, k) for matches, _ in kinds]) for k in ks}
    all_tied = torch.tensor([others])
    ties = [torch.zeros(1, matches, dtype=torch.float64) for matches, _ in kinds]
    pairs = [precision_of_rows(tie, tie, all_tied) for tie in ties]
    return levels | {
        "r_precision": mean([float(one) for one, _ in pairs]),
        "map_at_r": mean([float(other) for _, other in pairs]),
    }


def _matches(labels: Tensor, searched: Tensor, *, within: bool) -> tuple[list[tuple[int, int]], int]:
    """How many matches a query has, and how many queries have so many; and the queries that have any."""
    classes, sizes = torch.unique(searched, return_counts=True)
    place = torch.searchsorted(classes, labels).clamp(max=len(classes) - 1)
    matches = torch.where(classes[place] == labels, sizes[place], 0) - int(within)
    counts, queries = torch.unique(matches[matches > 0], return_counts=True)
    return list(zip(counts.tolist(), queries.tolist(), strict=True)), int(queries.sum())


@checked(block=at_least(1), n_init=between(1, MOST_STARTS), seed=finite)
def evaluate(
    embeddings: Float[Tensor, "N D"],
    labels: Int[Tensor, " N"],
    ks: Iterable[int] = (1, 2, 4, 8),
    *,
    gallery: Float[Tensor, "M D"] | None = None,
    gallery_labels: Int[Tensor, " M"] | None = None,
    metric: str = "cosine",
    block: int = BLOCK,
    clusters: bool = True,
    n_init: int = 10,
    seed: int = SEED,
) -> dict[str, float]:
    """Every measure of the book, flat, ready for a record.

    Args:
        embeddings: One row per image, of any floating type, on any device.
        labels: Class of each image, any integers.
        ks: Numbers of neighbours of Recall@K.
        gallery: Embeddings to search instead of the others, see ``recall_at_k``; NMI and AMI stay those of the queries.
        gallery_labels: Class of each, in the numbers of ``labels``.
        metric: ``"cosine"`` or ``"euclidean"``.
        block: Bounds the memory, see ``recall_at_k``.
        clusters: Whether to run k-means for NMI and AMI, by far the slowest part when there are many classes.
        n_init: Starts of k-means; see ``clustering``.
        seed: Of k-means.

    Returns:
        ``recall_at_1`` (and so on), ``r_precision``, ``map_at_r``, ``nmi``, ``ami``; each again as ``chance_...``, the
        floor; ``images``, ``classes``, and ``queries``, the images whose class has another image: means are over them.
        With a gallery, ``gallery`` is its size and ``left_out`` the queries whose class it does not hold.
        In a set of one class, or of one image each, NMI and AMI are not defined: left out, with a warning.

    Raises:
        ValueError: As ``recall_at_k`` and ``clustering``.

    Example:
        >>> scores = evaluate(torch.eye(4)[[0, 0, 1, 1]], torch.tensor([5, 5, 7, 7]), ks=(1,))
        >>> scores["recall_at_1"], scores["nmi"], scores["queries"]
        (1.0, 1.0, 4)
    """
    prepared = sort_by_class(embeddings, labels, metric, block, gallery, gallery_labels)
    images = prepared.apart or len(prepared)
    ks = check_ks(ks, len(prepared) - prepared.apart, gallery=gallery is not None)
    scores = {f"recall_at_{k}": value for k, value in recall(prepared, ks, block).items()}
    scores["r_precision"], scores["map_at_r"] = precision(prepared, block)
    floors, classes = chance(labels, ks, gallery_labels=gallery_labels), len(torch.unique(labels))
    if clusters and not 1 < classes < images:
        why = "they compare two classes or more, and not of one image each"
        warnings.warn(f"retrieval.evaluate: NMI and AMI are left out: {why}", stacklevel=3)
    elif clusters:
        found = clustering(embeddings, labels, metric=metric, n_init=n_init, seed=seed)
        scores |= {"nmi": found.nmi, "ami": found.ami}
        floors |= {"nmi": found.nmi_floor, "ami": 0.0}
    scores |= {f"chance_{name}": value for name, value in floors.items()}
    queries = prepared.queries.stop - prepared.queries.start
    sizes = {"images": images, "classes": classes, "queries": queries}
    if gallery is not None:
        sizes |= {"gallery": len(gallery), "left_out": images - queries}
    return scores | sizes
