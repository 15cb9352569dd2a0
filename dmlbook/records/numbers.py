"""Numbers over seeds: mean, interval, growth."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from dmlbook._checks import bad_input, between, check_number, checked, inside


@checked(level=inside(0, 1))
def interval(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float]:
    """Mean, and the half-width of Student's interval for it; the half-width of a single value is NaN.

    Args:
        values: One number a seed.
        level: Of confidence, in (0, 1).

    Raises:
        ValueError: There are no values, or the level is out of range.

    Example:
        >>> mean, half = interval([50.0, 52.0])
        >>> round(mean, 1), round(half, 1)
        (51.0, 12.7)
    """
    if not values:
        raise bad_input("values", "hold at least one number", "none", "Run a seed first.")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, math.nan
    from scipy.stats import t  # scikit-learn brings it

    factor = float(t.ppf((1 + level) / 2, len(values) - 1))
    return mean, factor * statistics.stdev(values) / math.sqrt(len(values))


@checked
def exponent(by_size: Mapping[int, float]) -> float:
    """How a cost grows: the slope of its logarithm against that of the size, fitted by least squares.

    Args:
        by_size: The cost, > 0, by size, > 0; two sizes or more.

    Raises:
        ValueError: There are fewer than two sizes, or a number is not positive.

    Example:
        >>> round(exponent({10: 3.0, 20: 12.0, 40: 48.0}), 3)
        2.0
    """
    if len(by_size) < 2:
        raise bad_input("by_size", "hold two sizes or more", len(by_size), "Measure another one.")
    for size, cost in by_size.items():
        check_number(low=0, open_low=True, size=size, cost=cost)
    u, v = [math.log(size) for size in by_size], [math.log(cost) for cost in by_size.values()]
    return statistics.linear_regression(u, v).slope


@checked
def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, adjusted so that among all of them one false alarm or more is as rare as said.

    The smallest is multiplied by their number m, the next by m - 1, and so on; none becomes smaller than one before it,
    or larger than 1. Asks nothing of how the tests depend on one another.

    Args:
        p_values: One a test, in [0, 1].

    Returns:
        The adjusted ones, in the order given.

    Raises:
        ValueError: A value is not in [0, 1].

    Source: Holm, Scandinavian Journal of Statistics 1979: a simple sequentially rejective multiple test procedure.

    Example:
        >>> [round(p, 3) for p in holm([0.04, 0.01, 0.03])]
        [0.06, 0.03, 0.06]
    """
    for place, value in enumerate(p_values):
        check_number(low=0, high=1, **{f"p_values[{place}]": value})
    adjusted, least, m = [0.0] * len(p_values), 0.0, len(p_values)
    for rank, place in enumerate(sorted(range(m), key=lambda place: p_values[place])):
        least = max(least, min(1.0, (m - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted


@checked(digits=between(0, 15))
def percent(values: Sequence[float], *, digits: int = 1) -> str:
    """Fractions as percent, ``"48.3 ± 0.2 (3)"``: mean, half-width of the 95 percent interval, number of seeds.

    Example:
        >>> percent([0.5, 0.52])
        '51.0 ± 12.7 (2)'
    """
    mean, half = interval(values)
    spread = "" if math.isnan(half) else f" ± {100 * half:.{digits}f}"
    return f"{100 * mean:.{digits}f}{spread} ({len(values)})"
