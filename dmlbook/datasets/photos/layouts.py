"""How image sets lie on disk: CUB-200-2011, Cars196 and SOP as published, and folders of class folders."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from dmlbook._checks import bad_input

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"))


@dataclass(frozen=True)
class Entry:
    """One image file.

    Attributes:
        file: Path below the set's folder, with forward slashes.
        class_name: Name of its class.
        number: Number of its class, from 1, in the set's own order: the zero-shot split goes by it.
        kind: Its local cluster, where a folder inside the class folder tells it; else "".
    """

    file: str
    class_name: str
    number: int
    kind: str = ""


@dataclass(frozen=True)
class Listing:
    """What a folder holds, before any picture is opened: entries in the order of their classes, then of their names."""

    folder: Path
    layout: str
    entries: tuple[Entry, ...]


def natural(text: str) -> list[tuple[int, int | str]]:
    """Sorting key under which ``img2`` comes before ``img10``. Upper case comes before lower case."""
    return [(0, int(piece)) if piece.isdecimal() else (1, piece) for piece in re.split(r"(\d+)", text) if piece]


def listing(folder: Path, layout: str, entries: list[Entry]) -> Listing:
    """Entries in their order. Paths sort by natural order within a class, whatever order the file system gives."""
    return Listing(folder, layout, tuple(sorted(entries, key=lambda entry: (entry.number, natural(entry.file)))))


def visible_folders(folder: Path) -> list[Path]:
    """The folders in ``folder`` in natural order, without hidden ones and what macOS adds to archives."""
    hidden = (".", "__MACOSX")
    return sorted(
        (p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(hidden)), key=lambda p: natural(p.name)
    )


def _images_below(folder: Path) -> list[str]:
    """Image files anywhere below ``folder``, as paths below it; hidden files and folders are passed over."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(place).relative_to(folder)
        found += [
            (inside / f).as_posix() for f in files if not f.startswith(".") and Path(f).suffix.lower() in SUFFIXES
        ]
    return found


def class_folders(folder: Path, *, numbered: bool = True, partial: bool = False) -> Listing:
    """A folder of class folders: ``001.Albatross/*.jpg``, or such folders in the two folders ``train`` and ``test``.

    Classes of one name are one class. Where each class folder has one folder level inside, those are the kinds.

    Args:
        folder: The folder of class folders, or of ``train`` and ``test`` and nothing else.
        numbered: Take each class's number from its prefix, if all have one; else from its place in natural order.
        partial: Pass over class folders without images instead of refusing them.

    Raises:
        ValueError: A class folder holds no image, or two class folders have one number.
    """
    places = split_pair(folder) or (folder,)
    images: dict[str, list[Entry]] = {}
    for place in places:
        for inside in visible_folders(place):
            found = _images_below(inside)
            if not found and not partial:
                kinds = " ".join(sorted(SUFFIXES))
                remedy = f"Delete the folder, or convert its files to one of {kinds}, or pass partial=True."
                raise bad_input("class folders", "hold images", f"none in {inside}", remedy)
            if found:
                images.setdefault(inside.name, []).extend(_entries(folder, inside, found))
    names = sorted(images, key=natural)
    numbers = _prefixes(folder, names) if numbered else None
    layout = "class folders" if numbers is None else "numbered class folders"
    numbers = numbers or {name: place for place, name in enumerate(names, start=1)}
    entries = [replace(entry, number=numbers[name]) for name in names for entry in images[name]]
    if not all(entry.kind for entry in entries):
        entries = [replace(entry, kind="") for entry in entries]
    return listing(folder, layout, entries)


def _entries(folder: Path, inside: Path, found: list[str]) -> list[Entry]:
    """The images found in one class folder; ``Apple/Gala/1.jpg`` is of class Apple and of kind Apple/Gala."""
    prefix, name = inside.relative_to(folder).as_posix(), inside.name
    kinds = [f"{name}/{file.split('/')[0]}" if file.count("/") == 1 else "" for file in found]
    return [Entry(f"{prefix}/{file}", name, 0, kind) for file, kind in zip(found, kinds, strict=True)]


def split_pair(folder: Path) -> tuple[Path, Path] | None:
    """The folders ``train`` and ``test`` in ``folder``, if those two and nothing else are there."""
    pair = {inside.name: inside for inside in visible_folders(folder)}
    return (pair["train"], pair["test"]) if set(pair) == {"train", "test"} else None


def _prefixes(folder: Path, names: list[str]) -> dict[str, int] | None:
    """The number at the head of each name, or None where one has none."""
    prefixes = [re.match(r"(\d+)[._ -]", name) for name in names]
    if not all(prefixes):
        return None
    numbers = {name: int(prefix[1]) for name, prefix in zip(names, prefixes, strict=True)}
    if len(set(numbers.values())) < len(numbers):
        twice = next(n for n in numbers.values() if list(numbers.values()).count(n) > 1)
        got = f"{[name for name in names if numbers[name] == twice]} in {folder}"
        raise bad_input("class folders", "have one number each", got, "Rename one of them.")
    return numbers


def cub(folder: Path) -> Listing | None:
    """CUB-200-2011 as published: ``images.txt``, ``image_class_labels.txt``, ``images/``. None where it is not."""
    index = folder / "images.txt", folder / "image_class_labels.txt"
    if not all(path.is_file() for path in index) or not (folder / "images").is_dir():
        return None
    files, numbers = (dict(_rows(path, 2)) for path in index)
    if files.keys() != numbers.keys():
        got = f"{len(files)} files in images.txt and {len(numbers)} in image_class_labels.txt"
        raise bad_input(str(folder), "list each image in both files", got, "Unpack the archive again.")
    entries = [Entry(f"images/{file}", file.split("/")[0], int(numbers[key])) for key, file in files.items()]
    return listing(folder, "official", entries)


def sop(folder: Path) -> Listing | None:
    """Stanford Online Products as published: ``Ebay_train.txt``, ``Ebay_test.txt``. None where it is not."""
    index = folder / "Ebay_train.txt", folder / "Ebay_test.txt"
    if not all(path.is_file() for path in index):
        return None
    rows = [row for path in index for row in _rows(path, 4, header=True)]
    entries = [Entry(file, f"{file.split('_final')[0]} {number}", int(number)) for _, number, _, file in rows]
    return listing(folder, "official", entries)


def _rows(path: Path, columns: int, *, header: bool = False) -> list[list[str]]:
    """Rows of a text table, split at white space."""
    lines = path.read_text().splitlines()[int(header) :]
    rows = [line.split() for line in lines if line.strip()]
    for place, row in enumerate(rows, start=1 + header):
        if len(row) != columns:
            got = f"{len(row)} in line {place}"
            raise bad_input(str(path), f"hold {columns} columns", got, "Unpack the archive again.")
    return rows


def cars(folder: Path) -> Listing | None:
    """Cars196 as published: ``cars_annos.mat`` and ``car_ims/``, or ``devkit/``, ``cars_train/``, ``cars_test/``.

    Raises:
        ValueError: The labels of the newer layout's test images are missing: they are a file of their own.
    """
    old = folder / "cars_annos.mat"
    if old.is_file() and (folder / "car_ims").is_dir():
        content = _mat(old)
        names = [str(name) for name in content["class_names"]]
        rows = [(str(row["relative_im_path"]), int(row["class"])) for row in content["annotations"]]
        return listing(folder, "official", [Entry(file, names[number - 1], number) for file, number in rows])
    if not (folder / "cars_train").is_dir() or not (folder / "cars_test").is_dir():
        return None
    where = {
        name: _first(folder / "devkit" / name, folder / name)
        for name in ("cars_meta.mat", "cars_train_annos.mat", "cars_test_annos_withlabels.mat")
    }
    if missing := [name for name, path in where.items() if path is None]:
        remedy = "cars_test_annos.mat has no labels; the file with labels and the devkit are linked in "
        remedy += "https://github.com/pytorch/vision/issues/7545."
        raise bad_input(str(folder), f"hold {', '.join(where)} (or devkit/ does)", f"no {missing}", remedy)
    names = [str(name) for name in _mat(where["cars_meta.mat"])["class_names"]]
    entries = [
        Entry(f"{images}/{row['fname']}", names[int(row["class"]) - 1], int(row["class"]))
        for images, labels in (("cars_train", "cars_train_annos.mat"), ("cars_test", "cars_test_annos_withlabels.mat"))
        for row in _mat(where[labels])["annotations"]
    ]
    return listing(folder, "official", entries)


def _first(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _mat(path: Path) -> dict:
    from scipy.io import loadmat  # comes with scikit-learn

    return loadmat(path, squeeze_me=True)
