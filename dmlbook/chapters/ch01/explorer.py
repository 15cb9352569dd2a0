"""Chapter 01: drag the margin, and watch which triplets are hard, semi-hard and easy, and what a gradient changes."""

from __future__ import annotations

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch

from dmlbook._checks import at_least, check_below, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.book import Live, class_color, letter_color, on_circle, unit_circle
from dmlbook.book.explorer import Explorer
from dmlbook.chapters.ch01 import figures
from dmlbook.geometry import squared_distances
from dmlbook.losses import triplet_kinds, triplet_mean, valid_triplets
from dmlbook.seeding import SEED, generator

EDGES = np.linspace(-4, 4, 81)
NAMES = tuple(map(str, range(1, 13)))  # letters are the five points of the lesson
STEPS, RATE = 5, 0.2


def _start() -> tuple[Float[Tensor, " N"], Int[Tensor, " N"]]:
    """Directions in degrees of three classes of four that overlap."""
    labels = torch.arange(3).repeat_interleave(4)
    scatter = 60 * torch.randn(12, generator=generator(SEED, "margin explorer 50"))  # no two points hide each other
    return labels * 120.0 + scatter, labels


class MarginExplorer(Explorer):
    """Twelve points of three classes on a circle: the zones around one anchor, and the gaps of all triplets.

    Attributes:
        degrees: Where the points are, (12,).
        labels: Their classes, (12,).
    """

    def __init__(self) -> None:
        self.degrees, self.labels = _start()
        same = (self.labels[:, None] == self.labels) & ~torch.eye(12, dtype=torch.bool)
        self.pairs = [tuple(pair) for pair in same.nonzero().tolist()]
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2), width_ratios=(1, 1.35), layout="constrained")
        plt.close(figure)
        moving = [*self._draw_circle(left), *self._draw_gaps(right)]
        controls = {
            "margin": ipywidgets.FloatSlider(0.5, min=0.0, max=3.0, step=0.1, description="margin"),
            "pair": ipywidgets.IntSlider(1, min=0, max=len(self.pairs) - 1, description="pair"),
        }
        actions = {f"{STEPS} gradient steps": self.descend, "start again": self.restart}
        super().__init__(Live(figure, moving), controls, actions)

    def _draw_circle(self, ax: plt.Axes) -> list:
        unit_circle(ax, reach=1.32)
        ax.set_title("Zones around the square", fontsize=11)
        self.zones = figures.zones(ax, 0, 1, 0)
        self.dots = [
            ax.plot([], [], "o", color=class_color(c), markersize=14, zorder=3)[0] for c in self.labels.tolist()
        ]
        self.names = [
            ax.text(0, 0, name, ha="center", va="center", color=letter_color(c), fontsize=9, zorder=4)
            for name, c in zip(NAMES, self.labels.tolist(), strict=True)
        ]
        return [*self.zones.values(), *self.dots, *self.names]

    def _draw_gaps(self, ax: plt.Axes) -> list:
        self.bars = {
            kind: ax.stairs(np.zeros(80), EDGES, fill=True, color=color) for kind, color in figures.KINDS.items()
        }
        ax.set(xlim=(-4, 4), ylim=(0, 24), xlabel="squared distance to the negative, minus that to the positive")
        ax.set_ylabel("triplets")
        ax.set_title("The gaps of all 288 triplets", fontsize=11)
        ax.axvline(0, color="black", linewidth=1)
        self.limit = ax.axvline(0, color="black", linestyle="--", linewidth=1.5)
        self.loss = ax.text(-3.9, 16.8, "", fontsize=11)
        heights = {"hard": 22.2, "semi-hard": 20.4, "easy": 18.6}  # taller bars come only right of 0, after many steps
        for kind, height in heights.items():
            ax.plot(-3.8, height + 0.36, "s", color=figures.KINDS[kind], markersize=9)
        self.said = {kind: ax.text(-3.6, height, "", fontsize=11) for kind, height in heights.items()}
        return [*self.bars.values(), self.limit, self.loss, *self.said.values()]

    def gaps(self) -> Float[Tensor, " T"]:
        """d(a, n) - d(a, p) of every valid triplet."""
        apart = squared_distances(on_circle(self.degrees), on_circle(self.degrees))
        anchor, positive, negative = valid_triplets(self.labels).nonzero(as_tuple=True)
        return apart[anchor, negative] - apart[anchor, positive]

    def descend(self) -> None:
        """Gradient steps of the hinged triplet loss on the directions, at the margin that is set."""
        radians = self.degrees.deg2rad()
        for _ in range(STEPS):
            radians = radians.detach().requires_grad_()
            points = torch.stack([radians.cos(), radians.sin()], 1)
            margin = self.controls["margin"].value
            loss, _ = triplet_mean(squared_distances(points, points), self.labels, margin=margin)
            loss.backward()
            radians = radians - RATE * radians.grad
        self.degrees = radians.detach().rad2deg()

    def restart(self) -> None:
        """Back to where the points were."""
        self.degrees, _ = _start()

    @checked(margin=at_least(0), pair=at_least(0))
    def move(self, *, margin: float, pair: int) -> str:
        check_below(len(self.pairs), "pairs", pair=pair)
        points = on_circle(self.degrees)
        apart = squared_distances(points, points)
        anchor, positive = self.pairs[pair]
        figures.move_zones(self.zones, float(self.degrees[anchor]), float(apart[anchor, positive]), margin)
        for i, ((x, y), dot, name) in enumerate(zip(points.tolist(), self.dots, self.names, strict=True)):
            dot.set_data([x], [y])
            rim = (
                {"markeredgecolor": "black", "markeredgewidth": 2.5} if i == positive else {"markeredgecolor": "white"}
            )
            dot.set(**{"marker": "s" if i == anchor else "o", "markeredgewidth": 1.0} | rim)
            name.set_position((x, y))
        for kind, heights in figures.gap_counts(self.gaps(), EDGES, margin).items():
            self.bars[kind].set_data(heights)
        self.limit.set_xdata([margin, margin])
        kinds = dict(zip(figures.KINDS, triplet_kinds(apart, self.labels, margin=margin), strict=True))
        for kind, share in kinds.items():
            self.said[kind].set_text(f"{kind} {100 * share:.0f} %")
        loss = float(triplet_mean(apart, self.labels, margin=margin)[0])
        self.loss.set_text(f"margin {margin:.1f}, mean loss {loss:.3f}")
        return self._words(margin, anchor, positive, kinds, apart, loss)

    def _words(
        self, margin: float, anchor: int, positive: int, kinds: dict[str, float], apart: Tensor, loss: float
    ) -> str:
        negatives = apart[anchor, self.labels != self.labels[anchor]] - apart[anchor, positive]
        hard, active = int((negatives <= 0).sum()), int((negatives < margin).sum())
        listed = ", ".join(f"{100 * share:.0f} percent {kind}" for kind, share in kinds.items())
        return (
            f"Margin {margin:.1f}: of all 288 triplets {listed}; mean loss {loss:.3f}. "
            f"For anchor {NAMES[anchor]} and positive {NAMES[positive]}, {hard} of {len(negatives)} negatives are hard "
            f"and {max(active - hard, 0)} semi-hard."
        )


EXPLORER = MarginExplorer
