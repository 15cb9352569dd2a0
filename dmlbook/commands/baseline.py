"""What a network is worth before it is trained: the figures that training has to beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch

from dmlbook import nets
from dmlbook._checks import check_number
from dmlbook._types import Float, Tensor
from dmlbook.commands import common
from dmlbook.datasets import ImageSet
from dmlbook.datasets.protocols import numbered_as
from dmlbook.training import TrainConfig, embed

SHOWN = {"recall_at_1": "R@1", "map_at_r": "MAP@R"}
Baseline = dict[str, dict[str, float]]
"""What was measured, in words, and its figures; the first one is the floor."""


def measure(
    net: nets.EmbeddingNet,
    train_set: ImageSet,
    measured: ImageSet,
    config: TrainConfig,
    *,
    pretrained: bool,
    device: str | torch.device,
    gallery: ImageSet | None = None,
    features: Callable[[ImageSet], Tensor] | None = None,
) -> Baseline:
    """Features of the backbone, their PCA in the dimensions of the embedding, and the embedding as it starts.

    Args:
        net: Not trained yet.
        train_set: PCA is fitted to it.
        measured: What is measured, of other classes unless there is a gallery.
        config: Its test view is used.
        pretrained: Whether the backbone brings weights; of random ones only the start is measured.
        device: Where to compute; the network comes back.
        gallery: What the measured images search; None: one another.
        features: Gives the backbone's features of images, where they are known elsewhere. None: they are computed.
    """
    pooled = features or partial(embed, net, features=True, config=config, device=device)
    known = {id(measured): pooled(measured)}
    if gallery is not None:
        known[id(gallery)] = pooled(gallery)
    found, rows = {}, torch.cat(list(known.values()))  # of the gallery behind those of the queries
    with torch.no_grad():
        start = net.head(rows).float()
    if pretrained:
        found[f"frozen features, {rows.shape[1]} dimensions"] = _figures(rows, measured, gallery)
        if start.shape[1] < min(rows.shape[1], len(train_set)):
            if id(train_set) not in known:
                known[id(train_set)] = pooled(train_set)
            reduced = reduce(known[id(train_set)], rows, start.shape[1])
            found[f"their PCA, {start.shape[1]} dimensions"] = _figures(reduced, measured, gallery)
    found[f"the network as it starts, {start.shape[1]} dimensions"] = _figures(start, measured, gallery)
    return found


def reduce(training: Float[Tensor, "M F"], features: Float[Tensor, "N F"], dimensions: int) -> Float[Tensor, "N D"]:
    """Features of unit length, reduced by the principal components of the training features of unit length."""
    from sklearn.decomposition import PCA

    check_number(low=1, high=min(training.shape), integer=True, **{"--pca": dimensions})
    pca = PCA(dimensions, svd_solver="full").fit(torch.nn.functional.normalize(training, dim=1).numpy())
    return torch.from_numpy(pca.transform(torch.nn.functional.normalize(features, dim=1).numpy())).float()


def shown(found: Baseline, measured_on: str) -> str:
    """A line each."""
    width = max(map(len, found))
    lines = [f"  {title:{width}}   {common.percents(figures)}" for title, figures in found.items()]
    return "\n".join([f"before training, on {measured_on}:", *lines])


def gain(found: Baseline, figures: Mapping[str, float]) -> str:
    """What training has changed, in percentage points, and a word where it has cost Recall@1."""
    lines = []
    for title, before in found.items():
        parts = [f"{name} {100 * (figures[key] - before[key]):+.1f}" for key, name in SHOWN.items()]
        lines.append(f"gain over {title}: {', '.join(parts)} points")
    floor = next(iter(found.values()))
    if figures["recall_at_1"] < floor["recall_at_1"]:
        lines.append(
            "Training has cost R@1. Try a smaller --lr, fewer --epochs, a larger --embedding-size, another --loss; "
            "choose among them with --validation 0.2, not on the test classes, or let `compare` do it."
        )
    return "\n".join(lines)


def _figures(vectors: Float[Tensor, "N D"], measured: ImageSet, gallery: ImageSet | None) -> dict[str, float]:
    labels, searched = measured.labels, None
    if gallery is not None:
        labels, searched = numbered_as(measured, gallery), (vectors[len(measured) :], gallery.labels)
    found = common.scores(vectors[: len(measured)], labels, gallery=searched, clusters=False)
    return {key: value for key, value in found.items() if key.startswith(("recall", "map"))}
