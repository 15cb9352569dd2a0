"""Searches settings for rival methods with one budget, on held-out training data; then measures the chosen."""

from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from dmlbook import records
from dmlbook._checks import bad_input, check_choice, checked
from dmlbook.commands import common
from dmlbook.commands.plans import Plan, read_plan
from dmlbook.commands.trials import Runner, Trials

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

A grid is the same for all. Where rivals have settings of their own, a plan with [search] draws as many points for each:

  [search]
  trials = 8                   # points of the method's own space, spread evenly and known beforehand
  rungs = [1, 2, 4]            # all are trained for 1 epoch, the better half for 2, the better half of these for 4
  [vary]
  lr = {low = 1e-4, high = 1e-2}       # all numbers between, by factors; log = false and integer = true are possible
  batch_size = [32, 64, 128]           # choices
  [methods.softtriple.vary]            # of this method alone
  loss_option.gamma = {low = 0.02, high = 0.5}

Epochs are then a setting, too, within the same limit: they are said nowhere else, and rates must be constant over them
(milestones = [99]). `methods_of = "field"` takes rivals and ranges from the package (dmlbook/commands/field.toml); what
the plan says of one, or fixes in [options], wins, and `leave_out = ["npairs"]` drops some. `partial = true` says that
the records are still being made.

First every trial of every method is run and written to data/results/choosing/; only then the chosen settings are
trained with all seeds and measured on what was held out, once, and written to data/results/. Each method has the same
number of trials of the same length, which is said before the work begins. Stopped and called again, it goes on.

examples
  python -m dmlbook choose data/plans/birds.toml
  python -m dmlbook choose data/plans/cars.toml --set weights=imagenet --set width_mult=1.0
  python -m dmlbook choose my_photos.toml --trials-only
  python -m dmlbook choose my_photos.toml --only softmax softtriple      (another process does the others)
"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("plan", help="a TOML file, see below")
    parser.add_argument(
        "--set", type=common.pair, action="append", default=[], metavar="KEY=VALUE", help="another option of all runs"
    )
    parser.add_argument("--only", nargs="+", metavar="METHOD", help="only these of the plan: processes may share it")
    parser.add_argument("--replace", action="store_true", help="throw away records of other settings")
    parser.add_argument("--trials-only", action="store_true", help="search, and leave the last measurement for later")
    parser.add_argument(
        "--folder", default="runs/choose", help="where trials that may go on keep checkpoints (default: runs/choose)"
    )


@checked
def run(options: Namespace) -> int:
    work = Work(
        read_plan(Path(options.plan), dict(options.set)),
        Path(options.folder),
        only=options.only,
        replace=options.replace,
    )
    print(work.effort(), flush=True)
    found = work.search()
    if not options.trials_only:
        work.measure(found)
    return 0


class Work:
    """What a plan asks for, done as far as it is not there yet; all of it is read before any of it begins.

    Args:
        plan: What is compared, and how.
        folder: Where trials that may go on keep their checkpoints.
        root: Where records are read and written; None: ``data/results``.
        only: These methods alone; None: all.
        replace: Whether records of other settings may be thrown away.

    Raises:
        ValueError: Something in the plan will not do, or ``only`` names no method of it.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        root: Path | None = None,
        only: Sequence[str] | None = None,
        *,
        replace: bool = False,
    ) -> None:
        check_choice(choices=list(plan.methods), **{f"--only {name!r}": name for name in only or ()})
        self.plan, self.root, self.replace = plan, root, replace
        self.folder = folder / plan.name.replace("/", "-")
        self.methods = [method for method in plan.methods if only is None or method in only]
        for method in self.methods:
            common.check_record(f"{plan.name}-{method}", root, flag="plan")
        self.searchers = list(dict.fromkeys(plan.searcher(method) for method in self.methods))
        self.stages = {"trial": plan.trial, "final": plan.final}
        self.seeds = {name: common.seeds(stage.get("seeds", 1)) for name, stage in self.stages.items()}
        self.lines = {
            name: [plan.parsed(method, stage, point) for method in plan.methods for point in plan.points(method)]
            for name, stage in self.stages.items()
        }
        for lines in self.lines.values():
            _same(lines, plan.module.Study.READ_ONCE)
        self.limit = self._epochs()
        self.runner = Runner(self.limit)

    def effort(self) -> str:
        """How much work it is, in one line, whatever of it was done before."""
        plan, (trial, final) = self.plan, map(len, self.seeds.values())
        last = f"then {len(self.methods)} x {final} seeds"
        if not plan.rungs:
            size = f"{len(self.searchers)} methods x {len(plan.points(self.searchers[0]))} trials x {trial} seeds"
            return f"{size} on held-out training data, {last}"
        left, parts = plan.trials, []
        for epochs in plan.rungs:
            parts.append(f"{left} for {epochs} epoch{'s' * (epochs > 1)}")
            left = math.ceil(left / 2)
        size = f"{len(self.searchers)} methods x {trial} seeds x trials ({', the better '.join(parts)})"
        total = f"{self.limit:g} epochs in all, at most"
        return f"{size} on held-out training data, {last} for {plan.rungs[-1]} epochs or fewer: {total}"

    def search(self) -> dict[str, records.Search]:
        """Every trial that is not there yet, method by method; nothing that is measured last is looked at."""
        plan, found = self.plan, {}
        self.study = plan.module.Study(self.lines["trial"][0])
        begun = {m: Trials(plan, m, self.study, self.seeds["trial"], self.folder, self.root) for m in self.searchers}
        for method, trials in begun.items():
            found[method] = trials.run(self.runner)
            best = found[method].best()
            shown = records.percent(best.values(plan.by))
            print(f"{method}: {best.title} of {len(trials.points)}, {plan.by} {shown}", flush=True)
            for name in found[method].edges():
                remedy = "widen its range" if plan.rungs else "widen the grid, for every method alike"
                print(f"{method}: {name} lies at the edge of what was tried; {remedy}")
        return found

    def measure(self, found: Mapping[str, records.Search]) -> dict[str, records.Record]:
        """Train with the settings chosen, and measure what was held out: seed by seed, each with all methods."""
        plan, study, (trial, *_), (final, *_) = self.plan, self.study, *self.lines.values()
        if any(getattr(trial, key) != getattr(final, key) for key in study.READ_ONCE):
            study = plan.module.Study(final)
        last = {method: self._last(method, study, found[plan.searcher(method)]) for method in self.methods}
        for seed in self.seeds["final"]:
            for record, options in last.values():
                _run_last(self, record, study, options, seed)
        for record, _ in last.values():
            print(f"{record.name}: {plan.by} {records.percent(record.values(plan.by))}", flush=True)
        return {method: record for method, (record, _) in last.items()}

    def _last(self, method: str, study: object, search: records.Search) -> tuple[records.Record, Namespace]:
        plan = self.plan
        choice = search.choice(own=plan.searcher(method) == method)
        options = plan.parsed(method, plan.final, choice["settings"])
        made = study.record(options, None)
        record = common.continued(
            f"{plan.name}-{method}", made.title, made.configuration, self.root, replace=self.replace
        )
        if record.choice != choice:
            record.choice = choice
            if record.runs:  # the search was widened and chose the same: nothing is run again
                record.save(self.root)
        return record, options

    def _epochs(self) -> float:
        """How many epochs all of it trains, if every method chooses the longest; a run of unknown length counts one."""
        plan, (trial, final) = self.plan, map(len, self.seeds.values())
        if not plan.rungs:
            lines = [plan.parsed(m, plan.trial, point) for m in self.searchers for point in plan.points(m)]
            last = [plan.parsed(m, plan.final, plan.points(m)[0]) for m in self.methods]
            return trial * sum(options.epochs or 1 for options in lines) + final * sum(o.epochs or 1 for o in last)
        total = 0
        for method in self.searchers:
            left, before = len(plan.points(method)), 0
            for epochs in plan.rungs:
                total, before, left = total + left * (epochs - before), epochs, math.ceil(left / 2)
        return trial * total + final * len(self.methods) * plan.rungs[-1]


def _run_last(work: Work, record: records.Record, study: object, options: Namespace, seed: int) -> None:
    length = options.epochs or 1
    longest = work.plan.rungs[-1] if work.plan.rungs else length
    work.runner.run(
        record,
        study,
        options,
        [seed],
        lambda: record.save(work.root),
        title=record.name,
        epochs=length,
        at_most=longest,
    )


def _same(lines: list[Namespace], names: tuple[str, ...]) -> None:
    for name in names:
        if len({repr(getattr(options, name)) for options in lines}) > 1:
            got = sorted({repr(getattr(options, name)) for options in lines})
            raise bad_input(name, "be the same in all runs of a stage", ", ".join(got), "Write a plan for each.")
