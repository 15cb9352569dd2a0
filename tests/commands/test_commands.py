"""The command line: help that teaches, records with provenance, messages instead of tracebacks."""

import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dmlbook import datasets, losses, nets, records, retrieval, settings
from dmlbook.__main__ import COMMANDS, main
from dmlbook.commands import baseline, bench, check, common, settled, throughput
from dmlbook.commands import study as study_module
from dmlbook.datasets import ImageSet
from dmlbook.seeding import SEED, generator
from dmlbook.training import TrainConfig, checkpoints, embed
from dmlbook.use import run_folders


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    """Nothing of the reader's is read or written."""
    monkeypatch.setenv("DMLBOOK_DATA", str(tmp_path / "images"))
    monkeypatch.setenv("DMLBOOK_MODE", "smoke")
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path / "results")
    monkeypatch.chdir(tmp_path)


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
        main(["train", "--help-all"])
    said = " ".join(capsys.readouterr().out.split())
    for name, meaning in meanings().items():
        assert f"--{name.replace('_', '-')}" in said
        assert meaning.replace("``", "") in said
    assert "an L2 penalty in the gradient" in said
    assert "python -m dmlbook train --data birds --loss softtriple" in said


def meanings():
    """What each setting that ``train`` takes says of itself."""
    return {field.name: field.metadata["help"] for field in fields(TrainConfig) if field.name != "seed"}


def test_every_command_explains_itself_the_same_without_docstrings():
    shown = (
        "from dmlbook.__main__ import COMMANDS, main\n"
        "for command in COMMANDS:\n"
        "    try: main([command, '--help-all' if command == 'train' else '--help'])\n"
        "    except SystemExit: pass\n"
    )
    with_docstrings, without = (
        subprocess.run(
            [sys.executable, *option, "-c", shown],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env=os.environ | {"COLUMNS": "100"},
        ).stdout
        for option in ([], ["-OO"])
    )
    assert without == with_docstrings
    said = " ".join(without.split())
    for name, meaning in meanings().items():
        assert f"--{name.replace('_', '-')}" in said
        assert meaning.replace("``", "") in said


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


def test_what_is_measured_was_not_trained_on(photos, monkeypatch, tmp_path):
    trained, measured = [], []
    fit, embedded = study_module.fit, study_module.embed
    monkeypatch.setattr(
        study_module,
        "fit",
        lambda n, o, images, *a, **k: trained.append(images.class_names) or fit(n, o, images, *a, **k),
    )
    monkeypatch.setattr(
        study_module, "embed", lambda n, images, **k: measured.append(images.class_names) or embedded(n, images, **k)
    )
    ten = tmp_path / "ten"
    shutil.copytree(photos, ten, ignore=shutil.ignore_patterns(".*"))
    for name in ("ash", "beech", "cedar", "elm"):
        shutil.copytree(photos / name, ten / f"{name}-again")
    names = sorted(folder.name for folder in ten.iterdir())
    assert train(ten, "--loss", "softmax") == 0
    assert [list(trained[0]), list(measured[0])] == [names[:5], names[5:]]
    assert train(ten, "--loss", "softmax", "--validation", "0.4") == 0
    assert (len(trained[1]), len(measured[1])) == (3, 2)
    assert sorted(trained[1] + measured[1]) == names[:5]


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
    older, newest = (checkpoints.load(path)["net"]["head.linear.weight"] for path in checkpoints.find(run))
    assert isinstance(run_folders.read_run(run), run_folders.TrainedRun)
    torch.testing.assert_close(run_folders.read_run(run).net.head.linear.weight.detach(), newest)
    assert (newest - older).abs().max() > 0
    assert again in first


def test_train_given_again_with_its_folder_measures_the_same_without_training(photos, tmp_path, monkeypatch, capsys):
    more = ("--loss", "softmax", "--folder", str(tmp_path / "runs"))
    assert train(photos, *more) == 0
    before = capsys.readouterr().out
    monkeypatch.setattr("dmlbook.training.stepping.Stepper.apply", lambda self: pytest.fail("a step was taken"))
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
    other = ("--loss", "softmax", "--record", "again", "--loss-option", "scale=5")
    assert train(photos, *other) == 1
    assert "--record must be free or name a record of this configuration" in capsys.readouterr().err
    assert len(records.load("again", tmp_path / "results").runs) == 2
    assert train(photos, *other, "--replace") == 0
    assert len(records.load("again", tmp_path / "results").runs) == 1


def test_frozen_features_are_measured_and_reduced(photos, tmp_path, capsys):
    here = ["evaluate", "--data", "folder", "--root", str(photos), "--size", "16", "--net", "small"]
    assert main([*here, "--record", "frozen"]) == 0
    assert main([*here, "--pca", "4", "--record", "reduced"]) == 0
    whole, reduced = (records.load(name, tmp_path / "results").configuration for name in ("frozen", "reduced"))
    assert whole["dimensions"] == 128
    assert (reduced["dimensions"], reduced["pca"]) == (4, 4)


def test_features_are_measured_on_the_classes_that_train_holds_out(photos, tmp_path, monkeypatch):
    measured = []
    original = common.retrieval.evaluate
    monkeypatch.setattr(
        common.retrieval, "evaluate", lambda x, y, ks, **more: measured.append(y) or original(x, y, ks, **more)
    )
    eight = tmp_path / "eight"
    shutil.copytree(photos, eight, ignore=shutil.ignore_patterns(".*"))
    for name in ("ash", "elm"):
        shutil.copytree(photos / name, eight / f"{name}-again")
    here = ["evaluate", "--data", "folder", "--root", str(eight), "--size", "16", "--net", "small"]
    assert main([*here, "--validation", "0.5", "--record", "held-out"]) == 0
    assert main([*here, "--validation", "0.5", "--pca", "2"]) == 0
    assert train(eight, "--loss", "softmax", "--validation", "0.5", "--record", "trained") == 0
    assert measured[0].tolist() == measured[1].tolist() == measured[2].tolist()
    configurations = [records.load(name, tmp_path / "results").configuration for name in ("held-out", "trained")]
    assert {c["measured_on"] for c in configurations} == {"0.5 of the training classes"}


def test_a_seed_decides_centers_and_weights_and_the_bound_gets_the_class_counts():
    train_set = ImageSet(torch.zeros(5, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 0, 0, 1]), ("gull", "tern"))

    def build(loss, seed):
        options = Namespace(loss=loss, loss_option=[], embedding_size=8)
        net, made = settled.build(options, {"name": "small", "embedding_size": 8}, train_set, seed)
        return next(net.parameters()), made

    for loss in ("softtriple", "centroid_bound"):
        (weights, made), (again, made_again), (others, other) = (build(loss, seed) for seed in (1, 1, 2))
        points = [getattr(m, "centers" if loss == "softtriple" else "centroids") for m in (made, made_again, other)]
        torch.testing.assert_close(weights, again, rtol=0, atol=0)
        torch.testing.assert_close(points[0], points[1], rtol=0, atol=1e-6)
        assert (weights - others).abs().max() > 1e-3
        assert (points[0] - points[2]).abs().max() > 1e-3
    torch.testing.assert_close(made.class_weights, torch.tensor([5 / 8, 5 / 2]))


@pytest.mark.parametrize(
    ("loss", "options", "unit"),
    [
        ("lifted", (), False),
        ("lifted", ("--loss-option", "normalize=True"), True),
        ("npairs", ("--samples-per-class", "2"), False),
        ("softtriple", (), True),
    ],
)
def test_a_loss_that_needs_lengths_gets_them_and_is_measured_by_both(loss, options, unit, photos, tmp_path):
    small = ("--batch-size", "4", "--record", "lengths", "--folder", str(tmp_path / "runs"))
    pairs = () if "--samples-per-class" in options or loss == "softtriple" else ("--samples-per-class", "2")
    assert train(photos, "--loss", loss, *small, *pairs, *options) == 0
    record = records.load("lengths", tmp_path / "results")
    assert record.configuration["network"].get("normalize", True) is unit
    assert ("euclidean_map_at_r" in record.runs[0]["figures"]) is not unit
    (run,) = (tmp_path / "runs").iterdir()
    vectors = embed(run_folders.read_run(run).net, datasets.load("folder", "test", root=photos, size=16))
    assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors))) is unit
    assert main(["evaluate", "--run", str(run), "--record", "again"]) == 0
    again = records.load("again", tmp_path / "results").runs[0]["figures"]
    assert {key: record.runs[0]["figures"].get(key) for key in again} == pytest.approx(again)
    assert ("euclidean_map_at_r" in again) is not unit


def test_seeds_are_counted_from_the_books():
    assert common.seeds(3) == [SEED, SEED + 1, SEED + 2]


@pytest.mark.parametrize(
    ("loss", "given", "sampler"),
    [
        ("semihard", {}, ("class", "repeat", 4)),
        ("triplet", {}, ("class", "repeat", 4)),
        ("npairs", {}, ("class", "repeat", 2)),
        ("lifted", {"samples_per_class": 8}, ("class", "repeat", 8)),
        ("softtriple", {}, ("uniform", "error", 4)),
        ("semihard", {"sampler": "uniform", "small_classes": "leave_out"}, ("uniform", "leave_out", 4)),
    ],
)
def test_losses_on_pairs_draw_by_class_unless_the_command_line_says_otherwise(loss, given, sampler):
    config = settled.config(Namespace(loss=loss, data="birds", **given), 3)
    assert (config.sampler, config.small_classes, config.samples_per_class) == sampler
    assert (config.seed, config.lr) == (3, settled.DRAWN["lr"])


@pytest.mark.parametrize(
    ("net", "weights", "expected"),
    [
        (None, None, ("googlenet", "imagenet")),
        ("resnet18", None, ("resnet18", None)),
        (None, "w.pt", ("googlenet", "w.pt")),
        ("resnet18", "w.pt", ("resnet18", "w.pt")),
    ],
)
def test_the_weights_that_suit_a_data_set_are_those_of_its_own_network(net, weights, expected):
    rest = dict.fromkeys(("embedding_size", "width_mult", "preprocessing", "same_padding", "bn_eps"))
    options = Namespace(net=net, weights=weights, **rest)
    settings = common.net_settings(options, settled.DEFAULTS["cub"])
    assert (settings["name"], settings["weights"]) == expected


def test_a_stopped_run_is_neither_measured_nor_recorded(photos, monkeypatch, tmp_path):
    stopped = SimpleNamespace(rank=0, interrupted=True, signal=15)
    monkeypatch.setattr(study_module, "fit", lambda *_, **__: stopped)
    assert train(photos, "--loss", "softmax", "--record", "stopped") == 128 + 15
    assert not (tmp_path / "results" / "stopped.json").exists()


@pytest.mark.parametrize(("split", "opened"), [("test", ["test", "train"]), ("train", ["train"])])
def test_pca_takes_the_training_classes(photos, monkeypatch, split, opened):
    seen = []
    original = common.load_images
    monkeypatch.setattr(common, "load_images", lambda options, split: seen.append(split) or original(options, split))
    here = ["evaluate", "--data", "folder", "--root", str(photos), "--size", "16", "--net", "small", "--pca", "4"]
    assert main([*here, "--split", split]) == 0
    assert seen == opened


def test_pca_is_handed_the_features_of_the_training_classes(photos, monkeypatch):
    handed, original = [], baseline.reduce
    monkeypatch.setattr(baseline, "reduce", lambda *given: handed.append(given) or original(*given))
    here = ["evaluate", "--data", "folder", "--root", str(photos), "--size", "16", "--net", "small", "--pca", "4"]
    assert main(here) == 0
    net = nets.build("small", embedding_size=64)
    for given, split in zip(handed[0], ("train", "test"), strict=False):
        images = datasets.load("folder", split, root=photos, size=16)
        torch.testing.assert_close(given, embed(net, images, features=True))


def test_pca_sees_features_of_unit_length():
    numbers = torch.Generator().manual_seed(1)
    training_features, features = torch.randn(50, 6, generator=numbers), torch.randn(20, 6, generator=numbers)
    lengths = 1 + torch.arange(50.0)[:, None]
    expected = baseline.reduce(training_features, features, 3)
    torch.testing.assert_close(baseline.reduce(lengths * training_features, features, 3), expected)
    torch.testing.assert_close(baseline.reduce(training_features, lengths[:20] * features, 3), expected)


def test_pca_is_fitted_to_the_training_features_alone():
    training = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    features = torch.randn(20, 6, generator=torch.Generator().manual_seed(2))
    both = baseline.reduce(training, features, 3)
    assert both.shape == (20, 3)
    torch.testing.assert_close(baseline.reduce(training, features[:7], 3), both[:7])


def test_check_says_what_is_there(capsys):
    assert main(["check"]) == 0
    said = capsys.readouterr().out
    assert "mode        smoke" in said
    assert "digits  1,797 images of 10 classes" in said
    assert said.rstrip().endswith("ready       yes")


def test_check_names_what_is_missing_and_fails(capsys, monkeypatch):
    monkeypatch.setattr(check, "BOOK", {"torch": "torch", "no_such_module": "no-such-package"})
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert "problem     for the book no-such-package are missing" in said
    assert "ready" not in said


@pytest.mark.parametrize("how", ["not installed", "another file", "overwritten"])
def test_check_is_not_taken_in_by_another_package_of_the_same_name(capsys, monkeypatch, tmp_path, how):
    foreign = tmp_path / "umap" / "__init__.py"
    foreign.parent.mkdir()
    foreign.write_text("UMAP = None\n")
    listed = metadata.PackagePath("umap/__init__.py")
    listed.dist = SimpleNamespace(
        locate_file=lambda path: (tmp_path if how == "overwritten" else tmp_path / "x") / path
    )
    listed.hash = metadata.FileHash(f"sha256={check._digest(Path(__file__), 'sha256')}")

    def files(package):
        if how == "not installed":
            raise metadata.PackageNotFoundError(package)
        return [listed]

    monkeypatch.setattr(check, "BOOK", {"umap": "umap-learn"})
    monkeypatch.setattr(check.util, "find_spec", lambda name: SimpleNamespace(origin=str(foreign)))
    monkeypatch.setattr(check.metadata, "files", files)
    assert main(["check"]) == 1
    assert "umap is not that of umap-learn, but another package of this name" in capsys.readouterr().out
    if how == "overwritten":
        listed.hash = metadata.FileHash(f"sha256={check._digest(foreign, 'sha256')}")
        assert main(["check"]) == 0


def test_check_shows_the_data_folder_as_seen_from_the_checkout(capsys, monkeypatch):
    monkeypatch.delenv("DMLBOOK_DATA")
    assert main(["check"]) == 0
    said = capsys.readouterr().out
    assert str(settings.project_root()) not in said
    assert "images      data" in said


def test_data_says_where_a_set_has_come_to(capsys, monkeypatch):
    monkeypatch.setattr("dmlbook.datasets.fetch", lambda name, root: f"{root}/{name}-there")
    assert main(["data", "cub", "--root", "here"]) == 0
    assert capsys.readouterr().out == "cub is in here/cub-there\n"


def test_the_cache_is_shown_and_cleared(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DMLBOOK_CACHE", str(tmp_path / "kept"))
    other = shutil.copytree(photos, tmp_path / "other")
    for root in (photos, other):
        for split in ("train", "test"):
            datasets.load("folder", split, root=root, size=16, progress=False)
    capsys.readouterr()
    assert main(["cache"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{tmp_path / 'kept'}: ")
    assert first.endswith("MB of 32,000 MB at most")
    assert len(lines) == 4
    assert sum(f"folder-test, 15 images of 16 pixels, of {other.resolve()}" in line for line in lines) == 1
    assert main(["cache", "--root", str(other)]) == 1
    assert "--root must come with --clear" in capsys.readouterr().err
    assert main(["cache", "--clear", "--root", str(other)]) == 0
    assert main(["cache"]) == 0
    assert [str(photos.resolve()) in line for line in capsys.readouterr().out.splitlines()[2:]] == [True, True]
    assert main(["cache", "--clear"]) == 0
    assert not list((tmp_path / "kept").iterdir())


def test_data_lists_the_sets(capsys):
    assert main(["data"]) == 0
    said = capsys.readouterr().out
    assert "digits  1,797 images of 10 classes" in said
    assert "data digits fetches it" not in said
    assert "cub     not there; python -m dmlbook data cub fetches it or says how to get it" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--data", "birds"], "--run or --net must be given, one of them; got neither"),
        (
            ["evaluate", "--data", "birds", "--run", "runs", "--net", "small"],
            "--run or --net must be given, one of them; got both",
        ),
        (
            ["evaluate", "--data", "digits", "--run", "nowhere"],
            "--run must hold run.json and a checkpoint; got nowhere",
        ),
        (
            ["train", "--data", "digits", "--loss", "softmax", "--loss-option", "gamma=1"],
            "--loss-option gamma must be one of",
        ),
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
    assert records.described({"weights": "weights/old/w.pt"})["weights"] == "w.pt"
    assert records.described({"weights": "imagenet"})["weights"] == "imagenet"


def test_bench_runs_every_contest(capsys, tmp_path):
    quick = [name for name in bench.CONTESTS if name != "imports"]  # which starts processes, and takes seconds
    assert main(["bench", *quick, "--repeat", "1", "--record", "speed"]) == 0
    said = capsys.readouterr().out
    assert said.count("1.00 x") >= len(quick)
    content = json.loads((tmp_path / "results" / "speed.json").read_text())
    assert all(seconds > 0 for seconds in content["runs"][0]["figures"].values())


def test_the_whole_of_training_is_set_beside_a_resident_batch_and_the_share_is_judged(capsys, monkeypatch):
    speeds = {"resident": iter([1.0, 100.0, 200.0]), "memory": iter([9.0, 90.0, 150.0])}
    speeds["file"] = iter([1.0, 80.0, 180.0])
    monkeypatch.setattr(throughput, "resident", lambda sizes, precision: lambda: next(speeds["resident"]))
    ways = iter(["memory", "file"])

    def pipeline(sizes, precision, pictures):
        assert tuple(pictures().shape) == (2 * 4, 3, 18, 18)  # 16 of them are 224 of 256
        name = next(ways)
        return lambda: next(speeds[name])

    monkeypatch.setattr(throughput, "pipeline", pipeline)
    monkeypatch.setattr(throughput, "precisions", lambda device: ["32-true"])
    assert main(["bench", "throughput", "--repeat", "2", "--device", "cpu"]) == 0
    _, resident, memory, file = capsys.readouterr().out.splitlines()
    assert "150.0 images/s   100.0%" in resident
    assert "120.0 images/s    82.5%" in memory  # the median of 90 % and 75 %, turn by turn
    assert memory.endswith("below 85%")
    assert "130.0 images/s    85.0%" in file
    assert file.endswith("reached 85%")


def test_throughput_trains_really_from_memory_and_from_a_file(capsys):
    assert main(["bench", "throughput", "--repeat", "1", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Training small on 4 images of 16 pixels a step, on cpu\n")
    assert said.count("images/s") == 3
    assert all(f"32-true    {name}" in said for name in ("resident batch", "all of it, from memory"))
    assert throughput.precisions(torch.device("cpu")) == ["32-true"]
    sizes = throughput.Sizes("small", 16, 4, 2, torch.device("cpu"), compiled=True)
    assert (sizes.config("bf16-mixed").compile, sizes.config("bf16-mixed").precision) == (True, "bf16-mixed")


def test_throughput_gives_seconds_an_image_for_each_contestant(monkeypatch):
    monkeypatch.setattr(throughput, "resident", lambda sizes, precision: lambda: 4.0)
    monkeypatch.setattr(throughput, "pipeline", lambda sizes, precision, pictures: lambda: 2.0)
    options = Namespace(net="small", size=16, batch_size=2, steps=1, device="cpu", compile=False, repeat=1)
    assert throughput.sizes_of(options) == throughput.Sizes("small", 16, 2, 1, torch.device("cpu"), compiled=False)
    assert throughput.measure(options) == {
        "throughput: resident batch, 32-true": 0.25,
        "throughput: all of it, from memory, 32-true": 0.5,
        "throughput: all of it, from a mapped file, 32-true": 0.5,
    }


@pytest.mark.parametrize(
    ("flag", "value"), [("--size", "4"), ("--size", "0"), ("--steps", "-1"), ("--steps", "0"), ("--batch-size", "1")]
)
def test_throughput_of_no_size_is_refused(flag, value, capsys):
    assert main(["bench", "throughput", "--device", "cpu", flag, value]) == 1
    assert f"{flag} must be" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["triplets", "--repeat", "0"], "--repeat must be an integer >= 1; got 0"),
        (["triplets", "throughput", "--repeat", "-1"], "--repeat must be an integer >= 1; got -1"),
        (["triplets", "throughput", "--size", "0"], "--size must be an integer >= 8; got 0"),
        (["triplets", "--record", ""], "--record must"),
    ],
)
def test_what_bench_cannot_measure_is_said_before_any_contest(line, message, capsys):
    assert main(["bench", *line]) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


def test_a_record_of_throughput_says_of_what(monkeypatch, tmp_path):
    monkeypatch.setattr(throughput, "_measured", lambda *arguments: {"throughput": 1.0})
    line = ["throughput", "--net", "small", "--size", "16", "--batch-size", "4", "--steps", "2", "--device", "cpu"]
    assert main(["bench", *line, "--record", "through"]) == 0
    configuration = json.loads((tmp_path / "results" / "through.json").read_text())["configuration"]
    assert configuration["throughput"] == {
        "net": "small", "size": 16, "batch_size": 4, "steps": 2, "device": "cpu", "compile": False,
    }  # fmt: skip
    assert main(["bench", "triplets", "--repeat", "1", "--record", "alone"]) == 0
    assert "throughput" not in json.loads((tmp_path / "results" / "alone.json").read_text())["configuration"]


def test_a_race_takes_turns_and_gives_medians():
    calls = []
    times = bench.race({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert set(times) == {"a", "b"}


def test_a_race_takes_the_median_after_a_round_that_does_not_count(monkeypatch):
    now, durations = [0.0], iter([100.0, 1.0, 9.0, 2.0])

    def call():
        now[0] += next(durations)

    monkeypatch.setattr(bench.time, "perf_counter", lambda: now[0])
    assert bench.race({"a": call}, 3) == {"a": 2.0}


def test_features_of_a_frozen_network_are_computed_once_and_change_no_figure(photos, tmp_path, monkeypatch):
    weights = tmp_path / "small.pt"
    torch.save(nets.build("small", embedding_size=8, seed=5).backbone.state_dict(), weights)
    calls, embedded = [], study_module.embed
    monkeypatch.setattr(study_module, "embed", lambda *a, **k: calls.append(k.get("features")) or embedded(*a, **k))
    frozen = ("--loss", "softmax", "--freeze-backbone", "--weights", str(weights), "--seeds", "2")
    assert train(photos, *frozen, "--record", "once") == 0
    assert calls == [True, True]  # of training and of test images, for both seeds together
    run = records.load("once", tmp_path / "results").runs[1]
    net = nets.build("small", embedding_size=8, weights=weights, seed=run["seed"])
    seen, unseen = (datasets.load("folder", part, root=photos, size=16, progress=False) for part in ("train", "test"))
    kept = records.load("once", tmp_path / "results").configuration["training"]
    config = TrainConfig.from_dict({**kept, "seed": run["seed"]})
    study_module.fit(
        net,
        losses.make("softmax", num_classes=3, embedding_size=8, generator=generator(run["seed"], "centers")),
        seen,
        config,
        device="cpu",
        progress=False,
    )
    again = retrieval.evaluate(embed(net, unseen, config=config), unseen.labels)
    assert {key: run["figures"][key] for key in again} == pytest.approx(again)
