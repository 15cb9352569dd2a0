"""What a batch's images are compared with: one another, or references such as a memory of former batches."""

from __future__ import annotations

from typing import NamedTuple

from dmlbook._types import Float, Int, Tensor
from dmlbook.geometry import distances, normalize, squared_distances


class References(NamedTuple):
    """What the other ends of a batch's pairs are, where they are not the batch itself.

    Attributes:
        embeddings: Of M images; None: the batch's own.
        labels: Their classes. None: they are the batch's, image by image, and no image is paired with its own place.
    """

    embeddings: Float[Tensor, "M D"] | None = None
    labels: Int[Tensor, " M"] | None = None


ITSELF = References()
"""No references: a batch's images are compared with one another."""


def ends(embeddings: Tensor, references: References, unit: bool) -> tuple[Float[Tensor, "B D"], Float[Tensor, "M D"]]:
    """The anchors and what they are compared with, as a loss sees them; one object where a batch is compared alone."""
    points = normalize(embeddings) if unit else embeddings
    if references.embeddings is None:
        return points, points
    return points, normalize(references.embeddings) if unit else references.embeddings


def pair_distances(embeddings: Tensor, references: References, distance: str, unit: bool) -> Float[Tensor, "B M"]:
    points, others = ends(embeddings, references, unit)
    return squared_distances(points, others) if distance == "squared" else distances(points, others)
