"""The runs and the numbers of chapter 09: what three losses made of ten classes with kinds, and how a map is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from dmlbook import losses, maps, nets, retrieval
from dmlbook._checks import at_least, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.datasets import ImageSet
from dmlbook.losses import Loss
from dmlbook.seeding import SEED, generator
from dmlbook.training import TrainConfig, embed, fit

PLAIN = {"augment": "shift", "flip": False, "freeze_batch_norm": False, "adam_eps": 1e-8, "milestones": ()}
"""What ``TrainConfig`` is told of small drawn images and a network that starts from random weights."""


class Seen(NamedTuple):
    """What a network and its loss looked like after some epochs."""

    epochs: int
    embeddings: Tensor
    centers: Tensor


@checked
def points_of(loss: Loss) -> Float[Tensor, "C K D"]:
    """The points that stand for the classes: learned centers, or fixed centroids, one a class."""
    points = loss.centers if isinstance(loss, losses.CenterLoss) else loss.centroids[:, None]
    return points.detach().clone()


@checked(stages=at_least(0))
def learn(
    train: ImageSet, name: str, rates: Mapping[str, float], *, stages: Sequence[int], seed: int = SEED
) -> tuple[nn.Module, Loss, list[Seen]]:
    """A network and its loss, trained, and what both looked like after each stage.

    Args:
        train: Classes of several kinds.
        name: Of the loss.
        rates: What ``TrainConfig`` is told of learning rates.
        stages: Numbers of epochs after which we look, from 0 upwards.
        seed: Of weights, centers and batches.
    """
    options = {"generator": generator(seed, "centers")} if "generator" in losses.options(name) else {}
    net = nets.build("small", embedding_size=64, seed=seed)
    loss = losses.make(name, num_classes=train.num_classes, embedding_size=64, **options)
    seen = [Seen(0, embed(net, train), points_of(loss))]
    for before, epochs in pairwise(stages):
        config = TrainConfig(epochs=epochs - before, batch_size=32, seed=seed + before, **PLAIN, **rates)
        fit(net, loss, train, config, progress=False)
        seen.append(Seen(epochs, embed(net, train), points_of(loss)))
    return net, loss, seen


@checked
def cosines(vectors: Float[Tensor, "N D"], labels: Int[Tensor, " N"], kinds: Int[Tensor, " N"]) -> tuple[float, float]:
    """Cosine of two kinds of one class, by their mean directions, and of two images of two classes; means over all."""
    unit = F.normalize(vectors, dim=1)
    unlike = float((unit @ unit.T)[labels[:, None] != labels].mean())
    return float(retrieval.kind_cosine(vectors, labels, kinds)), unlike


@checked(most=at_least(1))
def some_of_each(kinds: Int[Tensor, " N"], most: int) -> Int[Tensor, " M"]:
    """The first images of each kind, ``most`` of them, kind by kind."""
    return torch.cat([(kinds == kind).nonzero().flatten()[:most] for kind in torch.unique(kinds)])


@checked(neighbors=at_least(1))
def judged(vectors: Float[Tensor, "N D"], shown: maps.Map, neighbors: int) -> dict[str, float]:
    """Trustworthiness, continuity and kept neighbors of a map, and ``beyond``.

    ``beyond`` is how many places beyond the last true neighbor a made-up one stands, in the mean: formula (9.1) solved
    for it.
    """
    trust = maps.trustworthiness(vectors, shown, n_neighbors=neighbors)
    found = {"trustworthiness": trust, "continuity": maps.continuity(vectors, shown, n_neighbors=neighbors)}
    kept = float(maps.kept_neighbors(vectors, shown, n_neighbors=neighbors).mean())
    beyond = (1 - trust) * (2 * len(vectors) - 3 * neighbors - 1) / 2 / (1 - kept)
    return found | {"kept": kept, "beyond": beyond}


@checked(neighbors=at_least(1))
def shared_neighbors(shown: Sequence[maps.Map], neighbors: int) -> float:
    """The share of an image's neighbors on one map that are neighbors on another, over all pairs of maps."""
    near = []
    for each in shown:
        far = torch.cdist(each.points, each.points).fill_diagonal_(torch.inf)
        near.append(far.argsort(1)[:, :neighbors])
    pairs = [(a, b) for n, a in enumerate(near) for b in near[:n]]
    shared = [float((a[:, :, None] == b[:, None, :]).any(2).double().mean()) for a, b in pairs]
    return sum(shared) / len(shared)


@checked
def on_the_fence(loss: Loss, vectors: Float[Tensor, "N D"], labels: Int[Tensor, " N"]) -> int:
    """The image whose own class and best other class are most nearly tied for a SoftTriple loss."""
    with torch.no_grad():
        unit = F.normalize(vectors, dim=1)
        similar = losses.softtriple_similarity(torch.einsum("nd,ckd->nck", unit, loss.centers), gamma=loss.gamma)
    own = similar.gather(1, labels[:, None])[:, 0]
    best_other = similar.scatter(1, labels[:, None], -2).amax(1)
    return int((own - best_other).abs().argmin())


@checked
def kinds_together(
    vectors: Float[Tensor, "N D"], labels: Int[Tensor, " N"], kinds: Int[Tensor, " N"]
) -> dict[int, float]:
    """For each class the mean cosine of two of its kinds, by their mean directions."""
    found = {}
    for label in labels.unique().tolist():
        own = labels == label
        found[label] = float(retrieval.kind_cosine(vectors[own], torch.zeros_like(labels[own]), kinds[own]))
    return found


@checked
def torn(shown: maps.Map, near: Int[Tensor, "N K"]) -> Float[Tensor, " N"]:
    """How far on the map each image lies from those whose numbers are given, in the mean."""
    return torch.linalg.vector_norm(shown.points[:, None] - shown.points[near], dim=2).mean(1)
