"""Chapter 04's widget: tau against the centers of a toy whose true number of clusters is known."""

from __future__ import annotations

from functools import lru_cache

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch

from dmlbook import losses
from dmlbook._checks import at_least, check_below, check_choice, checked
from dmlbook._types import Float, Tensor
from dmlbook.book import CENTER_RADIUS, Live, center_marks, degrees_of, image_marks, unit_circle
from dmlbook.book.explorer import Explorer
from dmlbook.book.panel import choose
from dmlbook.chapters.ch04 import figures, theory

TAUS = torch.cat([torch.zeros(1), torch.logspace(-3, 1.5, 28)])
CENTERS = (2, 6, 10)


@lru_cache(maxsize=16)
def _rests(per_class: int, squared: bool) -> Float[Tensor, "T 2 K 2"]:
    """Where the centers come to rest for each of ``TAUS``; a second of descent, kept."""
    points, labels = theory.toy()
    return theory.center_paths(points, labels, theory.start(per_class), TAUS, squared=squared, steps=250)


class TauExplorer(Explorer):
    """Move tau and see where the centers of both classes come to rest, and how many of them remain distinct."""

    def __init__(self) -> None:
        self.rests = {(k, squared): _rests(k, squared) for k in CENTERS for squared in (False, True)}
        figure, (ring, ways) = plt.subplots(1, 2, figsize=(9.6, 4.2), width_ratios=(1, 1.35), layout="constrained")
        points, labels = theory.toy()
        image_marks(unit_circle(ring), points, labels)
        ring.set_title("Images (circles) and centers (crosses)")
        most = max(CENTERS)
        self.crosses = center_marks(ring, theory.start(most))
        self.said = ring.text(0, 0, "", ha="center", va="center", fontsize=12)
        blank = torch.zeros(len(TAUS), most)
        self.ways = [figures.path(ways, TAUS, blank, label) for label in (0, 1)]
        self.here = ways.axvline(1.0, color="black", linewidth=1)
        ways.set(title="Where each center ends, for every tau", ylabel="angle in degrees", ylim=(-300, 300))
        ways.set_yticks(range(-300, 301, 60))
        plt.close(figure)
        options = [("0", 0)] + [(f"{tau:.2g}", place) for place, tau in enumerate(TAUS.tolist()) if place]
        near = int((TAUS - 0.2).abs().argmin())
        controls = {
            "tau": ipywidgets.SelectionSlider(options=options, value=near, description="tau"),
            "per_class": choose(CENTERS, 6, "centers a class"),
            "squared": choose([("distances", False), ("squared distances", True)], False, "mean of"),
        }
        moving = [*self.crosses, self.said, *self.ways[0], *self.ways[1], self.here]
        super().__init__(Live(figure, moving), controls)

    @checked(tau=at_least(0), per_class=at_least(1))
    def move(self, tau: int, per_class: int, squared: bool) -> str:
        check_choice(choices=CENTERS, per_class=per_class)
        check_below(len(TAUS), "taus", tau=tau)
        found = self.rests[per_class, squared]
        here = found[tau]
        for label in (0, 1):
            self.crosses[label].set_data(*(CENTER_RADIUS * here[label]).T.tolist())
            paths = figures.unrolled(degrees_of(found[:, label]))[1:]
            for number, line in enumerate(self.ways[label]):
                line.set_ydata(paths[:, number] if number < per_class else np.full(len(paths), np.nan))
        weight = float(TAUS[tau])
        self.here.set_xdata([max(weight, float(TAUS[1]))] * 2)
        self.counts = losses.distinct_centers(here, threshold=theory.THRESHOLD).counts.tolist()
        first, second = torch.triu_indices(per_class, per_class, 1)
        apart = (here[:, first] - here[:, second]).norm(dim=-1)
        self.paid = weight * float((apart.square() if squared else apart).mean()) / 2
        self.said.set_text(f"distinct:\n{self.counts[0]} and {self.counts[1]}\nof {per_class}")
        kind = "squared distances" if squared else "distances"
        return (
            f"tau = {weight:.2g}, mean of {kind}: of {per_class} centers class 0 keeps {self.counts[0]} distinct ones "
            f"and class 1 {self.counts[1]} (closer than {theory.THRESHOLD:g} counts as one); each class has 3 "
            f"clusters. The regularizer adds {self.paid:.3f} to the loss. Closest pair: {float(apart.min()):.4f} apart."
        )


EXPLORER = TauExplorer
