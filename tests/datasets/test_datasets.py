"""One function loads every set, and passes on what the set understands."""

from __future__ import annotations

import pytest
import torch

from dmlbook import datasets
from dmlbook.datasets import birds
from dmlbook.datasets.photos import benchmarks
from tests.datasets.image_trees import class_tree, whole


def test_digits_are_loaded_by_name_at_32_pixels():
    found = datasets.load("digits", "test")
    assert (found.name, found.split, found.images.shape) == ("digits", "test", (896, 3, 32, 32))
    assert datasets.load("digits", "train", root="elsewhere", size=16).images.shape == (901, 3, 16, 16)


def test_birds_get_their_options_and_keep_their_files_below_the_root(tmp_path):
    options = {"num_species": 4, "images_per_species": 2, "difficulty": "easy"}
    found = datasets.load("birds", "test", tmp_path, 32, **options)
    direct = birds.load("test", size=32, root=tmp_path / "direct", **options)
    assert torch.equal(found.images, direct.images)
    assert (found.num_classes, len(found)) == (2, 4)
    assert (tmp_path / "birds").is_dir()


def test_photographs_are_loaded_at_256_pixels_unless_told(tmp_path, monkeypatch):
    whole(monkeypatch, "cub", (1, 1), (2, 1))
    class_tree(tmp_path / "cub", {"001.Auk": 2, "002.Bee": 1})
    assert datasets.load("cub", "train", tmp_path).images.shape == (2, 3, 256, 256)
    assert datasets.load("cub", "all", tmp_path, 16, cache=False).images.shape == (3, 3, 16, 16)
    assert datasets.load("folder", "test", tmp_path / "cub", 16, progress=False).class_names == ("002.Bee",)


@pytest.mark.parametrize("name", ["digits", "birds"])
def test_no_class_is_on_both_sides(name, tmp_path):
    options = {"num_species": 5, "images_per_species": 2, "root": tmp_path} if name == "birds" else {}
    train, test, both = (datasets.load(name, split, **options) for split in ("train", "test", "all"))
    assert set(train.class_names).isdisjoint(test.class_names)
    assert sorted(train.class_names + test.class_names) == sorted(both.class_names)
    assert len(train) + len(test) == len(both)


@pytest.mark.parametrize(
    ("name", "split", "options", "message"),
    [
        ("cubs", "train", {}, "name must be one of 'birds', .*Did you mean 'cub'"),
        ("cub", "val", {}, "split must be one of 'train', 'test', 'all'; got 'val'"),
        ("digits", "train", {"sise": 8}, "option must be one of 'size'; got 'sise'. Did you mean 'size'"),
        ("cub", "train", {"dificulty": "easy"}, "option must be one of 'root', 'size', 'partial'"),
        ("birds", "train", {"dificulty": "easy"}, "Did you mean 'difficulty'"),
    ],
)
def test_bad_input_is_named(name, split, options, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(name, split, **options)


def test_every_name_is_loaded_by_a_module_of_its_own():
    assert set(datasets.NAMES) == {"birds", "digits", "folder", *benchmarks.BENCHMARKS}


def test_fetch_and_describe_are_at_hand(tmp_path):
    assert datasets.fetch("digits") is None
    assert datasets.describe("cub", tmp_path)["complete"] is False
