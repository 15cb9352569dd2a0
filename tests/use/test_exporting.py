"""A file that was exported gives the embeddings of the network, from pictures of any number and proportions."""

import json
import math
import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dmlbook import datasets, nets
from dmlbook.nets import own
from dmlbook.training import TrainConfig
from dmlbook.use import Run, exporting
from dmlbook.use.exporting import Exported, export

FORMATS = [pytest.param("onnx", marks=pytest.mark.slow), "pt2"]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_gives_the_embeddings_of_the_training_and_says_what_it_is(kind, run, class_folders, tmp_path, capfd):
    if kind == "onnx":
        onnxruntime = pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    path = tmp_path / f"net.{kind}"
    differ = export(run, path, format=kind)
    assert 0 <= differ < 1e-5
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert capfd.readouterr() == ("", "")
    images = datasets.load("folder", "test", root=class_folders, size=24)
    expected = run.embed(images)
    for count in (1, 2, len(images)):
        given = images.images[:count], images.aspects[:count]
        if kind == "onnx":
            session = onnxruntime.InferenceSession(path)
            assert [(each.name, each.type) for each in session.get_inputs()] == [
                ("images", "tensor(uint8)"),
                ("aspects", "tensor(float)"),
            ]
            named = dict(zip(("images", "aspects"), (each.numpy() for each in given), strict=True))
            found = torch.from_numpy(session.run(["embeddings"], named)[0])
            told = json.loads(session.get_modelmeta().custom_metadata_map["dmlbook"])
        else:
            texts = {"dmlbook": ""}
            found = torch.export.load(path, extra_files=texts).module()(*given).detach()
            told = json.loads(texts["dmlbook"])
        torch.testing.assert_close(found, expected[:count], rtol=0, atol=1e-4)
        np.testing.assert_allclose(found.norm(dim=1), np.ones(count), atol=1e-5)
    assert (told["classes"], told["view"], told["model"]) == (["ash", "beech", "cedar"], run.view, run.model)
    assert "(batch, 3, 24, 24)" in told["images"]


def contents(path):
    """All bytes of a file; of an archive those of its members."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"".join(name.encode() + archive.read(name) for name in archive.namelist())


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_names_no_folder_of_the_machine_that_made_it(kind, tmp_path):
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    file = tmp_path / "my_nets.py"
    lines = ["import torch", "class Mine(torch.nn.Module):", "    def __init__(self):", "        super().__init__()"]
    lines += ["        self.conv = torch.nn.Conv2d(3, 4, 3)", "    def forward(self, x):"]
    file.write_text("\n".join([*lines, "        return self.conv(x).relu()", "def make():", "    return Mine()", ""]))
    settings = {"net": {"name": f"{file}:make", "code_digest": own.digest(file)}}
    net = nets.build(f"{file}:make", embedding_size=5).eval()
    run = Run(tmp_path, net, TrainConfig(image_size=12, test_crop=0.9), 16, ("a",), None, settings, finished=True)
    export(run, tmp_path / f"net.{kind}", format=kind)
    found = contents(tmp_path / f"net.{kind}")
    assert b"my_nets.py:make" in found
    for place in (tmp_path, Path.home(), Path.cwd(), Path(torch.__file__).parent, Path(exporting.__file__).parents[1]):
        assert os.fsencode(place) + b"/" not in found
    assert not re.findall(rb"/(?:home|root|tmp|usr|opt|Users|work|var)/[\w.-]+", found)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_network_of_another_precision_is_exported_or_refused_in_one_sentence(kind, run, tmp_path):
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    precise = replace(run, net=nets.build("small", embedding_size=8, seed=3).eval().double())
    assert precise.dimensions == 8
    if kind == "pt2":
        assert export(precise, tmp_path / "net.pt2", format=kind) < 1e-5
        return
    with pytest.raises(ValueError, match="export: run must hold a network that runs as onnx; got NotImpl.* as pt2.$"):
        export(precise, tmp_path / "net.onnx", format=kind)
    assert not any(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_or_is_called_otherwise_is_refused_before_the_work(run, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.export, "export", lambda *_, **__: pytest.fail("it was traced"))
    (tmp_path / "folder.pt2").mkdir()
    (tmp_path / "file").touch()
    for path in ("folder.pt2", "file/net.pt2", "n" * 245 + ".pt2"):
        with pytest.raises(ValueError, match="export: path must name a file that can be written"):
            export(run, tmp_path / path, format="pt2")
    for path, kind in (("net.pt", "pt2"), ("net.onnx", "pt2"), ("net.pt2", "onnx"), ("net", "onnx")):
        with pytest.raises(ValueError, match=f"export: path must end in .{kind}; got {path}"):
            export(run, tmp_path / path, format=kind)


class Program:
    """Nothing that was traced."""

    class graph:
        nodes = ()


def test_a_file_that_differs_from_the_network_does_not_get_its_name(run, tmp_path, monkeypatch):
    for kind in exporting.FORMATS:
        (tmp_path / f"net.{kind}").write_bytes(b"the former one")
    for kind, differ in (("_pt2", [0.0, 2e-4, 0.0]), ("_onnx", [0.0, math.nan, 0.0])):
        measured = iter(differ)
        with monkeypatch.context() as patch:
            patch.setattr(torch.export, "export", lambda *_, **__: Program)  # what is written does not matter here
            patch.setattr(exporting, kind, lambda *_: lambda path: path.write_bytes(b"another"))
            patch.setattr(exporting, "_loaded", lambda *_: None)
            patch.setattr(exporting, "_difference", lambda *_, measured=measured: next(measured))
            with pytest.raises(ValueError, match="export: run must give the same embeddings, to 0.0001, as"):
                export(run, tmp_path / f"net.{kind[1:]}", format=kind[1:])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["net.onnx", "net.pt2"]
    assert {each.read_bytes() for each in tmp_path.iterdir()} == {b"the former one"}


def test_what_is_missing_or_cannot_be_traced_is_said(run, tmp_path, monkeypatch):
    class Odd(torch.nn.Module):
        def forward(self, images):
            return images.mean(1) if float(images.sum()) > 3 else images.mean(2)

    monkeypatch.setattr(run.net, "backbone", Odd())
    run.__dict__["dimensions"] = 8
    with pytest.raises(ValueError, match="export: run must hold a network that torch.export can trace"):
        export(run, tmp_path / "net.pt2", format="pt2")
    assert not any(tmp_path.iterdir())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"onnx, onnxscript, onnxruntime is missing; got onnx. Install it: pip install"
    ):
        exporting.check_installed("onnx")
    exporting.check_installed("pt2")


def test_what_a_file_holds_is_the_view_of_the_tests(run, class_folders):
    images = datasets.load("folder", "train", root=class_folders, size=24)
    with torch.inference_mode():
        found = Exported(run).eval()(images.images, images.aspects)
    torch.testing.assert_close(found, run.embed(images), rtol=0, atol=1e-6)
    assert json.loads(exporting.about(run)["dmlbook"])["network"] == "small"
