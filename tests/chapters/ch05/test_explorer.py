"""The explorer of chapter 05: its pictures and words agree with the formulas."""

import math

import matplotlib

matplotlib.use("agg")
import pytest
import torch
from matplotlib.colors import to_hex
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.chapters.ch05.explorer import BoundExplorer
from dmlbook.seeding import generator
from tests import drawn, reference
from tests.chapters.ch05 import reference as reference_05

HUES = list(drawn.PETROFF10[:3])


@pytest.fixture
def moved():
    """An explorer whose samples and centroids no longer stand where they began."""
    explorer = BoundExplorer()
    explorer.set(what=10, east=-0.4, north=0.55)
    explorer.set(what=2)
    explorer.set(east=0.8, north=-0.65, spread=0.5)
    return explorer


def at(line):
    return line.get_xydata().tolist()


def in_their_places(explorer, spread):
    """Each sample on the way from its centroid, ``spread`` of it."""
    own = [explorer.centroids[number // 3].tolist() for number in range(9)]
    ways = zip(explorer.samples.tolist(), own, strict=True)
    return [[c + spread * (x - c) for x, c in zip(sample, centroid, strict=True)] for sample, centroid in ways]


def test_the_drawn_bound_is_never_below_the_drawn_triplet_loss():
    explorer = BoundExplorer()
    draws = generator(5, "explorer")
    for _ in range(40):
        what, east, north, spread = torch.rand(4, generator=draws).tolist()
        explorer.set(what=int(what * 12), east=2 * east - 1, north=2 * north - 1, spread=spread)
        shown = explorer.figures
        x, c = explorer.points(explorer.controls["spread"].value), explorer.centroids
        count = losses.count_triplets(explorer.labels)
        assert shown["bound"] == pytest.approx(reference.centroid_bound_sum(x, explorer.labels, c) / count)
        assert shown["truth"] == pytest.approx(reference.linear_triplet_sum(x, explorer.labels) / count)
        assert shown["floor"] - 1e-9 <= shown["truth"] <= shown["bound"] + 1e-9
        assert explorer.marks.get_xdata() == [min(max(value, -3.2), 4.2) for value in shown.values()]
        assert explorer.marks.axes.get_xlim() == (-3.2, 4.2)
        assert f"bound {shown['bound']:.2f}, triplet loss {shown['truth']:.2f}" in explorer.text.value


def test_the_numbers_that_are_told_add_up():
    explorer, seen = BoundExplorer(), 0
    for spread in torch.linspace(1, 0.1, 19).tolist():
        explorer.set(spread=spread)
        bound, truth, floor = (float(words.get_text()) for words in explorer.words)
        gap = float(explorer.gap_words.get_text().removeprefix("gap "))
        assert gap == pytest.approx(bound - truth, abs=1e-9)
        assert f"so the gap is {gap:.2f}; by the theorem at most {bound - floor:.2f}." in explorer.text.value
        seen += f"{explorer.figures['bound'] - explorer.figures['truth']:.2f}" != f"{gap:.2f}"
    assert seen > 0


def test_spread_zero_closes_the_gap_and_steps_lower_the_bound():
    explorer = BoundExplorer()
    first = explorer.figures["bound"]
    for _ in range(3):
        before = explorer.figures["bound"]
        explorer.actions["step down the bound"]()
        assert explorer.figures["bound"] < before
    explorer.set(spread=0.0)
    assert explorer.figures["bound"] == pytest.approx(explorer.figures["truth"])
    assert "the gap is 0.00" in explorer.text.value
    explorer.set(spread=1.0)
    explorer.actions["start again"]()
    assert explorer.figures["bound"] == pytest.approx(first)


def test_the_sliders_follow_the_choice_and_the_choice_the_sliders():
    explorer = BoundExplorer()
    explorer.set(what=10)
    place = [explorer.controls[name].value for name in ("east", "north")]
    assert place == pytest.approx(explorer.centroids[1].tolist(), abs=0.026)  # sliders go by 0.05
    others = explorer.samples.clone()
    explorer.set(east=-0.5, north=0.25)
    assert explorer.centroids[1].tolist() == pytest.approx([-0.5, 0.25])
    assert_close(explorer.samples, others, rtol=0, atol=0)


def test_samples_centroids_and_the_lines_between_have_the_hue_of_their_class(moved):
    samples, centroids = in_their_places(moved, 0.5), moved.centroids.tolist()
    assert centroids[1] == pytest.approx([-0.4, 0.55])
    assert moved.samples[2].tolist() == pytest.approx([0.8, -0.65])
    for number, place in enumerate(samples):
        assert at(moved.circles[number]) == [pytest.approx(place)]
        assert at(moved.legs[number]) == [pytest.approx(place), pytest.approx(centroids[number // 3])]
        for line in (moved.circles[number], moved.legs[number]):
            assert to_hex(line.get_color()) == HUES[number // 3]
    for number, cross in enumerate(moved.crosses):
        assert at(cross) == [pytest.approx(centroids[number])]
        assert (to_hex(cross.get_color()), cross.get_marker()) == (HUES[number], "P")
    assert {circle.get_marker() for circle in moved.circles} == {"o"}
    assert moved.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_the_ring_is_around_what_the_slider_names(moved):
    for name, what in moved.controls["what"].options:
        moved.set(what=what)
        kind, number = name.split(",")[0].split()
        place = moved.crosses[int(number)] if kind == "centroid" else moved.circles[int(number) - 1]
        assert at(moved.ring) == [pytest.approx(at(place)[0])]
        if kind == "sample":
            assert name.endswith(f"class {(int(number) - 1) // 3}")
    assert to_hex(moved.ring.get_markeredgecolor()) == drawn.BLACK


def test_numbers_of_the_widget_stand_at_their_marks_in_the_rows_that_name_them(moved):
    x, count = torch.tensor(in_their_places(moved, 0.5), dtype=torch.float64), losses.count_triplets(moved.labels)
    assert count == 9 * 2 * 6
    bound = reference.centroid_bound_sum(x, moved.labels, moved.centroids) / count
    truth = reference.linear_triplet_sum(x, moved.labels) / count
    floor = bound - reference_05.gap_limit(x, moved.labels, moved.centroids) / count
    assert at(moved.marks) == [pytest.approx([value, row]) for row, value in enumerate((bound, truth, floor))]
    ticks = [tick.get_text() for tick in moved.marks.axes.get_yticklabels()]
    assert (moved.marks.axes.get_yticks().tolist(), ticks) == ([0, 1, 2], ["bound", "triplet loss", "floor"])
    for row, (text, value) in enumerate(zip(moved.words, (bound, truth, floor), strict=True)):
        assert text.get_text() == f"{value:.2f}"
        assert text.get_position() == pytest.approx((value, row + (0.34 if row == 1 else -0.22)))
    corners = [(truth, 0), (bound, 0), (bound, 1), (truth, 1)]  # from the row of the bound to that of the triplet loss
    assert moved.gap.get_xy()[:4].tolist() == [pytest.approx(corner) for corner in corners]
    gap = round(bound, 2) - round(truth, 2)  # of the numbers that stand there
    assert moved.gap_words.get_text() == f"gap {gap:.2f}"
    assert moved.gap_words.get_position() == pytest.approx((bound + 0.12, 0.5))
    away = [math.dist(place, moved.centroids[number // 3].tolist()) for number, place in enumerate(x.tolist())]
    assert moved.text.value == (
        f"Per triplet: bound {bound:.2f}, triplet loss {truth:.2f}, so the gap is {gap:.2f}; "
        f"by the theorem at most {round(bound, 2) - round(floor, 2):.2f}. "
        f"The samples lie {reference.mean(away):.2f} from their centroids on average."
    )


def test_the_gap_can_be_seen_at_the_start():
    explorer = BoundExplorer()
    left, right = explorer.gap.get_xy()[:2, 0]
    low, high = explorer.gap.axes.get_xlim()
    assert (right - left) / (high - low) > 0.06


def test_numbers_beyond_the_scale_stand_at_its_ends_with_an_arrow_and_the_gap_is_named_where_there_is_room():
    explorer = BoundExplorer()
    for what, (east, north) in enumerate([(-1, 1), (-1, -1), (-1, 1)] + 3 * [(1, -1)] + 3 * [(1, 1)]):
        explorer.set(what=what)
        explorer.set(east=east, north=north)
    bound, truth, floor = explorer.figures.values()
    assert bound > 4.2
    assert floor < -3.2 < truth < 4.2
    assert explorer.marks.get_xdata() == [4.2, truth, -3.2]
    assert [text.get_text() for text in explorer.words] == [f"{bound:.2f} →", f"{truth:.2f}", f"← {floor:.2f}"]
    assert [text.get_position()[0] for text in explorer.words] == pytest.approx([3.7, truth, -2.7])
    assert explorer.gap_words.get_position() == pytest.approx((truth - 0.12, 0.5))
    assert explorer.gap_words.get_ha() == "right"
    explorer.actions["start again"]()
    assert explorer.gap_words.get_ha() == "left"


def test_a_step_of_the_widget_goes_down_the_bound_within_the_square(moved):
    moved.set(what=10, east=-1.0, north=0.3)  # at the edge, which a step of the sample beside it would cross
    moved.set(what=2)
    moved.samples[3] = torch.tensor([-0.98, 0.29])

    def terms(place, label):
        distances = [math.dist(place, centroid) for centroid in moved.centroids.tolist()]
        own = distances.pop(label)
        return 3 * own - sum(distances) / 2

    expected = []
    for number, place in enumerate(moved.samples.tolist()):
        row = []
        for axis in (0, 1):
            ends = [
                terms([p + sign * 1e-6 * (other == axis) for other, p in enumerate(place)], number // 3)
                for sign in (1, -1)
            ]
            row.append(max(-1.0, min(1.0, place[axis] - 0.02 * (ends[0] - ends[1]) / 2e-6)))
        expected.append(row)
    assert expected[3][0] == -1.0
    before = moved.centroids.clone()
    moved.actions["step down the bound"]()
    assert moved.samples.tolist() == [pytest.approx(row, abs=1e-6) for row in expected]
    assert_close(moved.centroids, before, rtol=0, atol=0)
    assert at(moved.ring) == at(moved.circles[2])


def test_starting_again_puts_samples_and_centroids_back(moved):
    moved.set(spread=1.0)
    moved.actions["start again"]()
    fresh = BoundExplorer()
    assert [at(line) for line in moved.circles] == [at(line) for line in fresh.circles]
    assert [at(line) for line in moved.crosses] == [at(line) for line in fresh.crosses]
    assert [math.hypot(*at(line)[0]) for line in fresh.crosses] == pytest.approx([0.6] * 3, abs=1e-6)
