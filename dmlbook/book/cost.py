"""The contest ``cost``: how an epoch grows with N, for the ways to sum triplets and for the bound on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from dmlbook import geometry, losses, records
from dmlbook._checks import checked
from dmlbook._types import Tensor
from dmlbook.seeding import SEED, generator
from dmlbook.settings import by_mode

CLASSES, SIZE, BATCH, MARGIN = 4, 64, 32, 0.2
AT = ", N = "


def cost() -> tuple[str, dict[str, Callable[[], object]]]:
    """Each way at three sizes (smoke: two, too few for a slope), from which ``growth_lines`` fits its exponent."""
    doublings, shrink = by_mode(smoke=(1, 4), class_=(2, 1), full=(3, 1))
    fixed = geometry.simplex(CLASSES, SIZE)
    ways: dict[str, tuple[int, Callable[[Tensor, Tensor], object]]] = {
        "centroid bound": (8192, lambda x, y: _by_batches(x, y, lambda: fixed)),
        "bound, class means each batch": (8192, lambda x, y: _by_batches(x, y, lambda: _class_means(x, y))),
        "triplets as pairs, no hinge": (256, lambda x, y: losses.triplet_sum(_pairs(x), y)),
        "triplets by sorted rows": (256, lambda x, y: losses.triplet_mean(_pairs(x), y, margin=MARGIN)),
        "triplets by N x N x N masks": (48, _by_masks),
        "triplets listed": (32, _by_list),
    }
    x, y = torch.randn(48, SIZE, generator=generator(SEED, "bench")), torch.arange(48) % CLASSES
    exact = losses.triplet_mean(_pairs(x), y, margin=MARGIN)[0] * losses.count_triplets(y)
    for sums in (_by_masks, _by_list):  # a contest of unequals would say nothing
        torch.testing.assert_close(torch.as_tensor(sums(x, y)), exact, rtol=1e-4, atol=1e-4)
    contest = {}
    for name, (first, way) in ways.items():
        for n in (first * 2**step // shrink for step in range(doublings + 1)):
            contest[f"{name}{AT}{n}"] = _call(way, n)
    return f"An epoch over N embeddings, C = {CLASSES}, D = {SIZE}, batches of {BATCH}, forward", contest


@checked
def growth_lines(times: Mapping[str, float]) -> list[str]:
    """For each contestant that ran at three N or more, the exponent of its growth, in words."""
    by_way: dict[str, dict[int, float]] = {}
    for contestant, seconds in times.items():
        name, found, n = contestant.partition(AT)
        if found:
            by_way.setdefault(name, {})[int(n)] = seconds
    return [
        f"{name:44} grows as N^{records.exponent(by_size):.1f}" for name, by_size in by_way.items() if len(by_size) > 2
    ]


def _by_batches(x: Tensor, y: Tensor, centroids: Callable[[], Tensor]) -> Tensor:
    """The bound over batches; the centroids are asked for at each of them."""
    terms = (
        losses.centroid_terms(geometry.distances(part, centroids()), of).sum()
        for part, of in zip(x.split(BATCH), y.split(BATCH), strict=True)
    )
    return torch.stack(list(terms)).sum()


def _class_means(x: Tensor, y: Tensor) -> Tensor:
    """The mean embedding of each class, over all N."""
    return x.new_zeros(CLASSES, x.shape[1]).index_add(0, y, x) / torch.bincount(y)[:, None]


def _by_masks(x: Tensor, y: Tensor) -> Tensor:
    """The hinged sum from all N^3 differences."""
    apart = _pairs(x)
    return (apart[:, :, None] - apart[:, None, :] + MARGIN).clamp(min=0)[losses.valid_triplets(y)].sum()


def _by_list(x: Tensor, y: Tensor) -> float:
    """The hinged sum, one triplet after the other."""
    apart, labels = _pairs(x).tolist(), y.tolist()
    everyone, total = range(len(labels)), 0.0
    for i in everyone:
        negatives = [apart[i][k] for k in everyone if labels[k] != labels[i]]
        for j in everyone:
            if j != i and labels[j] == labels[i]:
                total += sum(max(apart[i][j] - far + MARGIN, 0.0) for far in negatives)
    return total


def _pairs(x: Tensor) -> Tensor:
    return geometry.distances(x, x)


def _call(way: Callable[[Tensor, Tensor], object], n: int) -> Callable[[], object]:
    x = geometry.normalize(torch.randn(n, SIZE, generator=generator(SEED, "bench", n)))
    y = torch.arange(n) % CLASSES
    return lambda: way(x, y)
