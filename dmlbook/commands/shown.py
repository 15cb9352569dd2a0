"""What a run is made of, in few lines: shown before it begins, so that no setting is a surprise afterwards."""

from __future__ import annotations

import textwrap
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict

from dmlbook import losses, recipes, records
from dmlbook.commands import settled
from dmlbook.seeding import SEED
from dmlbook.training import TrainConfig
from dmlbook.training.identity import HOW

WIDTH, INDENT = 100, 12
GROUPS = {
    "training": (
        "epochs", "batch_size", "optimizer", "lr", "loss_lr", "adam_eps", "momentum", "weight_decay", "clip_norm",
        "ema_decay", "precision",
    ),
    "schedule": ("schedule", "milestones", "lr_decay", "warmup_epochs", "head_epochs"),
    "batches": ("sampler", "samples_per_class", "small_classes", "drop_last"),
    "views": ("image_size", "augment", "flip", "crop_scale", "crop_ratio", "shift", "test_crop"),
}  # fmt: skip
"""Settings of ``TrainConfig`` by what they are about, here and on the page of help."""
NEEDS = {
    "samples_per_class": ("sampler", "class"),
    "small_classes": ("sampler", "class"),
    "drop_last": ("sampler", "uniform"),
    "momentum": ("optimizer", "sgd"),
    "milestones": ("schedule", "step"),
    "lr_decay": ("schedule", "step"),
    "crop_scale": ("augment", "crop"),
    "crop_ratio": ("augment", "crop"),
    "shift": ("augment", "shift"),
}
"""Settings that say something only where another one has that value."""


def configuration(options: Namespace) -> str:
    """Every setting of a run, grouped; what the command line says otherwise than its recipe is marked.

    Args:
        options: Of ``train``, resolved.
    """
    config, net = asdict(settled.config(options, SEED)), records.described(settled.network(options))
    said = {name.removeprefix("loss_option.") for name in getattr(options, "but_for", ())}
    of_loss = {name: value for name, value in losses.options(options.loss).items() if name not in settled.GIVEN}
    data = {"data": options.data, "root": options.root, "size": options.size, **dict(options.data_option)}
    data |= {"split": options.split, "held_out": options.held_out, "validation": options.validation}
    grouped = {
        "images": data,
        "network": {"net": net.pop("name"), **net, **{name: config[name] for name in config if name[:6] == "freeze"}},
        "loss": {"loss": options.loss, **of_loss, **dict(options.loss_option)},
        **{title: {name: config[name] for name in names if _says(name, config)} for title, names in GROUPS.items()},
    }
    others = {name for name in config if name not in {each for group in grouped.values() for each in group}}
    others -= {name for name in HOW if config[name] == getattr(TrainConfig, name)}
    others -= {"seed", "evaluate_every", *(name for names in GROUPS.values() for name in names)}
    grouped["further"] = {name: config[name] for name in config if name in others}
    lines = [_heading(options)]
    for title, values in grouped.items():
        words = ", ".join(_pair(name, value, name in said) for name, value in values.items() if value is not None)
        if words:
            lines.append(textwrap.fill(f"  {title:<10}{words}", WIDTH, subsequent_indent=" " * INDENT))
    return "\n".join(lines)


def all_recipes() -> str:
    """The recipes by families, a few lines each: what they are, their names, and where they come from."""
    lines = []
    for family in recipes.FAMILIES:
        names = [name for name in recipes.NAMES if name.split("-", 1)[1].rsplit("-", 1)[0] == family]
        recipe = recipes.read(names[0])
        lines += [f"{family}: {recipe.summary}", textwrap.fill(", ".join(names), WIDTH, **_indented(2))]
        for title, said in {"source": (recipe.source,), "differs": recipe.differs, "unknown": recipe.unknown}.items():
            lines += [textwrap.fill(f"{title}: {each}", WIDTH, **_indented(4)) for each in said]
    return "\n".join([*lines, "", "python -m dmlbook train --recipe NAME; further options change it one by one."])


def _indented(by: int) -> dict[str, object]:
    return {"initial_indent": " " * by, "subsequent_indent": " " * (by + 2), "break_on_hyphens": False}


def _heading(options: Namespace) -> str:
    if getattr(options, "recipe", None) is None:
        return "settings"
    marked = "; * said otherwise on the command line" if options.but_for else ""
    return f"recipe {options.recipe}{marked}"


def _says(name: str, config: Mapping[str, object]) -> bool:
    """Whether a setting has any meaning beside the others."""
    needed = NEEDS.get(name)
    off = name in ("warmup_epochs", "head_epochs", "clip_norm", "ema_decay") and not config[name]
    return not off and (needed is None or config[needed[0]] == needed[1])


def _pair(name: str, value: object, marked: bool) -> str:
    if isinstance(value, bool):
        word = "yes" if value else "no"
    elif isinstance(value, float):
        word = f"{value:g}"
    elif isinstance(value, tuple):
        word = " ".join(f"{each:g}" for each in value) or "none"
    else:
        word = str(value)
    return f"{name} {word}{'*' * marked}"
