"""Figures of every chapter. Helpers draw on the axes they are given and return them; ``show`` displays a figure."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch.nn import functional as F

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
from dmlbook._types import Bool, Float, Int, Tensor, UInt8
from dmlbook.book.images import image, with_palette
from dmlbook.book.lines import BLACK, MIDDLE, SOFT
from dmlbook.datasets.image_set import ImageSet
from dmlbook.maps import near

WRONG = SOFT


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
    """Display a figure at twice the resolution of the page, with its alt text, and close it.

    It is displayed as HTML, for JupyterLab leaves out the alt text of a plain PNG.

    Args:
        figure: What to show.
        alt: What a reader who cannot see it needs to know: kind of figure, axes, and the finding.

    Raises:
        ValueError: The alt text is shorter than 20 characters.
    """
    from IPython.display import display

    if len(alt.strip()) < 20:
        raise bad_input("alt", "say in a sentence what the figure shows", repr(alt), "Describe it.")
    width = round(figure.get_size_inches()[0] * 100)
    display({"text/html": image(with_palette(png(figure)), alt, width), "text/plain": alt}, raw=True)


@checked(dpi=between(1, 10_000))
def png(figure: Figure, *, dpi: int = 200) -> bytes:
    """The figure as PNG bytes; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


@checked(number=at_least(0))
def class_color(number: int) -> str:
    """The hue of a class: petroff10's, whose ten colors stay apart in every kind of color vision.

    Example:
        >>> class_color(0) == class_color(10)
        True
    """
    colors = plt.style.library["petroff10"]["axes.prop_cycle"].by_key()["color"]
    return to_hex(colors[number % len(colors)])


@checked(count=between(0, 10_000))
def class_colors(count: int) -> list[str]:
    """The hues of the first ``count`` classes."""
    return [class_color(number) for number in range(count)]


@checked(number=at_least(0))
def letter_color(number: int) -> str:
    """Black or white: the one that can be read on the hue of a class.

    Example:
        >>> letter_color(1), letter_color(2)  # on orange, on red
        ('black', 'white')
    """
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(class_color(number))]
    light = sum(weight * channel for weight, channel in zip((0.2126, 0.7152, 0.0722), channels, strict=True))
    return "black" if light > 0.179 else "white"  # where the contrasts with black and with white are equal


@checked(index=at_least(0))
def picture(image_set: ImageSet, index: int) -> UInt8[Tensor, "H W 3"]:
    """One image for the eye, (H, W, 3): photographs get back the shape that they had before they were squeezed."""
    check_below(len(image_set), "images", index=index)
    pixels = image_set.images[index]
    if image_set.aspects is not None and image_set.aspects[index] != 1:
        side, aspect = pixels.shape[-1], float(image_set.aspects[index])
        size = (side, round(side * aspect)) if aspect >= 1 else (round(side / aspect), side)
        wide = F.interpolate(pixels[None].float(), size=size, mode="bilinear", antialias=True, align_corners=False)
        pixels = wide[0].round().clamp(0, 255).byte()
    return pixels.permute(1, 2, 0)


@checked(columns=between(1, 1000), gap=between(0, 1000))
def tiles(ax: Axes, images: UInt8[Tensor, "N 3 S S"], *, columns: int, gap: int = 2) -> Axes:
    """Images side by side in rows of ``columns``, on a white ground.

    Raises:
        ValueError: ``images`` is not (N, 3, S, S) with N > 0, or ``columns`` or ``gap`` is out of range.
    """
    check_filled(images=images)
    rows, side = math.ceil(len(images) / columns), images.shape[-1]
    sheet = torch.full((rows * (side + gap) - gap, columns * (side + gap) - gap, 3), 255, dtype=torch.uint8)
    for place, pixels in enumerate(images):
        top, left = place // columns * (side + gap), place % columns * (side + gap)
        sheet[top : top + side, left : left + side] = pixels.permute(1, 2, 0)
    ax.imshow(sheet.numpy(), interpolation="antialiased")
    ax.set_axis_off()
    return ax


@checked(query=at_least(0), found=at_least(0))
def query_row(
    axes: Iterable[Axes], image_set: ImageSet, query: int, found: Int[Tensor, " K"], *, titles: bool = True
) -> Iterable[Axes]:
    """A query, then the images retrieved for it: framed black where the class is right, paled and dashed where not.

    Args:
        axes: K + 1 of them, in a row.
        image_set: Where the images come from.
        query: Number of the query.
        found: Numbers of the retrieved images (K,), best first.
        titles: Whether to write "query", "1", "2", ... above.
    """
    check_below(len(image_set), "images", query=query, found=found)
    numbers, places = [query, *found.tolist()], list(axes)
    check_lengths(images=numbers, axes=places)
    same = image_set.labels[found] == image_set.labels[query]
    for place, (ax, index) in enumerate(zip(places, numbers, strict=True)):
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
            ax.set_title(name, loc="center", pad=4, fontsize=10, color=BLACK if right else MIDDLE)
    return axes


@checked(queries=at_least(0), found=at_least(0), size=between(0.05, 20))
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
    check_filled(queries=queries, found=by_method)
    for numbers in by_method.values():
        check_lengths(images=image_set, found=numbers)
    check_below(len(image_set), "images", queries=max(queries))
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


@checked(embeddings=finite, k=at_least(1))
def nearest(embeddings: Float[Tensor, "N D"], k: int) -> Int[Tensor, "N k"]:
    """The k nearest other rows of each row, by cosine; for figures (scores come from ``retrieval``)."""
    check_number(high=len(embeddings) - 1, integer=True, k=k, remedy="A row is not its own neighbor.")
    unit = F.normalize(embeddings.cpu().double(), dim=1)  # float32 has one cosine for all that is within 3e-4
    return near.nearest(len(unit), k, lambda rows: -unit[rows] @ unit.T)


@checked(found=at_least(0), labels=at_least(0))
def right_first(found: Int[Tensor, "N K"], labels: Int[Tensor, " N"]) -> Bool[Tensor, " N"]:
    """Whether the first retrieved image is of the query's class."""
    check_below(len(labels), "images", found=found)
    if found.shape[1] == 0:
        raise bad_input("found", "hold a retrieved image a query", "none", "Retrieve one at least.")
    return labels[found[:, 0]] == labels
