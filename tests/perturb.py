"""Would the tests of a ledger's row notice if its function were wrong? The function is bent, and one of them must fail.

``faults`` answers for many rows at once, in an interpreter of its own: there pytest collects the rows' tests and runs
them again and again, each time with one part of one function's result a little larger or a little smaller. Shape types
are off, because values are judged here, not shapes.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import Phase, settings

ROOT = Path(__file__).resolve().parents[1]


class Bend(NamedTuple):
    """What is done to a result: its numbers and tensors are counted from 0, and one of them is moved."""

    part: int
    sign: int
    first_alone: bool

    def __str__(self) -> str:
        entries = "the first entry" if self.first_alone else "every entry"
        return f"part {self.part + 1} of its result is {'more' if self.sign > 0 else 'less'} in {entries}"


def bends(part: int) -> list[Bend]:
    """Up and down, because a bound holds on one side; the first entry alone, because means and order may hide it."""
    return [Bend(part, sign, first_alone) for first_alone in (False, True) for sign in (1, -1)]


def bent(result: Any, bend: Bend | None) -> tuple[Any, int]:
    """The result with one part moved, and how many parts it has, in tuples and dictionaries too."""
    count = 0

    def walk(value: Any) -> Any:
        nonlocal count
        if isinstance(value, dict):
            return {key: walk(inside) for key, inside in value.items()}
        if isinstance(value, tuple):
            inside = [walk(part) for part in value]
            return type(value)(*inside) if hasattr(value, "_fields") else tuple(inside)
        if isinstance(value, bool) or not isinstance(value, int | float | torch.Tensor):
            return value
        count += 1
        return moved(value, bend) if bend and bend.part == count - 1 else value

    return walk(result), count


def moved(value: float | torch.Tensor, bend: Bend) -> float | torch.Tensor:
    """A hundredth and a thousandth more, or less; of whole numbers, one. Gradients are bent alike."""
    whole = isinstance(value, int) or (isinstance(value, torch.Tensor) and not value.is_floating_point())
    step = 1 if whole else 0.01 * abs(value) + 0.001
    if bend.first_alone and isinstance(value, torch.Tensor):
        mask = torch.zeros_like(value)
        mask.view(-1)[:1] = 1
        step = step * mask
    return value + bend.sign * step


def place(name: str) -> tuple[Any, str] | None:
    """Where a dotted name leads: a module and its function, or a class and its method, of a loss ``forward``.

    None: nowhere, or to nothing that could be called and bent.
    """
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            owner = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:-1]:
            owner = getattr(owner, part, None)
        found, attribute = getattr(owner, parts[-1], None), parts[-1]
        if inspect.isclass(found):
            owner, attribute, found = found, "forward", getattr(found, "forward", None)
        return (owner, attribute) if callable(found) else None
    return None


class Probe:
    """Stands in the place of a function and bends what it returns; ``calls`` and ``parts`` say what it has seen."""

    def __init__(self) -> None:
        self.bend: Bend | None = None
        self.calls = self.parts = 0

    def around(self, function: Any) -> Any:
        @functools.wraps(function)
        def probed(*args: Any, **kwargs: Any) -> Any:
            result, parts = bent(function(*args, **kwargs), self.bend)
            self.calls, self.parts = self.calls + 1, max(self.parts, parts)
            return result

        return probed


@contextmanager
def probing(name: str) -> Iterator[Probe]:
    """A probe in the place of a function, under every name by which a module calls it."""
    owner, attribute = place(name)
    target, probe = getattr(owner, attribute), Probe()
    probed = probe.around(target)
    if inspect.isclass(owner):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, attribute, probed)
            yield probe
        return
    houses = {name.partition(".")[0], "tests"}
    rename(target, probed, houses)
    try:
        yield probe
    finally:
        rename(probed, target, houses)  # also where a module was first imported in between


def rename(old: Any, new: Any, houses: set[str]) -> None:
    """Bind every name of a module that is bound to ``old`` to ``new``."""
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] in houses]:
        for name in [name for name, value in vars(module).items() if value is old]:
            setattr(module, name, new)


class Bender:
    """A pytest plugin that runs the tests of each row against each bend of the row's function, and nothing else."""

    def __init__(self, rows: list[dict]) -> None:
        self.rows, self.faults, self.sound, self.failed = rows, {}, {}, False

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed:  # a file could not be collected: let pytest say so
            return None
        for row in self.rows:
            items = [item for test in row["tests"] for item in session.items if item.nodeid.partition("[")[0] == test]
            self.faults[row["id"]] = [f"{row['function']}: {fault}" for fault in self.judge(row["function"], items)]
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed |= report.failed

    def judge(self, function: str, items: list[pytest.Item]) -> list[str]:
        """What none of the tests notices about a function."""
        if not place(function):
            return ["is no function, no method and no class with a forward"]
        unseen, part = [], 0
        with probing(function) as probe:
            while part <= max(probe.parts - 1, 0):
                for bend in bends(part):
                    witness = next((item for item in items if self.notices(item, bend, probe)), None)
                    if witness:  # is asked first from now on
                        items = [witness, *(item for item in items if item is not witness)]
                    elif not probe.calls:
                        return ["none of its tests calls it"]
                    elif not probe.parts:
                        return ["returns no number and no tensor to bend"]
                    else:
                        unseen.append(f"no test fails where {bend}")
                part += 1
        return unseen

    def notices(self, item: pytest.Item, bend: Bend, probe: Probe) -> bool:
        """Whether a test fails with the bend, and passes without."""
        probe.bend = bend
        failed = self.fails(item)
        probe.bend = None
        if failed and item not in self.sound:
            self.sound[item] = not self.fails(item)
        return failed and self.sound[item]

    def fails(self, item: pytest.Item) -> bool:
        self.failed = False
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        return self.failed


def faults(rows: list[dict], folder: Path = ROOT) -> dict[str, list[str]]:
    """What the tests of each row would not notice, by the row's number; of a good row, nothing.

    Args:
        rows: With an ``id``, a ``function`` by its dotted name, and ``tests`` by their addresses in ``folder``.
        folder: Where tests and modules are found.

    Raises:
        RuntimeError: The tests could not be run.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {key: value for key, value in os.environ.items() if key != "PYTEST_ADDOPTS"} | {"PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-m", "tests.perturb"],
        cwd=folder,
        env=environment,
        input=json.dumps([{key: row[key] for key in ("id", "function", "tests")} for row in rows]),
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        raise RuntimeError(f"perturb: the tests could not be run.\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    """Rows on the standard input, their faults on the last line of the output."""
    # One failing example will do. Set before the tests are imported, whose own settings leave these as they are.
    once = {"phases": [Phase.explicit, Phase.generate], "report_multiple_bugs": False, "database": None}
    settings.register_profile("bent", **once)
    settings.load_profile("bent")
    bender = Bender(json.load(sys.stdin))
    tests = {test: None for row in bender.rows for test in row["tests"]}
    quiet = ["-q", "--tb=no", "--no-summary", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]
    pytest.main([*quiet, "--noconftest", "--rootdir=.", *tests], plugins=[bender])
    if len(bender.faults) < len(bender.rows):
        return 1
    print(f"\n{json.dumps(bender.faults)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
