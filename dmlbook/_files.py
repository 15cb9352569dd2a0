"""Files that are whole or not there: written beside their place, and moved to it when they are finished."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path, *, suffix: str = ".part", durable: bool = False) -> Iterator[Path]:
    """An empty file beside ``path``, to be filled; it takes the place of ``path`` when the block ends.

    A block that raises leaves the former file, or none, and nothing else. A process that is killed leaves the
    unfinished file beside it.

    Args:
        path: The file to be; its folder is made if need be. Permissions are those of any new file.
        suffix: How the unfinished file's name ends; it begins with the name of ``path``.
        durable: Whether content and name are on the disk when this returns, so that they outlast a loss of power.

    Raises:
        OSError: The folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}{suffix}")
    unfinished.open("xb").close()
    try:
        yield unfinished
        if durable:
            with unfinished.open("r+b") as file:
                os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if durable and os.name == "posix":  # Windows cannot open folders and needs not
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_whole(path: Path, text: str) -> None:
    """Writes a text file, UTF-8 with plain line ends, whole or not at all, and onto the disk."""
    with whole(path, durable=True) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
