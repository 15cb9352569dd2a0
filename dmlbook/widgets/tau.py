"""Chapter 04's widget: tau against the centers of a toy whose true number of clusters is known."""

from __future__ import annotations

import math
from functools import lru_cache

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch

from dmlbook import losses
from dmlbook._types import Float, Int, Tensor
from dmlbook.plotting import Live
from dmlbook.plotting import merging as drawing
from dmlbook.seeding import SEED, generator
from dmlbook.widgets.base import Explorer

TAUS = torch.cat([torch.zeros(1), torch.logspace(-3, 1.5, 28)])
CENTERS = (2, 6, 10)
THRESHOLD = 0.02


def toy() -> tuple[Float[Tensor, "12 2"], Int[Tensor, " 12"]]:
    """Two classes of three poses, taking turns around the circle: a class needs three centers. Two images a pose."""
    pose = torch.tensor([0.0, 120.0, 240.0, 60.0, 180.0, 300.0])
    turn = torch.deg2rad(torch.cat([pose - 12, pose + 12]))
    return torch.stack([turn.cos(), turn.sin()], -1), torch.tensor([0, 0, 0, 1, 1, 1]).repeat(2)


def start(per_class: int, seed: int = SEED) -> Float[Tensor, "2 K 2"]:
    """Random directions for the centers of both classes."""
    turn = 2 * math.pi * torch.rand(2, per_class, generator=generator(seed, "spare centers", per_class))
    return torch.stack([turn.cos(), turn.sin()], -1)


@lru_cache(maxsize=16)
def rests(per_class: int, squared: bool) -> Float[Tensor, "T 2 K 2"]:
    """Where the centers come to rest for each of ``TAUS``; a second of descent, kept."""
    points, labels = toy()
    return losses.center_paths(points, labels, start(per_class), TAUS, squared=squared, steps=250)


class TauExplorer(Explorer):
    """Move tau and see where the centers of both classes come to rest, and how many of them remain distinct."""

    def __init__(self) -> None:
        self.rests = {(k, squared): rests(k, squared) for k in CENTERS for squared in (False, True)}
        figure, (ring, ways) = plt.subplots(1, 2, figsize=(9.6, 4.2), width_ratios=(1, 1.35), layout="constrained")
        points, labels = toy()
        drawing.circle(ring, points, labels)
        ring.set_title("Images (circles) and centers (crosses)")
        most = max(CENTERS)
        self.crosses = drawing.centers(ring, start(most))
        self.said = ring.text(0, 0, "", ha="center", va="center", fontsize=12)
        blank = torch.zeros(len(TAUS), most)
        self.ways = [drawing.path(ways, TAUS, blank, label) for label in (0, 1)]
        self.here = ways.axvline(1.0, color="black", linewidth=1)
        ways.set(title="Where each center ends, for every tau", ylabel="angle in degrees", ylim=(-300, 300))
        ways.set_yticks(range(-300, 301, 60))
        plt.close(figure)
        options = [("0", 0)] + [(f"{tau:.2g}", place) for place, tau in enumerate(TAUS.tolist()) if place]
        near = int((TAUS - 0.2).abs().argmin())
        controls = {
            "tau": ipywidgets.SelectionSlider(options=options, value=near, description="tau"),
            "per_class": ipywidgets.Dropdown(options=list(CENTERS), value=6, description="centers a class, K"),
            "squared": ipywidgets.Dropdown(
                options=[("distances", False), ("squared distances", True)], description="regularizer: mean of"
            ),
        }
        moving = [*self.crosses, self.said, *self.ways[0], *self.ways[1], self.here]
        super().__init__(Live(figure, moving), controls)

    def move(self, tau: int, per_class: int, squared: bool) -> str:
        found = self.rests[per_class, squared]
        here = found[tau]
        for label in (0, 1):
            self.crosses[label].set_data(*(1.16 * here[label]).T.tolist())
            paths = drawing.unrolled(drawing.angles_of(found[:, label]))[1:]
            for number, line in enumerate(self.ways[label]):
                line.set_ydata(paths[:, number] if number < per_class else np.full(len(paths), np.nan))
        weight = float(TAUS[tau])
        self.here.set_xdata([max(weight, float(TAUS[1]))] * 2)
        self.counts = losses.distinct_centers(here, threshold=THRESHOLD).counts.tolist()
        first, second = torch.triu_indices(per_class, per_class, 1)
        apart = (here[:, first] - here[:, second]).norm(dim=-1)
        self.paid = weight * float((apart.square() if squared else apart).mean()) / 2
        self.said.set_text(f"distinct:\n{self.counts[0]} and {self.counts[1]}\nof {per_class}")
        kind = "squared distances" if squared else "distances"
        return (
            f"tau = {weight:.2g}, mean of {kind}: of {per_class} centers class 0 keeps {self.counts[0]} distinct ones "
            f"and class 1 {self.counts[1]} (closer than {THRESHOLD:g} counts as one); each class has 3 clusters. "
            f"The regularizer adds {self.paid:.3f} to the loss. Closest pair: {float(apart.min()):.4f} apart."
        )
