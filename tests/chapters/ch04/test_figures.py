"""Figures of chapter 04: what is drawn is what was given, counted and averaged by hand."""

import math
from collections import Counter

import matplotlib

matplotlib.use("agg")
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from torch.testing import assert_close

from dmlbook.chapters.ch04 import figures
from tests import drawn

STUDENT = {2: 4.302653, 3: 3.182446}  # 97.5 percent quantile of Student's t, by degrees of freedom, from a table

# Scores over numbers of centers

SCORES = {
    "no price": [[0.60, 0.62, 0.61], [0.50, 0.55, 0.51], [0.30, 0.34, 0.38]],
    "tau = 1": [[0.70, 0.71, 0.78, 0.73], [0.65, 0.64, 0.69, 0.66], [0.80, 0.81, 0.84, 0.83]],
}


def spread(scores):
    """Mean in percent, and half of the 95 percent interval for it."""
    percent, n = [100 * score for score in scores], len(scores)
    mean = math.fsum(percent) / n
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in percent) / (n - 1))
    return mean, STUDENT[n - 1] * deviation / math.sqrt(n)


def test_scores_over_numbers_are_means_with_their_95_percent_intervals(ax):
    assert figures.over_numbers(ax, [1, 2, 10], SCORES) is ax
    assert len(ax.containers) == 2
    for drawing, scores, aside in zip(ax.containers, SCORES.values(), (1.04**-0.5, 1.04**0.5), strict=True):
        line, _, (bars,) = drawing.lines
        found = [spread(of_number) for of_number in scores]
        assert line.get_xdata() == pytest.approx([aside, 2 * aside, 10 * aside])
        assert line.get_ydata() == pytest.approx([mean for mean, _ in found])
        for number, segment, (mean, half) in zip((1, 2, 10), bars.get_segments(), found, strict=True):
            expected = [[number * aside, mean - half], [number * aside, mean + half]]
            assert segment == pytest.approx(np.array(expected), rel=1e-6)
            assert half > 0.5
        assert line.get_marker() == "o"
        assert to_hex(line.get_color()) == to_hex(bars.get_color()[0])


def test_methods_over_numbers_are_named_in_their_color_where_their_means_end(ax):
    figures.over_numbers(ax, [1, 2, 10], SCORES)
    ends = {name: spread(scores[-1])[0] for name, scores in SCORES.items()}
    assert drawn.words(ax) == {name: pytest.approx((1.0, end)) for name, end in ends.items()}
    lines = [drawing.lines[0] for drawing in ax.containers]
    assert [to_hex(line.get_color()) for line in lines] == [
        to_hex(text.get_color()) for text in sorted(ax.texts, key=lambda text: text.xy[1])
    ]
    assert [line.get_linestyle() for line in lines] == ["-", "--"]


def test_numbers_of_centers_are_the_ticks_of_a_logarithmic_axis(ax):
    figures.over_numbers(ax, [1, 2, 10], SCORES)
    ticks = zip(ax.get_xticks().tolist(), [tick.get_text() for tick in ax.get_xticklabels()], strict=True)
    assert list(ticks) == [(1, "1"), (2, "2"), (10, "10")]
    assert (ax.get_xscale(), len(ax.get_xticks(minor=True))) == ("log", 0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("centers a class, K", "Recall@1, percent")


def test_a_single_seed_has_no_interval(ax):
    figures.over_numbers(ax, [1, 2], {"one": [[0.5], [0.6]]})
    line, _, (bars,) = ax.containers[0].lines
    assert line.get_ydata() == pytest.approx([50, 60])
    assert [segment[1, 1] - segment[0, 1] for segment in bars.get_segments()] == [0, 0]


# Paths over tau

ANGLES = torch.tensor([[170.0, -10.0, 60.0], [-175.0, 10.0, 50.0], [-160.0, 170.0, 40.0], [175.0, -175.0, 30.0]])


def test_paths_go_the_short_way_from_where_they_start():
    for first in (-180.0, 0.0):
        found = figures.unrolled(ANGLES, first)
        for center, path in enumerate(found.T):
            here = (float(ANGLES[0, center]) - first) % 360 + first
            assert path[0] == pytest.approx(here)
            for angle, place in zip(ANGLES[1:, center].tolist(), path[1:], strict=True):
                here += math.remainder(angle - here, 360)
                assert place == pytest.approx(here)
    assert_close(torch.tensor(figures.unrolled(ANGLES)[:, 0]), torch.tensor([170.0, 185, 200, 175]).double())


def test_the_path_of_each_center_has_the_hue_of_its_class_and_leaves_out_tau_zero(ax):
    lines = figures.path(ax, torch.tensor([0.0, 0.1, 1.0, 10.0]), ANGLES, 2)
    assert lines == list(ax.lines)
    expected = [[185, 200, 175], [10, 170, 185], [50, 40, 30]]
    for line, way in zip(lines, expected, strict=True):
        assert line.get_xydata() == pytest.approx(np.array([[0.1, 1.0, 10.0], way]).T)
        assert to_hex(line.get_color()) == drawn.PETROFF10[2]
    assert (ax.get_xscale(), ax.get_xlabel()) == ("log", "tau")
    assert ax.get_xlim() == pytest.approx((0.1, 10.0))


def test_a_path_that_begins_above_tau_zero_keeps_its_first_point(ax):
    (line,) = figures.path(ax, torch.tensor([0.5, 1.0]), torch.tensor([[10.0], [20.0]]), 0)
    assert line.get_xydata() == pytest.approx(np.array([[0.5, 10], [1.0, 20]]))
    assert ax.get_xlim() == pytest.approx((0.5, 1.0))


# Counts against the truth

TRUTH = [1, 1, 1, 1, 2, 2, 3, 3, 3, 4]
FOUND = [1, 2, 2, 5, 2, 1, 4, 3, 3, 6]


def test_discs_of_the_tally_are_as_large_as_their_share_and_black_where_the_count_is_right(ax):
    assert figures.tally(ax, torch.tensor(TRUTH), torch.tensor(FOUND), top=6) is ax
    (discs,) = ax.collections
    counts = Counter(zip(TRUTH, FOUND, strict=True))
    areas = {(true, found): pytest.approx(420 * count / TRUTH.count(true)) for (true, found), count in counts.items()}
    places = [tuple(map(int, place)) for place in discs.get_offsets().tolist()]
    assert dict(zip(places, discs.get_sizes(), strict=True)) == areas
    colors = dict(zip(places, map(to_hex, discs.get_facecolors()), strict=True))
    assert colors == {(true, found): "#000000" if true == found else "#8f8f8f" for true, found in counts}
    assert len(set(colors.values())) == 2


def test_the_tally_marks_each_mean_and_where_counts_would_be_right(ax):
    figures.tally(ax, torch.tensor(TRUTH), torch.tensor(FOUND), top=6)
    right, means = ax.lines
    assert right.get_xydata().tolist() == [[0.5, 0.5], [4.5, 4.5]]
    assert right.get_linestyle() == ":"
    assert means.get_xydata() == pytest.approx(np.array([[1, 2.5], [2, 1.5], [3, 10 / 3], [4, 6]]))
    assert means.get_marker() == "_"


def test_every_count_up_to_k_has_room_in_the_tally(ax):
    figures.tally(ax, torch.tensor(TRUTH), torch.tensor(FOUND), top=6)
    assert ax.get_xticks().tolist() == [1, 2, 3, 4]
    assert ax.get_yticks().tolist() == [1, 2, 3, 4, 5, 6]
    for (low, high), first, last in ((ax.get_xlim(), 1, 4), (ax.get_ylim(), 1, 6)):
        assert low < first - 0.4
        assert last + 0.4 < high
