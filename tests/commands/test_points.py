"""Points of a space: inside it, distinct, spread, and the same whatever else is searched."""

import math

import pytest

from dmlbook.commands import plans, points
from dmlbook.records import Range, read_space

SPACE = read_space(
    {"lr": {"low": 1e-4, "high": 1e-2}, "batch_size": [32, 64, 128], "loss_option": {"margin": {"low": 0, "high": 0.3}}}
)


def test_points_lie_inside_their_ranges_and_are_distinct_and_rounded():
    drawn = points.draw_points(SPACE, 64, "softmax")
    assert len(drawn) == 64
    assert all(point.keys() == SPACE.keys() for point in drawn)
    assert all(1e-4 <= point["lr"] <= 1e-2 and 0 <= point["loss_option.margin"] <= 0.3 for point in drawn)
    assert {point["batch_size"] for point in drawn} == {32, 64, 128}
    assert len({repr(point) for point in drawn}) == 64
    assert all(point["lr"] == float(f"{point['lr']:.1e}") for point in drawn)


@pytest.mark.parametrize(
    ("trials", "rungs", "message"),
    [
        (1, [1, 2], "--trials must be an integer >= 2; got 1"),
        (2, [0, 2], "--rungs must be an integer >= 1; got 0"),
        (2, [], r"--rungs must be epochs that increase; got \[\]. Write --rungs 1 2 4."),
        (2, [2, 2], r"--rungs must be epochs that increase; got \[2, 2\]"),
    ],
)
def test_effort_is_refused_in_the_words_in_which_it_was_asked_for(trials, rungs, message):
    points.check_effort("--", 2, [1, 3], "")
    with pytest.raises(ValueError, match=message):
        points.check_effort("--", trials, rungs, "Write --rungs 1 2 4.")


def test_eight_points_fill_each_eighth_of_every_range():
    drawn = points.draw_points({"lr": SPACE["lr"], "margin": SPACE["loss_option.margin"]}, 8, "lifted")
    for name, low, high, log in (("lr", 1e-4, 1e-2, True), ("margin", 0.0, 0.3, False)):
        shares = [
            math.log(p[name] / low) / math.log(high / low) if log else (p[name] - low) / (high - low) for p in drawn
        ]
        nearest = [abs(share - (place + 0.5) / 8) for place, share in enumerate(sorted(shares))]
        assert max(nearest) < 1 / 16 + 0.02  # one in each eighth, but for the rounding


def test_points_hang_on_the_space_and_the_name_alone_and_the_first_few_stay():
    drawn = points.draw_points(SPACE, 8, "softmax")
    assert points.draw_points(SPACE, 8, "softmax") == drawn
    assert points.draw_points(SPACE, 4, "softmax") == drawn[:4]
    assert points.draw_points(SPACE, 8, "softtriple") != drawn


def test_other_methods_do_not_change_the_points_of_a_method():
    content = {
        "command": "train", "methods_of": "field", "options": {"data": "digits", "milestones": []},
        "search": {"trials": 3, "rungs": [1, 2]}, "trial": {"validation": 0.4},
    }  # fmt: skip
    rivals = list(plans.read_field()["methods"])
    few = plans.make_plan({**content, "leave_out": [name for name in rivals if name != "softtriple"]}, "few")
    assert list(few.methods) == ["softtriple"]
    many = plans.make_plan(content, "many")
    assert list(many.methods) == rivals
    assert many.points("softtriple") == few.points("softtriple")


def test_a_space_of_few_points_gives_all_of_them_once():
    assert points.draw_points({}, 8, "a") == [{}]
    both = points.draw_points({"flip": [False, True], "size": [1, 2]}, 4, "a")
    assert sorted(map(repr, both)) == sorted(repr({"flip": f, "size": s}) for f in (False, True) for s in (1, 2))
    narrow = {"centers": Range(2, 4, log=False, integer=True)}
    assert sorted(point["centers"] for point in points.draw_points(narrow, 8, "a")) == [2, 3, 4]
    some = points.draw_points({"flip": [False, True], "size": [1, 2, 3]}, 5, "a")
    assert len({repr(point) for point in some}) == len(some) == 5


@pytest.mark.bad_input
def test_no_points_are_refused():
    with pytest.raises(ValueError, match="draw_points: trials must be an integer >= 1; got 0"):
        points.draw_points(SPACE, 0, "softmax")
