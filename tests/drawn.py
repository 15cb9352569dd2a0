"""What a test reads off a figure: colors, words and the places where they stand."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb

# Typed from Petroff's "Accessible color sequences for data visualization", so that a list in the code can be wrong.
PETROFF10 = (
    "#3f90da",  # blue
    "#ffa90e",  # orange
    "#bd1f01",  # red
    "#94a4a2",  # grey
    "#832db6",  # violet
    "#a96b59",  # brown
    "#e76300",  # dark orange
    "#b9ac70",  # tan
    "#717581",  # dark grey
    "#92dadd",  # pale blue
)
BLACK, WHITE = "#000000", "#ffffff"
READABLE = 4.5  # contrast of words with their ground, WCAG 2 level AA


def brightness(color) -> float:
    """Relative luminance of WCAG 2, 0 for black and 1 for white."""
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(color, ground="white") -> float:
    """Contrast ratio of WCAG 2, 1 to 21."""
    dark, light = sorted((brightness(color), brightness(ground)))
    return (light + 0.05) / (dark + 0.05)


def words(ax: Axes) -> dict[str, tuple[float, float]]:
    """Each text of the axes with its place in data coordinates; no text may stand twice."""
    texts = [text.get_text() for text in ax.texts]
    assert len(set(texts)) == len(texts), f"a text stands twice: {texts}"
    return {text.get_text(): tuple(map(float, getattr(text, "xy", text.get_position()))) for text in ax.texts}


def lines(ax: Axes) -> list[tuple[str, str, list[list[float]]]]:
    """Color, marker and points of each line, in the order in which they were drawn."""
    return [(to_hex(line.get_color()), line.get_marker(), line.get_xydata().tolist()) for line in ax.lines]


def height_in_pixels(artist) -> float:
    """Where the middle of a text is on the page, up from the bottom; the figure has to be drawn before."""
    box = artist.get_window_extent()
    return (box.y0 + box.y1) / 2
