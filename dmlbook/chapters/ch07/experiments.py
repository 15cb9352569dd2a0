"""The runs of chapter 07 on drawn birds: losses compared at rates of their own, and centers that were forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

import torch
from torch import nn

from dmlbook import losses, nets, retrieval
from dmlbook._checks import above, at_least, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.datasets import ImageSet
from dmlbook.records import interval, percent
from dmlbook.sampling import UniformBatches
from dmlbook.seeding import SEED, generator
from dmlbook.training import TrainConfig, Views, embed, fit

FOR_DRAWINGS = MappingProxyType(
    {"augment": "shift", "flip": False, "freeze_batch_norm": False, "adam_eps": 1e-8, "milestones": ()}
)
"""What ``TrainConfig`` is told of small drawn images and a network that starts from random weights."""
CENTER_RATE = 3e-2
BATCH = 40
Method = tuple[str, Mapping[str, object], Mapping[str, object]]
"""A loss's name, its options, and what ``TrainConfig`` is told of its batches."""
Scores = dict[str, float]


@dataclass(frozen=True)
class Trained:
    """What a run leaves: its network, the mean loss of each epoch, how many steps it took and images it saw."""

    net: nn.Module
    falls: list[float]
    steps: int
    images: int

    @property
    def budget(self) -> tuple[int, int]:
        """Steps and images, counted as they went through the network."""
        return self.steps, self.images


@dataclass(frozen=True)
class Searched:
    """Mean scores of each method at each rate, on held-out classes, and what all trials cost."""

    tried: dict[str, dict[float, Scores]]
    budgets: set[tuple[int, int]]

    def chosen(self) -> dict[str, float]:
        """Each method's best rate by Recall@1."""
        return {method: max(rates, key=lambda rate: rates[rate]["R@1"]) for method, rates in self.tried.items()}

    def table(self) -> str:
        """A line a method, a column a rate; a star at the chosen one."""
        rates, chosen = next(iter(self.tried.values())), self.chosen()
        lines = [f"{'R@1 / MAP@R, validation':26}" + "".join(f"{f'rate {rate:g}':>17}" for rate in rates)]
        for method, found in self.tried.items():
            cells = [
                " / ".join(f"{100 * value:.1f}" for value in scored.values())
                + (" *" if rate == chosen[method] else "  ")
                for rate, scored in found.items()
            ]
            lines.append(f"{method:26}" + "".join(f"{cell:>17}" for cell in cells))
        return "\n".join(lines)

    def at_the_edge(self) -> list[str]:
        """The methods whose best rate is the first or the last: the grid is too narrow for them."""
        return [name for name, rate in self.chosen().items() if rate in (min(self.tried[name]), max(self.tried[name]))]


@checked(classes=at_least(1), size=at_least(1))
def start(
    name: str, *, seed: int = SEED, classes: int = 40, size: int = 64, **options: object
) -> tuple[nn.Module, nn.Module]:
    """A small network and a loss, both from one seed.

    Args:
        name: Of the loss, as ``losses.make`` takes it.
        seed: Of the weights and of the centers.
        classes: C, >= 1.
        size: Dimensions D, >= 1.
        options: Of the loss.
    """
    if "generator" in losses.options(name):
        options["generator"] = generator(seed, "centers")
    loss = losses.make(name, num_classes=classes, embedding_size=size, **options)
    return nets.build("small", embedding_size=size, seed=seed), loss


@checked
def scores(vectors: Float[Tensor, "N D"], labels: Int[Tensor, " N"]) -> Scores:
    """Recall@1 and MAP@R, in [0, 1]."""
    recall = retrieval.recall_at_k(vectors, labels, ks=(1,))[1]
    return {"R@1": float(recall), "MAP@R": float(retrieval.map_at_r(vectors, labels))}


@checked(rate=above(0), center_rate=above(0), epochs=at_least(1))
def run(
    method: Method, images: ImageSet, *, rate: float, epochs: int, center_rate: float = CENTER_RATE, seed: int = SEED
) -> Trained:
    """Train one method from one seed, at its own rate; the images that go through the network are counted."""
    name, options, batches = method
    net, loss = start(name, seed=seed, classes=images.num_classes, **options)
    shown: list[int] = []
    counter = net.register_forward_hook(lambda net, _images, points: shown.append(len(points) * net.training))
    told = {**FOR_DRAWINGS, **batches, "lr": rate, "loss_lr": center_rate, "batch_size": BATCH}
    result = fit(net, loss, images, TrainConfig(epochs=epochs, seed=seed, **told), progress=False)
    counter.remove()
    return Trained(net, [record["loss"] for record in result.history], sum(map(bool, shown)), sum(shown))


@checked(rates=above(0), epochs=at_least(1))
def search(
    methods: Mapping[str, Method],
    rates: Sequence[float],
    images: ImageSet,
    validation: ImageSet,
    *,
    epochs: int,
    seeds: Sequence[int],
) -> Searched:
    """Every method at every rate: trained on ``images``, measured on ``validation``, the mean over seeds."""
    tried: dict[str, dict[float, Scores]] = {name: {} for name in methods}
    budgets = set()
    for name, method in methods.items():
        for rate in rates:
            trials = [run(method, images, rate=rate, epochs=epochs, seed=seed) for seed in seeds]
            budgets |= {trial.budget for trial in trials}
            found = [scores(embed(trial.net, validation), validation.labels) for trial in trials]
            tried[name][rate] = {key: sum(each[key] for each in found) / len(found) for key in found[0]}
    return Searched(tried, budgets)


@checked
def by_measure(measured: Mapping[str, Sequence[Scores]]) -> dict[str, dict[str, list[float]]]:
    """Scores of several seeds the other way round: for each measure those of each method."""
    keys = next(iter(measured.values()))[0]
    return {key: {name: [found[key] for found in many] for name, many in measured.items()} for key in keys}


@checked
def leads(
    scored: Mapping[str, Mapping[str, Sequence[float]]], first: str
) -> tuple[list[str], set[tuple[str, str, str]]]:
    """Every pair of methods, compared seed by seed: a line each, and the comparisons whose interval leaves out 0.

    Args:
        scored: For each measure the scores of each method, as fractions, one a seed.
        first: The method that is named first in its pairs.

    Returns:
        Lines to print; and (one, other, measure) of all clear differences.
    """
    names, lines, clear = next(iter(scored.values())), [], set()
    for one, other in combinations(sorted(names, key=lambda name: name != first), 2):
        line = f"{one:18} minus {other:18}"
        for key, found in scored.items():
            ahead = [a - b for a, b in zip(found[one], found[other], strict=True)]
            line += f"   {key} {percent(ahead)}"
            mean, half = interval(ahead)
            clear |= {(one, other, key)} if abs(mean) > half else set()
        lines.append(line)
    return lines, clear


@checked(rate=above(0), epochs=at_least(1), size=at_least(1))
def with_centers(
    learning: bool, images: ImageSet, *, rate: float, epochs: int, size: int, seed: int
) -> tuple[nn.Module, list[float], float]:
    """SoftTriple whose centers learn at their own rate, or never reach the optimizer; how far they turned, in degrees.

    Args:
        learning: Whether the optimizer is given the centers.
        images: To train on.
        rate: Of the network, > 0.
        epochs: >= 1.
        size: Dimensions D, >= 1.
        seed: Of weights, centers and batches.

    Returns:
        The network, the mean loss of each epoch, and the mean angle between each center before and after.
    """
    net, loss = start("softtriple", seed=seed, classes=images.num_classes, size=size, centers_per_class=4)
    before = loss.centers.detach().clone()
    loss.requires_grad_(learning)
    told = TrainConfig(epochs=epochs, lr=rate, loss_lr=CENTER_RATE, batch_size=BATCH, seed=seed, **FOR_DRAWINGS)
    falls = [record["loss"] for record in fit(net, loss, images, told, progress=False).history]
    cosines = (before * loss.centers.detach()).sum(-1).clamp(-1, 1)
    return net, falls, float(torch.rad2deg(torch.arccos(cosines)).mean())


@checked(epochs=at_least(1))
def drawn(
    images: ImageSet, config: TrainConfig, epochs: Sequence[int] | None = None
) -> Iterator[tuple[Float[Tensor, "B 3 S S"], Int[Tensor, " B"]]]:
    """The batches that ``fit`` would show with plain sampling, in its order: views and labels.

    Args:
        images: N of them.
        config: Its epochs, size of a batch, views and seed.
        epochs: Which, counted from 1. None: all of ``config``'s.
    """
    batches, views = UniformBatches(len(images), config.batch_size, config.seed), Views(images, config)
    for epoch in range(1, config.epochs + 1) if epochs is None else epochs:
        for step, index in enumerate(batches.batches(epoch)):
            pixels = views.for_training(index, torch.device("cpu"), epoch=epoch, step=step)
            yield pixels, images.labels[index]
