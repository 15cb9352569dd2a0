"""Names of records: files below the folder of results, on every system, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path, PureWindowsPath

from dmlbook import settings
from dmlbook._checks import bad_input, checked
from dmlbook._files import unwritable

LONGEST = 200  # bytes of one part of a name
_DEVICES = re.compile(r"(con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³])(\.|$)", re.IGNORECASE)
"""What Windows takes for a device, whatever follows a dot."""
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"|?*\\]')


@checked
def check_name(name: str) -> None:
    """Raises unless ``name`` names a file below the folder of results, such as ``"cub-softtriple"`` or ``"maps/cub"``.

    Raises:
        ValueError: It is empty, absolute, too long, leaves the folder, or holds what some file system cannot write.

    Example:
        >>> check_name("maps/cub-k1")
        >>> check_name("../cub")
        Traceback (most recent call last):
        ValueError: check_name: name must stay below the folder of results; got '../cub'. Use words joined by - and /.
    """
    remedy = "Use words joined by - and /."
    if not name.strip():
        raise bad_input("name", "be a word", repr(name), remedy)
    parts = name.split("/")
    if name.startswith("/") or PureWindowsPath(name).drive or {"..", "."} & set(parts):
        raise bad_input("name", "stay below the folder of results", repr(name), remedy)
    if any(map(_DEVICES.match, parts)):
        raise bad_input("name", "be one that every system can write", f"{name!r}, a device of Windows", remedy)
    if "" in parts or _FORBIDDEN.search(name) or any(part != part.strip(" .") for part in parts):
        raise bad_input("name", "be one that every system can write", repr(name), remedy)
    try:
        longest = max(len(part.encode()) for part in parts)
    except UnicodeEncodeError:
        raise bad_input("name", "be one that every system can write", ascii(name), remedy) from None
    if longest > LONGEST:
        got = f"{longest} of them, {name[:20]!r}..."
        raise bad_input("name", f"have at most {LONGEST} bytes between slashes", got, remedy)


@checked
def check_writable(name: str, root: Path | None = None) -> None:
    """Raises unless a record of that name can be written: asked before the work, and nothing is left behind.

    Raises:
        ValueError: The name will not do, a folder or file is in the way, or the folder cannot be written.
    """
    check_name(name)
    path = path_of(name, root)
    if (reason := unwritable(path)) is not None:
        remedy = "Choose another name, or remove what is in the way."
        raise bad_input("name", "name a file that can be written", f"{name!r}: {reason}", remedy)


def path_of(name: str, root: Path | None) -> Path:
    """``root/name.json``; ``root`` is ``data/results`` by default."""
    return (settings.results_root() if root is None else Path(root)) / f"{name}.json"
