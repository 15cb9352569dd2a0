"""Folders whose classes stand in a file beside the photographs: ``metadata.csv`` or ``metadata.jsonl``.

That is the other form of HuggingFace's image folders: https://huggingface.co/docs/datasets/image_dataset.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from dmlbook._checks import bad_input, checked
from dmlbook.datasets.foreign import LABELS
from dmlbook.datasets.photos import layouts
from dmlbook.datasets.photos.formats import path_fault, suffixes, told_faults
from dmlbook.datasets.photos.layouts import Entry, Listing

FILE_NAME = "file_name"


@checked
def find(folder: Path) -> Listing | None:
    """What such a file says of the photographs in a folder, or such files in its ``train``, ``val`` and ``test``.

    A file above such folders names photographs in them. A line names a photograph below the file's own folder as
    ``file_name``, and its class in the first column there is of ``dmlbook.datasets.foreign.LABELS``. Photographs that
    no line names are left out.

    Args:
        folder: One that is there.

    Returns:
        The photographs, classes in natural order; None where there is no such file, or class folders hold the
        photographs and the file has no column of classes.

    Raises:
        ValueError: The file cannot be read, or something in it is wrong: photographs that are missing, named twice or
            outside its folder, lines without a class. All faults are counted, and the first ten named.
    """
    files = {"": _file_in(folder)} if _file_in(folder) else {}
    if not files:
        parts = layouts.split_folders(folder)
        files = {part: _file_in(place) for part, place in parts.items()}
    if not files or not all(files.values()):
        return None
    found: list[Entry] = []
    for part, file in files.items():
        entries = _entries(folder, file, part)
        if entries is None:
            return None
        found += entries
    if "" in files:
        found = _by_side(found)
    names = sorted({entry.class_name for entry in found}, key=layouts.natural)
    numbers = {name: place for place, name in enumerate(names, 1)}
    entries = [replace(entry, number=numbers[entry.class_name]) for entry in found]
    index = tuple(file.relative_to(folder).as_posix() for file in files.values())
    below = {
        (place.parent.relative_to(folder) / path).as_posix()
        for place in files.values()
        for path in layouts.images_below(place.parent)[0]
    }
    missed = len(below - {entry.file for entry in entries})
    left_out = {f"that {' or '.join(index)} does not name": missed} if missed else {}
    return layouts.listing(folder, f"photographs named by {', '.join(index)}", entries, index=index, left_out=left_out)


def _by_side(entries: list[Entry]) -> list[Entry]:
    """Entries of a file above ``train``, ``val`` and ``test`` with their part, where all of them lie in these."""
    parts = [layouts.part_of(entry.file.partition("/")[0]) if "/" in entry.file else None for entry in entries]
    if None in parts or "train" not in parts or len(set(parts)) < 2:
        return entries
    return [replace(entry, part=part) for entry, part in zip(entries, parts, strict=True)]


def _file_in(folder: Path) -> Path | None:
    return next((folder / name for name in layouts.METADATA if (folder / name).is_file()), None)


def _entries(folder: Path, file: Path, part: str) -> list[Entry] | None:
    """One for each line; their classes are not numbered yet."""
    rows = list(_rows(file))
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    label = next((name for name in LABELS if name in columns), None)
    if FILE_NAME not in columns or label is None:
        if any(layouts.images_below(inside)[0] for inside in layouts.visible_folders(file.parent)):
            return None
        got = f"{', '.join(map(str, columns)) or 'nothing'} in {file}"
        remedy = "Name the column of the classes so, or put the photographs into a folder for each class."
        raise bad_input(file.name, f"have the columns {FILE_NAME} and {' or '.join(LABELS)}", got, remedy)
    known, first, faults, entries = suffixes(), {}, [], []
    above = file.parent.relative_to(folder)
    for line, row in rows:
        path, name = str(row.get(FILE_NAME) or ""), row.get(label)
        fault = path_fault(path, file.parent, known)
        if not fault and path in first:
            fault = f"{path!r} is named by line {first[path]}, too"
        if not fault and isinstance(name, list | dict | bool | float):
            fault = f"{path!r} has the {label} {name!r}, neither a word nor a whole number"
        if not fault and (name is None or not str(name).strip()):
            fault = f"{path!r} has no {label}"
        first.setdefault(path, line)
        if fault:
            faults.append((line, fault))
        else:
            entries.append(Entry((above / path).as_posix(), str(name).strip(), 0, part=part))
    if faults:
        remedy = "Correct the file."
        raise bad_input(file.name, "name photographs beside it and their classes", told_faults(file, faults), remedy)
    return entries


def _rows(file: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Lines with their numbers.

    Raises:
        ValueError: The file cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix == ".csv":
            reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
            _check_once([name.strip() for name in reader.fieldnames or []], 1)
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(f"line {reader.line_num} has not as many fields as line 1")
                yield reader.line_num, {key.strip(): value.strip() for key, value in row.items()}
            return
        for number, line in enumerate(text.split("\n"), 1):  # other line breaks may stand in a text
            if line.strip():
                row = json.loads(line, object_pairs_hook=partial(_row, number))
                if not isinstance(row, dict):
                    raise ValueError(f"line {number} is no object")
                yield number, row
    except (OSError, ValueError, csv.Error) as error:
        raise bad_input(file.name, "be a file that can be read", f"{file} ({error})", "Correct it.") from error


def _row(line: int, pairs: list[tuple[str, object]]) -> dict[str, object]:
    _check_once([name for name, _ in pairs], line)
    return dict(pairs)


def _check_once(names: list[str], line: int) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"line {line} names {', '.join(twice)} twice")
