"""What a run is: all of its network, loss, images and settings that decides how it ends, by readable names."""

from __future__ import annotations

import functools
import hashlib
import math
import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.weak import WeakTensorKeyDictionary

from dmlbook._checks import bad_input
from dmlbook._types import Tensor
from dmlbook.datasets.image_set import ImageSet
from dmlbook.training import outside
from dmlbook.training.config import TrainConfig
from dmlbook.training.sources import Features

PIECE = 1 << 26  # bytes that one thread hashes at a time
SHOWN = 6  # differences that a message names
NOT_PLAIN = object()
HOW = ("compile", "micro_batch", "on_memory")
"""Settings that say how a run computes, and not what: a run may go on with others."""
SKIPPED = outside.OF_TORCH | {"forward"}  # which tools put around a module's own
_known_content: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # of images: version and digest


def fingerprint(
    net: nn.Module,
    loss: nn.Module,
    train_set: ImageSet | Features,
    validation: ImageSet | Features | None,
    config: TrainConfig,
) -> dict[str, object]:
    """What must agree between a checkpoint and the run that resumes it, as plain values.

    Of network and loss: the class and the plain attributes of every part, such as ``network.head.normalize``, and the
    values that the weights begin with, and tensors and arrays in attributes. Of each set: every byte of its images,
    labels and proportions.
    """
    facts = {f"config.{name}": value for name, value in config.to_dict().items() if name not in HOW}
    for role, module in (("network", net), ("loss", loss)):
        facts |= settings_of(role, module)
        facts |= {f"{role} weights": _shapes(module), f"{role}.start": digest(module.state_dict())}
    return facts | _facts_of_set("train_set", train_set) | _facts_of_set("validation", validation)


def settings_of(role: str, module: nn.Module) -> dict[str, object]:
    """Class and plain attributes of a module and of all its parts, and a digest of what else they keep and a run saves.

    Raises:
        ValueError: They keep state that no checkpoint can hold.
    """
    facts: dict[str, object] = {}
    for name, part in module.named_modules():
        place = f"{role}.{name}" if name else role
        facts[place] = type(part).__qualname__
        for key, value in vars(part).items():
            if key not in SKIPPED and (found := plain(value)) is not NOT_PLAIN:
                facts[f"{place}.{key}"] = found
    kept = outside.outside(role, module)
    return facts | {f"{name}.start": _digest_within(value) for name, value in kept.items() if name not in facts}


def check_same_run(
    saved: Mapping[str, object],
    present: Mapping[str, object],
    *,
    path: Path,
    left: Mapping[str, Collection] | None = None,
    any_start: bool = False,
) -> None:
    """More epochs than before are fine, but for a cosine schedule; every other difference is an error that names it.

    Args:
        saved: Of the checkpoint's run.
        present: Of the run that would go on from it.
        path: The checkpoint.
        left: Values of some names as the checkpoint left them: a network that was trained up to there will do as well.
        any_start: Whether the weights may begin with any values; the checkpoint's take their place in any case.

    Raises:
        ValueError: The checkpoint belongs to another configuration, network, loss or data set.
    """
    names = [name for name in {**saved, **present} if saved.get(name) != present.get(name)]
    names = [name for name in names if present.get(name) not in (left or {}).get(name, ())]
    names = [
        name
        for name in names
        if not name.endswith(".start") or not (any_start or name.replace(".start", " weights") in names)
    ]
    if "config.epochs" in names and may_go_on(saved, present):
        names.remove("config.epochs")
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        was, now = (
            ", ".join(f"{name} {facts.get(name)!r}" for name in names[:SHOWN]) + more for facts in (saved, present)
        )
        remedy = "Pass the same arguments as before, or another folder for a new run."
        if all(name.endswith(".start") for name in names):
            remedy = (
                "Build network and loss from the same seed and weights as then; where that cannot be done any more: "
                f"Checkpoints(..., any_start=True). {remedy}"
            )
        raise bad_input("folder", f"hold checkpoints of this run ({was})", now, f"{path}: {remedy}")


def may_go_on(saved: Mapping[str, object], present: Mapping[str, object]) -> bool:
    """Whether more epochs are asked for than a run was to have, and it may go on to them.

    Not under a cosine, whose rates depend on the last epoch from the first step on.

    Args:
        saved: Settings of the run by names such as ``config.epochs``.
        present: What is asked for, in the same way.
    """
    return present["config.epochs"] > saved["config.epochs"] and "config.schedule" not in present


def left_by(content: Mapping[str, object]) -> dict[str, list]:
    """What a checkpoint's run left, for ``check_same_run``: last weights or best, and what lies outside them."""
    left = {name: [plain(outside.put_back(value))] for name, value in content["outside"].items()}
    left |= {f"{name}.start": [_digest_within(value)] for name, value in content["outside"].items()}
    for role, key in (("network", "net"), ("loss", "loss")):
        left[f"{role}.start"] = [digest(each[key]) for each in (content, content["best"] or content)]
    return left


def digest(state: Mapping[str, object]) -> str:
    """Of names, types, shapes and values of weights."""
    hashed = hashlib.sha256()
    for name, value in state.items():
        hashed.update(name.encode())
        if isinstance(value, Tensor):
            hashed.update(f"{value.dtype} {tuple(value.shape)}".encode())
            hashed.update(_bytes(value))
    return hashed.hexdigest()[:16]


def _digest_within(value: object) -> str:
    """Of a value that a checkpoint holds: of every tensor, number and word in it."""
    if isinstance(value, Tensor):
        return digest({"": value})
    if isinstance(value, dict):
        value = [(repr(key), _digest_within(item)) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        value = [_digest_within(item) for item in value]
    elif isinstance(value, set):
        value = sorted(map(repr, value))
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def content(rows: Tensor) -> str:
    """A digest of every byte, computed on all cores; kept as long as the tensor lives and is not changed in place."""
    version = 0 if rows.is_inference() else rows._version
    former = _known_content.get(rows)
    if former is None or former[0] != version:
        flat = _bytes(rows)
        pieces = [flat[start : start + PIECE] for start in range(0, max(1, len(flat)), PIECE)]
        with ThreadPoolExecutor(min(len(pieces), os.cpu_count() or 1)) as pool:
            parts = pool.map(lambda piece: hashlib.sha256(piece).digest(), pieces)
            former = version, hashlib.sha256(b"".join(parts)).hexdigest()[:16]
        _known_content[rows] = former
    return former[1]


def _facts_of_set(role: str, data: ImageSet | Features | None) -> dict[str, object]:
    if data is None:
        return {role: None}
    rows = data.features if isinstance(data, Features) else data.images
    facts = {
        f"{role}.name": data.name,
        f"{role}.split": data.split,
        f"{role}.shape": list(rows.shape),
        f"{role}.classes": data.num_classes,
        f"{role}.labels": content(data.labels.long()),
        f"{role}.content": content(rows),
    }
    aspects = getattr(data, "aspects", None)
    return facts | {f"{role}.aspects": None if aspects is None else content(aspects)}


def _shapes(module: nn.Module) -> str:
    """The names and shapes of the weights, not their values."""
    shapes = [(name, tuple(getattr(value, "shape", ()))) for name, value in module.state_dict().items()]
    return f"{len(shapes)} tensors {hashlib.sha256(repr(shapes).encode()).hexdigest()[:8]}"


def _bytes(values: Tensor) -> np.ndarray:
    return values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def plain(value: object) -> object:
    """The value in types that a checkpoint holds, or ``NOT_PLAIN``."""
    if isinstance(value, Enum | torch.dtype | torch.device):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, functools.partial):
        return plain([value.func, list(value.args), value.keywords])
    if isinstance(value, list | tuple):
        items = [plain(item) for item in value]
        return NOT_PLAIN if any(item is NOT_PLAIN for item in items) else items
    if isinstance(value, dict):
        items = {str(key): plain(item) for key, item in value.items()}
        return NOT_PLAIN if any(item is NOT_PLAIN for item in items.values()) else items
    named = callable(value) and not isinstance(value, nn.Module) and hasattr(value, "__qualname__")
    return f"{value.__module__}.{value.__qualname__}" if named else NOT_PLAIN
