"""The trials of one method: what is missing is run, what was ever tried is kept, what is better goes on for longer."""

from __future__ import annotations

import contextlib
import json
import shutil
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dmlbook import records
from dmlbook import settings as machine
from dmlbook._files import write_whole
from dmlbook.commands.plans import Plan
from dmlbook.training.cost import measured

MARK = "trial.json"
"""Says what a folder of checkpoints belongs to; without it nothing is ever removed."""


@dataclass
class Runner:
    """Runs what is missing, says what it is and, after the first run, roughly how long the rest will take.

    Attributes:
        left: Epochs that are still to be trained, at most.
        epochs: Those that were trained.
        seconds: How long that took.
    """

    left: float
    epochs: float = 0
    seconds: float = 0

    def run(
        self,
        record: records.Record,
        study: object,
        options: Namespace,
        seeds: list[int],
        save: Callable[[], object],
        *,
        title: str,
        epochs: float,
        at_most: float,
    ) -> None:
        """Add the seeds that are not in the record yet, and save after each.

        Args:
            record: What the figures are added to.
            study: Trains and measures: ``study.figures(options, seed)``.
            options: Of the run.
            seeds: Those that the record is to hold.
            save: Called after each.
            title: What is said to be running.
            epochs: How many one run trains.
            at_most: How many of ``left`` are done with it.
        """
        for seed in seeds:
            if seed not in record.seeds:
                print(f"{title}, seed {seed}{self.outlook()}", flush=True)
                with measured(getattr(options, "device", None) or machine.device()) as cost:
                    figures = study.figures(options, seed)
                record.add(seed, figures, **cost)
                save()
                self.epochs, self.seconds = self.epochs + epochs, self.seconds + cost["seconds"]
            self.left -= at_most

    def outlook(self) -> str:
        """`` (about 3 min left)``, or nothing before the first run."""
        if not self.epochs:
            return ""
        minutes = max(0.0, self.left) * self.seconds / self.epochs / 60
        for unit, size in (("days", 1440), ("hours", 60), ("min", 1)):
            if minutes >= 2 * size:
                return f" (about {minutes / size:.0f} {unit} left)"
        return " (about a minute left)" if minutes >= 0.5 else " (less than a minute left)"


class Trials:
    """What is to be tried for one method, made up of what is on record and what is missing.

    Args:
        plan: What is compared, and how.
        method: One that searches for itself.
        study: What trains and measures, for all methods.
        seeds: Of each trial.
        folder: Of the plan's checkpoints.
        root: Where searches are kept; None: ``data/results``.

    Raises:
        ValueError: A point of the space is none for the method.
    """

    def __init__(
        self, plan: Plan, method: str, study: object, seeds: list[int], folder: Path, root: Path | None
    ) -> None:
        self.plan, self.method, self.study, self.seeds, self.root = plan, method, study, seeds, root
        self.folder, self.points = folder / method, plan.points(method)
        self.rungs = [{"epochs": epochs} for epochs in plan.rungs] or [{}]
        made = [study.record(self._options({**point, **rung}), None) for rung in self.rungs for point in self.points]
        shared = common_part([record.configuration for record in made])
        name, title = f"choosing/{plan.name.replace('/', '-')}-{method}", f"Settings for {method}: {made[0].title}"
        space, rungs = plan.space(method), list(plan.rungs)
        self.search = records.Search(name, title, shared, space, plan.by, rungs=rungs)
        self._known: list[tuple[dict, list[dict]]] = []
        self._written: tuple | None = None
        first = [{**point, **self.rungs[0]} for point in self.points]
        for settings in first:  # all of them, in their order
            self.search.trial(settings)
        with contextlib.suppress(ValueError):
            self._take_up(records.load_search(name, root))
        for settings in first:
            self._trial(settings)

    def run(self, runner: Runner) -> records.Search:
        """Run what is missing: all points, and where there are rungs, the better half of them from its checkpoints."""
        plan, search, before = self.plan, self.search, 0
        for place, rung in enumerate(self.rungs):
            going = search.promoted(plan.rungs[place - 1]) if place else self.points
            for number, point in enumerate(self.points, 1):
                if point not in going:
                    self._drop(number)
                    continue
                trial, folder = self._trial({**point, **rung}), {}
                if plan.rungs and any(seed not in trial.seeds for seed in self.seeds):
                    folder = {"folder": str(self._kept(number, point, rung["epochs"]))}
                options = self._options({**trial.configuration, **folder})
                length = (options.epochs or 1) - before
                title = f"{self.method}, trial {number} of {len(self.points)}: {trial.title}"
                runner.run(
                    trial, self.study, options, self.seeds, self._save, title=title, epochs=length, at_most=length
                )
                shown = records.percent(trial.values(plan.by))
                print(f"{self.method}, {trial.title}: {plan.by} {shown}", flush=True)
            before = rung.get("epochs", 0)
        if self._written != _kept_of(search.to_dict()):  # nothing had to be run, and yet it is another search
            self._save()
        for number in range(1, len(self.points) + 1):
            self._drop(number)
        for empty in (self.folder, self.folder.parent):
            with contextlib.suppress(OSError):  # it is not there, or not empty
                empty.rmdir()
        return search

    def _save(self) -> None:
        self.search.save(self.root)
        self._written = _kept_of(self.search.to_dict())

    def _options(self, chosen: Mapping[str, object]) -> Namespace:
        return self.plan.parsed(self.method, self.plan.trial, chosen)

    def _trial(self, settings: dict) -> records.Record:
        """The trial of these settings, with the runs that are on record, whatever search they were made for."""
        trial = self.search.trial(settings)
        for known, runs in self._known:
            if known == settings:
                new = [run for run in runs if run["seed"] in self.seeds and run["seed"] not in trial.seeds]
                trial.runs = sorted([*trial.runs, *new], key=lambda run: run["seed"])
        return trial

    def _take_up(self, former: records.Search) -> None:
        """Go on with a search that was begun; one that asked something else is kept beside the new one, as it is."""
        search, content, asked = self.search, former.to_dict(), _asked(self.search.to_dict())
        self._written = _kept_of(content)
        search.follow(former)
        longer = len(former.trials) > len(self.points) and former.trials[0].seeds != self.seeds
        search.before = [each for each in former.before if _asked(each) != asked]
        if (self.plan.rungs or former.rungs) and (_asked(content) != asked or longer):
            kept = {key: content[key] for key in content if key not in ("name", "title", "before")}
            search.before += [kept] if any(trial.runs for trial in former.trials) else []
        for each in (content, *former.before):
            if each["configuration"] == search.configuration:
                self._known += [(trial["settings"], trial["runs"]) for trial in each["trials"]]

    def _kept(self, number: int, point: dict, epochs: int) -> Path:
        """A trial's folder of checkpoints; what lies there of another trial, or of a longer run, is removed."""
        place, owner = self._place(number), {"settings": point, "configuration": self.search.configuration}
        if (place / MARK).is_file():
            mark = json.loads((place / MARK).read_text(encoding="utf-8"))
            if mark != {**json.loads(json.dumps(owner)), "epochs": mark["epochs"]} or mark["epochs"] > epochs:
                self._drop(number)
        write_whole(place / MARK, json.dumps({**owner, "epochs": epochs}, indent=2) + "\n")
        return place

    def _drop(self, number: int) -> None:
        if (self._place(number) / MARK).is_file():
            shutil.rmtree(self._place(number))

    def _place(self, number: int) -> Path:
        return self.folder / f"trial-{number}"


def _asked(search: Mapping[str, object]) -> tuple:
    """What a search was to find out, of its plain values."""
    rungs = search.get("rungs", [])
    first = [t["settings"] for t in search["trials"] if not rungs or t["settings"]["epochs"] == rungs[0]]
    return search["configuration"], search["space"], search["by"], rungs, first


def _kept_of(search: Mapping[str, object]) -> tuple:
    """What a search has to show, of its plain values."""
    return *_asked(search)[:4], search["trials"], search.get("before", [])


def common_part(configurations: list[dict]) -> dict:
    """What all of them say alike.

    Example:
        >>> common_part([{"data": "cub", "training": {"lr": 1, "flip": True}}, {"training": {"lr": 2, "flip": True}}])
        {'training': {'flip': True}}
    """
    first, rest = configurations[0], configurations[1:]
    found = {}
    for key, value in first.items():
        if isinstance(value, dict) and all(isinstance(other.get(key), dict) for other in rest):
            found[key] = common_part([value, *(other[key] for other in rest)])
        elif all(other.get(key) == value for other in rest):
            found[key] = value
    return found
