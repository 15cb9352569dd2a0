"""Wings of the drawn birds: folded, raised and spread."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from dmlbook.datasets.birds.parts import INK, WHITE, Plumage, bars_across
from dmlbook.datasets.birds.shapes import Points, Sketch, Surface, between, mix, patch, ribbon, rotation, smooth


def folded_wing(sketch: Sketch, plumage: Plumage, turn: Points) -> None:
    """A wing at rest on the side of a body that ``turn`` has turned."""
    depth = plumage.species.genus.depth
    top = smooth([(0.56, 0.12), (0.36, 0.5), (-0.12, 0.58), (-0.7, 0.36), (-1.25, 0.04)], closed=False)
    bottom = smooth([(0.56, 0.06), (0.42, -0.26), (0.02, -0.46), (-0.6, -0.32), (-1.25, -0.02)], closed=False)
    wing = between(top * (1, depth * 1.25) @ turn, bottom * (1, depth * 1.25) @ turn)
    sketch.add(patch(wing, (0.0, 1.0), (0.0, 1.0), count=25), plumage.wing, "wing")
    sketch.add(patch(wing, (0.62, 1.0), (0.0, 1.0), count=8), plumage.flight, "wing")
    for v in (0.3, 0.55, 0.8):
        path = wing(np.linspace(0.5, 0.96, 6), np.full(6, v))
        sketch.add(ribbon(path, (0.012, 0.022, 0.008)), mix(plumage.flight, WHITE, 0.22), "wing")
    bars_across(sketch, plumage, wing, (0.26, 0.46), 0.085)


def spread_feathers(sketch: Sketch, plumage: Plumage, wing: Surface, *, shade: float, fingers: int = 5) -> None:
    """Coverts, flight feathers with fingered ends, and bars, on a wing whose u runs from root to tip, v to the rear."""
    sketch.add(patch(wing, (0.0, 1.0), (0.0, 0.9), count=14), mix(plumage.flight, INK, shade), "wing")
    edges = np.linspace(0.1, 1.0, fingers + 1)
    for a, b in pairwise(edges):
        middle, u = (a + b) / 2, np.array([a + 0.005, b - 0.005])
        feather = np.concatenate(
            [wing(u, np.full(2, 0.5)), wing(np.array([b - 0.02, middle, a + 0.02]), np.array([0.96, 1.08, 0.96]))]
        )
        sketch.add(feather, mix(plumage.flight, INK, shade + 0.1 * (int(a * 10) % 2)), "wing")
    sketch.add(patch(wing, (0.0, 0.97), (0.0, 0.52), count=12), mix(plumage.wing, INK, shade), "wing")
    bars_across(sketch, plumage, lambda u, v: wing(0.92 * v, u), (0.44, 0.26), 0.1)


def raised_wing(sketch: Sketch, plumage: Plumage, turn: Points, *, far: bool) -> None:
    """A wing at the top of its beat; the ``far`` one is darker and behind the body."""
    genus = plumage.species.genus
    reach, chord = genus.span * (0.92 if far else 1.0), genus.chord
    lead = smooth([(0.42, 0.1), (0.62, 0.45 * reach), (0.2, 0.95 * reach), (-0.25, 1.12 * reach)], closed=False)
    rear = smooth(
        [
            (-0.45 - 0.3 * chord, 0.05),
            (-0.35 - chord * 0.8, 0.4 * reach),
            (-0.5 - chord * 0.5, 0.8 * reach),
            (-0.36, 1.1 * reach),
        ],
        closed=False,
    )
    lean = rotation(-22.0 if far else 10.0).T
    wing = between(lead @ lean @ turn + (0.16 if far else 0.0, 0.0), rear @ lean @ turn + (0.16 if far else 0.0, 0.0))
    spread_feathers(sketch, plumage, wing, shade=0.3 if far else 0.0)
