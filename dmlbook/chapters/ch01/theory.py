"""What a mini-batch holds of the whole set: the chances that an image meets its neighbors and triplets there."""

from __future__ import annotations

import math

from dmlbook._checks import at_least, bad_input, check_number, checked


@checked(images=at_least(2))
def neighbor_share(images: int, batch_size: int) -> float:
    """Expected share of an image's nearest neighbors, however many, that a uniform batch holds beside it.

    Args:
        images: Number of images N, >= 2.
        batch_size: Images a batch B, the image itself among them, 1 to N.

    Raises:
        ValueError: A number is out of range.

    Source: derived in chapter 1; it does not matter where the images lie.

    Example:
        >>> neighbor_share(2001, 101)
        0.05
    """
    _check_batch_size(images, batch_size)
    return (batch_size - 1) / (images - 1)


@checked(images=at_least(3))
def triplet_share(images: int, batch_size: int) -> float:
    """Expected share of an anchor's triplets that a uniform batch holds: both others have to be drawn with it.

    Args:
        images: Number of images N, >= 3.
        batch_size: Images a batch B, the anchor among them, 1 to N.

    Raises:
        ValueError: A number is out of range.

    Source: derived in chapter 1; it does not matter which two of the others make a triplet.

    Example:
        >>> triplet_share(5, 3)  # of the 6 pairs of others a batch holds one
        0.16666666666666666
    """
    return neighbor_share(images, batch_size) * max(batch_size - 2, 0) / (images - 2)


@checked(images=at_least(2))
def class_batch_shares(images: int, class_size: int, batch_size: int, samples_per_class: int) -> tuple[float, float]:
    """Expected share of an image's neighbors beside it in batches of m images a class: own class, other classes.

    Args:
        images: Number of images N, in equal classes, two at least.
        class_size: Images a class n, >= 2; divides N.
        batch_size: Images a batch B, m to N.
        samples_per_class: m, 1 to n; divides B.

    Raises:
        ValueError: A number is out of range, or does not divide the other.

    Source: derived in chapter 1, for ``ClassBatches`` where m divides n and every image is shown in an epoch.

    Example:
        >>> class_batch_shares(2000, 50, 64, 4)  # 3 of 49 others of its class, 60 of 1,950 of other classes
        (0.061224489795918366, 0.03076923076923077)
    """
    _check_batch_size(images, batch_size)
    check_number(low=2, high=images // 2, integer=True, class_size=class_size)
    check_number(low=1, high=min(class_size, batch_size), integer=True, samples_per_class=samples_per_class)
    if images % class_size or batch_size % samples_per_class:
        got = f"{images} images in classes of {class_size}, {batch_size} in groups of {samples_per_class}"
        raise bad_input("images and batch_size", "be whole classes and groups", got, "Change one of them.")
    own = (samples_per_class - 1) / (class_size - 1)
    return own, (batch_size - samples_per_class) / (images - class_size)


@checked(images=at_least(2))
def neighbor_chance(images: int, batch_size: int, neighbors: int = 1) -> float:
    """Chance that a uniform batch holds at least one of an image's k nearest neighbors beside it.

    Args:
        images: Number of images N, >= 2.
        batch_size: Images a batch B, the image itself among them, 1 to N.
        neighbors: k, 1 to N - 1.

    Raises:
        ValueError: A number is out of range.

    Source: one minus a hypergeometric probability; derived in chapter 1.

    Example:
        >>> neighbor_chance(5, 3, 2)  # of the 6 pairs from 4 others only one avoids both neighbors
        0.8333333333333334
    """
    _check_batch_size(images, batch_size)
    check_number(low=1, high=images - 1, integer=True, neighbors=neighbors)
    return 1 - math.prod(max(images - batch_size - t, 0) / (images - 1 - t) for t in range(neighbors))


@checked(items=at_least(1))
def first_rank(items: int, drawn: int) -> float:
    """Expected rank of the best of b items drawn from M that are ranked 1 to M: (M + 1) / (b + 1).

    Raises:
        ValueError: ``drawn`` is not in 1..``items``.

    Example:
        >>> first_rank(1949, 64)  # of 1,949 negatives 64 are in the batch: the closest is number 30 on average
        30.0
    """
    check_number(low=1, high=items, integer=True, drawn=drawn)
    return (items + 1) / (drawn + 1)


def _check_batch_size(images: int, batch_size: int) -> None:
    check_number(low=1, high=images, integer=True, batch_size=batch_size)
