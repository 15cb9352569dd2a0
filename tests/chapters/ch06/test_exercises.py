"""Exercises of chapter 06 that look at more than a value: at the gradient of what a learner wrote, and at overflow."""

import pytest
import torch

from dmlbook import chapters, losses
from dmlbook.book.exercises import value_and_slopes

EXERCISE = chapters.exercises("06")["6.1"]


def right(similarities, labels, scale, margin):
    return losses.proxy_anchor_loss(similarities, labels, scale=scale, margin=margin)


def test_a_right_value_with_a_wrong_gradient_is_wrong():
    def frozen(similarities, labels, scale, margin):
        return right(similarities, labels, scale, margin).detach() + 0 * similarities.sum()

    assert chapters.judge("6.1", right).state == "right"
    verdict = chapters.judge("6.1", frozen)
    assert (verdict.state, verdict.misconception) == ("wrong", "its slopes")
    assert "the value, then its slopes" in verdict.message


def test_value_and_slopes_of_a_product_by_hand():
    found = value_and_slopes(lambda x, factor: factor * x[0] * x[1], (torch.tensor([2.0, 5.0]), 3.0))
    assert found.tolist() == [30.0, 15.0, 6.0]


@pytest.mark.parametrize(
    "overflow", [lambda x: x.exp().sum(), lambda x: (x.exp() * 0).sum(), lambda x: (0 * x).sqrt().sum()]
)
def test_whatever_is_not_finite_looks_alike(overflow):
    found = value_and_slopes(overflow, (torch.tensor([0.0, 1000.0]),))
    assert found.shape == (3,)
    assert found.isnan().all()


def test_an_answer_without_a_gradient_is_told_so():
    verdict = chapters.judge("6.1", lambda *arguments: right(*arguments).item())
    assert verdict.state == "error"
    assert "return a tensor that holds one number" in verdict.message
    assert value_and_slopes(lambda x: None, (torch.ones(1),)) is None


def test_the_learners_tensor_is_not_changed_by_the_check():
    before = EXERCISE.cases()[0].arguments[0].clone()
    value_and_slopes(lambda x: x.sum(), (before,))
    assert not before.requires_grad


def test_the_planted_bug_is_never_below_log_2_and_the_mended_one_is():
    bugged = chapters.exercises("06")["6.2"].misconceptions["the bug itself"].wrong
    far = 10 * torch.eye(3)
    assert float(bugged(far, far)) == pytest.approx(0.6931, abs=1e-4)
    assert float(losses.npairs_mean(far @ far.T)) == pytest.approx(0.0, abs=1e-6)
