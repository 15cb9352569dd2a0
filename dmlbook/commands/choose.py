"""Searches settings for rival methods, the same grid for each, on held-out training data; then measures the chosen."""

from __future__ import annotations

import time
import tomllib
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from dmlbook import records
from dmlbook._checks import bad_input, check_choice, check_number, checked
from dmlbook.commands import common

ABOUT = """\
A plan says what is compared, as data/plans/cars.toml does:

  command = "train"            # or "kinds": what one run is
  [options]                    # of every run, as on that command's line
  data = "cars"
  [vary]                       # the grid, tried whole and by every method
  lr = [1e-4, 3e-4, 1e-3]
  [trial]                      # of the search alone: the share held out, how long, how many seeds
  validation = 0.2
  epochs = 2
  seeds = 1
  [final]                      # of the last measurement alone
  epochs = 5
  seeds = 3
  [methods.softmax]            # the rivals, and what each has of its own
  loss = "softmax"
  [methods.softtriple]
  loss = "softtriple"
  [methods.softtriple_k1]      # searches nothing: takes the settings that suited its rival
  loss = "softtriple"
  loss_option = {centers_per_class = 1}
  like = "softtriple"

First every trial of every method is run and written to data/results/choosing/; only then the chosen settings are
trained with all seeds and measured on what was held out, once, and written to data/results/. Each method has the same
number of trials of the same length, which is said before the work begins. Stopped and called again, it goes on.

examples
  python -m dmlbook choose data/plans/birds.toml
  python -m dmlbook choose data/plans/cars.toml --set weights=imagenet --set width_mult=1.0
  python -m dmlbook choose my_photos.toml --trials-only
"""

COMMANDS = ("train", "kinds")
TABLES = ("options", "vary", "trial", "final", "methods")
WORDS = ("command", "record", "by")


class _Parser(ArgumentParser):
    def error(self, message: str) -> None:
        raise bad_input("plan", "hold options of its command", message, "See the command's --help.")


@dataclass(frozen=True)
class Plan:
    """What is compared, and how it is searched.

    Attributes:
        name: Records are called ``name-method``, searches ``choosing/name-method``.
        module: The command that makes one run.
        by: The figure that decides in the search.
        options: Of all runs.
        vary: The grid.
        trial: Further options while searching.
        final: Further options of the last measurement.
        methods: The rivals' own options; ``like`` names another one, whose settings a method takes.
    """

    name: str
    module: ModuleType
    by: str
    options: dict
    vary: dict[str, list]
    trial: dict
    final: dict
    methods: dict[str, dict]

    def parsed(self, method: str, stage: Mapping[str, object], chosen: Mapping[str, object]) -> Namespace:
        """The options of one run; the later ones count.

        Raises:
            ValueError: The command has no such option, or the value is none for it.
        """
        own = {key: value for key, value in self.methods[method].items() if key != "like"}
        parser = _Parser()
        self.module.add_arguments(parser)
        return parser.parse_args(command_line({**self.options, **stage, **own, **chosen}))

    def searcher(self, method: str) -> str:
        """The method whose settings this one takes: itself, where it says nothing else."""
        return self.methods[method].get("like", method)

    def grid(self) -> list[dict]:
        """Every combination of the values to be tried."""
        from sklearn.model_selection import ParameterGrid

        return list(ParameterGrid(self.vary))


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("plan", help="a TOML file, see below")
    parser.add_argument(
        "--set", type=common.pair, action="append", default=[], metavar="KEY=VALUE", help="another option of all runs"
    )
    parser.add_argument("--trials-only", action="store_true", help="search, and leave the last measurement for later")


@checked
def run(options: Namespace) -> int:
    plan = read_plan(Path(options.plan), dict(options.set))
    grid, own = plan.grid(), [method for method in plan.methods if plan.searcher(method) == method]
    stages = {"trial": plan.trial, "final": plan.final}
    lines = [plan.parsed(method, plan.trial, chosen) for method in plan.methods for chosen in grid]
    last = [plan.parsed(method, plan.final, grid[0]) for method in plan.methods]
    for of_stage in (lines, last):  # all of it is read before any work is done
        _same(of_stage, plan.module.Study.READ_ONCE)
    seeds = {stage: common.seeds(given.get("seeds", 1)) for stage, given in stages.items()}
    print(
        f"{len(own)} methods x {len(grid)} trials x {len(seeds['trial'])} seeds on held-out training data, then "
        f"{len(plan.methods)} x {len(seeds['final'])} seeds",
        flush=True,
    )
    study, found = plan.module.Study(lines[0]), {}
    for method in own:
        found[method] = _search(plan, method, study, seeds["trial"])
        best = found[method].best()
        print(f"{method}: {best.title} of {len(grid)}, {plan.by} {records.percent(best.values(plan.by))}", flush=True)
        for name in found[method].edges():
            print(f"{method}: {name} lies at the edge of what was tried; widen the grid, for every method alike")
    if options.trials_only:
        return 0
    if any(getattr(lines[0], key) != getattr(last[0], key) for key in study.READ_ONCE):
        study = plan.module.Study(last[0])
    for method in plan.methods:
        _measure(plan, method, study, found[plan.searcher(method)], seeds["final"])
    return 0


def read_plan(path: Path, more: Mapping[str, object] = {}) -> Plan:
    """The plan that a TOML file holds, with ``more`` options of all runs.

    Raises:
        ValueError: The file is no TOML, or something in it is missing, unknown or contradicts the rest.
        OSError: It cannot be read.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise bad_input("plan", "be TOML", f"{path.name}: {error}", "See `choose --help`.") from error
    check_choice(choices=[*TABLES, *WORDS], **{f"{path.name}, {key!r}": key for key in content})
    for key in ("command", "options", "vary", "methods"):
        if not content.get(key):
            raise bad_input("plan", f"hold {key!r}", path.name, "See `choose --help` for one that is whole.")
    check_choice(choices=COMMANDS, command=content["command"])
    trial, final, methods = content.get("trial", {}), content.get("final", {}), content["methods"]
    if trial.get("validation") is None or "validation" in {**content["options"], **final}:
        remedy = "[trial] validation = 0.2: a search looks at training data that the last measurement does not."
        raise bad_input("plan", "hold a share for validation in [trial] alone", path.name, remedy)
    for name, values in content["vary"].items():
        if not isinstance(values, list) or not values:
            raise bad_input(f"vary.{name}", "be a list of values to try", repr(values), "Write [1e-4, 1e-3].")
        if clash := [where for where in methods if name in methods[where]]:
            remedy = "A setting is either searched or a method's own."
            raise bad_input(f"vary.{name}", "be nobody's own option", ", ".join(clash), remedy)
    for method, own in methods.items():
        rivals = [other for other in methods if "like" not in methods[other]]
        check_choice(choices=rivals, **{f"methods.{method}.like": own.get("like", rivals[0])})
    for stage in (trial, final):
        check_number(low=1, integer=True, seeds=stage.get("seeds", 1))
    module = import_module(f"dmlbook.commands.{content['command']}")
    options, by = {**content["options"], **more}, content.get("by", module.Study.BY)
    return Plan(content.get("record", path.stem), module, by, options, content["vary"], trial, final, methods)


def command_line(options: Mapping[str, object]) -> list[str]:
    """Options as they are typed: ``{"lr": 1e-3, "flip": False}`` is ``--lr 0.001 --no-flip``."""
    typed = []
    for key, value in options.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, bool):
            if key in ("standardize", "relatives", "same_padding"):  # these are there or not
                typed += [flag] if value else []
            else:
                typed.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, Mapping):
            typed += [word for name, each in value.items() for word in (flag, f"{name}={each}")]
        elif isinstance(value, list):
            typed += [flag, *map(str, value)]
        else:
            typed += [flag, str(value)]
    return typed


def _same(lines: list[Namespace], names: tuple[str, ...]) -> None:
    for name in names:
        if len({repr(getattr(options, name)) for options in lines}) > 1:
            got = sorted({repr(getattr(options, name)) for options in lines})
            raise bad_input(name, "be the same in all runs of a stage", ", ".join(got), "Write a plan for each.")


def _search(plan: Plan, method: str, study: object, seeds: list[int]) -> records.Search:
    """Run the trials that are not there yet."""
    lines = [(chosen, plan.parsed(method, plan.trial, chosen)) for chosen in plan.grid()]
    made = [study.record(options, None) for _, options in lines]
    shared = _shared([record.configuration for record in made])
    name = f"choosing/{plan.name.replace('/', '-')}-{method}"
    search = records.Search(name, f"Settings for {method}: {made[0].title}", shared, plan.vary, plan.by)
    try:
        former = records.load_search(name)
    except ValueError:
        former = search
    known = former.trials if former.configuration == shared else []
    for chosen, _ in lines:  # all of them, in the order of the grid
        runs = [run for trial in known if trial.configuration == chosen for run in trial.runs]
        search.trial(chosen).runs = [run for run in runs if run["seed"] in seeds]
    for chosen, options in lines:
        trial = search.trial(chosen)
        _run_missing(trial, study, options, seeds, search.save)
        print(f"{method}, {trial.title}: {plan.by} {records.percent(trial.values(plan.by))}", flush=True)
    return search


def _measure(plan: Plan, method: str, study: object, search: records.Search, seeds: list[int]) -> None:
    """Train with the settings chosen, and measure what was held out."""
    choice = search.choice(own=plan.searcher(method) == method)
    options = plan.parsed(method, plan.final, choice["settings"])
    record = study.record(options, f"{plan.name}-{method}")
    if record.choice != choice:
        record.choice = choice
        if record.runs:  # the search was widened and chose the same: nothing is run again
            record.save()
    _run_missing(record, study, options, seeds, record.save)
    print(f"{record.name}: {plan.by} {records.percent(record.values(plan.by))}", flush=True)


def _run_missing(
    record: records.Record, study: object, options: Namespace, seeds: list[int], save: Callable[[], Path]
) -> None:
    """Add the seeds that are not there yet, and save after each."""
    for seed in seeds:
        if seed not in record.seeds:
            start = time.perf_counter()
            figures = study.figures(options, seed)
            record.add(seed, figures, seconds=time.perf_counter() - start)
            save()


def _shared(configurations: list[dict]) -> dict:
    """What all of them say alike."""
    first, rest = configurations[0], configurations[1:]
    found = {}
    for key, value in first.items():
        if isinstance(value, dict) and all(isinstance(other.get(key), dict) for other in rest):
            found[key] = _shared([value, *(other[key] for other in rest)])
        elif all(other.get(key) == value for other in rest):
            found[key] = value
    return found
