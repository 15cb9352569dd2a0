"""A lesson takes an hour at most, and says how long; it opens with the strip and stops once in its middle."""

import re
from pathlib import Path

import build
import claims
import nbformat
import pytest
import reading

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks" / "src").glob("*.py"))
BOOKS = {path.name.partition("_")[0]: build.read_text(path) for path in SOURCES}
LESSONS = [number for number in BOOKS if number.isdigit() or number == "01b"]
BUILT = [number for number in LESSONS if number in {"01", "01b", "02", "03", "04", "05", "07"}]  # where readers build
STOP = re.compile(r"\*\*Stop\.\*\* .+?\*\*Question\.\*\* .+<details><summary>Answer</summary>.+</details>", re.DOTALL)


def markdown(number: str) -> str:
    return "\n\n".join(cell.source for cell in BOOKS[number].cells if cell.cell_type == "markdown")


def code(number: str) -> list[str]:
    return [cell.source for cell in BOOKS[number].cells if cell.cell_type == "code"]


def toy(*cells: tuple[str, str]) -> nbformat.NotebookNode:
    made = {"words": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    return nbformat.v4.new_notebook(cells=[made[kind](text) for kind, text in cells])


def test_words_and_lines_are_counted_also_of_collapsed_cells_and_what_is_folded_or_an_exercise_is_not():
    book = toy(
        ("words", "a " * 80 + "<details><summary>More</summary>" + "b " * 80 + "</details>"),
        ("code", "x = 1\n\n# why\n" * 12),
        ("code", "show(figure)\n" * 12),
        ("words", "## Exercises\n\n" + "c " * 80 + "\n\n**Exercise 1.1 · one** · difficulty 1 of 5 · 5 minutes. Do."),
        ("code", "y = 2\n" * 12),
        ("words", "**Exercise 1.2 · two** · difficulty 4 of 5 · open, 20 minutes.\n\n**Exercise 1.3 · three** · open."),
        ("words", "## What to take away\n\n" + "d " * 75),
    )
    book.cells[2].metadata["jupyter"] = {"source_hidden": True}
    assert reading.minutes(book) == (4.0, 25)


def test_the_minutes_stand_in_the_header_those_to_read_rounded_up():
    book = toy(
        ("words", "**Time** about {reading} minutes, and {exercises} for the exercises. " + "a " * 71),
        ("code", "x\n" * 13),
    )
    reading.told(book)
    assert book.cells[0].source.startswith("**Time** about 5 minutes, and 0 for")


@pytest.mark.parametrize("number", BOOKS)
def test_a_header_says_the_minutes_that_are_counted(number):
    (source,) = [path for path in SOURCES if path.name.startswith(f"{number}_")]
    head = source.read_text(encoding="utf-8").partition("# %%\n")[0]
    assert "# **Time** about {reading} minutes" in head
    assert (number not in LESSONS) or "{reading} minutes to read, half as much again with a pencil" in " ".join(
        line.removeprefix("# ") for line in head.splitlines()
    )
    minutes, of_exercises = reading.minutes(BOOKS[number])
    assert ("{exercises}" in head) == (of_exercises > 0)
    (said,) = re.findall(r"\*\*Time\*\* about (\d+) minutes", BOOKS[number].cells[0].source)
    assert minutes <= int(said) < minutes + 5
    assert f"and {of_exercises} for the exercise" in BOOKS[number].cells[0].source or not of_exercises


@pytest.mark.parametrize("number", LESSONS)
def test_a_lesson_takes_an_hour_at_most(number):
    assert reading.minutes(BOOKS[number])[0] <= reading.LONGEST


@pytest.mark.parametrize("number", BOOKS)
def test_a_chapter_opens_with_the_strip(number):
    first = next(cell for cell in code(number) if "book.use_style()" in cell)
    assert code(number).index(first) <= 1
    assert f'book.story("{number}")' in first
    assert sum("book.story(" in cell for cell in code(number)) == 1


@pytest.mark.parametrize("number", LESSONS)
def test_a_lesson_stops_once_in_its_middle(number):
    book = BOOKS[number]
    stops = [n for n, cell in enumerate(book.cells) if cell.cell_type == "markdown" and "**Stop.**" in cell.source]
    assert len(stops) == 1
    assert STOP.match(book.cells[stops[0]].source)
    before = nbformat.v4.new_notebook(cells=book.cells[: stops[0]])
    assert 0.3 < reading.minutes(before)[0] / reading.minutes(book)[0] < 0.7


@pytest.mark.parametrize("number", BUILT)
def test_readers_build_find_a_bug_and_look_for_themselves(number):
    text = markdown(number)
    assert any(re.search(r"\byours\(", cell) for cell in code(number))
    assert re.search(r"\*\*Exercise [\d.]+ · [^*]*planted bug", text)
    assert "Your finding:" in text
    assert 3 <= len(re.findall(r"^\*\*Exercise ", text, re.MULTILINE)) <= 6


@pytest.mark.parametrize("number", BOOKS)
def test_every_section_that_is_referred_to_is_there(number):
    there = {place.lstrip("0") if not place.startswith("00") else place[1:] for place in claims.sections()}
    named = set(re.findall(r"§(\d+[bc]?\.\d+)", markdown(number)))
    assert named <= there
    assert not re.findall(r"\b[Ss]ections? \d+[bc]?\.\d+", markdown(number))


@pytest.mark.parametrize("number", [number for number in BOOKS if number not in LESSONS])
def test_a_companion_is_linked_from_its_lesson(number):
    (name,) = [path.stem for path in SOURCES if path.name.startswith(f"{number}_")]
    before = [other for other in LESSONS if other[:2] == number[:2]]
    assert any(f"({name}.ipynb" in markdown(other) for other in before)
