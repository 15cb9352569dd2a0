"""Scores over seeds: every seed where it is, the mean and its interval over it, the rows in the order of the first."""

import matplotlib

matplotlib.use("agg")
import pytest

from dmlbook import records
from dmlbook.book import scores

VALUES = {"softmax": [0.5, 0.6, 0.7], "frozen": [0.4]}


def test_each_row_shows_its_seeds_its_mean_and_its_interval(ax):
    assert scores.score_rows(ax, VALUES, measure="R@1") is ax
    seeds, interval, mean, floor, floor_mean = ax.lines  # of one seed there is no interval
    assert list(seeds.get_xdata()) == pytest.approx([50, 60, 70])
    assert list(seeds.get_ydata()) == [0, 0, 0]
    middle, half = records.interval(VALUES["softmax"])
    assert list(interval.get_xdata()) == pytest.approx([100 * (middle - half), 100 * (middle + half)])
    assert list(mean.get_xdata()) == pytest.approx([60])
    assert list(floor.get_xdata()) == list(floor_mean.get_xdata()) == [40]
    assert list(floor.get_ydata()) == [1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["softmax", "frozen"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row on top
    assert ax.get_xlabel() == "R@1, percent"


def test_a_figure_is_a_picture_with_words_in_the_order_of_the_first_measure():
    both = {"R@1": {"a": [0.1, 0.2], "b": [0.3, 0.4]}, "MAP@R": {"a": [0.9, 0.8], "b": [0.1, 0.1]}}
    picture, alt = scores.score_figure(both, title="b is ahead")
    assert picture.startswith(b"\x89PNG")
    assert alt.endswith("Means in percent: R@1 b 35.0, a 15.0; MAP@R b 10.0, a 85.0.")


@pytest.mark.bad_input
def test_a_row_without_scores_is_refused(ax):
    with pytest.raises(ValueError, match="values must hold at least one number"):
        scores.score_rows(ax, {"a": []}, measure="R@1")
