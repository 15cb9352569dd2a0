"""What chapter 01 counts in batches: literal loops over images, neighbors and triplets say the same."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmlbook import records
from dmlbook.chapters.ch01 import experiments
from dmlbook.seeding import generator
from tests.reference import triplets

QUICK = settings(derandomize=True, deadline=None, max_examples=25)


def drawn(seed, n=9, batch_size=5, count=3):
    """Points, labels with two images of each class at least, and batches."""
    source = generator(seed, "experiments")
    x = torch.randn(n, 2, generator=source, dtype=torch.float64)
    y = torch.tensor([0, 0, 1, 1, *torch.randint(0, 2, (n - 4,), generator=source).tolist()])
    batches = [torch.randperm(n, generator=source)[:batch_size] for _ in range(count)]
    return x, y, batches


@QUICK
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_neighbors_met_are_those_of_the_loop(seed, k):
    x, _, batches = drawn(seed)
    nearest = torch.cdist(x, x).fill_diagonal_(torch.inf).argsort(1)[:, :k]
    shares, some = [], []
    for batch in batches:
        for i in batch.tolist():
            met = [j for j in nearest[i].tolist() if j in batch.tolist()]
            shares.append(len(met) / k)
            some.append(bool(met))
    found = experiments.neighbors_met(nearest, iter(batches))
    assert found == pytest.approx((sum(shares) / len(shares), sum(some) / len(some)), abs=1e-6)


@QUICK
@given(st.integers(0, 10_000))
def test_triplets_met_are_those_of_the_loop(seed):
    _, y, batches = drawn(seed)
    shares = []
    for batch in batches:
        for i in batch.tolist():
            own = [(j, k) for a, j, k in triplets(y) if a == i]
            shares.append(sum({j, k} <= set(batch.tolist()) for j, k in own) / len(own))
    assert experiments.triplets_met(y, iter(batches)) == pytest.approx(sum(shares) / len(shares), abs=1e-6)


@QUICK
@given(st.integers(0, 10_000))
def test_closest_ranks_are_those_of_the_loop(seed):
    x, y, batches = drawn(seed, batch_size=3)
    apart = torch.cdist(x, x)
    same = y[:, None] == y
    ranks = apart.masked_fill(same, torch.inf).argsort(1).argsort(1) + 1
    ranks = ranks.masked_fill(same, 1)  # what stands there is no rank among negatives
    found, met = [], []
    for batch in batches:
        for i in batch.tolist():
            inside = [j for j in batch.tolist() if y[j] != y[i]]
            closer = [sum(float(apart[i, k]) <= float(apart[i, j]) for k in range(9) if y[k] != y[i]) for j in inside]
            found += [min(closer)] if inside else []
            met += [len(inside)] if inside else []
    if found:
        mean, counts = experiments.closest_ranks(ranks, y, iter(batches))
        assert mean == pytest.approx(sum(found) / len(found))
        assert counts == met


def test_both_measures_are_said_with_their_intervals():
    scores = torch.tensor([[0.5, 0.25], [0.7, 0.15], [0.6, 0.3]])
    at_1, at_r = (records.percent(column) for column in zip(*scores.tolist(), strict=True))
    assert experiments.both_measures(scores) == f"Recall@1 {at_1}, MAP@R {at_r}"
    assert experiments.both_measures(scores).startswith("Recall@1 60.0 ± ")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: experiments.neighbors_met(torch.tensor([[1], [0]]), []), "neighbors_met: batches must hold images"),
        (lambda: experiments.triplets_met(torch.tensor([0, 0, 1, 1]), []), "triplets_met: batches must hold images"),
        (
            lambda: experiments.closest_ranks(torch.ones(2, 2).long(), torch.tensor([0, 0]), [torch.tensor([0, 1])]),
            "closest_ranks: batches must hold images",
        ),
        (
            lambda: experiments.neighbors_met(torch.tensor([[1], [0]]), [torch.tensor([2])]),
            "neighbors_met: batches must",
        ),
        (lambda: experiments.neighbors_met(torch.tensor([[2], [0]]), []), "neighbors_met: nearest must"),
        (lambda: experiments.neighbors_met(torch.zeros(0, 1).long(), []), "neighbors_met: nearest must"),
        (
            lambda: experiments.triplets_met(torch.tensor([0, 0, 1, 1]), [torch.tensor([4])]),
            "triplets_met: batches must",
        ),
    ],
)
def test_what_cannot_be_counted_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_every_image_of_a_batch_counts_once_in_each():
    batches = [torch.tensor(batch) for batch in itertools.combinations(range(4), 2)]
    nearest = torch.tensor([[1], [0], [3], [2]])
    assert experiments.neighbors_met(nearest, batches) == pytest.approx((1 / 3, 1 / 3))
