"""Which images a center serves: of all centers of a class, which are used, which have merged, which serve nobody."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dmlbook._checks import above, at_least, bad_input, checked, finite
from dmlbook._types import Bool, Float, Int, Tensor
from dmlbook.geometry import normalize
from dmlbook.losses import assigned_centers, distinct_centers


@checked(assigned=at_least(0), similarity=finite, counts=at_least(0), stands=at_least(0), labels=at_least(0))
@dataclass(frozen=True)
class Serving:
    """What became of the centers. Centers that have merged count as one: the lowest-numbered stands for all.

    Attributes:
        assigned: The center of its own class that each image is closest to, 0 to K - 1 (N,).
        similarity: Their cosine (N,).
        counts: How many images each center serves (C, K); 0 where another stands for it.
        stands: Which center of its class stands for each: itself, or the lowest-numbered that it merged with (C, K).
        labels: The images' classes (N,).
    """

    assigned: Int[Tensor, " N"]
    similarity: Float[Tensor, " N"]
    counts: Int[Tensor, "C K"]
    stands: Int[Tensor, "C K"]
    labels: Int[Tensor, " N"]

    @property
    def merged(self) -> Bool[Tensor, "C K"]:
        """Centers that another, lower-numbered one stands for."""
        return self.stands != torch.arange(self.stands.shape[1])

    @property
    def used(self) -> Bool[Tensor, "C K"]:
        """Centers that serve at least one image."""
        return self.counts > 0

    @property
    def unused(self) -> Bool[Tensor, "C K"]:
        """Centers that stand alone and serve nobody."""
        return ~self.used & ~self.merged

    @checked(label=at_least(0), center=at_least(0))
    def of(self, label: int, center: int) -> Int[Tensor, " M"]:
        """The images that a center serves, the most similar first."""
        members = ((self.labels == label) & (self.assigned == center)).nonzero().flatten()
        return members[self.similarity[members].argsort(descending=True, stable=True)]


@checked(threshold=above(0, up_to=2))
def serving(
    embeddings: Float[Tensor, "N D"],
    labels: Int[Tensor, " N"],
    centers: Float[Tensor, "C K D"],
    *,
    threshold: float = 0.1,
) -> Serving:
    """The images that each center of their class serves: those that are closest to it.

    Args:
        embeddings: Of N images, of any length but 0.
        labels: Their classes, 0 to C - 1.
        centers: K of each class; their length does not matter.
        threshold: Centers of a class closer than this count as one: Euclidean distance of unit vectors, in (0, 2].

    Raises:
        ValueError: Shapes or labels do not fit, or ``threshold`` is out of range.

    Source: the assignment q of Qian et al., ICCV 2019, at its largest; counted as in chapter 4. Chapter 9.

    Example:
        >>> centers = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.01]]])  # the first and the last are one
        >>> serving(torch.tensor([[0.9, 0.1], [2.0, 0.0]]), torch.tensor([0, 0]), centers).counts
        tensor([[2, 0, 0]])
    """
    classes, per_class = centers.shape[:2]
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        got = f"{int(labels.min())} to {int(labels.max())} for {classes} classes of centers"
        raise bad_input("labels", "be classes that have centers", got, "Serve the training classes.")
    unit, images = normalize(centers.detach().cpu().float()), normalize(embeddings.detach().cpu().float())
    labels = labels.cpu().long()
    groups = distinct_centers(unit, threshold=threshold).groups
    first = (groups[:, :, None] == groups[:, None, :]).int().argmax(2)  # (C, K) the lowest-numbered of each group
    assigned = first[labels, assigned_centers(images, labels, unit)]
    similarity = (images * unit[labels, assigned]).sum(1)
    counts = torch.bincount(labels * per_class + assigned, minlength=classes * per_class).view(classes, per_class)
    return Serving(assigned, similarity, counts, first, labels)
