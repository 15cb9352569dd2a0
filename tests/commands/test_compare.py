"""Losses compared on a reader's own images: one command from the search to the sentence."""

import sys
from argparse import ArgumentParser

import pytest

from dmlbook import losses, records
from dmlbook.__main__ import main
from dmlbook.commands import compare, plans
from dmlbook.seeding import SEED

SMALL = ["--data", "digits", "--losses", "softmax", "softtriple", "--trials", "2", "--rungs", "1", "2", "--seeds", "2"]
SMALL += ["--validation", "0.4", "--embedding-size", "8", "--batch-size", "64", "--name", "mine"]


pytestmark = pytest.mark.usefixtures("few_digits")


def parsed(*given):
    parser = ArgumentParser()
    compare.add_arguments(parser)
    return parser.parse_args(["--data", "digits", *given])


@pytest.mark.slow
def test_one_command_searches_measures_and_writes_page_and_figure(tmp_path, capsys):
    here = [*SMALL, "--folder", str(tmp_path / "runs")]
    assert main(["compare", *here]) == 0
    said, root = capsys.readouterr().out, tmp_path / "results"
    assert said.startswith("2 methods x 1 seeds x trials (2 for 1 epoch, the better 1 for 2 epochs)")
    assert "then 2 x 2 seeds for 2 epochs or fewer: 14 epochs in all, at most" in said.splitlines()[0]
    page = (root / "mine.md").read_text(encoding="utf-8")
    assert all(
        part in page for part in ("## Differences from softtriple", "## Settings that each", "By R@1, ", "By MAP@R, ")
    )
    assert page.index("| frozen |") < page.index("| softmax |")
    assert (root / "mine.png").read_bytes().startswith(b"\x89PNG")
    assert "](mine.png)" in page
    for name in ("softmax", "softtriple"):
        record = records.load(f"mine-{name}", root)
        assert record.seeds == [SEED, SEED + 1]
        assert record.configuration["measured_on"] == "test classes"
        search = records.load_search(record.choice["search"], root)
        assert search.configuration["measured_on"] == "0.4 of the training classes"
        assert record.choice == search.choice(own=True)
    floor = records.load("mine-frozen", root)
    assert floor.configuration["what"] == "frozen features"
    assert "the frozen features keep the network's 128, embeddings have 8" in page
    times = {path: path.stat().st_mtime_ns for path in root.glob("mine-soft*.json")}
    assert main(["compare", *here]) == 0  # nothing is run again
    assert "epochs 1, seed" not in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_records_may_be_written_elsewhere_and_a_page_comes_without_matplotlib(tmp_path, monkeypatch, capsys):
    comparison = written(tmp_path)
    monkeypatch.setitem(sys.modules, "dmlbook.book", None)
    assert compare.draw(comparison, tmp_path / "a.png") == ""
    assert "no figure is drawn" in capsys.readouterr().out
    assert not (tmp_path / "a.png").exists()
    options = parsed("--out", str(tmp_path / "out"), "--losses", "softmax", "softtriple", "--trials", "2")
    plan = plans.make_plan(compare.content(options, 3), options.name)
    assert compare.measure_floor(plan, tmp_path / "out").name == "compare-frozen"
    assert (tmp_path / "out" / "compare-frozen.json").is_file()


SCORES = {  # R@1 and MAP@R of four seeds: by R@1 a and b lie close, by MAP@R b is far ahead
    "a": ((0.60, 0.61, 0.62, 0.63), (0.30, 0.31, 0.32, 0.33)),
    "b": ((0.59, 0.62, 0.60, 0.64), (0.40, 0.42, 0.42, 0.44)),
    "c": ((0.40, 0.42, 0.42, 0.43), (0.20, 0.21, 0.23, 0.24)),
}


def written(root, scores=SCORES) -> records.Comparison:
    configuration = {"data": "digits", "measured_on": "test classes", "network": {"embedding_size": 8}}
    floor = records.Record("m-frozen", "Floor", {**configuration, "dimensions": 8})
    floor.add(SEED, {"recall_at_1": 0.5, "map_at_r": 0.3}, seconds=1)
    floor.save(root)
    choice = {"search": "s", "own": True, "by": "recall_at_1", "trials": 2, "seeds": 1, "rungs": [1, 2], "epochs": 2}
    for name, (recalls, precisions) in scores.items():
        training = {"epochs": 2, "batch_size": 32}
        made = records.Record(f"m-{name}", name, {**configuration, "training": training})
        (root / f"m-{name}.json").unlink(missing_ok=True)
        made.choice = {**choice, "settings": {"lr": 0.1, "batch_size": 32, "epochs": 2}}
        for place, (recall, precision) in enumerate(zip(recalls, precisions, strict=True)):
            made.add(SEED + place, {"recall_at_1": recall, "map_at_r": precision}, seconds=1)
        made.save(root)
    rows = {compare.FLOOR: "m-frozen"} | {name: f"m-{name}" for name in scores}
    return records.compare(rows, root=root)


def test_the_sentence_names_what_cannot_be_told_apart_by_each_measure_and_by_both(tmp_path):
    comparison = written(tmp_path)
    assert compare.trained_rows(comparison) == ["a", "b", "c"]
    assert [compare.best_by(comparison, figure) for figure in compare.COLUMNS] == ["a", "b"]
    said = compare.verdict(comparison)
    assert "By R@1, a has the highest mean; not told apart from it: b. No higher than the features" in said
    assert "before any training: c. By MAP@R" in said
    assert "By MAP@R, b has the highest mean; not told apart from it: none. No higher" in said
    assert "Not told apart from the best by either measure: b. (Paired t-tests over 4 seeds" in said
    assert compare.mean(comparison.rows["c"], "map_at_r") == pytest.approx(0.22)
    one = written(tmp_path, {name: (recalls[:1], precisions[:1]) for name, (recalls, precisions) in SCORES.items()})
    assert compare.verdict(one) == "One seed tells no loss apart from another: run more."


def test_a_page_shows_the_view_of_the_best_and_of_softtriple(tmp_path):
    scores = {"a": SCORES["a"], "softtriple": SCORES["c"]}
    page = compare.report(written(tmp_path, scores), "A title")
    heads = [line for line in page.splitlines() if line.startswith("#")]
    assert heads == [
        "# A title", "## Differences from a", "## Differences from softtriple", "## Settings that each search chose",
    ]  # fmt: skip
    assert page.count("| frozen |") == 3


def test_options_that_are_given_are_not_searched_and_random_weights_are_not_frozen():
    content = compare.content(
        parsed("--losses", "softmax", "lifted", "--lr", "0.1", "--no-flip", "--net", "small"), 100
    )
    plan = plans.make_plan(content, "mine")
    assert list(plan.methods) == ["lifted", "softmax"]
    assert "lr" not in plan.space("softmax")
    options = plan.parsed("softmax", plan.final, {"epochs": 1})
    assert (options.lr, options.flip, options.net, options.freeze_batch_norm) == (0.1, False, "small", False)
    assert (plan.trials, plan.rungs, plan.trial["validation"], plan.final["seeds"]) == (8, (1, 2, 4), 0.2, 5)
    assert "freeze_batch_norm" not in compare.content(parsed("--weights", "w.pt"), 100)["options"]


@pytest.mark.parametrize("classes", [2, 3, 5, 8, 17, 40, 63, 64, 1000])
def test_batches_fit_the_classes_that_there_are(classes):
    plan = plans.make_plan(compare.content(parsed(), classes), "mine")
    for method in plan.methods:
        space = plan.space(method)
        wanted = losses.images_per_class(plan.own(method)["loss"])
        if wanted is None:
            assert space["batch_size"] == [32, 64, 128]
            continue
        for size in space["batch_size"]:
            for many in space.get("samples_per_class", [wanted]):
                assert size % many == 0
                assert size // many <= classes
    fixed = plans.make_plan(compare.content(parsed("--batch-size", "64"), classes), "mine").space("triplet")
    assert "batch_size" not in fixed
    assert all(64 // many <= classes for many in fixed["samples_per_class"])
    if classes >= 64:
        assert plan.space("triplet")["samples_per_class"] == [2, 4, 8]


def test_fewer_classes_mean_smaller_batches_first_and_then_more_images_of_each():
    usual = {"batch_size": [32, 64, 128], "samples_per_class": [2, 4, 8]}
    assert compare.fitting("softmax", usual, 2) == compare.fitting("triplet", usual, 64) == {}
    assert compare.fitting("triplet", usual, 63) == usual | {"samples_per_class": [4, 8]}
    assert compare.fitting("triplet", usual, 10) == {"batch_size": [32, 64], "samples_per_class": [8]}
    assert compare.fitting("triplet", usual, 3) == {"batch_size": [32], "samples_per_class": [16]}
    assert compare.fitting("npairs", {"batch_size": [32, 64]}, 20) == {"batch_size": [32], "samples_per_class": [2]}
    assert compare.fitting("npairs", {"batch_size": [32, 64]}, 3) == {"batch_size": [6], "samples_per_class": [2]}


def test_a_loss_with_fewer_points_than_the_others_is_said(tmp_path):
    options = parsed("--losses", "softmax", "centroid_bound", "--lr", "0.1", "--trials", "4")
    plan = plans.make_plan(compare.content(options, 3), "m")
    assert {method: len(plan.points(method)) for method in plan.methods} == {"softmax": 4, "centroid_bound": 3}
    written(tmp_path, {"softmax": SCORES["a"], "centroid_bound": SCORES["b"]})
    few = records.load("m-centroid_bound", tmp_path)
    few.choice["trials"] = 1
    few.save(tmp_path)
    found = compare.judged(plan, records.load("m-frozen", tmp_path), tmp_path)
    assert found.unequal == {"effort": "centroid_bound has only 3 points to try."}
    assert list(found.rows) == ["frozen", "softmax", "centroid_bound"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--losses", "softmax"], "--losses must name two losses or more; got softmax. One alone is `train`."),
        (["--losses", "softmax", "softmax"], "--losses must hold no value twice"),
        (["--seeds", "0"], "--seeds must be an integer >= 1; got 0"),
        (["--validation", "0.1"], "validation must leave two classes on each side"),
        (["--validation", "0.4", "--trials", "1"], "--trials must be an integer >= 2; got 1"),
        (
            ["--validation", "0.4", "--rungs", "2", "1"],
            "--rungs must be epochs that increase; got [2, 1].",
        ),
    ],
)
@pytest.mark.bad_input
def test_what_will_not_do_is_said_before_any_work(given, message, tmp_path, capsys):
    assert main(["compare", "--data", "digits", *given]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
