"""Messages for bad input, all of one form: what was expected, what came, what to do."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence

import torch

from dmlbook._types import Tensor


def bad_input(function: str, argument: str, rule: str, got: object, remedy: str) -> ValueError:
    """The error itself, to be raised: ``<function>: <argument> must <rule>; got <got>. <remedy>``."""
    return ValueError(f"{function}: {argument} must {rule}; got {got}. {remedy}")


def check_number(
    function: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    integer: bool = False,
    remedy: str = "Pass a number in that range.",
    **numbers: float,
) -> None:
    """Each keyword argument must be a finite number (an integer if asked) in [low, high], or (low, high]."""
    for name, value in numbers.items():
        kind = int if integer else (int, float)
        typed = isinstance(value, kind) and not isinstance(value, bool)
        inside = typed and math.isfinite(value) and (value > low if open_low else value >= low) and value <= high
        if not inside:
            noun = "an integer" if integer else "a finite number"
            above = "" if low == -math.inf else f" {'>' if open_low else '>='} {low:g}"
            below = "" if high == math.inf else f"{' and' if above else ''} <= {high:g}"
            raise bad_input(function, name, f"be {noun}{above}{below}", repr(value), remedy)


def check_choice(function: str, *, choices: Iterable[str], **values: object) -> None:
    """Each keyword argument must be one of ``choices``; a near miss is named."""
    choices = list(choices)
    for name, value in values.items():
        if value not in choices:
            near = difflib.get_close_matches(str(value), [str(c) for c in choices], n=1)
            remedy = f"Did you mean {near[0]!r}?" if near else "Choose one of them."
            raise bad_input(function, name, f"be one of {', '.join(map(repr, choices))}", repr(value), remedy)


def check_shape(function: str, *, expected: str, remedy: str = "", **tensors: Tensor) -> None:
    """Each keyword argument must be a tensor with the axes that ``expected`` names, such as ``"B C K"``.

    A number in ``expected`` fixes that axis; a letter that recurs must have one size throughout the call.
    """
    axes = expected.split()
    sizes: dict[str, int] = {}
    for name, tensor in tensors.items():
        rule = f"be a tensor of shape ({', '.join(axes)}{',' if len(axes) == 1 else ''})"
        if not isinstance(tensor, Tensor):
            raise bad_input(function, name, rule, type(tensor).__name__, remedy or "Convert it with torch.as_tensor.")
        fits = tensor.ndim == len(axes) and all(
            size == (int(axis) if axis.isdigit() else sizes.setdefault(axis, size))
            for axis, size in zip(axes, tensor.shape, strict=True)
        )
        if not fits:
            raise bad_input(function, name, rule, f"shape {tuple(tensor.shape)}", remedy or "Reshape or index it.")


def check_batch(function: str, embeddings: Tensor, labels: Tensor, *, num_classes: int | None = None) -> None:
    """Embeddings (B, D), floating and finite-sized, with integer labels (B,), in [0, num_classes) if that is given."""
    check_shape(function, expected="B D", embeddings=embeddings, remedy="One row per image.")
    check_shape(function, expected="B", labels=labels, remedy="One class number per image.")
    if not embeddings.is_floating_point():
        raise bad_input(function, "embeddings", "be floating point", embeddings.dtype, "Call .float() on them.")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise bad_input(function, "labels", "be integers", labels.dtype, "Number the classes: labels.long().")
    if len(embeddings) != len(labels):
        got = f"{len(embeddings)} embeddings and {len(labels)} labels"
        raise bad_input(function, "labels", "be as many as the embeddings", got, "Give both for the same images.")
    if len(embeddings) == 0:
        raise bad_input(function, "embeddings", "hold at least one row", "none", "Skip empty batches.")
    if embeddings.device != labels.device:
        got = f"embeddings on {embeddings.device} and labels on {labels.device}"
        raise bad_input(function, "labels", "be on the embeddings' device", got, "Call labels.to(embeddings.device).")
    if num_classes is not None:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= num_classes:
            remedy = "Number the training classes from 0 (datasets.load does), or make the loss with more classes."
            raise bad_input(function, "labels", f"lie in 0..{num_classes - 1}", f"{low}..{high}", remedy)


def check_unique(function: str, **sequences: Sequence) -> None:
    """Each keyword argument must hold no value twice."""
    for name, values in sequences.items():
        twice = sorted({repr(v) for v in values if list(values).count(v) > 1})
        if twice:
            raise bad_input(function, name, "hold no value twice", f"{', '.join(twice)} repeated", "Remove the copy.")
