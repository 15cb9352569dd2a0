"""The explorer of chapter 03: its pictures and words agree with the formulas."""

import itertools
import math
import re

import matplotlib

matplotlib.use("agg")
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.chapters.ch03 import figures
from dmlbook.chapters.ch03.explorer import CircleExplorer
from tests import drawn
from tests import reference as loops
from tests.chapters.ch03 import reference

LABELS = torch.tensor([0, 0, 1, 1])
HUES = list(drawn.PETROFF10[:2])
IMAGES = {"east": 5.0, "west": 170.0, "north": 80.0, "south": -100.0}
WHERE = list(IMAGES.values())
CENTERS = [-104.0, 92.0, 176.0, -36.0]  # two of class 0, two of class 1


def at(degrees, length=1.0):
    return [length * math.cos(math.radians(degrees)), length * math.sin(math.radians(degrees))]


def angle(point):
    return math.degrees(math.atan2(point[1], point[0]))


def similar(degrees, centers, gamma):
    """SoftTriple's similarity of a direction to both classes."""
    cosines = [math.cos(math.radians(degrees - center)) for center in centers]
    return [reference.similarity(cosines[:2], gamma), reference.similarity(cosines[2:], gamma)]


def slopes(centers, gamma, margin, images=WHERE, step=1e-4):
    """Of the mean loss in each center's angle, in radians."""

    def loss(moved):
        rows = [similar(image, moved, gamma) for image in images]
        return loops.cross_entropy(rows, LABELS, scale=20.0, margin=margin)

    found = []
    for number in range(4):
        ends = [loss([c + sign * step * (n == number) for n, c in enumerate(centers)]) for sign in (1, -1)]
        found.append((ends[0] - ends[1]) / (2 * math.radians(step)))
    return found


@pytest.fixture(scope="module")
def explorer():
    return CircleExplorer()


@pytest.fixture(params=[(0.1, 0.0), (1.0, 0.3)], ids=["sharp", "smooth"])
def scene(explorer, request):
    """The explorer with images and centers at the places above, its gamma and its margin."""
    gamma, margin = request.param
    places = {f"image_{name}": degrees for name, degrees in IMAGES.items()}
    places |= {f"center_{number}": degrees for number, degrees in enumerate(CENTERS)}
    explorer.set(gamma=gamma, margin=margin, **places)
    return explorer, gamma, margin


def test_the_widget_draws_the_packages_similarities_everywhere_on_its_grid():
    explorer = CircleExplorer()
    for name in ("gamma", "margin", "center_1", "image_east"):
        for value in explorer.grid(name, 3):
            explorer.set(**{name: value})
            images, labels, centers = explorer.scene()
            cosine = torch.einsum("nd,ckd->nck", images, centers)
            gamma, margin = explorer.controls["gamma"].value, explorer.controls["margin"].value
            similar = losses.softtriple_similarity(cosine, gamma=gamma)
            drawn = torch.tensor([list(points.get_ydata()) for points in explorer.points]).flatten()
            assert_close(drawn, similar[torch.arange(4), labels], rtol=0, atol=1e-5)
            goals = torch.tensor([segment[0, 1] for segment in explorer.goals.get_segments()], dtype=torch.float64)
            assert_close(goals, similar[torch.arange(4), 1 - labels] + margin, rtol=0, atol=1e-5)
            for curve in explorer.curves:
                assert abs(curve.get_ydata()).max() <= 1 + 1e-6
            value = losses.margin_cross_entropy(similar, labels, scale=20.0, margin=margin)
            assert f"Mean loss {value:.3f} " in explorer.text.value


def test_the_widgets_gradient_is_autograds():
    explorer = CircleExplorer()
    explorer.set(gamma=0.3, margin=0.1)
    degrees = explorer.angles("center")
    turned = torch.deg2rad(degrees).requires_grad_()
    centers = torch.stack([turned.cos(), turned.sin()], -1).view(2, 2, 2)
    similar = losses.softtriple_similarity(torch.einsum("nd,ckd->nck", explorer.scene()[0], centers), gamma=0.3)
    value = losses.margin_cross_entropy(similar, LABELS, scale=20.0, margin=0.1)
    (slope,) = torch.autograd.grad(value, turned)
    found, by_formula = explorer.gradient(degrees)
    assert found == pytest.approx(value.item(), rel=1e-5)
    assert_close(by_formula, slope, rtol=1e-4, atol=1e-5)


def test_steps_of_the_widget_solve_its_start_and_random_starts_are_the_same_again():
    first, second = CircleExplorer(), CircleExplorer()
    before = first.gradient(first.angles("center"))[0]
    for _ in range(10):
        first.actions["20 steps"]()
    after = first.gradient(first.angles("center"))[0]
    assert after < 0.1 < before
    assert "4 of 4 images" in first.text.value
    assert first.angles("center").abs().max() <= 180
    first.actions["random start"]()
    second.actions["random start"]()
    assert first.text.value == second.text.value


def test_images_and_centers_of_the_widget_have_the_hue_of_their_class(scene):
    explorer = scene[0]
    for c in (0, 1):
        pair, crosses = slice(2 * c, 2 * c + 2), explorer.crosses[c]
        assert (explorer.dots[c].get_marker(), crosses.get_marker()) == ("o", "X")
        assert to_hex(explorer.dots[c].get_color()) == to_hex(crosses.get_color()) == HUES[c]
        expected = np.array([at(degrees) for degrees in WHERE[pair]])
        assert explorer.dots[c].get_xydata() == pytest.approx(expected, abs=1e-6)
        expected = np.array([at(degrees, 0.8) for degrees in CENTERS[pair]])
        assert crosses.get_xydata() == pytest.approx(expected, abs=1e-6)
    expected = np.array([[[0, 0], at(degrees, 0.8)] for degrees in CENTERS])
    assert np.array(explorer.spokes.get_segments()) == pytest.approx(expected, abs=1e-6)
    assert [to_hex(color) for color in explorer.spokes.get_color()] == [HUES[0]] * 2 + [HUES[1]] * 2


def test_each_slider_of_the_widget_turns_what_it_is_called(explorer):
    for number, (name, control) in enumerate(list(explorer.controls.items())[:8]):
        of_class = int(re.search(r"class (\d)", control.description)[1])
        explorer.set(**{name: 33.0 + number})
        marks = explorer.dots if number < 4 else explorer.crosses
        moved = [[round(angle(point), 2) for point in mark.get_xydata()] for mark in marks]
        assert 33 + number in moved[of_class]
        kind, which = control.description.split()[:2]
        if kind == "center":
            assert moved[of_class][int(which) - 1] == 33 + number
        else:
            assert name == f"image_{which.rstrip(',')}"


def test_the_widgets_ring_shows_at_each_place_who_wins_there(scene):
    explorer, gamma, _ = scene
    pieces, edges = explorer.ring.pieces, explorer.ring.edges.get_color()
    assert len(pieces.get_paths()) == 90
    for path, inside, rim, edge in zip(
        pieces.get_paths(), pieces.get_facecolor(), pieces.get_edgecolor(), edges, strict=True
    ):
        both = similar(angle(path.vertices[:4].mean(0)), CENTERS, gamma)
        shade = figures.winner_colors(torch.tensor([both]))[0]
        assert inside[:3] == pytest.approx(shade, abs=1e-4)
        assert rim.tolist() == inside.tolist()
        assert to_hex(edge) == HUES[int(both[1] > both[0])]


def test_arrows_of_the_widget_turn_each_center_down_the_gradient(scene):
    explorer, gamma, margin = scene
    seen = []
    for segment, center, slope in zip(
        explorer.arrows.get_segments(), CENTERS, slopes(CENTERS, gamma, margin), strict=True
    ):
        turn = max(-30, min(30, -30 * slope))
        seen.append(turn)
        if abs(turn) < 0.5:
            assert (segment == 0).all()
            continue
        assert segment[0] == pytest.approx(at(center, 0.92), abs=1e-5)
        assert segment[15] == pytest.approx(at(center + turn, 0.92), abs=1e-4)
    assert min(seen) < -0.5 < 0.5 < max(seen)


def test_curves_points_bars_and_ticks_of_the_widget_are_the_similarities_of_their_classes(scene):
    explorer, gamma, margin = scene
    for c, curve in enumerate(explorer.curves):
        across, up = curve.get_data()
        assert across.tolist() == list(range(-180, 181, 2))
        assert up == pytest.approx([similar(degrees, CENTERS, gamma)[c] for degrees in across.tolist()], abs=1e-5)
        images = WHERE[2 * c : 2 * c + 2]
        points = [[degrees, similar(degrees, CENTERS, gamma)[c]] for degrees in images]
        assert explorer.points[c].get_xydata() == pytest.approx(np.array(points), abs=1e-5)
        assert to_hex(curve.get_color()) == to_hex(explorer.points[c].get_color()) == HUES[c]
    bars, ticks = explorer.wins.get_segments(), explorer.goals.get_segments()
    for bar, tick, degrees, label in zip(bars, ticks, WHERE, LABELS.tolist(), strict=True):
        both = similar(degrees, CENTERS, gamma)
        assert bar == pytest.approx(np.array([[degrees, both[0]], [degrees, both[1]]]), abs=1e-5)
        goal = both[1 - label] + margin
        assert tick == pytest.approx(np.array([[degrees - 9, goal], [degrees + 9, goal]]), abs=1e-5)


def test_the_words_of_the_widget_are_the_loss_and_the_wins(scene):
    explorer, gamma, margin = scene
    rows = [similar(degrees, CENTERS, gamma) for degrees in WHERE]
    wins = [row[label] - row[1 - label] for row, label in zip(rows, LABELS.tolist(), strict=True)]
    value = loops.cross_entropy(rows, LABELS, scale=20.0, margin=margin)
    listed = ", ".join(f"{name} {win:+.2f}" for name, win in zip(IMAGES, wins, strict=True))
    assert explorer.text.value == (
        f"Mean loss {value:.3f} at gamma {gamma:g} and margin {margin:.2f}. Wins: {listed}. "
        f"{sum(win > 0 for win in wins)} of 4 images are on their class's side."
    )


def test_a_step_of_the_widget_goes_down_the_gradient(scene):
    explorer, gamma, margin = scene
    steps = [math.degrees(-0.02 * slope) for slope in slopes(CENTERS, gamma, margin)]
    explorer.actions["step"]()
    expected = [center + step for center, step in zip(CENTERS, steps, strict=True)]
    assert explorer.angles("center").tolist() == pytest.approx(expected, abs=0.02)
    assert explorer.angles("image").tolist() == WHERE


def test_a_step_of_the_widget_turns_no_center_by_more_than_ten_degrees(explorer):
    images, centers = (0.0, 5.0, 180.0, 175.0), (80.0, 170.0, 10.0, -90.0)
    places = {f"image_{name}": degrees for name, degrees in zip(IMAGES, images, strict=True)}
    places |= {f"center_{number}": degrees for number, degrees in enumerate(centers)}
    explorer.set(gamma=0.1, margin=0.0, **places)
    steps = [math.degrees(-0.02 * slope) for slope in slopes(centers, 0.1, 0.0, images)]
    assert max(map(abs, steps)) > 10.5
    explorer.actions["step"]()
    expected = [center + max(-10, min(10, step)) for center, step in zip(centers, steps, strict=True)]
    assert explorer.angles("center").tolist() == pytest.approx(expected, abs=0.02)


def test_twenty_steps_of_the_widget_are_twenty_times_one_step(explorer):
    for number, degrees in enumerate(CENTERS):
        explorer.controls[f"center_{number}"].value = degrees
    start = explorer.values()
    explorer.actions["20 steps"]()
    at_once = explorer.angles("center")
    explorer.set(**start)
    explorer.step(10)
    assert (explorer.angles("center") - at_once).abs().max() > 0.1
    explorer.step(10)
    assert_close(explorer.angles("center"), at_once, rtol=0, atol=1e-3)


def test_random_starts_of_the_widget_differ_from_one_another():
    explorer = CircleExplorer()
    drawn_angles = []
    for _ in range(3):
        explorer.restart()
        drawn_angles.append(explorer.angles("center").tolist())
    assert all(one != other for one, other in itertools.combinations(drawn_angles, 2))
    assert all(-180 <= degrees <= 180 for angles in drawn_angles for degrees in angles)


def test_the_picture_names_gamma_also_where_it_changes_no_number(explorer):
    explorer.set(center_0=0, center_1=0, center_2=90, center_3=90)  # centers on one spot
    pictures, said = set(), set()
    for gamma in explorer.grid("gamma"):
        explorer.set(gamma=gamma)
        assert explorer.title.get_text() == f"Similarity to each class, gamma {gamma:g}"
        pictures.add(explorer.picture.value)
        said.add(explorer.text.value)
    assert len(pictures) == len(said) == 6
