"""A record: what one configuration scored, seed by seed, as a JSON file with all that is needed to run it again."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from dmlbook import settings
from dmlbook._checks import bad_input, check_number, checked
from dmlbook._files import held, unwritable, write_whole
from dmlbook.records.names import check_name, path_of
from dmlbook.records.origin import provenance

T = TypeVar("T")
KEPT = ("name", "title", "configuration", "choice", "provenance", "runs")  # what a file holds
WAIT = 30.0  # seconds for another process that writes the same record


@checked
@dataclass
class Record:
    """What one configuration scored, seed by seed.

    Attributes:
        name: The file's name without ``.json``.
        title: What was run, in one line.
        configuration: Everything that decides the figures but the seed.
        runs: One dictionary a seed: ``seed``, ``seconds``, ``figures``, a dictionary of numbers, and where they are
            known ``peak_gb`` and ``gpu_peak_gb``.
        provenance: Machine, device, versions, commit, mode and time; see ``provenance``.
        choice: Where the settings were chosen, see :meth:`Search.choice`; empty where nothing was searched.
        replaces: Whether the next ``save`` takes the place of a file that is damaged or of another configuration; see
            ``continued``.
    """

    name: str
    title: str
    configuration: dict
    runs: list[dict] = field(default_factory=list)
    provenance: dict = field(default_factory=dict)
    choice: dict = field(default_factory=dict)
    replaces: bool = field(default=False, repr=False, compare=False)
    _seen: set = field(default_factory=set, init=False, repr=False, compare=False)

    @checked
    def add(
        self,
        seed: int,
        figures: Mapping[str, float],
        *,
        seconds: float,
        peak_gb: float | None = None,
        gpu_peak_gb: float | None = None,
    ) -> None:
        """Add one seed's figures; the same seed again takes the place of its former figures.

        Args:
            seed: Of the run.
            figures: What it scored.
            seconds: What it took, wall clock.
            peak_gb: The most memory that the process held, in 10^9 bytes; None: not known.
            gpu_peak_gb: The same of the GPU.

        Raises:
            ValueError: A figure is not a finite number.
        """
        for key, value in figures.items():
            check_number(**{key: value})
        memory = {"peak_gb": peak_gb, "gpu_peak_gb": gpu_peak_gb}
        memory = {key: value for key, value in memory.items() if value is not None}
        self.runs = [run for run in self.runs if run["seed"] != seed]
        self.runs.append({"seed": seed, "seconds": round(seconds, 2), **memory, "figures": dict(figures)})
        self.runs.sort(key=lambda run: run["seed"])

    @property
    def seeds(self) -> list[int]:
        """Those that were run, in order."""
        return [run["seed"] for run in self.runs]

    @checked
    def values(self, figure: str) -> list[float]:
        """One figure over the seeds.

        Raises:
            ValueError: The record has no such figure.
        """
        known = sorted({key for run in self.runs for key in run["figures"]})
        if figure not in known:
            got = f"{figure!r} in {self.name}"
            raise bad_input("figure", f"be one of {', '.join(known)}", got, "Choose one of them.")
        return [run["figures"][figure] for run in self.runs]

    @checked
    def save(self, root: Path | None = None) -> Path:
        """Write ``root/name.json`` (``data/results`` by default), whole or not at all.

        Seeds that another process wrote there since are taken in first.

        Raises:
            ValueError: The file there is damaged or of another configuration, and ``replaces`` is False; or another
                process does not let go of it.
        """
        with writing(self.name, root) as path:
            if path.is_file():
                try:
                    self._take_in(_continuable(self.name, self.configuration, root))
                except ValueError:
                    if not self.replaces:
                        raise
            self.provenance = provenance()
            content = {"name": self.name, "title": self.title, "configuration": self.configuration}
            content |= {"choice": self.choice} if self.choice else {}
            write(path, {**content, "provenance": self.provenance, "runs": self.runs})
        self.replaces, self._seen = False, set(self.seeds)
        return path

    def _take_in(self, there: Record) -> None:
        known = self._seen | set(self.seeds)
        self.runs = sorted([*self.runs, *(r for r in there.runs if r["seed"] not in known)], key=lambda r: r["seed"])


@checked
def load(name: str, root: Path | None = None) -> Record:
    """Read ``root/name.json``.

    Raises:
        ValueError: There is no such record (the near ones are named), or the file is no record.
    """

    def make(content: dict) -> Record:
        if unknown := sorted(content.keys() - KEPT):
            raise TypeError(f"it holds {', '.join(map(repr, unknown))}")
        record = Record(**{**content, "name": name})
        check_runs(record.runs)
        record._seen = set(record.seeds)
        return record

    return read(name, make, root)


@checked
def continued(
    name: str, title: str, configuration: Mapping, *, root: Path | None = None, replace: bool = False
) -> Record:
    """The record of that name with the seeds that it has, or a new one where there is none.

    Args:
        name: Such as ``"cub-softtriple"``.
        title: What is run, in one line.
        configuration: Everything that decides the figures but the seed.
        root: Where records are; ``data/results`` by default.
        replace: Give up a file of that name that is damaged or of another configuration, once the first seed is saved.

    Raises:
        ValueError: The name will not do; or the file there is damaged or of another configuration, and ``replace`` is
            False.
    """
    check_name(name)
    new = Record(name, title, dict(configuration))
    if not path_of(name, root).is_file():
        return new
    try:
        return _continuable(name, new.configuration, root)
    except ValueError:
        if not replace:
            raise
    new.replaces = True
    return new


def _continuable(name: str, configuration: Mapping, root: Path | None) -> Record:
    """The record there, if it is of this configuration."""
    remedy = "Name another record, or pass --replace to give that one up."
    try:
        there = load(name, root)
    except ValueError as error:
        got = f"a damaged file ({str(error).partition('; got ')[2].partition('. Take')[0]})"
        raise bad_input("name", "be free or name a record that can be read", got, remedy) from error
    asked = json.loads(json.dumps(configuration))
    if there.configuration != asked:
        unlike = sorted(k for k in {**there.configuration, **asked} if there.configuration.get(k) != asked.get(k))
        got = f"{name!r} with {len(there.runs)} seed{'s' * (len(there.runs) != 1)} and another {', '.join(unlike)}"
        raise bad_input("name", "be free or name a record of this configuration", got, remedy)
    return there


@contextmanager
def writing(name: str, root: Path | None) -> Iterator[Path]:
    """Where ``name`` is written; no other process writes it as long as the block lasts."""
    check_name(name)
    path = path_of(name, root)
    if (reason := unwritable(path)) is not None:
        raise bad_input("root", "be a folder that can be written", reason, "Choose another one.")
    lock, remedy = path.with_name(f"{path.name}.lock"), "Wait for it, or name another record."
    with held(lock, argument="name", rule="be written by one process at a time", remedy=remedy, wait=WAIT):
        yield path


def write(path: Path, content: dict) -> None:
    """Plain values as JSON, whole or not at all."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def read(name: str, make: Callable[[dict], T], root: Path | None) -> T:
    """What ``make`` makes of ``root/name.json``.

    Raises:
        ValueError: There is no such file (the near ones are named), or ``make`` cannot make anything of it.
    """
    check_name(name)
    path, root = path_of(name, root), settings.results_root() if root is None else Path(root)
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in root.glob("*.json"))) or "none"
        raise bad_input("name", f"name a record of {root.name}/", repr(name), f"There are: {there}.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError(f"it holds a {type(content).__name__}")
        return make(content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        remedy = "Take the file from the repository again."
        raise bad_input("name", "name a record", f"{path.name}: {error}", remedy) from error


def check_runs(runs: object) -> None:
    """Raises unless they are what ``Record.add`` makes: seeds, seconds and figures that are numbers."""
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        raise TypeError("runs are no list of dictionaries")
    for run in runs:
        memory = [run[key] for key in ("peak_gb", "gpu_peak_gb") if key in run]
        numbers = [run["seed"], run["seconds"], *memory, *run["figures"].values()]
        if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers) or type(run["seed"]) is not int:
            raise TypeError(f"a number is missing in {run}")
