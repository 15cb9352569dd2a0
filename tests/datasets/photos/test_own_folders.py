"""A user's own folders: which classes train, which test, and what is refused because it cannot be told."""

from __future__ import annotations

import pytest

from dmlbook.datasets.photos import benchmarks, own_folders
from tests.datasets.image_trees import class_tree, picture


def load(split, root, **options):
    return benchmarks.load("folder", split, root, **{"size": 8, "progress": False, "cache": False} | options)


def parts(root, **classes):
    for part, names in classes.items():
        class_tree(root / part, dict.fromkeys(names, 2))
    return root


def test_a_folder_of_train_and_test_in_any_case_is_split_so(tmp_path):
    root = parts(tmp_path, Train="abc", TEST="xy")
    assert load("train", root).class_names == ("a", "b", "c")
    assert load("test", root).class_names == ("x", "y")
    assert load("all", root).class_names == ("a", "b", "c", "x", "y")


@pytest.mark.parametrize("val", ["val", "Valid", "validation"])
def test_validation_beside_a_test_is_not_used_and_said_to_be(tmp_path, val):
    root = parts(tmp_path, train="ab", test="xy", **{val: "mn"})
    with pytest.warns(UserWarning, match=f"the 4 images in {val} are not used"):
        assert load("train", root).class_names == ("a", "b")
    with pytest.warns(UserWarning, match=f"the 4 images in {val} are not used"):
        assert load("test", root).class_names == ("x", "y")


def test_without_a_test_validation_tests_and_is_said_to(tmp_path):
    root = parts(tmp_path, train="ab", val="xy")
    with pytest.warns(UserWarning, match=r"holds train, val; val tests: there is no test\."):
        assert load("test", root).class_names == ("x", "y")


def test_shared_classes_are_refused_with_the_way_out(tmp_path):
    root = parts(tmp_path, train="abcd", val="abcd", test="abcd")
    with pytest.raises(ValueError, match="classes must be in train or in test, not in both; got 4 in both: a, b, c, d"):
        load("test", root)
    with pytest.raises(ValueError, match="Pass merge=True to take the images of all folders together"):
        load("train", root)
    train, test = load("train", root, merge=True), load("test", root, merge=True)
    assert (train.class_names, test.class_names) == (("a", "b"), ("c", "d"))
    assert train.labels.bincount().tolist() == test.labels.bincount().tolist() == [6, 6]


def test_the_parts_are_found_without_opening_a_picture(tmp_path):
    listing = own_folders.find(parts(tmp_path, train="ab", test="xy"))
    halves, remarks = own_folders.halves(listing)
    assert {half: len(inside.entries) for half, inside in halves.items()} == {"train": 4, "test": 4}
    assert remarks == []
    assert tuple(halves) == own_folders.HALVES


def test_merge_is_refused_where_there_is_nothing_to_merge(tmp_path):
    root = parts(tmp_path, **{".": "abcd"})
    with pytest.raises(ValueError, match="merge must be used with folders train and test"):
        load("train", root, merge=True)
    with pytest.raises(ValueError, match="merge must be False for a benchmark"):
        benchmarks.load("cub", "train", root, merge=True)


def test_one_folder_too_high_is_told(tmp_path):
    parts(tmp_path / "photos", **{".": "abcd"})
    with pytest.raises(ValueError, match="fewer than two classes in .*Pass root=.*photos, if the classes are"):
        load("train", tmp_path)


def test_what_is_left_out_is_said_once_for_each_half(tmp_path):
    root = parts(tmp_path, **{".": "abcd"})
    (root / "a" / "x.heic").write_bytes(b"")
    picture(root / "loose.png")
    (root / "loose.heic").write_bytes(b"")
    for half in ("train", "test"):
        with pytest.warns(UserWarning, match="left out in .*: 2 in no class folder, 1 .heic. Images"):
            load(half, root)


def test_files_that_are_no_images_explain_an_empty_class_folder(tmp_path):
    root = parts(tmp_path, **{".": "abc"})
    for file in (root / "b").iterdir():
        file.rename(file.with_suffix(".heic"))
    with pytest.raises(ValueError, match=r"got none in .*b \(left out so far: 2 .heic\)"):
        load("train", root)
    with pytest.warns(UserWarning, match="2 .heic"):
        assert load("all", root, partial=True).class_names == ("a", "c")


def test_an_empty_part_is_told(tmp_path):
    root = parts(tmp_path, train="ab", test="x")
    for file in (root / "test" / "x").iterdir():
        file.unlink()
    (root / "test" / "x" / "1.heic").write_bytes(b"")
    with pytest.raises(ValueError, match=r"hold images in train and in test; got none in test \(left out: 1 \.heic\)"):
        load("train", root, partial=True)


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    root = parts(tmp_path, **{".": "ab"})

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(root), "iterdir", refuse)
    with pytest.raises(ValueError, match="folder must be readable; got .* \\(Permission denied\\)"):
        load("train", root)
