"""A file of splits: a CSV that says of each photograph in a folder whether it trains, asks, is searched or tests."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from dmlbook._checks import bad_input, checked
from dmlbook.datasets.photos import layouts
from dmlbook.datasets.photos.formats import is_system, path_fault, printable, suffixes, told_faults
from dmlbook.datasets.photos.layouts import Entry, Listing

PARTS = ("train", "validation", "query", "gallery", "test")
COLUMNS = ("path", "split", "label")
THE_FILE = "the file of splits"


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    split: str
    label: str


@checked
def read(file: str | Path, root: str | Path) -> tuple[dict[str, Listing], list[str]]:
    """What a file of splits says of the photographs in a folder, every line of it checked, before any is opened.

    The file is a CSV in UTF-8 with a header ``path,split`` or ``path,split,label``. Paths are those below ``root``,
    with forward slashes; splits are ``train``, ``validation``, ``query``, ``gallery`` or ``test``. The class of a
    photograph is its label; where there is none, it is the first folder of its path (behind ``train``, ``val``,
    ``test``, ``query`` and ``gallery``, where two or more of these are folders in ``root``).

    Args:
        file: The CSV file.
        root: The folder that holds the photographs.

    Returns:
        The photographs of each split that is named, classes in natural order; and a remark on photographs in the
        folder that the file does not name, if there are any.

    Raises:
        ValueError: ``root`` is no folder, or the file cannot be read, or something in it is wrong: missing files,
            paths named twice or outside ``root``, unknown splits or columns. All faults are counted, and the first ten
            named with their lines.
    """
    file, root = Path(file).expanduser(), Path(root).expanduser()
    if not root.is_dir():
        raise bad_input("root", "be the folder that the splits are of", root, "Pass root=FOLDER.")
    rows, faults = _rows(file)
    first, known, behind = {}, suffixes(), _sides(root)
    entries: list[tuple[str, Entry]] = []
    for row in rows:
        name, fault = row.label or _folder_label(row.path, behind), _fault(row, root, known)
        if not fault and row.path in first:
            fault = f"{row.path!r} is named by line {first[row.path]}, too"
        if not fault and not name:
            fault = f"{row.path!r} lies in no class folder and has no label"
        if fault:
            faults.append((row.line, fault))
        else:
            entries.append((row.split, Entry(row.path, name, 0, _kind(row, behind), row.split)))
        first.setdefault(row.path, row.line)
    if faults:
        got = told_faults(file, faults)
        raise bad_input(THE_FILE, "name photographs in root and their splits, line by line", got, "Correct the file.")
    return _listings(root, file, entries), _unnamed(root, set(first), known)


def _rows(file: Path) -> tuple[list[_Row], list[tuple[int, str]]]:
    """The lines below the header, and what is wrong with those that are none.

    Raises:
        ValueError: The file cannot be read at all, or its header is none.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = "text that is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise bad_input(THE_FILE, "be a CSV file that can be read", f"{file} ({why})", "Check its name.") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, faults, header = [], [], None
    try:
        for fields in reader:
            if not fields:
                continue
            if header is None:
                header = _header(file, [field.strip() for field in fields])
            elif len(fields) != len(header):
                faults.append((reader.line_num, f"{len(fields)} fields for the columns {','.join(header)}"))
            else:
                given = dict(zip(header, (field.strip() for field in fields), strict=True))
                rows.append(_Row(reader.line_num, given["path"], given["split"], given.get("label", "")))
    except csv.Error as error:
        faults.append((reader.line_num, f"no CSV ({error})"))
    if header is None or not (rows or faults):
        raise bad_input(
            THE_FILE, "name photographs", f"none in {file}", "Write a header path,split and a line for each."
        )
    return rows, faults


def _header(file: Path, names: list[str]) -> list[str]:
    if not {"path", "split"} <= set(names) <= set(COLUMNS) or len(set(names)) < len(names):
        got = f"{','.join(names)!r} in line 1 of {file}"
        raise bad_input(THE_FILE, "have the columns path,split or path,split,label", got, "Commas stand between them.")
    return names


def _fault(row: _Row, root: Path, known: frozenset[str]) -> str:
    """What is wrong with a line by itself, or nothing."""
    fault = path_fault(row.path, root, known)
    if not fault and row.split not in PARTS:
        near = get_close_matches(row.split, PARTS, 1)
        fault = f"split {row.split!r} is none of {', '.join(PARTS)}" + (f"; did you mean {near[0]}?" if near else "")
    return fault


def _sides(root: Path) -> set[str]:
    """The folders in ``root`` that are sides of a split, and no classes; one class may well be called ``train``."""
    sides = {path.name: layouts.part_of(path.name) for path in layouts.visible_folders(root)}
    sides |= {name: name.lower() for name in sides if name.lower() in PARTS}
    found = {name: side for name, side in sides.items() if side is not None}
    return set(found) if len(set(found.values())) > 1 else set()


def _folders(path: str, behind: set[str]) -> tuple[str, ...]:
    folders = PurePosixPath(path).parts[:-1]
    return folders[1:] if folders and folders[0] in behind else folders


def _folder_label(path: str, behind: set[str]) -> str:
    return next(iter(_folders(path, behind)), "")


def _kind(row: _Row, behind: set[str]) -> str:
    """``Apple/Gala/1.jpg`` is of kind Apple/Gala, as in class folders."""
    folders = _folders(row.path, behind)
    return "/".join(folders) if len(folders) == 2 and row.label in ("", folders[0]) else ""


def _listings(root: Path, file: Path, entries: list[tuple[str, Entry]]) -> dict[str, Listing]:
    names = sorted({entry.class_name for _, entry in entries}, key=layouts.natural)
    numbers, whole = {name: place for place, name in enumerate(names, 1)}, all(entry.kind for _, entry in entries)
    found = {part: [] for part in PARTS}
    for part, entry in entries:
        found[part].append(replace(entry, number=numbers[entry.class_name], kind=entry.kind if whole else ""))
    layout = f"splits of {file.name}"
    return {part: layouts.listing(root, layout, inside, index=(file.name,)) for part, inside in found.items() if inside}


def _unnamed(root: Path, named: set[str], known: frozenset[str]) -> list[str]:
    """A remark on the photographs below ``root`` that are not among those named."""
    missed = []
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not is_system(name)]
        inside = Path(place).relative_to(root)
        images = (name for name in files if Path(name).suffix.lower() in known and not is_system(name))
        missed += [path for name in images if (path := (inside / name).as_posix()) not in named]
    if not missed:
        return []
    by_folder = Counter(PurePosixPath(path).parts[0] for path in missed if "/" in path)
    where = f" (most in {printable(by_folder.most_common(1)[0][0])})" if by_folder else ""
    shown = printable(layouts.first(sorted(missed, key=layouts.natural)))
    return [f"{len(missed):,} images in {root} are in no split{where}: {shown}"]
