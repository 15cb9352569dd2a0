"""Nothing lists the chapters: a chapter 99 of one folder and one source, put into a copy, is seen by every registry."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    "dmlbook/chapters/ch99/__init__.py": "",
    "dmlbook/chapters/ch99/theory.py": "def half(x):\n    return x / 2\n",
    "dmlbook/chapters/ch99/explorer.py": "class Explorer99:\n    pass\n\n\nEXPLORER = Explorer99\n",
    "dmlbook/chapters/ch99/exercises.py": (
        "from dmlbook.book.exercises import Case, Exercise\n\n"
        'EXERCISES = (Exercise("99.10", "halves", lambda: [Case((2.0,), 1.0, "x = 2")]),)\n'
    ),
    "tests/chapters/ch99/__init__.py": "",
    "tests/chapters/ch99/answers.py": 'ANSWERS = {"99.10": {"solution": lambda x: x / 2}}\n',
    "tests/chapters/ch99/test_theory.py": (
        "from dmlbook.chapters.ch99 import theory\n\n\ndef test_half():\n    assert theory.half(4) == 2\n"
    ),
    "notebooks/src/99_last.py": (
        "# %% [markdown]\n# # 99 · The last\n#\n# **Question.** Is it seen?\n#\n# $$h = x / 2 \\tag{99.10}$$\n"
    ),
}
SEEN = """
import json, sys
from pathlib import Path
import build, contents, ledger
from dmlbook import chapters
from tests import perturb, test_ledger
from tests.chapters.exercise_answers import ANSWERS

sources = sorted(Path("notebooks/src").glob("*.py"))
formulas = ledger.numbered("\\n".join(cell.source for cell in build.read_text(sources[-1]).cells))
print(json.dumps({
    "package": chapters.__file__,
    "numbers": chapters.numbers()[-1],
    "exercises": "99.10" in chapters.exercises(),
    "judged": chapters.judge("99.10", lambda x: x / 2).state,
    "explorers": chapters.explorers()["99"].__name__,
    "answers": "solution" in ANSWERS["99.10"],
    "derived": test_ledger.DERIVED[-1],
    "ledger": test_ledger.missing({"99": formulas}, []),
    "row": test_ledger.is_test("tests/chapters/ch99/test_theory.py::test_half"),
    "function": perturb.place("dmlbook.chapters.ch99.theory.half") is not None,
    "readme": "| 99 | [The last](notebooks/99_last.ipynb) | Is it seen? |" in contents.table(sources, {}),
    "build": [path.stem for path in build.chosen(["99"], sources)],
}))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of what the registries read, and a chapter more."""
    copy = tmp_path_factory.mktemp("house")
    for folder in ("dmlbook", "tests", "notebooks"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(ROOT / "README.md", copy)
    for name, text in FILES.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8")
    return copy


def test_a_new_chapter_is_seen_by_every_registry(house):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(house), str(house / "notebooks")])}
    command = [sys.executable, "-c", SEEN]
    done = subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found.pop("package")).is_relative_to(house), "the copy is what was asked"
    assert found == {
        "numbers": "99",
        "exercises": True,
        "judged": "right",
        "explorers": "Explorer99",
        "answers": True,
        "derived": "99",
        "ledger": ["(99.10) of chapter 99 has no row"],
        "row": True,
        "function": True,
        "readme": True,
        "build": ["99_last"],
    }
