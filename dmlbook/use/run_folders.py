"""Folders of runs: what was asked for stands there from the first moment, so that nothing of a run is ever guessed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from dmlbook import nets
from dmlbook._checks import bad_input
from dmlbook._files import write_whole
from dmlbook._types import Tensor
from dmlbook.training import TrainConfig, checkpoints

ABOUT = "run.json"
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
        raise bad_input("folder", f"hold a {ABOUT} that can be read", f"{path}: {error}", REMEDY) from error
    wanted = {"net": dict, "config": dict, "data": dict}
    if not isinstance(content, dict) or any(not isinstance(content.get(key, {}), kind) for key, kind in wanted.items()):
        raise bad_input("folder", f"hold a {ABOUT} that describes a run", f"{path}, which does not", REMEDY)
    return content


def read_run(folder: Path, net: nn.Module | None = None) -> TrainedRun:
    """A run with the weights of its last checkpoint, whether it has ended or not.

    Args:
        folder: Of the run, or of its seeds.
        net: The network that the weights go into, where ``nets.build`` did not make it.

    Raises:
        ValueError: The folder holds no run, or no checkpoint yet, or one of another network.
    """
    folder = find(folder)
    found = checkpoints.find(folder)
    if not (folder / ABOUT).is_file() or not found:
        what = "a run without a checkpoint: not one epoch has ended" if (folder / ABOUT).is_file() else "neither"
        raise bad_input("folder", f"hold {ABOUT} and a checkpoint", f"{folder}, {what}", REMEDY)
    content, weights = read_about(folder), checkpoints.load(found[-1])
    try:
        # The checkpoint brings all weights, so the pretrained ones need not be there any more.
        net = nets.build(**{**content["net"], "weights": None}) if net is None else net
        net.load_state_dict(weights["net"])
        config = TrainConfig.from_dict(content["config"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        got = f"{folder}: {str(error).splitlines()[0]}"
        raise bad_input("folder", f"hold a {ABOUT} that fits its checkpoint", got, REMEDY) from error
    loss = weights["loss"]
    centers = loss["weight"].transpose(0, 1) if "weight" in loss else loss.get("centroids")
    if centers is not None and centers.ndim == 2:  # one a class
        centers = centers[:, None]
    finished = weights["epoch"] >= config.epochs
    return TrainedRun(folder, net, config, content.get("net", {}), content.get("data", {}), centers, finished)
