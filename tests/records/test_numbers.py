"""Honest intervals."""

import math

import numpy as np
import pytest

from dmlbook import records
from dmlbook.chapters.ch07 import exercises as chapter_07
from dmlbook.seeding import SEED


def test_interval_covers_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(SEED).normal(3.0, 2.0, size=(4000, 4))
    found = [records.interval(row.tolist()) for row in draws]
    covered = np.mean([abs(mean - 3.0) <= half for mean, half in found])
    assert 0.94 < covered < 0.96


def test_interval_of_one_value_is_no_interval():
    mean, half = records.interval([0.3])
    assert mean == 0.3
    assert math.isnan(half)
    assert records.percent([0.3]) == "30.0 (1)"


def test_interval_uses_the_factors_that_the_exercise_prints():
    for degrees, factor in chapter_07.T_975.items():
        values = [1.0, 2.0] + [1.5] * (degrees - 1)
        assert records.interval(values)[1] == pytest.approx(
            factor * np.std(values, ddof=1) / len(values) ** 0.5, rel=1e-4
        )


def test_interval_narrows_with_the_level_and_percent_with_the_digits():
    assert records.interval([1.0, 2.0], level=0.5) == pytest.approx((1.5, 0.5))  # Student's t, 1 degree: tan(pi / 4)
    assert records.percent([0.5, 0.52], digits=0) == "51 ± 13 (2)"
    assert records.percent([0.5, 0.52], digits=2) == "51.00 ± 12.71 (2)"


@pytest.mark.bad_input
def test_an_interval_of_nothing_or_of_no_level_is_refused():
    with pytest.raises(ValueError, match="values must hold at least one number"):
        records.interval([])
    with pytest.raises(ValueError, match="level must be a finite number > 0 and < 1; got 0"):
        records.interval([1.0, 2.0], level=0)


def literal_holm(values):
    """Holm's rule word by word: the smallest of m is compared with level / m, the next with level / (m - 1), ..."""
    adjusted = []
    for value in values:
        largest = 0.0
        for other in values:
            if other <= value:
                as_small_or_larger = sum(each >= other for each in values)
                largest = max(largest, as_small_or_larger * other)
        adjusted.append(min(1.0, largest))
    return adjusted


def test_holm_adjusts_a_hand_example():
    # 4 tests: 0.01 * 4, 0.02 * 3, 0.03 * 2 is not below the one before, 0.9 * 1.
    assert records.holm([0.03, 0.9, 0.01, 0.02]) == pytest.approx([0.06, 0.9, 0.04, 0.06])
    assert records.holm([0.4, 0.5]) == pytest.approx([0.8, 0.8])
    assert records.holm([0.7, 0.6]) == [1.0, 1.0]
    assert records.holm([]) == []


def test_holm_is_its_rule_word_by_word():
    numbers = np.random.default_rng(SEED)
    for size in (1, 2, 5, 24):
        values = (numbers.random(size) ** 3).tolist()
        assert records.holm(values) == pytest.approx(literal_holm(values))
        assert all(adjusted >= value for adjusted, value in zip(records.holm(values), values, strict=True))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-0.1, r"p_values\[1\] must be a finite number >= 0 and <= 1; got -0.1"),
        (1.1, r"p_values\[1\] must be a finite number >= 0 and <= 1; got 1.1"),
        (math.nan, "p_values must be a sequence of finite numbers; got nan at 1"),
    ],
)
def test_holm_asks_for_p_values(value, message):
    with pytest.raises(ValueError, match=f"holm: {message}"):
        records.holm([0.5, value])
