"""The cache: what it takes for unchanged, how it is bounded, and that it never costs more than time."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import warnings

import pytest
import torch
from torchvision.datasets import ImageFolder

from dmlbook.datasets.photos import benchmarks, cache, decoding
from tests.datasets.image_trees import class_tree, picture

GIGABYTE = 1e9


@pytest.fixture
def three(tmp_path):
    """A folder of three plain pictures of different color and shape, and their names."""
    folder = tmp_path / "photographs"
    picture(folder / "a.png", width=12, height=8, color=(10, 20, 30))
    picture(folder / "b.png", width=8, height=16, color=(40, 50, 60))
    picture(folder / "c.png", width=4, height=4, color=(70, 80, 90))
    return folder, ["a.png", "b.png", "c.png"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The cache folder."""
    monkeypatch.setenv("DMLBOOK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def decode(three, place, size=6, **options):
    folder, files = three
    return decoding.decode(folder, files, size, cache=place, **{"name": "set", "progress": False} | options)


def files(place):
    return sorted(place.glob("*.photos"))


def replaced_in_place(path):
    path.write_bytes(path.with_name("other.png").read_bytes())


def replaced_by_renaming(path):
    os.replace(path.with_name("other.png"), path)


@pytest.mark.parametrize("replace", [replaced_in_place, replaced_by_renaming])
def test_a_picture_replaced_at_equal_size_and_time_is_decoded_anew(three, place, replace):
    folder, _ = three
    picture(folder / "other.png", width=4, height=4, color=(71, 81, 91))
    before = (folder / "c.png").stat()
    assert decode(three, place).images[2, :, 0, 0].tolist() == [70, 80, 90]
    os.utime(folder / "other.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    replace(folder / "c.png")
    os.utime(folder / "c.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    after = (folder / "c.png").stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert decode(three, place).images[2, :, 0, 0].tolist() == [71, 81, 91]


def test_where_times_of_inodes_are_not_known_the_content_is_read(three, place, monkeypatch):
    folder, names = three
    monkeypatch.setattr(cache.os, "name", "nt")
    before, first = (folder / "c.png").stat(), cache.key(folder, names, 6, "1")
    picture(folder / "c.png", width=4, height=4, color=(71, 81, 91))
    os.utime(folder / "c.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (folder / "c.png").stat().st_size == before.st_size
    assert cache.key(folder, names, 6, "1") != first


def test_the_cache_is_another_for_other_files_times_or_sizes(three, place):
    folder, names = three
    keys = {cache.key(folder, names, 6, "1"), cache.key(folder, names, 5, "1"), cache.key(folder, names[:2], 6, "1")}
    keys |= {cache.key(folder, names[::-1], 6, "1"), cache.key(folder, names, 6, "2")}
    os.utime(folder / "c.png", (1, 1))
    assert len(keys | {cache.key(folder, names, 6, "1")}) == 6
    assert cache.path_of(place, "set", folder, 6, "ab" * 32).name.startswith("set-6-")


def test_what_is_written_is_read_again_with_the_same_key(tmp_path):
    path = cache.path_of(tmp_path, "set", tmp_path, 2, "a" * 64)
    about = {"key": "a" * 64, "folder": "here", "aspects": [1.5], "kept": [1], "corrupt": {"0": "broken"}}

    def fill(images):
        assert images.shape == (2, 3, 2, 2)
        images[0] = 7
        return about

    cache.write(path, (2, 3, 2, 2), fill)
    found = cache.read(path, "a" * 64)
    expected = cache.Content(torch.full((1, 3, 2, 2), 7, dtype=torch.uint8).numpy(), about | {"shape": [1, 3, 2, 2]})
    assert (found.images == expected.images).all()
    assert found.about == expected.about
    assert cache.read(path, "b" * 64) is None
    assert cache.read(tmp_path / "none", "a" * 64) is None


def change(path, place, value):
    content = bytearray(path.read_bytes())
    content[place] ^= value
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: change(path, 100, 1),
        lambda path: change(path, -100, 4),
        lambda path: change(path, -10, 1),
        lambda path: change(path, -1, 1),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[1:]),
        lambda path: path.write_bytes(path.read_bytes() + b"x"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"aspects": [1.5', b'"aspects": [2.5')),
        lambda path: path.write_bytes(path.read_bytes().replace(b"[3, 3, 6, 6]", b"[3, 3, 36,1]")),
    ],
)
def test_a_truncated_or_altered_file_is_made_anew(three, place, damage):
    decode(three, place)
    (path,) = files(place)
    before = path.read_bytes()
    damage(path)
    assert path.read_bytes() != before
    again = decode(three, place)
    assert again.images[:, 0, 0, 0].tolist() == [10, 40, 70]
    assert again.aspects.tolist() == [1.5, 0.5, 1.0]
    assert path.read_bytes() == before


def broken(three):
    """Names of files of which every second one cannot be read, each for a reason of its own."""
    folder, names = three
    (folder / "link.png").symlink_to(folder / "nowhere.png")
    strange = os.fsdecode(b"caf\xe9.png")
    picture(folder / "x.png").rename(folder / strange)
    (folder / "text.png").write_text("no picture")
    return folder, [names[0], "link.png", names[1], strange, names[2], "text.png", "gone.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="a name that is not UTF-8 cannot be made everywhere")
@pytest.mark.parametrize("skip", [False, True])
def test_with_and_without_a_cache_the_same_is_read_and_said(three, place, skip):
    folder_and_files, told = broken(three), []
    for kept_in in (None, place, place):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                found = decode(folder_and_files, kept_in, skip_corrupt=skip)
                assert found.images[:, 0, 0, 0].tolist() == [10, 40, 70]
                told.append(str(warned[0].message))
            except ValueError as error:
                told.append(str(error))
    assert told[0] == told[1] == told[2]
    assert ("are left out" in told[0]) == skip
    for line in (
        "link.png: a link that leads nowhere", r"caf\udce9.png: its name is not UTF-8", "gone.png: it is not there",
        "text.png: it is no picture, or of none of the formats JPEG,",
    ):  # fmt: skip
        assert line in told[0]
    told[0].encode()  # it can be printed


def test_of_one_half_of_a_folder_the_files_used_last_are_kept(three, place):
    for size in (4, 5, 6):
        decode(three, place, size)
    decode(three, place, 8, name="other")
    for age, path in enumerate(files(place)):
        os.utime(path, (1000 + age, 1000 + age))
    decode(three, place, 4)  # used again
    decode(three, place, 7)
    assert sorted(kept.size for kept in cache.entries() if kept.name == "set") == [4, 6, 7]
    assert cache.PER_SET == 3
    assert [kept.size for kept in cache.entries() if kept.name == "other"] == [8]


def test_of_all_as_many_are_kept_as_fit_the_bound(three, place, monkeypatch):
    one = 3 * 3 * 20 * 20
    monkeypatch.setenv("DMLBOOK_CACHE_GB", str(3.5 * one / GIGABYTE))
    for i, name in enumerate("abcdef"):
        decode(three, place, 20, name=name)
        os.utime(files(place)[-1], (1000 + i, 1000 + i))
    assert [kept.name for kept in cache.entries()] == ["f", "e", "d"]
    assert sum(kept.bytes for kept in cache.entries()) <= 3.5 * one
    assert decode(three, place, 60, name="large").images.shape[-1] == 60
    assert [kept.name for kept in cache.entries()] == ["large"]  # what is larger than the bound is kept alone


def test_room_is_made_for_what_is_to_come(three, place):
    decode(three, place)
    (path,) = files(place)
    assert cache.trim(path, 100) is None  # it does not make room by deleting itself
    assert files(place) == [path]
    with pytest.raises(OSError, match="the disk has room for"):
        cache.trim(path.with_name(path.name.replace("set", "new")), 1 << 60)
    assert files(place) == [path]  # nothing is given up for what has no room on the whole disk


def test_as_many_sets_are_given_up_as_make_room(three, place, monkeypatch):
    decode(three, place)
    (path,) = files(place)
    size, new = path.stat().st_size, path.with_name(path.name.replace("set", "new"))
    usage = cache.shutil.disk_usage(place)

    def free_of(free):
        left = lambda _: usage._replace(free=free + (0 if path.exists() else size))  # noqa: E731
        monkeypatch.setattr(cache.shutil, "disk_usage", left)

    free_of(10)
    with pytest.raises(OSError, match="the disk has room for"):
        cache.trim(new, size + 11)
    assert files(place) == [path]
    cache.trim(new, size + 10)
    assert files(place) == []


def full(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("fault", ["a file in the way", "no room", "full when reserved", "full when written"])
def test_a_cache_that_cannot_be_written_costs_one_warning(three, place, tmp_path, monkeypatch, fault):
    if fault == "a file in the way":
        place.write_text("not a folder")
    elif fault == "no room":
        usage = cache.shutil.disk_usage(tmp_path)._replace(free=100)
        monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: usage)
    elif fault == "full when reserved":
        monkeypatch.setattr(cache.os, "posix_fallocate", full, raising=False)
    else:
        monkeypatch.setattr(cache, "_checksum", full)
    with pytest.warns(UserWarning, match=r"decode.* cannot be kept in .*, so each call decodes them again") as told:
        found = decode(three, place)
    assert len(told) == 1
    assert "\n" not in str(told[0].message)
    assert found.images[:, 0, 0, 0].tolist() == [10, 40, 70]
    assert not list(tmp_path.rglob("*.part"))


def test_a_file_system_that_cannot_reserve_room_is_written_all_the_same(three, place, monkeypatch):
    def cannot(*arguments):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(cache.os, "posix_fallocate", cannot, raising=False)
    decode(three, place)
    assert len(files(place)) == 1


@pytest.mark.skipif(os.name == "nt", reason="permissions are others on Windows")
def test_files_have_the_permissions_that_the_umask_leaves(three, place):
    before = os.umask(0o027)
    try:
        decode(three, place)
    finally:
        os.umask(before)
    assert files(place)[0].stat().st_mode & 0o777 == 0o640


def test_what_a_killed_writer_left_goes_after_a_day(three, place):
    place.mkdir()
    old, young = place / "set-6-0-0.photos.00.part", place / "set-6-0-0.photos.11.part"
    old.write_bytes(b"12345")
    young.write_bytes(b"1")
    os.utime(old, (1000, 1000))
    decode(three, place)
    assert (old.exists(), young.exists()) == (False, True)


def test_entries_say_what_for_and_clear_deletes_them_alone(three, place, tmp_path):
    assert cache.entries() == []
    assert cache.clear() == 0
    decode(three, place)
    other = class_tree(tmp_path / "mine", {"a": 1, "b": 1})
    benchmarks.load("folder", "train", other, size=8, progress=False)
    (place / "notes.txt").write_text("mine")
    newest, oldest = cache.entries()
    expected = cache.Kept(
        newest.path, "folder-train", str(other), 8, 1, newest.path.stat().st_size, newest.path.stat().st_mtime
    )
    assert newest == expected
    assert (oldest.name, oldest.folder, oldest.images) == ("set", str(three[0]), 3)
    assert cache.clear(folder=other) == newest.bytes
    assert [kept.name for kept in cache.entries(place)] == ["set"]
    assert cache.clear(place) == oldest.bytes
    assert [path.name for path in place.iterdir()] == ["notes.txt"]


def test_the_folder_of_the_photographs_stays_as_other_libraries_want_it(tmp_path, place):
    root = class_tree(tmp_path / "mine", {"a": 1, "b": 1})
    benchmarks.load("folder", "all", root, size=8, progress=False)
    assert ImageFolder(root).classes == ["a", "b"]


READER = """
import sys, warnings
warnings.simplefilter("error")
from pathlib import Path
from dmlbook.datasets.photos import cache, decoding
folder, place, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
for i in range(rounds):
    found = decoding.decode(folder, ["a.png", "b.png", "c.png"], 6, name="set", cache=place, progress=False)
    assert found.images[:, 0, 0, 0].tolist() == [10, 40, 70]
    if sys.argv[4] == "clear":
        for kept in cache.entries(place):
            kept.path.unlink(missing_ok=True)
"""


@pytest.mark.slow
def test_processes_read_write_and_delete_side_by_side(three, place):
    commands = [[sys.executable, "-c", READER, str(three[0]), str(place), "60", how] for how in ("", "", "clear")]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert errors == [""] * 3
    assert not list(place.glob("*.part"))


def test_a_fault_that_passes_is_not_kept(three, place, monkeypatch):
    decode_file = decoding.decode_file

    def failing(path, size):
        if path.name == "b.png":
            raise OSError(errno.EIO, "Input/output error")
        return decode_file(path, size)

    monkeypatch.setattr(decoding, "decode_file", failing)
    with pytest.warns(UserWarning, match="1 of 3 images in .* cannot be read"):
        found = decode(three, place, skip_corrupt=True)
    assert (found.kept.tolist(), found.images[:, 0, 0, 0].tolist()) == ([0, 2], [10, 70])
    assert (files(place), list(place.glob("*.part"))) == ([], [])
    monkeypatch.setattr(decoding, "decode_file", decode_file)
    assert decode(three, place).kept.tolist() == [0, 1, 2]
    assert len(files(place)) == 1


def test_pictures_are_decoded_again_once_more_formats_can_be_opened(three, place, monkeypatch):
    decode(three, place)
    known = decoding.readable_formats()
    monkeypatch.setattr(decoding, "readable_formats", lambda: [*known, "HEIF"])
    decode(three, place)
    assert len(files(place)) == 2
