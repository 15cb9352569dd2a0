"""Lists runs with what they score, draws how they learned, and compares two of them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dmlbook import records
from dmlbook._checks import bad_input
from dmlbook._files import write_whole
from dmlbook.commands import common, places, run_figures
from dmlbook.commands.run_rows import COLUMNS, SORTS, as_csv, images, report
from dmlbook.records import Record
from dmlbook.use.run_list import ListedRun, find_runs
from dmlbook.use.run_records import as_record

ABOUT = """\
One line a run, all seeds of it together: mean ± 95 percent interval (number of seeds that are finished), in percent.
Gain is what training has added to Recall@1 of the frozen features, in points, where the network began with weights.
Figures can be compared within one block alone: it holds runs of the same images, measured on the same classes.

state
  finished       trained to its end and measured
  running        a process works on it now
  interrupted    the same train command goes on from there
  not measured   trained, but stopped before the last step: give the same command again

examples
  python -m dmlbook runs
  python -m dmlbook runs runs/mine /other/disk/runs --sort minutes
  python -m dmlbook runs --plot curves.png
  python -m dmlbook runs --compare runs/birds-softtriple runs/birds-softmax
  python -m dmlbook runs --csv runs.csv

--compare pairs the two runs by the seeds that both have: the mean of the differences, its 95 percent interval, and the
p-value of the paired t-test. Runs that were measured on different things are refused; in what else they differ (number
of dimensions, epochs, batch size) is said below the table. Three seeds or more, or no difference can be believed.
"""
FIRST = "python -m dmlbook train --data birds --loss softtriple"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help=f"where to look (default: {places.HOME})")
    parser.add_argument(
        "--sort", type=common.word(*SORTS), choices=SORTS, default="recall_at_1", help="by (default: recall_at_1)"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table, unrounded, one line a run")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw loss and Recall@1 by epoch: .png or .svg")
    parser.add_argument(
        "--compare", nargs=2, type=Path, metavar=("A", "B"), help="two folders of runs: B minus A, paired by seed"
    )


def run(options: Namespace) -> int:
    if options.compare:
        if options.folders or options.csv or options.plot:
            raise bad_input("--compare", "stand alone", "other options beside it", "Call the command twice.")
        print(compared(*options.compare))
        return 0
    for path, flag in ((options.csv, "--csv"), (options.plot, "--plot")):
        if path is not None:
            common.check_file(path, flag)
    if options.plot is not None:
        run_figures.check_plot(options.plot)
    if not options.folders and not Path(places.HOME).is_dir():
        print(f"There is no folder {places.HOME} here yet. Train a run:\n  {FIRST}")
        return 0
    found = find_runs(options.folders or [places.HOME])
    print(report(found, sort=options.sort))
    if options.csv is not None:
        write_whole(options.csv, as_csv(found.runs, sort=options.sort))
        print(f"written to {options.csv}")
    if options.plot is not None:
        said = run_figures.draw(found.runs, options.plot)
        print(f"written to {options.plot}: {said}")
    return 1 if found.damaged else 0


def compared(a: Path, b: Path) -> str:
    """Two runs side by side, and by how much the second differs from the first, seed by seed.

    Raises:
        ValueError: A folder holds no run, or several; the two were measured on different things; or they share no seed.
    """
    (first, this), (second, other) = _one(a), _one(b)
    names = (first.name, second.name) if first.name != second.name else (str(a), str(b))
    trained_on = [images(run, whole=True) for run in (first, second)]
    if trained_on[0] != trained_on[1]:
        got = "; ".join(f"{name}: {said}" for name, said in zip(names, trained_on, strict=True))
        raise bad_input(
            "--compare", "name runs of the same images, measured alike", got, "Nothing can be said of them."
        )
    shared = [seed for seed in this.seeds if seed in other.seeds]
    if not shared:
        got = f"{names[0]} with {_listed(this.seeds)}, {names[1]} with {_listed(other.seeds)}"
        raise bad_input("--compare", "name runs that share a finished seed", got, "Run the seeds that are missing.")
    this, other = (_cut(record, shared) for record in (this, other))
    both, refused = records.beside(records.Comparison({names[0]: this}, {}), {names[1]: other}, alike=["split"])
    if refused:
        raise bad_input(
            "--compare", "name runs that were measured alike", refused[names[1]], "Nothing can be said of them."
        )
    said = [both.table(COLUMNS), both.differences(names[0], COLUMNS)]
    if this.configuration["loss"] != other.configuration["loss"] or this.configuration == other.configuration:
        return "\n\n".join(said)
    unlike = _settings(this, other)
    return "\n\n".join([*said, f"*Settings that differ: {unlike}*"] if unlike else said)


def _one(folder: Path) -> tuple[ListedRun, Record]:
    found = find_runs([folder])
    if found.damaged:
        place, why = next(iter(found.damaged.items()))
        raise bad_input("--compare", "name runs that can be read", f"{place}: {why}", "Look at that folder.")
    if len(found.runs) != 1:
        inside = ", ".join(run.name for run in found.runs[:6])
        got = f"{folder} with {len(found.runs)}" + (f" ({inside})" if inside else "")
        raise bad_input("--compare", "name two folders of one run each", got, "Name one of those in it.")
    return found.runs[0], as_record(found.runs[0])


def _cut(record: Record, seeds: Sequence[int]) -> Record:
    return replace(record, runs=[run for run in record.runs if run["seed"] in seeds])


def _listed(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}"


def _settings(this: Record, other: Record) -> str:
    """In what two runs of one loss differ beside what the table's own notes say."""
    flat = []
    for record in (this, other):
        configuration = record.configuration
        parts = ("loss_options", "network", "training")
        flat.append({f"{part}.{key}": value for part in parts for key, value in configuration[part].items()})
    keys = [key for key in {**flat[0], **flat[1]} if flat[0].get(key) != flat[1].get(key)]
    told = [f"{key.partition('.')[2]} {flat[0].get(key)}, then {flat[1].get(key)}" for key in keys]
    return ", ".join(told)
