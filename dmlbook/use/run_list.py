"""Lists of runs: what each below a folder was asked, how far it came, what it scored."""

from __future__ import annotations

import csv
import json
import math
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dmlbook._checks import bad_input, checked
from dmlbook._files import holder
from dmlbook.datasets import protocols
from dmlbook.training import checkpoints
from dmlbook.use.run_folders import ABOUT, read_about

STATES = ("finished", "running", "interrupted", "not measured")
FROZEN = "frozen features"  # how what the pretrained network is worth untrained is called in run.json

_REMEDY = "Name the folder of a run"


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


def _read_seed(folder: Path) -> SeedRun:
    about = read_about(folder)
    asked = about.get("config", {}).get("epochs", 0)
    if isinstance(asked, bool) or not isinstance(asked, int):
        raise ValueError(f"{ABOUT}: epochs is {asked!r}, no whole number")
    seed, share = about.get("config", {}).get("seed"), about.get("data", {}).get("validation")
    if not isinstance(seed, int | None) or not (share in (None, "file") or _is_number(share)):
        raise ValueError(f"{ABOUT}: seed is {seed!r} and validation {share!r}, no numbers")
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
    facts = [fact for path in folder.iterdir() if (fact := _stat(path)) and stat.S_ISREG(fact.st_mode)]
    size, changed = sum(fact.st_size for fact in facts), max((fact.st_mtime for fact in facts), default=0.0)
    return SeedRun(folder, about, history, state, size, changed)


def _stat(path: Path) -> os.stat_result | None:
    """None where it is gone by now: a run that goes on removes its former checkpoints."""
    with suppress(FileNotFoundError):
        return path.stat()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _read_history(path: Path) -> list[dict]:
    """Numbers by name, one dictionary an epoch; none where no epoch has ended."""
    rows = []
    if not path.is_file():
        return rows
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                rows.append({name: float(text) for name, text in line.items() if text})
                if rows[-1]["epoch"] != len(rows):
                    raise ValueError(f"epoch {rows[-1]['epoch']:g} stands in line {len(rows)}")
    except (TypeError, KeyError, ValueError, csv.Error) as error:
        raise ValueError(f"{path.name}: no line of an epoch, {error}") from error
    return rows


def _request(about: Mapping) -> str:
    """What a run was asked, the seed apart."""
    asked = {key: about.get(key) for key in ("loss", "loss_options", "net", "data", "recipe", "miner", "miner_options")}
    asked["config"] = {key: value for key, value in about.get("config", {}).items() if key != "seed"}
    return json.dumps(asked, sort_keys=True)
