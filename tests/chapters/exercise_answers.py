"""What learners write: for every exercise a solution and the wrong answers that its check must recognize by name.

Each chapter's stand in its folder's ``answers.py``, written apart from its ``exercises``, in the words of a learner, so
that the check is tried on code it has not seen. Beside them stand wrong answers that were invented without a look at
the exercise's misconceptions: most of them must get their own name, and none may pass.
"""

from importlib import import_module
from pathlib import Path

ANSWERS, INVENTED = {}, {}
for path in sorted(Path(__file__).parent.glob("ch[0-9][0-9]/answers.py")):
    answers = import_module(f"tests.chapters.{path.parent.name}.answers")
    ANSWERS |= answers.ANSWERS
    INVENTED |= getattr(answers, "INVENTED", {})
