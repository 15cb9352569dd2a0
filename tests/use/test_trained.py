"""A run read again gives the embeddings that its training measured, of sets and of files."""

import copy
import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import dmlbook
from dmlbook import datasets, nets
from dmlbook.__main__ import main
from dmlbook.nets import own
from dmlbook.training import TrainConfig, checkpoints, embed
from dmlbook.use import Embedded, Run, load_run, run_folders
from tests.use.conftest import picture


def test_the_package_imports_nothing_until_a_run_is_asked_for():
    code = "import sys, dmlbook; assert 'torch' not in sys.modules; assert callable(dmlbook.load_run); import torch"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert dmlbook.load_run is load_run
    with pytest.raises(AttributeError, match="has no attribute 'load_runs'"):
        _ = dmlbook.load_runs


@pytest.mark.parametrize("half", ["train", "test"])
def test_files_are_embedded_as_the_images_of_the_training_were(run, run_folder, class_folders, half):
    images = datasets.load("folder", half, root=class_folders, size=24)
    trained = run_folders.read_run(run_folder)
    expected = embed(trained.net, images, config=trained.config)
    torch.testing.assert_close(run.embed(images), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(run.embed_files(images.paths, batch_size=5), expected, rtol=0, atol=1e-6)
    assert float(torch.pdist(expected).min()) > 1e-3  # they are not all the same


def test_a_run_says_what_it_was_trained_on(run, run_folder):
    assert isinstance(run, Run)
    assert run.class_names == ("ash", "beech", "cedar")
    assert run.centers.shape == (3, 2, 8)
    assert (run.view, run.dimensions, run.unit) == ({"decoded": 24, "crop": 0.875, "seen": 21}, 8, True)
    assert run.settings["loss"] == "softtriple"
    assert run.finished
    assert run.folder == run_folders.find(run_folder)
    assert not run.net.training


def test_pictures_that_were_drawn_are_seen_whole_and_photographs_after_them_as_large(tmp_path):
    given = ["--data", "digits", "--loss", "softmax", "--epochs", "1", "--no-baseline"]
    assert main(["train", *given, "--embedding-size", "4", "--folder", str(tmp_path / "digits")]) == 0
    run = load_run(tmp_path / "digits")
    assert run.view == {"decoded": 32, "crop": 1.0, "seen": 32}
    digits = datasets.load("digits", "test")
    few = digits.select(torch.arange(6))
    torch.testing.assert_close(run.embed(few), embed(run.net, few, config=TrainConfig()))
    about = run_folders.read_about(run.folder)
    del about["view"], about["classes"]  # as an older version wrote it
    (run.folder / "run.json").write_text(json.dumps(about))
    older = load_run(tmp_path / "digits")
    assert (older.view, older.model, older.class_names) == (run.view, run.model, ())
    del about["data"]
    (run.folder / "run.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="load_run: folder must say how large its images were"):
        load_run(tmp_path / "digits")
    assert load_run(tmp_path / "digits", size=40).view["decoded"] == 40


def test_files_that_cannot_be_read_are_named_and_left_out_only_if_asked(run, tmp_path):
    picture(1).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    names = ["good.png", "bad.png", "absent.png"]
    with pytest.raises(ValueError, match="photographs must be readable; got 2 of 3") as failed:
        run.embed_files(names, root=tmp_path)
    assert "bad.png: it is no picture" in str(failed.value)
    assert "absent.png: it is not there" in str(failed.value)
    with pytest.warns(UserWarning, match="2 of 3 photographs cannot be read and are left out"):
        found = run.embed_files(names, root=tmp_path, skip_corrupt=True)
    assert found.shape == (1, 8)
    with pytest.raises(ValueError, match="got 1 of 1"):
        run.embed_files(["bad.png"], root=tmp_path, skip_corrupt=True)
    told = run.embedded(names, root=tmp_path)
    assert isinstance(told, Embedded)
    assert (told.paths, list(told.unreadable)) == (("good.png",), ["bad.png", "absent.png"])


def test_after_a_file_that_cannot_be_read_no_network_runs_but_all_such_files_are_found(run, tmp_path, monkeypatch):
    for number in range(6):
        picture(number).save(tmp_path / f"{number}.png")
    for number in (1, 5):
        (tmp_path / f"{number}.png").write_bytes(b"")
    calls = []
    monkeypatch.setattr(
        Run, "embed", lambda self, images, **_: calls.append(len(images)) or torch.zeros(len(images), 8)
    )
    told = run.embedded([f"{n}.png" for n in range(6)], root=tmp_path, go_on=False, batch_size=1)
    assert (calls, list(told.unreadable)) == ([1], ["1.png", "5.png"])


def test_many_files_are_never_in_memory_together(run, tmp_path, monkeypatch):
    picture(3).save(tmp_path / "one.png")
    sizes = []
    original = Run.embed
    monkeypatch.setattr(
        Run, "embed", lambda self, images, **options: sizes.append(len(images)) or original(self, images, **options)
    )
    found = run.embed_files([tmp_path / "one.png"] * 10, batch_size=4)
    assert sizes == [4, 4, 2]
    assert torch.equal(found[0], found[9]) or float((found[0] - found[9]).abs().max()) < 1e-6


def test_the_network_goes_to_a_device_once_and_comes_back(run, tmp_path, monkeypatch):
    picture(3).save(tmp_path / "one.png")
    places = []
    original = type(run.net).to
    monkeypatch.setattr(type(run.net), "to", lambda self, *to: places.append(str(*to)) or original(self, *to))
    monkeypatch.setattr(Run, "embed", lambda self, images, **_: torch.zeros(len(images), 8))
    run.embed_files([tmp_path / "one.png"] * 10, batch_size=2, device="cpu")
    assert places == ["cpu", "cpu"]
    monkeypatch.setattr(Run, "embed", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("it broke")))
    with pytest.raises(RuntimeError, match="broke"):
        run.embed_files([tmp_path / "one.png"], device="cpu")
    assert places == ["cpu"] * 4


def test_a_network_of_another_precision_embeds(run, tmp_path):
    picture(3).save(tmp_path / "one.png")
    expected = run.embed_files([tmp_path / "one.png"])
    precise = dataclasses.replace(run, net=copy.deepcopy(run.net).double())
    found = Run.embed_files(precise, [tmp_path / "one.png"])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_model_is_known_by_its_weights_and_its_view(run, run_folder):
    assert load_run(run_folder).model == run.model
    assert load_run(run_folder, size=32).model != run.model
    other = load_run(run_folder)
    with torch.no_grad():
        other.net.head.linear.bias[0] += 1e-3
    assert other.model != run.model
    unlike = dataclasses.replace(run, config=dataclasses.replace(run.config, test_crop=0.5))
    assert unlike.model != run.model
    slope = load_run(run_folder)
    slope.net.backbone[1].eps = 0.5
    assert slope.model != run.model


def test_a_network_of_ones_own_is_handed_over(run, run_folder, tmp_path):
    folder = tmp_path / "own"
    shutil.copytree(run_folder, folder)
    seed = run_folders.find(folder)
    about = run_folders.read_about(seed)
    del about["net"]
    (seed / "run.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="folder must hold a run.json that fits its checkpoint"):
        load_run(folder)
    own = load_run(folder, net=nets.build("small", embedding_size=8, seed=9))
    assert own.model == run.model
    with pytest.raises(ValueError, match="fits its checkpoint"):
        load_run(folder, net=nets.build("small", embedding_size=9))


def edited(run_folder, folder, **changes):
    """A copy of the run whose run.json says something else; what is None is left out."""
    shutil.copytree(run_folder, folder)
    seed = run_folders.find(folder)
    about = {**run_folders.read_about(seed), **changes}
    (seed / "run.json").write_text(json.dumps({key: value for key, value in about.items() if value is not None}))
    return folder


@pytest.mark.parametrize("digest", ["right", "another", None])
def test_a_file_that_a_run_names_is_run_only_where_it_is_trusted_and_as_it_was(digest, run_folder, tmp_path):
    mark, file = tmp_path / "was-run", tmp_path / "my_nets.py"
    lines = ["import pathlib, torch", f"pathlib.Path({str(mark)!r}).touch()", "def make():"]
    file.write_text("\n".join([*lines, "    return torch.nn.Conv2d(3, 4, 3)", ""]))
    net = {**run_folders.read_about(run_folders.find(run_folder))["net"], "name": f"{file}:make"}
    net |= {} if digest is None else {"code_digest": own.digest(file) if digest == "right" else "0" * 16}
    folder = edited(run_folder, tmp_path / "run", net=net)
    expected = "the digest of the file that makes its network" if digest is None else "pass trust_code=True"
    for given in ({}, {"trust_code": False}):
        with pytest.raises(
            ValueError, match=f"load_run: folder must hold a run.json .*my_nets.py.*{expected}|{expected}"
        ):
            load_run(folder, **given)
    assert not mark.exists()
    with pytest.raises(ValueError, match="fits its checkpoint" if digest == "right" else "digest of|as it was"):
        load_run(folder, trust_code=True)  # the weights are those of another network
    assert mark.exists() == (digest == "right")
    mark.unlink(missing_ok=True)
    assert load_run(folder, net=nets.build("small", embedding_size=8)).dimensions == 8
    assert not mark.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"view": [1]}, {"view": {"decoded": 24, "crop": "x"}}, {"classes": 5}, {"view": {"decoded": -5, "crop": 1}},
        {"view": {"decoded": 24.5}}, {"view": {"decoded": True}}, {"view": {"decoded": 24, "crop": 7}},
        {"view": {"decoded": 10**9}}, {"net": [1]}, {"config": 3}, {"config": {"epochs": "x"}}, {"net": {"name": 5}},
        {"net": {"name": "small", "embedding_size": "x"}}, {"data": "x"}, {"config": {"test_crop": []}},
    ],
)  # fmt: skip
def test_a_damaged_description_is_one_sentence(changes, run_folder, tmp_path):
    folder = edited(run_folder, tmp_path / "run", **changes)
    with pytest.raises(ValueError, match="load_run: folder must hold a run.json (that|with)"):
        load_run(folder)


def test_a_view_is_what_the_folder_says_and_within_bounds(run_folder):
    trained = run_folders.read_run(run_folder)
    about = run_folders.read_about(trained.folder)
    assert run_folders.view_of(trained, about) == (24, 0.875)
    assert run_folders.view_of(trained, about, run_folders.LARGEST) == (run_folders.LARGEST, 0.875)
    with pytest.raises(ValueError, match=f"with a view that pictures can have.*{run_folders.REMEDY}"):
        run_folders.view_of(trained, {**about, "view": {"decoded": run_folders.LARGEST + 1}})


def test_a_run_is_called_by_its_folder_and_that_of_its_seed(tmp_path, monkeypatch):
    (tmp_path / "birds" / "seed-1").mkdir(parents=True)
    assert run_folders.name_of(tmp_path / "birds" / "seed-1") == "birds/seed-1"
    assert run_folders.name_of(tmp_path / "birds") == "birds"
    monkeypatch.chdir(tmp_path / "birds" / "seed-1")
    assert run_folders.name_of(Path(".")) == "birds/seed-1"


def test_a_description_that_is_nested_without_end_is_one_sentence(run_folder, tmp_path):
    folder = edited(run_folder, tmp_path / "run")
    (run_folders.find(folder) / "run.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="load_run: folder must hold a run.json that can be read"):
        load_run(folder)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"loss": ...}, "hold a whole run; got none of loss"),
        ({"epoch": ...}, "a checkpoint; got .* which is none of a run"),
        ({"loss": [1]}, "a checkpoint; got .* which is none of a run"),
        ({"loss": {"weight": torch.ones(3)}}, "fits its checkpoint"),
        ({"net": 5}, "fits its checkpoint"),
    ],
)
def test_a_damaged_checkpoint_is_one_sentence(changes, expected, run_folder, tmp_path):
    folder = edited(run_folder, tmp_path / "run")
    path = checkpoints.find(run_folders.find(folder))[-1]
    content = {**checkpoints.load(path), **changes}
    torch.save({key: value for key, value in content.items() if value is not ...}, path)
    with pytest.raises(ValueError, match=f"load_run: .* must .*{expected}"):
        load_run(folder)


def test_a_network_whose_embeddings_have_any_length_says_so(tmp_path):
    net = nets.build("small", embedding_size=3, normalize=False).eval()
    run = Run(tmp_path, net, TrainConfig(image_size=16, test_crop=1.0), 16, (), None, {}, finished=True)
    assert (run.unit, run.dimensions) == (False, 3)


def test_folders_that_hold_no_run_are_told_by_their_name(tmp_path):
    with pytest.raises(ValueError, match="load_run: folder must hold run.json and a checkpoint; got .*neither"):
        load_run(tmp_path)
