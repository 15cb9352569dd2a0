"""Layouts: which file is of which class, read from the published index files and from folders."""

from __future__ import annotations

import pytest
from PIL import Image

from dmlbook.datasets.photos import layouts
from tests.datasets.image_trees import cars_layout, class_tree, cub_layout, picture, sop_layout

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


def test_an_image_is_told_by_its_suffix_which_pillow_knows(tmp_path):
    for suffix in (*layouts.SUFFIXES, ".txt", ".mp4"):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / f"x{suffix}").write_bytes(b"")
    found = {entry.file for entry in layouts.class_folders(tmp_path).entries}
    assert found == {f"a/x{suffix}" for suffix in layouts.SUFFIXES}
    assert set(Image.registered_extensions()) >= layouts.SUFFIXES
    assert {".jpg", ".jpeg", ".png", ".webp"} <= layouts.SUFFIXES


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
    assert layouts.split_pair(tmp_path) == (tmp_path / "train", tmp_path / "test")
    class_tree(tmp_path / "val", {"a": 1})
    assert layouts.split_pair(tmp_path) is None


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


def test_cub_is_read_from_its_index_files(tmp_path):
    found = layouts.cub(cub_layout(tmp_path, CLASSES))
    assert found.layout == "official"
    assert rows(found)[3] == ("images/010.Crane/img0.jpg", "010.Crane", 3)
    (tmp_path / "images.txt").write_text("1 001.Auk/img0.jpg\n")
    with pytest.raises(ValueError, match="1 files in images.txt and 6 in image_class_labels.txt"):
        layouts.cub(tmp_path)
    (tmp_path / "images.txt").write_text("1 001.Auk/img0.jpg\n2\n")
    with pytest.raises(ValueError, match=r"images\.txt must hold 2 columns; got 1 in line 2"):
        layouts.cub(tmp_path)
    (tmp_path / "images.txt").unlink()
    assert layouts.cub(tmp_path) is None


def test_sop_is_read_from_its_tables(tmp_path):
    found = layouts.sop(sop_layout(tmp_path, {1: 2, 2: 1}, {3: 1}))
    assert rows(found) == [
        ("bicycle_final/111_0.JPG", "bicycle 1", 1),
        ("bicycle_final/111_1.JPG", "bicycle 1", 1),
        ("bicycle_final/112_0.JPG", "bicycle 2", 2),
        ("bicycle_final/113_0.JPG", "bicycle 3", 3),
    ]
    (tmp_path / "Ebay_test.txt").unlink()
    assert layouts.sop(tmp_path) is None


def test_both_layouts_of_cars_give_the_same_classes(tmp_path):
    names = ["Acura RL Sedan 2012", "Audi A5", "BMW M3"]
    new = layouts.cars(cars_layout(tmp_path / "new", names, [2, 1], [3, 1]))
    old = layouts.cars(cars_layout(tmp_path / "old", names, [2, 1], [3, 1], old=True))
    assert [entry.number for entry in new.entries] == [entry.number for entry in old.entries] == [1, 1, 2, 3]
    assert [entry.class_name for entry in new.entries] == [entry.class_name for entry in old.entries]
    assert rows(new)[2:] == [("cars_train/00001.jpg", "Audi A5", 2), ("cars_test/00001.jpg", "BMW M3", 3)]
    assert rows(old)[3] == ("car_ims/000003.jpg", "BMW M3", 3)
    assert layouts.cars(tmp_path) is None


def test_cars_without_the_labels_of_its_test_images_say_where_to_get_them(tmp_path):
    cars_layout(tmp_path, ["a", "b"], [1], [2])
    (tmp_path / "cars_test_annos_withlabels.mat").unlink()
    with pytest.raises(ValueError, match=r"got no \['cars_test_annos_withlabels.mat'\].*issues/7545"):
        layouts.cars(tmp_path)
