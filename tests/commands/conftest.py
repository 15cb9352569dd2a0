"""What tests of commands that search share: every sixth digit, and results in a folder of their own."""

import pytest
import torch

from dmlbook import settings
from dmlbook.commands import common


@pytest.fixture
def few_digits(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path / "results")
    few = {split: common.datasets.load("digits", split) for split in ("train", "test")}
    few = {split: images.select(torch.arange(0, len(images), 6)) for split, images in few.items()}
    monkeypatch.setattr(common, "load_images", lambda options, split: few[split])
