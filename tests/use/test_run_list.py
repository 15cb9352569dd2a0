"""Run folders as records: beside stored ones where they may stand, and a sentence for each that may not."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from dmlbook import records
from dmlbook._files import held
from dmlbook.datasets import protocols
from dmlbook.training import Checkpoints, checkpoints, fit
from dmlbook.training.identity import HOW
from dmlbook.use import run_folders
from dmlbook.use.run_list import STATES, ListedRun, RunList, SeedRun, find_runs
from dmlbook.use.run_records import as_record, own_records
from tests.datasets.test_splits import image_set
from tests.records.test_comparison import CHOICE, COLUMNS
from tests.training.training_toys import toy_config, toy_loss, toy_net, toy_set

FIGURES = {"recall_at_1": 0.5, "map_at_r": 0.25}
NET = {"name": "small", "embedding_size": 8, "weights": "my/small.pt", "width_mult": 0.2}
DATA = {"data": "folder", "data_option": [["merge", True]], "validation": None, "root": "my/photos", "size": 16}


def run_folder(folder, *, figures=FIGURES, config=None, **about):
    """A real run of `fit`, with what the command `train` notes in its folder."""
    config = config or toy_config(epochs=1, milestones=())
    told = {"loss": "softtriple", "loss_options": {}, "net": NET, "config": config.to_dict(), "data": DATA, **about}
    fit(toy_net(), toy_loss(), toy_set(), config, folder=Checkpoints(folder, about=told), progress=False, device="cpu")
    if figures:
        run_folders.note(folder, figures=figures)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    run_folder(place / "mine" / "seed-1", config=toy_config(epochs=1, milestones=(), seed=1))
    run_folder(place / "mine" / "seed-2", config=toy_config(epochs=1, milestones=(), seed=2), figures=None)
    run_folder(place / "old", data={})
    return place


@pytest.fixture
def runs(folder, tmp_path):
    """A copy to work in."""
    return shutil.copytree(folder, tmp_path / "runs")


def test_a_run_is_its_seeds_and_each_is_what_its_folder_tells(runs):
    listed = find_runs([runs])
    assert isinstance(listed, RunList)
    mine, old = listed.runs
    assert isinstance(mine, ListedRun)
    assert (mine.name, old.name, old.seeds[0].seed) == ("mine", "old", toy_config().seed)
    first, second = mine.seeds
    assert isinstance(first, SeedRun)
    assert (first.seed, first.epochs, first.figures, first.state) == (1, (1, 1), FIGURES, "finished")
    assert (second.seed, second.state, second.figures) == (2, "not measured", {})
    assert set(mine.states) <= set(STATES)
    assert first.bytes == sum(path.stat().st_size for path in first.folder.iterdir())
    assert first.changed == max(path.stat().st_mtime for path in first.folder.iterdir())
    assert set(first.history[0]) >= {"epoch", "loss", "lr", "seconds"}
    assert mine.measured_on == "test classes"


def test_a_run_is_running_as_long_as_its_folder_is_held(runs):
    lock = runs / "old" / "run.lock"
    with held(lock, argument="folder", rule="be free", remedy=""):
        assert [run.state for run in find_runs([runs / "old"]).runs] == ["running"]
    assert [run.state for run in find_runs([runs / "old"]).runs] == ["finished"]
    assert not lock.exists()


def test_gain_is_known_where_frozen_features_were_measured(runs):
    def gains(before):
        run_folders.note(runs / "old", before=before)
        return find_runs([runs / "old"]).runs[0].gains("map_at_r")

    assert gains({"frozen features, 9 dimensions": {"map_at_r": 0.2}, "PCA": {"map_at_r": 0.9}}) == [0.25 - 0.2]
    assert gains({"the network as it starts, 8 dimensions": {"map_at_r": 0.2}}) == []
    assert gains({"frozen features, 9 dimensions": {"recall_at_1": 0.2}}) == []


def test_a_finished_run_becomes_a_record_of_the_seeds_that_are_finished(runs):
    record = as_record(find_runs([runs]).runs[0])
    assert (record.name, record.seeds, record.values("map_at_r")) == ("mine", [1], [0.25])
    configuration = record.configuration
    assert (configuration["training_images"], configuration["training_classes"]) == (40, 5)
    assert configuration["network"]["weights"] == "small.pt"
    assert configuration["data_options"] == {"merge": True}
    assert "seed" not in configuration["training"]
    assert "root" not in configuration  # no path of this machine
    seconds = [epoch["seconds"] for epoch in find_runs([runs]).runs[0].seeds[0].history]
    assert record.runs[0]["seconds"] == round(sum(seconds), 2)


def test_every_run_that_is_no_record_says_why(runs):
    shutil.copytree(runs / "mine" / "seed-1", runs / "empty")
    for path in (runs / "empty").glob("checkpoint-*"):
        path.unlink()
    shutil.copytree(runs / "mine" / "seed-2", runs / "half")
    shutil.copytree(runs / "mine" / "seed-1", runs / "torn")
    (path,) = (runs / "torn").glob("checkpoint-*")
    path.write_bytes(path.read_bytes()[:1000])
    (runs / "broken").mkdir()
    (runs / "broken" / "run.json").write_text("{")
    found, left = own_records([runs, runs / "nowhere"])
    assert list(found) == ["mine"]
    assert "say which images it was trained on; got old, of an older version" in left["old"]
    assert "have a checkpoint; got empty without one" in left["empty"]
    assert "have a seed that is trained and measured; got half, not measured" in left["half"]
    assert "be a whole checkpoint" in left["torn"]
    assert "run.json: Expecting property name" in left[str(runs / "broken")]
    assert len(left) == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"data": DATA | {"data_option": None}}, {"loss": ...}, {"net": {"name": "small"}}, {"loss_options": ...},
        {"data": {"data": "folder"}}, {"data": DATA | {"data_option": 5}},
    ],
)  # fmt: skip
def test_a_finished_run_that_lacks_a_setting_is_told_in_one_sentence(changes, runs):
    about = {**run_folders.read_about(runs / "old"), "data": DATA, **changes}
    text = json.dumps({key: value for key, value in about.items() if value is not ...})
    (runs / "old" / "run.json").write_text(text)
    found, left = own_records([runs])
    assert list(found) == ["mine"]
    assert "as_record: run must say in its run.json and checkpoint all of its settings; got old" in left["old"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("history.csv", 'epoch,loss\n1,"' + "x" * 200_000 + '"\n', "no line of an epoch"),
        ("run.json", "[" * 100_000, "recursion"),
        ("run.json", '{"config": {"seed": "x"}}', "seed is 'x'"),
        ("run.json", '{"data": {"validation": "x"}}', "validation 'x'"),
    ],
)
def test_a_folder_that_cannot_be_read_is_listed_and_stops_nothing(name, text, told, runs):
    (runs / "old" / name).write_text(text)
    listed = find_runs([runs])
    assert [run.name for run in listed.runs] == ["mine"]
    assert told in listed.damaged[str(runs / "old")]


def test_a_checkpoint_that_goes_while_a_run_is_listed_is_passed_over(runs, monkeypatch):
    original = Path.stat

    def gone(self, **options):
        if self.name.startswith("checkpoint-"):
            raise FileNotFoundError(self)
        return original(self, **options)

    monkeypatch.setattr(Path, "stat", gone)
    listed = find_runs([runs])
    assert [run.name for run in listed.runs] == ["mine", "old"]
    assert listed.damaged == {}


def test_a_record_reads_the_numbers_of_a_checkpoint_and_none_of_its_tensors(runs, monkeypatch):
    (path,) = (runs / "mine" / "seed-1").glob("checkpoint-*")
    lazy, eager = checkpoints.load(path, tensors=False), checkpoints.load(path)
    assert lazy["run"] == eager["run"]
    monkeypatch.setattr("zipfile.ZipFile.testzip", lambda *_: pytest.fail("all of it was read"))
    assert as_record(find_runs([runs]).runs[0]).seeds == [1]


def test_a_readers_own_run_stands_beside_stored_records_by_itself(runs, tmp_path):
    stored = records.Record("ours", "ours", as_record(find_runs([runs]).runs[0]).configuration, choice=CHOICE)
    for seed in (1, 2):
        stored.add(seed, {"recall_at_1": 0.4, "map_at_r": 0.2}, seconds=1)
    stored.save(tmp_path)
    shutil.copytree(runs / "mine", runs / "watched")
    for folder in (runs / "watched").iterdir():
        run_folders.note(folder, data=DATA | {"validation": 0.2})
    table = records.compare({"ours": "ours"}, root=tmp_path)
    both, refused = records.beside(table, own_records([runs])[0])
    assert list(both.rows) == ["ours", "mine"]
    assert "| mine | 50.0 (1) | 25.0 (1) |" in both.table(COLUMNS)
    assert "*Not alike, seeds: mine: 1 of them, not 2.*" in both.table(COLUMNS)
    assert list(refused) == ["watched"]
    assert "measured on 0.2 of the training classes, not test classes" in refused["watched"]


def test_without_runs_the_stored_records_stand_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert own_records() == ({}, {})
    with pytest.raises(ValueError, match="find_runs: folders must be folders; got runs"):
        find_runs()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="folders must be folders"):
        find_runs([tmp_path / "file"])


def test_runs_of_one_name_in_two_folders_are_called_by_their_paths(runs, tmp_path):
    shutil.copytree(runs / "mine", tmp_path / "other" / "mine")
    listed = find_runs([runs, tmp_path / "other"])
    assert [run.name for run in listed.runs] == [
        (tmp_path / "other" / "mine").as_posix(), (runs / "mine").as_posix(), "old",
    ]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
def test_links_to_a_folder_list_its_runs_once(runs, tmp_path):
    os.symlink(runs / "mine", tmp_path / "linked")
    listed = find_runs([runs / "mine", tmp_path / "linked"])
    assert [run.name for run in listed.runs] == ["mine"]


@pytest.mark.parametrize("kept", [
    {}, {"validation": 0.25}, {"split": "all"}, {"split": "all", "validation": 0.25},
    {"split": "closed", "held_out": 0.25}, {"split": "closed", "validation": 0.25},
])  # fmt: skip
def test_what_a_folder_does_not_say_follows_from_how_its_images_were_split(runs, kept):
    def load(part):
        images = image_set(16, 4)
        halves = {"train": torch.arange(8), "test": torch.arange(8, 16)}
        return images if part == "all" else images.of_classes(halves[part], split=part)

    run_folders.note(runs / "old", data=DATA | kept)
    run = find_runs([runs / "old"]).runs[0]
    asked = {"split": "classes", "validation": None, **kept}
    assert run.measured_on == protocols.words_of(DATA | kept) == protocols.build(load=load, **asked).measured_on
    assert as_record(run).configuration.get("split") == kept.get("split")
    run_folders.note(runs / "old", measured_on="something else")
    assert find_runs([runs / "old"]).runs[0].measured_on == "something else"


def test_a_file_of_splits_is_told_by_its_name_and_its_content(runs):
    kept = {"split": "my/mine.csv", "held_out": None, "split_sha256": "ab12"}
    run_folders.note(runs / "old", data=DATA | kept | {"validation": "file"})
    run = find_runs([runs / "old"]).runs[0]
    assert run.measured_on == "validation images of mine.csv"
    assert (
        run.split
        == {"split": as_record(run).configuration["split"]}
        == {"split": {"file": "mine.csv", "sha256": "ab12"}}
    )
    assert protocols.words_of(kept) == "images of mine.csv"
    assert protocols.words_of(kept | {"validation": 0.2}) == "0.2 of the images of mine.csv"
    assert protocols.words_of({"split": "closed", "held_out": None}) == "images held out against the rest (closed set)"


def test_a_record_says_recipe_and_miner_and_nothing_of_how_it_was_computed(runs):
    told = {"recipe": {"name": "cub-softmax-64", "but_for": ["lr"]}, "miner": "MultiSimilarityMiner"}
    run_folders.note(runs / "mine" / "seed-1", **told, miner_options={"epsilon": 0.2})
    configuration = as_record(find_runs([runs / "mine" / "seed-1"]).runs[0]).configuration
    assert {key: configuration[key] for key in told} == told
    assert configuration["miner_options"] == {"epsilon": 0.2}
    assert not {"seed", *HOW} & configuration["training"].keys()
    found = find_runs([runs]).runs
    assert [run.name for run in found] == ["mine/seed-1", "mine/seed-2", "old"]  # a miner is another request
