"""notebooks/outputs.json: what the build stored is what lies there, and a change by hand is named with its cell."""

import copy
import json
from pathlib import Path

import build
import nbformat
import pytest
import stored

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
NOTES = stored.read()
PNG = "iVBORw0KGgo="


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_stores_what_the_build_noted(path):
    book = nbformat.read(path, as_version=4)
    assert stored.changes(path.stem, book, NOTES.get(path.stem, {}), build.live_texts(path)) == []


def test_all_notebooks_are_noted_and_no_others():
    assert list(NOTES) == [path.stem for path in NOTEBOOKS]
    assert stored.written(NOTES) == stored.NOTED.read_text(encoding="utf-8")


def test_most_cells_are_compared_in_every_run():
    shares = {name: stored.share(noted) for name, noted in NOTES.items()}
    assert all(compared > 0 for compared, _ in shares.values())
    compared, said = map(sum, zip(*shares.values(), strict=True))
    assert compared > 0.6 * said, shares


def cell(source, *outputs, name="a"):
    made = nbformat.v4.new_code_cell(source, outputs=list(outputs), execution_count=1)
    made.id = name
    if alts := " ".join(alt for _, alt in stored.figures_of(outputs) if alt):
        made.metadata["alt"] = alts
    return made


def printed(text):
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def figure(alt, png=PNG):
    return nbformat.v4.new_output(
        "display_data", data={"image/png": png, "text/plain": "<Figure>"}, metadata={"image/png": {"alt": alt}}
    )


@pytest.fixture
def book():
    """A notebook of four cells: a number, two figures, and a table in HTML."""
    table = nbformat.v4.new_output("display_data", data={"text/html": "<td>0.25</td>"})
    first, second = figure("Two circles that touch."), figure("A line that rises.", "AAAA")
    cells = [
        cell("print(0.5)", printed("0.500\n"), name="a"),
        cell("show(circles, alt='Two circles that touch.')", first, name="b"),
        cell("show(line, alt='A line that rises.')", second, name="c"),
        cell("table()", table, name="d"),
    ]
    return nbformat.v4.new_notebook(cells=cells)


def give_alt(cell, alt):
    cell.outputs[0].metadata["image/png"]["alt"] = alt


def change_number(cells):
    cells[0].outputs[0].text = "0.501\n"


def change_table(cells):
    cells[3].outputs[0].data["text/html"] = "<td>0.35</td>"


def change_kind(cells):
    cells[0].outputs[0].name = "stderr"


def drop_output(cells):
    cells[0].outputs = []


def swap_figures(cells):
    first, second = cells[1].outputs[0].data, cells[2].outputs[0].data
    first["image/png"], second["image/png"] = second["image/png"], first["image/png"]


def swap_alts(cells):
    give_alt(cells[1], "A line that rises.")
    give_alt(cells[2], "Two circles that touch.")


def swap_alts_of_cells(cells):
    cells[1].metadata["alt"], cells[2].metadata["alt"] = cells[2].metadata["alt"], cells[1].metadata["alt"]


def drop_alt(cells):
    del cells[1].outputs[0].metadata["image/png"]


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (change_number, {1: "what it printed was changed"}),
        (change_table, {4: "what it printed was changed"}),
        (change_kind, {1: "what it printed was changed"}),
        (drop_output, {1: "what it printed was changed"}),
        (swap_figures, {2: "its figure was changed", 3: "its figure was changed"}),
        (swap_alts, {2: "the alt text is not that of its figure", 3: "the alt text is not that of its figure"}),
        (swap_alts_of_cells, {2: "the cell's alt text is not", 3: "the cell's alt text is not"}),
        (drop_alt, {2: "the alt text is not that of its figure"}),
    ],
)
def test_a_change_by_hand_is_named_with_its_cell(book, fault, seen):
    noted = stored.note(book, set())
    assert stored.changes("05_bound", book, noted) == []
    fault(book.cells)
    found = stored.changes("05_bound", book, noted)
    assert len(found) == len(seen)
    for line, (number, words) in zip(found, seen.items(), strict=True):
        assert line.startswith(f"05_bound: code cell {number} ({stored.title(book.cells[number - 1].source)}): {words}")
        assert line.endswith('; run make book CHAPTERS="05"')


def test_a_cell_that_was_never_executed_is_seen(book):
    noted = stored.note(book, set())
    for faulty in (book.cells[1:], [*book.cells, cell("1 + 1", name="e")], book.cells[::-1]):
        changed = nbformat.v4.new_notebook(cells=faulty)
        assert stored.changes("05_bound", changed, noted) == [
            '05_bound: its cells are not those that were executed; run make book CHAPTERS="05"'
        ]
    assert len(stored.changes("05_bound", book, {})) == 1


def test_what_a_view_is_fed_is_noted_too(book):
    noted = stored.note(book, set(), {"05-1": '{"x":1}'})
    assert stored.changes("05_bound", book, noted, {"05-1": '{"x":1}'}) == []
    for other in ({"05-1": '{"x":2}'}, {}, {"05-1": '{"x":1}', "05-2": ""}):
        assert "what its views are fed was changed" in stored.changes("05_bound", book, noted, other)[0]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_fault_planted_in_a_stored_chapter_is_seen(path):
    """Each stored number, figure and alt text of a chapter, one after the other."""
    book, live = nbformat.read(path, as_version=4), build.live_texts(path)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    planted = 0
    for number, one in enumerate(code, start=1):
        for fault in (bend_number, bend_picture, bend_alt):
            kept = copy.deepcopy(one.outputs)
            if fault(one.outputs):
                planted += 1
                found = stored.changes(path.stem, book, NOTES[path.stem], live)
                assert f"code cell {number} " in found[0], fault
            one.outputs = kept
    assert planted >= len(code) / 2


def bend_number(outputs):
    for output in outputs:
        text = output.get("text", output.get("data", {}).get("text/plain", ""))
        digits = [place for place, letter in enumerate(text) if letter.isdigit()]
        if digits:
            changed = text[: digits[-1]] + str((int(text[digits[-1]]) + 1) % 10) + text[digits[-1] + 1 :]
            (output if "text" in output else output["data"])["text" if "text" in output else "text/plain"] = changed
            return True
    return False


def bend_picture(outputs):
    for output in outputs:
        if "image/png" in output.get("data", {}):
            output["data"]["image/png"] = output["data"]["image/png"].replace("A", "B", 1)
            return True
    return False


def bend_alt(outputs):
    for output in outputs:
        if "image/png" in output.get("metadata", {}):
            output["metadata"]["image/png"]["alt"] += " And a star."
            return True
    return False


@pytest.mark.parametrize(
    ("stored_text", "found"),
    [
        ("0.513", "0.514"),
        ("0.513", "0.512"),
        ("loss 1.000 of 3", "loss 0.999 of 3"),
        ("tensor([0.1000,  0.2000])", "tensor([ 0.1000, 0.2001])"),
        ("apart by 2.2e-16", "apart by 0.0e+00"),
        ("apart by 2.2e-16", "apart by 4.4e-16"),
        ("1.00e-03", "9.99e-04"),
        ("-0.000", "0.000"),
        ("1,024.5", "1,024.6"),
        ("a\n  b", "a\nb\n"),
    ],
)
def test_rounding_on_another_processor_is_no_difference(stored_text, found):
    assert stored_text != found
    assert stored.difference(stored_text, found) is None


@pytest.mark.parametrize(
    ("stored_text", "found", "said"),
    [
        ("R@1 0.513", "R@1 0.515", "stored 0.513, now 0.515"),
        ("12 of 20", "13 of 20", "stored 12, now 13"),
        ("1,024 images", "1,025 images", "stored 1,024, now 1,025"),
        ("-0.5", "0.5", "stored -0.5, now 0.5"),
        ("\u22120.5", "0.5", "stored \u22120.5, now 0.5"),
        ("1e-03", "1e-05", "stored 1e-03, now 1e-05"),
        ("2 e", "2 f", "stored '2 e', now '2 f'"),
        ("one\ntwo", "one\ntwin", "stored 'two', now 'twin'"),
        ("one", "one\n2", "stored 'one', now 'one\\n2'"),
        ("dim2", "dim3", "stored 'dim2', now 'dim3'"),
        ("90.0 percent", "9.0 percent", "stored 90.0, now 9.0"),
        ("", "Predicted", "stored '', now 'Predicted'"),
    ],
)
def test_any_other_difference_is_told(stored_text, found, said):
    assert stored.difference(stored_text, found) == said


@pytest.mark.parametrize(
    ("source", "text", "again", "steady"),
    [
        ("print(1 / 3)", "0.333\n", "0.333\n", True),
        ("print(loss)", "0.333\n", "0.334\n", False),
        ("x = 1", "", "", False),
        ("start = time.perf_counter()", "fast\n", "fast\n", False),
        ("print(took)", "12 ms\n", "12 ms\n", False),
        ("print(took)", "about 2 seconds\n", "about 2 seconds\n", False),
        ("print(torch)", "torch 2.9.1\n", "torch 2.9.1\n", False),
        ("umap.UMAP().fit(x)", "0.9\n", "0.9\n", False),
    ],
)
def test_a_cell_is_steady_if_it_says_the_same_elsewhere(source, text, again, steady):
    def said(words):
        return cell(source, *([printed(words)] if words else []))

    assert stored.is_steady(said(text), said(again)) is steady


def test_a_described_picture_becomes_html_and_comes_back():
    picture = figure('A "dot" & a line.')
    picture.metadata["image/png"]["width"] = 40
    shown = stored.as_html(picture)
    assert set(shown.data) == {"text/html", "text/plain"}
    assert (
        shown.data["text/html"]
        == f'<img alt="A &quot;dot&quot; &amp; a line." width="40" src="data:image/png;base64,{PNG}">'
    )
    assert shown.metadata == {}
    assert stored.as_picture(shown) == picture
    assert stored.as_html(shown) is shown
    assert stored.as_picture(picture) is picture
    assert stored.figures_of([shown]) == stored.figures_of([picture])
    assert stored.plain([shown]) == stored.plain([picture])
    assert PNG not in stored.text_of([shown])


def test_other_html_and_a_picture_without_words_are_left_alone():
    table = nbformat.v4.new_output(
        "display_data", data={"text/html": '<p><img alt="A." src="data:image/png;base64,a"></p>'}
    )
    assert stored.as_picture(table) is table
    bare = nbformat.v4.new_output("display_data", data={"image/png": PNG})
    assert stored.as_html(bare) is bare


def test_the_name_of_an_alt_text_counts_as_the_text():
    assert stored.without_alt('show(figure, "3.1 a", x=1)') == stored.without_alt('show(figure, "3.1 b", x=1)')
    assert stored.without_alt('show(figure, "3.1 a")') != stored.without_alt('show(other, "3.1 a")')


def test_a_cell_whose_alt_text_says_a_number_is_compared_with_it():
    one, other = (cell("show()", figure(f"A bar of height {height}.")) for height in (3, 4))
    assert stored.is_steady(one, one)
    assert not stored.is_steady(one, other)


def test_an_alt_text_that_moved_to_another_figure_is_seen(book):
    swapped = copy.deepcopy(book)
    swapped.cells[1].source, swapped.cells[2].source = (
        "show(circles, alt='A line that rises.')",
        "show(line, alt='Two circles that touch.')",
    )
    swap_alts(swapped.cells)
    assert stored.swapped_alts(book, book) == []
    assert stored.swapped_alts(book, swapped) == [
        "an alt text of another figure: 'A line that rises.'",
        "an alt text of another figure: 'Two circles that touch.'",
    ]
    moved = nbformat.v4.new_notebook(cells=book.cells[::-1])
    reworded = copy.deepcopy(book)
    reworded.cells[1].source = "show(circles, alt='Two circles, side by side.')"
    give_alt(reworded.cells[1], "Two circles, side by side.")
    redrawn = copy.deepcopy(book)
    redrawn.cells[1].source = "show(ellipses, alt='Two circles that touch.')"
    for fine in (moved, reworded, redrawn):
        assert stored.swapped_alts(book, fine) == []


def test_notes_are_read_as_they_were_written(book, tmp_path):
    notes = {"05_bound": stored.note(book, {"a"}, {"05-1": "{}"}), "06_field": stored.note(book, set())}
    path = tmp_path / "outputs.json"
    assert stored.read(path) == {}
    path.write_text(stored.written(notes), encoding="utf-8")
    assert stored.read(path) == json.loads(path.read_text(encoding="utf-8")) == notes
    assert stored.share(notes["05_bound"]) == (1, 4)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2 + 2 * (4 + 5)
