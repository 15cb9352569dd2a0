"""Figures as text: percent with interval and number of seeds, and Markdown tables of them."""

from __future__ import annotations

from collections.abc import Mapping

from dmlbook._checks import bad_input, checked
from dmlbook.records.numbers import percent
from dmlbook.records.record import Record

BOTH_MEASURES = {"recall_at_1": "map_at_r", "recall_by_class": "map_by_class", "recall_by_kind": "map_by_kind"}
"""Recall@1 looks at one neighbor, MAP@R at all of a class's: a ranking by the one may be turned over by the other."""


@checked
def table(records: Mapping[str, Record], figures: Mapping[str, str]) -> str:
    """A Markdown table: one row a record, one column a figure, each ``mean ± interval (n)`` in percent.

    Args:
        records: What each row is called, and its record.
        figures: The figures' keys, and what each column is called. Where Recall@1 is shown, MAP@R is shown beside it.

    Raises:
        ValueError: A column of Recall@1 comes without that of MAP@R, or a record lacks a figure.
    """
    check_both_measures(figures)
    head = ["| |", *(f" {title} |" for title in figures.values())]
    lines = ["".join(head), "|---|" + "---|" * len(figures)]
    for title, record in records.items():
        cells = (percent(record.values(figure)) for figure in figures)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def check_both_measures(figures: Mapping[str, str]) -> None:
    """Where Recall@1 is shown, MAP@R is shown, too."""
    for recall, precision in BOTH_MEASURES.items():
        if recall in figures and precision not in figures:
            remedy = "A ranking by one measure can be turned over by the other: show both."
            raise bad_input("figures", f"hold {precision!r} beside {recall!r}", ", ".join(figures), remedy)


@checked
def word(value: object) -> str:
    """A setting's value as a table shows it.

    Example:
        >>> word(True), word(0.0001), word("kmeans")
        ('yes', '0.0001', 'kmeans')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
