"""The unit circle of chapters 01 to 04: angles and points, images on it, learned centers inside it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dmlbook._checks import above, at_least, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.book.figures import class_color
from dmlbook.book.lines import PALE

CENTER_RADIUS = 0.8
"""Where learned centers are drawn. They have length 1, and stand inside the circle so that no image hides them."""


@checked
def on_circle(
    degrees: Tensor | Sequence[float] | float, *, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "*batch 2"]:
    """Unit vectors at these angles, counted from east against the clock; their last axis is new.

    Example:
        >>> on_circle([0.0, 180.0]).round().tolist()
        [[1.0, 0.0], [-1.0, -0.0]]
    """
    radians = torch.deg2rad(torch.as_tensor(degrees, dtype=dtype))
    return torch.stack([radians.cos(), radians.sin()], -1)


@checked(points=finite)
def degrees_of(points: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch"]:
    """The angles of points of the plane, in (-180, 180]; the inverse of ``on_circle``.

    Example:
        >>> degrees_of(torch.tensor([0.0, 2.0]))
        tensor(90.)
    """
    return torch.rad2deg(torch.atan2(points[..., 1], points[..., 0]))


@checked(reach=above(0))
def unit_circle(ax: Axes, *, reach: float = 1.3) -> Axes:
    """The unit circle on equal axes without ticks, which show the square from ``-reach`` to ``reach``."""
    angles = np.linspace(0, 2 * math.pi, 181)
    ax.plot(np.cos(angles), np.sin(angles), color=PALE, linewidth=1, zorder=0)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


@checked(images=finite, labels=at_least(0))
def image_marks(ax: Axes, images: Float[Tensor, "N 2"], labels: Int[Tensor, " N"]) -> list[Line2D]:
    """Images as circles in the hue of their class; one artist a class, in the order of the class numbers."""
    return [
        ax.plot(*images[labels == c].T.tolist(), "o", color=class_color(c), markersize=9, mec="white", zorder=4)[0]
        for c in torch.unique(labels).tolist()
    ]


@checked(centers=finite)
def center_marks(ax: Axes, centers: Float[Tensor, "C K 2"]) -> list[Line2D]:
    """Learned centers as X, in the hue of their class, at ``CENTER_RADIUS``; one artist a class."""
    style = {"markersize": 12, "markeredgecolor": "white", "linestyle": "none", "zorder": 3}
    return [
        ax.plot(*(CENTER_RADIUS * of_class).T.tolist(), "X", color=class_color(c), **style)[0]
        for c, of_class in enumerate(centers)
    ]
