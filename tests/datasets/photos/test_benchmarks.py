"""The published sets and a user's own folders: what is found where, which classes train, and what is missing."""

from __future__ import annotations

import re

import pytest
import torch

from dmlbook.datasets.photos import benchmarks
from dmlbook.datasets.photos.indexes import cub
from dmlbook.datasets.photos.layouts import Entry, Listing
from tests.datasets.image_trees import cars_layout, class_tree, cub_layout, picture, sop_layout, whole

CLASSES = {"001.Auk": 2, "002.Bee_eater": 1, "003.Crane": 3, "004.Dove": 2}


def load(name, split, root, **options):
    return benchmarks.load(name, split, root, **{"size": 8, "progress": False} | options)


@pytest.fixture
def small_cub(tmp_path, monkeypatch):
    """A CUB of four classes, as class folders in ``cub``."""
    whole(monkeypatch, "cub", (2, 2), (3, 5))
    return class_tree(tmp_path / "cub", CLASSES).parent


def test_the_published_counts_are_those_of_the_protocol():
    found = {name: (*b.classes, *b.images) for name, b in benchmarks.BENCHMARKS.items()}
    assert found == {
        "cub": (100, 100, 5_864, 5_924), "cars": (98, 98, 8_054, 8_131), "sop": (11_318, 11_316, 59_551, 60_502),
    }  # fmt: skip


def test_a_benchmark_says_where_it_lies_how_large_it_is_and_how_it_is_read(tmp_path, monkeypatch):
    mine = benchmarks.Benchmark("My set", (1, 2), (2, 3), ("here", "there"), lambda folder: None)
    monkeypatch.setitem(benchmarks.BENCHMARKS, "mine", mine)
    class_tree(tmp_path / "there", {"001.a": 2, "002.b": 1, "003.c": 2})
    assert load("mine", "train", tmp_path).class_names == ("001.a",)
    assert load("mine", "test", tmp_path).class_names == ("002.b", "003.c")
    monkeypatch.setitem(benchmarks.BENCHMARKS, "mine", benchmarks.Benchmark("My set", (1, 2), (2, 9), ("there",), cub))
    with pytest.raises(ValueError, match="9 test images"):
        load("mine", "test", tmp_path)


def test_the_first_half_of_the_classes_trains_and_the_other_half_tests(small_cub):
    train, test = load("cub", "train", small_cub), load("cub", "test", small_cub)
    assert train.class_names == ("001.Auk", "002.Bee_eater")
    assert test.class_names == ("003.Crane", "004.Dove")
    assert train.labels.tolist() == [0, 0, 1]
    assert test.labels.tolist() == [0, 0, 0, 1, 1]
    assert test.images[:, :2, 0, 0].tolist() == [[2, 0], [2, 1], [2, 2], [3, 0], [3, 1]]  # class and image, as drawn
    assert test.paths == tuple(
        str(small_cub / "cub" / name / f"img{i}.png")
        for name, i in [("003.Crane", 0), ("003.Crane", 1), ("003.Crane", 2), ("004.Dove", 0), ("004.Dove", 1)]
    )
    torch.testing.assert_close(test.aspects, torch.full((5,), 1.5))
    assert (test.name, test.split, test.kinds) == ("cub", "test", None)


def test_all_is_both_halves_one_after_the_other(small_cub):
    both = load("cub", "all", small_cub)
    assert both.labels.tolist() == [0, 0, 1, 2, 2, 2, 3, 3]
    assert both.class_names == tuple(CLASSES)
    assert both.split == "all"


@pytest.mark.parametrize("place", ["cub", "cub200", "CUB_200_2011", "cub/CUB_200_2011", "cub/images", "."])
def test_class_folders_are_found_below_the_root_or_at_it(tmp_path, monkeypatch, place):
    whole(monkeypatch, "cub", (2, 2), (3, 5))
    class_tree(tmp_path / place, CLASSES)
    assert len(load("cub", "test", tmp_path)) == 5


def test_the_published_layout_goes_before_class_folders(tmp_path, monkeypatch):
    whole(monkeypatch, "cub", (2, 2), (3, 5))
    class_tree(tmp_path / "cub", {"001.Auk": 1})
    cub_layout(tmp_path / "CUB_200_2011", CLASSES)
    found = benchmarks.find("cub", tmp_path)
    assert (found.layout, found.folder.name) == ("official", "CUB_200_2011")
    assert load("cub", "train", tmp_path).paths[0].endswith("img0.jpg")


def test_dmlbook_data_is_where_sets_are_looked_for(small_cub, monkeypatch):
    monkeypatch.setenv("DMLBOOK_DATA", str(small_cub))
    assert len(load("cub", "train", None)) == 3


def test_both_layouts_of_cars_load_alike(tmp_path, monkeypatch):
    whole(monkeypatch, "cars", (1, 1), (2, 2))
    names = ["Acura RL Sedan 2012", "Audi A5"]
    for old in (False, True):
        root = tmp_path / str(old)
        cars_layout(root / "stanford_cars", names, [2, 1], [1, 2], old=old)
        assert load("cars", "train", root).class_names == ("Acura RL Sedan 2012",)
        assert load("cars", "test", root).labels.tolist() == [0, 0]


def test_cars_in_class_folders_by_the_classification_split_are_merged_by_class(tmp_path, monkeypatch):
    whole(monkeypatch, "cars", (1, 1), (3, 2))
    for half, counts in (("train", {"Acura RL": 1, "Audi A5": 1}), ("test", {"Acura RL": 2, "Audi A5": 1})):
        class_tree(tmp_path / "car_data" / "car_data" / half, counts)
    assert load("cars", "train", tmp_path).class_names == ("Acura RL",)
    assert len(load("cars", "test", tmp_path)) == 2


def test_sop_is_split_by_its_own_tables(tmp_path, monkeypatch):
    whole(monkeypatch, "sop", (2, 1), (3, 2))
    sop_layout(tmp_path / "Stanford_Online_Products", {1: 2, 2: 1}, {3: 2})
    assert load("sop", "train", tmp_path).class_names == ("bicycle 1", "bicycle 2")
    assert load("sop", "test", tmp_path).labels.tolist() == [0, 0]


def test_all_places_that_were_looked_at_are_named(tmp_path):
    with pytest.raises(ValueError, match="root must hold Stanford Online Products") as error:
        load("sop", "train", tmp_path)
    for place in ("sop", "Stanford_Online_Products", "sop/Stanford_Online_Products", "."):
        assert str(tmp_path / place) in str(error.value)
    assert "python -m dmlbook data sop" in str(error.value)
    assert "DMLBOOK_DATA" in str(error.value)


def test_other_sets_beside_it_are_not_taken_for_the_one_that_is_absent(tmp_path):
    class_tree(tmp_path / "cars", {"001.Acura": 1, "002.Audi": 1})
    picture(tmp_path / "screenshots" / "1.png")
    with pytest.raises(ValueError, match="root must hold CUB-200-2011"):
        load("cub", "train", tmp_path)


def test_a_missing_image_of_a_published_list_is_named(tmp_path, monkeypatch):
    whole(monkeypatch, "cub", (2, 2), (3, 5))
    cub_layout(tmp_path / "cub", CLASSES)
    (tmp_path / "cub" / "images" / "003.Crane" / "img1.jpg").unlink()
    message = "cub must be whole, 3 train images of 2 classes and 5 test images of 2 classes; got 3 train images of 2 "
    message += "classes and 4 test images of 2 classes in .*; 1 listed files are missing: images/003.Crane/img1.jpg"
    with pytest.raises(ValueError, match=message):
        load("cub", "train", tmp_path)
    assert len(load("cub", "test", tmp_path, partial=True)) == 4


def test_a_missing_class_is_named_and_the_others_stay_on_their_side(small_cub):
    for file in (small_cub / "cub" / "001.Auk").iterdir():
        file.unlink()
    (small_cub / "cub" / "001.Auk").rmdir()
    with pytest.raises(ValueError, match=r"1 train images of 1 classes.*; 1 classes are missing: 1\. Fetch it again"):
        load("cub", "train", small_cub)
    assert load("cub", "train", small_cub, partial=True).class_names == ("002.Bee_eater",)


def test_one_image_too_many_is_refused_too(small_cub):
    picture(small_cub / "cub" / "004.Dove" / "copy.png")
    with pytest.raises(ValueError, match="6 test images of 2 classes"):
        load("cub", "train", small_cub)


def test_classes_without_numbers_are_split_at_half_and_a_wrong_count_says_so(tmp_path, monkeypatch):
    whole(monkeypatch, "cub", (2, 2), (3, 5))
    class_tree(tmp_path / "cub", {"Auk": 2, "Crane": 3, "Dove": 2})
    with pytest.raises(ValueError, match="begin with no number, so their alphabetical order was taken"):
        load("cub", "train", tmp_path)
    assert load("cub", "train", tmp_path, partial=True).class_names == ("Auk", "Crane")


def test_the_split_of_real_size_goes_by_the_official_number(tmp_path):
    counts = [59, 60] + [58] * 2
    picture(tmp_path / "x.jpg")
    numbers = [100, 101, 1, 200]
    entries = [Entry("x.jpg", str(n), n) for n, count in zip(numbers, counts, strict=True) for _ in range(count)]
    halves = benchmarks.zero_shot("cub", Listing(tmp_path, "official", tuple(entries)), partial=True)
    assert {entry.number for entry in halves["train"].entries} == {1, 100}
    assert {entry.number for entry in halves["test"].entries} == {101, 200}


def test_a_class_whose_images_are_all_corrupt_leaves_no_hole_in_the_labels(small_cub):
    (small_cub / "cub" / "003.Crane" / "img0.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"1 of 5 in .*\n  003.Crane/img0.png"):
        load("cub", "test", small_cub)
    for i in (1, 2):
        (small_cub / "cub" / "003.Crane" / f"img{i}.png").write_text("no picture")
    with pytest.warns(UserWarning, match="3 of 5 images"):
        found = load("cub", "test", small_cub, skip_corrupt=True)
    assert (found.class_names, found.labels.tolist(), found.images[:, 0, 0, 0].tolist()) == (
        ("004.Dove",),
        [0, 0],
        [3, 3],
    )


@pytest.mark.parametrize(("cache", "kept"), [(True, "user"), (False, None), ("other", "other")])
def test_the_cache_is_where_it_was_asked_for(small_cub, tmp_path_factory, monkeypatch, cache, kept):
    places = {name: tmp_path_factory.mktemp(name) for name in ("user", "other")}
    monkeypatch.setenv("DMLBOOK_CACHE", str(places["user"]))
    before = sorted(small_cub.rglob("*"))
    load("cub", "train", small_cub, cache=places["other"] if cache == "other" else cache)
    assert {name for name, place in places.items() if list(place.glob("*.photos"))} == ({kept} if kept else set())
    assert sorted(small_cub.rglob("*")) == before  # nothing is ever written beside the photographs


def test_a_folder_of_ones_own_is_split_in_natural_order(tmp_path):
    class_tree(tmp_path, {"b10": 1, "b2": 2, "a": 1, "2019 new": 1, "2019 old": 1})
    assert load("folder", "train", tmp_path).class_names == ("2019 new", "2019 old", "a")
    assert load("folder", "test", tmp_path).class_names == ("b2", "b10")
    picture(tmp_path / ".dmlbook_cache" / "old.png")  # what an earlier version left is no class
    again = load("folder", "all", tmp_path)
    assert (again.num_classes, len(again)) == (5, 6)


def test_folders_inside_the_class_folders_are_kinds(tmp_path):
    for name in ("Apple", "Pear", "Plum", "Yam"):
        class_tree(tmp_path / name, {"red": 1, "green": 2})
    found = load("folder", "test", tmp_path)
    assert found.kind_names == ("Plum/green", "Plum/red", "Yam/green", "Yam/red")
    assert found.kinds.tolist() == [0, 0, 1, 2, 2, 3]
    assert load("folder", "all", tmp_path).kinds.tolist() == [0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7]


def test_train_and_test_folders_make_the_split(tmp_path):
    class_tree(tmp_path / "train", {"z": 1})
    class_tree(tmp_path / "test", {"a": 2, "b": 1})
    assert load("folder", "train", tmp_path).class_names == ("z",)
    assert load("folder", "test", tmp_path).class_names == ("a", "b")


def test_a_class_on_both_sides_is_refused_by_name(tmp_path):
    for half in ("train", "test"):
        class_tree(tmp_path / half, {"a": 1, half: 1})
    with pytest.raises(ValueError, match="classes must be in train or in test, not in both; got 1 in both: a"):
        load("folder", "test", tmp_path)
    assert load("folder", "all", tmp_path).labels.bincount().tolist() == [2, 1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "nowhere", "root must be the folder of class folders; got .*nowhere"),
        (lambda root: None, "root must be the folder of class folders; got None"),
        (lambda root: root, "at least two class folders; got 0 images"),
        (lambda root: class_tree(root, {"a": 3}), "at least two class folders; got 3 images of fewer than two classes"),
    ],
)
def test_a_folder_that_is_none_is_told(tmp_path, make, message):
    with pytest.raises(ValueError, match=message):
        load("folder", "train", make(tmp_path))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "cup"}, "Did you mean 'cub'"),
        ({"split": "val"}, "split must be one of"),
        ({"size": 0}, "size must be an"),
        ({"skip_corrupt": "true"}, "skip_corrupt must be True or False; got 'true'"),
        ({"partial": 1}, "partial must be True or False; got 1"),
        ({"merge": None}, "merge must be True or False"),
        ({"root": 3}, "root must be a folder; got 3. Pass root=FOLDER."),
        ({"cache": None}, "cache must be a folder; got None"),
    ],
)
def test_bad_input_is_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        benchmarks.load(**{"name": "cub", "split": "train", "root": tmp_path} | options)
