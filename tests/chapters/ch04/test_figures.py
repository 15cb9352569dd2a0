"""Figures of chapter 04: what is drawn is what was given."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import torch
from torch.testing import assert_close

from dmlbook.chapters.ch04 import figures


def test_paths_have_no_jump_of_a_turn():
    angles = torch.tensor([[170.0, -10.0], [-175.0, 10.0], [-160.0, 170.0], [179.0, -175.0]])
    found = figures.unrolled(angles)
    assert abs(found[1:] - found[:-1]).max() <= 180
    assert_close(torch.tensor(found % 360), angles.double() % 360)


def test_the_tally_shows_every_pair_once():
    figure, ax = plt.subplots()
    figures.tally(ax, torch.tensor([1, 1, 2, 3, 4]), torch.tensor([1, 2, 2, 5, 4]), top=6)
    (discs,) = ax.collections
    assert sorted(map(tuple, discs.get_offsets().tolist())) == [(1, 1), (1, 2), (2, 2), (3, 5), (4, 4)]
    assert_close(torch.tensor(discs.get_sizes()), 420 * torch.tensor([0.5, 0.5, 1.0, 1.0, 1.0]), check_dtype=False)
    plt.close(figure)
