"""A folder of photographs as it lies there: which files, of which class if folders say so, and which have changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePath

from dmlbook._checks import bad_input, checked
from dmlbook.datasets.photos import layouts


@dataclass(frozen=True)
class Photograph:
    """One file.

    Attributes:
        path: Below the folder, with forward slashes.
        label: The class folder that it lies in, the outermost one; "" where it lies in none.
        bytes: Its size.
        modified: When it was written last, in nanoseconds since 1970.
    """

    path: str
    label: str
    bytes: int
    modified: int


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        root: The folder.
        photographs: In natural order of their paths.
        left_out: What lies there and is not taken, counted by suffix or by why.
    """

    root: Path
    photographs: tuple[Photograph, ...]
    left_out: dict[str, int]

    def remarks(self) -> list[str]:
        """A sentence about what was left out, or none."""
        return layouts.left_out_remark(layouts.Listing(self.root, "", (), self.left_out))


@checked
def find_photographs(root: str | PathLike) -> Found:
    """The photographs in a folder and anywhere below it, whatever folders there are.

    Args:
        root: The folder. Parts of a split in it (``train``, ``test``) are no classes.

    Raises:
        ValueError: It is no folder, cannot be read, or holds no photograph.
    """
    folder = Path(root).expanduser()
    try:
        if not folder.is_dir():
            raise bad_input("root", "be a folder of photographs", str(root), "Pass root=FOLDER.")
        files, left_out = layouts.images_below(folder)
    except OSError as error:
        raise bad_input("root", "be readable", f"{folder} ({error})", "Change its permissions.") from error
    parts = {part for file in files if (part := file.split("/")[0]) and layouts.part_of(part) and "/" in file}
    parts = parts if len({layouts.part_of(part) for part in parts}) > 1 else set()
    found = []
    for file in files:
        folders = file.split("/")[:-1]
        folders = folders[1:] if folders[:1] and folders[0] in parts else folders
        try:
            status = (folder / file).stat()
            size, modified = status.st_size, status.st_mtime_ns
        except OSError:  # it cannot be decoded either, which is told there
            size, modified = -1, 0
        found.append(Photograph(file, folders[0] if folders else "", size, modified))
    if not found:
        got = f"none in {folder}" + (f" (left out: {layouts.counted(left_out)})" if left_out else "")
        raise bad_input("root", "hold photographs", got, "Pass root= the folder that they are in.")
    return Found(folder, tuple(found), left_out)


def content_of(path: Path) -> str:
    """A digest of a file's content; "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
    except OSError:
        return ""


def leads_out(path: PurePath) -> bool:
    """Whether a path, as a store or a file names it, does not stay below the folder that it is joined to.

    Example:
        >>> from pathlib import PurePosixPath, PureWindowsPath
        >>> leads_out(PurePosixPath("a/1.png")), leads_out(PurePosixPath("a/../../1.png"))
        (False, True)
        >>> leads_out(PureWindowsPath("C:1.png"))  # a drive without a root is no absolute path
        True
    """
    return bool(path.anchor) or ".." in path.parts
