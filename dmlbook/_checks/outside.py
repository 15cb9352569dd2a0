"""What lies outside the program: files' names, devices and memory."""

from __future__ import annotations

import os
from pathlib import PurePath

import torch

from dmlbook._checks.messages import bad_input, brief

LONGEST_NAME = 255
"""Bytes of a file's name, at most, on all common systems."""


def no_path(value: object) -> str:
    """Why no system could have a file of that name, in few words; empty where one could."""
    try:
        text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
        parts = PurePath(text).parts if isinstance(text, str) else None
        if parts is None:
            return brief(value)
        if "\0" in text:
            return "a name with a NUL"
        long = next((part for part in parts if len(os.fsencode(part)) > LONGEST_NAME), None)
        return "" if long is None else f"a name of {len(long)} letters"
    except (TypeError, ValueError):  # letters that no file's name can have
        return f"{value!a}, which no file can be called"


def is_path(value: object) -> bool:
    """Whether some system could have a file of that name."""
    return not no_path(value)


def is_device(value: object) -> bool:
    """Whether torch knows such devices; this machine may have none."""
    try:
        return isinstance(value, (str, torch.device)) and bool(torch.device(value).type)
    except RuntimeError:
        return False


def devices_here() -> list[str]:
    """The devices of this machine, as torch calls them."""
    there = ["cpu", *(f"cuda:{n}" for n in range(torch.cuda.device_count() if torch.cuda.is_available() else 0))]
    return [*there, "mps"] if torch.backends.mps.is_available() else there


def check_memory(numbers: float, of: str = "network", **sizes: float) -> None:
    """So many numbers of four bytes must fit into this machine's memory, or a terabyte where nobody can ask for it.

    The largest of the sizes, which are keyword arguments, is named.
    """
    try:
        memory = float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        memory = 2.0**40
    if 4 * numbers > memory:
        largest = max(sizes, key=sizes.get)
        got = f"{sizes[largest]:g}, which needs {4 * numbers / 1e9:.3g} GB of {memory / 1e9:.3g}"
        raise bad_input(largest, f"make a {of} that fits into memory", got, "Choose a smaller one.")
