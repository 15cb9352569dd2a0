"""The equation ledger: every numbered formula of the book, where it comes from, what computes it, what tests it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "tests" / "equations.toml"
PAGE = ROOT / "notebooks" / "equations.md"
DISPLAY = re.compile(r"\$\$(.*?)\$\$", re.DOTALL)
TAG = re.compile(r"\\tag\{([^}]*)\}")

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
