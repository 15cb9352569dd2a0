"""The explorer of chapter 02: its pictures and words agree with the formulas."""

import math

import numpy as np
import pytest

from dmlbook.chapters.ch02.explorer import EXPLORER
from tests.chapters.ch02 import reference


def test_what_the_explorer_draws_is_the_loss_everywhere_on_its_grid():
    explorer = EXPLORER()
    for scale in explorer.grid("scale"):
        for angle in explorer.grid("angle", 5):
            for own in explorer.grid("own"):
                said = explorer.move(scale=scale, angle=angle, own=own)
                at = [math.cos(math.radians(angle)), math.sin(math.radians(angle))]
                row = [at[0] * a + at[1] * b for a, b in explorer.centers.tolist()]
                weights = [bar.get_height() for bar in explorer.weights]
                slopes = [bar.get_height() for bar in explorer.slopes]
                assert weights == pytest.approx(reference.weights(row, scale), abs=1e-9)
                assert sum(weights) == pytest.approx(1.0)
                assert sum(slopes) == pytest.approx(0.0, abs=1e-9)
                assert slopes[own] <= 0 <= min(slope for c, slope in enumerate(slopes) if c != own)
                now, hardest = float(explorer.now.get_ydata()[0]), float(explorer.hardest.get_ydata()[0])
                assert now == pytest.approx(reference.softmax_loss(row, own, scale) / scale, abs=1e-9)
                assert -1e-9 <= now - hardest <= math.log(3) / scale + 1e-9
                curve = dict(zip(*explorer.loss.get_data(), strict=True))
                nearest = min(curve, key=lambda z, scale=scale: abs(math.log(z / scale)))
                assert curve[nearest] == pytest.approx(
                    reference.softmax_loss(row, own, float(nearest)) / float(nearest)
                )
                ends = [line.get_xydata()[1] - at for line in explorer.pulls]  # the pulls add up to minus the gradient
                assert np.sum(ends, axis=0) == pytest.approx(-np.array(slopes) @ explorer.centers.numpy(), abs=1e-9)
                assert f"lambda {scale:g}, image at {angle} degrees, class {own}" in said
