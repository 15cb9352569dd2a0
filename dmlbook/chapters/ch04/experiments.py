"""Experiments of chapter 04: centers on drawn birds whose poses are known, trained and measured, and on the toy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from dmlbook import losses, nets, retrieval
from dmlbook._checks import above, at_least, between, check_lengths, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.chapters.ch04.theory import THRESHOLD
from dmlbook.datasets import ImageSet, birds
from dmlbook.records import interval
from dmlbook.seeding import SEED, generator
from dmlbook.training import Features, TrainConfig, embed, fit

DIM = 64
SHOWN = 35
"""Of the images of a training species, how many train; the others are held out."""
LATE = 28
"""Of those, from which on they are kept apart where a setting is chosen."""
THRESHOLDS = (THRESHOLD, 0.1, 0.3)


class Squared(losses.SoftTriple):
    """SoftTriple with the squared price: tau weights half the mean *squared* distance, so a pair pays t d^2.

    Source: made for chapter 4, where it does not merge centers.
    """

    def compute(self, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        tau, self.tau = self.tau, 0.0
        value, self.tau = super().compute(embeddings, labels), tau
        return value + tau * losses.center_distances(self.centers).square().mean() / 2


@checked
@dataclass(frozen=True)
class Posed:
    """Drawn birds as features of a small network, in three parts.

    Attributes:
        features: Of each part, ``"shown"``, ``"held"`` and ``"unseen"``: (N, F), standardized by those that are shown.
        labels: Of each part.
        kinds: The pose of each image that is shown, within its species.
        truth: How many poses each training species has, (C,).
    """

    features: Mapping[str, Tensor]
    labels: Mapping[str, Tensor]
    kinds: Int[Tensor, " N"]
    truth: Int[Tensor, " C"]


@checked(epochs=at_least(1))
def posed_birds(train: ImageSet, test: ImageSet, *, epochs: int) -> Posed:
    """Train a small network with normalized SoftMax, which has never heard of poses, and take its features.

    Args:
        train: Drawn birds: of each species the first 35 images train, the others are held out.
        test: Other species.
        epochs: Of the network's training, >= 1.

    Raises:
        ValueError: The images are no drawn birds, or ``epochs`` is below 1.
    """
    first = torch.arange(len(train)) % birds.IMAGES_PER_SPECIES < SHOWN
    shown, held = (train.select(part.nonzero().flatten()) for part in (first, ~first))
    truth = birds.true_kinds(train)
    net = nets.build("small", embedding_size=DIM)
    loss = losses.make("softmax", num_classes=len(truth), embedding_size=DIM, generator=generator(SEED, "softmax"))
    drawings = {"augment": "shift", "flip": False, "freeze_batch_norm": False, "adam_eps": 1e-8, "milestones": ()}
    fit(net, loss, shown, TrainConfig(epochs=epochs, lr=4e-3, loss_lr=3e-2, **drawings), progress=False)
    parts = {"shown": shown, "held": held, "unseen": test}
    features = {name: embed(net, part, features=True) for name, part in parts.items()}
    mean, spread = features["shown"].mean(0), features["shown"].std(0)
    return Posed(
        {name: (values - mean) / (spread + 1e-6) for name, values in features.items()},
        {name: part.labels for name, part in parts.items()},
        shown.kinds,
        truth,
    )


@checked(per_class=at_least(1), tau=at_least(0), epochs=at_least(1), rate=above(0), adam_eps=above(0))
def trained(
    posed: Posed,
    per_class: int,
    tau: float,
    seed: int,
    *,
    epochs: int,
    rate: float = 1e-2,
    adam_eps: float = 1e-8,
    squared: bool = False,
    early: bool = False,
) -> tuple[nn.Module, losses.SoftTriple]:
    """A linear embedding of the features and its centers, trained: both. Only the loss and its price move the centers.

    Args:
        posed: From ``posed_birds``.
        per_class: K, >= 1.
        tau: Weight of the price, >= 0.
        seed: Of the embedding's and the centers' first values, and of the order of the images.
        epochs: >= 1.
        rate: Adam's, for both, > 0.
        adam_eps: Adam's own epsilon, > 0.
        squared: Whether the price is on squared distances.
        early: Whether to train on the first 28 images of a species alone, for a search that measures the next 7.

    Raises:
        ValueError: A number is out of range.
    """
    head = nets.build("small", embedding_size=DIM, seed=seed).head
    kind = Squared if squared else losses.SoftTriple
    options = {"centers_per_class": per_class, "tau": tau, "generator": generator(seed, "centers")}
    loss = kind(num_classes=len(posed.truth), embedding_size=DIM, **options)
    part = torch.arange(len(posed.labels["shown"])) % SHOWN < (LATE if early else SHOWN)
    shown = Features(posed.features["shown"][part], posed.labels["shown"][part])
    alike = {"lr": rate, "loss_lr": rate, "milestones": (), "adam_eps": adam_eps, "weight_decay": 0.0}
    fit(head, loss, shown, TrainConfig(epochs=epochs, batch_size=250, seed=seed, **alike), progress=False)
    return head, loss


@checked
def late_map(posed: Posed, head: nn.Module) -> float:
    """MAP@R among the last 7 of each species' 35 images: what a search for settings looks at."""
    late = torch.arange(len(posed.labels["shown"])) % SHOWN >= LATE
    with torch.inference_mode():
        return retrieval.map_at_r(head(posed.features["shown"][late]), posed.labels["shown"][late])


@checked
def measured(posed: Posed, head: nn.Module, loss: losses.SoftTriple) -> dict:
    """What one training is worth: its counts against the truth, the poses that it found, and retrieval.

    Returns:
        ``counts`` (C,), and numbers: ``distinct`` (their mean), ``exact`` (the share of species with the right count),
        ``correlation`` of counts and poses (0 where all counts are the same), ``recovery`` (adjusted Rand index of
        the assigned centers, merged ones as one), and Recall@1 and MAP@R of the images ``held`` out and ``unseen``.
    """
    with torch.inference_mode():
        points = {part: head(values) for part, values in posed.features.items()}
        report, centers = loss.report(), loss.centers
    labels = posed.labels["shown"]
    assigned = report.groups[labels, losses.assigned_centers(points["shown"], labels, centers)]
    both = torch.stack([report.counts.double(), posed.truth.double()])
    alike = report.counts.unique().numel() == 1
    found = {
        "counts": report.counts,
        "distinct": float(both[0].mean()),
        "exact": float((report.counts == posed.truth).double().mean()),
        "correlation": 0.0 if alike else float(torch.corrcoef(both)[0, 1]),
        "recovery": retrieval.kind_recovery(assigned, labels, posed.kinds),
    }
    for part in ("held", "unseen"):
        found[part] = retrieval.recall_at_k(points[part], posed.labels[part], ks=(1,))[1]
        found[f"{part} MAP"] = retrieval.map_at_r(points[part], posed.labels[part])
    return found


@checked
def untrained_recovery(posed: Posed, head: nn.Module, *, per_class: int = 10) -> float:
    """Adjusted Rand index of the poses where nobody trained the centers: what chance and their number give."""
    idle = losses.SoftTriple(
        num_classes=len(posed.truth),
        embedding_size=DIM,
        centers_per_class=per_class,
        generator=generator(SEED, "idle"),
    )
    labels = posed.labels["shown"]
    with torch.inference_mode():
        nobody = losses.assigned_centers(head(posed.features["shown"]), labels, idle.centers)
    return retrieval.kind_recovery(nobody, labels, posed.kinds)


@checked
def kmeans_recovery(posed: Posed, head: nn.Module, told: Int[Tensor, " C"]) -> float:
    """Adjusted Rand index of k-means within each species, told how many clusters to make."""
    from sklearn.cluster import KMeans

    labels = posed.labels["shown"]
    with torch.inference_mode():
        points = head(posed.features["shown"])
    clusters = torch.zeros_like(labels)
    for species, number in enumerate(told.tolist()):
        own = labels == species
        model = KMeans(number, n_init=4, random_state=0)
        clusters[own] = torch.from_numpy(model.fit_predict(points[own].numpy())).long()
    return retrieval.kind_recovery(clusters, labels, posed.kinds)


@checked
def over_seeds(results: Sequence[Mapping], key: str, factor: float = 1.0) -> str:
    """Mean, half of the 95 percent interval and, in brackets, the number of seeds, in words.

    Example:
        >>> over_seeds([{"held": 0.5}, {"held": 0.52}], "held", 100)
        '51.00 ± 12.71 (2)'
    """
    mean, half = interval([factor * result[key] for result in results])
    return f"{mean:.2f}" + ("" if math.isnan(half) else f" ± {half:.2f}") + f" ({len(results)})"


@checked
def gained(these: Sequence[Mapping], those: Sequence[Mapping], key: str) -> list[dict]:
    """By how much these runs beat those, seed by seed, for ``over_seeds`` under the same key.

    Example:
        >>> gained([{"held": 0.5}], [{"held": 0.25}], "held")
        [{'held': 0.25}]
    """
    check_lengths(these=these, those=those)
    return [{key: a[key] - b[key]} for a, b in zip(these, those, strict=True)]


@checked(threshold=between(0, 2))
def mean_distinct(loss: losses.SoftTriple, threshold: float) -> float:
    """Distinct centers at a threshold, mean over the classes."""
    return float(loss.report(threshold=threshold).counts.double().mean())


@checked
def counts_at(
    ends: Float[Tensor, "*runs C K D"], thresholds: Sequence[float] = THRESHOLDS
) -> dict[float, Int[Tensor, "*runs C"]]:
    """Distinct centers of each class of many runs, at each of several thresholds.

    Example:
        >>> counts_at(torch.eye(2).expand(3, 1, 2, 2), [0.1])  # three runs of one class with two centers
        {0.1: tensor([[2],
                [2],
                [2]])}
    """
    flat = ends.flatten(0, -3)
    return {t: losses.distinct_centers(flat, threshold=t).counts.view(ends.shape[:-2]) for t in thresholds}


@checked
def agreement(counts: Mapping[float, Int[Tensor, "*runs"]]) -> Float[Tensor, "*runs"]:
    """1 where a class has the same count at all thresholds, else 0.

    Example:
        >>> agreement({0.1: torch.tensor([2, 3]), 0.3: torch.tensor([2, 2])})
        tensor([1., 0.], dtype=torch.float64)
    """
    first, *others = counts.values()
    return torch.stack([first == other for other in others]).all(0).double()
