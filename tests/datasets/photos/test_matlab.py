"""MATLAB's files are read in a process of their own, which may die of them."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from dmlbook.datasets.photos import matlab, matlab_child


@pytest.fixture
def names(tmp_path):
    """A file of three class names, as published."""
    path = tmp_path / "cars_meta.mat"
    savemat(path, {"class_names": np.array([["Audi A5", "BMW M3", "Fiat 500"]], object)}, do_compression=True)
    return path


def rows(path, *values):
    content = np.empty((1, len(values)), dtype=[("class", object), ("fname", object), ("bbox", object)])
    content[0] = [(number, file, np.zeros(4)) for number, file in values]
    savemat(path, {"annotations": content}, do_compression=True)
    return path


def test_text_and_whole_numbers_come_as_pythons_own(names, tmp_path):
    first, second = matlab.read_mat(names, rows(tmp_path / "a.mat", (1, "a.jpg"), (2.0, "b.jpg"), (2.5, 7)))
    assert first == {"class_names": ["Audi A5", "BMW M3", "Fiat 500"]}
    assert second["annotations"] == [
        {"class": 1, "fname": "a.jpg"}, {"class": 2, "fname": "b.jpg"}, {"class": None, "fname": 7},
    ]  # fmt: skip


def test_one_row_and_one_name_are_rows_and_names(tmp_path):
    savemat(tmp_path / "n.mat", {"class_names": np.array([["Audi"]], object)})
    found = matlab.read_mat(tmp_path / "n.mat", rows(tmp_path / "a.mat", (1, "a.jpg")))
    assert found == [{"class_names": ["Audi"]}, {"annotations": [{"class": 1, "fname": "a.jpg"}]}]


def test_the_file_that_is_damaged_is_named(names, tmp_path):
    (tmp_path / "bad.mat").write_bytes(names.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"bad\.mat must be a MATLAB file of version 5; got ValueError: a file "):
        matlab.read_mat(names, tmp_path / "bad.mat")
    (tmp_path / "bad.mat").write_bytes(b"MATLAB 7.3 MAT-file" + bytes(107) + b"\x89HDF")
    with pytest.raises(ValueError, match="no mark of MATLAB's version 5"):
        matlab.read_mat(tmp_path / "bad.mat")


def test_a_reader_that_dies_or_hangs_is_told(names, tmp_path, monkeypatch):
    monkeypatch.setattr(matlab, "CHILD", tmp_path / "dies.py")
    matlab.CHILD.write_text("import os; print('{}', flush=True); os.abort()")
    with pytest.raises(ValueError, match=r"second\.mat must be .*; got a reader that ended with status -?[1-9]"):
        matlab.read_mat(names, tmp_path / "second.mat")
    matlab.CHILD.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(matlab, "SECONDS", 0.5)
    with pytest.raises(ValueError, match=r"cars_meta\.mat must be read within 0\.5 seconds"):
        matlab.read_mat(names)


def element(kind, data):
    return bytes(126) + b"IM" + struct.pack("<II", kind, len(data)) + data


def test_compressed_data_are_compared_with_their_checksum():
    packed = zlib.compress(b"content" * 100)
    assert matlab_child.check_stream(element(15, packed)) is None
    for damaged in (packed[:-1], packed + b"x"):
        with pytest.raises(ValueError, match="compressed data that are not whole"):
            matlab_child.check_stream(element(15, damaged))
    with pytest.raises(zlib.error):
        matlab_child.check_stream(element(15, packed[:-1] + bytes([packed[-1] ^ 1])))


def test_what_would_not_fit_into_memory_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab_child, "MOST_BYTES", 1_000)
    with pytest.raises(ValueError, match="not whole"):
        matlab_child.check_stream(element(15, zlib.compress(bytes(10_000))))
    (tmp_path / "large.mat").write_bytes(bytes(2_000))
    assert matlab_child.read(str(tmp_path / "large.mat")) == {"fault": "ValueError: more than 1,000 bytes"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        (3, 3),
        (3.0, 3),
        (np.array([[4]], np.uint8), 4),
        (2.5, None),
        (1e300, None),
        ([], None),
        (True, None),
    ],
)
def test_plain_keeps_text_and_whole_numbers(value, expected):
    assert matlab_child.plain(value) == expected
    assert type(matlab_child.plain(value)) is type(expected)
