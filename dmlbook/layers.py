"""Layers that are torch's but for one thing: batch norms whose statistics stay, convolutions padded as TensorFlow's."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from dmlbook._checks import checked
from dmlbook._types import Tensor


@checked
def freeze_batch_norm(module: nn.Module, frozen: bool = True) -> nn.Module:
    """Fixes the running statistics of every batch norm inside; scale and shift still train.

    The papers do so on CUB and Cars. It outlasts ``module.train()``; ``frozen=False`` undoes it. The weights keep
    their names.

    Returns:
        The same module.
    """
    for norm in batch_norms(module):
        if isinstance(norm, _FixedStatistics) != frozen:
            plain = type(norm).__mro__[2] if not frozen else type(norm)
            was_training = module.training
            norm.__class__ = _fixed(plain) if frozen else plain
            norm.train(was_training)
    return module


@checked
def has_untrained_statistics(module: nn.Module) -> bool:
    """Whether it has batch norms and none of them has seen an image: frozen then, they would normalize nothing."""
    norms = [norm for norm in batch_norms(module) if norm.track_running_stats]
    return bool(norms) and all(bool((n.running_mean == 0).all() and (n.running_var == 1).all()) for n in norms)


class _FixedStatistics:
    """Marks batch norms that stay in evaluation mode."""

    def train(self, mode: bool = True):
        return super().train(False)

    def __reduce__(self):  # the class is made here and has no place where pickle and joblib would find it
        return _new_fixed, (type(self).__mro__[2],), self.__dict__


_FIXED: dict[type, type] = {}


def _fixed(plain: type) -> type:
    """The class of batch norms like ``plain`` whose statistics are fixed; made once, so that copies agree."""
    if plain not in _FIXED:
        _FIXED[plain] = type(f"Fixed{plain.__name__}", (_FixedStatistics, plain), {})
    return _FIXED[plain]


def _new_fixed(plain: type) -> nn.Module:
    return _fixed(plain).__new__(_fixed(plain))


def batch_norms(module: nn.Module) -> Iterable[_BatchNorm]:
    """All batch norms inside."""
    return (part for part in module.modules() if isinstance(part, _BatchNorm))


class _SameConv2d(nn.Conv2d):
    """A strided convolution that pads as TensorFlow's "SAME": half before, half after, the odd pixel after."""

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        down = max((-(-height // self.stride[0]) - 1) * self.stride[0] + self.kernel_size[0] - height, 0)
        across = max((-(-width // self.stride[1]) - 1) * self.stride[1] + self.kernel_size[1] - width, 0)
        padded = F.pad(images, [across // 2, across - across // 2, down // 2, down - down // 2])
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def pad_as_tensorflow(backbone: nn.Module) -> None:
    """Strided convolutions of a network pad as TensorFlow's do from now on."""
    for part in backbone.modules():
        if type(part) is nn.Conv2d and max(part.stride) > 1:
            part.__class__ = _SameConv2d
