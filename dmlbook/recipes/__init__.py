"""Recipes: everything that a published training, or a good one, is made of, by one name such as ``cub-softtriple-64``.

A name is an image set, a family and the dimensions of an embedding. A family is a file beside this one; it says where
its settings come from, in what it differs from that and why, and what is not known.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources

import torch

from dmlbook import losses, nets
from dmlbook._checks import at_least, bad_input, check_choice, check_labels, checked, finite
from dmlbook._types import Int, Tensor
from dmlbook.seeding import SEED, generator
from dmlbook.training import TrainConfig

FAMILIES = ("softtriple", "softmax", "centroid-bound", "semihard", "modern", "modern-vit")
AUTO = "auto"
"""The precision of a recipe that takes bf16 where the device has it."""
_OF_NET = {"net": "name", "weights": "weights", "embedding_size": "embedding_size"}


@dataclass(frozen=True)
class Recipe:
    """A training, whole.

    Attributes:
        name: Such as ``cub-softtriple-64``.
        summary: In one line.
        source: Where its settings come from.
        differs: In what it differs from that, and why.
        unknown: What of its source is not known, and so chosen here.
        options: Every setting by the name of its option: ``python -m dmlbook train --help-all`` explains them.
    """

    name: str
    summary: str
    source: str
    differs: tuple[str, ...]
    unknown: tuple[str, ...]
    options: Mapping[str, object]

    @checked
    def config(self, device: str | torch.device = "cpu") -> TrainConfig:
        """How it trains on that device; ``dataclasses.replace`` changes what should be otherwise.

        Example:
            >>> config = read("cub-softtriple-64").config()
            >>> config.epochs, config.milestones, config.loss_lr
            (50, (20, 40), 0.01)
        """
        known = {each.name for each in fields(TrainConfig)}
        chosen = {name: value for name, value in self.options.items() if name in known}
        chosen = {name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
        if chosen.get("precision") == AUTO:
            chosen["precision"] = precision_of(device)
        wanted = losses.images_per_class(self.options["loss"])
        paired = {"sampler": "class", "samples_per_class": wanted, "small_classes": "repeat"} if wanted else {}
        return TrainConfig(**{**paired, **chosen})

    @checked(seed=finite)
    def net(self, seed: int = SEED, **changed: object) -> nets.EmbeddingNet:
        """Its network as it starts; ``changed`` are other arguments of ``nets.build``, such as ``weights=None``.

        Raises:
            ValueError: ``nets.build`` refuses them.
            OSError: The weights did not arrive.
        """
        settings = {theirs: self.options[ours] for ours, theirs in _OF_NET.items()}
        return nets.build(**{**settings, "seed": seed, **changed})

    @checked(num_classes=at_least(1), seed=finite)
    def loss(
        self, num_classes: int, seed: int = SEED, *, labels: Int[Tensor, " N"] | None = None, **changed: object
    ) -> losses.Loss:
        """Its loss for so many training classes, as ``train --recipe`` makes it.

        Args:
            num_classes: C.
            seed: Of its centers.
            labels: Classes of the training images, 0 to C - 1: the bound weighs classes by their images, and needs
                them, or ``class_counts``. Other losses do not look at them.
            changed: Other options of the loss.

        Raises:
            ValueError: The loss weighs classes and knows no images, or it refuses its options.

        Example:
            >>> tuple(read("sop-softtriple-64").loss(11318).centers.shape)
            (11318, 2, 64)
        """
        name, chosen = self.options["loss"], {**self.options["loss_option"], **changed}
        if "generator" in losses.options(name):
            chosen.setdefault("generator", generator(seed, "centers"))
        if "class_counts" in losses.options(name) and "class_counts" not in chosen:
            if labels is None:
                remedy = "Pass those of the training images: labels=train.labels."
                raise bad_input("labels", f"be known to {name}, which weighs classes by their images", None, remedy)
            chosen["class_counts"] = torch.bincount(check_labels(labels), minlength=num_classes)
        return losses.make(name, num_classes=num_classes, embedding_size=self.options["embedding_size"], **chosen)


@checked
def read(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ValueError: There is none; the nearest one is named.

    Example:
        >>> recipe = read("sop-softtriple-64")
        >>> recipe.options["loss_option"]["centers_per_class"], recipe.options["freeze_batch_norm"]
        (2, False)
    """
    check_choice(choices=NAMES, name=name)
    data, _, rest = name.partition("-")
    family, _, size = rest.rpartition("-")
    content = _content(family)
    of_set = content["sets"][data]
    about = {key: content[key] for key in ("summary", "source")}
    said = {key: (*content[key], *of_set.get(key, ())) for key in ("differs", "unknown")}
    options = {"data": data, "embedding_size": int(size), **content["options"], **of_set.get("options", {})}
    return Recipe(name, **about, **said, options=options)


@checked
def precision_of(device: str | torch.device) -> str:
    """``bf16-mixed`` where the device computes in bfloat16 by itself, else ``32-true``."""
    own = torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if own else "32-true"


def _content(family: str) -> dict:
    """A family's file, completed by that of the one that it is like."""
    file = resources.files("dmlbook.recipes").joinpath(f"{family}.toml")
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    if "like" not in content:
        return content
    base = _content(content["like"])
    sets = {}
    for data, of_set in base["sets"].items():
        kept = {key: value for key, value in of_set.get("options", {}).items() if key not in content["options"]}
        sets[data] = {**of_set, "options": kept, **content.get("sets", {}).get(data, {})}
    return {**base, **content, "options": {**base["options"], **content["options"]}, "sets": sets}


NAMES = tuple(
    f"{data}-{family}-{size}"
    for family in FAMILIES
    for content in [_content(family)]
    for data in content["sets"]
    for size in content["sizes"]
)
