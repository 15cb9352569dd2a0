"""Pictures: what is painted lies where it was painted, and difficulty grows in everything."""

from dataclasses import astuple

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from dmlbook.datasets.birds import images, scenes
from dmlbook.datasets.birds.drawing import sketch_bird
from dmlbook.datasets.birds.genera import GENERA, POSES
from dmlbook.datasets.birds.scenes import DIFFICULTIES, Canvas, Difficulty, clean_picture
from dmlbook.datasets.birds.species import make_species
from dmlbook.seeding import SEED

RED, BLUE = (255, 0, 0), (0, 0, 255)
UPPER_RIGHT = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float)


def canvas(size=8) -> Canvas:
    return Canvas(Image.new("RGB", (24, 24), BLUE), size)


def test_the_difficulties_grow_in_every_nuisance_and_show_less_of_the_details():
    easy, normal, hard = (astuple(DIFFICULTIES[name]) for name in ("easy", "normal", "hard"))
    assert easy[0] == 1.0 > normal[0] > hard[0] > 0
    assert all(a < b < c for a, b, c in zip(easy[1:], normal[1:], hard[1:], strict=True))
    assert set(images.DIFFICULTIES) == {"easy", "normal", "hard"}


def test_a_picture_without_nuisance_is_its_species_pose_and_place_alone():
    import random

    none = Difficulty(contrast=1.0, turn=0.0, scale=0.0, shift=0.0, light=0.0, occluded=0.0, noise=0.0)
    bird = make_species(1, SEED)[0]
    one, other = (scenes.picture(bird, 3, 24, none, random.Random(n)) for n in (1, 2))
    inside = (slice(10, 14), slice(10, 14))
    assert_allclose(one[inside].astype(float), other[inside], rtol=0, atol=2)
    dark = scenes.picture(bird, 3, 24, Difficulty(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 20.0), random.Random(1))
    assert (dark.astype(float) - one).std() > 5  # noise shows


def test_a_canvas_is_painted_with_x_to_the_right_and_y_up():
    board = canvas()
    board.paint(UPPER_RIGHT, RED)
    pixels = np.asarray(board.finish())
    assert pixels.shape == (8, 8, 3)
    assert (pixels[:4, 4:] == RED).all(-1).mean() > 0.7
    assert (pixels[5:] == BLUE).all()
    assert (pixels[:, :3] == BLUE).all()


def test_painting_all_at_once_is_painting_one_after_the_other():
    polygons, colors = [UPPER_RIGHT, UPPER_RIGHT - 0.7, UPPER_RIGHT * 0.4], [RED, (0, 255, 0), (9, 9, 9)]
    one, all_at_once = canvas(16), canvas(16)
    for polygon, color in zip(polygons, colors, strict=True):
        one.paint(polygon, color)
    all_at_once.paint_all(np.concatenate(polygons), [4, 8, 12], colors)
    assert (np.asarray(one.finish()) == np.asarray(all_at_once.finish())).all()
    assert len(np.unique(np.asarray(one.image).reshape(-1, 3), axis=0)) == 4


def test_edges_are_averaged_from_a_larger_picture():
    board = canvas(8)
    board.paint(np.array([(-1, -1), (1, -1), (1, 1)], dtype=float), RED)  # half a square, cut along its diagonal
    shades = np.unique(np.asarray(board.finish()).reshape(-1, 3), axis=0)
    assert len(shades) > 2
    assert np.asarray(board.finish())[..., 0].mean() == pytest.approx(255 / 2, rel=0.1)


@pytest.mark.parametrize("pose", range(len(POSES)))
def test_a_sketch_fills_its_square_and_is_centered(pose):
    for bird in make_species(len(GENERA), SEED):
        points = sketch_bird(bird, pose, 1.0).stacked[0]
        low, high = points.min(0), points.max(0)
        assert_allclose(low + high, 0, rtol=0, atol=1e-9)
        assert (high - low).max() == pytest.approx(1.72)


def test_perched_and_feeding_birds_look_to_the_left_and_the_others_to_the_right():
    bird = make_species(1, SEED)[0]
    for pose, side in (("perched", -1), ("feeding", -1), ("flying", 1), ("swimming", 1)):
        sketch = sketch_bird(bird, POSES.index(pose), 1.0)
        head, tail = (sketch.stacked[0][sketch.members[group]][:, 0].mean() for group in ("head", "tail"))
        assert side * (head - tail) > 0.3, pose


def test_a_clean_picture_is_what_draw_shows():
    bird = make_species(100, SEED)[7]
    clean = np.asarray(clean_picture(bird, POSES.index("soaring"), 32, DIFFICULTIES["easy"].contrast))
    assert (images.draw(7, "soaring", size=32).permute(1, 2, 0).numpy() == clean).all()
    pale = clean[:2].astype(float)
    assert pale.min() > 150  # the ground is pale, and the bird does not touch the edge
