"""Layers that are torch's but for one thing."""

import pytest
from torch import nn

from dmlbook import layers, nets


def test_batch_norms_of_every_dimension_are_found_and_nothing_else():
    norms = [nn.BatchNorm1d(2), nn.BatchNorm2d(2), nn.BatchNorm3d(2)]
    assert (
        list(layers.batch_norms(nn.Sequential(norms[0], nn.ReLU(), nn.Sequential(*norms[1:]), nn.LayerNorm(2))))
        == norms
    )


def test_strided_convolutions_alone_are_padded_anew():
    net = nn.Sequential(nn.Conv2d(3, 3, 3, stride=2), nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3, stride=(1, 2)))
    layers.pad_as_tensorflow(net)
    assert [type(part) is nn.Conv2d for part in net] == [False, True, False]


def test_a_layer_that_is_fixed_twice_is_fixed_once():
    norm = nn.BatchNorm2d(2)
    once = type(nets.freeze_batch_norm(norm))
    assert type(nets.freeze_batch_norm(norm)) is once
    assert once.__name__ == "FixedBatchNorm2d"


@pytest.mark.bad_input
@pytest.mark.parametrize(("given", "named"), [([], "list"), (nn.Linear, "the class Linear"), (None, "None")])
def test_what_is_no_module_is_named(given, named):
    with pytest.raises(ValueError, match=f"freeze_batch_norm: module must be a torch.nn.Module; got {named}. Pass the"):
        layers.freeze_batch_norm(given)
