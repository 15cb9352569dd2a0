"""Figures of chapter 06: the family tree, forces on one stage, how alike they are, pairs used, cost, the contest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path

from dmlbook import losses
from dmlbook._checks import (
    above,
    at_least,
    bad_input,
    check_below,
    check_choice,
    check_filled,
    check_lengths,
    checked,
    finite,
)
from dmlbook._types import Float, Tensor
from dmlbook.book import CENTER_RADIUS, center_marks, class_color, image_marks, unit_circle
from dmlbook.book.lines import BLACK, DARK, GROUND, MIDDLE, PALE, SHADE, SOFT, WORDS, line_style
from dmlbook.chapters.ch06.methods import METHODS, REPRESENTATIVES
from dmlbook.chapters.ch06.pairs import Used
from dmlbook.chapters.ch06.theory import Stage, forces, place
from dmlbook.losses import Loss

ROWS = {
    **{"triplet": 0, "lifted": 0, "clustering": 0, "semihard": 1, "npairs": 1, "triplet_center": 2},
    **{"centroid_bound": 3, "proxy_nca": 4, "proxy_anchor": 4, "softmax": 5},
    **{"hardtriple": 6, "subcenter_arcface": 6, "softtriple": 7},
}
"""The row of each method in the family tree: those of one kind of representative stand together."""
EDGES = {"hard": "-", "smooth": "--", "mean": ":"}
HALF_WIDTH, HALF_HEIGHT, INSET = 0.385, 0.24, 0.3
"""Of a box of the tree, in years and rows; and how far left of a box's middle an arrow from above meets it."""
SEVERAL = losses.HardTriple | losses.SoftTriple | losses.SubcenterArcFace
LONGEST_ARROW = 0.6


@checked
def family_tree(ax: Axes) -> Axes:
    """All methods by year and kind of representative; each arrow carries the need of the one that the other removes.

    Grey boxes: the batch decides what is seen. Edges: one picked (full), all weighed (dashed), all alike (dotted). Made
    for axes about 9.6 inches wide and 7 high.
    """
    ax.set(xlim=(2013.75, 2020.58), ylim=(7.6, -0.75))
    for name, method in METHODS.items():
        _box(ax, name)
        for number, (parent, need) in enumerate(method.removes):
            _branch(ax, parent, name, need, number)
    _kinds(ax)
    _tree_key(ax)
    ax.set_xticks(sorted({method.year for method in METHODS.values()}))
    ax.set_yticks([])
    ax.tick_params(axis="x", length=0)
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_color(PALE)
    return ax


@checked(ringed=at_least(0))
def force_panel(ax: Axes, stage: Stage, name: str, *, ringed: int | None = None) -> Axes:
    """One method on the stage: images, representatives, and forces as arrows, the largest always of one length.

    The image number ``ringed`` gets a ring.
    """
    check_choice(choices=losses.NAMES, name=name)
    check_below(len(stage.points), "images", ringed=ringed or 0)
    loss = place(name, stage)
    found = forces(loss, stage.points, stage.labels)
    largest = float(found.norm(dim=1).max())
    unit_circle(ax, reach=1.5)
    image_marks(ax, stage.points, stage.labels)
    representatives(ax, loss)
    if ringed is not None:
        ax.plot(*stage.points[ringed].tolist(), "o", markersize=13, mfc="none", mec=BLACK, mew=1.2, zorder=6)
    for start, force in zip(stage.points, found, strict=True):
        if float(force.norm()) > 0.02 * largest:
            end = start + LONGEST_ARROW * force / largest
            arrow = {"arrowstyle": "-|>", "color": BLACK, "linewidth": 1.4, "mutation_scale": 9, "shrinkA": 0}
            ax.add_patch(FancyArrowPatch(start.tolist(), end.tolist(), **arrow, shrinkB=0, zorder=5))
    value = float(loss(stage.points, stage.labels).detach())
    said = f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.1g}"
    ax.set_title(f"{METHODS[name].title}  {said.replace('-', '−')}", fontsize=10, loc="center", pad=2)
    return ax


@checked(ringed=at_least(0))
def force_panels(
    axes: Sequence[Axes], stage: Stage, names: Sequence[str] = losses.NAMES, *, ringed: int | None = None
) -> Sequence[Axes]:
    """Small multiples of ``force_panel``, titled by method and value of the loss; what is left of ``axes`` stays empty.

    An arrow's length compares images of one panel, never two panels: each is drawn to its own largest force. Forces
    below a fiftieth of that are left out. The first panel that is left holds the key.
    """
    _check_names(names)
    if len(names) > len(axes):
        raise bad_input("axes", "be one for each name at least", f"{len(axes)} for {len(names)}", "Make more of them.")
    for ax, name in zip(axes, names, strict=False):
        force_panel(ax, stage, name, ringed=ringed)
    for number, ax in enumerate(axes[len(names) :]):
        ax.set_axis_off()
        if number == 0:
            _panel_key(ax)
    return axes


@checked
def representatives(ax: Axes, loss: Loss) -> Axes:
    """What stands for the classes of a loss, inside the circle: X several centers, star a proxy, plus a centroid."""
    if isinstance(loss, losses.CenterLoss):
        if isinstance(loss, SEVERAL):
            center_marks(ax, loss.centers.detach())
            return ax
        points, marker = loss.centers.detach()[:, 0], "*"
    elif isinstance(loss, losses.CentroidBound | losses.TripletCenter):
        points, marker = loss.centroids, "P"
    else:
        return ax
    size = {"*": 15, "P": 11}[marker]
    for number, point in enumerate(CENTER_RADIUS * points):
        ax.plot(*point.tolist(), marker, color=class_color(number), markersize=size, mec="white", zorder=3)
    return ax


@checked(matrix=finite)
def alike_matrix(ax: Axes, names: Sequence[str], matrix: Float[Tensor, "M M"]) -> Axes:
    """Cosines of each two methods' forces, darker where they are more alike, each written into its cell."""
    _check_names(names)
    check_filled(names=names)
    check_lengths(names=names, matrix=matrix)
    shown = ax.imshow(matrix.numpy(), cmap="Greys", vmin=0, vmax=1.25, aspect="auto")
    for row, values in enumerate(matrix.tolist()):
        for column, value in enumerate(values):
            light = ((shown.to_rgba(value)[0] + 0.055) / 1.055) ** 2.4
            color = BLACK if light > 0.179 else "white"  # where the contrasts with black and with white are equal
            ax.annotate(_cosine(value), (column, row), ha="center", va="center", fontsize=9, color=color)
    titles = [METHODS[name].title for name in names]
    ax.set_xticks(range(len(names)), titles, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), titles)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


@checked
def used_bars(ax: Axes, used: Mapping[str, Used]) -> Axes:
    """For each method the shares of its pairs of one class (black) and of two (grey) that teach it something."""
    _check_names(used)
    check_filled(used=used)
    height = 0.36
    for row, shares in enumerate(used.values()):
        for number, share in enumerate((shares.positives, shares.negatives)):
            up = row + (number - 0.5) * height
            sort = ("pairs of one class", "pairs of two classes")[number] if row == 0 else None
            ax.barh(up, 100 * share, height=height, color=(BLACK, SOFT)[number], label=sort)
            style = {"va": "center", "fontsize": 9, "color": (BLACK, MIDDLE)[number]}
            ax.annotate(f"{100 * share:.0f}%", (100 * share, up), xytext=(4, 0), textcoords="offset points", **style)
        if shares.triplets is not None:
            said = f"{100 * shares.triplets:.0f}% of its triplets"
            ax.annotate(said, (110, row), va="center", fontsize=9, color=MIDDLE)
    ax.set_yticks(range(len(used)), [METHODS[name].title for name in used])
    ax.set(xlim=(0, 146), ylim=(len(used) - 0.4, -0.6), xticks=range(0, 101, 20))
    ax.set_xlabel("share that teaches, percent", x=50 / 146)
    ax.spines["bottom"].set_bounds(0, 100)
    ax.tick_params(axis="y", length=0)
    place = {"loc": "upper left", "bbox_to_anchor": (110, 2.55), "bbox_transform": ax.transData}
    ax.legend(**place, fontsize=9, handlelength=1.2, borderpad=0, borderaxespad=0)
    return ax


@checked(sizes=at_least(1), seconds=above(0))
def cost_lines(ax: Axes, sizes: Sequence[int], seconds: Mapping[str, Sequence[float]]) -> Axes:
    """Seconds a step against a size, both as logarithms: each method a line, named right of where it ends."""
    check_filled(sizes=sizes, seconds=seconds)
    for values in seconds.values():
        check_lengths(sizes=sizes, seconds=values)
    ax.set(xscale="log", yscale="log")
    for number, values in enumerate(seconds.values()):
        ax.plot(sizes, values, **line_style(number), linewidth=1.8, marker=".", markersize=6)
    ax.set(xlim=(sizes[0], sizes[-1]), ylim=ax.get_ylim())
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.set_xticks([], minor=True)
    to_share = ax.transData + ax.transAxes.inverted()
    ends = {name: float(to_share.transform((sizes[-1], values[-1]))[1]) for name, values in seconds.items()}
    for number, (name, height) in enumerate(_spread(ends, apart=0.062).items()):
        line = {"arrowstyle": "-", "color": SOFT, "linewidth": 0.6, "relpos": (0, 0.5), "shrinkA": 2, "shrinkB": 0}
        said = {"color": WORDS[number % len(WORDS)], "fontsize": 10, "va": "center", "annotation_clip": False}
        title = METHODS[name].title if name in METHODS else name
        ax.annotate(title, (1, ends[name]), (1.06, height), "axes fraction", "axes fraction", line, **said)
    return ax


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        check_choice(choices=tuple(METHODS), name=name)


def _box(ax: Axes, name: str) -> None:
    method, row = METHODS[name], ROWS[name]
    corner, style = (method.year - HALF_WIDTH, row - HALF_HEIGHT), "round,pad=0,rounding_size=0.06"
    line = {"edgecolor": BLACK, "linestyle": EDGES[method.smooth], "linewidth": 1.3, "boxstyle": style, "zorder": 3}
    size = (2 * HALF_WIDTH, 2 * HALF_HEIGHT)
    box = FancyBboxPatch(corner, *size, facecolor=SHADE if method.sampled else "white", **line)
    ax.add_patch(box)
    title = _lines(method.title, 13)
    ax.text(method.year, row, title, ha="center", va="center", fontsize=10, linespacing=1.0, zorder=4)


def _branch(ax: Axes, parent: str, child: str, need: str, number: int) -> None:
    """The arrow from a method to the one that removes a need of it, and the need: a second one below its arrow."""
    start, end = (METHODS[parent].year, ROWS[parent]), (METHODS[child].year, ROWS[child])
    left, up = end[0] - HALF_WIDTH, end[1] + (0.16 * number - 0.08 if len(METHODS[child].removes) > 1 else 0)
    above = start[0] == end[0]
    if above:
        corners = [(start[0] - INSET, start[1] + HALF_HEIGHT), (start[0] - INSET, end[1] - HALF_HEIGHT)]
    elif end[1] > start[1]:
        corners = [(start[0], start[1] + HALF_HEIGHT), (start[0], up), (left, up)]
    else:
        aside = start[0] + HALF_WIDTH + 0.115
        corners = [(start[0] + HALF_WIDTH, start[1]), (aside, start[1]), (aside, up), (left, up)]
    style = {"arrowstyle": "-|>", "mutation_scale": 9, "color": MIDDLE, "linewidth": 1.0}
    ax.add_patch(FancyArrowPatch(path=Path(corners), **style, zorder=2))
    words = {"fontsize": 9, "color": DARK, "linespacing": 1.0, "bbox": {**GROUND, "pad": 0.5}}
    if number:
        ax.text(left - 0.1, up + 0.05, need, ha="right", va="top", **words)
    else:
        place = (left + (HALF_WIDTH - INSET + 0.05) * above, end[1] - HALF_HEIGHT - 0.05)
        ax.text(*place, _lines(need, 17), va="bottom", **words)


def _lines(text: str, longest: int) -> str:
    """The text, in two lines of about equal length where one would be longer than ``longest``."""
    if len(text) <= longest or " " not in text:
        return text
    words = text.split()
    halves = [(" ".join(words[:cut]), " ".join(words[cut:])) for cut in range(1, len(words))]
    return "\n".join(min(halves, key=lambda lines: max(map(len, lines))))


def _kinds(ax: Axes) -> None:
    """The names of the kinds at the left, and a line above each kind but the first."""
    for kind in REPRESENTATIVES:
        rows = [ROWS[name] for name, method in METHODS.items() if method.representatives == kind]
        ax.text(2013.78, sum(rows) / len(rows), kind.replace(" ", "\n"), va="center", fontsize=10, color=DARK)
        if min(rows):
            ax.axhline(min(rows) - 0.66, color=PALE, linewidth=0.8, zorder=0)


def _tree_key(ax: Axes) -> None:
    entries = (
        ("white", "-", "one is picked among several"),
        ("white", "--", "all are weighed by nearness"),
        ("white", ":", "all count alike"),
        (SHADE, "none", "the batch decides what is seen"),
    )
    for number, (ground, edge, said) in enumerate(entries):
        up = 5.75 + 0.42 * number
        line = {"edgecolor": "none" if edge == "none" else BLACK, "linestyle": "-" if edge == "none" else edge}
        ax.add_patch(Rectangle((2014.65, up - 0.13), 0.3, 0.26, facecolor=ground, linewidth=1.3, **line))
        ax.text(2015.05, up, said, va="center", fontsize=10, color=DARK)


def _panel_key(ax: Axes) -> None:
    ax.set(xlim=(0, 1), ylim=(0, 1))
    marks = {"o": "image", "*": "proxy", "X": "center", "P": "class mean\nor fixed point"}
    for number, (marker, said) in enumerate(marks.items()):
        up = 0.95 - 0.19 * number
        ax.plot(0.08, up, marker, color=MIDDLE, markersize=13 if marker == "*" else 10, mec="white")
        ax.text(0.22, up, said, va="center", fontsize=10)
    arrow = {"arrowstyle": "-|>", "color": BLACK, "linewidth": 1.4, "mutation_scale": 9, "shrinkA": 0, "shrinkB": 0}
    ax.add_patch(FancyArrowPatch((0.0, 0.13), (0.17, 0.13), **arrow))
    ax.text(0.22, 0.13, "force; longest\n= its panel's largest", va="center", fontsize=10)


def _cosine(value: float) -> str:
    """Two digits without the zero before the point, as is usual in tables of correlations."""
    return f"{value:.2f}".replace("0.", ".", 1).replace("-.00", ".00").replace("-", "−")


def _spread(heights: Mapping[str, float], *, apart: float) -> dict[str, float]:
    """The heights, moved as little as needed for each two to be ``apart``, in their order."""
    names = sorted(heights, key=lambda name: heights[name])
    places = [heights[name] for name in names]
    for _ in range(1000):  # each pair that is too close steps apart, by equal shares, within the axes
        places[0], places[-1] = max(places[0], 0.0), min(places[-1], 1.0)
        for number in range(1, len(places)):
            lack = apart - (places[number] - places[number - 1])
            if lack > 1e-6:
                places[number - 1] -= lack / 2
                places[number] += lack / 2
    spread = dict(zip(names, places, strict=True))
    return {name: spread[name] for name in heights}
