"""Which files are photographs: formats that are opened, their suffixes, and what systems leave beside them."""

from __future__ import annotations

from PIL import Image

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
