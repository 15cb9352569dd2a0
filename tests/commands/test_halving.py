"""A halving search: the better half goes on from its checkpoints, and nothing shows whether it was ever stopped."""

from __future__ import annotations

import json
import math
import shutil
from typing import ClassVar

import pytest

from dmlbook import records, settings
from dmlbook.__main__ import main
from dmlbook.commands import choose as choose_command
from dmlbook.commands import plans, trials
from dmlbook.commands import train as train_command
from dmlbook.seeding import SEED

PLAN = """
command = "train"
record = "few"
[options]
data = "digits"
milestones = []
embedding_size = 8
batch_size = 64
[search]
trials = 5
rungs = [1, 2, 4]
[vary]
lr = {low = 1e-4, high = 1e-2}
[trial]
validation = 0.4
[final]
seeds = 2
[methods.softmax]
loss = "softmax"
[methods.softtriple]
loss = "softtriple"
[methods.softtriple.vary]
loss_option.gamma = {low = 0.02, high = 0.5}
[methods.one_as_many]
loss = "softtriple"
loss_option = {centers_per_class = 1}
like = "softtriple"
"""


class Study(train_command.Study):
    """In place of training: a score that lr and length decide, and a list of what was run."""

    runs: ClassVar[list[tuple]] = []

    def figures(self, options, seed):
        stage = "search" if options.validation else "final"
        self.runs.append((stage, options.loss, options.lr, options.epochs, options.folder, seed))
        score = 0.5 - abs(math.log10(options.lr / 1e-3)) / 10 + 0.01 * min(options.epochs, 2)
        return {"recall_at_1": score, "map_at_r": 0.1}


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr(train_command, "Study", Study)
    monkeypatch.setattr(Study, "runs", [])


pytestmark = pytest.mark.usefixtures("few_digits")


def choose(tmp_path, text=PLAN, *more) -> int:
    (tmp_path / "few.toml").write_text(text)
    return main(["choose", str(tmp_path / "few.toml"), "--folder", str(tmp_path / "runs"), *more])


def search(tmp_path, method="softmax") -> records.Search:
    return records.load_search(f"choosing/few-{method}", tmp_path / "results")


def test_the_better_half_goes_on_and_each_method_ends_at_its_own_settings_and_length(tmp_path, stand_in, capsys):
    assert choose(tmp_path) == 0
    plan = plans.read_plan(tmp_path / "few.toml")
    for method in ("softmax", "softtriple"):
        lrs = {point["lr"]: abs(math.log10(point["lr"] / 1e-3)) for point in plan.points(method)}
        order = sorted(lrs, key=lrs.get)
        ran = [run[2:4] for run in Study.runs if run[:2] == ("search", method)]
        expected = [(lr, 1) for lr in lrs]
        expected += [(lr, 2) for lr in lrs if lr in order[:3]] + [(lr, 4) for lr in lrs if lr in order[:2]]
        assert ran == expected
        found = search(tmp_path, method)
        assert found.best().configuration["lr"] == order[0]
        assert found.best().configuration["epochs"] == 2  # 4 score the same
        assert found.space == plan.space(method)
        assert found.points() == plan.points(method)
        record = records.load(f"few-{method}", tmp_path / "results")
        assert record.choice["rungs"] == [1, 2, 4]
        assert (record.choice["trials"], record.choice["epochs"]) == (5, 2)
        assert record.configuration["training"]["epochs"] == 2
        assert "lr" not in found.configuration["training"]
    last = [(run[1], run[5]) for run in Study.runs if run[0] == "final"]
    one = ["softmax", "softtriple", "softtriple"]  # the last one with a single center
    assert last == [(loss, SEED + n) for n in range(2) for loss in one]  # a stopped run leaves as many seeds of each
    assert records.load("few-one_as_many", tmp_path / "results").choice["own"] is False
    assert all(run[4] is None for run in Study.runs if run[0] == "final")
    said = capsys.readouterr().out
    assert "2 methods x 1 seeds x trials (5 for 1 epoch, the better 3 for 2 epochs, the better 2 for 4 epochs)" in said
    assert "then 3 x 2 seeds for 4 epochs or fewer: 48 epochs in all, at most" in said
    assert "softmax, trial 2 of 5: lr" in said
    assert "(less than a minute left)" in said


def test_what_is_there_is_not_run_again_and_processes_may_share_a_plan(tmp_path, stand_in):
    assert choose(tmp_path, PLAN, "--only", "softtriple", "one_as_many") == 0
    assert {run[1] for run in Study.runs} == {"softtriple"}
    assert not (tmp_path / "results/few-softmax.json").exists()
    assert len(Study.runs) == 10 + 4
    assert choose(tmp_path, PLAN, "--only", "softmax") == 0
    assert len(Study.runs) == 2 * 10 + 6
    assert choose(tmp_path) == 0
    assert len(Study.runs) == 2 * 10 + 6
    assert choose(tmp_path, PLAN, "--only", "softmux") == 1


def test_a_wider_range_is_searched_anew_and_what_was_tried_before_is_kept(tmp_path, stand_in):
    assert choose(tmp_path, PLAN, "--only", "softmax") == 0
    before, count = search(tmp_path), len(Study.runs)
    wide = PLAN.replace("high = 1e-2", "high = 1e-1")
    assert choose(tmp_path, wide, "--only", "softmax", "--trials-only") == 0
    after = search(tmp_path)
    assert len(after.points()) == 5
    assert len(Study.runs) == count + 10
    assert [entry["trials"] for entry in after.before] == [before.to_dict()["trials"]]
    assert after.before[0]["space"] == {"lr": {"low": 1e-4, "high": 1e-2, "log": True, "integer": False}}
    assert after.best() in after.trials
    assert choose(tmp_path, wide, "--only", "softmax", "--trials-only") == 0
    assert search(tmp_path).before == after.before
    assert choose(tmp_path, PLAN, "--only", "softmax", "--trials-only") == 0  # back: what is on record is not run again
    assert len(Study.runs) == count + 10
    again = search(tmp_path)
    assert figures(again) == figures(before)
    assert [entry["space"]["lr"]["high"] for entry in again.before] == [1e-1]


def trained(tmp_path, text=PLAN):
    """The search for softmax alone, truly trained."""
    return choose(tmp_path, text, "--only", "softmax", "--trials-only")


def figures(found: records.Search) -> list:
    return [(trial.configuration, run["seed"], run["figures"]) for trial in found.trials for run in trial.runs]


SMALL = PLAN.replace("trials = 5", "trials = 3").replace("rungs = [1, 2, 4]", "rungs = [1, 2]")


@pytest.mark.slow
def test_a_search_that_was_stopped_between_rungs_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    whole, stopped, bare = (tmp_path / name for name in ("whole", "stopped", "bare"))
    for folder in (whole, stopped, bare):
        folder.mkdir()
    train_figures, left = train_command.Study.figures, [99]

    def interrupted(self, options, seed):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return train_figures(self, options, seed)

    monkeypatch.setattr(train_command.Study, "figures", interrupted)
    monkeypatch.setattr(settings, "results_root", lambda: whole / "results")
    assert trained(whole, SMALL) == 0
    expected = search(whole)
    assert not (whole / "runs").exists() or not list((whole / "runs").rglob("*.pt"))

    left[0] = 3
    monkeypatch.setattr(settings, "results_root", lambda: stopped / "results")
    assert trained(stopped, SMALL) == 130
    kept = sorted(path.relative_to(stopped / "runs") for path in (stopped / "runs").rglob("*.pt"))
    going = [expected.points().index(point) + 1 for point in expected.promoted(1)]
    of_both = [path for path in kept if path.parts[2] in {f"trial-{number}" for number in going}]
    assert len(of_both) == 2  # one checkpoint of each, to go on from
    assert [path.name for path in of_both] == ["checkpoint-00001-0000000.pt"] * 2
    shutil.copytree(stopped / "results", bare / "results")
    left[0] = 99
    assert trained(stopped, SMALL) == 0
    assert figures(search(stopped)) == figures(expected)  # bit for bit
    assert not list((stopped / "runs").rglob("*")) or not (stopped / "runs").exists()

    monkeypatch.setattr(settings, "results_root", lambda: bare / "results")  # no checkpoint is left: from nothing
    assert trained(bare, SMALL) == 0
    assert figures(search(bare)) == figures(expected)

    plan = plans.read_plan(whole / "few.toml")
    best = expected.promoted(1)[0]
    options = plan.parsed("softmax", plan.trial, {**best, "epochs": 2})  # and trained at once
    at_once = train_figures(train_command.Study(options), options, SEED)
    assert expected.trial({**best, "epochs": 2}).runs[0]["figures"] == at_once


@pytest.mark.parametrize(
    ("change", "kept"),
    [({}, True), ({"epochs": 2}, False), ({"settings": {"lr": 1}}, False), ({"configuration": {}}, False)],
)
def test_a_folder_of_another_trial_or_of_a_longer_run_is_not_gone_on_from(
    change, kept, tmp_path, stand_in, monkeypatch
):
    assert trained(tmp_path) == 0
    found, place = search(tmp_path), tmp_path / "runs/few/softmax/trial-1"
    (tmp_path / "results/choosing/few-softmax.json").unlink()
    place.mkdir(parents=True)
    (place / "checkpoint.pt").write_bytes(b"")
    mark = {"settings": found.points()[0], "configuration": found.configuration, "epochs": 1}
    (place / trials.MARK).write_text(json.dumps(mark | change))
    seen, figures_of = [], Study.figures
    monkeypatch.setattr(Study, "figures", lambda *a: seen.append((place / "checkpoint.pt").exists()) or figures_of(*a))
    assert trained(tmp_path) == 0
    assert seen[0] is kept
    assert not place.exists()


def test_nothing_is_removed_that_no_trial_has_marked(tmp_path, stand_in):
    done, mine = tmp_path / "runs/few/softmax/trial-1", tmp_path / "runs/few/softmax/mine"
    assert trained(tmp_path) == 0
    for folder in (done, mine):
        folder.mkdir(parents=True)
        (folder / "mine.txt").write_text("mine")
    assert trained(tmp_path) == 0  # nothing is missing, so nothing is marked
    assert [(folder / "mine.txt").exists() for folder in (done, mine)] == [True, True]
    (done / trials.MARK).write_text("{}")
    assert trained(tmp_path) == 0
    assert [(folder / "mine.txt").exists() for folder in (done, mine)] == [False, True]


def test_how_much_work_a_plan_is_and_what_is_missing_is_known_before_any_of_it(tmp_path, stand_in):
    (tmp_path / "few.toml").write_text(PLAN)
    plan = plans.read_plan(tmp_path / "few.toml")
    work = choose_command.Work(plan, tmp_path / "runs", tmp_path / "elsewhere", only=["one_as_many"])
    assert work.effort().startswith("1 methods x 1 seeds x trials (5 for 1 epoch, the better 3 for 2 epochs")
    assert work.limit == (5 + 3 + 2 * 2) + 2 * 4
    assert work.searchers == ["softtriple"]
    begun = trials.Trials(plan, "softtriple", Study(work.lines["trial"][0]), [SEED], work.folder, work.root)
    assert [trial.configuration for trial in begun.search.trials] == [{**p, "epochs": 1} for p in begun.points]
    assert not any(trial.runs for trial in begun.search.trials)
    work.measure(work.search())
    assert work.runner.left == 0
    assert records.load("few-one_as_many", tmp_path / "elsewhere").seeds == [SEED, SEED + 1]
    assert not (tmp_path / "results").exists()
    again = trials.Trials(plan, "softtriple", Study(work.lines["trial"][0]), [SEED], work.folder, work.root)
    assert all(trial.runs for trial in again.search.trials)


def test_the_time_left_is_what_the_rest_will_take_at_the_pace_so_far():
    runner = trials.Runner(left=100)
    assert runner.outlook() == ""
    runner.epochs, runner.seconds, runner.left = 10, 1200, 90
    assert runner.outlook() == " (about 3 hours left)"
    runner.left = 5
    assert runner.outlook() == " (about 10 min left)"
    runner.left = 0
    assert runner.outlook() == " (less than a minute left)"


def test_what_all_configurations_say_alike_is_kept():
    a, b = {"loss": "a", "inner": {"x": 1, "y": 2}}, {"loss": "b", "inner": {"x": 1, "y": 3}, "more": 1}
    assert trials.common_part([a, b]) == {"inner": {"x": 1}}
    assert trials.common_part([a]) == a
