"""Chapter 03's widget: images and centers on a circle, who wins where, and steps down the gradient."""

from __future__ import annotations

from functools import partial

import ipywidgets
import matplotlib.pyplot as plt
import torch
from matplotlib.collections import LineCollection
from torch.nn import functional as F

from dmlbook import losses
from dmlbook._checks import above, at_least, between, checked, finite, one_of
from dmlbook._types import Float, Int, Tensor
from dmlbook.book import CENTER_RADIUS, Live, class_colors, on_circle, unit_circle
from dmlbook.book.explorer import Explorer
from dmlbook.chapters.ch03 import figures, theory

SCALE, RATE = 20.0, 0.02
MOST, LONGEST = 10.0, 30.0  # degrees: of one step, and of an arrow, which is as many times the slope
MANY, RING_PIECES = 20, 90
TIE = 1e-9  # a win below it is rounding
IMAGES = {"east": 0, "west": 180, "north": 90, "south": -90}
STARTS = (40, 110, 15, -140)
LABELS = torch.tensor([0, 0, 1, 1])
COLORS = class_colors(2)
_points = partial(on_circle, dtype=torch.float64)


def _turn(degrees: float) -> float:
    """The same angle in [-180, 180], where the sliders run."""
    return (degrees + 180) % 360 - 180


@checked(number=at_least(0))
def random_start(number: int) -> list[float]:
    """Four angles of centers, whole degrees; the same on every machine."""
    draw = torch.Generator().manual_seed(number)
    return (360 * torch.rand(4, generator=draw) - 180).round().tolist()


class CircleExplorer(Explorer):
    """Turn four images and two centers for each of two classes; choose gamma and margin; step down the gradient.

    Left the circle: the ring has the winning class's color, arrows say which way a step turns each center, and how
    strongly. Right the similarity to both classes in every direction; a bar at each image is its
    win, and a tick the height that the margin asks for.
    """

    def __init__(self) -> None:
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.1), width_ratios=(1, 1.25), layout="constrained")
        unit_circle(left, reach=1.36)
        left.set_title("The ring shows who wins")
        self.ring = figures.ring(left, RING_PIECES)
        self.around = 360 / RING_PIECES * torch.arange(RING_PIECES)
        self.spokes = left.add_collection(
            LineCollection([], linewidth=1, alpha=0.5, colors=[*COLORS[:1] * 2, *COLORS[1:] * 2])
        )
        self.arrows = left.add_collection(LineCollection([], color="black", linewidth=1.8, zorder=5))
        mark = {"linestyle": "none", "markeredgecolor": "white"}
        self.dots = [left.plot([], [], "o", color=color, markersize=9, zorder=4, **mark)[0] for color in COLORS]
        self.crosses = [left.plot([], [], "X", color=color, markersize=12, zorder=3, **mark)[0] for color in COLORS]
        self.across = torch.arange(-180.0, 181.0, 2.0)
        self.title = right.set_title("Similarity to each class")
        right.set(xlim=(-180, 180), ylim=(-1.08, 1.12))
        right.set(xlabel="direction in degrees", xticks=range(-180, 181, 90))
        self.curves = [right.plot([], [], color=color, linewidth=2, zorder=2)[0] for color in COLORS]
        self.wins = right.add_collection(LineCollection([], color="black", linewidth=2, zorder=1))
        self.goals = right.add_collection(LineCollection([], color="black", linewidth=2, zorder=3))
        points = {"markersize": 9, "zorder": 4, "clip_on": False, **mark}
        self.points = [right.plot([], [], "o", color=color, **points)[0] for color in COLORS]
        moving = [
            self.ring.pieces,
            self.ring.edges,
            self.spokes,
            self.arrows,
            self.wins,
            self.goals,
            *self.dots,
            *self.crosses,
            *self.curves,
            *self.points,
            self.title,
        ]
        plt.close(figure)  # it lives on its own canvas
        live = Live(figure, moving)
        gammas = [(f"{value:g}", value) for value in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)]
        controls = {
            f"image_{name}": self._slider(f"image {name}, class {number // 2}", angle)
            for number, (name, angle) in enumerate(IMAGES.items())
        }
        controls |= {
            f"center_{number}": self._slider(f"center {number % 2 + 1} of class {number // 2}", angle)
            for number, angle in enumerate(STARTS)
        }
        controls["gamma"] = ipywidgets.SelectionSlider(options=gammas, value=0.1, description="gamma")
        controls["margin"] = ipywidgets.FloatSlider(0.01, min=0.0, max=0.5, step=0.01, description="margin")
        self.draws = 0
        actions = {"step": lambda: self.step(1), f"{MANY} steps": lambda: self.step(MANY), "random start": self.restart}
        super().__init__(live, controls, actions)

    @staticmethod
    def _slider(name: str, angle: float) -> ipywidgets.FloatSlider:
        return ipywidgets.FloatSlider(angle, min=-180, max=180, step=1, readout_format=".0f", description=name)

    @checked(kind=one_of("image", "center"))
    def angles(self, kind: str) -> Float[Tensor, " 4"]:
        """Angles in degrees of the four images, or of the four centers (``kind`` "image" or "center")."""
        return torch.tensor(
            [c.value for name, c in self.controls.items() if name.startswith(kind)], dtype=torch.float64
        )

    def scene(self) -> tuple[Float[Tensor, "4 2"], Int[Tensor, " 4"], Float[Tensor, "2 2 2"]]:
        """Images, labels, and centers (C, K, 2) as they stand."""
        return _points(self.angles("image")), LABELS, _points(self.angles("center")).view(2, 2, 2)

    @checked(points=finite, gamma=above(0))
    def similar(self, points: Float[Tensor, "N 2"], gamma: float) -> Float[Tensor, "N 2"]:
        """Expected similarity of each point to both classes."""
        cosines = torch.einsum("nd,ckd->nck", points, self.scene()[2])
        return losses.softtriple_similarity(cosines, gamma=gamma)

    @checked(degrees=finite)
    def gradient(self, degrees: Float[Tensor, " 4"]) -> tuple[float, Float[Tensor, " 4"]]:
        """The mean loss with centers at these angles, and its slope in each angle, in radians, by the chain rule."""
        images, gamma, margin = self.scene()[0], self.controls["gamma"].value, self.controls["margin"].value
        centers = _points(degrees).view(2, 2, 2)
        tangents = _points(degrees + 90).view(2, 2, 2)  # how a center moves as its angle grows
        cosines, along = (torch.einsum("nd,ckd->nck", images, vectors) for vectors in (centers, tangents))
        similar, own = losses.softtriple_similarity(cosines, gamma=gamma), F.one_hot(LABELS, 2).to(images.dtype)
        value = losses.margin_cross_entropy(similar, LABELS, scale=SCALE, margin=margin)
        wrong = torch.softmax(SCALE * (similar - margin * own), 1) - own  # (4, C)
        through = theory.similarity_gradient(cosines, gamma=gamma) * along  # (4, C, K)
        return float(value), SCALE * (wrong[..., None] * through).mean(0).flatten()

    @checked(count=between(0, 1000))
    def step(self, count: int) -> None:
        """Turn the centers down the gradient, ``count`` times; none by more than ``MOST`` degrees at once."""
        degrees = self.angles("center")
        for _ in range(count):
            degrees = degrees + torch.rad2deg(-RATE * self.gradient(degrees)[1]).clamp(-MOST, MOST)
        self._place(degrees.tolist())

    def restart(self) -> None:
        """Draw the centers' angles anew."""
        self.draws += 1
        self._place(random_start(self.draws))

    def constants(self) -> dict[str, object]:
        return {
            "images": [name for name in self.controls if name.startswith("image")],
            "centers": [name for name in self.controls if name.startswith("center")],
            "names": list(IMAGES),
            "labels": LABELS.tolist(),
            "colors": COLORS,
            "scale": SCALE,
            "rate": RATE,
            "most": MOST,
            "longest": LONGEST,
            "tie": TIE,
            "steps": [1, MANY],
            "starts": [random_start(number) for number in range(1, 51)],  # the module begins again after the last
            "radius": CENTER_RADIUS,
            "rim": list(figures.RING),
            "shades": figures.SHADES,
            "around": self.around.tolist(),
            "across": self.across.tolist(),
        }

    def _place(self, angles: list[float]) -> None:
        self._quiet = True
        try:
            for number, angle in enumerate(angles):
                self.controls[f"center_{number}"].value = _turn(angle)
        finally:
            self._quiet = False

    @checked(gamma=above(0), margin=finite)
    def move(self, *, gamma: float, margin: float, **angles: float) -> str:
        images, labels, centers = self.scene()
        value, slope = self.gradient(self.angles("center"))
        around, own = self.similar(_points(self.around), gamma), self.similar(images, gamma)
        self.ring.paint(around)
        ends = CENTER_RADIUS * centers.view(4, 2).numpy()
        self.spokes.set_segments([[(0, 0), end] for end in ends])
        self.arrows.set_segments(
            figures.arrow_segments(centers.view(4, 2), (-LONGEST * slope).clamp(-LONGEST, LONGEST))
        )
        curves, degrees = self.similar(_points(self.across), gamma), self.angles("image")
        self.title.set_text(f"Similarity to each class, gamma {gamma:g}")
        for c in (0, 1):
            self.dots[c].set_data(*images[labels == c].T.numpy())
            self.crosses[c].set_data(*ends[2 * c : 2 * c + 2].T)
            self.curves[c].set_data(self.across.numpy(), curves[:, c].numpy())
            self.points[c].set_data(degrees[labels == c].numpy(), own[labels == c, c].numpy())
        self.wins.set_segments(
            [[(a, low), (a, high)] for a, (low, high) in zip(degrees.tolist(), own.tolist(), strict=True)]
        )
        goals = own[torch.arange(4), 1 - labels] + margin
        self.goals.set_segments(
            [[(a - 9, h), (a + 9, h)] for a, h in zip(degrees.tolist(), goals.tolist(), strict=True)]
        )
        win = own[torch.arange(4), labels] - own[torch.arange(4), 1 - labels]
        each = ", ".join(f"{name} {w:+z.2f}" for name, w in zip(IMAGES, win.tolist(), strict=True))
        return (
            f"Mean loss {value:.3f} at gamma {gamma:g} and margin {margin:.2f}. Wins: {each}. "
            f"{int((win > TIE).sum())} of 4 images are on their class's side."
        )


EXPLORER = CircleExplorer
