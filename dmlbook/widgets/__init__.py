"""Controls around the book's figures, one or two a chapter. Each says in words what its picture shows."""

from dmlbook.widgets.base import Explorer
from dmlbook.widgets.bound import BoundExplorer
from dmlbook.widgets.circle import CircleExplorer
from dmlbook.widgets.margin import MarginExplorer
from dmlbook.widgets.neighbours import NeighbourExplorer
from dmlbook.widgets.scale import ScaleExplorer
from dmlbook.widgets.tau import TauExplorer

CHAPTERS: dict[str, type[Explorer]] = {
    "01": MarginExplorer,
    "02": ScaleExplorer,
    "03": CircleExplorer,
    "04": TauExplorer,
    "05": BoundExplorer,
}
"""The widget of each chapter by its number; each can be made without arguments, as benchmarks and tests do."""

__all__ = [
    "CHAPTERS",
    "BoundExplorer",
    "CircleExplorer",
    "Explorer",
    "MarginExplorer",
    "NeighbourExplorer",
    "ScaleExplorer",
    "TauExplorer",
]
