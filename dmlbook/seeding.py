"""Randomness by name: every generator is made from one seed and what it is for, so no draw shifts another."""

from __future__ import annotations

import hashlib

import torch

from dmlbook._checks import checked

SEED = 20190811
"""The book's seed. Repetitions use SEED, SEED + 1, ..."""


@checked
def named_seed(seed: int, *names: object) -> int:
    """A 63-bit seed from ``seed`` and what it is for; the same on every machine, in every process.

    Example:
        >>> named_seed(1, "sampler") == named_seed(1, "sampler"), named_seed(1, "sampler") == named_seed(2, "sampler")
        (True, False)
    """
    text = "\0".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


@checked
def generator(seed: int, *names: object, device: str | torch.device = "cpu") -> torch.Generator:
    """A torch generator for one purpose, such as ``generator(SEED, "sampler")``.

    Args:
        seed: Any integer.
        names: What the numbers are for; several words make a path: ``generator(SEED, "epoch", 3)``.
        device: Where tensors will be drawn. The same seed gives other numbers on other kinds of device.
    """
    return torch.Generator(device=device).manual_seed(named_seed(seed, *names))
