"""Memory that a step frees, kept for the next one: on a CPU, the system's allocator gives it back and asks again.

Every step of a network needs the same large blocks. The GNU C library asks the system for each of them anew, and the
system clears every page before it hands it out. With a MobileNetV2 on pictures of 160 pixels that was a third of the
time of a step; ``python -m dmlbook bench`` measures it on your machine.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from dmlbook._checks import checked

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # of malloc.h
MiB = 2**20
KEEP = {MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1}
USUAL = {MMAP_MAX: 65536, MMAP_THRESHOLD: 32 * MiB, TRIM_THRESHOLD: 64 * MiB}
"""Where the library's own adaption ends after blocks of such sizes; see mallopt(3)."""
OF_THE_USER = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")

_inside, _lock = 0, threading.Lock()


@contextmanager
@checked
def keeping_freed(device: str | torch.device) -> Iterator[None]:
    """Within it the process keeps what it frees; afterwards it gives back what is free. Nothing computed changes.

    It does nothing on a GPU, with another C library, or where one of the environment's variables in ``OF_THE_USER``
    says that somebody has chosen an allocator or its settings.

    Args:
        device: Where the work is done.

    Example:
        ``with keeping_freed("cpu"): net(images).sum().backward()``
    """
    global _inside
    library = _library() if torch.device(device).type == "cpu" else None
    if library is None:
        yield
        return
    with _lock:
        _inside += 1
        if _inside == 1:
            _set(library, KEEP)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _set(library, USUAL)
                library.malloc_trim(0)


def _set(library: ctypes.CDLL, values: dict[int, int]) -> None:
    for name, value in values.items():
        library.mallopt(name, value)


@cache
def _library() -> ctypes.CDLL | None:
    """The GNU C library of this process, where it is the one that allocates."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in OF_THE_USER):
        return None
    return ctypes.CDLL(None)
