"""Archives that try to leave their folder, or are damaged."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile

import pytest

from dmlbook.datasets.photos.archives import unpacked
from dmlbook.datasets.photos.downloads import DownloadError
from tests.datasets.photos.test_downloads import names


def tar(path, members: dict[str, bytes | dict]):
    """A gzipped tar; a member is its bytes, or the fields of a special member."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            data = content if isinstance(content, bytes) else b""
            info.size = len(data)
            for field, value in ({} if isinstance(content, bytes) else content).items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(data))
    return path


def zipped(path, members: dict[str, bytes], *, mode: int = 0):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.filename = name
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


@pytest.mark.parametrize("make", [tar, zipped])
def test_an_archive_is_unpacked_aside_and_cleared_away(tmp_path, make):
    archive = make(tmp_path / "archive", {"set/a/1.jpg": b"one", "set/b.txt": b"two"})
    with unpacked(archive, tmp_path / "data" / "set") as place:
        assert place.parent == tmp_path / "data"
        assert place.name.startswith(".")
        assert (place / "set" / "a" / "1.jpg").read_bytes() == b"one"
        assert (place / "set" / "b.txt").read_bytes() == b"two"
    assert names(tmp_path / "data") == []


OUTSIDE = [
    "../evil.txt",
    "set/../../evil.txt",
    "/tmp_evil.txt",
    "C:/evil.txt",
    "..\\evil.txt",
    "\\evil.txt",
    "C:evil.txt",
]


@pytest.mark.parametrize("make", [tar, zipped])
@pytest.mark.parametrize("name", OUTSIDE)
def test_no_member_is_written_outside_the_folder(tmp_path, make, name):
    archive = make(tmp_path / "archive", {"good.txt": b"good", name: b"evil"})
    with (
        pytest.raises(DownloadError, match="would be written outside the folder"),
        unpacked(archive, tmp_path / "in" / "set"),
    ):
        pass
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]
    assert names(tmp_path / "in") == []


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "/etc"}, "a link"),
        ({"type": tarfile.SYMTYPE, "linkname": "../.."}, "a link"),
        ({"type": tarfile.LNKTYPE, "linkname": "../../secret"}, "a link"),
        ({"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, "a device"),
        ({"type": tarfile.FIFOTYPE}, "a device"),
    ],
)
def test_links_and_devices_are_refused_in_tar(tmp_path, fields, kind):
    archive = tar(tmp_path / "archive.tgz", {"link": fields, "link/evil.txt": b"evil"})
    with (
        pytest.raises(DownloadError, match=f"holds 'link', which is {kind}"),
        unpacked(archive, tmp_path / "in" / "set"),
    ):
        pass
    assert names(tmp_path / "in") == []


def test_links_are_refused_in_zip(tmp_path):
    archive = zipped(tmp_path / "archive.zip", {"link": b"/etc"}, mode=stat.S_IFLNK | 0o777)
    with pytest.raises(DownloadError, match="holds 'link', which is a link"), unpacked(archive, tmp_path / "set"):
        pass


@pytest.mark.parametrize("make", [tar, zipped])
@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_truncated_archive_is_damaged(tmp_path, make, keep):
    noise = {f"{i}.jpg": hashlib.sha512(bytes([i])).digest() * 20 for i in range(50)}
    archive = make(tmp_path / "archive", noise)
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * keep)])
    with pytest.raises(DownloadError, match="is damaged"), unpacked(archive, tmp_path / "in" / "set"):
        pass
    assert names(tmp_path / "in") == []


@pytest.mark.parametrize("where", [-8, -4, 40])
def test_a_wrong_checksum_of_gzip_is_damage(tmp_path, where):
    archive = tar(tmp_path / "archive.tgz", {f"{i}.txt": hashlib.sha512(bytes([i])).digest() for i in range(99)})
    content = bytearray(archive.read_bytes())
    content[where] ^= 1
    archive.write_bytes(content)
    with pytest.raises(DownloadError, match="is damaged"), unpacked(archive, tmp_path / "in" / "set"):
        pass
    assert names(tmp_path / "in") == []


@pytest.mark.parametrize("make", [tar, zipped])
@pytest.mark.parametrize(
    "clash",
    [("a", "a/b"), ("a/b", "a"), ("a/b/c", "A/B"), ("x.jpg", "X.jpg"), ("a/./b", "a/b"), ("a", "a/b/c"), ("a", "a/")],
)
def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path, make, clash):
    archive = make(tmp_path / "archive", {name: b"" if name.endswith("/") else b"x" for name in clash})
    with (
        pytest.raises(DownloadError, match="twice, as files or as file and folder"),
        unpacked(archive, tmp_path / "in" / "set"),
    ):
        pass
    assert names(tmp_path / "in") == []


def test_a_folder_may_be_named_before_its_files_and_again(tmp_path):
    folder = {"type": tarfile.DIRTYPE}
    archive = tar(tmp_path / "archive.tgz", {"set": folder, "set/a": b"1", "set/": folder, "set/b": b"2"})
    with unpacked(archive, tmp_path / "set") as place:
        assert names(place / "set") == ["a", "b"]


@pytest.mark.parametrize("content", [b"", b"<!doctype html>", b"BZh9xxxx", b"\xfd7zXZ\0xxxxxxxx"])
def test_what_is_no_archive_is_damaged(tmp_path, content):
    (tmp_path / "archive").write_bytes(content)
    with pytest.raises(DownloadError, match="is damaged"), unpacked(tmp_path / "archive", tmp_path / "in" / "set"):
        pass
    assert names(tmp_path / "in") == []


def test_a_name_that_the_disk_does_not_take_is_told(tmp_path):
    archive = tar(tmp_path / "archive.tgz", {"x" * 400: b"1"})
    with pytest.raises(DownloadError, match="cannot be unpacked here"), unpacked(archive, tmp_path / "in" / "set"):
        pass
    assert names(tmp_path / "in") == []


def test_an_altered_byte_in_a_zip_is_damage(tmp_path):
    archive = zipped(tmp_path / "archive.zip", {"a.txt": b"hello world"})
    archive.write_bytes(archive.read_bytes().replace(b"hello", b"hullo"))
    with pytest.raises(DownloadError, match="is damaged"), unpacked(archive, tmp_path / "set"):
        pass
