"""Damages index files of small sets in every way that was thought of, and says what came of it.

>>> python -m tests.datasets.photos.damage 400     # counts of 400 damaged indexes, each read in a process of its own
"""

from __future__ import annotations

import collections
import dataclasses
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from dmlbook.datasets.photos import benchmarks
from tests.datasets.image_trees import cars_layout, cub_layout, sop_layout

NAMES = ["Acura RL", "Audi A5", "BMW M3", "Fiat 500"]
SETS = {
    "cub": (
        lambda folder: cub_layout(folder, {"001.Auk": 3, "002.Bee": 2, "003.Crane": 2, "004.Dove": 3}),
        (2, 2),
        (5, 5),
    ),
    "sop": (lambda folder: sop_layout(folder, {1: 3, 2: 2}, {3: 2, 4: 3}), (2, 2), (5, 5)),
    "cars": (lambda folder: cars_layout(folder, NAMES, [1, 1, 2, 3, 4], [1, 2, 3, 3, 4]), (2, 2), (5, 5)),
    "old cars": (lambda folder: cars_layout(folder, NAMES, [1, 1, 2, 3, 4], [1, 2, 3, 3, 4], old=True), (2, 2), (5, 5)),
}
INDEX = ("images.txt", "image_class_labels.txt", "Ebay_train.txt", "Ebay_test.txt", "cars_annos.mat", "cars_meta.mat",
         "cars_train_annos.mat", "cars_test_annos_withlabels.mat")  # fmt: skip


def _bytes(change: Callable[[bytearray, random.Random], bytes]) -> Callable:
    return lambda path, rng: path.write_bytes(change(bytearray(path.read_bytes()), rng))


def _flip(content: bytearray, rng: random.Random) -> bytes:
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def _overwrite(content: bytearray, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    content[start : start + 4] = rng.randbytes(4)
    return content


ANY = {
    "truncated": _bytes(lambda content, rng: content[: rng.randrange(len(content))]),
    "bit flipped": _bytes(_flip),
    "bytes overwritten": _bytes(_overwrite),
    "empty": _bytes(lambda content, rng: b""),
    "a web page": _bytes(lambda content, rng: b"<!doctype html><title>Sign in</title>\n" * 3),
    "zeros": _bytes(lambda content, rng: bytes(len(content))),
    "more at the end": _bytes(lambda content, rng: content + rng.randbytes(9)),
}


def _lines(change: Callable[[list[list[str]], random.Random], None]) -> Callable:
    def damage(path: Path, rng: random.Random) -> None:
        rows = [line.split() for line in path.read_text().splitlines()]
        head = rows[:1] if path.name.startswith("Ebay") else []
        body = rows[len(head) :]
        change(body, rng)
        path.write_bytes("\n".join(" ".join(row) for row in head + body).encode("utf-8", "surrogateescape"))

    return damage


def _set_number(*values: str) -> Callable:
    def change(rows: list[list[str]], rng: random.Random) -> None:
        row = rng.choice(rows)
        row[1 if len(row) == 4 or row[1].isdecimal() else 0] = rng.choice(values)

    return _lines(change)


def _set_file(*values: str) -> Callable:
    def change(rows: list[list[str]], rng: random.Random) -> None:
        rng.choice(rows)[-1] = rng.choice(values)

    return _lines(change)


def _swap(rows: list[list[str]], rng: random.Random) -> None:
    a, b = rng.sample(range(len(rows[0])), 2)
    for row in rows:
        row[a], row[b] = row[b], row[a]


OUTSIDE = ("/etc/passwd", "../../secret.jpg", "C:/x.jpg", "a/../../b.jpg", "\\\\host\\x.jpg", "a\0b.jpg")
TEXT = {
    "class out of range": _set_number("0", "99", "-1", "1.5", "nan", "９", "1_0"),
    "huge numbers": _set_number("9" * 30, "9" * 6000, "1e9"),
    "paths that leave the folder": _set_file(*OUTSIDE),
    "not UTF-8": _set_file("\udcff\udcfe.jpg"),
    "columns swapped": _lines(_swap),
    "line doubled": _lines(lambda rows, rng: rows.append(rng.choice(rows))),
    "line missing": _lines(lambda rows, rng: rows.pop(rng.randrange(len(rows)))),
    "lines shuffled": _lines(lambda rows, rng: rng.shuffle(rows)),
    "column missing": _lines(lambda rows, rng: rng.choice(rows).pop()),
}


def _rewritten(change: Callable[[dict, random.Random], None]) -> Callable:
    def damage(path: Path, rng: random.Random) -> None:
        from scipy.io import loadmat, savemat

        content = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
        change(content, rng)
        savemat(path, content, do_compression=True)

    return damage


def _field(field: str | None, *values: object) -> Callable:
    def change(content: dict, rng: random.Random) -> None:
        if "annotations" in content:
            rows = content["annotations"][0]
            name = field or next(name for name in rows.dtype.names if name != "class")
            rng.choice(rows)[name] = rng.choice(values)
        else:
            content["class_names"] = content["class_names"][:, :2]

    return _rewritten(change)


def _rows(change: Callable) -> Callable:
    def damage(content: dict, rng: random.Random) -> None:
        for name in content:
            content[name] = change(content[name])

    return _rewritten(damage)


MAT = {
    "class out of range": _field("class", 0, 99, -1, 1.5, float("nan"), 300, "x"),
    "huge numbers": _field("class", 1e300, 2**60, float("inf")),
    "paths that leave the folder": _field(None, *OUTSIDE),
    "no text for a file": _field(None, 7, [], [[1.0, 2.0]]),
    "row doubled": _rows(lambda values: values[:, [0, *range(values.shape[1])]]),
    "row missing": _rows(lambda values: values[:, 1:]),
    "no rows": _rows(lambda values: values[:, :0]),
    "other variables": _rewritten(lambda content, rng: content.update(annotations=1.0, class_names=2.0)),
}


def prepared(folder: Path, name: str) -> list[Path]:
    """Makes the set ``name`` in ``folder``, and lets its few images be all of it. Returns its index files."""
    make, classes, images = SETS[name]
    kind = name.split()[-1]
    make(folder / kind)
    small = dataclasses.replace(benchmarks.BENCHMARKS[kind], classes=classes, images=images)
    benchmarks.BENCHMARKS[kind] = small
    return sorted(path for path in folder.rglob("*") if path.name in INDEX)


def damages(path: Path) -> Iterator[tuple[str, Callable]]:
    yield from (ANY | (MAT if path.suffix == ".mat" else TEXT)).items()


def read(folder: Path, name: str) -> list:
    """The images of both halves, as a loader would decode them."""
    kind = name.split()[-1]
    halves = benchmarks.zero_shot(kind, benchmarks.find(kind, folder))
    return [(half, entry.file, entry.class_name) for half, inside in halves.items() for entry in inside.entries]


def outcome(folder: Path, name: str, whole: list) -> str:
    """``told``, ``equal``, ``told without the file's name``, ``accepted``, or another exception's name."""
    try:
        found = read(folder, name)
    except ValueError as error:
        named = type(error) is ValueError and any(index in str(error) for index in INDEX)
        return "told" if named and " must " in str(error) else f"told without the file's name, {type(error).__name__}"
    except BaseException as error:
        return f"{type(error).__name__} escapes"
    return "equal" if found == whole else "accepted"


def main(count: int) -> None:
    rng, counts = random.Random(0), collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        wholes = {}
        for name in SETS:
            prepared(Path(scratch) / name, name)
            wholes[name] = read(Path(scratch) / name, name)
        for i in range(count):
            name = list(SETS)[i % len(SETS)]
            folder = Path(scratch) / "damaged"
            shutil.copytree(Path(scratch) / name, folder)
            path = rng.choice(sorted(path for path in folder.rglob("*") if path.name in INDEX))
            what, damage = rng.choice(list(damages(path)))
            damage(path, rng)
            reading, writing = os.pipe()
            if (child := os.fork()) == 0:
                os.write(writing, outcome(folder, name, wholes[name]).encode())
                os._exit(0)
            os.close(writing)
            with open(reading, encoding="utf-8") as answer:
                result = answer.read()
            os.waitpid(child, 0)
            result = result or "the process crashed"
            counts[result] += 1
            if result not in ("told", "equal"):
                print(f"{path.name}, {what}: {result}")
            shutil.rmtree(folder)
    print(dict(counts))


if __name__ == "__main__":
    main(int(sys.argv[1]))
