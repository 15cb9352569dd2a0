"""How long a lesson takes: words and lines of code are counted, and its header says what comes out.

A reader takes a minute for eighty words or for twelve lines of code, those of cells that start collapsed among them:
who opens one reads it. What is folded away is not counted, nor is the section of exercises: each of those says its own
minutes. A header writes ``{reading}`` and ``{exercises}``.
"""

from __future__ import annotations

import math
import re

import nbformat

WORDS_A_MINUTE = 80
LINES_A_MINUTE = 12
LONGEST = 60
"""Minutes of a lesson, its exercises apart."""
FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
HEADING = re.compile(r"^(?=## )", re.MULTILINE)
OF_AN_EXERCISE = re.compile(r"^\*\*(?:Exercise|Investigation) [^\n]*?(\d+) minutes", re.MULTILINE)


def parts(book: nbformat.NotebookNode) -> tuple[list[tuple[str, str]], str]:
    """What is read, as kinds and texts of its pieces; and the Markdown of the section of exercises."""
    read, exercises, inside = [], "", False
    for cell in book.cells:
        if cell.cell_type != "markdown":
            read += [] if inside else [("code", cell.source)]
            continue
        for piece in HEADING.split(cell.source):
            inside = piece.startswith("## Exercises") or (inside and not piece.startswith("## "))
            if inside:
                exercises += f"{piece}\n\n"
            else:
                read.append(("words", piece))
    return read, exercises


def minutes(book: nbformat.NotebookNode) -> tuple[float, int]:
    """Of a notebook: the minutes to read it, its exercises apart; and the minutes that its exercises say."""
    read, exercises = parts(book)
    words = sum(len(FOLDED.sub("", text).split()) for kind, text in read if kind == "words")
    lines = [line.strip() for kind, text in read if kind == "code" for line in text.splitlines()]
    code = sum(bool(line) and not line.startswith("#") for line in lines)
    of_each = [int(said) for said in OF_AN_EXERCISE.findall(exercises)]
    return words / WORDS_A_MINUTE + code / LINES_A_MINUTE, sum(of_each)


def told(book: nbformat.NotebookNode) -> None:
    """Put a notebook's minutes into its header, in place: those to read it rounded up to five."""
    reading, exercises = minutes(book)
    first = book.cells[0]
    first.source = first.source.replace("{reading}", str(5 * math.ceil(reading / 5)))
    first.source = first.source.replace("{exercises}", str(exercises))
