"""A comparison of records that a machine has judged: rows that are not alike are refused, or it is said beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dmlbook._checks import bad_input, check_choice, checked
from dmlbook.records.record import Record, load
from dmlbook.records.tables import table


def _pick(record: Record, *keys: str) -> dict:
    """What the configuration says of these; an empty value and none are the same."""
    return {key: record.configuration.get(key) or None for key in keys}


def _split(record: Record) -> object:
    return _pick(record, "data", "size", "data_options", "classes_made_of", "held_out", "measured_on")


def _dimensions(record: Record) -> object:
    return record.configuration.get("dimensions", record.configuration["network"]["embedding_size"])


def _budget(record: Record) -> object:
    training = record.configuration["training"]
    return {"images": record.configuration.get("training_images")} | {
        key: training.get(key) for key in ("epochs", "batch_size", "freeze_backbone")
    }


def _effort(record: Record) -> object:
    return {key: record.choice.get(key) for key in ("trials", "seeds", "epochs", "by")}


FACETS: dict[str, tuple[Callable[[Record], object], str]] = {
    "split": (_split, "what was trained on and what was measured"),
    "dimensions": (_dimensions, "of an embedding"),
    "seeds": (lambda record: record.seeds, "so rows can be compared seed by seed"),
    "budget": (_budget, "images, epochs and batch size of training"),
    "effort": (_effort, "trials, their seeds and epochs, in the search for settings"),
    "settings": (lambda record: record.choice.get("own"), "whether they were chosen for this row or for its rival"),
}
"""In what the rows of a comparison must be alike; the first two also where a row trains nothing."""


@dataclass(frozen=True)
class Comparison:
    """Records that may stand in one table; made by :func:`compare`.

    Attributes:
        rows: What each row is called, and its record.
        unequal: In which of ``FACETS`` they are not alike, and what the text says of it.
    """

    rows: Mapping[str, Record]
    unequal: Mapping[str, str]

    def table(self, figures: Mapping[str, str]) -> str:
        """A Markdown table, ``mean ± interval (n)`` in percent, and below it in what the rows are not alike.

        Args:
            figures: The figures' keys, and what each column is called. Where Recall@1 is shown, MAP@R is, too.

        Raises:
            ValueError: A column of Recall@1 comes without that of MAP@R, or a record lacks a figure.
        """
        said = [f"*Not alike, {facet}: {text}*" for facet, text in self.unequal.items()]
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
            values.append(many * len(these.runs) if record is theirs and not _trains(record) else many)
        if len(values[0]) != len(values[1]) or (_trains(theirs) and these.seeds != theirs.seeds):
            got = f"{these.seeds} and {theirs.seeds}"
            raise bad_input("over", "have the seeds of row", got, "Run the ones that are missing.")
        return [a - b for a, b in zip(*values, strict=True)]


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
    for facet, (read, meaning) in FACETS.items():
        asked = {title: r for title, r in found.items() if facet in ("split", "dimensions") or _trains(r)}
        values = {title: json.dumps(read(record), sort_keys=True) for title, record in asked.items()}
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


def _trains(record: Record) -> bool:
    return "training" in record.configuration
