"""SoftTriple's own: limits, identities, and the other library's."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import regularizers as pml_regularizers
from torch.nn import functional as F
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.seeding import generator
from tests import reference
from tests.losses.loss_toys import CLASSES, SIZE, batch, build, pml_value_and_gradients

EPSILON = 1e-5  # the official code's, under the regularizer's root


def cosines(*shape, seed=0):
    return torch.rand(*shape, generator=generator(seed, "cosines"), dtype=torch.float64) * 2 - 1


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


@pytest.mark.parametrize(
    ("name", "chosen", "kind"),
    [
        ("hardtriple", {}, "hard"),
        ("softtriple", {"gamma": 0.3}, "expected"),
        ("softtriple", {"gamma": 0.3, "similarity": "logsumexp"}, "logsumexp"),
    ],
)
def test_the_similarities_of_a_loss_to_classes_are_those_of_the_loop(name, chosen, kind):
    loss = build(name, centers_per_class=3, **chosen)
    x, _ = batch(6)
    expected = [
        [
            reference.similarity_to_class([reference.dot(reference.unit(row), w) for w in of_class], kind, 0.3)
            for of_class in reference.rows(loss.centers)
        ]
        for row in reference.rows(x)
    ]
    assert_close(loss.class_similarities(x), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


def theirs_like(ours, **chosen):
    """pytorch-metric-learning's SoftTriple of the same sizes and options."""
    per_class, classes, size = ours.weight.shape
    options = {"centers_per_class": per_class, "la": ours.scale, "gamma": ours.gamma, "margin": ours.margin}
    return pml_losses.SoftTripleLoss(classes, size, **options, **chosen).double()


def in_their_layout(weight):
    """Our centers (K, C, D) as theirs (D, C K), where those of a class stand side by side."""
    return weight.transpose(0, 1).flatten(0, 1).T


def copy_centers(theirs, ours):
    theirs.fc.copy_(in_their_layout(ours.weight))


@pytest.mark.parametrize("centers", [1, 3])
def test_softtriple_equals_pytorch_metric_learning(centers):
    ours = build("softtriple", centers_per_class=centers, tau=0.0)
    mine, other = pml_value_and_gradients(theirs_like(ours), ours, *batch(2), copy_centers)
    assert_close(mine[0], other[0], rtol=0, atol=1e-10)
    assert_close(mine[1], other[1], rtol=0, atol=1e-10)
    assert_close(in_their_layout(mine[2]), other[2], rtol=0, atol=1e-10)


@pytest.mark.parametrize("tau", [0.2, 3.0])
@pytest.mark.parametrize(("classes", "per_class", "size"), [(2, 2, 8), (4, 3, 6), (7, 5, 3), (3, 10, 16)])
def test_softtriple_with_its_regularizer_equals_pytorch_metric_learnings_but_for_epsilon(classes, per_class, size, tau):
    """Under the root of a pair at distance d theirs adds 2e-308, which is lost beside 2, and ours e = 1e-5.

    With f = sqrt(d^2 + e) the roots differ by f - d = e / (f + d), between e / (2 f) and e / (2 d), and the objective
    takes tau / 2 times their mean. Their slopes in the pair's cosine, -1 / f and -1 / d, differ by at most
    e / (2 d^3); the cosine's gradient in a center of length v is at most d / v long; and a center is in K - 1 of the
    pairs, each of which weighs tau / (C K (K - 1)).
    """
    ours = losses.SoftTriple(
        num_classes=classes, embedding_size=size, centers_per_class=per_class, tau=tau, generator=generator(4)
    ).double()
    regularizer = pml_regularizers.SparseCentersRegularizer(classes, per_class)
    theirs = theirs_like(ours, weight_regularizer=regularizer, weight_reg_weight=tau)
    x = torch.randn(12, size, generator=generator(5), dtype=torch.float64)
    mine, other = pml_value_and_gradients(theirs, ours, x, torch.arange(12) % classes, copy_centers)

    rounding = 1e-12
    pairs = torch.triu_indices(per_class, per_class, 1).unbind()
    apart = torch.stack([torch.cdist(c, c)[pairs] for c in ours.centers.detach()])
    nearest, farthest = apart.min(), (apart.max().square() + EPSILON).sqrt()
    assert tau * EPSILON / (4 * farthest) - rounding <= mine[0] - other[0] <= tau * EPSILON / (4 * nearest) + rounding

    assert_close(mine[1], other[1], rtol=0, atol=rounding)  # the regularizer says nothing about the embeddings
    shortest = ours.weight.detach().norm(dim=-1).min()
    limit = tau * EPSILON / (2 * classes * per_class * nearest.square() * shortest)
    assert (in_their_layout(mine[2]) - other[2]).norm(dim=0).max() <= limit + rounding
    assert limit < 0.05 * other[2].norm(dim=0).max()  # the limit is no blank check


def test_where_centers_coincide_epsilon_keeps_our_gradient_finite_and_theirs_is_not():
    ours = build("softtriple", centers_per_class=2, tau=0.2)
    with torch.no_grad():
        ours.weight.copy_(torch.eye(SIZE)[:CLASSES])  # both centers of class c are the axis c
    theirs = theirs_like(
        ours, weight_regularizer=pml_regularizers.SparseCentersRegularizer(CLASSES, 2), weight_reg_weight=0.2
    )
    mine, other = pml_value_and_gradients(theirs, ours, *batch(2), copy_centers)
    assert_close(mine[0] - other[0], torch.tensor(0.2 * math.sqrt(EPSILON) / 2).double(), rtol=0, atol=1e-10)
    assert torch.isfinite(mine[2]).all()
    assert not torch.isfinite(other[2]).any()


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
        (
            lambda: losses.softtriple_similarity(torch.zeros(2, 3, 4), gamma=0.0),
            "softtriple_similarity: gamma must be a finite number > 0; got 0.0",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
