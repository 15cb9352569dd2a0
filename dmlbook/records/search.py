"""A search for settings, with every trial: a final result is worth as much as the search that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dmlbook._checks import bad_input, checked
from dmlbook.records.numbers import interval
from dmlbook.records.origin import provenance
from dmlbook.records.record import Record, read, write
from dmlbook.records.tables import table


@dataclass
class Search:
    """What every setting of a grid scored on held-out training data, for one method.

    Attributes:
        name: The file's name without ``.json``.
        title: What was tried, in one line.
        configuration: What all trials share, so also the split and the budget of each.
        space: The values tried for each setting; a trial is one of each, and all are tried.
        by: The figure that decides; the highest mean over the seeds wins, the first of equals.
        trials: A record for each, its ``configuration`` being the values of ``space`` that it had.
        provenance: As of a :class:`Record`.
    """

    name: str
    title: str
    configuration: dict
    space: dict[str, list]
    by: str
    trials: list[Record] = field(default_factory=list)
    provenance: dict = field(default_factory=dict)

    @checked
    def trial(self, settings: Mapping[str, object]) -> Record:
        """The trial of these settings; an empty one is added where they were not tried yet.

        Raises:
            ValueError: The settings are none of the grid.
        """
        settings = dict(settings)
        if settings.keys() != self.space.keys() or any(value not in self.space[key] for key, value in settings.items()):
            raise bad_input("settings", f"be of the grid {self.space}", settings, "Give one value for each.")
        for trial in self.trials:
            if trial.configuration == settings:
                return trial
        words = ", ".join(f"{key} {_word(value)}" for key, value in settings.items()) or "nothing to choose"
        self.trials.append(Record(words, words, settings))
        return self.trials[-1]

    @checked
    def best(self) -> Record:
        """The trial with the highest mean of ``by``.

        Raises:
            ValueError: Not all of the grid was tried with the same seeds: the best of some is not the best.
        """
        size = 1
        for values in self.space.values():
            size *= len(values)
        if len(self.trials) < size or any(trial.seeds != self.trials[0].seeds for trial in self.trials):
            got = f"{len(self.trials)} trials of {size}, seeds {[len(trial.seeds) for trial in self.trials]}"
            raise bad_input("search", "have tried all of its grid with the same seeds", got, "Let it go on.")
        return max(self.trials, key=lambda trial: interval(trial.values(self.by))[0])

    def edges(self) -> list[str]:
        """Settings whose chosen number is the smallest or the largest tried: a better one may lie beyond."""
        best, found = self.best().configuration, []
        for name, values in self.space.items():
            numbers = len(values) > 1 and all(type(value) in (int, float) for value in values)
            if numbers and best[name] in (min(values), max(values)):
                found.append(name)
        return found

    def choice(self, *, own: bool) -> dict:
        """What a final record says of where its settings come from.

        Args:
            own: Whether this search was made for the method that takes the settings, and not for its rival.
        """
        best, training = self.best(), self.configuration.get("training", {})
        effort = {"trials": len(self.trials), "seeds": len(best.seeds), "epochs": training.get("epochs")}
        return {"search": self.name, "own": own, "by": self.by, **effort, "settings": best.configuration}

    def table(self, figures: Mapping[str, str]) -> str:
        """A Markdown table of every trial; the chosen one is named. Columns as in :meth:`Comparison.table`."""
        best = self.best()
        return table({trial.title + (" (chosen)" if trial is best else ""): trial for trial in self.trials}, figures)

    def save(self, root: Path | None = None) -> Path:
        """Write ``root/name.json`` (``data/results`` by default), whole or not at all."""
        self.provenance = provenance()
        kept = ("name", "title", "configuration", "space", "by", "provenance")
        trials = [{"settings": trial.configuration, "runs": trial.runs} for trial in self.trials]
        return write(self.name, {**{key: getattr(self, key) for key in kept}, "trials": trials}, root)


@checked
def load_search(name: str, root: Path | None = None) -> Search:
    """Read ``root/name.json``, such as ``choosing/cars-softmax``.

    Raises:
        ValueError: There is no such search (the near ones are named), or the file is none.
    """

    def make(content: dict) -> Search:
        trials = content.pop("trials")
        search = Search(**content)
        for trial in trials:
            search.trial(trial["settings"]).runs = trial["runs"]
        return search

    return read(name, make, root)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
