"""Results as data: records of runs and of searches as JSON with their provenance, and comparisons that are judged."""

from dmlbook.records.comparison import FACETS, Comparison, compare
from dmlbook.records.numbers import exponent, interval, percent
from dmlbook.records.origin import provenance
from dmlbook.records.record import Record, load
from dmlbook.records.search import Search, load_search, tried
from dmlbook.records.tables import table

__all__ = [
    "FACETS",
    "Comparison",
    "Record",
    "Search",
    "compare",
    "exponent",
    "interval",
    "load",
    "load_search",
    "percent",
    "provenance",
    "table",
    "tried",
]
