"""Finds the photographs of a gallery that are nearest to others, as a table and as a page of pictures."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from dmlbook._checks import bad_input, check_number, checked
from dmlbook.commands import common, uses
from dmlbook.use.gallery import Gallery, Hit
from dmlbook.use.nearest import nearest_in
from dmlbook.use.page import Answer, cosine, write_results
from dmlbook.use.trained import Run, report_unreadable
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
    if options.out is not None:
        common.check_file(Path(options.out), "--out")
    if absent := [file for file in options.query if not Path(file).is_file()]:
        raise bad_input("--query", "name photographs that are there", absent[0], "Check the path.")
    if options.vectors is not None:
        check_suffix(options.vectors)
        trained, work = uses.opened(options)
        known = _of(trained, read_vectors(options.vectors), options.vectors)
        answers = _in_file(known, _queries(trained, options, work), options)
    else:
        gallery, work = uses.gallery(options)
        trained, queries = gallery.run, _queries(gallery.run, options, work)
        if not options.no_update:
            uses.updated(gallery, options, work, out=sys.stderr if options.json else None)
        answers = _in_gallery(gallery, queries, options)
    if options.json:
        print(json.dumps([_plain(answer, unit=trained.unit) for answer in answers], indent=2, ensure_ascii=False))
    else:
        for answer in answers:
            print(table(answer, unit=trained.unit))
    if options.out is not None or not options.json:
        out = Path(options.out) if options.out else trained.folder / "search.html"
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


def _queries(trained: Run, options: Namespace, work: dict) -> dict:
    """The embedding of each query; all must be readable, whatever may be left out of the gallery."""
    embedded = trained.embedded(options.query, go_on=False, **work)
    report_unreadable(embedded.unreadable, len(options.query), skip=False)
    return dict(zip(embedded.paths, embedded.vectors, strict=True))


def _in_gallery(gallery: Gallery, queries: dict, options: Namespace) -> list[Answer]:
    found = {name: gallery.search(vector[None], most=options.most)[0] for name, vector in queries.items()}
    return [Answer(name, hits, [gallery.file_of(hit.path) for hit in hits]) for name, hits in found.items()]


def _of(trained: Run, known: Vectors, name: str) -> Vectors:
    if known.about.get("model") != trained.model:
        got = f"{name}, of model {known.about.get('model')}, not {trained.model}"
        raise bad_input("--vectors", "be made by this run", got, "Embed the photographs again.")
    return known


def _in_file(known: Vectors, queries: dict, options: Namespace) -> list[Answer]:
    root, answers = Path(known.about.get("root") or "."), []
    for name, vector in queries.items():
        distances, places = nearest_in(vector[None], known.vectors, most=options.most)
        near = zip(distances[0].tolist(), places[0].tolist(), strict=True)
        hits = [Hit(known.paths[place], known.labels[place], distance) for distance, place in near]
        answers.append(Answer(name, hits, [root / hit.path for hit in hits]))
    return answers


def _plain(answer: Answer, *, unit: bool) -> dict:
    hits = [
        {"path": hit.path, "label": hit.label or None, "distance": hit.distance}
        | ({"cosine": cosine(hit.distance)} if unit else {})
        for hit in answer.hits
    ]
    return {"query": answer.query, "hits": hits}
