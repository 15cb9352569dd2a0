"""Controls around the book's figures, one or two a chapter. Each says in words what its picture shows."""

from dmlbook.widgets.base import Explorer
from dmlbook.widgets.neighbours import NeighbourExplorer

CHAPTERS: dict[str, type[Explorer]] = {}
"""The widget of each chapter by its number; each can be made without arguments, as benchmarks and tests do."""

__all__ = ["CHAPTERS", "Explorer", "NeighbourExplorer"]
