"""Normalized SoftMax, and the cross-entropy with a margin."""

import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from torch.testing import assert_close

from dmlbook import losses
from tests.losses.loss_toys import CLASSES, SIZE, batch, build, pml_value_and_gradients


def test_normalized_softmax_equals_pytorch_metric_learning():
    ours = build("softmax", scale=20.0)
    theirs = pml_losses.NormalizedSoftmaxLoss(CLASSES, SIZE, temperature=1 / 20.0).double()
    x, y = batch(1)
    mine, other = pml_value_and_gradients(theirs, ours, x, y, lambda t, o: t.W.copy_(o.weight[0].T))
    assert_close(mine[0], other[0], rtol=0, atol=1e-10)
    assert_close(mine[1], other[1], rtol=0, atol=1e-10)
    assert_close(mine[2][0].T, other[2], rtol=0, atol=1e-10)


def test_cross_entropy_takes_scale_20_and_no_margin_unless_told():
    x, y = batch(1)
    similarities = x[:, :CLASSES] / 9
    expected = losses.margin_cross_entropy(similarities, y, scale=20.0, margin=0.0)
    assert_close(losses.margin_cross_entropy(similarities, y), expected, rtol=0, atol=0)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.margin_cross_entropy(torch.zeros(3), torch.zeros(3).long()), r"shape \(B, C\)"),
        (
            lambda: losses.margin_cross_entropy(torch.zeros(3, 2), torch.zeros(3, 2).long()),
            r"labels must be a tensor of shape \(B,\)",
        ),
        (
            lambda: losses.margin_cross_entropy(torch.zeros(3, 2), torch.zeros(3).long(), scale=0),
            "margin_cross_entropy: scale must be a finite number > 0; got 0",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
