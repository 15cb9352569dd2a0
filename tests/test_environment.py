"""pyproject.toml, constraints.txt and environment.yml describe one environment, and the commands install it."""

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import dmlbook

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CHOSEN = {"backbones", "demo", "export", "log", "miners", "search"}  # of the reader, by pip; `make test` brings them
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([0-9][A-Za-z0-9.]*)")
SYSTEMS = {
    "linux": {"os_name": "posix", "platform_system": "Linux", "platform_machine": "x86_64"},
    "darwin": {"os_name": "posix", "platform_system": "Darwin", "platform_machine": "arm64"},
    "win32": {"os_name": "nt", "platform_system": "Windows", "platform_machine": "AMD64"},
}
PYTHONS = ("3.11", "3.12", "3.13")


def read_pins(text: str) -> dict[str, str]:
    """Name -> version of every line that is no comment; ValueError for a line that is more than that, or repeated."""
    pins: dict[str, str] = {}
    for line in filter(None, (line.split("#")[0].strip() for line in text.splitlines())):
        match = PIN.fullmatch(line)
        if match is None or canonicalize_name(match[1]) in pins:
            raise ValueError(f"constraints: not one more name==version: {line}")
        pins[canonicalize_name(match[1])] = match[2]
    return pins


PINS = read_pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))


def listed() -> list[Requirement]:
    """Every requirement that pyproject.toml names, of the base and of all extras."""
    return [Requirement(r) for r in (*PROJECT["dependencies"], *(r for extra in EXTRAS.values() for r in extra))]


@cache
def requirements(name: str) -> tuple[Requirement, ...]:
    """What a package says it needs; nothing if it is not installed, being wanted on another system only."""
    try:
        return tuple(map(Requirement, importlib.metadata.requires(name) or ()))
    except importlib.metadata.PackageNotFoundError:
        return ()


@cache
def wanted(system: str, python: str) -> set[str]:
    """The names that get installed there with all extras, by way of what the packages installed here say they need."""
    common = {"implementation_name": "cpython", "platform_python_implementation": "CPython", "sys_platform": system}
    place = SYSTEMS[system] | common | {"python_version": python, "python_full_version": f"{python}.4"}
    todo, done = [(canonicalize_name(r.name), "") for r in listed()], {("dmlbook", "")}
    while todo:
        name, extra = todo.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        for requirement in requirements(name):
            if requirement.marker is None or requirement.marker.evaluate(place | {"extra": extra}):
                todo += [(canonicalize_name(requirement.name), e) for e in ("", *requirement.extras)]
    return {name for name, _ in done}


@pytest.mark.parametrize(
    "line",
    ["torch>=2.11", "torch", "torch==2.11.0+cpu", "torch @ https://example.org/torch.whl", "-e .", "a==1\nA==2"],
)
def test_a_constraint_is_a_name_and_a_version_and_stands_once(line):
    with pytest.raises(ValueError, match="not one more name==version"):
        read_pins(line)


def test_every_listed_dependency_is_pinned_to_a_version_that_pyproject_allows():
    foreign = [r for r in listed() if canonicalize_name(r.name) != "dmlbook"]
    assert len(foreign) > 15
    for requirement in foreign:
        assert PINS[canonicalize_name(requirement.name)] in requirement.specifier, requirement


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_everything_that_gets_installed_is_pinned(system, python):
    names = wanted(system, python)
    assert {"numpy", "pillow", "jupyterlab", "llvmlite"} <= names  # indirect ones were reached
    assert names - {"dmlbook", "setuptools"} <= PINS.keys()  # setuptools comes with the interpreter or with torch


def test_nothing_is_pinned_that_nobody_needs():
    needed = set().union(*(wanted(system, python) for system in SYSTEMS for python in PYTHONS))
    if importlib.util.find_spec("playwright") is None:  # `make test` installs no driver, and cannot ask what it needs
        needed.add("greenlet")
    assert PINS.keys() <= needed


@pytest.mark.parametrize("python", [f"{minor}.0" for minor in PYTHONS])
def test_no_pin_asks_for_a_newer_python_than_the_book(python):
    """A pin that wants 3.11.5 cannot be installed where ``python3`` is 3.11.2, as on Debian 12."""
    needs = {d.name: d.metadata.get("Requires-Python", "") for d in importlib.metadata.distributions() if is_pinned(d)}
    assert len(needs) > 100
    assert [name for name, needed in needs.items() if python not in SpecifierSet(needed)] == []


def is_pinned(distribution) -> bool:
    return PINS.get(canonicalize_name(distribution.name)) == distribution.version.split("+")[0]


def test_torch_and_torchvision_are_a_pair():
    def minor(version: str) -> int:
        return int(version.split(".")[1])

    assert PINS["torch"].startswith("2.")
    assert PINS["torchvision"].startswith("0.")
    assert minor(PINS["torchvision"]) == minor(PINS["torch"]) + 15  # since torch 2.0 with torchvision 0.15
    lowest = {r.name: next(iter(r.specifier)).version for r in listed() if r.name in ("torch", "torchvision")}
    assert minor(lowest["torchvision"]) == minor(lowest["torch"]) + 15


def test_the_installed_torchvision_works_with_the_installed_torch():
    import torch
    import torchvision

    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [5.0, 5.0, 6.0, 6.0]])
    kept = torchvision.ops.nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5)  # compiled: fails without its torch
    assert kept.tolist() == [1, 2]


def test_conda_installs_the_same_and_lists_nothing_twice():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, *others = conda["dependencies"]
    assert others == ["pip", {"pip": ["-c constraints.txt", "-e .[book]"]}]
    versions = SpecifierSet(python.removeprefix("python"))
    assert [v for v in ("3.10", *PYTHONS) if v in versions] == list(PYTHONS)
    assert [v for v in ("3.10", *PYTHONS) if v in SpecifierSet(PROJECT["requires-python"])] == list(PYTHONS)


def test_base_needs_neither_jupyter_nor_plots():
    assert {Requirement(r).name for r in PROJECT["dependencies"]} == {
        "torch",
        "torchvision",
        "scipy",
        "scikit-learn",
        "lightning",
        "tqdm",
    }
    assert "dmlbook[book]" in EXTRAS["test"]


def test_make_installs_the_extras_under_the_constraints():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"-c constraints\.txt \$\(PIP_ARGS\) -e '\.\[(\w+)\]'", makefile)) == EXTRAS.keys() - CHOSEN
    assert EXTRAS.keys() - CHOSEN == {"book", "site", "test", "browser"}
    assert {f"dmlbook[{extra}]" for extra in CHOSEN} <= set(EXTRAS["test"])
    assert {"dmlbook[book]", "dmlbook[site]"} <= set(EXTRAS["test"])
    assert "dmlbook[test]" in EXTRAS["browser"]
    assert "(3, 11)" in makefile


def test_continuous_integration_runs_make_test_on_three_systems_and_all_pythons():
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == "make test"
    job = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))["jobs"]["test"]
    matrix = job["strategy"]["matrix"]["include"]
    assert {entry["os"].split("-")[0] for entry in matrix} == {"ubuntu", "macos", "windows"}
    assert {entry["python"] for entry in matrix} == set(PYTHONS)
    everywhere = [step for step in job["steps"] if step.get("name") == "make test"]
    assert ["if" in step for step in everywhere] == [False]
    assert everywhere[0]["run"].startswith("make test ")
    assert job["steps"][-1]["run"].splitlines()[-1].startswith("make test-browser ")


def test_versions_and_licenses_agree_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {citation["version"], PROJECT["version"]} == {dmlbook.__version__}
    assert citation["cff-version"] == "1.2.0"
    assert all(citation[key] for key in ("title", "message", "authors"))
    assert {r["identifiers"][0]["value"] for r in citation["references"]} == {"arXiv:1909.05235", "arXiv:1904.08720"}
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "MIT License" in text
    assert "Creative Commons Attribution 4.0 International" in text


@pytest.mark.skipif(sys.platform == "win32", reason="make may not lie on the path outside Git Bash")
@pytest.mark.parametrize(
    ("interpreter", "message"),
    [
        ("no-such-python", "dmlbook needs Python 3.11 or newer, and 'no-such-python' is not there."),
        ("{old}", "dmlbook needs Python 3.11 or newer, and '{old}' is Python 3.9.2."),
        ("{bare}", "'{bare}' comes without venv."),
    ],
)
def test_make_says_in_one_line_what_is_wrong_with_the_interpreter(tmp_path, interpreter, message):
    stand_ins = {"old": tmp_path / "old", "bare": tmp_path / "bare"}  # each answers as such a Python would
    stand_ins["old"].write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 || exit 1\n')
    stand_ins["bare"].write_text('#!/bin/sh\ncase "$2" in *venv*) exit 1;; esac\n')
    for path in stand_ins.values():
        path.chmod(0o755)
    command = ["make", "lab", f"VENV={tmp_path / 'venv'}", f"PYTHON={interpreter.format(**stand_ins)}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1
    assert said[0].startswith(message.format(**stand_ins))
    assert not (tmp_path / "venv").exists()
