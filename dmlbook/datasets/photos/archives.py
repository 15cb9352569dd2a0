"""Archives that cannot write outside their folder, and are unpacked whole or not at all."""

from __future__ import annotations

import gzip
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from dmlbook._checks import checked
from dmlbook.datasets.photos.downloads import DownloadError, check_room


@contextmanager
@checked
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
    check_room(folder.parent, archive.stat().st_size)  # photographs hardly shrink in archives
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True) as place:
        try:
            if zipfile.is_zipfile(archive):
                _unzip(archive, Path(place))
            else:
                _untar(archive, Path(place))
        except (DownloadError, MemoryError):
            raise
        except OSError as error:
            if not isinstance(error, (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile)) and error.errno:
                raise DownloadError(f"unpacked: {archive} cannot be unpacked here ({error}).") from error
            raise _damaged(archive, error) from error
        except Exception as error:  # broken archives make their readers raise nearly anything
            raise _damaged(archive, error) from error
        yield Path(place)


def _damaged(archive: Path, error: Exception) -> DownloadError:
    return DownloadError(
        f"unpacked: {archive} is damaged ({error or type(error).__name__}). Delete it and fetch it again."
    )


def _untar(archive: Path, place: Path) -> None:
    files, folders = set(), set()
    with tarfile.open(archive) as tar:
        for member in tar:
            kind = (
                "a link" if member.issym() or member.islnk() else "" if member.isreg() or member.isdir() else "a device"
            )
            _check_member(archive, member.name, kind)
            _check_clash(archive, member.name, member.isdir(), files, folders)
            member.mode = 0o755 if member.isdir() else 0o644
            check_room(place, member.size)
            if hasattr(tarfile, "data_filter"):
                tar.extract(member, place, set_attrs=False, filter="data")
            else:
                tar.extract(member, place, set_attrs=False)
        while tar.fileobj.read(1 << 20):  # to the end, where the checksum of what was compressed stands
            pass


def _unzip(archive: Path, place: Path) -> None:
    files, folders = set(), set()
    with zipfile.ZipFile(archive) as content:
        check_room(place, sum(member.file_size for member in content.infolist()))
        for member in content.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            strange = (
                "a link" if kind == stat.S_IFLNK else "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "a device"
            )
            _check_member(archive, member.orig_filename, strange)
            _check_clash(archive, member.filename, member.is_dir(), files, folders)
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


def _check_clash(archive: Path, name: str, is_folder: bool, files: set[str], folders: set[str]) -> None:
    """No two files may have one name, in any case of letters, and none that of a folder."""
    path = PurePosixPath(name.casefold())
    above = {str(parent) for parent in path.parents}
    inside = {str(path)} if is_folder else set()
    clash = above & files or inside & files or (set() if is_folder else {str(path)} & (files | folders))
    if clash:
        got = f"{sorted(clash)[0]!r} twice, as files or as file and folder"
        raise DownloadError(f"unpacked: {archive} holds {got}. Nothing was kept: do not trust this file.")
    folders |= above | inside
    if not is_folder:
        files.add(str(path))
