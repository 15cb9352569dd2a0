"""Three tools side by side: what is counted is counted rightly, one evaluator measures all, and our script is one."""

import re
import shlex
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
    work = tmp_path / "work"
    photos, query = measure.prepare(root, work, None)
    names = {path.relative_to(photos).as_posix() for path in photos.rglob("*.png")}
    assert len(names) == 5 * 4 - 1
    assert {name.split("/")[0] for name in names} == {f"{n:04d}" for n in range(5)}
    assert "0000/deeper-3.png" in names
    assert "0004/0.png" not in names
    assert query.read_bytes() == (root / "fir" / "0.png").read_bytes()
    (photos / "0000" / "0.png").unlink()  # what was prepared is not prepared again
    assert measure.prepare(root, work, None)[0] == photos
    assert not (photos / "0000" / "0.png").exists()
    measure.prepare(root, work, 4)
    assert sorted(path.name for path in photos.iterdir()) == ["0000", "0001", "0002", "0003"]
    with pytest.raises(SystemExit, match="four class folders or more; got 3"):
        measure.prepare(root, work, 3)


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
    with pytest.raises(SystemExit, match="holds 10 embeddings of the classes to be measured, not 11"):
        measure.scores(tmp_path / "vectors.npz", photos)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell")
def test_a_script_is_run_once_and_its_seed_is_its_own(measure, root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure, "HERE", tmp_path)
    (tmp_path / "dmlbook.sh").write_text('# a script\npython -m dmlbook check > "$4/said"\ncp vectors.npz "$4/"\n')
    photos, query = measure.prepare(root, tmp_path / "work", None)
    labels = np.array([int(path.parent.name) for path in sorted(photos.rglob("*.png"))])
    np.savez(tmp_path / "vectors.npz", vectors=np.eye(5)[labels], labels=labels)
    monkeypatch.chdir(tmp_path)
    core = min(__import__("os").sched_getaffinity(0)) if hasattr(__import__("os"), "sched_getaffinity") else 0
    options = Namespace(work=tmp_path / "work", weights=tmp_path / "w", epochs=1, oml_python=None, core=core)
    figures = measure.run("dmlbook", 3, options, photos, query)
    folder = tmp_path / "work" / "dmlbook-3"
    assert (figures["recall_at_1"], figures["map_at_r"], figures["lines"]) == (1.0, 1.0, 2)
    assert 0 < figures["cpu_minutes"] < 5
    assert figures["peak_gb"] > 0.05
    assert "python" in (folder / "said").read_text()
    assert f"dmlbook.seeding.SEED = {measure.SEED + 3}" in (folder / "bin" / "python").read_text()
    capsys.readouterr()
    assert measure.run("dmlbook", 3, options, photos, query) == figures
    assert capsys.readouterr().out == ""
    (tmp_path / "dmlbook.sh").write_text("echo too bad; exit 3\n")
    with pytest.raises(SystemExit, match="dmlbook failed; its last words.*\ntoo bad"):
        measure.run("dmlbook", 4, options, photos, query)


def test_our_script_is_made_of_commands_that_are_there(monkeypatch):
    text = (HERE / "dmlbook.sh").read_text().replace("\\\n", " ")
    lines = [shlex.split(line)[3:] for line in text.splitlines() if line.startswith("python -m dmlbook")]
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
