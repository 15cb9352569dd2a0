"""Several processes of one run: who is the first, what a launcher says of them, and an end for all where one dies.

Fabric starts the processes of one machine. ``torchrun`` and SLURM start those of one machine or many themselves; then
nothing is launched again, and what they say must agree with what was asked for.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch

from dmlbook._checks import bad_input, speaker
from dmlbook._types import Float, Tensor

PARENT = "DMLBOOK_PARENT"
"""The process that started this one to share its run."""
LOOK_EVERY = 0.5  # seconds between two looks at the others
GRACE = 5.0  # seconds that a process waits for a clearer word on why the others are silent


@runtime_checkable
class Started(Protocol):
    """A process that was started, such as ``subprocess.Popen``."""

    def poll(self) -> int | None:
        """Its status; None while it runs."""

    def kill(self) -> None:
        """Ends it."""


class ProcessLost(ChildProcessError):
    """Another process of the run ended before its time."""


def launcher() -> str | None:
    """``torchrun`` or ``srun``, where one of them has started this process; None: nobody has."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return "torchrun"
    interactive = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    return "srun" if "SLURM_NTASKS" in os.environ and "SLURM_PROCID" in os.environ and not interactive else None


def first_process() -> bool:
    """Whether this is the first of the processes that share a run, or the only one: it alone writes and prints.

    It is known before they have found one another, from what their launcher says.
    """
    if (by := launcher()) is not None:
        return os.environ["RANK" if by == "torchrun" else "SLURM_PROCID"] == "0"
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "RANK", "NODE_RANK"))


def check_launched(devices: int, nodes: int) -> None:
    """Raises where a launcher has started another number of processes than the run is to have.

    Raises:
        ValueError: The message says how many were started, and what to pass.
    """
    if (by := launcher()) is None:
        return
    started = int(os.environ["WORLD_SIZE" if by == "torchrun" else "SLURM_NTASKS"])
    if started != devices * nodes:
        got = f"{devices} x {nodes} for the {started} processes that {by} has started"
        each = os.environ.get("LOCAL_WORLD_SIZE" if by == "torchrun" else "SLURM_NTASKS_PER_NODE", "")
        remedy = "Pass as many as it starts on each machine, and the number of machines."
        if each.isdigit() and int(each) > 0 and started % int(each) == 0:
            remedy = f"Pass devices={each}, nodes={started // int(each)}."
        raise bad_input("devices", "times nodes be the number of processes", got, remedy)
    if by == "srun" and started > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
        remedy = f"Give sbatch or srun --ntasks-per-node={devices} instead of --ntasks."
        raise bad_input("devices", "be what SLURM starts on each machine", "no number for each", remedy)


class Watch(threading.Thread):
    """Ends this process where another one of the run on this machine has died, which collectives may wait for in vain.

    Args:
        children: Processes that this one has started.
        parent: The process that has started this one; None: nobody's child.
    """

    def __init__(self, children: Sequence[Started] = (), parent: int | None = None):
        super().__init__(daemon=True, name="dmlbook-watch")
        self.children, self.parent, self.over = children, parent, threading.Event()
        self.speaker = speaker()  # of who starts it: in its own thread nobody has called anything

    def run(self) -> None:
        while (why := self.look()) is None and not self.over.wait(LOOK_EVERY):
            pass
        if why and not self.over.is_set():
            print(f"error: {lost(why, self.speaker)}", file=sys.stderr, flush=True)
            for child in self.children:
                child.kill()
            os._exit(1)

    def look(self) -> str | None:
        """Which process has died, and how; empty: all have ended well; None: they go on."""
        codes = [child.poll() for child in self.children]
        for number, code in enumerate(codes, start=1):
            if code:
                return f"process {number} of it ended with {f'signal {-code}' if code < 0 else f'status {code}'}"
        if self.parent is not None and os.getppid() != self.parent:
            return "the process that started it has ended"
        return "" if codes and all(code == 0 for code in codes) else None


def silence_observer() -> None:
    """Fabric's own watch over the processes it has started looks at none any more: it ends this one without a word."""
    for thread in threading.enumerate():
        if thread.name == "child-process-observer" and hasattr(thread, "_child_processes"):
            thread._child_processes = []


def lost(why: str, who: str | None = None) -> str:
    """What is said where a process of the run has died; by ``who``, or by who is running."""
    return (
        f"{who or speaker()}: the run cannot go on, since {why}. "
        "What was saved up to then is whole: the same command goes on from the last checkpoint, if there is one."
    )


@contextmanager
def together(world: int) -> Iterator[None]:
    """What torch says where another process is silent, said in one sentence.

    Raises:
        ProcessLost: Another process has died or does not answer.
    """
    try:
        yield
    except RuntimeError as error:
        if world == 1 or not _of_collectives(error):
            raise
        time.sleep(GRACE)  # a Watch that sees more ends the process meanwhile
        first = str(error).splitlines()[0][:120]
        raise ProcessLost(lost(f"another process of it does not answer ({first})")) from error


def _of_collectives(error: RuntimeError) -> bool:
    kinds = getattr(torch.distributed, "DistError", ())
    words = ("gloo", "nccl", "connection", "socket", "process group")
    return isinstance(error, kinds) or any(word in str(error).lower() for word in words)


def concatenated(part: Float[Tensor, "n D"], count: int, world: int) -> Float[Tensor, "N D"]:
    """All processes' rows, in the order of the processes, ``count`` of them; what only filled up is cut off."""
    parts = [torch.empty_like(part) for _ in range(world)]
    torch.distributed.all_gather(parts, part.contiguous())
    return torch.cat(parts)[:count]
