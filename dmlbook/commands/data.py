"""Says which image sets are there, or downloads one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from dmlbook import datasets

ABOUT = """\
examples
  python -m dmlbook data            what is there
  python -m dmlbook data cub        download CUB-200-2011 (1.1 GB), or say how to get it by hand

Downloads are resumed where they broke off, checked, and unpacked whole or not at all.
"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", choices=("cub", "cars", "sop"), help="the set to download")
    parser.add_argument("--root", help="where to (default: DMLBOOK_DATA)")


def run(options: Namespace) -> int:
    if options.name is not None:
        print(f"{options.name} is in {datasets.fetch(options.name, options.root)}")
        return 0
    print("\n".join(table(options.root)))
    return 0


def table(root: str | None = None) -> list[str]:
    """One line a set: its name, and what is there of it."""
    lines = []
    for name in datasets.NAMES:
        if name == "folder":
            continue
        found = datasets.describe(name, root)
        counts = "" if found["images"] is None else f"{found['images']:,} images of {found['classes']} classes, "
        where = found["layout"] or "not there"
        whole = "" if found["complete"] else f"; python -m dmlbook data {name} fetches it or says how to get it"
        lines.append(f"{name:7} {counts}{where}{whole}")
        lines += [f"{'':7} {remark}" for remark in found["remarks"]]
    return lines
