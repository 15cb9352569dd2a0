"""What ten centers add to one on photographs whose kinds are known: read from records, whoever's settings both have."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from dmlbook import records
from dmlbook._checks import check_choice, checked

WAYS = {
    "each at its own": ("k1", "k10"),
    "both at ten's": ("k1_as_k10", "k10"),
    "both at one's": ("k1", "k10_as_k1"),
}
"""Whose settings one center and ten have, with the endings of their records."""
SETS = {
    "CUB random, linear": "cub-random-linear",
    "CUB relatives, linear": "cub-relatives-linear",
    "Grocery random, linear": "grocery-random-linear",
    "Grocery, its own, linear": "grocery-own-linear",
    "CUB random, hidden layer": "cub-random-layer",
    "CUB relatives, hidden layer": "cub-relatives-layer",
    "Grocery random, hidden layer": "grocery-random-layer",
    "Grocery, its own, hidden layer": "grocery-own-layer",
}
"""The eight experiments and the beginnings of their records."""


@checked
def gain(name: str, way: str, figure: str) -> list[float]:
    """What ten centers add to one, seed by seed: the same classes, photographs and first weights of the embedding.

    Args:
        name: Of an experiment, one of the values of ``SETS``.
        way: One of ``WAYS``.
        figure: What was measured, as ``"recall_by_class"``.

    Raises:
        ValueError: There is no such experiment, way or figure.

    Example:
        >>> len(gain("cub-random-linear", "each at its own", "recall_by_class"))  # one number a seed
        5
    """
    check_choice(choices=list(SETS.values()), name=name)
    check_choice(choices=WAYS, way=way)
    one, ten = (f"kinds/{name}-{which}" for which in WAYS[way])
    alike = way == "each at its own"
    said = {} if alike else {"settings": f"{way} settings, so the other had no search of its own."}
    return records.compare({"one": one, "ten": ten}, unequal=said).gains("ten", "one", figure)


@checked
def points(values: Sequence[float]) -> str:
    """Mean and interval of differences, in points of percent.

    Example:
        >>> points([0.05, 0.07])
        '+6.0 ± 12.7'
    """
    mean, half = records.interval(values)
    return f"{100 * mean:+.1f} ± {100 * half:.1f}"


def against() -> tuple[int, int]:
    """Of all comparisons of Recall@1 by class, each once: in how many the kinds' cosine does not move against the gain.

    Returns:
        How many gain while the mean cosine of a class's kinds rises, or lose while it falls, and how many there are.
    """
    means = {
        tuple(statistics.fmean(gain(name, way, figure)) for figure in ("kind_cosine", "recall_by_class"))
        for name in SETS.values()
        for way in WAYS  # the same runs make the same pair
    }
    return sum((cosine < 0) != (gained > 0) for cosine, gained in means), len(means)
