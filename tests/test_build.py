"""notebooks/build.py: paired text in, executed notebook out, whole or not at all."""

import html
import os
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import nbformat
import pytest

SPEC = spec_from_file_location("book_build", Path(__file__).resolve().parents[1] / "notebooks" / "build.py")
build = module_from_spec(SPEC)
SPEC.loader.exec_module(build)

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
    assert book.metadata == build.METADATA
    assert len({cell.id for cell in book.cells}) == 7  # also of cells that say the same

    first = target.read_bytes()
    assert b"\r" not in first
    assert build.main([], folder) == 0
    assert target.read_bytes() == first
    assert {path.name for path in folder.iterdir()} == {"src", "00_first.ipynb"}

    assert build.main(["--html"], folder) == 0
    page = (folder.parent / "build" / "html" / "00_first.html").read_text(encoding="utf-8")
    assert re.search(r"""<img alt=(["'])A "single" dot\.\1 src="data:image/png;base64,iVBOR""", html.unescape(page))
    assert "No description" not in page


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
