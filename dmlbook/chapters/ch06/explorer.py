"""Chapter 06: two of the thirteen methods side by side, and how each pulls nine images along the unit circle."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from dmlbook import losses
from dmlbook._checks import between, checked, one_of
from dmlbook._types import Float, Tensor
from dmlbook.book import BLACK, CENTER_RADIUS, MIDDLE, Live, class_color, degrees_of, on_circle, unit_circle
from dmlbook.book.explorer import Explorer
from dmlbook.book.panel import choose
from dmlbook.chapters.ch06.methods import METHODS

CLASSES, PER_CLASS = 3, 3
LABELS = torch.arange(CLASSES).repeat_interleave(PER_CLASS)
HOMES = (90.0, 210.0, 330.0)
"""The direction of each class, in degrees: its proxy and its centroid lie there, its two centers on both sides."""
STARTS = (-39.0, -11.0, 37.0, -37.0, 11.0, 39.0, -41.0, 13.0, 37.0)
"""Where each image starts, as seen from its class's direction: odd, and turns are even, so that none ever stands on its
centroid, where a distance has no slope."""
CENTERS = (-24.0, 24.0)
NOTHING = 5e-4
"""Less is written as 0.000: then nothing pulls, and no arrow is drawn."""
LANES = (1.13, 1.22, 1.13)
"""How far from the middle the arrows of a class's images run: neighbours' in two lanes, the moved one's ``OUTSIDE``."""
OUTSIDE, LONGEST = 1.31, 17.0
LIKENESS = ((0.9, "almost the same"), (0.5, "much alike"), (0.1, "a little alike"), (-0.1, "unrelated"))


def _representatives(name: str, loss: losses.Loss) -> tuple[str, str, Tensor | None]:
    """What stands for the classes in a method: in words, its marker, and where it is drawn (3, K, 2), if anywhere."""
    if name == "triplet_center":
        return "a mean a class, that follows (+)", "P", loss.centroids[:, None]
    if name == "centroid_bound":
        return "a fixed centroid a class (+)", "P", CENTER_RADIUS * loss.centroids[:, None]
    if not isinstance(loss, losses.CenterLoss):
        return "images alone", "", None
    if loss.centers.shape[1] == 1:
        return "a learned proxy a class (star)", "*", CENTER_RADIUS * loss.centers.detach()
    return "two learned centers a class (X)", "X", CENTER_RADIUS * loss.centers.detach()


def _build(name: str) -> losses.Loss:
    """The loss with its own settings, two centers a class where it has several, all placed at the class directions."""
    several = {"centers_per_class": len(CENTERS)} if "centers_per_class" in losses.options(name) else {}
    loss = losses.make(name, num_classes=CLASSES, embedding_size=2, **several).double()
    homes = torch.tensor(HOMES)
    if isinstance(loss, losses.CenterLoss):
        around = torch.tensor(CENTERS if several else (0.0,))
        loss.weight.data = on_circle(homes + around[:, None]).double()  # (K, C, 2), the centers outermost
    elif name == "centroid_bound":
        loss.centroids = on_circle(homes).double()
    return loss


def _field(loss: losses.Loss, degrees: Float[Tensor, " 9"]) -> tuple[float, Float[Tensor, " 9"]]:
    """The mean loss of the nine images, and minus the slope of nine times it in each image's angle, in radians.

    Representatives hold still: triplet-center's class means are set to those of the images, and are constants then.
    """
    turned = torch.deg2rad(degrees.double()).requires_grad_()
    points = torch.stack([turned.cos(), turned.sin()], 1)
    if isinstance(loss, losses.TripletCenter):
        loss.recompute(points.detach(), LABELS)
    loss.eval()  # a look at the loss moves no running mean
    value = loss(points, LABELS)
    (slopes,) = torch.autograd.grad(value, turned)
    return value.item(), -len(LABELS) * slopes


@checked
def arrow(degrees: float, turn: float, lane: float) -> np.ndarray:
    """An arrow as a line (M, 2): out of an image, ``turn`` degrees along its lane, two barbs; short ones vanish."""
    if abs(turn) < 1:
        return np.zeros((2, 2))
    way = np.linspace(degrees, degrees + turn, 12)
    head = min(4.5, abs(turn))
    back, side = way[-1] - math.copysign(head, turn), 0.01 * head
    angles = [degrees, *way, back, way[-1], back]
    lengths = [1.06, *[lane] * len(way), lane + side, lane, lane - side]
    radians = np.deg2rad(angles)
    return np.stack([lengths * np.cos(radians), lengths * np.sin(radians)], 1)


@dataclass
class _Panel:
    """One method: what it is, what moves in its half of the figure, and what it does to the images as they stand."""

    ax: Axes
    letter: str
    name: str = ""
    loss: losses.Loss | None = None
    value: float = 0.0
    pulls: Tensor = field(default_factory=lambda: torch.zeros(CLASSES * PER_CLASS))

    def __post_init__(self) -> None:
        ax = unit_circle(self.ax, reach=1.4)
        self.arrows = ax.add_collection(LineCollection([], color=BLACK, capstyle="round", zorder=3))
        hues = [class_color(c) for c in range(CLASSES)]
        self.dots = [ax.plot([], [], "o", color=hue, markersize=9, mec="white", zorder=4)[0] for hue in hues]
        self.marks = [
            ax.plot([], [], "X", color=hue, markersize=13, mec="white", ls="none", zorder=3)[0] for hue in hues
        ]
        (self.ring,) = ax.plot([], [], "o", markersize=15, mfc="none", mec=BLACK, mew=1.4, zorder=5)
        place = {"transform": ax.transAxes, "ha": "center", "zorder": 6}
        self.title = ax.text(0.5, 1.075, "", va="bottom", fontsize=13, **place)
        self.kind = ax.text(0.5, 1.06, "", va="top", fontsize=10, color=MIDDLE, **place)
        self.said = ax.text(0.5, -0.015, "", va="top", fontsize=11, **place)

    @property
    def moving(self) -> list:
        return [self.arrows, *self.dots, *self.marks, self.ring, self.title, self.kind, self.said]

    def show(self, name: str, degrees: Float[Tensor, " 9"], moved: int) -> None:
        """Draw a method's pulls on images at these angles."""
        if name != self.name:
            self.name, self.loss = name, _build(name)
        self.value, self.pulls = _field(self.loss, degrees)
        points, largest = on_circle(degrees).double(), float(self.pulls.abs().max())
        turns = (self.pulls * (LONGEST / largest if largest >= NOTHING else 0.0)).tolist()
        lanes = [OUTSIDE if n == moved else LANES[n % PER_CLASS] for n in range(len(LABELS))]
        self.arrows.set_segments([arrow(*each) for each in zip(degrees.tolist(), turns, lanes, strict=True)])
        self.arrows.set_linewidth([3.2 if n == moved else 1.4 for n in range(len(LABELS))])
        words, marker, places = _representatives(name, self.loss)
        for c in range(CLASSES):
            of_class = slice(c * PER_CLASS, (c + 1) * PER_CLASS)
            self.dots[c].set_data(*points[of_class].T.numpy())
            self.marks[c].set_data(*([[], []] if places is None else places[c].T.numpy()))
            self.marks[c].set_marker(marker or "X")
            self.marks[c].set_markersize(19 if marker == "*" else 13)
        self.ring.set_data(*points[[moved]].T.numpy())
        self.title.set_text(f"{self.letter}: {METHODS[name].title}")
        self.kind.set_text(words)
        said = f"loss {self.value:.3f}   pull on the ringed image {abs(float(self.pulls[moved])):.3f}"
        self.said.set_text(said.replace("-", "\N{MINUS SIGN}"))


class FieldExplorer(Explorer):
    """Nine images on the circle, and the pull of each on two methods; one image can be turned.

    An arrow is minus the gradient of 9 times the mean loss along the circle; the longest arrow of each half is as long.
    Below, the cosine of the two fields: each is a vector of nine numbers, one an image.

    Attributes:
        panels: The two halves, with their loss's ``value`` and the ``pulls`` (9,), against the clock in radians.
        cosine: Of the two fields; None where one of them is 0.
    """

    def __init__(self) -> None:
        self.cosine: float | None = None
        methods = [(METHODS[name].title, name) for name in losses.NAMES]
        images = [(f"{n % PER_CLASS + 1} of class {n // PER_CLASS}", n) for n in range(len(LABELS))]
        controls = {
            "left": choose(methods, "semihard", "A, left"),
            "right": choose(methods, "softtriple", "B, right"),
            "image": choose(images, 1, "image"),
            "turn": ipywidgets.IntSlider(64, min=-180, max=180, step=2, description="degrees"),
        }
        super().__init__(self._draw(), controls)

    @checked(image=between(0, CLASSES * PER_CLASS - 1))
    def degrees(self, image: int, turn: int) -> Float[Tensor, " 9"]:
        """The angle of every image when one of them is turned from where it starts."""
        start = torch.tensor(HOMES)[LABELS] + torch.tensor(STARTS)
        return start + turn * (torch.arange(len(LABELS)) == image)

    @checked(left=one_of(*losses.NAMES), right=one_of(*losses.NAMES), image=between(0, CLASSES * PER_CLASS - 1))
    def move(self, left: str, right: str, image: int, turn: int) -> str:
        degrees = self.degrees(image, turn)
        for panel, name in zip(self.panels, (left, right), strict=True):
            panel.show(name, degrees, image)
        a, b = (panel.pulls for panel in self.panels)
        still = min(float(a.abs().max()), float(b.abs().max())) < NOTHING
        self.cosine = None if still else float(torch.nn.functional.cosine_similarity(a, b, dim=0))
        self.needle.set_data([] if still else [self.cosine], [] if still else [0])
        alike = "One of the two methods pulls nothing here" if still else f"The two fields are {self._likeness()}"
        number = "" if still else f": cosine {self.cosine:+.2f}"
        self.verdict.set_text(f"{alike}{number}")
        each = ". ".join(self._said(panel, degrees, image) for panel in self.panels)
        turned = f"turned by {turn} degrees" if turn else "where it starts"
        return f"Image {image % PER_CLASS + 1} of class {image // PER_CLASS}, {turned}. {each}. {alike}{number}."

    def _likeness(self) -> str:
        return next((words for least, words in LIKENESS if self.cosine >= least), "opposed")

    @staticmethod
    def _said(panel: _Panel, degrees: Tensor, image: int) -> str:
        pull = float(panel.pulls[image])
        home = HOMES[image // PER_CLASS]
        ahead = float(degrees_of(on_circle(home - degrees[image])))  # how far against the clock its class lies
        where = "towards its class" if pull * ahead > 0 else "away from its class"
        does = "does not pull it" if abs(pull) < NOTHING else f"pulls it {where} with strength {abs(pull):.3f}"
        return f"{panel.letter}, {METHODS[panel.name].title} (loss {panel.value:.3f}), {does}"

    def _draw(self) -> Live:
        figure: Figure = plt.figure(figsize=(9.4, 5.5), layout="none")
        places = ((0.02, 0.23, 0.46, 0.66), (0.52, 0.23, 0.46, 0.66))
        self.panels = [_Panel(figure.add_axes(place), letter) for place, letter in zip(places, "AB", strict=True)]
        strip = figure.add_axes((0.2, 0.07, 0.6, 0.05))
        strip.set(xlim=(-1.02, 1.02), ylim=(-1, 1), yticks=[])
        strip.set_xticks([-1, 0, 1], ["-1, opposed", "0, unrelated", "1, the same"])
        strip.spines[["left", "bottom"]].set_visible(False)
        strip.axhline(0, color=MIDDLE, linewidth=1, zorder=1)
        strip.tick_params(axis="x", length=0, labelsize=10, labelcolor=MIDDLE)
        (self.needle,) = strip.plot([], [], "o", color=BLACK, markersize=9, zorder=3)
        self.verdict = strip.text(0, 1.25, "", ha="center", va="bottom", fontsize=11, zorder=3)
        plt.close(figure)
        return Live(figure, [*self.panels[0].moving, *self.panels[1].moving, self.needle, self.verdict])


EXPLORER = FieldExplorer
