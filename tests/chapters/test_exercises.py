"""Every exercise: a stub is not attempted, the solution passes, each common wrong answer is recognized by name."""

import pytest
import torch

from dmlbook import chapters
from dmlbook.book import exercises as checker
from tests.chapters.exercise_answers import ANSWERS, INVENTED

WRONG = [(id, name) for id, answers in ANSWERS.items() for name in answers if name != "solution"]


def test_every_exercise_has_answers_here_and_three_misconceptions():
    assert set(ANSWERS) == set(chapters.exercises())
    for id, exercise in chapters.exercises().items():
        assert set(ANSWERS[id]) == {"solution", *exercise.misconceptions}
        assert len(exercise.misconceptions) >= 3


@pytest.mark.parametrize("id", ANSWERS)
def test_an_untouched_stub_is_not_attempted(id):
    def stub(*arguments): ...

    assert chapters.judge(id, stub).state == "not attempted"
    assert chapters.judge(id, lambda *_: ...).state == "not attempted"


@pytest.mark.parametrize("id", ANSWERS)
def test_the_solution_passes(id):
    verdict = chapters.judge(id, ANSWERS[id]["solution"])
    assert verdict.state == "right", verdict


@pytest.mark.parametrize(("id", "name"), WRONG)
def test_each_misconception_fails_with_its_own_message(id, name):
    verdict = chapters.judge(id, ANSWERS[id][name])
    assert verdict.state == "wrong"
    assert verdict.misconception == name
    assert chapters.exercises()[id].misconceptions[name].message in verdict.message


def test_every_exercise_of_the_lessons_was_tried_with_ten_invented_mistakes():
    lessons = {id for id in chapters.exercises() if id.partition(".")[0] in {"0", "1", "2", "3", "4", "5", "7"}}
    assert lessons <= set(INVENTED) <= set(chapters.exercises())
    assert min(map(len, INVENTED.values())) >= 10


def loop(*arguments):
    return loop(*arguments)


def divide(*arguments):
    return 1 / 0


@pytest.mark.parametrize("id", ANSWERS)
@pytest.mark.parametrize(
    "answer",
    [loop, divide, lambda *_: float("nan"), lambda *_: float("inf"), lambda *_: torch.ones(3, 3), lambda *_: "a"],
)
def test_nothing_a_learner_writes_breaks_the_notebook(id, answer, capsys):
    assert chapters.judge(id, answer).state in ("wrong", "error")
    chapters.check(id, answer)
    printed = capsys.readouterr().out
    assert printed.startswith(f"✗ Exercise {id}: ")
    assert "case 1 of" in printed


def test_the_first_failing_case_is_shown_with_its_numbers():
    verdict = chapters.judge("7.6", lambda epoch, base, milestones: 1.0)
    assert "case 3 of 6, epoch 20, base 1.0, milestones (20, 40): expected 0.1000, got 1.0000." in verdict.message


def judged(result, expected):
    task = checker.Exercise("0.0", "a probe", lambda: [checker.Case((), expected, "nothing")])
    verdict = checker.judge(task, lambda: result)
    return verdict.misconception, verdict.message


@pytest.mark.parametrize(
    ("result", "expected", "name", "said"),
    [
        (torch.ones(3, 1) * 2, torch.ones(3), "its shape", "Look at the shape: (3, 1) is not (3,)."),
        (float("inf"), 1.0, "not finite", "That is not finite: does something overflow"),
        (torch.tensor(float("nan")), 1.0, "not finite", "That is not finite: does something overflow"),
        (torch.tensor([1.0, float("nan")]), torch.ones(2), "not finite", "Some entries are not finite: does"),
        ([1.0, float("nan")], [1.0, 1.0], "not finite", "That is not finite"),
        ("1", 1.0, "its type", "That is text: return the value itself."),
        (range(3), [0, 1, 2], "its type", "Make a list of it: list(...)."),
        (object(), 1.0, None, "got <object object"),
        (0.7, 1.0, None, "expected 1.0000, got 0.7000."),
    ],
)
def test_answers_of_an_unusual_kind_are_named_and_explained(result, expected, name, said):
    found, message = judged(result, expected)
    assert found == name
    assert said in message
    assert ".." not in message.replace("list(...)", "")


@pytest.mark.parametrize(
    ("found", "expected", "agree"),
    [
        (1.0005, 1.0, True),
        (1.005, 1.0, False),
        (torch.tensor([1.0005, 2.0]), torch.tensor([1.0, 2.0]), True),
        (torch.tensor([1.005, 2.0]), torch.tensor([1.0, 2.0]), False),
        (torch.ones(1), torch.ones(3), False),
        ([1.0, 2.0], torch.tensor([1.0, 2.0]), True),
        ((1, 2), [1, 2], True),
        ([1, 2, 3], [1, 2], False),
        ({"a": 1.0}, {"a": 1.0}, True),
        ({"a": 1.0}, {"a": 1.0, "b": 2.0}, False),
        ("1", 1.0, False),
        (1.0, "1", False),
        (None, 1.0, False),
    ],
)
def test_answers_agree_to_a_thousandth_and_in_their_shape(found, expected, agree):
    assert checker.same(found, expected) is agree


def test_long_values_are_shown_short():
    assert checker.show(torch.arange(9.0)) == "a tensor (9,) of 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, ..."
    assert checker.show(torch.arange(8)) == "a tensor (8,) of 0, 1, 2, 3, 4, 5, 6, 7"
    assert checker.show("a" * 121) == "a" * 117 + "..."
    assert checker.show("a" * 120) == "a" * 120


def test_a_prediction_can_be_taken_back(capsys):
    chapters.predict("9.8", "b")
    chapters.predict("9.8", "?")
    chapters.outcome("9.8", "b")
    assert capsys.readouterr().out.endswith("it is (b). You had made no prediction.\n")


@pytest.mark.parametrize("answer", ["b", "B", "(b)", " b. ", "(B)"])
def test_a_prediction_may_be_written_as_people_write_it(answer, capsys):
    chapters.predict("9.7", answer)
    chapters.outcome("9.7", "b")
    assert capsys.readouterr().out.endswith("it is (b). You said (b), and that is right.\n")


def test_predictions_are_noted_and_compared(capsys):
    chapters.predict("9.9", "?")
    chapters.outcome("9.9", "b")
    chapters.predict("9.9", "b")
    chapters.outcome("9.9", "b")
    chapters.outcome("9.9", "c")
    said = capsys.readouterr().out.splitlines()
    assert said == [
        'Prediction 9.9: none yet. Replace the question mark by "a", "b" or "c" before you read on.',
        "Prediction 9.9: it is (b). You had made no prediction.",
        "Prediction 9.9: (b) is noted.",
        "Prediction 9.9: it is (b). You said (b), and that is right.",
        "Prediction 9.9: it is (c). You said (b).",
    ]


@pytest.mark.bad_input
def test_bad_calls_are_named():
    with pytest.raises(ValueError, match="check: id must be one of .*got '7.33'"):
        chapters.check("7.33", loop)
    with pytest.raises(ValueError, match="answer must be a function; got 1.0. Pass its name without brackets"):
        chapters.check("7.6", 1.0)
    with pytest.raises(ValueError, match="answer must be one of 'a', 'b', 'c', '\\?'; got 'd'"):
        chapters.predict("7.1", "d")
    with pytest.raises(ValueError, match="answer must be one of 'a', 'b', 'c', '\\?'; got 'ab'"):
        chapters.predict("7.1", "(ab)")
