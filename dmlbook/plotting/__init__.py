"""The book's figures: those that every chapter uses, and beside them one module for each chapter's own."""

from dmlbook.plotting.figures import (
    GREYS,
    LINES,
    WRONG,
    curves,
    dots,
    gallery,
    name_ends,
    nearest,
    neighbours,
    picture,
    png,
    right_first,
    show,
    tiles,
    use_style,
)
from dmlbook.plotting.live import Live

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
    "neighbours",
    "picture",
    "png",
    "right_first",
    "show",
    "tiles",
    "use_style",
]
