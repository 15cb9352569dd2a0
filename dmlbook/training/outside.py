"""State that a network or a loss keeps outside its ``state_dict``, such as a memory of former batches.

A checkpoint that left it out would go on from another state than the run had. What can be written is written; what
cannot is refused before the first step.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

import numpy as np
import torch
from torch import nn

from dmlbook._checks import bad_input
from dmlbook._types import Tensor

OF_TORCH = frozenset(vars(nn.Module())) | {"_compile_kwargs"}
"""What torch itself keeps in every module, and in those that it has compiled."""

_WORDS = (bool, int, float, complex, str, bytes, type(None))
_STREAMS = (Iterator, random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator)
_NO_STATE = (type, FunctionType, BuiltinFunctionType, MethodType, ModuleType, nn.Module)
_NOTHING = object()
_ARRAY = "bytes of numpy"
"""Key of the dictionary that an array or a number of numpy is written as: torch reads none of numpy's from a file."""
_DEEP = 4  # objects within objects that are looked into


def outside(role: str, module: nn.Module) -> dict[str, object]:
    """A copy of what the parts of a module keep in plain attributes and in buffers that are not persistent.

    Args:
        role: What the module is, such as ``"loss"``: the names begin with it.
        module: Its tensors, torch generators, arrays, numbers and words are copied, within lists, sets and dictionaries
            too.

    Raises:
        ValueError: Some of its state cannot be written, such as an iterator, a generator of numpy, or a tensor in a
            list beside a module.
    """
    found = {}
    for place, part in _places(role, module):
        for key, value in _attributes(part).items():
            kept = _kept(value, f"{place}.{key}")
            if kept is not _NOTHING:
                found[f"{place}.{key}"] = kept
    return found


def restore(role: str, module: nn.Module, saved: Mapping[str, object], device: torch.device) -> None:
    """Puts back what ``outside`` gave; tensors go where those in their place are, new ones to ``device``."""
    for place, part in _places(role, module):
        for name, value in saved.items():
            owner, _, key = name.rpartition(".")
            if owner == place:
                setattr(part, key, _put(value, getattr(part, key, None), device))


def put_back(saved: object) -> object:
    """One of the values that ``outside`` gave as it was in its attribute: tensors on the CPU, generators as tensors."""
    return _put(saved, None, torch.device("cpu"))


def with_buffers(role: str, module: nn.Module) -> dict[str, object]:
    """As ``outside``, and the buffers that are persistent: all that a forward pass may change; ``restore`` takes it."""
    buffers = {
        f"{place}.{key}": value.detach().clone()
        for place, part in _places(role, module)
        for key, value in part._buffers.items()
        if value is not None
    }
    return buffers | outside(role, module)


def _places(role: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((f"{role}.{name}" if name else role, part) for name, part in module.named_modules())


def _attributes(part: nn.Module) -> dict[str, object]:
    plain = {key: value for key, value in vars(part).items() if key not in OF_TORCH}
    return plain | {key: part._buffers[key] for key in sorted(part._non_persistent_buffers_set)}


def _kept(value: object, place: str) -> object:
    if isinstance(value, Enum):  # a word of a fixed list, which the module was built with
        return _NOTHING
    if isinstance(value, np.ndarray | np.generic) and not (value.dtype.hasobject or value.dtype.names):
        return _array(value)
    if isinstance(value, _WORDS):
        return value
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, list | tuple | deque):
        items = [_kept(item, f"{place}[{number}]") for number, item in enumerate(value)]
        if all(item is not _NOTHING for item in items):
            return tuple(items) if isinstance(value, tuple) else items
    elif isinstance(value, dict):
        items = {key: _kept(item, f"{place}[{key!r}]") for key, item in value.items()}
        if all(_is_word(key) and item is not _NOTHING for key, item in items.items()):
            return items
    elif isinstance(value, set | frozenset) and all(map(_is_word, value)):
        return set(value)
    if (hidden := _hidden(value, place, _DEEP)) is not None:
        remedy = (
            "Register it as a buffer or keep it as a tensor or a torch.Generator in an attribute of the module; "
            "or train with folder=None."
        )
        got = f"a {type(value).__name__}" + (f" with {hidden}" if hidden != place else "")
        raise bad_input(place, "be state that a checkpoint can hold", got, remedy)
    return _NOTHING


def _is_word(value: object) -> bool:
    """Whether torch reads a key or a member of a set from a file as it is."""
    if isinstance(value, tuple):
        return all(map(_is_word, value))
    return isinstance(value, _WORDS) and not isinstance(value, Enum | np.generic)


def _array(value: np.ndarray | np.generic) -> dict[str, object]:
    """Its bytes as a tensor, with what it takes to make it again: type and shape are part of what comes of it."""
    held = torch.frombuffer(bytearray(value.tobytes()), dtype=torch.uint8) if value.nbytes else torch.zeros(0).byte()
    return {_ARRAY: held, "type": value.dtype.str, "shape": value.shape, "number": isinstance(value, np.generic)}


def _made_array(saved: Mapping) -> np.ndarray | np.generic:
    made = np.frombuffer(saved[_ARRAY].numpy().tobytes(), saved["type"]).reshape(saved["shape"]).copy()
    return made[()] if saved["number"] else made


def _hidden(value: object, place: str, deep: int) -> str | None:
    """Where in an object there is state that moves and cannot be written; None: nowhere that one can see."""
    if isinstance(value, _NO_STATE) or deep == 0:
        return None
    moves = isinstance(value, Tensor | torch.Generator | np.ndarray)
    if isinstance(value, _STREAMS) or (moves and (deep < _DEEP or isinstance(value, np.ndarray))):
        return place
    listed = value if isinstance(value, list | tuple | deque | set | frozenset) else ()
    within = value.values() if isinstance(value, dict) else listed
    names = [(f"{place}[{number}]", item) for number, item in enumerate(within)]
    names += [(f"{place}.{key}", item) for key, item in getattr(value, "__dict__", {}).items()]
    return next((found for name, item in names if (found := _hidden(item, name, deep - 1)) is not None), None)


def _put(saved: object, present: object, device: torch.device) -> object:
    if isinstance(present, torch.Generator):
        present.set_state(saved)
        return present
    if isinstance(saved, Tensor):
        return saved.to(present.device if isinstance(present, Tensor) else device)
    if isinstance(saved, dict) and _ARRAY in saved:
        return _made_array(saved)
    if isinstance(saved, dict):
        known = present if isinstance(present, dict) else {}
        return {key: _put(item, known.get(key), device) for key, item in saved.items()}
    if isinstance(saved, list | tuple):
        known = list(present) if isinstance(present, list | tuple | deque) and len(present) == len(saved) else []
        items = [_put(item, known[n] if known else None, device) for n, item in enumerate(saved)]
        if isinstance(present, deque):
            return deque(items, maxlen=present.maxlen)
        return tuple(items) if isinstance(saved, tuple) else items
    return frozenset(saved) if isinstance(present, frozenset) else saved
