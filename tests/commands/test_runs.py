"""Folders of runs: nothing of a run is guessed, nothing of another run is overwritten, and the next step is named."""

import csv
import json
import os
import shutil
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dmlbook import losses, nets, records
from dmlbook.__main__ import main
from dmlbook.commands import baseline, common, places, settled
from dmlbook.commands import study as study_module
from dmlbook.seeding import SEED
from dmlbook.training import Checkpoints, Place, Report, TrainConfig
from dmlbook.use import run_folders

SEED_FOLDER = f"seed-{SEED}"


pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def trees(photos, tmp_path):
    """Photographs under a name of their own."""
    shutil.copytree(photos, tmp_path / "trees", ignore=shutil.ignore_patterns(".*"))
    return tmp_path / "trees"


@pytest.fixture
def pretrained(tmp_path):
    """A file of weights of the small network."""
    torch.save(nets.build("small", embedding_size=8, seed=5).backbone.state_dict(), tmp_path / "small.pt")
    return tmp_path / "small.pt"


def train(*more, epochs=2):
    small = ["--net", "small", "--size", "16", "--embedding-size", "8", "--no-freeze-batch-norm"]
    return main(["train", "--data", "folder", "--root", "trees", *small, "--epochs", str(epochs), *more])


def make_hard(folder):
    """Colors alone are too easy: whatever is done, all is found."""
    numbers = np.random.default_rng(2)
    for path in folder.rglob("*.png"):
        Image.fromarray(numbers.integers(0, 255, (40, 30, 3)).astype(np.uint8)).save(path)


def no_step(monkeypatch):
    monkeypatch.setattr("dmlbook.training.stepping.Stepper.apply", lambda self: pytest.fail("a step was taken"))


def test_every_run_keeps_a_folder_and_names_the_next_commands_which_run(trees, capsys):
    make_hard(trees)
    assert train("--loss", "softtriple") == 0
    said = capsys.readouterr().out.splitlines()
    folder = Path("runs/trees-softtriple")
    inside = {path.name for path in (folder / SEED_FOLDER).iterdir()}
    assert {run_folders.ABOUT, "history.csv", "checkpoint-00002-0000000.pt"} <= inside
    assert f"the network is in {folder}. What next:" in said
    rows = list(csv.DictReader((folder / SEED_FOLDER / "history.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    figures = next(line for line in said if line.startswith("seed")).partition(": ")[2]
    commands = [line.strip().split("  ")[0] for line in said if line.strip().startswith("python -m dmlbook")]
    assert [command.split()[3] for command in commands] == ["map", "evaluate", "search"]
    named = {"PHOTOS": "trees", "NEW.jpg": "trees/ash/0.png"}
    for command in commands:
        more = ["--neighbors", "4", "--seeds", "1"] if " map " in command else []
        assert main([named.get(word, word) for word in [*command.split()[3:], *more]]) == 0
    assert figures in capsys.readouterr().out  # measured again, with the size and the view of the training


def test_the_folder_says_all_that_decides_an_embedding(trees, pretrained):
    options = ("--preprocessing", "imagenet", "--bn-eps", "0.01", "--test-crop", "0.5", "--weights", str(pretrained))
    assert train("--loss", "softtriple", "--loss-option", "tau=0.5", *options) == 0
    about = run_folders.read_about(Path("runs/trees-softtriple") / SEED_FOLDER)
    assert (about["loss"], about["loss_options"]) == ("softtriple", {"tau": 0.5})
    assert (about["net"]["preprocessing"], about["net"]["bn_eps"]) == ("imagenet", 0.01)
    assert (about["config"]["test_crop"], about["config"]["epochs"], about["config"]["seed"]) == (0.5, 2, SEED)
    data = {"data": "folder", "root": str(trees.resolve()), "size": 16, "data_option": [], "validation": None}
    assert about["data"] == data
    run = run_folders.read_run(Path("runs/trees-softtriple"))
    assert run.net.backbone[1].eps == 0.01
    assert run.finished


def test_another_request_gets_another_folder_and_the_same_one_its_own(trees, monkeypatch):
    assert train("--loss", "softmax") == 0
    assert train("--loss", "softmax", "--lr", "0.002") == 0
    assert train("--loss", "softmax", "--loss-option", "scale=5") == 0
    names = sorted(path.name for path in Path("runs").iterdir())
    assert names == ["trees-softmax", "trees-softmax-2", "trees-softmax-3"]
    assert run_folders.read_about(Path("runs/trees-softmax-2") / SEED_FOLDER)["config"]["lr"] == 0.002
    with monkeypatch.context() as patch:
        no_step(patch)
        assert train("--loss", "softmax", "--lr", "0.002") == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == names
    assert train("--loss", "softmax", epochs=3) == 0  # more epochs: the finished run goes on
    assert sorted(path.name for path in Path("runs").iterdir()) == names
    assert len(list(csv.DictReader((Path("runs/trees-softmax") / SEED_FOLDER / "history.csv").open()))) == 3


def test_a_run_with_a_record_is_called_like_it(trees):
    assert train("--loss", "softmax", "--record", "first/try") == 0
    assert (Path("runs/first/try") / SEED_FOLDER / "run.json").is_file()
    assert records.load("first/try").seeds == [SEED]


def test_a_named_folder_of_another_request_is_left_as_it_is(trees, monkeypatch, capsys):
    assert train("--loss", "softmax", "--folder", "mine") == 0
    before = {path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()}
    no_step(monkeypatch)
    for more in (("--lr", "0.002"), ("--bn-eps", "0.01"), ("--preprocessing", "imagenet"), ("--same-padding",)):
        capsys.readouterr()
        assert train("--loss", "softmax", "--folder", "mine", *more) == 1
        said = capsys.readouterr().err
        assert "--folder must hold this run or none" in said
        assert "Name another folder for a new run." in said
    assert train("--loss", "softtriple", "--folder", "mine") == 1
    assert {path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()} == before


def test_a_run_that_was_stopped_can_be_measured_and_goes_on(trees, monkeypatch, capsys):
    def stopped(record):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(study_module, "Report", lambda **options: Report(each_epoch=stopped, **options))
        assert train("--loss", "softmax", epochs=3) == 130
    capsys.readouterr()
    run = run_folders.read_run(Path("runs/trees-softmax"))
    assert not run.finished
    assert main(["evaluate", "--run", "runs/trees-softmax"]) == 0
    assert "has not been trained to its end" in capsys.readouterr().out
    assert train("--loss", "softmax", epochs=3) == 0
    assert run_folders.read_run(Path("runs/trees-softmax")).finished


def test_a_run_is_measured_on_the_classes_that_it_held_out(trees, capsys):
    for name in ("a", "b"):
        for folder in sorted(trees.glob("[a-g]*[!0-9]"))[:3]:
            shutil.copytree(folder, trees / f"{name}-{folder.name}-0")
    assert train("--loss", "softmax", "--validation", "0.4", "--record", "held-out") == 0
    figures = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("seed")).partition(": ")[2]
    assert main(["evaluate", "--run", "runs/held-out", "--record", "again"]) == 0
    assert figures == capsys.readouterr().out.splitlines()[0]
    assert records.load("again").configuration["measured_on"] == "0.4 of the training classes"
    assert records.load("again").configuration["size"] == 16
    assert main(["evaluate", "--run", "runs/held-out", "--split", "test", "--record", "test"]) == 0
    assert records.load("test").configuration["measured_on"] == "test classes"
    assert records.load("test").runs[0]["figures"]["images"] == 30
    assert records.load("again").runs[0]["figures"]["images"] == 10
    shown = ("--neighbors", "3", "--seeds", "1", "--out")
    for split, classes in (("train", 4), ("validation", 2), ("test", 6)):
        capsys.readouterr()
        assert main(["map", "--run", "runs/held-out", "--split", split, *shown, f"{split}.html"]) == 0
        assert f"of {classes} classes" in Path(f"{split}.html").read_text(encoding="utf-8")


def test_held_out_classes_are_watched_as_often_as_asked(trees):
    for folder in sorted(trees.iterdir()):
        shutil.copytree(folder, trees / f"{folder.name}-again")
    watched = ("--validation", "0.4", "--evaluate-every", "2")
    assert train("--loss", "softmax", *watched, "--record", "watched", epochs=5) == 0
    rows = list(csv.DictReader((Path("runs/watched") / SEED_FOLDER / "history.csv").open()))
    assert [bool(row["recall_at_1"]) for row in rows] == [False, True, False, True, True]
    last = records.load("watched").runs[0]["figures"]["recall_at_1"]
    assert float(rows[-1]["recall_at_1"]) == pytest.approx(last)


def test_a_broken_photograph_of_the_test_half_is_found_before_training(trees, monkeypatch, capsys):
    (trees / "gean" / "3.png").write_bytes(b"no picture")
    no_step(monkeypatch)
    assert train("--loss", "softmax") == 1
    said = capsys.readouterr().err
    assert "3.png" in said
    assert "--data-option skip_corrupt=True" in said
    assert not Path("runs").exists()


def test_halves_that_cannot_be_measured_are_refused_before_training(trees, monkeypatch, capsys):
    for folder in sorted(trees.iterdir())[3:]:
        shutil.rmtree(folder)
    no_step(monkeypatch)
    assert train("--loss", "softmax") == 1
    assert "the measured half must hold images of at least two classes; got 1" in capsys.readouterr().err


def test_a_test_half_of_single_images_is_refused_before_training(trees, monkeypatch, capsys):
    for folder in sorted(trees.iterdir())[3:]:
        for path in sorted(folder.iterdir())[1:]:
            path.unlink()
    no_step(monkeypatch)
    assert train("--loss", "softmax") == 1
    assert "the measured half must hold two images of some class, or Recall@1" in capsys.readouterr().err


def test_classes_of_one_image_can_be_trained_on(trees):
    for folder in sorted(trees.iterdir())[:3]:
        for path in sorted(folder.iterdir())[1:]:
            path.unlink()
    assert train("--loss", "softmax", "--record", "single") == 0
    assert records.load("single").configuration["training_images"] == 3


def test_a_gallery_of_few_images_is_measured_as_far_as_it_goes(trees):
    for folder in sorted(trees.iterdir())[3:]:
        for path in sorted(folder.iterdir())[2:]:
            path.unlink()
    assert train("--loss", "softmax", "--record", "few") == 0
    figures = records.load("few").runs[0]["figures"]
    assert "recall_at_4" in figures
    assert "recall_at_8" not in figures  # six images: five others


def test_what_the_frozen_network_scores_comes_first_and_the_gain_last(trees, pretrained, capsys):
    make_hard(trees)
    weights = ("--weights", str(pretrained), "--record", "gained")
    assert train("--loss", "softmax", *weights) == 0
    said = capsys.readouterr().out.splitlines()
    about = run_folders.read_about(Path("runs/gained") / SEED_FOLDER)
    titles = ["frozen features, 128 dimensions", "their PCA, 8 dimensions", "the network as it starts, 8 dimensions"]
    assert list(about["before"]) == titles
    first = said.index("before training, on test classes:") + 1
    assert said[0] == "settings"
    assert [line.strip().startswith(t) for line, t in zip(said[first : first + 3], titles, strict=True)] == [True] * 3
    figures, frozen = records.load("gained").runs[0]["figures"], about["before"][titles[0]]
    gained = [f"{100 * (figures[key] - frozen[key]):+.1f}" for key in ("recall_at_1", "map_at_r")]
    assert f"gain over {titles[0]}: R@1 {gained[0]}, MAP@R {gained[1]} points" in said
    assert (
        main(["evaluate", "--data", "folder", "--root", "trees", "--size", "16", "--net", "small", *weights[:2]]) == 0
    )
    assert capsys.readouterr().out.startswith(common.percents(frozen).partition("   MAP@R")[0])
    assert train("--loss", "softmax", "--no-baseline", "--lr", "0.002") == 0
    assert "before training" not in capsys.readouterr().out


def test_a_loss_of_recall_is_said_and_a_gain_is_not():
    before = {"frozen features, 8 dimensions": {"recall_at_1": 0.5, "map_at_r": 0.2}}
    worse = baseline.gain(before, {"recall_at_1": 0.4, "map_at_r": 0.3})
    assert worse.startswith("gain over frozen features, 8 dimensions: R@1 -10.0, MAP@R +10.0 points\nTraining has cost")
    assert "cost" not in baseline.gain(before, {"recall_at_1": 0.5, "map_at_r": 0.1})


def test_a_record_of_other_settings_or_a_damaged_one_is_kept_until_it_is_given_up(trees, monkeypatch, capsys):
    assert train("--loss", "softmax", "--seeds", "2", "--record", "mine") == 0
    path = Path("results/mine.json")
    kept = path.read_bytes()
    with monkeypatch.context() as patch:
        no_step(patch)
        capsys.readouterr()
        assert train("--loss", "softmax", "--loss-option", "scale=5", "--record", "mine") == 1
        said = capsys.readouterr().err
        assert "--replace" in said
        assert "loss_options" in said
        assert main(["evaluate", "--data", "digits", "--net", "small", "--record", "mine"]) == 1
        assert "--replace" in capsys.readouterr().err
        assert path.read_bytes() == kept
        path.write_bytes(kept[: len(kept) // 2])
        assert train("--loss", "softmax", "--record", "mine") == 1
        assert path.read_bytes() == kept[: len(kept) // 2]
    assert train("--loss", "softmax", "--loss-option", "scale=5", "--record", "mine", "--replace") == 0
    assert records.load("mine").seeds == [SEED]


def test_weights_may_be_none_whatever_suits_the_images():
    rest = dict.fromkeys(("embedding_size", "width_mult", "preprocessing", "same_padding", "bn_eps"))
    given = common.net_settings(Namespace(net=None, weights="none", **rest), settled.DEFAULTS["cub"])
    assert (given["name"], given["weights"]) == ("googlenet", None)


def test_a_run_of_several_seeds_is_read_by_its_first(trees, tmp_path):
    for seed in (10, 9):
        folder = tmp_path / "some" / f"seed-{seed}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"net": {}, "config": {}, "data": {}}))
    assert run_folders.find(tmp_path / "some").name == "seed-9"
    assert run_folders.find(tmp_path / "some" / "seed-10").name == "seed-10"


def test_a_folder_of_something_else_or_of_one_seed_is_no_place_for_a_run(trees, monkeypatch, capsys):
    assert train("--loss", "softmax", "--folder", "mine") == 0
    Path("notes").mkdir()
    Path("notes/a.txt").write_text("")
    no_step(monkeypatch)
    before = sorted(path for path in Path().rglob("*"))
    told = {"trees": "ash", "notes": "a.txt", f"mine/{SEED_FOLDER}": "checkpoint-", "notes/a.txt": "which is a file"}
    for folder, what in told.items():
        capsys.readouterr()
        assert train("--loss", "softmax", "--folder", folder) == 1
        said = capsys.readouterr().err
        assert f"--folder must hold this run or none; got {folder}" in said.replace("\\", "/")
        assert what in said
    assert sorted(path for path in Path().rglob("*")) == before


def placed(folder=None, record="mine", **asked):
    options = Namespace(folder=folder, record=record, data="folder", root="trees", loss="softmax")
    return places.place(options, asked).as_posix()


def test_runs_of_different_miners_or_none_do_not_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = {"loss": "triplet", "loss_options": {}, "config": {"epochs": 2}}
    mined = {**plain, "miner": "TripletMarginMiner", "miner_options": {"margin": 0.1}}
    other = {**mined, "miner_options": {"margin": 0.2}}
    options = Namespace(folder=None, record=None, data="birds", root=None, loss="triplet")
    for number, asked in enumerate((mined, plain, other), 1):
        found = places.place(options, asked)
        assert found.as_posix() == "runs/birds-triplet" + (f"-{number}" if number > 1 else "")
        (found / "seed-1").mkdir(parents=True)
        (found / "seed-1" / "run.json").write_text(json.dumps(asked))
        assert places.place(options, asked) == found


def test_runs_below_a_folder_and_a_seed_that_has_not_begun_take_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/mine/deep/seed-1", "runs/mine/flat", "runs/mine/seed-2", "runs/mine/.cache"):
        Path(folder).mkdir(parents=True)
    for folder in ("runs/mine/deep/seed-1", "runs/mine/flat"):
        (Path(folder) / "run.json").write_text("{}")
    assert placed() == placed(folder="runs/mine") == "runs/mine"


@pytest.mark.parametrize("text", ["{", "[1]", '{"config": 3}', "[" * 100_000])
def test_a_damaged_run_takes_its_name_with_it_and_stops_no_other(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs/mine/seed-1").mkdir(parents=True)
    Path("runs/mine/seed-1/run.json").write_text(text)
    assert placed() == "runs/mine-2"
    with pytest.raises(ValueError, match="--folder must hold this run or none; got .*run.json"):
        placed(folder="runs/mine")


@pytest.mark.parametrize("former", [{}, {"epochs": "x"}, {"epochs": None}, {"epochs": 9}])
def test_a_run_that_does_not_say_its_epochs_is_another_one(former, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs/mine/seed-1").mkdir(parents=True)
    Path("runs/mine/seed-1/run.json").write_text(json.dumps({"config": {"lr": 1, **former}}))
    assert placed(config={"lr": 1, "epochs": 5}) == "runs/mine-2"
    Path("runs/mine/seed-1/run.json").write_text(json.dumps({"config": {"lr": 1, "epochs": 4}}))
    assert placed(config={"lr": 1, "epochs": 5}) == "runs/mine"


def test_names_of_folders_are_made_of_what_paths_may_hold():
    def place(root, record=None):
        return places.place(Namespace(folder=None, record=record, data="folder", root=root, loss="softmax"), {})

    assert place("/photos/My cats & dogs/") == Path("runs/My-cats-dogs-softmax")
    assert place("..") == Path("runs/softmax")
    assert place("x" * 300).parts[1].startswith("xxx")
    assert len(place("x" * 300).name) <= 80


def test_what_is_left_out_of_a_folder_is_said_once_on_a_line(trees, capsys):
    (trees / "ash" / "notes.txt").write_text("mine")
    assert train("--loss", "softmax") == 0  # it reads both halves
    told = [line for line in capsys.readouterr().err.splitlines() if "left out in" in line]
    assert len(told) == 1
    assert told[0].startswith("note: ")
    assert "1 .txt" in told[0]


def test_a_second_run_in_a_folder_is_refused_while_the_first_goes_on(trees, monkeypatch, capsys):
    statuses = []

    def second(record):
        monkeypatch.setattr(study_module, "Report", Report)
        statuses.append(train("--loss", "softmax"))

    monkeypatch.setattr(study_module, "Report", lambda **options: Report(each_epoch=second, **options))
    assert train("--loss", "softmax") == 0
    assert statuses == [1, 1]  # after each of two epochs
    said = capsys.readouterr().err
    assert "--folder must be used by one run at a time" in said
    assert f"process {os.getpid()} on " in said


def test_a_frozen_backbone_trains_and_is_measured_in_double_precision(trees, pretrained):
    assert train("--loss", "softmax", "--freeze-backbone", "--weights", str(pretrained), "--precision", "64-true") == 0
    assert run_folders.read_about(Path("runs/trees-softmax") / SEED_FOLDER)["figures"]["recall_at_1"] > 0


def test_features_of_a_pretrained_backbone_are_computed_once_on_the_device_that_is_named(
    trees, pretrained, monkeypatch
):
    embedded, calls = study_module.embed, []

    def counted(net, images, **options):
        calls.append((images.split, options.get("features"), options.get("device")))
        return embedded(net, images, **options)

    monkeypatch.setattr(study_module, "embed", counted)
    monkeypatch.setattr(baseline, "embed", counted)
    line = ("--weights", str(pretrained), "--device", "cpu", "--seeds", "2")
    assert train("--loss", "softmax", "--freeze-backbone", *line) == 0
    assert sorted(calls) == [("test", True, "cpu"), ("train", True, "cpu")]
    calls.clear()
    assert train("--loss", "softtriple", *line) == 0
    assert sorted(call for call in calls if call[1]) == [("test", True, "cpu"), ("train", True, "cpu")]
    assert [call[:2] for call in calls if not call[1]] == [("test", None)] * 2  # each trained network


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--precision", "16-mixed", "--device", "cpu"), "--precision must not be 16-mixed on a CPU"),
        (("--batch-size", "300", "--drop-last"), "--batch-size must be at most the number of images"),
        (("--freeze-batch-norm",), "--freeze-batch-norm must be False for random weights"),
    ],
)
def test_what_fit_would_refuse_is_refused_before_images_are_embedded_and_leaves_no_folder(
    trees, monkeypatch, capsys, more, message
):
    monkeypatch.setattr(baseline, "measure", lambda *a, **k: pytest.fail("images were embedded"))
    assert train("--loss", "softmax", *more) == 1
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_folder_that_another_run_holds_is_refused_before_images_are_embedded(trees, monkeypatch, capsys):
    monkeypatch.setattr(baseline, "measure", lambda *a, **k: pytest.fail("images were embedded"))
    with Checkpoints(Path("runs/trees-softmax") / SEED_FOLDER).held():
        assert train("--loss", "softmax") == 1
    assert "--folder must be used by one run at a time" in capsys.readouterr().err


def test_a_folder_is_taken_before_images_are_embedded(trees, monkeypatch):
    measure, seen = baseline.measure, []

    def meanwhile(*arguments, **options):
        if not seen:
            seen.append(run_folders.read_about(Path("runs/trees-softmax") / SEED_FOLDER)["loss"])
            assert train("--loss", "softmax", "--lr", "0.5") == 0  # of another request
        return measure(*arguments, **options)

    monkeypatch.setattr(baseline, "measure", meanwhile)
    assert train("--loss", "softmax") == 0
    assert seen == ["softmax"]
    rates = {path.name: run_folders.read_about(path / SEED_FOLDER)["config"]["lr"] for path in Path("runs").iterdir()}
    assert sorted(rates) == ["trees-softmax", "trees-softmax-2"]
    assert rates["trees-softmax-2"] == 0.5


def test_a_folder_that_another_command_takes_at_the_same_moment_is_left_to_it(trees, monkeypatch):
    held, others = Checkpoints.held, []

    def late(kept):
        if not others:
            others.append(kept.folder)
            assert train("--loss", "softmax", "--lr", "0.5") == 0
        return held(kept)

    monkeypatch.setattr(Checkpoints, "held", late)
    assert train("--loss", "softmax") == 0
    rates = {path.name: run_folders.read_about(path / SEED_FOLDER)["config"]["lr"] for path in Path("runs").iterdir()}
    assert sorted(rates) == ["trees-softmax", "trees-softmax-2"]
    assert rates["trees-softmax"] == 0.5


def test_figures_of_a_finished_run_stay_until_it_is_measured_again(trees, monkeypatch):
    assert train("--loss", "softmax") == 0
    before = run_folders.read_about(Path("runs/trees-softmax") / SEED_FOLDER)

    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(study_module, "embed", stopped)
        assert train("--loss", "softmax") == 130
        assert run_folders.read_about(Path("runs/trees-softmax") / SEED_FOLDER) == before
        assert train("--loss", "softmax", "--no-baseline") == 130
        assert run_folders.read_about(Path("runs/trees-softmax") / SEED_FOLDER) == before
        assert train("--loss", "softmax", epochs=3) == 130
    about = run_folders.read_about(Path("runs/trees-softmax") / SEED_FOLDER)
    assert "figures" not in about  # those were of two epochs
    assert about["before"] == before["before"]


def test_processes_behind_the_first_say_nothing_and_end_with_the_run(trees, monkeypatch, capsys):
    asked, fit = [], study_module.fit

    def interrupted(*arguments, **options):
        asked.append(arguments)
        return replace(fit(*arguments, **options), interrupted=True, signal=15, rank=rank)

    monkeypatch.setattr(study_module, "fit", interrupted)
    monkeypatch.setenv("RANK", "1")
    rank = 1
    assert train("--loss", "softmax", "--seeds", "2", "--split", "closed") == 0
    assert len(asked) == 1  # and no second seed
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    monkeypatch.setenv("RANK", "0")
    rank = 0
    assert train("--loss", "softmax", "--seeds", "2") == 143
    assert "interrupted: the same command goes on from there" in capsys.readouterr().err


def test_a_run_brings_its_images_and_the_command_line_comes_first():
    data = {"data": "folder", "root": "here", "size": 64, "data_option": [["merge", True]]}
    net = nets.build("small", embedding_size=2)
    trained = run_folders.TrainedRun(Path("here"), net, TrainConfig(), {}, data, centers=None, finished=True)

    def images(**given):
        options = {"data": None, "root": None, "size": None, "data_option": [], "validation": None, **given}
        return places.of_run(trained, Namespace(**options))

    of_run = images()
    assert (of_run.data, of_run.root, of_run.size, of_run.data_option) == ("folder", "here", 64, [("merge", True)])
    assert (images(size=32).size, images(root="there").root) == (32, "there")
    other = images(data="birds")
    assert (other.data, other.root, other.size, other.data_option) == ("birds", None, 64, [])


def test_a_run_begins_with_its_place_named_and_features_are_shared_where_the_backbone_brings_weights(tmp_path):
    net, loss = nets.build("small", embedding_size=2), losses.make("triplet", num_classes=2, embedding_size=2)

    def run(weights, **config):
        place = Place("cpu")
        return study_module.Begun({"weights": weights}, TrainConfig(**config), net, loss, None, place)

    assert [run(None, freeze_backbone=True).once, run("imagenet").once] == [False, False]
    assert run("imagenet", freeze_backbone=True).once
    assert [run(None).pretrained, run("imagenet").pretrained] == [False, True]
    study_module.write_about(tmp_path, {"loss": "softmax"})
    assert run_folders.read_about(tmp_path) == {"loss": "softmax"}
