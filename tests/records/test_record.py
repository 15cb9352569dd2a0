"""Records: whole files, everything needed to run a figure again."""

import json
import multiprocessing
import os
import random
import signal
import time

import pytest

from dmlbook import records
from dmlbook._files import held
from dmlbook.records import record as module
from dmlbook.records.names import path_of
from dmlbook.records.record import check_runs
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
    with pytest.raises(ValueError, match="Record.add: figures must be .* finite numbers; got nan at .map_at_r."):
        filled().add(5, {"map_at_r": float("nan")}, seconds=1)


def test_memory_stands_beside_seconds_where_it_is_known(tmp_path):
    record = records.Record("probe", "A probe", {})
    record.add(1, {"nmi": 0.5}, seconds=2.0, peak_gb=1.5)
    record.add(2, {"nmi": 0.5}, seconds=2.0, peak_gb=1.5, gpu_peak_gb=7.25)
    record.add(3, {"nmi": 0.5}, seconds=2.0)
    path = record.save(tmp_path)
    known = [(run.get("peak_gb"), run.get("gpu_peak_gb")) for run in records.load("probe", tmp_path).runs]
    assert known == [(1.5, None), (1.5, 7.25), (None, None)]
    path.write_text(path.read_text().replace("7.25", '"much"'))
    with pytest.raises(ValueError, match="must name a record; got probe.json: a number is missing"):
        records.load("probe", tmp_path)


CONFIGURATION = {"data": "birds", "loss": "softtriple", "scale": 20.0}


def _continued(root, configuration=CONFIGURATION, **options):
    return records.continued("probe", "A probe", configuration, root=root, **options)


def test_seeds_of_two_writers_stay(tmp_path):
    first, second = _continued(tmp_path), _continued(tmp_path)
    first.add(1, {"map_at_r": 0.1}, seconds=1)
    first.save(tmp_path)
    second.add(2, {"map_at_r": 0.2}, seconds=1)
    second.save(tmp_path)
    assert records.load("probe", tmp_path).values("map_at_r") == [0.1, 0.2]
    first.add(3, {"map_at_r": 0.3}, seconds=1)
    first.save(tmp_path)
    assert records.load("probe", tmp_path).seeds == [1, 2, 3]
    first.runs = [run for run in first.runs if run["seed"] != 1]  # on purpose
    first.save(tmp_path)
    assert records.load("probe", tmp_path).seeds == [2, 3]


def _write_seeds(root, seeds):
    for seed in seeds:
        record = _continued(root)
        record.add(seed, {"map_at_r": seed / 100}, seconds=1)
        record.save(root)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_processes_that_write_one_record_at_once_lose_no_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "provenance", dict)  # which asks git
    work = multiprocessing.get_context("fork")
    writers = [work.Process(target=_write_seeds, args=(tmp_path, range(n, 30, 3))) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert records.load("probe", tmp_path).seeds == list(range(30))
    assert [path.name for path in tmp_path.iterdir()] == ["probe.json"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_record_outlasts_writers_that_are_killed_at_random_moments(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "provenance", dict)
    _write_seeds(tmp_path, [0])
    work, chance, kept = multiprocessing.get_context("fork"), random.Random(0), {0}
    for attempt in range(20):
        writer = work.Process(target=_write_seeds, args=(tmp_path, range(1 + 50 * attempt, 50 + 50 * attempt)))
        writer.start()
        time.sleep(0.06 * chance.random())
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        found = set(records.load("probe", tmp_path).seeds)
        assert found >= kept
        kept = found
    assert len(kept) > 5  # some were killed while they wrote
    _write_seeds(tmp_path, [9999])  # what the killed left is no hindrance
    assert set(records.load("probe", tmp_path).seeds) == kept | {9999}


def test_a_record_of_another_configuration_is_given_up_on_demand_alone(tmp_path):
    filled().save(tmp_path)
    other = {**CONFIGURATION, "scale": 21.0}
    with pytest.raises(ValueError, match=r"another record, or pass --replace") as told:
        _continued(tmp_path, other)
    assert "got 'probe' with 2 seeds and another scale" in str(told.value)
    fresh = records.Record("probe", "A probe", other)
    fresh.add(5, {"map_at_r": 0.9}, seconds=1)
    with pytest.raises(ValueError, match="name must be free or name a record of this configuration"):
        fresh.save(tmp_path)
    assert records.load("probe", tmp_path).seeds == [1, 2]
    replacing = _continued(tmp_path, other, replace=True)
    assert replacing.runs == []
    for seed in (7, 8):
        replacing.add(seed, {"map_at_r": 0.9}, seconds=1)
        replacing.save(tmp_path)
    assert records.load("probe", tmp_path).seeds == [7, 8]
    assert _continued(tmp_path, other, replace=True).seeds == [7, 8]  # the same one is gone on with


@pytest.mark.parametrize("damage", ["", "{", "[]", "[" * 5000, '{"name": "probe"}', b"\xff\xfe", "null"])
def test_a_damaged_record_is_not_overwritten_without_a_word(tmp_path, damage):
    path = tmp_path / "probe.json"
    path.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    with pytest.raises(ValueError, match=r"^records.load: name must name a record; got probe.json"):
        records.load("probe", tmp_path)
    with pytest.raises(ValueError, match=r"got a damaged file \(probe.json.*--replace"):
        _continued(tmp_path)
    with pytest.raises(ValueError, match="damaged file"):
        filled().save(tmp_path)
    assert path.read_bytes() == (damage if isinstance(damage, bytes) else damage.encode())
    record = _continued(tmp_path, replace=True)
    record.add(1, {"map_at_r": 0.5}, seconds=1)
    record.save(tmp_path)
    assert records.load("probe", tmp_path).seeds == [1]


def test_flipped_bits_are_read_or_named_and_end_in_nothing_else(tmp_path):
    path, chance = filled().save(tmp_path), random.Random(1)
    whole = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        said = ""
        try:
            record = records.load("probe", tmp_path)
        except ValueError as error:
            record, said = None, str(error)
        assert said.startswith("" if record else "records.load: name must name a record; got probe.json")
        figures = [value for run in record.runs for value in run["figures"].values()] if record else []
        assert all(isinstance(value, int | float) for value in figures)
    (tmp_path / "b.json").write_text(json.dumps({"name": "b", "title": "", "configuration": {}, "runs": [{"seed": 1}]}))
    with pytest.raises(ValueError, match="b.json: 'seconds'"):
        records.load("b", tmp_path)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "be a word"),
        ("  ", "be a word"),
        (3, "be a string; got 3"),
        ("../../x", "stay below"),
        ("a/../../x", "stay below"),
        ("/tmp/x", "stay below"),
        ("C:x", "stay below"),
        ("a\0b", "be one that every system"),
        ("a\\b", "be one that every system"),
        ("a//b", "be one that every system"),
        ("a/", "be one that every system"),
        ("a\udc80", "be one that every system"),
        ("con", "be one that every system can write; got 'con', a device of Windows"),
        ("maps/AUX", "be one that every system"),
        ("nul.probe/a", "be one that every system"),
        ("COM1.x", "be one that every system"),
        ("a" * 300, "have at most 200 bytes"),
        ("ä" * 101, "have at most 200 bytes"),
    ],
)
def test_names_that_leave_the_results_or_cannot_be_written_are_refused(tmp_path, name, rule):
    for ask in (
        records.check_name,
        lambda name: records.check_writable(name, tmp_path),
        lambda name: records.continued(name, "", {}, root=tmp_path),
        lambda name: records.load(name, tmp_path),
        lambda name: records.Record(name, "", {}).save(tmp_path),
    ):
        with pytest.raises(ValueError, match=rf"name must {rule}"):
            ask(name)
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_asked_whether_it_can_be_written_before_the_work(tmp_path):
    for name in ("cub", "maps/cub-k1", "new/folders/cub"):
        assert records.check_writable(name, tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"check_writable: name must name a file that can be written; got 'file/cub'"):
        records.check_writable("file/cub", tmp_path)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ValueError, match="which is a folder"):
        records.check_writable("folder", tmp_path)


def test_a_record_that_another_process_writes_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WAIT", 0.05)
    lock = tmp_path / "probe.json.lock"
    with (
        held(lock, argument="name", rule="be free", remedy=""),
        pytest.raises(ValueError, match=rf"one process at a time; got .*held by process {os.getpid()} on "),
    ):
        filled().save(tmp_path)
    filled().save(tmp_path)
    assert not lock.exists()


def test_a_name_is_a_place_below_the_results(tmp_path, monkeypatch):
    assert path_of("maps/cub", tmp_path) == tmp_path / "maps" / "cub.json"
    monkeypatch.setattr("dmlbook.settings.results_root", lambda: tmp_path / "there")
    assert path_of("cub", None) == tmp_path / "there" / "cub.json"


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ({}, "no list"),
        ([1], "no list"),
        ([{"seed": 1, "seconds": 1, "figures": {"a": "0.5"}}], "a number is missing"),
        ([{"seed": 1, "seconds": 1, "figures": {"a": float("nan")}}], "a number is missing"),
        ([{"seed": 1.5, "seconds": 1, "figures": {}}], "a number is missing"),
        ([{"seed": True, "seconds": 1, "figures": {}}], "a number is missing"),
    ],
)
def test_runs_are_what_a_record_adds(runs, said):
    check_runs(filled().runs)
    with pytest.raises(TypeError, match=said):
        check_runs(runs)


@pytest.mark.bad_input
def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "a file").write_text("words")
    for root in (tmp_path / "a file", tmp_path / "a file" / "below"):
        with pytest.raises(ValueError, match="root must be a folder that can be written; got .*a file, which is no"):
            filled("a").save(root)


def test_a_record_that_is_replaced_by_two_processes_keeps_the_seeds_of_both(tmp_path):
    other = records.Record("probe", "Another probe", {"data": "cub"})
    other.save(tmp_path)
    asked = ("probe", "A probe", filled().configuration)
    mine, theirs = (records.continued(*asked, root=tmp_path, replace=True) for _ in range(2))
    theirs.add(2, {"map_at_r": 0.5}, seconds=1)
    theirs.save(tmp_path)
    mine.add(1, {"map_at_r": 0.4}, seconds=1)
    mine.save(tmp_path)
    assert records.load("probe", tmp_path).seeds == [1, 2]


@pytest.mark.bad_input
@pytest.mark.parametrize("key", ["replaces", "_seen", "more"])
def test_what_no_record_holds_is_named(tmp_path, key):
    path = filled().save(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: True}))
    with pytest.raises(ValueError, match=f"name must name a record; got probe.json: it holds '{key}'"):
        records.load("probe", tmp_path)


@pytest.mark.parametrize("name", ["console", "com", "com10", "auxiliary/con-1", "lpt0"])
def test_names_that_only_begin_like_a_device_are_names(name):
    assert records.check_name(name) is None
