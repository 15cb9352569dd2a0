"""Views that a browser runs: which modules they take, what is stored of them, and what explorers tell theirs."""

import base64
import io
import json
import re
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import numpy as np
import pytest
from PIL import Image

from dmlbook import book, settings
from dmlbook.book import web
from dmlbook.book.web import BrowserView
from dmlbook.chapters import explorers
from dmlbook.chapters.ch03 import figures
from dmlbook.chapters.ch03.explorer import random_start
from dmlbook.maps.view import MODULE
from tests.book.test_live import Slope


def dots(colors: int) -> bytes:
    """A PNG of so many colors in RGB."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (colors // 16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


PNG = dots(64)
ALT = "Two dots on a circle, one on each side."
WIDGET = "application/vnd.jupyter.widget-view+json"
CHAPTERS = {
    number: kind
    for number, kind in explorers().items()
    if (MODULE.parents[2] / f"chapters/ch{number}/explorer.js").is_file()
}


def view(**changed) -> BrowserView:
    given = {"module": MODULE, "data": {"a": [1, 2]}, "picture": PNG, "alt": ALT} | changed
    return BrowserView(given.pop("module"), given.pop("data"), **given)


@pytest.fixture
def built(monkeypatch):
    """While the book is built."""
    monkeypatch.setenv("DMLBOOK_BUILD", "1")


def test_a_module_is_a_file_of_the_package_and_named_by_its_place_in_it(tmp_path):
    assert view().name == "maps/web/map.js"
    assert view(module=MODULE.parent / ".." / "web" / "map.js").name == "maps/web/map.js"
    foreign = tmp_path / "map.js"
    foreign.write_text("export default {}")
    for module in (foreign, MODULE.parent / "none.js", MODULE.parent):
        with pytest.raises(ValueError, match="module must be a file of the package dmlbook; got"):
            view(module=module)


@pytest.mark.parametrize("alt", ["", "A picture", " " * 30])
def test_an_alt_text_that_says_nothing_is_refused(alt):
    with pytest.raises(ValueError, match="alt must say in a sentence what the picture shows"):
        view(alt=alt)


def test_a_view_is_a_widget_and_leaves_its_picture_in_words(monkeypatch):
    monkeypatch.delenv("DMLBOOK_BUILD", raising=False)
    shown = view()
    content, metadata = shown._repr_mimebundle_()
    assert base64.b64decode(content["image/png"]) == PNG
    assert metadata["image/png"] == {"alt": ALT}
    assert content["text/plain"] == ALT
    assert content[WIDGET]["model_id"] == shown.widget().model_id
    assert web.LIVE not in content


def test_its_data_is_stored_while_the_book_is_built_alone(built):
    assert settings.building()
    content, _ = view()._repr_mimebundle_()
    assert content[web.LIVE] == {"module": "maps/web/map.js", "data": {"a": [1, 2]}}


def test_the_widget_gets_source_and_data_and_gives_back_what_the_reader_chose():
    shown = view()
    assert shown.state == {}
    widget = shown.widget()
    assert widget is shown.widget()
    assert widget._esm == shown.source == MODULE.read_text(encoding="utf-8")
    assert widget.data == {"a": [1, 2]}
    widget.state = {"angle": 5}
    assert shown.state == {"angle": 5}


def test_what_a_module_imports_stands_in_its_source(tmp_path):
    (tmp_path / "kit.js").write_text("export const one = 1;\nexport function two() {}\nexport default one;\n")
    module = tmp_path / "module.js"
    comment, rest = '// import { a } from "./b.js";\n', "\nexport const three = one;\n"
    module.write_text(f'{comment}import {{ one, two }} from "./kit.js";\n{rest}')
    assert web.source(module) == f"{comment}const one = 1;\nfunction two() {{}}\nexport default one;\n{rest}"


def test_a_widgets_bundle_keeps_what_it_holds_beside_the_picture():
    content, metadata = web.pictured(({"text/plain": "VBox()", WIDGET: "id"}, {WIDGET: {"a": 1}}), PNG, ALT)
    assert content == {WIDGET: "id", "text/plain": ALT, "image/png": base64.b64encode(PNG).decode()}
    assert metadata == {WIDGET: {"a": 1}, "image/png": {"alt": ALT}}
    assert web.pictured(None, PNG, ALT)[0].keys() == {"text/plain", "image/png"}
    assert web.pictured(None, PNG, ALT, width=32)[1] == {"image/png": {"alt": ALT, "width": 32}}


def test_an_explorers_widget_leaves_the_picture_as_it_stands():
    explorer = Slope()
    panel = explorer.widget()
    explorer.set(slope=0.9)
    content, metadata = panel._repr_mimebundle_()
    assert base64.b64decode(content["image/png"]) == explorer.live.sharp()
    assert metadata["image/png"] == {"alt": explorer.text.value, "width": 300}
    assert "slope 0.9" in content["text/plain"]
    assert content[WIDGET]["model_id"] == panel.widget().model_id


def test_an_explorer_without_a_module_says_so():
    with pytest.raises(ValueError, match="module must be a file of the package"):
        Slope().browser()


@pytest.mark.parametrize("number", CHAPTERS)
def test_an_explorers_module_is_told_its_controls_its_buttons_and_its_picture(number):
    explorer = CHAPTERS[number]()
    shown = explorer.browser()
    assert shown.name == f"chapters/ch{number}/explorer.js"
    assert (shown.picture, shown.alt) == (explorer.live.sharp(), explorer.text.value)
    assert shown.width == Image.open(io.BytesIO(shown.picture)).width / 2
    data = shown.data
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["actions"] == list(explorer.actions)
    assert data["greys"] == {"middle": book.MIDDLE, "soft": book.SOFT, "pale": book.PALE, "shade": book.SHADE}
    assert data["controls"].keys() == explorer.controls.keys()
    for name, control in explorer.controls.items():
        told = data["controls"][name]
        assert (told["label"], told["value"]) == (control.description, control.value)
        assert told["buttons"] == (type(control).__name__ == "ToggleButtons")
        limits = ("min", "max", "step")
        assert [told.get(limit) for limit in limits] == [getattr(control, limit, None) for limit in limits]
        values = [value for _, value in told.get("options", [])]
        assert values == (explorer.grid(name, 99) if hasattr(control, "options") else [])
    assert data.items() >= explorer.constants().items()


def test_a_view_starts_where_the_controls_stand():
    explorer = CHAPTERS["05"]()
    explorer.set(what=10)
    explorer.set(east=-0.5, north=0.25, spread=0.5)
    data = explorer.browser().data
    assert data["centroids"][1] == [-0.5, 0.25]
    assert (data["controls"]["what"]["value"], data["controls"]["spread"]["value"]) == (10, 0.5)


def test_modules_are_told_the_constants_of_python():
    explorer = CHAPTERS["02"]()
    data = explorer.constants()
    assert data["centers"] == [[0.8, 0.6], [0.96, -0.28], [0.6, -0.8]]
    assert data["scales"] == explorer.scales.tolist()
    assert data["colors"] == book.class_colors(3)
    explorer = CHAPTERS["03"]()
    data = explorer.constants()
    assert data["centers"] == [f"center_{number}" for number in range(4)]
    assert data["images"] == [f"image_{name}" for name in data["names"]]
    assert (data["scale"], data["rate"], data["most"], data["longest"]) == (20.0, 0.02, 10.0, 30.0)
    assert (data["labels"], data["steps"], data["radius"]) == ([0, 0, 1, 1], [1, 20], book.CENTER_RADIUS)
    assert (data["rim"], data["shades"]) == (list(figures.RING), figures.SHADES)
    assert data["around"] == [4 * number for number in range(90)]
    assert data["starts"] == [random_start(number) for number in range(1, 51)]
    for start in data["starts"][:3]:
        explorer.restart()
        assert explorer.angles("center").tolist() == [(angle + 180) % 360 - 180 for angle in start]
    explorer = CHAPTERS["05"]()
    data = explorer.constants()
    assert (data["samples"], data["centroids"]) == (explorer.samples.tolist(), explorer.centroids.tolist())
    assert (data["labels"], data["rate"], data["reach"]) == (explorer.labels.tolist(), 0.02, 1.0)


@pytest.mark.parametrize("number", CHAPTERS)
def test_what_a_browser_gets_imports_nothing_and_loads_nothing(number):
    text = CHAPTERS[number]().browser().source
    assert re.findall(r"^import\b|^export .*\bfrom\b|\bimport\(|\bfetch\(", text, re.MULTILINE) == []
    assert set(re.findall(r"https?://[\w.]+", text)) == {"http://www.w3.org"}  # SVG's name
    assert len(re.findall(r"^export default \{ render \};$", text, re.MULTILINE)) == 1


def test_modules_of_chapters_can_be_read_in_one_sitting():
    kit = Path(web.__file__).with_name("kit.js")
    paths = [kit, *(MODULE.parents[2] / f"chapters/ch{number}/explorer.js" for number in CHAPTERS)]
    assert len(paths) == 4
    assert max(len(path.read_text(encoding="utf-8").splitlines()) for path in paths) <= 300
