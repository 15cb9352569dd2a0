"""What Sphinx is told, and what is done to the pages on their way; ``notebooks/pages.py`` writes what it reads.

Extra files of a page (scripts, data) lie in ``static/`` and are reached from it as ``_static/NAME``.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from pathlib import Path

import nbformat
from docutils import nodes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import pages

project = html_title = "dmlbook"
author = "The dmlbook authors"
copyright = "2026 The dmlbook authors"  # Sphinx reads it by this name
language = "en"

extensions = ["myst_nb", "sphinx.ext.mathjax"]
exclude_patterns = ["README.md"]
templates_path = ["templates"]

nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"  # tables that cells print are Markdown
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_dmath_double_inline = True  # $$...$$ inside a paragraph, as in Jupyter

mathjax_path = "tex-svg.js"
mathjax3_config = {
    "options": {
        "enableMenu": False,  # some of its entries fetch files that are not here
        "processHtmlClass": "math",
        "ignoreHtmlClass": "document",
    },
    "svg": {"scale": 0.95},  # as large as the letters around it
}
myst_update_mathjax = False

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["book.css"]
html_js_files = [("book.js", {"defer": "defer"})]
html_copy_source = html_show_sourcelink = False
html_show_search_summary = False  # it fetches pages, which browsers refuse on file://
html_use_index = html_domain_indices = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

NUMBER = re.compile(r"\((\d+\.\d+)\)|(§\d+[bc]?\.\d+)")
SECTION = re.compile(r"\d+[bc]?\.\d+(?= )")
TAG = re.compile(r"\\tag\{([^}]*)\}")
PRINTED = {"stream", "text_plain"}
COLUMNS = re.compile(r"\S {2,}\S|^ ", re.MULTILINE)
WIDE = 700  # CSS pixels: on a phone, wider figures are scrolled rather than shrunk
# What holds text that is not prose.
CODE_AND_MATH = nodes.literal | nodes.literal_block | nodes.math | nodes.math_block | nodes.raw
NOT_PROSE = CODE_AND_MATH | nodes.title | nodes.reference
PLACES: dict[str, str] = {}


def find_places(app) -> None:
    PLACES.clear()
    PLACES.update(pages.places(sorted(Path(app.srcdir).glob("*.ipynb"))))


def dress(app, doctree) -> None:
    """All that is done to a page once it is read."""
    path = Path(app.env.doc2path(app.env.docname))
    keep_formulas(doctree)
    name_sections(doctree)
    describe_pictures(doctree, path)
    dress_tables(doctree)
    find_sentences(doctree)
    link_places(doctree)


def keep_formulas(doctree) -> None:
    """Formulas as they are written: Sphinx wraps those of two lines in ``split``, where MathJax refuses a tag."""
    for formula in list(doctree.findall(nodes.math_block)):
        text = formula.astext().strip()
        if not formula.get("no-wrap", formula.get("nowrap")):  # which those are that bring an environment of their own
            formula["no-wrap"] = True
            formula.children = [nodes.Text(rf"\[{text}\]")]
        if match := TAG.search(text):
            place = formula.parent.index(formula)
            formula.parent.insert(place, nodes.target("", "", ids=[pages.anchor(match[1])]))


def name_sections(doctree) -> None:
    """Numbered sections are reached by their numbers, whatever their titles say."""
    for section in doctree.findall(nodes.section):
        title = next(section.findall(nodes.title), None)
        if title is not None and (match := SECTION.match(title.astext())):
            section["ids"].append(pages.section_anchor(match[0]))


def describe_pictures(doctree, path: Path) -> None:
    """The alt text of a figure, which stands in its output's metadata, where MyST-NB does not look."""
    alts = stored_alts(path) if path.suffix == ".ipynb" else {}
    for picture in doctree.findall(nodes.image):
        picture["alt"] = alts.get(Path(picture["uri"]).stem, picture.get("alt", ""))
        if int(re.sub(r"\D.*", "", str(picture.get("width", ""))) or WIDE) >= WIDE:
            picture["classes"] += ["wide"]


def stored_alts(path: Path) -> dict[str, str]:
    """Alt texts of a notebook's pictures, by the hash that MyST-NB makes their file's name of."""
    found = {}
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/png"):
                digest = hashlib.sha256(base64.b64decode(picture)).hexdigest()
                found[digest] = output.metadata.get("image/png", {}).get("alt", "")
    return found


def dress_tables(doctree) -> None:
    """An empty corner says something to the ear; long names break at _; words are not squeezed on a phone."""
    for table in doctree.findall(nodes.table):
        heads = [text for head in table.findall(nodes.thead) for text in head.findall(nodes.Text)]
        for text in heads:
            first, *rest = re.findall("[^_]*_|[^_]+", text)
            breaks = [node for part in rest for node in (nodes.raw("", "<wbr>", format="html"), nodes.Text(part))]
            text.parent.replace(text, [nodes.Text(first), *breaks])
        for entry in next(table.findall(nodes.thead), nodes.thead()).findall(nodes.entry):
            if not entry.astext().strip():
                entry += nodes.paragraph("", "", nodes.inline("", "row", classes=["visually-hidden"]))
        columns = len(list(table.findall(nodes.colspec)))
        if columns > 3 and max(len(entry.astext()) for entry in table.findall(nodes.entry)) > 8 * columns:
            table["classes"] += ["wide"]


def find_sentences(doctree) -> None:
    """What a cell prints in sentences may be broken into lines; what stands in columns is scrolled."""
    for block in doctree.findall(nodes.literal_block):
        if PRINTED.intersection(block["classes"]) and not COLUMNS.search(block.astext()):
            block["classes"] += ["sentences"]


def link_places(doctree) -> None:
    """``(2.10)`` in prose leads to that formula, ``§2.3`` to that section."""
    for text in list(doctree.findall(nodes.Text)):
        matches = list(NUMBER.finditer(text))
        if not matches or any(isinstance(parent, NOT_PROSE) for parent in ancestors(text)):
            continue
        new, end = [], 0
        for match in matches:
            if address := PLACES.get(match[1] or match[2]):
                link = nodes.reference("", match[0], refuri=address, internal=True)
                new += [nodes.Text(text[end : match.start()]), link]
                end = match.end()
        text.parent.replace(text, [*new, nodes.Text(text[end:])])


def ancestors(node):
    while node := node.parent:
        yield node


def name_levels(app, name, template, context, doctree) -> None:
    """Furo calls the captions of the side bar headings, and does not say of which level."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app) -> None:
    app.connect("builder-inited", find_places)
    app.connect("doctree-read", dress)
    app.connect("html-page-context", name_levels, priority=900)  # after furo has made the tree
