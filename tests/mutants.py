"""Faults that a person could make, kept in ``mutants.toml``: each is planted alone, and a test that it names must fail.

    python -m tests.mutants                 all of them; the exit status is 1 if one survives
    python -m tests.mutants growth          those with this word in their file, text or reason
    python -m tests.mutants --sample 12     twelve of them, other ones each day

They are planted in copies of the working tree, which itself is never touched. Where the system can fork, torch and
pytest are imported once: the tests of each fault run in a fork of that process, which imports the package anew.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from tests.mutant_list import drawn, read

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 120.0  # seconds for the tests of one fault: what hangs is noticed
KILLED, LATE, SURVIVED, BROKEN = "killed", "killed by time", "SURVIVED", "BROKEN"


def copied(root: Path, tree: Path) -> Path:
    """A copy of what git tracks, or would."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.split("\0")
    for name in sorted({name for name in listed if (root / name).is_file()}):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, tree / name)
    return tree


def run_tests(tree: Path, tests: Sequence[str], fault: bool) -> None:
    """Ends this process with pytest's exit status for ``tests``, the package being that of ``tree``."""
    if hasattr(os, "setsid"):
        os.setsid()  # whatever the tests start is ended with them
    with open(tree.with_suffix(".log"), "wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]  # the working tree's
    os.chdir(tree)
    sys.path[:] = [str(tree), *(path for path in sys.path if path and Path(path).resolve() != ROOT)]
    os.environ["PYTHONPATH"] = str(tree)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # none is needed, and they take a second to import
    sys.dont_write_bytecode = fault  # what is sound is compiled once, and no compiled fault may be left behind
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1" if fault else ""
    import pytest
    from hypothesis import Phase, settings

    # One failure is enough: nobody reads a smaller example of it.
    settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate), database=None)
    settings.load_profile("mutants")
    status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={tree.with_suffix('.tmp')}", *tests])
    sys.stdout.flush()
    os._exit(int(status))


class Copy:
    """A copy of the working tree, in which one thing at a time is tried."""

    def __init__(self, root: Path, tree: Path, start: str) -> None:
        self.tree, self.context, self.process = copied(root, tree), multiprocessing.get_context(start), None

    def start(self, tests: Sequence[str], mutant: Mutant | None) -> None:
        self.mutant, self.begun = mutant, time.monotonic()
        if mutant is not None:
            text, self.path = mutant.planted(self.tree), self.tree / mutant.file
            os.replace(self.path, f"{self.path}.kept")
            self.path.write_text(text, encoding="utf-8", newline="\n")
            os.utime(self.path, (0, 0))  # not the original's time, or its compiled form would be taken
        self.process = self.context.Process(target=run_tests, args=(self.tree, tests, mutant is not None))
        self.process.start()

    def verdict(self) -> str | None:
        """What became of it, the copy being as before; None while it runs."""
        late = time.monotonic() - self.begun > (LIMIT if self.mutant else 10 * LIMIT)
        if self.process.is_alive() and not late:
            return None
        self.stop()
        status, self.process = self.process.exitcode, None
        if self.mutant is not None:
            os.replace(f"{self.path}.kept", self.path)
        return LATE if late else {0: SURVIVED, 1: KILLED}.get(status, BROKEN)

    def stop(self) -> None:
        """Ends the tests and all that they have started."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()


def tried(copies: Sequence[Copy], jobs: list[tuple], until: float = math.inf) -> Iterator[tuple]:
    """For each job, tests and a mutant or None: mutant, verdict, line of report. From ``until`` on none is begun."""
    while jobs or any(copy.process for copy in copies):
        jobs = jobs if time.monotonic() < until else []
        for copy in copies:
            if copy.process is not None and (verdict := copy.verdict()):
                about = f"{copy.mutant.file}: {copy.mutant.why}" if copy.mutant else "the tests without a fault"
                line = f"{verdict:14} {time.monotonic() - copy.begun:5.1f} s  {about}"
                if verdict == BROKEN or not copy.mutant:
                    said = copy.tree.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
                    line = "\n".join([*said.splitlines()[-30:], line])
                yield copy.mutant, verdict, line
            if copy.process is None and jobs:
                copy.start(*jobs.pop(0))
        time.sleep(0.02)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("word", nargs="?", default="", help="only those with this word in file, text or reason")
    parser.add_argument("--sample", type=int, metavar="N", help="only N of them, each day the next ones")
    parser.add_argument("--seconds", type=float, help="begin no more after so many (default: 100 for a sample)")
    parser.add_argument("--processes", type=int, default=2, help="how many at once (default: 2)")
    parser.add_argument("--root", type=Path, default=ROOT, help="the working tree (default: this one)")
    parser.add_argument("--start", choices=("fork", "spawn"), default="fork" if sys.platform == "linux" else "spawn")
    options = parser.parse_args()
    until = time.monotonic() + (options.seconds if options.seconds is not None else 100 if options.sample else math.inf)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copies are removed
    for name, value in {"OMP_NUM_THREADS": "1", "DMLBOOK_MODE": "smoke", "MPLBACKEND": "agg"}.items():
        os.environ.setdefault(name, value)
    try:
        warm, mutants = read(options.root)
    except ValueError as error:
        sys.exit(str(error))
    chosen = [mutant for mutant in mutants if options.word in repr(mutant)]
    chosen = chosen if options.sample is None else drawn(chosen, options.sample, date.today().toordinal())
    for name in ["pytest", *warm] if options.start == "fork" else []:
        importlib.import_module(name)
    tests, verdicts, lost = sorted({test for mutant in chosen for test in mutant.tests}), [], []
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as place:
        copies = [Copy(options.root, Path(place, f"tree{n}"), options.start) for n in range(options.processes)]
        try:
            shares = [(tests[n :: len(copies)], None) for n in range(len(copies)) if tests[n :: len(copies)]]
            if wrong := [line for _, verdict, line in tried(copies, shares) if verdict != SURVIVED]:
                print(*wrong, "There must be no such failure before a fault is planted.", sep="\n")
                return 2
            for mutant, verdict, line in tried(copies, [(mutant.tests, mutant) for mutant in chosen], until):
                print(line, flush=True)
                verdicts.append(verdict)
                lost += [f"{verdict} {mutant}"] * (verdict in (SURVIVED, BROKEN))
        finally:
            for copy in copies:
                if copy.process is not None:
                    copy.stop()
    print(*lost, f"{len(verdicts)} of {len(mutants)} planted, {len(verdicts) - len(lost)} killed", sep="\n")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
