"""A figure that answers a slider at once: all that stands still is drawn once, and only what moves is drawn again."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from dmlbook._checks import checked


class Live:
    """Pixels of a figure, cheap to renew. Drawing axes, ticks and titles costs far more than a few lines and points.

    Args:
        figure: With its axes drawn and their limits set; neither may change afterwards.
        moving: What changes (lines, points, bars, images, texts), each already in an axes of the figure. They are
            drawn in order of their zorder, above everything that stands still.

    Example:
        ``live = Live(figure, [line]); line.set_ydata(values); live.png()``
    """

    @checked
    def __init__(self, figure: Figure, moving: Iterable[Artist]) -> None:
        self.figure, self.moving = figure, sorted(moving, key=lambda artist: artist.get_zorder())
        self.canvas = FigureCanvasAgg(figure)
        for artist in self.moving:
            artist.set_animated(True)  # left out by canvas.draw
            artist.set_in_layout(False)  # where things stand must not depend on where something moves
        self.canvas.draw()
        figure.set_layout_engine("none")  # what was laid out stays where it is
        self._still = self.canvas.copy_from_bbox(figure.bbox)

    def pixels(self) -> np.ndarray:
        """The figure as it is now, (height, width, 3) bytes."""
        self.canvas.restore_region(self._still)
        for artist in self.moving:
            artist.axes.draw_artist(artist)
        return np.asarray(self.canvas.buffer_rgba())[:, :, :3]

    def png(self) -> bytes:
        """The same, packed quickly rather than tightly."""
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(self.pixels())).save(buffer, format="png", compress_level=1)
        return buffer.getvalue()

    def sharp(self) -> bytes:
        """The figure as it is now with twice the pixels, all of it drawn anew and packed tightly: for a longer look."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=2 * self.figure.dpi)
        return buffer.getvalue()
