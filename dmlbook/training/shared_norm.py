"""Batch norm over a batch that several processes share: its statistics are those of the whole batch, on every device.

torch's ``SyncBatchNorm`` computes on GPUs alone, and would measure twice what only fills up a process's part.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dmlbook._types import Tensor
from dmlbook.training.devices import Devices


@contextmanager
def shared_statistics(net: nn.Module, devices: Devices) -> Iterator[None]:
    """Batch norms of ``net`` measure all processes' parts together as long as the block lasts; one process, nothing."""
    norms = [part for part in net.modules() if isinstance(part, _BatchNorm) and not isinstance(part, nn.SyncBatchNorm)]
    norms = [norm for norm in norms if devices.world > 1 and "forward" not in vars(norm)]
    for norm in norms:
        norm.forward = partial(_forward, norm, devices)
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def summed(values: Tensor) -> Tensor:
    """The sum over all processes, with gradients."""
    from torch.distributed.nn.functional import all_reduce  # which some builds of torch lack

    return all_reduce(values)


def _forward(norm: _BatchNorm, devices: Devices, inputs: Tensor) -> Tensor:
    if not norm.training:
        return type(norm).forward(norm, inputs)
    axes, shape = [0, *range(2, inputs.ndim)], [1, -1, *[1] * (inputs.ndim - 2)]
    exact = torch.promote_types(inputs.dtype, torch.float32)
    measured = inputs[: devices.own].to(exact)
    size = measured.new_full((1,), measured.numel() / inputs.shape[1])
    sums = summed(torch.cat([measured.sum(axes), size]))
    count = sums[-1].detach()
    mean = sums[:-1] / count
    variance = summed((measured - mean.view(shape)).square().sum(axes)) / count
    if norm.track_running_stats:
        with torch.no_grad():
            norm.num_batches_tracked += 1
            share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
            norm.running_mean.lerp_(mean.detach(), share)
            norm.running_var.lerp_(variance.detach() * count / (count - 1), share)
    scale = (variance + norm.eps).rsqrt()
    outputs = (inputs.to(exact) - mean.view(shape)) * scale.view(shape)
    if norm.affine:
        outputs = outputs * norm.weight.view(shape) + norm.bias.view(shape)
    outputs = outputs.to(inputs.dtype)
    for after in ("drop", "act"):  # what timm's batch norms end in
        if isinstance(getattr(norm, after, None), nn.Module):
            outputs = getattr(norm, after)(outputs)
    return outputs
