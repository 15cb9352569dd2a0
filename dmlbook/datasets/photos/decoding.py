"""Photographs to bytes: every file decoded once, squeezed to a square, and kept in a block of uint8."""

from __future__ import annotations

import errno
import os
import stat
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL import __version__ as pillow_version
from tqdm.auto import tqdm

from dmlbook._checks import bad_input, speaker
from dmlbook._types import Float, Int, Tensor, UInt8
from dmlbook.datasets.photos import cache as cached
from dmlbook.datasets.photos.formats import printable, readable_formats

VERSION = f"2, Pillow {pillow_version}"
"""Part of every cache's key: pictures that another decoder made are not taken for ours."""


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
        path: A file of one of ``formats.FORMATS``. The content counts, and not the name: no other format is opened.
        size: Side S of the square, in pixels.

    Raises:
        OSError: The file is absent, truncated or no picture.
        ValueError: It is no regular file, or its pixels are 32-bit numbers of unknown range.
        PIL.Image.DecompressionBombError: It has more pixels than Pillow allows, 179 million.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for, and a device read for ever
        raise ValueError("it is no regular file")
    return decode_content(path, size)


def decode_content(source: Path | BytesIO, size: int, *, most_pixels: int | None = None) -> tuple[np.ndarray, float]:
    """As ``decode_file``, from an open file or from bytes in memory.

    Args:
        source: What Pillow can open.
        size: Side of the square, in pixels.
        most_pixels: Pictures of more are refused before one of them is decoded; None: Pillow's own bound.

    Raises:
        ValueError: There are more pixels than that; and all that ``decode_file`` raises.
    """
    with Image.open(source, formats=readable_formats()) as picture:
        width, height = picture.size
        if most_pixels is not None and width * height > most_pixels:
            raise ValueError(f"it has {width:,} x {height:,} pixels, at most {most_pixels:,} are taken")
        picture.draft("RGB", (2 * size, 2 * size))  # twice the size, so that the filter has something to average
        pixels, on_its_side = squeeze(picture, size)
    return pixels, height / width if on_its_side else width / height


def squeeze(picture: Image.Image, size: int) -> tuple[np.ndarray, bool]:
    """A picture of Pillow's as RGB bytes (3, S, S), upright, and whether width and height changed places for that.

    Raises:
        ValueError: Its pixels are 32-bit numbers of unknown range.
    """
    orientation = picture.getexif().get(0x0112, 1)
    if orientation != 1:
        picture = ImageOps.exif_transpose(picture)
    square = _to_rgb(picture).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(square, dtype=np.uint8).transpose(2, 0, 1), orientation in (5, 6, 7, 8)


def _to_rgb(picture: Image.Image) -> Image.Image:
    deep = picture.mode == "I" and picture.format in ("PPM", "PNG")  # 16 bits, which Pillow widens without scaling
    if deep or picture.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8 instead of scaling them
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

    A cache that cannot be written, or has no room, costs time alone: the pictures are decoded into memory, and one
    warning says so. See :mod:`dmlbook.datasets.photos.cache`.

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
        ValueError: Some files cannot be decoded and ``skip_corrupt`` is False (they are named), or none can.
    """
    content = None if cache is None or not files else _through(cache, folder, files, size, name=name, progress=progress)
    if content is None:
        images = np.empty((len(files), 3, size, size), np.uint8)
        about = fill(images, folder, files, progress=progress)
        content = cached.Content(images[: len(about["kept"])], about)
    about = content.about
    if about["corrupt"]:
        corrupt = {files[int(place)]: why for place, why in about["corrupt"].items()}
        _report(folder, corrupt, len(files), skip_corrupt)
    aspects = torch.tensor(about["aspects"], dtype=torch.float32)
    return Decoded(torch.from_numpy(content.images), aspects, torch.tensor(about["kept"]))


class _Unkept(Exception):
    """Pictures of which some could not be read this time: what was decoded is used, and not kept."""

    def __init__(self, content: cached.Content) -> None:
        super().__init__()
        self.content = content


def _through(
    place: Path, folder: Path, files: Sequence[str], size: int, *, name: str, progress: bool
) -> cached.Content | None:
    """The content of the cache, made if need be; None where it cannot be."""
    key = cached.key(folder, files, size, f"{VERSION}, {' '.join(readable_formats())}")
    path = cached.path_of(place, name, folder, size, key)
    if (found := cached.read(path, key)) is not None:
        return found
    known = {"key": key, "folder": printable(os.path.realpath(folder))}

    def filled(images: np.ndarray) -> dict:
        about = fill(images, folder, files, progress=progress)
        if about["passing"]:
            raise _Unkept(cached.Content(images[: len(about["kept"])].copy(), about))
        return known | about

    try:
        cached.write(path, (len(files), 3, size, size), filled)
        why = "it changed while it was written"
    except _Unkept as unkept:
        return unkept.content
    except OSError as error:
        why = error.strerror or str(error)
    if (found := cached.read(path, key)) is None:  # else another process may have made it meanwhile
        text = f"{speaker()}: decoded photographs cannot be kept in {place} ({why}), so each call decodes them again."
        warnings.warn(f"{text} DMLBOOK_CACHE or cache=FOLDER names another folder.", stacklevel=7)
    return found


def _report(folder: Path, corrupt: dict[str, str], total: int, skip: bool) -> None:
    listed = "".join(f"\n  {printable(file)}: {why}" for file, why in list(corrupt.items())[:10])
    more = f"\n  and {len(corrupt) - 10} more" if len(corrupt) > 10 else ""
    if not skip or len(corrupt) == total:
        remedy = "Replace or delete them, or pass skip_corrupt=True to leave them out."
        got = f"{len(corrupt):,} of {total:,} in {folder} that cannot be:{listed}{more}"
        raise bad_input("images", "be readable", got, remedy)
    text = (
        f"{speaker()}: {len(corrupt):,} of {total:,} images in {folder} cannot be read and are left out:{listed}{more}"
    )
    warnings.warn(text, stacklevel=7)  # who called datasets.load


def _why(path: Path, error: Exception) -> str:
    """Why a picture cannot be read, in words that do not depend on who asks."""
    if isinstance(error, UnidentifiedImageError):
        return f"it is no picture, or of none of the formats {', '.join(readable_formats())}"
    if isinstance(error, FileNotFoundError):
        return "a link that leads nowhere" if path.is_symlink() else "it is not there"
    return f"{type(error).__name__}: {printable(str(error))}"


def fill(images: np.ndarray, folder: Path, files: Sequence[str], *, progress: bool) -> dict:
    """Fill ``images`` (N, 3, S, S), the M readable ones first, in their order.

    Args:
        images: Where the pictures go.
        folder: Where the files are.
        files: Paths below ``folder``, or absolute ones.
        progress: Show a bar where it takes longer than a second.

    Returns:
        ``aspects`` and ``kept``, places in ``files``, of the readable ones (M), and ``corrupt``: for each place of
        the others, why. ``passing``: whether the system, and not a picture, was the cause of one of these.
    """
    passing = []

    def one(i: int) -> float | str:
        if printable(files[i]) != files[i]:
            return "its name is not UTF-8: rename it"
        try:
            images[i], aspect = decode_file(folder / files[i], images.shape[-1])
        except MemoryError:
            raise
        except Exception as error:  # Pillow's readers raise nearly anything on a broken file
            if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT):
                passing.append(i)
            return _why(folder / files[i], error)
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
    kept = [i for i, result in enumerate(results) if not isinstance(result, str)]
    for row, i in enumerate(kept):
        if row != i:
            images[row] = images[i]
    corrupt = {str(i): result for i, result in enumerate(results) if isinstance(result, str)}
    return {"aspects": [results[i] for i in kept], "kept": kept, "corrupt": corrupt, "passing": bool(passing)}
