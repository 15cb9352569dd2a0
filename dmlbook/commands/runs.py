"""Folders of runs: what was asked for stands there from the first moment, so that nothing of a run is ever guessed."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from dmlbook import nets
from dmlbook._checks import bad_input
from dmlbook._files import write_whole
from dmlbook._types import Tensor
from dmlbook.training import TrainConfig, checkpoints

ABOUT, HOME = "run.json", "runs"
DECIDES = ("loss", "loss_options", "net", "config", "data")
REMEDY = "Name the folder of a run, such as runs/birds-softtriple, or that of one of its seeds."


@dataclass(frozen=True)
class TrainedRun:
    """What ``train`` left of one seed.

    Attributes:
        folder: Where it lies.
        net: The network, with the weights of the last checkpoint.
        config: How it was trained.
        net_settings: What it was built from.
        data: The options that named its images and their size; empty where an older version trained it.
        centers: The points that stand for its classes (C, K, D), learned or fixed; None where its loss has none.
        finished: Whether it was trained to its end.
    """

    folder: Path
    net: nets.EmbeddingNet
    config: TrainConfig
    net_settings: dict
    data: dict
    centers: Tensor | None
    finished: bool

    def images(self, options: Namespace) -> Namespace:
        """``options`` with the images of the run, wherever the command line says nothing else.

        Raises:
            ValueError: An older version trained it and did not note its images, and none are named.
        """
        if options.data is None and not self.data:
            remedy = "Name the images: --data folder --root FOLDER, and --size as in training."
            raise bad_input("--run", "say which images it was trained on", "a run of an older version", remedy)
        known = {
            "validation": None,
            **self.data,
            "data_option": [tuple(pair) for pair in self.data.get("data_option", [])],
        }
        if options.data not in (None, known.get("data")):
            known = {"size": known.get("size"), "validation": None}  # other images are decoded as large
        given = {name: getattr(options, name, None) for name in ("data", "root", "size", "validation")}
        given = {name: value for name, value in given.items() if value is not None}
        given |= {"data_option": options.data_option} if options.data_option else {}
        return Namespace(**{**vars(options), **known, **given})


def place(options: Namespace, asked: Mapping[str, object]) -> Path:
    """The folder of a command's runs: the one it names, or the first of ``runs/DATA-LOSS``, ``...-2`` that is free.

    A folder that holds runs of the same request is no other's, so the same command given again finds its own.

    Args:
        options: Of ``train``.
        asked: What is asked for, without the seed.

    Raises:
        ValueError: The folder that is named holds a run of another request, or something that is no run.
    """
    if options.folder is not None:
        named = Path(options.folder)
        if unlike := _unlike(named, asked):
            raise bad_input("--folder", "hold this run or none", unlike, "Name another folder for a new run.")
        return named
    name = options.record or f"{Path(options.root).name if options.data == 'folder' else options.data}-{options.loss}"
    name = "/".join(re.sub(r"[^\w.-]+", "-", part).strip(".-")[:80] or "run" for part in name.split("/"))
    for number in count(1):
        free = Path(HOME, name if number == 1 else f"{name}-{number}")
        if not _unlike(free, asked):
            return free


def note(folder: Path, **known: object) -> None:
    """Adds to what a run's folder says of it."""
    write_whole(folder / ABOUT, json.dumps({**read_about(folder), **known}, indent=2) + "\n")


def find(folder: Path) -> Path:
    """The folder of one seed: the one given, or the first in it."""
    inside = sorted(folder.glob("seed-*"), key=lambda path: (len(path.name), path.name))
    return next((path for path in (folder, *inside) if (path / ABOUT).is_file()), folder)


def read_about(folder: Path) -> dict:
    """The content of a run's ``run.json``.

    Raises:
        ValueError: It is damaged, or no run's.
    """
    path = folder / ABOUT
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise bad_input("--run", f"hold a {ABOUT} that can be read", f"{path}: {error}", REMEDY) from error
    wanted = {"net": dict, "config": dict, "data": dict}
    if not isinstance(content, dict) or any(not isinstance(content.get(key, {}), kind) for key, kind in wanted.items()):
        raise bad_input("--run", f"hold a {ABOUT} that describes a run", f"{path}, which does not", REMEDY)
    return content


def read_run(folder: Path) -> TrainedRun:
    """A run with the weights of its last checkpoint, whether it has ended or not.

    Raises:
        ValueError: The folder holds no run, or no checkpoint yet, or one of another network.
    """
    folder = find(folder)
    found = checkpoints.find(folder)
    if not (folder / ABOUT).is_file() or not found:
        what = "a run without a checkpoint: not one epoch has ended" if (folder / ABOUT).is_file() else "neither"
        raise bad_input("--run", f"hold {ABOUT} and a checkpoint", f"{folder}, {what}", REMEDY)
    content, weights = read_about(folder), checkpoints.load(found[-1])
    try:
        # The checkpoint brings all weights, so the pretrained ones need not be there any more.
        net = nets.build(**{**content["net"], "weights": None})
        net.load_state_dict(weights["net"])
        config = TrainConfig.from_dict(content["config"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        got = f"{folder}: {str(error).splitlines()[0]}"
        raise bad_input("--run", f"hold a {ABOUT} that fits its checkpoint", got, REMEDY) from error
    loss = weights["loss"]
    centers = loss["weight"].transpose(0, 1) if "weight" in loss else loss.get("centroids")
    if centers is not None and centers.ndim == 2:  # one a class
        centers = centers[:, None]
    finished = weights["epoch"] >= config.epochs
    return TrainedRun(folder, net, config, content["net"], content.get("data", {}), centers, finished)


def _unlike(folder: Path, asked: Mapping[str, object]) -> str:
    """In what the runs of a folder differ from a request, in words; empty where they do not, or none is there."""
    if folder.exists() and not folder.is_dir():
        return f"{folder}, which is a file"
    wanted = json.loads(json.dumps(asked))
    for path in sorted(folder.glob(f"seed-*/{ABOUT}")):
        former = read_about(path.parent)
        shared = [key for key in DECIDES if key in former and key in wanted]  # older versions said less
        there, here = (_flat({key: content[key] for key in shared}) for content in (former, wanted))
        differ = [key for key in {**here, **there} if there.get(key) != here.get(key) and key != "config.seed"]
        if "config.epochs" in differ and here["config.epochs"] > there["config.epochs"]:
            differ.remove("config.epochs")  # a finished run goes on where more are asked for
        if differ:
            told = ", ".join(f"{key} {there.get(key)!r}, not {here.get(key)!r}" for key in differ[:4])
            return f"{path.parent} with {told}"
    return ""


def _flat(content: Mapping[str, object]) -> dict[str, object]:
    """Settings by names such as ``config.lr``."""
    flat = {}
    for key, value in content.items():
        flat |= {f"{key}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {key: value}
    return flat
