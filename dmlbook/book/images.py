"""Pictures as notebooks keep them: PNG of few colors, in HTML that says to every reader what they show."""

from __future__ import annotations

import base64
import html
import io

from PIL import Image

from dmlbook._checks import at_least, bad_input, checked


@checked(width=at_least(1))
def image(picture: bytes, alt: str, width: int | None = None) -> str:
    """A PNG as an HTML element that brings its bytes along.

    Args:
        picture: The PNG.
        alt: The same in words.
        width: How wide a page shows it, in CSS pixels, where it is not its own width.

    Example:
        >>> image(b"", "A <dot>.", 40)
        '<img alt="A &lt;dot&gt;." width="40" src="data:image/png;base64,">'
    """
    wide = "" if width is None else f' width="{width}"'
    data = base64.b64encode(picture).decode("ascii")
    return f'<img alt="{html.escape(alt)}"{wide} src="data:image/png;base64,{data}">'


@checked
def with_palette(picture: bytes) -> bytes:
    """A PNG in 256 colors, a quarter of the size: a notebook that is stored holds many."""
    buffer = io.BytesIO()
    try:
        opened = Image.open(io.BytesIO(picture), formats=["png"]).convert("RGB")
    except (OSError, SyntaxError) as error:  # Pillow's for what is no PNG, and for a broken one
        raise bad_input(
            "picture", "be a PNG", f"{len(picture)} bytes of something else", "Pass png(figure)."
        ) from error
    opened.quantize(256).save(buffer, format="png", optimize=True)
    return buffer.getvalue()
