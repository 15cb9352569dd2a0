"""Figures of chapter 04: lengths that shrink, centers on the circle, their path over tau, and counts against truth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from dmlbook._checks import (
    at_least,
    bad_input,
    between,
    check_filled,
    check_lengths,
    checked,
    finite,
)
from dmlbook._types import Float, Int, Tensor
from dmlbook.book.figures import class_color
from dmlbook.book.lines import BLACK, DARK, PALE, SOFT, line_style, name_ends
from dmlbook.records import interval


@checked(numbers=at_least(1))
def over_numbers(ax: Axes, numbers: Sequence[int], by_name: Mapping[str, Sequence[Sequence[float]]]) -> Axes:
    """A score over the number of centers: means with 95 percent intervals, one line a method, named at its end.

    Args:
        ax: Where to draw.
        numbers: Of centers, increasing.
        by_name: For each method and number the scores of the seeds, as fractions; drawn in percent.
    """
    check_filled(numbers=numbers, by_name=by_name)
    for scores in by_name.values():
        check_lengths(numbers=numbers, by_name=scores)
        for of_number in scores:
            check_filled(by_name=of_number)
    for place, scores in enumerate(by_name.values()):
        pairs = [interval([100 * score for score in of_number]) for of_number in scores]
        halves = [0.0 if math.isnan(half) else half for _, half in pairs]
        aside = [number * 1.04 ** (place - 0.5) for number in numbers]  # so that intervals do not hide one another
        means = [mean for mean, _ in pairs]
        ax.errorbar(aside, means, halves, **line_style(place), marker="o", capsize=3, linewidth=1.6)
    ax.set(xscale="log", xlabel="centers a class, K", ylabel="Recall@1, percent")
    ax.set_xticks(numbers, [str(number) for number in numbers])
    ax.minorticks_off()
    name_ends(ax, {name: 100 * sum(scores[-1]) / len(scores[-1]) for name, scores in by_name.items()}, apart=0.085)
    return ax


@checked(angles=finite)
def unrolled(angles: Float[Tensor, "T K"], first: float = -180.0) -> np.ndarray:
    """Angles over tau without jumps of a whole turn; each center's path starts in [first, first + 360)."""
    paths = np.unwrap(angles.double().numpy(), period=360, axis=0)
    return paths - 360 * np.floor((paths[:1] - first) / 360)


@checked(taus=finite, angles=finite, label=at_least(0))
def path(ax: Axes, taus: Float[Tensor, " T"], angles: Float[Tensor, "T K"], label: int) -> list[Line2D]:
    """The angle of each center of one class over tau, on a logarithmic axis.

    Args:
        ax: Where to draw.
        taus: Increasing; a first one of 0 is left out.
        angles: In degrees.
        label: Of the class, for the hue.
    """
    kept = taus > 0
    if not kept.any() or angles.shape[1] == 0:
        raise bad_input("taus", "hold one above 0, and angles a center", f"{len(taus)} taus", "Pass center_paths' own.")
    lines = [
        ax.plot(taus[kept].tolist(), way, color=class_color(label), linewidth=1.6, alpha=0.85)[0]
        for way in unrolled(angles)[kept.numpy()].T
    ]
    ax.set(xscale="log", xlim=(float(taus[kept][0]), float(taus[kept][-1])), xlabel="tau")
    return lines


@checked(truth=between(1, 4), found=at_least(0), top=between(1, 1000))
def tally(ax: Axes, truth: Int[Tensor, " N"], found: Int[Tensor, " N"], *, top: int) -> Axes:
    """How many classes with so many true clusters keep so many centers: a disc for each pair, its area the number.

    Args:
        ax: Where to draw.
        truth: True clusters of each class (and seed).
        found: Its distinct centers.
        top: The largest number of centers, K.
    """
    check_filled(truth=truth)
    pairs, counts = torch.unique(torch.stack([truth, found]), dim=1, return_counts=True)
    share = counts / torch.bincount(truth)[pairs[0]]
    right = (pairs[0] == pairs[1]).tolist()
    colors = [BLACK if same else SOFT for same in right]
    ax.plot([0.5, 4.5], [0.5, 4.5], color=PALE, linestyle=":", zorder=0)
    ax.scatter(pairs[0], pairs[1], s=420 * share, color=colors, linewidths=0)
    rim = [withStroke(linewidth=4, foreground="white")]  # seen on a black disc, too
    means = [found[truth == number].double().mean() for number in range(1, 5)]
    ax.plot(range(1, 5), means, color=DARK, marker="_", markersize=16, linestyle="--", linewidth=1, path_effects=rim)
    ax.set(xlim=(0.4, 4.6), ylim=(0.2, top + 0.8), xticks=range(1, 5), yticks=range(1, top + 1))
    return ax
