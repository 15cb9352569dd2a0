"""Pairs of a miner, joined at their anchors: the value of the listed triplets, without listing them."""

import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning.utils.loss_and_miner_utils import convert_to_triplets
from torch.testing import assert_close

from dmlbook import geometry, losses
from dmlbook.losses.mined import joined_mean, mined_indices
from dmlbook.seeding import generator
from tests import reference
from tests.largest import LargestMade
from tests.losses.loss_toys import batch

OPTIONS = [{}, {"hinge": False}, {"average": "active"}, {"distance": "euclidean", "margin": 0.7}, {"margin": 0.0}]


def pairs(y, seed, share=0.6):
    """Some of the positive and of the negative pairs, in any order; one is listed twice."""
    numbers = generator(seed, "pairs")
    found = []
    for mask in losses.pair_masks(y):
        ends = mask.nonzero()
        ends = ends[torch.randperm(len(ends), generator=numbers)][: max(int(share * len(ends)), 1)]
        found += list(torch.cat([ends, ends[:1]]).T)
    return tuple(found)


def by_list(apart, found, loss):
    """The loop over the triplets."""
    d, (first, positive, second, negative) = reference.rows(apart), (indices.tolist() for indices in found)
    values = [
        d[a][p] - d[a][n] + loss.margin
        for a, p in zip(first, positive, strict=True)
        for b, n in zip(second, negative, strict=True)
        if a == b
    ]
    values = [max(v, 0.0) for v in values] if loss.hinge else values
    return reference.mean(v for v in values if v > 0) if loss.average == "active" else reference.mean(values)


@pytest.mark.parametrize("chosen", OPTIONS)
@pytest.mark.parametrize("seed", range(4))
def test_joined_pairs_have_the_value_and_the_gradient_of_the_listed_triplets(chosen, seed):
    loss = losses.TripletLoss(**chosen)
    x, y = batch(seed, size=16)
    found = pairs(y, seed)
    unit = geometry.normalize(x)
    apart = geometry.squared_distances(unit, unit) if loss.distance == "squared" else geometry.distances(unit, unit)
    listed = convert_to_triplets(found, y)
    assert len(listed[0]) > 50
    (ours, theirs) = (x.clone().requires_grad_() for _ in range(2))
    value, by_triplets = loss(ours, y, found), loss(theirs, y, listed)
    assert value.item() == pytest.approx(by_list(apart, found, loss), abs=1e-12)
    assert_close(value, by_triplets, rtol=0, atol=1e-12)
    assert_close(*(torch.autograd.grad(v, z)[0] for v, z in ((value, ours), (by_triplets, theirs))), rtol=0, atol=1e-12)
    assert value.abs() > 1e-3
    if loss.margin > 0:
        assert torch.autograd.gradcheck(lambda x: loss(x, y, found), x.requires_grad_(), atol=1e-6)


def test_joined_pairs_equal_the_other_librarys_triplet_loss():
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.reducers import MeanReducer

    x, y = batch(3, size=20)
    found = pairs(y, 3)
    theirs = pml_losses.TripletMarginLoss(margin=0.3, distance=LpDistance(power=2), reducer=MeanReducer())
    ours = losses.TripletLoss(margin=0.3)
    assert_close(ours(x, y, found), theirs(x, y, found), rtol=0, atol=1e-12)
    assert ours(x, y, found) > 0.1


@pytest.mark.parametrize("chosen", OPTIONS)
def test_all_pairs_joined_are_the_loss_itself(chosen):
    loss = losses.TripletLoss(**chosen)
    x, y = batch(5, size=20)
    found = tuple(end for mask in losses.pair_masks(y) for end in mask.nonzero().T)
    assert_close(loss(x, y, found), loss(x, y), rtol=0, atol=1e-12)


def test_no_pairs_or_no_common_anchor_are_zero_with_a_gradient():
    x, y = batch(1)
    for found in ((y[:0],) * 4, torch.arange(4)[:, None].unbind()):
        point = x.clone().requires_grad_()
        value = losses.TripletLoss()(point, y, found)
        assert value == 0
        assert (torch.autograd.grad(value, point)[0] == 0).all()


def test_joining_never_makes_a_cubic_tensor():
    x, y = torch.randn(96, 4, generator=generator(1, "x")).requires_grad_(), torch.arange(96) % 4
    found = tuple(end for mask in losses.pair_masks(y) for end in mask.nonzero().T)
    triplets = losses.count_triplets(y)
    with LargestMade() as largest:
        losses.TripletLoss()(x, y, found).backward()
    assert largest.size <= 2 * 97 * 96  # the pairs themselves, and their table
    assert triplets > 8 * largest.size


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda a, p, b, n: (a, p),
            "be anchors, positives, negatives, or anchors, positives, anchors, neg",
        ),
        (lambda a, p, b, n: (a, p[1:], b, n), "hold as many ends as anchors; got"),
        (lambda a, p, b, n: (a, p, b[1:], n), "hold as many ends as anchors; got"),
        (lambda a, p, b, n: (a, a, n[:1]), "hold as many ends as anchors; got"),
        (lambda a, p, b, n: (a, p, b, n + 12), r"lie in 0..11; got \d..2\d. Mine in the batch"),
        (lambda a, p, b, n: (a - 12, p, b, n), "lie in 0..11; got -"),
        (lambda a, p, b, n: (a.float(), p, b, n), "be integers; got torch.float32"),
        (lambda a, p, b, n: (a, p, b > 1, n), "be integers; got torch.bool"),
        (lambda a, p, b, n: (a.tolist(), p, b, n), "be a tensor of integers; got list"),
    ],
)
def test_what_no_miner_returns_is_refused(change, message):
    x, y = batch(2)
    with pytest.raises(ValueError, match=f"^TripletLoss: indices_tuple must {message}"):
        losses.TripletLoss()(x, y, change(*pairs(y, 2)))


@pytest.mark.parametrize("width", [torch.uint8, torch.int8, torch.int32])
def test_indices_of_any_width_are_places_and_not_masks(width):
    x, y = batch(2)
    found = pairs(y, 2)
    narrow = tuple(indices.to(width) for indices in found)
    assert_close(losses.TripletLoss()(x, y, narrow), losses.TripletLoss()(x, y, found), rtol=0, atol=0)
    listed = convert_to_triplets(found, y)
    narrow = tuple(indices.to(width) for indices in listed)
    assert_close(losses.TripletLoss()(x, y, narrow), losses.TripletLoss()(x, y, listed), rtol=0, atol=0)
    assert [i.dtype for i in mined_indices(narrow, 12, 12)] == [torch.int64] * 3


def test_the_share_of_joined_triplets_that_violate_the_margin_is_counted():
    apart = torch.tensor([[0.0, 1.0, 1.1, 1.5], [0.0] * 4, [0.0] * 4, [0.0] * 4])
    zero = torch.zeros(2, dtype=torch.long)
    mean, share = joined_mean(apart, zero[:1], torch.tensor([1]), zero, torch.tensor([2, 3]), margin=0.5)
    assert_close(mean, torch.tensor(0.2))  # 0.4 and 0, which is exactly at the margin
    assert share == 0.5
