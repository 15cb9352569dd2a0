"""The list of planted faults fits the code; the script that plants them sees what it should; today's sample dies."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import mutant_list

ROOT = Path(__file__).resolve().parents[1]
TOY = {
    "toy/__init__.py": "",
    "toy/sums.py": "def double(x):\n    return 2 * x\n\n\ndef half(x):\n    return x / 2\n",
    "tests/__init__.py": "",
    "tests/test_sums.py": (
        "import pathlib, subprocess, sys\n\nfrom toy import sums\n\n\n"
        "def test_double():\n    assert sums.double(3) == 6\n\n\n"
        "def test_this_is_a_copy():\n    assert not pathlib.Path('.git').exists()\n\n\n"
        "def test_half():\n    assert sums.half\n\n\n"
        "def test_double_elsewhere():\n"
        "    code = 'from toy.sums import double; assert double(3) == 6'\n"
        "    subprocess.run([sys.executable, '-c', code], check=True)\n"
    ),
}
DOUBLE = {"file": "toy/sums.py", "line": "2 * x", "becomes": "3 * x", "tests": ["tests/test_sums.py"], "why": "thrice"}


def toy(root, *entries, **files):
    """A repository with a package, its tests and a list of faults."""
    texts = [
        f"[[mutant]]\n{''.join(f'{key} = {value!r}{chr(10)}' for key, value in entry.items())}" for entry in entries
    ]
    for name, text in (TOY | files | {"tests/mutants.toml": "\n".join(texts)}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "-q", root], check=True)
    return root


def planted(root, *options):
    """What the script says of another tree, and its status."""
    command = [sys.executable, "-m", "tests.mutants", "--root", root, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300)
    return done.returncode, done.stdout + done.stderr


def contents(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and ".git" not in path.parts}


def test_the_list_fits_the_code():
    warm, mutants = mutant_list.read(ROOT)
    assert "torch" in warm
    assert len(mutants) >= 120


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_what_survives_is_named_and_nothing_is_left_of_any_fault(tmp_path, start):
    """The first three are of one length and planted in one second: what was compiled of one would be taken again."""
    if start == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    entries = [
        *(DOUBLE | {"becomes": f"{n} * x", "why": f"{n} times"} for n in (3, 4)),
        DOUBLE | {"becomes": "x * 2", "why": "the same"},
        DOUBLE | {"becomes": "5 * x", "why": "elsewhere", "tests": ["tests/test_sums.py::test_double_elsewhere"]},
        DOUBLE | {"line": "import sums", "becomes": "import sum", "file": "tests/test_sums.py", "why": "no import"},
    ]
    root = toy(tmp_path, *entries)
    before = contents(root)
    status, said = planted(root, "--processes=1", "--start", start)
    assert status == 1, said
    verdicts = {
        line.split(": ")[1]: line.split()[0] for line in said.splitlines() if re.search(r" s  \w+/\w+.py: ", line)
    }
    fine = {"3 times": "killed", "4 times": "killed", "elsewhere": "killed"}
    assert verdicts == fine | {"the same": "SURVIVED", "no import": "BROKEN"}
    assert "cannot import name 'sum' from 'toy'" in said
    *_, survivor, broken, last = said.splitlines()
    assert "becomes='x * 2'" in survivor
    assert "becomes='import sum'" in broken
    assert last == "5 of 5 planted, 3 killed"
    assert contents(root) == before


def test_a_test_that_fails_anyway_judges_nothing(tmp_path):
    status, said = planted(toy(tmp_path, DOUBLE, **{"toy/sums.py": "def double(x):\n    return 2 * x + 1\n"}))
    assert status == 2
    assert "assert 7 == 6" in said
    assert said.splitlines()[-1] == "There must be no such failure before a fault is planted."


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"file": "toy/gone.py"}, "no such file"),
        ({"line": "7 * x"}, "stands 0 times"),
        ({"line": "return"}, "stands 2 times"),
        ({"becomes": "2 * x"}, "changes nothing"),
        ({"becomes": "2 * ("}, "no Python"),
        ({"tests": ["tests/test_gone.py"]}, "no test tests/test_gone.py"),
        ({"tests": ["tests/test_sums.py::test_triple"]}, "no test tests/test_sums.py::test_triple"),
        ({"tests": []}, "it must have the texts"),
        ({"tests": "tests/test_sums.py"}, "it must have the texts"),
        ({"why": 3}, "it must have the texts"),
        ({"because": "so"}, "it must have the texts"),
        ({}, "stands twice"),
    ],
)
def test_an_entry_that_does_not_fit_is_named(tmp_path, change, complaint):
    toy(tmp_path, DOUBLE)
    assert len(mutant_list.read(tmp_path)[1]) == 1
    toy(tmp_path, DOUBLE, DOUBLE | change)
    with pytest.raises(ValueError, match=f"(?s)takes its mutant along.*entry 2.*{complaint}"):
        mutant_list.read(tmp_path)


def test_the_samples_of_successive_days_hold_every_mutant():
    mutants = [mutant_list.Mutant("a", "b", str(n), ("c",), "d") for n in range(10)]
    days = [mutant_list.drawn(mutants, 4, day) for day in range(700_000, 700_003)]
    assert [len(set(day)) for day in days] == [4, 4, 4]
    assert {mutant for day in days for mutant in day} == set(mutants)
    assert mutant_list.drawn(mutants, 99, 5) != mutants
    assert len(set(mutant_list.drawn(mutants, 99, 5))) == 10


def test_when_the_time_is_over_no_more_are_planted(tmp_path):
    status, said = planted(toy(tmp_path, DOUBLE), "--seconds", "0")
    assert (status, said.splitlines()[-1]) == (0, "0 of 1 planted, 0 killed")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="one system watches; where nothing forks a fault takes ten seconds")
def test_todays_sample_of_the_mutants_dies():
    status, said = planted(ROOT, "--sample", "8", "--seconds", "60")
    assert status == 0, said
    assert " planted, " in said.splitlines()[-1]
