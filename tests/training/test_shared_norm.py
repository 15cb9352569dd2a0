"""Batch norm over several processes: of one process's whole batch it is torch's, and what fills up is not measured."""

import copy

import pytest
import torch
from torch import nn

from dmlbook.training import shared_norm
from dmlbook.training.devices import Devices
from dmlbook.training.shared_norm import shared_statistics, summed


def _devices(*, world, own):
    devices = Devices.__new__(Devices)  # without starting processes
    devices.world, devices.own = world, own
    return devices


def _pair(momentum=0.1, affine=True):
    norm = nn.BatchNorm2d(3, momentum=momentum, affine=affine)
    if affine:
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.uniform_(norm.bias, -1, 1)
    return norm, copy.deepcopy(norm)


@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"affine": False}])
def test_of_a_whole_batch_it_is_torchs_batch_norm_and_what_fills_up_is_not_measured(monkeypatch, options):
    monkeypatch.setattr(shared_norm, "summed", lambda values: values)  # of one process
    ours, theirs = _pair(**options)
    images = torch.randn(5, 3, 4, 4) * 3 + 10
    filled = torch.cat([images, images[-1:]]).requires_grad_()
    alone, push = images.clone().requires_grad_(), torch.randn(5, 3, 4, 4)
    with shared_statistics(nn.Sequential(ours), _devices(world=2, own=5)):
        for _ in range(2):
            found = ours(filled)[:5]
            expected = theirs(alone)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        (found * push).sum().backward()
        (expected * push).sum().backward()
        torch.testing.assert_close(filled.grad[:5], alone.grad, atol=1e-5, rtol=1e-4)
        assert filled.grad[5].abs().max() == 0
        ours.eval()
        theirs.eval()
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=1e-5)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, atol=1e-5, rtol=1e-5)
    assert "forward" not in vars(ours)


def test_sums_are_over_all_processes(monkeypatch):
    monkeypatch.setattr("torch.distributed.nn.functional.all_reduce", lambda values: 2 * values)  # of two alike
    assert torch.equal(summed(torch.tensor([1.0, 3.0])), torch.tensor([2.0, 6.0]))


def test_one_process_and_frozen_statistics_are_left_alone(monkeypatch):
    norm = nn.BatchNorm1d(2)
    with shared_statistics(norm, _devices(world=1, own=0)):
        assert "forward" not in vars(norm)
    monkeypatch.setattr(shared_norm, "summed", None)  # not asked
    with shared_statistics(norm.eval(), _devices(world=2, own=0)):
        assert norm(torch.ones(3, 2)).shape == (3, 2)
    with pytest.raises(KeyError), shared_statistics(norm, _devices(world=2, own=0)):
        raise KeyError
    assert "forward" not in vars(norm)


def test_a_batch_norm_of_timm_keeps_its_activation(monkeypatch):
    layers = pytest.importorskip("timm.layers")
    monkeypatch.setattr(shared_norm, "summed", lambda values: values)
    ours = layers.BatchNormAct2d(3)
    theirs, images = copy.deepcopy(ours), torch.randn(5, 3, 4, 4)
    with shared_statistics(nn.Sequential(ours), _devices(world=2, own=5)):
        found, expected = ours(images), theirs(images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert float(found.detach().min()) == 0
