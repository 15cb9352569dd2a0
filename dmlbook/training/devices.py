"""Where a run computes: a CPU, a GPU, several; full or mixed precision. Lightning Fabric places it.

Several devices share each batch: every one computes the embeddings of its part, all embeddings are gathered, and the
loss is computed on the whole batch everywhere. So triplets across devices count, batch norm measures the whole batch
(``shared_norm``), and N devices do what one would, up to rounding and to dropout, which each draws for its part.
They may belong to several machines: see ``notebooks/several_devices.md``.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from dmlbook._checks import at_least, bad_input, checked
from dmlbook._checks.outside import devices_here
from dmlbook._types import Float, Tensor
from dmlbook.training.processes import PARENT, Watch, check_launched, concatenated, launcher, silence_observer


@checked(devices=at_least(1), nodes=at_least(1))
@dataclass(frozen=True)
class Place:
    """Where to train, for ``fit``.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``. None: the first that this machine has of GPU and CPU; for
            ``Features``, where they lie.
        devices: How many of that kind, >= 1. More than one starts the present script once for each: from a file, not
            from a notebook. They share each batch, and the loss sees all of it. Where ``torchrun`` or SLURM has
            started the processes, it is the number on each machine, and nothing is started again.
        nodes: How many machines, >= 1, each with ``devices`` of that kind.

    Raises:
        ValueError: ``devices`` or ``nodes`` is out of range, more than one in a notebook, or not what ``torchrun`` or
            SLURM has started.

    Example:
        ``fit(net, loss, images, config, device=Place("cuda", devices=2))``
    """

    device: str | torch.device | None = None
    devices: int = 1
    nodes: int = 1

    def __post_init__(self) -> None:
        if self.devices * self.nodes > 1 and hasattr(sys, "ps1"):
            remedy = "Run a script, or: python -m dmlbook train --devices."
            got = self.devices if self.nodes == 1 else f"{self.devices} on {self.nodes} machines"
            raise bad_input("devices", "be 1 in a notebook or at a prompt", got, remedy)
        check_launched(self.devices, self.nodes)


@checked(count=at_least(1))
def check_device(device: str | torch.device, count: int = 1) -> torch.device:
    """The device, if this machine has ``count`` of it.

    Raises:
        ValueError: It has not; the message says what there is.
    """
    there, found = devices_here(), torch.device(device)
    name = str(found)
    if name not in there and not (name == "cuda" and len(there) > 1 and "cuda:0" in there) and name != "cpu:0":
        raise bad_input("device", "be one of this machine's", repr(name), f"It has {', '.join(there)}.")
    many = sum(each.startswith("cuda") for each in there) if found.type == "cuda" else 1
    if found.type != "cpu" and count > many:
        raise bad_input("devices", f"be at most {many} of {found.type}", count, f"This machine has {', '.join(there)}.")
    return found


def check_precision(precision: str, device: torch.device) -> None:
    """Raises where a kind of device does not compute in a precision.

    Raises:
        ValueError: The precision needs a GPU, or is none of the device's.
    """
    if precision == "16-mixed" and device.type == "cpu":
        remedy = "Pass bf16-mixed or 32-true, or train on a GPU."
        raise bad_input("config.precision", "not be 16-mixed on a CPU", repr(precision), remedy)
    if precision == "64-true" and device.type == "mps":
        raise bad_input("config.precision", "not be 64-true on mps", repr(precision), "Train on the CPU.")


class Devices:
    """This process's device, and what the processes have to say to one another.

    Args:
        device: Kind of device, or one of them.
        count: How many of that kind, >= 1; each is another process.
        precision: One of ``config.PRECISIONS``.
        nodes: Number of machines, >= 1.

    Attributes:
        device: Where this process computes.
        dtype: Of weights and inputs: float64 for ``64-true``, else float32.
        rank: Number of this process, 0 to ``world`` - 1.
        world: Number of processes.
        fabric: Lightning's, launched.
        own: Images of the present batch's part that are no filling.

    Raises:
        ValueError: The precision needs a GPU, or is none of the device's.
    """

    def __init__(self, device: torch.device, count: int, precision: str, nodes: int = 1):
        from lightning.fabric import Fabric  # takes seconds to import

        check_precision(precision, device)
        self.dtype = torch.float64 if precision == "64-true" else torch.float32
        one = [device.index] if device.index is not None else 1
        with _quiet():
            self.fabric = Fabric(
                accelerator=device.type,
                devices=one if count == 1 else count,
                num_nodes=nodes,
                strategy="auto" if count * nodes == 1 else "ddp",
                precision="32-true" if precision == "64-true" else precision,  # Fabric would round what leaves it
            )
            self._launch()
        self.device, self.rank, self.world = self.fabric.device, self.fabric.global_rank, self.fabric.world_size
        self.own = 0

    def _launch(self) -> None:
        self._watch, parent = None, os.environ.get(PARENT)  # of a process that Fabric has started
        if launcher() is None and parent is None:
            os.environ[PARENT] = str(os.getpid())
        try:
            self.fabric.launch()
        finally:
            if launcher() is None and parent is None:
                del os.environ[PARENT]
        children = getattr(getattr(self.fabric.strategy, "launcher", None), "procs", [])
        if children or (parent is not None and int(parent) == os.getppid()):
            self._watch = Watch(children, None if parent is None else int(parent))
            self._watch.start()
            silence_observer()

    def done(self) -> None:
        """The work is done: whoever has started this process may end first. Those it has started are watched on."""
        if self._watch is not None and self._watch.parent is not None:
            self._watch.over.set()

    def begin_batch(self, count: int) -> None:
        """The next batch has ``count`` images: batch norm measures this process's own of them from now on."""
        each = -(-count // self.world)
        self.own = min(max(count - self.rank * each, 0), each)

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

    def all_rows(self, part: Float[Tensor, "n D"], count: int) -> Float[Tensor, "N D"]:
        """What each process has made of its part of ``count`` rows, all of them in their order."""
        return part if self.world == 1 else concatenated(part.to(self.device), count, self.world)

    def mean(self, gradient: Tensor) -> Tensor:
        """The mean over all processes."""
        return gradient if self.world == 1 else self.fabric.all_reduce(gradient, reduce_op="mean")

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        if self.world == 1:
            return flag
        return bool(self.fabric.all_reduce(torch.tensor(float(flag), device=self.device), reduce_op="sum") > 0)

    def check_agreed(self, epoch: int, step: int) -> None:
        """Raises unless all processes begin at one place: on several machines they must see one folder.

        Raises:
            ValueError: Some do not.
        """
        own = f"epoch {epoch}, step {step}"
        first = own if self.world == 1 else self.fabric.broadcast(own)
        if self.any(first != own):
            remedy = "Put it on a disk that all machines share."
            raise bad_input("folder", "show all processes the same checkpoint", f"{own} here, {first} there", remedy)

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
