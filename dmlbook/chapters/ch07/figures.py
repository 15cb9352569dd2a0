"""Figures of chapter 07: views, scores over seeds, falling losses, gains on photographs, lengths of a head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmlbook import book
from dmlbook._checks import above, at_least, bad_input, check_filled, check_lengths, checked
from dmlbook.book import MIDDLE, SOFT
from dmlbook.chapters.ch07.photographs import BOTH
from dmlbook.datasets import ImageSet
from dmlbook.training import TrainConfig, Views

FULL = {"R@1": "Recall@1", "MAP@R": "MAP@R"}
"""What a measure is called on an axis."""
LIMITS = {"recall_at_1": (-7.0, 24.5), "map_at_r": (-2.0, 14.0)}
"""Points that a column of ``gains`` shows: as wide as they are many, so that a point has one length in both."""


@checked(image=at_least(0), count=at_least(1))
def views(ax: Axes, images: ImageSet, config: TrainConfig, *, image: int, count: int = 8) -> Axes:
    """One image as training shows it in its first epochs, side by side.

    Args:
        ax: Where to draw.
        images: N of them.
        config: Its views.
        image: Which, < N.
        count: How many epochs.
    """
    if image >= len(images):
        raise bad_input("image", f"be below {len(images)}, the number of images", image, "Choose another.")
    one, made = torch.tensor([image]), Views(images, config)
    seen = [made.for_training(one, torch.device("cpu"), epoch=epoch, step=0) for epoch in range(count)]
    return book.tiles(ax, (torch.cat(seen) * 255).byte(), columns=count)


@checked(floor=above(0))
def score_rows(ax: Axes, by_method: Mapping[str, Sequence[float]], floor: float, *, measure: str) -> Axes:
    """A row a method, its seeds, mean and interval in percent, beside the line of raw pixels.

    Args:
        ax: Where to draw.
        by_method: Scores of each method, one a seed, as fractions.
        floor: What pixels score, as a fraction.
        measure: ``"R@1"`` or ``"MAP@R"``.
    """
    if measure not in FULL:
        raise bad_input("measure", f"be one of {', '.join(FULL)}", repr(measure), "Choose one.")
    book.dots(ax, by_method)
    line = 100 * floor
    ax.axvline(line, color=SOFT, linestyle=":")
    ax.annotate("pixels", (line, -0.6), xytext=(4, 0), textcoords="offset points", va="top", color=MIDDLE)
    ax.margins(x=0.12)  # for the numbers beside the outermost rows
    ax.set(title=f"{FULL[measure]} on unseen species", xlabel=f"{FULL[measure]} in percent")
    return ax


@checked
def falls(ax: Axes, by_method: Mapping[str, Sequence[Sequence[float]]]) -> Axes:
    """Training losses over epochs, each as a share of its first.

    Args:
        ax: Where to draw.
        by_method: For each method and seed the mean loss of each epoch, all of one length, the first above 0.
    """
    check_filled(by_method=by_method)
    for runs in by_method.values():
        for run in runs:
            check_filled(by_method=run)
            if run[0] <= 0:
                raise bad_input("by_method", "begin above 0", run[0], "A share of it would say nothing.")
    book.curves(ax, {name: [[value / run[0] for value in run] for run in runs] for name, runs in by_method.items()})
    ax.set(title="The training loss falls", xlabel="epoch", ylabel="share of the first epoch's")
    return ax


@checked
def gains(by_panel: Mapping[tuple[str, str], Mapping[str, Sequence[float]]]) -> Figure:
    """How far each loss lands above a floor: a row of panels a data set, a column a measure, one scale in all.

    Args:
        by_panel: For each data set and each measure of ``photographs.BOTH`` what each loss gains, as fractions, one a
            seed.
    """
    check_filled(by_panel=by_panel)
    sets = list(dict.fromkeys(data for data, _ in by_panel))
    check_lengths(by_panel=list(by_panel), panels=[None] * (len(sets) * len(BOTH)))
    widths = [high - low for low, high in LIMITS.values()]
    size = {"figsize": (9.6, 2.5 * len(sets)), "sharex": "col", "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(len(sets), len(BOTH), width_ratios=widths, **size)
    for row, data in zip(axes, sets, strict=True):
        for ax, (key, name) in zip(row, BOTH.items(), strict=True):
            book.dots(ax, by_panel[data, key])
            for label, bar in zip(ax.texts, ax.containers, strict=True):  # beside its bar, clear of the line at 0
                right = max(float(x) for x in bar[2][0].get_segments()[0][:, 0])
                label.xy = (right, label.xy[1])
                label.set(position=(7, 0), ha="left", va="center")
            ax.axvline(0, color=SOFT, linestyle=":", zorder=1)
            ax.set(title=f"{data}, {FULL[name]}", xlim=LIMITS[key], ylim=(len(by_panel[data, key]) - 0.5, -0.5))
    for ax in axes[-1]:
        ax.set(xlabel="points above the frozen features")
    return figure


@checked
def lengths(trials: Mapping[str, Mapping[int, Mapping[float, Mapping[str, float]]]]) -> Figure:
    """Both measures over the learning rate: a column of panels a loss, a line a length.

    Args:
        trials: For each loss and number of epochs what each rate scored, as ``photographs.head_trials`` gives it.
    """
    check_filled(trials=trials)
    size = {"figsize": (9.6, 5.2), "sharex": True, "sharey": "row", "squeeze": False}
    figure, axes = plt.subplots(len(BOTH), len(trials), **size)
    for column, (title, by_length) in zip(axes.T, trials.items(), strict=True):
        for ax, (key, name) in zip(column, BOTH.items(), strict=True):
            for place, (epochs, found) in enumerate(by_length.items()):
                style = {"marker": ".", **book.line_style(len(by_length) - 1 - place)}
                label = f"{epochs} epoch{'s' * (epochs > 1)}"
                ax.semilogx(list(found), [100 * trial[key] for trial in found.values()], label=label, **style)
            if ax in axes[:, 0]:
                ax.set(ylabel=f"{FULL[name]}, percent")
        column[0].set(title=title)
        column[-1].set(xlabel="learning rate", xticks=[1e-5, 1e-3, 1e-1])
    axes[0, 0].legend(fontsize=9, loc="lower left")
    return figure
