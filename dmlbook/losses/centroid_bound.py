"""The centroid upper bound: the triplet loss bounded in linear time by distances to fixed class centroids."""

from __future__ import annotations

import torch

from dmlbook._checks import at_least, bad_input, check_batch, check_labels, check_memory, check_shape, checked, one_of
from dmlbook._types import Float, Int, Tensor
from dmlbook.geometry import distances, kmeans_on_sphere, normalize, one_hot, simplex
from dmlbook.losses.base import Loss

CENTROIDS = ("simplex", "one_hot", "kmeans")


@checked
def role_counts(sizes: Int[Tensor, " C"]) -> tuple[Int[Tensor, " C"], Int[Tensor, " C"]]:
    """In how many triplets an image of each class is the anchor (and, as often, the positive), and the negative.

    Args:
        sizes: Images of each class, >= 0.

    Returns:
        (n_c - 1) (N - n_c), and the sum over the other classes of n (n - 1). For classes of one size they are equal.

    Raises:
        ValueError: ``sizes`` has not one axis.

    Source: derived in chapter 5.

    Example:
        >>> role_counts(torch.tensor([4, 4]))
        (tensor([12, 12]), tensor([12, 12]))
    """
    sizes = check_labels(sizes, argument="sizes")
    ordered_pairs = sizes * (sizes - 1)
    return (sizes - 1).clamp(min=0) * (sizes.sum() - sizes), ordered_pairs.sum() - ordered_pairs


@checked
def centroid_terms(distances: Float[Tensor, "N C"], labels: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """For each image 3 d_i - (1 / (C - 1)) sum over the other classes m of d_im.

    Their mean bounds the mean of ||x_i - x_j|| - ||x_i - x_k|| over all triplets when classes are of one size; over
    triplets weighted so that all classes count alike, the mean over classes of their means within a class does.

    Args:
        distances: Euclidean distance, not squared, of each image to each class's centroid.
        labels: Class numbers, 0 to C - 1.

    Raises:
        ValueError: Shapes or labels do not fit, or there is only one class.

    Source: Do et al., CVPR 2019; 3 counts an image's roles of anchor, positive and negative. Chapter 5.

    Example:
        >>> centroid_terms(torch.tensor([[0.5, 2.0]]), torch.tensor([0]))  # 3 * 0.5 - 2.0
        tensor([-0.5000])
    """
    own, others = own_and_others(distances, labels)
    return 3 * own - others.sum(1) / (distances.shape[1] - 1)


@checked
def centroid_bound_sum(distances: Float[Tensor, "N C"], labels: Int[Tensor, " N"]) -> Float[Tensor, ""]:
    """An upper bound of the sum of ||x_i - x_j|| - ||x_i - x_k|| over all valid triplets, for classes of any sizes.

    Args:
        distances: Euclidean distance, not squared, of all N images to each class's centroid. Any centroids will do.
        labels: Class numbers, 0 to C - 1. A class may have one image, or none.

    Returns:
        sum_i a_y d_i - (n_y - 1) sum_m n_m d_im, with a_c = 2 (n_c - 1) (N - n_c) + sum over other classes of
        n (n - 1). For classes of one size this is G sum_i (d_i - sum_m d_im / (3 (C - 1))), the paper's form.

    Raises:
        ValueError: Shapes or labels do not fit, or there is only one class.

    Source: Do et al., CVPR 2019, for classes of one size; the general weights are derived in chapter 5.
    """
    own, others = own_and_others(distances, labels)
    labels = check_labels(labels)
    sizes = torch.bincount(labels, minlength=distances.shape[1])  # (C,)
    anchor, negative = (counts.to(distances.dtype) for counts in role_counts(sizes))
    sizes = sizes.to(distances.dtype)
    near = ((2 * anchor + negative)[labels] * own).sum()  # an image is as often positive as anchor
    return near - ((sizes[labels] - 1) * (others @ sizes)).sum()


class CentroidBound(Loss):
    """The mean over the batch of 3 d_i - (1 / (C - 1)) sum_m d_im: pulls images to their class's fixed centroid.

    Costs B C D.

    Args:
        num_classes: C, >= 2, of the whole training set.
        embedding_size: D.
        centroids: ``"kmeans"`` (any D), ``"simplex"`` (the farthest apart; D >= C - 1) or ``"one_hot"`` (D >= C).
            They are buffers: saved with the loss, moved with it, never trained.
        class_counts: Images of each class in the training set (C,), each >= 1. Given them, images of class c weigh
            N / (C n_c), so that all classes count alike however many images they have. None: all weigh 1.
        normalize: Whether embeddings are scaled to unit length first, the length of the centroids.
        generator: Draws the ``"kmeans"`` centroids; None: the book's.

    The factor G of the paper is left out: it scales the sum over all N images, and with the batch size in the place
    of N it would turn negative for batches smaller than C.

    Source: Do et al., CVPR 2019. Whether the authors normalize embeddings is not known to us. Chapter 5.
    """

    why_alone = "It compares images with centroids, not with one another"
    centroids: Tensor
    class_weights: Tensor

    @checked(num_classes=at_least(2), embedding_size=at_least(1), centroids=one_of(*CENTROIDS))
    def __init__(
        self,
        *,
        num_classes: int,
        embedding_size: int,
        centroids: str = "kmeans",
        class_counts: Int[Tensor, " C"] | None = None,
        normalize: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        sizes = {"num_classes": num_classes, "embedding_size": embedding_size}
        check_memory(float(num_classes) * embedding_size, "loss", **sizes)
        self.num_classes, self.embedding_size = num_classes, embedding_size
        self.kind, self.normalize = centroids, normalize
        if centroids == "kmeans":
            points = kmeans_on_sphere(num_classes, embedding_size, generator=generator)
        else:
            points = {"simplex": simplex, "one_hot": one_hot}[centroids](num_classes, embedding_size)
        self.register_buffer("centroids", points)
        self.register_buffer("class_weights", _class_weights(num_classes, class_counts))

    def compute(self, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        points = normalize(embeddings) if self.normalize else embeddings
        terms = centroid_terms(distances(points, self.centroids.to(points.dtype)), labels)
        return (self.class_weights.to(points.dtype)[labels] * terms).mean()

    def extra_repr(self) -> str:
        return f"num_classes={self.num_classes}, embedding_size={self.embedding_size}, centroids={self.kind}"


def _class_weights(num_classes: int, counts: Tensor | None) -> Float[Tensor, " C"]:
    if counts is None:
        return torch.ones(num_classes)
    check_shape(expected=str(num_classes), class_counts=counts, remedy="One count a class.")
    counts = check_labels(counts, argument="class_counts")
    if int(counts.min()) < 1:
        remedy = "Count the training images: torch.bincount(labels)."
        raise bad_input("class_counts", "be at least 1", int(counts.min()), remedy)
    return (counts.sum() / (num_classes * counts)).float()


def own_and_others(
    apart: Float[Tensor, "N C"], labels: Int[Tensor, " N"]
) -> tuple[Float[Tensor, " N"], Float[Tensor, "N C"]]:
    """The distance to the own centroid, and the distances to all with the own set to 0."""
    labels = check_batch(apart, labels, num_classes=apart.shape[1])
    if apart.shape[1] < 2:
        raise bad_input("distances", "have 2 columns or more", apart.shape[1], "One class has no negatives.")
    own = apart.gather(1, labels[:, None])[:, 0]
    return own, apart.scatter(1, labels[:, None], 0.0)
