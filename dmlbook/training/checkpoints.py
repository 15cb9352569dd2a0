"""Checkpoints: written whole or not at all, the last two kept, and refused where they belong to another run."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch

from dmlbook._checks import bad_input, checked, one_of, speaker
from dmlbook._files import held, whole, write_whole
from dmlbook.training.memory import OutOfMemory, is_out_of_memory
from dmlbook.training.processes import first_process

FORMAT = 1
KEEP = 2
_NAME = re.compile(r"checkpoint-(\d{5,})-(\d{7,})\.pt")
_UNFINISHED = ".unfinished"
LOCK, HISTORY = "run.lock", "history.csv"
_COLUMNS = ("epoch", "loss", "lr", "loss_lr", "seconds", "images_per_second", "recall_at_1")
RESUME = ("auto", "never", "must")


@checked(resume=one_of(*RESUME))
@dataclass(frozen=True)
class Checkpoints:
    """Where ``fit`` keeps checkpoints, and what it makes of those that are there.

    Attributes:
        folder: Made if it is missing.
        resume: ``auto`` (go on from the newest, if any), ``must``, or ``never`` (the folder must hold none). A resumed
            run ends as the uninterrupted one would have: on a CPU, bit for bit.
        any_start: Whether network and loss may come with other values than the run began with (or had when it was left,
            or in its best epoch): for those that cannot be built again. The checkpoint's values replace them.
        about: What to write there as ``run.json``, before the first step: plain values. None: nothing.

    Raises:
        ValueError: ``resume`` is none of these, ``folder`` is no path or an empty one, or ``about`` cannot be written
            as JSON.

    Example:
        ``fit(net, loss, images, config, folder=Checkpoints("runs/birds", resume="must"))``
    """

    folder: str | PathLike
    resume: str = "auto"
    any_start: bool = False
    about: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.folder, str | os.PathLike):
            raise bad_input("folder", "be a path", repr(self.folder), 'Pass one, such as "runs/birds".')
        if not os.fspath(self.folder).strip():
            remedy = 'Pass one, such as "runs/birds", or None for none.'
            raise bad_input("folder", "name a folder", repr(self.folder), remedy)
        try:
            json.dumps(self.about, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise bad_input("about", "be plain values, as in JSON", error, "Convert what is not.") from error

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

    def held(self) -> AbstractContextManager[None]:
        """Keeps other runs away from the folder as long as the block lasts.

        The processes of one run share it: the first of them holds it.

        Raises:
            ValueError: Another run is there; the message names its process and machine.
        """
        if not first_process():
            return nullcontext()
        remedy = "Wait until that run ends, or choose another folder."
        rule = "be used by one run at a time"
        return held(Path(self.folder) / LOCK, argument="folder", rule=rule, remedy=remedy)


def save(folder: Path, state: Mapping[str, object], *, epoch: int, step: int) -> Path:
    """Writes ``checkpoint-<epoch>-<step>.pt``, then removes all but the last two.

    The file gets its name only when it is whole and on the disk: a process that dies while writing leaves the
    previous checkpoint as the newest.

    Args:
        folder: Made if it is missing.
        state: Tensors and plain values, nested.
        epoch: Finished epochs.
        step: Finished steps of the epoch after those.

    Raises:
        OSError: It cannot be written; the former checkpoints stay. The message names the folder and, where the disk is
            full, the bytes.
    """
    path, written = folder / f"checkpoint-{epoch:05d}-{step:07d}.pt", 0
    try:
        with whole(path, suffix=_UNFINISHED, durable=True) as unfinished, unfinished.open("wb") as file:
            try:
                torch.save({"format": FORMAT, **state}, file)
            finally:
                written = file.tell()
    except (OSError, RuntimeError) as error:  # torch has words of its own for a full disk
        raise _not_written(folder, written, error) from error
    for old in find(folder)[:-KEEP]:
        old.unlink()
    for kind in (f"checkpoint-*{_UNFINISHED}", f"{HISTORY}.*.part", "run.json.*.part"):
        for leftover in folder.glob(kind):  # of a killed process: the lock keeps living ones away
            leftover.unlink(missing_ok=True)
    return path


def find(folder: Path) -> list[Path]:
    """The folder's checkpoints, oldest first."""
    found = [
        (tuple(map(int, match.groups())), path)
        for path in folder.glob("checkpoint-*.pt")
        if (match := _NAME.fullmatch(path.name))
    ]
    return [path for _, path in sorted(found)]


def epochs_of(path: Path) -> int:
    """How many epochs were finished when one of the files that ``find`` gives was written."""
    return int(_NAME.fullmatch(path.name).group(1))


@checked
def load(path: Path, *, tensors: bool = True) -> dict:
    """What ``save`` was given, on the CPU. Checksums are verified and no code in the file is run.

    Args:
        path: Of the file.
        tensors: Whether their numbers are wanted. If not, they stay on the disk, unread and unverified: quick.

    Raises:
        ValueError: The file is damaged, or no checkpoint of this version.
        OSError: The disk does not give it.
        OutOfMemory: It does not fit into memory.
    """
    remedy = "Delete that file: training then goes on from the checkpoint before it, if there is one."
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip() if tensors else None
        if damaged is not None:
            raise ValueError(f"wrong checksum of {damaged}")
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=not tensors)
    except Exception as error:  # a damaged file can break the reader at any point, with any kind of error
        got = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # a place that no whole file has
            raise type(error)(error.errno, f"{speaker()}: {path} could not be read ({error.strerror})") from error
        if is_out_of_memory(error):
            text = f"{speaker()}: {path} does not fit into memory ({got}). Close other programs; the file is whole."
            raise OutOfMemory(text) from error
        raise bad_input(str(path), "be a whole checkpoint", got, remedy) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        got = state.get("format") if isinstance(state, dict) else type(state).__name__
        raise bad_input(str(path), f"be a checkpoint of format {FORMAT}", repr(got), remedy)
    return state


def load_run(path: Path) -> dict:
    """What a run's last save holds, all of it.

    Raises:
        ValueError: As ``load``, or ``fit`` has not written it.
    """
    content = {"outside": {}, **load(path)}
    if missing := [key for key in ("run", "net", "loss", "best") if key not in content]:
        remedy = "It is none that fit wrote: move it elsewhere."
        raise bad_input(str(path), "hold a whole run", f"none of {', '.join(missing)}", remedy)
    return content


def write_history(folder: Path, history: Sequence[Mapping[str, object]]) -> None:
    """Writes ``history.csv``: one line an epoch, empty where nothing was measured."""
    text = io.StringIO()
    columns = [*_COLUMNS, *sorted({name for record in history for name in record} - set(_COLUMNS))]
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_whole(folder / HISTORY, text.getvalue())


def _not_written(folder: Path, written: int, error: Exception) -> OSError:
    free = shutil.disk_usage(folder).free if folder.is_dir() else 0
    former = find(folder)
    kept = f"The last one is {former[-1]}." if former else "There is none before it."
    why = f"{error}; {written:,} bytes were written, {free:,} are free"
    number = getattr(error, "errno", None) or errno.EIO
    return OSError(number, f"{speaker()}: a checkpoint could not be written in {folder} ({why}). {kept}")
