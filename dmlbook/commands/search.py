"""Finds the photographs of a gallery that are nearest to others, as a table and as a page of pictures."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch

from dmlbook._checks import bad_input, check_number, checked
from dmlbook.commands import common, uses
from dmlbook.datasets.photos.formats import printable
from dmlbook.use.gallery import Gallery, Hit
from dmlbook.use.nearest import nearest_in
from dmlbook.use.page import Answer, cosine, write_results
from dmlbook.use.photographs import leads_out
from dmlbook.use.trained import Run
from dmlbook.use.vector_files import Vectors, check_suffix, read_vectors

ABOUT = """\
All photographs of the gallery are compared, so none is missed. The gallery is made or brought up to date first, see
`index`; --no-update leaves it as it is. With --vectors, a file of `embed` is searched, and nothing else is needed.

examples
  python -m dmlbook search --run runs/birds-softtriple --gallery photos --query new.jpg
  python -m dmlbook search --run runs/birds-softtriple --gallery photos --query a.jpg b.jpg --most 24 --out page.html
  python -m dmlbook search --run runs/birds-softtriple --gallery photos --query new.jpg --json > found.json
  python -m dmlbook search --run runs/birds-softtriple --vectors vectors.npz --query new.jpg

The page is one file that opens without a network. It holds small copies of your photographs: send it to nobody who may
not see them. A small distance says that the network finds two pictures alike, not that they show the same thing: look.
"""
TEXT = (
    "On the left what was asked for, on the right the nearest photographs, nearest first. A distance says how unlike "
    "the network finds two pictures; which distance is near enough, your own photographs tell."
)


def add_arguments(parser: ArgumentParser) -> None:
    uses.add_run_argument(parser)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--gallery", help="folder of photographs, and of folders of them")
    where.add_argument("--vectors", metavar="FILE", help="a file that embed wrote, .npz or .parquet")
    parser.add_argument("--query", required=True, nargs="+", metavar="FILE", help="photographs to ask with")
    parser.add_argument("--most", type=common.integer, default=12, help="how many are shown for each (default: 12)")
    parser.add_argument("--out", help="the page to write (default: search.html in the run's folder)")
    parser.add_argument("--json", action="store_true", help="print JSON, and write a page only where --out names one")
    parser.add_argument("--no-update", action="store_true", help="search the gallery as it was indexed last")
    uses.add_store_arguments(parser)
    uses.add_work_arguments(parser)


@checked
def run(options: Namespace) -> int:
    check_number(low=1, high=10_000, integer=True, **{"--most": options.most})
    _check_options(options)
    if absent := [file for file in options.query if not Path(file).is_file()]:
        raise bad_input("--query", "name photographs that are there", absent[0], "Check the path.")
    if options.vectors is not None:
        check_suffix(options.vectors, argument="--vectors")
        trained, work = uses.opened(options)
        out = _page(options, trained)
        known = _of(trained, read_vectors(options.vectors), options.vectors)
        answers = _in_file(known, _queries(trained, options, work), options)
    else:
        gallery, work = uses.gallery(options)
        trained, out = gallery.run, _page(options, gallery.run)
        queries = _queries(trained, options, work)
        if not options.no_update:
            uses.updated(gallery, options, work, out=sys.stderr if options.json else None)
        answers = _in_gallery(gallery, queries, options)
    if options.json:
        print(json.dumps([_plain(answer, unit=trained.unit) for answer in answers], indent=2, ensure_ascii=False))
    else:
        for answer in answers:
            print(table(answer, unit=trained.unit))
    if out is not None:
        title = f"Nearest photographs in {Path(options.gallery or options.vectors).resolve().name}"
        page = write_results(out, answers, title=title, text=TEXT, unit=trained.unit)
        said = f"{page} ({page.stat().st_size / 1e6:.1f} MB): open it in a browser"
        print(said, file=sys.stderr if options.json else sys.stdout)
    return 0


def table(answer: Answer, *, unit: bool) -> str:
    """What was found for one query, a line a photograph.

    Args:
        answer: The query and its hits.
        unit: Whether a cosine can be told.
    """
    lines = [f"{answer.query}"]
    wide = max((len(hit.label) for hit in answer.hits), default=0)
    for rank, hit in enumerate(answer.hits, 1):
        near = f"  cosine {cosine(hit.distance):6.3f}" if unit else ""
        label = f"  {hit.label:<{wide}}" if wide else ""
        lines.append(f"  {rank:>3}  distance {hit.distance:.3f}{near}{label}  {hit.path}")
    return "\n".join(lines)


def _check_options(options: Namespace) -> None:
    """Nothing that would do nothing."""
    of_stores = {"--store": options.store, "--table": options.table, "--verify": options.verify}
    of_stores |= {
        "--replace": options.replace,
        "--no-update": options.no_update,
        "--skip-corrupt": options.skip_corrupt,
    }
    given = [flag for flag, value in of_stores.items() if value]
    if options.vectors is not None and given:
        raise bad_input(", ".join(given), "stand beside --gallery", "--vectors", "Leave it out: a file is as it is.")


def _page(options: Namespace, trained: Run) -> Path | None:
    """The page that is asked for, which can be written."""
    if options.out is None and options.json:
        return None
    out = trained.folder / "search.html" if options.out is None else Path(options.out)
    common.check_file(out, "--out")
    return out


def _queries(trained: Run, options: Namespace, work: dict) -> dict:
    """The embedding of each query; all must be readable, whatever may be left out of the gallery."""
    names = uses.once(options.query, "--query")
    embedded = trained.embedded(names, go_on=False, **work)
    if embedded.unreadable:
        told = "".join(f"\n  {printable(file)}: {why}" for file, why in embedded.unreadable.items())
        raise bad_input("--query", "name photographs that can be read", told, "Leave them out.")
    return dict(zip(embedded.paths, embedded.vectors, strict=True))


def _in_gallery(gallery: Gallery, queries: dict, options: Namespace) -> list[Answer]:
    found = {name: gallery.search(vector[None], most=options.most)[0] for name, vector in queries.items()}
    return [Answer(name, hits, [gallery.file_of(hit.path) for hit in hits]) for name, hits in found.items()]


def _of(trained: Run, known: Vectors, name: str) -> Vectors:
    """Vectors that can be compared with the run's, of files that lie below their folder."""
    if known.about.get("model") != trained.model:
        got = f"{name}, of model {known.about.get('model')}, not {trained.model}"
        raise bad_input("--vectors", "be made by this run", got, "Embed the photographs again.")
    if not len(known.vectors) or known.vectors.shape[1] != trained.dimensions or not known.vectors.isfinite().all():
        got = f"{name} with {tuple(known.vectors.shape)}, or numbers that are not finite"
        rule = f"hold finite vectors of {trained.dimensions} dimensions, one at least"
        raise bad_input("--vectors", rule, got, "Embed the photographs again.")
    if outside := [path for path in known.paths if leads_out(Path(path))]:
        got = f"{name} with {outside[0]!r}"
        raise bad_input("--vectors", "name photographs below the folder that it names", got, "Embed them again.")
    return known


def _in_file(known: Vectors, queries: dict, options: Namespace) -> list[Answer]:
    root, answers = Path(known.about.get("root") or "."), []
    found = nearest_in(torch.stack(list(queries.values())), known.vectors, most=options.most)
    for name, distances, places in zip(queries, *(each.tolist() for each in found), strict=True):
        hits = [Hit(known.paths[n], known.labels[n], far) for n, far in zip(places, distances, strict=True)]
        answers.append(Answer(name, hits, [root / hit.path for hit in hits]))
    return answers


def _plain(answer: Answer, *, unit: bool) -> dict:
    hits = [
        {"path": hit.path, "label": hit.label or None, "distance": hit.distance}
        | ({"cosine": cosine(hit.distance)} if unit else {})
        for hit in answer.hits
    ]
    return {"query": answer.query, "hits": hits}
