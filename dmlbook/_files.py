"""Files that are whole or not there: written beside their place, and moved to it when they are finished.

And places that one process holds at a time. The lock is the system's own, so it ends with its process, however that
ends; its file names the holder for whoever comes second.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from dmlbook._checks import bad_input

if os.name == "nt":
    import msvcrt
else:
    import fcntl

YOUNG = 60.0  # seconds in which an unfinished file is left alone, whoever it belongs to
ABANDONED = 86_400.0  # seconds after which it is nobody's where the system cannot tell
NAME_BYTES = 255  # of one part of a path, on nearly every file system
_FAR = 1 << 30  # the byte that Windows locks: no other may be read


@contextmanager
def whole(path: Path, *, suffix: str = ".part", durable: bool = False) -> Iterator[Path]:
    """An empty file beside ``path``, to be filled; it takes the place of ``path`` when the block ends.

    A block that raises leaves the former file, or none, and nothing else. A process that is killed leaves the
    unfinished file beside it; the next one that writes ``path`` removes it.

    Args:
        path: The file to be; its folder is made if need be. Permissions are those of any new file.
        suffix: How the unfinished file's name ends; it begins with the name of ``path``.
        durable: Whether content and name are on the disk when this returns, so that they outlast a loss of power.

    Raises:
        OSError: The folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}{suffix}")
    _remove_abandoned(path, suffix)
    owned = unfinished.open("xb")
    if os.name == "nt":
        owned.close()  # an open file cannot be renamed there
    else:
        _lock(owned.fileno())
    try:
        yield unfinished
        if durable:
            with unfinished.open("r+b") as file:
                os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    finally:
        owned.close()
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


@contextmanager
def held(path: Path, *, argument: str, rule: str, remedy: str, wait: float = 0.0) -> Iterator[None]:
    """Holds ``path``, a small file that names the holder, for as long as the block lasts; no other process can.

    What a killed process left is taken over. A file that names another machine is not, as this one cannot see whether
    that process lives.

    Args:
        path: Made, with its folder, and removed at the end.
        argument: What the message of a refusal is about, such as ``"folder"``.
        rule: What it must be, such as ``"be used by one run at a time"``.
        remedy: What to do then.
        wait: Seconds to try for.

    Raises:
        ValueError: Another holds it; the message names its process and machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + wait
    while isinstance(handle := _held(path), dict):
        if time.monotonic() >= end:
            who = f"process {handle.get('process')} on {handle.get('machine')}, since {handle.get('since')}"
            remedy = f"{remedy} Where that process has ended, delete {path}."
            raise bad_input(argument, rule, f"{path.parent}, held by {who}", remedy)
        time.sleep(0.02)
    try:
        yield
    finally:
        if os.name == "nt":
            os.close(handle)
        with suppress(OSError):
            path.unlink()
        if os.name != "nt":
            os.close(handle)


def holder(path: Path) -> dict | None:
    """Who holds ``path``, see :func:`held`: its process, its machine and since when. None: nobody does.

    Nothing is taken. Whoever is on another machine cannot be seen from here and is believed.
    """
    owner = _owner(path)
    if not owner or owner.get("machine") != _machine():
        return owner or None
    if os.name != "nt" and not _lives(owner):
        return None
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # gone by now
        return None
    try:
        free = _lock(handle)
    finally:
        os.close(handle)
    return None if free else owner


def _held(path: Path) -> int | dict:
    """An open file that is locked and names this process; or who holds it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            free, owner = _lock(handle), _owner(path)
            if free is None:
                free = not _lives(owner)
            if free and not _is_at(handle, path):  # its former holder removed it just now
                os.close(handle)
                continue
            if free and owner.get("machine", _machine()) == _machine():
                mine = {"process": os.getpid(), "machine": _machine()}
                mine["since"] = datetime.now(UTC).isoformat(timespec="seconds")
                os.ftruncate(handle, 0)
                os.lseek(handle, 0, os.SEEK_SET)
                os.write(handle, json.dumps(mine).encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        return owner


def _lock(handle: int) -> bool | None:
    """Whether the system gave the lock, which is gone when the process is, or the file is closed; None: it has none."""
    try:
        if os.name == "nt":
            os.lseek(handle, _FAR, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        taken = os.name == "nt" or error.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)
        return False if taken else None  # some network file systems know no locks
    return True


def _lives(owner: dict) -> bool:
    """Whether the process that a lock's file names is there, as far as this machine can see."""
    number = owner.get("process")
    if not isinstance(number, int) or number < 1 or owner.get("machine") != _machine():
        return False
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _owner(path: Path) -> dict:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # gone by now, or not written yet
        return {}
    return owner if isinstance(owner, dict) else {}


def _machine() -> str:
    return socket.gethostname()


def _remove_abandoned(path: Path, suffix: str) -> None:
    """Unfinished files of ``path`` whose writers were killed; never that of one who writes now."""
    for other in path.parent.iterdir():
        token = other.name.removeprefix(f"{path.name}.").removesuffix(suffix)
        if other.name != f"{path.name}.{token}{suffix}" or len(token) != 8:
            continue
        with suppress(OSError):  # another process was quicker
            age = time.time() - other.stat().st_mtime
            if age > (ABANDONED if os.name == "nt" else YOUNG):
                with other.open("r+b") as file:
                    if os.name == "nt" or _lock(file.fileno()) or age > ABANDONED * 7:
                        other.unlink()


def unwritable(path: Path) -> str | None:
    """Why no file can be written at ``path``, in words; None: one can. Nothing is left behind, no folder is made."""
    try:
        if "\0" in str(path):
            return "a name with a NUL"
        for part in path.parts:
            if len(os.fsencode(part)) > NAME_BYTES - len(".12345678.unfinished"):
                return f"a name of {len(part)} letters, {part[:20]}..."
        if path.is_dir():
            return f"{path}, which is a folder"
        there = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
        if not there.is_dir():
            return f"{there}, which is no folder"
        probe = there / f".probe.{secrets.token_hex(4)}"
        probe.open("xb").close()
        probe.unlink()
    except (OSError, ValueError) as error:
        return str(error)
    return None
