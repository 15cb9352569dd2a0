"""JupyterLab as the browser tests drive it: a server of its own, notebooks that run in it, and their cells."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path

import nbformat

SETTINGS = {
    "notebook-extension/tracker": '{"windowingMode": "none"}',
    "apputils-extension/notification": '{"fetchNews": "false"}',
}
CAPTIONS = ".jp-OutputArea-output .dmlx-caption"
ERRORS = '[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'
ARROWS = ("ArrowDown", "ArrowUp")
SECONDS = 1000  # of Playwright, which counts in milliseconds
DRAWN = """all => Promise.all(all.map(async (each) => {
  if (each.tagName !== "IMG") return each.outerHTML;
  for (let tries = 0; tries < 50; tries++) {
    const found = await fetch(each.src).then((answer) => answer.text()).catch(() => 0);
    if (found) return found;
    await new Promise((then) => setTimeout(then, 20)); // another one has come
  }
  throw Error(`no picture: ${each.src}`);
}))"""
SELECTED = """[document.querySelector('.jp-Cell.jp-mod-active .jp-InputArea').textContent,
  document.querySelectorAll('.jp-Cell').length]"""
TRACK = 120  # pixels that a slider has at least, also in a window of 800
ROOT = Path(__file__).resolve().parents[2]
END = "every cell has run"
DONE = """([errors, end]) => document.querySelector(errors) ||
  [...document.querySelectorAll('.jp-OutputArea-output')].some((each) => each.textContent.trim() === end)"""


class Lab:
    """A server with settings and a folder of its own, in which notebooks run in smoke mode.

    Args:
        root: The folder that it shows.
        settings: Where it keeps what it must.
    """

    def __init__(self, root: Path, settings: Path) -> None:
        self.root, self.log = root, settings / "lab.log"
        for name, text in SETTINGS.items():
            path = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        folders = {"SETTINGS_DIR": settings, "WORKSPACES_DIR": settings / "spaces"}
        environment = {f"JUPYTERLAB_{name}": str(path) for name, path in folders.items()}
        environment |= {"JUPYTER_CONFIG_DIR": str(settings / "config"), "OMP_NUM_THREADS": "1"}
        environment |= {"DMLBOOK_MODE": "smoke", "PYTHONPATH": str(ROOT)}
        options = ["--allow-root", "--no-browser", f"--port={self.port}", "--IdentityProvider.token=t"]
        command = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={root}"]
        with self.log.open("w") as said:
            self.server = subprocess.Popen(command, env=os.environ | environment, stdout=said, stderr=said, cwd=root)

    def wait(self, seconds: float = 120) -> None:
        """Until it answers."""
        start = time.monotonic()
        while time.monotonic() - start < seconds and self.server.poll() is None:
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api", timeout=5).close()
            except OSError:
                time.sleep(0.3)
        raise AssertionError(f"JupyterLab does not answer:\n{self.log.read_text()[-2000:]}")

    def close(self) -> None:
        self.server.terminate()
        self.server.wait(30)

    def write(self, name: str, sources: list[str]) -> None:
        """A notebook of these code cells."""
        self.keep(name, nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources]))

    def keep(self, name: str, book: nbformat.NotebookNode) -> None:
        """A notebook as it is, with a last cell that says that it was reached."""
        book.metadata["kernelspec"] = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
        book.cells.append(nbformat.v4.new_code_cell(f"print('{END}')", id="the-end"))
        nbformat.write(book, self.root / f"{name}.ipynb")

    def run(self, browser, name: str, seconds: float = 300):
        """The notebook after all its cells have run, or one has failed; and the errors of the console so far."""
        page, errors = browser.new_page(viewport={"width": 1400, "height": 1000}), []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(f"http://127.0.0.1:{self.port}/lab/tree/{name}.ipynb?token=t&reset")
        page.locator(".jp-CodeCell").first.wait_for(timeout=120 * SECONDS)
        idle = page.get_by_text("Python 3 (ipykernel) | Idle")
        idle.wait_for(timeout=120 * SECONDS)  # before that it asks for a kernel
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.wait_for_function(DONE, arg=[ERRORS, END], timeout=seconds * SECONDS)
        idle.wait_for(timeout=120 * SECONDS)
        page.set_default_timeout(20 * SECONDS)
        return page, errors


class Cell:
    """The output of one cell: its controls, what it says, and what it draws."""

    def __init__(self, page, place: int) -> None:
        self.page = page
        self.root = page.locator(".jp-CodeCell").nth(place).locator(".jp-Cell-outputWrapper")
        self.readout, self.drawn = self.root.locator(".dmlx-caption"), self.root.locator(".dmlx-picture, .dmlx svg")
        self.root.scroll_into_view_if_needed()

    def state(self) -> tuple[str, list[str]]:
        """What is said, and the pixels or shapes that are drawn."""
        return self.readout.inner_text(), self.drawn.evaluate_all(DRAWN)

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
        """A key changes what is shown, and neither the notebook's selection nor the number of its cells."""
        control.focus()
        before = self.page.evaluate(SELECTED)
        self.answers(*(partial(control.press, key) for key in keys), words=words)
        assert self.page.evaluate(SELECTED) == before
        assert control.evaluate("control => control.getRootNode().activeElement.closest('.dmlx') !== null")

    def answers_controls(self, words: bool = True) -> None:
        """Every slider, every choice and every button, by mouse and by keys.

        A slider whose places have names may change the picture alone: what it says is which part the others move.
        """
        for slider in self.root.locator("input[type=range]").all():
            width, named = slider.bounding_box()["width"], "dmlx-wordy" in slider.locator("..").get_attribute("class")
            by_mouse = [partial(slider.click, position={"x": share * width, "y": 8}) for share in (0.3, 0.75)]
            self.answers(*by_mouse, words=words and not named)
            for keys in (("ArrowRight", "ArrowLeft"), ("ArrowUp", "ArrowDown")):
                self.answers_keys(slider, *keys, words=False)  # one step may change no figure that is said
        for group in self.root.locator("fieldset").all():
            choices = group.get_by_role("radio").all()
            self.answers(*(choice.check for choice in choices), words=False)
            for key in (*ARROWS, "ArrowRight", "ArrowLeft"):
                self.answers_keys(group.locator("input:checked"), key, words=False)
        buttons = self.root.get_by_role("button").all()
        for button in buttons:
            self.answers(button.click)
        for key in ("Enter", " "):
            for button in buttons:
                self.answers_keys(button, key)

    def tracks(self) -> list[float]:
        """How wide its sliders are, in pixels."""
        return [slider.bounding_box()["width"] for slider in self.root.locator("input[type=range]").all()]
