"""Messages say what was expected, what came and what to do."""

import pytest
import torch

from dmlbook import _checks


def test_the_ends_of_a_closed_range_are_in_it_and_nothing_beyond():
    _checks.check_number("f", low=0, high=1, x=0, y=1)
    for beyond in (-1e-9, 1 + 1e-9):
        with pytest.raises(ValueError, match="f: x must be a finite number >= 0 and <= 1"):
            _checks.check_number("f", low=0, high=1, x=beyond)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _checks.check_number("f", low=0, x=-1), "f: x must be a finite number >= 0; got -1. Pass a number"),
        (
            lambda: _checks.check_number("f", low=0, high=1, open_low=True, x=0),
            "x must be a finite number > 0 and <= 1",
        ),
        (lambda: _checks.check_number("f", integer=True, x=True), "x must be an integer; got True"),
        (lambda: _checks.check_number("f", high=5, x=float("inf")), "x must be a finite number <= 5; got inf"),
        (lambda: _checks.check_unique("f", x=[3, 1, 3]), "f: x must hold no value twice; got 3 repeated. Remove"),
        (lambda: _checks.check_choice("f", choices=("left", "right"), side="lft"), "got 'lft'. Did you mean 'left'"),
        (
            lambda: _checks.check_shape("f", expected="B 3", x=torch.ones(2, 4)),
            r"x must .*\(B, 3\); got shape \(2, 4\)",
        ),
        (lambda: _checks.check_shape("f", expected="B B", x=torch.ones(2, 4)), r"\(B, B\); got shape \(2, 4\)"),
    ],
)
def test_messages_say_what_was_expected_what_came_and_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_letter_in_two_shapes_must_have_one_size():
    _checks.check_shape("f", expected="B D", x=torch.ones(2, 4), y=torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"y must be a tensor of shape \(B, D\); got shape \(3, 4\)"):
        _checks.check_shape("f", expected="B D", x=torch.ones(2, 4), y=torch.ones(3, 4))
