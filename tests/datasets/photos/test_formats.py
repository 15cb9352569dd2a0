"""Formats: what is opened, and what is taken for an image by its name."""

from __future__ import annotations

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
