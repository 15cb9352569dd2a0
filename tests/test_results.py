"""What is recorded can be judged: each run names the search that chose its settings, and rivals searched alike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dmlbook import records
from dmlbook.commands import common, plans
from dmlbook.seeding import SEED
from dmlbook.settings import project_root

ROOT = project_root()
RESULTS, PLANS = ROOT / "data" / "results", sorted((ROOT / "data" / "plans").glob("*.toml"))
CHOOSING = RESULTS / "choosing"


def complaints(root: Path) -> list[str]:
    """What is wrong with the records under ``root``: a run without its search, or not with what the search chose."""
    found = []
    for path in sorted(root.glob("**/*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if path.parent.name == "choosing" or "training" not in content["configuration"]:
            continue  # a search, or a floor: nothing was trained
        name, choice = path.relative_to(root).as_posix(), content.get("choice")
        if not choice:
            found.append(f"{name} does not say where its settings were chosen")
            continue
        search = records.load_search(choice["search"], root)
        if not ended(search):
            found.append(f"{name} rests on a search that has not ended")
            continue
        if choice != search.choice(own=choice["own"]):
            found.append(f"{name} says of {choice['search']} what that file does not")
        configuration = content["configuration"]
        flat = {**configuration, **configuration["training"]}
        flat |= {f"loss_option.{key}": value for key, value in configuration.get("loss_options", {}).items()}
        if any(flat[key] != value for key, value in choice["settings"].items()):
            found.append(f"{name} was not run with the settings chosen")
        if search.configuration["measured_on"] == content["configuration"]["measured_on"]:
            found.append(f"{name} was chosen on what it is measured on")
    return found


def ended(search: records.Search) -> bool:
    try:
        search.best()
    except ValueError:
        return False
    return True


def gaps(plan: plans.Plan, root: Path) -> list[str]:
    """In what the records under ``root`` are not those of a plan; of one that is ``partial`` some may be missing."""
    found, seeds = [], {name: common.seeds(stage.get("seeds", 1)) for name, stage in stages(plan).items()}
    for method in plan.methods:
        own, name = plan.searcher(method) == method, f"choosing/{plan.name.replace('/', '-')}-{plan.searcher(method)}"
        if not (root / f"{name}.json").is_file():
            found += [] if plan.partial else [f"{name} is missing"]
            continue
        search, epochs = records.load_search(name, root), plan.trial.get("epochs", plan.options.get("epochs"))
        alike = (search.space, search.by, search.rungs) == (plan.space(method), plan.by, list(plan.rungs))
        if not alike or search.points() != plan.points(method):
            found.append(f"{name} was searched in another space")
        if not plan.rungs and epochs is not None and search.configuration["training"]["epochs"] != epochs:
            found.append(f"{name} has trials of another length")
        tried = {tuple(trial.seeds) for trial in search.trials}
        if not (ended(search) and tried == {tuple(seeds["trial"])}) and not (plan.partial and not ended(search)):
            found.append(f"{name} has not ended, or has other seeds")
        if not (root / f"{plan.name}-{method}.json").is_file():
            found += [] if plan.partial else [f"{plan.name}-{method} is missing"]
            continue
        record = records.load(f"{plan.name}-{method}", root)
        wanted = seeds["final"][: len(record.seeds)] if plan.partial else seeds["final"]
        if (record.seeds, record.choice["own"], record.choice["search"]) != (wanted, own, name):
            found.append(f"{record.name} has other seeds, or settings of another search")
    return found


def stages(plan: plans.Plan) -> dict[str, dict]:
    return {"trial": plan.trial, "final": plan.final}


def test_every_recorded_run_has_the_settings_that_its_search_chose():
    assert complaints(RESULTS) == []
    assert len(list(RESULTS.glob("**/*.json"))) > 20


def copied(tmp_path: Path) -> Path:
    """One record and its search, in a folder of their own."""
    for name in ("cars-head-softmax.json", "choosing/cars-head-softmax.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((RESULTS / name).read_bytes())
    assert complaints(tmp_path) == []
    return tmp_path


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda run: run.pop("choice"), "does not say where its settings were chosen"),
        (lambda run: run["choice"].update(trials=99), "says of choosing/cars-head-softmax what that file does not"),
        (lambda run: run["configuration"]["training"].update(lr=0.5), "was not run with the settings chosen"),
        (
            lambda run: run["configuration"].update(measured_on="0.2 of the training classes"),
            "was chosen on what it is measured on",
        ),
    ],
)
def test_a_record_that_is_not_what_its_search_chose_is_seen(change, complaint, tmp_path):
    path = copied(tmp_path) / "cars-head-softmax.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    assert complaints(tmp_path) == [f"cars-head-softmax.json {complaint}"]


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_records_of_a_plan_are_whole_and_its_methods_searched_alike(path):
    assert gaps(plans.read_plan(path), RESULTS) == []


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_reads_the_same_pictures_in_all_runs_of_a_stage(path):
    plan = plans.read_plan(path)
    for stage in (plan.trial, plan.final):
        lines = [plan.parsed(method, stage, plan.points(method)[0]) for method in plan.methods]
        for name in plan.module.Study.READ_ONCE:
            assert len({repr(getattr(line, name)) for line in lines}) == 1, name


def test_every_recorded_search_belongs_to_a_plan():
    there, named, missing = {path.name for path in CHOOSING.glob("*.json")}, set(), set()
    for path in PLANS:
        plan = plans.read_plan(path)
        names = {f"{plan.name.replace('/', '-')}-{plan.searcher(method)}.json" for method in plan.methods}
        named, missing = named | names, missing | (set() if plan.partial else names - there)
    floors = {path.name for path in CHOOSING.glob("*-frozen.json")}
    assert (there - floors - named, missing) == (set(), set())


@pytest.mark.parametrize(
    ("change", "gap"),
    [
        (lambda root: (root / "choosing/two-softmax.json").unlink(), "choosing/two-softmax is missing"),
        (lambda root: (root / "two-softmax.json").unlink(), "two-softmax is missing"),
        (lambda root: edited(root / "two-softmax.json", lambda run: run["runs"].pop()), "two-softmax has other seeds"),
        (
            lambda root: edited(root / "choosing/two-softmax.json", lambda search: search["trials"].pop()),
            "choosing/two-softmax has not ended",
        ),
        (
            lambda root: edited(
                root / "choosing/two-softmax.json", lambda search: search["space"]["lr"].update(high=1)
            ),
            "choosing/two-softmax was searched in another space",
        ),
    ],
)
def test_what_is_missing_of_a_halving_search_is_seen_unless_it_is_still_being_made(change, gap, tmp_path):
    plan = halved(tmp_path)
    assert gaps(plan, tmp_path) == complaints(tmp_path) == []
    change(tmp_path)
    assert [line.startswith(gap) for line in gaps(plan, tmp_path)] == [True]
    left = gaps(replace(plan, partial=True), tmp_path)
    assert left == (gaps(plan, tmp_path) if "another space" in gap else [])


def test_a_record_whose_search_goes_on_is_seen(tmp_path):
    halved(tmp_path)
    edited(tmp_path / "choosing/two-softmax.json", lambda search: search["trials"].pop())
    assert complaints(tmp_path) == ["two-softmax.json rests on a search that has not ended"]


def edited(path: Path, change) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def halved(root: Path) -> plans.Plan:
    """A plan of one method, and in ``root`` all that it asks for, written by hand."""
    vary = {"lr": {"low": 1e-4, "high": 1e-2}, "loss_option": {"scale": {"low": 8, "high": 64}}}
    content = {
        "command": "train", "options": {"data": "digits", "milestones": []}, "vary": vary,
        "search": {"trials": 3, "rungs": [1, 2]}, "trial": {"validation": 0.4}, "final": {"seeds": 2},
        "methods": {"softmax": {"loss": "softmax"}},
    }  # fmt: skip
    plan = plans.make_plan(content, "two")
    search = records.Search(
        "choosing/two-softmax", "By hand", {"measured_on": "validation"}, plan.space("softmax"), plan.by
    )
    search.rungs = list(plan.rungs)
    for epochs in plan.rungs:
        for number, point in enumerate(plan.points("softmax") if epochs == 1 else search.promoted(1)):
            search.trial({**point, "epochs": epochs}).add(SEED, {plan.by: (number + epochs) / 10}, seconds=1)
    search.save(root)
    choice = search.choice(own=True)
    training = {key: value for key, value in choice["settings"].items() if "." not in key}
    options = {"scale": choice["settings"]["loss_option.scale"]}
    configuration = {"measured_on": "test classes", "training": training, "loss_options": options}
    record = records.Record("two-softmax", "By hand", configuration, choice=choice)
    for seed in common.seeds(2):
        record.add(seed, {plan.by: 0.5}, seconds=1)
    record.save(root)
    return plan
