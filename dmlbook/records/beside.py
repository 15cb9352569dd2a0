"""A reader's own records beside those of a comparison: where they may stand, in what they are unlike, and where not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dmlbook._checks import bad_input, check_choice, checked
from dmlbook.records.comparison import FACETS, Comparison, asked_of
from dmlbook.records.record import Record


@checked
def beside(
    comparison: Comparison, more: Mapping[str, Record], *, alike: Sequence[str] = ("split", "dimensions")
) -> tuple[Comparison, dict[str, str]]:
    """A comparison with more rows: those that were measured alike; in what else they differ is said below its table.

    Args:
        comparison: Made by :func:`compare`.
        more: What each further row is called, and its record, stored or not.
        alike: In which of ``FACETS`` a row that differs from all of the comparison's is refused.

    Returns:
        The comparison with the rows that may stand in it, and by the others' titles, why they may not.

    Raises:
        ValueError: A title stands in the comparison already, or ``alike`` names no facet.

    Example:
        ``table, refused = beside(compare({"SoftTriple": "cub-softtriple"}), use.own_records()[0])``
    """
    for facet in alike:
        check_choice(choices=list(FACETS), **{f"alike {facet!r}": facet})
    if twice := sorted(comparison.rows.keys() & more.keys()):
        raise bad_input("more", "have titles of its own", ", ".join(twice), "Call them otherwise.")
    rows, unequal, refused = dict(comparison.rows), dict(comparison.unequal), {}
    for title, record in more.items():
        unlike = {facet: said for facet in FACETS if (said := _unlike(facet, title, record, comparison.rows))}
        if hard := [facet for facet in alike if facet in unlike]:
            refused[title] = "; ".join(f"{facet} ({FACETS[facet][1]}): {unlike[facet]}" for facet in hard)
            continue
        rows[title] = record
        for facet, said in unlike.items():
            unequal[facet] = f"{unequal[facet]} {title}: {said}." if facet in unequal else f"{title}: {said}."
    return replace(comparison, rows=rows, unequal=unequal), refused


def _unlike(facet: str, title: str, record: Record, rows: Mapping[str, Record]) -> str:
    """In what a record differs from the row that is most like it; empty where one is alike in this."""
    own = asked_of(facet, {title: record})
    said = [_difference(own[title], theirs) for theirs in asked_of(facet, rows).values()] if own else []
    if said and all(said) and facet in ("effort", "settings") and not record.choice:
        return "nothing was searched for it"
    return min(said, key=len, default="")


def _difference(own: object, theirs: object) -> str:
    own, theirs = json.loads(json.dumps(own)), json.loads(json.dumps(theirs))
    if own == theirs:
        return ""
    if isinstance(own, dict) and isinstance(theirs, dict):
        keys = [key for key in {**own, **theirs} if own.get(key) != theirs.get(key)]
        return ", ".join(f"{key.replace('_', ' ')} {_word(own.get(key))}, not {_word(theirs.get(key))}" for key in keys)
    if isinstance(own, list) and isinstance(theirs, list) and len(own) != len(theirs):
        return f"{len(own)} of them, not {len(theirs)}"
    return f"{_word(own)}, not {_word(theirs)}"


def _word(value: object) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
