"""NMI and AMI of k-means clusters against the classes, beside the score of clusters that know nothing of them.

NMI has a floor: on CUB's 5,924 test images in 100 clusters, random labels score 0.19; on 11,316 classes of SOP 0.81.
The floor here is exact: the mean over all orders in which the clusters could be dealt to the images. AMI is the same
quantity moved and scaled so that its floor is 0: ``(nmi - floor) / (1 - floor)``.

The settings of k-means move NMI by as much as a method does. Measured on 5,924 x 64 embeddings of 100 classes, over
seeds: one start 94.4 +- 1.0; the best of ten, the default of scikit-learn in the papers' time and ours, 95.3 +- 0.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

from dmlbook._checks import at_least, bad_input, between, check_labels, check_number, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.retrieval.exact import check_set, exact_points
from dmlbook.seeding import SEED, named_seed

MOST_STARTS = 1000
"""Of k-means: beyond, nothing is gained, and it would not end."""
GRID = 2.0**25
"""Unit rows are rounded to multiples of 1 / GRID, so that k-means starts alike on every device."""


class WithFloor(NamedTuple):
    """A score, and the mean score of the same clusters dealt to the images at random."""

    value: float
    floor: float


@dataclass(frozen=True)
class Clustering:
    """How well clusters and classes agree.

    Attributes:
        nmi: Normalized mutual information in [0, 1], arithmetic averaging; 1 if clusters are classes.
        nmi_floor: Its mean when the same clusters are dealt to the images at random. 0 only in a very large set.
        ami: Adjusted mutual information, at most 1; its floor is 0 by construction, and below it is worse than chance.
        clusters: Number of clusters that were found.
    """

    nmi: float
    nmi_floor: float
    ami: float
    clusters: int


@checked
def agreement(clusters: Int[Tensor, " N"], labels: Int[Tensor, " N"]) -> Clustering:
    """NMI with its floor, and AMI, of given clusters against labels. How either are numbered does not matter.

    Args:
        clusters: Cluster of each image, any integers.
        labels: Class of each image, any integers.

    Raises:
        ValueError: There is one class, or every image is its own class: nothing can agree or disagree.

    Source: Vinh et al., JMLR 2010. Chapter 1.

    Example:
        >>> halves = torch.tensor([0, 0, 1, 1])
        >>> agreement(halves, halves).nmi, round(agreement(torch.tensor([0, 1, 0, 1]), halves).ami, 6)
        (1.0, -0.5)
    """
    import numpy as np
    from sklearn.metrics import mutual_info_score
    from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

    clusters, labels = check_labels(clusters, argument="clusters"), check_labels(labels)
    _check_classes(labels)
    _, clusters = torch.unique(clusters.cpu(), return_inverse=True)  # any integers, exactly
    _, labels = torch.unique(labels.cpu(), return_inverse=True)
    table = contingency_matrix(labels.numpy(), clusters.numpy(), sparse=True).astype(np.int64)
    mean_entropy = (_entropy(labels) + _entropy(clusters)) / 2
    information = mutual_info_score(None, None, contingency=table)
    expected = expected_mutual_information(table, len(labels))
    return Clustering(
        nmi=float(information / mean_entropy),
        nmi_floor=float(expected / mean_entropy),
        ami=float((information - expected) / (mean_entropy - expected)),
        clusters=int(clusters.max()) + 1,
    )


@checked(num_clusters=at_least(2), n_init=between(1, MOST_STARTS), seed=finite)
def clustering(
    embeddings: Float[Tensor, "N D"],
    labels: Int[Tensor, " N"],
    *,
    metric: str = "cosine",
    num_clusters: int | None = None,
    n_init: int = 10,
    seed: int = SEED,
) -> Clustering:
    """Cluster the embeddings by scikit-learn's k-means and compare with the classes.

    Args:
        embeddings: One row per image, of any floating type, on any device; clustered on the CPU.
        labels: Class of each image, any integers.
        metric: ``"cosine"`` clusters the rows scaled to unit norm, as the papers do; ``"euclidean"`` as they are.
        num_clusters: As many as there are classes by default, as the papers do.
        n_init: Starts (k-means++), 1 to 1,000, of which the tightest is kept. On thousands of classes take 1.
        seed: Of the starts. Images are brought into a fixed order first, so theirs does not matter.

    Raises:
        ValueError: As ``recall_at_k``; there is one class; ``num_clusters`` or ``n_init`` is out of range.

    Source: scikit-learn's KMeans, lloyd, tol 1e-4, at most 300 rounds. Chapter 1.
    """
    return _clustering(embeddings, labels, metric, num_clusters, n_init, seed)


@checked(num_clusters=at_least(2), n_init=between(1, MOST_STARTS), seed=finite)
def nmi(
    embeddings: Float[Tensor, "N D"],
    labels: Int[Tensor, " N"],
    *,
    metric: str = "cosine",
    num_clusters: int | None = None,
    n_init: int = 10,
    seed: int = SEED,
) -> WithFloor:
    """Normalized mutual information of k-means clusters and classes, with its chance floor.

    Args, Raises: as ``clustering``, which gives NMI and AMI from one run of k-means.
    """
    found = _clustering(embeddings, labels, metric, num_clusters, n_init, seed)
    return WithFloor(found.nmi, found.nmi_floor)


@checked(num_clusters=at_least(2), n_init=between(1, MOST_STARTS), seed=finite)
def ami(
    embeddings: Float[Tensor, "N D"],
    labels: Int[Tensor, " N"],
    *,
    metric: str = "cosine",
    num_clusters: int | None = None,
    n_init: int = 10,
    seed: int = SEED,
) -> WithFloor:
    """Adjusted mutual information of k-means clusters and classes; its floor is 0 by construction.

    Args, Raises: as ``clustering``, which gives NMI and AMI from one run of k-means.
    """
    return WithFloor(_clustering(embeddings, labels, metric, num_clusters, n_init, seed).ami, 0.0)


def _entropy(labels: Tensor) -> float:
    """Entropy in nats of labels numbered from 0, each present."""
    shares = torch.bincount(labels).double() / len(labels)
    return float(-(shares * shares.log()).sum())


def _check_classes(labels: Tensor) -> None:
    classes = len(torch.unique(labels))
    if not 1 < classes < len(labels):
        got = f"{classes} classes of {len(labels)} images"
        raise bad_input("labels", "hold two classes or more, fewer than images", got, "Pass more images.")


def _float32_points(embeddings: Tensor, metric: str) -> Tensor:
    """What k-means works on: unit rows in steps of 2^-25, or rows around their median, the largest about 1."""
    points = exact_points(embeddings, metric)
    if metric == "cosine":
        return ((points * GRID).round() / GRID).float()
    middle = points.sort(dim=0).values[(len(points) - 1) // 2]  # the median: the same in every order
    return exact_points(points - middle, metric).float()


def _clustering(
    embeddings: Tensor, labels: Tensor, metric: str, num_clusters: int | None, n_init: int, seed: int
) -> Clustering:
    """k-means and the comparison."""
    import numpy as np
    from sklearn.cluster import KMeans

    labels = check_set(embeddings, labels, metric)
    _check_classes(labels)
    clusters = len(torch.unique(labels)) if num_clusters is None else num_clusters
    check_number(low=2, high=len(labels), integer=True, num_clusters=clusters)
    points = _float32_points(embeddings, metric).cpu().numpy()
    order = np.lexsort(points.T)  # k-means starts from row numbers: the same rows in the same order
    kmeans = KMeans(clusters, n_init=n_init, random_state=named_seed(seed, "k-means") % 2**32)
    found = torch.from_numpy(kmeans.fit_predict(points[order])).long()
    return agreement(found, labels.cpu()[torch.from_numpy(order)])
