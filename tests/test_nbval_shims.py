"""nbval passes several faults in silence; with notebooks/conftest.py it does not, as seen here on probes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import stored
from nbval.plugin import get_sanitize_patterns

ROOT = Path(__file__).resolve().parents[1]
SANITIZE = ROOT / "tests" / "nbval_sanitize.cfg"
STREAM = {"output_type": "stream", "name": "stdout"}

# Name -> (source, options). Options: tags, and the stored output ("unrun": none was ever stored).
FAULTY = {
    "check without a stored output": ("# NBVAL_CHECK_OUTPUT\nprint(1)", {"unrun": True}),
    "checked output differs": ("print(1)", {"tags": ["nbval-check-output"], "text": "2\n"}),
    "said to raise, raises nothing": ("# NBVAL_RAISES_EXCEPTION\ny = 1", {}),
    "unknown line magic": ("%not_a_magic\nz = 1", {}),
    "unknown cell magic": ("%%not_a_cell_magic\nz = 1", {}),
    "marker with more behind it": ("# NBVAL_IGNORE_OUTPUT because random\nx = 1", {}),
    "a plain exception": ("1 / 0", {}),
    "a missing module": ("import no_such_module_anywhere", {}),
    "sys.exit": ("import sys\nsys.exit(3)", {}),
    "exception in a widget's callback": (
        "from ipywidgets import interact\n\n@interact(x=(0, 3))\ndef f(x=1):\n    raise ValueError('in the callback')",
        {"tags": ["nbval-ignore-output"]},
    ),
}
HEALTHY = {
    "a semicolon hides the value": ("'hidden';", {"tags": ["nbval-check-output"]}),
    "the last value": ("40 + 2\n", {}),
    "underscore is the last value": ("assert _ == 42", {}),
    "a figure": ("import matplotlib.pyplot as plt\nplt.plot([1, 2]);", {}),
    "a true exception": ("1 / 0", {"tags": ["raises-exception"]}),
    "a widget": (
        "from ipywidgets import interact\n\n@interact(x=(0, 3))\ndef g(x=1):\n    return x",
        {"tags": ["nbval-ignore-output"]},
    ),
    "checked output is the same": ("print(1)", {"tags": ["nbval-check-output"], "text": "1\n"}),
    "an address is no difference": (
        "print(object())",
        {"tags": ["nbval-check-output"], "text": "<object object at 0x7f0123456789>\n"},
    ),
}
# What the build has noted to be the same in every run: name -> (source, stored output, whether the cell passes).
COMPARED = {
    "the same": ("print(0.25)", "0.25\n", True),
    "rounded otherwise": ("print(0.26)", "0.25\n", True),
    "another number": ("print(0.35)", "0.25\n", False),
    "another word": ("print('two')", "one\n", False),
    "nothing any more": ("x = 1", "0.25\n", False),
    "more than was stored": ("print(1)", None, False),
    "another number, and not noted": ("print(0.45)", "0.25\n", True),
}
DEADLY = {"the kernel ends": ("import os\nos._exit(1)", {}), "a cell after that": ("x = 1", {})}


def write_probe(path: Path, probes: dict) -> None:
    """One notebook with a code cell for each probe, which looks as if it had been executed."""
    book = nbformat.v4.new_notebook()
    for number, (source, options) in enumerate(probes.values(), start=1):
        outputs = [nbformat.from_dict(STREAM | {"text": options["text"]})] if "text" in options else []
        count = None if options.get("unrun") else number
        cell = nbformat.v4.new_code_cell(source, execution_count=count, outputs=outputs)
        cell.metadata["tags"] = options.get("tags", [])
        book.cells.append(cell)
    nbformat.write(book, path)


def note_probes(path: Path) -> None:
    """What the build would note of these probes."""
    book = nbformat.read(path, as_version=4)
    noted = stored.note(book, {cell.id for cell in book.cells[:-1]})
    path.with_name("outputs.json").write_text(stored.written({path.stem: noted}), encoding="utf-8")


def makefile_flags() -> list[str]:
    """The flags that `make test` gives to nbval, so that what is tested is what runs."""
    flags = re.search(r"^NBVAL := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1].split()
    assert {"--nbval-lax", "--nbval-current-env"} <= set(flags)
    return [flag.replace("tests/nbval_sanitize.cfg", str(SANITIZE)) for flag in flags]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Probe -> PASSED or FAILED, and all that pytest said, from one run over all probes."""
    folder = tmp_path_factory.mktemp("probes")
    for name in ("conftest.py", "stored.py"):
        shutil.copy(ROOT / "notebooks" / name, folder)
    compared = {name: (source, {} if text is None else {"text": text}) for name, (source, text, _) in COMPARED.items()}
    probes = {"faulty": FAULTY, "healthy": HEALTHY, "compared": compared, "deadly": DEADLY}
    for name, cells in probes.items():
        write_probe(folder / f"{name}.ipynb", cells)
    note_probes(folder / "compared.ipynb")
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--color=no", *makefile_flags(), "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    seen = dict(
        re.findall(r"^(\w+::ipynb::Cell \d+) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)", done.stdout, re.MULTILINE)
    )
    named = {
        probe: seen[f"{name}::ipynb::Cell {number}"]
        for name, cells in probes.items()
        for number, probe in enumerate(cells)
    }
    return named, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("probe", [*FAULTY, "the kernel ends"])
def test_a_faulty_cell_fails(verdicts, probe):
    assert verdicts[0][probe] == "FAILED", verdicts[1]


@pytest.mark.slow
@pytest.mark.parametrize("probe", HEALTHY)
def test_a_healthy_cell_passes(verdicts, probe):
    assert verdicts[0][probe] == "PASSED", verdicts[1]


@pytest.mark.slow
@pytest.mark.parametrize("probe", COMPARED)
def test_a_cell_that_is_the_same_in_every_run_is_compared(verdicts, probe):
    assert verdicts[0][probe] == ("PASSED" if COMPARED[probe][2] else "FAILED"), verdicts[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "reason",
    [
        "output check requested, but the notebook stores no output to compare with",
        "marked as raising, but nothing was raised",
        "unknown IPython magic; the rest of the cell did not run",
        "an NBVAL marker must stand alone on its comment line",
        "the kernel died in this cell",
        "the cell no longer says what is stored: stored 0.25, now 0.35. If it should say that, run `make book`",
        "in the callback",
        "No module named 'no_such_module_anywhere'",
    ],
)
def test_a_failure_says_why(verdicts, reason):
    assert reason in verdicts[1]


PATTERNS = get_sanitize_patterns(SANITIZE.read_text(encoding="utf-8"))


def sanitize(text: str) -> str:
    for regex, replacement in PATTERNS:
        text = re.sub(regex, replacement, text)
    return text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("<object object at 0x7f0123456789>", "<object object at 0x7fabcdefabcd>"),
        ("/tmp/ipykernel_12/345.py:1: UserWarning", "/tmp/ipykernel_99/678.py:1: UserWarning"),
        (r"C:\Temp\ipykernel_12\345.py:1: UserWarning", r"D:\T\ipykernel_1\2.py:1: UserWarning"),
    ],
)
def test_what_differs_from_run_to_run_is_not_compared(first, second):
    assert first != second
    assert sanitize(first) == sanitize(second)


@pytest.mark.parametrize(
    "text",
    [
        "Recall@1 0.513",
        "shape (3, 64)",
        "tensor([0.1000, 0.2000])",
        "1,024 images in 12.5 s",
        "0x10",
        "a at 12.py",
        "1e-05",
    ],
)
def test_no_result_is_hidden_from_the_comparison(text):
    assert len(PATTERNS) == 2
    assert sanitize(text) == text
