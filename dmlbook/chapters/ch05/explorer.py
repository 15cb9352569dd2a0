"""Chapter 05: move samples and centroids of the plane, and watch the bound, the triplet loss and the gap between."""

from __future__ import annotations

import ipywidgets
import matplotlib.pyplot as plt
import torch

from dmlbook import geometry, losses
from dmlbook._checks import between, checked
from dmlbook._types import Tensor
from dmlbook.book import MIDDLE, PALE, SHADE, Live, class_color
from dmlbook.book.explorer import Explorer
from dmlbook.book.panel import choose
from dmlbook.chapters.ch05 import theory

REACH, RATE = 1.0, 0.02
SCALE = (-3.2, 4.2)
"""What the scale shows, wide enough for all but wild places; a number beyond it is told at its end, with an arrow."""
CLASSES, PER_CLASS = 3, 3
ROWS = ("bound", "triplet loss", "floor")
START = 0.35 * torch.tensor(
    [
        [1.0, 0.2],
        [-0.6, 0.8],
        [-0.3, -0.9],
        [0.7, 0.7],
        [-0.9, 0.3],
        [0.2, -1.0],
        [0.9, -0.4],
        [-0.4, 0.9],
        [-0.8, -0.5],
    ]
)
"""Where each sample starts, as seen from its centroid."""


def _on_scale(value: float, *, room: float = 0.0) -> float:
    """The value, or the end of the scale that it is beyond, less ``room``."""
    return min(max(value, SCALE[0] + room), SCALE[1] - room)


def _less(one: float, other: float) -> str:
    """Their difference as told: that of the numbers as told, so that all three add up."""
    return f"{round(one, 2) - round(other, 2):z.2f}"


class BoundExplorer(Explorer):
    """Nine samples of three classes and their centroids: left the plane, right the sums per triplet on one scale.

    ``what`` chooses a sample or a centroid, ``east`` and ``north`` place it, ``spread`` draws every sample towards its
    centroid (0) or leaves it where it was put (1). One button takes a step of descent on the bound.

    Attributes:
        labels: Class of each sample (9,).
        samples: Where each was put (9, 2), before ``spread``.
        centroids: (3, 2).
        figures: ``bound``, ``truth`` and ``floor``, per triplet, as drawn.
    """

    def __init__(self) -> None:
        self.labels = torch.arange(CLASSES).repeat_interleave(PER_CLASS)
        self._begin()
        self.figures: dict[str, float] = {}
        names = [f"sample {n + 1}, class {n // PER_CLASS}" for n in range(len(self.labels))]
        names += [f"centroid {c}" for c in range(CLASSES)]
        self._before: tuple[int, float, float] | None = None
        controls = {
            "what": choose([(name, n) for n, name in enumerate(names)], 0, "move"),
            "east": ipywidgets.FloatSlider(0.0, min=-REACH, max=REACH, step=0.05, description="east"),
            "north": ipywidgets.FloatSlider(0.0, min=-REACH, max=REACH, step=0.05, description="north"),
            "spread": ipywidgets.FloatSlider(1.0, min=0, max=1, step=0.05, description="spread"),
        }
        live = self._draw()
        super().__init__(live, controls, {"step down the bound": self._step, "start again": self._restart})

    def constants(self) -> dict[str, object]:
        return {
            "samples": self.samples.tolist(),
            "centroids": self.centroids.tolist(),
            "labels": self.labels.tolist(),
            "colors": [class_color(c) for c in range(CLASSES)],
            "reach": REACH,
            "rate": RATE,
            "rows": list(ROWS),
            "scale": list(SCALE),
            "little": 0.01,
        }

    @checked(spread=between(0, 1))
    def points(self, spread: float) -> Tensor:
        """Where the samples are drawn (9, 2)."""
        own = self.centroids[self.labels]
        return own + spread * (self.samples - own)

    @checked(what=between(0, 11), east=between(-REACH, REACH), north=between(-REACH, REACH), spread=between(0, 1))
    def move(self, what: int, east: float, north: float, spread: float) -> str:
        self._place(what, east, north)
        x = self.points(spread)
        apart, count = geometry.distances(x, self.centroids), losses.count_triplets(self.labels)
        own = apart.gather(1, self.labels[:, None])[:, 0]
        bound = float(losses.centroid_bound_sum(apart, self.labels)) / count
        truth = float(losses.triplet_sum(geometry.distances(x, x), self.labels)) / count
        self.figures = {
            "bound": bound,
            "truth": truth,
            "floor": bound - float(theory.gap_limit_sum(own, self.labels)) / count,
        }
        self._show(x, what)
        return (
            f"Per triplet: bound {bound:z.2f}, triplet loss {truth:z.2f}, so the gap is {_less(bound, truth)}; "
            f"by the theorem at most {_less(bound, self.figures['floor'])}. "
            f"The samples lie {float(own.mean()):.2f} from their centroids on average."
        )

    def _begin(self) -> None:
        self.centroids = 0.6 * geometry.simplex(CLASSES, 2).double()
        self.samples = self.centroids[self.labels] + START.double()

    def _place(self, what: int, east: float, north: float) -> None:
        """A new choice takes the sliders to it; otherwise the sliders take the chosen one to them."""
        group, number = (self.samples, what) if what < len(self.samples) else (self.centroids, what - len(self.samples))
        before = self._before or (None, east, north)
        if what != before[0] and (east, north) == before[1:]:
            self._quiet = True
            for name, value in zip(("east", "north"), group[number].tolist(), strict=True):
                self.controls[name].value = value
            self._quiet = False
        elif (what, east, north) != before:
            group[number] = torch.tensor([east, north], dtype=torch.float64)
        self._before = (what, self.controls["east"].value, self.controls["north"].value)

    def _step(self) -> None:
        """One step of descent on the bound; at a centroid the slope has no direction, and autograd gives 0."""
        x = self.samples.clone().requires_grad_()
        losses.centroid_terms(geometry.distances(x, self.centroids), self.labels).sum().backward()
        self.samples = (x - RATE * x.grad).detach().clamp(-REACH, REACH)
        self._before = None if self._before is None else (-1, *self._before[1:])  # the sliders follow

    def _restart(self) -> None:
        self._begin()
        self._before = None if self._before is None else (-1, *self._before[1:])

    def _draw(self) -> Live:
        figure, (plane, scale) = plt.subplots(1, 2, figsize=(9.4, 4.0), width_ratios=(1, 1.25), layout="constrained")
        plane.set(xlim=(-1.12 * REACH, 1.12 * REACH), ylim=(-1.12 * REACH, 1.12 * REACH), aspect="equal")
        plane.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], title="Samples (o) and centroids (+)")
        scale.set(xlim=SCALE, ylim=(2.6, -0.8), xlabel="per triplet", title="The bound is never below the triplet loss")
        scale.set_yticks(range(len(ROWS)), ROWS)
        scale.tick_params(axis="y", length=0)
        scale.grid(axis="x", color=SHADE)
        colors = [class_color(int(label)) for label in self.labels]
        self.legs = [plane.plot([], [], color=color, linewidth=1.2, alpha=0.7, zorder=2)[0] for color in colors]
        self.circles = [
            plane.plot([], [], "o", color=color, markersize=9, mec="white", zorder=3)[0] for color in colors
        ]
        self.crosses = [
            plane.plot([], [], "P", color=class_color(c), markersize=12, mec="black", zorder=4)[0]
            for c in range(CLASSES)
        ]
        (self.ring,) = plane.plot([], [], "o", markersize=20, mfc="none", mec="black", zorder=5)
        (self.gap,) = scale.fill([0] * 4, [0] * 4, color=PALE, linewidth=0, zorder=2)
        (self.marks,) = scale.plot([], [], "o", color="black", markersize=9, zorder=4)
        self.words = [scale.text(0, at, "", ha="center", fontsize=11, zorder=5) for at in (-0.22, 1.34, 1.78)]
        self.gap_words = scale.text(0, 0.5, "", va="center", fontsize=11, color=MIDDLE, zorder=5)
        plt.close(figure)
        return Live(
            figure,
            [*self.legs, *self.circles, *self.crosses, self.ring, self.gap, self.marks, *self.words, self.gap_words],
        )

    def _show(self, x: Tensor, what: int) -> None:
        own = self.centroids[self.labels]
        for leg, circle, place, centroid in zip(self.legs, self.circles, x.tolist(), own.tolist(), strict=True):
            leg.set_data([place[0], centroid[0]], [place[1], centroid[1]])
            circle.set_data([place[0]], [place[1]])
        for cross, place in zip(self.crosses, self.centroids.tolist(), strict=True):
            cross.set_data([place[0]], [place[1]])
        chosen = (x[what] if what < len(x) else self.centroids[what - len(x)]).tolist()
        self.ring.set_data([chosen[0]], [chosen[1]])
        values = list(self.figures.values())
        bound, truth, _ = places = [_on_scale(value) for value in values]
        self.marks.set_data(places, [0, 1, 2])
        self.gap.set_xy([(truth, 0), (bound, 0), (bound, 1), (truth, 1)])
        left = bound > SCALE[1] - 1.5  # no room at its right
        self.gap_words.set(x=truth - 0.12 if left else bound + 0.12, ha="right" if left else "left")
        self.gap_words.set_text(f"gap {_less(values[0], values[1])}")
        for text, value in zip(self.words, values, strict=True):
            text.set_position((_on_scale(value, room=0.5), text.get_position()[1]))
            text.set_text(
                f"← {value:.2f}" if value < SCALE[0] else f"{value:.2f} →" if value > SCALE[1] else f"{value:.2f}"
            )


EXPLORER = BoundExplorer
