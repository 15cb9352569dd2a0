"""What the build has stored, noted outside of the notebooks, so that nothing in them changes unseen.

``make book`` writes ``outputs.json``: for every code cell the digest of what it printed, of each figure with the alt
text that belongs to it, and whether a run of another size on another processor says the same. Where it does,
``conftest.py`` compares the cell in every run of the tests, within the last printed digit.
"""

from __future__ import annotations

import ast
import base64
import functools
import hashlib
import html
import json
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from dmlbook.book.images import image

NOTED = Path(__file__).resolve().with_name("outputs.json")
PICTURES = ("image/png", "image/jpeg", "image/svg+xml")
WIDGET = "application/vnd.jupyter.widget-view+json"
IMAGE = re.compile(
    r'<img alt="(?P<alt>[^"]*)"(?: width="(?P<width>\d+)")? src="data:image/png;base64,(?P<data>[^"]*)">'
)
NUMBER = re.compile(r"(?<![\w.])[-+\u2212]?\d(?:[\d,]*\d)?(?:\.\d*)?(?:e[-+]?\d+)?(?![\w])|(?<![\w.])[-+\u2212]?\.\d+")
SMALL = 1e-6  # what is left of two equal sums: its digits are the processor's
# What another run or another machine prints otherwise, though two runs may happen to agree: times, memory, versions,
# maps whose optimizer is compiled on the spot.
UNSTEADY = re.compile(
    r"perf_counter|process_time|\btime\.|timeit|tracemalloc|\bumap\b|\bUMAP\b|t-?SNE|__version__|\bseconds\b|"
    r"\d ?(?:m?s|µs|ns|MB|GB|MiB)\b|/s\b|\d+\.\d+\.\d+|get_num_threads|\bdevice\(\)",
    re.IGNORECASE,
)
# The smallest size, one thread, and none of the instructions that processors differ in: sums are rounded otherwise.
ELSEWHERE = {"DMLBOOK_MODE": "smoke", "OMP_NUM_THREADS": "1"} | (
    {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
    }
    if platform.machine().lower() in ("x86_64", "amd64")
    else {}
)


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def as_picture(output: Mapping) -> Mapping:
    """An output that is one ``<img>`` with its bytes as a PNG with its alt text and width; any other as it is."""
    match = IMAGE.fullmatch(output.get("data", {}).get("text/html", ""))
    if match is None:
        return output
    described = {"alt": html.unescape(match["alt"])} | ({"width": int(match["width"])} if match["width"] else {})
    rest = {key: value for key, value in output["data"].items() if key != "text/html"}
    metadata = {**output.get("metadata", {}), "image/png": described}
    return type(output)({**output, "data": {**rest, "image/png": match["data"]}, "metadata": metadata})


def as_html(output: Mapping) -> Mapping:
    """The other way: an output with a described PNG as one ``<img>``, whose alt text JupyterLab does not leave out."""
    described = output.get("metadata", {}).get("image/png", {})
    if "image/png" not in output.get("data", {}) or "alt" not in described:
        return output
    rest = {key: value for key, value in output["data"].items() if key != "image/png"}
    shown = image(base64.b64decode(output["data"]["image/png"]), described["alt"], described.get("width"))
    metadata = {key: value for key, value in output["metadata"].items() if key != "image/png"}
    return type(output)({**output, "data": {**rest, "text/html": shown}, "metadata": metadata})


def text_of(outputs: Iterable[Mapping]) -> str:
    """All that outputs say in letters: what is printed, values, and the alt texts of figures."""
    said = []
    for output in map(as_picture, outputs):
        if output["output_type"] == "stream":
            said.append(output["text"])
            continue
        data = output.get("data", {})
        said += [data[kind] for kind in ("text/plain", "text/html", "text/markdown") if kind in data]
        said += [alt for _, alt in figures_of([output])]
        said += [str(output.get("evalue", ""))]
    return "\n".join(said)


def figures_of(outputs: Iterable[Mapping]) -> list[list[str]]:
    """Of each stored picture, its digest and its alt text."""
    return [
        [digest("".join(output["data"][kind].split())), output.get("metadata", {}).get(kind, {}).get("alt", "")]
        for output in map(as_picture, outputs)
        for kind in PICTURES
        if kind in output.get("data", {})
    ]


def is_steady(cell: Mapping, elsewhere: Mapping) -> bool:
    """Whether a cell says letter by letter the same in a run elsewhere, and nothing that may differ in the next one."""
    text = text_of(cell["outputs"])
    widget = any(WIDGET in output.get("data", {}) for output in (*cell["outputs"], *elsewhere["outputs"]))
    said = bool(text.strip()) and not widget and not UNSTEADY.search(f"{cell['source']}\n{text}")
    return said and text == text_of(elsewhere["outputs"])


def note(book: Mapping, steady: set[str], live: Mapping[str, str] = {}) -> dict:
    """What is noted of an executed notebook.

    Args:
        book: The notebook.
        steady: The ids of its cells that are to be compared in every run.
        live: The text of each file that its views are fed, by name.
    """
    cells = {}
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            cells[cell["id"]] = {"said": digest(json.dumps(plain(cell["outputs"]), sort_keys=True))}
            if figures := figures_of(cell["outputs"]):
                cells[cell["id"]]["figures"] = figures
            if cell["id"] in steady:
                cells[cell["id"]]["compared"] = True
    return {"cells": cells, "live": {name: digest(text) for name, text in sorted(live.items())}}


def plain(outputs: Iterable[Mapping]) -> list[dict]:
    """Outputs without their pictures and alt texts, which are noted by themselves, and without counts."""
    kept = []
    for output in map(as_picture, outputs):
        rest = {key: value for key, value in output.items() if key not in ("execution_count", "data", "metadata")}
        rest["data"] = {key: value for key, value in output.get("data", {}).items() if key not in PICTURES}
        rest["live"] = output.get("metadata", {}).get("dmlbook", {}).get("live")
        kept.append(rest)
    return kept


def changes(name: str, book: Mapping, noted: Mapping, live: Mapping[str, str] = {}) -> list[str]:
    """What of a stored notebook is not what the build made, each with its cell and what to do; ``name``: its file's."""
    remedy = f'run make book CHAPTERS="{name.partition("_")[0]}"'
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    if [cell["id"] for cell in cells] != list(noted.get("cells", {})):
        return [f"{name}: its cells are not those that were executed; {remedy}"]
    found, now = [], note(book, set(), live)
    for number, cell in enumerate(cells, start=1):
        was, here = noted["cells"][cell["id"]], now["cells"][cell["id"]]
        where = f"{name}: code cell {number} ({title(cell['source'])})"
        if was["said"] != here["said"]:
            found.append(f"{where}: what it printed was changed; {remedy}")
        drawn, kept = was.get("figures", []), here.get("figures", [])
        if [image for image, _ in drawn] != [image for image, _ in kept]:
            found.append(f"{where}: its figure was changed; {remedy}")
        elif drawn != kept:
            found.append(f"{where}: the alt text is not that of its figure; {remedy}")
        elif cell["metadata"].get("alt", "") != " ".join(alt for _, alt in kept if alt):
            found.append(f"{where}: the cell's alt text is not that of its figure; {remedy}")
    if now["live"] != noted.get("live", {}):
        found.append(f"{name}: what its views are fed was changed; {remedy}")
    return found


def title(source: str) -> str:
    """The first line of a cell, cut to a few words."""
    first = next((line.strip() for line in source.splitlines() if line.strip()), "")
    return first if len(first) <= 50 else f"{first[:47]}..."


def swapped_alts(former: Mapping, book: Mapping) -> list[str]:
    """Alt texts that a former build had put to another figure, whose drawing has not changed since."""
    was, now = drawings(former), drawings(book)
    owners = {alt: drawing for drawing, alt in was.items()}
    return [
        f"an alt text of another figure: {alt[:70]!r}"
        for drawing, alt in now.items()
        if alt in owners and was.get(drawing, alt) != alt and owners[alt] in now
    ]


def drawings(book: Mapping) -> dict[str, str]:
    """The alt texts of each cell with figures, by the digest of its code without any alt text."""
    found = {}
    for cell in book["cells"]:
        alts = " ".join(alt for _, alt in figures_of(cell.get("outputs", [])))
        if alts:
            found[digest(without_alt(cell["source"]))] = alts
    return found


@functools.cache
def without_alt(source: str) -> str:
    """The code of a cell with every alt text empty, typed or named; as it is where Python cannot read it."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "alt":
            node.value = ast.Constant("")
        elif (name := named_alt(node)) is not None:
            name.value = ""
    return ast.unparse(tree)


def named_alt(node: ast.AST) -> ast.Constant | None:
    """The name of an alt text in the call ``show(figure, "3.1 a name")``, or None in what is no such call."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "show"
    named = called and len(node.args) == 2 and isinstance(node.args[1], ast.Constant)
    return node.args[1] if named else None


def difference(stored: str, found: str) -> str | None:
    """How two texts differ in more than spaces and the last digit of a number, or None.

    Whole numbers must be equal. Of others the last printed digit may be one more or less, which is what rounding does
    on another processor; what both print as less than a millionth is equal.
    """
    first, second = NUMBER.split(stored), NUMBER.split(found)
    numbers = NUMBER.findall(stored), NUMBER.findall(found)
    if ["".join(part.split()) for part in first] == ["".join(part.split()) for part in second]:
        pairs = zip(*numbers, strict=True)
        apart = next(((one, other) for one, other in pairs if not alike(one, other)), None)
        return None if apart is None else f"stored {apart[0]}, now {apart[1]}"
    lines = zip((stored + "\n").splitlines(), (found + "\n").splitlines(), strict=False)
    here = next(((one, other) for one, other in lines if one != other), (stored[-80:], found[-80:]))
    return f"stored {here[0]!r}, now {here[1]!r}"


def alike(one: str, other: str) -> bool:
    values = [float(text.replace(",", "").replace("\u2212", "-")) for text in (one, other)]
    if values[0] == values[1]:
        return True
    if not all("." in text or "e" in text for text in (one, other)):
        return False
    return max(map(abs, values)) < SMALL or abs(values[0] - values[1]) <= 1.01 * min(map(last_digit, (one, other)))


def last_digit(text: str) -> float:
    """What one more in the last printed digit is worth."""
    mantissa, _, exponent = text.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def read(path: Path = NOTED) -> dict:
    """All notes, by the names of notebooks without ending; none where nothing was ever noted."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def written(notes: Mapping[str, dict]) -> str:
    """The notes as a file with a line for each cell, so that a change of it can be read."""
    books = []
    for name, noted in sorted(notes.items()):
        cells = [
            f"   {json.dumps(key)}: {json.dumps(cell, ensure_ascii=False)}" for key, cell in noted["cells"].items()
        ]
        rows = ",\n".join(cells)
        books.append(
            f' {json.dumps(name)}: {{\n  "cells": {{\n{rows}\n  }},\n  "live": {json.dumps(noted["live"])}\n }}'
        )
    return "{\n" + ",\n".join(books) + "\n}\n"


def share(noted: Mapping) -> tuple[int, int]:
    """How many cells of a notebook are compared, of how many that say something."""
    empty = digest("[]")
    said = [cell for cell in noted["cells"].values() if cell["said"] != empty]
    return sum(cell.get("compared", False) for cell in said), len(said)
