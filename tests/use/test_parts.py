"""The parts of a run in use, each by itself."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from dmlbook.datasets.photos.decoding import decode_content, decode_file
from dmlbook.datasets.photos.layouts import images_below
from dmlbook.training.views import PHOTO_CROP
from dmlbook.use.page import jpeg
from dmlbook.use.photographs import content_of
from dmlbook.use.serving import LOOPBACK, is_allowed
from dmlbook.use.store import Table
from dmlbook.use.trained import Embedded, image_set_of, report_unreadable
from tests.use.conftest import picture


def test_bytes_in_memory_are_decoded_as_the_file_is(gallery_folder):
    path = gallery_folder / "a" / "1.png"
    pixels, aspect = decode_content(io.BytesIO(path.read_bytes()), 16)
    assert np.array_equal(pixels, decode_file(path, 16)[0])
    assert aspect == 40 / 30
    with pytest.raises(ValueError, match="it has 40 x 30 pixels, at most 1,199 are taken"):
        decode_content(io.BytesIO(path.read_bytes()), 16, most_pixels=1199)


def test_images_are_found_in_a_folder_and_below_it_in_natural_order(gallery_folder):
    picture(1).save(gallery_folder / "a" / "10.png")
    (gallery_folder / "a" / "x.txt").write_text("")
    files, left_out = images_below(gallery_folder)
    assert files[:3] == ["a/1.png", "a/2.png", "a/10.png"]
    assert left_out == {".txt": 1}


def test_a_small_picture_has_its_own_proportions_again():
    pixels = np.full((3, 20, 20), 200, np.uint8)
    sizes = [Image.open(io.BytesIO(jpeg(pixels, aspect, side=20))).size for aspect in (2.0, 0.5, 1.0)]
    assert sizes == [(20, 10), (10, 20), (20, 20)]


def test_a_content_is_known_by_its_bytes_alone(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    assert content_of(tmp_path / "a") == content_of(tmp_path / "b") != content_of(tmp_path / "c")
    assert content_of(tmp_path / "gone") == ""


def test_this_machine_is_asked_by_its_loopback_names():
    assert all(is_allowed(f"[{name}]:8000" if ":" in name else f"{name}:8000", LOOPBACK) for name in LOOPBACK)


def test_rows_are_removed_by_path_and_those_of_other_models_when_it_is_tidied(tmp_path):
    pytest.importorskip("lancedb")

    def table(model):
        return Table(str(tmp_path), "t", model=model, dimensions=2)

    def put(place, *paths):
        known = {"path": list(paths), "label": [""] * len(paths), "content": [""] * len(paths)}
        place.put({**known, "bytes": [1] * len(paths), "modified": [1] * len(paths)}, torch.ones(len(paths), 2))

    put(table("m"), "it's", "b", "c")
    put(table("n"), "d")
    ours = table("m")
    ours.remove(["it's", "absent"])
    assert sorted(row["path"] for row in ours.rows(("path",))) == ["b", "c"]
    assert len(table("n")) == 1
    ours.tidy()
    assert (len(table("m")), len(table("n"))) == (2, 0)


def test_batches_come_as_they_are_done(run, gallery_folder):
    files = ["a/1.png", "a/2.png", "b/deep/3.png"]
    options = {"root": gallery_folder, "go_on": True, "batch_size": 2, "device": None, "progress": False}
    parts = list(run.in_batches(files, **options))
    assert all(isinstance(part, Embedded) for part in parts)
    assert [part.paths for part in parts] == [("a/1.png", "a/2.png"), ("b/deep/3.png",)]
    assert [tuple(part.vectors.shape) for part in parts] == [(2, 8), (1, 8)]


def test_pictures_of_unknown_classes_are_a_set(run):
    images = image_set_of(np.zeros((2, 3, 8, 8), np.uint8), [1.0, 2.0], ["a", "b"])
    assert (len(images), images.class_names, images.paths) == (2, ("",), ("a", "b"))
    assert run.view["crop"] == PHOTO_CROP


def test_unreadable_files_are_told_in_full_up_to_ten():
    broken = {f"{n}.png": "it is broken" for n in range(12)}
    with pytest.raises(ValueError, match="got 12 of 20 that cannot be") as failed:
        report_unreadable(broken, 20, skip=False)
    assert "9.png: it is broken\n  and 2 more" in str(failed.value)
    with pytest.raises(ValueError, match="got 12 of 12"):
        report_unreadable(broken, 12, skip=True)
    report_unreadable({}, 3, skip=False)
