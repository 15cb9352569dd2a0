"""Records: whole files, everything needed to run a figure again."""

import os

import pytest

from dmlbook import records
from tests.records.examples import filled


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = filled()
    path = record.save(tmp_path)
    assert path == tmp_path / "probe.json"
    assert records.load("probe", tmp_path) == record
    assert [run["seed"] for run in record.runs] == [1, 2]
    assert [run["seconds"] for run in record.runs] == [3.0, 3.14]
    assert record.values("map_at_r") == [0.4, 0.5]


def test_a_seed_run_again_takes_the_place_of_its_figures():
    record = filled()
    record.add(2, {"map_at_r": 0.9, "nmi": 0.8}, seconds=1)
    assert record.values("map_at_r") == [0.4, 0.9]


def test_a_crash_while_writing_leaves_the_former_file(tmp_path, monkeypatch):
    record = filled()
    path = record.save(tmp_path)
    before = path.read_text()
    record.add(3, {"map_at_r": 0.1, "nmi": 0.1}, seconds=1)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        record.save(tmp_path)
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["probe.json"]


@pytest.mark.bad_input
def test_what_is_no_record_or_figure_is_named(tmp_path):
    filled().save(tmp_path)
    with pytest.raises(ValueError, match="name must name a record of .*; got 'other'. There are: probe"):
        records.load("other", tmp_path)
    (tmp_path / "torn.json").write_text('{"name": "torn", ')
    with pytest.raises(ValueError, match="must name a record; got torn.json"):
        records.load("torn", tmp_path)
    with pytest.raises(ValueError, match="figure must be one of map_at_r, nmi; got 'recall' in probe"):
        filled().values("recall")
    with pytest.raises(ValueError, match="Record.add: map_at_r must be a finite number; got nan"):
        filled().add(5, {"map_at_r": float("nan")}, seconds=1)
