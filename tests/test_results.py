"""What is recorded can be judged: each run names the search that chose its settings, and rivals searched alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dmlbook import records
from dmlbook.commands import choose, common
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
        if choice != search.choice(own=choice["own"]):
            found.append(f"{name} says of {choice['search']} what that file does not")
        flat = {**content["configuration"], **content["configuration"]["training"]}
        if any(flat[key] != value for key, value in choice["settings"].items()):
            found.append(f"{name} was not run with the settings chosen")
        if search.configuration["measured_on"] == content["configuration"]["measured_on"]:
            found.append(f"{name} was chosen on what it is measured on")
    return found


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
    plan = choose.read_plan(path)
    for method in plan.methods:
        record = records.load(f"{plan.name}-{method}")
        assert record.seeds == common.seeds(plan.final.get("seeds", 1))
        assert record.choice["own"] == (plan.searcher(method) == method)
        search = records.load_search(record.choice["search"])
        assert search.name == f"choosing/{plan.name.replace('/', '-')}-{plan.searcher(method)}"
        assert (search.space, search.by) == (plan.vary, plan.by)
        assert [trial.configuration for trial in search.trials] == plan.grid()
        assert {tuple(trial.seeds) for trial in search.trials} == {tuple(common.seeds(plan.trial.get("seeds", 1)))}
        epochs = plan.trial.get("epochs", plan.options.get("epochs"))
        assert epochs is None or search.configuration["training"]["epochs"] == epochs


def test_every_recorded_search_belongs_to_a_plan():
    named = set()
    for path in PLANS:
        plan = choose.read_plan(path)
        named |= {f"{plan.name.replace('/', '-')}-{plan.searcher(method)}.json" for method in plan.methods}
    floors = {path.name for path in CHOOSING.glob("*-frozen.json")}
    assert {path.name for path in CHOOSING.glob("*.json")} - floors == named
