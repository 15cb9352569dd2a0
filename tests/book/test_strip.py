"""The strip at the head of every chapter."""

import re
from pathlib import Path

import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from dmlbook import book
from dmlbook.book import lines
from dmlbook.book.strip import PALE, STEPS, strip

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks" / "src").glob("*.py"))


def framed(figure):
    """The titles of the panels that have a heavy frame."""
    return [ax.get_title() for ax in figure.axes if ax.spines["top"].get_linewidth() >= 2]


@pytest.mark.parametrize("number", STEPS)
def test_the_present_step_alone_is_framed_and_what_comes_after_it_is_pale(number):
    figure = strip(number)
    place = list(STEPS).index(number)
    assert [ax.get_title() for ax in figure.axes] == list(STEPS)
    assert framed(figure) == [number]
    for n, ax in enumerate(figure.axes):
        alphas = {artist.get_alpha() for artist in (*ax.lines, *ax.patches)}
        assert alphas == {PALE if n > place else 1}
        assert (to_hex(ax.title.get_color()) == to_hex(lines.SOFT)) == (n > place)
        assert (ax.title.get_weight() == "bold") == (n == place)
    plt.close(figure)


def test_it_is_the_same_strip_in_all_chapters():
    def drawn(figure):
        points = [[artist.get_xydata().tolist() for artist in ax.lines] for ax in figure.axes]
        plt.close(figure)
        return points

    assert drawn(strip("01")) == drawn(strip("09"))
    assert all(map(len, drawn(strip("00"))[:1]))


def test_a_companion_stands_where_its_lesson_does():
    figure = strip("04c")
    assert framed(figure) == ["04"]
    plt.close(figure)


def test_it_fits_the_page_and_says_where_we_are(monkeypatch):
    displayed = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: displayed.append(data))
    book.story("03b")
    (data,) = displayed
    assert 'width="960"' in data["text/html"]
    assert "We are at 03 several centers; what comes after it is pale. This companion goes deeper" in data["text/plain"]
    book.story("03")
    assert "companion" not in displayed[1]["text/plain"]


def test_every_lesson_has_a_step():
    numbers = {path.name.partition("_")[0] for path in NOTEBOOKS}
    lessons = {number for number in numbers if re.fullmatch(r"\d\d", number)}
    assert lessons | {"01b"} == set(STEPS)


@pytest.mark.bad_input
@pytest.mark.parametrize("number", ["10", "3", "03d", "01b1", ""])
def test_a_step_that_is_not_there_is_named(number):
    with pytest.raises(ValueError, match="number must be a lesson's or a companion's"):
        strip(number)
