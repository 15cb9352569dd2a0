"""What may be asked of a value, wherever it is checked: by ``@checked`` at the door, or in a function's body."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import NamedTuple

import numpy as np
import torch

from dmlbook._checks.kinds import is_finite, is_integer
from dmlbook._checks.messages import bad_input, brief
from dmlbook._checks.shapes import INTEGERS, Shape
from dmlbook._types import Tensor


class Range(NamedTuple):
    """Finite numbers (integers, where asked) in [low, high], its ends left out where they are open."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    remedy: str = "Pass a number in that range."
    open_high: bool = False

    def check(self, name: str, value: object, *, integer: bool) -> None:
        typed = is_integer(value) if integer else is_finite(value)
        if not (typed and self._holds(value)):
            noun = "an integer" if integer else "a finite number"
            long = " of at most 64 bits" if integer and not typed and isinstance(value, (int, np.integer)) else ""
            long = "" if isinstance(value, (bool, np.bool_)) else long
            raise bad_input(name, f"be {noun}{self.words}{long}", brief(value), self.remedy)

    def check_each(self, name: str, values: object, *, integer: bool) -> None:
        """The same of each number of a tensor, or of a sequence or a mapping of numbers and of others of the three."""
        if isinstance(values, Tensor):
            if not self._holds_all(values):
                flat = values.detach().flatten().tolist()
                place, value = next((place, v) for place, v in enumerate(flat) if not self._holds(v))
                rule = f"hold {'integers' if integer else 'finite numbers'}{self.words}"
                where = f"{value} at {tuple(map(int, np.unravel_index(place, values.shape)))}"
                raise bad_input(name, rule, where, self.remedy)
            return
        for place, value in values.items() if isinstance(values, Mapping) else enumerate(values):
            nested = isinstance(value, (Tensor, Mapping, Sequence)) and not isinstance(value, str)
            (self.check_each if nested else self.check)(f"{name}[{place!r}]", value, integer=integer)

    @property
    def words(self) -> str:
        """`` >= 0 and <= 1``; empty where any finite number will do."""
        low, high, open_low, _, open_high = self
        above = "" if low == -math.inf else f" {'>' if open_low else '>='} {low:g}"
        return above + ("" if high == math.inf else f"{' and' if above else ''} {'<' if open_high else '<='} {high:g}")

    def _holds(self, value: float) -> bool:
        low, high, open_low, _, open_high = self
        inside = value < high if open_high else value <= high
        return math.isfinite(value) and (value > low if open_low else value >= low) and inside

    def _holds_all(self, tensor: Tensor) -> bool:
        if tensor.numel() == 0:
            return True
        least, most = (float(end) for end in tensor.detach().aminmax())  # NaN is either
        return self._holds(least) and self._holds(most)


class Choice(NamedTuple):
    """One of a few values; a near miss is named."""

    choices: tuple

    def check(self, name: str, value: object) -> None:
        plain = isinstance(value, (str, int, float, tuple, np.generic, type(None)))
        if not plain or (isinstance(value, bool) and bool not in map(type, self.choices)) or value not in self.choices:
            near = difflib.get_close_matches(str(value), [str(c) for c in self.choices], n=1)
            remedy = f"Did you mean {near[0]!r}?" if near else "Choose one of them."
            raise bad_input(name, f"be one of {', '.join(map(repr, self.choices))}", brief(value), remedy)


def check_number(
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
    integer: bool = False,
    remedy: str = Range._field_defaults["remedy"],
    **given: float,
) -> None:
    """Each keyword argument must be a finite number (an integer if asked) in [low, high], open ends left out."""
    for name, value in given.items():
        Range(low, high, open_low, remedy, open_high).check(name, value, integer=integer)


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


def under_vmap(tensor: Tensor) -> bool:
    """Whether it is a batch of tensors inside ``torch.func.vmap``, whose values cannot be looked at."""
    layers = torch._C._functorch
    while layers.is_functorch_wrapped_tensor(tensor):
        if layers.is_batchedtensor(tensor):
            return True
        tensor = layers.get_unwrapped(tensor)
    return False


def check_labels(labels: Tensor, *, argument: str = "labels") -> Tensor:
    """Class numbers (or counts, or places) as int64: what is computed from narrower ones would overflow in them.

    They must be integers, of any width: floats (NaN among them), booleans and complex numbers are refused.
    """
    if not isinstance(labels, Tensor):
        raise bad_input(argument, "be a tensor of integers", type(labels).__name__, "Convert it with torch.as_tensor.")
    if labels.dtype not in INTEGERS:
        raise bad_input(argument, "be integers", labels.dtype, "Number the classes: labels.long().")
    if under_vmap(labels):
        remedy = "Their values are looked at: loop over the batches, and vmap over embeddings alone."
        raise bad_input(argument, "be a tensor of one batch", "a batch of them under vmap", remedy)
    return labels.long()


def check_finite(**tensors: Tensor) -> None:
    """Each keyword argument must be finite throughout: nobody can count, rank or choose by NaN."""
    for name, tensor in tensors.items():
        lost = int((~tensor.detach().isfinite()).sum())
        if lost:
            remedy = "Look where they come from: a diverged network, a division by 0."
            raise bad_input(name, "be finite", f"{lost} of {tensor.numel()} entries that are not", remedy)


def check_batch(embeddings: Tensor, labels: Tensor, *, num_classes: int | None = None) -> Tensor:
    """What no annotation says of rows (B, D) and their class numbers (B,), which come back as int64.

    Rows are floating point, labels are integers, there is one at least, and they are on one device; labels are in
    [0, num_classes) if that is given.
    """
    if not embeddings.is_floating_point():
        raise bad_input("embeddings", "be floating point", embeddings.dtype, "Call .float() on them.")
    labels = check_labels(labels)
    if len(embeddings) == 0:
        raise bad_input("embeddings", "hold at least one row", "none", "Skip empty batches.")
    if embeddings.device != labels.device:
        got = f"embeddings on {embeddings.device} and labels on {labels.device}"
        raise bad_input("labels", "be on the embeddings' device", got, "Call labels.to(embeddings.device).")
    if num_classes is not None:
        low, high = torch.stack(torch.aminmax(labels)).tolist()
        if low < 0 or high >= num_classes:
            remedy = "Number the training classes from 0 (datasets.load does), or make the loss with more classes."
            raise bad_input("labels", f"lie in 0..{num_classes - 1}", f"{low}..{high}", remedy)
    return labels


def check_lengths(**sequences: Sized) -> None:
    """Each keyword argument must hold as many as the first."""
    (first, one), *others = sequences.items()
    for name, other in others:
        if len(other) != len(one):
            got = f"{len(one)} {first} and {len(other)} {name}"
            raise bad_input(name, f"be as many as the {first}", got, "Give one for each.")


def check_filled(**collections: Sized) -> None:
    """Each keyword argument must hold something."""
    for name, values in collections.items():
        if len(values) == 0:
            raise bad_input(name, "hold at least one", "none", "Leave the call out where there is nothing.")


def check_below(count: int, of: str, **indices: int | Tensor) -> None:
    """Each keyword argument, a number or a tensor of numbers, must number one of ``count`` things from 0."""
    for name, index in indices.items():
        most = index if not isinstance(index, Tensor) else int(index.max()) if index.numel() else -1
        if most >= count:
            raise bad_input(name, f"number one of {count} {of}, from 0", most, "Numbers begin at 0.")


def check_unique(**sequences: Sequence) -> None:
    """Each keyword argument must hold no value twice."""
    for name, values in sequences.items():
        twice = sorted({repr(v) for v in values if list(values).count(v) > 1})
        if twice:
            raise bad_input(name, "hold no value twice", f"{', '.join(twice)} repeated", "Remove the copy.")
