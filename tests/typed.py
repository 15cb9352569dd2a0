"""Numbers that are typed into prose: which cell says each of them, or where else it comes from."""

from __future__ import annotations

import ast
import functools
import re
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path

import stored

from dmlbook import chapters

ROWS = Path(__file__).with_name("typed_numbers.toml")
KINDS = {
    "set": "the text sets it: an example, a task, a setting, an amount of time",
    "follows": "it follows from numbers beside it, by a step that the text says",
    "cited": "another work says so, which is named beside it",
    "shown": "a cell of another section or chapter prints it, which is named beside it",
    "drawn": "a figure or an explorer of its section shows it, and no cell prints it",
    "known": "a constant or a fact that anyone can look up",
}
MATH = re.compile(r"\$\$.*?\$\$|\$[^$]*\$", re.DOTALL)
REFERRED = (
    r"(?:[Ss]ections?|[Ee]xercises?|[Ii]nvestigations?|[Cc]hapters?|[Pp]redict(?:ions?)?|[Ff]ormulas?|[Ee]quations?)"
)
# What holds numbers that measure nothing: code, links, headings, HTML, the names of papers, places in the book, years.
APART = re.compile(
    rf"```.*?```|`[^`]*`|!?\[[^\]]*\]\([^)]*\)|<[^>]+>|^\#.*?$|arXiv\s+[\d.]+|"
    rf"(?:\b{REFERRED}\s+|§)\d+[bc]?(?:\.\d+)?(?:(?:,?\s(?:and|to|or)\s|,\s)§?\d+[bc]?\.\d+)*|"
    r"(?<![\w.,])(?:19|20)\d\d(?!\w|[.,]\d)|\*\*\d\d\*\*|(?<![\w.,])0\d[a-z]?(?!\w)(?:\.\d+)?|"
    r"\b[A-Za-z][\w-]*-\d+(?:-\d+)*\b(?!\.\d)|difficulty \d of 5(?: · \d+ minutes)?|95 percent interval|"
    r"\*\*Time\*\* about \d+ minutes(?: to read)?(?:, half as much again with a pencil)?(?: \([^)\d]*\))?"
    r"(?:,\s+and \d+ for the exercises?)?",
    re.DOTALL | re.MULTILINE,
)
PLACE = re.compile(
    r"\\tag\{([\d.]+)\}|^#+ (\d+[bc]?\.\d+)|(?:Exercise|Investigation|Predict(?:ion)?) (\d+\.\d+)", re.MULTILINE
)
NUMBER = re.compile(r"(?<![\w.,])(?:\d[\d,]*\d|\d)(?:\.\d+)?(?!\w|\.\d)|(?<![\w.])\.\d+")
UNIT = re.compile(r"\s?(?:percent|%|points?\b|seconds?\b|minutes?\b|hours?\b|degrees\b|°)")
ANY = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")
HEADING = re.compile(r"^(?=## )", re.MULTILINE)


def value(text: str) -> str:
    """A number without commas, and with a digit before its point: what two ways to write it have in common."""
    plain = text.replace(",", "")
    return f"0{plain}" if plain.startswith(".") else plain


@functools.cache
def values(text: str) -> set[str]:
    """All numbers of a text; 20.0 counts as 20, too."""
    found = {value(match[0].rstrip(",")) for match in ANY.finditer(text)}
    return found | {number.removesuffix(".0") for number in found}


def sections(book: dict) -> list[tuple[str, str]]:
    """Prose and what cells show (code and outputs), for each part of a notebook between two headings.

    What is typed into alt texts counts as prose.
    """
    prose, shown = [""], [""]
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            said = stored.text_of(cell["outputs"])
            for text in alts(cell["source"]):
                prose[-1] += f"\n\n{text}"
                said = said.replace(text, "")
            shown[-1] += f"\n{stored.without_alt(cell['source'])}\n{said}"
            continue
        first, *later = HEADING.split(cell["source"])
        prose[-1] += f"\n\n{first}"
        prose += later
        shown += [""] * len(later)
    return list(zip(prose, shown, strict=True))


@functools.cache
def alts(source: str) -> list[str]:
    """What is typed into the alt texts of a cell, or stands under their names: the parts between what is computed."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:
        return []
    given = [inner for node in nodes if isinstance(node, ast.keyword) and node.arg == "alt" for inner in ast.walk(node)]
    named = [name.value for node in nodes if (name := stored.named_alt(node)) is not None]
    texts = [chapters.alts(re.match(r"\d+", name)[0].zfill(2))[name] for name in named]
    written = [part for text in texts for part, *_ in string.Formatter().parse(text)]
    computed = {part for node in given if isinstance(node, ast.FormattedValue) for part in ast.walk(node)}
    typed_in = [node for node in given if isinstance(node, ast.Constant) and node not in computed]
    return [node.value for node in typed_in if isinstance(node.value, str)] + written


def places(books: dict[str, dict]) -> set[str]:
    """The numbers of sections, formulas, exercises and predictions in all chapters."""
    texts = [cell["source"] for book in books.values() for cell in book["cells"] if cell["cell_type"] == "markdown"]
    return {number for text in texts for match in PLACE.finditer(text) for number in match.groups() if number}


def typed(chapter: str, prose: str, places: set[str]) -> Iterator[tuple[str, int]]:
    """Numbers of a text that may measure something, with where they stand in ``bare(prose)``.

    Whole numbers of one digit count if a unit follows. Places of the same chapter do not count, nor those of others
    that stand in parentheses.
    """
    text, own = bare(prose), chapter.removeprefix("0")
    for match in NUMBER.finditer(text):
        number, unit = value(match[0]), UNIT.match(text, match.end())
        alone = text[max(0, match.start() - 1) : match.end() + 1] == f"({match[0]})"
        place = number in places and not unit and (alone or number.partition(".")[0] == own.rstrip("bc"))
        if not place and (len(number) > 1 or unit):
            yield number, match.start()


@functools.cache
def bare(prose: str) -> str:
    """Prose on one line, without what is set apart: formulas, which the ledger holds, leave nothing but a space."""
    return " ".join(APART.sub(" ", MATH.sub(" ", prose)).split())


def rows(path: Path = ROWS) -> list[dict]:
    return tomllib.loads(path.read_text(encoding="utf-8")).get("number", [])


def complaints(chapter: str, book: dict, rows: list[dict], places: set[str]) -> list[str]:
    """Numbers in the prose of a chapter that no cell of their section says and no row lists, and rows without use.

    Args:
        chapter: Its number, as in ``05``, ``06b`` or ``01c``.
        book: The executed notebook.
        rows: Those of the chapter; the words of a row stand in the prose as they are, and all numbers in them are held.
        places: Numbers that say where something stands.
    """
    found, unused = [], {row["words"] for row in rows}
    for prose, shown in sections(book):
        text, own = bare(prose), values(f"{shown} {' '.join(MATH.findall(prose))}")
        spans = []
        for row in rows:
            at = text.find(row["words"])
            while at >= 0:
                spans.append((at, at + len(row["words"]), row["words"]))
                at = text.find(row["words"], at + 1)
        for number, at in typed(chapter, prose, places):
            covering = {words for start, end, words in spans if start <= at < end}
            unused -= covering if number not in own else set()
            if number not in own and not covering:
                around = text[max(0, at - 40) : at + 30]
                found.append(f"{chapter}: no cell of its section says {number} in '...{around}...'")
    return found + [f"{chapter}: the row '{words}' holds no number that needs it" for words in sorted(unused)]
