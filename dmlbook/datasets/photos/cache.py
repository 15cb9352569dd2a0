"""Decoded photographs kept in the user's cache folder: one file for each list of photographs, bounded, and dispensable.

A file holds the bytes of the pictures, then what is known of them as JSON, then the length of that. It is written aside
and renamed when it is whole, and its checksum is compared at every load. Processes may read and write side by side, and
whatever is deleted is decoded anew. Earlier versions kept ``.dmlbook_cache`` in the folder of the photographs: it is
not read any more, and may be deleted.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dmlbook import settings
from dmlbook._checks import checked
from dmlbook._files import whole

SUFFIX = ".photos"
NAME = re.compile(r"(?P<name>.+)-(?P<size>[0-9]+)-(?P<folder>[0-9a-f]{8})-[0-9a-f]{16}\.photos")
PER_SET = 3
"""How many files of one half of one folder are kept: the ones used last, whatever their sizes."""

_CHUNK = 1 << 26
_TAIL = struct.Struct(">Q8s")
_MARK = b"dmlphoto"


@dataclass(frozen=True)
class Content:
    """What one file holds.

    Attributes:
        images: Bytes of the pictures that could be decoded (M, 3, S, S), mapped; what is written to them stays here.
        about: ``aspects`` and ``kept`` of these M, ``corrupt``: for each other file, by its place, why; and the rest.
    """

    images: np.ndarray
    about: dict


@dataclass(frozen=True)
class Kept:
    """A file of the cache, as ``entries`` shows it.

    Attributes:
        path: The file.
        name: The set and the half, such as ``"cub-train"``.
        folder: Where the photographs are.
        size: Side of the squares, in pixels.
        images: Their number.
        bytes: Size of the file.
        last_use: When it was written or read last, in seconds since 1970.
    """

    path: Path
    name: str
    folder: str
    size: int
    images: int
    bytes: int
    last_use: float


@checked
def entries(place: str | Path | None = None) -> list[Kept]:
    """The files of the cache, the one used last first.

    Args:
        place: The cache folder; by default ``settings.cache_root()``.

    Example:
        >>> entries("nowhere")
        []
    """
    found = []
    for path, status in _files(_place(place)):
        about = _about(path) or {"folder": "", "shape": [0]}
        match = NAME.fullmatch(path.name)
        size, images = int(match["size"]), about["shape"][0]
        found.append(
            Kept(path, match["name"], about["folder"], size, images, status.st_size, max(status.st_mtime, 0.0))
        )
    return found


@checked
def clear(place: str | Path | None = None, *, folder: str | Path | None = None) -> int:
    """Delete the files of the cache, and nothing else that lies in its folder.

    Args:
        place: The cache folder; by default ``settings.cache_root()``.
        folder: Delete only what was made of the photographs in this folder or below it. None: all.

    Returns:
        How many bytes that freed. A file that cannot be deleted is passed over.
    """
    place, freed = _place(place), 0
    below = None if folder is None else Path(os.path.realpath(Path(folder).expanduser()))
    for kept in entries(place):
        if below is None or (kept.folder and Path(kept.folder).is_relative_to(below)):
            freed += kept.bytes if _delete(kept.path) else 0
    if below is None:
        freed += _sweep(place, older_than=3600)
    return freed


def _place(place: str | Path | None) -> Path:
    return settings.cache_root() if place is None else Path(place).expanduser()


def _files(place: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    for path in place.glob(f"*{SUFFIX}") if place.is_dir() else ():
        try:
            if NAME.fullmatch(path.name):
                found.append((path, path.stat()))
        except OSError:  # another process deleted it
            continue
    return sorted(found, key=lambda pair: pair[1].st_mtime, reverse=True)


def _delete(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:  # gone, mapped (Windows), or somebody else's
        return False
    return True


def _sweep(place: Path, *, older_than: float) -> int:
    """Delete what killed writers left. What was touched within ``older_than`` seconds may still be written."""
    freed = 0
    for part in place.glob(f"*{SUFFIX}.*.part") if place.is_dir() else ():
        try:
            status = part.stat()
        except OSError:
            continue
        if time.time() - status.st_mtime > older_than and _delete(part):
            freed += status.st_size
    return freed


def key(folder: Path, files: Sequence[str], size: int, version: str) -> str:
    """Changes with every change of the list, of a file, of the size and of the decoder (``version``).

    A file is known by its size, the time of its last change and the time of the last change of its inode: who replaces
    one and sets its time back still changes the latter. Windows has none; there the content is read.
    """
    digest = hashlib.sha256(f"{version}, {size}".encode())
    for file in files:
        digest.update(b"\0" + os.fsencode(file) + b"\0" + _state(folder / file).encode())
    return digest.hexdigest()


def _state(path: Path) -> str:
    try:
        status = path.stat()
        changed = zlib.crc32(path.read_bytes()) if os.name == "nt" else status.st_ctime_ns
    except (OSError, ValueError) as error:  # it cannot be decoded either, which is told there
        return type(error).__name__
    return f"{status.st_size} {status.st_mtime_ns} {changed}"


def path_of(place: Path, name: str, folder: Path, size: int, key: str) -> Path:
    """Where the pictures of this half of this folder are kept."""
    where = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()
    return place / f"{name}-{size}-{where[:8]}-{key[:16]}{SUFFIX}"


def read(path: Path, key: str) -> Content | None:
    """The content of a file, or None where it is absent, truncated, altered or another's."""
    about = _about(path)
    if about is None or about.get("key") != key:
        return None
    try:
        shape, crc = tuple(about["shape"]), about.pop("crc32")
        # A private mapping: pages come from the file and can leave memory again; what is written to them stays here.
        images = np.memmap(path, np.uint8, "c", shape=shape) if shape[0] else np.empty(shape, np.uint8)
        if _checksum(images, about) != crc:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with contextlib.suppress(OSError):  # a cache that is shared for reading only
        os.utime(path)  # used now: what was used least recently goes first
    return Content(images, about)


def _about(path: Path) -> dict | None:
    """The JSON of a file whose parts add up to its size."""
    try:
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END) - _TAIL.size
            file.seek(max(end, 0))
            length, mark = _TAIL.unpack(file.read(_TAIL.size))
            if mark != _MARK or length > end:
                return None
            file.seek(end - length)
            about = json.loads(file.read(length))
        sizes = about["shape"]
        fits = len(sizes) == 4 and all(type(s) is int and s >= 0 for s in sizes) and type(about["folder"]) is str
        return about if fits and int(np.prod(sizes, dtype=object)) == end - length else None
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None


def _checksum(images: np.ndarray, about: dict) -> int:
    """CRC-32 of the pictures and of what is said about them."""
    crc = zlib.crc32(json.dumps(about, sort_keys=True).encode())
    flat = images.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        crc = zlib.crc32(flat[start : start + _CHUNK], crc)
    return crc


def write(path: Path, shape: tuple[int, ...], fill: Callable[[np.ndarray], dict]) -> None:
    """Make a file of pictures of ``shape`` (N, 3, S, S); others make room for it.

    Args:
        path: As ``path_of`` says.
        shape: Of what is decoded; it is cut to the M pictures that ``fill`` has put first.
        fill: Puts the pictures into the array, and returns what is known of them, with ``kept`` (M).

    Raises:
        OSError: The folder cannot be written, or the disk has no room even when the rest of the cache is deleted.
    """
    needed = int(np.prod(shape, dtype=object))
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent, older_than=86_400)
    trim(path, needed)
    with whole(path) as part:
        with open(part, "r+b") as file:
            _reserve(file.fileno(), needed)
            file.truncate(needed)
        images = np.memmap(part, np.uint8, "r+", shape=shape)
        about = fill(images)
        kept = len(about["kept"])
        about = json.loads(json.dumps(about | {"shape": (kept, *shape[1:])}))  # as it will be read again
        about["crc32"] = _checksum(images[:kept], about)
        images.flush()
        del images  # Windows renames no file that is mapped
        text = json.dumps(about).encode()
        with open(part, "r+b") as file:
            file.truncate(int(np.prod(about["shape"], dtype=object)))
            file.seek(0, os.SEEK_END)
            file.write(text + _TAIL.pack(len(text), _MARK))


def _reserve(descriptor: int, needed: int) -> None:
    """Take the room now: a disk that is full when a mapped page is written ends the process."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, needed)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise  # others: a file system that cannot reserve


def trim(path: Path, needed: int) -> None:
    """Make room for ``needed`` bytes at ``path``: of its set the files used last stay, of all as many as fit the bound.

    The bound is ``settings.cache_bytes()``; a single set that is larger is kept alone.

    Raises:
        OSError: The disk has no room for it.
    """
    others = sum(status.st_size for other, status in _files(path.parent) if other != path)
    if (free := shutil.disk_usage(path.parent).free) + others < needed:  # nothing is given up for what never fits
        raise _no_room(free + others, needed)
    match, room, same, full = NAME.fullmatch(path.name), settings.cache_bytes() - needed, 1, False
    for other, status in _files(path.parent):
        if other == path:
            continue
        of_set = NAME.fullmatch(other.name).group("name", "folder") == match.group("name", "folder")
        full = full or status.st_size > room  # whatever was used before this one goes, too
        if not ((full or (of_set and same == PER_SET)) and _delete(other)):
            same, room = same + of_set, room - status.st_size
    for other, _ in reversed(_files(path.parent)):
        if shutil.disk_usage(path.parent).free >= needed:
            return
        _delete(other)
    if (free := shutil.disk_usage(path.parent).free) < needed:
        raise _no_room(free, needed)


def _no_room(free: int, needed: int) -> OSError:
    return OSError(f"the disk has room for {free / 1e9:.1f} GB, and {needed / 1e9:.1f} GB are needed")
