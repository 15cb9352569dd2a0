"""Scores of rivals over seeds: every seed, the mean and its interval, one row a rival, one panel a measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from dmlbook._checks import bad_input, check_filled, checked
from dmlbook.book.lines import dots
from dmlbook.records import interval

WIDTH = 9.6  # inches


@checked
def score_figure(by_measure: Mapping[str, Mapping[str, Sequence[float]]], *, title: str) -> tuple[Figure, str]:
    """A panel for each measure, the rivals in the order of their means by the first one; and what it shows, in words.

    Args:
        by_measure: For each measure the scores of each rival as fractions, one a seed.
        title: The finding.
    """
    check_filled(by_measure=by_measure)
    first = next(iter(by_measure.values()))
    for scores in by_measure.values():
        check_filled(by_measure=scores)
        if scores.keys() != first.keys():
            got = f"{', '.join(scores)} beside {', '.join(first)}"
            raise bad_input("by_measure", "name the same rivals under each measure", got, "Measure all of them.")
    order = sorted(first, key=lambda name: interval(list(first[name]))[0], reverse=True)
    figure, axes = plt.subplots(
        1, len(by_measure), figsize=(WIDTH, 1.3 + 0.44 * len(order)), sharey=True, squeeze=False
    )
    for ax, (measure, scores) in zip(axes[0], by_measure.items(), strict=True):
        dots(ax, {name: scores[name] for name in order})
        ax.set_xlabel(f"{measure}, percent")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    said = [
        f"{measure} " + ", ".join(f"{name} {100 * interval(list(scores[name]))[0]:.1f}" for name in order)
        for measure, scores in by_measure.items()
    ]
    alt = f"Dots for every seed, mean and 95 percent interval, one row a rival. Means in percent: {'; '.join(said)}."
    return figure, alt
