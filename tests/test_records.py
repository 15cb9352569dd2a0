"""Records: whole files, honest intervals, everything needed to run a figure again."""

import json
import math
import os
import subprocess

import numpy as np
import pytest

from dmlbook import records
from dmlbook.chapters.ch07 import exercises as chapter_07
from dmlbook.seeding import SEED


def filled(name="probe"):
    record = records.Record(name, "A probe", {"data": "birds", "loss": "softtriple", "scale": 20.0})
    record.add(2, {"recall_at_1": 0.5, "nmi": 0.7}, seconds=3.14159)
    record.add(1, {"recall_at_1": 0.4, "nmi": 0.6}, seconds=3.0)
    return record


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = filled()
    path = record.save(tmp_path)
    assert path == tmp_path / "probe.json"
    assert records.load("probe", tmp_path) == record
    assert [run["seed"] for run in record.runs] == [1, 2]
    assert [run["seconds"] for run in record.runs] == [3.0, 3.14]
    assert record.values("recall_at_1") == [0.4, 0.5]


def test_a_seed_run_again_takes_the_place_of_its_figures():
    record = filled()
    record.add(2, {"recall_at_1": 0.9, "nmi": 0.8}, seconds=1)
    assert record.values("recall_at_1") == [0.4, 0.9]


def test_provenance_names_machine_versions_commit_and_no_host(tmp_path):
    found = json.loads(filled().save(tmp_path).read_text())["provenance"]
    assert set(found) == {"machine", "device", "threads", "versions", "commit", "mode", "time"}
    assert found["versions"]["torch"].startswith("2.")
    assert found["mode"] in ("smoke", "class", "full")
    if hasattr(os, "uname"):
        assert os.uname().nodename not in json.dumps(found)


def test_the_commit_says_whether_the_package_was_changed_since(tmp_path, monkeypatch):
    def git(*arguments):
        who = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    monkeypatch.setattr(records, "project_root", lambda: tmp_path)
    git("init", "-q")
    assert records._commit() == "unknown"
    (tmp_path / "dmlbook").mkdir()
    (tmp_path / "dmlbook" / "a.py").write_text("a = 1\n")
    (tmp_path / "README.md").write_text("A\n")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    (tmp_path / "README.md").write_text("B\n")  # no figure depends on it
    assert records._commit() == git("rev-parse", "HEAD")[:12]
    (tmp_path / "dmlbook" / "a.py").write_text("a = 2\n")
    assert records._commit() == git("rev-parse", "HEAD")[:12] + " with changes"


def test_a_crash_while_writing_leaves_the_former_file(tmp_path, monkeypatch):
    record = filled()
    path = record.save(tmp_path)
    before = path.read_text()
    record.add(3, {"recall_at_1": 0.1, "nmi": 0.1}, seconds=1)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        record.save(tmp_path)
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["probe.json"]


def test_interval_covers_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(SEED).normal(3.0, 2.0, size=(4000, 4))
    found = [records.interval(row.tolist()) for row in draws]
    covered = np.mean([abs(mean - 3.0) <= half for mean, half in found])
    assert 0.94 < covered < 0.96


def test_interval_of_one_value_is_no_interval():
    mean, half = records.interval([0.3])
    assert mean == 0.3
    assert math.isnan(half)
    assert records.percent([0.3]) == "30.0 (1)"


def test_interval_uses_the_factors_that_the_exercise_prints():
    for degrees, factor in chapter_07.T_975.items():
        values = [1.0, 2.0] + [1.5] * (degrees - 1)
        assert records.interval(values)[1] == pytest.approx(
            factor * np.std(values, ddof=1) / len(values) ** 0.5, rel=1e-4
        )


def test_interval_narrows_with_the_level_and_percent_with_the_digits():
    assert records.interval([1.0, 2.0], level=0.5) == pytest.approx((1.5, 0.5))  # Student's t, 1 degree: tan(pi / 4)
    assert records.percent([0.5, 0.52], digits=0) == "51 ± 13 (2)"
    assert records.percent([0.5, 0.52], digits=2) == "51.00 ± 12.71 (2)"


def test_table_prints_mean_interval_and_number():
    printed = records.table({"SoftTriple": filled()}, {"recall_at_1": "R@1", "nmi": "NMI"})
    assert printed.splitlines() == [
        "| | R@1 | NMI |",
        "|---|---|---|",
        "| SoftTriple | 45.0 ± 63.5 (2) | 65.0 ± 63.5 (2) |",
    ]


@pytest.mark.bad_input
def test_bad_input_is_named(tmp_path):
    filled().save(tmp_path)
    with pytest.raises(ValueError, match="name must name a record of .*; got 'other'. There are: probe"):
        records.load("other", tmp_path)
    (tmp_path / "torn.json").write_text('{"name": "torn", ')
    with pytest.raises(ValueError, match="must name a record; got torn.json"):
        records.load("torn", tmp_path)
    with pytest.raises(ValueError, match="figure must be one of nmi, recall_at_1; got 'recall' in probe"):
        filled().values("recall")
    with pytest.raises(ValueError, match="Record.add: recall_at_1 must be a finite number; got nan"):
        filled().add(5, {"recall_at_1": float("nan")}, seconds=1)
    with pytest.raises(ValueError, match="values must hold at least one number"):
        records.interval([])
    with pytest.raises(ValueError, match="level must be a finite number > 0 and <= 1; got 0"):
        records.interval([1.0, 2.0], level=0)
