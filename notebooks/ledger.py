"""The equation ledger: every numbered formula of the book, where it comes from, what computes it, what tests it.

Formulas without a number are listed too, so that a sign in them does not change unseen: displayed ones in
``tests/unnumbered.toml`` with what holds them, those within lines in ``tests/inline_formulas.txt``. After a formula in
a line was changed on purpose and read again: ``python notebooks/ledger.py --accept``.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import jupytext

from dmlbook._files import write_whole

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "tests" / "equations.toml"
UNNUMBERED = ROOT / "tests" / "unnumbered.toml"
WITHIN = ROOT / "tests" / "inline_formulas.txt"
SOURCES = ROOT / "notebooks" / "src"
PAGE = ROOT / "notebooks" / "equations.md"
DISPLAY = re.compile(r"\$\$(.*?)\$\$", re.DOTALL)
TAG = re.compile(r"\\tag\{([^}]*)\}")
INLINE = re.compile(r"\$([^$]+)\$")
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
SCRIPTS = re.compile(r"_\{[^}]*\}")  # an index such as n-1 states nothing
STATES = re.compile(r"[-+=<>]|\\(?:le|ge|ne|leq|geq|approx|to|in|notin|propto|sim|ll|gg|pm|subset|longrightarrow)\b")

WITHIN_HEAD = """\
# What formulas within lines state, chapter by chapter: those with a relation or a sign. A test fails where a chapter
# says otherwise. Read the formula again, and what stands around it; then run: python notebooks/ledger.py --accept"""
HEAD = """# Equations

Every numbered formula of the chapters: what it says, where it comes from, which function computes it, and which tests
hold the two together. Made from `tests/equations.toml` by `make book`; a test fails where this page, a chapter and that
file disagree.
"""


def rows(path: Path = ROWS) -> list[dict]:
    """The ledger, in the order of the numbers."""
    found = tomllib.loads(path.read_text(encoding="utf-8")).get("equation", [])
    return sorted(found, key=lambda row: [int(part) for part in row["id"].split(".")])


def numbered(text: str) -> dict[str, str]:
    """The numbered formulas of a Markdown text: their LaTeX, without the number, by number.

    Raises:
        ValueError: A number occurs twice.
    """
    found = {}
    for formula in DISPLAY.findall(text):
        for number in TAG.findall(formula):
            if number in found:
                raise ValueError(f"ledger: numbers must be unique; got {number} twice. Renumber one of them.")
            found[number] = plain(TAG.sub("", formula))
    return found


def plain(latex: str) -> str:
    """One line, single spaces."""
    return " ".join(latex.split())


def page(found: list[dict], chapters: dict[str, str]) -> str:
    """The ledger as Markdown; ``chapters`` gives the files of chapters and companions by their numbers."""
    parts, chapter = [HEAD], None
    for row in found:
        if (of_row := f"{int(row['id'].split('.')[0]):02}") != chapter:
            chapter = of_row
            files = [f"[{number}]({name})" for number, name in chapters.items() if number[:2] == chapter]
            parts.append(f"## Chapter {', '.join(files)}\n")
        parts.append(f"**({row['id']}) {row['name']}**\n\n$$\n{plain(row['latex'])}\n$$\n")
        tests = tests_named(row["tests"])
        parts.append(f"- Source: {row['source']}\n- Function: `{row['function']}`\n- Tests: {tests}\n")
    return "\n".join(parts)


def tests_named(tests: list[str]) -> str:
    """Node ids as Markdown: each test, and the file that it stands in."""
    return ", ".join(f"`{test.split('::')[1]}` in `{test.split('::')[0]}`" for test in tests)


def unnumbered(text: str) -> list[str]:
    """The displayed formulas of a Markdown text that have no number, one line each."""
    return [plain(formula) for formula in DISPLAY.findall(text) if not TAG.search(formula)]


def inline(text: str) -> list[str]:
    """What the formulas within lines state: those with a relation or a sign, one line each, each once."""
    found = INLINE.findall(CODE.sub(" ", DISPLAY.sub(" ", text)))
    return list(dict.fromkeys(plain(formula) for formula in found if STATES.search(SCRIPTS.sub("", formula))))


def prose(source: Path) -> str:
    """The Markdown cells of a chapter's paired text, one after the other."""
    return "\n\n".join(cell.source for cell in jupytext.read(source).cells if cell.cell_type == "markdown")


def steps(path: Path = UNNUMBERED) -> list[dict]:
    """The rows of displayed formulas without a number: chapter, LaTeX, and what holds them."""
    return tomllib.loads(path.read_text(encoding="utf-8")).get("formula", [])


def read_inline(path: Path = WITHIN) -> dict[str, list[str]]:
    """The formulas within lines that were read last, by chapter."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        if line and not line.startswith("#"):
            chapter, _, latex = line.partition(" ")
            found.setdefault(chapter, []).append(latex)
    return found


def inline_changes(was: dict[str, list[str]], now: dict[str, list[str]]) -> list[str]:
    """Formulas that stand in a chapter and were not read, and those that stand there no longer; renamed or bent."""
    found = []
    for chapter in sorted({*was, *now}):
        before, after = was.get(chapter, []), now.get(chapter, [])
        found += [f"{chapter}: was ${latex}$" for latex in before if latex not in after]
        found += [f"{chapter}: now ${latex}$" for latex in after if latex not in before]
    return found


def main(arguments: list[str]) -> int:
    """Show which formulas within lines have changed; with ``--accept``, list them anew: they were read again."""
    now = {path.name.partition("_")[0]: inline(prose(path)) for path in sorted(SOURCES.glob("*.py"))}
    print(*inline_changes(read_inline(WITHIN), now), sep="\n")
    if arguments == ["--accept"]:
        lines = [f"{chapter} {latex}" for chapter, found in now.items() for latex in found]
        write_whole(WITHIN, "\n".join([WITHIN_HEAD, *lines, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
