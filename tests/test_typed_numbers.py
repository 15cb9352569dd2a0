"""Numbers in prose: a cell of their section says them, or tests/typed_numbers.toml says where they come from."""

import copy
import math
from pathlib import Path

import nbformat
import pytest
from scipy import stats

from tests import typed

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
BOOKS = {path.name.partition("_")[0]: nbformat.read(path, as_version=4) for path in NOTEBOOKS}
PLACES = typed.places(BOOKS)
ROWS = typed.rows()


def of(chapter: str) -> list[dict]:
    return [row for row in ROWS if row["chapter"] == chapter]


@pytest.mark.parametrize("chapter", BOOKS)
def test_every_number_in_prose_has_its_source(chapter):
    found = typed.complaints(chapter, BOOKS[chapter], of(chapter), PLACES)
    assert found == [], "let a cell print it, or add a row to tests/typed_numbers.toml"


def test_rows_are_whole_and_of_chapters_that_exist():
    for row in ROWS:
        assert list(row) == ["chapter", "words", "kind", "why"]
        assert row["chapter"] in BOOKS
        assert row["kind"] in typed.KINDS
        assert len(row["why"]) > 5
    assert len({(row["chapter"], row["words"]) for row in ROWS}) == len(ROWS)
    assert {row["kind"] for row in ROWS} == set(typed.KINDS)


QUANTILE = {n: stats.t.ppf(0.975, n - 1) for n in (2, 3, 4, 5)}


@pytest.mark.parametrize(
    ("chapter", "number", "right"),
    [
        ("00", "12288", 3 * 64 * 64),
        ("01", "1.41", math.sqrt(2)),
        ("01", "0.9", 66.2 - 65.3),
        ("02", "25", math.hypot(7, 24)),
        ("02", "37", math.degrees(math.asin(3 / 5))),
        ("02", "53", math.degrees(math.asin(4 / 5))),
        ("02", "16", math.degrees(math.asin(7 / 25))),
        ("04b", "5.7", math.degrees(2 * math.asin(0.1 / 2))),
        ("04", "0.5", math.sin(math.radians(30))),
        ("05b", "1.93", 3 / 2 + math.sqrt(3) / 4),
        ("05b", "1.85", 3 / 2 + math.sqrt(2) / 4),
        ("06", "0.12", 1 - math.cos(0.5)),
        ("06", "0.49", 2 * math.sin(0.25)),
        ("06", "76", 90 - math.degrees(0.25)),
        ("06", "0.63", math.dist((1, 0), (0.8, -0.6))),
        ("06", "0.89", math.dist((1, 0), (0.6, 0.8))),
        ("06", "400", 8 * 50),
        ("06b", "0.8", 32 / 40),
        ("06b", "2.8", math.sqrt(8)),
        ("06b", "0.2", 73.8 - 73.6),
        ("07", "160", 40 * 4),
        ("07", "12.7062", QUANTILE[2] * stats.tstd([50, 52]) / math.sqrt(2)),
        *(("07", f"{value:.4f}", value) for value in QUANTILE.values()),
        ("07", "1.96", stats.norm.ppf(0.975)),
        ("09", "0.995", 1 - 0.1**2 / 2),
        ("09", "0.11", 2 / 19),
    ],
)
def test_what_follows_from_other_numbers_is_right(chapter, number, right):
    texts = [row["words"] for row in of(chapter) if row["kind"] in ("follows", "known", "cited")]
    assert any(number in typed.values(text) for text in texts)
    assert f"{right:.{len(number.partition('.')[2])}f}" == number


def chapter_of(*cells):
    """A chapter of prose and of cells: a text, or what is printed."""
    made = [
        nbformat.v4.new_markdown_cell(cell)
        if isinstance(cell, str)
        else nbformat.v4.new_code_cell("show()", outputs=[nbformat.v4.new_output("stream", text=cell[0])])
        for cell in cells
    ]
    return nbformat.v4.new_notebook(cells=made)


@pytest.mark.parametrize(
    ("prose", "seen"),
    [
        ("Recall@1 rises to 0.53.", []),
        ("Recall@1 rises to .53 (12 of 20).", []),
        ("Recall@1 rises to 0.54.", ["0.54"]),
        ("It takes 1,024 images.", []),
        ("It takes 1,025 images.", ["1025"]),
        ("It takes 1024 images and 99.", ["99"]),
        ("In 7 percent, 8% or 9 points of 3 classes.", ["7", "8", "9"]),
        ("About 61.5 ± 0.4 at 30°.", ["61.5", "0.4", "30"]),
        ("| a | 3.25 | **4.75** |", ["3.25", "4.75"]),
        ("Hint: <b>0.77</b>", ["0.77"]),
        ("See section 5.3 and (5.4), `0.99`, [chapter 77](77.ipynb), $x = 0.98$, arXiv 1909.05235, CVPR 2019, 2.", []),
        ("As §5.3 shows, see §5b.12, §5.3 and §5.4.", []),
        ("**Time** about 55 minutes to read, half as much again with a pencil, and 77 for the exercises", []),
        ("As 5.3 shows; chapter 06 and (6.10) too. ResNet-50 and CUB-200-2011.", []),
        ("It is 6.10 here, and 5.3 percent there.", ["6.10", "5.3"]),
        ("# 61.5", []),
    ],
)
def test_a_number_that_no_cell_says_is_seen(prose, seen):
    book = chapter_of("## 5.3 One\n\nText.", ["0.53 and 12 of 20, 1,024 in all"], prose, "## 5.4 Two\n\nEnd.")
    found = typed.complaints("05", book, [], {"5.3", "5.4", "6.10"})
    assert [line.partition(" says ")[2].partition(" in ")[0] for line in found] == seen


def test_a_cell_speaks_for_its_own_section_alone():
    book = chapter_of("## 5.1 One\n\nIt is 0.53.", ["0.53"], "## 5.2 Two\n\nIt is 0.53.")
    assert len(typed.complaints("05", book, [], set())) == 1
    row = {"chapter": "05", "words": "It is 0.53.", "kind": "shown", "why": "5.1"}
    assert typed.complaints("05", book, [row], set()) == []


def test_a_number_typed_into_an_alt_text_is_seen_and_a_computed_one_is_not():
    text = "## 5.1 One\n\nText."
    for alt, seen in [("'A bar of 0.53.'", 0), ("'A bar of 0.54.'", 1), ("f'A bar of {x}, as in 0.54.'", 1)]:
        book = chapter_of(text, ["0.53"])
        book.cells[1].source = f"show(figure(title='A'), alt={alt})"
        figure = nbformat.v4.new_output("display_data", data={"image/png": ""}, metadata={})
        figure.metadata["image/png"] = {"alt": alt.strip("f'").replace("{x}", "0.77")}
        book.cells[1].outputs.append(figure)
        assert len(typed.complaints("05", book, [], set())) == seen, alt
    assert typed.alts("f(alt=f'A {x:.2f} b.')") == ["A ", " b."]


def test_a_number_in_an_alt_text_that_is_named_is_seen_too(monkeypatch):
    texts = {"5.1 a bar": "A bar of 0.54, {x:.2f} wide."}
    monkeypatch.setattr(typed.chapters, "alts", lambda number: texts)
    typed.alts.cache_clear()
    assert typed.alts('show(figure, "5.1 a bar", x=1)') == ["A bar of 0.54, ", " wide."]
    typed.alts.cache_clear()


def test_a_row_holds_its_words_and_is_not_kept_without_use():
    book = chapter_of("## 5.1 One\n\nThe paper has 51.4 and\n68.3.", ["0.53"])
    row = {"chapter": "05", "words": "has 51.4 and 68.3", "kind": "cited", "why": "the paper"}
    assert typed.complaints("05", book, [row], set()) == []
    changed = chapter_of("## 5.1 One\n\nThe paper has 51.4 and\n68.4.", ["0.53"])
    found = typed.complaints("05", changed, [row], set())
    assert all(f"its section says {number} in" in line for number, line in zip(("51.4", "68.4"), found, strict=False))
    assert found[2:] == ["05: the row 'has 51.4 and 68.3' holds no number that needs it"]
    said = chapter_of("## 5.1 One\n\nThe paper has 51.4 and\n68.3.", ["51.4, 68.3"])
    assert len(typed.complaints("05", said, [row], set())) == 1


def test_most_changed_digits_in_the_prose_of_the_book_are_seen():
    """The last digit of each number, one more; a few are numbers that another line of the section prints."""
    seen = planted = 0
    for chapter, book in BOOKS.items():
        rows = of(chapter)
        for place, cell in enumerate(book.cells):
            if cell.cell_type != "markdown":
                continue
            for number, _ in typed.typed(chapter, cell.source, PLACES):
                changed = number[:-1] + str((int(number[-1]) + 1) % 10)
                if cell.source.count(number) != 1:
                    continue
                bent = copy.copy(book)
                bent.cells = list(book.cells)
                bent.cells[place] = nbformat.v4.new_markdown_cell(cell.source.replace(number, changed))
                planted += 1
                seen += bool(typed.complaints(chapter, bent, rows, PLACES))
    assert planted > 200
    assert seen > 0.85 * planted, (seen, planted)
