"""Around the centroid bound: how often an image counts, how loose the bound is, and its kin for hinges and squares."""

from __future__ import annotations

import math

import torch

from dmlbook._checks import above, at_least, bad_input, check_batch, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.geometry import distances as euclidean
from dmlbook.losses import centroid_bound_sum, count_triplets, triplet_sum
from dmlbook.losses.centroid_bound import own_and_others, role_counts


@checked(num_images=at_least(1), num_classes=at_least(2, "Negatives need a class."))
def balanced_counts(num_images: int, num_classes: int) -> tuple[int, int]:
    """G, the weight of an image in the bound, and H, the number of valid triplets, for classes of one size.

    Args:
        num_images: N of the whole set, a multiple of ``num_classes``. Never the size of a batch: where that is below
            ``num_classes``, G would be negative and the bound would be turned upside down.
        num_classes: C, >= 2.

    Returns:
        G = 3 (C - 1) (N / C - 1) N / C and H = N (N / C - 1) (N - N / C); G N = 3 H.

    Raises:
        ValueError: The classes cannot all be of one size.

    Source: Do et al., CVPR 2019. Chapter 5.

    Example:
        >>> balanced_counts(8, 2)
        (36, 96)
    """
    per_class, left = divmod(num_images, num_classes)
    if left:
        rule = f"be a multiple of num_classes = {num_classes}"
        remedy = "Count the whole set, not a batch; for other sizes there is centroid_bound_sum."
        raise bad_input("num_images", rule, num_images, remedy)
    pairs = per_class * (per_class - 1)
    return 3 * (num_classes - 1) * pairs, num_classes * pairs * (num_images - per_class)


@checked
def triplet_terms(
    anchors: Float[Tensor, "T D"],
    positives: Float[Tensor, "T D"],
    negatives: Float[Tensor, "T D"],
    own: Float[Tensor, "T D"],
    other: Float[Tensor, "T D"],
) -> tuple[Float[Tensor, " T"], Float[Tensor, " T"]]:
    """For each of T triplets l_t = ||a - p|| - ||a - n||, and the bound l_d >= l_t that leads through centroids.

    Args:
        anchors: a.
        positives: p, of the anchor's class.
        negatives: n, of another class.
        own: The centroid of the anchor's class.
        other: The centroid of the negative's class.

    Returns:
        l_t, and l_d = ||a - own|| - ||a - other|| + ||p - own|| + ||n - other||.

    Raises:
        ValueError: The five are not of one shape (T, D).

    Source: Do et al., CVPR 2019: the triangle inequality, twice. Chapter 5.
    """

    def apart(left: Tensor, right: Tensor) -> Tensor:
        return torch.linalg.vector_norm(left - right, dim=1)

    truth = apart(anchors, positives) - apart(anchors, negatives)
    return truth, apart(anchors, own) - apart(anchors, other) + apart(positives, own) + apart(negatives, other)


@checked
def squared_triplet_sum(embeddings: Float[Tensor, "N D"], labels: Int[Tensor, " N"]) -> Float[Tensor, ""]:
    """The sum of ||x_i - x_j||^2 - ||x_i - x_k||^2 over all valid triplets, exactly, in O(N D): squares need no bound.

    With s_c the sum of a class's embeddings and q_c that of their squared lengths, its ordered pairs sum to
    2 n_c q_c - 2 ||s_c||^2, and its pairs with all other images to (N - n_c) q_c + n_c (q - q_c) - 2 s_c . (s - s_c).

    Args:
        embeddings: One row an image.
        labels: Class numbers, >= 0.

    Raises:
        ValueError: Shapes or labels do not fit.

    Source: derived in chapter 5.
    """
    labels = check_batch(embeddings, labels)
    classes, place, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = embeddings.new_zeros(len(classes), embeddings.shape[1]).index_add(0, place, embeddings)  # (C, D) s_c
    squares = embeddings.new_zeros(len(classes)).index_add(0, place, embeddings.square().sum(1))  # (C,) q_c
    sizes, count = sizes.to(embeddings.dtype), len(labels)
    inside = 2 * sizes * squares - 2 * sums.square().sum(1)
    across = (count - sizes) * squares + sizes * (squares.sum() - squares) - 2 * (sums * (sums.sum(0) - sums)).sum(1)
    return ((count - sizes) * inside - (sizes - 1) * across).sum()


@checked(margin=finite)
def hinged_bound_sum(distances: Float[Tensor, "N C"], labels: Int[Tensor, " N"], *, margin: float) -> Float[Tensor, ""]:
    """An upper bound, in O(N C), of the sum of [||x_i - x_j|| - ||x_i - x_k|| + margin]_+ over all valid triplets.

    Only the anchor's part stays inside the hinge: [u + v]_+ <= [u]_+ + v for v >= 0.

    Args:
        distances: Euclidean, not squared, of all N images to each class's centroid. Any centroids will do.
        labels: Class numbers, 0 to C - 1, classes of any sizes.
        margin: In units of the distance.

    Returns:
        sum_i b_y d_i + (n_y - 1) sum_r n_r [d_i - d_ir + margin]_+, with b_c the times that an image of class c is
        positive or negative. For classes of one size (G / 3) sum_i (2 d_i + mean over r of [d_i - d_ir + margin]_+).
        It equals the triplet loss where every image lies at its centroid.

    Raises:
        ValueError: Shapes, labels or the margin do not fit, or there is only one class.

    Source: derived in chapter 5; the centroid bound plus a margin for each triplet is no bound of a hinged loss.
    """
    own, _ = own_and_others(distances, labels)
    labels = labels.long()
    sizes = torch.bincount(labels, minlength=distances.shape[1])
    positive, negative = role_counts(sizes)
    of_pairs = (sizes - 1).clamp(min=0)[labels, None] * sizes  # (N, C) triplets with this anchor and negatives of r
    of_pairs = of_pairs.scatter(1, labels[:, None], 0).to(own.dtype)
    hinge = (own[:, None] - distances + margin).clamp(min=0)
    return ((positive + negative).to(own.dtype)[labels] * own).sum() + (of_pairs * hinge).sum()


@checked(slack=above(0))
def squared_bound_sum(
    squared_distances: Float[Tensor, "N C"], labels: Int[Tensor, " N"], *, slack: float = 1.0
) -> Float[Tensor, ""]:
    """An upper bound, in O(N C), of the sum of ||x_i - x_j||^2 - ||x_i - x_k||^2 over all valid triplets.

    From ||u + v||^2 <= (1 + t) ||u||^2 + (1 + 1 / t) ||v||^2, the triangle inequality's kin for squares.

    Args:
        squared_distances: Of all N images to each class's centroid. Any centroids will do.
        labels: Class numbers, 0 to C - 1, classes of any sizes.
        slack: t > 0. Small: other centroids count nearly in full, and the own one's weight grows as 1 / t.

    Returns:
        sum_i (4 p_y + q_y / t) d_i^2 - (n_y - 1) / (1 + t) sum_m n_m d_im^2, with p_c and q_c the times that an image
        of class c is anchor and negative. For classes of size M and t = 1 this is
        5 (C - 1) M (M - 1) sum_i (d_i^2 - sum_m d_im^2 / (10 (C - 1))).

    Raises:
        ValueError: Shapes, labels or the slack do not fit, or there is only one class.

    Source: derived in chapter 5. ``squared_triplet_sum`` gives the sum itself, as quickly.
    """
    own, others = own_and_others(squared_distances, labels)
    labels = labels.long()
    sizes = torch.bincount(labels, minlength=squared_distances.shape[1])
    positive, negative = (counts.to(own.dtype) for counts in role_counts(sizes))
    sizes = sizes.to(own.dtype)
    near = ((4 * positive + negative / slack)[labels] * own).sum()
    return near - ((sizes[labels] - 1) * (others @ sizes)).sum() / (1 + slack)


@checked
def gap_limit_sum(own_distances: Float[Tensor, " N"], labels: Int[Tensor, " N"]) -> Float[Tensor, ""]:
    """How far the centroid bound can lie above the triplet sum, at most, whatever the centroids.

    Args:
        own_distances: Of each image to its own class's centroid, >= 0, not squared.
        labels: Class numbers, any integers, classes of any sizes.

    Returns:
        sum_i 2 (p_y + q_y) d_i, with p_c and q_c the times that an image of class c is anchor and negative; for classes
        of one size (4 / 3) G sum_i d_i. With two images a class or more it is attained exactly where each class is one
        point and, if off its centroid, sees all the others' points behind that: no more than two classes can be off.

    Raises:
        ValueError: Shapes or labels do not fit.

    Source: derived in chapter 5.
    """
    labels = check_batch(own_distances[:, None], labels)
    _, labels, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    anchor, negative = role_counts(sizes)
    return (2 * (anchor + negative).to(own_distances.dtype)[labels] * own_distances).sum()


@checked
def gap_per_triplet(
    embeddings: Float[Tensor, "N D"], labels: Int[Tensor, " N"], centroids: Float[Tensor, "C D"]
) -> float:
    """How far the centroid bound lies above the triplet sum, as a mean over all triplets; never below 0.

    Args:
        embeddings: One row an image.
        labels: Class numbers, 0 to C - 1, classes of any sizes.
        centroids: Any.

    Raises:
        ValueError: Shapes or labels do not fit, or there is no triplet.

    Source: derived in chapter 5.

    Example:
        >>> x = torch.tensor([[0.0], [0.0], [1.0]])
        >>> gap_per_triplet(x, torch.tensor([0, 0, 1]), torch.tensor([[0.0], [1.0]]))
        0.0
    """
    if not (count := count_triplets(labels)):
        raise bad_input("labels", "hold a triplet", "none", "Give two images of one class and one of another.")
    truth = triplet_sum(euclidean(embeddings, embeddings), labels)
    return float(centroid_bound_sum(euclidean(embeddings, centroids), labels) - truth) / count


@checked(eps=at_least(0))
def restated_gap_limit(centroids: Float[Tensor, "C D"], *, eps: float) -> float:
    """The tightness theorem as it is restated: how far bound and triplet loss can differ, per triplet.

    Args:
        centroids: Of C >= 2 classes.
        eps: Every image lies within ``eps / 2`` of its centroid; >= 0.

    Returns:
        The largest minus the smallest distance of two centroids, + 3 eps. ``2 eps`` holds as well, and is smaller.

    Raises:
        ValueError: There is only one centroid, or ``eps`` is negative.

    Source: Do et al., CVPR 2019, as restated by others; classes of one size. Chapter 5.

    Example:
        >>> round(restated_gap_limit(torch.tensor([[0.0], [1.0], [3.0]]), eps=0.1), 4)
        2.3
    """
    apart = _centroid_distances(centroids)
    return float(apart.max() - apart.min()) + 3 * eps


@checked
def smallest_bound(centroids: Float[Tensor, "C D"]) -> Float[Tensor, ""]:
    """What the centroid bound per triplet falls to, at best, for classes of one size: minus the mean distance of two.

    Args:
        centroids: Of C >= 2 classes.

    Raises:
        ValueError: There is only one centroid.

    Source: derived in chapter 5; reached where every image lies at its centroid, and nowhere else.

    Example:
        >>> smallest_bound(torch.eye(3))  # one-hot: minus the square root of 2
        tensor(-1.4142)
    """
    return -_centroid_distances(centroids).mean()


@checked(num_classes=at_least(2))
def farthest_mean_distance(num_classes: int) -> float:
    """The largest mean distance that C unit vectors can have: sqrt(2 C / (C - 1)), the regular simplex's.

    Raises:
        ValueError: There are fewer than two classes.

    Source: classical; proved in chapter 5.

    Example:
        >>> farthest_mean_distance(2)
        2.0
    """
    return math.sqrt(2 * num_classes / (num_classes - 1))


def _centroid_distances(centroids: Tensor) -> Float[Tensor, " P"]:
    if len(centroids) < 2:
        raise bad_input("centroids", "be two or more", len(centroids), "One class has no negatives.")
    return euclidean(centroids, centroids)[~torch.eye(len(centroids), dtype=torch.bool, device=centroids.device)]
