"""All measures of one set of embeddings at once, beside what embeddings that know nothing would score."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable

import torch

from dmlbook._checks import at_least, bad_input, between, check_labels, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.retrieval.clustering import MOST_STARTS, clustering
from dmlbook.retrieval.exact import check_set, sort_by_class
from dmlbook.retrieval.ranks import BLOCK, check_ks, expected_recall, precision, precision_of_rows, recall
from dmlbook.seeding import SEED


@checked
def chance(labels: Int[Tensor, " N"], ks: Iterable[int] = (1, 2, 4, 8)) -> dict[str, float]:
    """Expected Recall@K, R-precision and MAP@R when the others are retrieved in random order.

    It depends on the sizes of the classes alone, and is what embeddings score that are all equal.

    Args:
        labels: Class of each image, any integers.
        ks: Numbers of neighbours, 1 to N - 1.

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
    check_set(torch.ones(len(labels), 1, device=labels.device), labels)
    ks = check_ks(ks, len(labels))
    others = len(labels) - 1
    sizes, classes = torch.unique(torch.unique(labels, return_counts=True)[1], return_counts=True)
    kinds = [(size, size * n) for size, n in zip(sizes.tolist(), classes.tolist(), strict=True) if size > 1]
    queries = sum(n for _, n in kinds)

    def mean(values: list[float]) -> float:
        return math.fsum(value * n for value, (_, n) in zip(values, kinds, strict=True)) / queries

    levels = {f"recall_at_{k}": mean([expected_recall(0, size - 1, others, k) for size, _ in kinds]) for k in ks}
    all_tied = torch.tensor([others])
    ties = [torch.zeros(1, size - 1, dtype=torch.float64) for size, _ in kinds]
    pairs = [precision_of_rows(tie, tie, all_tied) for tie in ties]
    return levels | {
        "r_precision": mean([float(one) for one, _ in pairs]),
        "map_at_r": mean([float(other) for _, other in pairs]),
    }


@checked(block=at_least(1), n_init=between(1, MOST_STARTS), seed=finite)
def evaluate(
    embeddings: Float[Tensor, "N D"],
    labels: Int[Tensor, " N"],
    ks: Iterable[int] = (1, 2, 4, 8),
    *,
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
        metric: ``"cosine"`` or ``"euclidean"``.
        block: Bounds the memory, see ``recall_at_k``.
        clusters: Whether to run k-means for NMI and AMI, by far the slowest part when there are many classes.
        n_init: Starts of k-means; see ``clustering``.
        seed: Of k-means.

    Returns:
        ``recall_at_1`` (and so on), ``r_precision``, ``map_at_r``, ``nmi``, ``ami``; each again as ``chance_...``, the
        floor; ``images``, ``classes``, and ``queries``, the images whose class has another image: means are over them.
        In a set of one class NMI and AMI are not defined: they are left out, with a warning.

    Raises:
        ValueError: As ``recall_at_k`` and ``clustering``.

    Example:
        >>> scores = evaluate(torch.eye(4)[[0, 0, 1, 1]], torch.tensor([5, 5, 7, 7]), ks=(1,))
        >>> scores["recall_at_1"], scores["nmi"], scores["queries"]
        (1.0, 1.0, 4)
    """
    prepared = sort_by_class(embeddings, labels, metric, block)
    ks = check_ks(ks, len(prepared))
    scores = {f"recall_at_{k}": value for k, value in recall(prepared, ks, block).items()}
    scores["r_precision"], scores["map_at_r"] = precision(prepared, block)
    floors = chance(labels, ks)
    if clusters and len(prepared.sizes) == 1:
        warnings.warn("retrieval.evaluate: NMI and AMI are left out: they compare two classes or more", stacklevel=3)
    elif clusters:
        found = clustering(embeddings, labels, metric=metric, n_init=n_init, seed=seed)
        scores |= {"nmi": found.nmi, "ami": found.ami}
        floors |= {"nmi": found.nmi_floor, "ami": 0.0}
    scores |= {f"chance_{name}": value for name, value in floors.items()}
    queries = prepared.queries
    sizes = {"images": len(prepared), "classes": len(prepared.sizes), "queries": queries.stop - queries.start}
    return scores | sizes
