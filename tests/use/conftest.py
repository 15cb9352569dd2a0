"""What tests of runs in use share: photographs of all sorts, and a run that was trained on some of them."""

import contextlib
import io
import os

import numpy as np
import pytest
from PIL import Image

from dmlbook.__main__ import main
from dmlbook.use import load_run


def picture(number, size=(40, 30)):
    """A picture of its own color and noise; ``size`` is width and height."""
    draw = np.random.default_rng(number)
    color = draw.integers(0, 196, 3)
    return Image.fromarray((draw.integers(0, 60, (size[1], size[0], 3)) + color).astype(np.uint8))


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory):
    """Six classes of four pictures: wide, high, square, turned by EXIF, transparent, gray."""
    root = tmp_path_factory.mktemp("photographs")
    for number, name in enumerate(("ash", "beech", "cedar", "elm", "fir", "gean")):
        (root / name).mkdir()
        for i, size in enumerate([(40, 30), (20, 44), (32, 32), (50, 25)]):
            one = picture(10 * number + i, size)
            exif = Image.Exif()
            if i == 1:
                exif[0x0112] = 6
                one.save(root / name / f"{i}.jpg", exif=exif)
            elif i == 2:
                one.putalpha(Image.linear_gradient("L").resize(size))
                one.save(root / name / f"{i}.png")
            elif i == 3:
                one.convert("L").save(root / name / f"{i}.png")
            else:
                one.save(root / name / f"{i}.png")
    return root


def train(root, folder, *more):
    given = ["--data", "folder", "--root", str(root), "--net", "small", "--size", "24", "--embedding-size", "8"]
    given += ["--loss", "softtriple", "--loss-option", "centers_per_class=2", "--no-freeze-batch-norm"]
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["train", *given, "--epochs", "1", "--folder", str(folder), "--no-baseline", *more]) == 0
    return folder


@pytest.fixture(scope="session")
def run_folder(class_folders, tmp_path_factory):
    """The folder of a run on the first half of the classes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMLBOOK_MODE", "smoke")
        return train(class_folders, tmp_path_factory.mktemp("runs") / "trees")


@pytest.fixture
def run(run_folder):
    return load_run(run_folder)


@pytest.fixture
def gallery_folder(tmp_path):
    """Five photographs in two folders and in none, with a name that needs care."""
    root = tmp_path / "photos"
    names = ["it's <b>100% & more.png", "a/1.png", "a/2.png", "b/deep/3.png", "b/deep/4.png"]
    if os.name == "nt":
        names[0] = "it's 100% & more.png"
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture(100 + number).save(root / name)
    return root
