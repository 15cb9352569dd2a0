"""A comparison of records that a machine has judged: rows that are not alike are refused, or it is said beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dmlbook._checks import bad_input, check_choice, checked
from dmlbook.records.differences import Difference, adjusted_differences
from dmlbook.records.record import Record, load
from dmlbook.records.tables import check_both_measures, table, word

DRAWINGS = ("birds", "digits")


def _pick(record: Record, *keys: str) -> dict:
    """What the configuration says of these; an empty value and none are the same."""
    return {key: record.configuration.get(key) or None for key in keys}


def _split(record: Record) -> object:
    return _pick(record, "data", "size", "data_options", "classes_made_of", "held_out", "split", "measured_on")


def _dimensions(record: Record) -> object:
    return record.configuration.get("dimensions", record.configuration["network"]["embedding_size"])


def _network(record: Record) -> object:
    network, keys = record.configuration.get("network", {}), ("name", "width_mult", "weights", "preprocessing")
    return {key: network.get(key) for key in (*keys, "same_padding", "bn_eps")}


def _views(record: Record) -> object:
    training = record.configuration["training"]
    drawn = {"crop": ("crop_scale", "crop_ratio"), "shift": ("shift",)}.get(training.get("augment"), ())
    whole = record.configuration["data"] in DRAWINGS  # what a test view shows where nothing is said of it
    crop = {"test_crop": training.get("test_crop") or (1.0 if whole else 224 / 256)}
    return {key: training.get(key) for key in ("image_size", "augment", "flip", *drawn)} | crop


def _optimizer(record: Record) -> object:
    training = record.configuration["training"]
    keys = ["optimizer", "adam_eps", "weight_decay", "schedule", "warmup_epochs", "head_epochs", "clip_norm"]
    steps = [] if training.get("schedule") else ["milestones", "lr_decay"]  # the usual schedule is not written down
    return {key: training.get(key) for key in [*keys, *steps, "ema_decay"]}


def _budget(record: Record) -> object:
    training, images = record.configuration["training"], record.configuration.get("training_images")
    found = {"images": images} | {key: training.get(key) for key in ("epochs", "batch_size", "freeze_backbone")}
    if rungs := record.choice.get("rungs"):  # how long, and often in what batches, is chosen within the same limit
        found["epochs"] = f"chosen (up to {rungs[-1]})"
        found["batch_size"] = "chosen" if "batch_size" in record.choice["settings"] else found["batch_size"]
    return found


def _effort(record: Record) -> object:
    if "rungs" in record.choice:  # its epochs were chosen
        return {key: record.choice.get(key) for key in ("trials", "rungs", "seeds", "by")}
    return {key: record.choice.get(key) for key in ("trials", "seeds", "epochs", "by")}


FACETS: dict[str, tuple[Callable[[Record], object], str]] = {
    "split": (_split, "what was trained on and what was measured"),
    "dimensions": (_dimensions, "of an embedding"),
    "network": (_network, "its backbone, width, weights and what it is given"),
    "views": (_views, "what of a picture is seen in training and when it is measured"),
    "optimizer": (_optimizer, "how the weights are changed, but for the rates"),
    "seeds": (lambda record: record.seeds, "so rows can be compared seed by seed"),
    "budget": (_budget, "images, epochs and batch size of training, or the limit within which these were chosen"),
    "effort": (_effort, "trials, their seeds and epochs or rungs, in the search for settings"),
    "settings": (lambda record: record.choice.get("own"), "whether they were chosen for this row or for its rival"),
}
"""In what the rows of a comparison must be alike; the first three also where a row trains nothing."""
UNTRAINED = ("split", "dimensions", "network")


@checked
@dataclass(frozen=True)
class Comparison:
    """Records that may stand in one table; made by :func:`compare`.

    Attributes:
        rows: What each row is called, and its record.
        unequal: In which of ``FACETS`` they are not alike, and what the text says of it.
    """

    rows: Mapping[str, Record]
    unequal: Mapping[str, str]

    @checked
    def table(self, figures: Mapping[str, str]) -> str:
        """A Markdown table, ``mean ± interval (n)`` in percent, and below it in what the rows are not alike.

        Below rows whose settings come from halving searches it is said what each chose for itself.

        Args:
            figures: The figures' keys, and what each column is called. Where Recall@1 is shown, MAP@R is, too.

        Raises:
            ValueError: A column of Recall@1 comes without that of MAP@R, or a record lacks a figure.
        """
        said = [f"*Not alike, {facet}: {text}*" for facet, text in self.unequal.items()]
        rungs = {tuple(record.choice["rungs"]) for record in self.rows.values() if "rungs" in record.choice}
        said = [*(f"*{_halved(each, self.rows)}*" for each in sorted(rungs)), *said]
        return "\n\n".join([table(self.rows, figures), *said])

    @checked
    def gains(self, row: str, over: str, figure: str) -> list[float]:
        """By how much one row beats another, seed by seed; a row that trains nothing counts the same for each seed.

        Raises:
            ValueError: There is no such row, or the two share no seeds.
        """
        check_choice(choices=list(self.rows), row=row, over=over)
        (these, theirs), values = (self.rows[row], self.rows[over]), []
        for record in (these, theirs):
            many = record.values(figure)
            values.append(many * len(these.runs) if record is theirs and not trains(record) else many)
        if len(values[0]) != len(values[1]) or (trains(theirs) and these.seeds != theirs.seeds):
            got = f"{these.seeds} and {theirs.seeds}"
            raise bad_input("over", "have the seeds of row", got, "Run the ones that are missing.")
        return [a - b for a, b in zip(*values, strict=True)]

    @checked
    def tested(self, over: str, figures: Iterable[str]) -> dict[str, dict[str, Difference]]:
        """By how much every other row differs from one, paired by seed; p-values adjusted over all of them.

        Args:
            over: The row that all others are compared with.
            figures: The figures' keys.

        Raises:
            ValueError: There is no such row, or it shares no seeds with another one.
        """
        check_choice(choices=list(self.rows), over=over)
        found: dict[str, dict[str, list[float]]] = {row: {} for row in self.rows if row != over}
        for row in found:
            for figure in figures:  # a row that trains nothing is the one over which the other gains
                if trains(self.rows[over]) and not trains(self.rows[row]):
                    found[row][figure] = [-gain for gain in self.gains(over, row, figure)]
                else:
                    found[row][figure] = self.gains(row, over, figure)
        return adjusted_differences(found)

    @checked
    def differences(self, over: str, figures: Mapping[str, str]) -> str:
        """A Markdown table of how every rival differs from one row, in percent points: rival minus ``over``.

        Each cell is the mean of the differences seed by seed ± its 95 percent interval, and the p-value of the paired
        t-test, adjusted by Holm over all comparisons of the table; bold: below 0.05.

        Args:
            over: The row that all others are compared with.
            figures: The figures' keys, and what each column is called. Where Recall@1 is shown, MAP@R is, too.

        Raises:
            ValueError: There is no such row, two rows share no seeds, or Recall@1 comes without MAP@R.
        """
        check_both_measures(figures)
        found = self.tested(over, figures)
        lines = [f"| minus {over} | {' | '.join(figures.values())} |", "|---|" + "---|" * len(figures)]
        lines += [f"| {row} | {' | '.join(each[key].cell() for key in figures)} |" for row, each in found.items()]
        cells = [each[key] for each in found.values() for key in figures]
        seeds = max(len(record.runs) for title, record in self.rows.items())
        said = [
            f"Percent points, mean over {seeds} seeds ± 95 percent interval, paired by seed; p of the paired t-test, "
            f"adjusted by Holm over the {len(cells)} comparisons of this table; bold: p < 0.05."
        ]
        if seeds == 1:
            said = ["Percent points of one seed, which has neither interval nor test."]
        elif any(math.isnan(cell.p) for cell in cells):
            said.append("Where all differences are the same there is no test, and no p.")
        if floors := [title for title, record in self.rows.items() if not trains(record)]:
            said.append(f"Nothing is trained for {' and '.join(floors)}: one number stands for every seed.")
        return "\n".join([*lines, "", f"*{' '.join(said)}*"])

    @checked
    def chosen(self, row: str) -> dict[str, object]:
        """The settings that a row's search chose, with ``epochs``; options of the loss are ``loss_option.scale``.

        Raises:
            ValueError: There is no such row, or it trains nothing.
        """
        check_choice(choices=[title for title, record in self.rows.items() if trains(record)], row=row)
        return _chosen(self.rows[row])

    def settings(self) -> str:
        """A Markdown table of the settings that each row's search chose, and for how many epochs it was trained.

        A row that trains nothing has none and is left out.
        """
        chosen = {title: _chosen(record) for title, record in self.rows.items() if trains(record)}
        names = list(dict.fromkeys(name for settings in chosen.values() for name in settings if name != "epochs"))
        heads = [name.removeprefix("loss_option.") for name in names]
        lines = [f"| | {' | '.join([*heads, 'epochs'])} |", "|---|" + "---|" * (len(names) + 1)]
        for title, settings in chosen.items():
            cells = [word(settings[name]) if name in settings else "" for name in [*names, "epochs"]]
            lines.append(f"| {title} | {' | '.join(cells)} |")
        return "\n".join(lines)


@checked
def compare(
    rows: Mapping[str, str], *, unequal: Mapping[str, str] = MappingProxyType({}), root: Path | None = None
) -> Comparison:
    """Records to stand side by side: alike in all of ``FACETS``, or the difference is said.

    A row that trains nothing (frozen features) is a floor and no rival: budget, effort and seeds are not asked of it.

    Args:
        rows: What each row is called, and the name of its record.
        unequal: By facet, a sentence on how the rows differ in it; it is printed below the table.
        root: Where the records are (``data/results`` by default).

    Raises:
        ValueError: The rows differ in something that ``unequal`` does not name, or are alike in what it names.
    """
    check_choice(choices=list(FACETS), **{f"unequal {facet!r}": facet for facet in unequal})
    found = {title: load(name, root) for title, name in rows.items()}
    for facet, (_, meaning) in FACETS.items():
        values = {title: json.dumps(value, sort_keys=True) for title, value in asked_of(facet, found).items()}
        alike = len(set(values.values())) <= 1
        if not alike and facet not in unequal:
            got = "; ".join(f"{title}: {value}" for title, value in values.items())
            remedy = f"Run them alike, or say it: unequal={{{facet!r}: '...'}}."
            raise bad_input("rows", f"be alike in {facet} ({meaning})", got, remedy)
        if alike and facet in unequal:
            raise bad_input(
                "unequal", "name in what the rows differ", repr(facet), "They are alike in it: leave it out."
            )
    return Comparison(found, dict(unequal))


def asked_of(facet: str, rows: Mapping[str, Record]) -> dict[str, object]:
    """What a facet is in every row that is asked for it."""
    asked = {title: r for title, r in rows.items() if facet in UNTRAINED or trains(r)}
    return {title: FACETS[facet][0](record) for title, record in asked.items()}


def trains(record: Record) -> bool:
    """Whether a row is a rival; what trains nothing is a floor."""
    return "training" in record.configuration


def _chosen(record: Record) -> dict:
    return {"epochs": record.configuration["training"].get("epochs"), **record.choice.get("settings", {})}


def _halved(rungs: tuple[int, ...], rows: Mapping[str, Record]) -> str:
    """What a reader must know of the rows whose settings come from a halving search over these rungs."""
    found = {title: record for title, record in rows.items() if record.choice.get("rungs") == list(rungs)}
    choice = next(iter(found.values())).choice
    batches = " and the size of a batch" if any("batch_size" in r.choice["settings"] for r in found.values()) else ""
    kind = "are settings" if batches else "is a setting"
    whose = "Every row that trains" if len(found) == sum(map(trains, rows.values())) else ", ".join(found)
    return (
        f"{whose}: its number of epochs ({rungs[-1]} or fewer){batches} {kind} like the others, chosen by "
        f"{choice['by']} on held-out training data. Trials: {choice['trials']}, measured after "
        f"{', '.join(map(str, rungs))} epochs, where the better half goes on; seeds of each: {choice['seeds']}."
    )
