"""Memory kept between steps: set within, given back afterwards, and of no consequence for what is computed."""

from __future__ import annotations

import ctypes
import threading

import pytest
import torch

from dmlbook import nets
from dmlbook.datasets import ImageSet
from dmlbook.losses import NormalizedSoftmax
from dmlbook.training import TrainConfig, allocator, embed, fit
from dmlbook.training.allocator import KEEP, USUAL, keeping_freed


class Library(ctypes.CDLL):
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def mallopt(self, name: int, value: int) -> int:
        self.told.append((name, value))
        return 1

    def malloc_trim(self, pad: int) -> int:
        self.told.append(("trim", pad))
        return 1


WITHIN = list(KEEP.items())
AFTER = [*USUAL.items(), ("trim", 0)]


@pytest.fixture
def library(monkeypatch):
    made = Library()
    monkeypatch.setattr(allocator, "_library", lambda: made)
    return made


def test_memory_is_kept_within_and_given_back_after(library):
    with keeping_freed("cpu"):
        assert library.told == WITHIN
    assert library.told == WITHIN + AFTER


def test_it_is_given_back_after_an_error(library):
    with pytest.raises(KeyError), keeping_freed("cpu"):
        raise KeyError
    assert library.told == WITHIN + AFTER


def test_only_the_outermost_sets_and_gives_back(library):
    with keeping_freed("cpu"):
        with keeping_freed("cpu"):
            pass
        assert library.told == WITHIN
    assert library.told == WITHIN + AFTER


def test_two_threads_are_one_outermost(library):
    """What is given back while another thread works would be asked for again at once."""
    ready, done = threading.Event(), threading.Event()

    def work() -> None:
        with keeping_freed("cpu"):
            ready.set()
            done.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(10)
    with keeping_freed("cpu"):
        pass
    before = list(library.told)
    done.set()
    thread.join(10)
    assert (before, library.told) == (WITHIN, WITHIN + AFTER)


def test_on_a_gpu_it_does_nothing(library):
    with keeping_freed(torch.device("cuda")):
        pass
    assert library.told == []


@pytest.mark.parametrize("name", allocator.OF_THE_USER)
def test_what_the_user_chose_stays(monkeypatch, name):
    for each in allocator.OF_THE_USER:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "1")
    assert allocator._library.__wrapped__() is None


@pytest.mark.parametrize(
    ("system", "libc", "taken"), [("linux", "glibc", True), ("linux", "musl", False), ("darwin", "glibc", False)]
)
def test_another_c_library_is_left_alone(monkeypatch, system, libc, taken):
    for each in allocator.OF_THE_USER:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: (libc, "1.2"))
    monkeypatch.setattr(allocator.sys, "platform", system)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: Library())
    assert (allocator._library.__wrapped__() is not None) == taken


def images() -> ImageSet:
    pictures = torch.randint(0, 256, (16, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(pictures, torch.arange(16) % 4, ("a", "b", "c", "d"))


def trained() -> torch.Tensor:
    net = nets.build("small", embedding_size=8, seed=3)
    loss = NormalizedSoftmax(num_classes=4, embedding_size=8)
    fit(
        net,
        loss,
        images(),
        TrainConfig(epochs=2, batch_size=8, image_size=32, freeze_batch_norm=False),
        device="cpu",
        progress=False,
    )
    return embed(net, images())


def test_training_and_embedding_keep_it_and_are_the_same_without(library, monkeypatch):
    kept = trained()
    assert library.told == 2 * (WITHIN + AFTER)  # once by fit, whose measures are inside, and once by embed
    monkeypatch.setattr(allocator, "_library", lambda: None)
    assert torch.equal(kept, trained())


@pytest.mark.skipif(allocator._library() is None, reason="another allocator than the GNU C library's")
def test_the_library_takes_every_value():
    library = allocator._library()
    assert [library.mallopt(name, value) for values in (KEEP, USUAL) for name, value in values.items()] == [1] * 5
