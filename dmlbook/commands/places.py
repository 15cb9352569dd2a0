"""Which folder a command's runs lie in, and which images a run was trained on."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from dmlbook._checks import bad_input
from dmlbook.commands import split_options
from dmlbook.datasets.photos.formats import is_system
from dmlbook.training.identity import HOW, may_go_on
from dmlbook.use.run_folders import ABOUT, REMEDY, TrainedRun, read_about

HOME = "runs"
DECIDES = ("loss", "loss_options", "net", "config", "data")
MINED = ("miner", "miner_options")
"""What decides a run, too, and is not said where there is none."""
DEPTHS = (ABOUT, f"*/{ABOUT}", f"*/*/{ABOUT}")
"""Where runs lie below a folder: names of records may have several parts."""
FREE = {"config.seed", *(f"config.{name}" for name in HOW)}
"""Of those, what runs of one request may differ in."""


def of_run(trained: TrainedRun, options: Namespace) -> Namespace:
    """``options`` with the images of the run and its ``protocol``, wherever the command line says nothing else.

    Raises:
        ValueError: An older version trained it and did not note its images, and none are named.
    """
    if options.data is None and not trained.data:
        remedy = "Name the images: --data folder --root FOLDER, and --size as in training."
        raise bad_input("--run", "say which images it was trained on", "a run of an older version", remedy)
    known = {
        "validation": None,
        **{key: value for key, value in trained.data.items() if not key.startswith("split")},
        "data_option": [tuple(pair) for pair in trained.data.get("data_option", [])],
    }
    if options.data in (None, known.get("data")):
        known |= split_options.of_run(trained.data)
    else:  # other images are decoded as large
        known = {"size": known.get("size"), "validation": None, **split_options.of_run({})}
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


def _unlike(folder: Path, asked: Mapping[str, object]) -> str:
    """What else a folder holds than runs of a request, in words; empty where it is theirs, or nobody's."""
    if folder.exists() and not folder.is_dir():
        return f"{folder}, which is a file"
    runs = sorted(folder.glob(f"seed-*/{ABOUT}"))
    if not runs and (others := _others(folder)):
        return f"{folder} with {others[0]}, which is no run"
    wanted = json.loads(json.dumps(asked))
    for path in runs:
        try:
            former = read_about(path.parent)
        except ValueError as error:
            return str(error).partition("; got ")[2].partition(f" {REMEDY}")[0]
        shared = [key for key in DECIDES if key in former and key in wanted]  # older versions said less
        shared += [key for key in MINED if key in former or key in wanted]
        there, here = (_flat({key: content.get(key) for key in shared}) for content in (former, wanted))
        differ = [key for key in {**here, **there} if there.get(key) != here.get(key) and key not in FREE]
        known = all(type(each.get("config.epochs")) is int for each in (there, here))
        if "config.epochs" in differ and known and may_go_on(there, here):
            differ.remove("config.epochs")  # a finished run goes on where more are asked for
        if differ:
            told = ", ".join(f"{key} {there.get(key)!r}, not {here.get(key)!r}" for key in differ[:4])
            return f"{path.parent} with {told}"
    return ""


def _others(folder: Path) -> list[str]:
    """What lies in a folder but for seeds that have not begun, folders of other runs, and what systems leave there."""
    if not folder.is_dir():
        return []
    names = sorted(path.name for path in folder.iterdir())
    names = [name for name in names if not is_system(name) and not re.fullmatch(r"seed-\d+", name)]
    return [name for name in names if not any(any((folder / name).glob(depth)) for depth in DEPTHS)]


def _flat(content: Mapping[str, object]) -> dict[str, object]:
    """Settings by names such as ``config.lr``."""
    flat = {}
    for key, value in content.items():
        flat |= {f"{key}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {key: value}
    return flat
