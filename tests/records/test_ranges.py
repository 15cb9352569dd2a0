"""Ranges: on a scale of their own, both ends inside, and refused where they hold nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmlbook import records

SHARES = st.floats(0, 1)


def space(**values):
    return records.read_space(values)


def test_a_range_is_searched_by_factors_where_its_ends_differ_by_ten():
    assert space(a={"low": 1e-4, "high": 1e-2})["a"] == records.Range(1e-4, 1e-2, log=True, integer=False)
    assert space(a={"low": 0.1, "high": 1.0})["a"].log is True
    assert space(a={"low": 8, "high": 64})["a"].log is False
    assert space(a={"low": 0.0, "high": 64})["a"].log is False
    assert space(a={"low": 8, "high": 64, "log": True})["a"].log is True
    assert space(a={"low": 1e-4, "high": 1e-2, "log": False, "integer": False})["a"].log is False
    assert space(a={"low": 2, "high": 8, "integer": True})["a"].integer is True


def test_settings_of_the_loss_get_names_of_their_own():
    read = space(lr=[1, 2], loss_option={"scale": [3], "margin": {"low": 0, "high": 1}})
    assert list(read) == ["lr", "loss_option.scale", "loss_option.margin"]
    assert records.read_space({name: v if isinstance(v, list) else v.to_dict() for name, v in read.items()}) == read


@settings(derandomize=True, deadline=None, max_examples=200)
@given(share=SHARES)
def test_every_share_of_a_range_is_a_number_of_it_at_about_that_place(share):
    for each in (
        records.Range(1e-4, 1e-2, log=True, integer=False),
        records.Range(0.0, 0.3, log=False, integer=False),
        records.Range(0.0123, 0.456, log=True, integer=False),
        records.Range(2, 40, log=False, integer=True),
    ):
        value = each.at(share)
        assert each.holds(value)
        assert each.place(value) == pytest.approx(share, abs=0.03)


def test_a_number_in_the_middle_is_the_geometric_or_the_plain_mean():
    assert records.Range(1e-4, 1e-2, log=True, integer=False).at(0.5) == 1e-3
    assert records.Range(0.0, 0.3, log=False, integer=False).at(0.5) == 0.15
    assert records.Range(8, 64, log=True, integer=False).at(1 / 3) == 16
    assert records.Range(1e-4, 1e-2, log=True, integer=False).at(0.123) == 1.8e-4  # two significant digits
    assert (records.Range(2, 8, log=False, integer=True).at(0.6)) == 6


def test_a_range_holds_numbers_of_its_kind_alone():
    each = records.Range(2, 8, log=False, integer=True)
    assert [each.holds(value) for value in (2, 8, 1, 9, 2.5, True, "2")] == [True, True, *[False] * 5]
    assert records.Range(0.5, 2, log=False, integer=False).holds(1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"low": 2, "high": 1}, "vary.a must have low < high; got 2 and 1"),
        ({"low": 1, "high": 1}, "vary.a must have low < high; got 1 and 1"),
        ({"low": 0, "high": 1, "log": True}, "vary.a must have low > 0 for log = true; got 0"),
        ({"low": "a", "high": 1}, "vary.a.low must be a finite number; got 'a'"),
        ({"high": 1}, "vary.a.low must be a finite number; got None"),
        ({"low": 0.5, "high": 2, "integer": True}, "vary.a.low must be an integer; got 0.5"),
        ({"low": 0, "high": 1, "step": 1}, "vary.a, 'step' must be one of 'low', 'high', 'log', 'integer'"),
        ([], "vary.a must be a list of values to try; got []"),
        ([1, 1], "vary.a must hold no value twice"),
        (3, "vary.a must be a list of values to try; got 3"),
    ],
)
@pytest.mark.bad_input
def test_what_is_no_range_is_refused(values, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is looked at below
        space(a=values)
    assert f"read_space: {message}" in str(error.value)
