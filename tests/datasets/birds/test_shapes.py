"""The curves that birds are drawn from: circles are round, bands as wide as asked, surfaces reach their corners."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dmlbook.datasets.birds.shapes import Sketch, arc, between, disk, mix, patch, ribbon, rotation, smooth
from tests.datasets.birds.a_bird import area

CLOSE = {"rtol": 0, "atol": 1e-12}
SQUARE = between(np.array([(0.0, 0.0), (1.0, 0.0)]), np.array([(0.0, 1.0), (1.0, 1.0)]))  # u is x, v is y


def test_a_mixed_color_holds_the_share_of_the_second():
    assert mix((0, 100, 255), (100, 0, 255), 0.25) == (25, 75, 255)
    assert mix((0, 100, 7), (100, 0, 9), 0.0) == (0, 100, 7)
    assert mix((0, 100, 7), (100, 0, 9), 1.0) == (100, 0, 9)


def test_a_rotation_turns_counterclockwise():
    assert_allclose(rotation(90) @ (1, 0), (0, 1), **CLOSE)
    assert_allclose(rotation(30) @ (1, 0), (math.sqrt(3) / 2, 0.5), **CLOSE)


def test_an_arc_runs_on_the_unit_circle_from_its_start_to_its_end():
    points = arc(0, 90, 3)
    half = math.sqrt(0.5)
    assert_allclose(points, [(1, 0), (half, half), (0, 1)], **CLOSE)
    assert_allclose(arc(180, 180, 1), [(-1, 0)], **CLOSE)


@pytest.mark.parametrize("count", [10, 20, 36])
def test_a_disk_is_the_regular_polygon_around_its_center(count):
    points = disk((3, -1), 2.0, count=count)
    assert points.shape == (count, 2)
    assert_allclose(np.hypot(*(points - (3, -1)).T), 2.0, **CLOSE)
    assert area(points) == pytest.approx(count / 2 * 4 * math.sin(math.tau / count), abs=1e-12)


def test_an_ellipse_is_longest_along_its_turn():
    points = disk((0, 0), 2.0, 0.5, turn=30, count=360)
    lengths = np.hypot(*points.T)
    assert_allclose((lengths.max(), lengths.min()), (2.0, 0.5), **CLOSE)
    x, y = points[lengths.argmax()]
    assert math.degrees(math.atan2(y, x)) % 180 == pytest.approx(30)


@pytest.mark.parametrize("closed", [True, False])
def test_a_smooth_curve_passes_through_all_its_points(closed):
    points = np.array([(0, 0), (1, 2), (3, 1), (4, -1)], dtype=float)
    curve = smooth(points, steps=5, closed=closed)
    assert_allclose(curve[::5], points, **CLOSE)
    assert len(curve) == (20 if closed else 16)
    line = smooth([(0, 0), (1, 1), (2, 2)], steps=4, closed=False)
    assert_allclose(line[:, 0], line[:, 1], **CLOSE)  # what lies on a line stays on it


def test_a_ribbon_along_a_line_is_a_rectangle_twice_as_wide_as_its_half_width():
    path = np.linspace((0, 0), (3, 4), 7)
    band = ribbon(path, 0.2)
    assert abs(area(band)) == pytest.approx(5 * 0.4, abs=1e-9)
    assert_allclose(np.hypot(*(band[:7] - path).T), 0.2, **CLOSE)
    assert_allclose((band[:7] + band[7:][::-1]) / 2, path, **CLOSE)


def test_the_widths_of_a_ribbon_are_spread_evenly_along_it():
    band = ribbon(np.linspace((0, 0), (1, 0), 5), (0.0, 0.4, 0.2))
    assert_allclose(band[:5, 1], (0.0, 0.2, 0.4, 0.3, 0.2), rtol=0, atol=1e-9)


def test_a_surface_lies_between_its_curves():
    low, high = np.array([(0, 0), (1, 1), (2, 0)], dtype=float), np.array([(0, 4), (1, 3), (2, 4)], dtype=float)
    surface = between(low, high)
    u = np.array([0.0, 0.25, 0.5, 1.0])
    assert_allclose(surface(u, np.zeros(4)), [(0, 0), (0.5, 0.5), (1, 1), (2, 0)], **CLOSE)
    assert_allclose(surface(u, np.ones(4)), [(0, 4), (0.5, 3.5), (1, 3), (2, 4)], **CLOSE)
    assert_allclose(surface(u, np.full(4, 0.5)), [(0, 2), (0.5, 2), (1, 2), (2, 2)], **CLOSE)


def test_a_patch_is_its_part_of_the_surface_and_sags_at_the_far_end():
    plain = patch(SQUARE, (0.2, 0.6), (0.1, 0.4))
    assert area(plain) == pytest.approx(0.4 * 0.3, abs=1e-12)
    assert_allclose((plain.min(0), plain.max(0)), [(0.2, 0.1), (0.6, 0.4)], **CLOSE)
    sagging = patch(SQUARE, (0.2, 0.6), (0.1, 0.4), sag=0.2, count=99)
    assert_allclose(sagging.max(0), (0.6, 0.6), **CLOSE)
    assert area(sagging) == pytest.approx(0.12 + 0.2 * 0.4 * 2 / math.pi, abs=1e-4)  # a sine's mean height is 2 / pi


def test_a_sketch_stacks_its_polygons_and_knows_whose_points_they_are():
    sketch = Sketch(pivots={"head": (1.0, 0.0)})
    sketch.add([(0, 0), (1, 0), (0, 1)], (1, 2, 3))
    sketch.add([(5, 5), (6, 5), (6, 6), (5, 6)], (4, 5, 6), "head")
    points, ends = sketch.stacked
    assert ends == [3, 7]
    assert_allclose(points[3:], sketch.polygons[1], **CLOSE)
    assert sketch.members["head"].tolist() == [False] * 3 + [True] * 4
    assert not sketch.members["wing"].any()
    moved = sketch.place(rotation(90), np.array((10.0, 0.0)))
    assert_allclose(moved.polygons[0], [(10, 0), (10, 1), (9, 0)], **CLOSE)
    assert_allclose(moved.pivots["head"], (10, 1), **CLOSE)
    assert (moved.colors, moved.groups) == (sketch.colors, sketch.groups)
