"""What the options of ``train`` amount to: a network, a loss and a configuration, each with what suits the images."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import fields

import torch

from dmlbook import losses, nets, recipes
from dmlbook import settings as machine
from dmlbook._checks import bad_input, check_choice
from dmlbook.commands import common
from dmlbook.datasets import ImageSet
from dmlbook.nets.from_timm import PREFIX
from dmlbook.seeding import generator
from dmlbook.training import TrainConfig, Views

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
UNSAID = {"embedding_size": 64, "width_mult": 1.0, "same_padding": False}
"""Options of the network where neither the command line nor a recipe says anything."""
REPEATED = ("data_option", "loss_option", "miner_option")
"""Options that may be given several times: where they never are, they are empty."""
DECIDING = {"data_option", "preprocessing", "bn_eps", *UNSAID, *(field.name for field in fields(TrainConfig))}
"""Options that decide a run, beside those that every recipe has."""


def resolved(options: Namespace) -> Namespace:
    """The options of ``train`` with all that a recipe says where the command line says nothing.

    What the line says otherwise stands in ``but_for``. Options of a loss go with their loss, and weights with their
    network: another ``--loss`` begins with its own defaults; another ``--net`` with the weights that its library has
    published, where the recipe's are such, else with random ones.

    Raises:
        ValueError: Neither names the images, or the loss.
    """
    if not hasattr(options, "recipe") or hasattr(options, "but_for"):
        return options
    recipe = {} if options.recipe is None else dict(recipes.read(options.recipe).options)
    given = {
        name: value
        for name, value in vars(options).items()
        if value is not None and (value != [] or name not in REPEATED)
    }
    if given.get("loss", recipe.get("loss")) != recipe.get("loss"):
        recipe.pop("loss_option", None)
    said_of_loss = recipe.pop("loss_option", {})
    whole = dict(recipe)
    if given.get("net", recipe.get("net")) != recipe.get("net"):
        of_library = given["net"] in nets.TORCHVISION or given["net"].startswith(PREFIX)
        if recipe.pop("weights", None) in nets.PUBLISHED and of_library and given.get("width_mult", 1) == 1:
            recipe["weights"] = "imagenet"
    of_loss = {**said_of_loss, **dict(options.loss_option)}
    found = Namespace(**{**vars(options), **UNSAID, **recipe, **given, "loss_option": list(of_loss.items())})
    other = [name for name in given if name in {*whole, *DECIDING} and given[name] != whole.get(name)]
    other += ["weights"] if "weights" not in given and whole.get("weights") != recipe.get("weights") else []
    other += [f"loss_option.{name}" for name, value in options.loss_option if said_of_loss.get(name) != value]
    found.but_for = sorted(other) if options.recipe else []
    for name in ("data", "loss"):
        if getattr(found, name) is None:
            remedy = "See `python -m dmlbook train --help`."
            raise bad_input(f"--{name}", "be named, or a --recipe that names it", "neither", remedy)
    return found


def recipe_of(options: Namespace) -> dict[str, object]:
    """What a run and its record say of their recipe; nothing where there is none."""
    name = getattr(options, "recipe", None)
    return {} if name is None else {"recipe": {"name": name, "but_for": options.but_for}}


def network(options: Namespace) -> dict[str, object]:
    """The arguments of ``nets.build``; a loss that is told not to normalize gets embeddings of any length."""
    settings = common.net_settings(options, DEFAULTS[options.data])
    unit = dict(options.loss_option).get("normalize", losses.options(options.loss).get("normalize", True))
    return settings if unit else {**settings, "normalize": False}


def build(options: Namespace, settings: dict, train_set: ImageSet, seed: int) -> tuple[nets.EmbeddingNet, losses.Loss]:
    """The network and the loss of one run, as they start."""
    chosen = dict(options.loss_option)
    net = nets.build(**settings, seed=seed)
    if settings["name"] not in nets.NAMES:
        nets.check_image_size(net, Views(train_set, config(options, seed)).size)
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
    if chosen.get("precision") == recipes.AUTO:
        chosen["precision"] = recipes.precision_of(options.device or machine.device())
    return TrainConfig(**{**chosen, "seed": seed})
