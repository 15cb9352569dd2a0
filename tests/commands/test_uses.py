"""The road from a run to a use, as typed: train, embed, index, search, export, demo."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch

from dmlbook.__main__ import main
from dmlbook.commands import search as search_command
from dmlbook.commands import uses
from dmlbook.training import checkpoints
from dmlbook.use.gallery import Hit
from dmlbook.use.page import Answer
from tests.commands.conftest import refusal
from tests.use.conftest import picture


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DMLBOOK_MODE", "smoke")
    return tmp_path


def said(capsys, *line):
    """Exit status, standard output, standard error."""
    capsys.readouterr()
    status = main([str(word) for word in line])
    return status, *capsys.readouterr()


def test_the_whole_road_from_a_run_to_a_search(run_folder, gallery_folder, capsys):
    pytest.importorskip("lancedb")
    run, query = ("--run", run_folder), gallery_folder / "a" / "1.png"
    status, out, _ = said(capsys, "embed", *run, "--root", gallery_folder, "--out", "v.npz")
    assert status == 0
    assert "5 photographs in 8 dimensions" in out
    status, out, _ = said(capsys, "index", *run, "--gallery", gallery_folder, "--store", "store")
    assert (status, out) == (0, "5 photographs in the gallery: 5 new\n")
    picture(77).save(gallery_folder / "new.png")
    asked = ("search", *run, "--gallery", gallery_folder, "--store", "store", "--query", query)
    status, out, _ = said(capsys, *asked, "--out", "page.html", "--most", "3")
    assert status == 0
    assert "6 photographs in the gallery: 1 new, 5 as before" in out
    rows = [line.split() for line in out.splitlines() if line.startswith("   ")]
    assert (len(rows), rows[0][:5], rows[0][-1]) == (3, ["1", "distance", "0.000", "cosine", "1.000"], "a/1.png")
    assert out.splitlines()[-1].startswith("page.html (")
    assert Path("page.html").read_text(encoding="utf-8").count("<figure>") == 4
    _, stored, told = said(capsys, *asked, "--json", "--no-update", "--most", "4")
    assert told == ""
    by_store = json.loads(stored)[0]["hits"]
    status, out, _ = said(capsys, "search", *run, "--vectors", "v.npz", "--query", query, "--json")
    by_file = json.loads(out)[0]["hits"]
    assert [hit["path"] for hit in by_store if hit["path"] != "new.png"][:3] == [hit["path"] for hit in by_file][:3]
    near = [hit["distance"] for hit in by_store]
    assert near == sorted(near)
    status, out, _ = said(capsys, "export", *run, "--out", "net.pt2")
    assert status == 0
    assert "images: uint8 (batch, 3, 24, 24)" in out


def test_files_are_embedded_by_name_and_their_labels_are_their_folders(run_folder, gallery_folder, capsys):
    names = [str(gallery_folder / "a" / "1.png"), str(gallery_folder / "b" / "deep" / "3.png")]
    assert said(capsys, "embed", "--run", run_folder, "--files", *names, "--out", "v.npz")[0] == 0
    with np.load("v.npz") as found:
        assert found["paths"].tolist() == ["a/1.png", "b/deep/3.png"]
        assert json.loads(str(found["about"]))["root"] == str(gallery_folder.resolve())
        by_name = found["vectors"]
    assert said(capsys, "embed", "--run", run_folder, "--root", gallery_folder, "--out", "w.npz")[0] == 0
    with np.load("w.npz") as found:
        assert found["labels"].tolist() == ["a", "a", "b", "b", ""]
        np.testing.assert_allclose(found["vectors"][[0, 2]], by_name, atol=1e-6)


REFUSED = {
    "a file of another kind": (["embed", "RUN", "--root", "photos", "--out", "v.csv"], "--out must end in .npz or"),
    "no folder": (["embed", "RUN", "--root", "no", "--out", "v.npz"], "--root must be a folder of photographs; got no"),
    "no such run": (["embed", "--run", "no", "--root", "photos", "--out", "v.npz"], "--run must hold run.json and a"),
    "no batch": (["embed", "RUN", "--root", "photos", "--out", "v.npz", "--batch-size", "0"], "--batch-size must be"),
    "no device": (["embed", "RUN", "--root", "photos", "--out", "v.npz", "--device", "gpu"], "--device must "),
    "a folder for a file": (["embed", "RUN", "--root", "photos", "--out", "folder.npz"], "--out must name a file that"),
    "no gallery": (["index", "RUN", "--gallery", "no"], "--gallery must be a folder of photographs; got no"),
    "a table that is none": (["index", "RUN", "--gallery", "photos", "--table", "../x"], "--table must be a word"),
    "no query": (["search", "RUN", "--gallery", "photos", "--query", "no.jpg"], "--query must name photographs that"),
    "a query that is none": (["search", "RUN", "--gallery", "photos", "--query", "x.txt"], "x.txt: it is no picture"),
    "no hits": (["search", "RUN", "--gallery", "photos", "--query", "x.txt", "--most", "0"], "--most must be"),
    "vectors of another": (["search", "RUN", "--vectors", "o.npz", "--query", "x.png"], "--vectors must be made by"),
    "vectors that are none": (["search", "RUN", "--vectors", "x.npz", "--query", "x.png"], "--vectors must be a file"),
    "a format that is none": (["export", "RUN", "--format", "tflite", "--out", "x"], "invalid choice: 'tflite'"),
    "an export into a folder": (["export", "RUN", "--out", "folder.pt2"], "--out must name a file that can be"),
    "an export of no known name": (["export", "RUN", "--out", "net.pt"], "--out must end in .onnx or .pt2; got net.pt"),
    "an export of another name": (
        ["export", "RUN", "--out", "n.onnx", "--format", "pt2"],
        "--out must end in .pt2; got n.onnx. Call it n.pt2.",
    ),
    "vectors of another kind": (["search", "RUN", "--vectors", "v.h5", "--query", "x.png"], "--vectors must end in"),
    "an empty gallery": (["index", "RUN", "--gallery", "empty", "--store", "s"], "--gallery must hold photographs;"),
    "a query that may not be left out": (
        ["search", "RUN", "--gallery", "photos", "--query", "x.txt", "--skip-corrupt"],
        "--query must name photographs that can be read; got \n  x.txt: it is no picture",
    ),
    "a gallery that was never indexed": (
        ["search", "RUN", "--gallery", "photos", "--query", "x.png", "--no-update", "--store", "s"],
        "--gallery must hold photographs; got none in s. Leave out --no-update, or call index first.",
    ),
    "a page of a gallery that was never indexed": (
        ["demo", "RUN", "--gallery", "photos", "--port", "0", "--no-update", "--store", "s"],
        "Leave out --no-update",
    ),
    "options of a store beside a file": (
        ["search", "RUN", "--vectors", "o.npz", "--query", "x.png", "--store", "s", "--no-update"],
        "--store, --no-update must stand beside --gallery; got --vectors.",
    ),
    "a port that is none": (["demo", "RUN", "--gallery", "photos", "--port", "70000"], "--port must be"),
    "a host that is none": (
        ["demo", "RUN", "--gallery", "photos", "--host", "no.invalid"],
        "--host and --port must be",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_will_not_do_is_one_sentence_before_any_work(name, run_folder, gallery_folder, capsys, monkeypatch):
    line, expected = REFUSED[name]
    monkeypatch.setattr("dmlbook.use.trained.embed", lambda *_, **__: pytest.fail("a network ran"))
    for folder in ("folder.npz", "folder.pt2", "empty"):
        Path(folder).mkdir()
    Path("x.txt").write_text("no picture")
    Path("x.npz").write_bytes(b"no file of numpy")
    picture(1).save("x.png")
    about = np.array(json.dumps({"model": "another"}))
    np.savez("o.npz", vectors=np.ones((1, 8), np.float32), paths=np.array(["a"]), labels=np.array([""]), about=about)
    line = [part for word in line for part in (("--run", str(run_folder)) if word == "RUN" else (word,))]
    assert expected in refusal(line, capsys)


def test_a_folder_in_the_home_folder_is_embedded(run_folder, gallery_folder, capsys, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(gallery_folder.parent))
    status, _, told = said(capsys, "embed", "--run", run_folder, "--root=~/photos", "--out", "v.npz")
    assert (status, told) == (0, "")
    with np.load("v.npz") as found:
        about = json.loads(str(found["about"]))
    assert about["root"] == str(gallery_folder.resolve())
    assert about["run"] == f"trees/{next(run_folder.glob('seed-*')).name}"


def test_files_by_name_are_found_from_any_folder_and_count_once(run_folder, gallery_folder, capsys, monkeypatch):
    monkeypatch.chdir(gallery_folder)
    line = ("embed", "--run", run_folder, "--out", "../v.npz", "--files")
    status, out, told = said(capsys, *line, "a/1.png", "a/2.png", "a/1.png")
    assert status == 0
    assert "2 photographs" in out
    assert "note: --files names photographs twice, such as a/1.png: each counts once" in told
    with np.load("../v.npz") as found:
        assert found["paths"].tolist() == ["a/1.png", "a/2.png"]
        assert json.loads(str(found["about"]))["root"] == str(gallery_folder.resolve())
    monkeypatch.chdir(gallery_folder.parent)
    query = ("--query", gallery_folder / "a" / "1.png", gallery_folder / "a" / "1.png")
    status, out, told = said(capsys, "search", "--run", run_folder, "--vectors", "v.npz", *query, "--out", "p.html")
    assert status == 0
    assert "note: --query names photographs twice" in told
    page = Path("p.html").read_text(encoding="utf-8")
    assert (page.count("<section"), page.count("<img"), "no picture" in page) == (1, 3, False)
    (gallery_folder / "sub").mkdir()
    monkeypatch.chdir(gallery_folder / "sub")
    assert said(capsys, *line, "../a/1.png", "../b/deep/3.png")[0] == 0
    with np.load("../v.npz") as found:
        assert found["paths"].tolist() == ["a/1.png", "b/deep/3.png"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"paths": ["../secret.png"]}, "--vectors must name photographs below the folder that it names; got v.npz wi"),
        ({"paths": ["/etc/secret.png"]}, "--vectors must name photographs below the folder"),
        ({"about": {"root": 5}}, "--vectors must be a file of embeddings; got v.npz: TypeError: its root is 5"),
        (
            {"vectors": np.ones((0, 8), np.float32), "paths": [], "labels": []},
            "--vectors must hold finite vectors of 8",
        ),
        ({"vectors": np.ones((1, 5), np.float32)}, "--vectors must hold finite vectors of 8 dimensions, one at least"),
        ({"vectors": np.full((1, 8), np.nan)}, "--vectors must hold finite vectors"),
        ({"vectors": np.ones((1, 8))}, None),
    ],
)
def test_odd_vectors_are_told_before_a_query_is_looked_at(changes, told, run_folder, gallery_folder, capsys):
    assert said(capsys, "embed", "--run", run_folder, "--root", gallery_folder, "--out", "v.npz")[0] == 0
    with np.load("v.npz") as found:
        about = json.loads(str(found["about"]))
    whole = {"vectors": np.ones((1, 8), np.float32), "paths": ["a/1.png"], "labels": [""], **changes}
    whole = {
        name: np.array(value, dtype=np.str_ if name in ("paths", "labels") else None) for name, value in whole.items()
    }
    whole["about"] = np.array(json.dumps({**about, **changes.get("about", {})}))
    np.savez("v.npz", **whole)
    query = gallery_folder / "a" / "1.png"
    status, _, err = said(capsys, "search", "--run", run_folder, "--vectors", "v.npz", "--query", query)
    assert status == int(told is not None)
    assert (told or "") in err


def test_the_page_that_no_option_names_is_checked_before_the_work(run_folder, gallery_folder, capsys, monkeypatch):
    shutil.copytree(run_folder, "run")
    page = next(Path("run").glob("seed-*")) / "search.html"
    page.unlink(missing_ok=True)
    page.mkdir()
    monkeypatch.setattr("dmlbook.use.trained.embed", lambda *_, **__: pytest.fail("a network ran"))
    line = ("search", "--run", "run", "--gallery", gallery_folder, "--query", gallery_folder / "a" / "1.png")
    status, _, told = said(capsys, *line)
    assert status == 1
    assert "--out must name a file that can be written; got" in told


def test_a_table_of_another_run_is_refused_or_replaced(run_folder, gallery_folder, capsys):
    pytest.importorskip("lancedb")
    shutil.copytree(run_folder, "other")
    path = checkpoints.find(next(Path("other").glob("seed-*")))[-1]
    content = checkpoints.load(path)
    content["net"]["head.linear.bias"] += 1
    torch.save(content, path)
    line = ("index", "--gallery", gallery_folder, "--store", "store", "--table", "ours", "--run")
    assert said(capsys, *line, run_folder)[0] == 0
    status, _, told = said(capsys, *line, "other")
    assert status == 1
    assert "--table must hold photographs of this model alone; got ours with 5 photographs of another one. " in told
    assert "or pass --replace where nobody needs the former." in told
    status, out, _ = said(capsys, *line, "other", "--replace")
    assert (status, out) == (0, "5 photographs in the gallery: 5 new\n")


def test_a_run_that_has_not_ended_is_used_with_a_note(run_folder, gallery_folder, capsys, monkeypatch):
    original = checkpoints.load
    monkeypatch.setattr(checkpoints, "load", lambda path: {**original(path), "epoch": 0})
    status, _, told = said(capsys, "embed", "--run", run_folder, "--root", gallery_folder, "--out", "v.npz")
    assert status == 0
    assert "has not been trained to its end" in told


def test_a_broken_photograph_stops_an_index_and_may_be_left_out(run_folder, gallery_folder, capsys):
    pytest.importorskip("lancedb")
    (gallery_folder / "bad.jpg").write_bytes(b"no picture")
    (gallery_folder / "notes.txt").write_text("")
    line = ("index", "--run", run_folder, "--gallery", gallery_folder, "--store", "store")
    status, _, told = said(capsys, *line)
    assert status == 1
    assert "bad.jpg" in told
    assert "--skip-corrupt" in told
    status, out, told = said(capsys, *line, "--skip-corrupt")
    assert (status, out) == (0, "5 photographs in the gallery: 0 new, 5 as before, 1 unreadable\n")
    assert "1 .txt" in told


def test_a_table_of_hits_names_what_is_known():
    answer = Answer("q.jpg", [Hit("a/1.png", "ash", 0.5), Hit("2.png", "", 1.5)], [Path(), Path()])
    lines = search_command.table(answer, unit=False).splitlines()
    assert lines == ["q.jpg", "    1  distance 0.500  ash  a/1.png", "    2  distance 1.500       2.png"]
    assert "cosine  0.875" in search_command.table(answer, unit=True)


def test_options_of_use_are_the_same_in_every_command():
    from argparse import ArgumentParser

    parser = ArgumentParser()
    uses.add_run_argument(parser)
    uses.add_store_arguments(parser)
    uses.add_work_arguments(parser)
    options = parser.parse_args(["--run", "r"])
    assert (options.store, options.table, options.verify, options.batch_size) == (None, "", False, 64)


def answered(address, seconds=30):
    until = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(address, timeout=10).read()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no Ctrl-C for one process there")
def test_a_page_is_served_on_this_machine_alone_until_ctrl_c(run_folder, gallery_folder):
    for name in ("lancedb", "uvicorn", "starlette"):
        pytest.importorskip(name)
    line = [sys.executable, "-m", "dmlbook", "demo", "--run", run_folder, "--gallery", gallery_folder, "--port", "0"]
    with Path("errors.txt").open("w") as errors, subprocess.Popen(
        [*line, "--store", "store"], stdout=subprocess.PIPE, stderr=errors, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        limit = threading.Timer(120, process.kill)  # whoever waits for its words is not kept for ever
        limit.start()
        try:
            address = next((text.split()[0] for text in process.stdout if text.startswith("http://")), "")
            assert address.startswith("http://127.0.0.1:"), Path("errors.txt").read_text()
            assert b"Search by photograph" in answered(address)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        finally:
            limit.cancel()
            process.kill()
    err = Path("errors.txt").read_text()
    assert (process.returncode, out.splitlines()[-1], "Traceback" in err) == (0, "ended", False)
