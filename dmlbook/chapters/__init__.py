"""The chapters: what each has of its own lies in ``chNN/``, in files of fixed names, any of which may be absent.

``theory`` (its formulas), ``figures`` and ``alts.toml`` (what they show, in words), ``explorer`` (its widget) and
``exercises``. Nothing is listed here: chapters are found by their folders. ``check("4.2", my_function)`` answers an
exercise at once.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from dmlbook._checks import bad_input, check_choice, checked
from dmlbook.book import exercises as checker
from dmlbook.book.exercises import Exercise, Verdict, outcome, predict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "alts",
    "check",
    "exercises",
    "explorers",
    "judge",
    "numbers",
    "outcome",
    "part",
    "predict",
    "show",
    "yours",
]

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


@checked
def yours(id: str, answer: Callable, ours: Callable) -> Callable:
    """The learner's function where it is right, else the book's, for cells that go on with it; says which.

    Args:
        id: The exercise that asked for it, such as ``"3.1"``.
        answer: The learner's function, right or wrong or an untouched stub.
        ours: One that is right.

    Returns:
        One of the two.

    Raises:
        ValueError: There is no exercise of that number, or ``answer`` is not a function.
    """
    state = judge(id, answer).state
    found = {"right": "your function is used here.", "not attempted": "not attempted yet"}.get(state, "not right yet")
    print(f"Exercise {id}: {found}" + ("" if state == "right" else ", so the book's own function is used here."))
    return answer if state == "right" else ours


@cache
@checked
def alts(number: str) -> dict[str, str]:
    """What the figures of a chapter show, in words, by the names that ``show`` takes.

    Args:
        number: Of the chapter, two digits.

    Returns:
        Texts in which braces name values, as in ``str.format``; nothing where the chapter has no figures.
    """
    check_choice(choices=numbers(), number=number)
    path = HERE / f"ch{number}" / "alts.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


@checked
def show(figure: Figure, name: str, **values: object) -> None:
    """Display a figure of a chapter, with its alt text from the chapter's ``alts.toml``, and close it.

    Args:
        figure: What to show.
        name: Of the alt text: the section and a few words, as in ``"3.1 loss map"``.
        values: What the text's braces name.

    Raises:
        ValueError: No chapter has a text of that name, or a value that it names is missing or not used.
    """
    from dmlbook.book.figures import show as displayed

    match = re.match(r"\d+", name)
    found = alts(match[0].zfill(2)) if match and match[0].zfill(2) in numbers() else {}
    if name not in found:
        remedy = "Write the text into the alts.toml of its chapter, under this name."
        raise bad_input("name", "be one of a chapter's alt texts", repr(name), remedy)
    named = set(re.findall(r"{(\w+)", found[name]))
    if named != set(values):
        raise bad_input("values", f"be those that the text names, {sorted(named)}", str(sorted(values)), "Pass them.")
    displayed(figure, found[name].format(**values))
