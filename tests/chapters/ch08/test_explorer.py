"""The explorer of chapter 08: its points and words are those of a slow count."""

import matplotlib

matplotlib.use("agg")
import math
import re

import pytest
import torch
from torch.testing import assert_close

from dmlbook import datasets
from dmlbook.chapters.ch08.explorer import ENROLLED, ThresholdExplorer, asked
from dmlbook.chapters.ch08.theory import answers


@pytest.fixture(scope="module")
def explorer():
    return ThresholdExplorer()


def counted(limit):
    """Percentages, query by query."""
    distances, right, known = (values.tolist() for values in asked())
    near = [distance <= limit for distance in distances]
    given = [r for r, n, k in zip(right, near, known, strict=True) if n and k]
    answered = 100 * len(given) / sum(known)
    fooled = 100 * sum(n and not k for n, k in zip(near, known, strict=True)) / (len(known) - sum(known))
    return [answered, 100 * sum(given) / len(given) if given else math.nan, fooled]


def test_the_points_and_the_words_are_what_is_counted(explorer):
    seen = set()
    for limit in explorer.grid("limit", 13):
        explorer.set(limit=limit)
        expected = counted(limit)
        assert_close(torch.tensor(explorer.points.get_ydata()), torch.tensor(expected), equal_nan=True)
        assert explorer.points.get_xdata() == [limit] * 3
        assert [line.get_xdata() for line in explorer.lines] == [[limit, limit]] * 2
        said = re.findall(r"(\d+|none)(?: percent)? (?:are answered|are right|get an answer)", explorer.text.value)
        assert said == ["none" if math.isnan(value) else f"{value:.0f}" for value in expected]
        seen.add(tuple(said))
    assert len(seen) > 6


def test_the_curves_are_the_counts_at_every_limit(explorer):
    across = explorer.points.axes
    curves = [line for line in across.lines if len(line.get_xdata()) == len(explorer.limits)]
    assert len(curves) == 3
    for place in (0, 20, 33, 45, len(explorer.limits) - 1):
        drawn = torch.tensor([float(line.get_ydata()[place]) for line in curves])
        assert_close(drawn, torch.tensor(counted(explorer.limits[place])), equal_nan=True)


def test_the_histograms_hold_every_query_and_the_ticks_every_wrong_answer(explorer):
    distances, right, known = asked()
    steps = [patch.get_data() for patch in explorer.lines[0].axes.patches]
    assert len(steps) == 2
    for chosen, (shares, edges, _) in zip((known, ~known), steps, strict=True):
        assert_close(float(shares.sum()), 1.0)
        middle = float((torch.tensor(shares) * (torch.tensor(edges[1:]) + torch.tensor(edges[:-1])) / 2).sum())
        assert abs(middle - float(distances[chosen].mean())) < 0.01
    assert_close(torch.tensor(explorer.missed.get_xdata()), distances[known & ~right])


def test_queries_are_every_second_digit_and_the_gallery_lacks_two_of_ten():
    digits = datasets.load("digits", "all", size=8)
    distances, right, known = asked()
    assert len(distances) == len(digits) // 2
    assert known.tolist() == (digits.labels[1::2] < ENROLLED).tolist()
    assert not bool((right & ~known).any())
    assert float(right[known].double().mean()) > 0.98


def test_answers_are_a_slow_count_and_bad_input_is_named():
    distances, right = torch.tensor([0.1, 0.4, 0.3, 0.2]), torch.tensor([True, False, False, True])
    known = torch.tensor([True, True, False, True])
    found = answers(distances, right, known, threshold=0.25)
    assert_close([*found.values()], [2 / 3, 1.0, 0.0])
    assert_close([*answers(distances, right, known, threshold=0.4).values()], [1.0, 2 / 3, 1.0])
    with pytest.raises(ValueError, match="right must be False where known is; got True"):
        answers(distances, torch.tensor([True, False, True, True]), known, threshold=0.3)
    with pytest.raises(ValueError, match="right"):
        answers(distances, right[:2], known, threshold=0.3)
