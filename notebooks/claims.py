"""The claims ledger: what the two papers say that can be tested, where the book tests it, and what came of it."""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections import Counter
from pathlib import Path

import ledger

ROWS = ledger.ROOT / "tests" / "claims.toml"
PAGE = ledger.ROOT / "notebooks" / "claims.md"
SOURCES = ledger.ROOT / "notebooks" / "src"
RESULTS = ledger.ROOT / "data" / "results"
PAPERS = {"S": "SoftTriple (Qian et al., ICCV 2019)", "U": "The centroid upper bound (Do et al., CVPR 2019)"}
VERDICTS = {
    "supported": "proved, or found wherever the book looked",
    "partly": "a part of it holds, or it holds in some of the settings; the finding says which",
    "not supported": "tested, and found otherwise",
    "inconclusive": "tested, and the runs cannot tell",
    "open": "not tested at the size, or in the way, that the claim is about; what is missing stands below it",
}
TEXTS, LISTS = ("id", "claim", "source", "protocol", "verdict", "finding"), ("where", "records", "tests")
SECTION = re.compile(r"^# ## (\d+)([bc]?)\.(\d+) (.+)$", re.MULTILINE)
FIGURE = re.compile(r"(?<![\w@])\d")  # a number, but not that of Recall@1 or Cars196

HEAD = """# Claims

Every claim of the book's two papers that can be tested and that we know of: where the book tests it, how, which
records and which tests it rests on, and a verdict. A verdict is about what these show and about nothing larger: nearly
all that is measured here comes from drawn birds, digits, frozen features or a small network. Findings quote no figures;
the cells of the sections print them. Of the second paper only restatements by others could be read.

Made from `tests/claims.toml` by `make book`; a test fails where a section, a record or a test of it does not exist.
"""


def rows(path: Path = ROWS, results: Path = RESULTS) -> list[dict]:
    """The ledger, in its own order.

    Raises:
        ValueError: A row is not whole, says more than it rests on, or names a record that is not there.
    """
    found = tomllib.loads(path.read_text(encoding="utf-8")).get("claim", [])
    for row in found:
        if wrong := problem(row, results):
            raise ValueError(f"claims: row {row.get('id', '?')} must {wrong}")
    ids = [row["id"] for row in found]
    wanted = [f"{letter}{n + 1}" for letter in PAPERS for n in range(sum(name[0] == letter for name in ids))]
    if ids != wanted:
        raise ValueError(f"claims: ids must count each paper's rows from 1, S before U; got {ids}. Number them anew.")
    return found


def problem(row: dict, results: Path) -> str | None:
    """What a row must do and does not: rule, what was got, and what to do; None if nothing is wrong."""
    keys = {*TEXTS, *LISTS}
    if set(row) - {"missing"} != keys:
        return f"have the keys {sorted(keys)}, and 'missing' or not; got {sorted(row)}. Write those, and no others."
    if blank := [key for key in (*TEXTS, "missing") if not str(row.get(key, "as it may be")).strip()]:
        return f"say something in each text; got nothing in {blank}. Write it, or leave 'missing' out."
    if single := [key for key in LISTS if not isinstance(row[key], list)]:
        return f"list its sections, records and tests; got one text in {single}. Put it into brackets."
    if not re.fullmatch(f"[{''.join(PAPERS)}][1-9][0-9]*", row["id"]):
        return f"have an id of a paper's letter and a number; got {row['id']!r}. Write S1 (SoftTriple) or U1 (bound)."
    if row["verdict"] not in VERDICTS:
        return f"have a verdict of {', '.join(VERDICTS)}; got {row['verdict']!r}. Choose one."
    if row["verdict"] != "open" and not (row["where"] and (row["tests"] or row["records"])):
        return f"be open without a section, and a test or a record; got {row['verdict']!r}. Name them or call it so."
    if row["verdict"] == "open" and "missing" not in row:
        return "say what is missing where it is open; got no 'missing'. Write what would test it."
    if FIGURE.search(row["finding"]):
        return f"quote no figure in its finding; got {row['finding']!r}. Leave figures to the cell that prints them."
    absent = [name for name in row["records"] if not (results / f"{name}.json").is_file()]
    return f"rest on records that exist; got {absent}. Name files of data/results, without .json." if absent else None


def sections(folder: Path = SOURCES) -> dict[str, tuple[str, str]]:
    """Of every numbered section, as ``04.7``: the notebook's file and the title."""
    return {
        f"{int(chapter):02}{companion}.{number}": (f"{path.stem}.ipynb", title)
        for path in sorted(folder.glob("*.py"))
        for chapter, companion, number, title in SECTION.findall(path.read_text(encoding="utf-8"))
    }


def page(found: list[dict], places: dict[str, tuple[str, str]]) -> str:
    """The ledger as Markdown: a table of all claims, then an entry each; ``places`` is what ``sections`` returns.

    Raises:
        ValueError: A row names a section that no chapter has.
    """
    for row in found:
        if absent := [where for where in row["where"] if where not in places]:
            rule = "name sections that chapters have"
            raise ValueError(f"claims: row {row['id']} must {rule}; got {absent}. Write them as 04.7 or 06b.6.")
    counts = Counter(row["verdict"] for row in found)
    parts = [HEAD, *(f"- **{word}** ({counts[word]}): {meaning}" for word, meaning in VERDICTS.items())]
    parts += ["", f"{len(found)} claims:", "", "| | claim | verdict | where |", "|---|---|---|---|"]
    for row in found:
        links = ", ".join(f"[{where}]({places[where][0]})" for where in row["where"])
        parts.append(f"| {row['id']} | {row['claim']} | {row['verdict']} | {links or 'nowhere yet'} |")
    parts.append("")
    for letter, paper in PAPERS.items():
        parts += [f"## {paper}", ""]
        parts += [entry(row, places) for row in found if row["id"][0] == letter]
    return "\n".join(parts)


def entry(row: dict, places: dict[str, tuple[str, str]]) -> str:
    """All that is said of one claim."""
    there = ", ".join(f"[{where}]({places[where][0]}) {places[where][1]}" for where in row["where"])
    said = {
        "Source": row["source"],
        "Where": there or "nowhere yet",
        "How": row["protocol"],
        "Records": ", ".join(f"`{name}`" for name in row["records"]) or "none",
        "Tests": ledger.tests_named(row["tests"]) or "none",
        "Verdict": f"**{row['verdict']}**. {row['finding']}",
    }
    if "missing" in row:
        said["Missing"] = row["missing"]
    lines = [wrapped(f"**{row['id']} · {row['claim']}**"), ""]
    return "\n".join([*lines, *(wrapped(f"- {name}: {text}", "  ") for name, text in said.items()), ""])


def wrapped(text: str, indent: str = "") -> str:
    """Lines of at most 118 columns, unless one word is longer."""
    return textwrap.fill(text, 118, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
