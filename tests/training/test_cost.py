"""What a piece of work costs."""

import json
import time

import pytest
import torch

from dmlbook import settings
from dmlbook.__main__ import main
from dmlbook.training import cost
from dmlbook.training.cost import measured


def resets():
    """Whether the system counts the highest use of memory anew, where it is asked to."""
    try:
        cost.RESET.write_text("5")
    except OSError:
        return False
    return True


@pytest.mark.skipif(not resets(), reason="the system counts the highest use of memory since the start")
def test_the_peak_of_memory_is_that_of_the_work_in_between():
    with measured("cpu") as before:
        pass
    with measured("cpu") as during:
        held = torch.ones(80_000_000)
        del held
    with measured("cpu") as after:
        pass
    assert during["peak_gb"] - before["peak_gb"] > 0.25
    assert during["peak_gb"] - after["peak_gb"] > 0.25


def test_seconds_are_those_of_the_block():
    with measured("cpu") as found:
        assert found == {}
        time.sleep(0.05)
    assert 0.05 <= found["seconds"] < 5


def test_where_the_system_does_not_count_there_is_no_peak(monkeypatch, tmp_path):
    monkeypatch.setattr(cost, "STATUS", tmp_path / "nothing")
    monkeypatch.setattr(cost, "RESET", tmp_path)  # a folder: writing to it fails as where nobody may ask
    with measured("cpu") as found:
        pass
    assert set(found) == {"seconds"}


@pytest.mark.skipif(not cost.STATUS.exists(), reason="the system does not say what a process holds")
def test_a_trained_run_s_record_says_its_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path / "results")
    line = ["train", "--data", "digits", "--loss", "softmax", "--net", "small", "--size", "16", "--weights", "none"]
    line += ["--epochs", "1", "--no-baseline", "--device", "cpu", "--folder", str(tmp_path / "runs")]
    assert main([*line, "--record", "one"]) == 0
    (run,) = json.loads((tmp_path / "results" / "one.json").read_text())["runs"]
    assert 0.05 < run["peak_gb"] < 50
    assert run["seconds"] > 0
