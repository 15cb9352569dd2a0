"""Figures of chapter 02: an image among its centers, the weights of its triplets, the limits of the scale, margins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from dmlbook._checks import (
    above,
    at_least,
    bad_input,
    between,
    check_below,
    check_filled,
    checked,
    finite,
)
from dmlbook._types import Float, Int, Tensor
from dmlbook.book.circle import unit_circle
from dmlbook.book.figures import class_color, class_colors
from dmlbook.book.lines import MIDDLE, PALE, SHADE, SOFT, dots, named_lines

LOGARITHM = between(-9, 9, "The axis is drawn from 10**low to 10**high.")


@checked(image=finite, centers=finite, label=at_least(0))
def image_and_centers(
    ax: Axes, image: Float[Tensor, " 2"], centers: Float[Tensor, "C 2"], label: int, *, names: bool = True
) -> list[Artist]:
    """An image (circle, in the color of its class) and the center of each class (X) on the unit circle."""
    check_below(len(centers), "centers", label=label)
    colors = class_colors(len(centers))
    marks = [ax.plot(*image.tolist(), "o", color=colors[label], markersize=12, zorder=4)[0]]
    for c, center in enumerate(centers.tolist()):
        marks += ax.plot(*center, "X", color=colors[c], markersize=13, markeredgecolor="white", zorder=3)
        if names:
            own = ", its own" if c == label else ""
            marks.append(ax.annotate(f"$w_{c}${own}", center, xytext=(9, 5), textcoords="offset points"))
    if names:
        place = {"xytext": (10, -4), "textcoords": "offset points"}
        marks.append(ax.annotate("image $x$", image.tolist(), **place))
    return marks


@checked(weights=finite, label=at_least(0))
def weight_bars(ax: Axes, weights: Float[Tensor, " C"], *, label: int, numbers: bool = True) -> Axes:
    """The weight p of each triplet as a bar over its center."""
    bars = ax.bar(range(len(weights)), weights.tolist(), color=class_colors(len(weights)), width=0.7)
    if numbers:
        ax.bar_label(bars, [f"{value:.2f}" for value in weights.tolist()], fontsize=10, padding=2)
    names = [f"$w_{c}$" + ("\nown" if c == label else "") for c in range(len(weights))]
    ax.set_xticks(range(len(weights)), names)
    ax.set(ylim=(0, 1.12), yticks=[0, 0.5, 1])
    ax.tick_params(axis="x", length=0)
    return ax


@checked(weights=finite)
def triangle(weights: Float[Tensor, "N 3"]) -> tuple[np.ndarray, np.ndarray]:
    """Distributions over three classes as points of a triangle, across and up: class 0 left, 1 right, 2 on top."""
    p = weights.double().numpy()
    return p[:, 1] + p[:, 2] / 2, p[:, 2] * math.sqrt(3) / 2


@checked(violations=finite, scale=above(0, up_to=1e6), path=finite, rows=between(2, 1000))
def weight_triangle(
    ax: Axes, violations: Float[Tensor, " 3"], *, scale: float, path: Float[Tensor, "T 3"], rows: int = 90
) -> Axes:
    """The objective over all weights of three triplets as level lines, a path to its top, and the top: softmax."""
    steps = torch.arange(rows + 1, dtype=torch.float64) / rows
    grid = torch.stack([torch.stack([1 - a - b, a, b]) for a in steps for b in steps if a + b <= 1 + 1e-9]).clamp(min=0)
    height = (scale * grid @ violations.double() + torch.special.entr(grid).sum(1)).numpy()
    levels = np.linspace(height.min(), height.max(), 16)
    ax.tricontourf(*triangle(grid), height, levels=levels, cmap="Greys_r", alpha=0.55)
    ax.tricontour(*triangle(grid), height, levels=levels, colors=SOFT, linewidths=0.5, linestyles="-")
    ax.plot(*triangle(path), ".-", color="black", markersize=5, linewidth=1.2)
    top = torch.softmax(scale * violations.double(), 0)
    ax.plot(*triangle(torch.eye(3)[[0, 1, 2, 0]]), color=SOFT, linewidth=0.8)  # the corners stay visible
    ax.plot(*triangle(top[None]), "D", color="none", markeredgecolor="black", markersize=8, zorder=4)
    for c, (place, where) in enumerate([((0, 0), (0, -20)), ((1, 0), (0, -20)), ((0.5, 0.866), (0, 7))]):
        ax.annotate(f"all on $w_{c}$", place, xytext=where, textcoords="offset points", ha="center")
    ax.set(aspect="equal", xticks=[], yticks=[], xlim=(-0.12, 1.12), ylim=(-0.14, 1.0))
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


@checked(violations=finite, low=LOGARITHM, high=LOGARITHM)
def limits(ax: Axes, violations: Float[Tensor, " C"], *, low: float = 0.0, high: float = 3.0) -> Axes:
    """Loss / scale over the scale, from the hardest violation to log(C) / scale above it; scales 10^low to 10^high."""
    scales, top = torch.logspace(low, high, 200, dtype=torch.float64), float(violations.max())
    smooth = (torch.logsumexp(scales[:, None] * violations.double(), 1) / scales).numpy()
    scales = scales.numpy()
    ax.fill_between(scales, top, top + math.log(len(violations)) / scales, color=SHADE, linewidth=0)
    ax.plot(scales, smooth, color="black", linewidth=2)
    ax.axhline(top, color=MIDDLE, linestyle="--", linewidth=1.2)
    away = {"textcoords": "offset points", "ha": "right", "va": "top"}
    ax.annotate("hardest violation", (10**high, top), xytext=(-4, -4), **away)
    shaded = rf"shaded: up to $\log({len(violations)})/\lambda$ above it"
    ax.annotate(shaded, (0.12, 0.55), xycoords="axes fraction")
    ax.set(xscale="log", xlim=(10**low, 10**high), xlabel=r"scale $\lambda$", ylabel=r"loss / $\lambda$")
    ax.set(title=r"Loss / $\lambda$ falls onto the hardest violation", ylim=(0, top + 1.04 * math.log(len(violations))))
    return ax


@checked(by_name=finite, low=LOGARITHM, high=LOGARITHM)
def gaps(ax: Axes, by_name: Mapping[str, Float[Tensor, " C"]], *, low: float = -1.0, high: float = 3.0) -> Axes:
    """For each image lambda times its gap, loss / lambda - hardest violation, over lambda; named at the line's end."""
    for violations in by_name.values():
        check_filled(by_name=violations)
    scales = torch.logspace(low, high, 200, dtype=torch.float64)
    ax.set(xscale="log", xlabel=r"scale $\lambda$", ylabel=r"$\lambda$ × gap")
    below = {name: violations.double() - violations.max() for name, violations in by_name.items()}
    return named_lines(ax, scales, {name: torch.logsumexp(scales[:, None] * v, 1) for name, v in below.items()})


@checked(points=finite, labels=at_least(0), centers=finite)
def flat_embedding(
    ax: Axes,
    points: Float[Tensor, "N 2"],
    labels: Int[Tensor, " N"],
    centers: Float[Tensor, "C 2"],
    *,
    names: Sequence[str] = (),
    away: float = 1.0,
) -> Axes:
    """Points of two dimensions in the colors of their classes, with a line from the origin to each center's X.

    A class's name stands at the mean of its points, or ``away`` times as far from the origin.
    """
    check_below(len(centers), "centers", labels=labels)
    if len(names) > len(centers):
        raise bad_input("names", f"be of at most {len(centers)} classes", len(names), "Give one a center, or none.")
    for c, color in enumerate(class_colors(len(centers))):
        ax.plot(*points[labels == c].T.tolist(), "o", color=color, markersize=3.5, alpha=0.35, markeredgewidth=0)
    for center, color in zip(centers.tolist(), class_colors(len(centers)), strict=True):
        ax.plot([0, center[0]], [0, center[1]], color=color, linewidth=1)
        ax.plot(*center, "X", color=color, markersize=11, markeredgecolor="white")
    for c, name in enumerate(names):
        place = (away * points[labels == c].mean(0)).tolist()
        ax.annotate(name, place, ha="center", va="center", fontsize=14, fontweight="bold", zorder=5)
    ax.set(aspect="equal")
    return ax


@checked(radius=between(0, 2), start=between(-2, 2), stop=between(-2, 2))
def guarantees(ax: Axes, *, radius: float, start: float = -0.6, stop: float = 1.6) -> Axes:
    """Over the margin delta: the bound delta - 2 eps as a dashed line, and the sharp one as a full one."""
    margin = np.linspace(start, stop, 200)
    angle = np.arcsin(margin / 2) - 2 * math.asin(radius / 2)
    ax.plot(margin, 2 * np.sin(np.maximum(angle, -math.pi / 2)), color="black", linewidth=1.8)
    ax.plot(margin, margin - 2 * radius, color=MIDDLE, linestyle="--", linewidth=1.5)
    return ax


@checked(radius=between(0, 2), starts=finite, ends=finite)
def attacked(
    ax: Axes, starts: Sequence[Float[Tensor, " S"]], ends: Sequence[Float[Tensor, " S"]], *, radius: float
) -> Axes:
    """Gaps over margins where searches began, in grey, and where every twelfth ended, and both bounds.

    Args:
        ax: Where to draw.
        starts: Margins and gaps at the start.
        ends: Margins and gaps at the end.
        radius: eps of the searches.
    """
    ax.plot(*starts, ".", color=PALE, markersize=5)
    ax.plot(*(values[::12] for values in ends), "o", color="black", markersize=5)  # all of them would hide the line
    guarantees(ax, radius=radius, start=-1.2, stop=1.9)
    ax.set(xlim=(-1.3, 2.0), ylim=(-2.0, 1.8), xlabel=r"margin $\delta$ over the centers")
    ax.set(ylabel="gap between the examples", title="Nothing gets below, and the search gets there")
    ax.annotate("random starts", (-0.3, 1.0), color=MIDDLE, ha="center")
    ax.annotate(r"dashed: $\delta - 2\varepsilon$", (0.85, -0.45), color=MIDDLE)
    ax.annotate("line: (2.16); dots: ends", (0.4, -0.95))
    return ax


@checked
def guarantees_and_leads(
    axes: Sequence[Axes],
    sure: Mapping[str, Sequence[float]],
    one_rate: Mapping[str, Sequence[float]],
    own_rates: Mapping[str, Sequence[float]],
) -> Sequence[Axes]:
    """Three panels of dots: the guaranteed share by scale, and leads of lambda 20 with one rate and with own rates."""
    if len(axes) != 3:
        raise bad_input("axes", "be three", len(axes), "Guarantees, one rate, own rates.")
    dots(axes[0], sure)
    axes[0].set(title=r"$\lambda = 20$ guarantees nothing", xlabel="guaranteed, percent", xlim=(-30, 130))
    titles = "One rate: 20 leads", "Own rates: no lead over 1"
    for ax, leads, title in zip(axes[1:], (one_rate, own_rates), titles, strict=True):
        dots(ax, leads)
        ax.axvline(0, color=PALE, zorder=0)
        ax.set(title=title, xlabel=r"lead of $\lambda = 20$, points", xlim=(-8, 20))
    axes[2].tick_params(labelleft=False)
    return axes


@checked(points=finite)
def worst_case(ax: Axes, points: Sequence[Float[Tensor, " 2"]]) -> Axes:
    """Image, own center, example near it, other center, example near it, on the unit circle, with the turns drawn."""
    if len(points) != 5:
        raise bad_input("points", "be five", len(points), "Image, own center, example, other center, example.")
    unit_circle(ax, reach=1.45)
    image, own, near_own, other, near_other = (point.tolist() for point in points)
    for center, example, color, names in (
        (own, near_own, class_color(0), ("$w_{y}$", "$x_j$")),
        (other, near_other, class_color(1), ("$w_{k}$", "$x_k$")),
    ):
        ax.plot(*center, "X", color=color, markersize=12, markeredgecolor="white", zorder=3)
        ax.plot(*example, "o", color=color, markersize=9, zorder=3)
        ax.annotate("", example, center, arrowprops={"arrowstyle": "->", "color": "black", "shrinkA": 7, "shrinkB": 6})
        middle = [0.43 * (a + b) for a, b in zip(center, example, strict=True)]
        ax.annotate(r"$\varepsilon$", middle, ha="center", va="center")
        for place, name in zip((center, example), names, strict=True):
            ax.annotate(name, (1.22 * place[0], 1.22 * place[1]), ha="center", va="center")
    ax.plot(*image, "o", color=class_color(0), markersize=12, zorder=3)
    ax.annotate("$x_i$", (1.2 * image[0], 1.2 * image[1]), ha="center", va="center")
    return ax


@checked(own=between(-180, 180), other=between(-180, 180), radius=between(0, 1))
def margin_and_radius(ax: Axes, *, own: float, other: float, radius: float) -> Axes:
    """What margin and radius leave, seen from an image in the east: a point's similarity is how far right it lies.

    Args:
        ax: Where to draw.
        own: Angle of the own center, in degrees.
        other: Angle of the other center.
        radius: Of the discs around both, in which examples may lie.
    """
    unit_circle(ax, reach=1.4)
    ax.set(ylim=(-2.05, 1.4))
    right, low, arrow = [], (-1.45, -1.85), {"arrowstyle": "<->", "color": "black", "shrinkA": 0, "shrinkB": 0}
    for number, (degrees, names) in enumerate(((own, ("$w_{y_i}$", "$x_j$")), (other, ("$w_{y_k}$", "$x_k$")))):
        color, angle = class_color(number), math.radians(degrees)
        x, y = math.cos(angle), math.sin(angle)
        right.append(x)
        ax.add_patch(Circle((x, y), radius, facecolor=color, alpha=0.15, edgecolor=color))
        ax.plot(x, y, "X", color=color, markersize=12, markeredgecolor="white", zorder=3)
        turn = 2 * math.asin(0.42 * radius)  # the own example away from the image, the other towards it
        moved = angle + math.copysign(turn, degrees) * (1 if number == 0 else -1)
        example = math.cos(moved), math.sin(moved)
        ax.plot(*example, "o", color=color, markersize=8, zorder=3)
        for name, place, away in ((names[0], (x, y), 1.13 + radius), (names[1], example, 1.15)):
            ax.annotate(name, (away * place[0], away * place[1]), ha="center", va="center")
        inner = x - radius if number == 0 else x + radius
        for place, end, style in ((x, low[0], "--"), (inner, low[1], ":")):
            ax.plot([place, place], [y, end], color=SOFT, linewidth=1, linestyle=style, zorder=0)
        ax.plot([x, x, inner], [y, y, y], color="black", linewidth=1)
        ax.annotate(r"$\varepsilon$", ((x + inner) / 2, y - math.copysign(0.08, degrees)), ha="center", va="center")
    ends = (right[1], right[0]), (right[1] + radius, right[0] - radius)
    texts = (r"$\delta$", r"$\delta - 2\varepsilon$")
    for (start, stop), height, text in zip(ends, low, texts, strict=True):
        ax.annotate("", (stop, height), (start, height), arrowprops=arrow)
        ax.annotate(text, ((start + stop) / 2, height), xytext=(0, 4), textcoords="offset points", ha="center")
    ax.plot(1, 0, "o", color=class_color(0), markersize=12, zorder=3)
    ax.annotate("$x_i$", (1.16, 0), ha="center", va="center")
    return ax
