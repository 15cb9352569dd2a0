"""Exercises that answer at once: what passed, or the first failing case with its numbers, and why it is common."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import torch

from dmlbook._checks import bad_input, check_choice, checked
from dmlbook.book.attempts import SECONDS, Odd, attempt, names_of, plain, text
from dmlbook.book.relations import one_setting, relation


@checked
@dataclass(frozen=True)
class Case:
    """One call of the learner's function.

    Attributes:
        arguments: What it is called with.
        expected: What it must return: a number, text, bool, tensor, or a list, tuple or dictionary of them.
        text: The call in words, shown when it fails.
    """

    arguments: tuple
    expected: object
    text: str


@checked
@dataclass(frozen=True)
class Misconception:
    """A common wrong answer: recognized when the learner's function agrees with it on every case.

    Attributes:
        wrong: The wrong function.
        message: What was mixed up, and what to look at, in one or two sentences.
    """

    wrong: Callable
    message: str


@checked
@dataclass(frozen=True)
class Exercise:
    """A task for the learner; ``cases`` are built when they are first needed."""

    id: str
    title: str
    cases: Callable[[], Sequence[Case]]
    misconceptions: dict[str, Misconception] = field(default_factory=dict)
    read: Callable = lambda answer: answer
    """Brings an answer to the form of ``expected``, where several forms are right."""
    call: Callable = lambda function, arguments: function(*arguments)
    """Tries a function on a case's arguments; an exercise may look at more than what is returned, such as its slope.

    One that returns a value followed by its slopes says so by an attribute: ``call.slopes = True``.
    """


@dataclass(frozen=True)
class Verdict:
    """What ``check`` found: ``state`` is "not attempted", "right", "wrong" or "error".

    ``misconception`` is the name of what was mixed up, of the exercise's own or a general one, such as "a factor".
    """

    exercise: str
    state: str
    message: str
    misconception: str | None = None

    def __str__(self) -> str:
        mark = {"right": "✓", "not attempted": "…"}.get(self.state, "✗")
        return f"{mark} Exercise {self.exercise}: {self.message}"


EMPTY = "The function returned nothing: are the three dots still there, or is `return` missing?"
_PREDICTIONS: dict[str, str] = {}


def judge(exercise: Exercise, answer: Callable, *, seconds: float = SECONDS) -> Verdict:
    """Try ``answer`` on every case: not attempted, right, wrong with the first failing case's numbers, or an error.

    Every call gets a copy of the arguments, and no more than ``seconds``; see ``attempts``. What the answer changes in
    place is named. Only KeyboardInterrupt is passed on.

    Raises:
        ValueError: ``answer`` is not a function.
    """
    id = exercise.id
    if not callable(answer):
        raise bad_input("answer", "be a function", type(answer).__name__, "Pass its name without brackets.")
    cases = exercise.cases()
    results, changed = [], {}
    for number, case in enumerate(cases, 1):
        tried = attempt(exercise.call, exercise.read, answer, case.arguments, seconds)
        changed |= dict.fromkeys(tried.changed)
        if tried.problem:
            where = f"case {number} of {len(cases)}, {case.text}"
            name = "no slope" if tried.raised is NoSlope else None
            return Verdict(id, "error", f"{where}, {tried.problem}{_about(changed)}", name)
        if tried.result is None or tried.result is Ellipsis:
            return Verdict(id, "not attempted", f"not attempted. {EMPTY}")
        results.append(tried.result)
    failing = [
        n for n, (case, result) in enumerate(zip(cases, results, strict=True)) if not same(result, case.expected)
    ]
    if not failing:
        return Verdict(id, "right", f"right, in all {len(cases)} cases.{_about(changed)}")
    first = failing[0]
    numbers = f"case {first + 1} of {len(cases)}, {cases[first].text}: expected {show(cases[first].expected)}, "
    unusual, hint = _hint(results[first], cases[first].expected)
    message = f"not yet. {numbers}got {show(results[first])}{hint or '.'}{_about(changed)}"
    for name, misconception in exercise.misconceptions.items():
        wrong = (plain(exercise.read(exercise.call(misconception.wrong, deepcopy(case.arguments)))) for case in cases)
        if all(map(same, results, wrong)):
            return Verdict(id, "wrong", f"{message}\n  {misconception.message}", name)
    if getattr(exercise.call, "slopes", False) and all(map(_value_alone, results, cases)):
        remedy = "Is something detached, by `.item()`, `.detach()` or `no_grad`, or held fixed that should move?"
        return Verdict(id, "wrong", f"{message}\n  The value is right, and its slopes are not. {remedy}", "its slopes")
    if general := relation(results, [case.expected for case in cases], [_size(case.arguments) for case in cases]):
        return Verdict(id, "wrong", f"{message}\n  {general[1]}", general[0])
    right = [number not in failing for number in range(len(cases))]
    if setting := one_setting(right, [case.arguments for case in cases], names_of(answer)):
        return Verdict(id, "wrong", f"{message}\n  {setting[1]}", setting[0])
    return Verdict(id, "wrong", message, unusual)


def _value_alone(result: object, case: Case) -> bool:
    """Whether the first of a value and its slopes is right; ``judge`` has seen that not all are."""
    return isinstance(result, torch.Tensor) and result.ndim == 1 and same(result[:1], case.expected[:1])


def _size(arguments: tuple) -> int | None:
    """How many examples a case has, if its first argument says."""
    return len(arguments[0]) if arguments and isinstance(arguments[0], (torch.Tensor, list, tuple)) else None


def _about(changed: Iterable[str]) -> str:
    """What to say of arguments that were changed in place."""
    names = " and ".join(changed)
    return f" It changes its argument {names} in place, under its caller's hands: work on a copy." if names else ""


@checked
def predict(id: str, answer: str, choices: str = "abc") -> None:
    """Note the reader's prediction before an experiment; ``outcome`` compares it with what came out.

    Args:
        id: Such as ``"7.1"``.
        answer: One of the letters, also as ``"B"`` or ``"(b)"``; ``"?"`` until one is chosen.
        choices: The letters to choose from.

    Raises:
        ValueError: The answer is none of them.
    """
    answer = answer.strip(" ().").lower()
    check_choice(choices=[*choices, "?"], answer=answer)
    if answer == "?":
        _PREDICTIONS.pop(id, None)
        listed = ", ".join(f'"{c}"' for c in choices[:-1]) + f' or "{choices[-1]}"'
        print(f"Prediction {id}: none yet. Replace the question mark by {listed} before you read on.")
    else:
        _PREDICTIONS[id] = answer
        print(f"Prediction {id}: ({answer}) is noted.")


@checked
def outcome(id: str, answer: str) -> None:
    """Say what came out of the experiment beside what was predicted."""
    chosen = _PREDICTIONS.get(id)
    said = "You had made no prediction" if chosen is None else f"You said ({chosen})"
    verdict = "" if chosen is None else (", and that is right" if chosen == answer else "")
    print(f"Prediction {id}: it is ({answer}). {said}{verdict}.")


def same(found: object, expected: object) -> bool:
    """Whether two answers agree: numbers to a thousandth, of the same shape; everything else exactly."""
    if isinstance(found, Odd) or isinstance(expected, Odd):
        return False
    if isinstance(expected, torch.Tensor) or isinstance(found, torch.Tensor):
        try:
            found, expected = torch.as_tensor(found), torch.as_tensor(expected)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            return False
        if found.shape != expected.shape:
            return False
        return torch.allclose(found.double(), expected.double(), rtol=1e-3, atol=1e-4, equal_nan=True)
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and found.keys() == expected.keys()
            and all(same(found[k], expected[k]) for k in found)
        )
    if isinstance(expected, (list, tuple)):
        fits = isinstance(found, (list, tuple)) and len(found) == len(expected)
        return fits and all(same(f, e) for f, e in zip(found, expected, strict=True))
    if isinstance(expected, (bool, str)) or isinstance(found, (bool, str)):
        return found == expected
    try:
        return math.isclose(float(found), float(expected), rel_tol=1e-3, abs_tol=1e-4)
    except (TypeError, ValueError, OverflowError):
        return False


def show(value: object) -> str:
    """A value short enough for one line."""
    if isinstance(value, Odd):
        return value.text
    if isinstance(value, torch.Tensor) and value.ndim == 0:
        value = value.item()
    if isinstance(value, torch.Tensor):
        numbers = [round(v, 4) if isinstance(v, float) else v for v in value.flatten()[:8].tolist()]
        tail = ", ..." if value.numel() > 8 else ""
        return f"a tensor {tuple(value.shape)} of {str(numbers)[1:-1]}{tail}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return text(value)


class NoSlope(TypeError):
    """What a learner's function returned cannot be differentiated."""


@checked
def value_and_slopes(function: Callable, arguments: tuple) -> object:
    """For ``Exercise.call``: what a function returns and its slope in each entry of its first argument, in one tensor.

    Where any of them is not finite, all are nan: there are many ways to overflow, and none says more than another.

    Raises:
        NoSlope: The function returned something that has no gradient.
    """
    leaf = arguments[0].clone().requires_grad_()
    value = function(leaf, *arguments[1:])
    if value is None or value is Ellipsis:
        return value
    if not isinstance(value, torch.Tensor) or value.ndim > 0 or not value.requires_grad:
        raise NoSlope("return a tensor that holds one number and was computed from the first argument")
    (slopes,) = torch.autograd.grad(value, leaf)
    found = torch.cat([value.detach()[None], slopes.flatten()])
    return found if found.isfinite().all() else torch.full_like(found, torch.nan)


value_and_slopes.slopes = True


def _hint(found: object, expected: object) -> tuple[str | None, str]:
    """Of an answer of an unusual kind: what that kind is called, and what to look at; None and nothing of others."""
    if isinstance(found, Odd):
        return ("its type", f". {found.hint}") if found.hint else (None, "")
    if isinstance(expected, torch.Tensor) and isinstance(found, torch.Tensor) and found.shape != expected.shape:
        return "its shape", f". Look at the shape: {tuple(found.shape)} is not {tuple(expected.shape)}."
    numbers = found if isinstance(found, torch.Tensor) else torch.tensor(found if isinstance(found, float) else 0.0)
    if numbers.is_floating_point() and not torch.isfinite(numbers).all():
        subject = "Some entries are" if isinstance(found, torch.Tensor) and found.ndim else "That is"
        return "not finite", f". {subject} not finite: does something overflow, or is something divided by 0?"
    if isinstance(found, str) and not isinstance(expected, str):
        return "its type", ". That is text: return the value itself."
    if isinstance(found, (list, tuple)):
        for one, other in zip(found, expected if isinstance(expected, (list, tuple)) else found, strict=False):
            if (hint := _hint(one, other))[1]:
                return hint
    return None, ""
