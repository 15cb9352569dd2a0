"""Wrong answers to chapter 04's exercises that were invented without a look at the misconceptions."""

import pytest

from dmlbook import chapters
from tests.chapters.ch04.answers import ANSWERS, INVENTED


def test_every_exercise_has_ten_invented_answers():
    assert set(INVENTED) == set(ANSWERS)
    assert min(len(answers) for answers in INVENTED.values()) >= 10


@pytest.mark.parametrize("id", INVENTED)
def test_no_invented_answer_is_accepted_and_eight_of_ten_are_named(id):
    verdicts = {name: chapters.judge(id, answer) for name, answer in INVENTED[id].items()}
    assert [name for name, verdict in verdicts.items() if verdict.state not in ("wrong", "error")] == []
    unnamed = [name for name, verdict in verdicts.items() if verdict.misconception is None]
    assert len(unnamed) <= 0.2 * len(verdicts), unnamed
