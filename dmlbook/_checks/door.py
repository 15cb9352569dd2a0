"""``@checked``: what a function asks of its arguments, declared above it and read from its annotations."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from dmlbook._checks.kinds import INTEGER, NUMBER, is_array, kinds_of, plain, refused
from dmlbook._checks.kinds import one_of as one_kind_of
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


def inside(low: float, high: float, remedy: str = Range().remedy) -> Range:
    """A number > ``low`` and < ``high``."""
    return Range(low, high, True, remedy, True)


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

    Each argument must be what its annotation says: a tensor with the axes that it names, and axes of one letter must
    agree; a finite number, an integer, a word, a sequence of such, an object of a class. Numpy's scalars are numbers,
    and arrays are sequences; the function gets Python's. A class is checked as it is constructed.

    Args:
        function: What is declared, where there are no rules: ``@checked``.
        **rules: By argument. ``gamma=above(0)`` and its like for numbers, which must be integers where they are
            annotated ``int``, and for each number of a sequence or a tensor, which are looked at, and so come without
            a gradient; ``one_of("left", "right")`` for words; a sentence that says what to do, for tensors.

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
            if value is None and may_be_none:
                continue
            other = test(value, sizes)
            if other is not None and other is not value:
                if name in named:
                    named[name] = other
                else:
                    arguments = (*arguments[:place], other, *arguments[place + 1 :])
        return function(*arguments, **named)

    return guarded


def _tests(function: Callable, rules: Mapping[str, Rule]) -> list[tuple[str, float, bool, Callable]]:
    """For each argument that is tested: its name, its place among the arguments, whether None will do, and the test."""
    tests, parameters = [], inspect.signature(function).parameters
    names = getattr(inspect.unwrap(function), "__globals__", {})
    if unknown := sorted(rules.keys() - parameters.keys()):
        raise TypeError(f"{function.__qualname__} has no argument {', '.join(unknown)}")
    for place, (name, parameter) in enumerate(parameters.items()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        meaning = read("object" if parameter.annotation is parameter.empty else parameter.annotation)
        test = _test(name, meaning, rules.get(name, ""), names)
        if test is not None:
            by_name = parameter.kind is parameter.KEYWORD_ONLY
            tests.append((name, math.inf if by_name else place, "None" in meaning.others, test))
    return tests


def _test(name: str, meaning: Meaning, rule: Rule, names: Mapping[str, object]) -> Callable | None:
    """Raises where a value does not fit; returns what stands for it inside, or None where that is the value itself."""
    if isinstance(rule, Choice):
        return lambda value, sizes: rule.check(name, value)
    if meaning.shape is None and isinstance(rule, str) and rule:
        raise TypeError(f"{name} is no tensor, so {rule!r} is no rule for it")
    of_tensor = _tensor_test(name, meaning, rule)
    if of_tensor is not None and not meaning.others - {"None"}:
        return of_tensor
    of_others = _plain_test(name, meaning, rule, names)
    if of_tensor is None:
        return of_others
    if of_others is None:
        return lambda value, sizes: of_tensor(value, sizes) if isinstance(value, Tensor) else None
    return lambda value, sizes: (of_tensor if isinstance(value, Tensor) else of_others)(value, sizes)


def _tensor_test(name: str, meaning: Meaning, rule: Rule) -> Callable | None:
    shape, remedy = meaning.shape, rule if isinstance(rule, str) else ""
    if shape is None:
        return None
    if not isinstance(rule, Range):
        return lambda value, sizes: shape.check(name, value, sizes, remedy)
    integer = shape.values == "integers"

    def test(value: object, sizes: Sizes) -> Tensor | None:
        longer = shape.check(name, value, sizes, remedy)
        rule.check_each(name, value, integer=integer)
        return value.detach() if value.requires_grad else longer

    return test


def _plain_test(name: str, meaning: Meaning, rule: Rule, names: Mapping[str, object]) -> Callable | None:
    kinds = kinds_of([*meaning.parts, *([Tensor] if meaning.shape else [])], names) if meaning.parts else None
    if isinstance(rule, Range):
        integer = meaning.integer or bool(kinds and any(kind.inner == (INTEGER,) for kind in kinds))
        listed = bool(kinds) and any(kind.inner is not None for kind in kinds)
        alone = kinds is None or any(kind in (INTEGER, NUMBER) for kind in kinds)

        def test(value: object, sizes: Sizes) -> object:
            if not alone or (listed and (is_array(value) or isinstance(value, (Sequence, Mapping)))):
                value = fitting(value)
                rule.check_each(name, value, integer=integer)
                return value
            rule.check(name, value, integer=integer)
            return value.item() if isinstance(value, np.generic) else None

    else:

        def test(value: object, sizes: Sizes) -> object:
            return None if type(value) in known else fitting(value)

    if kinds is None:
        return test if isinstance(rule, Range) else None
    known, right = frozenset(kind.every for kind in kinds if kind.every is not None), one_kind_of(kinds)

    def fitting(value: object) -> object:
        if not right(value):
            raise refused(name, kinds, value)
        return plain(value, kinds)

    return test
