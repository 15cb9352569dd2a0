"""Resumable downloads with a checksum, of one process at a time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import re
import shutil
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from tqdm.auto import tqdm

from dmlbook._checks import above, at_least, bad_input, checked
from dmlbook._files import held

_CHUNK = 1 << 20
SLOWEST = 1_000
"""Bytes a second. A connection that brings less for as long as its timeout counts as broken."""


class DownloadError(OSError):
    """A download or an archive that is not what it should be; nothing of it was put in place."""


@checked(retries=at_least(0), timeout=above(0))
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
        md5: Checksum of the whole file, 32 hexadecimal digits in any case. None: only its length is compared, if the
            server states it.
        retries: How often a broken connection is taken up again, at once and then after 1, 2, 4, ... seconds.
        timeout: Seconds without an answer, or with less than 1 kB/s of one, after which a connection counts as broken.
        progress: Show a progress bar where it takes longer than a second.

    Returns:
        ``target``.

    Raises:
        ValueError: ``url`` is no http(s) address, or ``md5`` no checksum.
        DownloadError: The server refuses, the connection stays broken, another process fetches the same file, the disk
            is full or cannot be written, or the checksum differs.
    """
    if not _is_address(url):
        raise bad_input("url", "begin with http:// or https://", repr(url), "Give the full address.")
    if md5 is not None and not re.fullmatch("[0-9a-fA-F]{32}", md5):
        raise bad_input("md5", "be 32 hexadecimal digits", repr(md5), "Copy it from where the file is published.")
    target = Path(target)
    try:
        with alone(target):
            return _download(url, target, md5, retries=retries, timeout=timeout, progress=progress)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(f"download: {target} cannot be written ({error}).") from error


def _is_address(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return known and url.isascii() and url.isprintable() and " " not in url


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """A block that one process at a time can be in, for each ``path``; a killed process is in it no more.

    Raises:
        DownloadError: Another one is.
        OSError: The folder of ``path`` cannot be written.
    """
    lock, remedy = path.with_name(f"{path.name}.lock"), "Call again when it is done."
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(lock, argument=str(path), rule="be fetched by one process", remedy=remedy))
        except ValueError as error:
            raise DownloadError(str(error)) from None
        yield


def _download(url: str, target: Path, md5: str | None, *, retries: int, timeout: float, progress: bool) -> Path:
    part = target.with_name(target.name + ".part")
    for attempt in range(retries + 1):
        try:
            _transfer(url, part, checked=md5 is not None, timeout=timeout, progress=progress)
            break
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == retries:
                raise DownloadError(f"download: {url} answers {error.code} {error.reason}.") from error
        except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
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
        answer = _answer(urllib.request.Request(url, headers=headers), timeout)
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
        length = answer.headers.get("Content-Length", "")
        total = start + int(length) if re.fullmatch("[0-9]{1,15}", length) else None
        check_room(part.parent, 0 if total is None else total - start)
        if not went_on:
            mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            mark = "" if mark.startswith("W/") else mark  # a weak mark does not promise the same bytes
            part.unlink(missing_ok=True)
            _about(part).write_text(json.dumps({"url": url, "mark": mark}))
        size = _copy(answer, part, start, total, timeout=timeout, progress=progress)
    if total is not None and size != total:
        raise ConnectionError(f"{size:,} of {total:,} bytes arrived")


def _answer(request: urllib.request.Request, timeout: float) -> HTTPResponse:
    """The server's answer up to its content; byte by byte it may take twice the timeout, and no longer."""
    answers: queue.SimpleQueue = queue.SimpleQueue()
    late = threading.Event()

    def ask() -> None:
        try:
            answer = urllib.request.urlopen(request, timeout=timeout)
        except Exception as error:
            answers.put(error)
            return
        if late.is_set():
            answer.close()
        answers.put(answer)

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answers.get(timeout=2 * timeout)
    except queue.Empty:
        late.set()
        raise TimeoutError(f"no answer within {2 * timeout:g} seconds") from None
    if isinstance(found, Exception):
        raise found
    return found


def _mark(part: Path, url: str) -> str | None:
    """The mark of the file that ``part`` is the beginning of ("" if the server gave none); None: begin anew."""
    try:
        about = json.loads(_about(part).read_text())
        return str(about["mark"]) if about["url"] == url else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _copy(answer: HTTPResponse, part: Path, start: int, total: int | None, *, timeout: float, progress: bool) -> int:
    bar = tqdm(
        desc=part.name.removesuffix(".part"), initial=start, total=total, unit="B", unit_scale=True, delay=1,
        mininterval=1, disable=not progress,
    )  # fmt: skip
    with bar, open(part, "ab" if start else "wb") as file:
        since, arrived = time.monotonic(), 0
        while chunk := answer.read1(_CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
            arrived += len(chunk)
            if (seconds := time.monotonic() - since) >= timeout:
                if arrived < SLOWEST * seconds:
                    raise TimeoutError(f"{arrived:,} bytes in {seconds:.0f} seconds")
                since, arrived = time.monotonic(), 0
        return file.tell()


def check_md5(path: Path, md5: str) -> None:
    """A file must have this MD5 checksum: a guard against damage on the way, not against forgery.

    Raises:
        DownloadError: It has another one.
    """
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5.lower():
        raise DownloadError(f"{path} has MD5 {found}, not {md5}: it is damaged or another version.")


def check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        text = f"{folder} has room for {free / 1e9:.1f} GB, and {needed / 1e9:.1f} GB are needed. Free some."
        raise DownloadError(text)
