"""What a chapter's cells call beside ``check``: figures in words by name, and the learner's own function."""

import re

import matplotlib.pyplot as plt
import pytest

from dmlbook import chapters
from tests.chapters.exercise_answers import ANSWERS


@pytest.fixture
def told(monkeypatch):
    texts = {"3.1 a line": "A line.", "3.2 slope": "A line that rises by {slope:.2f} to {top}."}
    monkeypatch.setattr(chapters, "alts", lambda number: texts if number == "03" else {})
    shown = []
    monkeypatch.setattr("dmlbook.book.figures.show", lambda figure, alt: shown.append(alt))
    return shown


def test_a_figure_is_shown_with_the_words_of_its_name(told):
    chapters.show(plt.figure(), "3.1 a line")
    chapters.show(plt.figure(), "3.2 slope", slope=0.456, top="ten")
    assert told == ["A line.", "A line that rises by 0.46 to ten."]
    plt.close("all")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("3.3 a line", {}, "name must be one of a chapter's alt texts; got '3.3 a line'"),
        ("4.1 a line", {}, "name must be one of a chapter's"),
        ("a line", {}, "name must be one of a chapter's"),
        ("3.2 slope", {"slope": 1.0}, r"values must be those that the text names, \['slope', 'top'\]; got \['slope'\]"),
        ("3.1 a line", {"slope": 1.0}, r"values must be those that the text names, \[\]; got \['slope'\]"),
    ],
)
def test_a_name_or_a_value_that_does_not_fit_is_refused(told, name, values, words):
    with pytest.raises(ValueError, match=words):
        chapters.show(plt.figure(), name, **values)
    assert told == []
    plt.close("all")


@pytest.mark.parametrize("number", chapters.numbers())
def test_every_alt_text_says_something_and_is_filed_under_its_section(number):
    for name, text in chapters.alts(number).items():
        assert re.match(rf"{int(number)}[bc]?\.\d+ \w", name), name
        assert len(text.split()) >= 5, name
        assert "\n" not in text.strip(), name


def test_every_alt_text_is_shown_by_one_cell():
    shown = {}
    for path in sorted((chapters.HERE.parents[1] / "notebooks" / "src").glob("*.py")):
        for name in re.findall(
            r'show\((?:[^"]|"[A-Za-z][^"]*")*?"(\d+[bc]?\.\d+ [^"]+)"', path.read_text(encoding="utf-8")
        ):
            shown.setdefault(name, []).append(path.stem)
    assert {name: where for name, where in shown.items() if len(where) > 1} == {}
    assert set(shown) == {name for number in chapters.numbers() for name in chapters.alts(number)}


def test_yours_goes_on_with_what_is_right(capsys):
    solution = ANSWERS["0.1"]["solution"]

    def stub(x): ...

    assert chapters.yours("0.1", stub, solution) is solution
    assert capsys.readouterr().out == "Exercise 0.1: not attempted yet, so the book's own function is used here.\n"
    assert chapters.yours("0.1", lambda x: 7, solution) is solution
    assert capsys.readouterr().out == "Exercise 0.1: not right yet, so the book's own function is used here.\n"
    assert chapters.yours("0.1", solution, stub) is solution
    assert capsys.readouterr().out == "Exercise 0.1: your function is used here.\n"
