"""Losses, each called as ``loss(embeddings, labels) -> scalar``, and beside each class its formula as a function.

| name | class | chapter | source |
|---|---|---|---|
| ``triplet`` | ``TripletLoss`` | 1 | all valid triplets, hinge and margin |
| ``semihard`` | ``SemiHardLoss`` | 1, 6 | Schroff et al., CVPR 2015 |
| ``softmax`` | ``NormalizedSoftmax`` | 2 | one center a class |
| ``hardtriple`` | ``HardTriple`` | 3 | Qian et al., ICCV 2019 |
| ``softtriple`` | ``SoftTriple`` | 3, 4 | Qian et al., ICCV 2019 |
| ``centroid_bound`` | ``CentroidBound`` | 5 | Do et al., CVPR 2019 |
"""

from __future__ import annotations

import inspect

from dmlbook._checks import bad_input, checked, one_of
from dmlbook.losses.base import CenterLoss, Loss
from dmlbook.losses.centers import (
    CenterReport,
    assigned_centers,
    center_distances,
    center_regularizer,
    distinct_centers,
)
from dmlbook.losses.centroid_bound import CentroidBound, centroid_bound_sum, centroid_terms, role_counts
from dmlbook.losses.proxies import NormalizedSoftmax, margin_cross_entropy
from dmlbook.losses.softtriple import (
    HardTriple,
    SoftTriple,
    hardtriple_similarity,
    logsumexp_similarity,
    softtriple_similarity,
)
from dmlbook.losses.triplets import (
    SemiHardLoss,
    TripletLoss,
    TripletShares,
    count_triplets,
    pair_masks,
    semihard_mean,
    triplet_kinds,
    triplet_mean,
    triplet_sum,
    valid_triplets,
)

_CLASSES: dict[str, type[Loss]] = {
    "triplet": TripletLoss,
    "semihard": SemiHardLoss,
    "softmax": NormalizedSoftmax,
    "hardtriple": HardTriple,
    "softtriple": SoftTriple,
    "centroid_bound": CentroidBound,
}
NAMES = tuple(_CLASSES)
"""What ``make`` builds."""


@checked(name=one_of(*NAMES))
def make(name: str, *, num_classes: int, embedding_size: int, **chosen: object) -> Loss:
    """Build a loss by name.

    Args:
        name: One of ``NAMES``.
        num_classes: C; losses on triplets need none and pass it over.
        embedding_size: D; likewise.
        **chosen: Options of the loss's class, such as ``scale=20.0``; ``losses.options(name)`` lists them.

    Raises:
        ValueError: No loss has that name, or the loss has no such option, or an option is out of range.

    Example:
        >>> make("softtriple", num_classes=3, embedding_size=2, centers_per_class=4).centers.shape
        torch.Size([3, 4, 2])
    """
    known = inspect.signature(_CLASSES[name]).parameters
    for option in chosen:
        if option not in known:
            listed = ", ".join(options(name))
            raise bad_input("options", f"be among those of {name}: {listed}", option, "Leave it out.")
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


__all__ = [
    "NAMES",
    "CenterLoss",
    "CenterReport",
    "CentroidBound",
    "HardTriple",
    "Loss",
    "NormalizedSoftmax",
    "SemiHardLoss",
    "SoftTriple",
    "TripletLoss",
    "TripletShares",
    "assigned_centers",
    "center_distances",
    "center_regularizer",
    "centroid_bound_sum",
    "centroid_terms",
    "count_triplets",
    "distinct_centers",
    "hardtriple_similarity",
    "logsumexp_similarity",
    "make",
    "margin_cross_entropy",
    "options",
    "pair_masks",
    "role_counts",
    "semihard_mean",
    "softtriple_similarity",
    "triplet_kinds",
    "triplet_mean",
    "triplet_sum",
    "valid_triplets",
]
