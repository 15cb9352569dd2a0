"""Scores over seeds: every seed where it is, the mean and its interval over it, the rows in the order of the first."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

from dmlbook.book import scores


def test_a_figure_is_a_picture_with_words_in_the_order_of_the_first_measure():
    both = {"R@1": {"a": [0.1, 0.2], "b": [0.3, 0.4]}, "MAP@R": {"a": [0.9, 0.8], "b": [0.1, 0.1]}}
    figure, alt = scores.score_figure(both, title="b is ahead")
    recall, precision = figure.axes
    assert [label.get_text() for label in recall.get_yticklabels()] == ["b", "a"]
    shown = [line.get_xdata().tolist() for line in recall.lines if line.get_alpha() == 0.6]
    assert shown == [[30.0, 40.0], [10.0, 20.0]]
    assert (recall.get_xlabel(), precision.get_xlabel()) == ("R@1, percent", "MAP@R, percent")
    assert figure.get_suptitle() == "b is ahead"
    plt.close(figure)
    assert alt.endswith("Means in percent: R@1 b 35.0, a 15.0; MAP@R b 10.0, a 85.0.")
