"""Embeds a gallery of photographs into a vector store, so that it can be searched; then only what is new."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from dmlbook._checks import checked
from dmlbook.commands import uses

ABOUT = """\
The gallery becomes what the folder is: new and changed photographs are embedded, those that are gone are removed. A
photograph is known by its path, its size and the time of its last change. Of another model all are embedded anew: in
the run's folder they replace the former ones, in --store each model has a table of its own, and one that --table names
is another model's until --replace. Stopped and given again, the command goes on where it was. It needs LanceDB:
pip install -e ".[search]"

examples
  python -m dmlbook index --run runs/birds-softtriple --gallery photos
  python -m dmlbook index --run runs/birds-softtriple --gallery photos --verify     (compares contents, too)
  python -m dmlbook index --run runs/birds-softtriple --gallery photos --store s3://bucket/vectors --table photos
  python -m dmlbook search --run runs/birds-softtriple --gallery photos --query new.jpg

Beyond one machine: with --store on shared storage (s3://, gs://, az://) or on LanceDB's server (db://, with
LANCEDB_API_KEY set), index once and search from everywhere; --table gives the gallery one name on all machines.
"""


def add_arguments(parser: ArgumentParser) -> None:
    uses.add_run_argument(parser)
    parser.add_argument("--gallery", required=True, help="folder of photographs, and of folders of them")
    uses.add_store_arguments(parser)
    uses.add_work_arguments(parser)


@checked
def run(options: Namespace) -> int:
    gallery, work = uses.gallery(options)
    uses.updated(gallery, options, work)
    return 0
