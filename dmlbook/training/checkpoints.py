"""Checkpoints: written whole or not at all, the last two kept, and refused where they belong to another run."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import nn

from dmlbook._checks import bad_input, checked, one_of
from dmlbook._files import whole
from dmlbook.datasets.image_set import ImageSet
from dmlbook.training.config import TrainConfig
from dmlbook.training.sources import Features

FORMAT = 1
KEEP = 2
_NAME = re.compile(r"checkpoint-(\d{5,})-(\d{7,})\.pt")
_UNFINISHED = ".unfinished"
RESUME = ("auto", "never", "must")


@checked(resume=one_of(*RESUME))
@dataclass(frozen=True)
class Checkpoints:
    """Where ``fit`` keeps checkpoints, and what it makes of those that are there.

    Attributes:
        folder: Made if it is missing.
        resume: ``auto`` (go on from the newest, if any), ``must``, or ``never`` (the folder must hold none). A resumed
            run ends as the uninterrupted one would have: on a CPU, bit for bit.

    Raises:
        ValueError: ``resume`` is none of these.

    Example:
        ``fit(net, loss, images, config, folder=Checkpoints("runs/birds", resume="must"))``
    """

    folder: str | PathLike
    resume: str = "auto"

    def newest(self) -> Path | None:
        """The one to go on from; None: begin anew.

        Raises:
            ValueError: There is none where there must be one, or one where there must be none.
        """
        found = find(Path(self.folder))
        if self.resume == "never" and found:
            remedy = 'Choose another folder, remove them, or pass resume="auto".'
            raise bad_input("folder", 'hold no checkpoint for resume="never"', str(found[-1]), remedy)
        if self.resume == "must" and not found:
            remedy = 'Check the path, or pass resume="auto".'
            raise bad_input("folder", 'hold a checkpoint for resume="must"', str(self.folder), remedy)
        return found[-1] if found else None


def save(folder: Path, state: Mapping[str, object], *, epoch: int, step: int) -> Path:
    """Writes ``checkpoint-<epoch>-<step>.pt``, then removes all but the last two.

    The file gets its name only when it is whole and on the disk: a process that dies while writing leaves the
    previous checkpoint as the newest.

    Args:
        folder: Made if it is missing.
        state: Tensors and plain values, nested.
        epoch: Finished epochs.
        step: Finished steps of the epoch after those.
    """
    path = folder / f"checkpoint-{epoch:05d}-{step:07d}.pt"
    with whole(path, suffix=_UNFINISHED, durable=True) as unfinished, unfinished.open("wb") as file:
        torch.save({"format": FORMAT, **state}, file)
    for old in find(folder)[:-KEEP]:
        old.unlink()
    for leftover in folder.glob(f"checkpoint-*{_UNFINISHED}"):
        leftover.unlink()
    return path


def find(folder: Path) -> list[Path]:
    """The folder's checkpoints, oldest first."""
    found = [
        (tuple(map(int, match.groups())), path)
        for path in folder.glob("checkpoint-*.pt")
        if (match := _NAME.fullmatch(path.name))
    ]
    return [path for _, path in sorted(found)]


@checked
def load(path: Path) -> dict:
    """What ``save`` was given, on the CPU. Checksums are verified and no code in the file is run.

    Raises:
        ValueError: The file is damaged, or no checkpoint of this version.
    """
    remedy = "Delete that file: training then goes on from the checkpoint before it, if there is one."
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"wrong checksum of {damaged}")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file can break the reader at any point, with any kind of error
        got = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise bad_input(str(path), "be a whole checkpoint", got, remedy) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        got = state.get("format") if isinstance(state, dict) else type(state).__name__
        raise bad_input(str(path), f"be a checkpoint of format {FORMAT}", repr(got), remedy)
    return state


def fingerprint(
    net: nn.Module,
    loss: nn.Module,
    train_set: ImageSet | Features,
    validation: ImageSet | Features | None,
    config: TrainConfig,
) -> dict[str, object]:
    """What must agree between a checkpoint and the run that resumes it, as plain values with readable names."""
    facts = {f"config.{name}": value for name, value in config.to_dict().items()}
    facts |= {"network": _digest_of_weights(net), "loss": type(loss).__name__, "loss weights": _digest_of_weights(loss)}
    plain = {name: value for name, value in vars(loss).items() if isinstance(value, int | float | str | None)}
    facts |= {f"loss.{name}": value for name, value in plain.items() if name[0] != "_" and name != "training"}
    return facts | _facts_of_set("train_set", train_set) | _facts_of_set("validation", validation)


def check_same_run(saved: Mapping[str, object], present: Mapping[str, object], *, path: Path) -> None:
    """More epochs than before are fine; every other difference is an error that names it.

    Raises:
        ValueError: The checkpoint belongs to another configuration, network, loss or data set.
    """
    names = [name for name in {**saved, **present} if saved.get(name) != present.get(name)]
    if "config.epochs" in names and present["config.epochs"] > saved["config.epochs"]:
        names.remove("config.epochs")
    if names:
        was = ", ".join(f"{name} {saved.get(name)!r}" for name in names)
        now = ", ".join(f"{name} {present.get(name)!r}" for name in names)
        remedy = "Pass the same arguments as before, or another folder for a new run."
        raise bad_input("folder", f"hold checkpoints of this run ({was})", now, f"{path}: {remedy}")


def _facts_of_set(role: str, data: ImageSet | Features | None) -> dict[str, object]:
    if data is None:
        return {role: None}
    rows = data.features if isinstance(data, Features) else data.images
    some = torch.linspace(0, len(data) - 1, min(64, len(data))).long()
    digest = hashlib.sha256(data.labels.long().cpu().numpy().tobytes())
    digest.update(rows[some.to(rows.device)].cpu().numpy().tobytes())
    return {
        f"{role}.name": data.name,
        f"{role}.split": data.split,
        f"{role}.shape": list(rows.shape),
        f"{role}.classes": data.num_classes,
        f"{role}.content": digest.hexdigest()[:16],
    }


def _digest_of_weights(module: nn.Module) -> str:
    """The names and shapes of the weights, not their values."""
    shapes = [(name, tuple(value.shape)) for name, value in module.state_dict().items()]
    return f"{len(shapes)} tensors {hashlib.sha256(repr(shapes).encode()).hexdigest()[:8]}"
