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
from tests import drawn
from tests.chapters.ch01 import reference as reference_01


@pytest.fixture(scope="module")
def explorer():
    return MarginExplorer()


def said_loss(explorer):
    return float(explorer.text.value.split("mean loss ")[1].split(". For")[0])


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
        explorer.buttons["5 gradient steps"].click()
        assert said_loss(explorer) < start
        start = said_loss(explorer)
    explorer.buttons["start again"].click()
    assert explorer.text.value == before


def test_letters_of_the_margin_explorer_can_be_read_on_the_hue_of_their_class(explorer):
    explorer.restart()
    for name, dot, label in zip(explorer.names, explorer.dots, explorer.labels.tolist(), strict=True):
        assert to_hex(dot.get_markerfacecolor()) == drawn.PETROFF10[label]
        assert drawn.contrast(name.get_color(), dot.get_markerfacecolor()) >= drawn.READABLE
        assert name.get_position() == tuple(float(part[0]) for part in dot.get_data())
