"""Embeds photographs by a trained run, into a file for numpy or for tables."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from dmlbook._checks import bad_input, checked
from dmlbook.commands import common, uses
from dmlbook.use.photographs import leads_out
from dmlbook.use.run_folders import name_of
from dmlbook.use.trained import report_unreadable
from dmlbook.use.vector_files import Vectors, check_suffix, write_vectors

ABOUT = """\
Any folder of photographs will do, flat or in folders; the outermost folders are taken for classes. Pictures are seen as
those of the training were. The file says which model made it: only vectors of one model can be compared. Its paths are
below the folder that it names as root: --root; of --files, the folder here or, where some are elsewhere, their common
one.

examples
  python -m dmlbook embed --run runs/birds-softtriple --root photos --out vectors.npz
  python -m dmlbook embed --run runs/birds-softtriple --files a.jpg b.png --out two.parquet
  python -m dmlbook search --run runs/birds-softtriple --vectors vectors.npz --query a.jpg

in Python
  found = numpy.load("vectors.npz")           # vectors (N, D), paths (N), labels (N), about (JSON)
  pandas.read_parquet("vectors.parquet")      # columns path, label, vector; pip install -e ".[search]"
"""


def add_arguments(parser: ArgumentParser) -> None:
    uses.add_run_argument(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--root", help="folder of photographs, and of folders of them")
    what.add_argument("--files", nargs="+", metavar="FILE", help="photographs by name")
    parser.add_argument("--out", required=True, help="the file to write: .npz or .parquet")
    uses.add_work_arguments(parser)


@checked
def run(options: Namespace) -> int:
    check_suffix(options.out, argument="--out")
    common.check_file(Path(options.out), "--out")
    trained, work = uses.opened(options)
    if options.root is not None:
        found = uses.photographs(options.root, "--root")
        names, root = {each.path: each.label for each in found.photographs}, found.root
    else:
        root, files = _below_one_folder(uses.once(options.files, "--files"))
        names = dict.fromkeys(files, "")
    embedded = trained.embedded(list(names), root=root, go_on=options.skip_corrupt, **work)
    report_unreadable(embedded.unreadable, len(names), skip=options.skip_corrupt)
    about = {"model": trained.model, "run": name_of(trained.folder), "view": trained.view, "unit": trained.unit}
    about["root"] = str(root.resolve())
    labels = tuple(names[path] for path in embedded.paths)
    path = write_vectors(options.out, Vectors(embedded.vectors, embedded.paths, labels, about))
    count, dimensions = embedded.vectors.shape
    print(f"{path}: {count:,} photographs in {dimensions} dimensions, by model {trained.model}")
    return 0


def _below_one_folder(files: Sequence[str]) -> tuple[Path, list[str]]:
    """A folder that holds all files, and their paths below it: the working folder, if it is one."""
    here = Path.cwd()
    if not any(leads_out(Path(file)) for file in files):
        return here, list(files)
    places = [os.path.abspath(file) for file in files]
    try:
        root = Path(os.path.commonpath([os.path.dirname(place) for place in places]))
    except ValueError as error:  # on several drives
        raise bad_input("--files", "lie on one drive", ", ".join(files[:3]), "Call the command twice.") from error
    return root, [Path(place).relative_to(root).as_posix() for place in places]
