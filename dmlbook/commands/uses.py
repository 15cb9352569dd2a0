"""Options that the commands share which put a trained run to use, and what is made of them."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace, _ArgumentGroup
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from dmlbook._checks import bad_input, check_number
from dmlbook.commands import common
from dmlbook.datasets.photos.formats import printable
from dmlbook.training import Place, preflight
from dmlbook.use.gallery import Gallery
from dmlbook.use.photographs import Found, find_photographs
from dmlbook.use.store import check_installed
from dmlbook.use.trained import Run, load_run


def add_run_argument(parser: ArgumentParser | _ArgumentGroup, *, required: bool = True) -> None:
    parser.add_argument("--run", required=required, help="folder of a run that train left; of several seeds the first")
    parser.add_argument(
        "--trust-code",
        action="store_true",
        help="run the file of Python that makes the run's network (--net FILE.py:FUNCTION): only for runs of your own",
    )


def add_work_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("work")
    group.add_argument("--skip-corrupt", action="store_true", help="leave out photographs that cannot be read")
    group.add_argument("--batch-size", type=common.integer, default=64, help="photographs at a time (default: 64)")
    group.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")


def add_store_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("store")
    group.add_argument(
        "--store",
        help="where vectors are kept: a folder, or an address that several machines reach, such as s3://bucket/vectors"
        " or db://ours (default: in the run's folder)",
    )
    group.add_argument(
        "--table",
        default="",
        help="the gallery's name in a store that several machines share (default: the folder's name, with digests of"
        " where it lies and, with --store, of the model: each model has a gallery of its own)",
    )
    group.add_argument(
        "--replace",
        action="store_true",
        help="throw away what another model has in that table, such as this run's before it was trained on; without it"
        " such a table of --store is refused, and in the run's folder it is always done",
    )
    group.add_argument("--verify", action="store_true", help="compare the contents of all files, not size and time")


def opened(options: Namespace) -> tuple[Run, dict]:
    """The run, and how to work: the last arguments of ``Run.embedded``.

    Raises:
        ValueError: An option is out of range, or the folder holds no run.
    """
    from dmlbook import settings

    check_number(low=1, integer=True, **{"--batch-size": options.batch_size})
    device = options.device or settings.device()
    preflight.check_device(device, Place(options.device).devices)
    trained = load_run(options.run, device=device, trust_code=options.trust_code)
    if not trained.finished:
        print(f"note: {trained.folder} has not been trained to its end: this is its last checkpoint", file=sys.stderr)
    return trained, {"batch_size": options.batch_size}


def once(files: Sequence[str], flag: str) -> list[str]:
    """Files that are named, each once; that some are named twice is said."""
    names = list(dict.fromkeys(files))
    if len(names) < len(files):
        twice = next(name for name in names if files.count(name) > 1)
        print(f"note: {flag} names photographs twice, such as {printable(twice)}: each counts once", file=sys.stderr)
    return names


def photographs(root: str, flag: str) -> Found:
    """The photographs of a folder, with a note of what was left out.

    Raises:
        ValueError: There are none; the message names the option.
    """
    with _naming(flag):
        found = find_photographs(root)
    for remark in found.remarks():
        print(f"note: {remark}", file=sys.stderr)
    return found


def gallery(options: Namespace) -> tuple[Gallery, dict]:
    """The gallery that the options name, before anything in it is looked at, and how to work.

    Raises:
        ValueError: There is no such folder, store or run.
    """
    check_installed()
    if not Path(options.gallery).expanduser().is_dir():
        raise bad_input("--gallery", "be a folder of photographs", options.gallery, "Check the path.")
    trained, work = opened(options)
    found = Gallery(trained, options.gallery, store=options.store, table=options.table)
    if getattr(options, "no_update", False):
        with _naming("--gallery"):
            found.check_filled("Leave out --no-update, or call index first.")
    return found, work


def updated(gallery: Gallery, options: Namespace, work: dict, *, out: TextIO | None = None) -> None:
    """Makes the gallery what its folder is, and says what changed, to ``out`` (None: standard output)."""
    with _naming("--gallery"):
        change = gallery.update(
            verify=options.verify, replace=options.replace, skip_corrupt=options.skip_corrupt, **work
        )
    for remark in change.remarks:
        print(f"note: {remark}", file=sys.stderr)
    print(f"{len(gallery):,} photographs in the gallery: {change}", file=out or sys.stdout)


@contextmanager
def _naming(flag: str) -> Iterator[None]:
    """What the library says of a folder is said of the option that named it."""
    try:
        yield
    except ValueError as error:
        said = re.sub(r"^[\w.]+: (root|gallery) must", f"{flag} must", str(error))
        raise ValueError(re.sub(r"\broot= ?", f"{flag} ", said)) from error
