"""The explorer of chapter 02: its pictures and words agree with the formulas."""

import itertools
import math

import matplotlib

matplotlib.use("agg")
import numpy as np
import pytest
from matplotlib.colors import to_hex

from dmlbook.chapters.ch02.explorer import EXPLORER
from tests import drawn
from tests.chapters.ch02 import reference

HUES = list(drawn.PETROFF10[:3])
CENTERS = [(0.8, 0.6), (0.96, -0.28), (0.6, -0.8)]
SCENES = list(itertools.product((0.5, 5.0, 200.0), (-115, 20), (0, 1, 2)))  # scale, angle, class of the image


@pytest.fixture(scope="module")
def explorer():
    return EXPLORER()


def place(angle):
    return [math.cos(math.radians(angle)), math.sin(math.radians(angle))]


def similarities(angle):
    return [place(angle)[0] * x + place(angle)[1] * y for x, y in CENTERS]


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


def test_the_image_of_the_explorer_has_the_hue_of_its_class_and_each_center_its_own(explorer):
    for scale, angle, own in SCENES:
        explorer.move(scale=scale, angle=angle, own=own)
        assert [float(part[0]) for part in explorer.image.get_data()] == pytest.approx(place(angle))
        assert to_hex(explorer.image.get_color()) == HUES[own]
    ax = explorer.image.axes
    crosses = [(color, tuple(points[0])) for color, marker, points in drawn.lines(ax) if marker == "X"]
    assert crosses == [(hue, pytest.approx(center)) for hue, center in zip(HUES, CENTERS, strict=True)]
    for c, center in enumerate(CENTERS):
        name = next(text for text in ax.texts if text.get_text() == f"$w_{c}$")
        assert name.xy == pytest.approx([0.77 * part for part in center])


def test_each_triplet_pulls_towards_the_own_center_away_from_its_other_as_strongly_as_its_weight(explorer):
    for scale, angle, own in SCENES:
        explorer.move(scale=scale, angle=angle, own=own)
        weights, at = reference.weights(similarities(angle), scale), place(angle)
        for c, line in enumerate(explorer.pulls):
            end = [at[axis] + weights[c] * (CENTERS[own][axis] - CENTERS[c][axis]) for axis in (0, 1)]
            assert line.get_xydata() == pytest.approx(np.array([at, end]), abs=1e-6)
            assert to_hex(line.get_color()) == HUES[c]


def test_weights_and_slopes_of_the_explorer_are_bars_over_their_centers(explorer):
    for scale, angle, own in SCENES:
        explorer.move(scale=scale, angle=angle, own=own)
        slopes = [slope / scale for slope in reference.gradient(similarities(angle), own, scale)]
        assert [bar.get_height() for bar in explorer.slopes] == pytest.approx(slopes, abs=1e-6)
        assert [bar.get_height() for bar in explorer.weights] == pytest.approx(
            reference.weights(similarities(angle), scale), abs=1e-6
        )
    for bars in (explorer.weights, explorer.slopes):
        assert [to_hex(bar.get_facecolor()) for bar in bars] == HUES
        assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == pytest.approx([0, 1, 2])
        ticks = bars[0].axes.get_xticklabels()
        assert [(tick.get_position()[0], tick.get_text()) for tick in ticks] == [(c, f"$w_{c}$") for c in range(3)]
        low, high = bars[0].axes.get_ylim()
        assert low <= min(bar.get_height() for bar in bars) <= max(bar.get_height() for bar in bars) <= high


def test_the_curve_of_the_explorer_is_the_loss_within_the_band_above_the_hardest_violation(explorer):
    for scale, angle, own in SCENES:
        explorer.move(scale=scale, angle=angle, own=own)
        row = similarities(angle)
        hardest = max(reference.violations(row, own))
        scales, losses = explorer.loss.get_data()
        assert (len(scales), scales[0], scales[-1]) == (120, pytest.approx(0.5), pytest.approx(200))
        assert losses == pytest.approx([reference.softmax_loss(row, own, z) / z for z in scales.tolist()], abs=1e-6)
        assert explorer.hardest.get_xydata() == pytest.approx(np.array([[0.5, hardest], [200, hardest]]), abs=1e-6)
        assert explorer.hardest.get_linestyle() == "--"
        roof = [[z, hardest + math.log(3) / z] for z in scales.tolist()]
        outline = [[0.5, hardest], *roof, [200, hardest], [0.5, hardest]]
        assert explorer.band.get_xy() == pytest.approx(np.array(outline), abs=1e-6)
        assert explorer.now.get_xydata() == pytest.approx(
            np.array([[scale, reference.softmax_loss(row, own, scale) / scale]]), abs=1e-6
        )


def test_the_words_of_the_explorer_are_the_numbers_that_it_draws(explorer):
    for scale, angle, own in SCENES:
        said = explorer.move(scale=scale, angle=angle, own=own)
        row = similarities(angle)
        hardest, loss = max(reference.violations(row, own)), reference.softmax_loss(row, own, scale) / scale
        weights = ", ".join(f"{weight:.2f}" for weight in reference.weights(row, scale))
        assert said == (
            f"lambda {scale:g}, image at {angle} degrees, class {own}: weights {weights}. Hardest violation "
            f"{hardest:.3f}, loss / lambda {loss:.3f}, {loss - hardest:z.3f} above it "
            f"(at most log(3) / lambda = {math.log(3) / scale:.3f})."
        )
