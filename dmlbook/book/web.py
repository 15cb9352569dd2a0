"""Views that run in the browser: one ES module, in a notebook as a widget, and without a kernel on the book's pages."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path

import dmlbook
from dmlbook import settings
from dmlbook._checks import bad_input, checked
from dmlbook.book.images import with_palette

LIVE = "application/vnd.dmlbook.live+json"
"""What a notebook's build finds of such a view, to lay it beside the notebook for the pages."""
PACKAGE = Path(dmlbook.__file__).parent
_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


@checked
class BrowserView:
    """A view that a browser runs, to be the last expression of a cell.

    Where a kernel is, it is an anywidget. Where none is, the stored picture stands in its place, and on the book's
    pages the same module runs on the same data.

    Args:
        module: An ES module of the package that exports ``default { render }`` by anywidget's rules; ``render`` finds
            ``data`` in the model, and writes into ``state`` what its reader chose.
        data: What it is fed, as values that JSON can hold.
        picture: How it looks at first, as PNG bytes.
        alt: The same in words.
        width: Of the picture where it is shown, in CSS pixels; None: as many as its own.

    Attributes:
        state: What the reader chose, as the module keeps it; empty before that, and where no kernel is.

    Raises:
        ValueError: The module is no file of the package, or the alt text is too short to say anything.
    """

    @checked
    def __init__(
        self, module: str | Path, data: Mapping[str, object], *, picture: bytes, alt: str, width: int | None = None
    ) -> None:
        self.module = Path(module).resolve()
        if not self.module.is_file() or PACKAGE not in self.module.parents:
            raise bad_input("module", "be a file of the package dmlbook", str(module), "Pass its path.")
        if len(alt.strip()) < 20:
            raise bad_input("alt", "say in a sentence what the picture shows", repr(alt), "Describe it.")
        self.data, self.picture, self.alt, self.width, self._widget = dict(data), picture, alt, width, None

    @property
    def state(self) -> dict:
        return {} if self._widget is None else dict(self._widget.state)

    @property
    def name(self) -> str:
        """The module's place in the package, with slashes on every system."""
        return self.module.relative_to(PACKAGE).as_posix()

    @property
    def source(self) -> str:
        """The module's text as a browser gets it, see :func:`source`."""
        return source(self.module)

    def widget(self) -> object:
        """The anywidget, made when it is first asked for."""
        if self._widget is None:
            import anywidget
            import traitlets

            class Browser(anywidget.AnyWidget):
                _esm = self.source
                data = traitlets.Dict().tag(sync=True)
                state = traitlets.Dict().tag(sync=True)

            self._widget = Browser(data=self.data)
        return self._widget

    def _repr_mimebundle_(self, **_: object) -> tuple[dict, dict]:
        """The widget, and beside it what is kept where no kernel runs; while the book is built, also the data."""
        content, metadata = pictured(self.widget()._repr_mimebundle_(), self.picture, self.alt, width=self.width)
        if settings.building():
            content[LIVE] = {"module": self.name, "data": self.data}
        return content, metadata


@checked
def source(module: Path) -> str:
    """An ES module in one piece: what it imports from files beside it stands in its text.

    A page that is opened from the file system may not import files. Each line ``import { a, b } from "./c.js";`` gives
    way to that file, which imports nothing itself.
    """

    def inlined(match: re.Match) -> str:
        return _EXPORT.sub("", (module.parent / match[1]).read_text(encoding="utf-8"))

    try:
        return _IMPORT.sub(inlined, module.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise bad_input("module", "be a module with the files that it imports", str(module), f"{error}.") from error


@checked
def pictured(
    bundle: dict | tuple[dict, dict] | None, picture: bytes, alt: str, *, width: int | None = None
) -> tuple[dict, dict]:
    """A widget's MIME bundle, and in it what is kept where no kernel runs: a PNG, and the same in words.

    A ``width`` in CSS pixels says how wide a PNG with more pixels is shown.
    """
    content, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
    picture = with_palette(picture) if settings.building() else picture
    content = {**content, "image/png": base64.b64encode(picture).decode("ascii"), "text/plain": alt}
    return content, {**metadata, "image/png": {"alt": alt} if width is None else {"alt": alt, "width": width}}
