"""Chapter 08's widget: where to draw the line between an answer and "I do not know"."""

from __future__ import annotations

import math
from functools import lru_cache

import ipywidgets
import matplotlib.pyplot as plt
import torch

from dmlbook import datasets, geometry
from dmlbook._checks import at_least, checked
from dmlbook._types import Bool, Float, Tensor
from dmlbook.book import Live, line_style
from dmlbook.book.explorer import Explorer
from dmlbook.book.lines import DARK, MIDDLE, PALE, WORDS
from dmlbook.chapters.ch08.theory import answers

ENROLLED = 8
"""Digits below it are in the gallery; the others are asked for, and it cannot hold them."""
NAMES = {"answered": (0.27, (-8, 0)), "correct": (0.13, (0, 10)), "fooled": (0.47, (8, 0))}
"""Measures of ``answers``, and where each line's name stands: at which limit, and so many points aside."""
BINS, STEP = 40, 0.01


@lru_cache(maxsize=1)
def asked() -> tuple[Float[Tensor, " Q"], Bool[Tensor, " Q"], Bool[Tensor, " Q"]]:
    """Digits by their pixels: of each query the distance to its nearest, whether that is right, whether it could be.

    Every second digit is a query; of the others the gallery holds those below ``ENROLLED``.
    """
    digits = datasets.load("digits", "all", size=8)
    pixels = geometry.normalize(digits.images[:, 0].flatten(1).float())
    places = torch.arange(len(digits))
    gallery = places[(places % 2 == 0) & (digits.labels < ENROLLED)]
    queries = places[places % 2 == 1]
    distances, nearest = geometry.distances(pixels[queries], pixels[gallery]).min(1)
    known = digits.labels[queries] < ENROLLED
    return distances, known & (digits.labels[gallery][nearest] == digits.labels[queries]), known


class ThresholdExplorer(Explorer):
    """Move the largest distance that counts as an answer, and see how much is answered, and how much of it rightly."""

    def __init__(self) -> None:
        self.distances, self.right, self.known = asked()
        last = round(float(self.distances.max()) + 0.05, 1)
        self.limits = [round(STEP * step, 2) for step in range(round(last / STEP) + 1)]
        figure, (left, across) = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
        edges, highest = torch.linspace(0, last, BINS + 1), 0.0
        for place, (name, chosen) in enumerate({"class in the gallery": self.known, "not in it": ~self.known}.items()):
            shares = torch.histc(self.distances[chosen], BINS, 0, last) / chosen.sum()
            left.stairs(shares, edges, **line_style(place))
            top, highest = (float(edges[shares.argmax()]), float(shares.max())), max(highest, float(shares.max()))
            left.annotate(name, top, xytext=(4, 8), textcoords="offset points", ha="center", color=WORDS[place])
        missed = self.distances[self.known & ~self.right]
        self.missed = left.plot(missed, torch.full_like(missed, -0.008), "|", color=DARK, markersize=9)[0]
        left.axhline(0, color=PALE, linewidth=1)
        left.set(title="From a query to its nearest image", xlabel="distance (ticks: wrong answers)")
        left.set(ylabel="share of the queries", ylim=(-0.016, 1.25 * highest))
        curves = {name: [100 * answers(*asked(), threshold=limit)[name] for limit in self.limits] for name in NAMES}
        for place, (name, values) in enumerate(curves.items()):
            across.plot(self.limits, values, **line_style(place))
            where, shift = NAMES[name]
            spot, aside = (where, values[round(where / STEP)]), "right" if shift[0] < 0 else "left"
            words = {"xytext": shift, "textcoords": "offset points", "va": "center", "color": WORDS[place]}
            across.annotate(name, spot, ha=aside, **words)
        across.set(title="What a limit does", xlabel="largest distance that counts", ylabel="percent", ylim=(-4, 114))
        self.lines = [ax.axvline(last, color=MIDDLE, linewidth=1) for ax in (left, across)]
        self.points = across.plot([last] * len(NAMES), [0.0] * len(NAMES), "o", color=MIDDLE, zorder=5)[0]
        plt.close(figure)
        limit = ipywidgets.FloatSlider(last, min=0, max=last, step=STEP, description="largest distance")
        super().__init__(Live(figure, [*self.lines, self.points]), {"limit": limit})

    @checked(limit=at_least(0))
    def move(self, limit: float) -> str:
        found = answers(self.distances, self.right, self.known, threshold=limit)
        for line in self.lines:
            line.set_xdata([limit, limit])
        self.points.set_data([limit] * len(found), [100 * value for value in found.values()])
        told = {name: "none" if math.isnan(value) else f"{100 * value:.0f} percent" for name, value in found.items()}
        return (
            f"Largest distance {limit:.2f}. Digits that the gallery holds: {told['answered']} are answered, and of "
            f"these answers {told['correct']} are right. Digits that it does not hold: {told['fooled']} get an answer, "
            "and it is wrong."
        )


EXPLORER = ThresholdExplorer
