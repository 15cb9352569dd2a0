"""The next batches, made ready in a thread while the present step computes: read, pinned, and on their way to the GPU.

The order is that of the batches, and what is random in them depends on seed, epoch and step alone: a thread changes
when a batch is made, never what is in it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import numpy as np
import torch

from dmlbook._checks import speaker
from dmlbook._types import Int, Tensor

DEPTH = 2  # batches that are ready at most
LOOK_EVERY = 1.0  # seconds between two looks whether the thread still lives
Item, Ready = TypeVar("Item"), TypeVar("Ready")


class LoaderDied(ChildProcessError):
    """The thread that makes batches ready has ended without a word."""


@contextmanager
def ahead(
    prepare: Callable[[Item], Ready], items: Iterable[Item], *, device: torch.device, threaded: bool
) -> Iterator[Iterator[Ready]]:
    """What ``prepare`` makes of each item, in their order; with ``threaded``, two of them before they are asked for.

    Args:
        prepare: Called in another thread; what it puts on the GPU goes there beside the computation.
        items: One a batch.
        device: Where the batches are wanted.
        threaded: Whether a thread does it; else each is made when it is asked for.

    Raises:
        LoaderDied: The thread ended before it was done. Errors of ``prepare`` come as they are, in their batch's turn.
    """
    if not threaded:
        yield map(prepare, items)
        return
    worker = _Worker(prepare, items, device)
    worker.start()
    try:
        yield worker.results()
    finally:
        worker.close()


class _Worker(threading.Thread):
    def __init__(self, prepare: Callable, items: Iterable, device: torch.device):
        super().__init__(daemon=True, name="dmlbook-batches")
        self.prepare, self.items, self.device = prepare, items, device
        self.ready: queue.Queue = queue.Queue(DEPTH)
        self.stopped = threading.Event()
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def run(self) -> None:
        try:
            with nullcontext() if self.stream is None else torch.cuda.stream(self.stream):
                for item in self.items:
                    made = self.prepare(item)
                    event = None if self.stream is None else self.stream.record_event()
                    self._put((made, event, None))
                    if self.stopped.is_set():
                        return
            self._put((None, None, StopIteration()))
        except Exception as error:
            self._put((None, None, error))

    def _put(self, entry: tuple) -> None:
        while not self.stopped.is_set():
            try:
                return self.ready.put(entry, timeout=LOOK_EVERY)
            except queue.Full:
                continue

    def results(self) -> Iterator:
        while True:
            made, event, error = self._next()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            if event is not None:
                present = torch.cuda.current_stream(self.device)
                present.wait_event(event)
                for tensor in _tensors(made):
                    if tensor.is_cuda:
                        tensor.record_stream(present)
            yield made

    def _next(self) -> tuple:
        while True:
            alive = self.is_alive()  # asked first: what it left before its end is taken yet
            try:
                return self.ready.get(timeout=LOOK_EVERY if alive else 0.01)
            except queue.Empty:
                if not alive:
                    text = f"{speaker()}: the thread that reads the images has died."
                    raise LoaderDied(text) from None

    def close(self) -> None:
        self.stopped.set()
        if self.is_alive():
            self.join(timeout=10 * LOOK_EVERY)


def _tensors(made: object) -> Iterator[Tensor]:
    if isinstance(made, Tensor):
        yield made
    elif isinstance(made, tuple | list):
        for each in made:
            yield from _tensors(each)


def sent(values: Tensor, device: torch.device) -> Tensor:
    """The values on ``device``; a GPU is not waited for."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def rows(images: Tensor, index: Int[Tensor, " B"], device: torch.device) -> Tensor:
    """The images at ``index`` on ``device``, copied once in memory on their way from a mapped file to a GPU."""
    if images.device.type != "cpu" or device.type != "cuda":
        return images[sent(index, images.device)].to(device)
    held = torch.empty((len(index), *images.shape[1:]), dtype=images.dtype, pin_memory=True)
    np.take(images.numpy(), index.numpy(), axis=0, out=held.numpy(), mode="clip")  # lets go of the interpreter
    return held.to(device, non_blocking=True)
