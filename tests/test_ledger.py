"""The equation ledger: every numbered formula has a row, and every row a function and tests that exist."""

import ast
import importlib
import re
from pathlib import Path

import ledger
import nbformat
import pytest

from dmlbook import chapters

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
ROWS = ledger.rows()
DERIVED = [number for number in chapters.numbers() if chapters.part(number, "theory")]  # each has numbered formulas


def prose(path: Path) -> str:
    book = nbformat.read(path, as_version=4)
    return "\n\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")


def missing(found: dict[str, dict[str, str]], rows: list[dict]) -> list[str]:
    """What chapters and ledger do not agree on; ``found`` holds each chapter's formulas by number."""
    listed = {row["id"]: ledger.plain(row["latex"]) for row in rows}
    complaints = [f"({row['id']}) has two rows" for row in rows if [r["id"] for r in rows].count(row["id"]) > 1]
    shown = {}
    for chapter, formulas in found.items():
        for number, latex in formulas.items():
            shown[number] = latex
            if number.split(".")[0] != str(int(chapter)):
                complaints.append(f"({number}) stands in chapter {chapter}")
            if number not in listed:
                complaints.append(f"({number}) of chapter {chapter} has no row")
            elif listed[number] != latex:
                complaints.append(f"({number}) reads otherwise in chapter {chapter}")
    return complaints + [f"({number}) stands in no chapter" for number in listed if number not in shown]


def test_chapters_and_ledger_show_the_same_formulas():
    found = {chapter: ledger.numbered(prose(path)) for chapter, path in CHAPTERS.items()}
    assert missing(found, ROWS) == []
    for chapter in DERIVED:
        assert chapter not in found or found[chapter], f"chapter {chapter} numbers no formula"


def test_a_disagreement_is_seen():
    row = {"id": "3.1", "latex": "a  = b"}
    assert missing({"03": {"3.1": "a = b"}}, [row]) == []
    assert missing({"03": {"3.1": "a = c"}}, [row]) == ["(3.1) reads otherwise in chapter 03"]
    assert missing({"03": {"3.1": "a = b", "3.2": "c"}}, [row]) == ["(3.2) of chapter 03 has no row"]
    assert missing({"03": {}}, [row]) == ["(3.1) stands in no chapter"]
    assert missing({"04": {"3.1": "a = b"}}, [row]) == ["(3.1) stands in chapter 04"]
    assert missing({"03": {"3.1": "a = b"}}, [row, row]) == ["(3.1) has two rows"] * 2


def test_numbered_formulas_are_read_from_prose():
    text = "Inline $x$. $$y = 1$$ and\n\n$$\nz\n  = 2 \\tag{5.2}\n$$ $a$ $$b\\tag{5.10}$$"
    assert ledger.numbered(text) == {"5.2": "z = 2", "5.10": "b"}
    with pytest.raises(ValueError, match="numbers must be unique; got 1.1 twice"):
        ledger.numbered(r"$$a \tag{1.1}$$ $$b \tag{1.1}$$")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_row_is_whole(row):
    assert set(row) == {"id", "name", "latex", "source", "function", "tests"}
    assert all(row.values())
    assert re.fullmatch(r"\d+\.\d+", row["id"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_row_names_a_function_that_exists(row):
    assert exists(row["function"])


def exists(name: str) -> bool:
    """Whether a dotted name is a module's function or class, or a method."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            thing = getattr(thing, part, None)
        return callable(thing)
    return False


def test_a_function_that_does_not_exist_is_seen():
    assert exists("dmlbook.losses.center_regularizer")
    assert exists("dmlbook.losses.softtriple.SoftTriple.report")
    assert not exists("dmlbook.losses.center_regularisation")
    assert not exists("dmlbook.nothing.at_all")
    assert not exists("nothing.at_all")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_row_names_tests_that_exist(row):
    assert [test for test in row["tests"] if not is_test(test)] == []


def is_test(name: str) -> bool:
    path, _, function = name.partition("::")
    if not (ROOT / path).is_file() or not Path(path).name.startswith("test_"):
        return False
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return function.startswith("test_") and function in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}


def test_a_test_that_does_not_exist_is_seen():
    assert is_test("tests/test_ledger.py::test_a_row_is_whole")
    assert not is_test("tests/test_ledger.py::test_a_row_is_hole")
    assert not is_test("tests/test_ledger.py::is_test")
    assert not is_test("tests/test_nothing.py::test_a_row_is_whole")
    assert not is_test("tests/reference.py::test_a_row_is_whole")


def test_the_page_is_made_from_the_ledger():
    files = {chapter: path.name for chapter, path in CHAPTERS.items()}
    assert ledger.PAGE.read_text(encoding="utf-8") == ledger.page(ROWS, files), "run `make book`"


def test_the_page_shows_a_row():
    row = {"id": "2.1", "name": "Name", "latex": "a\n= b", "source": "Us", "function": "f", "tests": ["t.py::test_x"]}
    text = ledger.page([row], {"02": "02_x.ipynb"})
    assert "## Chapter [02](02_x.ipynb)" in text
    assert "**(2.1) Name**\n\n$$\na = b\n$$" in text
    assert "- Source: Us\n- Function: `f`\n- Tests: `test_x` in `t.py`" in text


def test_rows_are_sorted_as_numbers(tmp_path):
    path = tmp_path / "rows.toml"
    path.write_text("\n".join(f'[[equation]]\nid = "{number}"' for number in ("2.10", "10.1", "2.9")))
    assert [row["id"] for row in ledger.rows(path)] == ["2.9", "2.10", "10.1"]
