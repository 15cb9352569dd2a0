"""What the chapters' explorers have in common: controls, a picture that follows them at once, and the same in words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ipywidgets

from dmlbook._checks import at_least, check_choice, checked
from dmlbook.book.lines import MIDDLE, PALE, SHADE, SOFT
from dmlbook.book.live import Live
from dmlbook.book.panel import Panel, described
from dmlbook.book.web import BrowserView


@dataclass
class Words:
    """What a picture shows, under the name that controls have for what they hold."""

    value: str = ""


class Explorer:
    """Controls beside a live figure. A subclass makes its artists, calls ``super().__init__``, and gives ``move``.

    Controls are sliders, or what :func:`dmlbook.book.panel.choose` gives; a :class:`Panel` shows them.

    Args:
        live: The figure and what moves in it.
        controls: By the name under which ``move`` takes the value. Their ``description`` is what the reader sees.
        actions: Buttons by what stands on them: each changes the explorer's state; ``move`` follows.

    Attributes:
        text: What the picture shows, in words.
        picture: The figure, with the words as its alternative text, under its controls.
    """

    @checked
    def __init__(
        self,
        live: Live,
        controls: Mapping[str, ipywidgets.ValueWidget],
        actions: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        self.live, self.controls = live, dict(controls)
        self.text = Words()
        self.actions = {name: partial(self._act, action) for name, action in (actions or {}).items()}
        size = live.canvas.get_width_height()
        self.picture = Panel(self.controls, self.actions, size=size, sharp=live.sharp)
        self._quiet = False
        for control in self.controls.values():
            control.observe(self._update, "value")
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

    def widget(self) -> Panel:
        """To be the last expression of a cell."""
        return self.picture

    def browser(self) -> BrowserView:
        """To be the last expression of a cell: the same, run by the browser, where things are dragged in the picture.

        It is the module ``explorer.js`` beside the class's ``explorer.py``, and starts where the controls stand.
        """
        data = {
            "controls": {name: described(control) for name, control in self.controls.items()},
            "actions": list(self.actions),
            "greys": {"middle": MIDDLE, "soft": SOFT, "pale": PALE, "shade": SHADE},
            **self.constants(),
        }
        module = Path(inspect.getfile(type(self))).with_suffix(".js")
        return BrowserView(module, data, picture=self.live.sharp(), alt=self.text.value, width=self.picture.width)

    def constants(self) -> dict[str, object]:
        """What its module in the browser has to know besides the controls, as values that JSON can hold."""
        return {}

    def _act(self, action: Callable[[], object]) -> None:
        action()
        self._update()

    def _update(self, change: object = None) -> None:
        if not self._quiet:
            said = self.move(**self.values())
            self.text.value = said
            self.picture.show(self.live.png(), said)
