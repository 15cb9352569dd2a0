"""What learners' functions do beside returning a number: the reader gets a sentence, and the notebook goes on."""

import asyncio
import dataclasses
import signal
import sys
import threading
import time
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch

from dmlbook.book import attempts
from dmlbook.book.attempts import Attempt, Odd, OutOfTime, attempt, plain, text, within
from dmlbook.book.exercises import Case, Exercise, Misconception, judge


def task(arguments, expected, misconceptions=()):
    return Exercise("0.1", "a task", lambda: [Case(arguments, expected, "so")] * 2, dict(misconceptions))


ONE = task((1.0,), 1.0)


@dataclasses.dataclass
class Pair:
    points: torch.Tensor
    names: list


def changes(numbers):
    numbers.sort()
    return numbers[0]


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ([3, 1, 2], lambda v: v.sort()),
        ({"a": [[1], [2]]}, lambda v: v["a"][1].clear()),
        (torch.tensor([1.0, 2.0]), lambda v: v.mul_(2)),
        (np.arange(3.0), lambda v: v.fill(0)),
        (Pair(torch.zeros(2), ["x"]), lambda v: v.points.add_(1)),
        (Pair(torch.zeros(2), ["x"]), lambda v: v.names.append("y")),
        (torch.nn.Linear(2, 2), lambda v: torch.nn.init.constant_(v.weight, 9.0)),
        ((torch.tensor([float("nan"), 1.0]),), lambda v: v[0].zero_()),
    ],
)
def test_every_call_gets_copies_and_what_is_changed_in_place_is_named(argument, change):
    shown = str(argument.state_dict() if isinstance(argument, torch.nn.Module) else argument)

    def answer(values, other):
        change(values)
        return 1.0

    verdict = judge(task((argument, [5]), 1.0), answer)
    assert (verdict.state, verdict.message) == (
        "right",
        "right, in all 2 cases. It changes its argument `values` in place, under its caller's hands: work on a copy.",
    )
    assert str(argument.state_dict() if isinstance(argument, torch.nn.Module) else argument) == shown
    assert "`values`" not in judge(task((argument, [5]), 1.0), lambda values, other: 1.0).message


def test_a_wrong_answer_that_changes_its_argument_is_recognized_all_the_same():
    def smallest(numbers):
        numbers.sort()
        return numbers[0]

    def pops(numbers):
        return numbers.pop()

    exercise = Exercise(
        "0.2", "the largest", lambda: [Case((n,), max(n), str(n)) for n in ([3, 1], [5, 9, 2], [4, 6, 8, 7])],
        {"smallest": Misconception(smallest, "The smallest."), "last": Misconception(pops, "The last.")},
    )  # fmt: skip
    found = {judge(exercise, answer).misconception for answer in (smallest, lambda n: min(n), lambda n: sorted(n)[0])}
    assert found == {"smallest"}
    assert judge(exercise, pops).misconception == "last"
    assert "`numbers` in place" in judge(exercise, pops).message
    assert judge(exercise, lambda n: (n.sort(), n[-1])[1]).state == "right"


def test_answers_of_one_object_that_is_filled_anew_are_kept_apart():
    buffer = torch.zeros(1)

    def answer(value):
        buffer[0] = value
        return buffer

    doubled = Exercise("0.3", "itself", lambda: [Case((v,), torch.tensor([v]), str(v)) for v in (1.0, 2.0)])
    assert judge(doubled, answer).state == "right"


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class Own(BaseException):
    pass


def raises(error):
    def answer(*_):
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: sys.exit(3), "ended the program (SystemExit): leave a function by `return`, not by exit()."),
        (lambda x: exit(), "ended the program (SystemExit)"),
        (raises(Own("hm")), "raised Own: hm"),
        (raises(GeneratorExit()), "raised GeneratorExit"),
        (raises(asyncio.CancelledError()), "raised CancelledError"),
        (raises(Unprintable()), "raised Unprintable: an object of Unprintable, whose text raised RuntimeError"),
        (raises(ValueError("a" * 500)), "raised ValueError: aaa"),
        (lambda x: 10**10**6 / x, "raised OverflowError"),
        (lambda x: x.shape, "raised AttributeError: 'float' object has no attribute 'shape'"),
    ],
)
def test_whatever_is_raised_is_said(answer, said):
    verdict = judge(ONE, answer)
    assert verdict.state == "error"
    assert verdict.message.startswith(f"case 1 of 2, so, {said}")
    assert len(verdict.message) < 200


def deep(levels):
    value = [1.0]
    for _ in range(levels):
        value = [value]
    return value


def itself():
    value = []
    value.append(value)
    return value


async def late(x):
    return x


class Text:
    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


class Nasty(float):
    def __eq__(self, other):
        raise RuntimeError

    __hash__ = float.__hash__

    def __float__(self):
        raise RuntimeError

    __str__ = __repr__ = __float__


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: 10**400, "got a whole number of about 401 digits."),
        (lambda x: -(10**5000), "got a whole number of about 5001 digits."),
        (lambda x: torch.ones(2, device="meta"), "got a tensor (2,) on the device meta. It has a shape and no numbers"),
        (lambda x: torch.eye(2).to_sparse(), "got a tensor (2, 2) of 1.0, 0.0, 0.0, 1.0."),
        (lambda x: torch.tensor([1j]), "got a complex tensor (1,). Complex numbers are not asked for"),
        (lambda x: 2j, "got 2j. That is complex: return a real number."),
        (lambda x: deep(5000), "got lists within lists, more than 20 deep. Return the values themselves."),
        (lambda x: itself(), "got lists within lists"),
        (lambda x: "1.0", "got 1.0. That is text: return the value itself."),
        (lambda x: (v for v in [1]), "got a generator. Put list(...) around it"),
        (late, "got a coroutine. Write `def`, not `async def`."),
        (lambda x: map(abs, [1]), "got a map. Make a list of it: list(...)."),
        (lambda x: {}.keys(), "got a dict_keys. Make a list of it"),
        (lambda x: abs, "got a function. Call it: are the brackets missing?"),
        (lambda x: Text(), "got an object of Text, whose text raised RuntimeError."),
        (lambda x: float("nan"), "got nan. That is not finite"),
        (lambda x: [float("nan")], "got [nan]. That is not finite"),
        (lambda x: torch.ones(1).expand(10**6, 10**6), "got a tensor (1000000, 1000000). That is far more"),
        (lambda x: [0] * 10**6, "got list of 1000000 entries. That is far more"),
        (lambda x: np.array(["a"]), "got a numpy array of <U1. Return numbers."),
        (lambda x: {1.0}, "got {1.0}."),
    ],
)
def test_odd_answers_are_wrong_and_explained(answer, said):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verdict = judge(ONE, answer)
    assert verdict.state == "wrong"
    assert verdict.message.startswith(f"not yet. case 1 of 2, so: expected 1.0000, {said}")
    inside = judge(task((1.0,), [torch.ones(2), {"a": (2.0, True)}]), lambda x: [answer(x), {"a": (2.0, True)}])
    assert inside.state == "wrong"


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: torch.tensor(1.0, requires_grad=True),
        lambda x: torch.nn.Parameter(torch.ones(())),
        lambda x: torch.ones((), dtype=torch.float16),
        lambda x: np.float32(1),
        lambda x: np.array(1.0),
        lambda x: Fraction(1),
        lambda x: Nasty(1.0),
        lambda x: 1,
    ],
)
def test_numbers_of_other_kinds_are_numbers(answer):
    assert judge(ONE, answer).state == "right"


def test_ctrl_c_is_the_readers_and_stops():
    with pytest.raises(KeyboardInterrupt):
        judge(ONE, raises(KeyboardInterrupt()))


def catches(x):
    while True:
        try:
            time.sleep(0.02)
        except Exception:
            x += 1


def catches_everything(x):
    while True:
        try:
            x += 1
        except:  # noqa: E722
            x = 0


def endless(x):
    while True:
        pass


def sleeps(x):
    time.sleep(60)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms on this system")
@pytest.mark.parametrize("answer", [endless, catches, catches_everything, sleeps])
def test_an_endless_loop_ends_when_its_time_is_up(answer):
    before, start = signal.getsignal(signal.SIGALRM), time.monotonic()
    verdict = judge(ONE, answer, seconds=0.2)
    assert verdict.state == "error"
    assert verdict.message == "case 1 of 2, so, did not end within 0.2 seconds: is there a loop that never stops?"
    assert 0.2 <= time.monotonic() - start < 5
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@pytest.mark.parametrize("answer", [endless, catches, catches_everything])
def test_in_another_thread_it_ends_too(answer):
    found, running = [], threading.active_count()
    thread = threading.Thread(target=lambda: found.append(judge(ONE, answer, seconds=0.2)))
    thread.start()
    thread.join(20)
    assert "did not end within 0.2 seconds" in found[0].message
    assert threading.active_count() == running


def test_without_alarms_a_thread_is_used_and_answers_are_the_same(monkeypatch):
    monkeypatch.delattr(signal, "setitimer", raising=False)
    assert judge(ONE, lambda x: x).state == "right"
    assert judge(ONE, lambda x: threading.current_thread() is threading.main_thread()).state == "wrong"
    assert "SystemExit" in judge(ONE, lambda x: sys.exit()).message
    with torch.no_grad():
        assert judge(task((1.0,), False), lambda x: torch.is_grad_enabled()).state == "right"
    with pytest.raises(KeyboardInterrupt):
        judge(ONE, raises(KeyboardInterrupt()))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms on this system")
def test_an_alarm_that_was_set_before_rings_when_it_was_to():
    rung = []
    former = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    try:
        start = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        assert within(5.0, lambda: time.sleep(0.1)) is None
        assert 0.05 < signal.getitimer(signal.ITIMER_REAL)[0] < 0.21
        time.sleep(0.5)
        assert len(rung) == 1
        assert rung[0] - start < 0.5
        with pytest.raises(OutOfTime):
            within(0.05, lambda: time.sleep(1))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def test_ten_seconds_are_given_unless_told():
    assert attempts.SECONDS == 10.0
    tried = attempt(lambda function, arguments: function(*arguments), list, lambda n: (n, n), (2,))
    assert tried == Attempt([2, 2], "", ())


def test_plain_answers_share_nothing_and_texts_are_short():
    given = {"a": [torch.ones(2), (1, "b")]}
    found = plain(given)
    given["a"][0].zero_()
    assert found["a"][0].tolist() == [1.0, 1.0]
    assert found["a"][1] == (1, "b")
    assert plain(2j) == Odd("2j", "That is complex: return a real number.")
    assert text("a" * 121) == "a" * 117 + "..."
