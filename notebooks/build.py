"""Make the notebooks from their paired text: ``src/NN_topic.py`` -> ``NN_topic.ipynb``, executed, outputs kept.

The text is what authors edit and reviewers read; the notebook is what readers open. It goes one way only: nothing that
was edited in a notebook is merged back. ``make book`` calls this file, ``make html`` calls it with ``--html``.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import time
from pathlib import Path

import contents
import jupytext
import ledger
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from dmlbook._files import write_whole

HERE = Path(__file__).resolve().parent
SECONDS_PER_CELL = 600  # class mode; nbval allows a cell of smoke mode 120
WIDGET = "application/vnd.jupyter.widget-view+json"
COLOR = re.compile(r"\x1b\[[0-9;]*m")
WIDGET_NOTE = "*A widget: run this cell to use it.*"
# No versions and no name of an environment: a rebuild on another machine changes only what its cells print.
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


def read_text(source: Path) -> nbformat.NotebookNode:
    """The notebook that a paired text describes, not yet executed. The ids of its cells depend on their text alone."""
    book = jupytext.read(source, fmt="py:percent")
    book.metadata = nbformat.from_dict(METADATA)
    book.nbformat, book.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in book.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return book


def execute(book: nbformat.NotebookNode, folder: Path) -> str | None:
    """Run every cell in place, in a fresh kernel that starts in ``folder``.

    Returns:
        None, or what went wrong and in which cell.
    """
    begun: list[nbformat.NotebookNode] = []
    client = NotebookClient(
        book,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        on_cell_start=lambda cell, cell_index: begun.append(cell),
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError) as error:  # both show the cell
        return COLOR.sub("", str(error))
    except DeadKernelError as error:
        return f"{error} It ended in this cell:\n{begun[-1].source if begun else '(before the first)'}"
    return None


def tidy(book: nbformat.NotebookNode) -> None:
    """Outputs as they are kept: a sentence for a widget, which is dead without a kernel, and alt text also on the cell.

    Figures carry their alt text in the output's metadata; some tools look for it on the cell.
    """
    book.metadata = nbformat.from_dict(METADATA)  # the kernel has added its versions
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            if WIDGET in output.get("data", {}):
                output.data = nbformat.from_dict({"text/markdown": WIDGET_NOTE, "text/plain": WIDGET_NOTE})
                output.metadata = nbformat.from_dict({})
        alts = [alt for output in cell.outputs if (alt := alt_text(output))]
        if alts:
            cell.metadata["alt"] = " ".join(alts)


def alt_text(output: nbformat.NotebookNode) -> str | None:
    """What a stored PNG says to someone who does not see it, or None."""
    return output.get("metadata", {}).get("image/png", {}).get("alt")


def build(source: Path, target: Path) -> bool:
    """Make one notebook and print its seconds; False if a cell fails, which is shown, and the former file is kept."""
    start = time.perf_counter()
    book = read_text(source)
    if failure := execute(book, target.parent):
        print(f"{target.name}: failed; the former notebook is kept\n{failure}", file=sys.stderr, flush=True)
        return False
    tidy(book)
    nbformat.validate(book)
    write_whole(target, nbformat.writes(book) + "\n")
    print(f"{target.name}: {time.perf_counter() - start:.1f} s", flush=True)
    return True


def html(notebook: Path, target: Path) -> None:
    """The stored notebook as a page. nbconvert's lab template drops alt text, so figures become <img> tags first."""
    from html import escape

    book = nbformat.read(notebook, as_version=4)
    for cell in book.cells:
        for output in cell.get("outputs", []):
            if alt := alt_text(output):
                picture = output.data["image/png"].replace("\n", "")
                output.data = {"text/html": f'<img src="data:image/png;base64,{picture}" alt="{escape(alt)}">'}
    _write_page(book, notebook.stem, target)


def equations(folder: Path) -> str:
    """The ledger's page, for the notebooks that lie in ``folder``."""
    return ledger.page(
        ledger.rows(), {path.name.partition("_")[0]: path.name for path in sorted(folder.glob("*.ipynb"))}
    )


def equations_html(target: Path) -> None:
    """The ledger as a page, beside those of the notebooks."""
    text = ledger.PAGE.read_text(encoding="utf-8").replace(".ipynb)", ".html)")
    _write_page(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), "Equations", target)


def _write_page(book: nbformat.NotebookNode, title: str, target: Path) -> None:
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter(template_name="lab").from_notebook_node(book, {"metadata": {"name": title}})
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, page)
    print(target, flush=True)


def chosen(names: list[str], sources: list[Path]) -> list[Path]:
    """The sources that the names begin: ``00``, ``07_training``, ``07_training.ipynb``; all where no name is given."""
    stems = [Path(name).name.removesuffix(".ipynb").removesuffix(".py") for name in names]
    unknown = [name for name in stems if not any(source.stem.startswith(name) for source in sources)]
    if unknown:
        there = ", ".join(source.stem for source in sources)
        sys.exit(f"build.py: no chapter begins with {', '.join(unknown)}; there are {there}")
    return [source for source in sources if not stems or any(source.stem.startswith(name) for name in stems)]


def main(arguments: list[str] | None = None, folder: Path = HERE) -> int:
    parser = argparse.ArgumentParser(description="Make the notebooks from their paired text in src/, executed.")
    parser.add_argument("names", nargs="*", help="chapters, by the beginning of their name: 00 07 (default: all)")
    parser.add_argument("--html", action="store_true", help="show the stored notebooks as pages, in build/html")
    options = parser.parse_args(arguments)
    sources = chosen(options.names, sorted((folder / "src").glob("*.py")))
    if options.html:
        for source in sources:
            html(folder / f"{source.stem}.ipynb", folder.parent / "build" / "html" / f"{source.stem}.html")
        if folder == HERE:
            equations_html(folder.parent / "build" / "html" / "equations.html")
        return 0
    results = [build(source, folder / f"{source.stem}.ipynb") for source in sources]
    if folder == HERE:
        write_whole(ledger.PAGE, equations(folder))
        readme = contents.README.read_text(encoding="utf-8")
        write_whole(contents.README, contents.updated(readme, sorted((folder / "src").glob("*.py"))))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
