"""Whole birds: three ways of building one (in profile, from the front, wings spread) give six poses."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from dmlbook.datasets.birds.genera import POSES
from dmlbook.datasets.birds.parts import (
    INK,
    WHITE,
    Plumage,
    bars_across,
    bill_outline,
    breast,
    crest_feathers,
    eye,
    face_marks,
    head_in_profile,
    tail,
)
from dmlbook.datasets.birds.shapes import (
    Path,
    Points,
    Sketch,
    arc,
    between,
    disk,
    mix,
    patch,
    ribbon,
    rotation,
    smooth,
)
from dmlbook.datasets.birds.species import Species
from dmlbook.datasets.birds.wings import folded_wing, raised_wing, spread_feathers


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

    throat = {"perched": 8.0, "flying": -6.0, "swimming": 12.0, "feeding": -22.0}[pose]  # just below the head

    def chest(u: Points, v: Points) -> Points:
        return body(throat - 112 * v, 0.92 - 0.74 * u * (0.7 + 0.3 * v))

    sketch.pivots |= {
        "head": tuple(0.5 * head),
        "wing": tuple(np.array((0.35, 0.2)) @ turn),
        "tail": tuple(np.array((-0.8, 0.0)) @ turn),
    }
    if pose == "flying":
        raised_wing(sketch, plumage, turn, far=True)
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
    base = np.array((0.36, 0.02)) @ turn
    long = max(0.0, float(np.linalg.norm(head - base)) - 0.9)  # long necks make an S
    bend = np.array((0.3 * long, 0.0)) if pose != "feeding" else np.array((0.0, 0.3 * long))
    neck_path = smooth([base, 0.62 * base + 0.38 * head + bend, 0.34 * base + 0.66 * head - bend, head], closed=False)
    slim = 0.4 * genus.depth + 0.4 * genus.head - 0.16 * long
    sketch.add(
        ribbon(neck_path, (0.6 * genus.depth, slim, 0.75 * slim + 0.2 * genus.head, 0.85 * genus.head)), plumage.back
    )
    front = neck_path + np.array((genus.head * 0.3, -genus.head * 0.12))
    sketch.add(
        ribbon(front, (0.02, 0.5 * slim, 0.45 * slim, 0.45 * genus.head)), mix(plumage.back, plumage.belly, 0.85)
    )
    breast(sketch, plumage, chest)
    head_in_profile(sketch, plumage, head, genus.head, turn=gaze)
    if pose == "flying":
        raised_wing(sketch, plumage, turn, far=False)
    else:
        folded_wing(sketch, plumage, turn)
    if pose == "swimming":
        sketch.pivots["water"] = (0.0, -0.52 * genus.depth)


def _legs(sketch: Sketch, plumage: Plumage, body: Callable[..., Points], tilt: float) -> None:
    genus = plumage.species.genus
    hip = body(np.array([-100.0 - tilt]), 0.7)[0]
    ground = body(np.linspace(-180, 0, 19)).min(0)[1] - genus.leg
    for dx, shade in ((-0.14, 0.25), (0.12, 0.0)):
        color = mix(genus.legs, INK, shade)
        foot = np.array((hip[0] + dx, ground))
        sketch.add(ribbon([hip + np.array((dx, 0.0)), foot], 0.05), color)
        for toe in ((0.2, 0.0), (0.12, -0.06), (-0.13, -0.01)):
            sketch.add(ribbon([foot, foot + toe], (0.045, 0.02)), color)
    sketch.pivots["feet"] = (hip[0], ground)


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
        rear = smooth(
            [
                (0.0, 0.5 - 1.35 * chord),
                (0.5 * reach, 0.55 - 1.25 * chord),
                (1.05 * reach, 0.42 - chord),
                (1.6 * reach, 0.02),
            ],
            closed=False,
        )
        spread_feathers(sketch, plumage, between(lead * (side, 1), rear * (side, 1)), shade=0.0)
    outline = smooth(
        [
            (0, 1.0),
            (0.72 * width, 0.78),
            (width, 0.3),
            (0.66 * width, -0.5),
            (0, -1.0),
            (-0.66 * width, -0.5),
            (-width, 0.3),
            (-0.72 * width, 0.78),
        ]
    )
    sketch.add(outline, plumage.back)
    sketch.add(outline * (0.8, 0.92), plumage.belly)

    def chest(u: Points, v: Points) -> Points:
        y = 0.78 - 1.3 * v
        return np.stack(
            [
                (2 * u - 1) * 0.8 * width * np.sqrt(np.clip(1.02 - (y - 0.15) ** 2, 0.05, 1)),
                np.broadcast_to(y, np.shape(u)),
            ],
            -1,
        )

    breast(sketch, plumage, chest)
    sketch.add(ribbon([(0.0, 0.75), head], (width * 0.78, genus.head * 0.85)), plumage.back)
    head_in_profile(sketch, plumage, head, genus.head, turn=14.0)


def _front(sketch: Sketch, plumage: Plumage) -> None:
    """Perched and facing the reader."""
    genus = plumage.species.genus
    wide, tall, r = 0.5 + 0.66 * genus.depth, 1.0, genus.head * 1.16
    rise = 0.5 + 0.5 * genus.neck[1]
    head = np.array((0.0, rise + 0.28 * r))
    sketch.pivots |= {
        "head": (0.0, 0.6),
        "wing": (0.0, 0.4),
        "tail": (0.0, -0.8),
        "feet": (0.0, -tall - 0.45 * genus.leg + 0.04),
    }
    tail(sketch, plumage, (0.0, -0.72), -90.0, fan=1.0)
    for side in (-1, 1):
        hip, foot = (
            np.array((side * 0.3 * wide, -0.85)),
            np.array((side * 0.34 * wide, -tall - 0.45 * genus.leg + 0.04)),
        )
        sketch.add(ribbon([hip, foot], 0.05), genus.legs)
        for toe in ((-0.13, -0.09), (0.0, -0.13), (0.13, -0.09)):
            sketch.add(ribbon([foot + np.array((0.0, 0.03)), foot + toe], (0.045, 0.03)), genus.legs)
    sketch.add(ribbon([(0.0, 0.35), head], (wide * 0.82, r * 0.8)), plumage.back)
    sketch.add(disk((0, 0), wide, tall, count=36), plumage.back)
    sketch.add(disk((0, -0.08), wide * 0.84, tall * 0.88, count=32), plumage.belly)
    sketch.add(ribbon([(0.0, 0.3), head], (wide * 0.66, r * 0.5)), mix(plumage.back, plumage.belly, 0.85))

    def chest(u: Points, v: Points) -> Points:
        y = 0.66 - 1.2 * v
        return np.stack(
            [(2 * u - 1) * 0.82 * wide * np.sqrt(np.clip(1 - y**2, 0.05, 1)), np.broadcast_to(y, np.shape(u))], -1
        )

    breast(sketch, plumage, chest)
    for side in (-1, 1):
        outer = smooth(
            [(0.62 * wide, 0.72), (1.1 * wide, 0.25), (1.02 * wide, -0.5), (0.62 * wide, -1.12)], closed=False
        ) * (side, 1)
        inner = smooth(
            [(0.62 * wide, 0.66), (0.72 * wide, 0.2), (0.7 * wide, -0.4), (0.56 * wide, -1.1)], closed=False
        ) * (side, 1)
        wing = between(outer, inner)
        sketch.add(patch(wing, (0.0, 1.0), (0.0, 1.0), count=14), plumage.wing, "wing")
        sketch.add(patch(wing, (0.64, 1.0), (0.0, 1.0), count=8), plumage.flight, "wing")
        bars_across(sketch, plumage, wing, (0.28, 0.46), 0.09)
    _front_head(sketch, plumage, head, r)


def _front_head(sketch: Sketch, plumage: Plumage, center: Points, radius: float) -> None:
    species, genus = plumage.species, plumage.species.genus

    def put(polygon: Path, color: tuple[int, ...]) -> None:
        sketch.add(np.asarray(polygon, dtype=float) * radius + center, color, "head")

    if species["crest"]:
        for feather in crest_feathers(genus.crest * 0.9):
            put(feather @ rotation(-28).T * (0.7, 1.0), mix(plumage.crown, INK, 0.12))
    if genus.disc:
        for side in (-1, 1):
            put([(side * 0.35, 0.8), (side * 0.82, 1.22), (side * 0.9, 0.4)], mix(plumage.crown, INK, 0.1))
    put(disk((0, 0), 1.06, 0.98, count=30), plumage.back)
    put(disk((0, -0.36), 0.84, 0.6, count=24), mix(plumage.back, plumage.belly, 0.85))
    put(
        np.concatenate(
            [arc(12, 168, 20) * (1.06, 0.98), smooth([(-0.7, 0.24), (0.0, 0.42), (0.7, 0.24)], closed=False, steps=5)]
        ),
        plumage.crown,
    )
    for side in (-1, 1):
        if genus.disc:
            put(disk((side * 0.42, -0.02), 0.52, 0.6), mix(plumage.belly, WHITE, 0.35))
        face_marks(put, plumage, side, x0=side * 0.46, wide=0.62)
        eye(put, plumage, (side * 0.44, 0.12), 0.26 if genus.disc else 0.19)
    upper, _ = bill_outline(genus.bill_shape, 0.42 + 0.22 * genus.bill_length * plumage.size("bill_length"))
    half = 0.3 if genus.bill_shape == "flat" else max(0.16, np.abs(upper[:, 1]).max() * 0.62)
    long = upper[:, 0].max()
    put(
        smooth(
            [
                (-half, 0.0),
                (0.0, 0.16),
                (half, 0.0),
                (half * 0.5, -long * 0.6),
                (0.0, -long),
                (-half * 0.5, -long * 0.6),
            ],
            steps=4,
        ),
        plumage.bill,
    )
    put([(-half * 0.8, -0.06), (half * 0.8, -0.06), (0.0, -long * 0.35)], mix(plumage.bill, INK, 0.25))
