"""Lists of runs: what each below a folder was asked, how far it came, what it scored; and runs as records."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dmlbook._checks import bad_input, checked
from dmlbook._files import holder
from dmlbook.datasets import protocols
from dmlbook.records import Record, described
from dmlbook.training import checkpoints
from dmlbook.training.identity import HOW
from dmlbook.use.run_folders import ABOUT, read_about

STATES = ("finished", "running", "interrupted", "not measured")
FROZEN = "frozen features"  # how what the pretrained network is worth untrained is called in run.json


@dataclass(frozen=True)
class SeedRun:
    """One seed of a run, as its folder tells it.

    Attributes:
        folder: Where it lies.
        about: The content of its ``run.json``.
        history: One record an epoch, of ``history.csv``: numbers by name; what was not measured is left out.
        state: One of ``STATES``. ``not measured``: trained to its end, but stopped before it was measured.
        bytes: What its folder takes on the disk.
        changed: When it was last written, in seconds since 1970.
    """

    folder: Path
    about: dict
    history: list[dict]
    state: str
    bytes: int
    changed: float

    @property
    def seed(self) -> int | None:
        """The number that it was trained from."""
        return self.about.get("config", {}).get("seed")

    @property
    def epochs(self) -> tuple[int, int]:
        """How many are done, and how many were asked for."""
        return len(self.history), self.about.get("config", {}).get("epochs", 0)

    @property
    def figures(self) -> dict[str, float]:
        """What the trained network scores; empty until the run has ended."""
        return self.about.get("figures", {}) if self.state == "finished" else {}

    @checked
    def gain(self, figure: str) -> float | None:
        """By how much training has changed a figure, against the frozen features; None where either is not known."""
        before = next((f for title, f in self.about.get("before", {}).items() if title.startswith(FROZEN)), {})
        return self.figures[figure] - before[figure] if figure in self.figures and figure in before else None


@dataclass(frozen=True)
class ListedRun:
    """A run: one request, and its seeds.

    Attributes:
        name: Its folder, below the one that was searched.
        seeds: In the order of their numbers, one at least.
    """

    name: str
    seeds: tuple[SeedRun, ...]

    @property
    def about(self) -> dict:
        """What was asked for, the seed apart."""
        return self.seeds[0].about

    @property
    def measured_on(self) -> str:
        """What its figures are of, as its protocol says it."""
        return str(self.about.get("measured_on") or protocols.words_of(self.about.get("data", {})))

    @property
    def split(self) -> dict[str, object]:
        """``split``, as a record says by what images were split; nothing of the usual one, by class."""
        data = self.about.get("data", {})
        if "split" not in data:
            return {}
        known = data.get("split_sha256")
        return {"split": {"file": Path(data["split"]).name, "sha256": known} if known else data["split"]}

    @property
    def state(self) -> str:
        """That of its seeds: the least finished one's."""
        return next(s for s in ("running", "interrupted", "not measured", "finished") if s in self.states)

    @property
    def states(self) -> list[str]:
        """One a seed."""
        return [seed.state for seed in self.seeds]

    @checked
    def values(self, figure: str) -> list[float]:
        """One figure of each seed that has it."""
        return [seed.figures[figure] for seed in self.seeds if figure in seed.figures]

    @checked
    def gains(self, figure: str) -> list[float]:
        """By how much training has changed a figure, one number for each seed that knows."""
        return [gain for seed in self.seeds if (gain := seed.gain(figure)) is not None]


@dataclass(frozen=True)
class RunList:
    """What lies below some folders.

    Attributes:
        runs: In the order of their names.
        damaged: By folder, why it cannot be read.
        unnamed: How many folders hold checkpoints but no ``run.json``: trials of a search, ``fit`` without ``about``.
    """

    runs: list[ListedRun]
    damaged: dict[str, str] = field(default_factory=dict)
    unnamed: int = 0


@checked
def find_runs(folders: Sequence[str | os.PathLike] = ("runs",)) -> RunList:
    """All runs in some folders and below them. Nothing is loaded but their small files.

    Seeds of one folder that were not asked the same are runs of their own.

    Raises:
        ValueError: One of them is no folder.

    Example:
        ``[(run.name, run.values("recall_at_1")) for run in find_runs(["runs"]).runs]``
    """
    found: dict[tuple, list[SeedRun]] = {}
    damaged, unnamed, seen = {}, 0, set()
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise bad_input("folders", "be folders", str(folder), "Name a folder of runs, such as runs.")
        for place, inside, files in os.walk(folder):
            inside.sort()
            here = Path(place)
            if here.resolve() in seen:
                continue
            seen.add(here.resolve())
            if ABOUT not in files:
                unnamed += any(name.startswith("checkpoint-") and name.endswith(".pt") for name in files)
                continue
            try:
                seed = _read_seed(here)
            except (ValueError, OSError) as error:
                damaged[str(here)] = str(error).partition("; got ")[2].partition(f" {_REMEDY}")[0] or str(error)
                continue
            of_seeds = here.name.startswith("seed-") and here != folder
            run = here.parent if of_seeds else here
            name = run.relative_to(folder).as_posix() if run != folder else run.resolve().name
            found.setdefault((name, _request(seed.about), str(run)), []).append(seed)
    runs = []
    for (name, _, place), seeds in found.items():
        seeds.sort(key=lambda seed: (seed.seed is None, seed.seed or 0))
        if len({other for called, _, other in found if called == name}) > 1:
            name = Path(place).as_posix()  # two folders that were searched hold one of that name
        if sum(other == place for _, _, other in found) > 1:
            name = f"{name}/{seeds[0].folder.name}"
        runs.append(ListedRun(name, tuple(seeds)))
    return RunList(sorted(runs, key=lambda run: run.name), damaged, unnamed)


@checked
def as_record(run: ListedRun) -> Record:
    """A run as the record that ``train --record`` would have saved of it, of the seeds that are finished.

    Where and with which versions it ran, its folder does not say: ``provenance`` is empty.

    Raises:
        ValueError: No seed is finished, its images are not named, or its last checkpoint is damaged.

    Example:
        ``records.beside(stored, {run.name: as_record(run) for run in find_runs().runs})``
    """
    finished = [seed for seed in run.seeds if seed.state == "finished"]
    if not finished:
        remedy = "Give the command that trained it again: it goes on where it was."
        raise bad_input("run", "have a seed that is trained and measured", f"{run.name}, {run.state}", remedy)
    about, network = finished[0].about, described(finished[0].about["net"])
    if not about.get("data"):
        raise bad_input("run", "say which images it was trained on", f"{run.name}, of an older version", "Train again.")
    if not (kept := checkpoints.find(finished[0].folder)):
        raise bad_input("run", "have a checkpoint", f"{run.name} without one", "Train it again.")
    of_run = checkpoints.load(kept[-1])["run"]
    data, loss, size = about["data"], about["loss"], network["embedding_size"]
    configuration = {
        "data": data["data"],
        "size": data["size"],
        "data_options": dict(data["data_option"]),
        "training_images": of_run["train_set.shape"][0],
        "training_classes": of_run["train_set.classes"],
        "measured_on": run.measured_on,
        **run.split,
        **{key: about[key] for key in ("recipe",) if key in about},
        "loss": loss,
        "loss_options": about["loss_options"],
        **{key: about[key] for key in ("miner", "miner_options") if key in about},
        "network": network,
        "training": {key: value for key, value in about["config"].items() if key not in ("seed", *HOW)},
    }
    record = Record(run.name, f"{loss} on {data['data']}, {size} dimensions, {network['name']}", configuration)
    for seed in finished:
        record.add(seed.seed, seed.figures, seconds=sum(epoch["seconds"] for epoch in seed.history))
    return record


@checked
def own_records(folders: Sequence[str | os.PathLike] = ("runs",)) -> tuple[dict[str, Record], dict[str, str]]:
    """The finished runs below some folders as records, to be put beside stored ones, and why the others are none.

    Folders that are not there hold no runs.

    Returns:
        Records by the names of their runs; and by name, why a run is not among them.
    """
    listed = find_runs([folder for folder in folders if Path(folder).is_dir()])
    found, left = {}, dict(listed.damaged)
    for run in listed.runs:
        try:
            found[run.name] = as_record(run)
        except (ValueError, KeyError) as error:
            left[run.name] = str(error)
    return found, left


_REMEDY = "Name the folder of a run"


def _read_seed(folder: Path) -> SeedRun:
    about = read_about(folder)
    asked = about.get("config", {}).get("epochs", 0)
    if isinstance(asked, bool) or not isinstance(asked, int):
        raise ValueError(f"{ABOUT}: epochs is {asked!r}, no whole number")
    before = about.get("before", {})
    measured = [about.get("figures", {}), *(before.values() if isinstance(before, dict) else [before])]
    if not all(isinstance(figures, dict) and all(map(_is_number, figures.values())) for figures in measured):
        raise ValueError(f"{ABOUT}: among its figures is something that is no number")
    history = _read_history(folder / checkpoints.HISTORY)
    if holder(folder / checkpoints.LOCK) is not None:
        state = "running"
    elif len(history) < asked:
        state = "interrupted"
    else:
        state = "finished" if about.get("figures") else "not measured"
    facts = [path.stat() for path in folder.iterdir() if path.is_file()]
    size, changed = sum(fact.st_size for fact in facts), max(fact.st_mtime for fact in facts)
    return SeedRun(folder, about, history, state, size, changed)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _read_history(path: Path) -> list[dict]:
    """Numbers by name, one dictionary an epoch; none where no epoch has ended."""
    if not path.is_file():
        return []
    rows = []
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            try:
                rows.append({name: float(text) for name, text in line.items() if text})
                if rows[-1]["epoch"] != len(rows):
                    raise ValueError(f"epoch {rows[-1]['epoch']:g} stands in line {len(rows)}")
            except (TypeError, KeyError, ValueError) as error:
                raise ValueError(f"{path.name}: no line of an epoch, {error}") from error
    return rows


def _request(about: Mapping) -> str:
    """What a run was asked, the seed apart."""
    asked = {key: about.get(key) for key in ("loss", "loss_options", "net", "data", "recipe", "miner", "miner_options")}
    asked["config"] = {key: value for key, value in about.get("config", {}).items() if key != "seed"}
    return json.dumps(asked, sort_keys=True)
