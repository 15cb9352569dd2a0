"""Lifted structure and N-pairs: what their papers say, and where another library agrees."""

import math

import pytest
import torch
from pytorch_metric_learning import distances as pml_distances
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import regularizers as pml_regularizers
from torch.testing import assert_close

from dmlbook import geometry, losses
from tests import reference
from tests.losses.loss_toys import SIZE, batch, build, pml_value_and_gradients

RAW = {"p": 2, "power": 1, "normalize_embeddings": False}


@pytest.mark.parametrize("unit", [False, True])
def test_lifted_structure_equals_pytorch_metric_learning_raw_and_on_the_sphere(unit):
    ours = build("lifted", margin=0.7, normalize=unit)
    distance = pml_distances.LpDistance(**{**RAW, "normalize_embeddings": unit})
    theirs = pml_losses.LiftedStructureLoss(neg_margin=0.7, pos_margin=0, distance=distance)
    mine, other = pml_value_and_gradients(theirs, ours, *batch(1), lambda t, o: None)
    assert_close(mine[0], other[0], rtol=0, atol=1e-10)
    assert_close(mine[1], other[1], rtol=0, atol=1e-10)


def test_npairs_equals_pytorch_metric_learning_on_a_batch_of_pairs():
    ours = build("npairs", length_weight=0.01)
    theirs = pml_losses.NPairsLoss(
        distance=pml_distances.DotProductSimilarity(normalize_embeddings=False),
        embedding_regularizer=pml_regularizers.LpRegularizer(p=2, power=2),
        embedding_reg_weight=0.01,
    )
    x, _ = batch(2, size=8)
    mine, other = pml_value_and_gradients(theirs, ours, x, torch.arange(4).repeat_interleave(2), lambda t, o: None)
    assert_close(mine[0], other[0], rtol=0, atol=1e-10)
    assert_close(mine[1], other[1], rtol=0, atol=1e-10)


def test_the_sum_of_exponentials_never_falls_short_of_the_largest_so_lifted_structure_bounds_its_hard_form():
    """The non-smooth original has the larger of the two hardest negatives in the place of the logarithm."""
    x, y = batch(3)
    apart = geometry.distances(x, x)
    d, labels, hard = reference.rows(apart), y.tolist(), []
    for i in range(len(labels)):
        for j in range(i):
            if labels[i] == labels[j]:
                others = [1.0 - d[end][k] for end in (i, j) for k in range(len(labels)) if labels[k] != labels[i]]
                hard.append(max(d[i][j] + max(others), 0) ** 2)
    assert losses.lifted_mean(apart, y) > reference.mean(hard) / 2 > 0.1


def test_on_the_sphere_lifted_structures_hinge_cannot_close_even_at_a_perfect_simplex():
    points = geometry.simplex(4, SIZE).double().repeat_interleave(8, 0).requires_grad_()
    labels = torch.arange(4).repeat_interleave(8)
    value = build("lifted")(points, labels)
    negatives = 2 * 24
    assert float(value.detach()) == pytest.approx((1 + math.log(negatives) - math.sqrt(8 / 3)) ** 2 / 2)
    far = build("lifted")(10 * points, labels)  # unit length is what keeps it open
    assert float(far.detach()) == 0.0
    moved = points.detach().clone()
    moved[0] += 0.01
    moved.requires_grad_()
    (gradient,) = torch.autograd.grad(build("lifted")(moved, labels), moved)
    assert gradient.norm(dim=1).max() * len(labels) > 3


def test_one_class_whatever_its_number_loses_nothing_and_moves_nothing():
    x = batch(3)[0].requires_grad_()
    value = build("lifted")(x, torch.full((len(x),), 3))
    (gradient,) = torch.autograd.grad(value, x)
    assert float(value.detach()) == 0.0
    assert not gradient.any()


def test_npairs_on_the_sphere_without_a_scale_stays_near_guessing():
    """60 pairs, positives together, classes as far apart as 60 can be on an axis each."""
    pairs = torch.eye(60, dtype=torch.float64).repeat_interleave(2, 0)
    labels = torch.arange(60).repeat_interleave(2)
    guessing = math.log(60)
    opposite = math.log(1 + 59 * math.exp(-2))  # and no two of more than two vectors can do better than -1
    value = float(build("npairs", normalize=True, length_weight=0.0)(pairs, labels))
    assert opposite < value < guessing
    assert value == pytest.approx(math.log(1 + 59 * math.exp(-1)))
    assert float(build("npairs", normalize=True, length_weight=0.0, scale=20.0)(pairs, labels)) < 1e-6


def test_npairs_takes_the_first_two_of_each_class_and_passes_over_the_rest():
    x, _ = batch(4, size=9)
    labels = torch.tensor([5, 2, 5, 2, 2, 7, 5, 3, 3])
    chosen = torch.tensor([1, 3, 7, 8, 0, 2])  # 2, 2, 3, 3, 5, 5
    assert_close(build("npairs")(x, labels), build("npairs")(x[chosen], labels[chosen]), rtol=0, atol=1e-12)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(build("npairs")(x, labels), x)
    assert (gradient.norm(dim=1) > 0).tolist() == [True, True, True, True, False, False, False, True, True]


def test_length_weight_alone_pulls_towards_the_origin():
    x, y = batch(5, size=8)
    y = torch.arange(4).repeat(2)
    with_length, without = (build("npairs", length_weight=weight)(x, y) for weight in (0.5, 0.0))
    assert_close(with_length - without, 0.5 * x.square().sum(1).mean(), rtol=0, atol=1e-12)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.lifted_mean(torch.zeros(3, 2), torch.zeros(3).long()), r"lifted_mean: distances must"),
        (
            lambda: losses.lifted_mean(torch.zeros(2, 2), torch.zeros(2).long(), margin=math.inf),
            "lifted_mean: margin must be a finite number; got inf",
        ),
        (lambda: losses.npairs_mean(torch.zeros(3, 2)), "npairs_mean: similarities must"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
