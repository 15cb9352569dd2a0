"""The book's exercises: ``check("7.2", my_function)`` answers at once; ``predict`` and ``outcome`` frame trials."""

from dmlbook.exercises import chapter_00, chapter_07
from dmlbook.exercises.engine import REGISTRY, Verdict, check, judge, outcome, predict, register

register(*chapter_00.EXERCISES, *chapter_07.EXERCISES)

__all__ = ["REGISTRY", "Verdict", "check", "judge", "outcome", "predict"]
