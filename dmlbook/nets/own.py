"""Backbones of the reader's own: a function in a file of Python, which is run to make one."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

from torch import nn

from dmlbook._checks import bad_input
from dmlbook.nets.backbones import Backbone, of_module

FORM = "my_nets.py:make"


def is_own(name: str) -> bool:
    """Whether a network's name is ``file.py:function``."""
    return ".py:" in name


def settled_name(name: str) -> tuple[str, str]:
    """The name with the file's whole path, and the digest of the file: what a run notes, to be built again.

    Raises:
        ValueError: There is no such file.
    """
    path, function = _parts(name)
    return f"{path.resolve()}:{function}", digest(path)


def digest(path: Path) -> str:
    """The first 16 letters of the SHA-256 of a file."""
    return _digest(path.read_bytes())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


class _AsRead(SourceFileLoader):
    """Runs the very bytes that were hashed: what Python compiled of the file before is not looked at."""

    def __init__(self, name: str, path: Path, content: bytes):
        super().__init__(name, str(path))
        self.content = content

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.content, self.path)


def of_file(name: str, code_digest: str | None) -> Backbone:
    """The backbone that the function makes; the file is run.

    Args:
        name: ``file.py:function``; the function takes no argument and returns a module.
        code_digest: What ``digest`` must be for the file to be run. None: anything.

    Raises:
        ValueError: There is no such file or function, the file has changed, it cannot be run, or what it makes is no
            module that gives features.
    """
    path, function = _parts(name)
    content = path.read_bytes()
    found = _digest(content)
    if code_digest not in (None, found):
        remedy = "Put the file back as it was; or look at it, and name the new digest in run.json."
        raise bad_input("name", f"be a file that is as it was ({code_digest})", f"{path.name} with {found}", remedy)
    name = f"own_nets_{found}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_AsRead(name, path, content))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and pickle look
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # of somebody else's code: any kind
        got = f"{path.name}: {type(error).__name__}: {error}"
        raise bad_input("name", "be a file of Python that runs", got, "Try it: python FILE.") from error
    make = getattr(module, function, None)
    if not callable(make):
        there = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        remedy = f"It has {', '.join(there) or 'none'}."
        raise bad_input("name", f"name a function of {path.name}", repr(function), remedy)
    try:
        made = make()
    except Exception as error:
        remedy = "It is called without arguments."
        raise bad_input(
            "name", "name a function that makes a module", f"{type(error).__name__}: {error}", remedy
        ) from error
    if not isinstance(made, nn.Module):
        remedy = "Return the backbone, a torch.nn.Module."
        raise bad_input("name", "name a function that makes a module", type(made).__name__, remedy)
    return of_module(made, "imagenet")


def _parts(name: str) -> tuple[Path, str]:
    file, _, function = name.rpartition(":")
    path = Path(file).expanduser()
    if not path.is_file() or not function.isidentifier():
        remedy = f"Write it as {FORM}: the file, and the function in it that makes the backbone."
        raise bad_input("name", "be a file of Python that is there, and its function", repr(name), remedy)
    return path, function
