"""The stored runs of chapter 07: each floor beside its data set, and each trial of a head under its rate."""

import pytest

from dmlbook import records
from dmlbook.chapters.ch07 import photographs


@pytest.mark.parametrize("plan", photographs.SETS)
def test_floors_stand_first_and_four_losses_below(plan):
    table = photographs.beside_floors(plan)
    assert list(table.rows) == [*photographs.FLOORS, *photographs.LOSSES]
    mean = table.rows[photographs.PCA].values("map_at_r")[0]
    assert f"{100 * mean:.1f} (1)" in table.table(photographs.BOTH)
    assert table.rows["SoftTriple"].values("map_at_r") == records.load(f"{plan}-softtriple").values("map_at_r")


def test_what_was_tried_begins_with_the_frozen_features():
    text = photographs.searched("cars")
    assert text.index("| frozen features |") < text.index("| | semi-hard triplets |")
    best = photographs.best_settings("cars")
    assert list(best) == list(photographs.LOSSES)
    assert best["SoftTriple"]["lr"] == 1e-3


def test_a_loss_is_clearly_above_a_floor_where_the_interval_of_its_gains_leaves_out_0():
    table = photographs.beside_floors("cars")
    for floor in photographs.FLOORS:
        above = photographs.clearly_above(table, floor, "recall_at_1")
        for title in photographs.LOSSES:
            mean, half = records.interval(table.gains(title, floor, "recall_at_1"))
            assert (mean > half) is (title in above)
    assert above == ["normalized SoftMax", "SoftTriple"]


def test_trials_of_a_head_have_ten_rates_and_all_three_numbers():
    trials = photographs.head_trials("normalized SoftMax", 30)
    assert len(trials) == 10
    assert set(trials[1e-3]) == {"final_loss", "recall_at_1", "map_at_r"}
    assert trials[1e-3]["final_loss"] < photographs.head_trials("normalized SoftMax", 1)[1e-3]["final_loss"]


@pytest.mark.bad_input
def test_what_is_not_there_is_named():
    with pytest.raises(ValueError, match="epochs must be one of 1, 3, 10, 30; got 2"):
        photographs.head_trials("SoftTriple", 2)
    with pytest.raises(ValueError, match="title must be one of"):
        photographs.head_trials("softtriple", 1)
    with pytest.raises(ValueError, match="plan must be one of 'cars', 'cub'; got 'birds'"):
        photographs.searched("birds")
