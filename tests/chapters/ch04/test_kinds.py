"""What companion 04c says of the records of photographs whose kinds are known."""

import statistics

import pytest

from dmlbook import records
from dmlbook.chapters.ch04 import kinds

RANDOM = "cub-random-linear"


def of(name, way, figure):
    return records.interval(kinds.gain(name, way, figure))


def test_a_gain_is_ten_centers_minus_one_of_the_same_seed():
    one, ten = (records.load(f"kinds/{RANDOM}-{k}") for k in ("k1_as_k10", "k10"))
    expected = [b - a for a, b in zip(one.values("map_by_kind"), ten.values("map_by_kind"), strict=True)]
    assert kinds.gain(RANDOM, "both at ten's", "map_by_kind") == pytest.approx(expected)
    assert kinds.points([0.02, 0.04]) == "+3.0 ± 12.7"


def test_on_cubs_random_classes_recall_gains_in_every_way_and_map_by_class_loses_a_little():
    found = [of(RANDOM, way, "recall_by_class") for way in kinds.WAYS]
    assert min(mean - half for mean, half in found) > 0
    assert found[1][0] > 3 * found[2][0]
    assert sum(of(RANDOM, "each at its own", "map_by_class")) < 0


def test_recall_by_class_gains_clearly_in_four_of_eight_rows_and_map_by_class_a_whole_point_in_none():
    own = {name: of(name, "each at its own", "recall_by_class") for name in kinds.SETS.values()}
    clear = [name for name, (mean, half) in own.items() if mean > half]
    assert clear == [RANDOM, "cub-relatives-linear", "grocery-random-linear", "cub-random-layer"]
    maps = [kinds.gain(name, "each at its own", "map_by_class") for name in kinds.SETS.values()]
    assert max(map(statistics.fmean, maps)) < 0.01


def test_as_many_centers_as_kinds_are_enough_and_the_regularizer_makes_no_difference_that_can_be_told():
    names = {"1": "k1_as_k10", "5": "k5", "10": "k10", "free": "k10_tau0", "sum": "k10_logsumexp"}
    rows = records.compare(
        {title: f"kinds/{RANDOM}-{name}" for title, name in names.items()},
        unequal={"settings": "all have those that suited ten centers."},
    )
    figures = ("recall_by_class", "map_by_class", "recall_by_kind", "map_by_kind")
    (more, width), (spare, half) = (
        records.interval(rows.gains(*pair, "recall_by_class")) for pair in (("5", "1"), ("10", "5"))
    )
    assert more - width > 0 > spare - half
    free, total = (
        [records.interval(rows.gains("10", other, figure)) for figure in figures] for other in ("free", "sum")
    )
    assert all(abs(mean) < half for mean, half in free)
    assert sum(abs(mean) > half for mean, half in total) == 1


def test_three_of_sixteen_comparisons_gain_with_the_cosine_and_one_of_these_is_clear():
    assert kinds.against() == (3, 16)
    mean, half = of(RANDOM, "both at one's", "recall_by_class")
    assert mean > half
    assert statistics.fmean(kinds.gain(RANDOM, "both at one's", "kind_cosine")) > 0


@pytest.mark.bad_input
@pytest.mark.parametrize(("name", "way"), [("cub", "each at its own"), (RANDOM, "both")])
def test_what_was_not_measured_is_named(name, way):
    with pytest.raises(ValueError, match="gain: (name|way) must be one of"):
        kinds.gain(name, way, "recall_by_class")
