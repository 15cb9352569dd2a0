"""README's table of chapters, made from the chapters' own headers; those without a source stay there as "to come"."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- chapters: made by `make book` from notebooks/src -->\n", "<!-- end of chapters -->\n"
TITLE = re.compile(r"^# # (\d\d[a-z]?) · (.+)$", re.MULTILINE)
QUESTION = re.compile(r"^# \*\*Question\.\*\* (.+)$", re.MULTILINE)
TO_COME = re.compile(r"^\| (\d\d[a-z]?) \| to come \| (.+) \|$", re.MULTILINE)


def header(source: Path) -> tuple[str, str, str]:
    """Number, title and question of a chapter, from the first cell of its paired text.

    Raises:
        ValueError: The first cell has no title of the form ``# 04 · How many centers?``, or no question.
    """
    text = source.read_text(encoding="utf-8")
    title, question = TITLE.search(text), QUESTION.search(text)
    if title is None or question is None or title[1] != source.name.partition("_")[0]:
        rule = "begin with '# NN · Title', NN as in the file's name, and '**Question.** ...'"
        raise ValueError(f"contents: {source.name} must {rule}; got {text[:60]!r}. Write its first cell so.")
    return title[1], title[2], question[1]


def table(sources: list[Path], to_come: dict[str, str]) -> str:
    """The chapters as Markdown; ``to_come`` gives the questions of chapters, by number, that may have no source yet."""
    rows = {number: f"| {number} | to come | {question} |" for number, question in to_come.items()}
    for source in sources:
        number, title, question = header(source)
        rows[number] = f"| {number} | [{title}](notebooks/{source.stem}.ipynb) | {question} |"
    return "\n".join(["| | chapter | question |", "|---|---|---|", *(rows[number] for number in sorted(rows))]) + "\n"


def updated(readme: str, sources: list[Path]) -> str:
    """README with its table made anew.

    Raises:
        ValueError: The two comments between which the table stands are missing.
    """
    before, begin, rest = readme.partition(BEGIN)
    former, end, after = rest.partition(END)
    if not begin or not end:
        got = "README.md without them"
        raise ValueError(f"contents: the table must stand between {BEGIN!r} and {END!r}; got {got}. Put them back.")
    return before + begin + table(sources, dict(TO_COME.findall(former))) + end + after
