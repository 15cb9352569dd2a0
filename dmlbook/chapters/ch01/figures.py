"""Figures of chapter 01: points on a circle, clusters, the zones around an anchor, gaps of triplets, their shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dmlbook._checks import (
    at_least,
    bad_input,
    between,
    check_below,
    check_filled,
    check_lengths,
    checked,
    finite,
)
from dmlbook._types import Float, Int, Tensor
from dmlbook.book.circle import on_circle, unit_circle
from dmlbook.book.figures import class_color, letter_color
from dmlbook.book.lines import BLACK, MIDDLE, PALE, SHADE, SOFT, name_ends

KINDS = {"hard": BLACK, "semi-hard": SOFT, "easy": PALE}
"""Shades of the three kinds of triplets."""
ZONE_RADIUS = 1.13


@checked(labels=at_least(0), query=at_least(0), rim=at_least(0))
def samples(
    ax: Axes,
    degrees: Sequence[float],
    labels: Sequence[int],
    names: Sequence[str],
    *,
    query: int | None = None,
    rim: int | None = None,
) -> Axes:
    """Samples on the circle, colored by class, each with its name inside; ``query`` a square, ``rim`` black-rimmed."""
    check_lengths(degrees=degrees, labels=labels, names=names)
    for i, (angle, label, name) in enumerate(zip(degrees, labels, names, strict=True)):
        x, y = on_circle(angle).tolist()
        edge = {"markeredgecolor": "black", "markeredgewidth": 2.0} if i == rim else {"markeredgecolor": "white"}
        ax.plot(x, y, "s" if i == query else "o", color=class_color(label), markersize=15, zorder=3, **edge)
        ax.text(
            x, y, name, ha="center", va="center", color=letter_color(label), fontsize=10, fontweight="bold", zorder=4
        )
    return ax


@checked(positive=between(0, 4), margin=at_least(0))
def borders(positive: float, margin: float) -> tuple[float, float]:
    """Degrees from the anchor at which the hard and the semi-hard zone end, on the circle.

    Args:
        positive: Squared distance between anchor and positive, in [0, 4].
        margin: In squared distance, >= 0.
    """
    ends = (max(-1.0, 1 - squared / 2) for squared in (positive, positive + margin))
    hard, semihard = (math.degrees(math.acos(cosine)) for cosine in ends)
    return hard, semihard


@checked(positive=between(0, 4), margin=at_least(0))
def zones(ax: Axes, anchor: float, positive: float, margin: float) -> dict[str, Line2D]:
    """Three arcs outside the circle: where a negative would be hard, semi-hard or easy.

    Args:
        ax: With the circle.
        anchor: Its direction in degrees.
        positive: Squared distance between anchor and positive.
        margin: In squared distance.

    Returns:
        The arcs by kind, for ``move_zones``.
    """
    lines = {
        kind: ax.plot([], [], color=color, linewidth=7, solid_capstyle="butt", zorder=2)[0]
        for kind, color in KINDS.items()
    }
    move_zones(lines, anchor, positive, margin)
    return lines


@checked(positive=between(0, 4), margin=at_least(0))
def move_zones(lines: Mapping[str, Line2D], anchor: float, positive: float, margin: float) -> None:
    """Lay the arcs anew; see ``zones``."""
    _check_kinds(lines=lines)
    hard, semihard = borders(positive, margin)
    pieces = {
        "hard": [(-hard, hard)],
        "semi-hard": [(-semihard, -hard), (hard, semihard)],
        "easy": [(semihard, 360 - semihard)],
    }
    for kind, spans in pieces.items():
        # Not a number lifts the pen between the two pieces of a zone.
        angles = np.concatenate([[*np.linspace(low, high, 60), np.nan] for low, high in spans if high > low] or [[]])
        angles = np.radians(angles + anchor)
        lines[kind].set_data(ZONE_RADIUS * np.cos(angles), ZONE_RADIUS * np.sin(angles))


@checked(positive=at_least(1), margin=at_least(0))
def named_zones(
    ax: Axes, degrees: Sequence[float], labels: Sequence[int], names: Sequence[str], *, positive: int, margin: float
) -> Axes:
    """The circle with its samples, the first of them the anchor, and the zones around it, each named beside its arc.

    Args:
        ax: Where to draw.
        degrees: Where the samples are.
        labels: Their classes.
        names: Their names.
        positive: Which sample is the positive.
        margin: In squared distance.
    """
    check_lengths(degrees=degrees, labels=labels, names=names)
    check_below(len(names), "samples", positive=positive)
    apart = float((on_circle(degrees[0]) - on_circle(degrees[positive])).square().sum())
    zones(unit_circle(ax, reach=1.45), degrees[0], apart, margin)
    samples(ax, degrees, labels, names, query=0, rim=positive)
    hard, semihard = borders(apart, margin)
    for name, angle in {"hard": -hard / 2, "semi-hard": -(hard + semihard) / 2, "easy": -120}.items():
        place = (1.24 * on_circle(degrees[0] + angle)).tolist()
        ax.annotate(name, place, ha="left" if place[0] > 0 else "right", va="center")
    return ax


@checked(gaps=finite)
def gap_counts(gaps: Float[Tensor, " T"], edges: np.ndarray, margin: float) -> dict[str, np.ndarray]:
    """Triplets of each kind in each bin of the gap d(a, n) - d(a, p): hard up to 0, semi-hard below the margin."""
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise bad_input(
            "edges", "increase", f"an array of shape {edges.shape}", "Pass np.linspace(low, high, bins + 1)."
        )
    found = gaps.numpy()
    hard, active = found <= 0, (found < margin) | (found <= 0)
    members = {"hard": hard, "semi-hard": active & ~hard, "easy": ~active}
    return {kind: np.histogram(found[chosen], bins=edges)[0] for kind, chosen in members.items()}


@checked(labels=at_least(0), rankings=at_least(0))
def rows_of_neighbors(ax: Axes, names: Sequence[str], labels: Sequence[int], rankings: Sequence[Sequence[int]]) -> Axes:
    """One row a query: a square for the query, then circles for the others in their order, matches with a black rim.

    Args:
        ax: Where to draw.
        names: Of the N samples.
        labels: Classes of the N samples.
        rankings: For each sample the numbers of the others, nearest first.
    """
    check_lengths(names=names, labels=labels, rankings=rankings)
    for ranking in rankings:
        check_below(len(names), "samples", rankings=max(ranking, default=0))
    for row, ranking in enumerate(rankings):
        for place, j in enumerate([row, *ranking]):
            match = place > 0 and labels[j] == labels[row]
            style = {"markersize": 19, "markeredgewidth": 2.5, "markeredgecolor": "black" if match else "white"}
            ax.plot(place, row, "s" if place == 0 else "o", color=class_color(labels[j]), **style)
            ax.text(place, row, names[j], color=letter_color(labels[j]), ha="center", va="center", fontweight="bold")
    ax.set(xlim=(-0.6, len(names) - 0.4), ylim=(len(names) - 0.4, -0.6))
    ax.set_xticks(range(len(names)), ["query", *map(str, range(1, len(names)))])
    ax.set_yticks([])
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.xaxis.tick_top()
    return ax


@checked(points=finite, labels=at_least(0))
def clusters(ax: Axes, points: Float[Tensor, "N 2"], labels: Int[Tensor, " N"], groups: Int[Tensor, " N"]) -> Axes:
    """Samples in the hue of their class, each cluster on a band of its own with its mean, a grey plus, upon it."""
    check_filled(points=points)
    check_lengths(points=points, labels=labels, groups=groups)
    for group in torch.unique(groups).tolist():
        members = points[groups == group]
        ax.plot(*members.T.tolist(), "o-", color=SHADE, linewidth=38, markersize=38, solid_capstyle="round", zorder=1)
        ax.plot(*members.mean(0).tolist(), "P", color=MIDDLE, markersize=12, markeredgecolor="white", zorder=2)
    for point, label in zip(points.tolist(), labels.tolist(), strict=True):
        ax.plot(*point, "o", color=class_color(label), markersize=15, markeredgecolor="white", zorder=3)
    return ax


@checked
def shares(ax: Axes, steps: Sequence[float], by_kind: Mapping[str, Sequence[float]]) -> Axes:
    """Areas that fill 0 to 1 at each step, the kind named in its area at the right end.

    Args:
        ax: Where to draw.
        steps: Places on the horizontal axis.
        by_kind: Shares of the triplets for the kinds of ``KINDS``, which sum to 1 at each step.
    """
    check_filled(steps=steps)
    _check_kinds(by_kind=by_kind)
    for values in by_kind.values():
        check_lengths(steps=steps, by_kind=values)
    ax.stackplot(steps, [by_kind[kind] for kind in KINDS], colors=list(KINDS.values()), linewidth=0)
    ax.set(xlim=(steps[0], steps[-1]), ylim=(0, 1))
    last = [by_kind[kind][-1] for kind in KINDS]
    middles = np.cumsum(last) - np.array(last) / 2
    names = [f"{kind} {100 * share:.0f} %" for kind, share in zip(KINDS, last, strict=True)]
    name_ends(ax, dict(zip(names, middles.tolist(), strict=True)), apart=0.08, colors=[BLACK], fontsize=10)
    return ax


def _check_kinds(**by_kind: Mapping[str, object]) -> None:
    for name, values in by_kind.items():
        if values.keys() != KINDS.keys():
            raise bad_input(name, f"have the keys {', '.join(KINDS)}", ", ".join(values) or "none", "Give all three.")
