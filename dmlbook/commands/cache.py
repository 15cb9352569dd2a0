"""Shows or clears the decoded photographs that are kept, so that a second run need not decode them again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import datetime

from dmlbook import settings
from dmlbook._checks import bad_input, checked
from dmlbook.datasets.photos import cache

ABOUT = """\
Decoded photographs are kept in the user's cache folder (or DMLBOOK_CACHE), the few sets used last, 32 GB at most
(DMLBOOK_CACHE_GB). Nothing is lost by clearing it: they are decoded anew when they are needed.

examples
  python -m dmlbook cache                             what is kept
  python -m dmlbook cache --clear                     delete all of it
  python -m dmlbook cache --clear --root my_photos    what was made of these photographs alone
"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--clear", action="store_true", help="delete it")
    parser.add_argument("--root", help="with --clear: only what was made of the photographs in this folder or below it")


@checked
def run(options: Namespace) -> int:
    if options.root is not None and not options.clear:
        raise bad_input("--root", "come with --clear", "it alone", "Add --clear, or leave it out.")
    if options.clear:
        print(f"{cache.clear(folder=options.root) / 1e6:,.1f} MB deleted")
        return 0
    kept = cache.entries()
    total, most = sum(each.bytes for each in kept), settings.cache_bytes()
    print(f"{settings.cache_root()}: {total / 1e6:,.1f} MB of {most / 1e6:,.0f} MB at most")
    for each in kept:
        used = datetime.fromtimestamp(each.last_use).isoformat(sep=" ", timespec="minutes")
        told = f"{each.name}, {each.images:,} images of {each.size} pixels, of {each.folder or 'an unknown folder'}"
        print(f"  {each.bytes / 1e6:10,.1f} MB, used {used}: {told}")
    return 0
