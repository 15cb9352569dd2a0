"""What learners write: for every exercise a solution and the wrong answers that its check must recognize by name.

Written apart from dmlbook.exercises, in the words of a learner, so that the check is tried on code it has not seen.
"""

from importlib import import_module
from pathlib import Path

ANSWERS = {}
for path in sorted((Path(__file__).parent / "answers").glob("chapter_*.py")):
    ANSWERS |= import_module(f"answers.{path.stem}").ANSWERS
