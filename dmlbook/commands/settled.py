"""What the options of ``train`` amount to: a network, a loss and a configuration, each with what suits the images."""

from __future__ import annotations

from argparse import Namespace

import torch

from dmlbook import losses, nets
from dmlbook._checks import check_choice
from dmlbook.commands import common
from dmlbook.datasets import ImageSet
from dmlbook.seeding import generator
from dmlbook.training import TrainConfig

DRAWN = {
    "freeze_batch_norm": False,
    "lr": 4e-3,
    "loss_lr": 3e-2,
    "adam_eps": 1e-8,
    "augment": "shift",
    "flip": False,
    "batch_size": 32,
    "epochs": 15,
    "milestones": (12,),
}
DEFAULTS: dict[str, dict] = {
    "birds": {"net": "small", "weights": None, "config": DRAWN},
    "digits": {"net": "small", "weights": None, "config": DRAWN},
    "cub": {"net": "googlenet", "weights": "imagenet", "config": {}},
    "cars": {"net": "googlenet", "weights": "imagenet", "config": {}},
    "sop": {"net": "googlenet", "weights": "imagenet", "config": {"freeze_batch_norm": False}},
    "folder": {"net": "googlenet", "weights": "imagenet", "config": {}},
}
"""What suits each image set, where the command line does not say otherwise."""
GIVEN = ("generator", "class_counts")
"""Options of losses that follow from the seed and the images, and are nobody's choice."""


def network(options: Namespace) -> dict[str, object]:
    """The arguments of ``nets.build``; a loss that is told not to normalize gets embeddings of any length."""
    settings = common.net_settings(options, DEFAULTS[options.data])
    unit = dict(options.loss_option).get("normalize", losses.options(options.loss).get("normalize", True))
    return settings if unit else {**settings, "normalize": False}


def build(options: Namespace, settings: dict, train_set: ImageSet, seed: int) -> tuple[nets.EmbeddingNet, losses.Loss]:
    """The network and the loss of one run, as they start."""
    chosen = dict(options.loss_option)
    net = nets.build(**settings, seed=seed)
    if "generator" in losses.options(options.loss):
        chosen["generator"] = generator(seed, "centers")
    if options.loss == "centroid_bound":
        chosen["class_counts"] = torch.bincount(train_set.labels)
    sizes = {"num_classes": train_set.num_classes, "embedding_size": options.embedding_size}
    return net, losses.make(options.loss, **sizes, **chosen)


def check_loss(options: Namespace) -> None:
    """The loss takes its options, before any image is read."""
    chosen = dict(options.loss_option)
    choices = [name for name in losses.options(options.loss) if name not in GIVEN]
    check_choice(choices=choices, **{f"--loss-option {name}": name for name in chosen})
    losses.make(options.loss, num_classes=2, embedding_size=options.embedding_size, **chosen)


def config(options: Namespace, seed: int) -> TrainConfig:
    """How to train: what was given, else what suits loss and images."""
    wanted = losses.images_per_class(options.loss)
    paired = {"sampler": "class", "samples_per_class": wanted, "small_classes": "repeat"} if wanted else {}
    chosen = {**DEFAULTS[options.data]["config"], **paired, **common.given_config(options)}
    return TrainConfig(**{**chosen, "seed": seed})
