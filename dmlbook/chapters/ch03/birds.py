"""The drawn birds, made small: main directions of their pixels, and a linear map that is trained on them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional as F

from dmlbook import datasets, losses, retrieval
from dmlbook._checks import between, checked, one_of
from dmlbook._types import Float, Int, Tensor
from dmlbook.seeding import generator

EMBEDDING = 16
"""Numbers of an embedding of the linear map."""


def _choices() -> dict[str, tuple[str, dict[str, object]]]:
    found = {"one center": ("softmax", {})}
    for end, more in {"": {}, ", gamma 0.3": {"gamma": 0.3}}.items():
        for K in (4, 10):
            options = {"centers_per_class": K, "tau": 0.0}
            if not more:
                found[f"HardTriple, K = {K}"] = ("hardtriple", options)
            found[f"SoftTriple, K = {K}{end}"] = ("softtriple", options | more)
            found[f"log-sum-exp, K = {K}{end}"] = ("softtriple", options | {"similarity": "logsumexp"} | more)
    return found


CHOICES = _choices()
"""What is compared: the loss's name and its options, by the names that figures show."""
PAIRS = (
    ("one center", "log-sum-exp, K = 4"),
    ("one center", "log-sum-exp, K = 10, gamma 0.3"),
    *((f"{name}, K = 4", f"{name}, K = 10") for name in ("HardTriple", "SoftTriple", "log-sum-exp")),
    *((f"log-sum-exp, K = {K}{end}", f"SoftTriple, K = {K}{end}") for end in ("", ", gamma 0.3") for K in (4, 10)),
    *((f"{name}, K = 4, gamma 0.3", f"{name}, K = 10, gamma 0.3") for name in ("SoftTriple", "log-sum-exp")),
)
"""Which of them are compared seed by seed: the first minus the second."""


class Features(NamedTuple):
    """Images as vectors: of species to train on, and of others that training does not see."""

    seen: Float[Tensor, "N D"]
    seen_labels: Int[Tensor, " N"]
    unseen: Float[Tensor, "M D"]
    unseen_labels: Int[Tensor, " M"]


@checked(directions=between(1, 768))
def bird_features(directions: int = 128) -> Features:
    """Each image along the main directions of the training images' pixels, averaged over squares of four by four.

    Args:
        directions: D, how many. Each is divided by roughly its standard deviation.
    """
    train, test = datasets.load("birds", "train"), datasets.load("birds", "test")
    squares = [F.avg_pool2d(part.images.float(), 4).flatten(1) for part in (train, test)]  # (N, 768)
    squares = [part - squares[0].mean(0) for part in squares]
    _, spread, axes = torch.linalg.svd(squares[0], full_matrices=False)
    spread = spread / len(train) ** 0.5  # the standard deviation along each direction
    seen, unseen = (part @ axes[:directions].T / (spread[:directions] + spread[0] / 100) for part in squares)
    return Features(seen, train.labels, unseen, test.labels)


@checked(name=one_of("softmax", "hardtriple", "softtriple"), steps=between(1, 10_000))
def linear_run(
    features: Features, name: str, seed: int, *, steps: int, options: dict[str, object] | None = None
) -> tuple[float, dict[str, float]]:
    """Train a linear map and centers on all seen images at once: the last loss; Recall@1 and MAP@R on unseen species.

    Args:
        features: As from ``bird_features``.
        name: Of the loss.
        seed: Draws the first map and the first centers.
        steps: Of Adam, with a rate of 0.01 for the map and of 0.05 for the centers.
        options: Of the loss.
    """
    classes, directions = int(features.seen_labels.max()) + 1, features.seen.shape[1]
    draw = generator(seed, "centers")
    loss = losses.make(name, num_classes=classes, embedding_size=EMBEDDING, generator=draw, **(options or {}))
    weight = torch.randn(directions, EMBEDDING, generator=generator(seed, "map")) / directions**0.5
    weight.requires_grad_()
    adam = torch.optim.Adam([{"params": [weight], "lr": 0.01}, {"params": loss.parameters(), "lr": 0.05}])
    for _ in range(steps):
        value = loss(features.seen @ weight, features.seen_labels)
        adam.zero_grad()
        value.backward()
        adam.step()
    found = features.unseen @ weight.detach()
    recall = retrieval.recall_at_k(found, features.unseen_labels, ks=(1,))[1]
    return float(value.detach()), {"Recall@1": recall, "MAP@R": retrieval.map_at_r(found, features.unseen_labels)}
