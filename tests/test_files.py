"""Files are whole or not there, whatever ends the writing."""

import os
import stat

import pytest

from dmlbook._files import whole, write_whole


def test_a_file_takes_its_place_when_it_is_finished(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with whole(path) as unfinished:
        assert unfinished.parent == path.parent
        assert unfinished.name.startswith("a.txt.")
        assert unfinished.suffix == ".part"
        unfinished.write_bytes(b"all of it")
        assert not path.exists()
    assert path.read_bytes() == b"all of it"
    write_whole(path, "ä\n")
    assert path.read_bytes() == b"\xc3\xa4\n"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("former", [None, "former"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("moment", ["open", "write", "replace"])
def test_whatever_ends_the_writing_leaves_the_former_file_or_none(tmp_path, monkeypatch, former, error, moment):
    path = tmp_path / "a.txt"
    if former:
        path.write_text(former)

    def ending(*_):
        raise error

    if moment == "replace":
        monkeypatch.setattr(os, "replace", ending)

    def write():
        with whole(path) as unfinished, unfinished.open("w") as file:
            if moment == "open":
                ending()
            file.write("half")
            if moment == "write":
                ending()

    with pytest.raises(error):
        write()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == ([("a.txt", former)] if former else [])


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with whole(path) as first, whole(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["first"]  # the outer block ended last


@pytest.mark.skipif(os.name != "posix", reason="folders are synced on POSIX alone")
def test_a_durable_file_reaches_the_disk_before_its_name_and_then_the_folder_does(tmp_path, monkeypatch):
    events, fsync, replace = [], os.fsync, os.replace

    def noted_fsync(handle):
        events.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"{os.fstat(handle).st_size} bytes")
        fsync(handle)

    def noted_replace(source, target):
        events.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_whole(tmp_path / "a.txt", "12345")
    assert events == ["5 bytes", "name", "folder"]
    events.clear()
    with whole(tmp_path / "b.txt"):
        pass
    assert events == ["name"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_permissions_are_those_of_any_new_file(tmp_path):
    former = os.umask(0o022)
    try:
        write_whole(tmp_path / "a.txt", "")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644
