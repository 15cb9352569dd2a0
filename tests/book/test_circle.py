"""The unit circle: angles and points, images on it in the hue of their class, learned centers inside it."""

import math
from itertools import pairwise

import matplotlib

matplotlib.use("agg")
import pytest
import torch
from matplotlib.colors import to_hex
from torch.testing import assert_close

from dmlbook import book
from tests import drawn


def test_angles_are_counted_from_east_against_the_clock():
    h = math.sqrt(3) / 2
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0], [0.5, h], [0.5, -h]])
    assert_close(book.on_circle([0.0, 90.0, 180.0, 270.0, 60.0, -60.0]), expected, rtol=0, atol=1e-6)
    assert_close(book.on_circle(60.0), torch.tensor([0.5, h]), rtol=0, atol=1e-6)


def test_the_last_axis_of_points_is_new():
    degrees = torch.tensor([[0.0, 90.0, 180.0], [30.0, 60.0, -90.0]])
    points = book.on_circle(degrees)
    assert points.shape == (2, 3, 2)
    for row in range(2):
        for place in range(3):
            angle = math.radians(float(degrees[row, place]))
            assert points[row, place].tolist() == pytest.approx([math.cos(angle), math.sin(angle)], abs=1e-6)


def test_degrees_are_found_again_whatever_the_length():
    points = torch.tensor([[[2.0, 0.0], [0.0, 0.5]], [[-3.0, 0.0], [0.0, -1.0]], [[1.0, 1.0], [-1.0, 1.0]]])
    assert_close(book.degrees_of(points), torch.tensor([[0.0, 90.0], [180.0, -90.0], [45.0, 135.0]]))
    degrees = torch.tensor([-170.0, -90.0, 0.0, 33.0, 179.0])
    assert_close(book.degrees_of(book.on_circle(degrees)), degrees, rtol=0, atol=1e-4)


def test_the_unit_circle_is_round_and_behind_all_else(ax):
    assert book.unit_circle(ax, reach=1.5) is ax
    (line,) = ax.lines
    points = line.get_xydata()
    assert all(math.hypot(x, y) == pytest.approx(1.0) for x, y in points)
    turns = [math.atan2(y, x) for x, y in points]
    steps = [math.remainder(b - a, 2 * math.pi) for a, b in pairwise(turns)]
    assert math.fsum(steps) == pytest.approx(2 * math.pi)
    assert all(0 < step < math.radians(3) for step in steps)  # no corner can be seen
    assert (ax.get_xlim(), ax.get_ylim(), ax.get_aspect()) == ((-1.5, 1.5), (-1.5, 1.5), 1.0)
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0
    assert not any(spine.get_visible() for spine in ax.spines.values())
    assert line.get_color() == "#c9c9c9"
    assert line.get_zorder() == 0


def test_images_are_circles_in_the_hue_of_their_class(ax):
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.6, 0.8]])
    marks = book.image_marks(ax, images, torch.tensor([3, 1, 3, 1]))
    assert marks == list(ax.lines)
    expected = [
        (drawn.PETROFF10[1], "o", [[0.0, 1.0], [0.6, 0.8]]),
        (drawn.PETROFF10[3], "o", [[1.0, 0.0], [-1.0, 0.0]]),
    ]
    for found, (color, marker, points) in zip(drawn.lines(ax), expected, strict=True):
        assert found[:2] == (color, marker)
        assert_close(torch.tensor(found[2]), torch.tensor(points))
    assert {line.get_linestyle() for line in marks} == {"None"}
    assert {to_hex(line.get_markeredgecolor()) for line in marks} == {drawn.WHITE}


def test_learned_centers_are_crosses_at_one_radius_under_the_images(ax):
    centers = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [0.6, -0.8]]])
    marks = book.center_marks(ax, centers)
    assert marks == list(ax.lines)
    expected = [
        (drawn.PETROFF10[0], "X", [[0.8, 0.0], [0.0, 0.8]]),
        (drawn.PETROFF10[1], "X", [[-0.8, 0.0], [0.48, -0.64]]),
    ]
    for found, (color, marker, points) in zip(drawn.lines(ax), expected, strict=True):
        assert found[:2] == (color, marker)
        assert_close(torch.tensor(found[2]), torch.tensor(points))
    assert {line.get_linestyle() for line in marks} == {"None"}
    (image,) = book.image_marks(ax, torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
    assert max(line.get_zorder() for line in marks) < image.get_zorder()
