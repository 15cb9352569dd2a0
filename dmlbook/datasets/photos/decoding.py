"""Photographs to bytes: every file decoded once, squeezed to a square, and kept in one cached block of uint8."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import warnings
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from PIL import __version__ as pillow_version
from tqdm.auto import tqdm

from dmlbook._checks import bad_input, speaker
from dmlbook._files import whole, write_whole
from dmlbook._types import Float, Int, Tensor, UInt8

VERSION = f"1, Pillow {pillow_version}"
"""Part of every cache's key: pictures that another decoder made are not taken for ours."""

CHUNK = 1 << 26


@dataclass(frozen=True)
class Decoded:
    """The pictures that could be decoded.

    Attributes:
        images: Their bytes, (M, 3, S, S).
        aspects: Width / height of each original (M,).
        kept: Place of each in the list of files (M,).
    """

    images: UInt8[Tensor, "M 3 S S"]
    aspects: Float[Tensor, " M"]
    kept: Int[Tensor, " M"]


def decode_file(path: Path, size: int) -> tuple[np.ndarray, float]:
    """One picture as RGB bytes (3, S, S), and width / height of the original, upright as its EXIF tag says.

    The whole picture is squeezed to the square with an antialiased bilinear filter: nothing is cut away, and the
    aspect allows crops in the proportions of the original later. JPEG files are decoded at a reduced scale where that
    is enough. What is transparent becomes white.

    Args:
        path: A file that Pillow can read.
        size: Side S of the square, in pixels.

    Raises:
        OSError: The file is truncated or no picture.
        ValueError: Its pixels are 32-bit numbers of unknown range.
    """
    with Image.open(path) as picture:
        width, height = picture.size
        orientation = picture.getexif().get(0x0112, 1)
        picture.draft("RGB", (2 * size, 2 * size))  # twice the size, so that the filter has something to average
        if orientation != 1:
            ImageOps.exif_transpose(picture, in_place=True)
        square = _to_rgb(picture).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    pixels = np.asarray(square, dtype=np.uint8).transpose(2, 0, 1)
    on_its_side = orientation in (5, 6, 7, 8)
    return pixels, height / width if on_its_side else width / height


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8 instead of scaling them
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"32-bit pixels (mode {picture.mode}) have no known range")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def decode(
    folder: Path,
    files: Sequence[str],
    size: int,
    *,
    name: str,
    cache: Path | None = None,
    skip_corrupt: bool = False,
    progress: bool = True,
) -> Decoded:
    """All ``files`` of ``folder``, in their order, from the cache if it holds them unchanged.

    The cache is one block of bytes and a JSON file beside it, under a name made from the list of files, their sizes
    and times, the size of the square and the decoder. It is written aside and renamed when whole, and its checksum
    is compared at every load: what is truncated or altered is decoded anew. It may be deleted at any time.

    Args:
        folder: Where the files are.
        files: Paths below ``folder``, with forward slashes.
        size: Side S of the squares, in pixels.
        name: What the cache's file name begins with, such as ``"cub-train"``.
        cache: Folder of the cache; its images are mapped into memory and read as they are used. None: no cache, all
            in memory.
        skip_corrupt: Leave out the files that cannot be decoded, with a warning that names them.
        progress: Show a progress bar where it takes longer than a second.

    Raises:
        ValueError: Some files cannot be decoded and ``skip_corrupt`` is False (they are named), the cache cannot be
            written, or the disk has no room for it.
    """
    if cache is None:
        images = np.empty((len(files), 3, size, size), np.uint8)
        aspects, corrupt = _decode_into(images, folder, files, progress=progress)
        kept = [i for i, file in enumerate(files) if file not in corrupt]
        images = images[kept] if corrupt else images
    else:
        key = _key(folder, files, size)
        path = cache / f"{name}-{size}-{key[:16]}.uint8"
        found = _read(path, key)
        if found is None:
            _write(path, key, folder, files, size, progress=progress)
            found = _read(path, key)
        if found is None:  # it was whole when it was written
            raise OSError(f"{speaker()}: {path} changed while it was written. Delete it, and load again.")
        images, aspects, kept, corrupt = found
    if corrupt:
        _report(folder, corrupt, len(files), skip_corrupt)
    return Decoded(torch.from_numpy(images), torch.tensor(aspects, dtype=torch.float32), torch.tensor(kept))


def _report(folder: Path, corrupt: dict[str, str], total: int, skip: bool) -> None:
    listed = "".join(f"\n  {file}: {why}" for file, why in list(corrupt.items())[:10])
    more = f"\n  and {len(corrupt) - 10} more" if len(corrupt) > 10 else ""
    if not skip or len(corrupt) == total:
        remedy = "Replace or delete them, or pass skip_corrupt=True to leave them out."
        got = f"{len(corrupt):,} of {total:,} in {folder} that cannot be:{listed}{more}"
        raise bad_input("images", "be readable", got, remedy)
    text = (
        f"{speaker()}: {len(corrupt):,} of {total:,} images in {folder} cannot be read and are left out:{listed}{more}"
    )
    warnings.warn(text, stacklevel=2)


def _decode_into(
    images: np.ndarray, folder: Path, files: Sequence[str], *, progress: bool
) -> tuple[list[float], dict[str, str]]:
    """Fill ``images`` (N, 3, S, S). Returns the aspects of the readable files, and why each of the others is not."""

    def one(i: int) -> float | str:
        try:
            images[i], aspect = decode_file(folder / files[i], images.shape[-1])
        except MemoryError:
            raise
        except Exception as error:  # Pillow's readers raise nearly anything on a broken file
            return f"{type(error).__name__}: {error}"
        return aspect

    pool = ThreadPoolExecutor(os.cpu_count())  # Pillow lets go of the interpreter while it decodes
    try:
        bar = tqdm(
            pool.map(one, range(len(files))),
            "decoding",
            len(files),
            unit="image",
            delay=1,
            mininterval=1,
            disable=not progress,
        )
        results = list(bar)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt ends after the pictures in hand
    corrupt = {file: result for file, result in zip(files, results, strict=True) if isinstance(result, str)}
    return [result for result in results if not isinstance(result, str)], corrupt


def _key(folder: Path, files: Sequence[str], size: int) -> str:
    digest = hashlib.sha256(f"{VERSION}, {size}".encode())
    for file in files:
        status = (folder / file).stat()
        digest.update(f"\0{file}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()


def _checksum(images: np.ndarray, about: dict) -> int:
    """CRC-32 of the pictures and of what the JSON file says about them."""
    crc = zlib.crc32(json.dumps(about, sort_keys=True).encode())
    flat = images.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        crc = zlib.crc32(flat[start : start + CHUNK], crc)
    return crc


def _write(path: Path, key: str, folder: Path, files: Sequence[str], size: int, *, progress: bool) -> None:
    shape = (len(files), 3, size, size)
    unfinished = ExitStack()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free, needed = shutil.disk_usage(path.parent).free, int(np.prod(shape))
        if free < needed:
            got = f"{free / 1e9:.1f} GB for {needed / 1e9:.1f} GB in {path.parent}"
            remedy = "Free some, or pass a smaller size, or cache= another folder or False."
            raise bad_input("cache", "have room on the disk", got, remedy)
        for old in path.parent.glob("*.part"):  # what a killed process left
            if time.time() - old.stat().st_mtime > 86_400:
                old.unlink(missing_ok=True)
        part = unfinished.enter_context(whole(path))
    except OSError as error:
        remedy = "Pass cache= a folder of yours, or cache=False to decode into memory at every load."
        raise bad_input("cache", "be a folder that can be written", error, remedy) from error
    with unfinished:
        images = np.memmap(part, np.uint8, "w+", shape=shape)
        aspects, corrupt = _decode_into(images, folder, files, progress=progress)
        kept = [i for i, file in enumerate(files) if file not in corrupt]
        for row, i in enumerate(kept):
            if row != i:
                images[row] = images[i]
        about = {"key": key, "shape": (len(kept), *shape[1:]), "aspects": aspects, "kept": kept, "corrupt": corrupt}
        about = json.loads(json.dumps(about))  # as it will be read again
        about["crc32"] = _checksum(images[: len(kept)], about)
        images.flush()
        del images  # Windows renames no file that is mapped
        os.truncate(part, int(np.prod(about["shape"])))
    write_whole(path.with_suffix(".json"), json.dumps(about))


def _read(path: Path, key: str) -> tuple[np.ndarray, list[float], list[int], dict[str, str]] | None:
    """The cache's content, or None where it is absent, truncated or altered."""
    try:
        about = json.loads(path.with_suffix(".json").read_text())
        crc, shape = about.pop("crc32"), tuple(about["shape"])
        if about["key"] != key or path.stat().st_size != np.prod(shape):
            return None
        if shape[0] == 0:
            return np.empty(shape, np.uint8), [], [], about["corrupt"]
        # A private mapping: pages come from the file and can leave memory again; what is written to them stays here.
        images = np.memmap(path, np.uint8, "c", shape=shape)
        if _checksum(images, about) != crc:
            return None
        return images, about["aspects"], about["kept"], about["corrupt"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
