"""Figures of chapter 03: what is drawn is what was given, at angles and in colors worked out by hand."""

import math

import matplotlib

matplotlib.use("agg")
import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.container import BarContainer
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.book import on_circle
from dmlbook.chapters.ch03 import figures
from tests import drawn
from tests.chapters.ch03 import reference

BLUE, ORANGE, RED = drawn.PETROFF10[:3]
IMAGES, LABELS = (10.0, 100.0, 200.0), torch.tensor([1, 0, 1])
CENTERS = ((30.0, 141.0), (250.0, 285.0))  # of class 0 and of class 1; no piece of the ring lies between two


def at(degrees, length=1.0):
    return [length * math.cos(math.radians(degrees)), length * math.sin(math.radians(degrees))]


def angle(point):
    return math.degrees(math.atan2(point[1], point[0]))


def pale(color, share):
    """A color mixed with white."""
    return [1 - share * (1 - channel) for channel in to_rgb(color)]


def cosines(degrees):
    """Of a direction and the centers of each class."""
    return [[math.cos(math.radians(degrees - center)) for center in of_class] for of_class in CENTERS]


def scene():
    return on_circle(IMAGES), LABELS, torch.stack([on_circle(of_class) for of_class in CENTERS])


def test_the_slope_of_the_maximum_jumps_where_two_centers_tie_and_softtriples_does_not():
    centers = on_circle([-40.0, 40.0]).double()
    angles = torch.tensor([-1e-4, 1e-4], dtype=torch.float64, requires_grad=True)
    s = (torch.stack([angles.cos(), angles.sin()], -1) @ centers.T)[:, None]
    jumps = []
    for similarity in (losses.hardtriple_similarity(s), losses.softtriple_similarity(s, gamma=0.1)):
        (slope,) = torch.autograd.grad(similarity.sum(), angles, retain_graph=True)
        jumps.append((slope[1] - slope[0]).item())
    assert_close(jumps[0], 2 * math.sin(math.radians(40)), rtol=0, atol=1e-3)
    assert jumps[1] < 0.01


# The ring of winners


def test_winners_give_the_hue_and_their_lead_over_the_second_best_its_strength():
    shades = figures.winner_colors(
        torch.tensor([[0.9, 0.1, 0.0], [0.5, 0.25, 0.1], [0.1, 0.3, -0.2], [0.2, 0.6, 0.5], [-0.9, -0.8, -0.7]])
    )
    # 0.12 and, for a lead of 0.5 or more, 0.68 beyond it.
    expected = [
        pale(BLUE, 0.8),
        pale(BLUE, 0.12 + 0.68 * 0.25 / 0.5),
        pale(ORANGE, 0.12 + 0.68 * 0.2 / 0.5),
        pale(ORANGE, 0.12 + 0.68 * 0.1 / 0.5),
        pale(RED, 0.12 + 0.68 * 0.1 / 0.5),
    ]
    assert shades == pytest.approx(np.array(expected), abs=1e-6)


def test_pieces_of_the_ring_stand_around_their_directions_and_close_it(ax):
    directions, pieces, edges = figures.ring(ax, 8)
    assert list(ax.collections) == [pieces, edges]
    assert_close(directions, torch.tensor([at(45.0 * number) for number in range(8)]), rtol=0, atol=1e-6)
    for number, piece in enumerate(pieces.get_paths()):
        corners = [
            at(45 * number + turn, length) for turn, length in ((-22.5, 1.14), (-22.5, 1.3), (22.5, 1.3), (22.5, 1.14))
        ]
        assert piece.vertices[:4] == pytest.approx(np.array(corners), abs=1e-9)
        assert edges.get_segments()[number] == pytest.approx(np.array([corners[0], corners[3]]), abs=1e-9)
    assert len(figures.ring(ax).directions) == 120


def test_however_pale_a_piece_of_the_ring_its_edge_has_the_full_hue_of_the_winner(ax):
    ring, similar = figures.ring(ax, 3), torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.2001, 0.1], [-0.9, -0.8, -0.7]])
    assert isinstance(ring, figures.Ring)
    ring.paint(similar)
    assert [to_hex(hue) for hue in figures.winner_hues(similar)] == [BLUE, ORANGE, RED]
    assert [to_hex(color) for color in ring.edges.get_color()] == [BLUE, ORANGE, RED]
    assert ring.pieces.get_facecolor()[1][:3] == pytest.approx(pale(ORANGE, 0.12), abs=1e-3)


# Images and centers


def test_images_centers_and_spokes_have_the_hue_of_their_own_class(ax):
    assert figures.class_circle(ax, *scene()) is ax
    marks = {
        (color, marker): pytest.approx(np.array(points), abs=1e-6)
        for color, marker, points in drawn.lines(ax)
        if marker != "None"
    }
    assert marks == {
        (BLUE, "o"): np.array([at(100)]),
        (ORANGE, "o"): np.array([at(10), at(200)]),
        (BLUE, "X"): np.array([at(30, 0.8), at(141, 0.8)]),
        (ORANGE, "X"): np.array([at(250, 0.8), at(285, 0.8)]),
    }
    spokes = {to_hex(lines.get_color()[0]): lines.get_segments() for lines in ax.collections}
    assert list(spokes) == [BLUE, ORANGE]
    for lines, of_class in zip(spokes.values(), CENTERS, strict=True):
        expected = [[[0, 0], at(center, 0.8)] for center in of_class]
        assert np.array(lines) == pytest.approx(np.array(expected), abs=1e-6)
    assert ax.get_xlim() == ax.get_ylim() == (-1.12, 1.12)


@pytest.mark.parametrize(
    ("similarity", "of_class"),
    [
        (losses.hardtriple_similarity, max),
        (lambda s: losses.softtriple_similarity(s, gamma=0.3), lambda s: reference.similarity(s, 0.3)),
    ],
    ids=["hardest", "softtriple"],
)
def test_the_ring_has_at_each_place_the_color_of_the_class_that_wins_there(ax, similarity, of_class):
    figures.class_circle(ax, *scene(), similarity)
    (ring,) = [part for part in ax.collections if isinstance(part, PolyCollection)]
    edges = []
    for piece, inside, rim in zip(ring.get_paths(), ring.get_facecolor(), ring.get_edgecolor(), strict=True):
        first, second = (of_class(row) for row in cosines(angle(piece.vertices[:4].mean(0))))
        winner = BLUE if first > second else ORANGE
        assert inside[:3] == pytest.approx(pale(winner, 0.12 + 0.68 * min(abs(first - second), 0.5) / 0.5), abs=2e-5)
        assert rim.tolist() == inside.tolist()
        edges.append(winner)
    assert set(edges) == {BLUE, ORANGE}
    (drawn_edges,) = [part for part in ax.collections if len(part.get_paths()) == 120 and part is not ring]
    assert [to_hex(color) for color in drawn_edges.get_color()] == edges
    assert ax.get_xlim() == ax.get_ylim() == (-1.36, 1.36)  # the ring ends at 1.3


def test_each_sector_of_the_ring_says_whose_it_is_in_its_middle(ax):
    figures.class_circle(ax, *scene(), losses.hardtriple_similarity)
    # Class 0 has centers at 30 and 141, class 1 at 250 and 285: they tie at 195.5 and at -22.5 degrees.
    said = {note.get_text(): note.get_position() for note in ax.texts}
    assert {who: angle(place) for who, place in said.items()} == {
        "0": pytest.approx((195.5 - 22.5) / 2, abs=3),
        "1": pytest.approx((195.5 + 337.5) / 2 - 360, abs=3),
    }
    for place in said.values():
        assert 1.14 < math.hypot(*place) < 1.3


def test_a_sector_may_pass_the_end_of_the_list_or_be_all_of_it():
    assert figures.sectors([0, 1, 1, 0]) == [(0, 315.0), (1, 135.0)]
    assert figures.sectors([1, 0, 0, 1, 1, 1, 2, 1]) == [(0, 67.5), (1, 180.0), (1, 337.5), (2, 270.0)]
    assert figures.sectors([2, 2, 2]) == [(2, 120.0)]


# Arrows


def test_arrows_run_along_the_circle_from_their_centers_as_far_as_they_turn():
    turns = (20.0, -30.0, 0.1, 4.0)
    segments = figures.arrow_segments(on_circle([10.0, 100.0, -50.0, 200.0]), torch.tensor(turns))
    assert (segments.pop(2) == 0).all()  # too short to be seen
    for segment, start, turn in zip(segments, (10, 100, 200), (20, -30, 4), strict=True):
        shaft = np.array([at(start + turn * step / 15, 0.92) for step in range(16)])
        assert segment[:16] == pytest.approx(shaft, abs=1e-6)


def test_heads_of_arrows_are_at_their_ends_and_point_ahead():
    segments = figures.arrow_segments(on_circle([10.0, 100.0, 200.0]), torch.tensor([20.0, -30.0, 4.0]))
    for segment, end, back in zip(segments, (30, 70, 204), (30 - 7, 70 + 7, 204 - 4), strict=True):
        head = [at(back, 0.92 + 0.055), at(end, 0.92), at(back, 0.92 - 0.055)]
        assert segment[16:] == pytest.approx(np.array(head), abs=1e-6)


def test_each_center_has_its_own_arrow(ax):
    turns = torch.tensor([[5.0, -10.0], [15.0, -20.0]])
    arrows = figures.center_arrows(ax, scene()[2], turns)
    assert list(ax.collections) == [arrows]
    assert to_hex(arrows.get_color()[0]) == drawn.BLACK
    found = [(angle(segment[0]) % 360, angle(segment[15]) % 360) for segment in arrows.get_segments()]
    expected = [(30, 35), (141, 131), (250, 265), (285, 265)]
    assert np.array(found) == pytest.approx(np.array(expected), abs=1e-3)


# The map of a loss over two directions

DEGREES = torch.arange(0.0, 361.0, 45.0)
TILTED = 0.31 + DEGREES[:, None] / 360 + DEGREES / 36  # rises to the east by 1, to the north by 10


def test_the_map_shows_the_first_centers_direction_across_and_the_second_ones_up(ax):
    assert figures.loss_map(ax, DEGREES, TILTED) is ax
    (shown,) = ax.images
    west, east, south, north = shown.get_extent()
    assert shown.origin == "lower"
    rows, columns = shown.get_array().shape
    for row, values in enumerate(shown.get_array().tolist()):
        for column, value in enumerate(values):
            across = west + (column + 0.5) * (east - west) / columns
            up = south + (row + 0.5) * (north - south) / rows
            assert value == pytest.approx(0.31 + across / 360 + up / 36, abs=1e-5)
    assert (ax.get_xlim(), ax.get_ylim(), ax.get_aspect()) == ((0, 360), (0, 360), 1.0)
    assert ax.get_xticks().tolist() == ax.get_yticks().tolist() == [0, 90, 180, 270, 360]
    assert drawn.brightness(shown.cmap(0.0)) < drawn.brightness(shown.cmap(1.0))


def test_level_lines_of_the_map_run_where_the_loss_has_their_level(ax):
    figures.loss_map(ax, DEGREES, TILTED)
    (contours,) = ax.collections
    assert contours.levels.tolist() == [1.5, 3, 6, 9]
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        assert len(path.vertices) > 2
        for across, up in path.vertices:
            assert 0.31 + across / 360 + up / 36 == pytest.approx(level, abs=1e-4)


def test_the_scale_of_the_map_names_the_least_loss_at_its_place(ax):
    figures.loss_map(ax, DEGREES, 1 + TILTED)
    scale = next(other for other in ax.figure.axes if other is not ax)
    assert scale.get_ylabel() == "loss"
    assert drawn.words(scale) == {"1.31": pytest.approx((1.0, 1.31))}
    assert scale.get_ylim() == pytest.approx((1.31, 12.31))
    assert scale.get_yticks().tolist() == [4, 6, 8, 10, 12]  # 2 would touch the name


def test_the_valley_of_the_map_is_the_diagonal(ax):
    figures.loss_map(ax, DEGREES, TILTED)
    (line,) = ax.lines
    assert line.get_xydata().tolist() == [[0, 0], [360, 360]]
    assert line.get_linestyle() == ":"
    assert to_hex(line.get_color()) == drawn.WHITE  # upon the dark of the valley


# Slopes


def test_pulled_centers_have_black_bars_above_the_line_and_pushed_ones_grey_bars_below(ax):
    similarities, gamma = [0.9, 0.1, -0.5, 0.8, 0.4], 0.3
    slopes = reference.slopes(similarities, gamma)
    assert figures.slope_bars(ax, torch.tensor(similarities), torch.tensor(slopes)) is ax
    bars = {to_hex(lines.get_color()[0]): np.array(lines.get_segments()) for lines in ax.collections}
    expected = {
        "#000000": [[[0.9, 0], [0.9, slopes[0]]], [[0.8, 0], [0.8, slopes[3]]]],
        "#8f8f8f": [[[0.1, 0], [0.1, slopes[1]]], [[-0.5, 0], [-0.5, slopes[2]]], [[0.4, 0], [0.4, slopes[4]]]],
    }
    assert bars == {color: pytest.approx(np.array(segments), abs=1e-6) for color, segments in expected.items()}
    assert min(slopes[0], slopes[3]) > 0.2 > 0 > max(slopes[1], slopes[2], slopes[4])
    (line,) = ax.lines
    assert line.get_ydata() == [0, 0]


# Starts that fail

FAILED = {
    "HardTriple": {2: (17, 20), 3: (10, 20), 10: (1, 20)},
    "SoftTriple": {2: (20, 20), 3: (5, 20), 10: (0, 20)},
}


def wilson(bad, runs, z=1.959964):
    middle = (bad / runs + z**2 / (2 * runs)) / (1 + z**2 / runs)
    half = z / (1 + z**2 / runs) * math.sqrt(bad / runs * (1 - bad / runs) / runs + z**2 / (4 * runs**2))
    return middle - half, middle + half


def test_failed_starts_have_a_bar_for_each_method_with_its_count_and_wilsons_interval(ax):
    assert figures.failed_starts(ax, FAILED) is ax
    bars = [container for container in ax.containers if isinstance(container, BarContainer)]
    intervals = [lines for lines in ax.collections if isinstance(lines, LineCollection)]
    assert [container.get_label() for container in bars] == list(FAILED)
    assert len(ax.texts) == 6
    for container, lines, aside, of_method in zip(bars, intervals, (-0.2, 0.2), FAILED.values(), strict=True):
        for place, (bar, segment, (bad, runs)) in enumerate(
            zip(container, lines.get_segments(), of_method.values(), strict=True)
        ):
            middle = bar.get_x() + bar.get_width() / 2
            assert middle == pytest.approx(place + aside)
            assert bar.get_height() == pytest.approx(bad / runs)
            assert segment[:, 0] == pytest.approx([middle] * 2)
            assert segment[:, 1] == pytest.approx(wilson(bad, runs), abs=1e-6)
            (said,) = [note.get_text() for note in ax.texts if note.xy == pytest.approx((middle, segment[1, 1]))]
            assert said == str(bad)
    assert bars[0][0].get_hatch() != bars[1][0].get_hatch()


def test_failed_starts_stand_over_their_numbers_of_centers_in_percent(ax):
    figures.failed_starts(ax, FAILED)
    ticks = zip(ax.get_xticks().tolist(), [tick.get_text() for tick in ax.get_xticklabels()], strict=True)
    assert list(ticks) == [(0, "2"), (1, "3"), (2, "10")]
    assert ax.get_xlabel() == "centers a class, K"
    assert ax.yaxis.get_major_formatter()(0.75) == "75%"
    assert ax.get_ylim() == (0, pytest.approx(1.12))


def test_panels_of_failed_starts_that_share_their_height_show_the_highest(ax):
    beside = ax.figure.add_subplot(sharey=ax)
    few = {"A": {2: (2, 20)}}
    figures.failed_starts(ax, few)
    low = ax.get_ylim()[1]
    figures.failed_starts(beside, FAILED)
    assert ax.get_ylim() == beside.get_ylim()
    assert ax.get_ylim()[1] > low
    figures.failed_starts(ax, few)
    assert ax.get_ylim()[1] == pytest.approx(1.12)
