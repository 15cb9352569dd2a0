"""Scores of rivals over seeds: every seed, the mean and its interval, one row a rival, one panel a measure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from dmlbook._checks import checked
from dmlbook.book.figures import png, use_style
from dmlbook.book.lines import BLACK, SOFT
from dmlbook.records import interval

WIDTH = 9.6  # inches


@checked
def score_rows(ax: Axes, by_name: Mapping[str, Sequence[float]], *, measure: str) -> Axes:
    """Each rival's seeds as faint dots, their mean and its 95 percent interval strong, from the first row down.

    Args:
        ax: Where to draw.
        by_name: For each rival its scores as fractions, one a seed; of one alone no interval is drawn.
        measure: What the axis is called; percent are shown.

    Raises:
        ValueError: A rival has no scores.
    """
    for row, values in enumerate(by_name.values()):
        mean, half = interval(list(values))
        ax.plot([100 * value for value in values], [row] * len(values), "o", color=SOFT, alpha=0.6, markersize=5)
        if not math.isnan(half):
            ax.plot([100 * (mean - half), 100 * (mean + half)], [row, row], color=BLACK, linewidth=2)
        ax.plot([100 * mean], [row], "|", color=BLACK, markersize=12, markeredgewidth=2.5)
    ax.set_yticks(range(len(by_name)), list(by_name))
    ax.set_ylim(len(by_name) - 0.5, -0.5)
    ax.set_xlabel(f"{measure}, percent")
    return ax


def score_figure(by_measure: Mapping[str, Mapping[str, Sequence[float]]], *, title: str) -> tuple[bytes, str]:
    """A panel for each measure, the rivals in the order of their means by the first one; as PNG, and what it shows.

    Args:
        by_measure: For each measure the scores of each rival as fractions, one a seed.
        title: The finding.
    """
    first = next(iter(by_measure.values()))
    order = sorted(first, key=lambda name: interval(list(first[name]))[0], reverse=True)
    use_style()
    figure, axes = plt.subplots(
        1, len(by_measure), figsize=(WIDTH, 1.3 + 0.34 * len(order)), sharey=True, squeeze=False
    )
    for ax, (measure, scores) in zip(axes[0], by_measure.items(), strict=True):
        score_rows(ax, {name: scores[name] for name in order}, measure=measure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    said = [
        f"{measure} " + ", ".join(f"{name} {100 * interval(list(scores[name]))[0]:.1f}" for name in order)
        for measure, scores in by_measure.items()
    ]
    alt = f"Dots for every seed, mean and 95 percent interval, one row a rival. Means in percent: {'; '.join(said)}."
    return png(figure, dpi=200), alt
