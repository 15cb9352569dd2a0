"""Lines and dots of methods: black to grey, with line styles, each named where it ends; seeds faint, means strong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from dmlbook._checks import at_least, check_filled, check_lengths, checked
from dmlbook._types import Float, Tensor
from dmlbook.records import interval

BLACK, DARK, MIDDLE, SOFT, PALE, SHADE = "#000000", "#444444", "#6e6e6e", "#8f8f8f", "#c9c9c9", "#e6e6e6"
"""The book's greys. Words are ``MIDDLE`` or darker; ``PALE`` is for lines that carry others, ``SHADE`` for areas."""
_GREYS = (BLACK, DARK, MIDDLE, SOFT)
WORDS = (BLACK, DARK, MIDDLE, MIDDLE)
"""Greys of the names of lines that are drawn in ``_GREYS``: letters as pale as the palest line were hard to read."""
GROUND = {"facecolor": "white", "edgecolor": "none", "pad": 1}
"""Behind words in a figure: no line runs through them."""
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))


@checked(place=at_least(0))
def line_style(place: int) -> dict[str, object]:
    """Color and line style of the method at ``place`` in a figure, 0 for the first."""
    return {"color": _GREYS[place % len(_GREYS)], "linestyle": _LINES[place % len(_LINES)]}


@checked(apart=at_least(0))
def name_ends(
    ax: Axes,
    ends: Mapping[str, float],
    *,
    apart: float = 0.07,
    across: Sequence[float] | None = None,
    colors: Sequence[str] = WORDS,
    **text: object,
) -> float:
    """Each line's name right of the height where the line ends; names that would touch step aside, upwards.

    Args:
        ax: With the lines drawn; its scale, and limits that cut a line off, set before.
        ends: Where each line ends, in data coordinates, in the order in which the lines took their greys.
        apart: How far two names are apart at least, as a share of the axes' height.
        across: Where each line ends on the first axis; None: all at the axes' right edge, where names step aside.
        colors: Of the names, taken in turns.
        text: Anything else for ``Axes.annotate``, such as ``fontsize``.

    Returns:
        The height of the highest name, in data coordinates.
    """
    check_filled(ends=ends, colors=colors)
    place = {"xytext": (6, 0), "textcoords": "offset points", "va": "center", "annotation_clip": False, **text}
    color = {name: colors[number % len(colors)] for number, name in enumerate(ends)}
    if across is not None:
        check_lengths(ends=ends, across=across)
        for (name, value), x in zip(ends.items(), across, strict=True):
            ax.annotate(name, (x, value), color=color[name], **place)
        return max(ends.values())
    right = ax.get_xlim()[1]
    to_share = ax.transData + ax.transAxes.inverted()  # of the height, whatever the scale
    shares = {name: float(to_share.transform((right, value))[1]) for name, value in ends.items()}
    last, top = -math.inf, -math.inf
    for name in sorted(shares, key=lambda name: shares[name]):
        last = max(min(max(shares[name], 0.0), 1.0), last + apart)
        top = ends[name] if last == shares[name] else float(to_share.inverted().transform((1.0, last))[1])
        ax.annotate(name, (1.0, top), xycoords=("axes fraction", "data"), color=color[name], **place)
    return top


@checked(apart=at_least(0))
def named_lines(
    ax: Axes,
    across: Sequence[float] | Float[Tensor, " N"],
    by_name: Mapping[str, Sequence[float] | Float[Tensor, " N"]],
    *,
    apart: float = 0.07,
    legend: str | None = None,
) -> Axes:
    """One line a method, each named at its end.

    Args:
        ax: Where to draw; its scale and limits, where they matter, set before.
        across: Where the values lie on the first axis, increasing. Lines that are named at their ends fill the axes.
        by_name: The values of each line.
        apart: The least distance of two names, as a share of the height.
        legend: Where lines end in one place: the title of a legend that names them instead.
    """
    check_filled(across=across, by_name=by_name)
    for values in by_name.values():
        check_lengths(across=across, by_name=values)
    for place, (name, values) in enumerate(by_name.items()):
        ax.plot(across, values, **line_style(place), linewidth=2, label=name)
    if legend is not None:
        ax.legend(title=legend, alignment="left", fontsize=10)
        return ax
    ax.set_xlim(float(across[0]), float(across[-1]))
    name_ends(ax, {name: float(values[-1]) for name, values in by_name.items()}, apart=apart)
    return ax


@checked
def curves(ax: Axes, by_method: Mapping[str, Sequence[Sequence[float]]], *, first: int = 1) -> Axes:
    """Numbers over epochs: seeds faint, their mean strong, each method named at its line's end.

    Args:
        ax: Where to draw.
        by_method: For each method one sequence a seed, all of one length.
        first: The epoch of the first number.
    """
    check_filled(by_method=by_method)
    for runs in by_method.values():
        check_filled(by_method=runs)
        for run in runs:
            check_filled(by_method=run)
            check_lengths(numbers=runs[0], by_method=run)
    ends = {}
    for place, (method, runs) in enumerate(by_method.items()):
        style, epochs = line_style(place), range(first, first + len(runs[0]))
        for run in runs if len(runs) > 1 else []:
            ax.plot(epochs, run, color=style["color"], alpha=0.25, linewidth=0.8)
        mean = [sum(values) / len(values) for values in zip(*runs, strict=True)]
        ax.plot(epochs, mean, **style, linewidth=2)
        ends[method] = mean[-1]
    low, high = ax.get_ylim()
    top = name_ends(ax, ends)
    ax.set_ylim(low, max(high, top + 0.035 * (high - low)))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


@checked
def dots(ax: Axes, by_method: Mapping[str, Sequence[float]], *, percent: bool = True) -> Axes:
    """One row a method: each seed a faint dot, the mean a strong one with its 95 percent interval.

    Args:
        ax: Where to draw.
        by_method: Values of each method, one a seed, as fractions.
        percent: Whether fractions are shown as percent.
    """
    check_filled(by_method=by_method)
    factor = 100 if percent else 1
    for row, values in enumerate(by_method.values()):
        mean, half = interval(list(values))
        ax.plot([factor * v for v in values], [row] * len(values), "o", color=SOFT, alpha=0.6, markersize=5)
        bar = None if math.isnan(half) else factor * half
        ax.errorbar(factor * mean, row, xerr=bar, fmt="o", color=BLACK, markersize=8, capsize=4, linewidth=1.6)
        label = f"{factor * mean:.1f}" + ("" if bar is None else f" ± {bar:.1f}")
        place = {"textcoords": "offset points", "ha": "center", "fontsize": 10, "bbox": GROUND}
        ax.annotate(label, (factor * mean, row), xytext=(0, 9), **place)
    ax.set_yticks(range(len(by_method)), list(by_method))
    ax.set_ylim(len(by_method) - 0.5, -0.7)
    ax.margins(x=0.12)  # so that the numbers of the outermost stay within
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=SHADE, linewidth=0.8)
    ax.set_axisbelow(True)
    return ax
