"""Figures of chapter 05: what is drawn is what was given, its lengths worked out by hand."""

import math

import matplotlib

matplotlib.use("agg")
import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.markers import MarkerStyle

from dmlbook.chapters.ch05 import figures
from tests import drawn
from tests.reference import distance

BLUE, ORANGE, RED = drawn.PETROFF10[:3]
X = torch.tensor([[0.0, 1.0], [2.0, 1.5], [3.0, -1.0], [-1.0, 0.5]])
LABELS = torch.tensor([2, 0, 0, 2])
CENTROIDS = torch.tensor([[2.5, 0.0], [0.5, -2.0], [-0.5, 2.0]])
SHAPES = {len(MarkerStyle(marker).get_path().vertices): marker for marker in "oP"}


def marks(ax):
    """Each point of the scatters: place, size, color ("none" for a ring) and marker."""
    found = []
    for part in ax.collections:
        if isinstance(part, PathCollection):
            (path,), (size,) = part.get_paths(), part.get_sizes().tolist()
            colors = [to_hex(color) for color in part.get_facecolors()] or ["none"]
            colors = colors * (len(part.get_offsets()) // len(colors))
            for place, color in zip(part.get_offsets().tolist(), colors, strict=True):
                found.append((pytest.approx(place), size, color, SHAPES[len(path.vertices)]))
    return found


def places(line):
    return [tuple(point) for point in line.get_xydata().tolist()]


# Samples and centroids


def test_samples_are_circles_in_the_hue_of_their_class_on_equal_axes(ax):
    assert figures.samples(ax, X, LABELS, size=50) is ax
    assert marks(ax) == [(place, 50, hue, "o") for place, hue in zip(X.tolist(), (RED, BLUE, BLUE, RED), strict=True)]
    assert ax.get_aspect() == 1.0
    assert [to_hex(color) for color in ax.collections[0].get_edgecolors()] == [drawn.WHITE]


def test_centroids_are_named_plus_signs_each_in_the_hue_of_its_class(ax):
    assert figures.centroids(ax, CENTROIDS, size=120) is ax
    assert marks(ax) == [
        (place, 120, hue, "P") for place, hue in zip(CENTROIDS.tolist(), (BLUE, ORANGE, RED), strict=True)
    ]
    assert drawn.words(ax) == {f"$c_{number}$": tuple(place) for number, place in enumerate(CENTROIDS.tolist())}


def test_names_of_centroids_can_be_left_out(ax):
    figures.centroids(ax, CENTROIDS, names=False)
    assert len(marks(ax)) == 3
    assert len(ax.texts) == 0


# Triplets and distances to centroids


def test_an_anchor_has_a_full_line_to_each_positive_and_a_dashed_one_to_each_negative(ax):
    assert figures.one_anchor(ax, X, LABELS, anchor=1) is ax
    found = {tuple(places(line)): line for line in ax.lines}
    anchor, positive = (2.0, 1.5), (3.0, -1.0)
    assert list(found) == [(anchor, (0.0, 1.0)), (anchor, positive), (anchor, (-1.0, 0.5))]
    for (_, other), line in found.items():
        assert line.get_linestyle() == ("-" if other == positive else "--")
        assert to_hex(line.get_color()) == ("#000000" if other == positive else "#6e6e6e")
        assert (line.get_linewidth() > 1.5) == (other == positive)


def test_the_ring_of_the_pairs_is_around_their_anchor_and_all_samples_are_there(ax):
    figures.one_anchor(ax, X, LABELS, anchor=1)
    *samples, (place, _, color, shape) = marks(ax)
    assert (place, color, shape) == ([2.0, 1.5], "none", "o")
    assert to_hex(ax.collections[-1].get_edgecolors()[0]) == drawn.BLACK
    hues = (RED, BLUE, BLUE, RED)
    assert [(place, hue) for place, _, hue, _ in samples] == list(zip(X.tolist(), hues, strict=True))
    assert not ax.axison


def test_an_image_has_a_full_line_to_its_own_centroid_alone(ax):
    assert figures.to_centroids(ax, X, LABELS, CENTROIDS) is ax
    ends = [(tuple(x), tuple(c)) for x in X.tolist() for c in CENTROIDS.tolist()]
    assert [tuple(places(line)) for line in ax.lines] == ends
    own = [c == label for label in LABELS.tolist() for c in range(3)]
    assert [line.get_linestyle() == "-" for line in ax.lines] == own
    assert {line.get_linestyle() for line in ax.lines} == {"-", "--"}
    assert [to_hex(line.get_color()) == drawn.BLACK for line in ax.lines] == own
    assert [line.get_linewidth() > 1.5 for line in ax.lines] == own


def test_images_and_centroids_stand_at_the_ends_of_their_lines(ax):
    figures.to_centroids(ax, X, LABELS, CENTROIDS)
    hues = {"o": (RED, BLUE, BLUE, RED), "P": (BLUE, ORANGE, RED)}
    expected = [(place, hue, "o") for place, hue in zip(X.tolist(), hues["o"], strict=True)]
    expected += [(place, hue, "P") for place, hue in zip(CENTROIDS.tolist(), hues["P"], strict=True)]
    assert [(place, hue, shape) for place, _, hue, shape in marks(ax)] == expected
    assert len(ax.texts) == 0
    assert not ax.axison


# The detour

TRIPLET = {"anchor": (0.0, 3.0), "positive": (4.0, 3.0), "negative": (1.0, 0.0)}
CORNERS = torch.tensor([[9.0, 9.0], [4.0, 0.0], [0.0, 0.0]])
STRAIGHT = [((0, 3), (4, 3), "4.00"), ((0, 3), (1, 0), "3.16")]
AROUND = [((0, 3), (4, 0), "5.00"), ((4, 0), (4, 3), "3.00"), ((0, 3), (0, 0), "3.00"), ((0, 0), (1, 0), "1.00")]


def test_the_triplet_is_drawn_straight_in_black_and_through_the_centroids_dashed(ax):
    assert figures.detour(ax, TRIPLET, CORNERS, (1, 2)) is ax
    styles = {tuple(places(line)): (line.get_linestyle(), to_hex(line.get_color())) for line in ax.lines}
    assert styles == {
        **{(start, end): ("-", "#000000") for start, end, _ in STRAIGHT},
        **{(start, end): ("--", "#8f8f8f") for start, end, _ in AROUND},
    }


def test_each_leg_of_the_detour_is_named_by_its_length_at_its_middle(ax):
    figures.detour(ax, TRIPLET, CORNERS, (1, 2))
    names = [(text.get_text(), text.xy, to_hex(text.get_color())) for text in ax.texts[:6]]
    legs = [(leg, "#000000") for leg in STRAIGHT] + [(leg, "#6e6e6e") for leg in AROUND]
    assert names == [
        (said, pytest.approx([(a + b) / 2 for a, b in zip(start, end, strict=True)]), color)
        for (start, end, said), color in legs
    ]
    for start, end, said in STRAIGHT + AROUND:
        assert said == f"{distance(start, end):.2f}"


def test_images_of_the_detour_are_named_and_have_the_hue_of_their_class(ax):
    figures.detour(ax, TRIPLET, CORNERS, (1, 2))
    words = {text.get_text(): tuple(text.xy) for text in ax.texts[6:]}
    assert words == {**TRIPLET, "$c_0$": (9, 9), "$c_1$": (4, 0), "$c_2$": (0, 0)}
    hues = [(place, hue) for place, _, hue, _ in marks(ax)]
    images = [([0.0, 3.0], ORANGE), ([4.0, 3.0], ORANGE), ([1.0, 0.0], RED)]
    assert hues == [*images, ([9.0, 9.0], BLUE), ([4.0, 0.0], ORANGE), ([0.0, 0.0], RED)]
    assert ax.get_aspect() == 1.0
    assert not ax.axison


# The sandwich

STEPS = range(10, 76)
BOUND = [3.0 - 0.02 * step for step in STEPS]
TRUTH = [1.0 - 0.01 * step for step in STEPS]
FLOOR = [-2.0 + 0.01 * step for step in STEPS]


def test_bound_triplet_loss_and_floor_are_each_drawn_and_named_as_what_they_are(ax):
    assert figures.sandwich(ax, STEPS, TRUTH, BOUND, FLOOR) is ax
    values = {"bound": BOUND, "triplet loss": TRUTH, "floor": FLOOR}
    lines = {line.get_linestyle(): line for line in ax.lines}
    for style, text, (name, heights) in zip(("--", "-", ":"), ax.texts, values.items(), strict=True):
        points = list(zip(STEPS, heights, strict=True))
        assert places(lines[style]) == points
        assert text.get_text() == name
        assert text.xy in points  # where its line runs


def test_each_name_of_the_sandwich_is_beside_its_own_line_and_on_no_other(ax):
    figures.sandwich(ax, STEPS, TRUTH, BOUND, FLOOR)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    for text, box in zip(ax.texts, boxes, strict=True):
        middle = ax.transData.inverted().transform(((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2))
        gaps = {line.get_linestyle(): min(math.dist(point, middle) for point in line.get_xydata()) for line in ax.lines}
        style = {"bound": "--", "triplet loss": "-", "floor": ":"}[text.get_text()]
        assert min(gaps, key=gaps.get) == style
        for line in ax.lines:
            assert not box.count_contains(ax.transData.transform(line.get_xydata()))


def test_the_shade_of_the_sandwich_reaches_from_the_floor_to_the_bound(ax):
    figures.sandwich(ax, STEPS, TRUTH, BOUND, FLOOR)
    (shade,) = ax.collections
    corners = {tuple(point) for path in shade.get_paths() for point in path.vertices.tolist()}
    edge = [(float(step), height) for heights in (BOUND, FLOOR) for step, height in zip(STEPS, heights, strict=True)]
    assert corners == set(edge)


def test_a_run_is_the_sandwich_and_its_second_half_once_more_with_the_lowest_value_in_both(ax):
    log = [
        {"triplet loss": t, "bound": b, "floor": f, "other": 9.0} for t, b, f in zip(TRUTH, BOUND, FLOOR, strict=True)
    ]
    assert figures.training(ax, log, lowest=-1.5) is ax
    (inset,) = ax.child_axes
    for part, first in ((ax, 0), (inset, 33)):
        lines = {line.get_linestyle(): places(line) for line in part.lines[:3]}
        for style, values in (("-", TRUTH), ("--", BOUND), (":", FLOOR)):
            assert lines[style] == list(enumerate(values))[first:]
        assert set(part.lines[3].get_ydata()) == {-1.5}
    assert inset.get_title() == "the second half, enlarged"
    assert list(inset.texts) == []
    assert [text.get_text() for text in ax.texts] == ["bound", "triplet loss", "floor", "lowest\npossible"]


# A landscape

REACH = 2.0


def tilted(rows, columns):
    """A plane that rises to the east by 1 a unit and to the north by 3."""
    return torch.linspace(-REACH, REACH, columns) + 3 * torch.linspace(-REACH, REACH, rows)[:, None]


def test_the_landscape_shows_each_value_at_its_place_dark_where_it_is_low(ax):
    assert figures.landscape(ax, tilted(9, 5), reach=REACH, points=CENTROIDS) is ax
    (shown,) = ax.images
    assert shown.origin == "lower"
    west, east, south, north = shown.get_extent()
    rows, columns = shown.get_array().shape
    for row, values in enumerate(shown.get_array().tolist()):
        for column, value in enumerate(values):
            across = west + (column + 0.5) * (east - west) / columns
            up = south + (row + 0.5) * (north - south) / rows
            assert value == pytest.approx(across + 3 * up, abs=1e-5)
    assert drawn.brightness(shown.cmap(0.0)) < drawn.brightness(shown.cmap(1.0))
    assert (ax.get_xlim(), ax.get_ylim(), ax.get_aspect()) == ((-2, 2), (-2, 2), 1.0)


def test_level_lines_of_the_landscape_run_where_the_function_has_their_level(ax):
    figures.landscape(ax, tilted(9, 5), reach=REACH, points=CENTROIDS, levels=6)
    contours = next(part for part in ax.collections if hasattr(part, "levels"))
    seen = 0
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        for across, up in path.vertices:
            assert across + 3 * up == pytest.approx(level, abs=1e-4)
            seen += 1
    assert seen > 10
    assert {to_hex(color) for color in contours.get_edgecolors()} == {"#444444"}


def test_a_cut_shows_the_function_its_cone_and_the_centroid_at_the_tip(ax):
    across, heights, cone = torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.5, 4.0], [1.5, 0.5, 2.5]])
    assert figures.cut(ax, across, heights, cone, torch.tensor([1.0, 0.5])) is ax
    full, dashed = ax.lines
    assert (full.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert places(full) == [(0.0, 2.0), (1.0, 0.5), (3.0, 4.0)]
    assert places(dashed) == [(0.0, 1.5), (1.0, 0.5), (3.0, 2.5)]
    assert drawn.words(ax) == {"$f$": (0.0, 2.0), "cone": (0.0, 1.5), "$c_0$": (1.0, 0.5)}
    assert marks(ax) == [([1.0, 0.5], 150, BLUE, "P")]


def test_the_centroids_stand_upon_the_landscape_with_their_names(ax):
    figures.landscape(ax, tilted(9, 5), reach=REACH, points=CENTROIDS)
    crosses = [(place, hue) for place, _, hue, shape in marks(ax) if shape == "P"]
    assert crosses == list(zip(CENTROIDS.tolist(), (BLUE, ORANGE, RED), strict=True))
    assert list(drawn.words(ax)) == ["$c_0$", "$c_1$", "$c_2$"]
    assert list(drawn.words(ax).values()) == [pytest.approx(place) for place in CENTROIDS.tolist()]


# Angles

FOUND = {"simplex": torch.tensor([91.2, 91.2]), "k-means": torch.tensor([76.0, 112.0, 82.0])}


def test_angles_are_a_bar_from_the_smallest_to_the_largest_and_a_tick_at_the_mean_before_the_right_angle(ax):
    assert figures.angles(ax, FOUND) is ax
    right_angle, *bars = [line for line in ax.lines if len(line.get_xdata()) == 2]
    assert right_angle.get_linestyle() == ":"
    assert list(right_angle.get_xdata()) == [90, 90]
    assert right_angle.get_zorder() < min(bar.get_zorder() for bar in bars)
    expected = [[[91.2, 0], [91.2, 0]], [[76, 1], [112, 1]]]
    assert np.array([places(bar) for bar in bars]) == pytest.approx(np.array(expected), rel=1e-6)
    ticks = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert [tuple(line.get_xydata()[0]) for line in ticks] == [pytest.approx((91.2, 0)), pytest.approx((90, 1))]
    assert {line.get_marker() for line in ticks} == {"|"}


def test_angles_are_put_into_words_right_of_the_axes_in_rows_named_from_the_top(ax):
    figures.angles(ax, FOUND)
    assert drawn.words(ax) == {"all 91.2°": (1.0, 0.0), "76° to 112°, mean 90.0°": (1.0, 1.0)}
    for text in ax.texts:
        assert text.xycoords[0] == "axes fraction"
        assert text.get_horizontalalignment() == "left"
        assert text.xyann[0] > 0
    ticks = zip(ax.get_yticks().tolist(), [tick.get_text() for tick in ax.get_yticklabels()], strict=True)
    assert list(ticks) == [(0, "simplex"), (1, "k-means")]
    low, high = ax.get_ylim()
    assert low > 1 > 0 > high


# Seconds

SECONDS = {"listed": {10: 0.01, 20: 0.08, 40: 0.64}, "bound": {100: 0.5, 1000: 0.05}}


def test_seconds_are_lines_over_the_number_of_images_as_logarithms(ax):
    assert figures.growth(ax, SECONDS) is ax
    assert [places(line) for line in ax.lines] == [list(by_size.items()) for by_size in SECONDS.values()]
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    assert {line.get_marker() for line in ax.lines} == {"."}
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert drawn.words(ax) == {"listed": (40, 0.64), "bound": (1000, 0.05)}


def test_each_method_is_named_with_its_own_exponent_where_its_line_ends(ax):
    figures.growth(ax, SECONDS, {"bound": -1.04, "listed": 2.96})
    assert drawn.words(ax) == {"listed\n$N^{3.0}$": (40, 0.64), "bound\n$N^{-1.0}$": (1000, 0.05)}
    for line, text in zip(ax.lines, ax.texts, strict=True):
        assert to_hex(line.get_color()) == to_hex(text.get_color())
