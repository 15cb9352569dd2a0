"""Files of weights, read so that a damaged or foreign one is named, and nothing in it is run."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch

from dmlbook._checks import bad_input
from dmlbook._types import Tensor

AGAIN = "Copy or download it again."
SAVE = "Where you trust its source, load it there and save the weights alone: torch.save(model.state_dict(), file)."
WRAPPED = ("state_dict", "model", "model_state_dict")
"""Keys under which training scripts keep the weights, beside epochs and optimizers."""
PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before each name."""
PUBLISHED = re.compile(r"(?:resnet|googlenet|mobilenet|efficientnet)\w*-([0-9a-f]{8})\.pth")
"""torchvision's names end in the beginning of the file's SHA-256."""


def read_weights(file: str | PathLike) -> dict[str, Tensor]:
    """The weights in a file by their names, on the CPU.

    Args:
        file: What ``torch.save`` wrote of a state dict, in its present format (whose checksums are compared) or in
            that before torch 1.6 (which has none), or a ``.safetensors`` file (likewise). The weights may lie under
            ``state_dict`` or ``model``, and their names may begin with ``module.``.

    Raises:
        ValueError: There is no such file, it is damaged, it holds anything but weights, or one of them is not finite.
    """
    path, shown = Path(file), str(file)
    try:
        there = path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        remedy = 'Check the path, or pass weights="imagenet".'
        raise bad_input("weights", "be None, 'imagenet' or a file that exists", repr(shown), remedy)
    try:
        _check_beginning(path, shown)
        held = _read_safetensors(path, shown) if path.suffix == ".safetensors" else _read_torch(path, shown)
    except OSError as error:
        raise _unusable(shown, f"cannot be read ({error.strerror})", "Check its permissions and the disk.") from error
    weights = _unwrapped(held, shown)
    for name, values in weights.items():
        if values.layout is not torch.strided or values.is_quantized or values.is_meta:
            raise _unusable(shown, f"{name} is no ordinary tensor", "Save the weights dense and unquantized.")
        if not torch.isfinite(values).all():
            raise _unusable(shown, f"{name} holds NaN or infinity", "Its training diverged, or the file is damaged.")
    return weights


def _unusable(shown: str, found: str, remedy: str) -> ValueError:
    return bad_input("weights", "be a file of a network's weights", f"{shown}: {found}", remedy)


def _check_beginning(path: Path, shown: str) -> None:
    """What a file is not can often be told from its first bytes, and from its name."""
    with path.open("rb") as file:
        beginning = file.read(512)
        if not beginning:
            raise _unusable(shown, "it is empty", AGAIN)
        if beginning.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
            raise _unusable(shown, "it is a web page", "The download was answered with it: look at the address.")
        if beginning.startswith(b"version https://git-lfs"):
            raise _unusable(shown, "it is a pointer of Git LFS", "Fetch the file itself: git lfs pull.")
        if published := PUBLISHED.fullmatch(path.name):
            file.seek(0)
            found = hashlib.file_digest(file, "sha256").hexdigest()[:8]
            if found != published[1]:
                remedy = "Download it again; if the file is your own, give it another name."
                raise _unusable(shown, f"its SHA-256 begins with {found}, not as its name says", remedy)


def _read_safetensors(path: Path, shown: str) -> object:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        remedy = "Install it: pip install safetensors."
        raise bad_input("weights", "be .pt while safetensors is missing", path.name, remedy) from error
    try:
        return load_file(path)
    except OSError:
        raise
    except Exception as error:  # its own error, or what a damaged header leads to
        raise _unusable(shown, "it is no whole .safetensors file", AGAIN) from error


def _read_torch(path: Path, shown: str) -> object:
    _check_archive(path, shown)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises half a dozen kinds, by what is damaged
        if "Unsupported global" in str(error):
            raise _unusable(shown, "it holds Python objects, which could run code when loaded", SAVE) from error
        raise _unusable(shown, "torch cannot read it: it is cut off, damaged or of another kind", AGAIN) from error


def _check_archive(path: Path, shown: str) -> None:
    """torch itself does not compare the checksums."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("constants.pkl") for name in archive.namelist()):
                raise _unusable(shown, "it is a TorchScript archive", SAVE)
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise _unusable(shown, "it is a compressed archive", "Unpack it: the weights are a file inside.")
            if not any(name.endswith("data.pkl") for name in archive.namelist()):
                raise _unusable(shown, "it is an archive of other files", "Unpack it: the weights are a file inside.")
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, UnicodeError) as error:
        raise _unusable(shown, "it is damaged", AGAIN) from error
    if damaged:
        raise _unusable(shown, f"it is damaged: the checksum of {damaged} differs", AGAIN)


def _unwrapped(held: object, shown: str) -> dict[str, Tensor]:
    while isinstance(held, Mapping):
        inner = [held[key] for key in WRAPPED if isinstance(held.get(key), Mapping)]
        if not inner:
            break
        held = inner[0]
    if not isinstance(held, Mapping):
        raise _unusable(shown, f"it holds a {type(held).__name__}", SAVE)
    for name, values in held.items():
        if not isinstance(name, str) or not isinstance(values, Tensor):
            found = f"{name!r} is a {type(values).__name__}, not a tensor"
            raise _unusable(shown, found, f"The weights may lie under {', '.join(map(repr, WRAPPED))}. {SAVE}")
    if not held:
        raise _unusable(shown, "it holds no weights", SAVE)
    names = list(held)
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in names)), ""):
        names = [name.removeprefix(prefix) for name in names]
    return dict(zip(names, held.values(), strict=True))
