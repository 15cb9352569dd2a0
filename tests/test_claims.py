"""The claims ledger: every row names what it rests on, all of which exists, and says no more than a verdict may."""

import re
from pathlib import Path

import claims
import pytest

from tests.test_ledger import is_test

ROOT = Path(__file__).resolve().parents[1]
ROWS = claims.rows()
PLACES = claims.sections()
RECORD = "cub-softtriple"
ROW = {
    "id": "S1",
    "claim": "It does.",
    "source": "the paper",
    "where": ["04.7"],
    "protocol": "exact",
    "records": [RECORD],
    "tests": ["tests/test_a.py::test_b"],
    "verdict": "supported",
    "finding": "It did.",
}
OPEN = {**ROW, "verdict": "open", "missing": "All.", "where": [], "records": [], "tests": []}


def written(folder: Path, *rows: dict) -> Path:
    """A ledger of these rows."""
    path = folder / "claims.toml"
    path.write_text("\n".join("\n".join(["[[claim]]", *(f"{k} = {v!r}" for k, v in row.items())]) for row in rows))
    return path


def test_the_page_is_made_from_the_ledger():
    assert claims.PAGE.read_text(encoding="utf-8") == claims.page(ROWS, PLACES), "run `make book`"


def test_both_papers_have_claims_and_the_verdicts_are_not_all_alike():
    assert {row["id"][0] for row in ROWS} == claims.PAPERS.keys()
    assert len({row["verdict"] for row in ROWS}) > 2


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_row_names_sections_records_and_tests_that_exist(row):
    assert [where for where in row["where"] if where not in PLACES] == []
    assert [name for name in row["records"] if not (ROOT / "data" / "results" / f"{name}.json").is_file()] == []
    assert [test for test in row["tests"] if not is_test(test)] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_row_says_no_more_than_it_rests_on(row):
    assert row["verdict"] in claims.VERDICTS
    assert row["verdict"] == "open" or (row["where"] and (row["tests"] or row["records"]))
    assert row["verdict"] != "open" or row["missing"]
    assert not re.search(r"\d", re.sub(r"Recall@1|Cars196", "", row["finding"]))


def test_nothing_is_named_twice_in_a_row():
    for row in ROWS:
        assert [key for key in claims.LISTS if len(set(row[key])) < len(row[key])] == [], row["id"]


def test_rows_are_read_in_their_order(tmp_path):
    more = {**OPEN, "id": "S2"}
    bound = {**ROW, "id": "U1", "finding": "On Cars196 Recall@1 rose.", "records": []}
    assert claims.rows(written(tmp_path, ROW, more, bound)) == [ROW, more, bound]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "3"}, "3 must have an id of a paper's letter and a number; got '3'"),
        ({"id": "S01"}, "must have an id of a paper's letter and a number; got 'S01'"),
        ({"verdict": "proved"}, "must have a verdict of supported, partly, .*; got 'proved'"),
        ({"name": "x"}, "must have the keys .*; got .*'name'"),
        ({"claim": " "}, r"must say something in each text; got nothing in \['claim'\]"),
        ({"missing": ""}, r"must say something in each text; got nothing in \['missing'\]"),
        ({"where": "04.7"}, r"must list its sections, records and tests; got one text in \['where'\]"),
        ({"where": []}, "must be open without a section, and a test or a record; got 'supported'"),
        ({"records": [], "tests": []}, "must be open without a section, and a test or a record; got 'supported'"),
        ({"verdict": "open"}, "must say what is missing where it is open"),
        ({"finding": "Recall@1 rose by 2.3."}, "must quote no figure in its finding; got 'Recall@1 rose by 2.3.'"),
        ({"finding": "It rose (12 of 20)."}, "must quote no figure in its finding"),
        ({"records": [RECORD, "cub-nothing"]}, r"must rest on records that exist; got \['cub-nothing'\]"),
    ],
)
def test_a_bad_row_is_refused(tmp_path, change, said):
    with pytest.raises(ValueError, match=f"claims: row .*{said}"):
        claims.rows(written(tmp_path, ROW | change))


def test_a_row_that_lacks_a_key_is_refused(tmp_path):
    for key in ROW:
        with pytest.raises(ValueError, match="must have the keys"):
            claims.rows(written(tmp_path, {other: value for other, value in ROW.items() if other != key}))


@pytest.mark.parametrize("ids", [("S1", "S1"), ("S2",), ("S1", "S3"), ("U1", "S1"), ("S2", "S1")])
def test_ids_count_from_one_and_stand_once(tmp_path, ids):
    with pytest.raises(ValueError, match="claims: ids must count each paper's rows from 1"):
        claims.rows(written(tmp_path, *({**ROW, "id": name} for name in ids)))


def test_sections_are_those_of_lessons_and_companions(tmp_path):
    (tmp_path / "06_the_field.py").write_text("# # 06\n# ## 6.1 One frame\n# ## Exercises\n# ### 6.2 No\n")
    (tmp_path / "06b_deeper.py").write_text("# ## 6b.10 Deeper\nx = 1  # ## 6b.11 No\n")
    (tmp_path / "06c_more.py").write_text("# ## 6c.1 Deeper yet\n")
    (tmp_path / "11_what_holds.py").write_text("# ## 11.2 A trap: late\n")
    assert claims.sections(tmp_path) == {
        "06.1": ("06_the_field.ipynb", "One frame"),
        "06b.10": ("06b_deeper.ipynb", "Deeper"),
        "06c.1": ("06c_more.ipynb", "Deeper yet"),
        "11.2": ("11_what_holds.ipynb", "A trap: late"),
    }


def test_a_section_that_no_chapter_has_is_refused():
    with pytest.raises(ValueError, match=r"claims: row S1 must name sections that chapters have; got \['04.7'\]"):
        claims.page([ROW], {"04.8": ("04_x.ipynb", "T")})


def test_the_page_shows_a_row_in_the_table_and_as_an_entry():
    row = {**ROW, "missing": "More of it."}
    lone = {**OPEN, "id": "U1", "claim": "So."}
    text = claims.page([row, lone], {"04.7": ("04_x.ipynb", "Adam")})
    assert "| S1 | It does. | supported | [04.7](04_x.ipynb) |\n| U1 | So. | open | nowhere yet |\n" in text
    assert "- **supported** (1): " in text
    assert "- **partly** (0): " in text
    order = [text.index(part) for part in ("## SoftTriple", "**S1 · It does.**", "## The centroid", "**U1 · So.**")]
    assert order == sorted(order)
    assert "- Where: [04.7](04_x.ipynb) Adam\n- How: exact\n- Records: `cub-softtriple`\n" in text
    assert "- Tests: `test_b` in `tests/test_a.py`\n- Verdict: **supported**. It did.\n- Missing: More of it." in text
    assert "- Where: nowhere yet\n- How: exact\n- Records: none\n- Tests: none\n- Verdict: **open**. It did." in text


def test_an_entry_is_wrapped_and_stays_one_list():
    row = {**ROW, "finding": "It holds. " * 40}
    lines = claims.page([row], PLACES).partition("## SoftTriple")[2].splitlines()
    assert max(map(len, lines)) <= 118
    start = next(n for n, line in enumerate(lines) if line.startswith("- Verdict"))
    assert len(lines[start:]) > 4
    assert all(line.startswith("  ") for line in lines[start + 1 : start + 4])
