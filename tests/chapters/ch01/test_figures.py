"""Figures of chapter 01: what is drawn is what was given, and counts and zones agree with literal loops."""

import math
from itertools import pairwise

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from dmlbook.chapters.ch01 import figures
from dmlbook.seeding import generator
from tests import drawn
from tests.chapters.ch01 import reference
from tests.reference import triplets

QUICK = settings(derandomize=True, deadline=None, max_examples=25)
SHADES = {"hard": "#000000", "semi-hard": "#8f8f8f", "easy": "#c9c9c9"}


def letters(ax):
    """Each letter with its place and the hue of the mark under it; every mark has one letter."""
    marks = {tuple(line.get_xydata()[0]): to_hex(line.get_markerfacecolor()) for line in ax.lines}
    assert len(marks) == len(ax.lines) == len(ax.texts)
    for text in ax.texts:
        assert drawn.contrast(text.get_color(), marks[text.get_position()]) >= drawn.READABLE
        assert (text.get_ha(), text.get_va()) == ("center", "center")
    return [(text.get_text(), text.get_position(), marks[text.get_position()]) for text in ax.texts]


# Samples on the circle


def test_samples_stand_at_their_angles_in_the_hue_of_their_class_with_their_name_inside(ax):
    assert figures.samples(ax, [0.0, 90.0, 210.0], [2, 0, 1], ["A", "B", "C"], query=2, rim=1) is ax
    places = [(1.0, 0.0), (0.0, 1.0), (-math.sqrt(3) / 2, -0.5)]
    blue, orange, red = drawn.PETROFF10[:3]
    for found, name, place, hue in zip(letters(ax), "ABC", places, (red, blue, orange), strict=True):
        assert found == (name, pytest.approx(place, abs=1e-6), hue)
    assert [line.get_marker() for line in ax.lines] == ["o", "o", "s"]
    assert [to_hex(line.get_markeredgecolor()) for line in ax.lines] == [drawn.WHITE, drawn.BLACK, drawn.WHITE]
    assert min(text.get_zorder() for text in ax.texts) > max(line.get_zorder() for line in ax.lines)


def test_samples_are_circles_without_a_rim_unless_one_is_named(ax):
    figures.samples(ax, [0.0, 90.0], [0, 1], ["A", "B"])
    assert {line.get_marker() for line in ax.lines} == {"o"}
    assert {to_hex(line.get_markeredgecolor()) for line in ax.lines} == {drawn.WHITE}


# Zones around an anchor


@QUICK
@given(st.floats(0, 4), st.floats(0, 3))
def test_zones_end_where_the_kinds_change(positive, margin):
    hard, semihard = (2 - 2 * math.cos(math.radians(angle)) for angle in figures.borders(positive, margin))
    assert hard == pytest.approx(positive, abs=1e-9)
    assert semihard == pytest.approx(min(positive + margin, 4), abs=1e-9)


def arcs(line):
    """Each two neighboring points of an arc; where the pen is lifted, there is none."""
    points = line.get_xydata().tolist()
    return [pair for pair in pairwise(points) if not np.isnan(pair).any()]


def check_zones(lines, anchor, positive, margin):
    """Every piece of an arc is of its kind, and together they go once around."""
    turned = 0.0
    for kind, line in lines.items():
        for start, end in arcs(line):
            assert math.hypot(*start) == pytest.approx(figures.ZONE_RADIUS)
            turns = [math.degrees(math.atan2(y, x)) for x, y in (start, end)]
            step = math.radians((turns[1] - turns[0] + 180) % 360 - 180)
            assert step > -1e-9
            turned += step
            away = math.radians(turns[0]) + step / 2 - math.radians(anchor)
            negative = 2 - 2 * math.cos(away)
            if kind == "hard":
                assert negative < positive + 1e-6
            elif kind == "semi-hard":
                assert positive - 1e-6 < negative < positive + margin + 1e-6
            else:
                assert negative > positive + margin - 1e-6
    assert turned == pytest.approx(2 * math.pi, abs=1e-6)


@QUICK
@given(st.floats(-180, 180), st.floats(0, 4), st.floats(0, 3))
def test_a_negative_in_a_zone_is_of_the_kind_of_its_shade(anchor, positive, margin):
    figure, ax = plt.subplots()
    lines = figures.zones(ax, anchor, positive, margin)
    assert {kind: to_hex(line.get_color()) for kind, line in lines.items()} == SHADES == figures.KINDS
    assert list(lines.values()) == list(ax.lines)
    check_zones(lines, anchor, positive, margin)
    figures.move_zones(lines, -anchor / 2, 4 - positive, margin / 2)
    check_zones(lines, -anchor / 2, 4 - positive, margin / 2)
    plt.close(figure)


def test_the_zones_lie_where_they_can_be_computed_by_hand(ax):
    # Squared distance 2 is a right angle, 2 + 1 are 120 degrees: the anchor looks north.
    lines = figures.zones(ax, 90.0, 2.0, 1.0)
    ends = {}
    for kind, line in lines.items():
        (first, _), *_, (_, last) = arcs(line)
        ends[kind] = [math.degrees(math.atan2(y, x)) % 360 for x, y in (first, last)]
    assert ends["hard"] == pytest.approx([0, 180], abs=1e-6)
    assert ends["semi-hard"] == pytest.approx([330, 210], abs=1e-6)
    assert ends["easy"] == pytest.approx([210, 330], abs=1e-6)
    assert figures.ZONE_RADIUS > 1.1  # outside the samples


# Gaps and shares of the three kinds


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.5])
def test_gaps_are_counted_by_kind_as_literal_loops_count_them(margin):
    labels = torch.arange(3).repeat_interleave(4)
    distances = 4 * torch.rand(12, 12, generator=generator(1, "gaps"))
    gaps = torch.tensor([float(distances[i, k] - distances[i, j]) for i, j, k in triplets(labels)])
    edges = np.linspace(-4, 4, 9)
    counts = figures.gap_counts(gaps, edges, margin)
    assert [int(counts[kind].sum()) for kind in SHADES] == reference.kind_counts(distances, labels, margin)
    for place, low in enumerate(edges[:-1]):
        inside = [gap for gap in gaps.tolist() if low <= gap < low + 1]
        expected = {
            "hard": sum(gap <= 0 for gap in inside),
            "semi-hard": sum(0 < gap < margin for gap in inside),
            "easy": sum(gap > 0 and gap >= margin for gap in inside),
        }
        assert {kind: int(bins[place]) for kind, bins in counts.items()} == expected


@pytest.mark.parametrize(("margin", "expected"), [(0.5, (2, 1, 2)), (0.0, (2, 0, 3))])
def test_a_gap_of_nothing_is_hard_and_one_of_the_margin_easy(margin, expected):
    counts = figures.gap_counts(torch.tensor([-1.0, 0.0, 0.25, 0.5, 1.0]), np.array([-2.0, 2.0]), margin)
    assert tuple(int(counts[kind][0]) for kind in SHADES) == expected


def areas(ax):
    """Shade, and for each step the lower and the upper edge of each area."""
    found = []
    for area in ax.collections:
        points = area.get_paths()[0].vertices
        edges = {x: sorted({round(float(y), 9) for y in points[points[:, 0] == x][:, 1]}) for x in set(points[:, 0])}
        found.append((to_hex(area.get_facecolor()[0]), {x: (ys[0], ys[-1]) for x, ys in sorted(edges.items())}))
    return found


def test_areas_fill_the_axes_with_the_shares_of_the_kinds_hard_at_the_bottom(ax):
    by_kind = {"easy": [0.25, 0.5, 0.7], "hard": [0.5, 0.3, 0.1], "semi-hard": [0.25, 0.2, 0.2]}
    assert figures.shares(ax, [10, 20, 40], by_kind) is ax
    assert areas(ax) == [
        ("#000000", {10: (0, 0.5), 20: (0, 0.3), 40: (0, 0.1)}),
        ("#8f8f8f", {10: (0.5, 0.75), 20: (0.3, 0.5), 40: (0.1, 0.3)}),
        ("#c9c9c9", {10: (0.75, 1), 20: (0.5, 1), 40: (0.3, 1)}),
    ]
    assert (ax.get_xlim(), ax.get_ylim()) == ((10, 40), (0, 1))
    names = drawn.words(ax)
    assert list(names) == ["hard 10 %", "semi-hard 20 %", "easy 70 %"]
    assert [height for _, height in names.values()] == pytest.approx([0.05, 0.2, 0.65])  # the middles of the areas
    assert {text.get_color() for text in ax.texts} == {drawn.BLACK}


def test_names_of_thin_areas_step_aside_in_their_order(ax):
    figures.shares(ax, [0, 1], {"hard": [0.3, 0.01], "semi-hard": [0.3, 0.02], "easy": [0.4, 0.97]})
    names = drawn.words(ax)
    assert list(names) == ["hard 1 %", "semi-hard 2 %", "easy 97 %"]
    assert [height for _, height in names.values()] == pytest.approx([0.005, 0.085, 0.515])


# Rows of neighbors


def test_rows_show_the_query_then_its_neighbors_and_rim_those_of_its_class(ax):
    blue, orange = drawn.PETROFF10[:2]
    rankings = [[2, 1, 3], [0, 3, 2], [3, 0, 1], [1, 2, 0]]
    assert figures.rows_of_neighbors(ax, "ABCD", [0, 0, 1, 1], rankings) is ax
    hues = {"A": blue, "B": blue, "C": orange, "D": orange}
    expected = [
        (n, (place, row), hues[n])
        for row, names in enumerate(["ACBD", "BADC", "CDAB", "DBCA"])
        for place, n in enumerate(names)
    ]
    assert letters(ax) == expected
    rims = {tuple(line.get_xydata()[0]) for line in ax.lines if to_hex(line.get_markeredgecolor()) == drawn.BLACK}
    assert rims == {(2, 0), (1, 1), (1, 2), (2, 3)}  # place and row of B, A, D, C
    assert {to_hex(line.get_markeredgecolor()) for line in ax.lines} == {drawn.BLACK, drawn.WHITE}
    assert {line.get_xdata()[0] for line in ax.lines if line.get_marker() == "s"} == {0}
    assert {line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"} == {1, 2, 3}


def test_rows_of_neighbors_are_read_from_the_top_and_their_places_are_named(ax):
    figures.rows_of_neighbors(ax, "ABC", [0, 0, 1], [[1, 2], [0, 2], [1, 0]])
    bottom, top = ax.get_ylim()
    assert top < 0 < 2 < bottom
    ticks = [
        (float(place), label.get_text()) for place, label in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    ]
    assert ticks == [(0, "query"), (1, "1"), (2, "2")]
    left, right = ax.get_xlim()
    assert left < 0 < 2 < right
    assert len(ax.get_yticks()) == 0
    assert ax.xaxis.get_ticks_position() == "top"


# Clusters, and zones with their names


def test_clusters_are_bands_with_their_means_under_the_samples(ax):
    points = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0], [2.0, 4.0]])
    assert figures.clusters(ax, points, torch.tensor([0, 1, 0, 1]), torch.tensor([5, 5, 2, 2])) is ax
    blue, orange = drawn.PETROFF10[:2]
    bands = [line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata()) == 2]
    assert [band.get_xydata().tolist() for band in bands] == [[[0, 4], [2, 4]], [[0, 0], [2, 0]]]
    means = [line for line in ax.lines if line.get_marker() == "P"]
    assert [mean.get_xydata().tolist() for mean in means] == [[[1, 4]], [[1, 0]]]
    samples = [line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    assert [to_hex(sample.get_markerfacecolor()) for sample in samples] == [blue, orange, blue, orange]
    assert [sample.get_xydata().tolist()[0] for sample in samples] == points.tolist()
    assert max(band.get_zorder() for band in bands) < min(mean.get_zorder() for mean in means)
    assert max(mean.get_zorder() for mean in means) < min(sample.get_zorder() for sample in samples)


def test_zones_are_named_at_their_arcs_and_the_first_sample_is_the_anchor(ax):
    degrees, labels = [20.0, 60.0, 200.0], [0, 0, 1]
    assert figures.named_zones(ax, degrees, labels, ["A", "B", "C"], positive=1, margin=0.5) is ax
    hard, semihard = figures.borders(2 - 2 * math.cos(math.radians(40)), 0.5)
    assert hard == pytest.approx(40)
    marks = {line.get_marker(): line for line in ax.lines if line.get_marker() in ("s", "o")}
    assert marks["s"].get_xydata().tolist()[0] == pytest.approx(
        [math.cos(math.radians(20)), math.sin(math.radians(20))]
    )
    turns = {
        text.get_text(): math.degrees(math.atan2(text.xy[1], text.xy[0])) - 20
        for text in ax.texts
        if text.get_text() in figures.KINDS
    }
    assert set(turns) == set(figures.KINDS)
    assert -hard < turns["hard"] < 0
    assert -semihard < turns["semi-hard"] < -hard
    assert turns["easy"] % 360 > semihard
    assert turns["easy"] % 360 < 360 - semihard


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda ax: figures.named_zones(ax, [0, 9], [0, 1], ["A", "B"], positive=2, margin=0.1),
            "named_zones: positive",
        ),
        (
            lambda ax: figures.clusters(ax, torch.zeros(2, 2), torch.tensor([0]), torch.tensor([0, 1])),
            "clusters: .*labels",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(ax, call, said):
    with pytest.raises(ValueError, match=said):
        call(ax)
