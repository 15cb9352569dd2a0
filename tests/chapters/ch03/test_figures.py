"""Figures of chapter 03: what is drawn is what was given."""

import math

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pytest
import torch
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.chapters.ch03 import figures


def test_the_slope_of_the_maximum_jumps_where_two_centers_tie_and_softtriples_does_not():
    centers = figures.on_circle([-40.0, 40.0]).double()
    angles = torch.tensor([-1e-4, 1e-4], dtype=torch.float64, requires_grad=True)
    s = (torch.stack([angles.cos(), angles.sin()], -1) @ centers.T)[:, None]
    jumps = []
    for similarity in (losses.hardtriple_similarity(s), losses.softtriple_similarity(s, gamma=0.1)):
        (slope,) = torch.autograd.grad(similarity.sum(), angles, retain_graph=True)
        jumps.append((slope[1] - slope[0]).item())
    assert_close(jumps[0], 2 * math.sin(math.radians(40)), rtol=0, atol=1e-3)
    assert jumps[1] < 0.01


# What is drawn


def test_angles_and_points_are_inverse():
    degrees = torch.tensor([-170.0, -90.0, 0.0, 33.0, 179.0])
    assert_close(figures.degrees_of(figures.on_circle(degrees)), degrees, rtol=0, atol=1e-4)


def test_the_ring_has_the_winning_class_color_and_is_paler_where_it_wins_by_less():
    shades = figures.winner_colors(torch.tensor([[0.9, 0.1], [0.5, 0.45], [0.1, 0.9], [0.5, 0.5]]))
    strength = 1 - shades.min(1)
    assert strength[0] == strength[0].max()
    assert strength[1] < strength[0]
    hues = [shade / shade.max() for shade in (1 - shades)]
    assert abs(hues[0] - hues[1]).max() < 1e-6
    assert abs(hues[0] - hues[2]).max() > 0.1


def test_arrows_begin_at_their_centers_and_end_where_the_turn_ends():
    centers, turns = figures.on_circle([10.0, 100.0, -50.0]), torch.tensor([20.0, -30.0, 0.1])
    segments = figures.arrow_segments(centers, turns)
    for segment, start, turn in zip(segments[:2], (10.0, 100.0), turns, strict=False):
        ends = figures.degrees_of(torch.tensor(segment[[0, 15]], dtype=torch.float32))
        assert_close(ends, torch.tensor([start, start + turn]), rtol=0, atol=1e-3)
    assert (segments[2] == 0).all()


def test_solved_shares_are_drawn_with_intervals_that_hold_them():
    figure, ax = plt.subplots()
    figures.solved_shares(ax, {"SoftTriple": {2: (0, 20), 3: (15, 20), 10: (20, 20)}})
    drawn = ax.lines[0].get_ydata()
    assert drawn.tolist() == [0.0, 0.75, 1.0]
    (bars,) = [part for part in ax.collections if hasattr(part, "get_segments")]
    for share, bar in zip(drawn, bars.get_segments(), strict=True):
        assert bar[0][1] <= share <= bar[1][1]
    assert bars.get_segments()[1][:, 1].tolist() == pytest.approx([0.5313, 0.8881], abs=1e-3)  # Wilson, 15 of 20
    plt.close(figure)
