"""Downloads from a server on this machine that misbehaves on request."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dmlbook.datasets.photos import downloads
from dmlbook.datasets.photos.downloads import DownloadError, download

CONTENT = bytes(range(256)) * 4_000  # a megabyte in which no two pieces look alike from the wrong place
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves one file as ``state`` says: its content, whether Range is honored, after how many bytes it breaks."""

    def __init__(self, state: dict, *arguments):
        self.state = state
        super().__init__(*arguments)

    def do_GET(self):
        state, wanted = self.state, self.headers.get("Range")
        state["requests"].append(wanted)
        content, start = state["content"], 0
        if state["codes"]:
            code = state["codes"].pop(0)
            self.send_error(code)
            return
        same = self.headers.get("If-Range") in (None, state["mark"])
        if wanted and state["ranges"] and same:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if state["mark"]:
            self.send_header("ETag", state["mark"])
        if state["length"]:
            said = str(len(content) - start) if state["length"] is True else state["length"]
            self.send_header("Content-Length", said)
        if state["drips"] == "headers":
            self.flush_headers()
            self.drip(b"X: " + b"y" * 300)
            self.wfile.write(b"\r\n")
        self.end_headers()
        if state["drips"] == "content":
            self.drip(content[start : start + 300])
            start += 300
        stop = state["breaks"].pop(0) if state["breaks"] else len(content)
        self.wfile.write(content[start : start + stop])

    def drip(self, content):
        with contextlib.suppress(OSError):
            for byte in content:
                self.wfile.write(bytes([byte]))
                if self.state["stop"].wait(0.02):
                    return

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    state = {
        "content": CONTENT,
        "ranges": True,
        "mark": '"1"',
        "length": True,
        "codes": [],
        "breaks": [],
        "requests": [],
        "drips": "",
        "stop": threading.Event(),
    }
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, state))
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    state["url"] = f"http://127.0.0.1:{running.server_port}/set.tgz"
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield state
    state["stop"].set()
    running.shutdown()
    running.server_close()
    thread.join()


def fetch(server, target, **options):
    return download(server["url"], target, **{"md5": MD5, "progress": False, "timeout": 5} | options)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_known_by_its_checksum(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert downloads.check_md5(path, "900150983cd24fb0d6963f7d28e17f72") is None  # of RFC 1321
    path.write_bytes(b"abd")
    with pytest.raises(DownloadError, match="has MD5 .*, not 900150983cd24fb0d6963f7d28e17f72: it is damaged"):
        downloads.check_md5(path, "900150983cd24fb0d6963f7d28e17f72")


def test_a_download_arrives_whole_and_alone(server, tmp_path):
    target = fetch(server, tmp_path / "new" / "set.tgz")
    assert target.read_bytes() == CONTENT
    assert names(tmp_path / "new") == ["set.tgz"]


def test_a_cut_connection_is_taken_up_where_it_broke(server, tmp_path):
    server["breaks"] = [300_000, 200_001]
    assert fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT
    assert server["requests"] == [None, "bytes=300000-", "bytes=500001-"]


def test_a_later_call_goes_on_with_what_an_earlier_one_got(server, tmp_path):
    server["breaks"] = [400_000]
    with pytest.raises(DownloadError, match=r"broke off .*400,000 of 1,024,000.*0\.4 MB are kept\. Call again"):
        fetch(server, tmp_path / "set.tgz", retries=0)
    assert names(tmp_path) == ["set.tgz.part", "set.tgz.part.json"]
    assert fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT
    assert server["requests"] == [None, "bytes=400000-"]
    assert names(tmp_path) == ["set.tgz"]


def test_a_server_without_range_sends_all_of_it_again(server, tmp_path):
    server |= {"ranges": False, "breaks": [400_000]}
    assert fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT
    assert server["requests"] == [None, "bytes=400000-"]


def test_two_versions_of_a_file_are_never_joined(server, tmp_path):
    server["breaks"] = [400_000]
    with pytest.raises(DownloadError, match="Call again"):
        fetch(server, tmp_path / "set.tgz", md5=None, retries=0)
    server |= {"content": CONTENT[::-1], "mark": '"2"'}
    assert fetch(server, tmp_path / "set.tgz", md5=None).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("mark", ["", 'W/"1"'])  # a weak mark does not promise the same bytes
def test_without_mark_and_checksum_a_broken_download_begins_anew(server, tmp_path, mark):
    server |= {"mark": mark, "breaks": [400_000]}
    assert fetch(server, tmp_path / "set.tgz", md5=None).read_bytes() == CONTENT
    assert server["requests"] == [None, None]


def test_the_beginning_of_another_address_is_not_gone_on_with(server, tmp_path):
    server["breaks"] = [400_000]
    with pytest.raises(DownloadError, match="Call again"):
        fetch(server, tmp_path / "set.tgz", retries=0)
    server["url"] += "?another"
    assert fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT
    assert server["requests"] == [None, None]


def test_a_part_that_was_already_whole_is_not_fetched_again(server, tmp_path):
    server["breaks"] = [1]
    with pytest.raises(DownloadError, match="Call again"):
        fetch(server, tmp_path / "set.tgz", retries=0)
    (tmp_path / "set.tgz.part").write_bytes(CONTENT)
    assert fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT
    assert server["requests"] == [None, "bytes=1024000-"]
    (tmp_path / "set.tgz").rename(tmp_path / "set.tgz.part")
    (tmp_path / "set.tgz.part").write_bytes(CONTENT + b"more")  # of nothing that is known: begun anew
    assert fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_begins_anew(server, tmp_path):
    server["breaks"] = [1]
    with pytest.raises(DownloadError, match="Call again"):
        fetch(server, tmp_path / "set.tgz", retries=0)
    (tmp_path / "set.tgz.part").write_bytes(CONTENT + b"more")
    assert fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT
    assert server["requests"] == [None, "bytes=1024004-", None]


def test_a_wrong_checksum_is_told_and_nothing_is_kept(server, tmp_path):
    server["content"] = CONTENT[:-1] + b"x"
    with pytest.raises(DownloadError, match=f"has MD5 [0-9a-f]{{32}}, not {MD5}.*was deleted"):
        fetch(server, tmp_path / "set.tgz")
    assert names(tmp_path) == []


def test_a_file_that_ends_early_is_caught_by_its_checksum_where_no_length_is_stated(server, tmp_path):
    server |= {"length": False, "breaks": [400_000]}
    with pytest.raises(DownloadError, match="has MD5"):
        fetch(server, tmp_path / "set.tgz")
    assert names(tmp_path) == []


def test_a_dead_address_is_told_at_once_and_a_busy_server_is_asked_again(server, tmp_path):
    server["codes"] = [404]
    with pytest.raises(DownloadError, match="answers 404 Not Found"):
        fetch(server, tmp_path / "set.tgz")
    assert len(server["requests"]) == 1
    server["codes"] = [503, 500]
    assert fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT


def test_no_server_at_all_is_told(tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as bound:
        port = bound.server_port
    with pytest.raises(DownloadError, match=r"broke off .*0\.0 MB are kept"):
        download(f"http://127.0.0.1:{port}/x", tmp_path / "x", retries=0, timeout=5, progress=False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("length", ["abc", "-5", "1e6", "", "9" * 40])
def test_a_length_that_is_none_is_passed_over_where_a_checksum_tells(server, tmp_path, length):
    server["length"] = length
    assert fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT


@pytest.mark.parametrize("drips", ["headers", "content"])
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(server, tmp_path, drips):
    server["drips"] = drips
    began = time.monotonic()
    with pytest.raises(DownloadError, match=r"broke off \((no answer within 1 seconds|\d+ bytes in . seconds)\).*kept"):
        fetch(server, tmp_path / "set.tgz", timeout=0.5, retries=1)
    assert time.monotonic() - began < 10
    assert downloads.SLOWEST == 1_000
    server["drips"] = ""
    assert fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT


def test_a_checksum_may_be_written_in_capitals(server, tmp_path):
    assert fetch(server, tmp_path / "set.tgz", md5=MD5.upper()).read_bytes() == CONTENT
    assert downloads.check_md5(tmp_path / "set.tgz", MD5.upper()) is None


@pytest.mark.parametrize("md5", ["abc", MD5 + "0", MD5[:-1] + "g", ""])
def test_a_checksum_that_is_none_is_told_before_anything_is_fetched(server, tmp_path, md5):
    with pytest.raises(ValueError, match="md5 must be 32 hexadecimal digits"):
        fetch(server, tmp_path / "set.tgz", md5=md5)
    assert server["requests"] == []


def test_one_process_at_a_time_fetches_a_file(server, tmp_path):
    with (
        downloads.alone(tmp_path / "set.tgz"),
        pytest.raises(DownloadError, match=rf"must be fetched by one process; .* by process {os.getpid()} on "),
    ):
        fetch(server, tmp_path / "set.tgz")
    assert server["requests"] == []
    assert fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT
    assert names(tmp_path) == ["set.tgz"]


def test_a_killed_process_locks_nobody_out(server, tmp_path):
    code = "import os, sys; from pathlib import Path; from dmlbook.datasets.photos import downloads\n"
    code += "with downloads.alone(Path(sys.argv[1])):\n    os._exit(9)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "set.tgz")], check=False)
    assert (done.returncode, names(tmp_path)) == (9, ["set.tgz.lock"])
    assert fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT
    assert names(tmp_path) == ["set.tgz"]


def test_three_at_once_give_one_whole_file_and_clear_answers(server, tmp_path):
    def one(_):
        try:
            return fetch(server, tmp_path / "set.tgz").read_bytes() == CONTENT
        except DownloadError as error:
            return "must be fetched by one process" in str(error)

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(one, range(30))) == [True] * 30
    assert names(tmp_path) == ["set.tgz"]


def test_a_place_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / "x").mkdir(parents=True)
    for target in (tmp_path / "file" / "set.tgz", tmp_path / "folder"):
        with pytest.raises(DownloadError, match="cannot be written"):
            fetch(server, target)


@pytest.mark.parametrize(
    "url", ["http://", "http://a b/c", "http://[::1/x", "http://a:b/x", "http://a/\n", "httpx://a"]
)
def test_an_address_that_is_none_is_told_at_once(tmp_path, url):
    with pytest.raises(ValueError, match="url must begin with http"):
        download(url, tmp_path / "x")


def test_a_disk_without_room_is_told_before_anything_is_written(server, tmp_path, monkeypatch):
    usage = downloads.shutil.disk_usage(tmp_path)._replace(free=1_000)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DownloadError, match=r"room for 0\.0 GB"):
        fetch(server, tmp_path / "set.tgz")
    assert names(tmp_path) == []
    assert downloads.check_room(tmp_path, 1_000) is None


def test_only_web_addresses_are_opened(tmp_path):
    with pytest.raises(ValueError, match="url must begin with http"):
        download("file:///etc/hostname", tmp_path / "x")
