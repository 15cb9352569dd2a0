"""What two chapters share: figures and lines, the circle, live figures and explorers, exercises that answer at once."""

from dmlbook.book.figures import (
    GREYS,
    LINES,
    WRONG,
    curves,
    dots,
    gallery,
    name_ends,
    nearest,
    picture,
    png,
    query_row,
    right_first,
    show,
    tiles,
    use_style,
)
from dmlbook.book.live import Live

__all__ = [
    "GREYS",
    "LINES",
    "WRONG",
    "Live",
    "curves",
    "dots",
    "gallery",
    "name_ends",
    "nearest",
    "picture",
    "png",
    "query_row",
    "right_first",
    "show",
    "tiles",
    "use_style",
]
