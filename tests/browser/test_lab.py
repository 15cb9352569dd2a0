"""The explorers in JupyterLab, with a kernel: each control is moved by mouse and by keyboard, and is answered."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path

import nbformat
import pytest

from dmlbook.chapters import explorers
from tests.browser.test_modules import CHAPTERS, drag, middle

ALL = tuple(explorers())
CELL = "from dmlbook.chapters import explorers\n\nexplorers()['{}']().{}()"
SETTINGS = {
    "notebook-extension/tracker": '{"windowingMode": "none"}',
    "apputils-extension/notification": '{"fetchNews": "false"}',
}
CAPTIONS = ".jp-OutputArea-output :is(.dmlx-caption, .widget-html-content)"
SHOWN = """([captions, count]) => {
  const all = [...document.querySelectorAll(captions)];
  const pictures = [...document.querySelectorAll('.jp-OutputArea-output img')];
  return all.length === count && all.every((each) => each.textContent) && pictures.every((each) => each.naturalWidth);
}"""
ERRORS = '[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'
ARROWS = ("ArrowDown", "ArrowUp")
SECONDS = 1000  # of Playwright, which counts in milliseconds


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A server of its own, with settings of its own; the address of a notebook in it that shows every explorer."""
    root, settings = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("settings")
    sources = [CELL.format(number, "widget") for number in ALL] + [
        CELL.format(number, "browser") for number in CHAPTERS
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    book.metadata["kernelspec"] = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    nbformat.write(book, root / "explorers.ipynb")
    for name, text in SETTINGS.items():
        path = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = {"SETTINGS_DIR": settings, "WORKSPACES_DIR": settings / "spaces"}
    environment = {f"JUPYTERLAB_{name}": str(path) for name, path in folders.items()}
    environment |= {"JUPYTER_CONFIG_DIR": str(settings / "config"), "OMP_NUM_THREADS": "1"}
    options = ["--allow-root", "--no-browser", f"--port={port}", "--IdentityProvider.token=t"]
    command = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={root}"]
    log = settings / "lab.log"
    with log.open("w") as said:
        server = subprocess.Popen(command, env=os.environ | environment, stdout=said, stderr=said, cwd=root)
    try:
        wait_for(server, f"http://127.0.0.1:{port}/api", log)
        yield f"http://127.0.0.1:{port}/lab/tree/explorers.ipynb?token=t&reset"
    finally:
        server.terminate()
        server.wait(30)


def wait_for(server: subprocess.Popen, address: str, log: Path, seconds: float = 120) -> None:
    start = time.monotonic()
    while time.monotonic() - start < seconds and server.poll() is None:
        try:
            return urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"JupyterLab does not answer:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def notebook(lab, browser):
    """The notebook after all its cells have run, and the errors of the browser's console so far."""
    page, errors = browser.new_page(viewport={"width": 1400, "height": 1000}), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(lab)
    page.locator(".jp-CodeCell").first.wait_for(timeout=120 * SECONDS)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=120 * SECONDS)  # before that it asks for a kernel
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(SHOWN, arg=[CAPTIONS, len(ALL) + len(CHAPTERS)], timeout=240 * SECONDS)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=120 * SECONDS)
    page.set_default_timeout(20 * SECONDS)
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


class Cell:
    """The output of one cell: its controls, what it says, and what it draws."""

    def __init__(self, page, place: int, drawn: str) -> None:
        self.page = page
        self.root = page.locator(".jp-CodeCell").nth(place).locator(".jp-Cell-outputWrapper")
        self.readout, self.drawn = self.root.locator(".dmlx-caption, .widget-html-content"), self.root.locator(drawn)
        self.root.scroll_into_view_if_needed()

    def state(self) -> tuple[str, list[str]]:
        return self.readout.inner_text(), self.drawn.evaluate_all("all => all.map(each => each.src ?? each.outerHTML)")

    def answers(self, *acts, words: bool = True) -> None:
        """One of the acts changes picture and words: the second is for a control that stood at its end.

        Not all that is seen is said: without ``words`` it is enough that the picture changes.
        """
        before = self.state()
        for act in acts:
            act()
            until = time.monotonic() + (20 if act is acts[-1] else 3)
            while time.monotonic() < until:
                said, drawn = self.state()
                if drawn != before[1] and (said != before[0] or not words):
                    return
                self.page.wait_for_timeout(30)
        raise AssertionError(f"no answer to {acts}: {before[0]}")

    def answers_keys(self, control, *keys: str, words: bool = True) -> None:
        self.answers(*(partial(control.press, key) for key in keys), words=words)

    def answers_menus_and_buttons(self, opens: tuple[str, ...] = ()) -> None:
        """``opens`` are the keys before the arrow, and Enter behind it, where a menu answers arrows only when open."""
        for menu in self.root.locator("select").all():
            self.answers(*(partial(menu.select_option, index=place) for place in (1, 0)), words=False)
            by_keys = [partial(self.press, menu, *opens, key, *("Enter" for _ in opens)) for key in ARROWS]
            self.answers(*by_keys, words=False)
        buttons = self.root.get_by_role("button").all()
        for button in buttons:
            self.answers(button.click)
        for button in buttons:
            self.answers_keys(button, "Enter")

    def press(self, control, *keys: str) -> None:
        control.focus()
        for key in keys:
            self.page.keyboard.press(key)


def share_of(page, handle, track, share: float) -> None:
    """Drag a slider's handle to a share of its track."""
    handle.scroll_into_view_if_needed()
    box = track.bounding_box()
    drag(page, handle, (box["x"] + share * box["width"], box["y"] + box["height"] / 2))


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
    assert cell.root.get_by_role("button").count() == len(explorer.buttons)
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
