"""What a search may try of one setting: a few choices, or all numbers of a range on a scale of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from dmlbook._checks import bad_input, check_choice, check_number, check_unique, checked

LOG_FROM = 10
"""A range whose ends differ by this factor is searched by factors, unless it says otherwise."""


@checked
@dataclass(frozen=True)
class Range:
    """All numbers from ``low`` to ``high``; made by :func:`read_space`.

    Attributes:
        low: The smallest.
        high: The largest, above ``low``.
        log: Whether equal factors are equal steps, which needs ``low`` > 0; else equal differences are.
        integer: Whether only whole numbers are meant.
    """

    low: float
    high: float
    log: bool
    integer: bool

    @checked
    def at(self, share: float) -> float:
        """The number at a share of the way, in [0, 1], rounded to two significant digits, or to a whole number.

        Example:
            >>> Range(1e-4, 1e-2, log=True, integer=False).at(0.5), Range(2, 8, log=False, integer=True).at(0.6)
            (0.001, 6)
        """
        value = self.low * (self.high / self.low) ** share if self.log else self.low + share * (self.high - self.low)
        value = round(value) if self.integer else float(f"{value:.1e}")
        return min(max(value, self.low), self.high)

    @checked
    def place(self, value: float) -> float:
        """The share of the way at which a number lies: what :meth:`at` undoes, but for its rounding."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def holds(self, value: object) -> bool:
        """Whether a value is one of these numbers."""
        kind = int if self.integer else (int, float)
        return isinstance(value, kind) and not isinstance(value, bool) and self.low <= value <= self.high

    def to_dict(self) -> dict:
        """Plain values, as a record keeps them; :func:`read_space` makes the range of them again."""
        return asdict(self)


Values = list | Range
"""What may be tried of one setting."""


@checked
def read_space(written: Mapping[str, object]) -> dict[str, Values]:
    """The ranges that a plan or a record writes down, by setting.

    Args:
        written: For each setting a list of choices, or a table with ``low`` and ``high``; in it ``log`` may say whether
            equal factors are equal steps (by default where ``low`` > 0 and ``high`` is ten times as large or more), and
            ``integer`` whether only whole numbers are meant (by default not). Settings of the loss may stand in a table
            of their own, ``loss_option``: they get the names ``loss_option.scale`` and so on.

    Raises:
        ValueError: It is neither, empty, a choice stands twice, or the ends of a range are no numbers, low before high.

    Example:
        >>> read_space({"batch_size": [32, 64], "lr": {"low": 1e-4, "high": 1e-2}})["lr"]
        Range(low=0.0001, high=0.01, log=True, integer=False)
    """
    flat = {}
    for name, values in written.items():
        if name == "loss_option" and isinstance(values, Mapping):
            flat |= {f"loss_option.{option}": choices for option, choices in values.items()}
        else:
            flat[name] = values
    return {name: _read_range(name, values) for name, values in flat.items()}


def _read_range(name: str, values: object) -> Values:
    if isinstance(values, Mapping):
        check_choice(choices=("low", "high", "log", "integer"), **{f"vary.{name}, {key!r}": key for key in values})
        low, high, integer = values.get("low"), values.get("high"), values.get("integer", False)
        check_number(integer=bool(integer), **{f"vary.{name}.low": low, f"vary.{name}.high": high})
        if low >= high:
            raise bad_input(f"vary.{name}", "have low < high", f"{low} and {high}", "Write {low = 1e-4, high = 1e-2}.")
        log = values.get("log", low > 0 and high / low >= LOG_FROM)
        if log and low <= 0:
            raise bad_input(f"vary.{name}", "have low > 0 for log = true", low, "Leave log out, or raise low.")
        return Range(low, high, bool(log), bool(integer))
    if not isinstance(values, list) or not values:
        remedy = "Write [1e-4, 1e-3], or {low = 1e-4, high = 1e-2} where a plan has [search]."
        raise bad_input(f"vary.{name}", "be a list of values to try", repr(values), remedy)
    check_unique(**{f"vary.{name}": values})
    return values
