"""Folders of class folders: which pictures are of which class, and what is left out of them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dmlbook._checks import bad_input
from dmlbook.datasets.photos.formats import FORMATS, is_system, printable, suffixes

METADATA = ("metadata.csv", "metadata.jsonl")
HIDDEN, LOOSE, LINKED = "hidden and system files", "in no class folder", "linked folders that repeat others"

PARTS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Names of folders that are parts of a split, in small letters; ``_set``, ``_images`` and ``_data`` may follow."""


@dataclass(frozen=True)
class Entry:
    """One image file.

    Attributes:
        file: Path below the set's folder, with forward slashes.
        class_name: Name of its class.
        number: Number of its class, from 1, in the set's own order: the zero-shot split goes by it.
        kind: Its local cluster, where a folder inside the class folder tells it; else "".
        part: ``"train"``, ``"validation"`` or ``"test"``, where it lies in a folder of that name; else "".
    """

    file: str
    class_name: str
    number: int
    kind: str = ""
    part: str = ""


@dataclass(frozen=True)
class Listing:
    """What a folder holds, before any picture is opened: entries in the order of their classes, then of their names.

    Attributes:
        folder: The set's folder.
        layout: How it lies there, in words.
        entries: Its images.
        left_out: What lies there and is not taken, counted by suffix or by why.
        index: The files that list the images, below ``folder``; () where the folders do.
    """

    folder: Path
    layout: str
    entries: tuple[Entry, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    index: tuple[str, ...] = ()


def natural(text: str) -> list[tuple[int, int | str]]:
    """Sorting key under which ``img2`` comes before ``img10``. Upper case comes before lower case."""
    return [(0, int(piece)) if piece.isdecimal() else (1, piece) for piece in re.split(r"(\d+)", text) if piece]


def listing(folder: Path, layout: str, entries: list[Entry], **known: object) -> Listing:
    """Entries in their order. Paths sort by natural order within a class, whatever order the file system gives."""
    ordered = sorted(entries, key=lambda entry: (entry.number, natural(entry.file)))
    return Listing(folder, layout, tuple(ordered), **known)


def visible_folders(folder: Path) -> list[Path]:
    """The folders in ``folder`` in natural order, without hidden ones and what systems leave. Links are followed.

    Raises:
        ValueError: ``folder`` cannot be read.
    """
    try:
        inside = [p for p in folder.iterdir() if not is_system(p.name) and p.is_dir()]
    except OSError as error:
        raise _unreadable(folder, error) from error
    return sorted(inside, key=lambda p: natural(p.name))


def _unreadable(folder: Path, error: OSError) -> ValueError:
    return bad_input(
        "folder", "be readable", f"{folder} ({error.strerror})", "Change its permissions, or move it away."
    )


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def holds_images(folder: Path) -> bool:
    """Whether images lie directly in ``folder``."""
    known = suffixes()
    return any(path.suffix.lower() in known and not is_system(path.name) for path in folder.iterdir())


class _Tree:
    """A walk below ``root`` that sees every folder once, wherever links lead, and counts what it passes over."""

    def __init__(self, root: Path):
        self.root, self.left_out, self.known = Path(os.path.realpath(root)), Counter(), suffixes()
        self.seen = {self.root}

    def enters(self, folder: Path) -> bool:
        """Whether to go into a folder. A link to what the walk meets anyway, or comes from, is passed over."""
        real = Path(os.path.realpath(folder))
        repeats = folder.is_symlink() and (real.is_relative_to(self.root) or self.root.is_relative_to(real))
        if repeats or real in self.seen:
            self.left_out[LINKED] += 1
            return False
        self.seen.add(real)
        return True

    def images_below(self, folder: Path) -> list[str]:
        """Image files anywhere below ``folder``, as paths below it."""
        found, waiting = [], [folder]
        while waiting:
            place = waiting.pop()
            waiting += [inside for inside in visible_folders(place) if self.enters(inside)]
            with os.scandir(place) as entries:
                for entry in entries:
                    suffix = os.path.splitext(entry.name)[1].lower()
                    if is_system(entry.name):
                        self.left_out[HIDDEN] += 1
                    elif suffix in self.known and not _is_folder(entry):
                        found.append(Path(entry.path).relative_to(folder).as_posix())
                    elif not _is_folder(entry):
                        self.left_out[suffix or "no suffix"] += 1
        return found

    def count_loose(self, folder: Path) -> None:
        """Images that lie where class folders should be."""
        known = {suffix for of_format in FORMATS.values() for suffix in of_format}  # those that need a plugin, too
        loose = [p for p in folder.iterdir() if p.suffix.lower() in known and not is_system(p.name)]
        if files := sum(not path.is_dir() for path in loose):
            self.left_out[LOOSE] += files


def images_below(folder: Path) -> tuple[list[str], dict[str, int]]:
    """Image files anywhere below a folder and in it, in natural order, as paths below it; and what was left out.

    Raises:
        ValueError: A folder cannot be read.
    """
    tree = _Tree(folder)
    return sorted(tree.images_below(folder), key=natural), dict(tree.left_out)


def class_folders(folder: Path, *, numbered: bool = True, partial: bool = False) -> Listing:
    """A folder of class folders: ``001.Albatross/*.jpg``, or such folders in ``train``, ``val`` and ``test``.

    Classes of one name are one class. Where each class folder has one folder level inside, those are the kinds.
    Linked folders are followed, unless they lead to what is read anyway.

    Args:
        folder: The folder of class folders, or of the parts of a split, see ``split_folders``.
        numbered: Take each class's number from its prefix, if all have one; else from its place in natural order.
        partial: Pass over class folders without images instead of refusing them.

    Raises:
        ValueError: A class folder holds no image, two class folders have one number, or the parts of a split are
            mixed with other folders.
    """
    tree = _Tree(folder)
    parts = split_folders(folder)
    images: dict[str, list[Entry]] = {}
    for part, place in parts.items() or [("", folder)]:
        tree.count_loose(place)
        for inside in visible_folders(place):
            found = tree.images_below(inside) if tree.enters(inside) else []
            if not found and not partial and not inside.is_symlink():
                remedy = "Delete the folder, or convert its files to JPEG or PNG, or pass partial=True."
                raise bad_input("class folders", "hold images", f"none in {inside}{_told(tree.left_out)}", remedy)
            if found:
                images.setdefault(inside.name, []).extend(_entries(folder, inside, found, part))
    names = sorted(images, key=natural)
    numbers = _prefixes(folder, names) if numbered else None
    layout = "class folders" if numbers is None else "numbered class folders"
    layout += f" in {', '.join(place.name for place in parts.values())}" if parts else ""
    numbers = numbers or {name: place for place, name in enumerate(names, start=1)}
    entries = [replace(entry, number=numbers[name]) for name in names for entry in images[name]]
    if not all(entry.kind for entry in entries):
        entries = [replace(entry, kind="") for entry in entries]
    return listing(folder, layout, entries, left_out=dict(tree.left_out))


def _told(left_out: Mapping[str, int]) -> str:
    return f" (left out so far: {counted(left_out)})" if left_out else ""


def counted(left_out: Mapping[str, int]) -> str:
    """What was left out, in words, the most frequent first.

    Example:
        >>> counted({".heic": 2, ".txt": 1200})
        '1,200 .txt, 2 .heic'
    """
    common = Counter(left_out).most_common(12)
    more = f", and {len(left_out) - 12:,} kinds more" if len(left_out) > 12 else ""
    return ", ".join(f"{count:,} {printable(what)}" for what, count in common) + more


def left_out_remark(listing: Listing) -> list[str]:
    """A sentence about what was left out, or none; hidden and system files alone are not worth one."""
    if set(listing.left_out) <= {HIDDEN}:
        return []
    kinds = f" Images are {' '.join(sorted(suffixes()))}." if any(what[0] == "." for what in listing.left_out) else ""
    return [f"left out in {listing.folder}: {counted(listing.left_out)}.{kinds}"]


def first(values: list) -> str:
    """The first ten, as text."""
    return ", ".join(map(str, values[:10])) + (", ..." if len(values) > 10 else "")


def _entries(folder: Path, inside: Path, found: list[str], part: str) -> list[Entry]:
    """The images found in one class folder; ``Apple/Gala/1.jpg`` is of class Apple and of kind Apple/Gala."""
    prefix, name = inside.relative_to(folder).as_posix(), inside.name
    kinds = [f"{name}/{file.split('/')[0]}" if file.count("/") == 1 else "" for file in found]
    return [Entry(f"{prefix}/{file}", name, 0, kind, part) for file, kind in zip(found, kinds, strict=True)]


def part_of(name: str) -> str | None:
    """``"train"``, ``"validation"`` or ``"test"`` if a folder of this name is that part of a split, in any case.

    Example:
        >>> part_of("Valid"), part_of("test_set"), part_of("trains")
        ('validation', 'test', None)
    """
    return PARTS.get(re.sub(r"[ _-]?(set|images|data)$", "", name.lower()))


def split_folders(folder: Path) -> dict[str, Path]:
    """The folders in ``folder`` that are parts of a split: ``{"train": ..., "validation": ..., "test": ...}``.

    They are told by their names (``part_of``), and hold class folders. Empty: ``folder`` holds class folders itself;
    one class may well be called ``train``.

    Raises:
        ValueError: Two parts at least are there, and something else beside them, or one part twice, or no training
            part, or one holds no folders: whether these are classes cannot be told.
    """
    inside = visible_folders(folder)
    named = {path: part for path in inside if (part := part_of(path.name))}
    if len(set(named.values())) < 2:
        return {}
    shown = ", ".join(path.name for path in inside[:10])
    rule, remedy = "hold class folders, or parts of a split alone", f"{folder} holds {shown}."
    if others := [path.name for path in inside if path not in named]:
        remedy = f"Move {', '.join(others[:10])} elsewhere, or rename {', '.join(path.name for path in named)}."
        raise bad_input("root", rule, f"both in {folder}: {shown}", remedy)
    if len(set(named.values())) < len(named) or "train" not in named.values():
        got = f"{shown} in {folder}"
        raise bad_input(
            "root", "hold one training part, and validation or test beside it", got, "Rename or merge them."
        )
    for path in named:
        if not visible_folders(path) and not any((path / name).is_file() for name in METADATA):
            remedy = f"Make a folder for each class in {', '.join(p.name for p in named)}; to take these for classes, "
            raise bad_input("root", rule, f"no class folder in {path}", f"{remedy}rename them.")
    return {
        part: next(path for path in named if named[path] == part) for part in PARTS.values() if part in named.values()
    }


def _prefixes(folder: Path, names: list[str]) -> dict[str, int] | None:
    """The number at the head of each name, or None where one has none."""
    prefixes = [re.match(r"([0-9]{1,9})[._ -]", name) for name in names]
    if not all(prefixes):
        return None
    numbers = {name: int(prefix[1]) for name, prefix in zip(names, prefixes, strict=True)}
    if len(set(numbers.values())) < len(numbers):
        twice = next(n for n in numbers.values() if list(numbers.values()).count(n) > 1)
        got = f"{[name for name in names if numbers[name] == twice]} in {folder}"
        raise bad_input("class folders", "have one number each", got, "Rename one of them.")
    return numbers
