"""Which files are photographs: formats that are opened, their suffixes, and what systems leave beside them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from PIL import Image

from dmlbook._checks import checked

FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "QOI": (".qoi",),
    "HEIF": (".heic", ".heif", ".hif"),
}
"""Formats of photographs, by Pillow's names. No other is opened, whatever a file calls itself: some run programs."""

SYSTEM = frozenset({
    "__macosx", "@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot", "$recycle.bin",
    "lost+found", "thumbs.db", "ehthumbs.db", "desktop.ini", "system volume information", "network trash folder",
    "temporary items", "icon\r",
})  # fmt: skip
"""What cameras, NAS and desktops leave beside photographs, in small letters; so do all names that begin with a dot."""


def readable_formats() -> list[str]:
    """The names of ``FORMATS`` that Pillow can open here; ``HEIF`` where its plugin was registered."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def suffixes() -> frozenset[str]:
    """The suffixes of files that are taken for images, in small letters.

    Example:
        >>> ".jfif" in suffixes(), ".txt" in suffixes()
        (True, False)
    """
    return frozenset(suffix for name in readable_formats() for suffix in FORMATS[name])


def is_system(name: str) -> bool:
    """Whether a file or folder of this name is none of the reader's: hidden, or left by a camera, NAS or desktop."""
    return name.startswith(".") or name.lower() in SYSTEM


def printable(name: str) -> str:
    r"""A file's name as it can be printed: bytes that are no UTF-8 are spelled out.

    Example:
        >>> printable("caf\udce9.png")
        'caf\\udce9.png'
    """
    return name.encode("utf-8", "backslashreplace").decode()


SHOWN = 10
"""Faults that a message names; the others are counted."""


@checked
def path_fault(name: str, root: Path, known: frozenset[str]) -> str:
    """What is wrong with a photograph's path, as a file that lists photographs has it; "" where nothing is.

    Args:
        name: Below ``root``, with forward slashes.
        root: The folder that holds the photographs.
        known: Suffixes of images.
    """
    path, windows = PurePosixPath(name), PureWindowsPath(name)
    if not name:
        return "no path"
    if path.is_absolute() or windows.drive or ".." in (*path.parts, *windows.parts):
        return f"{name!r} does not lie below root"
    if path.suffix.lower() not in known:
        return f"{name!r} is no image by its suffix"
    if str(path) != name:
        return f"{name!r} is written otherwise than {str(path)!r}"
    try:
        return "" if (root / path).is_file() else f"{name!r} is missing"
    except (OSError, ValueError):  # a name that no system has
        return f"{name!r} is missing"


@checked
def told_faults(file: Path, faults: list[tuple[int, str]]) -> str:
    """The faults of a file by their lines, the first ten of them and how many there are."""
    told = "; ".join(f"line {line}: {fault}" for line, fault in sorted(faults)[:SHOWN])
    more = f"; and {len(faults) - SHOWN:,} more" if len(faults) > SHOWN else ""
    return f"{len(faults):,} fault{'s' * (len(faults) > 1)} in {file.name}: {told}{more}"
