"""Hundreds of damaged index files: each is told by name, or does no harm."""

from __future__ import annotations

import random

import pytest

from dmlbook.datasets.photos import benchmarks, fetching
from tests.datasets.photos import damage


@pytest.fixture
def set_of(tmp_path, monkeypatch):
    """Makes a set, and gives its folder, its index files and what they say."""
    monkeypatch.setattr(benchmarks, "BENCHMARKS", dict(benchmarks.BENCHMARKS))

    def make(name):
        index = damage.prepared(tmp_path, name)
        return tmp_path, index, damage.read(tmp_path, name)

    return make


def harmful(folder, name, index, whole, *, times):
    """What was neither told by name nor harmless, of ``times`` damages of each kind; the index files take turns."""
    rng, found, tried = random.Random(1), [], 0
    for what, spoil in dict(damage.damages(index[0])).items():
        for place in range(times):
            path = index[(tried + place) % len(index)]
            content = path.read_bytes()
            spoil(path, rng)
            if (result := damage.outcome(folder, name, whole)) not in ("told", "equal"):
                found.append(f"{path.name}, {what}: {result}")
            path.write_bytes(content)
        tried += times
    return found, tried


@pytest.mark.parametrize("name", ["cub", "sop"])
def test_a_damaged_text_index_is_told_by_name_or_does_no_harm(set_of, name):
    found, tried = harmful(*(made := set_of(name))[:1], name, *made[1:], times=12)
    assert found == []
    assert tried == 192


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cars", "old cars"])
def test_a_damaged_matlab_index_is_told_by_name_or_does_no_harm(set_of, name):
    found, tried = harmful(*(made := set_of(name))[:1], name, *made[1:], times=1)
    assert found == []
    assert tried == 15


def test_harm_would_be_seen(set_of, monkeypatch):
    folder, _, whole = set_of("cub")
    assert damage.outcome(folder, "cub", whole) == "equal"
    assert damage.outcome(folder, "cub", whole[1:]) == "accepted"
    monkeypatch.setattr(benchmarks, "find", lambda *arguments: int("x"))
    assert damage.outcome(folder, "cub", whole) == "told without the file's name, ValueError"
    monkeypatch.setattr(benchmarks, "find", lambda *arguments: {}["x"])
    assert damage.outcome(folder, "cub", whole) == "KeyError escapes"


def test_one_broken_set_does_not_hide_the_others(set_of):
    folder, index, _ = set_of("cub")
    damage.prepared(folder, "sop")
    index[0].write_bytes(b"\xff\xfe")
    broken, other = (fetching.describe(name, folder) for name in ("cub", "sop"))
    assert (broken["complete"], other["complete"]) == (False, True)
    assert "image_class_labels.txt must be UTF-8; got byte 0xff at 0" in broken["problem"]
