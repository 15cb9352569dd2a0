"""Three tools side by side: what is counted is counted rightly, one evaluator measures all, and our script is one."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from argparse import Namespace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dmlbook import retrieval
from dmlbook.__main__ import COMMANDS, main

HERE = Path(__file__).resolve().parents[1] / "data" / "side_by_side"


@pytest.fixture
def measure(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    return import_module("measure")


@pytest.fixture
def root(tmp_path):
    """Five classes of four pictures; one lies deeper."""
    for number, name in enumerate(("ash", "beech", "cedar", "elm", "fir")):
        for i in range(4):
            path = tmp_path / "trees" / name / ("deeper" if i == 3 else ".") / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (40 * number, 10 * i, 90)).save(path)
    return tmp_path / "trees"


def test_lines_are_those_that_a_user_writes(measure, tmp_path):
    script = tmp_path / "a.py"
    script.write_text(
        '"""A docstring\nof two lines."""\n\nimport os  # a comment\n# another\nx = [\n    1,\n\n    2,\n]\n'
    )
    assert measure.lines(script) == 1 + 4
    script.write_text('def f():\n    """Says."""\n    return """two\nlines"""\n')
    assert measure.lines(script) == 1 + 2
    shell = tmp_path / "a.sh"
    shell.write_text("#!/bin/sh\n# said\n\nfirst \\\n    --more\nsecond\n")
    assert measure.lines(shell) == 3


def test_classes_are_named_so_that_every_tool_sorts_them_alike_and_one_photograph_is_new(measure, root, tmp_path):
    photos, query = measure.prepare(root, tmp_path / "work", None)
    names = {path.relative_to(photos).as_posix() for path in photos.rglob("*") if path.is_file()}
    assert len(names) == 4 * 4 - 1
    assert {name.split("/")[0] for name in names} == {f"{n:04d}" for n in range(4)}  # of five: each tool takes one half
    assert "0000/deeper-3.png" in names
    assert "0003/0.png" not in names
    assert query.read_bytes() == (root / "elm" / "0.png").read_bytes()


def test_what_is_no_photograph_is_not_copied(measure, root, tmp_path):
    (root / "ash" / "notes.txt").write_text("x")
    (root / "elm" / ".DS_Store").write_text("x")
    (root / ".git").mkdir()
    (root / "empty" / "folder").mkdir(parents=True)
    photos, query = measure.prepare(root, tmp_path / "work", None)
    assert sorted(path.name for path in photos.iterdir()) == ["0000", "0001", "0002", "0003"]
    assert {path.suffix for path in photos.rglob("*") if path.is_file()} == {".png"} == {query.suffix}


def test_a_copy_is_taken_again_only_where_it_is_of_the_same_photographs(measure, root, tmp_path, monkeypatch):
    work = tmp_path / "work"
    photos, _ = measure.prepare(root, work, None)
    (photos / "0000" / "0.png").unlink()
    measure.prepare(root, work, None)
    assert not (photos / "0000" / "0.png").exists()
    Image.new("RGB", (9, 9)).save(root / "ash" / "0.png")
    measure.prepare(root, work, None)
    assert Image.open(photos / "0000" / "0.png").size == (9, 9)
    other = root.with_name("others")
    shutil.copytree(root, other)
    Image.new("RGB", (8, 8), (1, 2, 3)).save(other / "beech" / "0.png")
    measure.prepare(other, work, None)
    assert Image.open(photos / "0001" / "0.png").getpixel((0, 0)) == (1, 2, 3)

    def stopped(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(measure.shutil, "copyfile", stopped)
        with pytest.raises(KeyboardInterrupt):
            measure.prepare(root, work, None)
    measure.prepare(other, work, None)
    assert len([path for path in photos.rglob("*") if path.is_file()]) == 15


@pytest.mark.parametrize(("classes", "told"), [(3, "four class folders or more; got 2"), (1, "got 0")])
def test_too_few_classes_are_refused(measure, root, tmp_path, classes, told):
    with pytest.raises(SystemExit, match=told):
        measure.prepare(root, tmp_path / "work", classes)
    with pytest.raises(SystemExit, match="--root must be a folder"):
        measure.prepare(root / "nowhere", tmp_path / "work", None)


def test_one_evaluator_measures_the_second_half_of_the_classes_of_whatever_was_left(measure, root, tmp_path):
    photos, _ = measure.prepare(root, tmp_path / "work", None)
    labels = np.array([int(path.parent.name) for path in sorted(photos.rglob("*.png"))])
    vectors = np.random.default_rng(1).normal(size=(len(labels), 4)).astype(np.float32)
    kept = torch.from_numpy(labels >= 2)
    wanted = retrieval.evaluate(torch.from_numpy(vectors)[kept], torch.from_numpy(labels)[kept], (1,), clusters=False)
    for given in (labels, np.array([f"{label:04d}" for label in labels])):  # numbers, or the names of folders
        np.savez(tmp_path / "vectors.npz", vectors=3 * vectors, labels=given)
        found = measure.scores(tmp_path / "vectors.npz", photos)
        assert found == pytest.approx({key: wanted[key] for key in ("recall_at_1", "map_at_r")})
    np.savez(tmp_path / "vectors.npz", vectors=vectors[:-1], labels=labels[:-1])
    with pytest.raises(SystemExit, match="holds 6 embeddings of the classes to be measured, not 7"):
        measure.scores(tmp_path / "vectors.npz", photos)


SCRIPT = """# a script
python -m dmlbook check > "$4/said"
"$PYTHON" -c 'held = bytearray(int(1.5e9)); held[::4096] = bytes(len(held[::4096]))'
cp vectors.npz "$4/"
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a shell")
def test_a_script_is_run_once_and_its_seed_is_its_own(measure, root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure, "HERE", tmp_path)
    monkeypatch.setenv("PYTHON", sys.executable)
    (tmp_path / "dmlbook.sh").write_text(SCRIPT)
    (tmp_path / "network.py").touch()
    (tmp_path / "w").touch()
    photos, query = measure.prepare(root, tmp_path / "work", None)
    labels = np.array([int(path.parent.name) for path in sorted(photos.rglob("*.png"))])
    np.savez(tmp_path / "vectors.npz", vectors=np.eye(5)[labels], labels=labels)
    monkeypatch.chdir(tmp_path)
    core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    versions = {"dmlbook": {"torch": "2"}}
    options = Namespace(
        work=tmp_path / "work", weights=tmp_path / "w", epochs=1, oml_python=None, core=core, versions=versions
    )
    figures = measure.run("dmlbook", 3, options, photos, query)
    folder = tmp_path / "work" / "dmlbook-3"
    assert (figures["recall_at_1"], figures["map_at_r"], figures["lines"]) == (1.0, 1.0, 3)
    assert 0 < figures["cpu_minutes"] < 5
    assert 1.5 < figures["peak_gb"] < 1.7  # of what the script held, and not of who started it
    assert "python" in (folder / "said").read_text()
    assert f"dmlbook.seeding.SEED = {measure.SEED + 3}" in (folder / "bin" / "python").read_text()
    capsys.readouterr()
    assert measure.run("dmlbook", 3, options, photos, query) == figures
    assert capsys.readouterr().out == ""
    for change in ({"epochs": 2}, {"versions": {"dmlbook": {"torch": "3"}}}):
        measure.run("dmlbook", 3, Namespace(**vars(options) | change), photos, query)
        assert "dmlbook, seed 3" in capsys.readouterr().out  # what was measured otherwise is no answer
    (tmp_path / "dmlbook.sh").write_text("echo too bad; exit 3\n")
    with pytest.raises(SystemExit, match="dmlbook failed; its last words.*\ntoo bad"):
        measure.run("dmlbook", 3, options, photos, query)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (["--seeds", "0"], "--seeds must be 1 or more"),
        (["--core", "9999"], "--core must be one of"),
        (["--weights", "none.pt"], "--weights must be a file; got none.pt"),
    ],
)
def test_what_can_be_known_before_is_said_before(root, tmp_path, option, told):
    (tmp_path / "w").touch()
    given = ["--root", root, "--weights", tmp_path / "w", "--work", tmp_path / "work", *option]
    done = subprocess.run([sys.executable, HERE / "measure.py", *given], capture_output=True, text=True)
    assert (done.returncode, told in done.stderr, (tmp_path / "work").exists()) == (2, True, False)


def test_all_three_see_pictures_of_one_size_the_same_way(monkeypatch):
    """The views of the scripts of others are read in their text, ours in what its command would train with."""
    for name in ("pml_train.py", "oml_train.py"):
        text = (HERE / name).read_text()
        assert "RandomResizedCrop(128, scale=(0.3, 1))" in text
        assert "Resize(128), transforms.CenterCrop(128)" in text
    line = next(line for line in commands_of_ours() if line[0] == "train")
    module, asked = import_module("dmlbook.commands.train"), []
    monkeypatch.setattr(module, "run", lambda options: asked.append(options) or 0)
    main([word.replace("$epochs", "4") for word in line])
    assert (asked[0].size, asked[0].test_crop, asked[0].crop_scale) == (128, 1.0, [0.3, 1.0])


def commands_of_ours():
    """The arguments of each command of our script."""
    text = (HERE / "dmlbook.sh").read_text().replace("\\\n", " ")
    return [shlex.split(line)[3:] for line in text.splitlines() if line.startswith("python -m dmlbook")]


def test_our_script_is_made_of_commands_that_are_there(monkeypatch):
    lines = commands_of_ours()
    assert [line[0] for line in lines] == ["train", "embed", "search"]
    for line in lines:
        if line[0] in COMMANDS:
            module, asked = import_module(f"dmlbook.commands.{line[0]}"), []
            monkeypatch.setattr(module, "run", lambda options, asked=asked: asked.append(options) or 0)
            assert main([word.replace("$epochs", "4") for word in line]) == 0
            assert len(asked) == 1


def test_the_scripts_know_no_path_of_a_machine_and_can_be_read(measure):
    for path in [*HERE.glob("*.py"), *HERE.glob("*.sh"), HERE / "README.md"]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.$}])/(?:work|root|home|tmp|Users)/", text), path.name
        if path.suffix == ".py":
            compile(text, path.name, "exec")
    assert set(measure.SCRIPTS.values()) <= {path.name for path in HERE.iterdir()}
    done = subprocess.run([sys.executable, HERE / "measure.py", "--help"], capture_output=True, text=True, check=True)
    assert "--oml-python" in done.stdout
