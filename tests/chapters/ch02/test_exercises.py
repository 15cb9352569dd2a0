"""Exercises of chapter 02: ten invented wrong answers each, values that hide no slope, overflow in every form."""

import math

import pytest
import torch
from torch.nn import functional as F

from dmlbook import chapters
from dmlbook.chapters.ch02 import loss_faults
from dmlbook.chapters.ch02.loss_exercises import LOSS_EXERCISES
from dmlbook.chapters.ch02.tight_exercise import TIGHT
from tests.chapters.ch02.answers import ANSWERS, LOGITS, LOSSES, NAIVE, UNSTABLE


def test_both_loss_exercises_judge_the_module_of_the_package_right():
    from dmlbook.losses import margin_cross_entropy

    def ours(x, w, y, scale):
        return margin_cross_entropy(F.normalize(x, dim=1) @ F.normalize(w, dim=1).T, y, scale=scale)

    for exercise in LOSS_EXERCISES:
        assert chapters.judge(exercise.id, ours).state == "right"


def test_each_fault_of_a_batch_loss_has_an_answer_that_makes_it():
    assert set(loss_faults.OF_LOGITS) == set(LOGITS)
    assert set(loss_faults.OF_LOSS) == {*LOSSES, "divided by the scale"}
    assert set(loss_faults.FINITE.split(", ")) <= {*LOGITS, *LOSSES} - set(NAIVE)
    x, w, y = torch.tensor([[2.0, 1.0], [-1.0, 0.5]]), torch.tensor([[1.0, 3.0], [2.0, -1.0]]), torch.tensor([1, 0])
    assert loss_faults.loss(x, w, y, 3.0) == pytest.approx(float(ANSWERS["2.1"]["solution"](x, w, y, 3.0)), abs=1e-6)
    assert chapters.judge("2.1", ANSWERS["2.1"]["overflow"]).message.endswith(loss_faults.OVERFLOW)
    assert TIGHT.id == "2.6"


def test_an_image_far_from_every_center_is_among_the_cases():
    """Whoever takes out one maximum for the whole batch leaves it only zeros."""
    x, w, _, scale = LOSS_EXERCISES[0].cases()[-1].arguments
    highest = scale * (F.normalize(x, dim=1) @ F.normalize(w, dim=1).T).amax(1)
    assert math.exp(highest.min() - highest.max()) == 0


def test_a_right_value_without_its_slope_is_wrong():
    solution = ANSWERS["2.1"]["solution"]

    def no_slope(x, w, y, scale):
        return solution(x.detach(), w, y, scale)

    verdict = chapters.judge("2.1", no_slope)
    assert verdict.state == "wrong"


@pytest.mark.parametrize("not_finite", [math.inf, -math.inf, math.nan])
def test_whatever_is_not_finite_is_called_overflow(not_finite):
    def naive(similarities, label, scale):
        if scale > 1e3 and similarities.min() < similarities.max():
            return torch.tensor(not_finite)
        return ANSWERS["2.3"]["solution"](similarities, label, scale)

    assert chapters.judge("2.3", naive).misconception == "overflow"


@pytest.mark.parametrize("id", ["2.1", "2.2"])
@pytest.mark.parametrize("words", UNSTABLE)
def test_what_overflows_opposite_the_own_center_is_told_so(id, words):
    """Violations near 2: whoever types (2.3) in passes wherever the own center is not far off."""
    found = chapters.judge(id, UNSTABLE[words]).misconception
    assert found == ("exponents cut off" if words == "violations cut at 700" else "overflow of the violations")


def test_written_as_printed_it_overflows_opposite_the_own_center_and_cut_off_it_is_no_longer_the_loss():
    w, y = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double(), torch.tensor([0])
    opposite, near = torch.tensor([[-1.0, 0.0]]).double(), torch.tensor([[0.6, 0.8]]).double()
    loss = math.log(1 + math.exp(0.8 - 0.6))
    for fault in (loss_faults.by_violations, loss_faults.cut_off):
        assert float(fault(near, w, y, 1.0)) == pytest.approx(loss)
    assert loss_faults.by_violations(opposite, w, y, 1000.0) == math.inf
    assert float(loss_faults.cut_off(opposite, w, y, 1000.0)) < 1000.0  # the loss is 1000
    for name, said in (
        ("overflow of the violations", loss_faults.OPPOSITE),
        ("exponents cut off", loss_faults.CUT_OFF),
    ):
        assert said in chapters.judge("2.1", ANSWERS["2.1"][name]).message
