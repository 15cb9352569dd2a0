"""What may be asked of a value, wherever it is checked: by ``@checked`` at the door, or in a function's body."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from dmlbook._checks.messages import bad_input
from dmlbook._checks.shapes import Shape
from dmlbook._types import Tensor


class Range(NamedTuple):
    """Finite numbers (integers, where asked) in [low, high], or (low, high]."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    remedy: str = "Pass a number in that range."

    def check(self, name: str, value: object, *, integer: bool) -> None:
        low, high, open_low, remedy = self
        typed = isinstance(value, int if integer else (int, float)) and not isinstance(value, bool)
        inside = typed and math.isfinite(value) and (value > low if open_low else value >= low) and value <= high
        if not inside:
            noun = "an integer" if integer else "a finite number"
            above = "" if low == -math.inf else f" {'>' if open_low else '>='} {low:g}"
            below = "" if high == math.inf else f"{' and' if above else ''} <= {high:g}"
            raise bad_input(name, f"be {noun}{above}{below}", repr(value), remedy)


class Choice(NamedTuple):
    """One of a few values; a near miss is named."""

    choices: tuple

    def check(self, name: str, value: object) -> None:
        if value not in self.choices:
            near = difflib.get_close_matches(str(value), [str(c) for c in self.choices], n=1)
            remedy = f"Did you mean {near[0]!r}?" if near else "Choose one of them."
            raise bad_input(name, f"be one of {', '.join(map(repr, self.choices))}", repr(value), remedy)


def check_number(
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    integer: bool = False,
    remedy: str = Range._field_defaults["remedy"],
    **numbers: float,
) -> None:
    """Each keyword argument must be a finite number (an integer if asked) in [low, high], or (low, high]."""
    for name, value in numbers.items():
        Range(low, high, open_low, remedy).check(name, value, integer=integer)


def check_choice(*, choices: Iterable[str], **values: object) -> None:
    """Each keyword argument must be one of ``choices``; a near miss is named."""
    for name, value in values.items():
        Choice(tuple(choices)).check(name, value)


def check_shape(*, expected: str, remedy: str = "", **tensors: Tensor) -> None:
    """Each keyword argument must be a tensor with the axes that ``expected`` names, such as ``"B C K"``.

    A number in ``expected`` fixes that axis; a letter that recurs must have one size throughout the call.
    """
    shape, sizes = Shape(expected), {}
    for name, tensor in tensors.items():
        shape.check(name, tensor, sizes, remedy)


def check_batch(embeddings: Tensor, labels: Tensor, *, num_classes: int | None = None) -> None:
    """What no annotation says of rows (B, D) and their class numbers (B,).

    Rows are floating point, labels are integers, there is one at least, and they are on one device; labels are in
    [0, num_classes) if that is given.
    """
    if not embeddings.is_floating_point():
        raise bad_input("embeddings", "be floating point", embeddings.dtype, "Call .float() on them.")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise bad_input("labels", "be integers", labels.dtype, "Number the classes: labels.long().")
    if len(embeddings) == 0:
        raise bad_input("embeddings", "hold at least one row", "none", "Skip empty batches.")
    if embeddings.device != labels.device:
        got = f"embeddings on {embeddings.device} and labels on {labels.device}"
        raise bad_input("labels", "be on the embeddings' device", got, "Call labels.to(embeddings.device).")
    if num_classes is not None:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= num_classes:
            remedy = "Number the training classes from 0 (datasets.load does), or make the loss with more classes."
            raise bad_input("labels", f"lie in 0..{num_classes - 1}", f"{low}..{high}", remedy)


def check_unique(**sequences: Sequence) -> None:
    """Each keyword argument must hold no value twice."""
    for name, values in sequences.items():
        twice = sorted({repr(v) for v in values if list(values).count(v) > 1})
        if twice:
            raise bad_input(name, "hold no value twice", f"{', '.join(twice)} repeated", "Remove the copy.")
