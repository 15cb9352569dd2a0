"""Figures of every chapter. Helpers draw on the axes they are given and return them; ``show`` displays a figure."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch.nn import functional as F

from dmlbook._checks import bad_input, checked
from dmlbook._types import Bool, Int, Tensor, UInt8
from dmlbook.datasets.image_set import ImageSet
from dmlbook.records import interval

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
GREYS = ("#000000", "#444444", "#6e6e6e", "#8f8f8f")
WRONG = "#9c9c9c"


def use_style() -> None:
    """petroff10 colors for classes, quiet axes, and sizes that can be read from the last row of a lecture room."""
    plt.style.use("petroff10")
    plt.rcParams.update(
        {
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.titlesize": 12,
            "axes.titlelocation": "left",
            "axes.titlepad": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": False,
            "legend.frameon": False,
        }
    )


@checked
def show(figure: Figure, alt: str) -> None:
    """Display a figure as a PNG that carries its alt text, and close it.

    Args:
        figure: What to show.
        alt: What a reader who cannot see it needs to know: kind of figure, axes, and the finding.

    Raises:
        ValueError: The alt text is shorter than 20 characters.
    """
    from IPython.display import Image, display

    if len(alt.strip()) < 20:
        raise bad_input("alt", "say in a sentence what the figure shows", repr(alt), "Describe it.")
    display(Image(data=png(figure), format="png", alt=alt, width=int(figure.get_size_inches()[0] * 100)))


def png(figure: Figure, *, dpi: int = 100) -> bytes:
    """The figure as PNG bytes; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


def class_colors(count: int) -> list[str]:
    """The colors of the first classes, from the style's cycle, which has ten."""
    return [f"C{c % 10}" for c in range(count)]


def unit_circle(ax: Axes, *, reach: float = 1.3) -> Axes:
    """The unit circle on equal axes without ticks."""
    angles = np.linspace(0, 2 * math.pi, 181)
    ax.plot(np.cos(angles), np.sin(angles), color="#c9c9c9", linewidth=1, zorder=0)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def picture(image_set: ImageSet, index: int) -> UInt8[Tensor, "H W 3"]:
    """One image for the eye, (H, W, 3): photographs get back the shape that they had before they were squeezed."""
    pixels = image_set.images[index]
    if image_set.aspects is not None and image_set.aspects[index] != 1:
        side, aspect = pixels.shape[-1], float(image_set.aspects[index])
        size = (side, round(side * aspect)) if aspect >= 1 else (round(side / aspect), side)
        wide = F.interpolate(pixels[None].float(), size=size, mode="bilinear", antialias=True, align_corners=False)
        pixels = wide[0].round().clamp(0, 255).byte()
    return pixels.permute(1, 2, 0)


@checked
def tiles(ax: Axes, images: UInt8[Tensor, "N 3 S S"], *, columns: int, gap: int = 2) -> Axes:
    """Images side by side in rows of ``columns``, on a white ground.

    Raises:
        ValueError: ``images`` is not (N, 3, S, S).
    """
    rows, side = math.ceil(len(images) / columns), images.shape[-1]
    sheet = torch.full((rows * (side + gap) - gap, columns * (side + gap) - gap, 3), 255, dtype=torch.uint8)
    for place, pixels in enumerate(images):
        top, left = place // columns * (side + gap), place % columns * (side + gap)
        sheet[top : top + side, left : left + side] = pixels.permute(1, 2, 0)
    ax.imshow(sheet.numpy(), interpolation="antialiased")
    ax.set_axis_off()
    return ax


def query_row(
    axes: Iterable[Axes], image_set: ImageSet, query: int, found: Int[Tensor, " K"], *, titles: bool = True
) -> Iterable[Axes]:
    """A query, then the images retrieved for it: framed black where the class is right, crossed out grey where not.

    Args:
        axes: K + 1 of them, in a row.
        image_set: Where the images come from.
        query: Number of the query.
        found: Numbers of the retrieved images (K,), best first.
        titles: Whether to write "query", "1", "2", ... above.
    """
    same = image_set.labels[found] == image_set.labels[query]
    for place, (ax, index) in enumerate(zip(axes, [query, *found.tolist()], strict=True)):
        ax.imshow(picture(image_set, index).numpy(), interpolation="antialiased")
        ax.set(xticks=[], yticks=[])
        right = place == 0 or bool(same[place - 1])
        for spine in ax.spines.values():
            spine.set(visible=True, color="black" if right else WRONG, linewidth=2.5 if right else 1.2)
            spine.set_linestyle("-" if right else (0, (4, 3)))
        if not right:
            width, height = ax.get_xlim()[1], ax.get_ylim()[0]
            ax.add_patch(Rectangle((0, 0), width, height, color="white", alpha=0.12, lw=0))
        if titles:
            name = "query" if place == 0 else f"{place} {'✓' if right else '✗'}"
            ax.set_title(name, loc="center", pad=4, fontsize=10, color="black" if right else "#5f5f5f")
    return axes


def gallery(
    image_set: ImageSet,
    queries: Sequence[int],
    found: Mapping[str, Int[Tensor, "N K"]] | Int[Tensor, "N K"],
    *,
    title: str,
    size: float = 0.95,
) -> Figure:
    """For each query one row of neighbours; with several methods, one row for each method.

    Args:
        image_set: Where the images come from.
        queries: Numbers of the queries.
        found: For all N images the numbers of those retrieved (N, K), best first; or that by method.
        title: The finding.
        size: Side of an image in inches.
    """
    by_method = found if isinstance(found, Mapping) else {"": found}
    columns = next(iter(by_method.values())).shape[1] + 1
    left = 1.5 if "" not in by_method else 0.0
    of_query = [1.0] * len(by_method) + [0.12] * (len(by_method) > 1)  # a gap, so that a query's rows stand together
    ratios = (of_query * len(queries))[: len(of_query) * len(queries) - (len(by_method) > 1)]
    figure = plt.figure(figsize=(columns * size + left, sum(ratios) * size * 1.12 + 0.6))
    grid = figure.add_gridspec(len(ratios), columns, height_ratios=ratios)
    for place, query in enumerate(queries):
        for line, method in enumerate(by_method):
            row = place * len(of_query) + line
            axes = [figure.add_subplot(grid[row, column]) for column in range(columns)]
            query_row(axes, image_set, query, by_method[method][query])
            if method:
                axes[0].set_ylabel(method, rotation=0, ha="right", va="center", labelpad=8)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


def nearest(embeddings: Tensor, k: int) -> Int[Tensor, "N K"]:
    """The k nearest other rows of each row, by cosine; for figures (scores come from ``retrieval``)."""
    unit = F.normalize(embeddings, dim=1)
    return (unit @ unit.T).fill_diagonal_(-torch.inf).topk(k, dim=1).indices


def curves(ax: Axes, by_method: Mapping[str, Sequence[Sequence[float]]], *, first: int = 1) -> Axes:
    """Numbers over epochs: seeds faint, their mean strong, each method named at its line's end.

    Args:
        ax: Where to draw.
        by_method: For each method one sequence a seed, all of one length.
        first: The epoch of the first number.
    """
    ends = {}
    for place, (method, runs) in enumerate(by_method.items()):
        color, line = GREYS[place % len(GREYS)], LINES[place % len(LINES)]
        epochs = range(first, first + len(runs[0]))
        for run in runs if len(runs) > 1 else []:
            ax.plot(epochs, run, color=color, alpha=0.25, linewidth=0.8)
        mean = [sum(values) / len(values) for values in zip(*runs, strict=True)]
        ax.plot(epochs, mean, color=color, linestyle=line, linewidth=2)
        ends[method] = mean[-1]
    low, high = ax.get_ylim()
    top = name_ends(ax, ends)
    ax.set_ylim(low, max(high, top + 0.035 * (high - low)))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def name_ends(ax: Axes, ends: Mapping[str, float], *, apart: float = 0.07) -> float:
    """Each line's name in its grey, right of the axes at the height where the line ends; returns the highest name's.

    Args:
        ax: With the lines drawn.
        ends: Where each line ends, in the order in which the lines took their greys.
        apart: How far two names are apart at least, as a share of the axes' height: they step aside, upwards.
    """
    low, high = ax.get_ylim()
    colors = {name: GREYS[place % len(GREYS)] for place, name in enumerate(ends)}
    last = -math.inf
    for name, value in sorted(ends.items(), key=lambda end: end[1]):
        last = max(value, last + apart * (high - low))
        place = {"xycoords": ("axes fraction", "data"), "xytext": (6, 0), "textcoords": "offset points"}
        ax.annotate(name, (1.0, last), va="center", color=colors[name], **place)
    return last


def dots(ax: Axes, by_method: Mapping[str, Sequence[float]], *, percent: bool = True) -> Axes:
    """One row a method: each seed a faint dot, the mean a strong one with its 95 percent interval.

    Args:
        ax: Where to draw.
        by_method: Values of each method, one a seed, as fractions.
        percent: Whether fractions are shown as percent.
    """
    factor = 100 if percent else 1
    for row, values in enumerate(by_method.values()):
        mean, half = interval(list(values))
        ax.plot([factor * v for v in values], [row] * len(values), "o", color="#8f8f8f", alpha=0.6, markersize=5)
        bar = None if math.isnan(half) else factor * half
        ax.errorbar(factor * mean, row, xerr=bar, fmt="o", color="black", markersize=8, capsize=4, linewidth=1.6)
        label = f"{factor * mean:.1f}" + ("" if bar is None else f" ± {bar:.1f}")
        ax.annotate(label, (factor * mean, row), xytext=(0, 9), textcoords="offset points", ha="center", fontsize=10)
    ax.set_yticks(range(len(by_method)), list(by_method))
    ax.set_ylim(len(by_method) - 0.5, -0.7)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color="#e2e2e2", linewidth=0.8)
    ax.set_axisbelow(True)
    return ax


def right_first(found: Int[Tensor, "N K"], labels: Int[Tensor, " N"]) -> Bool[Tensor, " N"]:
    """Whether the first retrieved image is of the query's class."""
    return labels[found[:, 0]] == labels
