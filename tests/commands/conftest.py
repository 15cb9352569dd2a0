"""What tests of commands share: every sixth digit with results in a folder of their own, and a folder of classes."""

import numpy as np
import pytest
import torch
from PIL import Image

from dmlbook import settings
from dmlbook.__main__ import main
from dmlbook.commands import common


def refusal(line, capsys) -> str:
    """What a command says of a line that it refuses, which is no traceback."""
    try:
        status = main(line)
    except SystemExit as stop:
        status = stop.code
    said = capsys.readouterr().err
    assert status in (1, 2)
    assert "Traceback" not in said
    return said


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder of its own, in smoke mode, with results in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DMLBOOK_MODE", "smoke")
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path / "results")
    return tmp_path


@pytest.fixture
def few_digits(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path / "results")
    few = {split: common.datasets.load("digits", split) for split in ("train", "test")}
    few = {split: images.select(torch.arange(0, len(images), 6)) for split, images in few.items()}
    monkeypatch.setattr(common, "load_images", lambda options, split: few[split])


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Six classes of five pictures, each class a color, in a folder of folders."""
    root, numbers = tmp_path_factory.mktemp("photos"), np.random.default_rng(1)
    for number, name in enumerate(("ash", "beech", "cedar", "elm", "fir", "gean")):
        (root / name).mkdir()
        for i in range(5):
            pixels = numbers.integers(0, 60, (40, 30, 3)) + np.array([40 * number, 255 - 40 * number, 90]) % 190
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{i}.png")
    return root
