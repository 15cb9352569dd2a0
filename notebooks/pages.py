"""The book as a static site: the stored notebooks and the repository's documents, made into pages by Sphinx.

``make html`` calls this by way of ``build.py --html``. Nothing is executed and nothing is fetched: formulas are drawn
by the one file of MathJax in ``site/static``. What Sphinx is told, and what pages look like, stands in ``site/``. All
that lies below ``site/static`` is copied into the site's ``_static``: scripts, modules and data of a page go there.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import ledger
import nbformat
import stored

from dmlbook.book import strip

SITE = Path(__file__).resolve().parent / "site"
WIDGET = "application/vnd.jupyter.widget-view+json"
LIVE_FOLDER = "live"
"""Beside the notebooks: what the views of their pages are fed. Their scripts lie in the site's ``_static/live``."""
# The repository's documents that become pages, beside the notebooks: the name of each in the site.
DOCUMENTS = {
    "README.md": "index.md",
    "notebooks/equations.md": "equations.md",
    "notebooks/claims.md": "claims.md",
    "notebooks/several_devices.md": "several_devices.md",
    "notebooks/which_loss.md": "which_loss.md",
    "notebooks/bad_scores.md": "bad_scores.md",
    "CONTRIBUTING.md": "better.md",
    "data/README.md": "data.md",
    "dmlbook/README.md": "package.md",
    "LICENSE": "license.md",
    "CITATION.cff": "citation.md",
}
HEADINGS = {"LICENSE": "# License\n\n{text}", "CITATION.cff": "# Citation\n\n```yaml\n{text}```\n"}  # of those without
DETAILS = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
SECTION = re.compile(r"^## (\d+[bc]?\.\d+) .+$", re.MULTILINE)
CODE = re.compile(r"<code>(.*?)</code>", re.DOTALL)
# Code first, so that what looks like a link in it is left alone.
LINK = re.compile(r"```.*?```|`[^`\n]+`|(?P<image>!?)\[(?P<text>(?:`[^`]*`|[^\]`])*)\]\((?P<to>[^)\s]+)\)", re.DOTALL)


def make(folder: Path, target: Path) -> None:
    """The whole site, from what is stored in ``folder``, the repository's notebooks.

    The site is made beside ``target`` and takes its place when it is whole.

    Raises:
        RuntimeError: Sphinx has warned or failed; what it says is in the message. A former site is kept.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="site-") as place:
        source, site = Path(place, "source"), Path(place, "html")
        write_source(folder, source)
        options = ["-b", "html", "-q", "--fail-on-warning", "-c", SITE, "-d", Path(place, "doctrees")]
        command = [sys.executable, "-m", "sphinx", *options, source, site]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        if done.returncode:
            said = (done.stderr or done.stdout).replace(f"{source}{os.sep}", "").strip()
            raise RuntimeError(f"pages: every link, formula and picture must be found; Sphinx says:\n{said}")
        write_scripts(folder / LIVE_FOLDER, site / "_static" / "live")
        if target.exists():
            target.rename(Path(place, "former"))
        site.rename(target)


def write_source(folder: Path, source: Path) -> None:
    """What Sphinx reads: a flat folder of notebooks and Markdown, whose links lead to pages."""
    root = folder.resolve().parent
    source.mkdir(parents=True)
    notebooks = sorted(folder.glob("[0-9]*.ipynb"))
    documents = {name: page for name, page in DOCUMENTS.items() if (root / name).is_file()}
    pages = documents | {path.resolve().relative_to(root).as_posix(): path.name for path in notebooks}

    def linked(text: str, path: Path) -> str:
        return relinked(text, path.resolve(), root, pages, source)

    for path in notebooks:
        book = nbformat.read(path, as_version=4)
        for cell in book.cells:
            if cell.cell_type == "markdown":
                cell.source = linked(unfolded(cell.source), path)
            else:
                cell.outputs = [stored.as_picture(output) for output in cell.outputs]
                without_widgets(cell)
                with_live_views(cell)
                if cell.metadata.get("jupyter", {}).get("source_hidden"):
                    cell.metadata.setdefault("tags", []).append("hide-input")
        if companions := [other.stem for other in notebooks if is_companion(other, path)]:
            book.cells.append(nbformat.v4.new_markdown_cell(toctree("", companions), id="companions"))
        nbformat.write(book, source / path.name)
    for name, page in documents.items():
        text = HEADINGS.get(name, "{text}").format(text=(root / name).read_text(encoding="utf-8"))
        text = linked(text, root / name)
        if page == "index.md":
            text += "\n" + toctree("Chapters", [path.stem for path in notebooks if is_lesson(path)])
            rest = [Path(other).stem for other in documents.values() if other != page]
            text += toctree("Reference", rest)
        (source / page).write_text(text, encoding="utf-8")


def is_companion(path: Path, chapter: Path) -> bool:
    """Whether ``06b_...`` belongs to ``06_...``; ``01b_...`` is a lesson, to which ``01c_...`` belongs."""
    number, lesson = (name.partition("_")[0] for name in (path.name, chapter.name))
    return number != lesson and not is_lesson(path) and strip.lesson_of(number) == lesson


def is_lesson(path: Path) -> bool:
    """Whether a notebook is a step of the story, and has its place among the chapters."""
    number = path.name.partition("_")[0]
    return number in strip.STEPS or len(number) == 2


def places(notebooks: list[Path]) -> dict[str, str]:
    """The address of every numbered formula by its number, ``2.10``, and of every section by its own, ``§2.3``."""
    found = {}
    for path in notebooks:
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                found |= {number: f"{path.stem}.html#{anchor(number)}" for number in ledger.numbered(cell.source)}
                titles = SECTION.findall(cell.source)
                found |= {f"§{number}": f"{path.stem}.html#{section_anchor(number)}" for number in titles}
    return found


def anchor(number: str) -> str:
    """The name by which links reach a formula: ``2.10`` -> ``formula-2-10``."""
    return f"formula-{number.replace('.', '-')}"


def section_anchor(number: str) -> str:
    """The name by which links reach a section: ``3b.2`` -> ``section-3b-2``."""
    return f"section-{number.replace('.', '-')}"


def unfolded(text: str) -> str:
    """Markdown in which what is folded away is Markdown too, which it is only between blank lines."""

    def folded(match: re.Match) -> str:
        body = CODE.sub(lambda code: f"`{html.unescape(code[1])}`", match[2]).strip()
        return f"\n<details>\n<summary>{match[1].strip()}</summary>\n\n{body}\n\n</details>\n"

    return DETAILS.sub(folded, text)


def relinked(text: str, path: Path, root: Path, pages: dict[str, str], source: Path) -> str:
    """The Markdown of the file ``path`` with its links led to the site's pages; pictures are copied into ``source``.

    What leads to a file of the repository that is no page keeps its text alone. What leads nowhere is left as it is,
    for Sphinx to complain about.
    """

    def led(match: re.Match) -> str:
        to, sharp, place = (match["to"] or "").partition("#")
        aim = path.parent.joinpath(to).resolve()
        if not to or ":" in to or not aim.exists() or not aim.is_relative_to(root):
            return match[0]
        if match["image"]:
            (source / aim.name).write_bytes(aim.read_bytes())
            return f"![{match['text']}]({aim.name})"
        name = aim.relative_to(root).as_posix()
        text = "" if match["text"] == match["to"] else match["text"]  # where it is empty, the page's title is put
        return f"[{text}]({pages[name]}{sharp}{place})" if name in pages else match["text"]

    return LINK.sub(led, text)


def without_widgets(cell: nbformat.NotebookNode) -> None:
    """Widgets are dead on a page; the picture or sentence that is stored beside them takes their place."""
    for output in cell.get("outputs", []):
        output.get("data", {}).pop(WIDGET, None)


def with_live_views(cell: nbformat.NotebookNode) -> None:
    """A view that can run on the page gets a place to do so, in which its stored picture stands until it does."""
    for output in cell.get("outputs", []):
        name = output.get("metadata", {}).get("dmlbook", {}).get("live")
        if name:
            picture = stored.as_html(output).data["text/html"]
            scripts = "".join(f'<script defer src="_static/live/{file}.js"></script>' for file in (name, "host"))
            output.data = nbformat.from_dict({"text/html": f'<div data-live="{name}">{picture}</div>{scripts}'})


def write_scripts(folder: Path, target: Path) -> None:
    """A script for every view, which brings its module and what it is fed; and the host that runs them."""
    from dmlbook.book import web
    from dmlbook.maps import page

    found = sorted(folder.glob("*.json"))
    if found:
        target.mkdir(parents=True)
        (target / "host.js").write_bytes(page.HOST.read_bytes())
    for path in found:
        fed = json.loads(path.read_text(encoding="utf-8"))
        script = page.registered(path.stem, web.source(web.PACKAGE / fed["module"]), fed["data"])
        (target / f"{path.stem}.js").write_text(script, encoding="utf-8")


def toctree(caption: str, names: list[str]) -> str:
    """A list of pages that Sphinx puts into the side bar and nowhere else."""
    head = ["```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), ""]
    return "\n".join([*head, *names, "```\n\n"])
