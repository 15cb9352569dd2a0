"""Fetching whole sets: nothing is in place before it was counted, and a dead address ends in steps by hand."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil

import pytest

from dmlbook.datasets.photos import fetching
from dmlbook.datasets.photos.downloads import DownloadError, alone
from tests.datasets.image_trees import class_tree, cub_layout, whole

CLASSES = {"001.Auk": 2, "002.Bee_eater": 1}


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A CUB of two classes in an archive, and a download that hands it over; yields the archive and the calls."""
    whole(monkeypatch, "cub", (1, 1), (2, 1))
    cub_layout(tmp_path / "there" / "CUB_200_2011", CLASSES)
    (tmp_path / "there" / "attributes.txt").write_text("beside the set's folder")
    archive = shutil.make_archive(str(tmp_path / "archive"), "gztar", tmp_path / "there")
    calls = []

    def download(url, target, *, md5, progress):
        calls.append(url)
        target.parent.mkdir(parents=True, exist_ok=True)
        return shutil.copy(archive, target)

    monkeypatch.setattr(fetching, "download", download)
    with open(archive, "rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    monkeypatch.setitem(fetching.SOURCES, "cub", dataclasses.replace(fetching.SOURCES["cub"], md5=md5))
    return archive, calls


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_set_is_fetched_unpacked_counted_and_the_archive_removed(published, tmp_path):
    folder = fetching.fetch("cub", tmp_path / "data", progress=False)
    assert folder == tmp_path / "data" / "CUB_200_2011"
    assert names(tmp_path / "data") == ["CUB_200_2011"]
    state = fetching.describe("cub", tmp_path / "data")
    assert (state["complete"], state["folder"], state["layout"]) == (True, str(folder), "official")
    assert (state["classes"], state["images"], state["problem"]) == (2, 3, "")


def test_the_folder_in_the_archive_and_the_address_are_the_sources(published, tmp_path, monkeypatch):
    source = fetching.Source("https://example.org/cub.tgz", None, "CUB_200_2011", 0.001, "Put it at {folder}.")
    monkeypatch.setitem(fetching.SOURCES, "cub", source)
    assert fetching.fetch("cub", tmp_path / "data", progress=False) == tmp_path / "data" / "CUB_200_2011"
    assert published[1] == ["https://example.org/cub.tgz"]


def test_a_set_that_is_there_is_not_fetched_again(published, tmp_path):
    class_tree(tmp_path / "data" / "cub", CLASSES)
    assert fetching.fetch("cub", tmp_path / "data") == tmp_path / "data" / "cub"
    assert published[1] == []


def test_an_archive_put_there_by_hand_is_used_after_its_checksum(published, tmp_path):
    (tmp_path / "data").mkdir()
    archive = shutil.copy(published[0], tmp_path / "data" / "CUB_200_2011.tgz")
    assert fetching.fetch("cub", tmp_path / "data").is_dir()
    assert published[1] == []
    shutil.rmtree(tmp_path / "data" / "CUB_200_2011")
    with open(archive, "wb") as file:
        file.write(b"another")
    with pytest.raises(DownloadError, match="has MD5 .*damaged or another version"):
        fetching.fetch("cub", tmp_path / "data")


def test_an_archive_that_is_not_whole_is_not_put_in_place(published, tmp_path, monkeypatch):
    whole(monkeypatch, "cub", (1, 1), (2, 7))
    with pytest.raises(ValueError, match="cub must be whole, .* and 7 test images"):
        fetching.fetch("cub", tmp_path / "data", progress=False)
    assert names(tmp_path / "data") == ["CUB_200_2011.tgz"]


def test_what_is_in_the_way_is_not_overwritten(published, tmp_path):
    class_tree(tmp_path / "data" / "CUB_200_2011", {"001.Auk": 1})
    with pytest.raises(DownloadError, match=r"cub must be whole(.|\n)*Move what is there aside"):
        fetching.fetch("cub", tmp_path / "data")
    assert published[1] == []


def test_a_failed_download_ends_in_the_steps_by_hand(published, tmp_path, monkeypatch):
    def download(*arguments, **options):
        raise DownloadError("download: https://... answers 404 Not Found.")

    monkeypatch.setattr(fetching, "download", download)
    with pytest.raises(
        DownloadError, match=r"404 Not Found\.\nTo get CUB-200-2011 by hand:\nOpen https://data"
    ) as error:
        fetching.fetch("cub", tmp_path / "data")
    assert str(tmp_path / "data" / "CUB_200_2011") in str(error.value)


def test_cars_has_no_address_and_says_what_to_do(tmp_path):
    with pytest.raises(DownloadError, match=r"cars has no address to download from(.|\n)*issues/7545") as error:
        fetching.fetch("cars", tmp_path)
    assert str(tmp_path / "stanford_cars") in str(error.value)


def test_what_needs_no_download_is_left_in_peace(tmp_path):
    assert fetching.fetch("digits", tmp_path) is None
    assert fetching.fetch("birds", tmp_path) is None
    assert fetching.describe("digits")["images"] == 1797
    assert fetching.describe("birds", tmp_path)["complete"]
    assert names(tmp_path) == []


def test_what_is_absent_is_described_with_the_remedy(tmp_path):
    state = fetching.describe("sop", tmp_path)
    assert (state["complete"], state["folder"]) == (False, None)
    assert "python -m dmlbook data sop" in state["problem"]


def test_every_address_has_its_checksum_and_every_set_its_steps():
    for name, source in fetching.SOURCES.items():
        assert (source.url is None) == (source.md5 is None) == (name == "cars")
        assert "{folder}" in source.steps
        assert source.md5 is None or re.fullmatch("[0-9a-f]{32}", source.md5)


def test_ones_own_folder_cannot_be_fetched():
    with pytest.raises(ValueError, match="name must be one of .* got 'folder'"):
        fetching.fetch("folder")


def test_ones_own_folder_is_described_without_opening_a_picture(tmp_path):
    for part in ("train", "val", "test"):
        class_tree(tmp_path / part, {f"{part} 1": 1, f"{part} 2": 2})
    (tmp_path / "test" / "test 1" / "img0.png").write_text("no picture, which is not seen here")
    (tmp_path / "test" / "test 1" / "x.heic").write_text("")
    state = fetching.describe("folder", tmp_path)
    assert (state["complete"], state["problem"], state["classes"], state["images"]) == (True, "", 6, 9)
    assert state["layout"] == "class folders in train, val, test"
    decided, left_out = state["remarks"]
    assert "the 3 images in val are not used" in decided
    assert "1 .heic" in left_out
    class_tree(tmp_path / "more", {"a": 1})
    assert "root must hold class folders, or parts of a split alone" in fetching.describe("folder", tmp_path)["problem"]


def test_two_at_once_fetch_a_set_once(published, tmp_path, monkeypatch):
    with (
        alone(tmp_path / "data" / "CUB_200_2011"),
        pytest.raises(DownloadError, match=r"by one process; .*\nTo get CUB"),
    ):
        fetching.fetch("cub", tmp_path / "data")
    assert published[1] == []


def test_a_folder_that_cannot_be_written_is_told_with_the_steps(published, tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DownloadError, match=r"data cannot be written .*\nTo get CUB-200-2011 by hand"):
        fetching.fetch("cub", tmp_path / "data")
