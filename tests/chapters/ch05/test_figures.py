"""Figures of chapter 05: what is drawn is what was given."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import torch

from dmlbook.chapters.ch05 import figures


def test_the_drawn_detour_is_labelled_with_its_lengths():
    _, ax = plt.subplots()
    triplet = {"anchor": (0.0, 3.0), "positive": (4.0, 3.0), "negative": (1.0, 0.0)}
    figures.detour(ax, triplet, torch.tensor([[4.0, 0.0], [0.0, 0.0]]), (0, 1))
    said = [text.get_text() for text in ax.texts]
    assert said[:6] == ["4.00", "3.16", "5.00", "3.00", "3.00", "1.00"]
    plt.close("all")
