"""A trained run as a page: what is in it, which images, and what is said of it."""

import html
import json
import re

import numpy as np
import pytest
import torch

from dmlbook import maps, records, settings
from dmlbook.__main__ import main
from dmlbook.commands import common
from dmlbook.commands import map as map_command
from dmlbook.training import embed
from dmlbook.use import run_folders
from tests.maps.test_view import unpacked


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path / "results")


@pytest.fixture
def trained(photos, tmp_path):
    """A function that trains a run on the photos with a loss, and returns its folder."""

    def train(loss, *more):
        folder = tmp_path / loss
        given = ["--data", "folder", "--root", str(photos), "--net", "small", "--size", "16", "--embedding-size", "8"]
        given += ["--epochs", "1", "--no-freeze-batch-norm", "--folder", str(folder), "--loss", loss, *more]
        assert main(["train", *given]) == 0
        return folder

    return train


def data_of(page):
    script = re.search(r"<script>(.*?)</script>", page.read_text(encoding="utf-8"), re.DOTALL)[1]
    return json.loads(script.partition(" = ")[2].rstrip(";"))["data"]


def test_a_run_becomes_a_page_of_its_training_images_and_centers(trained, photos, capsys):
    folder = trained("softtriple", "--loss-option", "centers_per_class=3")
    capsys.readouterr()
    assert main(["map", "--run", str(folder), "--neighbors", "4", "--seeds", "2"]) == 0
    said = capsys.readouterr().out
    (seed,) = folder.iterdir()
    data = data_of(seed / "map-train.html")
    assert data["classes"] == ["ash", "beech", "cedar"]  # the first half of six
    assert [view["method"] for view in data["views"]] == ["UMAP", "PCA"]
    run = run_folders.read_run(seed)
    images = common.datasets.load("folder", "train", root=photos, size=16)
    served = maps.serving(embed(run.net, images, config=run.config), images.labels, run.centers)
    shown = data["views"][0]["centers"]
    owners, numbers = (unpacked(shown[key], np.uint16).tolist() for key in ("labels", "numbers"))
    assert [
        [label, number - 1] for label, number in zip(owners, numbers, strict=True)
    ] == served.used.nonzero().tolist()
    assert unpacked(shown["counts"], np.uint32).tolist() == served.counts[served.used].tolist()
    assert "Of 4 neighbors, 2 layouts: trustworthiness 0." in said or "trustworthiness 1." in said
    assert "\u00b1" in said
    assert f"Of 3 centers a class, {float((~served.merged).sum()) / 3:.1f} are distinct" in said
    page = html.unescape((seed / "map-train.html").read_text(encoding="utf-8"))
    assert said.splitlines()[0] in page


def test_unseen_classes_have_no_centers_and_one_layout_no_interval(trained, capsys, tmp_path):
    folder = trained("softtriple")
    capsys.readouterr()
    out = tmp_path / "elsewhere.html"
    more = ["--split", "test", "--neighbors", "3", "--seeds", "1", "--out", str(out)]
    assert main(["map", "--run", str(folder), *more]) == 0
    said = capsys.readouterr().out
    data = data_of(out)
    assert data["classes"] == ["elm", "fir", "gean"]
    assert all(view["centers"] is None for view in data["views"])
    assert "\u00b1" not in said
    assert "centers a class" not in said


@pytest.mark.parametrize(("loss", "more"), [("centroid_bound", ()), ("semihard", ("--batch-size", "4"))])
def test_fixed_points_are_shown_and_losses_without_any_have_none(trained, loss, more):
    folder = trained(loss, *more)
    assert main(["map", "--run", str(folder), "--neighbors", "3", "--seeds", "1"]) == 0
    (seed,) = folder.iterdir()
    centers = data_of(seed / "map-train.html")["views"][0]["centers"]
    if loss == "semihard":
        assert centers is None
    else:
        assert unpacked(centers["labels"], np.uint16).tolist() == [0, 1, 2]


def test_other_images_can_be_named_and_must_fit_the_centers(trained, photos, capsys):
    folder = trained("softmax")
    seed = next(folder.iterdir())
    about = json.loads((seed / "run.json").read_text())
    assert about["data"] == {
        "data": "folder",
        "data_option": [],
        "validation": None,
        "root": str(photos.resolve()),
        "size": 16,
    }
    named = ["--data", "folder", "--root", str(photos), "--size", "16"]
    assert main(["map", "--run", str(seed), *named, "--neighbors", "3", "--seeds", "1", "--split", "test"]) == 0
    del about["data"]
    (seed / "run.json").write_text(json.dumps(about))
    capsys.readouterr()
    assert main(["map", "--run", str(seed)]) == 1
    assert "say which images it was trained on; got a run of an older version" in capsys.readouterr().err
    assert main(["map", "--run", str(seed), "--data", "birds"]) == 1
    assert "have the classes that the run was trained on; got 40 for the centers of 3" in capsys.readouterr().err


def test_a_folder_that_holds_no_run_is_refused(tmp_path, capsys):
    assert main(["map", "--run", str(tmp_path)]) == 1
    assert "--run must hold run.json and a checkpoint" in capsys.readouterr().err


def test_images_are_drawn_evenly_over_the_classes_and_no_class_is_lost():
    labels = torch.tensor([0] * 10 + [1] * 3 + [2] * 30)
    kept = map_command.spread(labels, 12)
    assert torch.bincount(labels[kept]).tolist() in ([5, 3, 4], [4, 3, 5])
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert torch.equal(map_command.spread(labels, 43), torch.arange(43))
    assert torch.equal(map_command.spread(labels, 12), kept)  # the same each time
    assert kept[labels[kept] == 2].tolist() != list(range(13, 17))  # drawn, not the first


def test_what_is_said_of_layouts_is_their_mean_and_its_interval():
    draw = torch.Generator().manual_seed(3)
    vectors, layouts = torch.randn(30, 4, generator=draw), [maps.Map(torch.randn(30, 2, generator=draw)) for _ in "123"]
    said = map_command.judgment(vectors, layouts, 5)
    values = [float(maps.kept_neighbors(vectors, each, n_neighbors=5).mean()) for each in layouts]
    mean, half = records.interval(values)
    assert f"neighbors kept {mean:.2f} \u00b1 {half:.2f}." in said
    apart = [maps.procrustes_distance(layouts[a], layouts[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert f"leave {100 * sum(apart) / 3:.0f}% of each other's layout" in said
