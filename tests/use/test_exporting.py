"""A file that was exported gives the embeddings of the network, from pictures of any number and proportions."""

import json
import math

import numpy as np
import pytest
import torch

from dmlbook import datasets
from dmlbook.use import exporting
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
    assert b"dmlbook/use" not in path.read_bytes()  # no folder of this machine


class Program:
    """Nothing that was traced."""

    class graph:
        nodes = ()


def test_a_file_that_differs_from_the_network_does_not_get_its_name(run, tmp_path, monkeypatch):
    (tmp_path / "net.pt2").write_bytes(b"the former one")
    for kind, differ in (("_pt2", [0.0, 2e-4, 0.0]), ("_onnx", [0.0, math.nan, 0.0])):
        measured = iter(differ)
        with monkeypatch.context() as patch:
            patch.setattr(torch.export, "export", lambda *_, **__: Program)  # what is written does not matter here
            patch.setattr(exporting, kind, lambda *_: lambda path: path.write_bytes(b"another"))
            patch.setattr(exporting, "_loaded", lambda *_: None)
            patch.setattr(exporting, "_difference", lambda *_, measured=measured: next(measured))
            with pytest.raises(ValueError, match="export: run must give the same embeddings, to 0.0001, as"):
                export(run, tmp_path / "net.pt2", format=kind[1:])
    assert [each.name for each in tmp_path.iterdir()] == ["net.pt2"]
    assert (tmp_path / "net.pt2").read_bytes() == b"the former one"


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
