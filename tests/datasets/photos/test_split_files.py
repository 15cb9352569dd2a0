"""Files of splits: what they say is what is loaded, and every fault is named with its line."""

from __future__ import annotations

import os

import pytest

from dmlbook import datasets
from dmlbook.datasets.photos import benchmarks, split_files
from tests.datasets.image_trees import class_tree, picture


@pytest.fixture
def trees(tmp_path):
    """Three classes of three pictures."""
    return class_tree(tmp_path / "trees", dict.fromkeys(("ash", "beech", "cedar10"), 3))


def written(folder, *lines, header="path,split"):
    file = folder / "splits.csv"
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return file


def files(found):
    return {part: [entry.file for entry in listing.entries] for part, listing in found.items()}


def load(split, root, file):
    return benchmarks.load("folder", split, root, size=8, progress=False, cache=False, splits=file)


def test_every_split_that_is_named_is_found_and_the_class_is_the_folder(trees):
    lines = ("cedar10/img0.png,train", "ash/img2.png,train", "beech/img1.png,query", "beech/img0.png,gallery")
    found, remarks = split_files.read(written(trees, *lines, "ash/img0.png,validation", "ash/img1.png,test"), trees)
    assert files(found) == {
        "train": ["ash/img2.png", "cedar10/img0.png"],
        "validation": ["ash/img0.png"],
        "query": ["beech/img1.png"],
        "gallery": ["beech/img0.png"],
        "test": ["ash/img1.png"],
    }
    assert tuple(found) == split_files.PARTS
    assert [entry.class_name for entry in found["train"].entries] == ["ash", "cedar10"]
    assert remarks == [
        f"3 images in {trees} are in no split (most in cedar10): beech/img2.png, cedar10/img1.png, cedar10/img2.png"
    ]


def test_a_label_stands_above_the_folder_and_an_empty_one_does_not(tmp_path):
    for name in ("1.png", "in/2.png", "in/3.png"):
        picture(tmp_path / name)
    file = written(tmp_path, "1.png,train,oak", "in/2.png,train,ivy", "in/3.png,train,", header="path,split,label")
    found, remarks = split_files.read(file, tmp_path)
    assert [(entry.file, entry.class_name) for entry in found["train"].entries] == [
        ("in/3.png", "in"),
        ("in/2.png", "ivy"),
        ("1.png", "oak"),
    ]
    assert remarks == []


def test_spreadsheets_leave_a_mark_quotes_and_empty_lines_and_are_read(trees):
    file = trees / "splits.csv"
    file.write_bytes(b'\xef\xbb\xbfsplit, path\r\n\r\ntrain,"ash/img0.png"\r\n test ,beech/img0.png\r\n')
    assert files(split_files.read(file, trees)[0]) == {"train": ["ash/img0.png"], "test": ["beech/img0.png"]}


def test_folders_train_and_test_are_no_classes(tmp_path):
    for part in ("train", "test"):
        class_tree(tmp_path / part, {"ash": 1, "beech": 1})
    file = written(tmp_path, "train/ash/img0.png,train", "test/beech/img0.png,test")
    found, _ = split_files.read(file, tmp_path)
    assert [listing.entries[0].class_name for listing in found.values()] == ["ash", "beech"]


def test_folders_inside_all_class_folders_are_kinds(tmp_path):
    for name in ("ash/young/1.png", "ash/old/2.png", "elm/old/3.png"):
        picture(tmp_path / name)
    lines = ["ash/young/1.png,train", "ash/old/2.png,train", "elm/old/3.png,train"]
    found, _ = split_files.read(written(tmp_path, *lines), tmp_path)
    assert [entry.kind for entry in found["train"].entries] == ["ash/old", "ash/young", "elm/old"]
    picture(tmp_path / "elm/4.png")
    found, _ = split_files.read(written(tmp_path, *lines, "elm/4.png,train"), tmp_path)
    assert {entry.kind for entry in found["train"].entries} == {""}


def test_what_a_file_names_is_loaded_and_what_it_does_not_name_is_said_once(trees, recwarn):
    file = written(
        trees, "ash/img1.png,train", "beech/img0.png,train", "cedar10/img0.png,test", "cedar10/img2.png,test"
    )
    train, test = load("train", trees, file), load("test", trees, file)
    assert (train.class_names, test.class_names, test.split) == (("ash", "beech"), ("cedar10",), "test")
    assert [int(image[1, 0, 0]) for image in (*train.images, *test.images)] == [1, 0, 0, 2]  # the picture's own green
    assert [str(warning.message).partition(": ")[2][:11] for warning in recwarn] == ["5 images in"]
    with pytest.raises(ValueError, match="split must hold images; got none of 'gallery'"):
        load("gallery", trees, file)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ash/img9.png,train", "line 3: 'ash/img9.png' is missing"),
        ("ash,train", "line 3: 'ash' is no image by its suffix"),
        (",train", "line 3: no path"),
        ("ash/img1.png", "line 3: 1 fields for the columns path,split"),
        ("ash/img1.png,train,oak", "line 3: 3 fields for the columns path,split"),
        ("ash/img1.png,tain", "line 3: split 'tain' is none of train, .*; did you mean train"),
        ("ash/img1.png,", "line 3: split '' is none of train, validation, query, gallery, test"),
        ("ash/img0.png,test", "line 3: 'ash/img0.png' is named by line 2, too"),
        ("../x/img0.png,test", "line 3: '../x/img0.png' does not lie below root"),
        ("/ash/img0.png,test", "line 3: '/ash/img0.png' does not lie below root"),
        (r"..\ash\img0.png,test", "does not lie below root"),
        ("C:/ash/img0.png,test", "does not lie below root"),
        ("./ash/img1.png,test", r"line 3: './ash/img1.png' is written otherwise than 'ash/img1.png'"),
        ("ash/img\x001.png,test", "is missing"),
        ("x" * 5000 + "/a.png,test", "is missing"),
        ("loose.png,test", "line 3: 'loose.png' lies in no class folder and has no label"),
        ('"ash/img1.png,test', r"line 3: no CSV \(unexpected end of data\)"),
    ],
)
def test_every_fault_is_named_with_its_line(trees, line, message):
    picture(trees / "loose.png")
    file = written(trees, "ash/img0.png,train", line)
    with pytest.raises(
        ValueError, match="the file of splits must name photographs .*; got 1 fault in splits.csv: .*" + message
    ):
        split_files.read(file, trees)


@pytest.mark.bad_input
def test_all_faults_are_counted_and_ten_are_named(trees):
    lines = [f"ash/gone{i}.png,train" for i in range(13)]
    with pytest.raises(ValueError, match=r"got 13 faults in splits.csv: line 2: .*line 11: .*missing; and 3 more\."):
        split_files.read(written(trees, *lines), trees)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "name photographs; got none in .*splits.csv. Write a header path,split"),
        (b"path,split\n", "name photographs; got none"),
        (
            b"path;split\nash/img0.png;train\n",
            "have the columns path,split or path,split,label; got 'path;split' in line 1",
        ),
        (b"ash/img0.png,train\n", "have the columns"),
        (b"path,split,lable\n", "have the columns .* got 'path,split,lable'"),
        (b"path,path,split\n", "have the columns .* got 'path,path,split'"),
        (b"\xff\xfe\x00p", r"be a CSV file that can be read; got .*splits.csv \(text that is not UTF-8\)"),
    ],
)
def test_a_file_that_is_none_is_refused(trees, content, message):
    (trees / "splits.csv").write_bytes(content)
    with pytest.raises(ValueError, match="the file of splits must " + message):
        split_files.read(trees / "splits.csv", trees)


@pytest.mark.bad_input
def test_a_file_or_a_folder_that_is_not_there_is_named(trees):
    with pytest.raises(
        ValueError, match=f"the file of splits must be a CSV file that can be read; got .*none.csv .{os.strerror(2)}"
    ):
        split_files.read(trees / "none.csv", trees)
    with pytest.raises(ValueError, match="root must be the folder that the splits are of; got .*nowhere"):
        split_files.read(written(trees, "a.png,train"), trees / "nowhere")


@pytest.mark.bad_input
def test_a_file_of_splits_is_of_a_folder_alone_and_says_all(trees):
    file = written(trees, "ash/img1.png,train")
    with pytest.raises(ValueError, match="splits must be False for a benchmark; got True. Its own classes"):
        benchmarks.load("cub", "train", trees, splits=file)
    with pytest.raises(ValueError, match="shared must be False beside splits"):
        benchmarks.load("folder", "train", trees, splits=file, shared=True)
    with pytest.raises(ValueError, match="splits must be a file; got 3. Pass splits=FILE"):
        benchmarks.load("folder", "train", trees, splits=3)


def test_the_folders_of_re_identification_are_sides_and_no_classes(tmp_path):
    for part, names in {"train": "ab", "val": "a", "query": "cd", "Gallery": "cd"}.items():
        class_tree(tmp_path / part, dict.fromkeys(names, 2))
    lines = [f"{part}/{name}/img{i}.png,{split}" for part, split, names in
             (("train", "train", "ab"), ("val", "validation", "a"), ("query", "query", "cd"),
              ("Gallery", "gallery", "cd")) for name in names for i in (0, 1)]  # fmt: skip
    found, remarks = split_files.read(written(tmp_path, *lines), tmp_path)
    classes = {part: {entry.class_name for entry in listing.entries} for part, listing in found.items()}
    assert classes == {"train": {"a", "b"}, "validation": {"a"}, "query": {"c", "d"}, "gallery": {"c", "d"}}
    assert remarks == []
    protocol = datasets.protocol("folder", tmp_path / "splits.csv", root=tmp_path, size=8, cache=False)
    assert protocol.measured_on == "query images of splits.csv against its gallery"


def test_one_class_may_be_called_as_a_side(tmp_path):
    class_tree(tmp_path, dict.fromkeys(("train", "ash"), 2))
    found, _ = split_files.read(written(tmp_path, "train/img0.png,train", "ash/img0.png,test"), tmp_path)
    assert [entry.class_name for listing in found.values() for entry in listing.entries] == ["train", "ash"]
