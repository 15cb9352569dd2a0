"""The command line: help that teaches, records with provenance, messages instead of tracebacks."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from dmlbook import records, settings
from dmlbook.__main__ import COMMANDS, main
from dmlbook.commands import bench, common, evaluate
from dmlbook.training import TrainConfig


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    """Nothing of the reader's is read or written."""
    monkeypatch.setenv("DMLBOOK_DATA", str(tmp_path / "images"))
    monkeypatch.setenv("DMLBOOK_MODE", "smoke")
    monkeypatch.setattr(records, "results_root", lambda: tmp_path / "results")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six classes of five pictures, each class a color, in a folder of folders."""
    root, numbers = tmp_path_factory.mktemp("photos"), np.random.default_rng(1)
    for number, name in enumerate(("ash", "beech", "cedar", "elm", "fir", "gean")):
        (root / name).mkdir()
        for i in range(5):
            pixels = numbers.integers(0, 60, (40, 30, 3)) + np.array([40 * number, 255 - 40 * number, 90]) % 190
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{i}.png")
    return root


def train(photos, *more):
    small = ["--net", "small", "--size", "16", "--embedding-size", "8", "--epochs", "2", "--no-freeze-batch-norm"]
    return main(["train", "--data", "folder", "--root", str(photos), *small, *more])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert COMMANDS[command] in " ".join(said.split())
    assert len(said) > 300


def test_the_help_of_train_explains_every_setting(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for name in TrainConfig().to_dict():
        assert name == "seed" or f"--{name.replace('_', '-')}" in said
    assert "Adam's L2 penalty on both" in said
    assert "python -m dmlbook train --data birds --loss softtriple" in said


def test_train_records_every_seed_and_all_that_decides(photos, capsys, tmp_path):
    assert train(photos, "--loss", "softtriple", "--loss-option", "tau=0.5", "--seeds", "2", "--record", "trees") == 0
    record = records.load("trees", tmp_path / "results")
    assert len(record.runs) == 2
    assert {"recall_at_1", "map_at_r", "nmi", "chance_nmi", "distinct_centers"} <= set(record.runs[0]["figures"])
    assert record.configuration["loss_options"] == {"tau": 0.5}
    assert record.configuration["training"]["epochs"] == 2
    assert record.configuration["measured_on"] == "test classes"
    assert record.configuration["training_classes"] == 3
    assert record.provenance["versions"]["torch"] == torch.__version__.split("+")[0]
    assert "R@1" in capsys.readouterr().out


def test_a_validation_run_never_opens_the_test_classes(photos, monkeypatch, tmp_path):
    opened = []
    original = common.load_images
    monkeypatch.setattr(common, "load_images", lambda options, split: opened.append(split) or original(options, split))
    six = tmp_path / "six"
    six.mkdir()
    for copy in ("a", "b"):  # twelve classes, so that six train and two of them can be held out
        for folder in sorted(photos.glob("[!.]*")):
            (six / f"{copy}-{folder.name}").mkdir()
            for file in folder.iterdir():
                (six / f"{copy}-{folder.name}" / file.name).write_bytes(file.read_bytes())
    assert train(six, "--loss", "softmax", "--validation", "0.34", "--record", "choice") == 0
    assert opened == ["train"]
    assert records.load("choice", tmp_path / "results").configuration["measured_on"] == "0.34 of the training classes"


def test_a_trained_run_is_measured_again_with_the_same_figures(photos, capsys, tmp_path):
    folder = tmp_path / "runs"
    assert (
        train(photos, "--loss", "semihard", "--batch-size", "4", "--samples-per-class", "2", "--folder", str(folder))
        == 0
    )
    first = capsys.readouterr().out
    (run,) = folder.iterdir()
    assert main(["evaluate", "--data", "folder", "--root", str(photos), "--size", "16", "--run", str(run)]) == 0
    again = capsys.readouterr().out.splitlines()[0]
    assert again in first


def test_train_given_again_with_its_folder_measures_the_same_without_training(photos, tmp_path, monkeypatch, capsys):
    more = ("--loss", "softmax", "--folder", str(tmp_path / "runs"))
    assert train(photos, *more) == 0
    before = capsys.readouterr().out
    monkeypatch.setattr("dmlbook.training.engine.Engine.apply", lambda self: pytest.fail("a step was taken"))
    assert train(photos, *more) == 0
    assert capsys.readouterr().out == before


def test_seeds_that_a_record_holds_are_not_run_again_unless_the_configuration_changed(photos, tmp_path, capsys):
    assert train(photos, "--loss", "softmax", "--record", "again") == 0
    first = records.load("again", tmp_path / "results").runs
    capsys.readouterr()
    assert train(photos, "--loss", "softmax", "--record", "again", "--seeds", "2") == 0
    said = capsys.readouterr()
    assert f"seed {first[0]['seed']}: is in record again already" in said.out
    assert len(records.load("again", tmp_path / "results").runs) == 2
    assert train(photos, "--loss", "softmax", "--record", "again", "--loss-option", "scale=5") == 0
    assert "had another configuration and is written anew" in capsys.readouterr().err
    assert len(records.load("again", tmp_path / "results").runs) == 1


def test_frozen_features_are_measured_and_reduced(photos, tmp_path, capsys):
    here = ["evaluate", "--data", "folder", "--root", str(photos), "--size", "16", "--net", "small"]
    assert main([*here, "--record", "frozen"]) == 0
    assert main([*here, "--pca", "4", "--record", "reduced"]) == 0
    whole, reduced = (records.load(name, tmp_path / "results").configuration for name in ("frozen", "reduced"))
    assert whole["dimensions"] == 128
    assert (reduced["dimensions"], reduced["pca"]) == (4, 4)


def test_pca_is_fitted_to_the_training_features_alone():
    training = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    features = torch.randn(20, 6, generator=torch.Generator().manual_seed(2))
    both = evaluate.reduce(training, features, 3)
    assert both.shape == (20, 3)
    torch.testing.assert_close(evaluate.reduce(training, features[:7], 3), both[:7])


def test_check_says_what_is_there(capsys):
    assert main(["check"]) == 0
    said = capsys.readouterr().out
    assert "mode        smoke" in said
    assert "digits  1,797 images of 10 classes" in said
    assert said.rstrip().endswith("ready       yes")


def test_check_shows_the_data_folder_as_seen_from_the_checkout(capsys, monkeypatch):
    monkeypatch.delenv("DMLBOOK_DATA")
    assert main(["check"]) == 0
    said = capsys.readouterr().out
    assert str(settings.project_root()) not in said
    assert "images      data" in said


def test_data_lists_the_sets(capsys):
    assert main(["data"]) == 0
    said = capsys.readouterr().out
    assert "cub     not there; python -m dmlbook data cub fetches it or says how to get it" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--data", "birds"], "--run or --net must be given, one of them; got neither"),
        (
            ["evaluate", "--data", "digits", "--run", "nowhere"],
            "--run must hold run.json and a checkpoint; got nowhere",
        ),
        (["train", "--data", "digits", "--loss", "softmax", "--loss-option", "gamma=1"], "options must be among those"),
        (["train", "--data", "digits", "--loss", "softmax", "--epochs", "0"], "epochs must be an integer >= 1; got 0"),
        (["train", "--data", "cub", "--loss", "softmax"], "DMLBOOK_DATA"),
        (["bench", "speed"], "CONTEST must be one of softtriple, regularizer"),
    ],
)
def test_what_will_not_do_is_said_in_a_sentence(arguments, message, capsys):
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert "Traceback" not in said


def test_an_option_value_is_a_number_a_tuple_or_a_word():
    assert common.pair("scale=20") == ("scale", 20)
    assert common.pair("similarity=logsumexp") == ("similarity", "logsumexp")
    assert common.pair("class-counts=(1, 2)") == ("class_counts", (1, 2))


def test_a_weights_file_is_recorded_without_its_folder():
    assert common.described({"weights": "weights/old/w.pt"})["weights"] == "w.pt"
    assert common.described({"weights": "imagenet"})["weights"] == "imagenet"


def test_bench_runs_every_contest(capsys, tmp_path):
    quick = [name for name in bench.CONTESTS if name != "imports"]  # which starts processes, and takes seconds
    assert main(["bench", *quick, "--repeat", "1", "--record", "speed"]) == 0
    said = capsys.readouterr().out
    assert said.count("1.00 x") >= len(quick)
    content = json.loads((tmp_path / "results" / "speed.json").read_text())
    assert all(seconds > 0 for seconds in content["runs"][0]["figures"].values())


def test_a_race_takes_turns_and_gives_medians():
    calls = []
    times = bench.race({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert set(times) == {"a", "b"}
