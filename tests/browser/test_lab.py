"""The explorers in JupyterLab, with a kernel: each control is moved by mouse and by keyboard, and is answered."""

import re
from functools import partial

import pytest

from dmlbook.chapters import explorers
from tests.browser.lab import CAPTIONS, ERRORS, SECONDS, SELECTED, TRACK, Cell
from tests.browser.test_modules import CHAPTERS, drag, middle

ALL = tuple(explorers())
CELL = "from dmlbook.chapters import explorers\n\nexplorers()['{}']().{}()"
COUNT = len(ALL) + len(CHAPTERS) + 1
NEIGHBOURS = """import torch

from dmlbook import datasets
from dmlbook.book.neighbours import NeighbourExplorer

images = datasets.load("digits", "all", size=8)
methods = ("SoftTriple", "softmax", "semi-hard triplet", "proxy-NCA", "pixels")
NeighbourExplorer(images, {name: torch.randn(len(images), 8) for name in methods}).widget()"""
SHOWN = """([captions, count]) => {
  const all = [...document.querySelectorAll(captions)];
  const pictures = [...document.querySelectorAll('.jp-OutputArea-output img')];
  return all.length === count && all.every((each) => each.textContent) && pictures.every((each) => each.naturalWidth);
}"""


@pytest.fixture(scope="module")
def notebook(lab, browser):
    """A notebook that shows every explorer, after all its cells have run, and the errors of the console so far."""
    sources = [CELL.format(number, "widget") for number in ALL]
    sources += [CELL.format(number, "browser") for number in CHAPTERS]
    lab.write("explorers", [*sources, NEIGHBOURS])
    page, errors = lab.run(browser, "explorers")
    page.wait_for_function(SHOWN, arg=[CAPTIONS, COUNT], timeout=240 * SECONDS)
    yield page, errors
    page.close()


@pytest.fixture
def page(notebook, shoot):
    """The same, for one test, after which neither the kernel nor the console may have complained."""
    page, errors = notebook
    yield page
    shoot(page)
    assert page.locator(ERRORS).all_inner_texts() == []
    assert errors == []


def test_the_notebook_shows_all_explorers(page):
    *captions, neighbours = page.locator(CAPTIONS).all_inner_texts()
    assert neighbours.startswith("SoftTriple: for a 0, ")
    expected = [explorers()[number]().text.value for number in (*ALL, *CHAPTERS)]
    number = re.compile(r"-?\d+\.\d+")
    assert [number.sub("#", each) for each in captions] == [number.sub("#", each) for each in expected]
    for caption, words in zip(captions, expected, strict=True):  # another process may round a tie otherwise
        assert [*map(float, number.findall(caption))] == pytest.approx([*map(float, number.findall(words))], abs=0.011)


@pytest.mark.parametrize("place", range(COUNT))
def test_in_a_narrow_window_too_every_slider_has_a_track_and_nothing_sticks_out(page, place):
    try:
        for width in (800, 1400):
            page.set_viewport_size({"width": width, "height": 1000})
            cell = Cell(page, place)
            page.wait_for_timeout(200)
            assert min(cell.tracks()) >= TRACK
            card = cell.root.locator(".dmlx").bounding_box()
            for each in cell.root.locator(".dmlx-bar :is(label, legend, input, output, button), .dmlx-picture").all():
                if (box := each.bounding_box()) is not None:  # a row of the bar has none of its own
                    assert box["x"] >= card["x"]
                    assert box["x"] + box["width"] <= card["x"] + card["width"]
    finally:
        page.set_viewport_size({"width": 1400, "height": 1000})


@pytest.mark.parametrize("place", range(COUNT))
def test_every_control_has_its_name_and_says_its_value_and_the_picture_has_its_words(page, place):
    cell = Cell(page, place)
    for slider in cell.root.locator("input[type=range]").all():
        label = slider.locator("..")
        assert slider.get_attribute("aria-label") == label.locator(".dmlx-name").inner_text() != ""
        assert slider.get_attribute("aria-valuetext") == label.locator("output").inner_text() != ""
        assert len(label.locator("output").inner_text()) <= 24
    for group in cell.root.locator("fieldset").all():
        assert group.locator("legend").inner_text()
        assert group.locator("input:checked").count() == 1
        named = group.get_by_role("radio").evaluate_all("all => all.map(each => each.labels[0].textContent)")
        assert all(named)
    assert cell.root.locator("select, [role=combobox]").count() == 0
    for picture in cell.root.locator("img").all():
        assert picture.get_attribute("alt") == cell.readout.inner_text()
    helped = cell.root.locator(".dmlx-help").inner_text()
    assert re.search(r"Keys: Tab goes .*arrow keys", helped)


@pytest.mark.parametrize("number", ALL)
def test_every_control_of_a_widget_answers_mouse_and_keys(page, number):
    explorer, cell = explorers()[number](), Cell(page, ALL.index(number))
    before, sliders, choices = cell.state(), cell.root.locator("input[type=range]"), cell.root.locator("fieldset")
    assert sliders.count() + choices.count() == len(explorer.controls)
    assert cell.root.get_by_role("button").count() == len(explorer.actions)
    cell.answers_controls()
    assert cell.state() != before


@pytest.mark.parametrize("number", CHAPTERS)
def test_every_control_of_a_view_answers_mouse_and_keys(page, number):
    cell = Cell(page, len(ALL) + CHAPTERS.index(number))
    before = cell.state()
    cell.answers_controls()
    assert cell.state() != before


def test_neighbours_answer_mouse_and_keys(page):
    cell = Cell(page, COUNT - 1)
    cell.answers_controls(words=False)
    cell.root.get_by_role("radio", name="pixels").check()
    page.wait_for_function("said => said.textContent.startsWith('pixels: ')", arg=cell.readout.element_handle())


def test_starting_again_twice_is_starting_again_once(page):
    cell = Cell(page, ALL.index("05"))
    again = cell.root.get_by_role("button", name="start again")
    cell.answers(cell.root.get_by_role("button", name="step down the bound").click)
    cell.answers(again.click)
    once = cell.state()
    again.click()
    page.wait_for_timeout(1500)
    assert cell.state() == once


@pytest.mark.parametrize("number", CHAPTERS)
def test_every_mark_of_a_view_answers_mouse_and_keys_and_the_notebook_does_not(page, number):
    cell = Cell(page, len(ALL) + CHAPTERS.index(number))
    marks = cell.root.locator("[role=slider]").all()
    marks[0].click()
    said = cell.readout.inner_text()
    before = page.evaluate(SELECTED)
    for mark in marks:
        for keys in (("ArrowUp", "ArrowDown"), ("ArrowDown", "ArrowUp"), ("ArrowLeft", "ArrowRight")):
            cell.answers_keys(mark, *keys, words=False)
        for key in ("a", "d", "x", "m"):  # a notebook's own keys
            mark.press(key)
        x, y = middle(mark)
        cell.answers(*(partial(drag, page, mark, (x + far, y - far)) for far in (30, -60)), words=False)
    assert page.evaluate(SELECTED) == before
    assert cell.readout.inner_text() != said
