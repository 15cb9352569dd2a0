"""Layouts: which file is of which class, read from the published index files and from folders."""

from __future__ import annotations

import os

import pytest

from dmlbook.datasets.photos import layouts
from tests.datasets.image_trees import class_tree, picture

CLASSES = {"001.Auk": 2, "002.Bee_eater": 1, "010.Crane": 3}


def rows(listing):
    return [(entry.file, entry.class_name, entry.number) for entry in listing.entries]


def test_natural_order_counts_instead_of_spelling():
    assert sorted(["img10", "img9", "b1", "img1x", "1"], key=layouts.natural) == ["1", "b1", "img1x", "img9", "img10"]
    assert layouts.natural("img01") != layouts.natural("img")


def test_class_folders_give_numbers_from_their_names(tmp_path):
    found = layouts.class_folders(class_tree(tmp_path, CLASSES))
    assert found.layout == "numbered class folders"
    assert rows(found)[2:4] == [("002.Bee_eater/img0.png", "002.Bee_eater", 2), ("010.Crane/img0.png", "010.Crane", 10)]
    assert len(rows(found)) == 6


def test_class_folders_without_numbers_are_numbered_in_natural_order(tmp_path):
    found = layouts.class_folders(class_tree(tmp_path, {"b2": 1, "b10": 1, "a": 1}))
    assert found.layout == "class folders"
    assert [(name, number) for _, name, number in rows(found)] == [("a", 1), ("b2", 2), ("b10", 3)]


def test_folders_are_seen_in_natural_order_without_hidden_ones(tmp_path):
    for name in ("b10", "b2", ".cache", "__MACOSX", "a"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")
    assert [path.name for path in layouts.visible_folders(tmp_path)] == ["a", "b2", "b10"]


def test_what_is_no_image_is_counted_by_suffix_and_what_systems_leave_apart(tmp_path):
    class_tree(tmp_path, {"a": 2, "b": 1})
    for file in ("a/x.heic", "a/y.HEIC", "b/notes.txt", "b/raw", "a/._img0.png", "b/Thumbs.db"):
        (tmp_path / file).write_bytes(b"")
    picture(tmp_path / "a" / "@eaDir" / "img0.png")
    picture(tmp_path / "loose.JPG")
    found = layouts.class_folders(tmp_path)
    assert len(found.entries) == 3
    assert found.left_out == {
        ".heic": 2, ".txt": 1, "no suffix": 1, layouts.HIDDEN: 3, layouts.LOOSE: 1,
    }  # fmt: skip
    (remark,) = layouts.left_out_remark(found)
    assert f"left out in {tmp_path}: {layouts.counted(found.left_out)}. Images are .apng " in remark
    assert layouts.counted(found.left_out).startswith("3 hidden and system files, 2 .heic, 1 ")


def test_what_was_left_out_is_told_shortly_and_can_be_printed():
    many = layouts.counted({f".{i:03}": 1 for i in range(100)} | {".\udce9": 2})
    assert many.startswith("2 .\\udce9, 1 .000, ")
    assert many.endswith(", and 89 kinds more")


def test_images_directly_in_a_folder_are_told_from_those_deeper(tmp_path):
    class_tree(tmp_path, {"a": 1})
    picture(tmp_path / "b" / "._x.png")
    assert [layouts.holds_images(tmp_path / name) for name in ("a", ".", "b")] == [True, False, False]


def test_hidden_files_alone_are_not_remarked_upon(tmp_path):
    class_tree(tmp_path, {"a": 1, "b": 1, "#recycle": 1, "__MACOSX": 1})
    picture(tmp_path / "b" / "@eaDir" / "SYNO_THUMB.png")
    picture(tmp_path / "b" / ".thumbnails" / "1.png")
    found = layouts.class_folders(tmp_path)
    assert {entry.file for entry in found.entries} == {"a/img0.png", "b/img0.png"}
    assert layouts.left_out_remark(found) == []


LINKS = pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")


@LINKS
def test_linked_folders_are_followed_and_no_picture_is_seen_twice(tmp_path):
    root = class_tree(tmp_path / "root", {"a": 1, "b": 1})
    class_tree(tmp_path / "elsewhere", {"deep": 2})
    (root / "c").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "again").symlink_to(tmp_path / "elsewhere" / ".." / "elsewhere", target_is_directory=True)
    (root / "b" / "of a").symlink_to(root / "a", target_is_directory=True)  # read in its own place
    (root / "b" / "up").symlink_to(tmp_path, target_is_directory=True)  # would take in all of the neighbours
    (root / "b" / "loop").symlink_to("loop")
    (tmp_path / "elsewhere" / "deep" / "back").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    found = layouts.class_folders(root)
    assert [file for file, _, _ in rows(found)] == [
        "a/img0.png", "again/deep/img0.png", "again/deep/img1.png", "b/img0.png",
    ]  # fmt: skip
    assert found.left_out == {layouts.LINKED: 4, "no suffix": 1}


@LINKS
def test_a_linked_class_folder_is_a_class(tmp_path):
    class_tree(tmp_path / "there", {"a": 1, "b": 2})
    (tmp_path / "root").mkdir()
    for name in "ab":
        (tmp_path / "root" / name).symlink_to(tmp_path / "there" / name, target_is_directory=True)
    assert [file for file, _, _ in rows(layouts.class_folders(tmp_path / "root"))] == [
        "a/img0.png", "b/img0.png", "b/img1.png",
    ]  # fmt: skip


def test_hidden_files_and_what_is_no_image_are_passed_over(tmp_path):
    class_tree(tmp_path, {"a": 2, ".dmlbook_cache": 1, "__MACOSX": 1})
    picture(tmp_path / "a" / "deeper" / "more" / "upper.PNG").rename(tmp_path / "a" / "deeper" / "more" / "UP.PNG")
    picture(tmp_path / "a" / "._img0.png")
    (tmp_path / "a" / "readme.txt").write_text("text")
    (tmp_path / "loose.txt").write_text("text")
    assert [file for file, _, _ in rows(layouts.class_folders(tmp_path))] == [
        "a/deeper/more/UP.PNG", "a/img0.png", "a/img1.png",
    ]  # fmt: skip


def test_folders_inside_all_class_folders_are_kinds(tmp_path):
    class_tree(tmp_path / "Apple", {"Gala": 1, "Pink_Lady": 2})
    class_tree(tmp_path / "Pear", {"Conference": 1})
    found = layouts.class_folders(tmp_path)
    assert [entry.kind for entry in found.entries] == [
        "Apple/Gala",
        "Apple/Pink_Lady",
        "Apple/Pink_Lady",
        "Pear/Conference",
    ]
    picture(tmp_path / "Pear" / "loose.png")
    assert {entry.kind for entry in layouts.class_folders(tmp_path).entries} == {""}


def test_classes_of_one_name_in_train_and_test_are_one_class(tmp_path):
    class_tree(tmp_path / "train", {"a": 1, "b": 2})
    class_tree(tmp_path / "test", {"a": 3})
    found = layouts.class_folders(tmp_path)
    assert sorted(number for _, _, number in rows(found)) == [1, 1, 1, 1, 2, 2]
    assert found.layout == "class folders in train, test"
    assert [(entry.file, entry.part) for entry in found.entries][::5] == [
        ("test/a/img0.png", "test"),
        ("train/b/img1.png", "train"),
    ]


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("train", "test"), ("train", "test")),
        (("Test", "TRAIN", "Val"), ("train", "validation", "test")),
        (("training_set", "test_set"), ("train", "test")),
        (("train", "valid"), ("train", "validation")),
        (("train", "validation", "testing"), ("train", "validation", "test")),
        (("train", "car", "plane"), ()),  # a class may be called so
        (("car", "plane"), ()),
    ],
)
def test_parts_of_a_split_are_told_by_their_names(tmp_path, names, parts):
    for name in names:
        class_tree(tmp_path / name, {"a": 1, "b": 1})
    found = layouts.split_folders(tmp_path)
    assert tuple(found) == parts
    assert {path.name for path in found.values()} == (set(names) if parts else set())
    assert all(layouts.part_of(found[part].name) == part for part in parts)


@pytest.mark.parametrize(
    ("trees", "message"),
    [
        ({"train": "ab", "test": "cd", "more": "e"}, "parts of a split alone; got both in .*: more, test, train"),
        ({"train": "ab", "test": ""}, "got no class folder in .*test. Make a folder for each class in test, train"),
        ({"val": "ab", "test": "cd"}, "hold one training part"),
        ({"train": "ab", "Train_images": "ab", "test": "cd"}, "hold one training part"),
        ({"train": "ab", "val": "cd", "validation": "cd"}, "hold one training part, and validation or test beside"),
    ],
)
def test_a_split_that_is_none_is_refused_by_name(tmp_path, trees, message):
    for name, classes in trees.items():
        class_tree(tmp_path / name, dict.fromkeys(classes, 1))
        picture(tmp_path / name / "x.png")
    with pytest.raises(ValueError, match=message):
        layouts.class_folders(tmp_path)


def test_an_empty_class_folder_is_named_unless_the_set_may_be_partial(tmp_path):
    class_tree(tmp_path, {"a": 1, "b": 0})
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match=r"class folders must hold images; got none in .*b\. Delete"):
        layouts.class_folders(tmp_path)
    assert len(rows(layouts.class_folders(tmp_path, partial=True))) == 1


def test_two_class_folders_of_one_number_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"one number each; got \['001.Auk', '001.Bee'\]"):
        layouts.class_folders(class_tree(tmp_path, {"001.Auk": 1, "001.Bee": 1, "002.C": 1}))
    assert len({n for _, _, n in rows(layouts.class_folders(tmp_path, numbered=False))}) == 3
