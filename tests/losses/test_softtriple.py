"""SoftTriple's own: limits, identities, the regularizer, and the count of distinct centers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.seeding import generator
from tests import reference


def cosines(*shape, seed=0):
    return torch.rand(*shape, generator=generator(seed, "cosines"), dtype=torch.float64) * 2 - 1


def unit_centers(classes=5, per_class=4, size=6, seed=0):
    draws = torch.randn(classes, per_class, size, generator=generator(seed, "centers"), dtype=torch.float64)
    return F.normalize(draws, dim=-1)


def test_softtriple_with_one_center_is_normalized_softmax():
    one = losses.SoftTriple(num_classes=5, embedding_size=6, centers_per_class=1, margin=0.0, generator=generator(1))
    softmax = losses.NormalizedSoftmax(num_classes=5, embedding_size=6, generator=generator(1))
    x, y = torch.randn(9, 6, generator=generator(2)), torch.arange(9) % 5
    assert_close(one(x, y), softmax(x, y), rtol=0, atol=1e-6)
    assert_close(one.centers, softmax.centers, rtol=0, atol=0)


def test_similarity_tends_to_the_closest_center_and_to_the_mean():
    s = cosines(7, 5, 4)
    assert_close(losses.softtriple_similarity(s, gamma=1e-6), s.amax(-1), rtol=0, atol=1e-9)
    assert_close(losses.softtriple_similarity(s, gamma=1e6), s.mean(-1), rtol=0, atol=1e-5)


def test_similarity_is_the_expectation_under_q():
    s, gamma = cosines(7, 5, 4), 0.1
    q = torch.softmax(s / gamma, -1)
    assert_close(losses.softtriple_similarity(s, gamma=gamma), (q * s).sum(-1), rtol=0, atol=1e-14)


def test_logsumexp_is_the_expectation_plus_gamma_times_the_entropy():
    s, gamma = cosines(7, 5, 4), 0.1
    q = torch.softmax(s / gamma, -1)
    entropy = -(q * q.log()).sum(-1)
    expected = losses.softtriple_similarity(s, gamma=gamma) + gamma * entropy
    assert_close(losses.logsumexp_similarity(s, gamma=gamma), expected, rtol=0, atol=1e-14)


def test_gradient_of_the_similarity_is_the_papers_and_often_negative():
    """dS'/ds_k = q_k (1 + (s_k - S') / gamma): most centers are pushed away by an example of their own class."""
    s, gamma = cosines(1000, 1, 10).requires_grad_(), 0.1
    similarity = losses.softtriple_similarity(s, gamma=gamma)
    (found,) = torch.autograd.grad(similarity.sum(), s)
    q = torch.softmax(s / gamma, -1)
    assert_close(found, q * (1 + (s - similarity[..., None]) / gamma), rtol=0, atol=1e-12)
    assert 0.75 < (found < 0).double().mean() < 0.9
    (monotone,) = torch.autograd.grad(losses.logsumexp_similarity(s, gamma=gamma).sum(), s)
    assert (monotone >= 0).all()


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6), st.floats(1e-3, 10))
def test_similarities_keep_their_order(values, gamma):
    s = torch.tensor(values, dtype=torch.float64)[None, None]
    mean, soft = s.mean(-1), losses.softtriple_similarity(s, gamma=gamma)
    top, smooth = losses.hardtriple_similarity(s), losses.logsumexp_similarity(s, gamma=gamma)
    slack = 1e-12
    assert mean <= soft + slack
    assert soft <= top + slack
    assert top <= smooth + slack
    assert smooth <= top + gamma * math.log(len(values)) + slack


def test_a_center_layout_of_any_strides_gives_the_same_similarity():
    s = cosines(7, 5, 4)
    strided = s.transpose(1, 2).contiguous().transpose(1, 2)
    assert not strided.is_contiguous()
    assert_close(losses.softtriple_similarity(strided), losses.softtriple_similarity(s), rtol=0, atol=1e-15)


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


def test_training_with_a_heavy_regularizer_merges_all_centers_and_stays_finite():
    """Where pytorch-metric-learning 2.9 turns to NaN: centers that have merged."""
    loss = losses.SoftTriple(num_classes=3, embedding_size=4, centers_per_class=4, tau=5.0, generator=generator(5))
    x, y = F.normalize(torch.randn(30, 4, generator=generator(6)), dim=-1), torch.arange(30) % 3
    optimizer = torch.optim.Adam(loss.parameters(), lr=2e-2)
    before = loss.report().counts
    for _ in range(600):
        optimizer.zero_grad()
        loss(x, y).backward()
        optimizer.step()
    assert torch.isfinite(loss.centers).all()
    assert before.tolist() == [4, 4, 4]
    assert loss.report().counts.tolist() == [1, 1, 1]


def test_distinct_centers_equal_their_loop():
    for seed in range(5):
        centers = unit_centers(classes=20, per_class=7, size=3, seed=seed)
        for threshold in (0.05, 0.4, 0.8, 2.0):
            report = losses.distinct_centers(centers, threshold=threshold)
            assert report.counts.tolist() == reference.distinct_centers(centers, threshold=threshold)
            assert (report.groups.amax(1) + 1 == report.counts).all()


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
        (
            lambda: losses.softtriple_similarity(torch.zeros(2, 3)),
            r"similarities must be a tensor of shape \(B, C, K\)",
        ),
        (lambda: losses.hardtriple_similarity(torch.zeros(2)), r"hardtriple_similarity: .*got shape \(2,\)"),
        (lambda: losses.logsumexp_similarity(torch.zeros(2, 3, 4), gamma=-1), "gamma must be a finite number > 0"),
        (lambda: losses.center_regularizer(torch.zeros(3, 4)), r"centers must be a tensor of shape \(C, K, D\)"),
        (
            lambda: losses.center_regularizer(torch.zeros(3, 4, 5), epsilon=0),
            "epsilon must be a finite number >= 1e-06",
        ),
        (
            lambda: losses.distinct_centers(torch.zeros(3, 4, 5), threshold=3),
            "threshold must be .* > 0 and <= 2; got 3",
        ),
        (lambda: losses.margin_cross_entropy(torch.zeros(3), torch.zeros(3).long()), r"shape \(B, C\)"),
        (
            lambda: losses.margin_cross_entropy(torch.zeros(3, 2), torch.zeros(3, 2).long()),
            r"labels must be a tensor of shape \(B,\)",
        ),
        (
            lambda: losses.margin_cross_entropy(torch.zeros(3, 2), torch.zeros(3).long(), scale=0),
            "margin_cross_entropy: scale must be a finite number > 0; got 0",
        ),
        (
            lambda: losses.softtriple_similarity(torch.zeros(2, 3, 4), gamma=0.0),
            "softtriple_similarity: gamma must be a finite number > 0; got 0.0",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
