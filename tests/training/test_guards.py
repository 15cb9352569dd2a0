"""What ends a run early: the first number that is not finite, with its batch named, and Ctrl-C between two steps."""

import math
import signal
import threading

import pytest
import torch

from dmlbook.training.guards import SIGNALS, FiniteGuard, Interruption


def numbers(loss: float, norm: float = 1.0) -> torch.Tensor:
    return torch.tensor([loss, norm])


@pytest.mark.parametrize(("loss", "norm", "said"), [(math.nan, 1.0, "the loss is nan"), (2.0, math.inf, "norm is inf")])
def test_a_number_that_is_not_finite_names_epoch_step_and_images(loss, norm, said):
    guard = FiniteGuard(lag=0)
    guard.add(3, 7, torch.tensor([4, 2]), numbers(1.5))
    assert guard.latest == 1.5
    with pytest.raises(FloatingPointError, match=f"{said} in epoch 3, step 8, on the images 9, 5 of train_set"):
        guard.add(3, 8, torch.tensor([9, 5]), numbers(loss, norm))


def test_a_guard_that_lags_looks_one_step_later_and_at_the_rest_when_flushed():
    guard = FiniteGuard(lag=1)
    guard.add(1, 1, torch.tensor([0]), numbers(math.nan))
    assert math.isnan(guard.latest)  # not looked at yet
    with pytest.raises(FloatingPointError, match="step 1,"):
        guard.add(1, 2, torch.tensor([1]), numbers(1.0))
    late = FiniteGuard(lag=1)
    late.add(1, 1, torch.tensor([0]), numbers(math.inf))
    with pytest.raises(FloatingPointError, match="the loss is inf"):
        late.flush()


def test_long_batches_are_named_by_their_first_images():
    with pytest.raises(FloatingPointError, match=r"30, 31, \.\.\. \(40 in all\) of train_set"):
        FiniteGuard(lag=0).add(1, 1, torch.arange(40), numbers(math.nan))


def test_the_first_interruption_is_a_request_the_second_stops_and_the_handler_is_put_back():
    former = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        assert not interruption.requested
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is former


def test_outside_the_main_thread_the_handler_stays():
    seen = []

    def inside():
        with Interruption() as interruption:
            seen.extend([signal.getsignal(signal.SIGINT), interruption.requested])

    former = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [former, False]


def test_every_handler_is_put_back():
    former = [signal.getsignal(number) for number in SIGNALS]
    with Interruption():
        assert [signal.getsignal(number) for number in SIGNALS] != former
    assert [signal.getsignal(number) for number in SIGNALS] == former


@pytest.mark.parametrize("number", [getattr(signal, n) for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n)])
def test_a_clusters_time_limit_is_a_request_as_ctrl_c_is_and_a_second_one_acts_at_once(number):
    seen = []
    former = signal.signal(number, lambda *arguments: seen.append(arguments[0]))
    try:
        with Interruption() as interruption:
            signal.raise_signal(number)
            assert interruption.signal == number
            assert seen == []
            signal.raise_signal(number)
            assert seen == [number]
        assert interruption.signal == number
        signal.raise_signal(number)
        assert seen == [number, number]  # the former handler is back
    finally:
        signal.signal(number, former)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX")
def test_what_is_ignored_as_under_nohup_stays_ignored():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGHUP)
            assert not interruption.requested
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_checkpoint_is_spoken_of_where_there_are_some():
    for kept in (True, False):
        with pytest.raises(FloatingPointError) as told:
            FiniteGuard(lag=0, kept=kept).add(1, 1, torch.tensor([0]), numbers(math.nan))
        assert ("The last checkpoint was written before it." in str(told.value)) == kept


def test_images_that_are_files_are_named_by_them():
    guard = FiniteGuard(lag=0, names=("a/1.png", "a/2.png", "b/1.png"))
    with pytest.raises(FloatingPointError, match=r"on the images b/1\.png, a/1\.png of train_set\. Try"):
        guard.add(1, 1, torch.tensor([2, 0]), numbers(math.nan))
