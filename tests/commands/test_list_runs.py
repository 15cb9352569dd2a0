"""The command `runs`: what lies in the folders of real runs, what is said of it, and what may be compared."""

import csv
import json
import os
import re
import shutil
import socket
import statistics
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dmlbook import records, settings
from dmlbook.__main__ import main
from dmlbook.commands import run_figures, run_rows
from dmlbook.records import interval, percent
from dmlbook.seeding import SEED
from dmlbook.training import checkpoints
from dmlbook.use import run_records
from dmlbook.use.run_list import find_runs
from tests.datasets.image_trees import noise_tree

SMALL = ["--net", "small", "--size", "16", "--embedding-size", "8", "--no-freeze-batch-norm"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, photos):
    """Runs of the small network on pictures of noise: two seeds of two losses, one watched, one interrupted."""
    place = tmp_path_factory.mktemp("made")
    noise_tree(place / "noise")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("DMLBOOK_MODE", "smoke")
        patch.setattr(settings, "results_root", lambda: place / "results")
        images = ["--data", "folder", "--root", "noise", *SMALL]
        assert main(["train", *images, "--loss", "softmax", "--epochs", "3", "--seeds", "3", "--record", "one"]) == 0
        more = ["--loss-option", "tau=0.5", "--epochs", "2", "--seeds", "2"]
        assert main(["train", *images, "--loss", "softtriple", *more, "--folder", "runs/two"]) == 0
        watched = ["--validation", "0.4", "--epochs", "3", "--seeds", "2", "--folder", "runs/watched"]
        assert main(["train", *images, "--loss", "softmax", *watched]) == 0
    return place


@pytest.fixture
def here(made, here):
    """A copy of them to work in."""
    shutil.copytree(made, here, dirs_exist_ok=True)
    return here


def about(folder):
    return json.loads((Path(folder) / "run.json").read_text())


def change(folder, **known):
    (Path(folder) / "run.json").write_text(json.dumps({**about(folder), **known}))


def said(capsys, *arguments, status=0):
    capsys.readouterr()
    assert main(["runs", *arguments]) == status
    return capsys.readouterr().out


def lines_of(text, name):
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip().startswith(name)]


def test_the_table_has_a_line_a_run_in_blocks_that_can_be_compared(here, capsys):
    text = said(capsys)
    assert text.index("noise, 16 px, measured on 0.4 of the training classes") < text.index("measured on test classes")
    record = records.load("one")
    (one,) = lines_of(text, "one")
    assert one[:6] == ["one", "softmax", "small", "8", "3/3", "3"]
    assert one[6:8] == [percent(record.values("recall_at_1")), percent(record.values("map_at_r"))]
    assert one[8] == "-"  # it began with random weights
    assert one[10] == "finished"
    size = sum(path.stat().st_size for path in (here / "runs" / "one").rglob("*") if path.is_file())
    assert one[11] == f"{size / 1e6:.1f} MB"
    (two,) = lines_of(text, "two")
    assert two[1:6] == ["softtriple tau=0.5", "small", "8", "2/2", "2"]
    assert len(lines_of(text, "run")) == 2  # a head for each block


def test_gain_is_that_over_the_frozen_features_seed_by_seed(here, capsys):
    gains = []
    for number, folder in enumerate(sorted(Path("runs/one").iterdir())):
        before = {"frozen features, 128 dimensions": {"recall_at_1": 0.1 * number, "map_at_r": 0.9}}
        before["their PCA, 8 dimensions"] = {"recall_at_1": 0.9, "map_at_r": 0.9}
        change(folder, before=before)
        gains.append(about(folder)["figures"]["recall_at_1"] - 0.1 * number)
    mean, half = interval(gains)
    assert f"{100 * mean:+.1f} ± {100 * half:.1f}" in said(capsys, "runs/one")
    (row,) = csv.DictReader(run_rows.as_csv(find_runs(["runs/one"]).runs).splitlines())
    assert float(row["gain"]) == pytest.approx(mean)


def test_rows_are_sorted_and_those_without_the_number_come_last(here, capsys):
    change(Path("runs/two") / f"seed-{SEED}", figures={})
    change(Path("runs/two") / f"seed-{SEED + 1}", figures={})
    for key in run_rows.SORTS:
        found = run_rows.in_order(find_runs(["runs"]).runs, key)
        values = [run_rows.row(run)[key] for run in found]
        known = [value for value in values if value is not None]
        assert known == sorted(known, reverse=key in run_rows.LARGEST_FIRST)
        assert values[: len(known)] == known
    assert run_rows.in_order(find_runs(["runs"]).runs, "recall_at_1")[-1].name == "two"
    text = said(capsys, "--sort", "run")
    assert [line[0] for name in ("one", "two") for line in lines_of(text, name)] == ["one", "two"]


def test_the_csv_holds_every_number_unrounded(here, capsys):
    said(capsys, "--csv", "table.csv")
    rows = {row["run"]: row for row in csv.DictReader(Path("table.csv").read_text().splitlines())}
    assert rows.keys() == {"one", "two", "watched"}
    record, one = records.load("one"), rows["one"]
    mean, half = interval(record.values("map_at_r"))
    assert (float(one["map_at_r"]), float(one["map_at_r_half"])) == (mean, half)
    assert (one["seeds"], one["seeds_finished"], one["epochs"], one["epochs_asked"]) == ("3", "3", "3", "3")
    seconds = []
    for folder in Path("runs/one").iterdir():
        epochs = csv.DictReader((folder / "history.csv").open())
        seconds.append(sum(float(epoch["seconds"]) for epoch in epochs))
    assert float(one["minutes"]) == pytest.approx(statistics.fmean(seconds) / 60)
    assert one["gain"] == ""
    assert rows["watched"]["measured_on"] == "0.4 of the training classes"


def test_what_goes_on_what_was_stopped_and_what_was_not_measured_is_told_apart(here, capsys):
    first, second, third = sorted(Path("runs/one").iterdir())
    owner = {"process": os.getpid(), "machine": "another-machine", "since": "now"}
    (first / checkpoints.LOCK).write_text(json.dumps(owner))
    history = (second / checkpoints.HISTORY).read_text().splitlines(keepends=True)
    (second / checkpoints.HISTORY).write_text("".join(history[:-1]))
    change(third, figures={})
    (run,) = find_runs(["runs/one"]).runs
    assert run.states == ["running", "interrupted", "not measured"]
    assert (run.state, run.values("recall_at_1")) == ("running", [])
    assert [seed.epochs for seed in run.seeds] == [(3, 3), (2, 3), (3, 3)]
    (line,) = lines_of(said(capsys), "one")
    assert line[4:8] == ["2/3", "0/3", "-", "-"]
    assert line[10] == "1 running, 1 interrupted, 1 not measured"
    (first / checkpoints.LOCK).write_text(json.dumps(owner | {"machine": socket.gethostname(), "process": 2**22 + 1}))
    assert find_runs(["runs/one"]).runs[0].states[0] == "finished"  # that process is gone


def test_a_run_that_goes_on_with_more_epochs_is_not_finished_by_its_former_figures(here):
    folder = Path("runs/one") / f"seed-{SEED}"
    change(folder, config={**about(folder)["config"], "epochs": 9})
    runs = find_runs(["runs/one"]).runs
    assert [run.name for run in runs] == [f"one/seed-{SEED}", f"one/seed-{SEED + 1}"]
    assert [run.state for run in runs] == ["interrupted", "finished"]
    assert runs[0].values("recall_at_1") == []


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("run.json", "{not", "Expecting property name"),
        ("run.json", "[]", "which does not"),
        ("run.json", '{"config": {"epochs": "ten"}}', "epochs is 'ten', no whole number"),
        (
            "run.json",
            '{"config": {"epochs": 3}, "figures": {"recall_at_1": NaN}}',
            "among its figures is something that is no number",
        ),
        ("run.json", '{"config": {"epochs": 3}, "figures": [1]}', "among its figures"),
        ("run.json", '{"config": {"epochs": 3}, "before": {"frozen": {"recall_at_1": "0.5"}}}', "among its figures"),
        ("run.json", '{"config": {"epochs": 3}, "before": 0.5}', "among its figures"),
        ("history.csv", "epoch,loss\n1,0.5\n3,0.4\n", "epoch 3 stands in line 2"),
        ("history.csv", "epoch,loss\n1,half\n", "could not convert"),
    ],
)
def test_a_damaged_folder_is_named_and_the_others_are_shown(here, capsys, file, content, why):
    folder = Path("runs/two") / f"seed-{SEED}"
    (folder / file).write_text(content)
    text = said(capsys, status=1)
    (damaged,) = [line for line in text.splitlines() if line.startswith("cannot be read: ")]
    assert str(folder) in damaged
    assert why in damaged
    assert lines_of(text, "one")
    assert lines_of(text, "two")[0][5] == "1"  # its other seed


def test_checkpoints_without_a_word_of_their_run_are_counted_and_not_listed(here, capsys):
    for number in (1, 2):
        shutil.copytree(Path("runs/one") / f"seed-{SEED}", Path("runs/choose") / str(number))
        (Path("runs/choose") / str(number) / "run.json").unlink()
    text = said(capsys)
    assert "2 folders hold checkpoints but no run.json" in text
    assert not lines_of(text, "choose")


def test_several_folders_are_searched_and_each_run_is_listed_once(here, capsys):
    shutil.move("runs/two", "elsewhere/two")
    text = said(capsys, "runs", "elsewhere", "runs/one")
    assert [len(lines_of(text, name)) for name in ("one", "two", "watched")] == [1, 1, 1]
    assert "no runs there" in said(capsys, "noise")
    assert main(["runs", "nowhere"]) == 1
    assert "folders must be folders; got nowhere" in capsys.readouterr().err


def test_where_nothing_was_trained_yet_the_first_command_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "python -m dmlbook train --data birds --loss softtriple" in said(capsys)


def test_two_runs_are_compared_by_the_seeds_that_both_have(here, capsys):
    change(Path("runs/two") / f"seed-{SEED}", figures={"recall_at_1": 0.5, "map_at_r": 0.25})
    change(Path("runs/two") / f"seed-{SEED + 1}", figures={"recall_at_1": 0.75, "map_at_r": 0.5})
    for number, recall in ((0, 0.125), (1, 0.25), (2, 1.0)):  # the third has no partner
        change(Path("runs/one") / f"seed-{SEED + number}", figures={"recall_at_1": recall, "map_at_r": recall})
    text = said(capsys, "--compare", "runs/one", "runs/two")
    gains = [0.5 - 0.125, 0.75 - 0.25]
    mean, half = interval(gains)
    assert f"| two | {100 * mean:+.1f} ± {100 * half:.1f} (p = " in text
    assert f"| one | {percent([0.125, 0.25])} | {percent([0.125, 0.25])} |" in text
    assert "mean over 2 seeds" in text
    assert "*Not alike, budget: two: epochs 2, not 3.*" in text


def test_what_differs_within_one_loss_is_said(here, capsys):
    shutil.copytree("runs/one", "runs/other")
    for folder in Path("runs/other").iterdir():
        change(folder, config={**about(folder)["config"], "lr": 0.5})
    text = said(capsys, "--compare", "runs/one", "runs/other")
    assert "Settings that differ: lr " in text
    assert ", then 0.5" in text
    assert "Where all differences are the same there is no test" in text


def test_runs_that_cannot_be_compared_are_refused(here, capsys):
    def refused(a, b, *more):
        capsys.readouterr()
        assert main(["runs", "--compare", a, b, *more]) == 1
        return capsys.readouterr().err

    text = refused("runs/one", "runs/watched")
    assert "--compare must name runs that were measured alike" in text
    assert "measured on 0.4 of the training classes, not test classes" in text
    shutil.copytree("runs/one", "runs/moved")
    for folder in Path("runs/moved").iterdir():
        change(folder, data={**about(folder)["data"], "root": "/other/noise"})
    assert "/other/noise" in refused("runs/one", "runs/moved")
    shutil.copytree("runs/two", "runs/later")
    for folder in Path("runs/later").iterdir():
        change(folder, config={**about(folder)["config"], "seed": about(folder)["config"]["seed"] + 7})
    assert "must name runs that share a finished seed" in refused("runs/one", "runs/later")
    assert "must name two folders of one run each" in refused("runs", "runs/one")
    assert "must name two folders of one run each" in refused("noise", "runs/one")
    assert "--compare must stand alone" in refused("runs/one", "runs/two", "--csv", "x.csv")
    for folder in Path("runs/two").iterdir():
        change(folder, figures={})
    assert "must have a seed that is trained and measured" in refused("runs/one", "runs/two")
    (Path("runs/later") / f"seed-{SEED}" / "run.json").write_text("{")
    assert "must name runs that can be read" in refused("runs/one", "runs/later")


def test_the_figure_shows_every_seed_faint_and_the_mean_strong(here):
    runs = find_runs(["runs"]).runs
    figure, alt = run_figures.curve_figure(runs)
    loss, recall = figure.axes
    by_name = {run.name: run for run in runs}
    assert (loss.get_ylabel(), recall.get_ylabel()) == (
        "training loss", "R@1 on held-out classes, percent",
    )  # fmt: skip
    faint = [line for line in loss.lines if line.get_alpha() == 0.25]
    strong = [line for line in loss.lines if line.get_alpha() is None]
    assert (len(faint), len(strong)) == (3 + 2 + 2, 3)
    shown = {run.name: line for run, line in zip(runs, strong, strict=True)}
    for name, line in shown.items():
        seeds = [[epoch["loss"] for epoch in seed.history] for seed in by_name[name].seeds]
        assert list(line.get_xdata()) == list(range(1, len(seeds[0]) + 1))
        np.testing.assert_allclose(line.get_ydata(), np.mean(seeds, axis=0))
    drawn = sorted(tuple(line.get_ydata()) for line in faint)
    assert drawn == sorted(tuple(epoch["loss"] for epoch in seed.history) for run in runs for seed in run.seeds)
    assert {text.get_text() for text in loss.texts} == {"one", "two", "watched"}
    (mean,) = [line for line in recall.lines if line.get_alpha() is None]
    watched = [[100 * epoch["recall_at_1"] for epoch in seed.history] for seed in by_name["watched"].seeds]
    np.testing.assert_allclose(mean.get_ydata(), np.mean(watched, axis=0))
    best = np.mean(watched, axis=0)[-1]
    assert figure.get_suptitle() == f"watched ends with {best:.1f} R@1 on held-out classes"
    assert (mean.get_color(), mean.get_linestyle()) == (strong[2].get_color(), strong[2].get_linestyle())
    colors = {text.get_text(): text.get_color() for text in loss.texts}
    assert recall.texts[0].get_color() == colors["watched"]  # the same run, the same look
    assert all(name in alt for name in by_name)
    plt.close(figure)


def test_the_title_names_the_best_of_those_that_can_be_compared(here):
    shutil.copytree("runs/watched", "runs/better")
    for folder in Path("runs/better").iterdir():
        rows = list(csv.DictReader((folder / "history.csv").open()))
        with (folder / "history.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows({**row, "recall_at_1": "0.875"} for row in rows)
    figure, _ = run_figures.curve_figure(find_runs(["runs"]).runs)
    assert figure.get_suptitle() == "better ends with the highest, 87.5 R@1 on held-out classes"
    plt.close(figure)
    for folder in Path("runs/better").iterdir():
        change(folder, measured_on=None, data={**about(folder)["data"], "validation": 0.2})
    figure, _ = run_figures.curve_figure(find_runs(["runs"]).runs)
    assert figure.get_suptitle() == "R@1 by epoch; heights of runs on different images cannot be compared"
    plt.close(figure)


def test_seeds_of_unlike_length_are_averaged_where_all_have_a_number(here):
    folder = Path("runs/one") / f"seed-{SEED}"
    history = (folder / "history.csv").read_text().splitlines(keepends=True)
    (folder / "history.csv").write_text("".join(history[:3]))  # two of three epochs
    figure, _ = run_figures.curve_figure(find_runs(["runs/one"]).runs)
    (strong,) = [line for line in figure.axes[0].lines if line.get_alpha() is None]
    assert list(strong.get_xdata()) == [1, 2]
    assert sorted(len(line.get_xdata()) for line in figure.axes[0].lines if line.get_alpha()) == [2, 3, 3]
    assert figure.get_suptitle() == "Training loss by epoch"
    plt.close(figure)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_figure_is_written_whole_and_says_what_it_shows(here, capsys, suffix):
    text = said(capsys, "--plot", f"curves{suffix}")
    start = Path(f"curves{suffix}").read_bytes()[:400]
    assert start.startswith(b"\x89PNG") if suffix == ".png" else b"<svg" in start
    assert "Lines by epoch, one a run: training loss, at the last epoch: one " in text
    assert "heights" not in text
    assert sorted(path.name for path in here.iterdir() if path.is_file()) == [f"curves{suffix}"]


def test_losses_of_different_kinds_are_not_read_as_heights(here):
    figure, _ = run_figures.curve_figure(find_runs(["runs/one", "runs/two"]).runs)
    assert figure.get_suptitle() == "Training loss by epoch; heights of different losses cannot be compared"
    plt.close(figure)


def test_what_cannot_be_drawn_is_said_before_the_work(here, capsys, monkeypatch):
    def refused(*arguments):
        capsys.readouterr()
        assert main(["runs", *arguments]) == 1
        return capsys.readouterr()

    run_figures.check_plot(Path("curves.SVG"))
    assert "--plot must end with .png or .svg; got curves.gif" in refused("--plot", "curves.gif").err
    assert "--csv must name a file that can be written" in refused("--csv", "runs").err
    assert "--plot must have 1 to 12 runs with a finished epoch" in refused("noise", "--plot", "c.png").err
    monkeypatch.setattr(run_figures, "MOST", 2)
    assert "got 3. Name some of their folders." in refused("--plot", "c.png").err
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    told = refused("--plot", "c.png")
    assert 'pip install -e ".[book]"' in told.err
    assert told.out == ""
    assert not Path("c.png").exists()


def test_a_folder_becomes_the_record_that_training_saved(here):
    (run,) = find_runs(["runs/one"]).runs
    record, saved = run_records.as_record(run), records.load("one")
    assert (record.name, record.title, record.configuration) == (saved.name, saved.title, saved.configuration)
    assert [(r["seed"], r["figures"]) for r in record.runs] == [(r["seed"], r["figures"]) for r in saved.runs]
    assert record.provenance == {}  # its folder does not say


def kept_otherwise(run, **more):
    for folder in Path(run).iterdir():
        change(folder, measured_on=more.pop("measured_on", None), data={**about(folder)["data"], **more})


def test_runs_that_were_split_otherwise_stand_in_other_blocks_and_are_not_compared(here, capsys):
    file = {"split": "my/mine.csv", "held_out": None}
    for name, more in {
        "closed": {"split": "closed", "held_out": 0.2},
        "a": {**file, "split_sha256": "a" * 64},
        "b": {**file, "split_sha256": "b" * 64},
        "else": {"root": "/elsewhere/noise"},
    }.items():
        shutil.copytree("runs/one", f"runs/{name}")
        kept_otherwise(f"runs/{name}", **more)
    text = said(capsys)
    heads = [line for line in text.splitlines() if ", measured on " in line]
    assert len(heads) == len(set(heads)) == 6
    assert "noise, 16 px, measured on 0.2 of each class's images against the rest (closed set)" in heads
    assert {"noise, 16 px, measured on images of mine.csv (aaaaaaaa)",
            "/elsewhere/noise, 16 px, measured on test classes"} <= set(heads)  # fmt: skip
    assert len({run_rows.block(run) for run in find_runs(["runs"]).runs}) == 6
    for a, b in (("one", "closed"), ("a", "b")):
        capsys.readouterr()
        assert main(["runs", "--compare", f"runs/{a}", f"runs/{b}"]) == 1
        assert "must name runs that were measured alike" in capsys.readouterr().err


def test_a_run_on_validation_images_that_a_file_names_is_listed_and_drawn(here, capsys):
    kept_otherwise("runs/watched", split="my/mine.csv", split_sha256="a", validation="file")
    assert "noise, 16 px, measured on validation images of mine.csv" in said(capsys)
    figure, alt = run_figures.curve_figure(find_runs(["runs/watched"]).runs)
    assert "held-out classes" not in figure.get_suptitle() + alt
    assert "R@1 on validation images" in figure.get_suptitle()
    plt.close(figure)


def test_a_recipe_is_named_and_what_was_asked_for_otherwise(here, capsys):
    for folder in Path("runs/one").iterdir():
        change(folder, recipe={"name": "cub-softmax-64", "but_for": ["data", "lr"]})
    (line,) = lines_of(said(capsys), "one")
    assert line[1] == "cub-softmax-64 but for data, lr"
    assert run_rows.loss({"recipe": {"name": "a", "but_for": []}}) == "a"
    assert run_rows.loss({"recipe": {"name": "a", "but_for": list("abcd")}}) == "a but for 4 settings"
