"""A search for settings, with every trial: a final result is worth as much as the search that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dmlbook._checks import bad_input, checked
from dmlbook.records.numbers import interval
from dmlbook.records.origin import provenance
from dmlbook.records.record import Record, read, write
from dmlbook.records.tables import check_both_measures


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


@checked
def tried(searches: Mapping[str, str], figures: Mapping[str, str], *, root: Path | None = None) -> str:
    """A Markdown table of everything that rivals tried: one row a setting, one column a method, the chosen one bold.

    Args:
        searches: What each column is called, and the name of its search.
        figures: What each cell shows, joined by a slash, and what that is called. With Recall@1 comes MAP@R.
        root: Where the searches are (``data/results`` by default).

    Raises:
        ValueError: The rivals did not try the same grid with the same seeds, length and split, or a figure is missing.
    """
    check_both_measures(figures)
    found = {title: load_search(name, root) for title, name in searches.items()}
    effort = {
        title: (search.space, search.by, search.best().seeds, _shared_by_rivals(search.configuration))
        for title, search in found.items()
    }
    first = next(iter(effort.values()))
    if unlike := [title for title, each in effort.items() if each != first]:
        remedy = "Run one plan for all: python -m dmlbook choose."
        raise bad_input("searches", "have one grid, figure, seeds, length and split", ", ".join(unlike), remedy)
    lines = [f"| | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
    best = {title: search.best() for title, search in found.items()}
    for trial in next(iter(found.values())).trials:
        cells = []
        for title, search in found.items():
            own = search.trial(trial.configuration)  # whatever order it tried them in
            text = " / ".join(f"{100 * interval(own.values(figure))[0]:.1f}" for figure in figures)
            cells.append(f"**{text}**" if own is best[title] else text)
        lines.append(f"| {trial.title} | {' | '.join(cells)} |")
    seeds = f"mean of {len(first[2])} seeds" if len(first[2]) > 1 else "one seed"
    return "\n".join([*lines, "", f"{' / '.join(figures.values())} in percent, {seeds}; bold: chosen, by {first[1]}"])


def _shared_by_rivals(configuration: Mapping[str, object]) -> dict:
    """The split and the length of every trial."""
    training = configuration.get("training", {})
    keys = ("data", "size", "data_options", "training_images", "classes_made_of", "held_out", "measured_on")
    return {key: configuration.get(key) for key in keys} | {
        key: training.get(key) for key in ("epochs", "batch_size", "freeze_backbone")
    }


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
