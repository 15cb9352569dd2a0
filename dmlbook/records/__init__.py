"""Results as data: records of runs and of searches as JSON with their provenance, and comparisons that are judged."""

from dmlbook.records.beside import beside
from dmlbook.records.comparison import FACETS, Comparison, compare
from dmlbook.records.differences import ALPHA, Difference, adjusted_differences
from dmlbook.records.names import check_name, check_writable
from dmlbook.records.numbers import exponent, holm, interval, percent
from dmlbook.records.origin import described, provenance
from dmlbook.records.ranges import Range, Values, read_space
from dmlbook.records.record import Record, continued, load
from dmlbook.records.search import Search, load_search
from dmlbook.records.tables import table
from dmlbook.records.tried import tried

__all__ = [
    "ALPHA",
    "FACETS",
    "Comparison",
    "Difference",
    "Range",
    "Record",
    "Search",
    "Values",
    "adjusted_differences",
    "beside",
    "check_name",
    "check_writable",
    "compare",
    "continued",
    "described",
    "exponent",
    "holm",
    "interval",
    "load",
    "load_search",
    "percent",
    "provenance",
    "read_space",
    "table",
    "tried",
]
