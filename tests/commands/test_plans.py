"""Plans: what is fixed, what is searched, what the field adds, and what will not do."""

import tomllib
from importlib import resources
from pathlib import Path

import pytest

from dmlbook import losses
from dmlbook.commands import plans
from dmlbook.records import Range

PLAN = """
command = "train"
record = "few"
[options]
data = "digits"
milestones = [99]
[search]
trials = 4
rungs = [1, 2, 4]
[vary]
lr = {low = 1e-4, high = 1e-2}
batch_size = [32, 64]
[trial]
validation = 0.4
[final]
seeds = 2
[methods.softmax]
loss = "softmax"
[methods.softtriple]
loss = "softtriple"
batch_size = 32
loss_option = {centers_per_class = 4}
[methods.softtriple.vary]
loss_option.gamma = {low = 0.02, high = 0.5}
[methods.one_as_many]
loss = "softtriple"
loss_option = {centers_per_class = 1}
like = "softtriple"
"""
FIELD = """
command = "train"
methods_of = "field"
[options]
data = "digits"
milestones = []
[search]
trials = 2
rungs = [1]
[trial]
validation = 0.4
"""


def plan(text: str, tmp_path) -> plans.Plan:
    path = tmp_path / "few.toml"
    path.write_text(text)
    return plans.read_plan(path)


def test_each_method_searches_what_all_do_but_what_it_fixes_and_what_it_alone_does(tmp_path):
    read = plan(PLAN, tmp_path)
    lr = Range(1e-4, 1e-2, log=True, integer=False)
    assert read.space("softmax") == {"lr": lr, "batch_size": [32, 64]}
    gamma = Range(0.02, 0.5, log=True, integer=False)
    assert read.space("softtriple") == read.space("one_as_many") == {"lr": lr, "loss_option.gamma": gamma}
    assert {method: len(read.points(method)) for method in read.methods} == dict.fromkeys(read.methods, 4)
    assert (read.trials, read.rungs, read.partial) == (4, (1, 2, 4), False)


def test_what_is_chosen_of_the_loss_joins_its_fixed_options(tmp_path):
    read, chosen = plan(PLAN, tmp_path), {"lr": 0.005, "loss_option.gamma": 0.2, "epochs": 2}
    for method, centers in (("softtriple", 4), ("one_as_many", 1)):
        options = read.parsed(method, read.final, chosen)
        assert dict(options.loss_option) == {"centers_per_class": centers, "gamma": 0.2}
        assert (options.lr, options.epochs, options.seeds) == (0.005, 2, 2)
    assert read.parsed("softtriple", read.trial, chosen).batch_size == 32
    assert plans.flat({"lr": 1, "loss_option": {"gamma": 2}}) == {"lr": 1, "loss_option.gamma": 2}


def test_the_field_is_whole_and_in_the_package(tmp_path):
    text = resources.files("dmlbook.commands").joinpath("field.toml").read_text(encoding="utf-8")
    assert plans.read_field() == tomllib.loads(text)
    read = plan(FIELD, tmp_path)
    assert set(read.methods) >= {
        "triplet", "semihard", "lifted", "clustering", "npairs", "proxy_nca", "triplet_center", "softmax", "hardtriple",
        "softtriple", "centroid_bound", "proxy_anchor", "subcenter_arcface",
    }  # fmt: skip
    for method in read.methods:
        own = read.own(method)
        assert own["loss"] in losses.NAMES
        known = losses.options(own["loss"])
        assert all(name.partition(".")[2] in known for name in read.space(method) if "." in name)
        assert {"lr", "batch_size"} <= read.space(method).keys()
        assert len(read.points(method)) == 2
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["dmlbook.commands"]
    assert any(Path("field.toml").match(pattern) for pattern in patterns)  # so a wheel holds it


WINS = (
    FIELD.replace("[options]", 'leave_out = ["npairs"]\n[options]\nbatch_size = 64')
    + """
[vary]
lr = {low = 1e-3, high = 3e-3}
[methods.softmax]
loss_lr = 0.5
loss_option = {scale = 7}
[methods.triplet.vary]
loss_option.margin = [0.1, 0.2]
[methods.hardtriple]
like = "softmax"
[methods.mine]
loss = "softmax"
"""
)


def test_what_a_plan_says_wins_over_the_field(tmp_path):
    read, lr = plan(WINS, tmp_path), Range(1e-3, 3e-3, log=False, integer=False)
    assert "npairs" not in read.methods
    assert read.space("softmax") == {"lr": lr}  # the batch is fixed for all, the rest for softmax
    assert read.own("softmax") == {"loss": "softmax", "loss_lr": 0.5, "loss_option": {"scale": 7}}
    assert read.space("triplet")["loss_option.margin"] == [0.1, 0.2]
    assert read.space("triplet")["samples_per_class"] == [2, 4, 8]
    assert read.space("softtriple").keys() == {"lr", "loss_lr", "loss_option.scale", "loss_option.gamma"}
    assert read.own("subcenter_arcface")["loss_option"] == {"centers_per_class": 3}
    assert read.searcher("hardtriple") == "softmax"
    assert read.space("mine") == {"lr": lr}


def test_what_a_plan_fixes_is_in_no_range_of_the_field():
    field = plans.read_field()
    whole = plans.with_field({"methods_of": "field", "options": {}})
    assert whole["vary"] == field["vary"]
    assert {name: own["vary"] for name, own in whole["methods"].items()} == {
        name: plans.flat(own.get("vary", {})) for name, own in field["methods"].items()
    }
    fixed = plans.with_field({"methods_of": "field", "options": {"lr": 0.1, "samples_per_class": 4}})
    assert "lr" not in fixed["vary"]
    assert not any("samples_per_class" in own["vary"] for own in fixed["methods"].values())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("trials = 4", "trials = 1", "search.trials must be an integer >= 2; got 1"),
        ("trials = 4", "trials = 4\nepochs = 3", "search, 'epochs' must be one of 'trials', 'rungs'; got 'epochs'"),
        ("rungs = [1, 2, 4]", "rungs = [1, 4, 2]", "search.rungs must be epochs that increase; got [1, 4, 2]"),
        ("rungs = [1, 2, 4]", "rungs = []", "search.rungs must be epochs that increase; got []"),
        ("rungs = [1, 2, 4]", "rungs = [0, 2]", "search.rungs must be an integer >= 1; got 0"),
        ("low = 1e-4, high", "low = 1e-1, high", "vary.lr must have low < high; got 0.1 and 0.01"),
        ("{low = 1e-4, high", "{least = 1e-4, high", "vary.lr, 'least' must be one of 'low', 'high'"),
        ("batch_size = [32, 64]", "batch_size = [32, 32]", "vary.batch_size must hold no value twice; got 32 repeated"),
        ("batch_size = [32, 64]", "epochs = [1, 2]", "epochs must be left to the rungs of [search]; got [1, 2]"),
        ("seeds = 2", "seeds = 2\nepochs = 3", "epochs must be left to the rungs of [search]; got 3"),
        ("option.gamma = ", "option.delta = ", "options must be among those of softtriple"),
        ("low = 0.02", "low = -50", "gamma must be a finite number > 0"),
        (
            "batch_size = 32\n",
            "gammas = 3\n",
            "plan must hold options of its command; got unrecognized arguments: --gammas",
        ),
        ("milestones = [99]", "milestones = [4]", "milestones must lie beyond the last rung, 4; got 4. A trial that"),
        ("milestones = [99]", "milestones = [5, 4]", "milestones must be a tuple of epochs >= 1 that increase"),
        ("lr = {low = 1e-4", "lr = {low = -1", "lr must be a finite number > 0"),
        (
            'command = "train"',
            'command = "kinds"',
            "command of a plan with [search] must be one of 'train'; got 'kinds'",
        ),
        ('record = "few"', 'leave_out = ["softmax"]', "leave_out must stand beside methods_of; got few.toml"),
        ('record = "few"', 'methods_of = "fields"', "methods_of must be one of 'field'; got 'fields'"),
        ('record = "few"', 'methods_of = "field"\nleave_out = ["softmux"]', "leave_out 'softmux' must be one of"),
        (
            'record = "few"',
            'methods_of = "field"\nleave_out = ["softmax"]',
            "leave_out must name methods that the plan says nothing of; got 'softmax'",
        ),
        (
            'like = "softtriple"',
            'like = "softtriple"\n[methods.one_as_many.vary]\nlr = [0.1]',
            "methods.one_as_many.vary must search what nothing else fixes; got lr",
        ),
        (
            "loss_option.gamma =",
            "loss_option.centers_per_class = [2]\nloss_option.gamma =",
            "methods.softtriple.vary must search what nothing else fixes; got loss_option.centers_per_class",
        ),
        ("[search]\ntrials = 4\nrungs = [1, 2, 4]", "", "methods.softtriple.vary must stand in a plan with [search]"),
    ],
)
@pytest.mark.bad_input
def test_a_halving_plan_that_will_not_do_is_refused(old, new, message, tmp_path):
    assert old in PLAN
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is looked at below
        plan(PLAN.replace(old, new, 1), tmp_path)
    assert message in str(error.value)


@pytest.mark.bad_input
def test_a_range_is_none_of_a_grid(tmp_path):
    text = PLAN.replace("[search]\ntrials = 4\nrungs = [1, 2, 4]", "")
    text = text.replace("[methods.softtriple.vary]\nloss_option.gamma = {low = 0.02, high = 0.5}", "")
    with pytest.raises(ValueError, match=r"vary.lr must be a list of values to try; got {'low': 0.0001"):
        plan(text, tmp_path)
    with pytest.raises(ValueError, match="make_plan: plan must hold 'methods'; got bare.toml"):
        plans.make_plan({"command": "train", "options": {"data": "digits"}, "vary": {"lr": [1]}}, "bare")
