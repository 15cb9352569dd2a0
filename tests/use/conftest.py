"""What tests of runs in use share. Their photographs and the folder of a run are fixtures of all tests."""

import contextlib
import io

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


def train(root, folder, *more):
    given = ["--data", "folder", "--root", str(root), "--net", "small", "--size", "24", "--embedding-size", "8"]
    given += ["--loss", "softtriple", "--loss-option", "centers_per_class=2", "--no-freeze-batch-norm"]
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["train", *given, "--epochs", "1", "--folder", str(folder), "--no-baseline", *more]) == 0
    return folder


@pytest.fixture
def run(run_folder):
    return load_run(run_folder)
