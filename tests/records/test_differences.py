"""Differences between rivals: paired, adjusted over all of them, and silent where there is no test."""

import math

import pytest

from dmlbook import records


def test_a_difference_is_told_apart_below_five_percent_and_only_there_bold():
    assert records.ALPHA == 0.05
    cells = [records.Difference(0.01, 0.002, p) for p in (0.0499, 0.05, math.nan)]
    assert [cell.told_apart for cell in cells] == [True, False, False]
    assert [cell.cell() for cell in cells] == ["**+1.0 ± 0.2 (p = 0.050)**", "+1.0 ± 0.2 (p = 0.050)", "+1.0 ± 0.2"]
    assert records.Difference(-0.01, math.nan, math.nan).cell() == "-1.0"


def test_what_cannot_be_tested_counts_as_one_that_found_nothing():
    values = [0.10, 0.11, 0.12, 0.13]
    alone = records.adjusted_differences({"A": {"map_at_r": values}})["A"]["map_at_r"]
    beside = records.adjusted_differences({"A": {"map_at_r": values}, "B": {"map_at_r": [0.1] * 4}})
    assert beside["A"]["map_at_r"].p == pytest.approx(2 * alone.p)
    assert math.isnan(beside["B"]["map_at_r"].p)
    assert (beside["B"]["map_at_r"].mean, beside["B"]["map_at_r"].half) == pytest.approx((0.1, 0.0))
    noise = [0.1 + 1e-17 * place for place in range(3)] + [0.3 - 0.2]  # the same, but for rounding
    assert math.isnan(records.adjusted_differences({"A": {"x": noise}})["A"]["x"].p)


@pytest.mark.bad_input
def test_differences_of_nothing_are_refused():
    with pytest.raises(ValueError, match="values must hold at least one number"):
        records.adjusted_differences({"A": {"map_at_r": []}})
