"""Results as data: a JSON file with the figures of every seed and all that is needed to run them again."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from dmlbook._checks import above, bad_input, check_number, checked
from dmlbook._files import write_whole
from dmlbook.settings import device, mode, project_root, results_root

PACKAGES = ("dmlbook", "torch", "torchvision", "lightning", "scikit-learn", "numpy")


@dataclass
class Record:
    """What one configuration scored, seed by seed.

    Attributes:
        name: The file's name without ``.json``.
        title: What was run, in one line.
        configuration: Everything that decides the figures but the seed.
        runs: One dictionary a seed: ``seed``, ``seconds`` and ``figures``, a dictionary of numbers.
        provenance: Machine, device, versions, commit, mode and time; see ``provenance``.
    """

    name: str
    title: str
    configuration: dict
    runs: list[dict] = field(default_factory=list)
    provenance: dict = field(default_factory=dict)

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
        path = (results_root() if root is None else Path(root)) / f"{self.name}.json"
        content = {"name": self.name, "title": self.title, "configuration": self.configuration}
        write_whole(path, json.dumps({**content, "provenance": self.provenance, "runs": self.runs}, indent=2) + "\n")
        return path


@checked
def load(name: str, root: Path | None = None) -> Record:
    """Read ``root/name.json``.

    Raises:
        ValueError: There is no such record (the near ones are named), or the file is no record.
    """
    root = results_root() if root is None else Path(root)
    path = root / f"{name}.json"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in root.glob("*.json"))) or "none"
        raise bad_input("name", f"name a record of {root.name}/", repr(name), f"There are: {there}.")
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, TypeError) as error:
        remedy = "Take the file from the repository again."
        raise bad_input("name", "name a record", f"{path.name}: {error}", remedy) from error


@checked(level=above(0, up_to=1))
def interval(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float]:
    """Mean, and the half-width of Student's interval for it; the half-width of a single value is NaN.

    Args:
        values: One number a seed.
        level: Of confidence, in (0, 1).

    Raises:
        ValueError: There are no values, or the level is out of range.

    Example:
        >>> mean, half = interval([50.0, 52.0])
        >>> round(mean, 1), round(half, 1)
        (51.0, 12.7)
    """
    if not values:
        raise bad_input("values", "hold at least one number", "none", "Run a seed first.")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, math.nan
    from scipy.stats import t  # scikit-learn brings it

    factor = float(t.ppf((1 + level) / 2, len(values) - 1))
    return mean, factor * statistics.stdev(values) / math.sqrt(len(values))


@checked
def exponent(by_size: Mapping[int, float]) -> float:
    """How a cost grows: the slope of its logarithm against that of the size, fitted by least squares.

    Args:
        by_size: The cost, > 0, by size, > 0; two sizes or more.

    Raises:
        ValueError: There are fewer than two sizes, or a number is not positive.

    Example:
        >>> round(exponent({10: 3.0, 20: 12.0, 40: 48.0}), 3)
        2.0
    """
    if len(by_size) < 2:
        raise bad_input("by_size", "hold two sizes or more", len(by_size), "Measure another one.")
    for size, cost in by_size.items():
        check_number(low=0, open_low=True, size=size, cost=cost)
    u, v = [math.log(size) for size in by_size], [math.log(cost) for cost in by_size.values()]
    return statistics.linear_regression(u, v).slope


def percent(values: Sequence[float], *, digits: int = 1) -> str:
    """Fractions as percent, ``"48.3 ± 0.2 (3)"``: mean, half-width of the 95 percent interval, number of seeds.

    Example:
        >>> percent([0.5, 0.52])
        '51.0 ± 12.7 (2)'
    """
    mean, half = interval(values)
    spread = "" if math.isnan(half) else f" ± {100 * half:.{digits}f}"
    return f"{100 * mean:.{digits}f}{spread} ({len(values)})"


def table(records: Mapping[str, Record], figures: Mapping[str, str]) -> str:
    """A Markdown table: one row a record, one column a figure, each ``mean ± interval (n)`` in percent.

    Args:
        records: What each row is called, and its record.
        figures: The figures' keys, and what each column is called.
    """
    head = ["| |", *(f" {title} |" for title in figures.values())]
    lines = ["".join(head), "|---|" + "---|" * len(figures)]
    for title, record in records.items():
        cells = (percent(record.values(figure)) for figure in figures)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def provenance() -> dict:
    """What a figure depends on beside its configuration: machine, device, versions, commit, mode, time (UTC)."""
    import torch

    where = device()
    accelerator = torch.cuda.get_device_name() if where == "cuda" else where
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} logical cores",
        "device": accelerator,
        "threads": torch.get_num_threads(),
        "versions": versions,
        "commit": _commit(),
        "mode": mode(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def _commit() -> str:
    root = project_root()
    if root is None:
        return "installed package"

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "dmlbook")
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
