"""One command searches settings for rivals with one budget, and measures what was held out once, afterwards."""

from __future__ import annotations

from typing import ClassVar

import pytest

from dmlbook import records, settings
from dmlbook.__main__ import main
from dmlbook.commands import common, plans
from dmlbook.commands import train as train_command
from dmlbook.seeding import SEED

PLAN = """
command = "train"
record = "few"
[options]
data = "birds"
[vary]
lr = [1e-3, 1e-2, 1e-1]
freeze_batch_norm = [true, false]
[trial]
validation = 0.2
epochs = 2
seeds = 2
[final]
epochs = 3
seeds = 3
[methods.softmax]
loss = "softmax"
[methods.softtriple]
loss = "softtriple"
loss_option = {centers_per_class = 4}
[methods.one_as_many]
loss = "softtriple"
loss_option = {centers_per_class = 1}
like = "softtriple"
"""


class Study:
    """In place of training: a score that each loss's options decide, and a list of what was run."""

    READ_ONCE = train_command.Study.READ_ONCE
    BY = train_command.Study.BY
    runs: ClassVar[list[tuple]] = []
    record = train_command.Study.record

    def __init__(self, options):
        self.train_set = common.load_images(options, "train")
        self.stage = "search" if options.validation else "final"
        self.measured_on = "0.2 of the training classes" if options.validation else "test classes"

    def figures(self, options, seed):
        self.runs.append((self.stage, options.loss, options.lr, options.freeze_batch_norm, options.epochs, seed))
        best = {"softmax": 1e-2, "softtriple": 1e-3}[options.loss]
        return {"recall_at_1": 0.5 - abs(best - options.lr) - 0.1 * options.freeze_batch_norm, "map_at_r": 0.1}


@pytest.fixture(autouse=True)
def _stand_in(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path / "results")
    monkeypatch.setattr(train_command, "Study", Study)
    monkeypatch.setattr(Study, "runs", [])
    digits = common.datasets.load("digits", "train")
    monkeypatch.setattr(common, "load_images", lambda options, split: digits)


def plan(tmp_path, text: str = PLAN):
    path = tmp_path / "few.toml"
    path.write_text(text)
    return path


def test_every_method_has_the_same_trials_and_each_ends_at_its_own_best(tmp_path, capsys):
    assert main(["choose", str(plan(tmp_path))]) == 0
    searched = [run for run in Study.runs if run[0] == "search"]
    for loss in ("softmax", "softtriple"):
        tried = [run[2:] for run in searched if run[1] == loss]
        expected = [(lr, bn, 2, SEED + n) for lr in (1e-3, 1e-2, 1e-1) for bn in (True, False) for n in range(2)]
        assert sorted(tried) == sorted(expected)
    assert Study.runs[: len(searched)] == searched  # nothing held out is measured before all is chosen
    assert {run[1:5] for run in Study.runs[len(searched) :]} == {
        ("softmax", 1e-2, False, 3),
        ("softtriple", 1e-3, False, 3),
    }
    assert len(Study.runs) - len(searched) == 3 * 3
    said = capsys.readouterr().out
    assert said.startswith("2 methods x 6 trials x 2 seeds on held-out training data, then 3 x 3 seeds\n")
    assert "softtriple: lr lies at the edge of what was tried" in said
    assert "softmax: lr" not in said


def test_the_records_say_where_their_settings_were_chosen(tmp_path):
    assert main(["choose", str(plan(tmp_path))]) == 0
    root = tmp_path / "results"
    search = records.load_search("choosing/few-softtriple", root)
    assert search.best().configuration == {"lr": 0.001, "freeze_batch_norm": False}
    assert search.configuration["measured_on"] == "0.2 of the training classes"
    assert search.configuration["training"]["epochs"] == 2
    assert "lr" not in search.configuration["training"]
    kept = {name: records.load(f"few-{name}", root) for name in ("softmax", "softtriple", "one_as_many")}
    assert {name: record.choice["own"] for name, record in kept.items()} == {
        "softmax": True, "softtriple": True, "one_as_many": False,
    }  # fmt: skip
    assert kept["one_as_many"].choice["search"] == "choosing/few-softtriple"
    assert kept["softtriple"].choice["trials"] == 6
    assert kept["softtriple"].configuration["training"]["lr"] == 0.001
    assert kept["softtriple"].configuration["measured_on"] == "test classes"
    rows = {"SoftMax": "few-softmax", "SoftTriple": "few-softtriple"}
    assert list(records.compare(rows, root=root).rows) == list(rows)


def test_what_is_there_is_not_run_again_and_a_wider_grid_goes_on(tmp_path, capsys):
    assert main(["choose", str(plan(tmp_path)), "--trials-only"]) == 0
    assert {run[0] for run in Study.runs} == {"search"}
    assert main(["choose", str(plan(tmp_path))]) == 0
    assert len(Study.runs) == 24 + 9
    assert main(["choose", str(plan(tmp_path))]) == 0
    assert len(Study.runs) == 24 + 9
    wider = PLAN.replace("lr = [1e-3,", "lr = [1e-4, 1e-3,")
    assert main(["choose", str(plan(tmp_path, wider)), "--trials-only"]) == 0
    assert len(Study.runs) == 24 + 9 + 8
    assert {run[2] for run in Study.runs[33:]} == {1e-4}
    widened = records.load_search("choosing/few-softmax", tmp_path / "results")
    assert [trial.configuration["lr"] for trial in widened.trials[:5]] == [1e-4, 1e-3, 1e-2, 1e-1, 1e-4]
    assert records.load("few-softmax", tmp_path / "results").choice["trials"] == 6
    assert main(["choose", str(plan(tmp_path, wider))]) == 0
    assert len(Study.runs) == 41  # the wider search chose the same settings
    assert records.load("few-softmax", tmp_path / "results").choice["trials"] == 8  # and the record says which it was
    longer = PLAN.replace("epochs = 2", "epochs = 4")
    assert main(["choose", str(plan(tmp_path, longer)), "--trials-only"]) == 0
    assert len(Study.runs) == 41 + 24


def test_options_are_typed_as_on_the_command_line():
    given = {"lr": 1e-3, "flip": False, "same_padding": True, "relatives": False, "milestones": [2, 4]}
    assert plans.command_line(given) == ["--lr", "0.001", "--no-flip", "--same-padding", "--milestones", "2", "4"]
    assert plans.command_line({"loss_option": {"tau": 0.0, "scale": 5}}) == [
        "--loss-option", "tau=0.0", "--loss-option", "scale=5",
    ]  # fmt: skip


def test_an_option_of_all_runs_can_be_set_beside_the_plan(tmp_path):
    read = plans.read_plan(plan(tmp_path), {"data": "digits", "width_mult": 0.5})
    assert isinstance(read, plans.Plan)
    options = read.parsed("softmax", read.trial, read.points("softmax")[0])
    assert (options.data, options.width_mult, options.epochs, options.validation) == ("digits", 0.5, 2, 0.2)
    assert [read.searcher(method) for method in read.methods] == ["softmax", "softtriple", "softtriple"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[vary]", "[vary", "plan must be TOML; got few.toml"),
        ('command = "train"', 'command = "bench"', "command must be one of 'train', 'kinds'; got 'bench'"),
        ("[vary]\n", "[very]\n", "few.toml, 'very' must be one of"),
        ("validation = 0.2", "", "plan must hold a share for validation in [trial] alone"),
        ("[final]", "[final]\nvalidation = 0.2", "plan must hold a share for validation in [trial] alone"),
        ("lr = [1e-3, 1e-2, 1e-1]", "lr = 0.1", "vary.lr must be a list of values to try; got 0.1"),
        ("lr = [1e-3, 1e-2, 1e-1]", "lr = []", "vary.lr must be a list of values to try; got []"),
        ('loss = "softmax"', 'loss = "softmax"\nlr = 0.1', "vary.lr must be nobody's own option; got softmax"),
        ('like = "softtriple"', 'like = "one_as_many"', "methods.one_as_many.like must be one of"),
        ("seeds = 3", "seeds = 0", "seeds must be an integer >= 1; got 0"),
        ("lr = [1e-3", 'lr = ["fast"', "plan must hold options of its command; got argument --lr"),
        ('data = "birds"', 'data = "birds"\npace = 3', "got unrecognized arguments: --pace 3"),
        ('loss = "softmax"', 'loss = "softmax"\nsize = 5', "size must be the same in all runs of a stage; got 5, None"),
    ],
)
@pytest.mark.bad_input
def test_a_plan_that_will_not_do_is_refused_before_any_work(old, new, message, tmp_path, capsys):
    assert old in PLAN
    assert main(["choose", str(plan(tmp_path, PLAN.replace(old, new, 1)))]) == 1
    assert message in capsys.readouterr().err
    assert Study.runs == []
    assert not (tmp_path / "results").exists()


@pytest.mark.bad_input
def test_a_plan_without_methods_is_refused(tmp_path, capsys):
    assert main(["choose", str(plan(tmp_path, PLAN[: PLAN.index("[methods.softmax]")]))]) == 1
    assert "plan must hold 'methods'; got few.toml" in capsys.readouterr().err
