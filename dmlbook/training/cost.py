"""What a piece of work costs: its seconds, and the most memory that it held, of the process and on the GPU."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dmlbook._checks import checked

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@contextmanager
@checked
def measured(device: str | torch.device) -> Iterator[dict[str, float]]:
    """What is done within the block, as ``Record.add`` takes it; filled when the block ends without an error.

    Args:
        device: Where the work is done.

    Yields:
        ``seconds`` (wall clock), ``peak_gb`` (the most that this process held, in 10^9 bytes; of its whole life where
        the system cannot count anew, and missing where it does not count), and on a CUDA device ``gpu_peak_gb``.

    Example:
        ``with measured("cpu") as cost: figures = ...`` and then ``record.add(seed, figures, **cost)``
    """
    device, cost = torch.device(device), {}
    _reset(device)
    start = time.perf_counter()
    yield cost
    cost["seconds"] = time.perf_counter() - start
    cost |= _peaks(device)


def _reset(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    if sys.platform == "linux" and RESET.exists():
        try:
            RESET.write_text("5")
        except OSError:  # a system that allows nobody to ask: the peak is that of the whole process
            return


def _peaks(device: torch.device) -> dict[str, float]:
    found = {}
    if STATUS.exists() and (line := re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())):
        found["peak_gb"] = round(1024 * int(line[1]) / 1e9, 3)
    if device.type == "cuda":
        found["gpu_peak_gb"] = round(torch.cuda.max_memory_allocated(device) / 1e9, 3)
    return found
