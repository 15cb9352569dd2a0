"""Drawings of chapter 03 that compute what they show: similarities along a way, and what scale, gamma, margin do."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from torch.nn import functional as F

from dmlbook._checks import above, at_least, bad_input, between, check_filled, check_lengths, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.book.circle import on_circle
from dmlbook.book.figures import tiles
from dmlbook.book.lines import MIDDLE, PALE, named_lines
from dmlbook.chapters.ch03.figures import slope_bars
from dmlbook.chapters.ch03.theory import similarity_gradient
from dmlbook.datasets import birds
from dmlbook.losses import hardtriple_similarity, logsumexp_similarity, softtriple_similarity

APART = 0.08
"""Least distance of two labels at the ends of ``four_similarities``' lines."""


def _along(directions: Tensor, centers: Sequence[float]) -> Tensor:
    """Cosines (N, 1, K) of directions in degrees and the centers of one class."""
    return torch.einsum("nd,ckd->nck", on_circle(directions), on_circle(list(centers))[None]).double()


@checked(gammas=above(0), centers=finite)
def kink_and_jump(
    left: Axes, right: Axes, gammas: Sequence[float] = (0.1, 0.3), *, centers: Sequence[float] = (-40.0, 40.0)
) -> tuple[Axes, Axes]:
    """Similarity to a class of an image that travels over half the circle, and its slope: HardTriple and SoftTriple.

    Args:
        left: For the similarities.
        right: For their slopes.
        gammas: Of SoftTriple, a line each.
        centers: Directions of the class's centers, in degrees.
    """
    check_filled(centers=centers)
    travel = torch.linspace(-90, 90, 1801)
    similar = _along(travel, centers)
    rise = {"HardTriple": hardtriple_similarity(similar)[:, 0]}
    rise |= {f"SoftTriple, gamma {gamma:g}": softtriple_similarity(similar, gamma=gamma)[:, 0] for gamma in gammas}
    slopes = {name: torch.gradient(line, spacing=math.radians(0.1))[0] for name, line in rise.items()}
    for ax, lines, name, limits in zip(
        (left, right), (rise, slopes), ("similarity", "slope"), ((0.4, 1.05), (-0.9, 1.5)), strict=True
    ):
        ax.set(xlim=(-90, 90), ylim=limits, xticks=(-80, -40, 0, 40, 80), ylabel=name)
        ax.set_xlabel("direction of the image in degrees")
        named_lines(ax, travel, lines, legend=name)
    return left, right


@checked(cosines=finite, low=above(0))
def four_similarities(ax: Axes, cosines: Float[Tensor, " K"], *, low: float = 0.005) -> Axes:
    """S', V, the largest and the mean cosine of one image and one class, against gamma from ``low`` to 1."""
    if low >= 1:
        raise bad_input("low", "be below 1", low, "Gamma is drawn up to 1.")
    check_filled(cosines=cosines)
    gammas = torch.logspace(math.log10(low), 0, 200)
    sample, flat = cosines[None, None], torch.ones(200)
    soft, value = (
        torch.cat([similarity(sample, gamma=float(gamma))[0] for gamma in gammas])
        for similarity in (softtriple_similarity, logsumexp_similarity)
    )
    lines = {"S', expected": soft, "V, log-sum-exp": value}
    lines |= {"closest center": cosines.max() * flat, "mean": cosines.mean() * flat}
    ax.set(xscale="log", xlim=(low, 1), xlabel="gamma", ylabel="similarity to the class")
    ax.set_ylim(float(cosines.mean()) - 0.1, float(value.max()) + 0.15)
    ax.axhline(1, color=PALE, linewidth=1)
    ax.annotate("largest possible cosine", (1.25 * low, 1.03), color=MIDDLE)
    named_lines(ax, gammas, lines, apart=APART)
    return ax


@checked(scales=above(0), margin=finite, gammas=above(0), centers=finite)
def three_jobs(
    left: Axes,
    right: Axes,
    *,
    scales: Sequence[float] = (5, 20, 100),
    margin: float = 0.4,
    gammas: Sequence[float] = (0.01, 0.3, 1, 10),
    centers: Sequence[float] = (0.0, 120.0),
) -> tuple[Axes, Axes]:
    """Left the loss of two classes against the win, divided by the scale; right S' around the circle.

    Args:
        left: For the losses.
        right: For the similarity.
        scales: A line each; the middle one is drawn with a margin too.
        margin: Of that further line.
        gammas: A line each.
        centers: Directions of the class's centers, in degrees.
    """
    check_filled(scales=scales, centers=centers)
    win = torch.linspace(-0.5, 1.0, 301)
    middle = scales[len(scales) // 2]
    lines = {f"{scale:g}": F.softplus(-scale * win) / scale for scale in scales}
    lines[f"{middle:g}, margin {margin:g}"] = F.softplus(-middle * (win - margin)) / middle
    named_lines(left, win, lines, legend="scale")
    left.set(xlim=(-0.5, 1), ylim=(0, 0.8), xlabel="win", ylabel="loss / scale")
    around = torch.arange(-180.0, 181)
    similar = _along(around, centers)
    fields = {f"{gamma:g}": softtriple_similarity(similar, gamma=gamma)[:, 0] for gamma in gammas}
    named_lines(right, around, fields, legend="gamma")
    where = " and ".join(f"{center:g}" for center in centers)
    right.set(xlim=(-180, 180), xticks=range(-180, 181, 60), ylim=(-1.05, 1.05), yticks=(-1, 0, 1), ylabel="S'")
    right.set_xlabel(f"image's direction; centers at {where} degrees")
    return left, right


@checked(class_of=at_least(0), classes=between(1, 100), size=between(8, 512))
def merged_birds(ax: Axes, class_of: Int[Tensor, " S"], *, classes: int = 3, size: int = 96) -> Axes:
    """Drawn birds, a row a class: each of its species perched and in flight.

    Args:
        ax: Where to draw.
        class_of: The class of each species; all of those shown hold as many.
        classes: How many are shown, the first ones.
        size: Pixels of a picture's side.
    """
    rows = [(class_of == c).nonzero().flatten().tolist() for c in range(classes)]
    check_filled(class_of=rows[0])
    for row in rows[1:]:
        check_lengths(first_class=rows[0], another=row)
    shown = [birds.draw(species, pose, size=size) for row in rows for species in row for pose in ("perched", "flying")]
    return tiles(ax, torch.stack(shown), columns=2 * len(rows[0]))


@checked(cosines=finite, gamma=above(0))
def pushed_below(ax: Axes, cosines: Float[Tensor, " K"], *, gamma: float = 0.1) -> Axes:
    """The slope of S' for each center at its cosine, and a line at S' minus gamma, left of which it is negative."""
    check_filled(cosines=cosines)
    sample = cosines[None, None]
    slope_bars(ax, cosines, similarity_gradient(sample, gamma=gamma)[0, 0])
    level = softtriple_similarity(sample, gamma=gamma).item() - gamma
    ax.axvline(level, color=MIDDLE, linestyle=":")
    beside = {"xytext": (-5, 0), "textcoords": "offset points", "ha": "right"}
    ax.annotate("S' - gamma", (level, 0.22), color=MIDDLE, **beside)
    ax.set(xlabel="cosine of image and center", ylabel="slope of S'")
    return ax
