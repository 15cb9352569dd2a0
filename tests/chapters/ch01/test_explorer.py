"""The explorer of chapter 01: its pictures and words agree with the formulas."""

import itertools
import math

import matplotlib

matplotlib.use("agg")
import pytest
import torch
from matplotlib.colors import to_hex

from dmlbook import geometry
from dmlbook.chapters.ch01 import figures
from dmlbook.chapters.ch01.explorer import EDGES, MarginExplorer
from tests import drawn, reference
from tests.chapters.ch01 import reference as reference_01

GREYS = {"hard": "#000000", "semi-hard": "#8f8f8f", "easy": "#c9c9c9"}


@pytest.fixture(scope="module")
def explorer():
    return MarginExplorer()


def said_loss(explorer):
    return float(explorer.text.value.split("mean loss ")[1].split(". For")[0])


def apart(one, other):
    """Squared distance of two points of the circle, at these degrees."""
    return 2 - 2 * math.cos(math.radians(one - other))


def table(explorer):
    """Squared distances of all points."""
    degrees = explorer.degrees.double().tolist()
    return torch.tensor([[apart(one, other) for other in degrees] for one in degrees], dtype=torch.float64)


def kind(gap, margin):
    return "hard" if gap <= 0 else "semi-hard" if gap < margin else "easy"


def same_class_pairs(labels):
    return [(i, j) for i, one in enumerate(labels) for j, other in enumerate(labels) if i != j and one == other]


def heights(explorer):
    return {kind: bars.get_data().values for kind, bars in explorer.bars.items()}


def test_every_picture_of_the_margin_explorer_shows_all_triplets_once_and_by_their_kind(explorer):
    for margin in explorer.grid("margin", 31):
        explorer.set(margin=margin)
        shown = {kind: int(values.sum()) for kind, values in heights(explorer).items()}
        apart = geometry.squared_distances(
            *[torch.stack([explorer.degrees.deg2rad().cos(), explorer.degrees.deg2rad().sin()], 1)] * 2
        )
        counts = reference_01.kind_counts(apart, explorer.labels, margin)
        assert list(shown.values()) == counts
        assert sum(counts) == 288
        middles = (EDGES[:-1] + EDGES[1:]) / 2
        assert (heights(explorer)["hard"][middles > 0.05] == 0).all()
        assert (heights(explorer)["easy"][middles < margin - 0.05] == 0).all()
        assert max(sum(heights(explorer).values())) < 18, "bars must stay below the words above them"


def test_the_zones_of_the_margin_explorer_close_the_circle_without_overlap(explorer):
    for pair, margin in itertools.product(range(0, 36, 5), (0.0, 0.5, 3.0)):
        explorer.set(pair=pair, margin=margin)
        turned = 0.0
        for line in explorer.zones.values():
            x, y = line.get_data()
            steps = [math.hypot(x[t + 1] - x[t], y[t + 1] - y[t]) for t in range(len(x) - 1)]
            turned += math.fsum(step for step in steps if not math.isnan(step))
        assert turned == pytest.approx(2 * math.pi * figures.ZONE_RADIUS, rel=2e-3)


def test_gradient_steps_lower_the_loss_and_starting_again_undoes_them(explorer):
    explorer.restart()
    explorer.set(margin=0.5, pair=2)
    before, start = explorer.text.value, said_loss(explorer)
    for _ in range(4):
        explorer.actions["5 gradient steps"]()
        assert said_loss(explorer) < start
        start = said_loss(explorer)
    explorer.actions["start again"]()
    assert explorer.text.value == before


def test_letters_of_the_margin_explorer_can_be_read_on_the_hue_of_their_class(explorer):
    explorer.restart()
    for name, dot, label in zip(explorer.names, explorer.dots, explorer.labels.tolist(), strict=True):
        assert to_hex(dot.get_markerfacecolor()) == drawn.PETROFF10[label]
        assert drawn.contrast(name.get_color(), dot.get_markerfacecolor()) >= drawn.READABLE
        assert name.get_position() == tuple(float(part[0]) for part in dot.get_data())


def test_points_of_the_margin_explorer_stand_at_their_angles_and_anchor_and_positive_are_marked(explorer):
    explorer.restart()
    pairs = same_class_pairs(explorer.labels.tolist())
    assert len(pairs) == explorer.controls["pair"].max + 1
    for number, (anchor, positive) in enumerate(pairs):
        explorer.move(margin=0.5, pair=number)
        for place, (dot, degrees) in enumerate(zip(explorer.dots, explorer.degrees.tolist(), strict=True)):
            at = [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]
            assert [float(part[0]) for part in dot.get_data()] == pytest.approx(at, abs=1e-6)
            assert dot.get_marker() == ("s" if place == anchor else "o")
            assert to_hex(dot.get_markeredgecolor()) == (drawn.BLACK if place == positive else drawn.WHITE)
            assert (dot.get_markeredgewidth() > 2) == (place == positive)
    assert [name.get_text() for name in explorer.names] == [str(number) for number in range(1, 13)]


def test_a_point_in_a_zone_of_the_margin_explorer_would_be_a_negative_of_its_kind(explorer):
    explorer.restart()
    for number, margin in itertools.product((0, 7, 20, 35), (0.0, 0.5, 1.7)):
        explorer.move(margin=margin, pair=number)
        anchor, positive = (float(explorer.degrees[i]) for i in same_class_pairs(explorer.labels.tolist())[number])
        near = apart(anchor, positive)
        limits = {"hard": (0, near), "semi-hard": (near, near + margin), "easy": (near + margin, 4)}
        assert list(explorer.zones) == list(limits)
        for name, line in explorer.zones.items():
            low, high = limits[name]
            assert to_hex(line.get_color()) == GREYS[name]
            points = [(x, y) for x, y in zip(*line.get_data(), strict=True) if not math.isnan(x)]
            assert len(points) > 1 or low >= min(high, 4) - 1e-6
            for x, y in points:
                assert low - 1e-4 <= apart(math.degrees(math.atan2(y, x)), anchor) <= high + 1e-4


def test_each_bar_of_the_margin_explorer_is_the_number_of_its_triplets_in_the_grey_of_their_kind(explorer):
    explorer.restart()
    distances = table(explorer)
    gaps = [float(distances[i, k] - distances[i, j]) for i, j, k in reference.triplets(explorer.labels)]
    for margin in (0.0, 0.4, 2.3):
        explorer.move(margin=margin, pair=3)
        assert explorer.limit.get_xdata() == [margin, margin]
        for name, bars in explorer.bars.items():
            values, edges, _ = bars.get_data()
            counts = [0] * 80
            for gap in gaps:
                counts[math.floor((gap + 4) / 0.1)] += kind(gap, margin) == name
            assert values.tolist() == counts
            assert edges == pytest.approx([-4 + 0.1 * number for number in range(81)])
            assert to_hex(bars.get_facecolor()) == GREYS[name]


def test_the_words_of_the_margin_explorer_are_the_shares_and_the_loss_of_its_triplets(explorer):
    explorer.restart()
    distances, labels = table(explorer), explorer.labels.tolist()
    squares = [line for line in explorer.limit.axes.lines if line.get_marker() == "s"]
    heights = [text.get_position()[1] for text in explorer.said.values()]
    assert heights == sorted(heights, reverse=True)  # from hard to easy, as the bars stand
    for number, margin in itertools.product((0, 7, 20, 35), (0.0, 0.5, 1.7)):
        words = explorer.move(margin=margin, pair=number)
        counts = dict(zip(GREYS, reference_01.kind_counts(distances, explorer.labels, margin), strict=True))
        shares = {name: f"{100 * count / 288:.0f}" for name, count in counts.items()}
        assert ", ".join(f"{share} percent {name}" for name, share in shares.items()) in words
        for square, (name, text) in zip(squares, explorer.said.items(), strict=True):
            assert text.get_text() == f"{name} {shares[name]} %"
            assert to_hex(square.get_color()) == GREYS[name]
            assert 0 < square.get_ydata()[0] - text.get_position()[1] < 0.6  # beside its words
        loss = reference.triplet_loss(distances, explorer.labels, margin=margin)
        anchor, positive = same_class_pairs(labels)[number]
        gaps = [
            float(distances[anchor, k] - distances[anchor, positive]) for k in range(12) if labels[k] != labels[anchor]
        ]
        kinds = [kind(gap, margin) for gap in gaps]
        assert words.startswith(f"Margin {margin:.1f}: of all 288 triplets ")
        assert f"mean loss {loss:.3f}. For anchor {anchor + 1} " in words
        assert explorer.loss.get_text() == f"margin {margin:.1f}, mean loss {loss:.3f}"
        assert words.endswith(
            f"and positive {positive + 1}, {kinds.count('hard')} of 8 negatives are hard "
            f"and {kinds.count('semi-hard')} semi-hard."
        )


def test_five_gradient_steps_of_the_margin_explorer_are_five_steps_down_the_mean_hinged_loss(explorer):
    explorer.restart()
    explorer.set(margin=0.7)
    triplets = reference.triplets(explorer.labels)
    radians = explorer.degrees.double().deg2rad().tolist()

    def loss(at):
        return reference.mean(
            max(2 * math.cos(at[i] - at[k]) - 2 * math.cos(at[i] - at[j]) + 0.7, 0.0) for i, j, k in triplets
        )

    for _ in range(5):
        slopes = []
        for moved in range(12):
            ends = [loss([a + sign * 1e-6 * (i == moved) for i, a in enumerate(radians)]) for sign in (1, -1)]
            slopes.append((ends[0] - ends[1]) / 2e-6)
        radians = [a - 0.2 * slope for a, slope in zip(radians, slopes, strict=True)]
    explorer.actions["5 gradient steps"]()
    assert explorer.degrees.tolist() == pytest.approx([math.degrees(a) for a in radians], abs=0.01)
