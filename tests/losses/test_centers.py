"""The centers of a class: the price that merges them, and how many are left."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.losses.centers import CenterReport
from dmlbook.seeding import generator
from tests import reference


def unit_centers(classes=5, per_class=4, size=6, seed=0):
    draws = torch.randn(classes, per_class, size, generator=generator(seed, "centers"), dtype=torch.float64)
    return F.normalize(draws, dim=-1)


@pytest.mark.parametrize("per_class", [1, 2, 5])
def test_regularizer_equals_its_loop(per_class):
    centers = unit_centers(per_class=per_class)
    expected = torch.tensor(reference.center_regularizer(centers, epsilon=1e-5), dtype=torch.float64)
    assert_close(losses.center_regularizer(centers), expected, rtol=0, atol=1e-12)
    assert (expected > 0.3) == (per_class > 1)


def test_regularizer_is_half_the_mean_distance_between_centers_of_a_class():
    centers = unit_centers()
    pairs = torch.triu_indices(4, 4, 1)
    apart = torch.stack([torch.cdist(c, c)[pairs[0], pairs[1]] for c in centers])
    assert_close(losses.center_regularizer(centers), apart.mean() / 2, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_of_the_regularizer_is_finite_where_centers_coincide(dtype):
    weight = torch.randn(3, 1, 5, generator=generator(3), dtype=dtype).repeat(1, 4, 1).requires_grad_()
    value = losses.center_regularizer(F.normalize(weight, dim=-1))
    value.backward()
    assert_close(value, torch.tensor(math.sqrt(1e-5) / 2, dtype=dtype), rtol=0.1, atol=0)
    assert torch.isfinite(weight.grad).all()


def test_distinct_centers_equal_their_loop():
    for seed in range(5):
        centers = unit_centers(classes=20, per_class=7, size=3, seed=seed)
        for threshold in (0.05, 0.4, 0.8, 2.0):
            report = losses.distinct_centers(centers, threshold=threshold)
            assert report.counts.tolist() == reference.distinct_centers(centers, threshold=threshold)
            assert (report.groups.amax(1) + 1 == report.counts).all()


def test_a_report_holds_the_threshold_the_counts_and_the_groups():
    centers = torch.eye(3)[torch.tensor([[0, 1, 0], [2, 2, 2]])]
    report = losses.distinct_centers(centers, threshold=0.5)
    expected = CenterReport(0.5, torch.tensor([2, 1]), torch.tensor([[0, 1, 0], [0, 0, 0]]))
    assert_close(report.counts, expected.counts)
    assert_close(report.groups, expected.groups)
    assert str(report) == str(expected)


def test_a_chain_of_close_centers_is_one():
    angles = torch.arange(10) * 0.09
    chain = torch.stack([angles.cos(), angles.sin()], -1)[None]
    assert losses.distinct_centers(chain, threshold=0.1).counts.tolist() == [1]
    assert losses.distinct_centers(chain, threshold=0.08).counts.tolist() == [10]
    ends_first = chain[:, [0, 9, *range(1, 9)]]  # the two centers of the lowest numbers are nine steps apart
    assert losses.distinct_centers(ends_first, threshold=0.1).counts.tolist() == [1]


def test_groups_say_which_centers_are_one():
    centers = torch.eye(3)[torch.tensor([[0, 1, 0, 2, 1], [2, 2, 2, 2, 2], [1, 2, 2, 1, 0]])]
    assert losses.distinct_centers(centers).groups.tolist() == [[0, 1, 0, 2, 1], [0, 0, 0, 0, 0], [0, 1, 1, 0, 2]]


def test_a_loss_reports_its_centers_at_the_threshold_asked_for():
    loss = losses.SoftTriple(num_classes=2, embedding_size=2, centers_per_class=2)
    with torch.no_grad():
        loss.weight.copy_(torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.5], [0.0, 1.0]]]))  # K outermost
    assert loss.report().counts.tolist() == [2, 2]
    assert loss.report(threshold=0.6).counts.tolist() == [1, 2]
    assert loss.report(threshold=0.6).threshold == 0.6


def test_the_report_reads_as_a_sentence():
    centers = torch.eye(3).repeat(2, 1, 1)
    centers[1, 2] = centers[1, 0]
    assert str(losses.distinct_centers(centers)) == (
        "distinct centers of 3, at distance 0.1: mean 2.50 over 2 classes (centers in classes: 2 in 1, 3 in 1)"
    )


def test_merged_centers_count_as_one_in_float32_too():
    weight = torch.randn(50, 1, 64, generator=generator(8)).repeat(1, 10, 1)
    centers = F.normalize(weight + 1e-4 * torch.randn(50, 10, 64, generator=generator(9)), dim=-1)
    assert (losses.distinct_centers(centers).counts == 1).all()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.center_regularizer(torch.zeros(3, 4)), r"centers must be a tensor of shape \(C, K, D\)"),
        (
            lambda: losses.center_regularizer(torch.zeros(3, 4, 5), epsilon=0),
            "epsilon must be a finite number >= 1e-06",
        ),
        (
            lambda: losses.distinct_centers(torch.zeros(3, 4, 5), threshold=3),
            "threshold must be .* > 0 and <= 2; got 3",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.bad_input
@pytest.mark.parametrize("name", ["softtriple", "softmax", "triplet_center", "centroid_bound"])
@pytest.mark.parametrize("size", ["num_classes", "embedding_size"])
def test_centers_beyond_memory_are_refused_before_they_are_drawn(name, size):
    sizes = {"num_classes": 3, "embedding_size": 4, size: 10**12}
    with pytest.raises(ValueError, match=rf"{size} must make a loss that fits into memory; got 1e\+12, which needs"):
        losses.make(name, **sizes)


@pytest.mark.bad_input
def test_embeddings_of_another_size_are_refused_by_the_parts_of_a_loss_too():
    wrong, message = torch.ones(2, 3), "embeddings must have embedding_size = 4 columns; got 3"
    softtriple = losses.make("softtriple", num_classes=3, embedding_size=4)
    centroids = losses.make("triplet_center", num_classes=3, embedding_size=4)
    calls = [
        lambda: softtriple.similarities(wrong),
        lambda: softtriple.class_similarities(wrong),
        lambda: centroids.recompute(wrong, torch.tensor([0, 1])),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()


def test_the_gradient_of_a_pair_reaches_its_bound_and_stays_within_it():
    for epsilon in (1e-6, 1e-5):
        row = torch.nn.functional.normalize(torch.ones(2048), dim=0) * (1 + 2.5e-7)
        centers = row.repeat(2, 1).requires_grad_()
        losses.center_distances(centers, epsilon=epsilon).sum().backward()
        longest = float(centers.grad.norm(dim=1).max())
        assert (2 * epsilon) ** -0.5 < longest <= (2 / epsilon) ** 0.5 * (1 + 1e-5)
