"""Chapter 03: one center fails on opposite pairs; how SoftTriple weighs, pulls and pushes its centers; the widget."""

import math

import matplotlib

matplotlib.use("agg")
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.chapters.ch03 import theory
from dmlbook.seeding import generator
from tests import reference
from tests.chapters.ch03 import reference as reference_03

CROSS = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 0, 1, 1])
COSINES = st.lists(st.floats(-1, 1), min_size=1, max_size=6)
GAMMAS = st.floats(0.02, 10)
tried = settings(max_examples=25, deadline=None, derandomize=True)


def as_cosines(values):
    return torch.tensor(values, dtype=torch.float64)[None, None]


def cosines(*shape, seed=0):
    return torch.rand(*shape, generator=generator(seed, "cosines"), dtype=torch.float64) * 2 - 1


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=generator(seed, "unit"), dtype=torch.float64), dim=-1)


# One center a class


@tried
@given(
    st.integers(2, 6), st.integers(1, 7), st.floats(0.1, 50), st.floats(-0.2, 0.5), st.floats(0.01, 3), st.integers()
)
def test_one_center_never_comes_below_the_floor_of_opposite_pairs(classes, size, scale, margin, length, seed):
    w = length * unit(classes, size, seed=seed)
    x = unit(1, size, seed=seed + 1) * torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    value = losses.margin_cross_entropy(x @ w.T, torch.zeros(2, dtype=torch.long), scale=scale, margin=margin)
    assert value >= theory.opposite_pairs_floor(classes, scale=scale, margin=margin) - 1e-9


@pytest.mark.parametrize(
    ("classes", "scale", "margin"), [(2, 20.0, 0.0), (2, 20.0, 0.01), (5, 3.0, 0.4), (9, 50.0, 30.0)]
)
def test_the_floor_is_reached_where_all_centers_coincide(classes, scale, margin):
    x = unit(4, 3)
    similar = torch.cat([x, -x]) @ unit(1, 3, seed=7).expand(classes, 3).T
    value = losses.margin_cross_entropy(similar, torch.arange(8) % classes, scale=scale, margin=margin)
    floor = theory.opposite_pairs_floor(classes, scale=scale, margin=margin)
    assert_close(value.item(), floor, rtol=1e-9, atol=1e-9)
    if margin < 1:
        assert_close(floor, math.log(1 + (classes - 1) * math.exp(scale * margin)), rtol=1e-12, atol=0)


def test_of_two_opposite_images_at_most_one_is_right():
    for seed in range(20):
        loss = losses.NormalizedSoftmax(num_classes=4, embedding_size=3, generator=generator(seed)).double()
        x = unit(20, 3, seed=seed)
        chosen = [loss.similarities(images)[:, :, 0].argmax(1) for images in (x, -x)]
        assert (chosen[0] != chosen[1]).all()


def test_gradient_descent_stops_at_the_floor_on_the_cross():
    loss = losses.NormalizedSoftmax(num_classes=2, embedding_size=2, generator=generator(4)).double()
    adam = torch.optim.Adam(loss.parameters(), lr=0.05)
    for _ in range(120):
        adam.zero_grad()
        value = loss(CROSS, LABELS)
        value.backward()
        adam.step()
    assert_close(value.item(), math.log(2), rtol=0, atol=2e-3)
    assert value >= math.log(2)


@pytest.mark.parametrize("gamma", [0.05, 0.5, 3.0, 100.0])
@pytest.mark.parametrize("margin", [0.0, 0.01, 0.3])
def test_two_opposite_centers_a_class_cost_what_the_formula_says_on_the_cross(gamma, margin):
    cosine = torch.einsum("bd,ckd->bck", CROSS, torch.stack([CROSS[:2], CROSS[2:]]))
    similar = losses.softtriple_similarity(cosine, gamma=gamma)
    value = losses.margin_cross_entropy(similar, LABELS, scale=20.0, margin=margin)
    expected = math.log1p(math.exp(-20 * (math.tanh(1 / gamma) - margin)))
    assert_close(value.item(), expected, rtol=1e-9, atol=1e-12)


# The weights


@tried
@given(COSINES, GAMMAS)
def test_weights_and_slopes_equal_their_loops(values, gamma):
    s = as_cosines(values)
    q = theory.center_weights(s, gamma=gamma)[0, 0]
    assert_close(q.tolist(), reference_03.weights(values, gamma), rtol=1e-9, atol=1e-12)
    slopes = theory.similarity_gradient(s, gamma=gamma)[0, 0].tolist()
    assert_close(slopes, reference_03.slopes(values, gamma), rtol=1e-4, atol=1e-5)


@tried
@given(COSINES, GAMMAS, st.integers())
def test_the_objective_falls_short_of_its_maximum_by_the_divergence(values, gamma, seed):
    s = as_cosines(values)
    q = torch.rand(s.shape, generator=generator(seed, "q"), dtype=torch.float64)
    q = q / q.sum()
    found = theory.center_objective(q, s, gamma=gamma).item()
    assert_close(found, reference_03.objective(q.flatten().tolist(), values, gamma), rtol=1e-9, atol=1e-12)
    top = losses.logsumexp_similarity(s, gamma=gamma).item()
    short = gamma * reference_03.divergence(q.flatten().tolist(), reference_03.weights(values, gamma))
    assert_close(top - found, short, rtol=1e-6, atol=1e-9)
    assert found <= top + 1e-12
    best = theory.center_weights(s, gamma=gamma)
    assert_close(theory.center_objective(best, s, gamma=gamma).item(), top, rtol=1e-9, atol=1e-12)


def test_the_objective_takes_weights_of_zero():
    corner = torch.tensor([[[0.0, 1.0, 0.0]]], dtype=torch.float64)
    s = as_cosines([0.9, 0.4, -0.2])
    assert theory.center_objective(corner, s, gamma=0.3).item() == pytest.approx(0.4)


def test_the_similarity_climbs_by_the_variance_as_one_over_gamma_grows():
    s, beta, step = cosines(20, 3, 5), 4.0, 1e-5
    ends = [losses.softtriple_similarity(s, gamma=1 / (beta + sign * step)) for sign in (1, -1)]
    q = theory.center_weights(s, gamma=1 / beta)
    mean = (q * s).sum(-1, keepdim=True)
    assert_close((ends[0] - ends[1]) / (2 * step), (q * (s - mean) ** 2).sum(-1), rtol=0, atol=1e-8)
    values = torch.stack([losses.softtriple_similarity(s, gamma=g) for g in (9.0, 3.0, 1.0, 0.3, 0.1, 0.03)])
    assert (values.diff(dim=0) > 0).all()


@tried
@given(COSINES, st.floats(0.1, 200))
def test_a_large_gamma_leaves_the_mean_and_the_variance_over_gamma(values, gamma):
    s = as_cosines(values)
    added = losses.softtriple_similarity(s, gamma=gamma).item() - s.mean().item()
    assert abs(added - s.var(correction=0).item() / gamma) <= 1 / gamma**2 + 1e-12


@pytest.mark.parametrize("gamma", [1.0, 20.0, 100.0, 1000.0])
def test_a_gamma_far_above_two_still_tells_the_centers_of_the_cross_apart(gamma):
    cosine = torch.einsum("bd,ckd->bck", CROSS, torch.stack([CROSS[:2], CROSS[2:]]))
    similar = losses.softtriple_similarity(cosine, gamma=gamma)
    assert torch.equal(similar.argmax(1), LABELS)
    win = similar[torch.arange(4), LABELS] - similar[torch.arange(4), 1 - LABELS]
    assert_close(win * gamma, torch.full_like(win, gamma * math.tanh(1 / gamma)), rtol=1e-9, atol=0)
    value = losses.margin_cross_entropy(similar, LABELS, scale=20 * gamma, margin=0.0)
    assert value < 1e-6  # the scale that gamma divides the win by
    assert losses.margin_cross_entropy(similar, LABELS, margin=0.01) < theory.opposite_pairs_floor(2, margin=0.01)


# Pull and push


@tried
@given(COSINES, GAMMAS)
def test_slopes_sum_to_one_and_are_negative_exactly_below_the_threshold(values, gamma):
    s = as_cosines(values)
    slopes = theory.similarity_gradient(s, gamma=gamma)
    assert_close(slopes.sum().item(), 1.0, rtol=1e-9, atol=1e-9)
    distance = s - (losses.softtriple_similarity(s, gamma=gamma)[..., None] - gamma)
    clear = distance.abs() > 1e-9
    assert ((slopes < 0) == (distance < 0))[clear].all()


def test_slopes_equal_autograd_for_both_similarities():
    s = cosines(30, 4, 6).requires_grad_()
    (expected,) = torch.autograd.grad(losses.softtriple_similarity(s, gamma=0.2).sum(), s)
    assert_close(theory.similarity_gradient(s.detach(), gamma=0.2), expected, rtol=0, atol=1e-12)
    (value,) = torch.autograd.grad(losses.logsumexp_similarity(s, gamma=0.2).sum(), s)
    assert_close(theory.center_weights(s.detach(), gamma=0.2), value, rtol=0, atol=1e-12)


def test_the_loss_hands_the_slopes_on_times_how_wrong_it_is():
    s, y, scale, margin = cosines(8, 3, 4).requires_grad_(), torch.arange(8) % 3, 7.0, 0.1
    similar = losses.softtriple_similarity(s, gamma=0.3)
    value = losses.margin_cross_entropy(similar, y, scale=scale, margin=margin)
    (found,) = torch.autograd.grad(value, s)
    own = F.one_hot(y, 3).double()
    p = torch.softmax(scale * (similar.detach() - margin * own), 1)
    expected = scale / 8 * (p - own)[..., None] * theory.similarity_gradient(s.detach(), gamma=0.3)
    assert_close(found, expected, rtol=0, atol=1e-12)


def test_about_five_in_six_centers_are_pushed_where_cosines_are_spread_evenly():
    share = (theory.similarity_gradient(cosines(5_000, 1, 10), gamma=0.1) < 0).double().mean()
    assert 0.81 < share < 0.85
    narrow = (theory.similarity_gradient(0.05 * cosines(5_000, 1, 10), gamma=0.1) < 0).double().mean()
    assert narrow == 0  # cosines within gamma of each other: nothing is pushed


def test_a_second_center_is_pushed_from_a_gap_of_1_28_gamma_on():
    for gamma in (0.05, 0.1, 0.5):
        for u, pushed in ((1.27, False), (1.29, True)):
            slopes = theory.similarity_gradient(as_cosines([0.4, 0.4 - u * gamma]), gamma=gamma)
            assert (slopes[0, 0, 1] < 0).item() is pushed


# HardTriple, and the log-sum-exp value


def test_hardtriple_gives_no_gradient_to_a_center_that_is_never_the_closest():
    hard = losses.HardTriple(num_classes=2, embedding_size=2, centers_per_class=6, generator=generator(1)).double()
    x = CROSS + 0.05 * torch.randn(4, 2, generator=generator(2), dtype=torch.float64)
    hard(x, LABELS).backward()
    closest = F.one_hot(hard.similarities(F.normalize(x, dim=-1)).argmax(-1), 6).sum(0)  # (C, K)
    dead = (hard.weight.grad.norm(dim=-1) == 0).T
    assert torch.equal(dead, closest == 0)
    assert dead.any()
    soft = losses.SoftTriple(num_classes=2, embedding_size=2, centers_per_class=6, tau=0.0, generator=generator(1))
    soft.double()(x, LABELS).backward()
    assert (soft.weight.grad.norm(dim=-1) > 0).all()


def test_the_value_is_softmax_over_all_centers_where_scale_is_one_over_gamma():
    s, y, gamma = cosines(9, 4, 5), torch.arange(9) % 4, 0.2
    value = losses.margin_cross_entropy(losses.logsumexp_similarity(s, gamma=gamma), y, scale=1 / gamma)
    among_all = torch.softmax((s / gamma).flatten(1), 1).view(9, 4, 5).sum(-1)
    assert_close(value, -among_all[torch.arange(9), y].log().mean(), rtol=1e-12, atol=0)


def test_copies_of_a_center_do_not_change_the_expected_similarity_but_raise_the_value():
    s, gamma = cosines(9, 4, 3), 0.1
    copies = s.repeat(1, 1, 4)
    kept = losses.softtriple_similarity(copies, gamma=gamma)
    assert_close(kept, losses.softtriple_similarity(s, gamma=gamma), rtol=0, atol=1e-12)
    raised = losses.logsumexp_similarity(copies, gamma=gamma) - losses.logsumexp_similarity(s, gamma=gamma)
    assert_close(raised, torch.full_like(raised, gamma * math.log(4)), rtol=0, atol=1e-12)


def test_the_loss_equals_its_loop_at_the_toy_of_the_chapter():
    toy = torch.tensor([[[0.8, 0.6], [0.6, 0.8]], [[0.6, -0.8], [0.28, -0.96]]], dtype=torch.float64)
    x, y = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.tensor([0])
    loss = losses.SoftTriple(num_classes=2, embedding_size=2, centers_per_class=2, tau=0.0).double()
    with torch.no_grad():
        loss.weight.copy_(toy.transpose(0, 1))
    options = {"scale": 20.0, "gamma": 0.1, "margin": 0.01, "tau": 0.0, "epsilon": 1e-5}
    expected = reference.several_centers_loss(x, y, toy, kind="expected", **options)
    assert_close(loss(x, y).item(), expected, rtol=1e-9, atol=0)
    assert 0.02 < expected < 0.03


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.center_weights(torch.zeros(2, 3)), r"center_weights: .*got shape \(2, 3\)"),
        (lambda: theory.center_weights(torch.zeros(1, 1, 2), gamma=0), "gamma must be a finite number > 0"),
        (lambda: theory.similarity_gradient(torch.zeros(1, 1, 2), gamma=-1.0), "gamma must be a finite number > 0"),
        (
            lambda: theory.center_objective(torch.zeros(1, 1, 3), torch.zeros(1, 1, 2)),
            r"similarities must be a tensor of shape \(B, C, K\); got .* while K is 3 in weights",
        ),
        (lambda: theory.opposite_pairs_floor(1), "num_classes must be an integer >= 2; got 1"),
        (lambda: theory.opposite_pairs_floor(2, scale=0), "scale must be a finite number > 0"),
        (lambda: theory.opposite_pairs_floor(2, margin=math.nan), "margin must be a finite number"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
