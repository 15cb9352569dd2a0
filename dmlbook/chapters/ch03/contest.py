"""The contest on merged birds: its tasks, a rate for each rival by one search, floors, and a table of scores."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dmlbook import datasets, nets
from dmlbook._checks import above, at_least, bad_input, between, check_filled, check_lengths, checked, finite
from dmlbook.chapters.ch03 import merged
from dmlbook.datasets.image_set import ImageSet
from dmlbook.records import interval
from dmlbook.seeding import SEED, generator

Scores = dict[str, list[float]]
"""For each measure a score a seed."""


class Tasks(NamedTuple):
    """The pictures to train on; a task to choose settings by, within these species; and the task proper."""

    pictures: ImageSet
    choose: merged.Task
    final: merged.Task


@checked(num_species=between(6, 1000), images_per_species=between(2, 1000), directions=at_least(1))
def bird_tasks(num_species: int, images_per_species: int, directions: int) -> Tasks:
    """Easily drawn birds, half of the species to train on; a fifth of these is held out where settings are chosen.

    Args:
        num_species: Those to train on and those to test on together.
        images_per_species: Of each.
        directions: See ``merged.make_task``.
    """
    drawn = {"difficulty": "easy", "num_species": num_species, "images_per_species": images_per_species}
    train, test = (datasets.load("birds", split, size=16, **drawn) for split in ("train", "test"))
    kept, held_out = datasets.split_classes(train, generator=generator(SEED, "validation"))
    return Tasks(train, *(merged.make_task(*pair, directions=directions) for pair in ((kept, held_out), (train, test))))


class Entry(NamedTuple):
    """What a rival reached: Recall@1 on the held-out species by learning rate, the best rate, and its scores."""

    tried: dict[float, float]
    rate: float
    scores: Scores


@checked(rates=above(0), seeds=finite, species_per_class=at_least(1))
def compete(
    tasks: Tasks,
    options: Mapping[str, object],
    *,
    seeds: Sequence[int],
    species_per_class: int,
    rates: Sequence[float] = (0.001, 0.01, 0.1, 1.0),
    steps: int = 200,
    hidden_units: int = 0,
) -> Entry:
    """Try the rates on the species held out for that, with two seeds; then train with the best, once a seed.

    Args:
        tasks: What to choose by, and what to measure on.
        options: The loss's name under ``"name"``, and its options; see ``merged.train``.
        seeds: See ``merged.trial``; the rates are tried with the first two.
        species_per_class: How many are merged into a class.
        rates: Learning rates of the map.
        steps: Of Adam.
        hidden_units: 0: a linear map.
    """
    check_filled(seeds=seeds, rates=rates)
    settled = {"species_per_class": species_per_class, "steps": steps, "hidden_units": hidden_units}
    tried = merged.try_rates(tasks.choose, options, rates, seeds=seeds[:2], **settled)
    rate = max(tried, key=tried.get)
    return Entry(tried, rate, scores(tasks.final, options, rate=rate, seeds=seeds, **settled))


@checked(rate=above(0), seeds=finite, species_per_class=at_least(1))
def scores(
    task: merged.Task,
    options: Mapping[str, object],
    *,
    rate: float,
    seeds: Sequence[int],
    species_per_class: int,
    steps: int = 200,
    hidden_units: int = 0,
) -> Scores:
    """Each of ``merged.measure``'s scores, once a seed: see ``merged.trial``."""
    check_filled(seeds=seeds)
    settled = {"species_per_class": species_per_class, "steps": steps, "hidden_units": hidden_units}
    runs = [merged.trial(task, options, rate=rate, seed=seed, **settled) for seed in seeds]
    return {measure: [run[measure] for run in runs] for measure in runs[0]}


@checked(rates=above(0), seeds=finite, species_per_class=at_least(1))
def search(
    tasks: Tasks,
    options: Mapping[str, object],
    grid: Mapping[str, Sequence[object]],
    *,
    rates: Sequence[float],
    seeds: Sequence[int],
    species_per_class: int,
    steps: int = 200,
) -> tuple[float, dict[str, object]]:
    """The rate, and one value of each of several options, with which the held-out species are retrieved best.

    Args:
        tasks: ``choose`` is what they are tried on, each with two seeds.
        options: The loss's name under ``"name"``, and the options that stay.
        grid: For each option the values to try: all combinations are.
        rates: Learning rates of the map, tried with each of them.
        seeds: The first two.
        species_per_class: How many are merged into a class.
        steps: Of Adam.
    """
    check_filled(seeds=seeds, rates=rates, grid=grid)
    settled = {"seeds": seeds[:2], "species_per_class": species_per_class, "steps": steps}
    found = {}
    for values in itertools.product(*grid.values()):
        changed = dict(zip(grid, values, strict=True))
        tried = merged.try_rates(tasks.choose, {**options, **changed}, rates, **settled)
        found |= {recall: (rate, changed) for rate, recall in tried.items()}
    if not found:
        raise bad_input("grid", "hold a value or more of each option", dict(grid), "Leave an option out instead.")
    return found[max(found)]


@checked(seeds=finite, hidden_units=at_least(0))
def floors(task: merged.Task, *, seeds: Sequence[int], hidden_units: int = 0) -> dict[str, Scores]:
    """What is retrieved without training: by the numbers as they are, and by the first map of each seed."""
    check_filled(seeds=seeds)
    sizes = (task.fit.values.shape[1], hidden_units, merged.EMBEDDING_SIZE)
    untrained = [merged.retrieved(task, nets.make_head(*sizes, seed=seed)) for seed in seeds]
    return {
        "the numbers": {measure: [score] for measure, score in merged.retrieved(task).items()},
        "the first map": {measure: [run[measure] for run in untrained] for measure in untrained[0]},
    }


@checked
def minus(first: Mapping[str, Sequence[float]], second: Mapping[str, Sequence[float]]) -> Scores:
    """Seed by seed, by how much the first is ahead, by each measure of the second.

    Example:
        >>> minus({"R@1": [0.75, 1.0]}, {"R@1": [0.25, 0.75]})
        {'R@1': [0.5, 0.25]}
    """
    missing = set(second) - set(first)
    if missing:
        raise bad_input("first", "have the measures of the second", sorted(first), f"Measure {sorted(missing)} too.")
    for measure in second:
        check_lengths(first=first[measure], second=second[measure])
    return {measure: [a - b for a, b in zip(first[measure], second[measure], strict=True)] for measure in second}


@checked
def table(rows: Mapping[str, Mapping[str, Sequence[float]]], measures: Sequence[str]) -> str:
    """Percent, mean and half of a 95 percent interval over seeds; a dot where a row has no such measure.

    Args:
        rows: For each name its scores, as fractions; one score alone has no interval.
        measures: The columns; a column's head stands in two lines, broken at the first space.

    Example:
        >>> print(table({"one": {"unseen R@1": [0.5, 0.52]}}, ["unseen R@1"]))
            unseen
            R@1
        one 51.0 ± 12.7
    """
    check_filled(rows=rows, measures=measures)
    heads = [(*measure.split(" ", 1), "")[:2] for measure in measures]
    lines = [["", *line] for line in zip(*heads, strict=True) if any(line)]
    for name, of_row in rows.items():
        lines.append([name, *(_cell(of_row[measure]) if measure in of_row else "." for measure in measures)])
    width = max(map(len, rows)) + 1
    return "\n".join(f"{line[0]:{width}}{''.join(f'{cell:12}' for cell in line[1:])}".rstrip() for line in lines)


def _cell(values: Sequence[float]) -> str:
    mean, half = interval(list(values))
    return f"{100 * mean:.1f}" + (f" ± {100 * half:.1f}" if len(values) > 1 else "")
