"""The checks of chapter 01's losses: what differs only off the sphere is right, and no rounding decides a case."""

import pytest
import torch
from torch.nn import functional as F

from dmlbook import chapters
from dmlbook.chapters.ch01.faults import HARDEST_FAULTS, HIDE, MINING_FAULTS, NOT_A_NUMBER
from dmlbook.chapters.ch01.triplet_exercises import _along_circle
from tests.chapters.ch01.answers import ANSWERS, hardest, mined, squared

FORMS = {
    "differences": squared,
    "cosines": lambda x: 2 - 2 * x @ x.T,
    "normalized again": lambda x: squared(F.normalize(x, dim=1)),
    "cosines, normalized again": lambda x: 2 - 2 * F.normalize(x, dim=1) @ F.normalize(x, dim=1).T,
    "float32": lambda x: squared(x.float()),
}


def hardest_of(x, y, margin, apart):
    same = y[:, None] == y
    far = apart(x).masked_fill(~same, -9).max(1).values
    return F.relu(far - apart(x).masked_fill(same, 9).min(1).values + margin).mean()


@pytest.mark.parametrize("form", FORMS)
def test_answers_that_differ_only_off_the_sphere_or_by_rounding_are_right(form):
    for id, loss in {"1.5": mined, "1.6": hardest_of}.items():
        verdict = chapters.judge(id, lambda x, y, margin, loss=loss: loss(x, y, margin, apart=FORMS[form]))
        assert verdict.state == "right", verdict


def test_every_mistake_has_an_example_and_is_told_in_sentences():
    for id, faults in {"1.5": MINING_FAULTS, "1.6": HARDEST_FAULTS}.items():
        assert {"solution", *faults} == ANSWERS[id].keys()
        assert all(message[0].isupper() and message.endswith(".") for message in faults.values())
        assert faults["not a number"] == NOT_A_NUMBER
    assert sum(HIDE in message for message in HARDEST_FAULTS.values()) == 3


def test_slopes_along_the_circle_are_those_of_the_angles():
    x, y = chapters.exercises()["1.6"].cases()[1].arguments[:2]
    angles = torch.atan2(x[:, 1], x[:, 0]).requires_grad_()
    value = hardest(torch.stack([angles.cos(), angles.sin()], 1), y, 0.2)
    (slopes,) = torch.autograd.grad(value, angles)
    assert slopes.abs().min() > 0.05
    torch.testing.assert_close(_along_circle(hardest, (x, y, 0.2)), torch.cat([value.detach()[None], slopes]))
    assert _along_circle(lambda *_: None, (x, y, 0.2)) is None


def test_no_two_distances_of_an_anchor_are_nearly_equal_but_where_the_case_says_so():
    cases = [*chapters.exercises()["1.5"].cases(), *chapters.exercises()["1.6"].cases()]
    ties = [case.text for case in cases if squared(case.arguments[0]).sort().values.diff()[:, 1:].min() < 0.005]
    for said, text in zip(("exactly as far as the positive", "exactly on its anchor"), ties, strict=True):
        assert said in text


def test_some_case_has_a_closest_negative_beyond_two_and_some_lose_and_win():
    closest, winning = [], []
    for case in chapters.exercises()["1.6"].cases():
        x, y, margin = case.arguments
        same = y[:, None] == y
        near = squared(x).masked_fill(same, 9).amin(1)
        closest.append(float(near.max()))
        gaps = squared(x).masked_fill(~same, 0).amax(1) - near + margin
        assert gaps.max() > 0.05
        winning.append(float(gaps.mean()))
    assert max(closest) > 3
    assert min(winning) < -0.03
