"""Figures of chapter 05: triplets beside distances to centroids, the detour, the sandwich, landscapes, angles, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

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
from dmlbook._types import Float, Int, Tensor
from dmlbook.book.figures import class_color
from dmlbook.book.lines import DARK, GROUND, MIDDLE, PALE, SHADE, SOFT, line_style, name_ends


@checked(x=finite, labels=at_least(0), size=above(0))
def samples(ax: Axes, x: Float[Tensor, "N 2"], labels: Int[Tensor, " N"], *, size: float = 70) -> Axes:
    """Embeddings of the plane as circles, one hue a class, on equal axes."""
    colors = [class_color(int(label)) for label in labels]
    ax.scatter(x[:, 0], x[:, 1], s=size, c=colors, edgecolor="white", linewidth=0.8, zorder=4)
    ax.set_aspect("equal")
    return ax


@checked(points=finite, size=above(0))
def centroids(ax: Axes, points: Float[Tensor, "C 2"], *, size: float = 190, names: bool = True) -> Axes:
    """Fixed centroids as plus signs, one hue a class."""
    for number, (across, up) in enumerate(points.tolist()):
        ax.scatter(across, up, s=size, c=class_color(number), marker="P", edgecolor="black", linewidth=1.0, zorder=5)
        if names:
            ax.annotate(f"$c_{number}$", (across, up), xytext=(0, -20), textcoords="offset points", ha="center")
    return ax


@checked(x=finite, labels=at_least(0), anchor=at_least(0))
def one_anchor(ax: Axes, x: Float[Tensor, "N 2"], labels: Int[Tensor, " N"], *, anchor: int) -> Axes:
    """The pairs of one anchor: full lines to its positives, dashed ones to its negatives."""
    check_below(len(x), "images", anchor=anchor)
    for other in range(len(x)):
        if other != anchor:
            same = labels[other] == labels[anchor]
            style = {"color": "black", "linewidth": 1.6} if same else {"color": MIDDLE, "linestyle": "--"}
            ax.plot(*x[[anchor, other]].T, **{"linewidth": 1.1, **style}, zorder=1 + int(same))
    samples(ax, x, labels)
    ax.scatter(*x[anchor], s=190, facecolor="none", edgecolor="black", linewidth=1.4, zorder=5)
    ax.margins(0.08, 0.15)
    ax.set_axis_off()
    return ax


@checked(x=finite, labels=at_least(0), points=finite)
def to_centroids(ax: Axes, x: Float[Tensor, "N 2"], labels: Int[Tensor, " N"], points: Float[Tensor, "C 2"]) -> Axes:
    """Every image's distances: a full line to its own centroid, dashed ones to the others."""
    for place, label in zip(x, labels.tolist(), strict=True):
        for number, centroid in enumerate(points):
            own = number == label
            style = {"color": "black", "linewidth": 1.6} if own else {"color": MIDDLE, "linestyle": "--"}
            ends = [[float(place[axis]), float(centroid[axis])] for axis in (0, 1)]
            ax.plot(*ends, **{"linewidth": 0.9, **style}, zorder=1 + int(own))
    centroids(samples(ax, x, labels), points, names=False).margins(0.08, 0.15)
    ax.set_axis_off()
    return ax


@checked(triplet=finite, points=finite, classes=at_least(0))
def detour(
    ax: Axes,
    triplet: Mapping[str, tuple[float, float]],
    points: Float[Tensor, "C 2"],
    classes: tuple[int, int],
) -> Axes:
    """One triplet, straight (black) and through the centroids (grey), each leg named by its length.

    Args:
        ax: Where to draw.
        triplet: The places of ``"anchor"``, ``"positive"`` and ``"negative"``.
        points: The centroids.
        classes: Of the anchor and of the negative.
    """
    check_below(len(points), "centroids", classes=max(classes))
    roles = ("anchor", "positive", "negative")
    if set(triplet) != set(roles):
        raise bad_input("triplet", f"have the keys {', '.join(roles)}", ", ".join(triplet) or "none", "Give all three.")
    own, other = (tuple(points[number].tolist()) for number in classes)
    anchor, positive, negative = (triplet[name] for name in roles)
    for start, end, straight in (
        (anchor, positive, True),
        (anchor, negative, True),
        (anchor, own, False),
        (own, positive, False),
        (anchor, other, False),
        (other, negative, False),
    ):
        style = {"color": "black", "linewidth": 2} if straight else {"color": SOFT, "linewidth": 1.6}
        ax.plot([start[0], end[0]], [start[1], end[1]], linestyle="-" if straight else "--", **style, zorder=1)
        length = ((start[0] - end[0]) ** 2 + (start[1] - end[1]) ** 2) ** 0.5
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        color = "black" if straight else MIDDLE
        ax.annotate(f"{length:.2f}", middle, ha="center", va="center", fontsize=9, color=color, bbox=GROUND, zorder=3)
    for name, place in triplet.items():
        color = class_color(classes[1] if name == "negative" else classes[0])
        ax.scatter(*place, s=80, color=color, edgecolor="white", zorder=4)
        below = name == "negative"
        offset = (0, -18) if below else (0, 10)
        ax.annotate(name, place, xytext=offset, textcoords="offset points", ha="center", fontsize=10)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return centroids(ax, points)


@checked
def sandwich(
    ax: Axes,
    steps: Sequence[int],
    truth: Sequence[float],
    bound: Sequence[float],
    floor: Sequence[float],
    *,
    names: bool = True,
) -> Axes:
    """Bound above, truth between, floor below, over training steps, named or not; what is known of truth is shaded."""
    check_filled(steps=steps)
    check_lengths(steps=steps, truth=truth, bound=bound, floor=floor)
    ax.fill_between(steps, floor, bound, color=SHADE, linewidth=0, zorder=0)
    lines = {
        "bound": (bound, "--", 9, (8, 6)),
        "triplet loss": (truth, "-", 33, (1, -28)),
        "floor": (floor, ":", 9, (8, -16)),
    }
    for name, (values, style, share, offset) in lines.items():
        ax.plot(steps, values, color="black", linestyle=style, linewidth=2)
        place = len(steps) // share
        if names:
            ax.annotate(name, (steps[place], values[place]), xytext=offset, textcoords="offset points")
    return ax


@checked(lowest=finite)
def training(ax: Axes, log: Sequence[Mapping[str, float]], *, lowest: float) -> Axes:
    """The sandwich along a run, a thin line at the lowest possible value, and the run's second half enlarged.

    Args:
        ax: Where to draw.
        log: Triplet loss, bound and floor of each step, by these names.
        lowest: What neither loss can go below.
    """
    check_filled(log=log)
    steps, half = len(log), len(log) // 2
    inset = ax.inset_axes((0.42, 0.42, 0.42, 0.5))
    for part, first in ((ax, 0), (inset, half)):
        values = ([now[name] for now in log[first:]] for name in ("triplet loss", "bound", "floor"))
        sandwich(part, range(first, steps), *values, names=first == 0 and part is ax)
        part.axhline(lowest, xmin=0.25 if part is ax else 0, color=MIDDLE, linewidth=0.8)
    inset.set_title("the second half, enlarged", fontsize=10)
    ax.annotate("lowest\npossible", (1.02 * steps, lowest), xytext=(0, 4), textcoords="offset points")
    ax.set_xlim(right=1.15 * steps)
    return ax


@checked(values=finite, reach=above(0), points=finite, levels=between(1, 1000))
def landscape(
    ax: Axes, values: Float[Tensor, "H W"], *, reach: float, points: Float[Tensor, "C 2"], levels: int = 14
) -> Axes:
    """Contours of a function over the square [-reach, reach]^2, dark where it is low, and the centroids upon it, named.

    Args:
        ax: Where to draw.
        values: On an even grid that ends at the square's edges; rows from south to north.
        reach: Half the square's side.
        points: The centroids.
        levels: How many contours.
    """
    if min(values.shape) < 2:
        raise bad_input("values", "have two rows and two columns or more", tuple(values.shape), "Take a finer grid.")
    up, across = (reach * size / (size - 1) for size in values.shape)  # a pixel's middle is where its value was taken
    ax.imshow(
        values, origin="lower", extent=(-across, across, -up, up), cmap="gray", alpha=0.55, interpolation="bilinear"
    )
    square = (-reach, reach, -reach, reach)
    ax.contour(values, levels=levels, extent=square, colors=DARK, linewidths=0.7, linestyles="-")
    centroids(ax, points).axis(square)
    return ax


@checked(across=finite, heights=finite, cone=finite, tip=finite)
def cut(
    ax: Axes,
    across: Float[Tensor, " P"],
    heights: Float[Tensor, " P"],
    cone: Float[Tensor, " P"],
    tip: Float[Tensor, " 2"],
) -> Axes:
    """A cut through a landscape (full) above its cone (dashed), both named at their left ends; class 0's centroid.

    Args:
        ax: Where to draw.
        across: Places on the line that is cut along.
        heights: Of the landscape at each.
        cone: Its height at each.
        tip: Where the centroid is, and the height there.
    """
    for name, values, style in (("$f$", heights, "-"), ("cone", cone, "--")):
        ax.plot(across, values, color="black", linestyle=style, linewidth=2, zorder=6)  # the kink is seen upon c_0
        ax.annotate(name, (float(across[0]), float(values[0])), xytext=(14, 2), textcoords="offset points")
    ax.annotate("$c_0$", tuple(tip.tolist()), xytext=(0, 16), textcoords="offset points", ha="center")
    return centroids(ax, tip[None], size=150, names=False)


@checked(by_kind=finite)
def angles(ax: Axes, by_kind: Mapping[str, Float[Tensor, " P"]]) -> Axes:
    """One row a kind of centroids: a bar from its smallest angle to its largest, in degrees, a tick for the mean.

    The right angle is a dotted line behind them; what each row shows is said right of the axes, where nothing is drawn.
    """
    check_filled(by_kind=by_kind)
    for found in by_kind.values():
        check_filled(by_kind=found)
    ax.axvline(90, color=SOFT, linestyle=":", zorder=0)
    for row, found in enumerate(by_kind.values()):
        low, mean, high = float(found.min()), float(found.mean()), float(found.max())
        ax.plot([low, high], [row, row], color=PALE, linewidth=5, solid_capstyle="round", zorder=1)
        ax.plot(mean, row, marker="|", color="black", markersize=16, markeredgewidth=3, zorder=3)
        spread = f"all {mean:.1f}°" if high - low < 0.1 else f"{low:.0f}° to {high:.0f}°, mean {mean:.1f}°"
        place = {"xycoords": ("axes fraction", "data"), "xytext": (9, 0), "textcoords": "offset points"}
        ax.annotate(spread, (1.0, row), **place, va="center", fontsize=10, annotation_clip=False)
    ax.set_yticks(range(len(by_kind)), list(by_kind))
    ax.set_ylim(len(by_kind) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    return ax


@checked(seconds=above(0))
def growth(ax: Axes, seconds: Mapping[str, Mapping[int, float]], exponents: Mapping[str, float] | None = None) -> Axes:
    """Seconds against N, both as logarithms: each method a line, named at its end with its exponent."""
    check_filled(seconds=seconds)
    for by_size in seconds.values():
        check_filled(seconds=by_size)
    if exponents is not None and (missing := sorted(seconds.keys() - exponents.keys())):
        raise bad_input("exponents", "name each method of seconds", f"none for {missing[0]}", "Fit them all.")
    for place, by_size in enumerate(seconds.values()):
        ax.plot(list(by_size), list(by_size.values()), **line_style(place), linewidth=2, marker=".", markersize=6)
    slopes = {name: "" if exponents is None else f"\n$N^{{{exponents[name]:.1f}}}$" for name in seconds}
    ends = {f"{name}{slopes[name]}": list(by_size.values())[-1] for name, by_size in seconds.items()}
    name_ends(ax, ends, across=[list(by_size)[-1] for by_size in seconds.values()])
    ax.set(xscale="log", yscale="log")
    return ax
