"""Pictures of the drawn birds: a background, the bird under some nuisance, and what stands in front of it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from dmlbook.datasets.birds.drawing import sketch_bird
from dmlbook.datasets.birds.genera import POSES, Color
from dmlbook.datasets.birds.shapes import Points, Sketch, disk, mix, ribbon, rotation, smooth
from dmlbook.datasets.birds.species import Species

OVERSAMPLE = 3


@dataclass(frozen=True)
class Difficulty:
    """How plain the differences within a genus are, and how much else changes from picture to picture.

    Attributes:
        contrast: Of the species' details, in [0, 1].
        turn: Largest rotation in degrees.
        scale: Largest change of size, as a share.
        shift: Largest displacement, as a share of half a side.
        light: Largest change of brightness, and half of it for each color channel, as a share.
        occluded: Share of the pictures with something in front of the bird.
        noise: Standard deviation of the pixels' noise, in gray levels.
    """

    contrast: float
    turn: float
    scale: float
    shift: float
    light: float
    occluded: float
    noise: float


DIFFICULTIES = {
    "easy": Difficulty(1.0, 6.0, 0.08, 0.07, 0.10, 0.0, 1.0),
    "normal": Difficulty(0.65, 15.0, 0.18, 0.18, 0.24, 0.5, 3.0),
    "hard": Difficulty(0.4, 22.0, 0.24, 0.24, 0.32, 0.75, 6.0),
}

BACKDROPS: dict[str, tuple[tuple[Color, Color], ...]] = {  # pairs of colors, top and bottom
    "sky": (((142, 196, 232), (226, 241, 247)), ((246, 196, 170), (252, 232, 202)), ((186, 204, 226), (240, 236, 236))),
    "water": (((168, 212, 224), (76, 150, 184)), ((196, 220, 216), (96, 156, 160)), ((238, 206, 190), (126, 142, 178))),
    "foliage": (
        ((186, 214, 150), (104, 156, 100)),
        ((150, 190, 142), (74, 122, 90)),
        ((226, 214, 140), (150, 158, 84)),
    ),
    "sand": (
        ((244, 232, 208), (226, 198, 154)),
        ((232, 226, 220), (206, 178, 146)),
        ((216, 230, 232), (232, 206, 164)),
    ),
}
USUAL = {
    "perched": "foliage",
    "facing": "foliage",
    "flying": "sky",
    "soaring": "sky",
    "swimming": "water",
    "feeding": "sand",
}
LEAVES: tuple[Color, ...] = ((92, 146, 82), (122, 166, 84), (70, 120, 84), (168, 172, 86))
WHITE: Color = (255, 255, 255)
BARK: tuple[Color, ...] = ((126, 94, 72), (104, 80, 70), (148, 116, 88))
UP = np.array((0.0, 1.0))
ACROSS = np.linspace(-1.2, 1.2, 25)
LEAF = smooth([(0, 0), (0.4, 0.24), (0.8, 0.14), (1.05, 0), (0.8, -0.14), (0.4, -0.24)], steps=4)
VEIN = np.array([(0, 0.035), (0.9, 0.0), (0, -0.035)])
REED = ribbon(np.stack([np.zeros(8), np.linspace(0, 1, 8)], axis=-1), (0.036, 0.028, 0.004))
RIPPLE = np.array([(0, 0), (0.5, 0.022), (1, 0), (0.5, -0.01)])


class Canvas:
    """A picture on the square from -1 to 1, y up, painted ``OVERSAMPLE`` times too large and then averaged."""

    def __init__(self, backdrop: Image.Image, size: int) -> None:
        self.side = size * OVERSAMPLE
        self.image = backdrop.resize((self.side, self.side), Image.Resampling.BICUBIC)
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def paint(self, polygon: Points, color: tuple[int, ...]) -> None:
        self._draw.polygon(((polygon * (0.5, -0.5) + 0.5) * self.side).ravel().tolist(), fill=color)

    def paint_all(self, points: Points, ends: list[int], colors: list[tuple[int, ...]]) -> None:
        """Many polygons at once: their points stacked (P, 2), and where each polygon ends."""
        flat = ((points * (0.5, -0.5) + 0.5) * self.side).ravel().tolist()
        for start, end, color in zip([0, *ends], ends, colors, strict=False):
            self._draw.polygon(flat[2 * start : 2 * end], fill=color)

    def finish(self) -> Image.Image:
        return self.image.reduce(OVERSAMPLE)


def clean_picture(species: Species, pose: int, size: int, contrast: float) -> Image.Image:
    """One bird as a book would show it: upright, whole, on a pale ground."""
    name = POSES[pose]
    top, bottom = BACKDROPS[USUAL[name]][0]
    canvas = Canvas(_gradient(mix(top, WHITE, 0.5), mix(bottom, WHITE, 0.5)), size)
    bird = sketch_bird(species, pose, contrast)
    _compose(canvas, bird, bird.stacked[0], bird.pivots, name, random.Random(species.number))
    return canvas.finish()


def picture(species: Species, pose: int, size: int, difficulty: Difficulty, rng: random.Random) -> np.ndarray:
    """One photograph-like picture, (size, size, 3) bytes; everything but species and pose comes from ``rng``."""
    name = POSES[pose]
    place = USUAL[name] if rng.random() < 0.6 else list(BACKDROPS)[int(rng.random() * len(BACKDROPS))]
    canvas = Canvas(_backdrop(place, rng), size)
    bird = sketch_bird(species, pose, difficulty.contrast)
    _compose(canvas, bird, *_stir(bird, difficulty, rng), name, rng)
    if rng.random() < difficulty.occluded:
        _occlude(canvas, place, rng)
    pixels = np.asarray(canvas.finish(), dtype=np.float32)
    gain = 1 + difficulty.light * (rng.uniform(-1, 1) + 0.5 * np.array([rng.uniform(-1, 1) for _ in range(3)]))
    noise = np.random.default_rng(rng.getrandbits(63)).standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(pixels * gain.astype(np.float32) + difficulty.noise * noise + 0.5, 0, 255).astype(np.uint8)


def _stir(bird: Sketch, difficulty: Difficulty, rng: random.Random) -> tuple[Points, dict]:
    """Points and pivots of a bird turned, scaled and shifted, its head, wings and tail moved a little on their own."""

    def spread(limit: float) -> float:
        return rng.uniform(-limit, limit)

    points = bird.stacked[0].copy()
    for group, inside in bird.members.items():
        pivot = np.array(bird.pivots[group])
        points[inside] = (points[inside] - pivot) @ rotation(spread(0.8 * difficulty.turn)).T + pivot
    scale = (0.9 + spread(difficulty.scale)) * np.array((1 + spread(difficulty.scale / 3), 1.0))
    linear = (rotation(spread(difficulty.turn)) * scale).T
    shift = np.array((spread(difficulty.shift), spread(difficulty.shift)))
    return points @ linear + shift, {name: np.array(pivot) @ linear + shift for name, pivot in bird.pivots.items()}


def _gradient(top: Color, bottom: Color) -> Image.Image:
    rows = np.linspace(0, 1, 24)[:, None] * (np.array(bottom) - top) + top
    return Image.fromarray(np.repeat(rows[:, None], 24, axis=1).round().astype(np.uint8))


def _backdrop(place: str, rng: random.Random) -> Image.Image:
    """A background out of focus, 24 x 24: enlarging it blurs it."""
    top, bottom = BACKDROPS[place][int(rng.random() * 3)]
    image = _gradient(top, bottom)
    draw = ImageDraw.Draw(image, "RGBA")
    wide = {"sky": 2.6, "water": 4.0, "foliage": 1.0, "sand": 3.0}[place]
    for _ in range(4 + int(rng.random() * 6)):
        x, y, r = rng.uniform(0, 24), rng.uniform(0, 24), rng.uniform(1.2, 4.5)
        light = rng.random() < 0.6
        color = mix(top, WHITE, 0.45) if light else mix(bottom, (40, 60, 60), 0.35)
        height = r if wide == 1.0 else r * 0.45
        draw.ellipse((x - r * wide, y - height, x + r * wide, y + height), fill=(*color, 150 if light else 90))
    return image.filter(ImageFilter.BoxBlur(1))


def _compose(canvas: Canvas, bird: Sketch, points: Points, pivots: dict, pose: str, rng: random.Random) -> None:
    """The bird, its points where they now are, and what carries it: a branch, the ground, the water."""
    if pose in ("perched", "facing"):
        _branch(canvas, pivots["feet"], rng, slope=rng.uniform(-0.12, 0.12))
    elif pose == "feeding":
        _ground(canvas, pivots["feet"], rng)
    canvas.paint_all(points, bird.stacked[1], bird.colors)
    if pose == "swimming":
        _water(canvas, pivots["water"], rng)


def _band(top: Points, low: Points | float) -> Points:
    """The area between a curve (P, 2) that runs from left to right and another below it, or a height."""
    under = np.stack([top[:, 0], np.broadcast_to(low, len(top))], axis=-1) if np.ndim(low) == 0 else low
    return np.concatenate([top, under[::-1]])


def _branch(
    canvas: Canvas, at: Sequence[float] | Points, rng: random.Random, *, slope: float, width: float = 0.055
) -> None:
    bark = BARK[int(rng.random() * len(BARK))]
    x = ACROSS - at[0]
    sway = rng.uniform(-0.06, 0.06) * np.sin(rng.uniform(2, 4) * x) + slope * x
    path = np.stack([ACROSS, at[1] - 0.7 * width + sway], axis=-1)
    thick = np.stack([np.zeros_like(x), width * (1 - 0.25 * ACROSS)], axis=-1)
    canvas.paint(_band(path + thick, path - thick), bark)
    canvas.paint(_band(path + 0.7 * thick, path + 0.25 * thick), mix(bark, WHITE, 0.28))
    for _ in range(2 + int(rng.random() * 3)):
        root = path[int((0.06 + 0.24 * rng.random()) * len(path)) * (-1 if rng.random() < 0.5 else 1)]
        turn = rng.uniform(20, 160) * (1 if rng.random() < 0.6 else -1)
        _leaf(canvas, root, rng, length=rng.uniform(0.2, 0.32), turn=turn)


def _leaf(canvas: Canvas, root: Points, rng: random.Random, *, length: float, turn: float) -> None:
    color = LEAVES[int(rng.random() * len(LEAVES))]
    spin = rotation(turn).T * length
    canvas.paint(LEAF @ spin + root, color)
    canvas.paint(VEIN @ spin + root, mix(color, WHITE, 0.35))


def _ground(canvas: Canvas, at: Sequence[float] | Points, rng: random.Random) -> None:
    tone = ((222, 196, 150), (176, 184, 120), (204, 178, 148))[int(rng.random() * 3)]
    hills = 0.03 * np.sin(rng.uniform(2, 4) * ACROSS + rng.uniform(0, math.tau))
    canvas.paint(_band(np.stack([ACROSS, at[1] + 0.09 + hills], axis=-1), -1.2), tone)
    canvas.paint(disk((at[0], at[1]), 0.42, 0.045), mix(tone, (60, 50, 40), 0.3))
    for _ in range(7):
        spot = (rng.uniform(-1, 1), rng.uniform(-1, min(at[1], -0.4)))
        canvas.paint(
            disk(spot, rng.uniform(0.015, 0.045), 0.02, count=10), mix(tone, (90, 70, 50), rng.uniform(0.1, 0.5))
        )


def _water(canvas: Canvas, at: Sequence[float] | Points, rng: random.Random) -> None:
    tone = ((92, 160, 190), (84, 148, 156), (110, 146, 184))[int(rng.random() * 3)]
    top = np.stack([ACROSS, at[1] + 0.02 * np.sin(9 * ACROSS + rng.uniform(0, math.tau))], axis=-1)
    canvas.paint(_band(top, -1.2), (*tone, 232))
    canvas.paint(_band(top + 0.014 * UP, top - 0.014 * UP), (*mix(tone, WHITE, 0.6), 220))
    for _ in range(5):
        start, y, long = rng.uniform(-1, 0.7), rng.uniform(-1, at[1] - 0.08), rng.uniform(0.2, 0.5)
        canvas.paint(RIPPLE * (long, 1) + (start, y), (*mix(tone, WHITE, 0.5), 190))


def _occlude(canvas: Canvas, place: str, rng: random.Random) -> None:
    """A leaf, a twig or a reed in front; at most about a sixth of the bird is hidden."""
    x, y = rng.uniform(-0.6, 0.6), rng.uniform(-0.6, 0.6)
    if place == "foliage" and rng.random() < 0.7:
        for _ in range(1 + int(rng.random() * 2)):
            _leaf(
                canvas,
                np.array((x + rng.uniform(-0.3, 0.3), y)),
                rng,
                length=rng.uniform(0.35, 0.5),
                turn=rng.uniform(0, 360),
            )
    elif place in ("water", "sand"):
        for _ in range(2 + int(rng.random() * 2)):
            root, lean = rng.uniform(-0.9, 0.9), rng.uniform(-0.35, 0.35)
            blade = REED * (1, rng.uniform(1.1, 1.9)) + (root, -1.1)
            blade[:, 0] += lean * REED[:, 1] ** 2
            canvas.paint(blade, LEAVES[int(rng.random() * len(LEAVES))])
    else:
        _branch(canvas, (x, y), rng, slope=rng.uniform(-1.2, 1.2), width=0.035)
