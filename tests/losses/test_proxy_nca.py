"""Proxy-NCA with and without its own proxy in the denominator, and who else it is."""

import math

import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from torch.nn import functional as F
from torch.testing import assert_close

from dmlbook import geometry, losses
from tests.losses.loss_toys import CLASSES, SIZE, batch, build, pml_value_and_gradients


def test_with_its_own_proxy_it_equals_pytorch_metric_learning():
    ours = build("proxy_nca", scale=3.0, denominator="all")
    theirs = pml_losses.ProxyNCALoss(CLASSES, SIZE, softmax_scale=3.0).double()
    mine, other = pml_value_and_gradients(theirs, ours, *batch(1), lambda t, o: t.proxies.copy_(o.weight[0]))
    for a, b in zip(mine, other, strict=True):
        assert_close(a.squeeze(0), b, rtol=0, atol=1e-10)


def test_keeping_the_own_proxy_is_the_softplus_of_leaving_it_out():
    x, y = batch(2)
    for image in range(len(x)):
        apart = geometry.squared_distances(x[image : image + 1], x[:CLASSES])
        apart[apart == 0] = 0.5
        of_one = {
            kind: losses.proxy_nca_mean(apart, y[image : image + 1], denominator=kind) for kind in ("all", "others")
        }
        assert_close(of_one["all"], F.softplus(of_one["others"]), rtol=0, atol=1e-12)


def test_proxynca_plus_plus_is_normalized_softmax_of_twice_the_scale():
    proxies, softmax = build("proxy_nca", scale=9.0, denominator="all"), build("softmax", scale=18.0)
    with torch.no_grad():
        softmax.weight.copy_(proxies.weight)
    assert_close(proxies(*batch(3)), softmax(*batch(3)), rtol=0, atol=1e-12)


def test_without_its_own_proxy_the_pull_never_weakens():
    """The gradient at the own squared distance is 1 however close the image is; with it, it is 1 - p."""
    for near in (2.0, 0.1, 0.0):
        apart = torch.tensor([[near, 2.5, 3.0]], dtype=torch.float64, requires_grad=True)
        label = torch.tensor([0])
        (gradient,) = torch.autograd.grad(losses.proxy_nca_mean(apart, label), apart)
        assert float(gradient[0, 0]) == pytest.approx(1.0)
        (gradient,) = torch.autograd.grad(losses.proxy_nca_mean(apart, label, denominator="all"), apart)
        probability = float(torch.softmax(-apart, 1)[0, 0])
        assert float(gradient[0, 0]) == pytest.approx(1 - probability)


def test_without_a_scale_the_loss_of_a_hundred_classes_stays_near_guessing():
    corners, labels = geometry.simplex(100, 99).double(), torch.arange(100)
    apart = geometry.squared_distances(corners, corners)
    assert float(losses.proxy_nca_mean(apart, labels)) == pytest.approx(2.575, abs=1e-3)  # perfect
    assert float(losses.proxy_nca_mean(9 * apart, labels)) == pytest.approx(-13.6, abs=0.02)
    assert float(losses.proxy_nca_mean(torch.ones(1, 100), labels[:1])) == pytest.approx(math.log(99))  # guessing: 4.6


@pytest.mark.parametrize("classes", [55, 56])
def test_it_can_be_negative_only_for_few_classes(classes):
    apart = torch.full((1, classes), 4.0)  # as far as unit vectors can be from all other proxies, which is out of reach
    apart[0, 0] = 0.0
    assert (float(losses.proxy_nca_mean(apart, torch.tensor([0]))) < 0) == (classes == 55)


@pytest.mark.bad_input
def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"proxy_nca_mean: labels must lie in 0..1; got 0..2"):
        losses.proxy_nca_mean(torch.zeros(2, 2), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="denominator must be one of 'others', 'all'; got 'both'"):
        losses.proxy_nca_mean(torch.zeros(2, 2), torch.tensor([0, 1]), denominator="both")
    with pytest.raises(ValueError, match="squared_distances must have 2 columns or more; got 1"):
        losses.proxy_nca_mean(torch.zeros(2, 1), torch.tensor([0, 0]))
