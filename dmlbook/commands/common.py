"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import ast
import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction, Namespace, _ArgumentGroup
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from dmlbook import datasets, nets, records
from dmlbook._checks import bad_input
from dmlbook._types import Tensor
from dmlbook.datasets import ImageSet
from dmlbook.seeding import SEED
from dmlbook.training import TrainConfig, checkpoints


def pair(text: str) -> tuple[str, object]:
    """``key=value``, the value read as a Python number, tuple or word."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ArgumentTypeError(f"{text!r} is not of the form key=value, such as scale=20")
    try:
        return key.replace("-", "_"), ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key.replace("-", "_"), value


def add_data_arguments(parser: ArgumentParser, *, required: bool = True) -> None:
    group = parser.add_argument_group("images")
    group.add_argument(
        "--data", required=required, choices=datasets.NAMES, help="the image set; classes are split in halves"
    )
    group.add_argument("--root", help="where it is (default: DMLBOOK_DATA); for --data folder: your folder of classes")
    group.add_argument("--size", type=int, help="side in pixels to which pictures are decoded")
    group.add_argument(
        "--data-option", type=pair, action="append", default=[], metavar="KEY=VALUE", help="such as difficulty=hard"
    )


def add_net_arguments(parser: ArgumentParser, *, required: bool = False, sizes: bool = False) -> None:
    """``sizes``: whether several embedding sizes may be given, one after the other."""
    group = parser.add_argument_group("network")
    group.add_argument("--net", choices=nets.NAMES, required=required, help="backbone (default: by --data)")
    group.add_argument("--weights", help="imagenet (torchvision's), or a file; default: random weights")
    many = {"nargs": "+", "default": [64]} if sizes else {"default": 64}
    group.add_argument("--embedding-size", type=int, help="dimensions of an embedding (default: 64)", **many)
    group.add_argument("--width-mult", type=float, default=1.0, help="channels relative to the published network")
    group.add_argument("--preprocessing", choices=nets.PREPROCESSING, help="colors as the weights expect them")
    group.add_argument("--same-padding", action="store_true", help="pad as TensorFlow's SAME, for weights from there")
    group.add_argument(
        "--bn-eps", type=float, help="batch norm's constant, where the weights were trained with another"
    )


def add_config_arguments(
    group: _ArgumentGroup, names: Iterable[str], defaults: Mapping[str, object] | None = None
) -> None:
    """One option for each named field of ``TrainConfig``, explained as there; ``defaults`` are those to be shown.

    What is not given is None: ``given_config`` finds what was.
    """
    known = {field.name: field for field in fields(TrainConfig)}
    for name in names:
        text = known[name].metadata["help"].replace("%", "%%").replace("``", "")
        flag, default = f"--{name.replace('_', '-')}", (defaults or {}).get(name, known[name].default)
        if isinstance(default, bool):
            group.add_argument(flag, action=BooleanOptionalAction, default=None, help=text)
        elif isinstance(default, tuple):
            kind = type(default[0])
            group.add_argument(flag, type=kind, nargs="*", metavar="N", help=f"{text} (default: {default})")
        else:
            kind = {"loss_lr": float, "image_size": int, "test_crop": float}.get(name, type(default))
            group.add_argument(flag, type=kind, metavar=kind.__name__.upper(), help=f"{text} (default: {default})")


def given_config(options: Namespace) -> dict[str, object]:
    """The fields of ``TrainConfig`` that were given on the command line."""
    given = {}
    for field in fields(TrainConfig):
        value = getattr(options, field.name, None)
        if value is not None:
            given[field.name] = tuple(value) if isinstance(value, list) else value
    return given


def load_images(options: Namespace, split: str) -> ImageSet:
    return datasets.load(options.data, split, root=options.root, size=options.size, **dict(options.data_option))


def net_settings(options: Namespace, defaults: Mapping[str, object]) -> dict[str, object]:
    """The arguments of ``nets.build``: what was asked for, else what suits the data."""
    return {
        "name": options.net or defaults["net"],
        "embedding_size": options.embedding_size,
        "weights": options.weights if options.net or options.weights else defaults["weights"],
        "width_mult": options.width_mult,
        "preprocessing": options.preprocessing,
        "same_padding": options.same_padding,
        "bn_eps": options.bn_eps,
    }


def described(settings: Mapping[str, object]) -> dict[str, object]:
    """Network settings for a record: a weights file is named without the folder it lies in."""
    weights = settings["weights"]
    shown = weights if weights in (None, "imagenet") else str(weights).replace("\\", "/").rsplit("/", 1)[-1]
    return {**settings, "weights": shown}


def continued(name: str | None, title: str, configuration: dict, root: Path | None = None) -> records.Record:
    """The record of that name, if it is there and of this configuration, else a new one; without a name, a new one.

    ``root`` is where it is looked for: ``data/results`` by default.
    """
    record = records.Record(name or "unnamed", title, configuration)
    if name:
        try:
            former = records.load(name, root)
        except ValueError:
            return record
        if former.configuration == json.loads(json.dumps(configuration)):
            return former
        print(f"record {name} had another configuration and is written anew", file=sys.stderr)
    return record


def seeds(count: int) -> list[int]:
    return [SEED + n for n in range(count)]


def percents(figures: Mapping[str, float]) -> str:
    """The figures that a reader looks at first, on one line."""
    shown = {"recall_at_1": "R@1", "recall_at_2": "R@2", "recall_at_4": "R@4", "recall_at_8": "R@8"}
    parts = [f"{title} {100 * figures[key]:.1f}" for key, title in shown.items() if key in figures]
    parts += [f"MAP@R {100 * figures['map_at_r']:.1f}"]
    if "nmi" in figures:
        parts += [f"NMI {100 * figures['nmi']:.1f} (floor {100 * figures['chance_nmi']:.1f})"]
        parts += [f"AMI {100 * figures['ami']:.1f}"]
    return "   ".join(parts)


@dataclass(frozen=True)
class TrainedRun:
    """What ``train --folder`` left of one seed.

    Attributes:
        net: The network, with the weights of the last checkpoint.
        config: How it was trained.
        net_settings: What it was built from.
        data: The options that named its images; empty where an older version trained it.
        centers: The points that stand for its classes (C, K, D), learned or fixed; None where its loss has none.
    """

    net: nets.EmbeddingNet
    config: TrainConfig
    net_settings: dict
    data: dict
    centers: Tensor | None


def read_run(folder: Path) -> TrainedRun:
    """A run that has ended.

    Raises:
        ValueError: The folder holds no finished run.
    """
    about, found = folder / "run.json", checkpoints.find(folder)
    if not about.is_file() or not found:
        remedy = "Name the folder of one seed, such as runs/birds/seed-20190811, of a run that has ended."
        raise bad_input("--run", "hold run.json and a checkpoint", str(folder), remedy)
    content, weights = json.loads(about.read_text(encoding="utf-8")), checkpoints.load(found[-1])
    # The checkpoint brings all weights, so the pretrained ones need not be there any more.
    net = nets.build(**{**content["net"], "weights": None})
    net.load_state_dict(weights["net"])
    loss = weights["loss"]
    centers = loss["weight"].transpose(0, 1) if "weight" in loss else loss.get("centroids")
    if centers is not None and centers.ndim == 2:  # one a class
        centers = centers[:, None]
    return TrainedRun(net, TrainConfig.from_dict(content["config"]), content["net"], content.get("data", {}), centers)
