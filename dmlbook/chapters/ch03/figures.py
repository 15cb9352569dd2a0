"""Figures of chapter 03: images and several centers a class on a circle, who wins where, and how centers move."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib import colors as mpl_colors
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.ticker import PercentFormatter
from scipy.stats import binomtest

from dmlbook._checks import (
    at_least,
    bad_input,
    between,
    check_below,
    check_filled,
    check_lengths,
    check_number,
    checked,
    finite,
)
from dmlbook._types import Float, Int, Tensor
from dmlbook.book.circle import CENTER_RADIUS, center_marks, degrees_of, image_marks, on_circle, unit_circle
from dmlbook.book.figures import class_colors
from dmlbook.book.lines import BLACK, PALE, SOFT

RING = (1.14, 1.3)
"""Inner and outer radius of the ring of winners."""
NUMBERS = 1.22
"""Radius at which each sector of the ring says whose it is: its middle."""
EDGE = 3
"""Width in points of the ring's inner edge."""
SHADES = {"least": 0.12, "most": 0.8, "full": 0.5}
"""How strong the ring's color is where a class hardly wins, and where it wins by ``full`` or more."""

BARS = ({"color": BLACK}, {"color": "white", "hatch": "////"}, {"color": PALE})
"""How the methods of ``failed_starts`` are filled."""


@checked(class_similarities=finite)
def winner_hues(class_similarities: Float[Tensor, "N C"]) -> np.ndarray:
    """A color a row, (N, 3): that of the most similar class."""
    if class_similarities.shape[1] == 0:
        raise bad_input("class_similarities", "be to a class or more", "none", "Give a column a class.")
    hues = np.array([mpl_colors.to_rgb(name) for name in class_colors(class_similarities.shape[1])])
    return hues[class_similarities.topk(1, dim=1).indices[:, 0].numpy()]


@checked(class_similarities=finite)
def winner_colors(class_similarities: Float[Tensor, "N C"]) -> np.ndarray:
    """A color a row, (N, 3): that of the most similar class, paler the less it wins, see ``SHADES``."""
    if class_similarities.shape[1] < 2:
        raise bad_input("class_similarities", "be to two classes or more", class_similarities.shape[1], "Who wins?")
    best = class_similarities.topk(2, dim=1).values
    win = ((best[:, :1] - best[:, 1:]) / SHADES["full"]).clamp(max=1).numpy()
    strength = SHADES["least"] + (SHADES["most"] - SHADES["least"]) * win
    return 1 - strength * (1 - winner_hues(class_similarities))


class Ring(NamedTuple):
    """Around the circle: the directions of the pieces, the pieces, and the edge of each at the inside."""

    directions: Float[Tensor, "N 2"]
    pieces: PolyCollection
    edges: LineCollection

    @checked(class_similarities=finite)
    def paint(self, class_similarities: Float[Tensor, "N C"]) -> None:
        """Color the pieces by ``winner_colors``; the edges keep the full hue, by which the palest piece is known."""
        check_lengths(directions=self.directions, class_similarities=class_similarities)
        self.pieces.set_facecolor(winner_colors(class_similarities))
        self.edges.set_color(winner_hues(class_similarities))


@checked(pieces=between(3, 10_000))
def ring(ax: Axes, pieces: int = 120) -> Ring:
    """An empty ring around the circle, to be painted."""
    ends = 2 * math.pi * (np.arange(pieces + 1) - 0.5) / pieces
    rim = list(itertools.pairwise(np.stack([np.cos(ends), np.sin(ends)], 1)))
    quads = [np.stack([RING[0] * a, RING[1] * a, RING[1] * b, RING[0] * b]) for a, b in rim]
    drawn = ax.add_collection(PolyCollection(quads, linewidth=0.4, edgecolor="face"))
    edges = [np.stack([RING[0] * a, RING[0] * b]) for a, b in rim]
    lines = ax.add_collection(LineCollection(edges, linewidth=EDGE, capstyle="butt"))
    return Ring(on_circle(torch.arange(pieces) * 360.0 / pieces), drawn, lines)


@checked(winners=at_least(0))
def sectors(winners: Sequence[int]) -> list[tuple[int, float]]:
    """Runs of one winner around a ring of evenly spaced pieces: whose each is, and the direction of its middle.

    Args:
        winners: Of each piece, from 0 degrees on against the clock; the last is beside the first.

    Example:
        >>> sectors([0, 0, 1, 1, 1, 0, 0, 0])  # class 0 from 202.5 to 67.5 degrees, class 1 the rest
        [(0, 315.0), (1, 135.0)]
    """
    check_filled(winners=winners)
    starts = [place for place, winner in enumerate(winners) if winner != winners[place - 1]] or [0]
    ends = [*starts[1:], starts[0]]
    lengths = [(end - start - 1) % len(winners) + 1 for start, end in zip(starts, ends, strict=True)]
    middles = [(start + (length - 1) / 2) % len(winners) for start, length in zip(starts, lengths, strict=True)]
    return sorted((winners[start], 360 * middle / len(winners)) for start, middle in zip(starts, middles, strict=True))


@checked(images=finite, labels=at_least(0), centers=finite)
def class_circle(
    ax: Axes,
    images: Float[Tensor, "B 2"],
    labels: Int[Tensor, " B"],
    centers: Float[Tensor, "C K 2"],
    similarity: Callable[[Tensor], Tensor] | None = None,
) -> Axes:
    """Images (circles), the centers of each class (X, on spokes), and around them a ring in the winning class's color.

    In the middle of each sector of the ring stands the number of its class, for those who see no hue.

    Args:
        ax: Where to draw.
        images: Unit vectors.
        labels: Their class numbers.
        centers: Unit vectors.
        similarity: From cosines (N, C, K) to class similarities (N, C), for the ring; None: no ring.
    """
    check_below(len(centers), "centers", labels=labels)
    unit_circle(ax, reach=1.36 if similarity else 1.12)
    colors = class_colors(len(centers))
    if similarity:
        around = ring(ax)
        similar = similarity(torch.einsum("nd,ckd->nck", around.directions.to(centers.dtype), centers))
        around.paint(similar)
        for winner, degrees in sectors(similar.argmax(1).tolist()):
            place = NUMBERS * on_circle(degrees)
            ax.annotate(str(winner), place.tolist(), ha="center", va="center", fontsize=10, color="black")
    for color, of_class in zip(colors, centers, strict=True):
        spokes = [[(0, 0), end] for end in CENTER_RADIUS * of_class.numpy()]
        ax.add_collection(LineCollection(spokes, color=color, linewidth=1, alpha=0.5))
    center_marks(ax, centers)
    image_marks(ax, images, labels)
    return ax


@checked(centers=finite, turns=finite)
def arrow_segments(centers: Float[Tensor, "M 2"], turns: Float[Tensor, " M"]) -> list[np.ndarray]:
    """Arrows along the circle, as lines: from each center through ``turns`` degrees, with a head; short ones vanish."""
    start = degrees_of(centers)
    segments = []
    for angle, turn in zip(start.tolist(), turns.tolist(), strict=True):
        if abs(turn) < 0.5:
            segments.append(np.zeros((2, 2)))
            continue
        # Where the distance allows it the arrow begins beside the marker, and its head is as long as 7 degrees.
        way = np.deg2rad(np.linspace(angle, angle + turn, 16))
        shaft = (CENTER_RADIUS + 0.12) * np.stack([np.cos(way), np.sin(way)], 1)
        back = way[-1] - math.copysign(min(math.radians(7), abs(way[-1] - way[0])), turn)
        barb = [(CENTER_RADIUS + 0.12 + side) * np.array([math.cos(back), math.sin(back)]) for side in (0.055, -0.055)]
        segments.append(np.concatenate([shaft, barb[:1], shaft[-1:], barb[1:]]))
    return segments


@checked(centers=finite, turns=finite)
def center_arrows(ax: Axes, centers: Float[Tensor, "C K 2"], turns: Float[Tensor, "C K"]) -> LineCollection:
    """How far each center turns, in degrees, against the clock; drawn along the circle."""
    segments = arrow_segments(centers.flatten(0, 1), turns.flatten())
    return ax.add_collection(LineCollection(segments, color="black", linewidth=1.8, zorder=5))


@checked(degrees=finite, losses=finite)
def loss_map(ax: Axes, degrees: Float[Tensor, " N"], losses: Float[Tensor, "N N"]) -> Axes:
    """A loss over the directions of two centers: the darker the lower, with its valley and its least value marked.

    Args:
        ax: Where to draw.
        degrees: Directions of either center, evenly from 0 to 360.
        losses: First axis: the direction of center 0, drawn across; second: that of center 1, drawn up.
    """
    if len(degrees) < 2:
        raise bad_input("degrees", "be two or more", len(degrees), "Pass torch.linspace(0, 360, N).")
    half = 180 / (len(degrees) - 1)  # a pixel's middle, not its corner, is where its loss was taken
    extent = (-half, 360 + half, -half, 360 + half)
    shown = ax.imshow(losses.T.numpy(), origin="lower", extent=extent, cmap="Greys_r", interpolation="bicubic")
    ax.contour(degrees, degrees, losses.T, levels=[1.5, 3, 6, 9], colors="white", linewidths=0.8)
    bar = ax.figure.colorbar(shown, ax=ax, label="loss", shrink=0.85)
    least = float(losses.min())
    bar.ax.annotate(f"{least:.2f}", (1.0, least), xytext=(4, 0), textcoords="offset points", va="center")
    bar.set_ticks([tick for tick in bar.get_ticks() if least + 1 < tick <= float(losses.max())])
    ax.plot([0, 360], [0, 360], color="white", linewidth=1.2, linestyle=":")
    ax.set(xlim=(0, 360), ylim=(0, 360), xticks=range(0, 361, 90), yticks=range(0, 361, 90), aspect="equal")
    ax.set(xlabel="direction of $w_0$ in degrees", ylabel="direction of $w_1$ in degrees")
    return ax


@checked(similarities=finite, slopes=finite)
def slope_bars(ax: Axes, similarities: Float[Tensor, " K"], slopes: Float[Tensor, " K"]) -> Axes:
    """For each center, at its cosine, the slope of the class similarity: pulled above the line, pushed below it."""
    pushed = slopes < 0
    for chosen, color in ((~pushed, BLACK), (pushed, SOFT)):
        ax.vlines(similarities[chosen], 0, slopes[chosen], color=color, linewidth=5)
    ax.axhline(0, color="black", linewidth=0.8)
    return ax


@checked
def failed_starts(ax: Axes, failed: Mapping[str, Mapping[int, tuple[int, int]]]) -> Axes:
    """Share of random starts that end badly at each K: a bar a method, with its count and Wilson's 95 percent interval.

    Args:
        ax: Where to draw.
        failed: For each method and each K how many starts failed, and of how many.
    """
    check_filled(failed=failed)
    for counts in failed.values():
        if counts.keys() != next(iter(failed.values())).keys():
            raise bad_input("failed", "have the same K under each method", list(counts), "Try them all.")
        for bad, runs in counts.values():
            check_number(low=1, integer=True, runs=runs)
            check_number(low=0, high=runs, integer=True, failed=bad)
    width, highest = 0.8 / len(failed), 0.0
    for place, (name, counts) in enumerate(failed.items()):
        across = np.arange(len(counts)) + (place - (len(failed) - 1) / 2) * width
        share = np.array([bad / runs for bad, runs in counts.values()])
        found = [binomtest(bad, runs).proportion_ci(method="wilson") for bad, runs in counts.values()]
        ends = np.array([[interval.low, interval.high] for interval in found]).T
        fill = BARS[place % len(BARS)]
        ax.bar(across, share, 0.9 * width, label=name, edgecolor=BLACK, linewidth=0.8, **fill)
        ax.errorbar(across, share, yerr=np.abs(ends - share), fmt="none", ecolor=BLACK, elinewidth=1, capsize=2)
        highest = max(highest, float(ends[1].max()))
        for x, top, (bad, _) in zip(across, ends[1], counts.values(), strict=True):
            ax.annotate(str(bad), (x, top), xytext=(0, 2), textcoords="offset points", ha="center", fontsize=9)
    ax.set_xticks(range(len(next(iter(failed.values())))), list(next(iter(failed.values()))))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.tick_params(axis="x", length=0)
    shared = 0.0 if ax.get_autoscaley_on() else ax.get_ylim()[1]  # by a panel that was drawn before
    ax.set(ylim=(0, max(1.12 * highest, shared)), xlabel="centers a class, K")
    return ax
