"""Losses, each called as ``loss(embeddings, labels) -> scalar``, and beside each class its formula as a function.

| name | class | chapter | source |
|---|---|---|---|
| ``triplet`` | ``TripletLoss`` | 1 | all valid triplets, hinge and margin |
| ``semihard`` | ``SemiHardLoss`` | 1, 6 | Schroff et al., CVPR 2015 |
| ``lifted`` | ``LiftedStructure`` | 6 | Oh Song et al., CVPR 2016 |
| ``clustering`` | ``FacilityLocation`` | 6 | Oh Song et al., CVPR 2017 |
| ``npairs`` | ``NPairs`` | 6 | Sohn, NIPS 2016 |
| ``proxy_nca`` | ``ProxyNCA`` | 6 | Movshovitz-Attias et al., ICCV 2017; ProxyNCA++, ECCV 2020 |
| ``triplet_center`` | ``TripletCenter`` | 6 | He et al., CVPR 2018 |
| ``softmax`` | ``NormalizedSoftmax`` | 2 | one center a class |
| ``hardtriple`` | ``HardTriple`` | 3 | Qian et al., ICCV 2019 |
| ``softtriple`` | ``SoftTriple`` | 3, 4 | Qian et al., ICCV 2019 |
| ``centroid_bound`` | ``CentroidBound`` | 5 | Do et al., CVPR 2019 |
| ``proxy_anchor`` | ``ProxyAnchor`` | 6 | Kim et al., CVPR 2020 |
| ``subcenter_arcface`` | ``SubcenterArcFace`` | 6 | Deng et al., ECCV 2020 |

``triplet``, ``semihard``, ``lifted`` and ``npairs`` compare images with one another, and take what
pytorch-metric-learning's losses take: ``loss(embeddings, labels, indices_tuple, ref_emb, ref_labels)``, the pairs that
a miner found and references that stand for the positives and negatives. ``cross_batch_memory`` puts one of them behind
a memory of former batches. The others compare images with centers, or score a whole batch, and say so.
"""

from __future__ import annotations

import inspect

from dmlbook._checks import bad_input, checked, finite, one_of
from dmlbook.losses.base import CenterLoss, Loss
from dmlbook.losses.centers import (
    assigned_centers,
    center_distances,
    center_regularizer,
    distinct_centers,
)
from dmlbook.losses.centroid_bound import CentroidBound, centroid_bound_sum, centroid_terms, role_counts
from dmlbook.losses.facility_location import FacilityLocation, clustering_gap
from dmlbook.losses.masks import count_triplets, pair_masks, valid_triplets
from dmlbook.losses.memory import cross_batch_memory
from dmlbook.losses.pairs import LiftedStructure, NPairs, lifted_mean, npairs_mean
from dmlbook.losses.proxies import NormalizedSoftmax, margin_cross_entropy
from dmlbook.losses.proxy_anchor import ProxyAnchor, proxy_anchor_loss
from dmlbook.losses.proxy_nca import ProxyNCA, proxy_nca_mean
from dmlbook.losses.softtriple import (
    HardTriple,
    SoftTriple,
    hardtriple_similarity,
    logsumexp_similarity,
    softtriple_similarity,
)
from dmlbook.losses.subcenter_arcface import SubcenterArcFace, angular_margin
from dmlbook.losses.triplet_center import TripletCenter, triplet_center_mean
from dmlbook.losses.triplets import (
    SemiHardLoss,
    TripletLoss,
    semihard_mean,
    triplet_kinds,
    triplet_mean,
    triplet_sum,
)
from dmlbook.seeding import generator

_CLASSES: dict[str, type[Loss]] = {
    "triplet": TripletLoss,
    "semihard": SemiHardLoss,
    "lifted": LiftedStructure,
    "clustering": FacilityLocation,
    "npairs": NPairs,
    "proxy_nca": ProxyNCA,
    "triplet_center": TripletCenter,
    "softmax": NormalizedSoftmax,
    "hardtriple": HardTriple,
    "softtriple": SoftTriple,
    "centroid_bound": CentroidBound,
    "proxy_anchor": ProxyAnchor,
    "subcenter_arcface": SubcenterArcFace,
}
NAMES = tuple(_CLASSES)
"""What ``make`` builds."""


@checked(name=one_of(*NAMES), seed=finite)
def make(name: str, *, num_classes: int, embedding_size: int, seed: int | None = None, **chosen: object) -> Loss:
    """Build a loss by name.

    Where it draws centers, proxies or centroids, ``seed`` alone decides them: the same call gives the same loss,
    whatever torch's global state, which stays as it is. ``nets.build`` and ``TrainConfig`` take a seed for the rest of
    a run.

    Args:
        name: One of ``NAMES``.
        num_classes: C; losses on pairs and triplets need none and pass it over.
        embedding_size: D; likewise.
        seed: Any integer; None: the book's, ``SEED``. Stands for ``generator=seeding.generator(seed, "centers")``, as
            the command line has it. Losses that draw nothing pass it over.
        **chosen: Options of the loss's class, such as ``scale=20.0``; ``losses.options(name)`` lists them.

    Raises:
        ValueError: No loss has that name, or the loss has no such option, or an option is out of range, or both a
            seed and a generator are given.

    Example:
        >>> make("softtriple", num_classes=3, embedding_size=2, centers_per_class=4).centers.shape
        torch.Size([3, 4, 2])
    """
    known = inspect.signature(_CLASSES[name]).parameters
    for option in chosen:
        if option not in known:
            listed = ", ".join(options(name))
            raise bad_input("options", f"be among those of {name}: {listed}", option, "Leave it out.")
    if seed is not None and "generator" in known:
        if chosen.get("generator") is not None:
            raise bad_input("seed", "be left out beside generator", seed, "Give one of them.")
        chosen["generator"] = generator(seed, "centers")
    sizes = {"num_classes": num_classes, "embedding_size": embedding_size}
    return _CLASSES[name](**{key: value for key, value in sizes.items() if key in known}, **chosen)


@checked(name=one_of(*NAMES))
def options(name: str) -> dict[str, object]:
    """The options of the loss called ``name``, with their defaults.

    Example:
        >>> options("semihard")
        {'margin': 0.2, 'normalize': True}
    """
    parameters = inspect.signature(_CLASSES[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


@checked(name=one_of(*NAMES))
def images_per_class(name: str) -> int | None:
    """How many images of a class a batch of the loss called ``name`` should hold; None: any batch will do.

    Example:
        >>> images_per_class("npairs"), images_per_class("softtriple")
        (2, None)
    """
    return _CLASSES[name].images_per_class


__all__ = [
    "NAMES",
    "CenterLoss",
    "CentroidBound",
    "FacilityLocation",
    "HardTriple",
    "LiftedStructure",
    "Loss",
    "NPairs",
    "NormalizedSoftmax",
    "ProxyAnchor",
    "ProxyNCA",
    "SemiHardLoss",
    "SoftTriple",
    "SubcenterArcFace",
    "TripletCenter",
    "TripletLoss",
    "angular_margin",
    "assigned_centers",
    "center_distances",
    "center_regularizer",
    "centroid_bound_sum",
    "centroid_terms",
    "clustering_gap",
    "count_triplets",
    "cross_batch_memory",
    "distinct_centers",
    "hardtriple_similarity",
    "images_per_class",
    "lifted_mean",
    "logsumexp_similarity",
    "make",
    "margin_cross_entropy",
    "npairs_mean",
    "options",
    "pair_masks",
    "proxy_anchor_loss",
    "proxy_nca_mean",
    "role_counts",
    "semihard_mean",
    "softtriple_similarity",
    "triplet_center_mean",
    "triplet_kinds",
    "triplet_mean",
    "triplet_sum",
    "valid_triplets",
]
