"""Batches made ready in a thread: the same ones in the same order, and no fault of the thread is lost or waited for."""

import math
import threading
import time
from functools import partial

import pytest
import torch

from dmlbook.training import TrainConfig, Views, checkpoints, embed, fit, sources
from dmlbook.training import ahead as module
from dmlbook.training.ahead import LoaderDied, ahead, rows, sent
from dmlbook.training.embedding import embed_views
from dmlbook.training.guards import FiniteGuard
from tests.training.training_toys import assert_same, outcome, toy_config, toy_loss, toy_net, toy_set

CPU = torch.device("cpu")


def _threads():
    return [thread for thread in threading.enumerate() if thread.name == "dmlbook-batches"]


@pytest.mark.parametrize("threaded", [False, True])
def test_everything_comes_once_and_in_order(threaded):
    with ahead(lambda item: item * item, range(20), device=CPU, threaded=threaded) as ready:
        assert list(ready) == [item * item for item in range(20)]
    assert not _threads()


def test_at_most_a_few_are_made_before_they_are_asked_for():
    made = []
    with ahead(made.append, range(100), device=CPU, threaded=True) as ready:
        next(ready)
        time.sleep(0.2)
        assert 2 <= len(made) <= module.DEPTH + 2
    assert not _threads()
    assert len(made) < 100


def test_an_error_of_the_thread_comes_in_its_batchs_turn():
    def prepare(item):
        if item == 2:
            raise OSError("the disk is gone")
        return item

    got = []
    with pytest.raises(OSError, match="the disk is gone"), ahead(prepare, range(5), device=CPU, threaded=True) as ready:
        got.extend(ready)
    assert got == [0, 1]
    assert not _threads()


def test_a_thread_that_dies_is_told_at_once_and_not_waited_for(monkeypatch):
    monkeypatch.setattr(module._Worker, "run", lambda self: self._put((self.prepare(0), None, None)))
    start = time.monotonic()
    with ahead(lambda item: item, range(5), device=CPU, threaded=True) as ready:
        assert next(ready) == 0
        with pytest.raises(LoaderDied, match="the thread that reads the images has died"):
            next(ready)
    assert time.monotonic() - start < 5


def _run(folder=None, **options):
    options = {"validation": toy_set(1, "val"), "device": "cpu", "progress": False} | options
    return fit(toy_net(), toy_loss(), toy_set(), toy_config(), folder=folder, **options)


def test_training_with_a_thread_ends_bit_for_bit_as_without(monkeypatch):
    alone = outcome(_run())
    monkeypatch.setattr(sources, "LARGE", 0)
    started, start = [], module._Worker.start
    monkeypatch.setattr(module._Worker, "start", lambda self: (started.append(self), start(self)))
    assert_same(outcome(_run()), alone)
    assert len(started) == 3  # one an epoch
    assert not _threads()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_in_training_loses_no_step(tmp_path, monkeypatch):
    alone = outcome(_run())
    monkeypatch.setattr(sources, "LARGE", 0)
    with monkeypatch.context() as patch:
        put, count = module._Worker._put, []

        def dying(self, entry):
            count.append(0)
            if len(count) == 6:  # epochs have three steps and an end
                raise SystemExit
            put(self, entry)

        patch.setattr(module._Worker, "_put", dying)
        with pytest.raises(LoaderDied):
            _run(tmp_path)
    assert [path.name for path in checkpoints.find(tmp_path)][-1] == "checkpoint-00001-0000001.pt"
    assert_same(outcome(_run(tmp_path)), alone)


def test_an_interruption_ends_the_thread_too(monkeypatch, tmp_path):
    import signal

    alone = outcome(_run())
    monkeypatch.setattr(sources, "LARGE", 0)
    net, loss = toy_net(), toy_loss()
    forward, calls = loss.forward, []

    def interrupted(*arguments):
        calls.append(0)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return forward(*arguments)

    monkeypatch.setattr(type(loss), "forward", lambda self, *arguments: interrupted(*arguments))
    first = fit(
        net, loss, toy_set(), toy_config(), validation=toy_set(1, "val"), folder=tmp_path, device="cpu", progress=False
    )
    monkeypatch.undo()
    assert first.interrupted
    assert not _threads()
    assert_same(outcome(_run(tmp_path)), alone)


def test_rows_and_values_come_as_they_are_on_the_cpu():
    images = torch.arange(24, dtype=torch.uint8).view(4, 3, 2, 1)
    assert torch.equal(rows(images, torch.tensor([2, 0]), CPU), images[[2, 0]])
    assert sent(images, CPU) is images


def test_embeddings_are_the_same_whatever_memory_allows(monkeypatch):
    net, data, tried = toy_net(), toy_set(), []
    expected = embed(net, data)
    forward = type(net).forward

    def scarce(self, images):
        tried.append(len(images))
        if len(images) > 10:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return forward(self, images)

    monkeypatch.setattr(type(net), "forward", scarce)
    torch.testing.assert_close(embed(net, data, batch_size=32), expected, atol=1e-6, rtol=1e-5)
    assert tried == [32, 16, 8, 8, 8, 8, 8]
    found = embed_views(net, Views(data, TrainConfig()), device=CPU, index=torch.tensor([39, 0]))
    torch.testing.assert_close(found, expected[[39, 0]], atol=1e-6, rtol=1e-5)
    monkeypatch.setattr(type(net), "forward", lambda self, images: (_ for _ in ()).throw(RuntimeError("out of memory")))
    with pytest.raises(RuntimeError, match="out of memory"):
        embed(net, data)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("kept", [True, False])
def test_a_step_that_was_not_finite_is_not_saved_where_a_thread_dies(tmp_path, monkeypatch, kept):
    monkeypatch.setattr(sources, "LARGE", 0)
    monkeypatch.setattr(
        module._Worker, "run", lambda self: self._put((self.prepare(next(iter(self.items))), None, None))
    )
    folder = tmp_path if kept else None
    with pytest.raises(LoaderDied) as told:
        _run(folder)
    assert ("Start the run again: it goes on." in str(told.value)) == kept
    for path in checkpoints.find(tmp_path):
        path.unlink()
    monkeypatch.setattr("dmlbook.training.loop.FiniteGuard", partial(_late, FiniteGuard))
    loss = toy_loss()
    forward = loss.forward
    loss.forward = lambda *given: forward(*given) * math.nan
    with pytest.raises(FloatingPointError, match="epoch 1, step 1"):
        fit(toy_net(), loss, toy_set(), toy_config(), folder=folder, device="cpu", progress=False)
    assert not checkpoints.find(tmp_path)


def _late(kind, lag, **options):
    """As on a GPU, where the number of the last step is not looked at yet."""
    return kind(lag=1, **options)
