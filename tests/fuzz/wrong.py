"""Values for one argument, each with what is right to do with it: ``refuse``, ``take``, or either of the two."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tests.fuzz.annotations import ANYTHING, SEQUENCES, Kind

REFUSE, TAKE, EITHER = "refuse", "take", "either"

SIGNED = {
    "angle",
    "step",
    "seed",
    "place",
    "turn",
    "first",
    "epoch",
    "digits",
    "number",
    "ringed",
    "rim",
    "query",
    "image",
    "value",
}
"""Integers that may be negative. All others count or number something."""
ANY_FLOAT = {"value", "low", "high", "up_to", "level"}
"""Numbers that may be infinite or NaN."""
DRAWN = ("book.figures", "book.circle", "book.lines", "maps", "retrieval", ".figures")
"""Parts of names of modules that refuse what is not finite in a tensor. Training lets it through to its own guard."""
NUMBERED = {"labels", "kinds", "found", "assigned", "counts", "medoids", "index", "places"}
"""Tensors of integers that may not be negative."""
ANY_NUMBERS = ("losses", "retrieval", "maps.purity", "sampling")
"""Where labels are any integers: classes are only told apart, or the loss that knows its classes asks."""


class Value(NamedTuple):
    """One value: what it is called, how it is made from the valid one, and what is right."""

    label: str
    make: Callable[[object], object]
    verdict: str


class Foreign:
    """A class that nothing knows."""


def values(target: str, name: str, kinds: tuple[Kind, ...], valid: object, folder: Path) -> Iterator[Value]:
    """All values for an argument whose valid value is ``valid``; the rest of the call stays as it is."""
    words = {kind.word for kind in kinds}
    if words & ANYTHING:
        return
    yield from _of_other_types(words, kinds)
    if words & {"int", "float"} and _is_number(valid):
        yield from _numbers(name, words, valid)
    for kind in kinds:
        if kind.word == "tensor" and isinstance(valid, torch.Tensor):
            yield from _tensors(target, name, kind, valid)
        elif kind.word in SEQUENCES and isinstance(valid, (list, tuple)):
            yield from _sequences(kind, valid)
        elif kind.word == "Mapping" and isinstance(valid, dict):
            yield from _mappings(kind, valid)
    if words & {"Path", "PathLike"}:
        yield from _paths(folder)
    elif "str" in words and isinstance(valid, str):
        yield from _words(valid)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _always(label: str, value: object, verdict: str) -> Value:
    return Value(label, lambda _: value, verdict)


def _of_other_types(words: set[str], kinds: tuple[Kind, ...]) -> Iterator[Value]:
    sequence, number = bool(words & SEQUENCES), bool(words & {"int", "float"})
    tensor = "tensor" in words
    pool = {
        "None": (None, "None" in words),
        "a word": ("three", bool(words & {"str", "Path", "PathLike"}) or _of_words(kinds)),
        "bytes": (b"three", "bytes" in words),
        "a list of things": ([Foreign()], False),
        "a dictionary of things": (
            {"a": Foreign()},
            any(k.word == "Iterable" and Kind("str") in k.inner for k in kinds),
        ),
        "a thing": (Foreign(), False),
        "True": (True, "bool" in words),
        "1j": (1j, False),
        "a function": (len, bool(words & {"Callable"})),
        "a class": (int, "type" in words or "Callable" in words),
        "3": (3, number),
        "2.5": (2.5, "float" in words),
        "a tensor": (torch.ones(2, 3), tensor or sequence),
        "an array": (np.ones(3), tensor or sequence or "ndarray" in words),
        "a set": ({1, 2}, "Iterable" in words),
    }
    for label, (value, matches) in pool.items():
        if matches or (label in ("a list of things",) and "list" in words and not any(kind.inner for kind in kinds)):
            yield _always(label, value, EITHER)
        else:
            # A mapping of anything, and a sequence of anything, hold things.
            loose = any(kind.word in SEQUENCES | {"Mapping", "dict"} and _loose(kind) for kind in kinds)
            yield _always(label, value, EITHER if loose and "things" in label else REFUSE)


def _of_words(kinds: tuple[Kind, ...]) -> bool:
    """Whether a sequence of words is asked for: a word is one, of its letters."""
    return any(kind.word in SEQUENCES and Kind("str") in kind.inner for kind in kinds)


def _loose(kind: Kind) -> bool:
    return not kind.inner or any(inner.word in ANYTHING for inner in kind.inner)


def _numbers(name: str, words: set[str], valid: float) -> Iterator[Value]:
    whole = "float" not in words
    for label, value in (("nan", math.nan), ("inf", math.inf), ("-inf", -math.inf)):
        yield _always(label, value, EITHER if name in ANY_FLOAT else REFUSE)
    yield _always("-1", -1, REFUSE if whole and name not in SIGNED else EITHER)
    yield _always("0", 0, EITHER)
    yield _always("10**400", 10**400, EITHER if whole else REFUSE)
    yield _always("-10**400", -(10**400), EITHER if whole and name in SIGNED else REFUSE)
    yield _always("10**12", 10**12, EITHER)
    if whole:
        yield Value("a half more", lambda v: v + 0.5, REFUSE)
        yield Value("a whole float", float, REFUSE)
        yield Value("np.int64", np.int64, TAKE)
        yield Value("np.uint8", lambda v: np.uint8(v) if 0 <= v < 256 else np.int64(v), TAKE)
        yield Value("np.float64", np.float64, REFUSE)
    else:
        yield _always("1e308", 1e308, EITHER)
        yield _always("1e-320", 1e-320, EITHER)
        yield Value("np.float64", np.float64, TAKE)
        yield Value("np.float32", np.float32, TAKE if float(np.float32(valid)) == valid else EITHER)
    yield _always("np.nan", np.float64("nan"), EITHER if name in ANY_FLOAT else REFUSE)
    yield _always("np.bool_", np.bool_(True), REFUSE)


def _tensors(target: str, name: str, kind: Kind, valid: torch.Tensor) -> Iterator[Value]:
    fixed_rank = not any(axis.startswith(("*", "...")) for axis in kind.axes)
    typed = kind.dtype != "any"
    yield Value("one axis more", lambda t: t[None], REFUSE if fixed_rank else EITHER)
    if valid.dim():
        yield Value("one axis less", lambda t: t[0], REFUSE if fixed_rank else EITHER)
        yield Value("empty", lambda t: t[:0], EITHER)
        yield Value("one row", lambda t: t[:1], EITHER)
        yield Value("a row more", lambda t: torch.cat([t, t[:1]]), EITHER)
        yield Value("a column less", lambda t: t[..., :-1], EITHER)
        doubled = lambda t: torch.stack([t, t], -1).flatten(-2)[..., ::2]  # noqa: E731 the same values, every other one
        yield Value("not contiguous", doubled, TAKE)
    yield Value("on meta", lambda t: t.to("meta"), REFUSE)
    yield Value("sparse", lambda t: t.to_sparse(), REFUSE)
    yield Value("complex", lambda t: t.to(torch.complex64), REFUSE)
    yield Value("a list", lambda t: t.tolist(), REFUSE if kind.dtype != "any" else EITHER)
    yield Value("an array of it", lambda t: t.detach().numpy(), REFUSE if typed else EITHER)
    if kind.dtype == "float":
        finite = REFUSE if any(part in target for part in DRAWN) else EITHER
        for label, number in (("nan", math.nan), ("inf", math.inf)):
            yield Value(f"{label} inside", lambda t, number=number: _with_first(t, number), finite)
        yield Value("integers", lambda t: t.long(), REFUSE)
        yield Value("bools", lambda t: t > 0, REFUSE)
        yield Value("float64", lambda t: t.double(), EITHER)
        yield Value("float16", lambda t: t.half(), EITHER)
        yield Value("with gradient", lambda t: t.clone().requires_grad_(), EITHER)
        yield Value("zeros", torch.zeros_like, EITHER)
        yield Value("huge", lambda t: t * 1e30, EITHER)
    elif kind.dtype == "int":
        yield Value("floats", lambda t: t.float(), REFUSE)
        yield Value("bools", lambda t: t > 0, REFUSE)
        yield Value(
            "negative",
            lambda t: t - 1 - t.max(),
            REFUSE if name in NUMBERED and not target.startswith(ANY_NUMBERS) else EITHER,
        )
        yield Value("too large", lambda t: t + 10**6, EITHER)
        for dtype in (torch.int32, torch.int16, torch.uint8):
            yield Value(str(dtype), lambda t, dtype=dtype: t.to(dtype), TAKE)
    elif kind.dtype == "bool":
        yield Value("integers", lambda t: t.long(), REFUSE)
        yield Value("floats", lambda t: t.float(), REFUSE)
        yield Value("all False", torch.zeros_like, EITHER)
    elif kind.dtype == "uint8":
        yield Value("floats", lambda t: t.float() / 255, REFUSE)
        yield Value("integers", lambda t: t.long(), REFUSE)


def _with_first(tensor: torch.Tensor, number: float) -> torch.Tensor:
    copy = tensor.clone()
    copy.view(-1)[0] = number
    return copy


def _sequences(kind: Kind, valid: list | tuple) -> Iterator[Value]:
    remake = type(valid)
    inner = {each.word for each in kind.inner}
    yield Value("empty", lambda v: remake(), EITHER)
    yield Value("one more", lambda v: remake([*v, *v[:1]]), EITHER)
    yield Value("one less", lambda v: v[:-1], EITHER)
    yield Value("a generator of it", lambda v: iter(v), EITHER)
    if not inner or inner & ANYTHING:
        return
    broken = {
        "None": (None, "None" in inner),
        "a thing": (Foreign(), False),
        "bytes": (b"a", False),
        "nan": (math.nan, False),
        "a word": ("three", bool(inner & {"str", "Path"})),
        "True": (True, "bool" in inner),
        "-1": (-1, bool(inner & {"int", "float"})),
        "0.5": (0.5, "float" in inner),
    }
    for label, (value, matches) in broken.items():
        make = lambda v, value=value: remake([value, *v[1:]])  # noqa: E731
        yield Value(f"{label} inside", make, EITHER if matches or not valid else REFUSE)


def _mappings(kind: Kind, valid: dict) -> Iterator[Value]:
    inner, keys = {each.word for each in kind.inner}, {each.word for each in kind.keys}
    yield _always("empty", {}, EITHER)
    yield Value("pairs", lambda v: list(v.items()), REFUSE)
    if not valid:
        return
    if keys and not keys & ANYTHING:
        yield Value("None for a key", lambda v: {None: next(iter(v.values()))}, REFUSE)
        yield Value("a thing for a key", lambda v: {Foreign(): next(iter(v.values()))}, REFUSE)
    if inner and not inner & ANYTHING:
        broken = {"None": None, "a thing": Foreign(), "bytes": b"a", "a function": len}
        for label, value in broken.items():
            allowed = (label == "None" and "None" in inner) or (label == "a function" and "Callable" in inner)
            make = lambda v, value=value: {**v, next(iter(v)): value}  # noqa: E731
            yield Value(f"{label} inside", make, EITHER if allowed else REFUSE)
        if "float" in inner:
            yield Value("nan inside", lambda v: {**v, next(iter(v)): math.nan}, EITHER)
    yield Value("another key", lambda v: {"nobody": next(iter(v.values()))} if keys != {"int"} else {10**6: 1}, EITHER)


def _paths(folder: Path) -> Iterator[Value]:
    """Nothing is known of what a path must hold: it is refused, or used."""
    file = folder / "a file"
    file.write_bytes(b"\x00\xffnothing")
    yield _always("a missing path", folder / "missing" / "deep", EITHER)
    yield _always("a folder", folder, EITHER)
    yield _always("a file", file, EITHER)
    yield _always("a path below a file", file / "below", EITHER)
    yield _always("NUL", Path("a\0b"), EITHER)
    yield _always("300 letters", folder / ("a" * 300), EITHER)
    yield _always("an empty path", Path(), EITHER)


def _words(valid: str) -> Iterator[Value]:
    yield _always("an unknown word", "unknown", EITHER)
    yield _always("an empty word", "", EITHER)
    yield _always("NUL", "a\0b", EITHER)
    yield _always("300 letters", "a" * 300, EITHER)
    yield _always("upwards", "../../a", EITHER)
    yield _always("a surrogate", "a\udc80", EITHER)
