"""Formats: what is opened, and what is taken for an image by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dmlbook.datasets.photos import formats
from dmlbook.datasets.photos.layouts import class_folders


def test_suffixes_are_pillows_own_for_each_format():
    Image.init()
    registered = Image.registered_extensions()
    for name in formats.readable_formats():
        known = {suffix for suffix, kind in registered.items() if kind == name and suffix not in (".pfm",)}
        assert known <= set(formats.FORMATS[name])
    assert {".jpg", ".jpe", ".jfif", ".png", ".webp", ".jp2", ".pgm", ".avif"} <= formats.suffixes()


def test_formats_that_run_programs_or_know_no_photographs_are_not_read():
    assert not {"EPS", "WMF", "PDF", "TGA", "HDF5", "FITS"} & set(formats.readable_formats())


def test_images_are_told_by_suffix_in_any_case(tmp_path):
    (tmp_path / "a").mkdir()
    for place, suffix in enumerate((*formats.suffixes(), ".txt", ".mp4", ".eps")):
        (tmp_path / "a" / f"x{place}{suffix.upper()}").write_bytes(b"")
    found = class_folders(tmp_path)
    assert len(found.entries) == len(formats.suffixes())
    assert found.left_out == {".txt": 1, ".mp4": 1, ".eps": 1}


def test_what_a_plugin_opens_is_an_image_too(monkeypatch):
    assert ".heic" not in formats.suffixes()
    monkeypatch.setitem(Image.OPEN, "HEIF", (None, None))
    assert ".heic" in formats.suffixes()
    assert "HEIF" in formats.readable_formats()


def test_names_can_be_printed_whatever_their_bytes():
    assert formats.printable("café.png") == "café.png"
    assert formats.printable("caf\udce9.png").encode() == rb"caf\udce9.png"


@pytest.mark.parametrize("name", ["@eaDir", "._a.jpg", ".thumbnails", "Thumbs.db", "#recycle", "__MACOSX", "Icon\r"])
def test_what_systems_leave_is_told_by_name(name):
    assert formats.is_system(name)
    assert name.lower() in formats.SYSTEM or name.startswith(".")
    assert not formats.is_system(f"a{name}")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("in/a.png", ""),
        ("", "no path"),
        ("/a.png", "'/a.png' does not lie below root"),
        ("C:/a.png", "'C:/a.png' does not lie below root"),
        ("in/../../a.png", "'in/../../a.png' does not lie below root"),
        ("..\\a.png", "'..\\\\a.png' does not lie below root"),
        ("a.txt", "'a.txt' is no image by its suffix"),
        ("in//a.png", "'in//a.png' is written otherwise than 'in/a.png'"),
        ("in/b.png", "'in/b.png' is missing"),
        ("a\0.png", "'a\\x00.png' is missing"),
    ],
)
def test_what_is_wrong_with_a_path_in_a_file(tmp_path, name, fault):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    assert formats.path_fault(name, tmp_path, frozenset({".png"})) == fault


def test_ten_faults_are_told_and_the_others_counted():
    faults = [(line, f"fault {line}") for line in range(13, 1, -1)]
    told = formats.told_faults(Path("in/list.csv"), faults)
    assert told.startswith("12 faults in list.csv: line 2: fault 2; line 3: fault 3;")
    assert told.endswith("line 11: fault 11; and 2 more")
    assert formats.told_faults(Path("list.csv"), [(4, "no path")]) == "1 fault in list.csv: line 4: no path"
