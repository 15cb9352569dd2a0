"""Every chapter that has a widget, run in JupyterLab as a reader runs it; and the map at ten thousand images."""

import re
import time
from functools import partial

import nbformat
import pytest

from dmlbook.chapters import explorers
from tests.browser.lab import ARROWS, ERRORS, ROOT, SECONDS, TRACK, Cell

SHOWS = re.compile(r"^(\w+\(.*\)|\w+)\.(widget|browser)\(\)$|^BrowserView\(", re.MULTILINE)
TEN_THOUSAND = """import matplotlib.pyplot as plt

from dmlbook import book, maps
from dmlbook.book.web import BrowserView
from tests.browser.test_map import scene

image_set, views = scene(10_000)
figure, _ = plt.subplots()
data = maps.view_data(image_set, views, side=16)
BrowserView(maps.MODULE, data, picture=book.png(figure), alt="Ten thousand colored squares on a map.")"""


def with_widgets() -> dict[str, list[int]]:
    """The chapters that show widgets, and the places of their cells among the code cells."""
    found = {}
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        places = [n for n, cell in enumerate(cells) if SHOWS.search(cell.source)]
        if places:
            found[path.stem] = places
    return found


@pytest.fixture
def ran(lab, browser, shoot):
    """A function that runs a notebook of the server's folder. Neither kernel nor console may have complained."""
    opened = []

    def run(name: str):
        page, errors = lab.run(browser, name)
        opened.append((page, errors))
        assert page.locator(ERRORS).all_inner_texts() == []
        return page

    yield run
    for page, errors in opened:
        shoot(page)
        assert page.locator(ERRORS).all_inner_texts() == []
        page.close()
        assert errors == []


PLACES = with_widgets()


def test_every_chapter_with_a_widget_is_found():
    assert {*explorers(), "00", "07", "09"} == {name[:2] for name in PLACES}


@pytest.mark.parametrize("name", PLACES)
def test_a_chapter_runs_and_its_widgets_answer(lab, ran, name):
    lab.keep(name, nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4))
    page = ran(name)
    for place in PLACES[name]:
        root = page.locator(".jp-CodeCell").nth(place).locator(".jp-Cell-outputWrapper")
        if root.locator(".dml-plane").count():
            map_answers(page, root)
            continue
        cell = Cell(page, place)
        view = cell.root.locator(".dmlx svg").count() > 0
        assert cell.root.locator("img").count() == (0 if view else 1)  # the stored picture gives way to what runs
        for mark in cell.root.locator(".dmlx [role=slider]").all():
            cell.answers_keys(mark, "ArrowUp", "ArrowDown", "ArrowLeft", words=False)
        cell.answers_controls(words=False)
        page.set_viewport_size({"width": 800, "height": 1000})
        page.wait_for_timeout(500)
        assert min(cell.tracks()) >= TRACK


def map_answers(page, root) -> None:
    """Arrows go from image to image, pointing finds one, a filter and another method change the picture."""
    plane, said = root.locator(".dml-plane"), root.locator(".dml-caption")
    plane.scroll_into_view_if_needed()
    before = said.inner_text()
    plane.focus()
    for key in ("ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    by_keys = said.inner_text()
    assert by_keys.startswith("Image")
    assert by_keys != before
    page.keyboard.press("Escape")
    box, heard = plane.bounding_box(), set()
    for step in range(40):
        page.mouse.move(box["x"] + 20 + step * (box["width"] - 40) / 40, box["y"] + box["height"] / 2)
        heard.add(said.inner_text())
    assert len(heard) > 2
    picture = partial(plane.locator("canvas").first.evaluate, "canvas => canvas.toDataURL()")
    for menu in (root.get_by_label("class"), root.get_by_label("embedding")):
        first = picture()
        menu.select_option(index=1)
        page.wait_for_timeout(700)
        assert picture() != first


def test_ten_thousand_images_answer_within_a_tenth_of_a_second_in_a_notebook(lab, ran):
    lab.write("many", [TEN_THOUSAND])
    page = ran("many")
    plane, said = page.locator(".dml-plane"), page.locator(".dml-caption")
    plane.wait_for(timeout=60 * SECONDS)
    plane.scroll_into_view_if_needed()
    box, spent, heard = plane.bounding_box(), [], set()
    for step in range(30):
        start = time.perf_counter()
        page.mouse.move(box["x"] + 60 + 10 * step, box["y"] + 80 + 7 * step)
        page.evaluate("new Promise(requestAnimationFrame)")
        spent.append(time.perf_counter() - start)
        heard.add(said.inner_text())
    plane.focus()
    for key in (*ARROWS, "ArrowRight") * 4:
        start = time.perf_counter()
        page.keyboard.press(key)
        page.evaluate("new Promise(requestAnimationFrame)")
        spent.append(time.perf_counter() - start)
        heard.add(said.inner_text())
    assert len(heard) > 5
    assert sorted(spent)[len(spent) // 2] < 0.1
