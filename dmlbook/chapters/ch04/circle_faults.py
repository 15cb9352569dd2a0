"""What learners make of a pair of centers on the circle: each fault by its name, with what to say."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from dmlbook.chapters.ch04 import theory


def left(angle: float, t: float) -> float:
    """Degrees between the two centers, for wishes ``angle`` degrees apart."""
    return 2 * math.degrees(theory.fused_on_circle(math.radians(angle) / 2, strength=t))


def _turned(phi: float, t: float, floor: float = 0.0) -> float:
    """Degrees between the two, from the sine and cosine of any phi, in radians."""
    return 2 * math.degrees(math.atan2(max(math.sin(phi) - t, floor), math.cos(phi)))


def _left_squared(angle: float, t: float) -> float:
    half = math.radians(angle) / 2
    theta = torch.linspace(0, half, 20001, dtype=torch.float64)
    return 2 * math.degrees(theta[(4 * t * theta.sin() ** 2 - 2 * torch.cos(theta - half)).argmin()])


def _one_moves(angle: float, t: float) -> float:
    whole = math.radians(angle)
    apart = torch.linspace(0, whole, 20001, dtype=torch.float64)
    return math.degrees(apart[(2 * t * (apart / 2).sin() - torch.cos(whole - apart)).argmin()])


def _sine(angle: float) -> float:
    return math.sin(math.radians(angle) / 2)


CIRCLE_FAULTS: dict[str, tuple[Callable[[float, float], float], str]] = {
    "half the angle": (
        lambda a, t: left(a, t) / 2,
        "That is the angle from the middle to one center. The task asks for the angle between the two.",
    ),
    "the wish was not halved": (
        lambda a, t: _turned(math.radians(a), t),
        "You took the whole angle between the wishes for phi. From the middle to one wish it is half of that.",
    ),
    "past zero": (
        lambda a, t: _turned(math.radians(a) / 2, t, -math.inf),
        "Your centers pass one another once t exceeds sin(phi). They stay together: stop at 0.",
    ),
    "the squared price": (_left_squared, "That is the squared price, t times the squared distance: yours never meet."),
    "half the squared price": (
        lambda a, t: _left_squared(a, t / 2),
        "That is a squared price, half of t times the squared distance: your centers never meet.",
    ),
    "as on the line": (
        lambda a, t: a * max(1 - t / _sine(a), 0.0),
        "You shrank the angle as (4.3) shrinks a distance. It meets at the right t, but on the circle another quantity "
        "shrinks: write the cost with sine and cosine of the center's angle.",
    ),
    "the line's distance": (
        lambda a, t: 2 * math.degrees(math.asin(max(_sine(a) - t, 0.0))),
        "You shrank the straight distance as on the line, and turned it into an angle. It meets at the right t, but "
        "centers that may not leave the circle stop elsewhere.",
    ),
    "t off the angle": (
        lambda a, t: max(a - 2 * math.degrees(t), 0.0),
        "You took t off the angle of each center. The price is on the straight distance, not on the arc.",
    ),
    "twice t off the degrees": (
        lambda a, t: max(a - 2 * t, 0.0),
        "You took 2 t off an angle in degrees. The price is on the straight distance, 2 sin(theta): write the cost "
        "with sine and cosine.",
    ),
    "t off the tangent": (
        lambda a, t: 2 * math.degrees(math.atan(max(math.tan(math.radians(a) / 2) - t, 0.0))),
        "You took t off the tangent of phi. It comes off the sine, before you divide by the cosine.",
    ),
    "how far they moved": (
        lambda a, t: a - left(a, t),
        "That is how far the two moved together. Asked for is the angle that is left between them.",
    ),
    "all or nothing": (
        lambda a, t: 0.0 if t >= _sine(a) else a,
        "They meet where yours do. Before that they are already drawn together, and do not stand at their poses.",
    ),
    "twice t as a share": (
        lambda a, t: a * max(1 - 2 * t, 0.0),
        "You took 2 t as a share of the angle, as (4.3) has it for wishes at distance 1. On the circle another "
        "quantity shrinks: write the cost with sine and cosine of the center's angle.",
    ),
    "the price on the arc": (
        lambda a, t: max(a - 2 * math.degrees(math.asin(min(t, 1.0))), 0.0),
        "You charged the arc between the two. The price is on their straight distance, 2 sin(theta).",
    ),
    "only one moves": (
        _one_moves,
        "You held one center at its pose and moved the other. Both give way: minimize over both.",
    ),
    "the whole angle, answer not doubled": (
        lambda a, t: _turned(math.radians(a), t) / 2,
        "From the middle to one wish it is half of the angle; and what you find there is half of the answer.",
    ),
    "a share": (
        lambda a, t: a * max(1 - t, 0.0),
        "You took t as a share of the angle. Poses close together meet sooner.",
    ),
    "twice the price": (
        lambda a, t: _turned(math.radians(a) / 2, 2 * t),
        "You charged twice: two centers theta from the middle are 2 sin(theta) apart, and each pulls with t.",
    ),
    "half the price": (
        lambda a, t: _turned(math.radians(a) / 2, t / 2),
        "You charged half: the pair is 2 sin(theta) apart and pays t for each unit of it.",
    ),
    "radians out": (
        lambda a, t: math.radians(left(a, t)),
        "That is the angle in radians. The task asks for degrees: math.degrees.",
    ),
    "half, in radians": (
        lambda a, t: math.radians(left(a, t)) / 2,
        "That is one center's angle from the middle, in radians. Asked for are the degrees between the two.",
    ),
    "degrees as radians": (
        lambda a, t: _turned(a / 2, t),
        "You gave degrees to a sine that wants radians: math.radians first.",
    ),
    "degrees as radians, by the tangent": (
        lambda a, t: 2 * math.degrees(math.atan(max((math.sin(a / 2) - t) / math.cos(a / 2), 0.0))),
        "You gave degrees to a sine that wants radians: math.radians first.",
    ),
    "no conversion at all": (
        lambda a, t: math.radians(_turned(a / 2, t)),
        "Python's sine and arc tangent know radians only: convert on the way in and on the way out.",
    ),
    "no conversion, by the tangent": (
        lambda a, t: 2 * math.atan(max(math.sin(a / 2) - t, 0.0) / math.cos(a / 2)),
        "Python's sine and arc tangent know radians only: convert on the way in and on the way out.",
    ),
    "the distance left": (
        lambda a, t: 2 * math.sin(math.radians(left(a, t)) / 2),
        "That is the straight distance of the two centers. Asked for is the angle between them.",
    ),
    "the cosine shrunk": (
        lambda a, t: 2 * math.degrees(math.atan2(_sine(a), math.cos(math.radians(a) / 2) - t)),
        "You took t off the cosine, so your centers move apart. What separates them is the sine.",
    ),
}
