"""Exercises of chapter 07: invented mistakes are named, and the loop of the book is the one that ``fit`` takes."""

import pytest
import torch

from dmlbook import chapters
from dmlbook.chapters.ch07 import faults, loops, messages
from tests.chapters.ch07.answers import ANSWERS, INVENTED


def test_weights_of_the_expected_loop_are_those_of_fit():
    """The judge's numbers after the losses come from ``fit`` itself; the book's loop agrees with them."""
    for case in loops.loop_cases():
        torch.testing.assert_close(loops.looped(loops.loop, case.arguments), case.expected, rtol=1e-3, atol=1e-4)


def test_copies_of_the_weights_are_not_the_weights():
    verdict = chapters.judge("7.2", INVENTED["7.2"]["copies of the weights"])
    assert verdict.misconception == "nothing moves"
    assert "state_dict() gives copies" in verdict.message


def test_a_learners_loop_leaves_the_cases_as_they_were():
    verdict = chapters.judge("7.2", ANSWERS["7.2"]["solution"])
    assert verdict.message == "right, in all 2 cases."


def test_the_planted_bug_trains_and_differs_from_the_second_epoch_on():
    (arguments, *_), seen = (case.arguments for case in loops.bug_cases()), []
    for when in ("once", "each epoch"):
        found = loops.trained(lambda *given, when=when: loops.measured(*given, train=when), arguments)
        seen.append(found)
    assert seen[0][0] == seen[1][0]
    assert not torch.allclose(seen[0], seen[1])


def test_a_loop_that_returns_one_number_is_told_to_return_a_list():
    verdict = chapters.judge("7.2", lambda *arguments: 1.0)
    assert "return a list of numbers" in verdict.message


def test_losses_that_hold_their_graphs_are_refused_by_name():
    verdict = chapters.judge("7.2", INVENTED["7.2"]["tensors appended"])
    assert (verdict.state, verdict.misconception) == ("wrong", "graphs are kept")
    assert "of 0.0, " in verdict.message
    assert ") of 6.0, " in verdict.message.split(" got ")[1]


def test_graphs_hide_no_other_fault_of_the_loop():
    verdict = chapters.judge("7.2", INVENTED["7.2"]["tensors of a loop that clears too little"])
    assert verdict.misconception == "the centers' slopes add up"


def test_losses_as_detached_tensors_or_a_tuple_are_right():
    right = ANSWERS["7.2"]["solution"]
    for form in (torch.tensor, tuple, lambda values: [torch.tensor(value) for value in values]):
        assert chapters.judge("7.2", lambda *given, form=form: form(right(*given))).state == "right"


def test_copies_of_the_centers_are_not_the_centers():
    verdict = chapters.judge("7.2", INVENTED["7.2"]["copies of the centers"])
    assert verdict.misconception == "the centers were forgotten"
    assert "or in it as copies" in verdict.message


def test_a_line_that_the_table_lacks_is_said_in_the_exercises_words():
    verdict = chapters.judge("7.4", INVENTED["7.4"]["table by n - 1"])
    assert "1 is no line of your table: it goes by n itself" in verdict.message
    with pytest.raises(LookupError, match="6 is no line"):
        faults.looked_up(lambda n: {5: 2.0}[n], (6,))
    assert faults.looked_up(lambda n: n + 1, (6,)) == 7


def test_a_whole_dictionary_of_scores_is_told_its_entry():
    verdict = chapters.judge("7.3", lambda *arguments: [{1: 0.5}])
    assert "recall_at_k(...)[1] is the number" in verdict.message


@pytest.mark.parametrize("wrong", ["copies of the weights", "no train()"])
def test_every_fault_of_the_loop_has_a_message(wrong):
    assert chapters.judge("7.2", INVENTED["7.2"][wrong]).misconception in loops.loop_misconceptions()
    assert set(loops.bug_misconceptions()) == set(ANSWERS["7.3"]) - {"solution"}


def test_a_rate_without_its_base_is_not_taken_for_right():
    verdict = chapters.judge("7.6", INVENTED["7.6"]["the base forgotten"])
    assert verdict.misconception == "without the base"
    assert "base 0.5, milestones (20, 40): expected 0.0500, got 0.1000" in verdict.message


def test_every_fault_is_a_misconception_of_its_exercise():
    for id, table in {"7.1": faults.SPLIT_FAULTS, "7.4": faults.LEAD_FAULTS, "7.6": faults.RATE_FAULTS}.items():
        found = faults.misconceptions(table)
        assert {name: each.message for name, each in found.items()} == {name: said for name, (_, said) in table.items()}
        assert set(found) <= set(chapters.exercises()[id].misconceptions)
    assert set(loops.RARE_LOOP_FAULTS) <= set(loops.loop_misconceptions())
    assert set(loops.BUG_FAULTS) <= set(loops.bug_misconceptions())


@pytest.mark.parametrize("fault", messages.LOOP_FAULTS)
def test_each_fault_of_a_loop_is_told_its_message_and_left_in_evaluation_that_too(fault):
    verdict = chapters.judge("7.2", ANSWERS["7.2"][fault])
    assert (verdict.misconception, messages.LOOP_FAULTS[fault] in verdict.message) == (fault, True)
    assert messages.IN_EVALUATION in chapters.judge("7.2", ANSWERS["7.2"]["left in evaluation"]).message
