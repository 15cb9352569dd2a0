"""Proxy-Anchor: the proxy asks, the batch answers."""

import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from torch.testing import assert_close

from dmlbook import losses
from tests.losses.loss_toys import CLASSES, SIZE, batch, build, pml_value_and_gradients


@pytest.mark.parametrize("absent", [False, True])
def test_it_equals_pytorch_metric_learning_absent_classes_too(absent):
    ours = build("proxy_anchor", scale=8.0, margin=0.2)
    theirs = pml_losses.ProxyAnchorLoss(CLASSES, SIZE, margin=0.2, alpha=8.0).double()
    x, y = batch(1)
    y = y.clamp(max=1) if absent else y
    mine, other = pml_value_and_gradients(theirs, ours, x, y, lambda t, o: t.proxies.copy_(o.weight[0]))
    for a, b in zip(mine, other, strict=True):
        assert_close(a.squeeze(0), b, rtol=0, atol=1e-10)


def test_an_image_is_weighed_against_the_others_of_its_proxy():
    """The same image is pulled harder the better the others of its class already are: relative hardness."""
    label = torch.tensor([0, 0])
    pulls = {}
    for other in (0.9, -0.9):
        similarities = torch.tensor([[0.2, 0.0], [other, 0.0]], dtype=torch.float64, requires_grad=True)
        value = losses.proxy_anchor_loss(similarities, label, scale=4.0)
        (gradient,) = torch.autograd.grad(value, similarities)
        pulls[other] = -float(gradient[0, 0])
    assert pulls[0.9] > 2 * pulls[-0.9] > 0


def test_a_proxy_without_images_is_pushed_and_not_pulled():
    similarities = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(losses.proxy_anchor_loss(similarities, torch.zeros(3).long()), similarities)
    assert (gradient[:, 0] < 0).all()
    assert (gradient[:, 1:] > 0).all()


def test_it_does_not_overflow_where_the_papers_exponentials_would():
    value = losses.proxy_anchor_loss(torch.full((2, 3), -1.0), torch.tensor([0, 1]), scale=1000.0)
    assert 1000 < float(value) < 1200
    half = losses.ProxyAnchor(num_classes=CLASSES, embedding_size=SIZE)(batch(2)[0].half(), batch(2)[1])
    assert torch.isfinite(half)


@pytest.mark.bad_input
def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"proxy_anchor_loss: labels must lie in 0..1; got 0..2"):
        losses.proxy_anchor_loss(torch.zeros(2, 2), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="scale must be a finite number > 0; got 0"):
        losses.proxy_anchor_loss(torch.zeros(2, 2), torch.tensor([0, 1]), scale=0)
