"""Runs as rows of a table: for the eye, in blocks that can be compared, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dmlbook.records import interval, percent
from dmlbook.records.tables import word
from dmlbook.training.report import duration
from dmlbook.use.run_list import ListedRun, RunList

COLUMNS = {"recall_at_1": "R@1", "map_at_r": "MAP@R"}
SORTS = (
    "run", "data", "loss", "network", "dimensions", "epochs", "seeds", "recall_at_1", "map_at_r", "gain", "minutes",
    "state", "bytes", "changed",
)  # fmt: skip
LARGEST_FIRST = ("recall_at_1", "map_at_r", "gain", "changed")
GAIN = "recall_at_1"
HEAD = ("run", "loss", "network", "dim", "epochs", "seeds", *COLUMNS.values(), "gain", "time", "state", "size")
NONE = "-"
FEW = 3
"""Settings that differ from a recipe, and are named in the table; of more the number stands there."""


def report(found: RunList, *, sort: str = GAIN) -> str:
    """All runs as a table for the eye, in blocks that can be compared, and what could not be read.

    Args:
        found: What lies below some folders.
        sort: One of ``SORTS``.
    """
    blocks: dict[str, list[list[str]]] = {}
    called = titles(found.runs)
    for run in sorted(in_order(found.runs, sort), key=lambda run: called[block(run)]):  # stable: in order within one
        blocks.setdefault(called[block(run)], []).append(_cells(run))
    widths = [max(map(len, column)) for column in zip(HEAD, *(row for b in blocks.values() for row in b), strict=True)]
    lines = []
    for title, rows in blocks.items():
        padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (HEAD, *rows)]
        lines += [title, *(f"  {'  '.join(row)}".rstrip() for row in padded), ""]
    if not found.runs:
        lines += ["no runs there", ""]
    lines += [f"cannot be read: {folder}: {why}" for folder, why in found.damaged.items()]
    if found.unnamed:
        many = f"{found.unnamed} folder{'s hold' if found.unnamed > 1 else ' holds'}"
        lines.append(f"{many} checkpoints but no run.json (trials of a search, or `fit` in Python): not listed")
    return "\n".join(lines).rstrip()


def as_csv(runs: Sequence[ListedRun], *, sort: str = GAIN) -> str:
    """The table as CSV: fractions unrounded, empty where there is no number.

    Args:
        runs: Those of the table.
        sort: One of ``SORTS``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [row(run) for run in in_order(runs, sort)]
    writer.writerow(rows[0] if rows else SORTS)
    writer.writerows(each.values() for each in rows)
    return text.getvalue()


def in_order(runs: Sequence[ListedRun], sort: str) -> list[ListedRun]:
    """Sorted by a column of :func:`row`; those without a number last."""
    rows = {id(run): row(run)[sort] for run in runs}
    known = [run for run in runs if rows[id(run)] is not None]
    known.sort(key=lambda run: rows[id(run)], reverse=sort in LARGEST_FIRST)
    return known + [run for run in runs if rows[id(run)] is None]


def row(run: ListedRun) -> dict[str, object]:
    """All that is known of a run, by column; None where it is not known."""
    about, done, asked = run.about, *_epochs(run)
    found: dict[str, object] = {
        "run": run.name,
        "data": images(run),
        "measured_on": run.measured_on if about.get("data") else None,
        "loss": loss(about),
        "network": network(about),
        "dimensions": about.get("net", {}).get("embedding_size"),
        "epochs": done,
        "epochs_asked": asked,
        "seeds": len(run.seeds),
        "seeds_finished": run.states.count("finished"),
    }
    for key, values in {**{key: run.values(key) for key in COLUMNS}, "gain": run.gains(GAIN)}.items():
        mean, half = interval(values) if values else (None, None)
        found |= {key: mean, f"{key}_half": half if len(values) > 1 else None}
    seconds = [sum(epoch.get("seconds", 0.0) for epoch in seed.history) for seed in run.seeds]
    changed = max(seed.changed for seed in run.seeds)
    return found | {
        "minutes": sum(seconds) / len(seconds) / 60,
        "state": run.state,
        "bytes": sum(seed.bytes for seed in run.seeds),
        "changed": datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds"),
    }


def block(run: ListedRun) -> tuple[str, str, str]:
    """What figures of a run can be compared with: the same images, split alike, and what was measured of them."""
    if not run.about.get("data"):
        return "", "", ""
    return images(run, whole=True), run.measured_on, str(run.about["data"].get("split_sha256", ""))


def titles(runs: Sequence[ListedRun]) -> dict[tuple[str, str, str], str]:
    """What each block is called: with whole paths, and digests of files of splits, where it needs them to be told."""
    found: dict[tuple[str, str, str], str] = {}
    short = {block(run): f"{images(run)}, measured on {run.measured_on}" for run in runs}
    for (whole, measured_on, digest), title in short.items():
        same = [other for other, called in short.items() if called == title]
        folder = whole if len({other[0] for other in same}) > 1 else title.removesuffix(f", measured on {measured_on}")
        file = f" ({digest[:8]})" if len({other[2] for other in same}) > 1 else ""
        told = f"{folder}, measured on {measured_on}{file}"
        found[whole, measured_on, digest] = told if whole else "images that an older version did not note"
    return found


def images(run: ListedRun, *, whole: bool = False) -> str:
    """Which images a run was trained on, in words.

    Args:
        run: Of one seed or more.
        whole: Whether to name the whole path of a folder of the reader's own.
    """
    data = run.about.get("data", {})
    root = data.get("root") if data.get("data") == "folder" else None
    name = data.get("data") if root is None else root if whole else Path(root).name
    options = [f"{key}={word(value)}" for key, value in data.get("data_option", [])]
    return ", ".join([str(name), f"{data.get('size')} px", *options])


def loss(about: Mapping) -> str:
    """The recipe and what was asked for otherwise, or the loss with the options that were given."""
    if recipe := about.get("recipe"):
        recipe = recipe if isinstance(recipe, Mapping) else {"name": recipe}
        other = [str(name) for name in recipe.get("but_for", [])]
        told = ", ".join(other) if len(other) <= FEW else f"{len(other)} settings"
        return f"{recipe.get('name', NONE)}{f' but for {told}' if other else ''}"
    options = [f"{key}={word(value)}" for key, value in about.get("loss_options", {}).items()]
    return " ".join([str(about.get("loss", NONE)), *options])


def network(about: Mapping) -> str:
    """Its name and width, and whether the last layer alone was trained."""
    net = about.get("net", {})
    width = net.get("width_mult", 1.0)
    parts = [str(net.get("name", NONE)), "" if width == 1 else f"{width:g}"]
    return " ".join(filter(None, [*parts, "frozen" if about.get("config", {}).get("freeze_backbone") else ""]))


def _epochs(run: ListedRun) -> tuple[int, int]:
    """Of the seed that is least far."""
    return min(seed.epochs[0] for seed in run.seeds), max(seed.epochs[1] for seed in run.seeds)


def _cells(run: ListedRun) -> list[str]:
    known, done = row(run), run.states.count("finished")
    figures = [percent(values) if (values := run.values(key)) else NONE for key in COLUMNS]
    gains = run.gains(GAIN)
    gain = f"{100 * known['gain']:+.1f}" if gains else NONE
    gain += f" ± {100 * known['gain_half']:.1f}" if len(gains) > 1 else ""
    seeds = str(len(run.seeds)) if done == len(run.seeds) else f"{done}/{len(run.seeds)}"
    state = (
        ", ".join(f"{run.states.count(s)} {s}" for s in dict.fromkeys(run.states)) if seeds != str(done) else run.state
    )
    epochs = f"{known['epochs']}/{known['epochs_asked']}"
    size = f"{known['bytes'] / 1e6:.1f} MB"
    told = [run.name, known["loss"], known["network"], str(known["dimensions"] or NONE), epochs, seeds]
    return [*told, *figures, gain, duration(60 * known["minutes"]), state, size]
