"""A search for settings, with every trial: a final result is worth as much as the search that it rests on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dmlbook._checks import bad_input, check_choice, checked
from dmlbook.records.numbers import interval
from dmlbook.records.origin import provenance
from dmlbook.records.ranges import Range, Values, read_space
from dmlbook.records.record import Record, check_runs, read, write, writing
from dmlbook.records.tables import word


@checked
@dataclass
class Search:
    """What every setting that was tried scored on held-out training data, for one method.

    Of a grid all is tried. A halving search tries as many points of the space for every method, trains all of them for
    a few epochs, and the better half of them for more: how long is then one of the settings, ``epochs``.

    Attributes:
        name: The file's name without ``.json``.
        title: What was tried, in one line.
        configuration: What all trials share, so also the split and the budget of each.
        space: For each setting the values tried, or the :class:`Range` that they were drawn from.
        by: The figure that decides; the highest mean over the seeds wins, the first of equals.
        trials: A record for each, its ``configuration`` being the settings that it had.
        provenance: As of a :class:`Record`.
        rungs: The epochs after which a halving search measures, increasing; empty for a grid.
        before: Spaces and trials of former searches of the same name, which are on record but not chosen from.
    """

    name: str
    title: str
    configuration: dict
    space: dict[str, Values]
    by: str
    trials: list[Record] = field(default_factory=list)
    provenance: dict = field(default_factory=dict)
    rungs: list[int] = field(default_factory=list)
    before: list[dict] = field(default_factory=list)
    _seen: list = field(default_factory=list, init=False, repr=False, compare=False)

    @checked
    def trial(self, settings: Mapping[str, object]) -> Record:
        """The trial of these settings; an empty one is added where they were not tried yet.

        Raises:
            ValueError: The settings are none of the space.
        """
        settings, space = dict(settings), {**self.space, **({"epochs": self.rungs} if self.rungs else {})}
        if settings.keys() != space.keys() or not all(_holds(space[key], value) for key, value in settings.items()):
            kind = "space" if self.rungs else "grid"
            raise bad_input("settings", f"be of the {kind} {space}", settings, "Give one value for each.")
        for trial in self.trials:
            if trial.configuration == settings:
                return trial
        words = ", ".join(f"{key} {word(value)}" for key, value in settings.items()) or "nothing to choose"
        self.trials.append(Record(words, words, settings))
        return self.trials[-1]

    def points(self) -> list[dict]:
        """The settings that were tried, in order, each once; of a halving search without their ``epochs``."""
        found = [trial for trial in self.trials if not self.rungs or trial.configuration["epochs"] == self.rungs[0]]
        return [_point(trial) if self.rungs else trial.configuration for trial in found]

    @checked
    def promoted(self, epochs: int) -> list[dict]:
        """The points that go on from a rung of a halving search: the better half of it, rounded up, in order.

        Args:
            epochs: One of ``rungs``.

        Raises:
            ValueError: There is no such rung, or not all of it was measured with the same seeds.
        """
        check_choice(choices=self.rungs, epochs=epochs)
        there = self._rung(epochs)
        self._check_whole(there, len(there))
        better = sorted(there, key=self._score, reverse=True)[
            : math.ceil(len(there) / 2)
        ]  # sorting keeps equals in order
        return [_point(trial) for trial in there if any(trial is other for other in better)]

    @checked
    def best(self) -> Record:
        """The trial with the highest mean of ``by``; of equals the first point, and then the fewer epochs.

        Raises:
            ValueError: Not all that belongs to the search was tried with the same seeds: the best of some is not the
                best.
        """
        if not self.rungs:
            self._check_whole(self.trials, math.prod(len(values) for values in self.space.values()))
            return max(self.trials, key=self._score)
        going = points = self.points()
        for epochs in self.rungs:
            there = self._rung(epochs)
            self._check_whole([trial for trial in there if _point(trial) in going], max(1, len(going)))
            if len(there) > len(going):
                got = f"{len(there)} of {len(going)} after {epochs} epochs"
                raise bad_input("search", "go on with the better half alone", got, "Let it run from the plan.")
            going = self.promoted(epochs)
        order = sorted(self.trials, key=lambda trial: (points.index(_point(trial)), trial.configuration["epochs"]))
        return max(order, key=self._score)

    def edges(self) -> list[str]:
        """Settings whose chosen number is among the smallest or the largest: a better one may lie beyond.

        Of three numbers or more it is one of the two ends (of two either would be); of a range it lies in the outermost
        part of as many as there are points.
        """
        best, found = self.best().configuration, []
        for name, values in self.space.items():
            if isinstance(values, Range):
                beyond = min(values.place(best[name]), 1 - values.place(best[name])) < 1 / len(self.points())
            else:
                numbers = len(values) > 2 and all(type(value) in (int, float) for value in values)
                beyond = numbers and best[name] in (min(values), max(values))
            found += [name] * beyond
        return found

    @checked
    def choice(self, *, own: bool) -> dict:
        """What a final record says of where its settings come from.

        Args:
            own: Whether this search was made for the method that takes the settings, and not for its rival.
        """
        best, training = self.best(), self.configuration.get("training", {})
        effort = {"trials": len(self.points()), "seeds": len(best.seeds)}
        if self.rungs:
            effort |= {"rungs": list(self.rungs), "epochs": best.configuration["epochs"]}
        else:
            effort |= {"epochs": training.get("epochs")}
        return {"search": self.name, "own": own, "by": self.by, **effort, "settings": best.configuration}

    def to_dict(self) -> dict:
        """Plain values, as :func:`load_search` reads them again."""
        kept = {key: getattr(self, key) for key in ("name", "title", "configuration", "space", "by", "provenance")}
        kept["space"] = {name: v.to_dict() if isinstance(v, Range) else v for name, v in self.space.items()}
        kept |= {"rungs": self.rungs} if self.rungs else {}
        trials = [{"settings": trial.configuration, "runs": trial.runs} for trial in self.trials]
        return {**kept, "trials": trials, **({"before": self.before} if self.before else {})}

    @checked
    def save(self, root: Path | None = None) -> Path:
        """Write ``root/name.json`` (``data/results`` by default), whole or not at all.

        Runs of its trials that another process wrote there since are taken in first. What is there of a search that
        asked something else is overwritten: ``before`` is for what is to be kept of it.

        Raises:
            ValueError: The file there is damaged, or another process does not let go of it.
        """
        with writing(self.name, root) as path:
            if path.is_file():
                self._take_in(load_search(self.name, root))
            self.provenance = provenance()
            write(path, self.to_dict())
            self.follow(self)
        return path

    @checked
    def follow(self, former: Search) -> None:
        """Takes note of the runs of ``former``: those of them that this search lacks are left out on purpose."""
        self._seen = [(trial.configuration, seed) for trial in former.trials for seed in trial.seeds]

    def _take_in(self, there: Search) -> None:
        asked = ("configuration", "space", "by", "rungs")
        ours, others = self.to_dict(), there.to_dict()
        if any(json.loads(json.dumps(ours.get(key))) != others.get(key) for key in asked):
            return
        points = self.points()
        for trial in there.trials:
            if (_point(trial) if self.rungs else trial.configuration) in points:
                mine = [seed for own in self.trials if own.configuration == trial.configuration for seed in own.seeds]
                known = [*mine, *(seed for settings, seed in self._seen if settings == trial.configuration)]
                if new := [run for run in trial.runs if run["seed"] not in known]:  # else it may be left out on purpose
                    own = self.trial(trial.configuration)
                    own.runs = sorted([*own.runs, *new], key=lambda run: run["seed"])

    def _score(self, trial: Record) -> float:
        return interval(trial.values(self.by))[0]

    def _rung(self, epochs: int) -> list[Record]:
        """The trials of so many epochs, in the order of the points."""
        there, points = [trial for trial in self.trials if trial.configuration["epochs"] == epochs], self.points()
        return sorted(there, key=lambda trial: points.index(_point(trial)))

    def _check_whole(self, trials: list[Record], size: int) -> None:
        seeds = self.trials[0].seeds if self.trials else []
        if len(trials) < size or not seeds or any(trial.seeds != seeds for trial in trials):
            got = f"{len(trials)} trials of {size}, seeds {[len(trial.seeds) for trial in trials]}"
            rule = f"have tried all of its {'space' if self.rungs else 'grid'} with the same seeds"
            raise bad_input("search", rule, got, "Let it go on.")


@checked
def load_search(name: str, root: Path | None = None) -> Search:
    """Read ``root/name.json``, such as ``choosing/cars-softmax``.

    Raises:
        ValueError: There is no such search (the near ones are named), or the file is none.
    """

    def make(content: dict) -> Search:
        trials = content.pop("trials")
        search = Search(**{**content, "name": name, "space": read_space(content["space"])})
        for trial in trials:
            check_runs(trial["runs"])
            search.trial(trial["settings"]).runs = trial["runs"]
        search.follow(search)
        return search

    return read(name, make, root)


def _holds(values: Values, value: object) -> bool:
    return values.holds(value) if isinstance(values, Range) else value in values


def _point(trial: Record) -> dict:
    """A trial's settings without how long it was trained."""
    return {key: value for key, value in trial.configuration.items() if key != "epochs"}
