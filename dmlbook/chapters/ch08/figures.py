"""Figures of chapter 08: how far one loss is ahead of its rivals, set by set."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from dmlbook import records
from dmlbook._checks import bad_input, check_choice, check_filled, checked
from dmlbook.book.lines import SOFT, dots


@checked
def leads(tables: Mapping[str, records.Comparison], leader: str, measures: Mapping[str, str]) -> Figure:
    """A row of panels a table, a panel a measure: how many points the leader is ahead of each rival, seed by seed.

    Args:
        tables: What is compared, by its title; the same rows in each, trained with the same seeds.
        leader: Whose lead it is, a row of each table; the other rows are its rivals.
        measures: What each figure of the records is called, such as ``{"map_at_r": "MAP@R"}``.

    Raises:
        ValueError: Nothing to draw, a table without the leader or without a rival, or tables of other rows.
    """
    check_filled(tables=tables)
    check_filled(measures=measures)
    rows = list(next(iter(tables.values())).rows)
    for table in tables.values():
        check_choice(choices=table.rows, leader=leader)
        if list(table.rows) != rows or len(rows) < 2:
            got = f"{', '.join(table.rows)} beside {', '.join(rows)}"
            raise bad_input("tables", "compare the same two rows or more, in one order", got, "Compare them anew.")
    figure, axes = plt.subplots(
        len(tables), len(measures), figsize=(9.6, 3.1 * len(tables)), sharey=True, squeeze=False
    )
    for line, (title, table) in zip(axes, tables.items(), strict=True):
        for ax, (key, name) in zip(line, measures.items(), strict=True):
            dots(ax, {rival: table.gains(leader, rival, key) for rival in rows if rival != leader})
            ax.axvline(0, color=SOFT, linestyle=":", zorder=1)
            ax.set_title(f"{title}: {leader}'s lead by {name}")
    for ax in axes[-1]:
        ax.set_xlabel("points ahead of the rival")
    return figure
