"""Calls with one wrong argument each, every function's in a process of its own, and what came of them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import select
import signal
import sys
import tempfile
import time
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import dmlbook
from dmlbook import settings
from tests.fuzz import valid
from tests.fuzz.annotations import kinds
from tests.fuzz.targets import Target, targets
from tests.fuzz.wrong import REFUSE, TAKE, Value, values

SECONDS = 5.0
"""A call that takes longer hangs."""
MEMORY = 6 * 2**30
"""Bytes of address space that a process may add."""
PACKAGE = str(Path(dmlbook.__file__).resolve().parent) + os.sep
SPOKEN = re.compile(r"(?:\w+: )?[A-Za-z_][\w.]*: \S")
"""How the package's messages begin: with the name of the function."""
OUTCOMES = ("refused", "taken", "silent", "other", "wrongly refused", "hung", "died")
BAD = ("silent", "other", "wrongly refused", "hung", "died")


class Outcome(NamedTuple):
    """What came of one call."""

    target: str
    argument: str
    value: str
    outcome: str
    detail: str = ""


class Hung(BaseException):
    """The call took too long."""


def cases(target: Target, folder: Path) -> tuple[list[tuple[str, Value]], dict[str, Callable]]:
    """Each argument with each of its values, and the valid call."""
    given, found = valid.arguments(target), []
    for parameter in target.parameters:
        if parameter.name in given:
            usual = given[parameter.name]()
            allowed = kinds(parameter.annotation)
            found += [(parameter.name, each) for each in values(target.name, parameter.name, allowed, usual, folder)]
    return found, given


def call(target: Target, arguments: dict[str, object]) -> object:
    """The function, or the method of an object of its class, called; what it returns is used up."""
    function = target.function
    if target.owner is not None:
        owner = f"{target.owner.__module__}.{target.owner.__name__}".removeprefix("dmlbook.")
        made = valid.OBJECTS.get(target.name) or valid.OBJECTS[owner]
        function = getattr(made(), target.name.rpartition(".")[2])
    result = function(**arguments)
    if isinstance(result, contextlib.AbstractContextManager) and "contextlib" in type(result).__module__:
        with result as inside:
            return inside
    return list(result) if isinstance(result, types.GeneratorType) else result


def sorted_out(error: BaseException) -> tuple[str, str]:
    """``refused`` where the package itself said no, in its own words and under a name; else ``other``."""
    where = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    inside = where[-1].f_code.co_filename.startswith(PACKAGE)
    said = str(error) if type(error).__str__ is not BaseException.__str__ or error.args else ""
    detail = f"{type(error).__name__}: {said[:120]} in {where[-1].f_code.co_name}"
    own = isinstance(error, ValueError) and SPOKEN.match(said) and " must " in said and "; got " in said
    return ("refused" if inside and own else "other"), detail


def judged(target: Target, argument: str, value: Value, given: dict[str, Callable]) -> Outcome:
    """One call in this process, within its time."""
    made = {name: make() for name, make in given.items()}
    try:
        made[argument] = value.make(made[argument])
    except Exception as error:  # the value cannot be made of this valid one, as no array of a tensor with gradient
        return Outcome(target.name, argument, value.label, "", f"{type(error).__name__}: {error}")
    try:
        with _limit(SECONDS), contextlib.redirect_stdout(_Nowhere()), contextlib.redirect_stderr(_Nowhere()):
            call(target, made)
    except Hung:
        found, detail = "hung", ""
    except BaseException as error:
        found, detail = sorted_out(error)
        if found == "refused" and value.verdict == TAKE:
            found = "wrongly refused"
    else:
        found, detail = ("silent" if value.verdict == REFUSE else "taken"), ""
    return Outcome(target.name, argument, value.label, found, detail)


class _Nowhere:
    encoding = "utf-8"

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hung

    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(names: list[str] | None = None, *, sample: int = 0, seed: int = 0) -> Iterator[Outcome]:
    """The calls of these functions, or of all; of each ``sample`` ones drawn by ``seed``, or all of them."""
    for name, target in targets().items():
        if name not in valid.SKIPPED and (names is None or name in names):
            yield from _in_a_process(target, sample, seed)


def prepare() -> None:
    """Whatever takes long to load is loaded before the first process is forked; nothing is fetched or compiled."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("DMLBOOK_MODE", "smoke")
    os.environ["DMLBOOK_DATA"] = "."
    settings.results_root = Path.cwd  # nothing is read from the checkout, or written into it
    import matplotlib

    matplotlib.use("agg")
    sys.modules["umap"] = _PlainMaps("umap")
    import sklearn.cluster
    import sklearn.manifold  # noqa: F401

    valid.birds()


class _PlainMaps(types.ModuleType):
    """Stands in for umap, which compiles for half a minute: the first two coordinates of each row."""

    class UMAP:
        def __init__(self, **options: object) -> None:
            self.options = options

        def fit_transform(self, rows: object) -> object:
            return rows[:, :2]


def _in_a_process(target: Target, sample: int, seed: int) -> list[Outcome]:
    """A function's calls in a fork; where that dies or hangs for good, another goes on behind the call."""
    with tempfile.TemporaryDirectory() as folder:
        before = Path.cwd()
        os.chdir(folder)
        try:
            found, total = [], None
            while total is None or len(found) < total:
                done, total = _forked(target, Path(folder), sample, seed, len(found))
                found += done
        finally:
            os.chdir(before)
    return found


def _forked(target: Target, folder: Path, sample: int, seed: int, skip: int) -> tuple[list[Outcome], int]:
    if not hasattr(os, "fork"):
        listed, given = chosen(target, folder, sample, seed)
        return [judged(target, *case, given) for case in listed], len(listed)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            _work(target, folder, sample, seed, skip, writing)
        finally:
            os._exit(0)
    os.close(writing)
    lines, alive = _lines(reading)
    os.close(reading)
    if alive:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    ended = "hung" if alive else "died"
    if not lines:
        return [Outcome(target.name, "", "the valid call", ended)], 1
    (total, names), *outcomes = [json.loads(line) for line in lines]
    found = [Outcome(*outcome) for outcome in outcomes]
    if skip + len(found) < total:
        argument, value = names[skip + len(found)]
        found.append(Outcome(target.name, argument, value, ended))
    return found, total


def _lines(reading: int) -> tuple[list[str], bool]:
    """What the child said, and whether it had to be given up."""
    text, until = b"", time.monotonic() + 25 * SECONDS
    while True:
        if not select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]:
            return text.decode().split("\n")[:-1], True
        part = os.read(reading, 1 << 16)
        if not part:
            return text.decode().split("\n")[:-1], False
        text, until = text + part, time.monotonic() + 4 * SECONDS


def _work(target: Target, folder: Path, sample: int, seed: int, skip: int, writing: int) -> None:
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096 if Path("/proc/self/statm").exists() else 0
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    try:
        listed, given = chosen(target, folder, sample, seed)
        with _limit(20 * SECONDS), contextlib.redirect_stdout(_Nowhere()):
            call(target, {name: make() for name, make in given.items()})
    except BaseException as error:
        _say(writing, [1, [["", "the valid call"]]])
        _say(writing, Outcome(target.name, "", "the valid call", "other", f"{type(error).__name__}: {error}"))
        return
    _say(writing, [len(listed), [[argument, value.label] for argument, value in listed]])
    for argument, value in listed[skip:]:
        _say(writing, judged(target, argument, value, given))
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


def chosen(target: Target, folder: Path, sample: int, seed: int) -> tuple[list[tuple[str, Value]], dict[str, Callable]]:
    """All of a function's cases, or a sample."""
    listed, given = cases(target, folder)
    if sample and len(listed) > sample:
        listed = random.Random(f"{seed} {target.name}").sample(listed, sample)
    return listed, given


def _say(writing: int, said: object) -> None:
    os.write(writing, (json.dumps(said) + "\n").encode())
