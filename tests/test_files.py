"""Files are whole or not there, whatever ends the writing."""

import errno
import json
import multiprocessing
import os
import random
import signal
import socket
import stat
import time

import pytest

from dmlbook import _files
from dmlbook._files import held, holder, unwritable, whole, write_whole


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
    for mask in (0o022, 0o002, 0o077):
        former = os.umask(mask)
        try:
            write_whole(tmp_path / f"{mask}", "")
            with whole(tmp_path / f"{mask}.bin") as unfinished:
                unfinished.write_bytes(b"x")
            with _held(tmp_path / "lock"):
                assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o666 & ~mask
        finally:
            os.umask(former)
        for name in (f"{mask}", f"{mask}.bin"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~mask


def _held(path, **options):
    return held(path, argument="place", rule="be free", remedy="Go away.", **options)


fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


def _write_for_ever(path):
    while True:
        with whole(path) as unfinished:
            unfinished.write_bytes(b"a" * 10_000)
            unfinished.write_bytes(b"b" * 10_000)


def _killed(target, *arguments, after=0.0, ready=None):
    child = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    child.start()
    while ready is not None and not ready():
        if not child.is_alive():
            raise ChildProcessError(f"the child ended with status {child.exitcode} before it was ready")
        time.sleep(0.002)
    time.sleep(after)
    os.kill(child.pid, signal.SIGKILL)
    child.join()


@fork
def test_nobody_waits_for_a_child_that_has_ended():
    with pytest.raises(ChildProcessError, match="the child ended with status 3 before it was ready"):
        _killed(os._exit, 3, ready=lambda: False)


@fork
def test_writers_killed_at_random_moments_leave_a_whole_file_and_the_next_one_cleans_up(tmp_path, monkeypatch):
    path, chance = tmp_path / "a.bin", random.Random(0)
    for _ in range(20):
        _killed(_write_for_ever, path, after=0.02 * chance.random(), ready=path.exists)
        assert path.read_bytes() == b"b" * 10_000
    monkeypatch.setattr(_files, "YOUNG", -1.0)
    write_whole(tmp_path / "other.bin", "")  # not its own
    (tmp_path / "a.bin.12345678.part").touch()
    write_whole(path, "new")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.bin", "other.bin"]


def test_the_unfinished_file_of_a_living_writer_and_a_young_one_stay(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    (tmp_path / "a.bin.12345678.part").touch()
    write_whole(path, "1")
    assert (tmp_path / "a.bin.12345678.part").exists()
    monkeypatch.setattr(_files, "YOUNG", -1.0)
    with whole(path) as unfinished:
        write_whole(path, "2")
        if os.name == "posix":
            assert [file for file in tmp_path.iterdir() if file != path] == [unfinished]
        unfinished.write_text("3")
    assert path.read_text() == "3"


def test_what_is_held_is_refused_and_free_again_afterwards(tmp_path):
    path = tmp_path / "new" / "lock"
    with _held(path):
        with (
            pytest.raises(ValueError, match=rf"place must be free; got .*process {os.getpid()} on .*Go away"),
            _held(path),
        ):
            pass
        assert path.exists()
    assert not path.exists()
    with _held(path), pytest.raises(ValueError, match="place must be free"), _held(path, wait=0.05):
        pass


def _hold(path):
    with _held(path):
        time.sleep(60)


@fork
def test_a_killed_holders_place_is_free(tmp_path):
    path = tmp_path / "lock"
    _killed(_hold, path, ready=lambda: path.exists() and path.read_text())
    assert path.exists()
    with _held(path):
        pass


def _count(path, lock, rounds):
    for _ in range(rounds):
        with _held(lock, wait=20):
            path.write_text(str(int(path.read_text()) + 1))


@fork
def test_no_two_hold_it_at_once(tmp_path):
    path = tmp_path / "count"
    path.write_text("0")
    work = multiprocessing.get_context("fork")
    children = [work.Process(target=_count, args=(path, tmp_path / "lock", 40)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert path.read_text() == "160"


def test_whoever_holds_a_place_is_named_and_nothing_is_taken(tmp_path):
    path = tmp_path / "lock"
    assert holder(path) is None
    with _held(path):
        assert holder(path)["process"] == os.getpid()
        assert holder(path)["machine"] == socket.gethostname()
    assert holder(path) is None
    assert not path.exists()
    path.write_text(json.dumps({"process": os.getpid(), "machine": socket.gethostname()}))
    assert holder(path) is None  # that process lives, but holds nothing
    with _held(path):
        pass
    path.write_text('{"process": 1, "machine": "another"}')
    assert holder(path)["machine"] == "another"  # which cannot be seen from here
    for left in ("", "[]", '{"process": 4194999, "machine": "HERE"}'):
        path.write_text(left.replace("HERE", socket.gethostname()))
        assert holder(path) is None


@fork
def test_a_killed_holder_holds_nothing(tmp_path):
    path = tmp_path / "lock"
    _killed(_hold, path, ready=lambda: path.exists() and path.read_text())
    assert path.exists()
    assert holder(path) is None


def test_a_place_is_asked_whether_it_can_be_written(tmp_path):
    assert unwritable(tmp_path / "a" / "b.txt") is None
    assert unwritable(tmp_path) == f"{tmp_path}, which is a folder"
    (tmp_path / "file").touch()
    assert unwritable(tmp_path / "file" / "b" / "c.txt") == f"{tmp_path / 'file'}, which is no folder"
    assert unwritable(tmp_path / ("a" * 250)).startswith("a name of 250 letters")
    assert unwritable(tmp_path / "a\0") == "a name with a NUL"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_takes_no_file_is_named(tmp_path, monkeypatch):
    def refusing(*arguments, **options):
        raise PermissionError("read-only")

    monkeypatch.setattr("pathlib.Path.open", refusing)
    assert unwritable(tmp_path / "b.txt") == "read-only"


@pytest.mark.skipif(os.name != "posix", reason="POSIX locks")
def test_where_the_system_has_no_locks_the_file_is_believed(tmp_path, monkeypatch):
    def without(handle, kind):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", without)
    path = tmp_path / "lock"
    with _held(path), pytest.raises(ValueError, match="place must be free"), _held(path):
        pass
    for left in ('{"process": 4194999, "machine": "HERE"}', "", "[]", '{"process": "x", "machine": "HERE"}'):
        path.write_text(left.replace("HERE", socket.gethostname()))
        with _held(path):
            pass
    path.write_text('{"process": 1, "machine": "another"}')
    with pytest.raises(ValueError, match="process 1 on another"), _held(path):
        pass
