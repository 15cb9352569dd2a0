"""Resumable downloads with a checksum, and archives that cannot write outside their folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath, PureWindowsPath

from tqdm.auto import tqdm

from dmlbook._checks import at_least, bad_input, checked

CHUNK = 1 << 20


class DownloadError(OSError):
    """A download or an archive that is not what it should be; nothing of it was put in place."""


@checked(retries=at_least(0))
def download(
    url: str,
    target: str | Path,
    *,
    md5: str | None = None,
    retries: int = 4,
    timeout: float = 30,
    progress: bool = True,
) -> Path:
    """Fetch ``url`` into the file ``target``, which appears only when it is whole.

    What has arrived lies in ``target.part``; when the connection breaks, and when the function is called again after
    it was stopped, the transfer goes on from there if the server allows it and its file is still the same.

    Args:
        url: An http or https address.
        target: The file to make; its folder is made if need be.
        md5: Checksum of the whole file, 32 hexadecimal digits. None: only its length is compared, if the server
            states it.
        retries: How often a broken connection is taken up again, at once and then after 1, 2, 4, ... seconds.
        timeout: Seconds without an answer after which a connection counts as broken.
        progress: Show a progress bar where it takes longer than a second.

    Returns:
        ``target``.

    Raises:
        ValueError: ``url`` is no http(s) address.
        DownloadError: The server refuses, the connection stays broken, the disk is full or the checksum differs.
    """
    if not url.startswith(("http://", "https://")):
        raise bad_input("url", "begin with http:// or https://", repr(url), "Give the full address.")
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for attempt in range(retries + 1):
        try:
            _transfer(url, part, checked=md5 is not None, timeout=timeout, progress=progress)
            break
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == retries:
                raise DownloadError(f"download: {url} answers {error.code} {error.reason}.") from error
        except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError) as error:
            if attempt == retries:
                kept = part.stat().st_size if part.exists() else 0
                text = f"download: {url} broke off ({error}); {kept / 1e6:,.1f} MB are kept. Call again to go on."
                raise DownloadError(text) from error
        time.sleep(0 if attempt == 0 else 2.0 ** (attempt - 1))
    _about(part).unlink(missing_ok=True)
    if md5 is not None:
        try:
            check_md5(part, md5)
        except DownloadError as error:
            part.unlink()
            raise DownloadError(f"{error} What came from {url} was deleted.") from None
    os.replace(part, target)
    return target


def _about(part: Path) -> Path:
    """Beside a half-fetched file: the address and the mark by which the server tells its versions apart."""
    return part.with_name(part.name + ".json")


def _transfer(url: str, part: Path, *, checked: bool, timeout: float, progress: bool) -> None:
    """Go on with ``part``, or begin it; returns when it is whole.

    Without a mark of the server's only a file whose checksum will be compared (``checked``) is gone on with: the
    rest could be another version's.
    """
    mark = _mark(part, url)
    start = part.stat().st_size if part.exists() and (mark or (mark is not None and checked)) else 0
    headers = {"User-Agent": "dmlbook", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-"} | ({"If-Range": mark} if mark else {})
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        total = error.headers.get("Content-Range", "").rpartition("/")[2]
        if total == str(start):  # nothing was left to send
            return
        part.unlink()  # longer than the server's file: begin again
        raise ConnectionError(f"the server holds {total or 'another number of'} bytes, not {start}") from error
    with answer:
        went_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if answer.status == 206 and not went_on:
            part.unlink(missing_ok=True)
            raise ConnectionError(f"the server sent another range, {answer.headers.get('Content-Range')}")
        start = start if went_on else 0
        length = answer.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        _check_room(part.parent, 0 if total is None else total - start)
        if not went_on:
            mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            mark = "" if mark.startswith("W/") else mark  # a weak mark does not promise the same bytes
            part.unlink(missing_ok=True)
            _about(part).write_text(json.dumps({"url": url, "mark": mark}))
        size = _copy(answer, part, start, total, progress=progress)
    if total is not None and size != total:
        raise ConnectionError(f"{size:,} of {total:,} bytes arrived")


def _mark(part: Path, url: str) -> str | None:
    """The mark of the file that ``part`` is the beginning of ("" if the server gave none); None: begin anew."""
    try:
        about = json.loads(_about(part).read_text())
        return str(about["mark"]) if about["url"] == url else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _copy(answer: HTTPResponse, part: Path, start: int, total: int | None, *, progress: bool) -> int:
    bar = tqdm(
        desc=part.name.removesuffix(".part"), initial=start, total=total, unit="B", unit_scale=True, delay=1,
        mininterval=1, disable=not progress,
    )  # fmt: skip
    with bar, open(part, "ab" if start else "wb") as file:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
        return file.tell()


def check_md5(path: Path, md5: str) -> None:
    """A file must have this MD5 checksum: a guard against damage on the way, not against forgery.

    Raises:
        DownloadError: It has another one.
    """
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        raise DownloadError(f"{path} has MD5 {found}, not {md5}: it is damaged or another version.")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        text = f"{folder} has room for {free / 1e9:.1f} GB, and {needed / 1e9:.1f} GB are needed. Free some."
        raise DownloadError(text)


@contextmanager
def unpacked(archive: str | Path, folder: str | Path) -> Iterator[Path]:
    """Unpack a ``.tar``, ``.tgz`` or ``.zip`` into a folder beside ``folder``, to be checked, moved, and then removed.

    Args:
        archive: The file.
        folder: Where its content shall go in the end; what ``with`` yields lies on the same disk, so that
            ``os.replace`` moves it in one step.

    Raises:
        DownloadError: A member would be written outside the folder, is a link or a device, or the archive is damaged.
    """
    archive, folder = Path(archive), Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _check_room(folder.parent, archive.stat().st_size)  # photographs hardly shrink in archives
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True) as place:
        try:
            if zipfile.is_zipfile(archive):
                _unzip(archive, Path(place))
            else:
                _untar(archive, Path(place))
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise DownloadError(f"unpacked: {archive} is damaged ({error}). Delete it and fetch it again.") from error
        yield Path(place)


def _untar(archive: Path, place: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            kind = (
                "a link" if member.issym() or member.islnk() else "" if member.isreg() or member.isdir() else "a device"
            )
            _check_member(archive, member.name, kind)
            member.mode = 0o755 if member.isdir() else 0o644
            _check_room(place, member.size)
            if hasattr(tarfile, "data_filter"):
                tar.extract(member, place, set_attrs=False, filter="data")
            else:
                tar.extract(member, place, set_attrs=False)
        while tar.fileobj.read(CHUNK):  # to the end, where the checksum of what was compressed stands
            pass


def _unzip(archive: Path, place: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        _check_room(place, sum(member.file_size for member in content.infolist()))
        for member in content.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            strange = (
                "a link" if kind == stat.S_IFLNK else "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "a device"
            )
            _check_member(archive, member.orig_filename, strange)
            content.extract(member, place)


def _check_member(archive: Path, name: str, kind: str) -> None:
    """A member's name must stay inside the folder on every system, and the member must be a file or a folder."""
    windows = PureWindowsPath(name)
    outside = name.startswith("/") or windows.drive or windows.root or ".." in windows.parts
    if kind or outside or "\0" in name or not (PurePosixPath(name).parts or name == "."):
        why = f"is {kind}" if kind else "would be written outside the folder"
        raise DownloadError(
            f"unpacked: {archive} holds {name!r}, which {why}. Nothing was kept: do not trust this file."
        )
