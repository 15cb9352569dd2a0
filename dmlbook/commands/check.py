"""Says what this machine has: versions, device, mode, image sets."""

from __future__ import annotations

import base64
import hashlib
from argparse import ArgumentParser, Namespace
from importlib import metadata, util
from pathlib import Path

from dmlbook import records, settings
from dmlbook.commands.data import table

ABOUT = """\
Prints versions, device, mode (DMLBOOK_MODE), image folder (DMLBOOK_DATA) and the sets in it, and whether torch and
torchvision fit together. The exit status is 1 where the book would not run.
"""

BOOK = {
    "jupyterlab": "jupyterlab", "ipywidgets": "ipywidgets", "anywidget": "anywidget", "matplotlib": "matplotlib",
    "seaborn": "seaborn", "umap": "umap-learn", "jupytext": "jupytext", "safetensors": "safetensors",
}  # fmt: skip
"""What the chapters import, and the package that it must come from."""

INSTALL = "pip install -c constraints.txt -e '.[book]'"


def add_arguments(parser: ArgumentParser) -> None:
    del parser  # it takes no options


def run(options: Namespace) -> int:
    del options
    found = records.provenance()
    print(f"machine     {found['machine']}")
    print(f"device      {found['device']}, {found['threads']} threads")
    print("versions    " + ", ".join(f"{name} {version}" for name, version in found["versions"].items()))
    print(f"mode        {settings.mode()}   (DMLBOOK_MODE: {', '.join(settings.MODES)})")
    print(f"images      {_shown(settings.data_root())}   (DMLBOOK_DATA)")
    print("\n".join(f"            {line}" for line in table()))
    problems = _problems()
    print("\n".join(f"problem     {problem}" for problem in problems) or "ready       yes")
    return 1 if problems else 0


def _shown(folder: Path) -> Path:
    """The folder, as seen from the checkout where it lies inside."""
    root = settings.project_root()
    return folder.relative_to(root) if root is not None and folder.is_relative_to(root) else folder


def _problems() -> list[str]:
    problems = []
    try:
        from torchvision.ops import nms  # noqa: F401 - the operators are what breaks where the pair does not match
    except (ImportError, RuntimeError) as error:
        pair = f"torch {metadata.version('torch')} and torchvision {metadata.version('torchvision')}"
        problems.append(f"{pair} do not fit together ({error}); install the pair that constraints.txt names")
    missing = [package for module, package in BOOK.items() if util.find_spec(module) is None]
    if missing:
        problems.append(f"for the book {', '.join(missing)} are missing: {INSTALL}")
    for module, package in BOOK.items():
        if package not in missing and not _comes_from(module, package):
            problems.append(f"{module} is not that of {package}, but another package of this name: {INSTALL}")
    return problems


def _comes_from(module: str, package: str) -> bool:
    """Whether what ``import module`` would read is the installed package's, and has not been overwritten by another."""
    found = util.find_spec(module).origin
    try:
        files = metadata.files(package)
    except metadata.PackageNotFoundError:
        return False
    if not files or found is None:  # installed in a way that keeps no list
        return True
    own = next((each for each in files if Path(each.locate()).resolve() == Path(found).resolve()), None)
    return own is not None and (own.hash is None or own.hash.value == _digest(Path(found), own.hash.mode))


def _digest(path: Path, mode: str) -> str:
    """As lists of installed files write it."""
    return base64.urlsafe_b64encode(hashlib.new(mode, path.read_bytes()).digest()).rstrip(b"=").decode()
