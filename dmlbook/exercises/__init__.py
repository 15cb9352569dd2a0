"""The book's exercises: ``check("7.2", my_function)`` answers at once; ``predict`` and ``outcome`` frame trials."""

from dmlbook.exercises import chapter_00, chapter_01, chapter_02, chapter_03, chapter_04, chapter_05, chapter_07
from dmlbook.exercises.engine import REGISTRY, Verdict, check, judge, outcome, predict, register

for chapter in (chapter_00, chapter_01, chapter_02, chapter_03, chapter_04, chapter_05, chapter_07):
    register(*chapter.EXERCISES)

__all__ = ["REGISTRY", "Verdict", "check", "judge", "outcome", "predict"]
