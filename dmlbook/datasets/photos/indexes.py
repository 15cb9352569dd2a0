"""The published layouts of CUB-200-2011, Cars196 and SOP, read from their index files, which nobody vouches for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from dmlbook._checks import bad_input
from dmlbook.datasets.photos.layouts import Entry, Listing, listing
from dmlbook.datasets.photos.matlab import read_mat

MOST_BYTES = 1 << 26
AGAIN = "Unpack the archive again."


def cub(folder: Path) -> Listing | None:
    """CUB-200-2011 as published: ``images.txt``, ``image_class_labels.txt``, ``images/``. None where it is not.

    Raises:
        ValueError: An index file is damaged (it is named), or the two do not agree with each other and the folders.
    """
    index = folder / "images.txt", folder / "image_class_labels.txt"
    if not all(path.is_file() for path in index) or not (folder / "images").is_dir():
        return None
    tables = [_table(path, 2) for path in index]
    for path, rows in zip(index, tables, strict=True):
        _check_once(path, "image number", [number for number, _ in rows])
    files, numbers = (dict(rows) for rows in tables)
    if files.keys() != numbers.keys():
        got = f"{len(files)} files in images.txt and {len(numbers)} in image_class_labels.txt"
        raise bad_input(str(folder), "list each image in both files", got, AGAIN)
    entries = []
    for key, file in files.items():
        number = _natural_number(index[1], "class", numbers[key])
        name = _inside(index[0], file).split("/")[0]
        prefix = re.match(r"([0-9]{1,9})[._ -]", name)
        if prefix and int(prefix[1]) != number:
            got = f"class {number} for {file}"
            raise bad_input(str(index[1]), "give each image the number of its folder", got, AGAIN)
        entries.append(Entry(f"images/{file}", name, number))
    _check_once(index[0], "file", list(files.values()))
    _check_belongs(index[1], "folder", ((entry.class_name, entry.number) for entry in entries))
    _check_belongs(index[1], "class", ((entry.number, entry.class_name) for entry in entries))
    return listing(folder, "official", entries, index=tuple(path.name for path in index))


def sop(folder: Path) -> Listing | None:
    """Stanford Online Products as published: ``Ebay_train.txt``, ``Ebay_test.txt``. None where it is not.

    Raises:
        ValueError: A table is damaged (it is named), or a class, or one product's pictures, stand in two places.
    """
    index = folder / "Ebay_train.txt", folder / "Ebay_test.txt"
    if not all(path.is_file() for path in index):
        return None
    entries, halves = [], []
    for path in index:
        rows = _table(path, 4, header=True)
        products = []
        for image, number, category, file in rows:
            _natural_number(path, "image", image)
            _natural_number(path, "category", category)
            products.append((_inside(path, file), _natural_number(path, "class", number), category))
        _check_once(path, "image number", [row[0] for row in rows])
        _check_belongs(path, "class", ((number, category) for _, number, category in products))
        _check_belongs(path, "folder", ((file.split("/")[0], category) for file, _, category in products))
        _check_belongs(path, "product", ((re.sub(r"_[0-9]+\.\w+$", "", file), n) for file, n, _ in products))
        entries += [Entry(file, f"{file.split('_final')[0]} {number}", number) for file, number, _ in products]
        halves.append({number for _, number, _ in products})
    if shared := sorted(halves[0] & halves[1]):
        raise bad_input(str(index[1]), "hold no class of Ebay_train.txt", f"class {shared[0]}", AGAIN)
    _check_once(index[1], "file", [entry.file for entry in entries])
    return listing(folder, "official", entries, index=tuple(path.name for path in index))


def cars(folder: Path) -> Listing | None:
    """Cars196 as published: ``cars_annos.mat`` and ``car_ims/``, or ``devkit/``, ``cars_train/``, ``cars_test/``.

    The second form is also read with its folders doubled, ``cars_train/cars_train/``, as Kaggle's archive has them.

    Raises:
        ValueError: An index file is damaged (it is named), or the labels of the newer layout's test images are
            missing: they are a file of their own.
    """
    old = folder / "cars_annos.mat"
    if old.is_file() and (folder / "car_ims").is_dir():
        (content,) = read_mat(old)
        names = _names(old, content)
        rows = _annotations(old, content, "relative_im_path", len(names))
        _check_once(old, "file", [file for file, _ in rows])
        entries = [Entry(file, names[number - 1], number) for file, number in rows]
        return listing(folder, "official", entries, index=(old.name,))
    places = [_doubled(folder, name) for name in ("cars_train", "cars_test")]
    if not all(place.is_dir() for place in places):
        return None
    where = {
        name: _first(*(folder / inside / name for inside in ("devkit", ".", "car_devkit/devkit", "devkit/devkit")))
        for name in ("cars_meta.mat", "cars_train_annos.mat", "cars_test_annos_withlabels.mat")
    }
    if missing := [name for name, path in where.items() if path is None]:
        remedy = "cars_test_annos.mat has no labels; the file with labels and the devkit are linked in "
        remedy += "https://github.com/pytorch/vision/issues/7545."
        raise bad_input(str(folder), f"hold {', '.join(where)} (or devkit/ does)", f"no {missing}", remedy)
    meta, *labels = where.values()
    about, *contents = read_mat(meta, *labels)
    names = _names(meta, about)
    entries = []
    for place, path, content in zip(places, labels, contents, strict=True):
        rows = _annotations(path, content, "fname", len(names))
        _check_once(path, "file", [file for file, _ in rows])
        prefix = place.relative_to(folder).as_posix()
        entries += [Entry(f"{prefix}/{file}", names[number - 1], number) for file, number in rows]
    index = tuple(path.relative_to(folder).as_posix() for path in where.values())
    return listing(folder, "official", entries, index=index)


def _doubled(folder: Path, name: str) -> Path:
    inner = folder / name / name
    return inner if inner.is_dir() else folder / name


def _first(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _names(path: Path, content: dict) -> list[str]:
    names = content.get("class_names")
    if not names or not all(isinstance(name, str) and name.strip() and name.isprintable() for name in names):
        raise bad_input(str(path), "hold the names of the classes, class_names", "none, or no text", AGAIN)
    _check_once(path, "class name", names)
    return names


def _annotations(path: Path, content: dict, field: str, classes: int) -> list[tuple[str, int]]:
    """File and class of each row; classes are numbered from 1."""
    if not content.get("annotations"):
        raise bad_input(str(path), "hold a row for each image, annotations", "none", AGAIN)
    rows = []
    for place, row in enumerate(content["annotations"], start=1):
        file, number = row.get(field), row.get("class")
        if not isinstance(file, str) or not isinstance(number, int) or not 1 <= number <= classes:
            got = f"{field} {file!r:.80} and class {number!r:.40} in row {place}"
            raise bad_input(str(path), f"hold a file and a class in 1..{classes} in each row", got, AGAIN)
        rows.append((_inside(path, file), number))
    return rows


def _table(path: Path, columns: int, *, header: bool = False) -> list[list[str]]:
    """Rows of a text table, split at blanks."""
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise bad_input(str(path), f"be a table of at most {MOST_BYTES:,} bytes", f"{size:,}", AGAIN)
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad_input(str(path), "be UTF-8", f"byte {error.object[error.start]:#x} at {error.start}", AGAIN) from None
    except OSError as error:
        raise bad_input(str(path), "be readable", error.strerror, "Change its permissions.") from error
    lines = text.replace("\r\n", "\n").split("\n")
    rows = [re.split(r"[ \t]+", line.strip(" \t")) for line in lines if line.strip(" \t")]
    for place, row in enumerate(rows, start=1):
        if len(row) != columns or not all(cell.isprintable() for cell in row):
            raise bad_input(str(path), f"hold {columns} columns of text", f"{len(row)} in line {place}", AGAIN)
    if header and rows and not any(cell.isdecimal() for cell in rows[0]):
        rows = rows[1:]
    elif header:
        raise bad_input(str(path), "begin with a line of column names", " ".join(rows[0]) if rows else "nothing", AGAIN)
    if not rows:
        raise bad_input(str(path), "hold a line for each image", "none", AGAIN)
    return rows


def _natural_number(path: Path, what: str, text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise bad_input(str(path), f"hold {what} numbers from 1", repr(text[:40]), AGAIN)
    return int(text)


def _inside(path: Path, file: str) -> str:
    """A file's path, which must lead to below the set's folder on every system."""
    windows = PureWindowsPath(file)
    strange = windows.drive or windows.root or "\\" in file or ".." in windows.parts or not file.isprintable()
    if strange or PurePosixPath(file).as_posix() != file or file == ".":
        raise bad_input(str(path), "name files below its folder", repr(file[:80]), "Do not trust this file.")
    return file


def _check_once(path: Path, what: str, values: list) -> None:
    if len(set(values)) < len(values):
        seen: set = set()
        twice = next(value for value in values if value in seen or seen.add(value))
        raise bad_input(str(path), f"name each {what} once", f"{twice!r:.80} twice", AGAIN)


def _check_belongs(path: Path, what: str, pairs: Iterable[tuple]) -> None:
    """Each first of the pairs must come with one second, always the same."""
    known: dict = {}
    for first, second in pairs:
        if known.setdefault(first, second) != second:
            got = f"{known[first]!r:.80} and {second!r:.80} for {first!r:.80}"
            raise bad_input(str(path), f"say the same of a {what} everywhere", got, AGAIN)
