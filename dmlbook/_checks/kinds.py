"""Plain types as annotations write them, such as ``Sequence[float] | None``, asked of values.

Numbers are finite, bools are none, and numpy's scalars are numbers like any other. A name that nobody can look up,
a type variable and ``object`` ask nothing.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from types import ModuleType, NoneType
from typing import NamedTuple, get_args, get_origin

import numpy as np
import torch

from dmlbook._checks.messages import bad_input, brief
from dmlbook._checks.outside import devices_here, is_device, is_path, no_path
from dmlbook._checks.shapes import alternatives, shape_of
from dmlbook._types import Tensor

LARGEST = 2**63
"""Integers below it, and above its negative, fit the integers of torch."""


class Kind(NamedTuple):
    """One alternative of an annotation."""

    one: str
    """What one is called: ``an integer``."""
    many: str
    """What several are called: ``integers``."""
    fits: Callable[[object], bool]
    inner: tuple[Kind, ...] | None = None
    """What a sequence or a mapping holds; None where that is anything, and for all else."""
    keys: tuple[Kind, ...] | None = None
    """What the keys of a mapping are."""
    remedy: str | Callable[[], str] = ""
    every: type | None = None
    """A type all of whose values fit."""


def is_integer(value: object) -> bool:
    """Whether it is one, Python's or numpy's, of at most 64 bits."""
    if type(value) is int:
        return -LARGEST <= value < LARGEST
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and -LARGEST <= int(value) < LARGEST


def is_finite(value: object) -> bool:
    """Whether it is a finite number, Python's or numpy's, that a float can be."""
    if type(value) is float:
        return math.isfinite(value)
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


INTEGER = Kind("an integer", "integers", is_integer, remedy="Pass a whole number.")
NUMBER = Kind("a finite number", "finite numbers", is_finite, remedy="Pass a number.")
PLAIN: dict[str, Kind] = {
    "None": Kind("None", "None", lambda value: value is None),
    "int": INTEGER,
    "float": NUMBER,
    "bool": Kind("True or False", "True or False", lambda value: isinstance(value, (bool, np.bool_)), every=bool),
    "str": Kind("a string", "strings", lambda value: isinstance(value, str), remedy="Put it in quotes.", every=str),
    "bytes": Kind("bytes", "bytes", lambda value: isinstance(value, bytes)),
    "Path": Kind("a path", "paths", lambda v: isinstance(v, PurePath) and is_path(v), remedy="Pass a pathlib.Path."),
    "PathLike": Kind("a path", "paths", is_path, remedy="Pass a path that this system can have."),
    "Callable": Kind("a function", "functions", callable, remedy="Pass its name without brackets."),
    "type": Kind("a class", "classes", lambda value: isinstance(value, type)),
}
DEVICE = Kind("a device", "devices", is_device, remedy=lambda: f"This machine has {', '.join(devices_here())}.")
SEQUENCES = {"Sequence": "sequence", "tuple": "tuple", "list": "list", "Iterable": "sequence"}
MAPPINGS = {"Mapping": "mapping", "dict": "dictionary"}
LONG_NAMES = {"nn": "torch.nn", "np": "numpy"}
MAKERS = {
    "ImageSet": "datasets.load gives one.",
    "torch.Generator": "seeding.generator(SEED, ...) makes one.",
    "torch.nn.Module": "Pass the network or the loss itself.",
}
"""Where to get an object of these classes."""
ANYTHING = ("object", "Any", "T", "F")


def kinds_of(parts: Iterable[object], names: Mapping[str, object]) -> tuple[Kind, ...] | None:
    """The kinds of an annotation's alternatives; None where one of them may be anything.

    Args:
        parts: Each a tree of its text, or a type.
        names: What the names in it stand for, where the function was written.
    """
    words = {ast.unparse(part).rpartition(".")[2] for part in parts if isinstance(part, ast.AST)}
    if {"str", "Path"} <= words or {"str", "PathLike"} <= words:  # a path, in either form
        parts = [part for part in parts if ast.unparse(part).rpartition(".")[2] not in ("str", "Path", "PathLike")]
        found = [PLAIN["PathLike"]]
    elif {"str", "device"} <= words:
        parts = [part for part in parts if ast.unparse(part).rpartition(".")[2] not in ("str", "device")]
        found = [DEVICE]
    else:
        found = []
    for part in parts:
        kind = _of_tree(part, names) if isinstance(part, ast.AST) else _of_type(part)
        if kind is None:
            return None
        found.append(kind)
    return tuple(found)


def _of_tree(part: ast.AST, names: Mapping[str, object]) -> Kind | None:
    shape = shape_of(part)
    if shape is not None:
        return Kind(shape.rule.removeprefix("be "), "tensors", shape.fits, remedy="Convert it with torch.as_tensor.")
    if isinstance(part, ast.Constant):
        return PLAIN["None"] if part.value is None else None
    if not isinstance(part, ast.Subscript):
        word = ast.unparse(part)
        if word in PLAIN:
            return PLAIN[word]
        if word in SEQUENCES or word in MAPPINGS:
            return _holding(word, None, None)
        return None if word in ANYTHING else _named(word.split("."), names)
    word = ast.unparse(part.value).rpartition(".")[2]
    given = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
    if word in MAPPINGS:
        return _holding(word, _inner(given[1], names), _inner(given[0], names))
    if word in SEQUENCES:
        if word == "tuple" and not any(isinstance(each, ast.Constant) and each.value is ... for each in given):
            return _fixed([_inner(each, names) for each in given])
        return _holding(word, _inner(given[0], names), None)
    return PLAIN.get(word)


def _inner(part: ast.AST, names: Mapping[str, object]) -> tuple[Kind, ...] | None:
    return kinds_of(alternatives(part), names)


def _of_type(part: object) -> Kind | None:
    """Of an annotation that is no text."""
    if part in (None, NoneType):
        return PLAIN["None"]
    origin = get_origin(part)
    word = getattr(origin or part, "__name__", "")
    if word in PLAIN and (origin or part).__module__ in ("builtins", "collections.abc", "pathlib", "os"):
        return PLAIN[word]
    if word in SEQUENCES or word in MAPPINGS:
        inner = [kinds_of(alternatives(each), {}) for each in get_args(part) if each is not ...]
        if word in MAPPINGS:
            return _holding(word, *(inner[::-1] if len(inner) == 2 else (None, None)))
        fixed = word == "tuple" and inner and ... not in get_args(part)
        return _fixed(inner) if fixed else _holding(word, inner[0] if inner else None, None)
    return _instance(part.__name__, lambda: part) if isinstance(part, type) and part is not object else None


def _named(path: list[str], names: Mapping[str, object]) -> Kind | None:
    """A class by the name that a module knows it under, looked up when it is first needed: it may be written below."""
    if path[0] in names and not isinstance(names[path[0]], (type, ModuleType)):
        found = names[path[0]]
        if not isinstance(found, str) and get_origin(found) is None:
            return None  # a type variable
        parts = kinds_of(alternatives(found), names) if not isinstance(found, str) else None
        return parts[0] if parts is not None and len(parts) == 1 else None
    return _instance(".".join([LONG_NAMES.get(path[0], path[0]), *path[1:]]), lambda: _look_up(path, names))


def _look_up(path: list[str], names: Mapping[str, object]) -> object:
    found = names.get(path[0], object)
    for name in path[1:]:
        found = getattr(found, name, object)
    return found if isinstance(found, type) else object


def _instance(name: str, find: Callable[[], object]) -> Kind:
    known: list[type] = []

    def fits(value: object) -> bool:
        if not known:
            known.append(find())
        return isinstance(value, known[0])

    one = f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
    return Kind(one, f"{name} objects", fits, remedy=MAKERS.get(name, f"Make {one} first."))


def _holding(word: str, inner: tuple[Kind, ...] | None, keys: tuple[Kind, ...] | None) -> Kind:
    """A sequence or a mapping of others."""
    noun, right, of = SEQUENCES.get(word) or MAPPINGS[word], one_of(inner), ""
    if word in MAPPINGS:
        right_key = one_of(keys)

        def fits(value: object) -> bool:
            return isinstance(value, Mapping) and all(map(right_key, value)) and all(map(right, value.values()))

        if inner is not None and keys is not None:
            of = f" from {' or '.join(kind.many for kind in keys)} to {' or '.join(kind.many for kind in inner)}"
    else:
        of = "" if inner is None else f" of {' or '.join(kind.many for kind in inner)}"

        def fits(value: object) -> bool:
            if isinstance(value, np.flatiter):
                value = value.copy()
            if isinstance(value, np.ndarray) and value.dtype == object:  # of axes, for one
                value = list(value.flat)
            value = value.tolist() if is_array(value) else value
            if word == "Iterable" and not isinstance(value, Collection):  # a generator is asked when it gives them
                return isinstance(value, Iterable)
            if word == "Iterable":
                return not isinstance(value, (str, bytes)) and all(map(right, value))
            if isinstance(value, str):  # a string is its letters
                return inner is not None and PLAIN["str"] in inner
            return isinstance(value, Sequence) and not isinstance(value, bytes) and all(map(right, value))

    return Kind(f"a {noun}{of}", f"{noun}s{of}", fits, inner, keys, f"Pass a {noun}{of}.")


def _fixed(inner: list[tuple[Kind, ...] | None]) -> Kind:
    """A tuple of so many."""
    right = [one_of(kinds) for kinds in inner]

    def fits(value: object) -> bool:
        listed = isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and len(value) == len(right)
        return listed and all(test(each) for test, each in zip(right, value, strict=True))

    same = inner[0] is not None and all(kinds == inner[0] for kinds in inner)
    of = " or ".join(kind.many for kind in inner[0]) if same else "values"
    return Kind(f"a tuple of {len(inner)} {of}", f"tuples of {len(inner)} {of}", fits, remedy="Give one for each.")


def one_of(kinds: tuple[Kind, ...] | None) -> Callable[[object], bool]:
    """Whether a value is of one of these kinds; None: of any."""
    if kinds is None:
        return lambda value: True
    if len(kinds) == 1:
        return kinds[0].fits
    return lambda value: any(kind.fits(value) for kind in kinds)


def is_array(value: object) -> bool:
    """Whether it is numbers in a row, numpy's or torch's, with values to be read."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Tensor) and value.dim() > 0 and not value.is_meta and value.layout is torch.strided


def plain(value: object, kinds: Sequence[Kind]) -> object:
    """The same as Python knows it: numpy's scalars as numbers, and arrays as lists where a sequence is asked for."""
    if isinstance(value, np.generic):
        return value.item()
    sequence = any(kind.inner is not None and kind.keys is None for kind in kinds)
    objects = isinstance(value, np.ndarray) and value.dtype == object
    return value.tolist() if sequence and is_array(value) and not objects else value


def refused(argument: str, kinds: Sequence[Kind], value: object) -> ValueError:
    """The error for a value that is of none of these kinds; of what is in it, the first that does not fit is named."""
    rule = " or ".join(dict.fromkeys(kind.one for kind in kinds))
    remedy = next((kind.remedy for kind in kinds if kind.remedy), "Pass that.")
    remedy = remedy if isinstance(remedy, str) else remedy()
    got = brief(value)
    for kind in kinds:
        if kind is PLAIN["PathLike"] or (kind is PLAIN["Path"] and isinstance(value, PurePath)):
            got = no_path(value)
        if kind.inner is not None and kind.keys is None and is_finite(value) and one_of(kind.inner)(value):
            remedy = f"Put it in brackets: ({got},)."
        inside = enumerate(value) if isinstance(value, (list, tuple)) and kind.keys is None else ()
        inside = value.items() if isinstance(value, Mapping) and kind.keys is not None else inside
        if kind.inner is not None:
            place = next((place for place, each in inside if not one_of(kind.inner)(each)), None)
            if place is not None:
                got = f"{brief(value[place])} at {brief(place)}"
    return bad_input(argument, f"be {rule}", got, remedy)
