"""Figures of chapter 09: maps with their centers, what each center serves, and where the loss looks."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import seaborn
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmlbook._checks import (
    above,
    at_least,
    bad_input,
    between,
    check_below,
    check_filled,
    check_lengths,
    checked,
    finite,
)
from dmlbook._types import Bool, Float, Int, Tensor
from dmlbook.book import BLACK, DARK, MIDDLE, PALE, class_color, picture
from dmlbook.chapters.ch09.theory import Look
from dmlbook.datasets.image_set import ImageSet
from dmlbook.maps import Map, Serving, kind_places, kind_purity

KIND_MARKERS = ("o", "s", "^", "D")
"""The kinds of a class, by their place among its kinds; a fifth is drawn as the first again."""


@checked(labels=at_least(0), places=at_least(0), counts=at_least(0), only=at_least(0), size=above(0, up_to=1e6))
def map_panel(
    ax: Axes,
    shown: Map,
    labels: Int[Tensor, " N"],
    places: Int[Tensor, " N"] | None = None,
    counts: Int[Tensor, "C K"] | None = None,
    *,
    only: Sequence[int] | None = None,
    size: float = 13,
) -> Axes:
    """A map: hue is the class, the marker the kind, an X a center, the larger the more images it serves.

    Args:
        ax: Gets equal scales on both axes, and no ticks: the axes of a map have no meaning.
        shown: Images, and centers where there are any; those at NaN are left out.
        labels: Class of each image.
        places: Which marker each image gets, as ``maps.kind_places`` says; all circles if not given.
        counts: How many images each center serves; if not given, all are of one size.
        only: Classes to show in their hue; the images of all others are pale, and their centers left out.
        size: Of an image's marker, in points squared; where it is small, centers are, too.
    """
    check_lengths(places=shown.points, labels=labels)
    places = torch.zeros_like(labels) if places is None else places
    hued = torch.unique(labels).tolist() if only is None else list(only)
    others = ~torch.isin(labels, torch.tensor(hued))
    if others.any():
        ax.scatter(*shown.points[others].T.tolist(), s=0.5 * size, color=PALE, linewidth=0)
    for label in hued:
        for number, marker in enumerate(KIND_MARKERS):
            own = (labels == label) & (places % len(KIND_MARKERS) == number)
            if own.any():
                ax.scatter(*shown.points[own].T.tolist(), s=size, marker=marker, color=class_color(label), linewidth=0)
    if shown.centers is not None:
        if counts is not None and counts.shape != shown.centers.shape[:2]:
            rule = f"be of shape {tuple(shown.centers.shape[:2])}, as the centers"
            raise bad_input("counts", rule, tuple(counts.shape), "Pass those of the same centers.")
        most = 1 if counts is None else int(counts.max())
        for label, number in shown.centers.isfinite().all(2).nonzero().tolist():
            if label not in hued:
                continue
            share = 1.0 if counts is None else int(counts[label, number]) / most
            ax.scatter(
                *shown.centers[label, number].tolist(),
                s=(45 + 130 * share) * min(1.0, size / 13),
                marker="X",
                color=class_color(label),
                edgecolor="black",
                linewidth=1.0,
                zorder=3,
            )
    ax.set(xticks=[], yticks=[])
    ax.set_aspect("equal", adjustable="datalim")
    ax.spines[:].set(visible=True, color=PALE)
    return ax


@checked
def map_key(ax: Axes) -> Axes:
    """What the marks of a map mean, on an axes of its own."""
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_axis_off()
    entries = [*((marker, 7, f"image, kind {n + 1} of its class") for n, marker in enumerate(KIND_MARKERS))]
    entries += [("X", 11, "center: larger, more images"), ("", 0, "hue: class")]
    for number, (marker, width, said) in enumerate(entries):
        left, up = 0.02 + 0.34 * (number % 3), 0.72 - 0.5 * (number // 3)
        ax.plot(left, up, marker, color=MIDDLE, markersize=width, mec="black" if marker == "X" else MIDDLE)
        ax.text(left + 0.03 * bool(marker), up, said, va="center", fontsize=10, color=DARK)
    return ax


@checked(label=at_least(0), near=between(1, 100), far=between(0, 100))
def center_gallery(image_set: ImageSet, served: Serving, label: int, *, near: int = 6, far: int = 4) -> Figure:
    """For each center of a class that serves somebody a row of its images: the most similar, then the least similar.

    Where kinds are known, an image bears the marker of its own, as on the maps. Beside a row stand its number, how many
    images it serves, and the share of the most frequent kind; below, which centers have merged and which serve nobody.

    Args:
        image_set: The images that are served.
        served: By which centers.
        label: Whose centers are shown.
        near: How many of the most similar images a row shows first, in order.
        far: How many of the least similar ones follow after a gap, in order; of the rest where few are left.
    """
    check_below(len(served.counts), "classes", label=label)
    check_lengths(labels=served.labels, images=image_set)
    rows = [int(k) for k in served.counts[label].argsort(descending=True, stable=True) if served.counts[label, k]]
    purity = None if image_set.kinds is None else kind_purity(served, image_set.kinds)[1][label]
    places = None if image_set.kinds is None else kind_places(image_set.labels, image_set.kinds)
    check_filled(centers=rows)
    figure = plt.figure(figsize=(9.6, 0.78 * len(rows) + 0.9))
    grid = figure.add_gridspec(len(rows), near + far + 1, width_ratios=[1] * near + [0.35] + [1] * far)
    columns = [*range(near), *range(near + 1, near + far + 1)]
    for number, center in enumerate(rows):
        members = served.of(label, center)
        chosen = torch.cat([members[:near], members[near:][-far:] if far else members[:0]]).tolist()
        line = [figure.add_subplot(grid[number, column]) for column in columns]
        for ax in line:
            ax.set_axis_off()
        for ax, index in zip(line, chosen, strict=False):
            ax.imshow(picture(image_set, index).numpy(), interpolation="antialiased")
            if places is not None:
                marker = KIND_MARKERS[int(places[index]) % len(KIND_MARKERS)]
                ax.plot(
                    0.1, 0.1, marker, transform=ax.transAxes, color="white", mec="black", markersize=6, clip_on=False
                )
        words = f"center {center + 1}\n{len(members)} image{'s' * (len(members) > 1)}"
        words += "" if purity is None else f", {100 * float(purity[center]):.0f}% one kind"
        line[0].text(-0.15, 0.5, words, transform=line[0].transAxes, ha="right", va="center", fontsize=10)
    figure.supxlabel(_of_the_others(served, label), fontsize=10, color=MIDDLE, x=0.01, ha="left")
    return figure


def _of_the_others(served: Serving, label: int) -> str:
    """Which centers of a class have merged, and into which, and which serve nobody."""
    said, nobody = [], []
    for center in torch.unique(served.stands[label]).tolist():
        same = [str(k + 1) for k in (served.stands[label] == center).nonzero().flatten().tolist() if k != center]
        if served.unused[label, center]:
            nobody.append(f"{center + 1}" + (f" (with {', '.join(same)} merged into it)" if same else ""))
        elif same:
            said.append(f"merged into {center + 1}: {', '.join(same)}")
    return "; ".join([*said, f"serving nobody: {', '.join(nobody)}"] if nobody else said)


@checked(kinds=at_least(0))
def center_counts(ax: Axes, served: Serving, kinds: Int[Tensor, " N"]) -> Axes:
    """How many centers of each class serve somebody and how many are distinct, beside its true number of kinds."""
    check_lengths(labels=served.labels, kinds=kinds)
    classes = len(served.counts)
    used, distinct = served.used.sum(1).tolist(), (~served.merged).sum(1).tolist()
    true = [len(torch.unique(kinds[served.labels == label])) for label in range(classes)]
    for label in range(classes):
        ax.plot([used[label], distinct[label]], [label, label], color=PALE, linewidth=2, zorder=1)
    ax.plot(true, range(classes), "|", color=BLACK, markersize=20, mew=2.5, label="true kinds")
    ax.plot(distinct, range(classes), "o", color="white", mec=MIDDLE, mew=1.6, markersize=9, label="distinct centers")
    ax.scatter(
        used, range(classes), marker="X", s=110, c=[*map(class_color, range(classes))], edgecolor="black", zorder=3,
        label="centers that serve somebody",
    )  # fmt: skip
    most = served.counts.shape[1]
    ax.set(xlim=(0, most + 0.5), xticks=range(0, most + 1, 2), ylim=(classes - 0.5, -0.5), yticks=range(classes))
    ax.set(xlabel=f"of {most} centers a class", ylabel="class")
    return ax


@checked(centers=finite)
def center_heat(ax: Axes, centers: Float[Tensor, "C K D"], used: Bool[Tensor, "C K"], names: Sequence[str]) -> Axes:
    """Cosines between all centers that are used, those of a class side by side in a block framed in its hue."""
    check_lengths(centers=centers, names=names)
    check_filled(used=used.nonzero())
    rows = centers[used]
    owners = used.nonzero()[:, 0].tolist()
    seaborn.heatmap(
        (rows @ rows.T).numpy(),
        ax=ax,
        cmap="Greys",
        vmin=-0.3,
        vmax=1.0,
        square=True,
        xticklabels=False,
        yticklabels=False,
        cbar_kws={"label": "cosine", "shrink": 0.7},
    )
    first, middles = 0, []
    for label in dict.fromkeys(owners):
        count = owners.count(label)
        frame = plt.Rectangle((first, first), count, count, fill=False, edgecolor=class_color(label), linewidth=2.4)
        ax.add_patch(frame)
        middles.append(first + count / 2)
        first += count
    ax.set_yticks(middles, [names[label] for label in dict.fromkeys(owners)], rotation=0)
    ax.tick_params(length=0)
    return ax


@checked(label=at_least(0))
def look_panels(axes: Sequence[Axes], seen: Look, label: int) -> Sequence[Axes]:
    """Where the loss looks: similarity to every center, the weights q, the probabilities p, and whom the slope moves.

    Three squares have a row a class and a column a center; the image's own row is framed. The fourth are bars. Each
    square has the key of its shades below it.
    """
    check_lengths(squares=range(4), axes=axes)
    check_below(len(seen.classes), "classes", label=label)
    squares = [
        (seen.similar, "similarity", "Greys"),
        (seen.weights, "weights q", "Greys"),
        (seen.pulls, "pull (+), push (\u2212)", "RdBu"),
    ]
    for ax, (values, title, colors) in zip([axes[0], axes[1], axes[3]], squares, strict=True):
        top = float(values.abs().max())
        low = -top if colors == "RdBu" else min(0.0, float(values.min()))
        shades = ax.imshow(values.numpy(), cmap=colors, vmin=low, vmax=top, aspect="auto")
        key = ax.figure.colorbar(shades, ax=ax, orientation="horizontal", fraction=0.06, pad=0.03, format="{x:.2g}")
        key.set_ticks([low, 0.0, top] if low < 0 < top else [low, top])
        ax.add_patch(
            plt.Rectangle((-0.5, label - 0.5), values.shape[1], 1, fill=False, edgecolor=BLACK, linewidth=2, zorder=3)
        )
        classes, per_class = values.shape
        ax.set_xticks(range(0, per_class, 3), range(1, per_class + 1, 3))
        ax.set(title=title, yticks=range(classes), xlabel="center")
        ax.tick_params(length=0, labelsize=9)
        ax.spines[:].set_visible(False)
    axes[0].set_ylabel("class")
    heights = seen.probabilities.tolist()
    axes[2].barh(range(len(heights)), heights, color=[class_color(c) for c in range(len(heights))])
    axes[2].set(
        title="probabilities p",
        ylim=(len(heights) - 0.5, -0.5),
        xlim=(0, 1.12),
        xticks=[0, 1],
        yticks=range(len(heights)),
    )
    axes[2].tick_params(length=0, labelsize=9)
    for row, height in enumerate(heights):
        if height > 0.02:
            axes[2].text(height + 0.02, row, f"{height:.2f}", va="center", fontsize=9)
    return axes


@checked
def headed(figure: Figure, title: str) -> Figure:
    """The figure with a title over all of its panels, at the left."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure
