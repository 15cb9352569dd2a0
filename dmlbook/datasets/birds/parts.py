"""Parts of the drawn birds: heads, breasts, wings and tails, each carrying its species' details."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dmlbook.datasets.birds.genera import PALETTE, Color
from dmlbook.datasets.birds.shapes import Path, Points, Sketch, Surface, arc, disk, mix, patch, ribbon, rotation, smooth
from dmlbook.datasets.birds.species import Species

INK: Color = (38, 34, 44)
WHITE: Color = (255, 255, 255)
Put = Callable[[Path, Color], None]


@dataclass(frozen=True)
class Plumage:
    """The colors of one species, its details faded towards what the genus shares by 1 - ``contrast``."""

    species: Species
    contrast: float

    @property
    def back(self) -> Color:
        return self.species.genus.back

    @property
    def belly(self) -> Color:
        return self.species.genus.belly

    @property
    def wing(self) -> Color:
        return self.species.genus.wing

    @property
    def flight(self) -> Color:
        return mix(self.wing, INK, 0.38)

    @property
    def crown(self) -> Color:
        return mix(self.back, self.species.color("crown"), self.contrast)

    @property
    def breast(self) -> Color:
        return mix(self.belly, self.species.color("breast_color"), self.contrast)

    @property
    def bar(self) -> Color:
        return mix(self.wing, PALETTE[self.species["bar_color"]], self.contrast)

    @property
    def bill(self) -> Color:
        named = self.species["bill_color"]
        return mix(self.species.genus.bill, PALETTE[named], self.contrast) if named else self.species.genus.bill

    def size(self, trait: str) -> float:
        """A length detail, drawn towards 1 as contrast falls."""
        return 1 + (self.species[trait] - 1) * self.contrast


def bill_outline(shape: str, length: float) -> tuple[Points, Points]:
    """Upper and lower half of a bill in profile, in head radii, rooted at (0, 0) and pointing to the right."""
    n = length
    if shape == "cone":
        return np.array([(0, 0.42), (n * 0.5, 0.26), (n, -0.06), (0, -0.04)]), np.array(
            [(0, -0.02), (n * 0.94, -0.06), (n * 0.45, -0.26), (0, -0.34)]
        )
    if shape == "hook":
        upper = smooth(
            [(0, 0.34), (n * 0.55, 0.28), (n * 0.98, -0.1), (n * 0.92, -0.52), (n * 0.66, -0.18), (0, -0.1)], steps=4
        )
        return upper, np.array([(0, -0.06), (n * 0.62, -0.14), (n * 0.5, -0.32), (0, -0.34)])
    if shape == "flat":
        upper = smooth([(0, 0.3), (n * 0.45, 0.02), (n * 0.95, 0.04), (n, -0.1), (n * 0.5, -0.16), (0, -0.14)], steps=4)
        return upper, np.array([(0, -0.1), (n * 0.92, -0.12), (n * 0.8, -0.22), (n * 0.3, -0.26), (0, -0.3)])
    thick = {"thin": 0.17, "dagger": 0.24, "needle": 0.1}[shape]
    drop = {"thin": 0.02, "dagger": 0.0, "needle": -0.3}[shape]
    upper = np.array(
        [(0, thick), (n * 0.5, thick * 0.62 + drop * 0.1), (n, drop - 0.02), (n * 0.5, drop * 0.3), (0, 0)]
    )
    return upper, np.array(
        [(0, 0.02), (n * 0.5, drop * 0.3), (n * 0.98, drop - 0.02), (n * 0.5, drop * 0.4 - thick * 0.6), (0, -thick)]
    )


def crest_feathers(length: float) -> list[Points]:
    """Three feathers that rise from the crown and lean back; the head looks to the right."""
    feathers = []
    for start, share in ((66, 0.8), (88, 1.0), (112, 0.85)):
        root = arc(start, start, 1)[0] * 0.86
        tip = root + rotation(start + 34) @ (length * share, 0)
        middle = (root + tip) / 2 + rotation(start - 60) @ (0.16 * length, 0)
        feathers.append(ribbon(smooth([root, middle, tip], closed=False, steps=5), (0.2, 0.14, 0.01)))
    return feathers


def head_in_profile(
    sketch: Sketch, plumage: Plumage, center: Points | Sequence[float], radius: float, *, turn: float = 0.0
) -> None:
    """A head that looks along ``turn`` degrees (0: to the right), with crest, bill, crown, face and eye."""
    species, genus, spin = plumage.species, plumage.species.genus, rotation(turn).T * radius

    def put(polygon: Path, color: tuple[int, ...]) -> None:
        sketch.add(np.asarray(polygon, dtype=float) @ spin + np.asarray(center), color, "head")

    if species["crest"]:
        for feather in crest_feathers(genus.crest):
            put(feather, mix(plumage.crown, INK, 0.12))
    upper, lower = bill_outline(genus.bill_shape, genus.bill_length * plumage.size("bill_length"))
    root = np.array((0.62 if genus.disc else 0.8, -0.08))
    put(lower + root, mix(plumage.bill, INK, 0.28))
    if not genus.disc:
        put(upper + root, plumage.bill)
    put(disk((0, 0), 1.0, count=30), plumage.back)
    put(
        np.concatenate([arc(-128, 8, 14), smooth([(0.7, -0.12), (0.1, -0.35), (-0.5, -0.62)], closed=False, steps=4)]),
        mix(plumage.back, plumage.belly, 0.85),
    )  # pale chin
    put(
        np.concatenate([arc(14, 190, 22), smooth([(-0.72, 0.02), (-0.1, 0.36), (0.6, 0.36)], closed=False, steps=4)]),
        plumage.crown,
    )
    if genus.disc:
        put(disk((0.3, -0.02), 0.66, 0.8, count=24), mix(plumage.belly, WHITE, 0.35))
        put(upper + root, plumage.bill)
    face_marks(put, plumage, side=1)
    x, y = (0.36, 0.12) if genus.disc else (0.34, 0.16)
    eye(put, plumage, (x, y), 0.27 if genus.disc else 0.2)


def face_marks(put: Put, plumage: Plumage, side: int, *, x0: float = 0.0, wide: float = 1.0) -> None:
    """Brow, eye stripe or cheek patch, on the right (``side`` 1) or mirrored (-1), ``wide`` times as long."""
    marks = {
        "brow": ([(-0.62, 0.34), (-0.1, 0.56), (0.42, 0.6), (0.8, 0.44)], (0.04, 0.11, 0.11, 0.05), PALETTE["ivory"]),
        "stripe": ([(-0.85, 0.02), (-0.2, 0.12), (0.4, 0.14), (0.86, 0.0)], (0.16, 0.15, 0.13, 0.08), INK),
    }
    face = plumage.species["face"]
    if face == "cheek":
        color = mix(plumage.back, mix(plumage.breast, PALETTE["coral"], 0.35), plumage.contrast)
        put(disk((x0 + side * 0.06, -0.36), 0.34 * wide, 0.26, turn=side * -14), color)
    elif face in marks:
        path, widths, color = marks[face]
        curve = smooth(np.asarray(path) * (side * wide, 1) + (x0, 0), closed=False, steps=5)
        put(ribbon(curve, widths), mix(plumage.back, color, 0.35 + 0.6 * plumage.contrast))


def eye(put: Put, plumage: Plumage, at: Points | Sequence[float], radius: float) -> None:
    """An eye with its ring, and a spark of light in it."""
    ring = plumage.species["eye_ring"]
    if ring or plumage.species.genus.disc:
        put(disk(at, radius * 1.55), PALETTE[ring or "rust"])
    put(disk(at, radius), INK)
    put(disk((at[0] + radius * 0.3, at[1] + radius * 0.36), radius * 0.36, count=10), WHITE)


def breast(sketch: Sketch, plumage: Plumage, surface: Surface) -> None:
    """The breast's pattern on any surface: u across, v from the throat (0) down to the belly (1)."""
    kind, color = plumage.species["breast"], plumage.breast
    if kind == "washed":
        sketch.add(patch(surface, (0.0, 1.0), (0.0, 0.5), sag=0.14), color)
    elif kind == "bib":
        sketch.add(patch(surface, (0.05, 0.95), (-0.04, 0.26), sag=0.14), color)
    elif kind == "band":
        sketch.add(patch(surface, (0.0, 1.0), (0.28, 0.44), sag=0.05), color)
    elif kind == "spots":
        radius = 0.11 * plumage.species.genus.depth
        for row, v in enumerate((0.12, 0.3, 0.48, 0.66)):
            for u in (0.16, 0.5, 0.84) if row % 2 == 0 else (0.33, 0.67):
                sketch.add(disk(surface(np.array([u]), np.array([v]))[0], radius, count=10), color)
    elif kind == "streaks":
        for u in (0.14, 0.38, 0.62, 0.86):
            v = np.linspace(0.05, 0.66, 6)
            sketch.add(ribbon(surface(np.full(6, u), v), (0.02, 0.05, 0.02)), color)


def bars_across(sketch: Sketch, plumage: Plumage, surface: Surface, places: Sequence[float], width: float) -> None:
    """None, one or two wing bars at u = ``places``, along v, on the surface of a wing."""
    for place in places[: plumage.species["wing_bars"]]:
        sketch.add(patch(surface, (place, place + width), (0.06, 0.94), count=2), plumage.bar, "wing")


def tail(sketch: Sketch, plumage: Plumage, root: Points | Sequence[float], turn: float, *, fan: float = 1.0) -> None:
    """A tail that points along ``turn`` degrees; ``fan`` widens it."""
    genus, kind = plumage.species.genus, plumage.species["tail"]
    long, wide, notch = genus.tail, genus.tail_width * fan, genus.fork * genus.tail
    start = -0.3  # inside the body, so that no gap opens when it moves

    def outline(a: float, b: float, grow: float = 1.0) -> Points:
        half = [0.17 + (wide - 0.17) * max(x, 0) / long for x in (a, b)]
        end = [(b, half[1]), (b + 0.06 - notch * b / long, 0.0), (b, -half[1])]
        begin = [(a, -half[0] * grow), (a + (0.06 - notch) * max(a, 0) / long, 0.0), (a, half[0] * grow)]
        return np.array(end + begin) @ rotation(turn).T + np.asarray(root)

    base = mix(plumage.wing, INK, 0.12)
    mark = mix(base, PALETTE["ivory"] if kind == "tip" else INK, 0.85 * plumage.contrast)
    sketch.add(outline(start, long), base, "tail")
    for a, b in {"tip": [(0.78, 1.0)], "banded": [(0.42, 0.58), (0.76, 0.92)]}.get(kind, []):
        sketch.add(outline(a * long, b * long), mark, "tail")
