"""notebooks/build.py: paired text in, executed notebook out, whole or not at all."""

import html
import json
import os
import platform
import re
from pathlib import Path

import build
import nbformat
import pytest
import stored

from dmlbook import maps

CHAPTER = """\
# %% [markdown]
# # A chapter

# %%
import sys
print("out", end=" ")
print("seen by few", file=sys.stderr)
print("and out")

# %% tags=["nbval-check-output"]
6 * 7

# %%
from base64 import b64decode
from IPython.display import display
DOT = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")
display({"image/png": DOT}, raw=True, metadata={"image/png": {"alt": 'A "single" dot.'}})

# %%
import ipywidgets
ipywidgets.IntSlider()

# %%
6 * 7

# %%
6 * 7
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "notebooks" / "src").mkdir(parents=True)
    return tmp_path / "notebooks"


def write_chapter(folder: Path, name: str, text: str) -> Path:
    (folder / "src" / f"{name}.py").write_text(text, encoding="utf-8")
    return folder / f"{name}.ipynb"


@pytest.mark.slow
def test_a_notebook_is_executed_and_stored_without_traces_of_the_machine(folder, capsys):
    target = write_chapter(folder, "00_first", CHAPTER)
    assert build.main(["00"], folder) == 0
    assert capsys.readouterr().out.startswith("00_first.ipynb: ")
    book = nbformat.read(target, as_version=4)
    nbformat.validate(book)
    code = book.cells[1:]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, 5, 6]
    assert {output.name: output.text for output in code[0].outputs} == {
        "stdout": "out and out\n",
        "stderr": "seen by few\n",
    }
    assert code[1].outputs[0].data["text/plain"] == "42"
    assert code[1].metadata == {"tags": ["nbval-check-output"]}
    assert code[2].metadata == {"alt": 'A "single" dot.'}
    assert code[3].outputs[0].data["text/markdown"] == build.WIDGET_NOTE
    assert book.metadata.kernelspec == build.METADATA["kernelspec"]
    assert set(book.metadata) == set(build.METADATA)
    assert book.metadata.language_info.version == platform.python_version()  # as JupyterLab would write it in
    assert book.metadata.language_info.codemirror_mode == {"name": "ipython", "version": 3}
    assert len({cell.id for cell in book.cells}) == 7  # also of cells that say the same

    first = target.read_bytes()
    assert b"\r" not in first
    assert build.main([], folder) == 0
    assert target.read_bytes() == first
    assert {path.name for path in folder.iterdir()} == {"src", "00_first.ipynb", "outputs.json"}
    noted = stored.read(folder / "outputs.json")
    assert list(noted) == ["00_first"]
    assert stored.changes("00_first", nbformat.read(target, as_version=4), noted["00_first"]) == []
    compared = [cell.get("compared", False) for cell in noted["00_first"]["cells"].values()]
    assert compared == [True, True, True, False, True, True]  # all but the widget

    (folder.parent / "README.md").write_text("# A book\n", encoding="utf-8")
    assert build.main(["--html", "00"], folder) == 0
    page = folder.parent / "build" / "html" / "00_first.html"
    assert capsys.readouterr().out.splitlines()[-1] == str(page)
    shown = page.read_text(encoding="utf-8")
    assert re.search(r"""<img alt=(["'])A "single" dot\.\1 """, html.unescape(shown))
    assert html.unescape(shown).count("A widget: run this cell to use it.") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("marked = 1 / 0", "ZeroDivisionError: division by zero"),
        ("import os\nos._exit(1)  # marked", "Kernel died"),
        ("import time\ntime.sleep(60)  # marked", "timed out"),
    ],
)
def test_a_failing_cell_is_shown_and_the_former_notebook_kept(folder, capsys, monkeypatch, cell, said):
    monkeypatch.setattr(build, "SECONDS_PER_CELL", 3)
    target = write_chapter(folder, "00_first", f"# %%\nx = 1\n\n# %%\n{cell}\n")
    target.write_text("the former notebook")
    assert build.main([], folder) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("00_first.ipynb: failed; the former notebook is kept")
    assert "marked" in complaint
    assert said in complaint
    assert target.read_text() == "the former notebook"
    assert len(list(folder.iterdir())) == 2


SIZED = """\
# %%
import os
print("mode", os.environ.get("DMLBOOK_MODE"))

# %%
print(0.25)

# %%
MORE
"""


@pytest.mark.slow
def test_what_depends_on_the_size_of_a_run_is_not_compared(folder, capsys, monkeypatch):
    monkeypatch.delenv("DMLBOOK_MODE", raising=False)
    target = write_chapter(folder, "00_first", SIZED.replace("MORE", "x = 1"))
    write_chapter(folder, "01_second", "# %%\nprint(2)\n")
    assert build.main([], folder) == 0
    assert "00_first.ipynb: 1 of 2 cells that say something are compared" in capsys.readouterr().out
    noted = stored.read(folder / "outputs.json")
    assert [cell.get("compared", False) for cell in noted["00_first"]["cells"].values()] == [False, True, False]

    first, file = target.read_bytes(), folder / "outputs.json"
    former = file.read_bytes()
    file.write_bytes(former.replace(b'"compared": true', b'"compared": false'))
    assert build.main(["--note", "00", "01"], folder) == 0
    assert file.read_bytes() == former
    assert target.read_bytes() == first

    write_chapter(folder, "00_first", SIZED.replace("MORE", "assert os.environ.get('DMLBOOK_MODE') != 'smoke'"))
    assert build.main(["00"], folder) == 1
    assert "00_first.ipynb: stored, but fails in smoke mode" in capsys.readouterr().err


SHOWN = """\
# %%
from base64 import b64decode
from IPython.display import display
DOT = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")


def show(kind, alt):
    display({"image/png": DOT, "text/plain": kind}, raw=True, metadata={"image/png": {"alt": alt}})


# %%
show("dot", alt="A single dot.")

# %%
show("line", alt="A line that rises.")
"""


@pytest.mark.slow
def test_alt_texts_that_changed_places_are_not_stored(folder, capsys):
    target = write_chapter(folder, "00_first", SHOWN)
    assert build.main([], folder) == 0
    former = target.read_bytes()
    swapped = SHOWN.replace("A single dot.", "X").replace("A line that rises.", "A single dot.")
    write_chapter(folder, "00_first", swapped.replace("X", "A line that rises."))
    assert build.main([], folder) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("00_first.ipynb: failed; the former notebook is kept")
    assert "an alt text of another figure: 'A single dot.'" in complaint
    assert "remove the notebook and build it again" in complaint
    assert target.read_bytes() == former
    target.unlink()
    assert build.main([], folder) == 0


def test_the_id_of_a_cell_survives_a_change_elsewhere(folder):
    write_chapter(folder, "00_first", "# %%\nx = 1\n\n# %%\ny = 2\n")
    before = build.read_text(folder / "src" / "00_first.py").cells
    write_chapter(folder, "00_first", "# %% [markdown]\n# New.\n\n# %%\nx = 3\n\n# %%\ny = 2\n")
    after = build.read_text(folder / "src" / "00_first.py").cells
    assert before[1].id == after[2].id
    assert before[0].id != after[1].id


def test_an_interrupted_write_leaves_the_former_file(tmp_path, monkeypatch):
    target = tmp_path / "a.ipynb"
    build.write_whole(target, "former")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build.write_whole(target, "half")
    assert target.read_text() == "former"
    assert list(tmp_path.iterdir()) == [target]


def test_chapters_are_chosen_by_the_beginning_of_their_names():
    sources = [Path("src/00_first.py"), Path("src/07_training.py")]
    assert build.chosen([], sources) == sources
    assert build.chosen(["07"], sources) == sources[1:]
    assert build.chosen(["notebooks/00_first.ipynb", "07_training.py"], sources) == sources
    with pytest.raises(SystemExit, match="no chapter begins with 08; there are 00_first, 07_training"):
        build.chosen(["07", "08"], sources)


LIVE_CHAPTER = """# %% [markdown]
# # 01 · Live
#
# **Question.** Does it run?

# %%
import io

from PIL import Image

from dmlbook import maps
from dmlbook.book.web import BrowserView

still = io.BytesIO()
Image.new("RGB", (2, 2), "red").save(still, format="png")
BrowserView(maps.MODULE, {"number": 7}, picture=still.getvalue(), alt='A red square, "still" before it runs.')
"""


@pytest.mark.slow
def test_a_view_is_stored_as_its_picture_and_runs_on_the_page_on_what_it_was_fed(folder):
    target = write_chapter(folder, "01_live", LIVE_CHAPTER)
    assert build.main([], folder) == 0
    (output,) = nbformat.read(target, as_version=4).cells[1].outputs
    assert set(output.data) == {"text/html", "text/plain"}
    assert output.data["text/html"].startswith('<img alt="A red square, &quot;still&quot; before it runs." src="data:')
    assert output.metadata == {"dmlbook": {"live": "01_live-1"}}
    (fed,) = (folder / "live").iterdir()
    assert fed.name == "01_live-1.json"
    assert json.loads(fed.read_text()) == {"module": "maps/web/map.js", "data": {"number": 7}}

    (folder.parent / "README.md").write_text("# A book\n", encoding="utf-8")
    assert build.main(["--html"], folder) == 0
    site = folder.parent / "build" / "html"
    page = (site / "01_live.html").read_text(encoding="utf-8")
    (place,) = re.findall(r'<div data-live="01_live-1">(.*?)</div>', page, re.DOTALL)
    assert html.unescape(re.search(r'alt="([^"]*)"', place)[1]) == 'A red square, "still" before it runs.'
    assert re.findall(r'<script defer src="_static/live/([\w-]+)\.js">', page) == ["01_live-1", "host"]
    script = (site / "_static" / "live" / "01_live-1.js").read_text(encoding="utf-8")
    assert json.loads(script.partition(" = ")[2].rstrip(";"))["data"] == {"number": 7}
    assert (site / "_static" / "live" / "host.js").read_bytes() == maps.page.HOST.read_bytes()

    write_chapter(folder, "01_live", LIVE_CHAPTER.partition("BrowserView(maps")[0] + "print(maps.MODULE.name)\n")
    assert build.main([], folder) == 0
    assert not list((folder / "live").iterdir())
