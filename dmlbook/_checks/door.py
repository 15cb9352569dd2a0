"""``@checked``: what a function asks of its arguments, declared above it and read from its annotations."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import TypeVar

from dmlbook._checks.shapes import Meaning, Sizes, read
from dmlbook._checks.values import Choice, Range
from dmlbook._types import Tensor

F = TypeVar("F", bound=Callable)
Rule = Range | Choice | str

finite = Range()
"""Any finite number; any integer where the annotation says ``int``."""


def above(low: float, remedy: str = Range().remedy, *, up_to: float = math.inf) -> Range:
    """A number > ``low``, and <= ``up_to``."""
    return Range(low, up_to, True, remedy)


def at_least(low: float, remedy: str = Range().remedy) -> Range:
    """A number >= ``low``."""
    return Range(low, remedy=remedy)


def between(low: float, high: float, remedy: str = Range().remedy) -> Range:
    """A number >= ``low`` and <= ``high``."""
    return Range(low, high, remedy=remedy)


def one_of(*choices: str) -> Choice:
    """One of these words."""
    return Choice(choices)


def checked(function: F | None = None, /, **rules: Rule) -> F:
    """Checks the arguments of each call, and lends the function's name to every message from inside it.

    Each tensor must have the axes that its annotation names, and axes of one letter must agree. A class is checked as
    it is constructed.

    Args:
        function: What is declared, where there are no rules: ``@checked``.
        **rules: By argument. ``gamma=above(0)`` and its like for numbers, which must be integers where they are
            annotated ``int``; ``one_of("left", "right")`` for words; a sentence that says what to do, for tensors.

    Raises:
        TypeError: A rule is for no argument of the function, or for one of another kind.
    """
    if function is None:
        return functools.partial(checked, **rules)
    if isinstance(function, type):
        function.__init__ = checked(function.__init__, **rules)
        return function
    tests = _tests(function, rules)

    @functools.wraps(function)
    def guarded(*arguments, **named):  # ``messages.speaker`` knows these names
        sizes, given = {}, len(arguments)
        for name, place, may_be_none, test in tests:
            if name in named:
                value = named[name]
            elif place < given:
                value = arguments[place]
            else:
                continue
            if value is not None or not may_be_none:
                test(value, sizes)
        return function(*arguments, **named)

    return guarded


def _tests(function: Callable, rules: Mapping[str, Rule]) -> list[tuple[str, float, bool, Callable]]:
    """For each argument that is tested: its name, its place among the arguments, whether None will do, and the test."""
    tests, parameters = [], inspect.signature(function).parameters
    if unknown := sorted(rules.keys() - parameters.keys()):
        raise TypeError(f"{function.__qualname__} has no argument {', '.join(unknown)}")
    for place, (name, parameter) in enumerate(parameters.items()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        meaning = read("object" if parameter.annotation is parameter.empty else parameter.annotation)
        test = _test(name, meaning, rules.get(name, ""))
        if test is not None:
            by_name = parameter.kind is parameter.KEYWORD_ONLY
            tests.append((name, math.inf if by_name else place, "None" in meaning.others, test))
    return tests


def _test(name: str, meaning: Meaning, rule: Rule) -> Callable[[object, Sizes], None] | None:
    shape, integer = meaning.shape, meaning.integer
    if isinstance(rule, Range):
        return lambda value, sizes: rule.check(name, value, integer=integer)
    if isinstance(rule, Choice):
        return lambda value, sizes: rule.check(name, value)
    if shape is None:
        if rule:
            raise TypeError(f"{name} is no tensor, so {rule!r} is no rule for it")
        return None
    if meaning.others - {"None"}:
        return lambda value, sizes: shape.check(name, value, sizes, rule) if isinstance(value, Tensor) else None
    return lambda value, sizes: shape.check(name, value, sizes, rule)
