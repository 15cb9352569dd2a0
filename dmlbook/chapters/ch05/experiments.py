"""What chapter 05 tries: a small network on digits, a search for counter-examples, a batch's factor, processor time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch.nn import functional as F

from dmlbook import datasets, geometry, losses, nets, retrieval
from dmlbook._checks import above, at_least, check_below, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.chapters.ch05 import theory
from dmlbook.seeding import SEED, generator

SIZE = 16
"""Dimensions of the embeddings of digits."""


@dataclass(frozen=True)
class Digits:
    """Handwritten digits as rows of pixels.

    Attributes:
        images: Of digits 0 to 4 (N, 64), to train on.
        labels: Of these (N,).
        unseen: Of digits 5 to 9 (M, 64), for retrieval alone.
        unseen_labels: Of these (M,), numbered from 0.
    """

    images: Float[Tensor, "N 64"]
    labels: Int[Tensor, " N"]
    unseen: Float[Tensor, "M 64"]
    unseen_labels: Int[Tensor, " M"]


@checked(per_class=at_least(2))
def digits(per_class: int) -> Digits:
    """The first ``per_class`` images of each of the digits 0 to 4, and all of the digits 5 to 9.

    Raises:
        ValueError: ``per_class`` is not an integer of at least 2.
    """
    train, test = (datasets.load("digits", split, size=8) for split in ("train", "test"))
    kept = torch.cat([(train.labels == m).nonzero()[:per_class, 0] for m in range(5)])
    pixels = [found.images[:, 0].flatten(1).float() / 255 for found in (train, test)]
    return Digits(pixels[0][kept], train.labels[kept], pixels[1], test.labels)


@checked
def only(data: Digits, chosen: Int[Tensor, " P"]) -> Digits:
    """The chosen images alone to train on; the unseen ones stay.

    Args:
        data: The digits.
        chosen: Numbers of images, 0 to N - 1.

    Raises:
        ValueError: There is no image of such a number.
    """
    check_below(len(data.labels), "images", chosen=chosen)
    return replace(data, images=data.images[chosen], labels=data.labels[chosen])


@checked
def three_means(
    embeddings: Float[Tensor, "N D"], labels: Int[Tensor, " N"], centroids: Float[Tensor, "C D"]
) -> dict[str, float]:
    """Triplet loss, bound, and the floor below which the limit of their gap keeps the triplet loss from falling.

    Args:
        embeddings: One row an image.
        labels: Class numbers, 0 to C - 1, of two classes or more, one of them with two images or more.
        centroids: Any.

    Returns:
        Each per triplet, by its name.

    Raises:
        ValueError: Shapes or labels do not fit.

    Source: derived in chapter 5.
    """
    apart, count = geometry.distances(embeddings, centroids), losses.count_triplets(labels)
    bound = losses.centroid_bound_sum(apart, labels)
    limit = theory.gap_limit_sum(apart.gather(1, labels.long()[:, None])[:, 0], labels)
    truth = losses.triplet_sum(geometry.distances(embeddings, embeddings), labels)
    found = {"triplet loss": truth, "bound": bound, "floor": bound - limit}
    return {name: float(value) / count for name, value in found.items()}


@checked(steps=at_least(1), rate=above(0))
def train(
    loss: Callable[[Tensor, Tensor], Tensor],
    data: Digits,
    *,
    seed: int,
    steps: int,
    rate: float = 0.005,
    watch: Callable[[Tensor], object] | None = None,
) -> tuple[torch.nn.Module, list]:
    """Adam on all images at each step; the rate falls on a line to a twentieth of itself.

    Args:
        loss: ``loss(embeddings, labels)``, one number.
        data: What to train on.
        seed: Of the network: one hidden layer of 64 units, embeddings of length 1 in ``SIZE`` dimensions.
        steps: >= 1.
        rate: The first learning rate, > 0.
        watch: Asked at each step, before it, what to note of the embeddings.

    Returns:
        The network, and what was noted.

    Raises:
        ValueError: A number is out of range.
    """
    net, notes = nets.make_head(data.images.shape[1], 64, SIZE, seed=seed), []
    adam = torch.optim.Adam(net.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.05, steps)
    for _ in range(steps):
        embeddings = net(data.images)
        if watch is not None:
            notes.append(watch(embeddings.detach()))
        adam.zero_grad()
        loss(embeddings, data.labels).backward()
        adam.step()
        schedule.step()
    return net, notes


@checked
def retrieved(embed: Callable[[Tensor], Tensor], data: Digits) -> tuple[float, float]:
    """Recall@1 and MAP@R of the unseen digits, as fractions.

    Args:
        embed: A network, or any function of rows of pixels.
        data: Holds the digits.
    """
    with torch.no_grad():
        embeddings = embed(data.unseen)
    recall = retrieval.recall_at_k(embeddings, data.unseen_labels, ks=(1,))[1]
    return recall, retrieval.map_at_r(embeddings, data.unseen_labels)


@checked(steps=at_least(1))
def lowest_gap(
    candidate: Callable[[Tensor, Tensor], Tensor], truth: Callable[[Tensor, Tensor], Tensor], *, steps: int
) -> float:
    """The least of candidate - truth, per triplet, that descent meets; below 0 the candidate is no bound.

    It moves six images of three classes and three centroids, all of length 1 in space.

    Args:
        candidate: Of distances to centroids (6, 3) and labels, a sum over all triplets.
        truth: Of distances of images (6, 6) and labels, the mean over triplets of what the candidate is to bound.
        steps: Of Adam, >= 1.

    Raises:
        ValueError: ``steps`` is not an integer of at least 1.
    """
    labels, least = torch.arange(6) % 3, float("inf")
    count = losses.count_triplets(labels)
    free = [torch.randn(n, 3, generator=generator(SEED, "search", n), dtype=torch.float64) for n in (6, 3)]
    adam = torch.optim.Adam([part.requires_grad_() for part in free], lr=0.05)
    for _ in range(steps):
        points, ends = (F.normalize(part, dim=1) for part in free)
        apart, pairs = geometry.distances(points, ends), geometry.distances(points, points)
        gap = candidate(apart, labels) / count - truth(pairs, labels)
        adam.zero_grad()
        gap.backward()
        adam.step()
        least = min(least, float(gap.detach()))
    return least


@checked(batch=at_least(1), classes=at_least(2), steps=at_least(1))
def descend(
    loss: Callable[[Tensor, Tensor, Tensor], Tensor], *, batch: int, classes: int, steps: int = 40
) -> list[tuple[float, float, float]]:
    """Free embeddings of length 1, one batch, simplex centroids: where a loss takes them.

    Args:
        loss: ``loss(embeddings, labels, centroids)``, one number.
        batch: Images of the batch, of classes 0, 1, 2, ... in turns.
        classes: C of the whole set.
        steps: Of Adam, >= 1.

    Returns:
        For each step the loss, and the mean and the smallest distance of an image to its own centroid.

    Raises:
        ValueError: A number is out of range.
    """
    centroids, labels = geometry.simplex(classes, classes), torch.arange(batch) % classes
    points = torch.randn(batch, classes, generator=generator(SEED, "batch", batch)).requires_grad_()
    adam, seen = torch.optim.Adam([points], lr=0.05), []
    for _ in range(steps):
        embeddings = F.normalize(points, dim=1)
        own = (embeddings - centroids[labels]).norm(dim=1).detach()
        value = loss(embeddings, labels, centroids)
        seen.append((float(value.detach()), float(own.mean()), float(own.min())))
        adam.zero_grad()
        value.backward()
        adam.step()
    return seen


@checked(patience=at_least(0))
def seconds(call: Callable[[], object], *, patience: float = 0.0) -> float:
    """The least of two runs or more, in seconds of one core's time: what it gives to other programs does not count.

    Args:
        call: What to time.
        patience: Seconds over which it is called again and again, >= 0.

    Raises:
        ValueError: ``patience`` is negative.
    """
    took, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        while len(took) < 2 or sum(took) < patience:
            start = time.process_time()
            call()
            took.append(time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    return min(took)
