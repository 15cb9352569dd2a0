"""The site that `make html` makes: whole, linked, described, and nothing in it that needs a network."""

import hashlib
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import build
import nbformat
import pages
import pytest
import stored
from bs4 import BeautifulSoup

from dmlbook.book import strip

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
STATIC = pages.SITE / "static"
# npm's mathjax@3.2.2, es5/tex-svg.js.
MATHJAX = "d4295dc33744836935c1399feece5159577b34c5c8ffb9f1c6324cd82e03a882"
LARGEST_SITE = 40_000_000  # bytes
LOADED = {"script": "src", "img": "src", "link": "href", "source": "src", "iframe": "src", "use": "href"}
# Markup that a reader must not see: formulas, fences, tables, bold, links and numbers that were taken for text.
MARKUP = re.compile(r"\$|```|\|\s*:?[-–—]|\*\*|\]\(|\\tag|\\frac|</?(?:details|summary|code)>")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
WHOLE = re.compile(
    r"\\\[.*\\\]|\\begin\{(align|equation|gather|multline)(\*?)\}.*\\end\{\1\2\}", re.DOTALL
)  # MathJax draws all
INLINE = re.compile(r"(?<![$\\])\$[^$]+\$(?!\$)")
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="

pytestmark = pytest.mark.slow


class Site:
    """The pages of a folder, each parsed once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.html"))}
        self.pages = {name: BeautifulSoup(text, "html.parser") for name, text in texts.items()}
        self.anchors = {name: {tag["id"] for tag in page.find_all(id=True)} for name, page in self.pages.items()}

    def article(self, name: str) -> BeautifulSoup:
        return self.pages[name].find("article")

    def dead(self, name: str) -> list[str]:
        """Links and loaded files of a page that are not there."""
        tags = [(tag, tag["href"]) for tag in self.pages[name].find_all("a", href=True)]
        tags += [
            (tag, tag[LOADED[tag.name]]) for tag in self.pages[name].find_all(LOADED) if LOADED[tag.name] in tag.attrs
        ]
        return [f"{name}: {address}" for _, address in tags if not self.is_there(name, address)]

    def is_there(self, name: str, address: str) -> bool:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https", "data"):
            return True
        target = self.folder / (unquote(parts.path) or f"{name}.html")
        if parts.fragment and target.suffix == ".html":
            return target.is_file() and unquote(parts.fragment) in self.anchors[target.stem]
        return target.is_file()


def toy(root: Path, *cells: nbformat.NotebookNode, readme: str = "[One](notebooks/00_one.ipynb)") -> Path:
    """A repository of a README and one chapter; its folder of notebooks."""
    (root / "notebooks").mkdir()
    (root / "README.md").write_text(f"# Toy\n\n{readme}\n", encoding="utf-8")
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# 00 · One"), *cells], metadata=build.METADATA
    )
    nbformat.write(book, root / "notebooks" / "00_one.ipynb")
    return root / "notebooks"


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def alts(path: Path) -> list[str]:
    """What the stored figures of a notebook say, in their order."""
    return [alt for cell in cells(path, "code") for _, alt in stored.figures_of(cell.outputs) if alt]


def prose(page: BeautifulSoup) -> str:
    """What a reader sees of an article, formulas and code apart."""
    article = BeautifulSoup(str(page), "html.parser")
    for tag in article.select("pre, code, script, style, .math"):
        tag.decompose()
    return article.get_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    """The book's, made once."""
    target = tmp_path_factory.mktemp("site") / "html"
    pages.make(ROOT / "notebooks", target)
    assert list(target.parent.iterdir()) == [target]  # nothing of Sphinx's own is left beside it
    return Site(target)


def test_every_chapter_and_every_document_has_a_page_and_a_place_in_the_side_bar(site):
    names = {path.stem for path in NOTEBOOKS} | {Path(page).stem for page in pages.DOCUMENTS.values()}
    assert site.pages.keys() == names | {"search"}
    listed = site.pages["index"].select(".sidebar-tree a[href]")
    assert {Path(link["href"]).stem for link in listed} == names - {"index"}
    for path in NOTEBOOKS:
        title = re.match(r"# (.+)", cells(path, "markdown")[0].source)[1]
        assert site.article(path.stem).h1.get_text().removesuffix("¶") == title


def test_a_companion_stands_under_its_lesson(site):
    companions = [path.stem for path in NOTEBOOKS if not pages.is_lesson(path)]
    assert companions
    for name in companions:
        number = strip.lesson_of(name.partition("_")[0])
        lesson = next(path.stem for path in NOTEBOOKS if path.name.startswith(f"{number}_"))
        item = next(item for item in site.pages["index"].select(".toctree-l1") if item.a["href"] == f"{lesson}.html")
        assert f"{name}.html" in [link["href"] for link in item.select(".toctree-l2 > a")]


def test_no_link_is_dead_and_none_leads_to_a_notebook(site):
    assert [dead for name in site.pages for dead in site.dead(name)] == []
    addresses = [link["href"] for page in site.pages.values() for link in page.find_all("a", href=True)]
    assert [address for address in addresses if address.endswith((".ipynb", ".md"))] == []
    between = [address for address in addresses if re.match(r"\d\d[a-z]?_\w+\.html", address)]
    assert len(between) > 200


def test_nothing_is_loaded_from_elsewhere(site):
    foreign = re.compile(r"(?:https?:)?//")
    for name, page in site.pages.items():
        loaded = [tag[LOADED[tag.name]] for tag in page.find_all(LOADED) if LOADED[tag.name] in tag.attrs]
        assert len(loaded) > 5
        assert [address for address in loaded if foreign.match(address)] == [], name
    for path in site.folder.rglob("*.css"):
        assert re.findall(r"@import|url\([\"']?(?:https?:)?//", path.read_text(encoding="utf-8")) == [], path.name


def test_every_picture_says_what_its_cell_says_of_it(site):
    assert [image for page in site.pages.values() for image in page.find_all("img") if not image.get("alt")] == []
    for path in NOTEBOOKS:
        shown = [image["alt"] for image in site.article(path.stem).select(".cell_output img")]
        assert shown == alts(path) != [], path.name


def test_no_markup_is_taken_for_text(site):
    for name in site.pages.keys() - {"search"}:
        text = prose(site.article(name))
        assert [text[max(0, m.start() - 40) : m.end() + 40] for m in MARKUP.finditer(text)] == [], name


def test_all_that_is_folded_away_stays_so_with_its_code_and_its_formulas(site):
    found = Counter()
    for path in NOTEBOOKS:
        folded = [text for cell in cells(path, "markdown") for _, text in pages.DETAILS.findall(cell.source)]
        every = site.article(path.stem).find_all("details")
        parts = [part for part in every if "hide" not in part.get("class", [])]
        hidden = [cell for cell in cells(path, "code") if cell.metadata.get("jupyter", {}).get("source_hidden")]
        assert len(every) - len(parts) == len(hidden)  # which start collapsed there, too
        assert [bool(part.summary.get_text(strip=True)) for part in parts] == [True] * len(folded), path.name
        for part, text in zip(parts, folded, strict=True):
            blocks, rest = FENCE.findall(text), FENCE.sub("", text)
            rest, display = re.subn(r"\$\$.*?\$\$", "", rest, flags=re.DOTALL)
            shown = (len(part.select("div.highlight pre")), len(part.select("div.math")), len(part.select("span.math")))
            assert shown == (len(blocks), display, len(INLINE.findall(rest))), text
            found.update(code=len(blocks), math=display, inline=shown[2], all=1)
    assert found["all"] > 100
    assert min(found[kind] for kind in ("code", "math", "inline")) > 0


def test_every_cell_and_every_output_is_shown(site):
    for path in NOTEBOOKS:
        code = cells(path, "code")
        article = site.article(path.stem)
        inputs = [tag.get_text().strip() for tag in article.select(".cell_input pre")]
        assert inputs == [cell.source.strip() for cell in code if cell.source.strip()]
        printed = [o for cell in code for o in cell.outputs if o.output_type == "stream"]
        assert len(article.select(".output.stream, .output.stderr")) == len(printed), path.name


def test_what_is_printed_in_sentences_may_be_broken_into_lines_and_columns_may_not(site):
    found = Counter()
    for path in NOTEBOOKS:
        for tag in site.article(path.stem).select(".output.stream, .output.text_plain"):
            lines = tag.get_text().splitlines()
            sentences = not any("  " in line.strip() or line.startswith(" ") for line in lines)
            assert ("sentences" in tag["class"]) == sentences, lines
            found[sentences] += 1
    assert min(found[True], found[False]) > 100


def test_long_names_at_the_head_of_a_table_may_break_at_their_underscores(site):
    heads = [head for head in site.article("06_the_field").select("thead th") if "_" in head.get_text()]
    assert {"samples_per_class", "batch_size"} <= {head.get_text() for head in heads}
    for head in heads:
        assert len(head.find_all("wbr")) == head.get_text().count("_")


def test_every_number_of_a_formula_is_there_once_and_can_be_linked_to(site):
    places = pages.places(NOTEBOOKS)
    where = {number: to.partition(".html")[0] for number, to in places.items() if not number.startswith("§")}
    assert len(where) > 80
    for path in NOTEBOOKS:
        shown = [tag.get_text().strip() for tag in site.article(path.stem).select("div.math")]
        assert [text for text in shown if not WHOLE.fullmatch(text)] == [], path.name
        text = "".join(shown)
        numbers = [number for number, name in where.items() if name == path.stem]
        assert sorted(re.findall(r"\\tag\{([^}]*)\}", text)) == sorted(numbers), path.name
        assert r"\begin{split}" not in text
        assert {pages.anchor(number) for number in numbers} <= site.anchors[path.stem]
    rows = {link.get_text(): link["href"] for link in site.article("equations").select('a[href*="#formula-"]')}
    assert rows == {f"({number})": f"{name}.html#{pages.anchor(number)}" for number, name in where.items()}


def test_a_reference_to_a_formula_leads_to_it(site):
    links = site.article("02_softmax_is_smoothed_triplet").select('a[href*="#formula-"]')
    assert len(links) > 5
    assert all(link["href"].endswith(f"#{pages.anchor(link.get_text().strip('()'))}") for link in links)


def test_a_reference_to_a_section_leads_to_it(tmp_path):
    words = ["## 0.1 One\n\nAs §0.2 shows, unlike (0.2) and §7.7.", "## 0.2 The same name", "## 0.3 The same name"]
    folder = toy(tmp_path, *map(nbformat.v4.new_markdown_cell, words))
    pages.make(folder, tmp_path / "html")
    made = Site(tmp_path / "html")
    links = {link.get_text(): link["href"] for link in made.article("00_one").select('p a[href*="#section-"]')}
    assert links == {"§0.2": "00_one.html#section-0-2"}
    assert {"section-0-1", "section-0-2", "section-0-3"} <= made.anchors["00_one"]
    assert "unlike (0.2) and §7.7." in made.article("00_one").get_text()


def test_the_search_works_without_a_server(site):
    assert "SHOW_SEARCH_SUMMARY: false" in (site.folder / "_static" / "documentation_options.js").read_text()
    index = (site.folder / "searchindex.js").read_text(encoding="utf-8")
    assert index.startswith("Search.setIndex(")
    assert all(f'"{path.stem}"' in index for path in NOTEBOOKS)


def test_the_site_is_small(site):
    assert sum(path.stat().st_size for path in site.folder.rglob("*") if path.is_file()) < LARGEST_SITE
    assert not list(site.folder.rglob("*.ipynb"))


def test_mathjax_is_the_published_file_and_its_license_goes_with_it(site):
    for folder in (STATIC, site.folder / "_static"):
        assert hashlib.sha256((folder / "tex-svg.js").read_bytes()).hexdigest() == MATHJAX
        assert re.search(r"Apache License\s+Version 2\.0", (folder / "tex-svg-LICENSE.txt").read_text(encoding="utf-8"))
    said = site.pages["index"].select_one("footer .licenses").get_text()
    assert all(name in said for name in ("Sphinx (BSD-2", "MyST-NB (BSD-3", "Furo (MIT", "MathJax (Apache-2.0"))


def test_what_leads_nowhere_fails_and_the_former_site_is_kept(tmp_path, capsys):
    text = "[Two](01_two.ipynb), ![a dot](dot.png), [there](#nowhere)."
    folder = toy(tmp_path, nbformat.v4.new_markdown_cell(text))
    former = tmp_path / "build" / "html" / "index.html"
    former.parent.mkdir(parents=True)
    former.write_text("the former site")
    (folder / "src").mkdir()
    assert build.main(["--html"], folder) == 1
    said = capsys.readouterr().err
    assert all(name in said for name in ("01_two.ipynb", "dot.png", "nowhere"))
    assert former.read_text() == "the former site"
    assert list((tmp_path / "build").iterdir()) == [former.parent]


def test_a_widget_leaves_its_picture_and_two_pictures_of_a_cell_keep_their_own_words(tmp_path):
    def picture(alt: str, data: str, **more: str) -> nbformat.NotebookNode:
        metadata = {"image/png": {"alt": alt}}
        return nbformat.v4.new_output("display_data", data={"image/png": data, **more}, metadata=metadata)

    other = DOT.replace("mNk", "mNg")
    cell = nbformat.v4.new_code_cell("draw()")
    cell.outputs = [picture("A dot.", DOT, **{pages.WIDGET: "{}"}), picture('Another, "darker".', other)]
    folder = toy(tmp_path, cell, readme="[One](notebooks/00_one.ipynb), [all](notebooks)")
    pages.make(folder, tmp_path / "html")
    page = Site(tmp_path / "html").article("00_one")
    assert [image["alt"] for image in page.find_all("img")] == ["A dot.", 'Another, "darker".']
    assert "widget" not in page.get_text().lower()


def test_what_is_folded_becomes_markdown():
    one = "<details><summary>Hint</summary>It is <code>a &lt; b</code>, $x$.</details>"
    two = "<details><summary>Solution</summary>\n```\na\n```\n</details>"
    assert pages.unfolded(one) == "\n<details>\n<summary>Hint</summary>\n\nIt is `a < b`, $x$.\n\n</details>\n"
    assert pages.unfolded(two) == "\n<details>\n<summary>Solution</summary>\n\n```\na\n```\n\n</details>\n"
    assert pages.unfolded(f"{one}\n{two}") == f"{pages.unfolded(one)}\n{pages.unfolded(two)}"


def test_links_lead_to_pages_and_those_that_cannot_are_text(tmp_path):
    for name in ("notebooks/01_two.ipynb", "data/README.md", "data/raw/x.csv", "notebooks/dot.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    known = {"notebooks/01_two.ipynb": "01_two.ipynb", "data/README.md": "data.md"}
    (tmp_path / "source").mkdir()
    expected = {
        "[two](01_two.ipynb)": "[two](01_two.ipynb)",
        "[`two`](01_two.ipynb#a)": "[`two`](01_two.ipynb#a)",
        "[data](../data/README.md)": "[data](data.md)",
        "[../data/README.md](../data/README.md)": "[](data.md)",
        "[raw](../data/raw)": "raw",
        "![dot](dot.png)": "![dot](dot.png)",
        "[gone](gone.ipynb)": "[gone](gone.ipynb)",
        "[web](https://example.org)": "[web](https://example.org)",
        "`[raw](../data/raw)`": "`[raw](../data/raw)`",
        "```\n[raw](../data/raw)\n```": "```\n[raw](../data/raw)\n```",
    }
    for text, becomes in expected.items():
        path = tmp_path / "notebooks" / "00_one.ipynb"
        assert pages.relinked(text, path, tmp_path, known, tmp_path / "source") == becomes
    assert [path.name for path in (tmp_path / "source").iterdir()] == ["dot.png"]
