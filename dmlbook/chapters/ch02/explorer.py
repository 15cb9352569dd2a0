"""The scale of chapter 02: turn the image and change lambda, and watch the weights, the gradient and the loss."""

from __future__ import annotations

import math

import ipywidgets
import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Polygon

from dmlbook._checks import above, between, checked, finite
from dmlbook._types import Float, Tensor
from dmlbook.book import MIDDLE, SHADE, SOFT, Live, class_colors, unit_circle
from dmlbook.book.explorer import Explorer
from dmlbook.book.panel import choose
from dmlbook.chapters.ch02.theory import (
    hardest_violation,
    smoothed_hardest,
    smoothing_weights,
    softmax_gradient,
    violations,
)

SCALES = (0.5, 1, 2, 5, 10, 20, 50, 100, 200)
CENTERS = torch.tensor([[0.8, 0.6], [0.96, -0.28], [0.6, -0.8]], dtype=torch.float64)  # those of the chapter


class ScaleExplorer(Explorer):
    """One image among three centers of a circle.

    Four panels: the image and how each triplet pulls it; the weights p; the gradient of the loss in each similarity,
    divided by lambda; and the loss divided by lambda, between the hardest violation and log(3) / lambda above it.

    Args:
        centers: Unit centers (3, 2), one a class.
    """

    @checked(centers=finite)
    def __init__(self, centers: Float[Tensor, "3 2"] = CENTERS) -> None:
        self.centers = centers.double()
        figure, axes = plt.subplots(
            1, 4, figsize=(9.6, 3.0), width_ratios=(1.15, 0.85, 0.85, 1.35), layout="constrained"
        )
        plt.close(figure)
        moving = [*self._circle(axes[0]), *self._bars(axes[1], axes[2]), *self._curve(axes[3])]
        controls = {
            "scale": ipywidgets.SelectionSlider(
                options=[(f"{scale:g}", float(scale)) for scale in SCALES], value=20.0, description="scale lambda"
            ),
            "angle": ipywidgets.IntSlider(0, -180, 180, 5, description="image (degrees)"),
            "own": choose([("0", 0), ("1", 1), ("2", 2)], 0, "its class"),
        }
        super().__init__(Live(figure, moving), controls)

    def _circle(self, ax: plt.Axes) -> list:
        unit_circle(ax, reach=1.35)
        ax.set_title("Each triplet pulls")
        for c, (center, color) in enumerate(zip(self.centers.tolist(), class_colors(3), strict=True)):
            ax.plot(*center, "X", color=color, markersize=12, markeredgecolor="white", zorder=4.5)
            ax.annotate(f"$w_{c}$", (0.77 * center[0], 0.77 * center[1]), ha="center", va="center")
        (self.image,) = ax.plot([], [], "o", markersize=11, zorder=5)
        self.pulls = [ax.plot([], [], color=color, linewidth=2.5, zorder=4)[0] for color in class_colors(3)]
        return [self.image, *self.pulls]

    def _bars(self, weights: plt.Axes, slopes: plt.Axes) -> list:
        weights.set(ylim=(0, 1.05), yticks=[0, 0.5, 1], title="weights $p$")
        slopes.set(ylim=(-1.05, 1.05), yticks=[-1, 0, 1], title=r"slopes / $\lambda$")
        slopes.axhline(0, color=SOFT, linewidth=0.8)
        for ax in (weights, slopes):
            ax.set_xticks(range(3), [f"$w_{c}$" for c in range(3)])
            ax.tick_params(axis="x", length=0)
        self.weights = weights.bar(range(3), [0] * 3, color=class_colors(3), width=0.7)
        self.slopes = slopes.bar(range(3), [0] * 3, color=class_colors(3), width=0.7)
        return [*self.weights, *self.slopes]

    def _curve(self, ax: plt.Axes) -> list:
        self.scales = torch.logspace(math.log10(SCALES[0]), math.log10(SCALES[-1]), 120, dtype=torch.float64)
        ax.set(xscale="log", xlim=(SCALES[0], SCALES[-1]), ylim=(-0.15, 4.4), title=r"loss / $\lambda$")
        ax.set_xlabel(r"scale $\lambda$; dashed: hardest violation")
        self.band = ax.add_patch(Polygon([[0.1, 0.0], [1.0, 0.0], [1.0, 1.0]], color=SHADE, linewidth=0))
        (self.hardest,) = ax.plot([], [], "--", color=MIDDLE, linewidth=1.2)
        (self.loss,) = ax.plot([], [], color="black", linewidth=2)
        (self.now,) = ax.plot([], [], "o", color="black", markersize=9)
        return [self.band, self.hardest, self.loss, self.now]

    def constants(self) -> dict[str, object]:
        return {"centers": self.centers.tolist(), "colors": class_colors(3), "scales": self.scales.tolist()}

    @checked(scale=above(0, up_to=1e6), own=between(0, 2))
    def move(self, scale: float, angle: int, own: int) -> str:
        image = torch.tensor([math.cos(math.radians(angle)), math.sin(math.radians(angle))], dtype=torch.float64)
        label, similarities = torch.tensor([own]), (image @ self.centers.T)[None]  # (1, 3)
        p = smoothing_weights(similarities, scale=scale)[0]
        slope = softmax_gradient(similarities, label, scale=scale)[0] / scale
        top, loss = hardest_violation(similarities, label)[0], smoothed_hardest(similarities, label, scale=scale)[0]
        self.image.set(data=([image[0]], [image[1]]), color=class_colors(3)[own])
        for c, line in enumerate(self.pulls):  # from the image towards its own center, away from center c
            end = image + p[c] * (self.centers[own] - self.centers[c])
            line.set_data([image[0], end[0]], [image[1], end[1]])
        for c in range(3):
            self.weights[c].set_height(float(p[c]))
            self.slopes[c].set_height(float(slope[c]))
        ceiling = top + math.log(3) / self.scales
        self.band.set_xy(
            [[SCALES[0], top], *zip(self.scales.tolist(), ceiling.tolist(), strict=True), [SCALES[-1], top]]
        )
        over = torch.logsumexp(self.scales[:, None] * violations(similarities, label), 1) / self.scales
        self.hardest.set_data([SCALES[0], SCALES[-1]], [top, top])
        self.loss.set_data(self.scales.numpy(), over.numpy())
        self.now.set_data([scale], [loss])
        weights = ", ".join(f"{value:.2f}" for value in p.tolist())
        return (
            f"lambda {scale:g}, image at {angle} degrees, class {own}: weights {weights}. Hardest violation "
            f"{float(top):.3f}, loss / lambda {float(loss):.3f}, {float(loss - top):z.3f} above it "
            f"(at most log(3) / lambda = {math.log(3) / scale:.3f})."
        )


EXPLORER = ScaleExplorer
