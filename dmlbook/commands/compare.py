"""Compares losses on images of your own: settings searched for each with one budget, then seeds, tests and a page."""

from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from dmlbook import losses, records, settings
from dmlbook._checks import bad_input, check_number, check_unique, checked
from dmlbook._files import whole, write_whole
from dmlbook.commands import common, evaluate
from dmlbook.commands.choose import Work
from dmlbook.commands.plans import Plan, command_line, make_plan, read_field
from dmlbook.commands.points import check_effort
from dmlbook.commands.settled import DEFAULTS
from dmlbook.datasets import split_classes
from dmlbook.seeding import SEED, generator
from dmlbook.training import TrainConfig

ABOUT = """\
Half of the classes train, the others test. For every loss as many points of its own settings are tried on held-out
training classes: all for a few epochs, the better half for more (--rungs). Then each loss is trained with what suited
it, from several seeds, and measured on the test classes, once. The rivals and the ranges of their settings are those of
`methods_of = "field"`, see `choose --help`. An option that is given here, such as --batch-size, is not searched.

Written to data/results, or to --out: a record of each loss and of each search, NAME.md with all tables, and NAME.png.
How much work it is, is said first. Stopped and called again, it goes on. In little time: --trials 4 --rungs 1 2

examples
  python -m dmlbook compare --data folder --root my_photos
  python -m dmlbook compare --data folder --root my_photos --losses softmax softtriple semihard --net resnet18 \\
      --weights imagenet --name my-photos
  python -m dmlbook compare --data cub --freeze-backbone --losses softmax softtriple     (the last layer alone: minutes)
"""

COLUMNS = {"recall_at_1": "R@1", "map_at_r": "MAP@R"}
OF_THE_RUNGS = ("seed", "epochs", "milestones", "lr_decay")  # lengths and rates of the search, not the reader's
OF_ALL = (
    "data", "root", "size", "data_option", "net", "weights", "embedding_size", "width_mult", "preprocessing",
    "same_padding", "bn_eps", "device",
)  # fmt: skip
FLOOR = "frozen"


def add_arguments(parser: ArgumentParser) -> None:
    names = list(read_field()["methods"])
    parser.add_argument("--losses", nargs="+", choices=names, default=names, help="the rivals (default: all)")
    parser.add_argument("--trials", type=common.integer, default=8, help="points tried for each loss (default: 8)")
    parser.add_argument(
        "--rungs",
        type=common.integer,
        nargs="+",
        default=[1, 2, 4],
        metavar="EPOCHS",
        help="of all, of half, ... (default: 1 2 4)",
    )
    parser.add_argument(
        "--seeds", type=common.integer, default=5, help="runs of each loss on the test classes (default: 5)"
    )
    parser.add_argument(
        "--validation", type=float, default=0.2, metavar="SHARE", help="of the training classes, to choose on (0.2)"
    )
    parser.add_argument("--name", default="compare", help="what records, page and figure are called (default: compare)")
    parser.add_argument("--out", metavar="FOLDER", help="where they are written (default: data/results)")
    parser.add_argument(
        "--folder", default="runs/choose", help="where trials that may go on keep checkpoints (default: runs/choose)"
    )
    parser.add_argument("--replace", action="store_true", help="throw away records of other settings")
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")
    common.add_data_arguments(parser)
    common.add_net_arguments(parser)
    group = parser.add_argument_group("training", "what is given here is the same for every loss, and not searched")
    common.add_config_arguments(group, [field.name for field in fields(TrainConfig) if field.name not in OF_THE_RUNGS])


@checked
def run(options: Namespace) -> int:
    root = settings.results_root() if options.out is None else Path(options.out)
    check_unique(**{"--losses": options.losses})
    common.check_record(options.name, root, flag="--name")
    check_number(low=1, integer=True, **{"--seeds": options.seeds})
    if len(options.losses) < 2:
        raise bad_input("--losses", "name two losses or more", options.losses[0], "One alone is `train`.")
    check_effort("--", options.trials, options.rungs, "Write --rungs 1 2 4.")
    images = common.load_images(options, "train")
    parts = split_classes(images, validation=options.validation, generator=generator(SEED, "validation"))
    plan = make_plan(content(options, parts[0].num_classes), options.name)
    del images, parts
    work = Work(plan, Path(options.folder), root, replace=options.replace)
    print(work.effort(), flush=True)
    floor = measure_floor(plan, root, replace=options.replace)
    print(f"{FLOOR}: {common.percents(floor.runs[0]['figures'])}", flush=True)
    work.measure(work.search())
    comparison = judged(plan, floor, root)
    page = report(comparison, f"{plan.options['data']}: {len(options.losses)} losses, {options.seeds} seeds")
    print(f"\n{page}")
    figure = draw(comparison, root / f"{plan.name}.png")
    if figure:
        page += f"\n![{figure}]({Path(plan.name).name}.png)\n"
    write_whole(root / f"{plan.name}.md", page)
    print(f"written to {root / plan.name}.md" + (" and .png" if figure else ""))
    return 0


def content(options: Namespace, classes: int) -> dict:
    """The plan that the options amount to, as a TOML file would hold it.

    Args:
        options: Of this command.
        classes: How many train while settings are searched: batches of few classes hold more images of each.
    """
    given = {key: getattr(options, key) for key in OF_ALL if getattr(options, key) not in (None, False, [])}
    given |= {"data_option": dict(options.data_option)} if options.data_option else {}
    given |= {name: list(v) if isinstance(v, tuple) else v for name, v in common.given_config(options).items()}
    if common.net_settings(options, DEFAULTS[options.data])["weights"] is None:
        given.setdefault("freeze_batch_norm", False)  # what random weights have never seen cannot be frozen
    field, methods = read_field(), {}
    for name in options.losses:
        own = field["methods"][name]
        fixed = {key: [given[key]] for key in ("batch_size", "samples_per_class") if key in given}
        fits = fitting(own["loss"], {**field["vary"], **own.get("vary", {}), **fixed}, classes)
        methods[name] = {"vary": {key: values for key, values in fits.items() if key not in fixed}}
    return {
        "command": "train",
        "methods_of": "field",
        "leave_out": [name for name in field["methods"] if name not in options.losses],
        "options": {**given, "milestones": []},
        "search": {"trials": options.trials, "rungs": options.rungs},
        "trial": {"validation": options.validation},
        "final": {"seeds": options.seeds},
        "methods": methods,
    }


def fitting(loss: str, ranges: Mapping[str, object], classes: int) -> dict[str, list]:
    """The batches that so few classes can fill, for a loss that wants several images of each; empty: all are.

    Args:
        loss: One of ``losses.NAMES``.
        ranges: The choices of ``batch_size``, and perhaps of ``samples_per_class``.
        classes: How many there are, >= 2.

    Example:
        >>> usual = {"batch_size": [32, 64, 128], "samples_per_class": [2, 4, 8]}
        >>> fitting("triplet", usual, 100), fitting("triplet", usual, 10), fitting("triplet", usual, 3)
        ({}, {'batch_size': [32, 64], 'samples_per_class': [8]}, {'batch_size': [32], 'samples_per_class': [16]})
    """
    wanted = losses.images_per_class(loss)
    if wanted is None:
        return {}
    sizes, many = ranges["batch_size"], ranges.get("samples_per_class", [wanted])
    if max(sizes) / min(many) <= classes:
        return {}
    fit = [size for size in sizes if size / max(many) <= classes]
    if fit:
        return {"batch_size": fit, "samples_per_class": [each for each in many if max(fit) / each <= classes]}
    if len(many) == 1:  # as many as the loss must have, and so fewer images
        return {"batch_size": [many[0] * classes], "samples_per_class": many}
    return {"batch_size": [min(sizes)], "samples_per_class": [min(sizes) // 2 ** int(math.log2(classes))]}


def measure_floor(plan: Plan, root: Path, *, replace: bool = False) -> records.Record:
    """What the network's features are worth on the test classes before any training; recorded as ``NAME-frozen``.

    Raises:
        ValueError: There is such a record of other settings, and ``replace`` is False.
    """
    options = plan.parsed(next(iter(plan.methods)), plan.final, {"lr": 1e-3})
    network = common.net_settings(options, DEFAULTS[options.data])
    given = {key: getattr(options, key) for key in (*OF_ALL[:4], "embedding_size", "width_mult", "preprocessing")}
    given |= {key: getattr(options, key) for key in ("same_padding", "bn_eps", "image_size", "test_crop")}
    given |= {"net": network["name"], "weights": network["weights"], "data_option": dict(options.data_option)}
    parser = ArgumentParser()
    evaluate.add_arguments(parser)
    asked = {key: value for key, value in given.items() if value not in (None, {})}
    typed = command_line({**asked, "record": f"{plan.name}-{FLOOR}"}) + ["--replace"] * replace
    record = evaluate.measured(parser.parse_args(typed), root)
    record.save(root)
    return record


def judged(plan: Plan, floor: records.Record, root: Path) -> records.Comparison:
    """The rows of a plan side by side, the floor first, and what is unlike said."""
    rows, unequal = {FLOOR: floor.name} | {method: f"{plan.name}-{method}" for method in plan.methods}, {}
    dimensions, size = floor.configuration["dimensions"], floor.configuration["network"]["embedding_size"]
    if dimensions != size:
        unequal["dimensions"] = f"the frozen features keep the network's {dimensions}, embeddings have {size}."
    few = {method: len(points) for method in plan.methods if len(points := plan.points(method)) < plan.trials}
    if few and len({len(plan.points(method)) for method in plan.methods}) > 1:
        unequal["effort"] = ", ".join(f"{method} has only {n} points to try" for method, n in few.items()) + "."
    return records.compare(rows, unequal=unequal, root=root)


def report(comparison: records.Comparison, title: str) -> str:
    """All tables and what they say, as a Markdown page."""
    seen_from = dict.fromkeys([best_by(comparison, "recall_at_1"), *{"softtriple"} & comparison.rows.keys()])
    views = [f"## Differences from {over}\n\n{comparison.differences(over, COLUMNS)}\n" for over in seen_from]
    tables = f"{comparison.table(COLUMNS)}\n\n{verdict(comparison)}\n\n" + "\n".join(views)
    return f"# {title}\n\n{tables}\n## Settings that each search chose\n\n{comparison.settings()}\n"


def verdict(comparison: records.Comparison) -> str:
    """Which losses cannot be told apart from the best, by each measure and by both, in plain sentences."""
    rows, trained = comparison.rows, trained_rows(comparison)
    seeds, said, near = len(rows[trained[0]].runs), [], []
    for figure, title in COLUMNS.items():
        best = best_by(comparison, figure)
        found = comparison.tested(best, COLUMNS)
        close = [row for row in trained if row != best and not found[row][figure].told_apart]
        near.append({best, *close})
        said.append(f"By {title}, {best} has the highest mean; not told apart from it: {', '.join(close) or 'none'}.")
        if below := [row for row in trained if mean(rows[row], figure) <= mean(rows[FLOOR], figure)]:
            said.append(f"No higher than the features before any training: {', '.join(below)}.")
    if seeds < 2:
        return "One seed tells no loss apart from another: run more."
    both = [row for row in trained if all(row in some for some in near)]
    said.append(f"Not told apart from the best by either measure: {', '.join(both) or 'none'}.")
    tests = f"Paired t-tests over {seeds} seeds, adjusted by Holm, 5 percent"
    return f"{' '.join(said)} ({tests}. What is not told apart is not shown to be alike: more seeds may tell.)"


def trained_rows(comparison: records.Comparison) -> list[str]:
    """All rows but the floor."""
    return [title for title in comparison.rows if title != FLOOR]


def best_by(comparison: records.Comparison, figure: str) -> str:
    """The row that trains and has the highest mean of a figure; the first of equals."""
    return max(trained_rows(comparison), key=lambda row: mean(comparison.rows[row], figure))


def mean(record: records.Record, figure: str) -> float:
    """Of a figure over the seeds."""
    return records.interval(record.values(figure))[0]


def draw(comparison: records.Comparison, path: Path) -> str:
    """Draw every seed's figures, one row a loss; returns in words what is shown, or nothing without matplotlib."""
    try:
        import matplotlib.pyplot as plt

        from dmlbook.book import png, score_figure, use_style
    except ImportError as error:
        print(f"no figure is drawn: {error}; pip install matplotlib")
        return ""
    values = {title: {row: r.values(key) for row, r in comparison.rows.items()} for key, title in COLUMNS.items()}
    best = best_by(comparison, "recall_at_1")
    with plt.rc_context():  # whoever calls this keeps a style of their own
        use_style()
        figure, alt = score_figure(values, title=f"{best} has the highest mean R@1")
        picture = png(figure, dpi=200)
    with whole(path) as unfinished:
        unfinished.write_bytes(picture)
    return alt
