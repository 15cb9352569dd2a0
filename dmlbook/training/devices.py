"""Where a run computes: a CPU, a GPU, several; full or mixed precision. Lightning Fabric places it.

Several devices share each batch: every one computes the embeddings of its part, all embeddings are gathered, and the
loss is computed on the whole batch everywhere. So triplets across devices count, batch norm measures the whole batch
(``shared_norm``), and N devices do what one would, up to rounding and to dropout, which each draws for its part.
"""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from dmlbook._checks import at_least, bad_input, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.sampling import places


@checked(devices=at_least(1))
@dataclass(frozen=True)
class Place:
    """Where to train, for ``fit``.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``. None: the first that this machine has of GPU and CPU; for
            ``Features``, where they lie.
        devices: How many of that kind, >= 1. More than one starts the present script once for each: from a file, not
            from a notebook. They share each batch, and the loss sees all of it.

    Raises:
        ValueError: ``devices`` is out of range, or more than one in a notebook.

    Example:
        ``fit(net, loss, images, config, device=Place("cuda", devices=2))``
    """

    device: str | torch.device | None = None
    devices: int = 1

    def __post_init__(self) -> None:
        if self.devices > 1 and hasattr(sys, "ps1"):
            remedy = "Run a script, or: python -m dmlbook train --devices."
            raise bad_input("devices", "be 1 in a notebook or at a prompt", self.devices, remedy)


class Devices:
    """This process's device, and what the processes have to say to one another.

    Args:
        device: Kind of device, or one of them.
        count: How many of that kind, >= 1; each is another process.
        precision: One of ``config.PRECISIONS``.

    Attributes:
        device: Where this process computes.
        rank: Number of this process, 0 to ``world`` - 1.
        world: Number of processes.
        fabric: Lightning's, launched.
        own: Images of the present batch's part that are no filling.

    Raises:
        ValueError: The precision needs a GPU.
    """

    def __init__(self, device: torch.device, count: int, precision: str):
        from lightning.fabric import Fabric  # takes seconds to import

        if precision == "16-mixed" and device.type == "cpu":
            remedy = "Pass bf16-mixed or 32-true, or train on a GPU."
            raise bad_input("config.precision", "not be 16-mixed on a CPU", repr(precision), remedy)
        one = [device.index] if device.index is not None else 1
        with _quiet():
            self.fabric = Fabric(
                accelerator=device.type,
                devices=one if count == 1 else count,
                strategy="auto" if count == 1 else "ddp",
                precision=precision,
            )
            self.fabric.launch()
        self.device, self.rank, self.world = self.fabric.device, self.fabric.global_rank, self.fabric.world_size
        self.own = 0

    def part(self, count: int) -> Int[Tensor, " b"]:
        """The places in a batch of ``count`` that this process takes."""
        each = -(-count // self.world)
        self.own = min(max(count - self.rank * each, 0), each)
        return places(count, self.rank, self.world)

    def seed(self, number: int) -> None:
        """Sets torch's own generators, of the CPU and of this device.

        ``torch.manual_seed`` goes round every kind of device that torch knows, which can take longer than a small step.
        """
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":
            torch.cuda.manual_seed_all(number)
        elif self.device.type != "cpu":
            getattr(torch, self.device.type).manual_seed(number)

    def gathered(self, embeddings: Float[Tensor, "b D"], count: int) -> Float[Tensor, "B D"]:
        """All processes' embeddings, with gradients, in the batch's order; what only filled up is cut off."""
        if self.world == 1:
            return embeddings
        return self.fabric.all_gather(embeddings, sync_grads=True).flatten(0, 1)[:count]

    def mean(self, gradient: Tensor) -> Tensor:
        """The mean over all processes."""
        return gradient if self.world == 1 else self.fabric.all_reduce(gradient, reduce_op="mean")

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        if self.world == 1:
            return flag
        return bool(self.fabric.all_reduce(torch.tensor(float(flag), device=self.device), reduce_op="sum") > 0)

    def agreed(self, value: float) -> float:
        """The first process's number, in all of them."""
        return value if self.world == 1 else self.fabric.broadcast(value)


@contextmanager
def _quiet():
    """Fabric's notes on devices and processes are kept from the reader; errors still come."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("fabric", "pytorch")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
