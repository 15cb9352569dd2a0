"""Wrong answers as students would write them: none is taken for right, and of each ten eight are told what they are."""

import pytest

from dmlbook import chapters
from tests.chapters.exercise_answers import INVENTED


@pytest.mark.parametrize("id", INVENTED)
def test_eight_of_ten_invented_mistakes_are_named_and_none_is_accepted(id):
    verdicts = {words: chapters.judge(id, answer) for words, answer in INVENTED[id].items()}
    assert len(verdicts) >= 10
    assert [words for words, verdict in verdicts.items() if verdict.state not in ("wrong", "error")] == []
    nameless = [words for words, verdict in verdicts.items() if verdict.misconception is None]
    assert len(nameless) <= len(verdicts) // 5, nameless
