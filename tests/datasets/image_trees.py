"""Small pictures in the folders and files that the published sets come in, for the tests of the data sets."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dmlbook.datasets.photos import benchmarks


def picture(path: Path, *, width: int = 12, height: int = 8, color: tuple[int, int, int] = (200, 100, 50)) -> Path:
    """A plain picture in a losslessly kept color, in the format that its name tells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), color).save(path)
    return path


def class_tree(root: Path, classes: dict[str, int], *, suffix: str = ".png") -> Path:
    """Class folders with so many pictures each; the red of a picture is its class's place, the green its own."""
    for place, (name, count) in enumerate(classes.items()):
        for i in range(count):
            picture(root / name / f"img{i}{suffix}", color=(place, i, 0))
    return root


def noise_tree(root: Path) -> Path:
    """Twelve class folders of five pictures of noise, which say nothing of their class."""
    numbers = np.random.default_rng(2)
    for name in "abcdefghijkl":
        (root / name).mkdir(parents=True)
        for i in range(5):
            pixels = numbers.integers(0, 255, (20, 20, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def whole(monkeypatch: pytest.MonkeyPatch, name: str, classes: tuple[int, int], images: tuple[int, int]) -> None:
    """For one test, a published set is as small as this."""
    small = dataclasses.replace(benchmarks.BENCHMARKS[name], classes=classes, images=images)
    monkeypatch.setitem(benchmarks.BENCHMARKS, name, small)


def cub_layout(folder: Path, classes: dict[str, int]) -> Path:
    """CUB-200-2011's layout: numbered class folders in ``images`` and two index files."""
    class_tree(folder / "images", classes, suffix=".jpg")
    files = [(f"{name}/img{i}.jpg", number) for number, name in enumerate(classes, 1) for i in range(classes[name])]
    (folder / "images.txt").write_text("".join(f"{i} {file}\n" for i, (file, _) in enumerate(files, 1)))
    (folder / "image_class_labels.txt").write_text("".join(f"{i} {label}\n" for i, (_, label) in enumerate(files, 1)))
    return folder


def sop_layout(folder: Path, train: dict[int, int], test: dict[int, int]) -> Path:
    """Stanford Online Products' layout: pictures by kind of product, and two tables of classes."""
    for name, classes in (("train", train), ("test", test)):
        rows = ["image_id class_id super_class_id path"]
        for number, count in classes.items():
            for i in range(count):
                picture(folder / "bicycle_final" / f"11{number}_{i}.JPG")
                rows.append(f"{len(rows)} {number} 1 bicycle_final/11{number}_{i}.JPG")
        (folder / f"Ebay_{name}.txt").write_text("\n".join(rows) + "\n")
    return folder


def cars_layout(folder: Path, names: list[str], train: list[int], test: list[int], *, old: bool = False) -> Path:
    """Cars196's layouts: ``train`` and ``test`` hold the class number, from 1, of each picture of its own split."""
    from scipy import io

    savemat = functools.partial(io.savemat, do_compression=True)  # as published

    folder.mkdir(parents=True, exist_ok=True)
    class_names = np.array([names], dtype=object)
    if old:
        kind = [("relative_im_path", object), ("class", object), ("test", object)]
        numbers = train + test
        files = [f"car_ims/{i:06}.jpg" for i in range(1, len(numbers) + 1)]
        for file in files:
            picture(folder / file)
        rows = [
            (file, number, int(i >= len(train))) for i, (file, number) in enumerate(zip(files, numbers, strict=True))
        ]
        content = np.empty((1, len(rows)), dtype=kind)
        content[0] = rows
        savemat(folder / "cars_annos.mat", {"annotations": content, "class_names": class_names})
        return folder
    (folder / "devkit").mkdir(exist_ok=True)
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": class_names})
    places = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}
    for split, numbers in (("train", train), ("test", test)):
        rows = [(number, f"{i:05}.jpg") for i, number in enumerate(numbers, 1)]
        for _, file in rows:
            picture(folder / f"cars_{split}" / file)
        content = np.empty((1, len(rows)), dtype=[("class", object), ("fname", object)])
        content[0] = rows
        savemat(folder / places[split], {"annotations": content})
    return folder
