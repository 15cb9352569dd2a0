"""The checker of exercises, on a task of its own: what it says for each kind of answer."""

import pytest

from dmlbook.book.exercises import Case, Exercise, Misconception, Verdict, judge

DOUBLE = Exercise(
    "0.1",
    "twice a number",
    lambda: [Case((1.0,), 2.0, "x = 1"), Case((3.0,), 6.0, "x = 3")],
    {"squares": Misconception(lambda x: x**2, "You squared it."), "adds": Misconception(lambda x: x + 1, "Plus 1.")},
)
FIRST = "not yet. case 1 of 2, x = 1: expected 2.0000, got "
SECOND = "not yet. case 2 of 2, x = 3: expected 6.0000, got "


@pytest.mark.parametrize(
    ("answer", "state", "message", "misconception"),
    [
        (lambda x: x + x, "right", "right, in all 2 cases.", None),
        (lambda x: x**2, "wrong", f"{FIRST}1.0000.\n  You squared it.", "squares"),
        (lambda x: x + 1, "wrong", f"{SECOND}4.0000.\n  Plus 1.", "adds"),
        (lambda x: x - 5, "wrong", f"{FIRST}-4.0000.", None),
        (lambda x: 6 / (3 - x), "error", "case 2 of 2, x = 3, raised ZeroDivisionError: float division by zero", None),
    ],
)
def test_a_verdict_names_the_first_failing_case_and_the_mistake(answer, state, message, misconception):
    assert judge(DOUBLE, answer) == Verdict("0.1", state, message, misconception)


def test_a_stub_is_not_attempted():
    verdict = judge(DOUBLE, lambda x: ...)
    assert (verdict.state, verdict.misconception) == ("not attempted", None)
    assert "three dots" in verdict.message


@pytest.mark.parametrize(("state", "mark"), [("right", "✓"), ("not attempted", "…"), ("wrong", "✗"), ("error", "✗")])
def test_a_verdict_reads_as_a_line_with_its_mark(state, mark):
    assert str(Verdict("4.2", state, "so it is.")) == f"{mark} Exercise 4.2: so it is."


def test_an_answer_is_read_before_it_is_compared():
    listed = Exercise("0.2", "a list", lambda: [Case((2,), [2, 2], "n = 2")], read=list)
    assert judge(listed, lambda n: (n, n)).state == "right"
    assert judge(listed, lambda n: (n, n, n)).state == "wrong"
