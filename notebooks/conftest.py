"""nbval 0.11.0 lets several faults of a notebook pass in silence. Here they fail; tests/test_nbval_shims.py proves it.

Cells that the build has noted as the same in every run (``stored.py``) are compared with what the notebook stores.
This touches nbval's internals, so its version is pinned. It lies beside the notebooks so that none is run without.
"""

import functools
import re
import time
from pathlib import Path
from queue import Empty

import pytest
import stored
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell

MARKER = re.compile(r"NBVAL_\w+")
MARKER_ALONE = re.compile(r"^\s*#\s*NBVAL_\w+\s*$", re.MULTILINE)


def _execute_with_history(self, cell_input, allow_stdin=None):
    """A trailing ``;`` and ``_`` work only in a kernel that keeps history, as Jupyter's does; nbval turns it off."""
    return self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)


def _await_reply_of_a_living_kernel(self, msg_id, timeout=None, await_reply=RunningKernel.await_reply):
    """nbval notices a dead kernel only when the cell's time is over. Ask every second instead."""
    end = time.monotonic() + (float("inf") if timeout is None else timeout)
    while True:
        try:
            return await_reply(self, msg_id, timeout=max(0, min(1, end - time.monotonic())))
        except Empty:
            if not self.is_alive():
                pytest.fail("the kernel died in this cell", pytrace=False)
            if time.monotonic() >= end:
                raise


RunningKernel.execute_cell_input = _execute_with_history
RunningKernel.await_reply = _await_reply_of_a_living_kernel


def pytest_collection_modifyitems(items):
    for item in items:
        if isinstance(item, IPyNbCell):
            item.output_timeout = 60  # seconds; 5 is built in and too few for a busy machine


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    if isinstance(item, IPyNbCell) and (fault := _silent_fault(item)):
        item.raise_cell_error(fault)  # which shows the cell
    return result


def _silent_fault(item):
    """What nbval passes although it should not, or None."""
    source, outputs = item.cell.source, item.test_outputs or []
    if item.options["check"] and source.strip() and item.cell.execution_count is None:
        return "output check requested, but the notebook stores no output to compare with: run `make book`"
    if item.options["check_exception"] and not any(output.output_type == "error" for output in outputs):
        return "marked as raising, but nothing was raised"
    if any(output.output_type == "stream" and "UsageError:" in output.text for output in outputs):
        return "unknown IPython magic; the rest of the cell did not run"
    if len(MARKER.findall(source)) != len(MARKER_ALONE.findall(source)):
        return "an NBVAL marker must stand alone on its comment line; nbval ignores it otherwise"
    if _compared(item) and (apart := stored.difference(stored.text_of(item.cell.outputs), stored.text_of(outputs))):
        return f"the cell no longer says what is stored: {apart}. If it should say that, run `make book`"
    return None


def _compared(item):
    """Whether the build has noted that this cell says the same in every run."""
    cells = _notes(item.path.with_name(stored.NOTED.name)).get(item.path.stem, {}).get("cells", {})
    return cells.get(item.cell.get("id"), {}).get("compared", False)


@functools.cache
def _notes(path: Path) -> dict:
    return stored.read(path)
