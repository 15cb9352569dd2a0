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

_STREAMS = (Iterator, random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator)
_NO_STATE = (type, FunctionType, BuiltinFunctionType, MethodType, ModuleType, nn.Module)
_NOTHING = object()
_DEEP = 4  # objects within objects that are looked into


def outside(role: str, module: nn.Module) -> dict[str, object]:
    """A copy of what the parts of a module keep in plain attributes and in buffers that are not persistent.

    Args:
        role: What the module is, such as ``"loss"``: the names begin with it.
        module: Its tensors, torch generators, numbers and words are copied, within lists and dictionaries too.

    Raises:
        ValueError: Some of its state cannot be written, such as an iterator or a generator of numpy.
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
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, list | tuple | deque):
        items = [_kept(item, f"{place}[{number}]") for number, item in enumerate(value)]
        whole = all(item is not _NOTHING for item in items)
        return (tuple(items) if isinstance(value, tuple) else items) if whole else _NOTHING
    if isinstance(value, dict):
        items = {key: _kept(item, f"{place}[{key!r}]") for key, item in value.items()}
        whole = all(isinstance(key, str | int) and item is not _NOTHING for key, item in items.items())
        return items if whole else _NOTHING
    if (hidden := _hidden(value, place, _DEEP)) is not None:
        remedy = (
            "Register it as a buffer or keep it as a tensor or a torch.Generator in an attribute of the module; "
            "or train with folder=None."
        )
        got = f"a {type(value).__name__}" + (f" with {hidden}" if hidden != place else "")
        raise bad_input(place, "be state that a checkpoint can hold", got, remedy)
    return _NOTHING


def _hidden(value: object, place: str, deep: int) -> str | None:
    """Where in an object there is state that moves and cannot be written; None: nowhere that one can see."""
    if isinstance(value, _NO_STATE) or deep == 0:
        return None
    if isinstance(value, _STREAMS) or (deep < _DEEP and isinstance(value, Tensor | torch.Generator)):
        return place
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple | deque) else ()
    names = [(f"{place}[{number}]", item) for number, item in enumerate(within)]
    names += [(f"{place}.{key}", item) for key, item in getattr(value, "__dict__", {}).items()]
    return next((found for name, item in names if (found := _hidden(item, name, deep - 1)) is not None), None)


def _put(saved: object, present: object, device: torch.device) -> object:
    if isinstance(present, torch.Generator):
        present.set_state(saved)
        return present
    if isinstance(saved, Tensor):
        return saved.to(present.device if isinstance(present, Tensor) else device)
    if isinstance(saved, dict):
        known = present if isinstance(present, dict) else {}
        return {key: _put(item, known.get(key), device) for key, item in saved.items()}
    if isinstance(saved, list | tuple):
        known = list(present) if isinstance(present, list | tuple | deque) and len(present) == len(saved) else []
        items = [_put(item, known[n] if known else None, device) for n, item in enumerate(saved)]
        if isinstance(present, deque):
            return deque(items, maxlen=present.maxlen)
        return tuple(items) if isinstance(saved, tuple) else items
    return saved
