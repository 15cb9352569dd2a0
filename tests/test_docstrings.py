"""The examples in docstrings are true: of every function, class and method, behind whatever decorators."""

import __future__

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
PATHS = [path.relative_to(ROOT) for path in sorted((ROOT / "dmlbook").rglob("*.py"))]
WITH_EXAMPLES = [path for path in PATHS if ">>> " in (ROOT / path).read_text(encoding="utf-8")]


def examples(path: Path) -> dict[str, str]:
    """The docstrings with examples in a file of the package, as they are written, by the name they belong to."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef)
    found = {getattr(n, "name", "module"): ast.get_docstring(n) or "" for n in ast.walk(tree) if isinstance(n, holders)}
    return {name: text for name, text in found.items() if ">>> " in text}


def failures(name: str, text: str, known: dict) -> list[str]:
    """What an example printed that its docstring does not say."""
    said: list[str] = []
    test = doctest.DocTestParser().get_doctest(text, dict(known), name, None, 0)
    assert test.examples, f"{name} has no example"
    doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    return said


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=str)
def test_every_example_of_a_module_is_true(path):
    module = importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
    known = {"torch": torch, "annotations": __future__.annotations} | vars(module)
    assert [said for name, text in examples(path).items() for said in failures(name, text, known)] == []


def test_an_example_that_is_not_true_is_seen():
    assert failures("f", ">>> 1 + 1\n2\n", {}) == []
    assert "Expected:\n    3\nGot:\n    2" in failures("f", ">>> 1 + 1\n3\n", {})[0]


def test_examples_are_many_and_those_of_checked_functions_are_among_them():
    names = [name for path in WITH_EXAMPLES for name in examples(path)]
    assert len(names) > 60
    module = importlib.import_module("dmlbook.losses.softtriple")
    assert "softtriple_similarity" in names
    assert inspect.unwrap(module.softtriple_similarity) is not module.softtriple_similarity
