"""Figures as text: percent with interval and number of seeds, and Markdown tables of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dmlbook._checks import bad_input, checked
from dmlbook.records.numbers import interval
from dmlbook.records.record import Record

BOTH_MEASURES = {"recall_at_1": "map_at_r", "recall_by_class": "map_by_class", "recall_by_kind": "map_by_kind"}
"""Recall@1 looks at one neighbor, MAP@R at all of a class's: a ranking by the one may be turned over by the other."""


def percent(values: Sequence[float], *, digits: int = 1) -> str:
    """Fractions as percent, ``"48.3 ± 0.2 (3)"``: mean, half-width of the 95 percent interval, number of seeds.

    Example:
        >>> percent([0.5, 0.52])
        '51.0 ± 12.7 (2)'
    """
    mean, half = interval(values)
    spread = "" if math.isnan(half) else f" ± {100 * half:.{digits}f}"
    return f"{100 * mean:.{digits}f}{spread} ({len(values)})"


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
