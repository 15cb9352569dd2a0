"""The fuzzer knows every public function, sorts what comes of a call, and finds next to nothing in a sample."""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from dmlbook._checks import above, bad_input, checked
from tests.fuzz import running, valid
from tests.fuzz.__main__ import shares, table
from tests.fuzz.annotations import Kind, kinds
from tests.fuzz.running import Outcome
from tests.fuzz.targets import INSIDE, METHODS_INSIDE, RESULTS, Target, everything, is_inside, targets
from tests.fuzz.wrong import EITHER, REFUSE, TAKE, Value, values

ROOT = Path(__file__).resolve().parents[2]
NAMED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def test_every_public_function_has_a_valid_call():
    """A new one gets an entry in valid.py where its arguments are not known by their names or types."""
    known = targets()
    assert len(known) > 350
    for name, target in known.items():
        if name not in valid.SKIPPED:
            assert set(valid.arguments(target)) == {p.name for p in target.parameters if p.kind not in NAMED}
    owners = {f"{t.owner.__module__}.{t.owner.__name__}".removeprefix("dmlbook.") for t in known.values() if t.owner}
    assert owners <= set(valid.OBJECTS)


def test_no_entry_is_for_a_function_that_is_gone():
    known = {f"dmlbook.{name}" for name in everything()}
    assert set(valid.CALLS) | set(valid.SKIPPED) <= set(targets())
    assert [entry for entry in INSIDE if not any(f"{name}.".startswith(f"{entry}.") for name in known)] == []
    assert METHODS_INSIDE.keys() <= {name.rpartition(".")[2] for name in known}
    for entry in RESULTS:
        module, _, name = entry.rpartition(".")
        assert inspect.isclass(getattr(importlib.import_module(module), name))
        assert not is_inside(entry)


def test_an_entry_hides_what_is_named_and_its_parts_alone():
    assert is_inside("dmlbook.retrieval.ranking.recall")
    assert not is_inside("dmlbook.retrieval.ranking.recall_at_k")
    assert is_inside("dmlbook.training.board.Board.show")


@pytest.mark.slow
def test_a_sample_of_wrong_calls_is_refused_in_the_packages_own_words():
    """``make fuzz`` calls all: fewer than one in a hundred may pass silently, and as few end in a foreign error."""
    command = [sys.executable, "-m", "tests.fuzz", "--part", "6", "--sample", "8"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def as_target(function) -> Target:
    return Target(function.__name__, function, None, tuple(inspect.signature(function).parameters.values()))


def came_of(function, value, verdict: str) -> str:
    given = {"x": lambda: 1.0}
    return running.judged(as_target(function), "x", Value("a value", lambda _: value, verdict), given).outcome


@checked(x=above(0))
def root(x: float) -> float:
    return 1 / (x - 7)


def refuses_in_pythons_words(x: float) -> None:
    raise ValueError(f"root: x must be good; got {x}.")


def sleeps(x: float) -> None:
    time.sleep(60)


def dies(x: float) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_comes_of_a_call_is_sorted(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.2)
    assert came_of(root, -1.0, REFUSE) == "refused"
    assert came_of(root, -1.0, TAKE) == "wrongly refused"
    assert came_of(root, 2.0, REFUSE) == "silent"
    assert came_of(root, 2.0, EITHER) == "taken"
    assert came_of(root, 7.0, EITHER) == "other"  # a division by zero
    assert came_of(refuses_in_pythons_words, 1.0, REFUSE) == "other"  # not raised by the package
    assert came_of(sleeps, 1.0, REFUSE) == "hung"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="without fork every call is made in this process")
def test_a_function_whose_valid_call_ends_its_process_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(valid, "arguments", lambda target: {"x": lambda: 1.0})
    for skip in (0, 3):
        found = running._forked(as_target(dies), tmp_path, 0, 0, skip)
        assert found == ([Outcome("dies", "", "the valid call", "died")], 1)


def test_annotations_are_read_without_the_packages_own_reader():
    assert kinds("int | None") == (Kind("int"), Kind("None"))
    assert kinds('Float[Tensor, "B D"]') == (Kind("tensor", "float", ("B", "D")),)
    assert kinds("Mapping[str, Sequence[float]]")[0].inner == (Kind("Sequence", inner=(Kind("float"),)),)
    assert kinds("tuple[int, ...]") == (Kind("tuple", inner=(Kind("int"),)),)


def labels_of(text: str, valid_value: object, verdict: str, tmp_path: Path) -> set[str]:
    return {v.label for v in values("maps.f", "x", kinds(text), valid_value, tmp_path) if v.verdict == verdict}


def test_the_right_thing_to_do_with_a_value_follows_from_the_annotation(tmp_path):
    assert {"nan", "None", "True", "a half more"} <= labels_of("int", 3, REFUSE, tmp_path)
    assert labels_of("int", 3, TAKE, tmp_path) == {"np.int64", "np.uint8"}
    assert "None" not in labels_of("float | None", 0.5, REFUSE, tmp_path)
    tensor = labels_of('Float[Tensor, "B D"]', torch.ones(2, 3), REFUSE, tmp_path)
    assert {"integers", "nan inside", "on meta", "sparse", "one axis more"} <= tensor
    assert "torch.int32" in labels_of('Int[Tensor, " B"]', torch.arange(3), TAKE, tmp_path)
    assert "a thing inside" in labels_of("Sequence[float]", [0.5, 1.0], REFUSE, tmp_path)


def test_the_table_adds_up_and_shares_are_of_all_calls():
    found = [
        Outcome("book.a", "x", "3", "refused"),
        Outcome("book.a", "x", "4", "silent"),
        Outcome("nets.b", "y", "5", ""),
    ]
    assert shares(found)["silent"] == 0.5
    assert [line.split()[1] for line in table(found)[1:]] == ["2", "0", "2"]


def test_a_message_of_the_package_begins_with_a_name():
    assert running.SPOKEN.match(str(bad_input("x", "be good", 1, "Mend it.", function="losses.make")))
    assert not running.SPOKEN.match("expected a tensor but got 3")
