"""A record: what one configuration scored, seed by seed, as a JSON file with all that is needed to run it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from dmlbook import settings
from dmlbook._checks import bad_input, check_number, checked
from dmlbook._files import write_whole
from dmlbook.records.origin import provenance

T = TypeVar("T")


@dataclass
class Record:
    """What one configuration scored, seed by seed.

    Attributes:
        name: The file's name without ``.json``.
        title: What was run, in one line.
        configuration: Everything that decides the figures but the seed.
        runs: One dictionary a seed: ``seed``, ``seconds`` and ``figures``, a dictionary of numbers.
        provenance: Machine, device, versions, commit, mode and time; see ``provenance``.
        choice: Where the settings were chosen, see :meth:`Search.choice`; empty where nothing was searched.
    """

    name: str
    title: str
    configuration: dict
    runs: list[dict] = field(default_factory=list)
    provenance: dict = field(default_factory=dict)
    choice: dict = field(default_factory=dict)

    @checked
    def add(self, seed: int, figures: Mapping[str, float], *, seconds: float) -> None:
        """Add one seed's figures; the same seed again takes the place of its former figures.

        Raises:
            ValueError: A figure is not a finite number.
        """
        for key, value in figures.items():
            check_number(**{key: value})
        self.runs = [run for run in self.runs if run["seed"] != seed]
        self.runs.append({"seed": seed, "seconds": round(seconds, 2), "figures": dict(figures)})
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

    def save(self, root: Path | None = None) -> Path:
        """Write ``root/name.json`` (``data/results`` by default), whole or not at all."""
        self.provenance = provenance()
        content = {"name": self.name, "title": self.title, "configuration": self.configuration}
        content |= {"choice": self.choice} if self.choice else {}
        return write(self.name, {**content, "provenance": self.provenance, "runs": self.runs}, root)


@checked
def load(name: str, root: Path | None = None) -> Record:
    """Read ``root/name.json``.

    Raises:
        ValueError: There is no such record (the near ones are named), or the file is no record.
    """
    return read(name, lambda content: Record(**content), root)


def write(name: str, content: dict, root: Path | None) -> Path:
    """Write ``root/name.json``, whole or not at all."""
    path = (settings.results_root() if root is None else Path(root)) / f"{name}.json"
    write_whole(path, json.dumps(content, indent=2) + "\n")
    return path


def read(name: str, make: Callable[[dict], T], root: Path | None) -> T:
    """What ``make`` makes of ``root/name.json``.

    Raises:
        ValueError: There is no such file (the near ones are named), or ``make`` cannot make anything of it.
    """
    root = settings.results_root() if root is None else Path(root)
    path = root / f"{name}.json"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in root.glob("*.json"))) or "none"
        raise bad_input("name", f"name a record of {root.name}/", repr(name), f"There are: {there}.")
    try:
        return make(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        remedy = "Take the file from the repository again."
        raise bad_input("name", "name a record", f"{path.name}: {error}", remedy) from error
