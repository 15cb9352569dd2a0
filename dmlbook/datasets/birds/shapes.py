"""Curves that birds are drawn from. All are polygons, arrays (P, 2), with x to the right and y up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from dmlbook.datasets.birds.genera import Color

Points = np.ndarray
"""(P, 2)."""
Path = np.ndarray | Sequence[Sequence[float] | np.ndarray]
"""The same, or a list of points."""


@dataclass
class Sketch:
    """Polygons in the order in which they are painted; those of one group (head, wing, tail, body) move together."""

    polygons: list[Points] = field(default_factory=list)
    colors: list[tuple[int, ...]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    pivots: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, polygon: Path, color: tuple[int, ...], group: str = "body") -> None:
        self.polygons.append(np.asarray(polygon, dtype=float))
        self.colors.append(color)
        self.groups.append(group)

    @cached_property
    def stacked(self) -> tuple[Points, list[int]]:
        """All polygons' points below each other (P, 2), and where each polygon ends."""
        return np.concatenate(self.polygons), np.cumsum([len(polygon) for polygon in self.polygons]).tolist()

    @cached_property
    def members(self) -> dict[str, Points]:
        """For each group with a pivot: which of the stacked points belong to it, (P,) bool."""
        lengths = [len(polygon) for polygon in self.polygons]
        names = np.repeat(np.array(self.groups), lengths)
        return {group: names == group for group in ("head", "wing", "tail")}

    def place(self, linear: Points, shift: Points) -> Sketch:
        """The whole sketch under x -> linear x + shift."""
        moved = [polygon @ linear.T + shift for polygon in self.polygons]
        pivots = {name: tuple(linear @ np.array(pivot) + shift) for name, pivot in self.pivots.items()}
        return Sketch(moved, self.colors, self.groups, pivots)


def mix(a: Color, b: Color, share: float) -> Color:
    """``share`` of color b in color a."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a[:3], b[:3], strict=True))


def rotation(degrees: float) -> Points:
    """The matrix (2, 2) that turns counterclockwise."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s], [s, c]])


def arc(start: float, end: float, count: int = 24) -> Points:
    """Points of the unit circle from ``start`` to ``end`` degrees."""
    t = np.radians(np.linspace(start, end, count))
    return np.stack([np.cos(t), np.sin(t)], axis=-1)


def disk(
    center: Points | Sequence[float], a: float, b: float | None = None, *, turn: float = 0.0, count: int = 20
) -> Points:
    """An ellipse with half axes a and b (a circle without b), turned by ``turn`` degrees."""
    shape = arc(0, 360, count + 1)[:-1] * (a, a if b is None else b)
    return (shape @ rotation(turn).T if turn else shape) + np.asarray(center)


def smooth(points: Path, *, steps: int = 6, closed: bool = True) -> Points:
    """A curve through all points (Catmull-Rom), ``steps`` points a piece."""
    p = np.asarray(points, dtype=float)
    p = np.concatenate([p[-1:], p, p[:2]] if closed else [2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    a, b, c, d = p[:-3, None], p[1:-2, None], p[2:-1, None], p[3:, None]
    t = (np.arange(steps) / steps)[None, :, None]
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, p[-2:-1]])


def ribbon(path: Path, widths: Sequence[float] | float) -> Points:
    """A band along a path (P, 2); ``widths`` are half widths at evenly spaced places of it."""
    path = np.asarray(path, dtype=float)
    along = np.gradient(path, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-12
    widths = np.atleast_1d(np.asarray(widths, dtype=float))
    half = np.interp(np.linspace(0, 1, len(path)), np.linspace(0, 1, len(widths)), widths)[:, None]
    return np.concatenate([path + normal * half, (path - normal * half)[::-1]])


Surface = Callable[[Points, Points], Points]
"""Places (u, v) of a breast or a wing on the picture, both in [0, 1], so that one pattern fits every pose."""


def between(first: Points, second: Points) -> Surface:
    """The surface between two curves of as many points: u along them, v from the first to the second."""
    steps = np.linspace(0, 1, len(first))

    def surface(u: Points, v: Points) -> Points:
        a, b = (np.stack([np.interp(u, steps, c[:, 0]), np.interp(u, steps, c[:, 1])], -1) for c in (first, second))
        return a + (b - a) * np.broadcast_to(v, np.shape(u))[..., None]

    return surface


def patch(
    surface: Surface, u: tuple[float, float], v: tuple[float, float], *, sag: float = 0.0, count: int = 9
) -> Points:
    """The part of a surface with u and v between two values each; ``sag`` rounds its end in v."""
    across = np.linspace(*u, count)
    bow = sag * np.sin(np.linspace(0, np.pi, count))
    down = np.linspace(*v, 4)[1:-1]
    corners = [
        surface(across, np.full(count, v[0])),
        surface(np.full(2, u[1]), down),
        surface(across[::-1], v[1] + bow),
        surface(np.full(2, u[0]), down[::-1]),
    ]
    return np.concatenate(corners)
