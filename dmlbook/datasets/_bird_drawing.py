"""Whole birds: three ways of building one (in profile, from the front, wings spread) give six poses."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dmlbook.datasets._bird_genera import POSES
from dmlbook.datasets._bird_parts import (
    INK, WHITE, Plumage, bars_across, bill_outline, breast, crest_feathers, eye, face_marks, head_in_profile, tail,
)
from dmlbook.datasets._bird_shapes import Points, Sketch, Surface, arc, disk, mix, patch, ribbon, rotation, smooth
from dmlbook.datasets._bird_species import Species


@lru_cache(maxsize=4096)
def sketch_bird(species: Species, pose: int, contrast: float) -> Sketch:
    """A species in a pose, fitted into the square from -1 to 1, y up; pivots ``feet`` and ``water`` say where it is."""
    sketch, plumage, name = Sketch(), Plumage(species, contrast), POSES[pose]
    if name == "facing":
        _front(sketch, plumage)
    elif name == "soaring":
        _spread(sketch, plumage)
    else:
        _profile(sketch, plumage, name)
    if name in ("perched", "feeding"):
        sketch = sketch.place(np.diag([-1.0, 1.0]), np.zeros(2))
    corners = np.concatenate(sketch.polygons)
    low, high = corners.min(0), corners.max(0)
    scale = 1.72 / (high - low).max()
    return sketch.place(np.eye(2) * scale, -(low + high) / 2 * scale)


def _profile(sketch: Sketch, plumage: Plumage, pose: str) -> None:
    """Perched, flying, swimming or feeding, looking to the right."""
    genus = plumage.species.genus
    tilt = {"perched": genus.upright, "flying": 12.0, "swimming": 4.0, "feeding": -30.0}[pose]
    turn = rotation(tilt).T
    neck = np.array(genus.neck) * {"flying": (1.06, 0.55), "feeding": (1.12, 0.12)}.get(pose, (1.0, 1.0))
    if pose == "perched":  # an upright body carries its head above, not in front of it
        neck = neck @ rotation(-0.55 * tilt).T
    head = neck @ turn
    gaze = {"perched": 4.0, "flying": 6.0, "swimming": 2.0, "feeding": -34.0}[pose]

    def body(t: Points, depth: Points | float = 1.0) -> Points:
        """The body's surface at angles t (degrees, 0: the breast's tip), shrunk towards its axis by ``depth``."""
        x, y = np.cos(np.radians(t)), np.sin(np.radians(t))
        return np.stack([x * (0.4 + 0.6 * np.asarray(depth)), genus.depth * depth * y * (1 + 0.16 * x)], -1) @ turn

    def chest(u: Points, v: Points) -> Points:
        return body(26 - 125 * v, 0.95 - 0.72 * u * (0.75 + 0.25 * v))

    sketch.pivots |= {"head": tuple(0.5 * head), "wing": tuple(np.array((0.35, 0.2)) @ turn), "tail": tuple(np.array((-0.8, 0.0)) @ turn)}
    if pose == "flying":
        _raised_wing(sketch, plumage, turn, far=True)
    if pose == "flying" and genus.leg > 0.8:  # long legs trail behind the tail
        legs = smooth([(-0.5, -0.1), (-1.2, -0.12), (-1.0 - 0.8 * genus.leg, -0.02)], closed=False) @ turn
        sketch.add(ribbon(legs, (0.07, 0.05, 0.03)), genus.legs)
    if pose in ("perched", "feeding"):
        _legs(sketch, plumage, body, tilt)
    rise = {"perched": 0.0, "flying": 4.0, "swimming": -16.0, "feeding": -6.0}[pose]
    tail(sketch, plumage, np.array((-0.78, 0.04)) @ turn, 180 + tilt + rise, fan=1.25 if pose == "flying" else 1.0)
    sketch.add(body(np.linspace(0, 360, 41)[:-1]), plumage.back)
    t = np.linspace(-172, 52, 26)
    sketch.add(np.concatenate([body(t), body(t[::-1], 1 - 0.55 * np.sin(np.linspace(0, np.pi, 26)))]), plumage.belly)
    chin = (0.62, 0.3) @ turn
    bend = 0.28 * max(0.0, float(np.linalg.norm(head - chin)) - 0.6)  # long necks make an S
    neck_path = smooth([(0.4, 0.05) @ turn, chin + (bend, 0.0), 0.4 * chin + 0.6 * head - (bend, 0.0), head], closed=False)
    sketch.add(ribbon(neck_path, (genus.depth * 0.74, 0.5 * genus.depth + 0.3 * genus.head, genus.head * 0.72, genus.head * 0.85)), plumage.back)
    front = neck_path + np.array((genus.head * 0.34, -genus.head * 0.1))
    sketch.add(ribbon(front, (genus.depth * 0.5, genus.head * 0.42, genus.head * 0.45)), mix(plumage.back, plumage.belly, 0.85))
    breast(sketch, plumage, chest)
    head_in_profile(sketch, plumage, head, genus.head, turn=gaze)
    if pose == "flying":
        _raised_wing(sketch, plumage, turn, far=False)
    else:
        _folded_wing(sketch, plumage, turn)
    if pose == "swimming":
        sketch.pivots["water"] = (0.0, -0.42 * genus.depth)


def _legs(sketch: Sketch, plumage: Plumage, body: Surface, tilt: float) -> None:
    genus = plumage.species.genus
    hip = body(np.array([-100.0 - tilt]), 0.7)[0]
    ground = body(np.linspace(-180, 0, 19)).min(0)[1] - genus.leg
    for dx, shade in ((-0.14, 0.25), (0.12, 0.0)):
        color = mix(genus.legs, INK, shade)
        foot = np.array((hip[0] + dx, ground))
        sketch.add(ribbon([hip + (dx, 0), foot], 0.05), color)
        for toe in ((0.2, 0.0), (0.12, -0.06), (-0.13, -0.01)):
            sketch.add(ribbon([foot, foot + toe], (0.045, 0.02)), color)
    sketch.pivots["feet"] = (hip[0], ground)


def _folded_wing(sketch: Sketch, plumage: Plumage, turn: Points) -> None:
    depth = plumage.species.genus.depth
    top = smooth([(0.52, 0.16), (0.2, 0.62), (-0.5, 0.5), (-1.25, 0.06)], closed=False)
    bottom = smooth([(0.52, 0.1), (0.1, -0.46), (-0.6, -0.3), (-1.25, 0.0)], closed=False)
    wing = _between(top * (1, depth * 1.25) @ turn, bottom * (1, depth * 1.25) @ turn)
    sketch.add(patch(wing, (0.0, 1.0), (0.0, 1.0), count=16), plumage.wing, "wing")
    sketch.add(patch(wing, (0.62, 1.0), (0.0, 1.0), count=8), plumage.flight, "wing")
    for v in (0.3, 0.55, 0.8):
        path = wing(np.linspace(0.5, 0.96, 6), np.full(6, v))
        sketch.add(ribbon(path, (0.012, 0.022, 0.008)), mix(plumage.flight, WHITE, 0.22), "wing")
    bars_across(sketch, plumage, wing, (0.26, 0.46), 0.085)


def _between(first: Points, second: Points) -> Surface:
    """The surface between two curves of as many points: u along them, v from the first to the second."""
    steps = np.linspace(0, 1, len(first))

    def surface(u: Points, v: Points) -> Points:
        a, b = (np.stack([np.interp(u, steps, c[:, 0]), np.interp(u, steps, c[:, 1])], -1) for c in (first, second))
        return a + (b - a) * np.broadcast_to(v, np.shape(u))[..., None]

    return surface


def _spread_feathers(sketch: Sketch, plumage: Plumage, wing: Surface, *, shade: float, fingers: int = 5) -> None:
    """Coverts, flight feathers with fingered ends, and bars, on a wing whose u runs from root to tip, v to the rear."""
    sketch.add(patch(wing, (0.0, 1.0), (0.0, 0.9), count=14), mix(plumage.flight, INK, shade), "wing")
    edges = np.linspace(0.1, 1.0, fingers + 1)
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        middle, u = (a + b) / 2, np.array([a + 0.005, b - 0.005])
        feather = np.concatenate([wing(u, np.full(2, 0.5)), wing(np.array([b - 0.02, middle, a + 0.02]), np.array([0.96, 1.08, 0.96]))])
        sketch.add(feather, mix(plumage.flight, INK, shade + 0.1 * (int(a * 10) % 2)), "wing")
    sketch.add(patch(wing, (0.0, 0.97), (0.0, 0.52), count=12), mix(plumage.wing, INK, shade), "wing")
    bars_across(sketch, plumage, lambda u, v: wing(0.92 * v, u), (0.44, 0.26), 0.1)


def _raised_wing(sketch: Sketch, plumage: Plumage, turn: Points, *, far: bool) -> None:
    genus = plumage.species.genus
    reach, chord = genus.span * (0.92 if far else 1.0), genus.chord
    lead = smooth([(0.42, 0.1), (0.62, 0.45 * reach), (0.2, 0.95 * reach), (-0.25, 1.12 * reach)], closed=False)
    rear = smooth([(-0.45 - 0.3 * chord, 0.05), (-0.35 - chord * 0.8, 0.4 * reach), (-0.5 - chord * 0.5, 0.8 * reach), (-0.36, 1.1 * reach)], closed=False)
    lean = rotation(-22.0 if far else 10.0).T
    wing = _between(lead @ lean @ turn + (0.16 if far else 0.0, 0.0), rear @ lean @ turn + (0.16 if far else 0.0, 0.0))
    _spread_feathers(sketch, plumage, wing, shade=0.3 if far else 0.0)


def _spread(sketch: Sketch, plumage: Plumage) -> None:
    """Soaring, seen from below: both wings spread, head up and turned to the right."""
    genus = plumage.species.genus
    width = 0.2 + 0.6 * genus.depth
    head = np.array((0.0, 0.8 + 0.4 * genus.neck[0]))
    sketch.pivots |= {"head": (0.0, 0.8), "wing": (0.0, 0.4), "tail": (0.0, -0.8)}
    tail(sketch, plumage, (0.0, -0.8), -90.0, fan=1.7)
    reach, chord = 0.34 * genus.span + 0.4, 0.72 * genus.chord + 0.12
    for side in (-1, 1):
        lead = smooth([(0.0, 0.6), (0.5 * reach, 0.86), (1.05 * reach, 0.62), (1.6 * reach, 0.12)], closed=False)
        rear = smooth([(0.0, 0.5 - 1.35 * chord), (0.5 * reach, 0.55 - 1.25 * chord), (1.05 * reach, 0.42 - chord), (1.6 * reach, 0.02)], closed=False)
        _spread_feathers(sketch, plumage, _between(lead * (side, 1), rear * (side, 1)), shade=0.0)
    outline = smooth([(0, 1.0), (0.72 * width, 0.78), (width, 0.3), (0.66 * width, -0.5), (0, -1.0), (-0.66 * width, -0.5), (-width, 0.3), (-0.72 * width, 0.78)])
    sketch.add(outline, plumage.back)
    sketch.add(outline * (0.8, 0.92), plumage.belly)

    def chest(u: Points, v: Points) -> Points:
        y = 0.78 - 1.3 * v
        return np.stack([(2 * u - 1) * 0.8 * width * np.sqrt(np.clip(1.02 - (y - 0.15) ** 2, 0.05, 1)), np.broadcast_to(y, np.shape(u))], -1)

    breast(sketch, plumage, chest)
    sketch.add(ribbon([(0.0, 0.75), head], (width * 0.78, genus.head * 0.85)), plumage.back)
    head_in_profile(sketch, plumage, head, genus.head, turn=14.0)


def _front(sketch: Sketch, plumage: Plumage) -> None:
    """Perched and facing the reader."""
    species, genus = plumage.species, plumage.species.genus
    wide, tall, r = 0.5 + 0.66 * genus.depth, 1.0, genus.head * 1.16
    rise = 0.5 + 0.5 * genus.neck[1]
    head = np.array((0.0, rise + 0.28 * r))
    sketch.pivots |= {"head": (0.0, 0.6), "wing": (0.0, 0.4), "tail": (0.0, -0.8), "feet": (0.0, -tall - 0.45 * genus.leg + 0.04)}
    tail(sketch, plumage, (0.0, -0.72), -90.0, fan=1.0)
    for side in (-1, 1):
        hip, foot = np.array((side * 0.3 * wide, -0.85)), np.array((side * 0.34 * wide, -tall - 0.45 * genus.leg + 0.04))
        sketch.add(ribbon([hip, foot], 0.05), genus.legs)
        for toe in ((-0.13, -0.09), (0.0, -0.13), (0.13, -0.09)):
            sketch.add(ribbon([foot + (0, 0.03), foot + toe], (0.045, 0.03)), genus.legs)
    sketch.add(ribbon([(0.0, 0.35), head], (wide * 0.82, r * 0.8)), plumage.back)
    sketch.add(disk((0, 0), wide, tall, count=36), plumage.back)
    sketch.add(disk((0, -0.08), wide * 0.84, tall * 0.88, count=32), plumage.belly)
    sketch.add(ribbon([(0.0, 0.3), head], (wide * 0.66, r * 0.5)), mix(plumage.back, plumage.belly, 0.85))

    def chest(u: Points, v: Points) -> Points:
        y = 0.66 - 1.2 * v
        return np.stack([(2 * u - 1) * 0.82 * wide * np.sqrt(np.clip(1 - y**2, 0.05, 1)), np.broadcast_to(y, np.shape(u))], -1)

    breast(sketch, plumage, chest)
    for side in (-1, 1):
        outer = smooth([(0.62 * wide, 0.72), (1.1 * wide, 0.25), (1.02 * wide, -0.5), (0.62 * wide, -1.12)], closed=False) * (side, 1)
        inner = smooth([(0.62 * wide, 0.66), (0.72 * wide, 0.2), (0.7 * wide, -0.4), (0.56 * wide, -1.1)], closed=False) * (side, 1)
        wing = _between(outer, inner)
        sketch.add(patch(wing, (0.0, 1.0), (0.0, 1.0), count=14), plumage.wing, "wing")
        sketch.add(patch(wing, (0.64, 1.0), (0.0, 1.0), count=8), plumage.flight, "wing")
        bars_across(sketch, plumage, wing, (0.28, 0.46), 0.09)
    _front_head(sketch, plumage, head, r)


def _front_head(sketch: Sketch, plumage: Plumage, center: Points, radius: float) -> None:
    species, genus = plumage.species, plumage.species.genus

    def put(polygon: Points, color: tuple[int, ...]) -> None:
        sketch.add(np.asarray(polygon, dtype=float) * radius + center, color, "head")

    if species["crest"]:
        for feather in crest_feathers(genus.crest * 0.9):
            put(feather @ rotation(-28).T * (0.7, 1.0), mix(plumage.crown, INK, 0.12))
    if genus.disc:
        for side in (-1, 1):
            put([(side * 0.35, 0.8), (side * 0.82, 1.22), (side * 0.9, 0.4)], mix(plumage.crown, INK, 0.1))
    put(disk((0, 0), 1.06, 0.98, count=30), plumage.back)
    put(disk((0, -0.36), 0.84, 0.6, count=24), mix(plumage.back, plumage.belly, 0.85))
    put(np.concatenate([arc(12, 168, 20) * (1.06, 0.98), smooth([(-0.7, 0.24), (0.0, 0.42), (0.7, 0.24)], closed=False, steps=5)]), plumage.crown)
    for side in (-1, 1):
        if genus.disc:
            put(disk((side * 0.42, -0.02), 0.52, 0.6), mix(plumage.belly, WHITE, 0.35))
        face_marks(put, plumage, side, x0=side * 0.4)
        eye(put, plumage, (side * 0.44, 0.12), 0.26 if genus.disc else 0.19)
    upper, lower = bill_outline(genus.bill_shape, 0.42 + 0.22 * genus.bill_length * plumage.size("bill_length"))
    half = 0.3 if genus.bill_shape == "flat" else max(0.16, np.abs(upper[:, 1]).max() * 0.62)
    long = upper[:, 0].max()
    put(smooth([(-half, 0.0), (0.0, 0.16), (half, 0.0), (half * 0.5, -long * 0.6), (0.0, -long), (-half * 0.5, -long * 0.6)], steps=4), plumage.bill)
    put([(-half * 0.8, -0.06), (half * 0.8, -0.06), (0.0, -long * 0.35)], mix(plumage.bill, INK, 0.25))
