"""Runs as records: what a folder says of a run, in the form that stored results have."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from dmlbook._checks import bad_input, checked
from dmlbook.records import Record, described
from dmlbook.training import checkpoints
from dmlbook.training.identity import HOW
from dmlbook.use.run_folders import ABOUT
from dmlbook.use.run_list import ListedRun, find_runs


@checked
def as_record(run: ListedRun) -> Record:
    """A run as the record that ``train --record`` would have saved of it, of the seeds that are finished.

    Where and with which versions it ran, its folder does not say: ``provenance`` is empty.

    Raises:
        ValueError: No seed is finished, its images or settings are not named, or its last checkpoint is damaged.

    Example:
        ``records.beside(stored, {run.name: as_record(run) for run in find_runs().runs})``
    """
    finished = [seed for seed in run.seeds if seed.state == "finished"]
    if not finished:
        remedy = "Give the command that trained it again: it goes on where it was."
        raise bad_input("run", "have a seed that is trained and measured", f"{run.name}, {run.state}", remedy)
    about = finished[0].about
    if not about.get("data"):
        raise bad_input("run", "say which images it was trained on", f"{run.name}, of an older version", "Train again.")
    if not (kept := checkpoints.find(finished[0].folder)):
        raise bad_input("run", "have a checkpoint", f"{run.name} without one", "Train it again.")
    try:
        record = _record(run, about, checkpoints.load(kept[-1], tensors=False)["run"])
        for seed in finished:
            record.add(seed.seed, seed.figures, seconds=sum(epoch["seconds"] for epoch in seed.history))
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        got = f"{run.name}, which does not ({type(error).__name__}: {error})"
        raise bad_input(
            "run", f"say in its {ABOUT} and checkpoint all of its settings", got, "Train it again."
        ) from error
    return record


@checked
def own_records(folders: Sequence[str | os.PathLike] = ("runs",)) -> tuple[dict[str, Record], dict[str, str]]:
    """The finished runs below some folders as records, to be put beside stored ones, and why the others are none.

    Folders that are not there hold no runs.

    Returns:
        Records by the names of their runs; and by name, why a run is not among them.
    """
    listed = find_runs([folder for folder in folders if Path(folder).is_dir()])
    found, left = {}, dict(listed.damaged)
    for run in listed.runs:
        try:
            found[run.name] = as_record(run)
        except (ValueError, OSError) as error:
            left[run.name] = str(error)
    return found, left


_REMEDY = "Name the folder of a run"


def _record(run: ListedRun, about: Mapping, of_run: Mapping) -> Record:
    """The record without its runs."""
    network = described(about["net"])
    data, loss, size = about["data"], about["loss"], network["embedding_size"]
    configuration = {
        "data": data["data"],
        "size": data["size"],
        "data_options": dict(data["data_option"]),
        "training_images": of_run["train_set.shape"][0],
        "training_classes": of_run["train_set.classes"],
        "measured_on": run.measured_on,
        **run.split,
        **{key: about[key] for key in ("recipe",) if key in about},
        "loss": loss,
        "loss_options": about["loss_options"],
        **{key: about[key] for key in ("miner", "miner_options") if key in about},
        "network": network,
        "training": {key: value for key, value in about["config"].items() if key not in ("seed", *HOW)},
    }
    return Record(run.name, f"{loss} on {data['data']}, {size} dimensions, {network['name']}", configuration)
