"""What a wrong answer has to do with the right one: a sign, a factor, a mean that was left out, a shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from dmlbook._checks import check_lengths, checked

NEARLY = 0.03  # as a share of what is expected
NEARLY_NOTHING = 0.01  # where 0 is expected: as a share of the mean size
LOGARITHMS = {1 / math.log(2): "2", 1 / math.log(10): "10"}


@checked
def relation(
    found: Sequence[object], expected: Sequence[object], sizes: Sequence[int | None] | None = None
) -> tuple[str, str] | None:
    """How all answers differ from all that was expected, if they do so in one way: its name, and a sentence.

    Args:
        found: What was returned, one entry a case: numbers, tensors, or lists of numbers.
        expected: What should have been.
        sizes: How many examples each case has; None where that cannot be said.

    Returns:
        None where no single relation holds in every case, or where the cases hold too few different numbers to tell.

    Example:
        >>> relation([2.0, 6.0], [1.0, 3.0])
        ('a factor', 'Every number is 2 times the expected one.')
    """
    check_lengths(found=found, expected=expected)
    pairs = [(_numbers(one), _numbers(other)) for one, other in zip(found, expected, strict=True)]
    if any(one is None or other is None for one, other in pairs):
        return None
    if all(one.numel() == other.numel() for one, other in pairs):
        return _shaped(pairs) or _valued([(one.flatten(), other.flatten()) for one, other in pairs], sizes)
    return None


@checked
def one_setting(right: Sequence[bool], arguments: Sequence[tuple], names: Sequence[str] = ()) -> tuple[str, str] | None:
    """Whether an answer is right for one value of an argument and for no other, as one that holds it fixed: a sentence.

    Args:
        right: Of each case, whether it was answered rightly.
        arguments: Of each case, what the function was called with; only numbers, texts and bools are looked at.
        names: Of the function's parameters, as far as they are known.

    Returns:
        None where no argument tells the right cases from the wrong ones, or several do, or too few cases speak: one
        that is right may be so by chance.

    Example:
        >>> one_setting([True, True, False, False], [(3, 1), (4, 1), (3, 2), (4, 5)], ["x", "margin"])
        ('one setting', 'It is right where `margin` is 1, and nowhere else: what should `margin` change?')
    """
    check_lengths(right=right, arguments=arguments)
    found = []
    for place, values in enumerate(zip(*arguments, strict=False)):
        if all(isinstance(value, (bool, int, float, str)) for value in values):
            good = {value for value, kept in zip(values, right, strict=True) if kept}
            bad = {value for value, kept in zip(values, right, strict=True) if not kept}
            if sum(right) > 1 and len(good) == 1 and len(bad) > 1 and good.isdisjoint(bad):
                name = f"`{names[place]}`" if place < len(names) else f"argument {place + 1}"
                found.append(f"It is right where {name} is {good.pop()}, and nowhere else: what should {name} change?")
    return ("one setting", found[0]) if len(found) == 1 else None


def _numbers(value: object) -> torch.Tensor | None:
    if isinstance(value, (bool, str)) or value is None:
        return None
    try:
        numbers = torch.as_tensor(value).double()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    return numbers if numbers.numel() and numbers.isfinite().all() else None


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def _shaped(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[str, str] | None:
    turned = [one.T for one, _ in pairs if one.ndim == 2]
    if len(turned) == len(pairs) and all(
        one.shape == other.shape and _close(one, other) for one, (_, other) in zip(turned, pairs, strict=True)
    ):
        return "transposed", "It is the expected matrix with rows and columns exchanged."
    unlike = [(one, other) for one, other in pairs if one.shape != other.shape]
    if unlike and all(_close(one.flatten(), other.flatten()) for one, other in pairs):
        one, other = unlike[0]
        return "its shape", f"The numbers are right; the shape is {tuple(one.shape)} instead of {tuple(other.shape)}."
    flipped = [(one.flip(0), other) for one, other in pairs if one.ndim == 1 and one.numel() > 1]
    if flipped and all(_close(one, other) for one, other in flipped):
        return "its order", "The numbers are right, in the opposite order."
    if flipped and all(_close(one.sort().values, other.sort().values) for one, other in flipped):
        return "its order", "The numbers are right, in another order."
    return None


def _valued(
    pairs: list[tuple[torch.Tensor, torch.Tensor]], sizes: Sequence[int | None] | None
) -> tuple[str, str] | None:
    one, other = (torch.cat(side) for side in zip(*pairs, strict=True))
    if len(torch.unique(other.round(decimals=6))) < 2:
        return None  # of one number everything can be said
    if len(torch.unique(one.round(decimals=6))) == 1:
        return "a constant", f"It is {float(one[0]):.4g} whatever the function is given."
    if torch.allclose(one, other, rtol=NEARLY, atol=NEARLY_NOTHING * float(other.abs().mean())):
        return (
            "its precision",
            "It is nearly right: rounded, or stopped too early? A thousandth of the value is asked for.",
        )
    if _close(one, -other):
        return "a sign", "Every number has the wrong sign."
    if sizes is not None and None not in sizes and len(set(sizes)) > 1:
        for power, said in (
            (1, "a sum over the examples where their mean is asked for"),
            (-1, "divided by the number of examples once too often"),
        ):
            scaled = torch.cat([size**power * wanted for size, (_, wanted) in zip(sizes, pairs, strict=True)])
            if _close(one, scaled):
                return "a mean", f"Every number is {said}."
    if (factor := _factor(one, other)) is not None:
        base = next((name for value, name in LOGARITHMS.items() if math.isclose(factor, value, rel_tol=1e-3)), None)
        more = f" So it is with a logarithm to the base {base}." if base else ""
        return "a factor", f"Every number is {factor:.4g} times the expected one.{more}"
    if _close(one - other, (one - other).mean().expand_as(one)):
        return "an offset", f"Every number is {float((one - other).mean()):+.4g} off."
    kinds = {
        "one minus it": (1 - other, "It is 1 minus what is expected."),
        "a square": (other**2, "It is the square of what is expected."),
        "a root": (other.clamp(min=0).sqrt(), "It is the square root of what is expected."),
        "an exponential": (other.exp(), "It is the exponential of what is expected: a logarithm is missing."),
        "a logarithm": (other.clamp(min=1e-300).log(), "It is the logarithm of what is expected."),
        "one over it": (1 / other, "It is 1 divided by what is expected."),
        "rounded": (other.round(), "It is what is expected, rounded to whole numbers."),
        "its size alone": (other.abs(), "It is what is expected, without its sign."),
        "cut at zero": (other.clamp(min=0), "It is what is expected, cut off below 0."),
    }
    return next(
        ((name, said) for name, (bent, said) in kinds.items() if bent.isfinite().all() and _close(one, bent)), None
    )


def _factor(one: torch.Tensor, other: torch.Tensor) -> float | None:
    some = other.abs() > 1e-3
    if len(torch.unique(other[some].round(decimals=6))) < 2:
        return None
    factor = float((one[some] / other[some]).median())
    return factor if abs(factor) > 1e-3 and torch.allclose(one, factor * other, rtol=2e-3, atol=2e-4) else None
