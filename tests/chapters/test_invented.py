"""Wrong answers as students would write them: none is taken for right, and of each ten eight are told what they are."""

from importlib import import_module
from pathlib import Path

import pytest

from dmlbook import chapters

INVENTED = {}
for path in sorted(Path(__file__).parent.glob("ch[0-9][0-9]/answers.py")):
    INVENTED |= getattr(import_module(f"tests.chapters.{path.parent.name}.answers"), "INVENTED", {})


@pytest.mark.parametrize("id", INVENTED)
def test_eight_of_ten_invented_mistakes_are_named_and_none_is_accepted(id):
    verdicts = {words: chapters.judge(id, answer) for words, answer in INVENTED[id].items()}
    assert len(verdicts) >= 10
    assert [words for words, verdict in verdicts.items() if verdict.state not in ("wrong", "error")] == []
    nameless = [words for words, verdict in verdicts.items() if verdict.misconception is None]
    assert len(nameless) <= len(verdicts) // 5, nameless
