"""The story so far: one strip, the same in all chapters, in which the present step is marked."""

from __future__ import annotations

import math
from collections.abc import Callable

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmlbook._checks import bad_input, checked
from dmlbook.book.figures import class_color, show
from dmlbook.book.lines import BLACK, MIDDLE, SHADE, SOFT

PALE = 0.22  # how much is left of what is still to come


def _dots(ax: Axes, points: list[tuple[float, float]], label: int, marker: str = "o", size: float = 4.5) -> None:
    ax.plot(*zip(*points, strict=True), marker, color=class_color(label), markersize=size, mec="white", mew=0.4)


def _around(degrees: float, *, spread: float = 14, radius: float = 0.82, count: int = 3) -> list[tuple[float, float]]:
    turns = [math.radians(degrees + spread * (n - (count - 1) / 2)) for n in range(count)]
    return [(radius * math.cos(turn), radius * math.sin(turn)) for turn in turns]


def _ring(ax: Axes) -> None:
    ax.add_patch(plt.Circle((0, 0), 0.82, fill=False, color=SHADE, linewidth=0.8, zorder=0))


def _first_look(ax: Axes) -> None:
    for row in range(3):
        for column in range(3):
            _dots(ax, [(0.55 * (column - 1), 0.55 * (1 - row))], (row + 2 * column) % 3, "s", 7.5)


def _measure(ax: Axes) -> None:
    _dots(ax, [(-0.8, 0)], 0, "s", 7)
    for place, label in enumerate((0, 0, 1, 0)):
        _dots(ax, [(-0.25 + 0.36 * place, 0)], label, "o", 6)
    ax.plot([-0.52, -0.52], [-0.4, 0.4], color=SOFT, linewidth=0.8)


def _triplets(ax: Axes) -> None:
    ax.plot([-0.6, 0.15, -0.6, 0.65], [-0.35, 0.6, -0.35, -0.3], color=MIDDLE, linewidth=0.8, zorder=0)
    _dots(ax, [(-0.6, -0.35)], 0, "s", 6)
    _dots(ax, [(0.15, 0.6)], 0, "o", 6)
    _dots(ax, [(0.65, -0.3)], 1, "o", 6)


def _one_center(ax: Axes) -> None:
    _ring(ax)
    for label, degrees in enumerate((90, 210, 330)):
        _dots(ax, _around(degrees), label)
        _dots(ax, _around(degrees, radius=0.4, count=1), label, "X", 6)


def _several_centers(ax: Axes) -> None:
    _ring(ax)
    for label, degrees in ((0, 0), (0, 180), (1, 90), (1, 270)):
        _dots(ax, _around(degrees), label)
        _dots(ax, _around(degrees, radius=0.42, count=1), label, "X", 6)


def _how_many(ax: Axes) -> None:
    _ring(ax)
    for degrees, count in ((20, 3), (160, 2), (270, 1)):
        _dots(ax, _around(degrees, spread=26, radius=0.45, count=count), 0, "X", 5)
        _dots(ax, _around(degrees), 0)


def _centroids(ax: Axes) -> None:
    for label, degrees in enumerate((90, 210, 330)):
        ((x, y),) = _around(degrees, radius=0.72, count=1)
        for point in ((0.45 * x - 0.2 * y, 0.45 * y + 0.2 * x), (0.5 * x + 0.25 * y, 0.5 * y - 0.25 * x)):
            ax.plot([x, point[0]], [y, point[1]], color=SOFT, linewidth=0.7, zorder=0)
            _dots(ax, [point], label)
        ax.plot(x, y, "P", color=class_color(label), markersize=6.5, mec="white", mew=0.4)


def _field(ax: Axes) -> None:
    for place, marker in enumerate(("o", "X", "*", "P", "s", "D")):
        ax.plot(0.6 * (place % 3 - 1), 0.3 - 0.6 * (place // 3), marker, color=MIDDLE, markersize=6)


def _training(ax: Axes) -> None:
    ax.plot([-0.8, -0.8, 0.8], [0.75, -0.7, -0.7], color=SOFT, linewidth=0.8)
    steps = [n / 20 for n in range(21)]
    ax.plot(
        [-0.75 + 1.5 * t for t in steps], [-0.55 + 1.2 * math.exp(-4 * t) for t in steps], color=BLACK, linewidth=1.4
    )


def _benchmarks(ax: Axes) -> None:
    for place, (label, length) in enumerate(((0, 1.1), (1, 1.4), (2, 0.8))):
        ax.barh(0.5 - 0.5 * place, length, left=-0.7, height=0.26, color=(BLACK, MIDDLE, SOFT)[label])


def _seeing(ax: Axes) -> None:
    for label, (x, y) in enumerate(((-0.45, 0.4), (0.45, 0.35), (0.0, -0.45))):
        _dots(ax, [(x + 0.22 * math.cos(n * 2.4), y + 0.22 * math.sin(n * 2.4)) for n in range(6)], label, "o", 3.6)


STEPS: dict[str, tuple[str, Callable[[Axes], None]]] = {
    "00": ("a first\nlook", _first_look),
    "01": ("measure\nit", _measure),
    "01b": ("learn from\ntriplets", _triplets),
    "02": ("one center\na class", _one_center),
    "03": ("several\ncenters", _several_centers),
    "04": ("how\nmany?", _how_many),
    "05": ("fixed\ncentroids", _centroids),
    "06": ("the\nfield", _field),
    "07": ("train\na network", _training),
    "08": ("on real\nphotos", _benchmarks),
    "09": ("see the\nclusters", _seeing),
}
"""The steps by the number of their lesson: what stands below each, and what draws it."""


@checked
def strip(number: str) -> Figure:
    """The strip in which the step of a lesson, or that of the lesson that a companion goes with, is framed.

    Args:
        number: As it begins the notebook's name: ``"03"``, ``"03b"``.

    Raises:
        ValueError: The story has no such step.
    """
    here = lesson_of(number)
    figure, axes = plt.subplots(1, len(STEPS), figsize=(9.6, 1.45), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0)
    for place, (ax, (step, (name, draw))) in enumerate(zip(axes, STEPS.items(), strict=True)):
        draw(ax)
        to_come = place > list(STEPS).index(here)
        ax.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal", xticks=[], yticks=[])
        weight = "bold" if step == here else "normal"
        ax.set_title(step, loc="center", fontsize=9, pad=3, color=SOFT if to_come else BLACK, weight=weight)
        ax.set_xlabel(name, fontsize=8, labelpad=3, color=MIDDLE if to_come else BLACK, weight=weight)
        for artist in (*ax.lines, *ax.patches):
            artist.set_alpha(PALE if to_come else 1)
        for spine in ax.spines.values():
            spine.set(visible=True, color=BLACK if step == here else SHADE, linewidth=2 if step == here else 0.8)
    return figure


@checked
def story(number: str) -> None:
    """Display the strip of a chapter, with its alt text.

    Raises:
        ValueError: The story has no such step.
    """
    names = [f"{step} {' '.join(name.split())}" for step, (name, _) in STEPS.items()]
    place = list(STEPS).index(lesson_of(number))
    told = f"The story of the book in {len(names)} small pictures: {', '.join(names)}."
    deeper = " This companion goes deeper there." if number != lesson_of(number) else ""
    show(strip(number), f"{told} We are at {names[place]}; what comes after it is pale.{deeper}")


@checked
def lesson_of(number: str) -> str:
    """The lesson that a notebook is, or goes deeper into.

    Args:
        number: As it begins the notebook's name.

    Raises:
        ValueError: The story has no such step.

    Example:
        >>> lesson_of("06b"), lesson_of("01b"), lesson_of("01c")  # 01b is a lesson of its own
        ('06', '01b', '01b')
    """
    lessons = [step for step in STEPS if step[:2] == number[:2] and step <= number]
    if not lessons or (number not in STEPS and number[2:] not in ("b", "c")):
        raise bad_input(
            "number", f"be a lesson's or a companion's, such as {', '.join(STEPS)}", repr(number), "See STEPS."
        )
    return lessons[-1]
