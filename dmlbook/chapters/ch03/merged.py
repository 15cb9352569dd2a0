"""Classes that hold several species each: pictures as numbers, labels merged, a map trained, what it retrieves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from dmlbook import losses, nets, retrieval
from dmlbook._checks import (
    above,
    at_least,
    bad_input,
    between,
    check_below,
    check_filled,
    check_finite,
    check_lengths,
    checked,
    finite,
    inside,
)
from dmlbook._types import Float, Int, Tensor
from dmlbook.datasets.image_set import ImageSet
from dmlbook.losses.base import CenterLoss
from dmlbook.seeding import generator

EMBEDDING_SIZE, BATCH_SIZE, LOSS_LR = 16, 200, 0.05
"""Dimensions of the embedding, pictures a step, and the learning rate of the centers: the same for every method."""
RIVALS: dict[str, dict[str, object]] = {
    "one center": {"name": "softtriple", "centers_per_class": 1},
    "SoftTriple, K = 2": {"name": "softtriple", "centers_per_class": 2},
    "SoftTriple, K = 4": {"name": "softtriple", "centers_per_class": 4},
    "SoftTriple, K = 10": {"name": "softtriple", "centers_per_class": 10},
    "HardTriple, K = 4": {"name": "hardtriple", "centers_per_class": 4},
    "log-sum-exp, K = 4": {"name": "softtriple", "centers_per_class": 4, "similarity": "logsumexp"},
}
"""What is compared, by the names that figures show; one center is normalized SoftMax with a margin."""


class Numbers(NamedTuple):
    """Pictures as a few numbers each, and the species of each."""

    values: Float[Tensor, "N F"]
    species: Int[Tensor, " N"]


class Task(NamedTuple):
    """Pictures to fit, fresh pictures of the same species, and pictures of species that training never sees."""

    fit: Numbers
    fresh: Numbers
    unseen: Numbers


@checked(directions=at_least(1), fresh=inside(0, 1))
def make_task(seen: ImageSet, unseen: ImageSet, *, directions: int = 64, fresh: float = 0.4) -> Task:
    """Each picture as its place along the main directions of the pixels, found from the pictures to fit alone.

    Args:
        seen: Species to train on.
        unseen: Others: those to choose settings on, or those to test on. They are numbered apart.
        directions: F, at most as many as pictures to fit and as pixels; each is divided by roughly its spread.
        fresh: Share of each seen species' pictures, the last ones, that training does not see.

    Raises:
        ValueError: A number is out of range, a seen species would be left without a picture on one of the two sides,
            or the sets hold images of different sizes.

    Source: the same numbers as in section 3b.9, but for their count. Chapter 3.
    """
    if seen.images.shape[1:] != unseen.images.shape[1:]:
        got = f"{tuple(unseen.images.shape[1:])} for {tuple(seen.images.shape[1:])}"
        raise bad_input("unseen", "hold images of the same size as seen", got, "Load both with one size.")
    one_hot = F.one_hot(seen.labels, seen.num_classes)
    place = one_hot.cumsum(0).gather(1, seen.labels[:, None])[:, 0] - 1  # 0, 1, ... within each species
    kept = ((1 - fresh) * one_hot.sum(0)).round()[seen.labels]
    to_fit = place < kept
    sides = [torch.bincount(seen.labels[side], minlength=seen.num_classes).min() for side in (to_fit, ~to_fit)]
    if min(sides) < 1:
        raise bad_input("fresh", "leave a picture of each species on both sides", fresh, "Load more pictures of each.")
    pixels = [part.images.flatten(1).float() for part in (seen, unseen)]
    mean = pixels[0][to_fit].mean(0)
    _, spread, axes = torch.linalg.svd(pixels[0][to_fit] - mean, full_matrices=False)
    if directions > len(spread):
        raise bad_input("directions", f"be at most {len(spread)} here", directions, "Pass fewer, or more pictures.")
    width = (spread[:directions] + spread[0] / 100) / int(to_fit.sum()) ** 0.5
    known, others = [(part - mean) @ axes[:directions].T / width for part in pixels]
    return Task(
        Numbers(known[to_fit], seen.labels[to_fit]),
        Numbers(known[~to_fit], seen.labels[~to_fit]),
        Numbers(others, unseen.labels),
    )


@checked(num_species=at_least(2), species_per_class=at_least(1), seed=finite)
def merge(num_species: int, species_per_class: int, *, seed: int) -> Int[Tensor, " S"]:
    """The class of each species, drawn at random: every class holds as many.

    Raises:
        ValueError: The species cannot be shared out evenly among two classes or more.

    Example:
        >>> merge(6, 3, seed=0).bincount()
        tensor([3, 3])
    """
    count, left = divmod(num_species, species_per_class)
    if left or count < 2:
        got = f"{species_per_class} of {num_species}"
        raise bad_input("species_per_class", "share the species out among two classes or more", got, "Pass a divisor.")
    order = torch.randperm(num_species, generator=generator(seed, "merge"))
    return torch.empty_like(order).scatter_(0, order, torch.arange(num_species) % count)


@checked(class_of=at_least(0), rate=above(0), steps=between(1, 1_000_000), hidden_units=at_least(0), seed=finite)
def train(
    pictures: Numbers,
    class_of: Int[Tensor, " S"],
    options: Mapping[str, object],
    *,
    rate: float,
    seed: int,
    steps: int = 200,
    hidden_units: int = 0,
) -> tuple[nn.Module, CenterLoss]:
    """A map of the numbers to an embedding, and a loss with several centers, trained together on merged labels.

    Args:
        pictures: What to fit.
        class_of: The class of each species, see ``merge``.
        options: The loss's name under ``"name"``, and its options; those that all methods share are set here unless
            they are given. ``"embedding_size"`` is also the map's.
        rate: Learning rate of the map, > 0; that of the centers is ``LOSS_LR``.
        seed: Of the first map, the first centers and the batches.
        steps: Of Adam, each on ``BATCH_SIZE`` pictures, >= 1.
        hidden_units: 0: a linear map. More: a hidden layer with ReLU before it.

    Raises:
        ValueError: A number is out of range, a species has no class, or no loss is named.
    """
    check_below(len(class_of), "species", pictures=pictures.species)
    check_below(len(class_of), "classes, one a species or fewer", class_of=class_of)
    if "name" not in options:
        raise bad_input("options", "name a loss", list(options), 'Write {"name": "softtriple", ...}.')
    check_finite(pictures=pictures.values)
    values, labels = pictures.values, class_of[pictures.species]
    sizes = {"num_classes": int(class_of.max()) + 1, "embedding_size": EMBEDDING_SIZE}
    settings = {"tau": 0.0, "generator": generator(seed, "centers")} | sizes | dict(options)
    net = nets.make_head(values.shape[1], hidden_units, settings["embedding_size"], seed=seed)
    loss = losses.make(settings.pop("name"), **settings)
    adam = torch.optim.Adam(nets.parameter_groups(net, loss, lr=rate, loss_lr=LOSS_LR))
    draw = generator(seed, "batches")
    for _ in range(steps):
        batch = torch.randint(len(values), (BATCH_SIZE,), generator=draw)
        value = loss(net(values[batch]), labels[batch])
        adam.zero_grad()
        value.backward()
        adam.step()
    return net, loss


@checked(class_of=at_least(0))
@torch.no_grad()
def measure(net: nn.Module, loss: CenterLoss, task: Task, class_of: Int[Tensor, " S"]) -> dict[str, float]:
    """How often the class is recognized, and how well the hidden species are retrieved: seen ones and unseen ones.

    Args:
        net: The map.
        loss: Its centers recognize a class: the most similar one.
        task: What it was trained on is ``task.fit``.
        class_of: The class of each seen species.

    Returns:
        Fractions: ``class, trained`` and ``class, fresh`` of the pictures that are given their own class;
        ``class, neighbor`` of fresh pictures whose closest trained picture is of their class; for fresh pictures of
        seen species and for unseen species ``R@1`` and ``MAP@R``, by the species, which no label told.
    """
    check_below(len(class_of), "species", task=torch.cat([task.fit.species, task.fresh.species]))
    scores = {}
    for name, part in {"trained": task.fit, "fresh": task.fresh}.items():
        found = loss.class_similarities(net(part.values)).argmax(1)
        scores[f"class, {name}"] = (found == class_of[part.species]).float().mean().item()
    fit, fresh = (F.normalize(net(part.values), dim=1) for part in (task.fit, task.fresh))
    found = class_of[task.fit.species[(fresh @ fit.T).argmax(1)]]
    scores["class, neighbor"] = (found == class_of[task.fresh.species]).float().mean().item()
    return scores | retrieved(task, net)


@checked
@torch.no_grad()
def retrieved(task: Task, net: nn.Module | None = None) -> dict[str, float]:
    """R@1 and MAP@R by species, for fresh pictures of seen species and for unseen species; no map: of the numbers."""
    scores = {}
    for name, part in {"seen": task.fresh, "unseen": task.unseen}.items():
        check_lengths(values=part.values, species=part.species)
        points = part.values if net is None else net(part.values)
        scores[f"{name} R@1"] = retrieval.recall_at_k(points, part.species, ks=(1,))[1]
        scores[f"{name} MAP@R"] = retrieval.map_at_r(points, part.species)
    return scores


@checked(species_per_class=at_least(1), rate=above(0), seed=finite)
def trial(
    task: Task,
    options: Mapping[str, object],
    *,
    species_per_class: int,
    rate: float,
    seed: int,
    steps: int = 200,
    hidden_units: int = 0,
) -> dict[str, float]:
    """Merge the species, train and measure, all from one seed: see ``merge``, ``train`` and ``measure``.

    Args:
        task: What to train and to measure on.
        options: The loss's name under ``"name"``, and its options.
        species_per_class: How many are merged into a class.
        rate: Learning rate of the map, > 0.
        seed: Of the classes, the map, the centers and the batches.
        steps: Of Adam.
        hidden_units: 0: a linear map.

    Raises:
        ValueError: A number is out of range, or the species cannot be shared out evenly.
    """
    class_of = merge(int(task.fit.species.max()) + 1, species_per_class, seed=seed)
    found = train(task.fit, class_of, options, rate=rate, seed=seed, steps=steps, hidden_units=hidden_units)
    return measure(*found, task, class_of)


@checked(rates=above(0), seeds=finite, species_per_class=at_least(1))
def try_rates(
    task: Task,
    options: Mapping[str, object],
    rates: Sequence[float],
    *,
    seeds: Sequence[int],
    species_per_class: int,
    steps: int = 200,
    hidden_units: int = 0,
) -> dict[float, float]:
    """Recall@1 of the task's unseen species by learning rate, a mean over seeds: what a rate is chosen by.

    Args:
        task: Its unseen species are those to choose on, not those to test on.
        options: The loss's name under ``"name"``, and its options.
        rates: Learning rates of the map, > 0.
        seeds: At least one; see ``trial``.
        species_per_class: How many are merged into a class.
        steps: Of Adam.
        hidden_units: 0: a linear map.

    Raises:
        ValueError: A number is out of range, or there is no rate or no seed.
    """
    check_filled(rates=rates, seeds=seeds)
    settled = {"species_per_class": species_per_class, "steps": steps, "hidden_units": hidden_units}
    found = {}
    for rate in rates:
        scores = [trial(task, options, rate=rate, seed=seed, **settled)["unseen R@1"] for seed in seeds]
        found[rate] = sum(scores) / len(scores)
    return found
