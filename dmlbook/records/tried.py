"""All that rivals tried, in one table: what was chosen, and how far it stands above the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dmlbook._checks import bad_input, checked
from dmlbook.records.numbers import interval
from dmlbook.records.record import Record
from dmlbook.records.search import Search, load_search
from dmlbook.records.tables import check_both_measures, word


@checked
def tried(searches: Mapping[str, str], figures: Mapping[str, str], *, root: Path | None = None) -> str:
    """A Markdown table of everything that rivals tried, the chosen one bold.

    Of grids: one row a setting, one column a method. Of halving searches, where each rival drew points of a space of
    its own: one row a point of a method, one column a rung, empty where the point did not go on.

    Args:
        searches: What each method is called, and the name of its search.
        figures: What each cell shows, joined by a slash, and what that is called. With Recall@1 comes MAP@R.
        root: Where the searches are (``data/results`` by default).

    Raises:
        ValueError: The rivals did not try the same grid, or as many points over the same rungs, with the same seeds,
            length and split, or a figure is missing.
    """
    check_both_measures(figures)
    found = {title: load_search(name, root) for title, name in searches.items()}
    effort = {title: _effort(search) for title, search in found.items()}
    first = next(iter(effort.values()))
    if unlike := [title for title, each in effort.items() if each != first]:
        remedy = "Run one plan for all: python -m dmlbook choose."
        raise bad_input("searches", "have one grid, figure, seeds, length and split", ", ".join(unlike), remedy)
    one = next(iter(found.values()))
    lines = _halved(found, figures) if one.rungs else _grid(found, figures)
    seeds = f"mean of {len(first[2])} seeds" if len(first[2]) > 1 else "one seed"
    return "\n".join([*lines, "", f"{' / '.join(figures.values())} in percent, {seeds}; bold: chosen, by {one.by}"])


def _grid(found: Mapping[str, Search], figures: Mapping[str, str]) -> list[str]:
    lines = [f"| | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
    for trial in next(iter(found.values())).trials:
        # Each search's own trial of these settings, whatever order it tried them in.
        cells = [_cell(search, search.trial(trial.configuration), figures) for search in found.values()]
        lines.append(f"| {trial.title} | {' | '.join(cells)} |")
    return lines


def _halved(found: Mapping[str, Search], figures: Mapping[str, str]) -> list[str]:
    rungs = next(iter(found.values())).rungs
    columns = [f"{epochs} epoch{'s' * (epochs > 1)}" for epochs in rungs]
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---|" * len(rungs)]
    for title, search in found.items():
        for point in search.points():
            cells = [
                _cell(search, trial, figures)
                for epochs in rungs
                for trial in [next((t for t in search.trials if t.configuration == {**point, "epochs": epochs}), None)]
            ]
            words = ", ".join(f"{name.removeprefix('loss_option.')} {word(value)}" for name, value in point.items())
            lines.append(f"| {title}: {words} | {' | '.join(cells)} |")
    return lines


def _cell(search: Search, trial: Record | None, figures: Mapping[str, str]) -> str:
    if trial is None:
        return ""
    text = " / ".join(f"{100 * interval(trial.values(figure))[0]:.1f}" for figure in figures)
    return f"**{text}**" if trial is search.best() else text


def _effort(search: Search) -> tuple:
    """In what rivals must be alike: what was tried, by which figure, the seeds, the split and the length of a trial."""
    training, best = search.configuration.get("training", {}), search.best()
    keys = ("data", "size", "data_options", "training_images", "classes_made_of", "held_out", "split", "measured_on")
    split = {key: search.configuration.get(key) for key in keys} | {"freeze_backbone": training.get("freeze_backbone")}
    if search.rungs:  # the space is each rival's own, and so may be the size of a batch
        return len(search.points()), search.by, best.seeds, split, search.rungs
    return search.space, search.by, best.seeds, split, {key: training.get(key) for key in ("epochs", "batch_size")}
