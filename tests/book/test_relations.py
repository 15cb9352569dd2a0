"""A wrong answer's relation to the right one is named, and nothing is named where several would do."""

import math
from dataclasses import replace

import pytest
import torch

from dmlbook.book.exercises import Case, Exercise, NoSlope, judge, value_and_slopes
from dmlbook.book.relations import one_setting, relation

RIGHT = [torch.tensor([0.5, 2.0, 3.0]), torch.tensor([0.25, 4.0])]


@pytest.mark.parametrize(
    ("bent", "name", "words"),
    [
        (lambda x: -x, "a sign", "wrong sign"),
        (lambda x: 2 * x, "a factor", "2 times"),
        (lambda x: x / math.log(2), "a factor", "base 2"),
        (lambda x: x / math.log(10), "a factor", "base 10"),
        (lambda x: x + 0.75, "an offset", "+0.75 off"),
        (lambda x: len(x) * x, "a mean", "a sum over the examples"),
        (lambda x: x / len(x), "a mean", "once too often"),
        (lambda x: x**2, "a square", "the square"),
        (lambda x: x.sqrt(), "a root", "square root"),
        (lambda x: 1 - x, "one minus it", "1 minus"),
        (lambda x: 1 / x, "one over it", "1 divided"),
        (lambda x: x.exp(), "an exponential", "a logarithm is missing"),
        (lambda x: x.log(), "a logarithm", "It is the logarithm"),
        (lambda x: x.round(), "rounded", "whole numbers"),
        (lambda x: 0.98 * x, "its precision", "stopped too early"),
        (lambda x: x.flip(0), "its order", "opposite order"),
        (lambda x: x.roll(1), "its order", "order"),
        (lambda x: x[:, None], "its shape", "(3, 1) instead of (3,)"),
        (lambda x: torch.full_like(x, 7.0), "a constant", "It is 7 whatever"),
    ],
)
def test_one_relation_in_all_cases_is_named(bent, name, words):
    found = relation([bent(x) for x in RIGHT], RIGHT, [len(x) for x in RIGHT])
    assert found is not None
    assert found[0] == name
    assert words in found[1]


def test_signs_and_matrices():
    mixed = [torch.tensor([-1.0, 2.0, -3.0]), torch.tensor([4.0, -5.0])]
    assert relation([x.abs() for x in mixed], mixed)[0] == "its size alone"
    assert relation([x.clamp(min=0) for x in mixed], mixed)[0] == "cut at zero"
    square = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert relation([square.T], [square])[0] == "transposed"
    assert relation([2.0, 6.0], [1.0, 3.0]) == ("a factor", "Every number is 2 times the expected one.")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([2.0], [1.0]),  # of one number everything can be said
        ([2.0, 2.0], [1.0, 1.0]),
        ([torch.tensor([2.0, 5.0])], [torch.tensor([1.0, 3.0])]),
        (["a"], ["b"]),
        ([None], [1.0]),
        ([True, False], [False, True]),
        ([torch.ones(3)], [torch.ones(2)]),
        ([torch.tensor([math.nan, 1.0])], [torch.tensor([2.0, 1.0])]),
        ([2.0, 4.0], [1.0, 3.0 + 1e-2]),
    ],
)
def test_what_could_be_several_things_or_none_has_no_name(found, expected):
    assert relation(found, expected) is None


def test_a_number_that_is_nearly_right_has_the_right_shape():
    assert relation([1.278, 0.128, 0.256], [1.27846, 0.127846, 0.255692])[0] == "its precision"


def test_nearly_right_is_no_factor_and_knows_what_is_nearly_nothing():
    expected = [torch.tensor([1.0, 0.0, 3.0, 2.0]), torch.tensor([0.0, 2.5])]
    assert relation([one + 1.5e-4 for one in expected], expected)[0] == "its precision"
    assert relation([one + 0.0072 * (one == 0) for one in expected], expected)[0] == "its precision"
    assert relation([one + 0.1 * (one == 0) for one in expected], expected) is None


def test_a_mean_is_named_only_where_cases_differ_in_size():
    assert relation([3 * x for x in RIGHT], RIGHT, [3, 3])[0] == "a factor"
    assert relation([3 * x for x in RIGHT], RIGHT, [3, None])[0] == "a factor"


@pytest.mark.bad_input
def test_as_many_answers_as_expected():
    with pytest.raises(ValueError, match="found"):
        relation([1.0], [1.0, 2.0])


def squares(x):
    return (x**2).sum()


SLOPES = Exercise(
    "0.0",
    "squares",
    lambda: [
        Case((x,), value_and_slopes(squares, (x,)), f"case {x.tolist()}")
        for x in (torch.tensor([1.0, 3.0]), torch.tensor([2.0, 5.0, 1.0]))
    ],
    call=value_and_slopes,
)


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (lambda x: (x * x.detach()).sum(), "its slopes"),
        (lambda x: -(x**2).sum(), "a sign"),
        (lambda x: (x**2).mean(), "a mean"),
        (lambda x: (x**3).sum(), None),
        (squares, None),
    ],
)
def test_the_checker_says_it(answer, name):
    verdict = judge(SLOPES, answer)
    assert verdict.misconception == name
    assert verdict.state == ("right" if answer is squares else "wrong")


@pytest.mark.parametrize("answer", [lambda x: 3.0, lambda x: (x**2).sum().detach(), lambda x: x**2])
def test_what_has_no_slope_is_an_error_with_a_name(answer):
    verdict = judge(SLOPES, answer)
    assert (verdict.state, verdict.misconception) == ("error", "no slope")
    assert "raised NoSlope: return a tensor that holds one number and was computed from the first" in verdict.message
    assert judge(SLOPES, lambda x: x.no_such_thing).misconception is None
    with pytest.raises(NoSlope, match="return a tensor"):
        value_and_slopes(answer, (torch.ones(2),))


def test_any_call_that_says_so_is_told_its_slopes():
    def call(function, arguments):
        return value_and_slopes(function, arguments) * 1.0

    task = replace(SLOPES, call=call)

    def detached(x):
        return (x * x.detach()).sum()

    assert judge(task, detached).misconception != "its slopes"
    call.slopes = True
    assert judge(task, detached).misconception == "its slopes"


@pytest.mark.parametrize(
    ("right", "arguments", "said"),
    [
        ([True, True, False, False], [("x", 1), ("x", 1), ("x", 2), ("x", 3)], "`k` is 1"),
        ([True, False, False], [("x", 1), ("x", 2), ("x", 3)], None),  # by chance
        ([True, True, False], [("x", 1), ("x", 1), ("x", 3)], None),  # what is wrong may be so for another reason
        ([True, False, True, False], [("x", 1), ("x", 2), ("x", 3), ("x", 4)], None),  # right for two values
        ([True, True, False, False], [("x", 1), ("x", 1), ("x", 1), ("x", 2)], None),  # right and wrong for the same
        ([True, True, False, False], [("x", 1), ("x", 1), ("y", 2), ("z", 3)], None),  # two arguments tell them apart
        ([False, False, False], [("x", 1), ("x", 2), ("x", 3)], None),
        ([True, True, False, False], [(torch.ones(2), v) for v in (0.5, 0.5, 0.25, 1.0)], "`k` is 0.5"),
    ],
)
def test_an_answer_right_for_one_setting_alone_is_told_which(right, arguments, said):
    found = one_setting(right, arguments, ["x", "k"])
    assert (found is None) if said is None else (found[0] == "one setting" and f"where {said}, and" in found[1])


@pytest.mark.bad_input
def test_each_case_is_right_or_wrong():
    with pytest.raises(ValueError, match="right"):
        one_setting([True], [(1,), (2,)])


def test_the_checker_tells_a_setting_that_is_held_fixed():
    cases = [Case((x, k), x + k**2, f"{x}, {k}") for x, k in ((1.0, 2), (2.0, 3), (5.0, 2), (4.0, 7))]
    verdict = judge(Exercise("0.0", "a probe", lambda: cases), lambda x, power: x + 4)
    assert (verdict.misconception, verdict.state) == ("one setting", "wrong")
    assert verdict.message.endswith("It is right where `power` is 2, and nowhere else: what should `power` change?")
