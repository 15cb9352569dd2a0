"""The chapters: what each has of its own lies in ``chNN/``, in files of fixed names, any of which may be absent.

``theory`` (its formulas), ``figures``, ``explorer`` (its widget) and ``exercises``. Nothing is listed here: chapters
are found by their folders. ``check("4.2", my_function)`` answers an exercise at once.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

from dmlbook._checks import check_choice, checked
from dmlbook.book import exercises as checker
from dmlbook.book.exercises import Exercise, Verdict, outcome, predict

__all__ = ["check", "exercises", "explorers", "judge", "numbers", "outcome", "part", "predict"]

HERE = Path(__file__).parent


def numbers() -> tuple[str, ...]:
    """The chapters that have a folder, by their two digits, in order."""
    return tuple(sorted(folder.name[2:] for folder in HERE.glob("ch[0-9][0-9]")))


@checked
def part(number: str, name: str) -> ModuleType | None:
    """The module ``name`` of a chapter, such as its ``theory``; None where the chapter has none.

    Example:
        >>> part("04", "theory").__name__, part("07", "theory")
        ('dmlbook.chapters.ch04.theory', None)
    """
    here = number in numbers() and name in (file.stem for file in (HERE / f"ch{number}").glob("*.py"))
    return import_module(f"{__name__}.ch{number}.{name}") if here else None


@checked
def exercises(number: str | None = None) -> dict[str, Exercise]:
    """The exercises of one chapter, or of all, by their numbers such as ``"4.2"``."""
    modules = [part(n, "exercises") for n in (numbers() if number is None else [number])]
    return {exercise.id: exercise for module in modules if module for exercise in module.EXERCISES}


def explorers() -> dict[str, type]:
    """The explorer of each chapter that has one; it can be made without arguments, as benchmarks and tests do."""
    modules = {number: part(number, "explorer") for number in numbers()}
    return {number: module.EXPLORER for number, module in modules.items() if module}


@checked
def check(id: str, answer: Callable) -> None:
    """Try the learner's function on every case of an exercise and print the verdict.

    Nothing that the function does breaks the notebook: an exception, endless recursion, a wrong shape or an infinite
    value is explained, and a loop that never stops ends after ten seconds.

    Args:
        id: Such as ``"7.2"``.
        answer: The learner's function; a stub that returns ``None`` is "not attempted".

    Raises:
        ValueError: There is no exercise of that number, or ``answer`` is not a function.
    """
    print(judge(id, answer))


def judge(id: str, answer: Callable) -> Verdict:
    """What ``check`` prints, as a ``Verdict``."""
    chapter = str(id).partition(".")[0].zfill(2)
    found = exercises(chapter)
    if not isinstance(id, str) or id not in found:
        check_choice(choices=exercises(), id=id)
    return checker.judge(found[id], answer)
