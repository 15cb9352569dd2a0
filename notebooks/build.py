"""Make the notebooks from their paired text: ``src/NN_topic.py`` -> ``NN_topic.ipynb``, executed, outputs kept.

The text is what authors edit and reviewers read; the notebook is what readers open. It goes one way only: nothing that
was edited in a notebook is merged back. ``make book`` calls this file. ``make html`` calls it with ``--html``, which
executes nothing: it makes the site of what is stored, see ``pages.py``. What was stored is noted, see ``stored.py``.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import re
import sys
import time
from pathlib import Path

import claims
import contents
import jupytext
import ledger
import nbformat
import pages
import reading
import stored
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from dmlbook._files import write_whole
from dmlbook.book.web import LIVE

HERE = Path(__file__).resolve().parent
SECONDS_PER_CELL = 600  # class mode; nbval allows a cell of smoke mode 120
COLOR = re.compile(r"\x1b\[[0-9;]*m")
WIDGET_NOTE = "*A widget: run this cell to use it.*"
# No name of an environment. What the kernel says of its language is kept as it says it: JupyterLab would write it in,
# and a chapter that was only opened would ask to be saved.
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


def read_text(source: Path) -> nbformat.NotebookNode:
    """The notebook that a paired text describes, not yet executed. The ids of its cells depend on their text alone."""
    book = jupytext.read(source, fmt="py:percent")
    reading.told(book)
    book.metadata = nbformat.from_dict(METADATA)
    book.nbformat, book.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in book.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return book


def execute(book: nbformat.NotebookNode, folder: Path, environment: dict[str, str]) -> str | None:
    """Run every cell in place, in a fresh kernel that starts in ``folder``.

    Args:
        book: The notebook.
        folder: Where it runs.
        environment: What the kernel's environment has besides, or other than, this process's.

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
        client.execute(env={**os.environ, **environment})
    except (CellExecutionError, CellTimeoutError) as error:  # both show the cell
        return COLOR.sub("", str(error))
    except DeadKernelError as error:
        return f"{error} It ended in this cell:\n{begun[-1].source if begun else '(before the first)'}"
    return None


def tidy(book: nbformat.NotebookNode, stem: str = "notebook") -> dict[str, dict]:
    """Outputs as they are kept: of a widget, which is dead without a kernel, its picture, or else a sentence.

    Figures are HTML that carries their alt text; some tools look for it on the cell.

    Returns:
        What views that can run on a page are fed, by the name that their outputs refer to it by.
    """
    book.metadata = nbformat.from_dict({**METADATA, "language_info": book.metadata.language_info})
    live: dict[str, dict] = {}
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            data = output.get("data", {})
            if data.pop(pages.WIDGET, None) is not None and "image/png" not in data:
                output.data = nbformat.from_dict({"text/markdown": WIDGET_NOTE, "text/plain": WIDGET_NOTE})
                output.metadata = nbformat.from_dict({})
            if fed := data.pop(LIVE, None):
                name = f"{stem}-{len(live) + 1}"
                live[name] = fed
                output.metadata["dmlbook"] = {"live": name}
        cell.outputs = [stored.as_html(output) for output in cell.outputs]
        if alts := [alt for _, alt in stored.figures_of(cell.outputs) if alt]:
            cell.metadata["alt"] = " ".join(alts)
    return live


def keep_live(folder: Path, stem: str, live: dict[str, dict]) -> None:
    """What a notebook's views are fed, one file each, in place of what an earlier build has left."""
    for path in folder.glob(f"{stem}-*.json"):
        if path.stem not in live:
            path.unlink()
    for name, fed in live.items():
        folder.mkdir(exist_ok=True)
        write_whole(folder / f"{name}.json", json.dumps(fed, separators=(",", ":")) + "\n")


def build(source: Path, target: Path) -> bool:
    """Make one notebook and print its seconds; False if a cell fails, which is shown, and the former file is kept."""
    start = time.perf_counter()
    book = read_text(source)
    if failure := execute(book, target.parent, {"DMLBOOK_BUILD": "1"}):  # views hand over what they are fed
        return failed(target, failure)
    live = tidy(book, target.stem)
    nbformat.validate(book)
    if swapped := stored.swapped_alts(former(target), book):
        remedy = "Mend src/; or, if the former texts were the wrong ones, remove the notebook and build it again."
        return failed(target, "\n".join([*swapped, remedy]))
    keep_live(target.parent / pages.LIVE_FOLDER, target.stem, live)
    write_whole(target, nbformat.writes(book) + "\n")
    if not take_note(target):
        return False
    print(f"{target.name}: {time.perf_counter() - start:.1f} s", flush=True)
    return True


def failed(target: Path, why: str) -> bool:
    """Says so; always False."""
    print(f"{target.name}: failed; the former notebook is kept\n{why}", file=sys.stderr, flush=True)
    return False


def former(target: Path) -> nbformat.NotebookNode:
    """The notebook of the last build; an empty one where there is none that can be read."""
    try:
        return nbformat.read(target, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError):
        return nbformat.v4.new_notebook()


def take_note(target: Path) -> bool:
    """Run a stored notebook again, small and as on another processor, and note which cells say the same; or False."""
    book = nbformat.read(target, as_version=4)
    again = copy.deepcopy(book)
    if failure := execute(again, target.parent, stored.ELSEWHERE):
        print(f"{target.name}: stored, but fails in smoke mode\n{failure}", file=sys.stderr, flush=True)
        return False
    pairs = zip(book.cells, again.cells, strict=True)
    steady = {one.id for one, other in pairs if one.cell_type == "code" and stored.is_steady(one, other)}
    path = target.with_name(stored.NOTED.name)
    notes = {name: noted for name, noted in stored.read(path).items() if target.with_name(f"{name}.ipynb").is_file()}
    notes[target.stem] = stored.note(book, steady, live_texts(target))
    write_whole(path, stored.written(notes))
    compared, said = stored.share(notes[target.stem])
    print(f"{target.name}: {compared} of {said} cells that say something are compared in every run", flush=True)
    return True


def live_texts(target: Path) -> dict[str, str]:
    """What the views of a notebook are fed, by name."""
    files = (target.parent / pages.LIVE_FOLDER).glob(f"{target.stem}-*.json")
    return {path.stem: path.read_text(encoding="utf-8") for path in files}


def equations(folder: Path) -> str:
    """The ledger's page, for the notebooks that lie in ``folder``."""
    return ledger.page(
        ledger.rows(), {path.name.partition("_")[0]: path.name for path in sorted(folder.glob("*.ipynb"))}
    )


def chosen(names: list[str], sources: list[Path]) -> list[Path]:
    """The sources that the names begin: ``00``, ``07_training``, ``07_training.ipynb``; all where no name is given."""
    stems = [Path(name).name.removesuffix(".ipynb").removesuffix(".py") for name in names]
    unknown = [name for name in stems if not any(source.stem.startswith(name) for source in sources)]
    if unknown:
        there = ", ".join(source.stem for source in sources)
        sys.exit(f"build.py: no chapter begins with {', '.join(unknown)}; there are {there}")
    return [source for source in sources if not stems or any(source.stem.startswith(name) for name in stems)]


def show(folder: Path, names: list[str]) -> int:
    """Make the site, always the whole of it, and print where the pages with these names are; 1 if Sphinx complains."""
    start, target = time.perf_counter(), folder.parent / "build" / "html"
    try:
        pages.make(folder, target)
    except RuntimeError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    print(f"the site: {time.perf_counter() - start:.1f} s", *(target / f"{name}.html" for name in names), sep="\n")
    return 0


def main(arguments: list[str] | None = None, folder: Path = HERE) -> int:
    parser = argparse.ArgumentParser(description="Make the notebooks from their paired text in src/, executed.")
    parser.add_argument("names", nargs="*", help="chapters, by the beginning of their name: 00 07 (default: all)")
    parser.add_argument("--html", action="store_true", help="make the site of all stored notebooks, in build/html")
    parser.add_argument("--note", action="store_true", help="note what is stored, executing in smoke mode alone")
    options = parser.parse_args(arguments)
    sources = chosen(options.names, sorted((folder / "src").glob("*.py")))
    if options.html:
        return show(folder, [source.stem for source in sources] if options.names else ["index"])
    if options.note:
        results = [take_note(folder / f"{source.stem}.ipynb") for source in sources]
        return 0 if all(results) else 1
    results = [build(source, folder / f"{source.stem}.ipynb") for source in sources]
    if folder == HERE:
        write_whole(ledger.PAGE, equations(folder))
        write_whole(claims.PAGE, claims.page(claims.rows(), claims.sections()))
        readme = contents.README.read_text(encoding="utf-8")
        write_whole(contents.README, contents.updated(readme, sorted((folder / "src").glob("*.py"))))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
