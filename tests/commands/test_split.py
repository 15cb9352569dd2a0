"""``--split`` from the command line to the record: the measure is the one that was asked for, and says which it is."""

import csv
import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dmlbook import datasets, nets, records, retrieval
from dmlbook.__main__ import main
from dmlbook.commands import baseline, run_rows, split_options
from dmlbook.commands import study as study_module
from dmlbook.seeding import SEED
from dmlbook.training import TrainConfig, embed
from dmlbook.use import run_folders
from dmlbook.use.run_list import find_runs
from dmlbook.use.run_records import as_record

SIZE = ("--size", "16")
SMALL = ("--net", "small", *SIZE, "--embedding-size", "8", "--no-freeze-batch-norm", "--epochs", "1")
FEW = ("--neighbors", "3", "--seeds", "1", "--out", "page.html")


pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def trees(photos, tmp_path):
    """Six classes of five pictures of noise: too hard for one epoch, so that figures differ."""
    shutil.copytree(photos, tmp_path / "trees", ignore=shutil.ignore_patterns(".*"))
    numbers = np.random.default_rng(2)
    for path in sorted((tmp_path / "trees").rglob("*.png")):
        Image.fromarray(numbers.integers(0, 255, (20, 20, 3)).astype(np.uint8)).save(path)
    return tmp_path / "trees"


@pytest.fixture
def table(trees):
    """A file of splits: four classes train, with two of them as queries in the training images."""
    rows = [f"{name}/{i}.png,train" for name in ("ash", "beech", "cedar", "elm") for i in range(3)]
    rows += [f"{name}/{i}.png,query" for name in ("ash", "beech") for i in (3, 4)]
    rows += ["fir/0.png,query", "cedar/3.png,validation", "cedar/4.png,validation"]
    Path("mine.csv").write_text("\n".join(["path,split", *rows, ""]))
    return Path("mine.csv")


def train(*more):
    return main(["train", "--data", "folder", "--root", "trees", "--loss", "softmax", *SMALL, *more])


def figures_of(name):
    return records.load(name).runs[0]["figures"]


def measured_again(run, protocol):
    """The figures of a run by the library alone."""
    net, config = run.net, run.config
    searched = {} if protocol.gallery is None else {"gallery": embed(net, protocol.gallery, config=config)}
    searched |= {"gallery_labels": protocol.gallery_labels} if searched else {}
    return retrieval.evaluate(
        embed(net, protocol.queries, config=config), protocol.query_labels, (1, 2), clusters=False, **searched
    )


@pytest.mark.parametrize(
    ("more", "options", "measured_on", "sizes"),
    [
        (("closed",), {"split": "closed"}, "0.2 of each class's images against the rest (closed set)", (24, 6, 24)),
        (
            ("closed", "--held-out", "0.4"),
            {"split": "closed", "held_out": 0.4},
            "0.4 of each class's images against the rest (closed set)",
            (18, 12, 18),
        ),
        (
            ("closed", "--validation", "0.3"),
            {"split": "closed", "validation": 0.3},
            "0.3 of each class's training images against the rest (closed set)",
            (18, 6, 18),
        ),
        (("all",), {"split": "all"}, "the images trained on", (30, 30, None)),
        (("all", "--validation", "0.4"), {"split": "all", "validation": 0.4}, "0.4 of all classes", (20, 10, None)),
    ],
)
def test_a_run_is_measured_as_asked_and_its_folder_record_and_evaluate_say_so(
    trees, capsys, more, options, measured_on, sizes
):
    assert train("--split", *more, "--record", "mine") == 0
    said, record = capsys.readouterr().out, records.load("mine")
    protocol = datasets.protocol("folder", root=trees, size=16, **options)
    assert protocol.says in said.splitlines()
    assert f"before training, on {measured_on}:" in said
    assert record.configuration["measured_on"] == measured_on == protocol.measured_on
    assert record.configuration["split"] == options["split"]
    assert (record.configuration["training_images"], figures_of("mine")["images"]) == sizes[:2]
    assert figures_of("mine").get("gallery") == sizes[2]
    (listed,) = find_runs(["runs/mine"]).runs
    assert (listed.measured_on, as_record(listed).configuration) == (measured_on, record.configuration)
    assert f"trees, 16 px, measured on {measured_on}" in run_rows.report(find_runs(["runs"]))
    expected = measured_again(run_folders.read_run(Path("runs/mine")), protocol)
    for key in ("recall_at_1", "recall_at_2", "map_at_r", "chance_recall_at_1"):
        assert figures_of("mine")[key] == pytest.approx(expected[key], abs=1e-6)
    assert main(["evaluate", "--run", "runs/mine", "--record", "again"]) == 0
    again = records.load("again")
    assert again.configuration["measured_on"] == measured_on
    assert again.configuration["split"] == options["split"]
    assert {key: figures_of("again")[key] for key in expected} == {
        key: pytest.approx(figures_of("mine")[key], abs=1e-6) for key in expected
    }


def test_map_shows_the_images_of_the_protocol(trees):
    assert train("--split", "closed", "--no-baseline", "--record", "mine") == 0
    for split, images in (("train", 24), ("test", 6)):
        assert main(["map", "--run", "runs/mine", "--split", split, *FEW]) == 0
        assert f"{images} images of 6 classes" in Path("page.html").read_text(encoding="utf-8")


def test_other_splits_of_the_same_run_can_be_asked_for(trees):
    assert train("--split", "closed", "--no-baseline", "--record", "mine") == 0
    assert main(["evaluate", "--run", "runs/mine", "--split", "train", "--record", "train"]) == 0
    assert records.load("train").configuration["measured_on"] == "the images trained on"
    assert (figures_of("train")["images"], "gallery" in figures_of("train")) == (24, False)
    asked = ["--split", "closed", "--held-out", "0.4", "--record", "other"]
    assert main(["evaluate", "--run", "runs/mine", *asked]) == 0
    assert (figures_of("other")["images"], figures_of("other")["gallery"]) == (12, 18)
    assert main(["evaluate", "--run", "runs/mine", "--split", "classes", "--record", "classes"]) == 0
    assert records.load("classes").configuration["measured_on"] == "test classes, of whose 3 classes 3 trained"


def test_classes_that_a_run_was_trained_on_are_never_called_unseen(trees, capsys):
    def measured(*more):
        capsys.readouterr()
        assert main(["evaluate", "--run", "runs/mine", "--record", "probe", "--replace", *more]) == 0
        return records.load("probe").configuration["measured_on"], capsys.readouterr().out

    assert train("--split", "all", "--validation", "0.4", "--no-baseline", "--record", "mine") == 0
    assert measured()[0] == "0.4 of all classes"
    for more, words in (
        (("--split", "test"), "all images, of whose 6 classes 4 trained"),
        (("--validation", "0.7"), "0.7 of all classes, of whose 4 classes 2 trained"),
        (("--split", "closed"), "0.2 of each class's images against the rest (closed set), of whose 6 classes 4"),
    ):
        measured_on, said = measured(*more)
        assert measured_on.startswith(words)
        assert "this says nothing of unseen classes" in said
        assert "search one another" not in said
    shutil.copytree(trees, "moved")
    for place in Path("moved").iterdir():
        place.rename(place.with_name(f"new {place.name}"))
    measured_on, said = measured("--root", "moved", "--split", "classes")
    assert (measured_on, "unseen" in said) == ("test classes", False)
    notes = Path("runs/mine") / f"seed-{SEED}" / "run.json"
    notes.write_text(notes.read_text().replace('"classes"', '"others"'))
    assert measured("--split", "test")[0] == "all images, perhaps trained on"


def test_a_run_of_a_closed_set_is_measured_on_its_own_queries_and_said_to_be(trees):
    def measured(*more):
        assert main(["evaluate", "--run", "runs/mine", "--record", "probe", "--replace", *more]) == 0
        return records.load("probe").configuration["measured_on"]

    assert train("--split", "closed", "--validation", "0.3", "--no-baseline", "--record", "mine") == 0
    own = "0.2 of each class's images against the rest (closed set)"
    assert measured("--split", "test") == measured("--split", "closed", "--held-out", "0.2") == own
    assert (
        measured("--split", "closed", "--held-out", "0.4") == f"{own.replace('2', '4')}, of whose 6 classes 6 trained"
    )
    assert measured("--validation", "0.5").endswith("(closed set), of whose 6 classes 6 trained")


def test_the_default_is_said_as_ever_and_kept_as_ever(trees, capsys):
    assert train("--no-baseline", "--record", "usual") == 0
    said = capsys.readouterr().out
    assert "settings" in said
    assert "search one another" not in said
    configuration = records.load("usual").configuration
    assert configuration["measured_on"] == "test classes"
    assert "split" not in configuration
    assert not {"split", "held_out"} & run_folders.read_about(Path("runs/usual") / f"seed-{SEED}")["data"].keys()


def test_another_split_is_another_run_and_another_record(trees, capsys):
    assert train("--split", "closed", "--no-baseline", "--record", "mine") == 0
    assert train("--split", "all", "--no-baseline", "--folder", "runs/mine") == 1
    assert "--folder must hold this run or none" in capsys.readouterr().err
    assert train("--split", "closed", "--held-out", "0.4", "--no-baseline", "--record", "mine") == 1
    assert "--replace" in capsys.readouterr().err


def test_a_file_of_splits_trains_and_measures_what_it_says_and_must_stay_as_it_is(trees, table, capsys):
    with table.open("a") as file:
        file.write("gean/0.png,train\ngean/1.png,train\n")
    assert train("--split", str(table), "--record", "mine") == 0
    figures, configuration = figures_of("mine"), records.load("mine").configuration
    assert configuration["measured_on"] == "query images of mine.csv against the training images"
    assert configuration["split"] == {"file": "mine.csv", "sha256": datasets.protocols.fingerprint(table)}
    assert (figures["images"], figures["queries"], figures["left_out"], figures["gallery"]) == (5, 4, 1, 14)
    assert main(["evaluate", "--run", "runs/mine", "--record", "again"]) == 0
    assert figures_of("again")["map_at_r"] == pytest.approx(figures["map_at_r"], abs=1e-6)
    assert main(["evaluate", "--run", "runs/mine", "--split", "mine.csv", "--validation", "file"]) == 0
    assert main(["map", "--run", "runs/mine", *FEW]) == 0
    assert "14 images of 5 classes" in Path("page.html").read_text(encoding="utf-8")
    table.write_text(table.read_text().replace("gean/1.png", "gean/2.png"))
    capsys.readouterr()
    assert main(["evaluate", "--run", "runs/mine"]) == 1
    assert "--run must find the file of splits that it was trained by" in capsys.readouterr().err


def test_validation_images_of_a_file_are_measured_in_place_of_its_queries(trees, table):
    assert train("--split", str(table), "--validation", "file", "--no-baseline", "--record", "held") == 0
    assert figures_of("held")["images"] == 2
    assert main(["runs"]) == 0
    (listed,) = find_runs(["runs"]).runs
    assert as_record(listed).configuration == records.load("held").configuration
    assert records.load("held").configuration["measured_on"].startswith("validation images of mine.csv")


def test_folders_that_share_their_classes_are_pointed_to_the_closed_set_and_taken_so(trees, capsys):
    for part, numbers in (("train", "012"), ("test", "34")):
        for name in ("ash", "beech", "cedar"):
            Path("parts", part, name).mkdir(parents=True)
            for i in numbers:
                shutil.copy(trees / name / f"{i}.png", Path("parts", part, name))
    parts = ["train", "--data", "folder", "--root", "parts", "--loss", "softmax", *SMALL, "--record", "mine"]
    assert main(parts) == 1
    assert "closed set: say --split closed. Pass --data-option merge=True" in capsys.readouterr().err
    assert main([*parts, "--split", "closed"]) == 0
    measured_on = records.load("mine").configuration["measured_on"]
    assert measured_on == "the test images against the training images (closed set)"
    assert (figures_of("mine")["images"], figures_of("mine")["gallery"]) == (6, 9)
    assert main([*parts, "--split", "closed", "--held-out", "0.2"]) == 1
    assert "--held-out must stand beside" in capsys.readouterr().err


def test_frozen_features_are_measured_by_the_same_protocol(trees, tmp_path, capsys):
    torch.save(nets.build("small", embedding_size=8, seed=5).backbone.state_dict(), tmp_path / "small.pt")
    weights = ("--weights", "small.pt")
    assert train("--split", "closed", *weights, "--record", "mine") == 0
    before = run_folders.read_about(Path("runs/mine") / f"seed-{SEED}")["before"]
    frozen = ["evaluate", "--data", "folder", "--root", "trees", "--net", "small", *SIZE, *weights, "--split", "closed"]
    assert main([*frozen, "--record", "frozen"]) == 0
    assert main([*frozen, "--pca", "8", "--record", "reduced"]) == 0
    for title, name in (("frozen features, 128 dimensions", "frozen"), ("their PCA, 8 dimensions", "reduced")):
        assert before[title]["map_at_r"] == pytest.approx(figures_of(name)["map_at_r"], abs=1e-6)
        assert figures_of(name)["gallery"] == 24
    assert before["frozen features, 128 dimensions"] != before["their PCA, 8 dimensions"]


def test_the_last_layer_alone_is_measured_by_the_same_protocol(trees, tmp_path):
    torch.save(nets.build("small", embedding_size=8, seed=5).backbone.state_dict(), tmp_path / "small.pt")
    more = ("--split", "closed", "--weights", "small.pt", "--freeze-backbone", "--no-baseline")
    assert train(*more, "--record", "last") == 0
    protocol = datasets.protocol("folder", "closed", root=trees, size=16)
    expected = measured_again(run_folders.read_run(Path("runs/last")), protocol)
    assert figures_of("last")["map_at_r"] == pytest.approx(expected["map_at_r"], abs=1e-6)


def test_held_out_classes_of_all_are_watched_and_a_gallery_is_not(trees, capsys):
    assert train("--split", "all", "--validation", "0.4", "--no-baseline", "--record", "all") == 0
    rows = list(csv.DictReader((Path("runs/all") / f"seed-{SEED}" / "history.csv").open()))
    assert float(rows[-1]["recall_at_1"]) == pytest.approx(figures_of("all")["recall_at_1"])
    assert train("--split", "closed", "--validation", "0.3", "--evaluate-every", "1") == 1
    assert "--evaluate-every must stand beside classes held out" in capsys.readouterr().err


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--split", "clsoed"), "--split must be one of classes, closed, all, or a CSV file; got 'clsoed'"),
        (("--split", "gone.csv"), "the file of splits must be a CSV file that can be read; got "),
        (("--held-out", "0.2"), "--held-out must stand beside --split closed"),
        (("--split", "closed", "--held-out", "2"), "--held-out must be a finite number"),
        (("--split", "closed", "--validation", "file"), "--validation must be a share, such as 0.2"),
    ],
)
def test_what_has_no_meaning_is_said_before_anything_is_done(trees, capsys, monkeypatch, more, message):
    monkeypatch.setattr(study_module, "fit", lambda *_, **__: pytest.fail("trained"))
    assert train(*more) == 1
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.bad_input
def test_evaluate_refuses_what_would_do_nothing(trees, capsys):
    frozen = ["evaluate", "--data", "folder", "--root", "trees", "--net", "small", *SIZE]
    for more, message in (
        (("--held-out", "0.2"), "--held-out must stand beside --split closed"),
        (("--split", "train", "--validation", "0.2"), "--split must not stand beside --validation"),
        (("--split", "tset"), "--split must be one of"),
    ):
        assert main([*frozen, *more]) == 1
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*frozen, "--validation", "some"])
    assert "'some' is neither a share such as 0.2 nor the word file" in capsys.readouterr().err


def test_the_floor_of_a_gallery_is_of_the_queries_alone(trees):
    found = datasets.protocol("folder", "closed", root=trees, size=16)
    net, config = nets.build("small", embedding_size=8, seed=1), TrainConfig(image_size=16)
    options = {"pretrained": False, "device": "cpu"}
    inside = baseline.measure(net, found.train, found.queries, config, gallery=found.gallery, **options)
    (figures,) = inside.values()
    with torch.no_grad():
        vectors = [embed(net, images, config=config) for images in (found.queries, found.gallery)]
    expected = retrieval.map_at_r(
        vectors[0], found.query_labels, gallery=vectors[1], gallery_labels=found.gallery_labels
    )
    assert figures["map_at_r"] == pytest.approx(expected, abs=1e-6)


def test_what_is_kept_of_a_split_is_nothing_of_the_default():
    parser = ArgumentParser()
    split_options.add_split_arguments(parser)
    usual = parser.parse_args([])
    assert (usual.split, usual.held_out) == (split_options.BY_CLASS, None)
    assert split_options.kept(usual) == {}
    assert split_options.kept(parser.parse_args(["--split", "all"])) == {"split": "all", "held_out": None}
    assert split_options.of_run({"data": "birds"}) == {"protocol": "classes", "held_out": None}
    assert split_options.described("classes") == {}
    assert split_options.described("all") == {"split": "all"}
    assert split_options.share("0.2") == 0.2


def test_a_run_is_measured_as_trained_where_images_and_split_are_its_own():
    data = {"data": "digits", "data_option": [], "root": None, "validation": None, "split": "closed", "held_out": None}

    def alike(split=None, **asked):
        options = Namespace(**{"protocol": "closed", **data, **asked})
        return split_options.as_trained(Namespace(split=split), options, data)

    assert alike()
    assert alike("test")
    assert alike("train")
    assert alike("closed", held_out=datasets.protocols.HELD_OUT)
    assert not alike("closed", held_out=0.3)
    assert not alike("classes")
    assert not alike("all")
    assert not alike(validation=0.2)
    assert not alike(root="elsewhere")
    assert not alike(data="birds")
    assert not alike(data_option=[("merge", True)])
