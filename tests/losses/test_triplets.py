"""Losses on triplets: the margin, the other library and its miners, and what is counted without being listed."""

import pytest
import torch
from pytorch_metric_learning import distances as pml_distances
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from pytorch_metric_learning import reducers as pml_reducers
from torch.testing import assert_close

from dmlbook import geometry, losses
from dmlbook.losses import triplets
from dmlbook.seeding import generator
from tests import reference
from tests.losses.loss_toys import batch, build, pml_value_and_gradients


@pytest.mark.parametrize("margin", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("hinge", [True, False])
def test_triplets_exactly_at_the_margin_are_not_active(margin, hinge):
    """Distances are small whole numbers, so that many triplets lie at the margin without any rounding."""
    apart = torch.randint(4, (10, 10), generator=generator(1, "apart")).double()
    y = torch.arange(10) % 3
    slacks = [float(apart[a, p] - apart[a, n]) + margin for a, p, n in reference.triplets(y)]
    assert slacks.count(0.0) > 20
    mean, active = losses.triplet_mean(apart, y, margin=margin, hinge=hinge)
    expected = reference.triplet_loss(apart, y, margin=margin, hinge=hinge)
    assert_close(mean, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)
    assert float(active) == pytest.approx(sum(slack > 0 for slack in slacks) / len(slacks), abs=1e-12)


def test_valid_triplets_are_those_of_the_loop_and_are_counted_without_being_listed():
    _, y = batch(11)
    listed = [tuple(triplet) for triplet in losses.valid_triplets(y).nonzero().tolist()]
    assert listed == reference.triplets(y)
    assert losses.count_triplets(y) == len(listed) > 50


@pytest.mark.parametrize("margin", [0.0, 2.0, 3.0])
def test_the_shares_of_hard_semihard_and_easy_triplets_are_those_of_the_list(margin):
    """Distances are whole numbers, so that many negatives lie exactly where the positive or the margin does."""
    apart = torch.randint(10, (12, 12), generator=generator(2, "apart")).double()
    y = torch.arange(12) % 3
    rows, counts = apart.tolist(), [0, 0, 0]
    for a, p, n in reference.triplets(y):
        counts[0 if rows[a][n] <= rows[a][p] else 1 if rows[a][n] < rows[a][p] + margin else 2] += 1
    shares = triplets.TripletShares(*(count / sum(counts) for count in counts))
    assert losses.triplet_kinds(apart, y, margin=margin) == pytest.approx(shares, abs=1e-12)
    assert min(shares.hard, shares.easy) > 0.1
    assert (shares.semihard > 0.02) == (margin > 0)


@pytest.mark.parametrize("average", ["valid", "active"])
def test_triplet_loss_equals_pytorch_metric_learning(average):
    reducer = pml_reducers.MeanReducer() if average == "valid" else pml_reducers.AvgNonZeroReducer()
    distance = pml_distances.LpDistance(power=1)
    theirs = pml_losses.TripletMarginLoss(margin=0.2, distance=distance, reducer=reducer)
    ours = build("triplet", margin=0.2, distance="euclidean", average=average)
    x, y = batch(3)
    mine, other = pml_value_and_gradients(theirs, ours, x, y, lambda t, o: None)
    assert_close(mine[0], other[0], rtol=0, atol=1e-6)  # theirs takes distances by a matrix product
    assert_close(mine[1], other[1], rtol=0, atol=1e-6)


def test_semihard_takes_semihard_triplets_of_pytorch_metric_learning():
    """Where a semi-hard triplet exists, ours is the one of them with the closest negative."""
    x, y = batch(4, size=20)
    x = geometry.normalize(x)
    miner = pml_miners.TripletMarginMiner(
        margin=10.0, type_of_triplets="semihard", distance=pml_distances.LpDistance(power=2)
    )
    anchor, positive, negative = miner(x, y)
    apart = geometry.squared_distances(x, x)
    positives, negatives = losses.pair_masks(y)
    values = []
    for a, p in positives.nonzero().tolist():
        mined = negative[(anchor == a) & (positive == p)]
        n = mined[apart[a, mined].argmin()] if len(mined) else (apart[a] * negatives[a]).argmax()
        values.append((apart[a, p] - apart[a, n] + 0.2).clamp(min=0))
    assert len(anchor) > 20
    assert_close(losses.semihard_mean(apart, y, margin=0.2), torch.stack(values).mean(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("miner", [pml_miners.TripletMarginMiner(0.8), pml_miners.BatchHardMiner()])
@pytest.mark.parametrize(
    ("chosen", "kept"), [({}, "hinge"), ({"hinge": False}, "all"), ({"average": "active"}, "active")]
)
def test_triplet_loss_averages_over_what_a_miner_found(miner, chosen, kept):
    x, y = batch(5)
    found = miner(x, y)
    ours = build("triplet", margin=0.1, distance="euclidean", **chosen)
    unit = [reference.unit(row) for row in x.tolist()]
    slacks = [
        reference.distance(unit[a], unit[p]) - reference.distance(unit[a], unit[n]) + 0.1
        for a, p, n in torch.stack(found, 1).tolist()
    ]
    assert len(slacks) > 3
    assert isinstance(miner, pml_miners.BatchHardMiner) or min(slacks) < 0 < max(slacks)
    values = {
        "all": slacks,
        "hinge": [max(slack, 0.0) for slack in slacks],
        "active": [slack for slack in slacks if slack > 0],
    }
    expected = torch.tensor(reference.mean(values[kept]), dtype=torch.float64)
    assert_close(ours(x, y, found), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("average", ["valid", "active"])
def test_a_miner_that_found_nothing_leaves_a_loss_of_zero(average):
    x, y = batch(5)
    nothing = torch.zeros(0, dtype=torch.long)
    assert_close(build("triplet", average=average)(x, y, (nothing,) * 3), x.new_zeros(()), rtol=0, atol=0)


def test_a_miner_of_pairs_is_joined_at_the_anchors():
    x, y = batch(5)
    anchor, other = losses.pair_masks(y)[0].nonzero(as_tuple=True)
    enemy_of, enemy = losses.pair_masks(y)[1].nonzero(as_tuple=True)
    loss = build("triplet")
    assert_close(loss(x, y, (anchor, other, enemy_of, enemy)), loss(x, y), rtol=0, atol=1e-12)


def test_a_mean_over_all_triplets_has_no_margin_unless_told_and_a_semihard_one_the_papers():
    x, y = batch(1)
    apart = geometry.squared_distances(x, x) / 9
    assert_close(losses.semihard_mean(apart, y), losses.semihard_mean(apart, y, margin=0.2), rtol=0, atol=0)
    assert_close(losses.triplet_mean(apart, y), losses.triplet_mean(apart, y, margin=0.0, hinge=True), rtol=0, atol=0)


@pytest.mark.bad_input
@pytest.mark.parametrize("function", [losses.triplet_mean, losses.semihard_mean])
@pytest.mark.parametrize(
    ("shape", "labels", "margin", "message"),
    [
        ((3, 3), 2, 0.2, "labels must be as many as the rows of distances; got 2 labels for 3 rows"),
        ((3, 4), 3, 0.2, r"distances must be a tensor of shape \(B, B\); got shape \(3, 4\)"),
        ((3, 3), 3, float("nan"), "margin must be a finite number.*; got nan"),
    ],
)
def test_distances_and_labels_that_do_not_fit_are_named(function, shape, labels, margin, message):
    with pytest.raises(ValueError, match=f"^{function.__name__}: {message}"):
        function(torch.ones(shape), torch.arange(labels), margin=margin)


@pytest.mark.bad_input
def test_a_negative_margin_is_no_semihard_margin():
    with pytest.raises(ValueError, match="semihard_mean: margin must be a finite number >= 0; got -0.1"):
        losses.semihard_mean(torch.ones(3, 3), torch.arange(3), margin=-0.1)


def test_a_negative_exactly_at_the_margin_is_easy_as_facenet_has_it_and_semihard_for_the_other_librarys_miner():
    x, y = torch.tensor([[0.0], [1.0], [1.5]]), torch.tensor([0, 0, 1])  # from 0 at 1 and 1.5, from 1 at 1 and 0.5
    apart = geometry.distances(x, x)
    assert losses.triplet_kinds(apart, y, margin=0.5) == (0.5, 0.0, 0.5)
    assert losses.triplet_kinds(apart, y, margin=0.5 + 1e-6) == (0.5, 0.5, 0.0)
    assert losses.triplet_mean(apart, y, margin=0.5)[0] == 0.5  # all of it the hard one's
    as_it_is = pml_distances.LpDistance(normalize_embeddings=False)
    theirs = pml_miners.TripletMarginMiner(margin=0.5, type_of_triplets="semihard", distance=as_it_is)
    assert [indices.tolist() for indices in theirs(x, y)] == [[0], [1], [2]]


def test_a_negative_as_far_as_the_positive_is_passed_over_for_a_farther_one():
    apart = torch.tensor(
        [[0.0, 1.0, 1.0, 1.1], [1.0, 0.0, 1.5, 1.5], [1.0, 1.5, 0.0, 1.0], [1.1, 1.5, 1.0, 0.0]], dtype=torch.float64
    )
    labels = torch.tensor([0, 0, 1, 2])
    expected = reference.semihard_loss(apart, labels, margin=0.2)
    assert expected == pytest.approx(0.05)  # 1.0 - 1.1 + 0.2 of the first, and nothing of the second
    assert_close(losses.semihard_mean(apart, labels, margin=0.2), torch.tensor(expected, dtype=torch.float64))
