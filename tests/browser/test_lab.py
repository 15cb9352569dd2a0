"""The explorers in JupyterLab, with a kernel: each control is moved by mouse and by keyboard, and is answered."""

import re
from functools import partial

import pytest

from dmlbook.chapters import explorers
from tests.browser.lab import CAPTIONS, ERRORS, SECONDS, Cell, share_of
from tests.browser.test_modules import CHAPTERS, drag, middle

ALL = tuple(explorers())
CELL = "from dmlbook.chapters import explorers\n\nexplorers()['{}']().{}()"
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
    lab.write("explorers", sources)
    page, errors = lab.run(browser, "explorers")
    page.wait_for_function(SHOWN, arg=[CAPTIONS, len(ALL) + len(CHAPTERS)], timeout=240 * SECONDS)
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
    captions = page.locator(CAPTIONS).all_inner_texts()
    expected = [explorers()[number]().text.value for number in (*ALL, *CHAPTERS)]
    number = re.compile(r"-?\d+\.\d+")
    assert [number.sub("#", each) for each in captions] == [number.sub("#", each) for each in expected]
    for caption, words in zip(captions, expected, strict=True):  # another process may round a tie otherwise
        assert [*map(float, number.findall(caption))] == pytest.approx([*map(float, number.findall(words))], abs=0.011)


@pytest.mark.parametrize("number", ALL)
def test_every_control_of_a_widget_answers_mouse_and_keys(page, number):
    explorer, cell = explorers()[number](), Cell(page, ALL.index(number), "img")
    before, sliders = cell.state(), cell.root.locator(".widget-slider")
    assert sliders.count() + cell.root.locator("select").count() == len(explorer.controls)
    assert cell.root.get_by_role("button").count() == len(explorer.actions)
    for slider in sliders.all():
        handle, track = slider.locator(".noUi-handle"), slider.locator(".noUi-base")
        cell.answers(*(partial(share_of, page, handle, track, share) for share in (0.3, 0.75)))
        cell.answers_keys(handle, "ArrowRight", "ArrowLeft")
    cell.answers_menus_and_buttons(opens=("Alt+ArrowDown",))  # of a closed one JupyterLab takes the arrows
    assert cell.state() != before


@pytest.mark.parametrize("number", CHAPTERS)
def test_every_control_of_a_view_answers_mouse_and_keys(page, number):
    cell = Cell(page, len(ALL) + CHAPTERS.index(number), ".dmlx svg")
    before = cell.state()
    for slider in cell.root.locator("input[type=range]").all():
        width = slider.bounding_box()["width"]
        cell.answers(*(partial(slider.click, position={"x": share * width, "y": 8}) for share in (0.3, 0.75)))
        cell.answers_keys(slider, "ArrowRight", "ArrowLeft")
    cell.answers_menus_and_buttons()
    assert cell.state() != before


@pytest.mark.parametrize("number", CHAPTERS)
def test_every_mark_of_a_view_answers_mouse_and_keys_and_the_notebook_does_not(page, number):
    cell = Cell(page, len(ALL) + CHAPTERS.index(number), ".dmlx svg")
    marks = cell.root.locator("[role=slider]").all()
    selected = "document.querySelector('.jp-Cell.jp-mod-active .jp-InputArea').textContent"
    marks[0].click()
    said = cell.readout.inner_text()
    before = page.evaluate(selected), page.evaluate("document.querySelectorAll('.jp-Cell').length")
    for mark in marks:
        for keys in (("ArrowUp", "ArrowDown"), ("ArrowDown", "ArrowUp"), ("ArrowLeft", "ArrowRight")):
            cell.answers_keys(mark, *keys, words=False)
        for key in ("a", "d", "x", "m"):  # a notebook's own keys
            mark.press(key)
        x, y = middle(mark)
        cell.answers(*(partial(drag, page, mark, (x + far, y - far)) for far in (30, -60)), words=False)
    after = page.evaluate(selected), page.evaluate("document.querySelectorAll('.jp-Cell').length")
    assert after == before
    assert cell.readout.inner_text() != said
