"""Batches: deterministic, resumable, balanced as documented, and the same whether one process draws them or several."""

import copy
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmlbook.sampling import SMALL_CLASSES, ClassBatches, UniformBatches, places

calm = settings(derandomize=True, deadline=None, max_examples=40)
LABELS = torch.arange(60) % 7 * 1000 - 3  # seven classes of eight or nine images


def both():
    return [UniformBatches(LABELS, 12, seed=1), ClassBatches(LABELS, 12, 3, seed=1)]


def lists(batches):
    return [batch.tolist() for batch in batches]


@pytest.mark.parametrize("batches", both())
def test_an_epoch_depends_on_seed_and_epoch_alone(batches):
    later = lists(batches.batches(5))
    batches.batches(2)
    assert lists(batches.batches(5)) == later
    assert lists(batches.batches(4)) != later
    other = copy.copy(batches)
    other.seed = 2
    assert lists(other.batches(5)) != later
    assert len(batches) == len(later)


def test_another_process_draws_the_same_batches():
    code = (
        "import torch; from dmlbook.sampling import *; torch.manual_seed(99)\n"
        "labels = torch.arange(60) % 7 * 1000 - 3\n"
        "for b in (UniformBatches(labels, 12, seed=1), ClassBatches(labels, 12, 3, seed=1)):\n"
        "    print([batch.tolist() for batch in b.batches(3)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(lists(batches.batches(3))) for batches in both()]


def test_drawing_batches_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    for batches in both():
        batches.batches(0)
    assert torch.rand(1) == expected


@calm
@given(st.integers(1, 40), st.integers(1, 15), st.integers(0, 3))
def test_uniform_batches_show_every_image_once(n, batch_size, epoch):
    batches = UniformBatches(n, batch_size, seed=0)
    drawn = batches.batches(epoch)
    assert sorted(torch.cat(drawn).tolist()) == list(range(n))
    assert [len(batch) for batch in drawn[:-1]] == [batch_size] * (len(batches) - 1)
    assert len(drawn[-1]) > 1 or n == 1 or batch_size == 1  # a last image alone joins the batch before
    if n >= batch_size:
        whole = UniformBatches(n, batch_size, seed=0, drop_last=True)
        assert lists(whole.batches(epoch)) == lists(batch[:batch_size] for batch in drawn)[: n // batch_size]
        assert len(whole) == n // batch_size


def test_uniform_batches_put_every_image_into_every_batch_alike():
    batches = UniformBatches(12, 3, seed=0)
    first = torch.zeros(12)
    for epoch in range(2000):
        first[batches.batches(epoch)[0]] += 1
    assert ((first / 2000 - 0.25).abs() < 5 * (0.25 * 0.75 / 2000) ** 0.5).all()
    assert len(set(first.tolist())) > 1


@st.composite
def class_settings(draw):
    m = draw(st.integers(1, 4))
    sizes = draw(st.lists(st.integers(m, 14), min_size=2, max_size=8))
    return sizes, m, m * draw(st.integers(1, len(sizes)))


@calm
@given(class_settings(), st.integers(0, 50))
def test_class_batches_hold_different_images_of_different_classes_about_once_an_epoch(setting, epoch):
    sizes, m, batch_size = setting
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    batches = ClassBatches(labels, batch_size, m, seed=4)
    drawn = batches.batches(epoch)
    assert len(drawn) == len(batches) >= 1
    for batch in drawn:
        assert len(set(batch.tolist())) == batch_size
        kinds = labels[batch].view(-1, m)
        assert (kinds == kinds[:, :1]).all()  # class by class
        assert len(set(kinds[:, 0].tolist())) == batch_size // m
    seen = torch.bincount(torch.cat(drawn), minlength=len(labels))
    steps, per_batch = len(batches), batch_size // m
    groups = [min(-(-size // m), steps) for size in sizes]  # what an epoch has room for
    assert sum(groups) - steps * per_batch < per_batch  # less than one batch is left out ...
    assert sum(min(-(-size // m), steps + 1) for size in sizes) < (steps + 1) * per_batch  # ... as no more would fit
    for c, size in enumerate(sizes):
        counts = seen[labels == c]
        assert counts.max() <= 2
        assert (counts == 2).sum() <= -size % m
    if steps * per_batch == sum(-(-size // m) for size in sizes):
        assert seen.min() == 1


def test_class_batches_of_equal_classes_show_every_image_exactly_once():
    batches = ClassBatches(torch.arange(48) // 8, 12, 4, seed=0)
    for epoch in range(5):
        assert sorted(torch.cat(batches.batches(epoch)).tolist()) == list(range(48))


def test_every_pair_of_classes_and_every_pair_of_images_of_a_class_meet():
    labels = torch.arange(40) // 4  # ten classes of four
    batches = ClassBatches(labels, 6, 2, seed=0)
    together, mates = torch.zeros(10, 10), torch.zeros(40, 40)
    epochs = 300
    for epoch in range(epochs):
        for batch in batches.batches(epoch):
            chosen = labels[batch][::2]
            together[chosen[:, None], chosen] += 1
            mates[batch[0::2], batch[1::2]] += 1
            mates[batch[1::2], batch[0::2]] += 1
    off = ~torch.eye(10, dtype=torch.bool)
    expected = epochs * len(batches) * (3 * 2) / (10 * 9)
    assert ((together[off] / expected - 1).abs() < 0.3).all()  # drawn at random, not always the same neighbours
    same = (labels[:, None] == labels) & ~torch.eye(40, dtype=torch.bool)
    expected = epochs * len(batches) * 3 / (10 * 6)
    assert ((mates[same] / expected - 1).abs() < 0.5).all()
    assert not mates[~same].any()


def test_images_left_out_by_an_epoch_change_with_the_epoch():
    labels = torch.tensor([0] * 30 + [1] * 4 + [2] * 4)  # the first class has more groups than there are batches
    batches = ClassBatches(labels, 4, 2, seed=0)
    assert len(batches) == 4
    seen = torch.bincount(torch.cat([torch.cat(batches.batches(epoch)) for epoch in range(30)]), minlength=38)
    assert (seen[:30] > 0).all()
    assert seen[:30].float().mean() == pytest.approx(30 * 8 / 30, abs=0.01)
    assert (seen[30:] == 30).all()


def test_small_classes_are_an_error_repeated_or_left_out_as_asked():
    assert SMALL_CLASSES == ("error", "repeat", "leave_out")
    labels = torch.tensor([0] * 6 + [1] * 6 + [9] * 2)
    with pytest.raises(ValueError, match="1 of 3 classes with fewer, the first with label 9"):
        ClassBatches(labels, 8, 4, seed=0)
    repeated = torch.cat(ClassBatches(labels, 8, 4, seed=0, small_classes="repeat").batches(0)).view(-1, 4)
    [pair] = [group for group in repeated.tolist() if labels[group[0]] == 9]
    assert sorted(pair) == [12, 12, 13, 13]
    left_out = ClassBatches(labels, 8, 4, seed=0, small_classes="leave_out")
    assert torch.cat(left_out.batches(0)).max() < 12


@pytest.mark.parametrize("batches", both())
def test_parts_of_all_processes_are_the_whole_batch(batches):
    parts = [batches.shard(rank, 4) for rank in range(4)]
    for epoch in range(3):
        pieces = zip(*(part.batches(epoch) for part in parts), strict=True)
        assert [torch.cat(piece).tolist() for piece in pieces] == lists(batches.batches(epoch))
    assert {len(batch) for part in parts for batch in part.batches(0)} == {3}
    assert [len(part) for part in parts] == [len(batches)] * 4
    if isinstance(batches, ClassBatches):  # whole groups, so that every process has positive pairs
        assert all(len(set(LABELS[b].tolist())) == 1 for part in parts for b in part.batches(0))


def test_places_of_all_processes_cover_the_batch_and_the_last_one_fills_up():
    assert [places(6, rank, 3).tolist() for rank in range(3)] == [[0, 1], [2, 3], [4, 5]]
    assert [places(7, rank, 3).tolist() for rank in range(3)] == [[0, 1, 2], [3, 4, 5], [6, 6, 6]]
    assert [places(1, rank, 2).tolist() for rank in range(2)] == [[0], [0]]


def test_no_process_gets_the_large_class_alone():
    labels = torch.tensor([0] * 8 + [1, 1, 2, 2, 3, 3, 4, 4])  # the large class is in every batch, beside one other
    whole = ClassBatches(labels, 4, 2, seed=0)
    held = [
        sum(0 in labels[batch] for epoch in range(10) for batch in whole.shard(rank, 2).batches(epoch))
        for rank in (0, 1)
    ]
    assert sum(held) == 10 * len(whole)
    assert min(held) > 10


def test_resuming_at_a_step_goes_on_as_if_never_stopped():
    for batches, again in zip(both(), both(), strict=True):
        assert lists(batches.batches(7))[2:] == lists(again.batches(7)[2:])


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UniformBatches(0, 4, seed=0), "^UniformBatches: images must be an integer >= 1; got 0"),
        (lambda: UniformBatches(5, 0, seed=0), "^UniformBatches: batch_size must be"),
        (lambda: UniformBatches(5, 2, seed=0.5), "^UniformBatches: seed must be"),
        (lambda: UniformBatches(5, 8, seed=0, drop_last=True), "got 8 for 5 images. With drop_last=True"),
        (lambda: UniformBatches(5, 2, seed=0).batches(-1), "^UniformBatches.batches: epoch must be"),
        (lambda: UniformBatches(10, 4, seed=0).shard(0, 4), "batches of 4, the last of 2. .* or drop_last=True"),
        (lambda: UniformBatches(10, 5, seed=0).shard(0, 2), "got 2 for batches of 5. Choose another batch size"),
        (lambda: UniformBatches(8, 4, seed=0).shard(2, 2), "^UniformBatches.shard: rank must be"),
        (lambda: ClassBatches(LABELS, 10, 3, seed=0), "multiple of samples_per_class; got 10 with 3 a class"),
        (lambda: ClassBatches(LABELS, 24, 3, seed=0), "hold as many classes as a batch; got 7, and batches of 8"),
        (lambda: ClassBatches(LABELS[:, None], 24, 3, seed=0), "labels must be a tensor of shape"),
        (lambda: ClassBatches(LABELS, 12, 3, seed=0, small_classes="skip"), "small_classes must be one of"),
        (lambda: ClassBatches(LABELS, 12, 0, seed=0), "samples_per_class must be"),
        (lambda: ClassBatches(LABELS, 12, 3, seed=0).shard(0, 3), "divide the classes of a batch; got 3 for 4"),
    ],
)
def test_bad_input_is_refused_with_the_value_and_the_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()
