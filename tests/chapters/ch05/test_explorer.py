"""The explorer of chapter 05: its pictures and words agree with the formulas."""

import matplotlib

matplotlib.use("agg")
import pytest
import torch
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.chapters.ch05.explorer import BoundExplorer
from dmlbook.seeding import generator
from tests import reference


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
        assert explorer.marks.get_xdata() == list(shown.values())
        low, high = explorer.marks.axes.get_xlim()
        assert low < min(shown.values()) <= max(shown.values()) < high
        assert f"bound {shown['bound']:.2f}, triplet loss {shown['truth']:.2f}" in explorer.text.value


def test_spread_zero_closes_the_gap_and_steps_lower_the_bound():
    explorer = BoundExplorer()
    first = explorer.figures["bound"]
    for _ in range(3):
        before = explorer.figures["bound"]
        explorer.buttons["step down the bound"].click()
        assert explorer.figures["bound"] < before
    explorer.set(spread=0.0)
    assert explorer.figures["bound"] == pytest.approx(explorer.figures["truth"])
    assert "the gap is 0.00" in explorer.text.value
    explorer.set(spread=1.0)
    explorer.buttons["start again"].click()
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
