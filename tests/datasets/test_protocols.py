"""Protocols: what trains, what is asked and what is searched, and that nothing is on two sides by accident."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from dmlbook import datasets
from dmlbook.datasets import Protocol, protocols
from dmlbook.datasets.photos import own_folders
from dmlbook.datasets.protocols import build, fingerprint, numbered_as
from dmlbook.datasets.splits import closed_set, draw_share
from dmlbook.seeding import SEED, generator
from tests.datasets.image_trees import class_tree
from tests.datasets.test_splits import image_set

SIZES = (1, 2, 3, 7, 10, 40)


def uneven():
    """Classes of ``SIZES`` images."""
    paths = tuple(f"{c}/{i}" for c in range(len(SIZES)) for i in range(max(SIZES)))
    whole = image_set(len(SIZES), max(SIZES), paths=paths)
    places = torch.arange(len(whole)) % max(SIZES) < torch.tensor(SIZES)[whole.labels]
    return whole.select(places.nonzero().flatten())


def load(part):
    return image_set(6, 4, split=part) if part == "all" else image_set(3, 4, first=3 * (part == "test"), split=part)


def folder(root, *names, count=4, **parts):
    for part, inside in (parts or {"": names}).items():
        class_tree(root / part, dict.fromkeys(inside, count))
    return partial(datasets.protocol, "folder", root=root, size=8, progress=False, cache=False)


def pixels(images):
    return {tuple(image.flatten().tolist()) for image in images.images}


def test_a_share_of_each_group_is_drawn_at_least_one_and_never_all():
    groups = uneven().labels[torch.randperm(sum(SIZES), generator=generator(0))]
    drawn = draw_share(groups, 0.2, generator(1))
    assert torch.bincount(groups[drawn], minlength=6).tolist() == [0, 1, 1, 1, 2, 8]
    assert torch.bincount(groups[draw_share(groups, 1.0, generator(1))], minlength=6).tolist() == [0, 1, 2, 6, 9, 39]
    assert not torch.equal(drawn, draw_share(groups, 0.2, generator(2)))


def test_a_closed_set_trains_every_class_and_holds_out_images_of_those_that_have_two():
    whole = uneven()
    train, queries = closed_set(whole, 0.2, generator=generator(SEED, "closed set"))
    assert (len(train), len(queries)) == (50, 13)
    assert train.class_names == whole.class_names
    assert queries.class_names == whole.class_names[1:]  # the class of one image only trains
    assert (train.split, queries.split) == ("train", "query")
    for part in (train, queries):  # each image is still of its own class
        assert [part.class_names[c] for c in part.labels.tolist()] == [path[0] for path in part.paths]
    assert sorted(train.paths + queries.paths) == sorted(whole.paths)
    with pytest.raises(ValueError, match="hold two images of some class; got 5 classes of one image"):
        closed_set(image_set(5, 1), generator=generator(0))


def test_classes_of_queries_have_the_numbers_of_the_gallery():
    queries, gallery = image_set(3, 2, first=3), image_set(5, 1)  # classes 3 4 5 and 0 to 4
    assert numbered_as(queries, gallery).tolist() == [3, 3, 4, 4, 5, 5]
    found = Protocol("closed", gallery, queries, gallery, "", "")
    assert (found.query_labels.tolist(), found.gallery_labels.tolist()) == ([3, 3, 4, 4, 5, 5], [0, 1, 2, 3, 4])
    alone = Protocol("all", gallery, queries, None, "", "")
    assert (alone.query_labels.tolist(), alone.gallery_labels) == ([0, 0, 1, 1, 2, 2], None)


def test_classes_are_the_halves_as_ever():
    found = build("classes", load)
    assert found.measured_on == "test classes"
    assert (found.train.class_names, found.queries.class_names) == (("0", "1", "2"), ("3", "4", "5"))
    assert found.gallery is None
    held = build("classes", lambda part: image_set(10, 2), validation=0.3)
    assert (held.measured_on, held.queries.num_classes) == ("0.3 of the training classes", 3)
    assert not set(held.train.class_names) & set(held.queries.class_names)
    assert held.queries.split == "validation"


def test_all_images_train_and_are_measured_which_is_said():
    found = build("all", load)
    assert found.train is found.queries
    assert (len(found.train), found.gallery, found.measured_on) == (24, None, "the images trained on")
    assert "this says nothing about other images" in found.says
    held = build("all", load, validation=0.34)
    assert (held.measured_on, held.train.num_classes, held.queries.num_classes) == ("0.34 of all classes", 4, 2)


def test_a_closed_set_is_the_same_for_everybody_and_validation_leaves_its_queries_alone():
    found, again = build("closed", load), build("closed", load)
    assert found.gallery is found.train
    assert found.measured_on == "0.2 of each class's images against the rest (closed set)"
    assert torch.equal(found.queries.images, again.queries.images)
    assert (len(found.train), len(found.queries)) == (18, 6)
    held = build("closed", load, validation=0.5)
    assert held.measured_on == "0.5 of each class's training images against the rest (closed set)"
    assert (len(held.train), len(held.queries)) == (6, 12)  # of the 3 images of each class 2
    assert held.gallery is held.train
    inner = torch.cat([held.train.images, held.queries.images])[:, 0, 0, 0].sort().values
    assert torch.equal(inner, found.train.images[:, 0, 0, 0].sort().values)
    assert len(build("closed", load, held_out=0.5).queries) == 12


def test_folders_train_and_test_that_share_their_classes_are_a_closed_set(tmp_path):
    found = folder(tmp_path, train=("a", "b", "c"), test=("b", "c", "x"))("closed")
    assert (found.train.class_names, found.queries.class_names) == (("a", "b", "c"), ("b", "c", "x"))
    assert found.gallery is found.train
    assert found.measured_on == "the test images against the training images (closed set)"
    assert found.query_labels.unique().tolist() == [1, 2, 3]  # x is not in the gallery
    with pytest.raises(ValueError, match="closed set: say split='closed'"):
        folder(tmp_path)()
    merged = folder(tmp_path)("closed", merge=True, held_out=0.25)
    assert (merged.train.num_classes, len(merged.queries)) == (4, 1 + 2 + 2 + 1)
    held = folder(tmp_path)("closed", validation=0.25)
    assert (len(held.train), len(held.queries)) == (9, 3)
    assert pixels(held.queries) <= pixels(found.train)


@pytest.mark.filterwarnings("ignore:.*are in no split")
def test_a_file_says_what_trains_what_asks_and_what_is_searched(tmp_path):
    root, file = tmp_path / "photos", tmp_path / "mine.csv"
    make = folder(root, "a", "b", "c", "d")

    def written(**parts):
        rows = [f"{name}/img{i}.png,{part}" for part, inside in parts.items() for name, i in inside]
        file.write_text("\n".join(["path,split", *rows]))

    def grid(names, numbers):
        return [(name, i) for name in names for i in numbers]

    written(train=grid("ab", (0, 1, 2, 3)), test=grid("cd", (0, 1, 2)))
    found = make(file)
    assert (found.name, found.measured_on, found.gallery) == ("mine.csv", "test images of mine.csv", None)
    assert found.says == "6 test images of mine.csv search one another; 0 of their 2 classes trained."
    assert (found.train.class_names, found.queries.class_names) == (("a", "b"), ("c", "d"))
    assert len(make(file).train) == 8

    written(train=grid("ab", (0, 1)), query=grid("bcd", (2,)), gallery=grid("bd", (3,)))
    found = make(str(file))
    assert found.measured_on == "query images of mine.csv against its gallery"
    assert found.says == "3 query images of mine.csv search the gallery; 1 of their 3 classes trained."
    assert (found.query_labels.tolist(), found.gallery_labels.tolist()) == ([0, 2, 1], [0, 1])
    assert found.gallery.split == "gallery"

    written(train=grid("abc", (0, 1)), query=grid("bc", (2,)), validation=grid("ab", (3,)))
    found, held = make(file), make(file, validation="file")
    assert found.gallery is found.train
    assert found.measured_on == "query images of mine.csv against the training images"
    assert held.measured_on == "validation images of mine.csv against the training images"
    assert (held.queries.split, len(held.queries)) == ("validation", 2)
    with pytest.raises(ValueError, match="validation must be those images that the file names so; got 0.2 beside 2 in"):
        make(file, validation=0.2)

    written(train=grid("abcd", (0, 1)), query=grid("bc", (2,)))
    assert make(file, validation=0.5).measured_on == "0.5 of each class's training images against the rest of mine.csv"
    with pytest.raises(
        ValueError, match="validation must be a share where the file names none; got 8 train, 2 query in"
    ):
        make(file, validation="file")
    written(train=grid("abcd", (0, 1)), test=grid("bc", (2, 3)))
    held = make(file, validation=0.5)
    assert held.measured_on == "0.5 of the training classes of mine.csv"
    assert len(pixels(held.train) & pixels(held.queries)) == 0


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "parts",
    [
        {"test": "ab"},
        {"train": "ab"},
        {"train": "ab", "validation": "c"},
        {"train": "ab", "gallery": "c"},
        {"train": "a", "query": "b", "test": "c"},
        {"train": "a", "gallery": "b", "test": "c"},
    ],
)
def test_a_file_without_both_sides_is_refused_before_an_image_is_read(tmp_path, parts, monkeypatch):
    make = folder(tmp_path, "a", "b", "c")
    rows = [f"{name}/img{i}.png,{part}" for part, names in parts.items() for name in names for i in (0, 1)]
    (tmp_path / "x.csv").write_text("\n".join(["path,split", *rows]))
    monkeypatch.setattr("dmlbook.datasets.photos.decoding.decode", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(ValueError, match=r"split must name train images, and either test images or query images"):
        make(tmp_path / "x.csv")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("split", "options", "message"),
    [
        ("clsed", {}, "split must be one of classes, closed, all, or a CSV file; got 'clsed'"),
        ("x.csv", {}, "split must be of a folder of your own, where it is a file; got x.csv"),
        ("all", {"held_out": 0.2}, "held_out must stand beside split='closed' .*; got split='all'"),
        ("closed", {"held_out": 0.2, "folder": "here", "parts": True}, "got folders train and test in here"),
        ("closed", {"held_out": 0.0}, "held_out must be a finite number > 0"),
        ("closed", {"validation": 1.5}, "validation must be a finite number"),
        ("classes", {"validation": "file"}, "validation must be a share, such as 0.2; got 'file'"),
        ("closed", {"validation": "file"}, "validation must be a share"),
    ],
)
def test_what_has_no_meaning_is_refused_before_images_are_loaded(split, options, message):
    with pytest.raises(ValueError, match=message):
        build(split, lambda part: pytest.fail("loaded"), **options)


@pytest.mark.filterwarnings("ignore:.*are in no split")
@pytest.mark.bad_input
def test_sides_that_share_no_class_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match="classes must be in train and in test, for a closed set; got none of 1 in both"
    ):
        folder(tmp_path / "one", train="ab", test="x")("closed")
    make = folder(tmp_path / "two", "a", "b", "c")
    (tmp_path / "x.csv").write_text("path,split\na/img0.png,train\nb/img0.png,query\n")
    with pytest.raises(ValueError, match="split must name a class both in query and in gallery"):
        make(tmp_path / "x.csv")
    with pytest.raises(ValueError, match="shared must be used with folders train and test"):
        datasets.load("folder", "train", tmp_path / "two", shared=True)


def test_only_folders_train_and_test_that_are_not_merged_are_sides(tmp_path):
    folder(tmp_path / "one", train="ab", test="ab")
    folder(tmp_path / "two", "a", "b")
    assert [own_folders.has_parts(root) for root in (tmp_path / "one", tmp_path / "two", tmp_path / "no", None)] == [
        True,
        False,
        False,
        False,
    ]
    assert datasets.own_parts("folder", tmp_path / "one", {})
    assert not datasets.own_parts("folder", tmp_path / "one", {"merge": True})
    assert not datasets.own_parts("cub", tmp_path / "one", {})
    assert datasets.own_folder("folder", "here") == Path("here")
    assert datasets.own_folder("cub", "here") is datasets.own_folder("folder", None) is None


def test_a_file_of_splits_is_known_by_its_content(tmp_path):
    for name, content in (("a.csv", "path"), ("b.csv", "path"), ("c.csv", "Path")):
        (tmp_path / name).write_text(content)
    a, b, c = (fingerprint(tmp_path / f"{name}.csv") for name in "abc")
    assert a == b != c
    with pytest.raises(ValueError, match="split must be a CSV file that can be read; got .*gone.csv"):
        fingerprint(tmp_path / "gone.csv")
    assert protocols.NAMES == ("classes", "closed", "all")


@pytest.mark.bad_input
@pytest.mark.parametrize("split", ["classes", "closed", "all"])
def test_what_split_says_is_said_by_split_alone(tmp_path, split):
    make = folder(tmp_path, train="ab", test="ab")
    with pytest.raises(ValueError, match="shared must be left to split; got True. Say split='closed'"):
        make(split, shared=True)
    with pytest.raises(ValueError, match="splits must be left to split; got x.csv. Say split='FILE.csv'"):
        make(split, splits="x.csv")
    assert make("closed", shared=False, splits=None).measured_on.startswith("the test images")


def test_classes_called_unseen_are_not_among_those_that_train():
    with pytest.raises(ValueError, match="classes must be in train or in test, not in both; got 1 in both: 2."):
        build("classes", lambda part: image_set(3, 4, first=2 * (part == "test"), split=part))


def test_test_images_are_not_decoded_where_validation_images_are_measured():
    loaded = []

    def shared(part, *, shared):
        loaded.append(part)
        return image_set(3, 4, split=part)

    assert len(build("closed", shared, folder=Path("x"), parts=True, validation=0.25).queries) == 3
    assert loaded == ["train"]
    assert build("closed", shared, folder=Path("x"), parts=True).queries.split == loaded[-1] == "test"
