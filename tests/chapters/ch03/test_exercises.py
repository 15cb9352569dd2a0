"""The checks of chapter 03 against answers written after them, as students write."""

import pytest

from dmlbook import chapters
from tests.chapters.ch03.answers import INVENTED


@pytest.mark.parametrize("id", INVENTED)
def test_of_ten_wrong_answers_eight_are_named_and_none_is_right(id):
    assert len(INVENTED[id]) == 10
    verdicts = {name: chapters.judge(id, answer) for name, answer in INVENTED[id].items()}
    assert [name for name, verdict in verdicts.items() if verdict.state != "wrong"] == []
    unnamed = [name for name, verdict in verdicts.items() if verdict.misconception is None]
    assert len(unnamed) <= 2, unnamed
