"""Panels: what the browser is told, what it hears, and that values go both ways; no menu is left in any of them."""

import base64

import ipywidgets
import matplotlib

matplotlib.use("agg")
import pytest

from dmlbook.book import panel
from dmlbook.book.explorer import Words
from dmlbook.book.panel import Panel, choose
from dmlbook.chapters import explorers
from tests.book.test_live import Slope
from tests.book.test_web import PNG, dots


def made(**changed) -> Panel:
    tau = ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.1, description="tau")
    given = {"controls": {"tau": tau}, "actions": {}, "size": (16, 4), "sharp": lambda: PNG} | changed
    return Panel(given.pop("controls"), given.pop("actions"), **given)


def test_few_choices_are_buttons_and_many_a_slider():
    for count in (2, panel.FEW, panel.FEW + 1, 13):
        control = choose([(f"number {n}", n) for n in range(count)], 1, "number")
        assert isinstance(control, ipywidgets.ToggleButtons if count <= panel.FEW else ipywidgets.SelectionSlider)
        assert (control.value, control.description) == (1, "number")
        told = panel.described(control)
        assert told["buttons"] == (count <= panel.FEW)
        assert told["options"] == [[f"number {n}", n] for n in range(count)]


@pytest.mark.parametrize("number", explorers())
def test_no_chapter_has_a_menu_and_labels_are_short(number):
    for control in explorers()[number]().controls.values():
        assert isinstance(
            control,
            ipywidgets.FloatSlider | ipywidgets.IntSlider | ipywidgets.SelectionSlider | ipywidgets.ToggleButtons,
        )
        assert 0 < len(control.description) <= 20


def test_values_go_both_ways_and_what_follows_is_shown():
    explorer = Slope()
    widget = explorer.widget().widget()
    assert widget is explorer.picture.widget()
    widget.at_slope = 0.9  # as the browser does
    assert explorer.controls["slope"].value == 0.9
    assert widget.said == explorer.text.value == "from 0.0 with slope 0.9 after 0 steps"
    assert widget.picture == explorer.picture.value == explorer.live.png()
    explorer.set(slope=0.2, start=0.1)
    assert (widget.at_slope, widget.at_start) == (0.2, 0.1)
    assert widget.said.startswith("from 0.1 with slope 0.2")
    widget.at_slope = 1  # a whole number, as JSON has it
    assert explorer.controls["slope"].value == 1.0


def test_a_press_in_the_browser_acts_and_a_wish_for_a_sharp_picture_is_fulfilled():
    explorer = Slope()
    widget = explorer.widget().widget()
    widget._handle_custom_msg({"press": "step"}, [])
    assert explorer.steps == 1
    assert widget.said.endswith("after 1 steps")
    quick = widget.picture
    widget._handle_custom_msg({"sharp": True}, [])
    assert widget.picture == explorer.live.sharp() != quick
    assert explorer.picture.value == quick


def test_a_panel_shows_what_it_is_given_before_and_after_its_widget_is_made():
    shown = made()
    shown.show(PNG, "Sixteen dots in four rows.")
    widget = shown.widget()
    assert (widget.picture, widget.said) == (shown.value, shown.alt) == (PNG, "Sixteen dots in four rows.")
    other = dots(128)
    shown.show(other, "Other dots, in eight rows.")
    assert (widget.picture, widget.said) == (other, "Other dots, in eight rows.")


def test_what_is_stored_is_the_sharp_picture_at_its_width():
    sharp = dots(256)
    shown = made(sharp=lambda: sharp)
    shown.show(PNG, "Sixteen dots in four rows.")
    content, metadata = shown._repr_mimebundle_()
    assert base64.b64decode(content["image/png"]) == sharp
    assert content["text/plain"] == "Sixteen dots in four rows."
    assert metadata["image/png"]["width"] == 16


def test_what_a_picture_shows_stands_where_controls_keep_their_value():
    explorer = Slope()
    assert isinstance(explorer.text, Words)
    assert Words().value == ""
    explorer.set(slope=0.9)
    assert explorer.text.value == explorer.picture.alt
    assert "slope 0.9" in explorer.text.value
