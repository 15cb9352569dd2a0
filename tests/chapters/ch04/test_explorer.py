"""The explorer of chapter 04: its pictures and words agree with the formulas."""

import itertools
import math
import re
import time

import matplotlib

matplotlib.use("agg")
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from torch.nn import functional as F
from torch.testing import assert_close

from dmlbook import book, losses
from dmlbook.chapters.ch04.explorer import TauExplorer
from dmlbook.chapters.ch04.theory import THRESHOLD
from tests import drawn, reference

HUES = list(drawn.PETROFF10[:2])
TAUS = [0.0] + [10 ** (-3 + 4.5 * place / 27) for place in range(28)]


@pytest.fixture(scope="module")
def explorer():
    return TauExplorer()


def places(explorer):
    """Where the centers are drawn (2, K, 2)."""
    return torch.stack([torch.tensor(cross.get_xydata()) for cross in explorer.crosses])


def test_the_widget_draws_the_centers_that_it_counts(explorer):
    for per_class in explorer.grid("per_class"):
        for squared in (False, True):
            for tau in explorer.grid("tau", 7):
                explorer.set(tau=tau, per_class=per_class, squared=squared)
                centers = places(explorer)
                assert_close(
                    centers.norm(dim=-1), torch.full(centers.shape[:2], book.CENTER_RADIUS).double(), rtol=0, atol=1e-5
                )
                counts = losses.distinct_centers(F.normalize(centers, dim=-1), threshold=THRESHOLD).counts.tolist()
                said = re.search(
                    r"of (\d+) centers class 0 keeps (\d+) distinct ones and class 1 (\d+)", explorer.text.value
                )
                assert [int(n) for n in said.groups()] == [per_class, *counts]
                assert all(1 <= n <= per_class for n in counts)
                weight = float(explorer.here.get_xdata()[0])
                assert tau == 0 or f"tau = {weight:.2g}," in explorer.text.value
                for label, lines in enumerate(explorer.ways):
                    seen = [line.get_ydata()[tau - 1] for line in lines[:per_class]] if tau else []
                    angles = book.degrees_of(centers[label]).tolist()
                    assert all(abs(math.remainder(a - b, 360)) < 0.01 for a, b in zip(seen, angles, strict=tau != 0))


def test_the_widget_pays_nothing_without_tau_and_follows_at_once(explorer):
    explorer.set(tau=0)
    assert explorer.paid == 0
    spent = []
    for tau in explorer.grid("tau", 9):
        begin = time.process_time()
        explorer.set(tau=tau)
        spent.append(time.process_time() - begin)
        assert explorer.paid >= 0
    assert min(spent) < 0.1  # seconds of the processor, whatever else it is busy with


@pytest.mark.parametrize("squared", [False, True])
def test_the_price_is_tau_times_half_the_mean_over_pairs(explorer, squared):
    tau = len(TAUS) // 2
    explorer.set(tau=tau, per_class=6, squared=squared)
    rest = explorer.rests[6, squared][tau].tolist()
    apart = [math.dist(*pair) for of_class in rest for pair in itertools.combinations(of_class, 2)]
    price = sum(d**2 if squared else d for d in apart) / len(apart) / 2
    assert explorer.paid == pytest.approx(TAUS[tau] * price, rel=1e-5)
    assert f"adds {explorer.paid:.3f} to the loss" in explorer.text.value


def test_images_of_the_widget_are_three_pairs_a_class_in_its_hue(explorer):
    circles = [line for line in explorer.crosses[0].axes.lines if line.get_marker() == "o"]
    assert [to_hex(line.get_color()) for line in circles] == HUES
    for line, first in zip(circles, (0, 60), strict=True):
        turns = [first + 120 * pose + side for side in (-12, 12) for pose in range(3)]
        expected = [[math.cos(math.radians(turn)), math.sin(math.radians(turn))] for turn in turns]
        assert line.get_xydata() == pytest.approx(np.array(expected), abs=1e-6)


def test_every_image_of_the_widget_has_a_center_of_its_own_hue_nearest(explorer):
    explorer.set(tau=13, per_class=6, squared=False)  # tau = 0.1
    circles = [line for line in explorer.crosses[0].axes.lines if line.get_marker() == "o"]
    for circle in circles:
        for image in circle.get_xydata():
            gaps = {
                to_hex(cross.get_color()): min(math.dist(image, center) for center in cross.get_xydata())
                for cross in explorer.crosses
            }
            assert min(gaps, key=gaps.get) == to_hex(circle.get_color())
    assert {cross.get_marker() for cross in explorer.crosses} == {"X"}


def test_ways_of_the_widget_are_over_tau_in_the_hue_of_their_class_and_as_many_as_centers(explorer):
    for per_class in (2, 6, 10):
        explorer.set(tau=5, per_class=per_class)
        for hue, lines in zip(HUES, explorer.ways, strict=True):
            assert {to_hex(line.get_color()) for line in lines} == {hue}
            shown = [line for line in lines if not np.isnan(line.get_ydata()).any()]
            assert shown == lines[:per_class]
            assert all(np.isnan(line.get_ydata()).all() for line in lines[per_class:])
            for line in lines:
                assert line.get_xdata() == pytest.approx(TAUS[1:], rel=1e-5)
    low, high = explorer.here.axes.get_ylim()
    assert low <= -300 < 300 <= high


def test_the_widget_says_at_which_tau_it_stands_what_is_paid_and_how_close_centers_are(explorer):
    for tau, per_class, squared in ((0, 6, False), (1, 2, True), (13, 6, True), (20, 10, False), (28, 6, False)):
        explorer.set(tau=tau, per_class=per_class, squared=squared)
        pairs = [pair for of_class in (places(explorer) / 0.8).tolist() for pair in itertools.combinations(of_class, 2)]
        apart = [reference.distance(*pair) for pair in pairs]
        paid = TAUS[tau] * reference.mean(distance**2 if squared else distance for distance in apart) / 2
        said = explorer.text.value
        assert said.startswith(f"tau = {TAUS[tau]:.2g}, mean of {'squared ' if squared else ''}distances: ")
        assert explorer.here.get_xdata() == pytest.approx([max(TAUS[tau], TAUS[1])] * 2, rel=1e-5)
        assert explorer.paid == pytest.approx(paid, rel=1e-3, abs=1e-6)
        assert f"adds {explorer.paid:.3f} to the loss" in said
        assert float(re.search(r"pair: ([\d.]+) apart", said)[1]) == pytest.approx(min(apart), abs=6e-5)
        counts = re.search(r"class 0 keeps (\d+) distinct ones and class 1 (\d+)", said).groups()
        assert explorer.said.get_text() == f"distinct:\n{counts[0]} and {counts[1]}\nof {per_class}"


def test_at_the_toys_threshold_a_price_on_distances_leaves_fewer_centers_than_one_on_squared_distances(explorer):
    left = {}
    for label, squared in explorer.controls["squared"].options:
        explorer.set(tau=20, per_class=6, squared=squared)
        left[label] = sum(losses.distinct_centers(places(explorer) / 0.8, threshold=THRESHOLD).counts.tolist())
    assert left["distances"] == 6  # three clusters in each of two classes
    assert left["squared distances"] > 6


def test_the_menu_of_tau_names_each_value(explorer):
    names = [name for name, _ in explorer.controls["tau"]._options_full]
    assert names == [f"{tau:.2g}" for tau in TAUS]
    assert [place for _, place in explorer.controls["tau"]._options_full] == list(range(29))
