"""What chapter 08 runs: lines of the terminal in its own folder, runs beside recorded ones, one question to two."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from PIL import Image

import dmlbook
from dmlbook import records, retrieval, use
from dmlbook._checks import at_least, checked
from dmlbook.datasets import ImageSet
from dmlbook.datasets.protocols import Protocol

METHODS = {
    "SoftTriple": "softtriple",
    "normalized SoftMax": "softmax",
    "centroid bound": "centroid_bound",
    "semi-hard triplets": "semihard",
}
"""What each loss is called, and its name in the records."""
BOTH = {"recall_at_1": "R@1", "map_at_r": "MAP@R"}
FULL = {"recall_at_1": "R@1", "recall_at_2": "R@2", "recall_at_4": "R@4", "recall_at_8": "R@8"}
FULL |= {"map_at_r": "MAP@R", "nmi": "NMI"}
FLOOR = "the frozen features have 1,280, the others 64."


@checked
def four(plan: str, **more: str) -> records.Comparison:
    """The four losses of this chapter in one plan, and rows more.

    Args:
        plan: How the names of its records begin, such as ``"field/cars"``.
        more: What else stands in the table: ``floor="cars-frozen"`` is called "frozen features".
    """
    rows = {title: f"{plan}-{loss}" for title, loss in METHODS.items()}
    if "floor" not in more:
        return records.compare(rows)
    return records.compare({**rows, "frozen features": more["floor"]}, unequal={"dimensions": FLOOR})


@checked
def best_by_rung(plan: str) -> list[str]:
    """Lines to print: for each loss the best trial of its search after each number of epochs, by both measures."""
    lines = []
    for title, loss in METHODS.items():
        search = records.load_search(f"choosing/{plan}-{loss}")
        best = {(key, rung): 0.0 for key in BOTH for rung in search.rungs}
        for trial in search.trials:
            for key in BOTH:
                place = key, trial.configuration["epochs"]
                best[place] = max(best[place], trial.values(key)[0])
        if not lines:
            lines.append(f"{'epochs':20} " + " ".join(f"{f'{BOTH[key]} {rung}':>8}" for key, rung in best))
        lines.append(f"{title:20} " + " ".join(f"{100 * value:8.1f}" for value in best.values()))
    return lines


@checked
def command(main: Callable, line: str, *, home: Path, begins: str = "") -> None:
    """Run a line of the terminal in a folder; of what it prints come the lines that begin so.

    Args:
        main: The command line, ``dmlbook.__main__.main``.
        line: What stands behind ``python -m dmlbook``.
        home: Where it runs.
        begins: How the lines begin that are shown.

    Raises:
        RuntimeError: The command failed; the end of what it said is in the message.
    """
    printed, said = io.StringIO(), io.StringIO()
    try:
        with chdir(home), redirect_stdout(printed), redirect_stderr(said):
            status = main(shlex.split(line))
    except SystemExit as end:
        status = end.code
    print(*(row for row in printed.getvalue().splitlines() if row.startswith(begins)), sep="\n")
    if status:
        raise RuntimeError(said.getvalue()[-600:])


@checked
def with_yours(table: records.Comparison, *folders: str | Path) -> tuple[records.Comparison, dict[str, str]]:
    """The table with those runs below the folders that may stand in it, and why the others may not."""
    mine, unfinished = use.own_records(folders)
    beside, refused = records.beside(table, {f"yours: {name}": record for name, record in mine.items()})
    return beside, {**refused, **unfinished}


@checked(most=at_least(1))
def write_folder(images: ImageSet, folder: Path, *, most: int) -> None:
    """Up to ``most`` pictures of each class as PNG files, in a folder of its own."""
    for label, name in enumerate(images.class_names):
        place = folder / name.replace(" ", "_")
        place.mkdir(parents=True)
        members = (images.labels == label).nonzero().flatten()[:most].tolist()
        for number, index in enumerate(members):
            write_picture(images, index, place / f"{number:03}.png")


@checked(index=at_least(0))
def write_picture(images: ImageSet, index: int, path: Path) -> None:
    """One picture as a PNG file."""
    Image.fromarray(images.images[index].permute(1, 2, 0).numpy()).save(path)


@checked(first=at_least(0))
def asked_the_same(folder: Path, kept: Protocol, *, first: int) -> float:
    """Recall@1 of a run on held-out pictures among the others, of the classes from number ``first`` on alone.

    Args:
        folder: Of the run.
        kept: Queries and gallery.
        first: The lowest class number that counts.
    """

    def later(images: ImageSet) -> tuple[list[str], torch.Tensor]:
        places = (images.labels >= first).nonzero().flatten()
        return [images.paths[place] for place in places.tolist()], images.labels[places]

    run, (queries, own), (others, theirs) = dmlbook.load_run(folder), later(kept.queries), later(kept.gallery)
    found = run.embed_files(others)
    recall = retrieval.recall_at_k(run.embed_files(queries), own, ks=(1,), gallery=found, gallery_labels=theirs)
    return float(recall[1])


@checked
def said(scores: Mapping[str, float]) -> str:
    """Scores by name in percent, as one line."""
    return ", ".join(f"{name} {100 * score:.1f}" for name, score in scores.items())
