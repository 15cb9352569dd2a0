"""Classes that stand in a file beside the photographs, as HuggingFace's image folders may have them."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import pytest

from dmlbook import datasets
from dmlbook.datasets.photos import metadata, own_folders
from tests.datasets.image_trees import class_tree, picture


def write(folder: Path, rows: list[dict], form: str = "csv") -> Path:
    """Photographs and the file that names them; a row may say that its photograph is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, row in enumerate(rows):
        if row.pop("there", True) and not (folder / row["file_name"]).exists():
            picture(folder / row["file_name"], color=(place, 0, 0))
    if form == "csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    else:
        lines = [json.dumps(row) for row in rows]
    file = folder / f"metadata.{form}"
    file.write_text("\n".join(lines) + "\n")
    return file


def rows(*pairs: tuple[str, object], label: str = "label") -> list[dict]:
    return [{"file_name": name, label: value} for name, value in pairs]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_file_beside_the_photographs_names_their_classes(tmp_path, form):
    write(tmp_path, rows(("b.png", "oak"), ("in/a.png", "ash"), ("c.png", "oak"), ("d.png", "yew")), form)
    found = datasets.load("folder", "all", root=tmp_path, size=8, cache=False)
    assert found.class_names == ("ash", "oak", "yew")
    assert found.labels.tolist() == [0, 1, 1, 2]
    assert found.images[:, 0, 0, 0].tolist() == [1, 0, 2, 3]


def test_numbers_are_classes_in_the_order_of_their_numbers(tmp_path):
    write(tmp_path, rows(("a.png", 10), ("b.png", 9), ("c.png", 10)), "jsonl")
    assert datasets.load("folder", "all", root=tmp_path, size=8, cache=False).class_names == ("9", "10")


@pytest.mark.parametrize("label", ["label", "labels", "target", "fine_label", "class"])
def test_the_column_of_the_classes_may_have_any_usual_name(tmp_path, label):
    write(tmp_path, rows(("a.png", "x"), ("b.png", "y"), label=label))
    assert {entry.class_name for entry in metadata.find(tmp_path).entries} == {"x", "y"}


def test_training_and_test_part_have_a_file_each(tmp_path):
    write(tmp_path / "train", rows(("a.png", "x"), ("b.png", "y")))
    write(tmp_path / "test", rows(("a.png", "z"), ("b.png", "w")), "jsonl")
    parts = {part: datasets.load("folder", part, root=tmp_path, size=8, cache=False) for part in ("train", "test")}
    assert {part: found.class_names for part, found in parts.items()} == {"train": ("x", "y"), "test": ("w", "z")}


def test_a_file_changes_what_was_kept_of_the_folder(tmp_path):
    """The decoded pictures are kept; a corrected label must not be answered with the old one."""
    write(tmp_path / "photos", rows(("a.png", "x"), ("b.png", "y"), ("c.png", "x")))
    before = datasets.load("folder", "all", root=tmp_path / "photos", size=8, cache=tmp_path / "cache")
    write(tmp_path / "photos", rows(("a.png", "x"), ("b.png", "y"), ("c.png", "y")))
    after = datasets.load("folder", "all", root=tmp_path / "photos", size=8, cache=tmp_path / "cache")
    assert (before.labels.tolist(), after.labels.tolist()) == ([0, 0, 1], [0, 1, 1])


def test_photographs_that_no_line_names_are_counted(tmp_path):
    write(tmp_path, rows(("a.png", "x"), ("b.png", "y")))
    picture(tmp_path / "more" / "c.png")
    with pytest.warns(UserWarning, match=r"1 that metadata\.csv does not name"):
        found = datasets.load("folder", "all", root=tmp_path, size=8, cache=False)
    assert len(found) == 2


def test_every_photograph_named_is_no_reason_for_a_word(tmp_path):
    write(tmp_path, rows(("a.png", "x"), ("b.png", "y")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(datasets.load("folder", "all", root=tmp_path, size=8, cache=False)) == 2


def test_class_folders_count_where_the_file_knows_no_classes(tmp_path):
    class_tree(tmp_path, {"ash": 2, "oak": 1})
    write(tmp_path, rows(("ash/img0.png", "a tree"), ("oak/img0.png", "another"), label="caption"))
    assert metadata.find(tmp_path) is None
    assert datasets.load("folder", "all", root=tmp_path, size=8, cache=False).class_names == ("ash", "oak")


def test_no_file_is_no_finding(tmp_path):
    class_tree(tmp_path, {"ash": 2, "oak": 1})
    assert metadata.find(tmp_path) is None


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (rows(("a.png", "x"), ("a.png", "y")), "line 3: 'a.png' is named by line 2, too"),
        (rows(("a.png", "x"), ("b.png", "")), "line 3: 'b.png' has no label"),
        ([*rows(("a.png", "x")), {"file_name": "gone.png", "label": "y", "there": False}], "'gone.png' is missing"),
        ([*rows(("a.png", "x")), {"file_name": "../z.png", "label": "y", "there": False}], "does not lie below root"),
        ([*rows(("a.png", "x")), {"file_name": "notes.txt", "label": "y", "there": False}], "no image by its suffix"),
        (rows(("a.png", "x"), label="caption"), "must have the columns file_name and label or labels"),
        (rows(("a.png", "x"), ("b.png", "x,extra")), "line 3 has not as many fields as line 1"),
    ],
)
def test_a_faulty_file_is_told_by_its_lines(tmp_path, lines, told):
    write(tmp_path / "photos", lines)
    with pytest.raises(ValueError, match=r"metadata\.csv must") as error:
        datasets.load("folder", "all", root=tmp_path / "photos", size=8)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "Expecting property name"), ("[1]", "line 1 is no object"), ("", "got nothing"), ("\udcff", "decode")],
)
def test_lines_of_json_that_cannot_be_read(tmp_path, text, told):
    (tmp_path / "metadata.jsonl").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=r"metadata\.jsonl must") as error:
        metadata.find(tmp_path)
    assert told in str(error.value)


@pytest.mark.parametrize("label", [None, " ", True, 0.5, ["x"], {"x": 1}])
def test_what_is_no_class_is_refused(tmp_path, label):
    write(tmp_path, rows(("a.png", "x"), ("b.png", label)), "jsonl")
    told = "has no label" if label in (None, " ") else f"has the label {re.escape(repr(label))}, neither"
    with pytest.raises(ValueError, match=f"line 2: 'b.png' {told}"):
        metadata.find(tmp_path)


def test_one_file_above_train_and_test_names_their_photographs(tmp_path):
    shared = rows(("train/a.png", "x"), ("train/b.png", "y"), ("test/c.png", "x"), ("test/d.png", "y"))
    write(tmp_path / "closed", [dict(row) for row in shared])
    closed = datasets.protocol("folder", "closed", root=tmp_path / "closed", size=8, cache=False)
    assert closed.measured_on == "the test images against the training images (closed set)"
    assert (len(closed.train), len(closed.queries), closed.gallery is closed.train) == (2, 2, True)
    with pytest.raises(ValueError, match="classes must be in train or in test, not in both"):
        datasets.load("folder", "train", root=tmp_path / "closed", size=8, cache=False)
    write(
        tmp_path / "split", rows(("train/a.png", "z"), ("train/b.png", "y"), ("test/c.png", "v"), ("test/d.png", "w"))
    )
    parts = {name: datasets.load("folder", name, root=tmp_path / "split", size=8, cache=False).class_names
             for name in ("train", "test")}  # fmt: skip
    assert parts == {"train": ("y", "z"), "test": ("v", "w")}  # and not the first half of all names
    write(tmp_path / "beside", rows(("train/a.png", "x"), ("e.png", "y"), ("test/c.png", "z")))
    assert {entry.part for entry in metadata.find(tmp_path / "beside").entries} == {""}
    assert not own_folders.has_parts(tmp_path / "beside")


def test_a_text_may_hold_breaks_that_end_no_line(tmp_path):
    told = [{**row, "text": "one\u2028two\x85three"} for row in rows(("a.png", "x"), ("b.png", "y"))]
    write(tmp_path, told, "jsonl").write_text(
        "\r\n".join(json.dumps(row, ensure_ascii=False) for row in told), encoding="utf-8", newline=""
    )
    assert [entry.class_name for entry in metadata.find(tmp_path).entries] == ["x", "y"]


def test_a_file_without_classes_beside_folders_of_folders_is_none_of_ours(tmp_path):
    for name in ("a/x", "a/y", "b/x", "b/y"):
        picture(tmp_path / name / "1.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\na/x/1.png,words\n")
    assert metadata.find(tmp_path) is None
    assert datasets.load("folder", "all", root=tmp_path, size=8, cache=False).kind_names == ("a/x", "a/y", "b/x", "b/y")


def test_what_is_left_out_is_counted_by_what_is_there(tmp_path):
    names = [f".hidden/{i}.png" for i in range(4)]
    write(tmp_path, rows(("a.png", "x"), ("b.png", "y"), *((name, "x") for name in names)))
    picture(tmp_path / "c.png")
    assert metadata.find(tmp_path).left_out == {"that metadata.csv does not name": 1}


@pytest.mark.bad_input
@pytest.mark.parametrize(("form", "text"), [
    ("csv", "file_name,label, label\na.png,x,y\n"), ("jsonl", '{"file_name": "a.png", "label": "x", "label": "y"}'),
])  # fmt: skip
def test_a_column_that_stands_twice_is_named(tmp_path, form, text):
    picture(tmp_path / "a.png")
    (tmp_path / f"metadata.{form}").write_text(text)
    with pytest.raises(ValueError, match="be a file that can be read; got .*line 1 names label twice"):
        metadata.find(tmp_path)
