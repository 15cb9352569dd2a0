"""A picture under controls: the browser runs how they look and listen, the kernel draws what they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import ipywidgets
import traitlets

from dmlbook._checks import checked
from dmlbook.book.web import pictured, source

MODULE = Path(__file__).with_name("panel.js")
FEW = 6
"""So many choices stand side by side as buttons; more stand on a slider."""
HELD = "at_"
"""Before the name of a control: the name under which the browser holds its value."""


@checked
def choose(options: list | tuple, value: object, description: str) -> ipywidgets.ValueWidget:
    """A choice without a menu, whose arrow keys a notebook would take: buttons, or a slider where there are many.

    Args:
        options: Values, or pairs of what the reader sees and the value.
        value: The one that is chosen at first.
        description: The name that stands beside it.
    """
    kind = ipywidgets.ToggleButtons if len(options) <= FEW else ipywidgets.SelectionSlider
    return kind(options=options, value=value, description=description)


class Panel:
    """Controls, buttons, a picture and its words, to be the last expression of a cell.

    In the browser all controls are native ones: Tab reaches them, arrow keys move them and leave the notebook's
    selection alone, and a screen reader hears their names and values. The picture has its words as alternative text.

    Args:
        controls: By name, what holds a value: sliders, or what :func:`choose` gives.
        actions: By what stands on a button, what it does.
        size: Width and height of the picture on the page, in CSS pixels.
        sharp: Gives the picture as it is now with twice the pixels; asked for where nothing has moved for a while.

    Attributes:
        value: The picture, as PNG bytes.
        alt: The same in words.
    """

    @checked
    def __init__(
        self,
        controls: Mapping[str, ipywidgets.ValueWidget],
        actions: Mapping[str, Callable[[], object]],
        *,
        size: tuple[int, int],
        sharp: Callable[[], bytes],
    ) -> None:
        self.controls, self.actions, self.sharp = dict(controls), dict(actions), sharp
        self.width, self.height = size
        self.value, self.alt, self._widget = b"", "", None

    @checked
    def show(self, value: bytes, alt: str) -> None:
        """Another picture, and its words."""
        self.value, self.alt = value, alt
        if self._widget is not None:
            with self._widget.hold_sync():
                self._widget.picture, self._widget.said = value, alt

    def widget(self) -> object:
        """The anywidget, made when it is first asked for. Values go both ways between its controls and Python's."""
        if self._widget is None:
            import anywidget

            held = {HELD + name: traitlets.Any(control.value).tag(sync=True) for name, control in self.controls.items()}
            shared = {
                "data": traitlets.Dict().tag(sync=True),
                "picture": traitlets.Bytes().tag(sync=True),
                "said": traitlets.Unicode().tag(sync=True),
            }
            kind = type("Controls", (anywidget.AnyWidget,), {"_esm": source(MODULE), **shared, **held})
            self._widget = kind(data=self._told(), picture=self.value, said=self.alt)
            for name, control in self.controls.items():
                traitlets.link((control, "value"), (self._widget, HELD + name))
            self._widget.on_msg(self._heard)
        return self._widget

    def _told(self) -> dict[str, object]:
        return {
            "controls": {name: described(control) for name, control in self.controls.items()},
            "actions": list(self.actions),
            "size": [self.width, self.height],
        }

    def _heard(self, _: object, message: dict, __: object) -> None:
        if "press" in message:
            self.actions[message["press"]]()
        elif "sharp" in message:
            self._widget.picture = self.sharp()

    def _repr_mimebundle_(self, **_: object) -> tuple[dict, dict]:
        """The widget, and beside it what is kept where no kernel runs."""
        return pictured(self.widget()._repr_mimebundle_(), self.sharp(), self.alt, width=self.width)


@checked
def described(control: ipywidgets.ValueWidget) -> dict[str, object]:
    """A slider or a choice as a browser's module makes it again."""
    buttons = isinstance(control, ipywidgets.ToggleButtons)
    told = {"label": control.description, "value": control.value, "buttons": buttons}
    if hasattr(control, "options"):
        return {**told, "options": [list(pair) for pair in control._options_full]}
    return {**told, "min": control.min, "max": control.max, "step": control.step}
