"""The equation ledger: every numbered formula has a row, and every row a function and tests that see it bent."""

import ast
import re
from pathlib import Path

import ledger
import nbformat
import pytest

from dmlbook import chapters
from tests import perturb

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = {path.name.partition("_")[0]: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
ROWS = ledger.rows()
NUMBER = r"\d+\.\d+"  # of a chapter and of a formula in it
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
            if number.split(".")[0] != str(int(chapter[:2])):
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
    assert missing({"03": {}, "03b": {"3.1": "a = b"}}, [row]) == []
    assert missing({"04b": {"3.1": "a = b"}}, [row]) == ["(3.1) stands in chapter 04b"]
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
    assert re.fullmatch(NUMBER, row["id"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_row_names_a_function_of_ours_that_exists(row):
    assert row["function"].startswith("dmlbook.")
    assert perturb.place(row["function"]) is not None


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


@pytest.fixture(scope="module")
def unseen():
    """What the tests of each row of the ledger would not notice."""
    return perturb.faults(ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_row_notices_if_its_function_is_bent(row, unseen):
    assert unseen[row["id"]] == []


def test_the_page_is_made_from_the_ledger():
    files = {chapter: path.name for chapter, path in CHAPTERS.items()}
    assert ledger.PAGE.read_text(encoding="utf-8") == ledger.page(ROWS, files), "run `make book`"


def test_the_page_shows_a_row():
    row = {"id": "2.1", "name": "Name", "latex": "a\n= b", "source": "Us", "function": "f", "tests": ["t.py::test_x"]}
    text = ledger.page([row], {"02": "02_x.ipynb"})
    assert "## Chapter [02](02_x.ipynb)" in text
    assert "**(2.1) Name**\n\n$$\na = b\n$$" in text
    assert "- Source: Us\n- Function: `f`\n- Tests: `test_x` in `t.py`" in text


def test_a_companion_stands_beside_its_lesson():
    row = {"id": "6.9", "name": "Name", "latex": "a", "source": "Us", "function": "f", "tests": ["t.py::test_x"]}
    text = ledger.page([row], {"05": "05_x.ipynb", "06": "06_x.ipynb", "06b": "06b_x.ipynb"})
    assert "## Chapter [06](06_x.ipynb), [06b](06b_x.ipynb)\n" in text


def test_chapters_10_and_11_have_their_place():
    rows = [
        {"id": number, "name": "Name", "latex": "a", "source": "Us", "function": "f", "tests": ["t.py::test_x"]}
        for number in ("9.3", "10.2", "11.10")
    ]
    assert [re.fullmatch(NUMBER, row["id"]) is not None for row in rows] == [True] * 3
    text = ledger.page(rows, {"09": "09_x.ipynb", "10": "10_x.ipynb", "11": "11_x.ipynb"})
    headings = [f"## Chapter [{n}]({n}_x.ipynb)" for n in ("09", "10", "11")]
    shown = [*headings, "**(9.3) Name**", "**(10.2) Name**", "**(11.10) Name**"]
    assert all(text.count(line) == 1 for line in shown)
    assert sorted(shown, key=text.index) == [shown[n] for n in (0, 3, 1, 4, 2, 5)]
    found = {
        "09": {"9.3": "a"},
        "10": ledger.numbered(r"$$a \tag{10.2}$$"),
        "11": ledger.numbered(r"$$a \tag{11.10}$$"),
    }
    assert missing(found, rows) == []
    assert missing({**found, "01": {"11.10": "a"}}, rows) == ["(11.10) stands in chapter 01"]


def test_rows_are_sorted_as_numbers(tmp_path):
    path = tmp_path / "rows.toml"
    path.write_text("\n".join(f'[[equation]]\nid = "{number}"' for number in ("2.10", "11.10", "10.1", "11.2", "2.9")))
    assert [row["id"] for row in ledger.rows(path)] == ["2.9", "2.10", "10.1", "11.2", "11.10"]


SOURCES = {source.name.partition("_")[0]: source for source in sorted(ledger.SOURCES.glob("*.py"))}
STEPS = ledger.steps()


def apart(shown: dict[str, list[str]], rows: list[dict]) -> list[str]:
    """What chapters and the rows of their unnumbered formulas do not agree on."""
    listed = [(row["chapter"], row["latex"]) for row in rows]
    there = [(chapter, latex) for chapter, formulas in shown.items() for latex in formulas]
    return [
        f"{chapter}: no row of tests/unnumbered.toml is $${latex}$$"
        for chapter, latex in there
        if (chapter, latex) not in listed
    ] + [f"{chapter}: no longer shows $${latex}$$" for chapter, latex in listed if (chapter, latex) not in there]


def test_every_displayed_formula_has_a_number_or_a_row():
    assert apart({chapter: ledger.unnumbered(ledger.prose(path)) for chapter, path in SOURCES.items()}, STEPS) == []


@pytest.mark.parametrize("row", STEPS, ids=lambda row: f"{row['chapter']}-{STEPS.index(row)}")
def test_a_row_without_a_number_says_why_it_is_true_and_names_tests_that_exist(row):
    assert list(row) == ["chapter", "latex", "held", "tests"]
    assert row["chapter"] in SOURCES
    assert len(row["held"]) > 10
    assert row["tests"]
    assert [test for test in row["tests"] if not is_test(test)] == []


def test_formulas_within_lines_are_those_that_were_read():
    now = {chapter: found for chapter, path in SOURCES.items() if (found := ledger.inline(ledger.prose(path)))}
    remedy = "read them again, then run: python notebooks/ledger.py --accept"
    assert ledger.inline_changes(ledger.read_inline(), now) == [], remedy
    assert ledger.read_inline() == now, remedy


def test_a_changed_sign_is_seen_in_every_formula_of_the_book():
    """Each plus, minus and relation of each unnumbered formula, one after the other."""
    turned = {"+": "-", "-": "+", r"\le": r"\ge", r"\ge": r"\le", "<": ">", ">": "<", "=": r"\ne"}
    sign = re.compile(r"\\le\b|\\ge\b|[-+<>=]")
    planted = 0
    for chapter, path in SOURCES.items():
        text = ledger.prose(path)
        shown, within = {chapter: ledger.unnumbered(text)}, {chapter: ledger.inline(text)}
        rows = [row for row in STEPS if row["chapter"] == chapter]
        for latex in [*shown[chapter], *within[chapter]]:
            for match in sign.finditer(latex):
                bent = latex[: match.start()] + turned[match[0]] + latex[match.end() :]
                planted += 1
                seen = apart({chapter: [bent if old == latex else old for old in shown[chapter]]}, rows)
                changed = {chapter: [bent if old == latex else old for old in within[chapter]]}
                assert seen or ledger.inline_changes(within, changed), (chapter, bent)
    assert planted > 400


def test_a_sign_flipped_in_a_chapter_is_named(tmp_path):
    text = SOURCES["05"].read_text(encoding="utf-8")
    for right, wrong, said in [
        (r"\le -d_{i y_k} + d_k .", r"\le -d_{i y_k} - d_k .", r"$$-\lVert x_i - x_k \rVert \le -d_{i y_k} - d_k .$$"),
        (r"$n_m - 1$", r"$n_m + 1$", "05: now $n_m + 1$"),
    ]:
        assert right in text
        bent = tmp_path / SOURCES["05"].name
        bent.write_text(text.replace(right, wrong), encoding="utf-8")
        prose = ledger.prose(bent)
        found = apart({"05": ledger.unnumbered(prose)}, [row for row in STEPS if row["chapter"] == "05"])
        found += ledger.inline_changes({"05": ledger.read_inline()["05"]}, {"05": ledger.inline(prose)})
        assert any(said in line for line in found), found


def test_unnumbered_formulas_are_read_from_prose():
    text = "Of $x$, $x_{n-1}$ and `$a = b$`: $x +\n y$. $$z\n = 1$$ $$w = 2 \\tag{1.1}$$ $x + y$, $a \\le b$, $\\left$"
    assert ledger.unnumbered(text) == ["z = 1"]
    assert ledger.inline(text) == ["x + y", r"a \le b"]


def test_formulas_within_lines_are_listed_and_told_apart(tmp_path, monkeypatch, capsys):
    (tmp_path / "01_a.py").write_text("# %% [markdown]\n# Of $a = b$.\n", encoding="utf-8")
    monkeypatch.setattr(ledger, "SOURCES", tmp_path)
    monkeypatch.setattr(ledger, "WITHIN", tmp_path / "inline.txt")
    assert ledger.main([]) == 0
    assert capsys.readouterr().out == "01: now $a = b$\n"
    assert not ledger.WITHIN.exists()
    assert ledger.main(["--accept"]) == 0
    assert ledger.read_inline(ledger.WITHIN) == {"01": ["a = b"]}
    (tmp_path / "01_a.py").write_text("# %% [markdown]\n# Of $a = -b$.\n", encoding="utf-8")
    assert ledger.inline_changes(ledger.read_inline(ledger.WITHIN), {"01": ["a = -b"]}) == [
        "01: was $a = b$",
        "01: now $a = -b$",
    ]
