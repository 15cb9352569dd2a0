"""What the companion of chapter 05 tries: the lesson's eight images, rates and seeds compared, six ways timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from dmlbook import geometry, losses, nets, records
from dmlbook._checks import above, at_least, check_filled, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.chapters.ch05 import experiments, theory
from dmlbook.seeding import SEED, generator

BATCH, CLASSES = 32, 4
"""Of the ways that go by batches, and of all that is timed."""


@checked
def eight_images() -> tuple[Float[Tensor, "8 2"], Int[Tensor, " 8"], Float[Tensor, "2 2"]]:
    """The lesson's toy: four images around each of two centroids of the plane.

    Returns:
        The images, their labels, and the centroids.
    """
    around = torch.tensor([[0.3, 0.4], [-0.3, 0.4], [-0.3, -0.4], [0.3, -0.4]], dtype=torch.float64)
    centroids = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    images = torch.cat([centroids[0] + around, centroids[1] + around.flip(1)])
    return images, torch.arange(2).repeat_interleave(4), centroids


@checked
def triplets(labels: Sequence[int]) -> list[tuple[int, int, int]]:
    """All triplets by the lesson's loops: anchor, positive and negative.

    Args:
        labels: Any, in a list.

    Example:
        >>> triplets([0, 0, 1])
        [(0, 1, 2), (1, 0, 2)]
    """
    everyone = range(len(labels))
    pairs = [(i, j) for i in everyone for j in everyone if labels[i] == labels[j] and i != j]
    return [(i, j, k) for i, j in pairs for k in everyone if labels[k] != labels[i]]


@checked(centroids=finite, side=finite)
def valleys(centroids: Float[Tensor, "C D"], side: Float[Tensor, " D"]) -> list[float]:
    """Where a term of class 0 is lowest among its neighbors on a great circle, in degrees from centroid 0.

    Args:
        centroids: Of length 1.
        side: Where the circle turns to from centroid 0; of it what is at right angles counts.

    Returns:
        Angles from 0 up to 360, of 720 half degrees.

    Raises:
        ValueError: There is no centroid.
    """
    check_filled(centroids=centroids)
    side = side.to(centroids.dtype)
    aside = geometry.normalize((side - (centroids[0] @ side) * centroids[0])[None])
    turn = torch.arange(720, dtype=centroids.dtype)[:, None] * torch.pi / 360
    walk = turn.cos() * centroids[0] + turn.sin() * aside
    f = losses.centroid_terms(geometry.distances(walk, centroids), torch.zeros(720, dtype=torch.long))
    return (((f < f.roll(1)) & (f <= f.roll(-1))).nonzero()[:, 0] / 2).tolist()


@dataclass(frozen=True)
class Runs:
    """What training on one loss came to, several rates, several seeds each.

    Attributes:
        ends: The mean triplet loss at the end, by rate.
        rate: The one at which it is lowest.
        nets: The networks of that rate, one a seed.
        gaps: What the bound has above the triplet loss at their end.
    """

    ends: dict[float, float]
    rate: float
    nets: list
    gaps: list[float]


@checked(rates=above(0), steps=at_least(1))
def at_its_best_rate(
    loss: Callable[[Tensor, Tensor], Tensor],
    data: experiments.Digits,
    *,
    rates: Sequence[float],
    seeds: Sequence[int],
    steps: int,
) -> Runs:
    """Train on a loss, and take the rate at which the *triplet loss* ends lowest, in the mean over seeds.

    Args:
        loss: ``loss(embeddings, labels)``, one number.
        data: What to train on.
        rates: To choose from.
        seeds: Of the networks.
        steps: Of each run, >= 1.

    Raises:
        ValueError: There is no rate or no seed, or a number is out of range.
    """
    check_filled(rates=rates, seeds=seeds)
    simplex, found, last = geometry.simplex(5, experiments.SIZE), {}, {}
    for rate in rates:
        found[rate] = [experiments.train(loss, data, seed=seed, steps=steps, rate=rate)[0] for seed in seeds]
        with torch.no_grad():
            last[rate] = [experiments.three_means(net(data.images), data.labels, simplex) for net in found[rate]]
    ends = {rate: sum(now["triplet loss"] for now in of_seeds) / len(seeds) for rate, of_seeds in last.items()}
    best = min(ends, key=ends.get)
    return Runs(ends, best, found[best], [now["bound"] - now["triplet loss"] for now in last[best]])


@checked(rate=above(0), steps=at_least(1))
def gains(
    loss: Callable[[Tensor, Tensor], Tensor], data: experiments.Digits, *, seeds: Sequence[int], rate: float, steps: int
) -> list[tuple[float, float]]:
    """By how many points training raises Recall@1 and MAP@R of unseen digits, seed by seed: means and half-widths.

    Args:
        loss: ``loss(embeddings, labels)``, one number.
        data: What to train on.
        seeds: Of the networks, two or more.
        rate: The first learning rate.
        steps: >= 1.

    Raises:
        ValueError: There is no seed, or a number is out of range.
    """
    check_filled(seeds=seeds)
    by_seed = []
    for seed in seeds:
        net, _ = experiments.train(loss, data, seed=seed, steps=steps, rate=rate)
        before = nets.make_head(data.images.shape[1], 64, experiments.SIZE, seed=seed)
        pair = [experiments.retrieved(of, data) for of in (net, before)]
        by_seed.append([100 * (after - at_first) for after, at_first in zip(*pair, strict=True)])
    return [records.interval(of) for of in zip(*by_seed, strict=True)]


CANDIDATES = {
    "L_d with margins, hinged": lambda apart, y: losses.centroid_bound_sum(apart, y) + 0.5 * losses.count_triplets(y),
    "(5.12), hinged": lambda apart, y: theory.hinged_bound_sum(apart, y, margin=0.5),
    "weights 3 and 1, squared": lambda apart, y: losses.centroid_bound_sum(apart.square(), y),
    "(5.13), squared": lambda apart, y: theory.squared_bound_sum(apart.square(), y),
}
"""What may bound the hinged loss, at a margin of one half, or the squared one: of distances to centroids and labels."""


@checked(steps=at_least(1))
def search(*, steps: int) -> dict[str, float]:
    """For each candidate the least of it minus what it is to bound, per triplet, that descent meets.

    Args:
        steps: Of each search, >= 1.

    Raises:
        ValueError: ``steps`` is not an integer of at least 1.
    """

    def hinged(d: Tensor, y: Tensor) -> Tensor:
        return losses.triplet_mean(d, y, margin=0.5)[0]

    def squared(d: Tensor, y: Tensor) -> Tensor:
        return losses.triplet_mean(d.square(), y, hinge=False)[0]

    truths = {name: squared if name.endswith("squared") else hinged for name in CANDIDATES}
    return {name: experiments.lowest_gap(CANDIDATES[name], truths[name], steps=steps) for name in CANDIDATES}


@dataclass(frozen=True)
class Way:
    """A way to pass over all images once.

    Attributes:
        exponent: Of its cost for large N, by theory.
        largest: N beyond which it is not timed.
        call: Of embeddings and labels.
    """

    exponent: int
    largest: int
    call: Callable[[Tensor, Tensor], object]


def _listed(x: Tensor, y: Tensor, margin: float = 0.2) -> float:
    d, y = geometry.distances(x, x).tolist(), y.tolist()
    return sum(max(d[i][j] - d[i][k] + margin, 0.0) for i, j, k in triplets(y))


def _masks(x: Tensor, y: Tensor, margin: float = 0.2) -> Tensor:
    d = geometry.distances(x, x)
    differences = (d[:, :, None] - d[:, None, :] + margin).clamp(min=0)
    return differences[losses.valid_triplets(y)].sum()


def _sorted(x: Tensor, y: Tensor, margin: float = 0.2) -> Tensor:
    return losses.triplet_mean(geometry.distances(x, x), y, margin=margin)[0]


def _pairs(x: Tensor, y: Tensor) -> Tensor:
    return losses.triplet_sum(geometry.distances(x, x), y)


def _by_batches(x: Tensor, y: Tensor, *, means: bool) -> Tensor:
    """The bound over batches, with fixed centroids, or with class means of all images taken for each batch."""
    points, total = geometry.simplex(CLASSES, x.shape[1]).to(x.dtype), torch.zeros((), dtype=x.dtype)
    for part, of in zip(x.split(BATCH), y.split(BATCH), strict=True):
        if means:
            sums = torch.zeros(CLASSES, x.shape[1], dtype=x.dtype).index_add(0, y, x)
            points = sums / torch.bincount(y, minlength=CLASSES)[:, None]
        total = total + losses.centroid_terms(geometry.distances(part, points), of).sum()
    return total


WAYS = {
    "listed": Way(3, 128, _listed),
    "masks": Way(3, 128, _masks),
    "sorted": Way(2, 2048, _sorted),
    "pairs": Way(2, 2048, _pairs),
    "means each batch": Way(2, 32768, partial(_by_batches, means=True)),
    "bound": Way(1, 32768, partial(_by_batches, means=False)),
}
"""The six ways that the companion times."""


@checked(dimensions=at_least(CLASSES - 1), times=above(0), patience=at_least(0))
def clock(
    ways: Mapping[str, Way], *, dimensions: int = 64, times: float = 1.0, patience: float = 0.0
) -> dict[str, dict[int, float]]:
    """Seconds of one core that each way takes for 8, 32, 128, ... random images of length 1, four classes in turns.

    Args:
        ways: By name.
        dimensions: Of the images, room for a simplex of the four classes.
        times: How much of each way's largest size to go up to.
        patience: Seconds over which each is called again and again, >= 0.

    Returns:
        For each way the seconds by size.

    Raises:
        ValueError: A number is out of range.
    """
    measured = {}
    for name, way in ways.items():
        measured[name] = {}
        for size in (8 * 4**e for e in range(7) if 8 * 4**e <= way.largest * times):
            many = torch.randn(size, dimensions, generator=generator(SEED, "cost", size))
            call = partial(way.call, geometry.normalize(many), torch.arange(size) % CLASSES)
            measured[name][size] = experiments.seconds(call, patience=patience)
    return measured
