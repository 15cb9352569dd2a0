"""Figures of chapter 02: what is drawn is what was given."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import same_color

from dmlbook import book
from dmlbook.chapters.ch02 import figures, theory
from tests.chapters.ch02 import reference

# What is drawn


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_bars_carry_the_weights_in_the_colors_of_the_classes(ax):
    weights = torch.tensor([0.2, 0.5, 0.3])
    figures.weight_bars(ax, weights, label=1)
    assert [bar.get_height() for bar in ax.patches] == pytest.approx(weights.tolist())
    assert all(same_color(bar.get_facecolor(), book.class_color(c)) for c, bar in enumerate(ax.patches))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["$w_0$", "$w_1$\nown", "$w_2$"]


def test_corners_of_the_triangle_are_the_three_centers():
    across, up = figures.triangle(torch.eye(3))
    assert across == pytest.approx([0, 1, 0.5])
    assert up == pytest.approx([0, 0, math.sqrt(3) / 2])


def test_the_top_of_the_triangle_is_drawn_at_softmax(ax):
    v = torch.tensor([0.0, 0.16, -0.2], dtype=torch.float64)
    figures.weight_triangle(ax, v, scale=5.0, path=torch.full((1, 3), 1 / 3), rows=20)
    across, up = figures.triangle(torch.tensor([reference.weights(v.tolist(), 5.0)]))
    (top,) = [line for line in ax.lines if line.get_marker() == "D"]
    assert top.get_xydata()[0] == pytest.approx([across[0], up[0]])


def test_the_drawn_loss_stays_in_its_band(ax):
    v = torch.tensor([0.0, 0.16, -0.2], dtype=torch.float64)
    figures.limits(ax, v)
    scales, loss = ax.lines[0].get_data()
    assert (loss > 0.16 - 1e-12).all()
    assert (loss <= 0.16 + math.log(3) / scales + 1e-12).all()
    assert ax.lines[1].get_ydata()[0] == pytest.approx(0.16)


def test_drawn_gaps_end_at_the_logarithm_of_the_ties(ax):
    rows_of = {"one": torch.tensor([0.0, -0.5, -0.5]), "two": torch.tensor([0.0, 0.0, -0.5])}
    figures.gaps(ax, rows_of)
    assert [float(line.get_ydata()[-1]) for line in ax.lines] == pytest.approx([0.0, math.log(2)], abs=1e-6)


def test_the_drawn_guarantees_are_the_two_bounds(ax):
    figures.guarantees(ax, radius=0.3)
    for line, bound in zip(ax.lines, (theory.sharp_example_margin, theory.example_margin), strict=True):
        margin = torch.as_tensor(np.asarray(line.get_xdata()))
        torch.testing.assert_close(
            torch.as_tensor(np.asarray(line.get_ydata())), bound(margin, 0.3 * torch.ones_like(margin))
        )
