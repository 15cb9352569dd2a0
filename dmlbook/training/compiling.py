"""``torch.compile`` for the network in training: what it needs is asked first; nothing that is saved knows of it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dmlbook._checks import bad_input
from dmlbook.training.config import TrainConfig


def check_compile(net: nn.Module, config: TrainConfig, device: torch.device, processes: int) -> None:
    """Raises where the network cannot be compiled here; a function of one line is compiled to see.

    Raises:
        ValueError: There is no compiler, or batch norms measure what several processes share.
    """
    if not config.compile:
        return
    live = not config.freeze_batch_norm and any(isinstance(part, _BatchNorm) for part in net.modules())
    if live and processes > 1:
        remedy = "Their batch norms measure together: pass freeze_batch_norm=True, or compile=False."
        raise bad_input("config.compile", "be False with several processes that share batch norm", True, remedy)
    try:
        torch.compile(lambda values: values + 1)(torch.ones(2, device=device))
    except Exception as error:  # each of dynamo's back ends has errors of its own
        words = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        remedy = "A GPU needs triton, a CPU a C++ compiler such as g++: install it, or pass compile=False."
        raise bad_input("config.compile", "find a compiler", words[0][:120], remedy) from error


def compiled(net: nn.Module, config: TrainConfig) -> nn.Module:
    """The network as ``config.compile`` asks for it, sharing all weights with ``net``, whose names stay.

    Shapes are fixed: an epoch has two at most, of its full batches and of the last one, and each is compiled once.
    """
    return torch.compile(net, dynamic=False) if config.compile else net
