"""Says what this machine has: versions, device, mode, image sets."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib import metadata, util
from pathlib import Path

from dmlbook import records, settings
from dmlbook.commands.data import table

ABOUT = """\
Prints versions, device, mode (DMLBOOK_MODE), image folder (DMLBOOK_DATA) and the sets in it, and whether torch and
torchvision fit together. The exit status is 1 where the book would not run.
"""

BOOK = ("jupyterlab", "ipywidgets", "matplotlib", "seaborn", "umap", "jupytext")


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
    missing = [name for name in BOOK if util.find_spec(name) is None]
    if missing:
        problems.append(f"for the book {', '.join(missing)} are missing: pip install -c constraints.txt -e '.[book]'")
    return problems
