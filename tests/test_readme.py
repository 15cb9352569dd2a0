"""README: its table is made from the chapters, its commands are commands, its snippets run."""

import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import contents
import pytest

from dmlbook.__main__ import COMMANDS, main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCES = sorted((ROOT / "notebooks" / "src").glob("*.py"))
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHELL = [line.split("  #")[0].strip() for line in re.findall(r"^    (\S.*)$", README, re.MULTILINE)]
INLINE = re.findall(r"`((?:make|python -m dmlbook) [^`]+)`", README)


def source(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_table_is_made_from_the_chapters():
    assert contents.updated(README, SOURCES) == README, "run `make book`"
    assert [contents.header(path)[0] for path in SOURCES] == [path.name.partition("_")[0] for path in SOURCES]


def test_a_new_chapter_takes_the_place_of_the_one_to_come(tmp_path):
    new = source(tmp_path, "10_benches.py", "# %% [markdown]\n# # 10 · Benches\n#\n# **Question.** What else?\n")
    text = contents.updated(README, [*SOURCES, new])
    assert "| 10 | [Benches](notebooks/10_benches.ipynb) | What else? |\n" in text
    assert "| 10 | to come" in README
    assert "| 10 | to come" not in text
    rows = re.findall(r"^\| (\d\d[a-z]?) \|", text, re.MULTILINE)
    assert rows == sorted(set(rows))
    assert text.split(contents.END)[1] == README.split(contents.END)[1]


def test_a_chapter_without_a_header_and_a_readme_without_a_place_are_named(tmp_path):
    bare = source(tmp_path, "06_field.py", "# %% [markdown]\n# # 07 · The field\n#\n# **Question.** What else?\n")
    with pytest.raises(ValueError, match="contents: 06_field.py must begin with '# NN · Title'"):
        contents.header(bare)
    with pytest.raises(ValueError, match=r"contents: the table must stand between .* got README.md without them"):
        contents.updated("# dmlbook\n", SOURCES)


def test_every_link_leads_to_a_file():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_runs_by_itself(number):
    done = subprocess.run(
        [sys.executable, "-c", SNIPPETS[number]], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "distinct centers of 10" in done.stdout


def test_the_commands_are_commands(monkeypatch, capsys):
    """Each is read by the parser that it is meant for; nothing is trained."""
    asked = []
    for name in COMMANDS:
        module = import_module(f"dmlbook.commands.{name}")
        monkeypatch.setattr(module, "run", lambda options: asked.append(options.command) or 0)
    lines = [line.removeprefix("python -m dmlbook ") for line in [*SHELL, *INLINE] if "-m dmlbook" in line]
    for line in lines:
        if "--help" in line:
            with pytest.raises(SystemExit, match="0"):
                main(shlex.split(line))
        else:
            assert main(shlex.split(line)) == 0, line
    assert {"check", "train"} <= set(asked)
    assert "usage: python -m dmlbook train" in capsys.readouterr().out


def test_the_commands_are_run_in_the_environment_that_make_has_made():
    activate = SHELL.index("source .venv/bin/activate")
    assert all(SHELL.index(line) > activate for line in SHELL if "-m dmlbook" in line)
    assert "VENV ?= .venv" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_targets_of_make_are_there():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {line.split()[1] for line in [*SHELL, *INLINE] if line.startswith("make ")}
    assert {"lab", "test", "book"} <= asked
    assert asked <= targets
