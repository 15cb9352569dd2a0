"""Points of a search space: spread evenly, the same on every machine, and all known before the first is tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from dmlbook._checks import at_least, bad_input, check_number, checked
from dmlbook.records import Range, Values
from dmlbook.seeding import SEED, named_seed

DRAWS = 4096
"""After so many draws a space has no further points worth looking for."""


def check_effort(before: str, trials: int, rungs: Sequence[int], remedy: str) -> None:
    """Two trials or more, and rungs that increase.

    Args:
        before: What stands before the names of both where they were written: ``search.`` or ``--``.
        trials: How many points are drawn.
        rungs: The epochs after which trials are measured.
        remedy: How rungs are written there.

    Raises:
        ValueError: One of them will not do.
    """
    check_number(low=2, integer=True, **{f"{before}trials": trials})
    for epochs in rungs:
        check_number(low=1, integer=True, **{f"{before}rungs": epochs})
    if not rungs or any(a >= b for a, b in pairwise(rungs)):
        raise bad_input(f"{before}rungs", "be epochs that increase", list(rungs), remedy)


@checked(trials=at_least(1))
def draw_points(space: Mapping[str, Values], trials: int, name: str) -> list[dict]:
    """Distinct points of a space, drawn for one method, whatever other methods there are.

    They are scrambled Sobol points: any first few of them fill the space evenly in each setting and in all together,
    where a grid of eight would try two values of each of three settings. They hang on the space and the name alone, so
    a search that was stopped, or is shared by two processes, knows all its points beforehand. A Bayesian search has
    little to learn from eight trials, and its next point would hang on which process finished first.

    Args:
        space: For each setting the choices, or a range.
        trials: How many points, >= 1. Fewer are returned where the space has no more.
        name: The method's; another one gets other points of the same space.

    Raises:
        ValueError: ``trials`` is less than one.

    Source: Sobol, USSR Computational Mathematics and Mathematical Physics 1967, scrambled by Owen; ``scipy.stats.qmc``.

    Example:
        >>> draw_points({"flip": [False, True]}, 8, "softmax")
        [{'flip': False}, {'flip': True}]
    """
    if not any(isinstance(values, Range) for values in space.values()):
        from sklearn.model_selection import ParameterGrid

        if math.prod(len(values) for values in space.values()) <= trials:
            return list(ParameterGrid(dict(space)))
    import numpy as np
    from scipy.stats import qmc

    sobol = qmc.Sobol(len(space), scramble=True, rng=np.random.default_rng(named_seed(SEED, "search", name)))
    found: list[dict] = []
    for _ in range(DRAWS):
        shares = sobol.random(1)[0].tolist()
        point = {key: _value(values, share) for (key, values), share in zip(space.items(), shares, strict=True)}
        if point not in found:
            found.append(point)
        if len(found) == trials:
            break
    return found


def _value(values: Values, share: float) -> object:
    return values.at(share) if isinstance(values, Range) else values[min(int(share * len(values)), len(values) - 1)]
