"""The runs of chapter 06: losses at the settings that their searches chose, searched once more, and means that lag."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from dmlbook import losses, nets, records, retrieval
from dmlbook._checks import at_least, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.chapters.ch06.methods import METHODS
from dmlbook.datasets import ImageSet
from dmlbook.seeding import SEED, generator
from dmlbook.training import TrainConfig, embed, fit

PLAIN = {"augment": "shift", "flip": False, "freeze_batch_norm": False, "adam_eps": 1e-8, "milestones": ()}
"""What ``TrainConfig`` is told of small drawn images and a network that starts from random weights."""
BOTH = {"recall_at_1": "Recall@1", "map_at_r": "MAP@R"}
NOT_AGAIN = ("lifted", "clustering", "triplet_center")
"""The losses that were searched once only."""
ENDS = {name: ["", "_again"] for name in losses.NAMES if name not in NOT_AGAIN}
ENDS |= {"softmax": ["", "_again", "_wide"], "hardtriple": ["", "_wide"]}
"""How the records of each loss's searches on drawn birds end."""
POINTS = ("proxy_nca", "softmax", "hardtriple", "softtriple", "centroid_bound", "proxy_anchor", "subcenter_arcface")
"""The losses with learned or fixed representatives."""


@checked(epochs=at_least(1))
def begun(train: ImageSet, *, epochs: int) -> nn.Module:
    """A small network that normalized SoftMax has trained a little."""
    net, draw = nets.build("small", embedding_size=64), generator(SEED, "centers")
    loss = losses.make("softmax", num_classes=train.num_classes, embedding_size=64, generator=draw)
    fit(net, loss, train, TrainConfig(epochs=epochs, lr=1e-3, loss_lr=3e-2, **PLAIN), progress=False)
    return net


@checked
def loss_options(chosen: dict[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Settings that a search chose, apart: options of the loss, and what ``TrainConfig`` is told."""
    prefix = "loss_option."
    options = {key.removeprefix(prefix): value for key, value in chosen.items() if key.startswith(prefix)}
    return options, {key: value for key, value in chosen.items() if not key.startswith(prefix)}


@checked
def train_one(
    field: records.Comparison, name: str, train: ImageSet, test: ImageSet, *, seed: int
) -> tuple[float, float]:
    """One loss at the settings that its search chose: Recall@1 and MAP@R on the test species."""
    options, config = loss_options(field.chosen(METHODS[name].title))
    if wanted := losses.images_per_class(name):
        config = {"sampler": "class", "samples_per_class": wanted, **config}
    if "generator" in losses.options(name):
        options["generator"] = generator(seed, "centers")
    loss = losses.make(name, num_classes=train.num_classes, embedding_size=64, **options)
    unit = getattr(loss, "normalize", True)  # lifted structure and N-pairs may have chosen to leave the sphere
    net = nets.build("small", embedding_size=64, normalize=unit, seed=seed)
    fit(net, loss, train, TrainConfig(seed=seed, **{**PLAIN, **config}), progress=False)
    vectors = embed(net, test)
    recall = retrieval.recall_at_k(vectors, test.labels, ks=(1,))[1]
    return float(recall), float(retrieval.map_at_r(vectors, test.labels))


@checked
def first_seeds(
    field: records.Comparison, name: str, train: ImageSet, test: ImageSet, seeds: Sequence[int]
) -> tuple[list[float], list[float]]:
    """Mean Recall@1 and MAP@R of the first seeds, trained now; and those of the same seeds in the record."""
    live = zip(*(train_one(field, name, train, test, seed=seed) for seed in seeds), strict=True)
    kept = [field.rows[METHODS[name].title].values(key)[: len(seeds)] for key in BOTH]
    return [mean(values) for values in live], [mean(values) for values in kept]


def searched_again() -> dict[tuple[str, str], list[float]]:
    """Of the losses on drawn birds that were searched more than once: the mean score of each search.

    Returns:
        By loss and measure, the first search first.
    """
    again = {}
    for name, ends in ENDS.items():
        rows = records.compare({end or "first": f"field/birds-{name}{end}" for end in ends}).rows
        again |= {(name, key): [mean(record.values(key)) for record in rows.values()] for key in BOTH}
    return again


def said_again(again: dict[tuple[str, str], list[float]]) -> list[str]:
    """``searched_again`` as lines to print: the loss, its searches, Recall@1 and MAP@R of each in percent."""
    lines = []
    for name, ends in ENDS.items():
        shown = ["  ".join(f"{100 * value:.1f}" for value in again[name, key]) for key in BOTH]
        searches = ", ".join(end.strip("_") or "first" for end in ends)
        lines.append(f"{name:17} {searches:18} {shown[0]:>20} {shown[1]:>20}")
    return lines


@checked
def sides(
    field: records.Comparison, again: dict[tuple[str, str], list[float]]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Mean scores of all searches, by measure: of the losses on examples and class means, and of ``POINTS``."""
    found: tuple[dict, dict] = {key: [] for key in BOTH}, {key: [] for key in BOTH}
    for name in losses.NAMES:
        for key in BOTH:
            scores = [mean(field.rows[METHODS[name].title].values(key)), *again.get((name, key), [])]
            found[name in POINTS][key].extend(scores)
    return found


@checked(steps=at_least(1), rate=at_least(0))
def drift(
    features: Float[Tensor, "N F"], labels: Int[Tensor, " N"], *, rate: float, steps: int
) -> list[tuple[int, float]]:
    """Steps, and how far running means are from exact ones then, as a share of the distance between two classes'.

    Args:
        features: On which a head is trained by triplet-center.
        labels: Class numbers.
        rate: Of the head, >= 0.
        steps: >= 1; every tenth is measured, once all classes have been seen.
    """
    head, late = nets.make_head(features.shape[1], 0, 64), []
    sizes = {"num_classes": int(labels.max()) + 1, "embedding_size": 64}
    loss, exact = losses.TripletCenter(**sizes), losses.TripletCenter(**sizes)
    adam = torch.optim.Adam(head.parameters(), lr=rate)
    for step in range(steps):
        index = torch.randperm(len(labels), generator=generator(SEED, "drift", step))[:32]
        adam.zero_grad()
        loss(head(features[index]), labels[index]).backward()
        adam.step()
        if step % 10 == 9 and loss.known.all():
            with torch.no_grad():
                exact.recompute(head(features), labels)
            behind = (loss.centroids - exact.centroids).norm(dim=1).median()
            late.append((step + 1, float(behind / torch.pdist(exact.centroids).median())))
    return late


def mean(values: Sequence[float]) -> float:
    """The plain mean."""
    return sum(values) / len(values)
