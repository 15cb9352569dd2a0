"""Downloads from a server on this machine that misbehaves on request, and archives that try to leave their folder."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import stat
import tarfile
import threading
import zipfile

import pytest

from dmlbook.datasets.photos import downloads
from dmlbook.datasets.photos.downloads import DownloadError, download, unpacked

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
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = state["breaks"].pop(0) if state["breaks"] else len(content)
        self.wfile.write(content[start : start + stop])

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
    }
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, state))
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    state["url"] = f"http://127.0.0.1:{running.server_port}/set.tgz"
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield state
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


def test_a_disk_without_room_is_told_before_anything_is_written(server, tmp_path, monkeypatch):
    usage = downloads.shutil.disk_usage(tmp_path)._replace(free=1_000)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DownloadError, match=r"room for 0\.0 GB"):
        fetch(server, tmp_path / "set.tgz")
    assert names(tmp_path) == []


def test_only_web_addresses_are_opened(tmp_path):
    with pytest.raises(ValueError, match="url must begin with http"):
        download("file:///etc/hostname", tmp_path / "x")


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


def test_an_altered_byte_in_a_zip_is_damage(tmp_path):
    archive = zipped(tmp_path / "archive.zip", {"a.txt": b"hello world"})
    archive.write_bytes(archive.read_bytes().replace(b"hello", b"hullo"))
    with pytest.raises(DownloadError, match="is damaged"), unpacked(archive, tmp_path / "set"):
        pass
