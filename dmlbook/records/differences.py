"""Differences of rivals, seed by seed: mean, interval, and a test that knows how many comparisons stand beside it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dmlbook._checks import checked
from dmlbook.records.numbers import holm, interval

ALPHA = 0.05
"""Below it an adjusted p-value says that two rows differ."""
EQUAL = 1e-12  # differences of fractions that are no farther apart are one and the same, but for rounding


@dataclass(frozen=True)
class Difference:
    """By how much one row differs from another in one figure.

    Attributes:
        mean: Of the differences, seed by seed, as a fraction.
        half: Half-width of its 95 percent interval; NaN for one seed.
        p: Of the paired t-test, adjusted; NaN where there is none: one seed, or all differences are the same.
    """

    mean: float
    half: float
    p: float

    @property
    def told_apart(self) -> bool:
        """Whether the adjusted p-value is below 0.05."""
        return self.p < ALPHA  # of NaN false

    def cell(self) -> str:
        """Percent points with their interval and the adjusted p-value, bold where it tells the rows apart.

        Example:
            >>> Difference(-0.012, 0.003, 0.0004).cell(), Difference(0.02, 0.0, math.nan).cell()
            ('**-1.2 ± 0.3 (p < 0.001)**', '+2.0 ± 0.0')
        """
        shown = f"{100 * self.mean:+.1f}" + ("" if math.isnan(self.half) else f" ± {100 * self.half:.1f}")
        if not math.isnan(self.p):
            shown += " (p < 0.001)" if self.p < 0.001 else f" (p = {self.p:.3f})"
        return f"**{shown}**" if self.told_apart else shown


@checked
def adjusted_differences(
    gains: Mapping[str, Mapping[str, Sequence[float]]],
) -> dict[str, dict[str, Difference]]:
    """Mean, interval and p-value of every row and figure, the p-values adjusted by Holm over all of them.

    A comparison without a test counts among them as one that found nothing.

    Args:
        gains: By row and figure the differences from one other row, seed by seed.

    Raises:
        ValueError: A row has no seeds.

    Source: the paired t-test (``scipy.stats.ttest_rel``: a t-test of the differences), and Holm 1979.

    Example:
        >>> adjusted_differences({"A": {"map_at_r": [0.01, 0.02, 0.03]}})["A"]["map_at_r"].cell()
        '+2.0 ± 2.5 (p = 0.074)'
    """
    places = [(row, figure) for row, figures in gains.items() for figure in figures]
    raw = [_p_value(gains[row][figure]) for row, figure in places]
    found: dict[str, dict[str, Difference]] = {row: {} for row in gains}
    for (row, figure), p, adjusted in zip(places, raw, holm([1.0 if math.isnan(p) else p for p in raw]), strict=True):
        mean, half = interval(gains[row][figure])
        found[row][figure] = Difference(mean, half, math.nan if math.isnan(p) else adjusted)
    return found


def _p_value(values: Sequence[float]) -> float:
    if len(values) < 2 or statistics.stdev(values) < EQUAL:
        return math.nan
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(values, 0.0).pvalue)
