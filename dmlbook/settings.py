"""Settings from the environment: DMLBOOK_MODE (how large), DMLBOOK_DATA (where the images are), and the device.

DMLBOOK_CACHE is where decoded photographs are kept, and DMLBOOK_CACHE_GB how many gigabytes of them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TypeVar

from dmlbook._checks import bad_input, check_choice, checked

MODES = ("smoke", "class", "full")
T = TypeVar("T")


@checked
def mode() -> str:
    """``smoke`` (automatic checks, seconds), ``class`` (the default: a laptop) or ``full`` (a GPU, real benchmarks).

    Raises:
        ValueError: ``DMLBOOK_MODE`` is set to anything else.
    """
    chosen = os.environ.get("DMLBOOK_MODE") or "class"
    check_choice(choices=MODES, DMLBOOK_MODE=chosen)
    return chosen


def by_mode(*, smoke: T, class_: T, full: T) -> T:
    """The value for the present mode: sizes and steps are chosen with it, and nothing else."""
    return {"smoke": smoke, "class": class_, "full": full}[mode()]


def building() -> bool:
    """Whether a notebook runs to be stored (``notebooks/build.py`` sets ``DMLBOOK_BUILD``), and not to be worked in."""
    return bool(os.environ.get("DMLBOOK_BUILD"))


def project_root() -> Path | None:
    """The checkout that this package lies in, or None where only the package is installed."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").is_file() and (root / "notebooks").is_dir() else None


def data_root() -> Path:
    """The image sets' folder: ``DMLBOOK_DATA``, or ``data/downloads`` of the checkout, or ``~/.cache/dmlbook``."""
    if chosen := os.environ.get("DMLBOOK_DATA"):
        return Path(chosen).expanduser()
    root = project_root()
    return root / "data" / "downloads" if root else Path.home() / ".cache" / "dmlbook"


def cache_root() -> Path:
    """Where decoded photographs are kept: ``DMLBOOK_CACHE``, or a folder in the user's cache folder.

    That is ``%LOCALAPPDATA%`` on Windows, ``~/Library/Caches`` on a Mac, and elsewhere ``XDG_CACHE_HOME`` or
    ``~/.cache``; in it ``dmlbook/photos``.
    """
    if named := os.environ.get("DMLBOOK_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        chosen, usual = os.environ.get("LOCALAPPDATA", ""), Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        chosen, usual = "", Path.home() / "Library" / "Caches"
    else:
        chosen, usual = os.environ.get("XDG_CACHE_HOME", ""), Path.home() / ".cache"
    base = Path(chosen) if os.path.isabs(chosen) else usual  # the convention: what is relative is none
    return base / "dmlbook" / "photos"


@checked
def cache_bytes() -> int:
    """The most that is kept there: ``DMLBOOK_CACHE_GB`` gigabytes, or 32.

    Raises:
        ValueError: ``DMLBOOK_CACHE_GB`` is no number above 0 and below a million.
    """
    text = os.environ.get("DMLBOOK_CACHE_GB") or "32"
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = 0.0
    if not 0 < gigabytes < 1e6:
        rule = "be a number of gigabytes above 0 and below a million"
        raise bad_input("DMLBOOK_CACHE_GB", rule, repr(text), "Set it to 32, say.")
    return int(gigabytes * 1e9)


def results_root() -> Path:
    """Where records are read and written: ``data/results`` of the checkout, or ``results`` of the working folder."""
    root = project_root()
    return root / "data" / "results" if root else Path.cwd() / "results"


def device() -> str:
    """``cuda``, ``mps`` or ``cpu``: the first that this machine has."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
