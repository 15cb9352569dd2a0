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
from dmlbook.nets.own import is_own
from dmlbook.training import TrainConfig, checkpoints
from dmlbook.training.views import PHOTO_CROP

ABOUT = "run.json"
DRAWN = ("birds", "digits")
"""Sets whose pictures are shown whole; of photographs the middle is shown."""
LARGEST = 4096
"""Side in pixels of decoded pictures, at most."""
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


def name_of(folder: Path) -> str:
    """What a reader calls a run: its folder, with that of its seed where it lies in one.

    Example:
        >>> name_of(Path("runs/birds/seed-1")), name_of(Path("runs/flat"))
        ('birds/seed-1', 'flat')
    """
    folder = folder.resolve()
    return f"{folder.parent.name}/{folder.name}" if folder.name.startswith("seed-") else folder.name


def read_about(folder: Path) -> dict:
    """The content of a run's ``run.json``.

    Raises:
        ValueError: It is damaged, or no run's.
    """
    path = folder / ABOUT
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise bad_input("folder", f"hold a {ABOUT} that can be read", f"{path}: {error}", REMEDY) from error
    if not isinstance(content, dict):
        raise bad_input("folder", f"hold a {ABOUT} that describes a run", f"{path}, which does not", REMEDY)
    for key, kind in {"net": dict, "config": dict, "data": dict, "view": dict | None, "classes": list}.items():
        if not isinstance(content.get(key, kind() if isinstance(kind, type) else None), kind):
            got = f"{path}, where {key} is {json.dumps(content[key])[:40]}"
            raise bad_input("folder", f"hold a {ABOUT} that describes a run", got, REMEDY)
    return content


def view_of(trained: TrainedRun, about: dict, size: int | None = None) -> tuple[int, float]:
    """How the run's pictures are shown to it: the side in pixels that they are decoded to, and the share that is seen.

    Args:
        trained: Of ``read_run``.
        about: Of ``read_about``.
        size: The side, where it is to be another than the training's.

    Raises:
        ValueError: The folder does not say it, or says what no picture can have.
    """
    view = about.get("view") or {}
    size = size or view.get("decoded") or trained.data.get("size")
    if size is None:
        remedy = "Pass size= the side in pixels that pictures were decoded to."
        raise bad_input("folder", "say how large its images were", f"{trained.folder}, an older version's", remedy)
    whole = trained.data.get("data") in DRAWN
    crop = trained.config.test_crop or view.get("crop") or (1.0 if whole else PHOTO_CROP)
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (size, crop))
    if not numbers or int(size) != size or not 1 <= size <= LARGEST or not 0 < crop <= 1:
        got = f"{trained.folder}, with {json.dumps({'decoded': size, 'crop': crop})[:80]}"
        raise bad_input("folder", f"hold a {ABOUT} with a view that pictures can have", got, REMEDY)
    return int(size), crop


def read_run(folder: Path, net: nn.Module | None = None, *, trust_code: bool = False) -> TrainedRun:
    """A run with the weights of its last checkpoint, whether it has ended or not.

    Args:
        folder: Of the run, or of its seeds.
        net: The network that the weights go into, where ``nets.build`` did not make it.
        trust_code: Whether a file of Python that makes its network may be run: whoever wrote ``run.json`` chose it.

    Raises:
        ValueError: The folder holds no run, or no checkpoint yet, or one of another network, or its network is made by
            a file that is not trusted, or not the one of the training.
    """
    folder = find(folder.expanduser())
    found = checkpoints.find(folder)
    if not (folder / ABOUT).is_file() or not found:
        what = "a run without a checkpoint: not one epoch has ended" if (folder / ABOUT).is_file() else "neither"
        raise bad_input("folder", f"hold {ABOUT} and a checkpoint", f"{folder}, {what}", REMEDY)
    content = read_about(folder)
    if net is None:
        _check_code(content.get("net", {}), trust_code)
    weights = checkpoints.load_run(found[-1])
    loss, epoch = weights["loss"], weights.get("epoch")
    if not isinstance(loss, dict) or not isinstance(epoch, int):
        raise bad_input("folder", f"hold {ABOUT} and a checkpoint", f"{found[-1]}, which is none of a run", REMEDY)
    try:
        # The checkpoint brings all weights, so the pretrained ones need not be there any more.
        net = nets.build(**{**content["net"], "weights": None}) if net is None else net
        net.load_state_dict(weights["net"])
        config = TrainConfig.from_dict(content["config"])
        centers = loss["weight"].transpose(0, 1) if "weight" in loss else loss.get("centroids")
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        if isinstance(error, ValueError) and is_own(str(content.get("net", {}).get("name"))):
            raise  # which says of the file what is wrong with it, and what to do
        got = f"{folder}: {str(error).splitlines()[0].rstrip('.') if str(error) else type(error).__name__}"
        raise bad_input("folder", f"hold a {ABOUT} that fits its checkpoint", got, REMEDY) from error
    if centers is not None and centers.ndim == 2:  # one a class
        centers = centers[:, None]
    data = content.get("data", {})
    return TrainedRun(folder, net, config, content.get("net", {}), data, centers, epoch >= config.epochs)


def _check_code(net: dict, trusted: bool) -> None:
    """Before anything of it is run: a file of the reader's own that makes the network is known, and trusted."""
    name = net.get("name")
    if not isinstance(name, str) or not is_own(name):
        return
    file = name.rpartition(":")[0]
    if not isinstance(net.get("code_digest"), str):
        rule = f"hold a {ABOUT} with the digest of the file that makes its network"
        raise bad_input("folder", rule, f"{file} without one", "It is not run: look at it, and note its code_digest.")
    if not trusted:
        rule = f"hold a {ABOUT} whose network is none of a file, or be trusted"
        remedy = "Look at that file, then pass trust_code=True."
        raise bad_input("folder", rule, f"{file}, which makes its network and would be run", remedy)
