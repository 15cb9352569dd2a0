"""What the chapters' explorers have in common: controls, a picture that follows them at once, and the same in words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

import ipywidgets

from dmlbook._checks import at_least, check_choice, checked
from dmlbook.book.lines import MIDDLE, PALE, SHADE, SOFT
from dmlbook.book.live import Live
from dmlbook.book.web import BrowserView, pictured


class PicturedBox(ipywidgets.VBox):
    """Widgets among which one picture keeps their place where no kernel runs: its PNG and its alt text are stored."""

    def _repr_mimebundle_(self, **options: object) -> tuple[dict, dict]:
        picture = next(child for child in self.children if isinstance(child, ipywidgets.Image))
        return pictured(super()._repr_mimebundle_(**options), bytes(picture.value), picture.alt)


class Explorer:
    """Controls beside a live figure. A subclass makes its artists, calls ``super().__init__``, and gives ``move``.

    Sliders, menus and buttons of ipywidgets are reached by Tab and moved by the arrow keys; names stand beside them.

    Args:
        live: The figure and what moves in it.
        controls: By the name under which ``move`` takes the value. Their ``description`` is what the reader sees.
        actions: Buttons by what stands on them: each changes the explorer's state; ``move`` follows.

    Attributes:
        text: What the picture shows, in words.
        picture: The figure, with the words as its alt text.
    """

    @checked
    def __init__(
        self,
        live: Live,
        controls: Mapping[str, ipywidgets.ValueWidget],
        actions: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        self.live, self.controls = live, dict(controls)
        width, height = live.canvas.get_width_height()
        self.picture = ipywidgets.Image(format="png", width=width, height=height)
        self.text = ipywidgets.HTML()
        self.buttons = {}
        self._quiet = False
        for control in self.controls.values():
            control.style.description_width = "initial"
            control.layout.width = f"calc({len(control.description)}ch + 220px)"  # else long names leave no slider
            control.layout.max_width = "100%"
            control.observe(self._update, "value")
        for name, action in (actions or {}).items():
            self.buttons[name] = ipywidgets.Button(description=name)
            self.buttons[name].on_click(lambda _, action=action: self._act(action))
        self._update()

    def move(self, **values: object) -> str:
        """Set what moves in the figure to the controls' values; returns in words what it then shows."""
        raise NotImplementedError

    def values(self) -> dict[str, object]:
        """Each control's value."""
        return {name: control.value for name, control in self.controls.items()}

    @checked(most=at_least(2))
    def grid(self, name: str, most: int = 15) -> list:
        """Values over the whole range of one control: all of them, or ``most`` that are spread evenly."""
        check_choice(choices=tuple(self.controls), name=name)
        control = self.controls[name]
        if hasattr(control, "options"):
            found = [value for _, value in control._options_full]
        elif hasattr(control, "step"):
            steps = round((control.max - control.min) / control.step)
            found = [type(control.value)(control.min + place * control.step) for place in range(steps + 1)]
        else:
            found = [False, True]
        if len(found) <= most:
            return found
        return [found[round(place * (len(found) - 1) / (most - 1))] for place in range(most)]

    def set(self, **values: object) -> None:
        """Set several controls, and draw once."""
        for name in values:
            check_choice(choices=tuple(self.controls), name=name)
        self._quiet = True
        try:
            for name, value in values.items():
                self.controls[name].value = value
        finally:
            self._quiet = False
        self._update()

    def widget(self) -> PicturedBox:
        """To be the last expression of a cell."""
        row = ipywidgets.Layout(flex_flow="row wrap")
        bars = [ipywidgets.HBox(list(group.values()), layout=row) for group in (self.controls, self.buttons) if group]
        return PicturedBox([*bars, self.picture, self.text])

    def browser(self) -> BrowserView:
        """To be the last expression of a cell: the same, run by the browser, where things are dragged in the picture.

        It is the module ``explorer.js`` beside the class's ``explorer.py``, and starts where the controls stand.
        """
        data = {
            "controls": {name: _described(control) for name, control in self.controls.items()},
            "actions": list(self.buttons),
            "greys": {"middle": MIDDLE, "soft": SOFT, "pale": PALE, "shade": SHADE},
            **self.constants(),
        }
        module = Path(inspect.getfile(type(self))).with_suffix(".js")
        return BrowserView(module, data, picture=bytes(self.picture.value), alt=self.text.value)

    def constants(self) -> dict[str, object]:
        """What its module in the browser has to know besides the controls, as values that JSON can hold."""
        return {}

    def _act(self, action: Callable[[], object]) -> None:
        action()
        self._update()

    def _update(self, change: object = None) -> None:
        if not self._quiet:
            said = self.move(**self.values())
            self.picture.value = self.live.png()
            self.picture.alt = self.text.value = said


def _described(control: ipywidgets.ValueWidget) -> dict[str, object]:
    """A slider or a menu as a browser's module makes it again."""
    told = {"label": control.description, "value": control.value, "menu": isinstance(control, ipywidgets.Dropdown)}
    if hasattr(control, "options"):
        return {**told, "options": [list(pair) for pair in control._options_full]}
    return {**told, "min": control.min, "max": control.max, "step": control.step}
