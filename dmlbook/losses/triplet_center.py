"""Triplet-center: images against the means of classes, which move with the network and must be found again."""

from __future__ import annotations

import torch

from dmlbook._checks import above, at_least, bad_input, check_batch, check_memory, checked, one_of
from dmlbook._types import Bool, Float, Int, Tensor
from dmlbook.geometry import normalize, squared_distances
from dmlbook.losses.base import Loss

NEGATIVES = ("closest", "mean")
UPDATES = ("running", "fixed")


@checked(margin=at_least(0), negatives=one_of(*NEGATIVES))
def triplet_center_mean(
    squared_distances: Float[Tensor, "B C"],
    labels: Int[Tensor, " B"],
    *,
    margin: float = 1.0,
    negatives: str = "closest",
    known: Bool[Tensor, " C"] | None = None,
) -> Float[Tensor, ""]:
    """Mean over the batch of [d_y / 2 + margin - d_n / 2]_+, with n the closest other centroid, or the mean over them.

    Args:
        squared_distances: Of embedding b to the centroid of class c.
        labels: Class numbers, 0 to C - 1.
        margin: In units of half the squared distance, >= 0; at most 2 between unit vectors.
        negatives: ``"closest"``, or the ``"mean"`` of the distances to all other centroids: then the loss is linear in
            them wherever the hinge is open.
        known: Which classes have a centroid yet. Images of others, and images with no other to push from, count 0.

    Raises:
        ValueError: Shapes or labels do not fit, or the margin is negative.

    Source: He et al., CVPR 2018; ``"mean"``: Ming et al., ICCV workshops 2017, the linear form that the centroid bound
    is closest to. Chapter 6.

    Example:
        >>> triplet_center_mean(torch.tensor([[0.5, 2.0]]), torch.tensor([0]))  # 0.25 + 1 - 1
        tensor(0.2500)
    """
    labels = check_batch(squared_distances, labels, num_classes=squared_distances.shape[1])
    if squared_distances.shape[1] < 2:
        raise bad_input("squared_distances", "have 2 columns or more", 1, "One class has no negatives.")
    index = labels[:, None]
    known = torch.ones_like(squared_distances[0], dtype=torch.bool) if known is None else known
    others = known.expand_as(squared_distances).scatter(1, index, False)  # (B, C)
    own = squared_distances.gather(1, index)[:, 0]
    if negatives == "closest":
        other = squared_distances.masked_fill(~others, torch.inf).amin(1)
    else:
        other = squared_distances.where(others, 0).sum(1) / others.sum(1).clamp(min=1)
    counted = others.any(1) & known[labels]
    other = other.where(counted, 0)  # infinity must not meet a gradient
    return ((own - other) / 2 + margin).clamp(min=0).where(counted, 0).mean()


class TripletCenter(Loss):
    """Triplets of an image and two class means. The means are no weights: they have to follow the network.

    With ``update="running"`` each batch moves its classes' centroids towards its images, which is cheap and always a
    little late. ``recompute`` sets them to the exact means of a whole set, which is right until the next step and costs
    a pass over the set. With ``update="fixed"`` nothing but ``recompute`` moves them. Costs B C D.

    Args:
        num_classes: C, >= 2.
        embedding_size: D, >= 1.
        margin: In units of half the squared distance, >= 0. 5 in the paper, whose features are not normalized; unit
            vectors have at most 2.
        negatives: ``"closest"`` other centroid, or the ``"mean"`` over all others.
        update: ``"running"`` or ``"fixed"``.
        rate: By which share a batch moves its classes' centroids, in (0, 1]; 0.5 in the paper.
        normalize: Whether embeddings are scaled to unit length first.

    A class's first batch sets its centroid to the mean of its images: from centroids that are all 0 no gradient comes.
    Batches move centroids in training mode only, and after their loss was computed.

    Source: He et al., CVPR 2018, without the SoftMax that stands beside it there; the rule of the running means is that
    of center loss (Wen et al., ECCV 2016). Chapter 6.
    """

    why_alone = "It compares images with centroids, not with one another"
    centroids: Tensor
    known: Tensor

    @checked(
        num_classes=at_least(2, "A loss tells classes apart."),
        embedding_size=at_least(1),
        margin=at_least(0),
        negatives=one_of(*NEGATIVES),
        update=one_of(*UPDATES),
        rate=above(0, up_to=1),
    )
    def __init__(
        self,
        *,
        num_classes: int,
        embedding_size: int,
        margin: float = 1.0,
        negatives: str = "closest",
        update: str = "running",
        rate: float = 0.5,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        sizes = {"num_classes": num_classes, "embedding_size": embedding_size}
        check_memory(float(num_classes) * embedding_size, "loss", **sizes)
        self.num_classes, self.embedding_size = num_classes, embedding_size
        self.margin, self.negatives, self.update, self.rate = margin, negatives, update, rate
        self.normalize = normalize
        self.register_buffer("centroids", torch.zeros(num_classes, embedding_size))
        self.register_buffer("known", torch.zeros(num_classes, dtype=torch.bool))

    @checked
    @torch.no_grad()
    def recompute(self, embeddings: Float[Tensor, "N D"], labels: Int[Tensor, " N"]) -> None:
        """Set the centroid of each class to the mean of its embeddings; classes without any keep theirs.

        Raises:
            ValueError: Shapes or labels do not fit.
        """
        self._check_columns(embeddings)
        labels = check_batch(embeddings, labels, num_classes=self.num_classes)
        means, counts = self._means(embeddings, labels)
        there = counts > 0
        self.centroids[there] = means[there].to(self.centroids.dtype)
        self.known |= there

    def compute(self, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        points = normalize(embeddings) if self.normalize else embeddings
        if self.training and self.update == "running":
            self._meet(points.detach(), labels)
        apart = squared_distances(points, self.centroids.to(points.dtype, copy=True))  # they move below
        value = triplet_center_mean(apart, labels, margin=self.margin, negatives=self.negatives, known=self.known)
        if self.training and self.update == "running":
            self._follow(points.detach(), labels)
        return value

    def _means(self, embeddings: Tensor, labels: Tensor) -> tuple[Float[Tensor, "C D"], Float[Tensor, " C"]]:
        points = normalize(embeddings) if self.normalize else embeddings
        points = points.to(torch.promote_types(self.centroids.dtype, torch.float32))  # half ends at 65,504
        sums = points.new_zeros(self.centroids.shape).index_add_(0, labels, points)
        counts = torch.bincount(labels, minlength=self.num_classes).to(points.dtype)
        return sums / counts.clamp(min=1)[:, None], counts

    def _meet(self, points: Tensor, labels: Tensor) -> None:
        """Classes seen for the first time begin at the mean of what is seen of them."""
        means, counts = self._means(points, labels)
        new = (counts > 0) & ~self.known
        self.centroids[new] = means[new].to(self.centroids.dtype)
        self.known |= new

    def _follow(self, points: Tensor, labels: Tensor) -> None:
        """Center loss's rule: a class with n images here moves by rate * sum(x - c) / (1 + n)."""
        means, counts = self._means(points, labels)
        share = (self.rate * counts / (1 + counts))[:, None]
        self.centroids.copy_(self.centroids + share * (means - self.centroids))

    def extra_repr(self) -> str:
        sizes = f"num_classes={self.num_classes}, embedding_size={self.embedding_size}"
        return f"{sizes}, margin={self.margin}, negatives={self.negatives}, update={self.update}"
