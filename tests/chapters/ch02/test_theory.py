"""Chapter 02: every statement about SoftMax as a smoothed triplet loss, on random and on adversarial inputs."""

import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch.nn import functional as F

from dmlbook import geometry, losses
from dmlbook.chapters.ch02 import theory
from dmlbook.seeding import SEED, generator
from tests.chapters.ch02 import reference
from tests.reference import rows

SCALES = (0.1, 1.0, 5.0, 20.0, 100.0)
CLOSE = {"rtol": 1e-9, "atol": 1e-10}


def problem(batch=64, classes=7, *, seed=0, size=5):
    """Cosines of random unit vectors and random centers (B, C), and labels, in float64."""
    random = generator(SEED, "chapter 02", seed, classes)
    x = geometry.normalize(torch.randn(batch, size, generator=random, dtype=torch.float64))
    w = geometry.normalize(torch.randn(classes, size, generator=random, dtype=torch.float64))
    return x @ w.T, torch.randint(classes, (batch,), generator=random)


def hard_cases():
    """Similarities with ties, opposite centers, and an image that no center comes near."""
    s = torch.tensor(
        [
            [0.5, 0.5, 0.5, 0.5],
            [1.0, -1.0, -1.0, -1.0],
            [-1.0, 1.0, 1.0, 0.0],
            [0.0, 0.0, 0.9, -0.9],
            [0.3, 0.2, 0.3, 0.3],
        ],
        dtype=torch.float64,
    )
    return s, torch.tensor([2, 0, 0, 1, 3])


def each_loss(s, y, scale):
    return F.cross_entropy(scale * s, y, reduction="none")


PROBLEMS = [problem(seed=0), problem(seed=1, classes=2), problem(seed=2, classes=40), hard_cases()]
similarities_of_one = hnp.arrays(float, st.integers(2, 8), elements=st.floats(-1, 1))
scales_of_any_size = st.floats(0.01, 1000)
by_hypothesis = settings(derandomize=True, max_examples=40, deadline=None)


# The loss in terms of violations


@pytest.mark.parametrize(("s", "y"), PROBLEMS)
@pytest.mark.parametrize("scale", SCALES)
def test_the_functions_are_their_loops(s, y, scale):
    smooth, p = theory.smoothed_hardest(s, y, scale=scale), theory.smoothing_weights(s, scale=scale)
    slopes = theory.softmax_gradient(s, y, scale=scale)
    for i, (row, own) in enumerate(zip(rows(s), y.tolist(), strict=True)):
        v = reference.violations(row, own)
        expected = {
            "violations": (theory.violations(s, y)[i], v),
            "hardest": (theory.hardest_violation(s, y)[i], max(v)),
            "loss": (scale * smooth[i], reference.softmax_loss(row, own, scale)),
            "weights": (p[i], reference.weights(row, scale)),
            "gradient": (slopes[i], reference.gradient(row, own, scale)),
            "objective": (
                theory.smoothed_objective(p[i : i + 1], s[i : i + 1], y[i : i + 1], scale=scale)[0],
                reference.objective(reference.weights(row, scale), row, own, scale),
            ),
        }
        for name, (found, right) in expected.items():
            torch.testing.assert_close(found, torch.tensor(right, dtype=torch.float64), msg=name, **CLOSE)


@pytest.mark.parametrize(("s", "y"), PROBLEMS)
@pytest.mark.parametrize("scale", SCALES)
def test_softmax_depends_on_violations_alone(s, y, scale):
    v = theory.violations(s, y)
    assert (v.gather(1, y[:, None]) == 0).all()
    torch.testing.assert_close(torch.exp(scale * v).sum(1).log(), each_loss(s, y, scale), **CLOSE)
    mean = losses.margin_cross_entropy(s, y, scale=scale)
    torch.testing.assert_close(scale * theory.smoothed_hardest(s, y, scale=scale).mean(), mean, **CLOSE)


def test_the_module_computes_the_formula_on_directions():
    loss = losses.make("softmax", num_classes=6, embedding_size=4, generator=generator(SEED, "centers"))
    x, y = 3 * torch.randn(20, 4, generator=generator(SEED, "x")), torch.arange(20) % 6
    s = geometry.cosines(x, loss.centers[:, 0].detach())
    expected = [reference.softmax_loss(row, own, 20.0) for row, own in zip(rows(s), y.tolist(), strict=True)]
    assert loss(x, y).item() == pytest.approx(sum(expected) / 20, rel=1e-5)


def test_the_hardest_violation_is_a_hinge_over_the_other_classes():
    s, y = PROBLEMS[2]
    others = theory.violations(s, y).masked_fill(F.one_hot(y, 40).bool(), -math.inf).amax(1)
    torch.testing.assert_close(theory.hardest_violation(s, y), others.clamp(min=0))


# The loss is a maximum


@given(similarities_of_one, scales_of_any_size, st.data())
@by_hypothesis
def test_any_weights_cost_their_divergence_from_softmax(numbers, scale, data):
    row, own = numbers.tolist(), data.draw(st.integers(0, len(numbers) - 1))
    drawn = data.draw(hnp.arrays(float, len(row), elements=st.floats(0, 1)).filter(lambda a: a.sum() > 1e-3))
    p = torch.from_numpy(drawn / drawn.sum())
    s, y = torch.from_numpy(numbers)[None], torch.tensor([own])
    value = theory.smoothed_objective(p[None], s, y, scale=scale)[0]
    loss = reference.softmax_loss(row, own, scale)
    log_q = [scale * (other - row[own]) - loss for other in row]  # not the logarithm of q, which underflows
    price = math.fsum(a * (math.log(a) - b) for a, b in zip(p.tolist(), log_q, strict=True) if a > 0)
    assert value.item() == pytest.approx(loss - price, rel=1e-8, abs=1e-8)
    assert price >= -1e-9


@pytest.mark.parametrize(("s", "y"), PROBLEMS)
@pytest.mark.parametrize("scale", SCALES)
def test_softmax_reaches_the_maximum_and_nothing_exceeds_it(s, y, scale):
    loss = each_loss(s, y, scale)
    q = theory.smoothing_weights(s, scale=scale)
    torch.testing.assert_close(theory.smoothed_objective(q, s, y, scale=scale), loss, rtol=1e-8, atol=1e-8)
    for concentration in (0.05, 0.5, 5.0):
        noise = np.random.default_rng(0).dirichlet([concentration] * s.shape[1], size=len(s))
        value = theory.smoothed_objective(torch.from_numpy(noise), s, y, scale=scale)
        assert (value <= loss + 1e-9).all()
        assert (value < loss - 1e-6).any()  # the bound is not trivial
    corners = F.one_hot(torch.full_like(y, 1), s.shape[1]).double()  # 0 log 0 is 0
    assert (theory.smoothed_objective(corners, s, y, scale=scale) <= loss + 1e-9).all()


def test_numerical_maximizers_end_at_softmax():
    s, y = problem(batch=4, classes=5, seed=7)
    for row, own in zip(s, y.tolist(), strict=True):
        exact, q = reference.softmax_loss(row.tolist(), own, 5.0), theory.smoothing_weights(row[None], scale=5.0)[0]
        v = theory.violations(row[None], torch.tensor([own]))[0]
        found = minimize(
            lambda p, row=row, own=own: -reference.objective(p.tolist(), row.tolist(), own, 5.0),
            [0.2] * 5,
            method="SLSQP",
            tol=1e-12,
            bounds=[(0, 1)] * 5,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        )
        assert -found.fun == pytest.approx(exact, abs=1e-7)
        assert np.abs(found.x - q.numpy()).max() < 1e-3
        p = torch.full_like(v, 0.2)
        for _ in range(60):  # mirror ascent: log p comes nearer to log q by 0.7 each step
            p = p * torch.exp(0.3 * (5.0 * v - p.log() - 1))
            p = p / p.sum()
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-9)


# Its gradient


@pytest.mark.parametrize(("s", "y"), PROBLEMS)
@pytest.mark.parametrize("scale", SCALES)
def test_the_gradient_is_scale_times_weights_minus_one_hot(s, y, scale):
    moving = s.clone().requires_grad_()
    (slope,) = torch.autograd.grad(each_loss(moving, y, scale).sum(), moving)
    found = theory.softmax_gradient(s, y, scale=scale)
    torch.testing.assert_close(found, slope, **CLOSE)
    torch.testing.assert_close(found.sum(1), torch.zeros(len(s), dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_weights_held_fixed_give_the_gradient_of_the_loss(scale):
    random = generator(SEED, "envelope")
    x = torch.randn(30, 4, generator=random, dtype=torch.float64).requires_grad_()
    w = torch.randn(6, 4, generator=random, dtype=torch.float64).requires_grad_()
    y = torch.arange(30) % 6
    s = geometry.normalize(x) @ geometry.normalize(w).T
    p = theory.smoothing_weights(s, scale=scale).detach()
    by_triplets = torch.autograd.grad(theory.smoothed_objective(p, s, y, scale=scale).sum(), (x, w), retain_graph=True)
    by_loss = torch.autograd.grad(each_loss(s, y, scale).sum(), (x, w))
    for found, right in zip(by_triplets, by_loss, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-8, atol=1e-9)
        assert found.abs().max() > 1e-3


def test_the_pull_on_an_image_is_the_weighted_sum_of_its_triplets():
    random = generator(SEED, "pull")
    x = torch.randn(1, 4, generator=random, dtype=torch.float64).requires_grad_()
    w = geometry.normalize(torch.randn(6, 4, generator=random, dtype=torch.float64))
    y = torch.tensor([2])
    (slope,) = torch.autograd.grad(each_loss(x @ w.T, y, 5.0).sum(), x)
    p = reference.weights(rows(x @ w.T)[0], 5.0)
    pull = [5.0 * sum(p[j] * float(w[j, d] - w[2, d]) for j in range(6)) for d in range(4)]
    found = theory.softmax_gradient(x.detach() @ w.T, y, scale=5.0) @ w
    torch.testing.assert_close(found[0], torch.tensor(pull, dtype=torch.float64), **CLOSE)
    torch.testing.assert_close(found, slope, **CLOSE)
    assert slope.norm() > 0.1


# The scale


@given(similarities_of_one, scales_of_any_size, st.data())
@by_hypothesis
def test_loss_over_scale_lies_between_the_hardest_violation_and_log_c_over_scale_above(numbers, scale, data):
    s, y = torch.from_numpy(numbers)[None], torch.tensor([data.draw(st.integers(0, len(numbers) - 1))])
    gap = (theory.smoothed_hardest(s, y, scale=scale) - theory.hardest_violation(s, y)).item()
    assert -1e-12 <= gap <= math.log(len(numbers)) / scale + 1e-12


def test_the_upper_gap_is_attained_exactly_when_all_centers_are_equally_close():
    equal, y = torch.full((1, 5), 0.3, dtype=torch.float64), torch.tensor([2])
    for scale in SCALES:
        assert scale * theory.smoothed_hardest(equal, y, scale=scale).item() == pytest.approx(math.log(5), abs=1e-12)
        off = equal.clone()
        off[0, 4] += 0.01
        gap = theory.smoothed_hardest(off, y, scale=scale) - theory.hardest_violation(off, y)
        assert scale * gap.item() < math.log(5) - 1e-4 * scale


@pytest.mark.parametrize("ties", [1, 2, 3, 6])
def test_scale_times_gap_tends_to_the_logarithm_of_the_number_of_ties(ties):
    s = torch.tensor([[0.4] * ties + [0.1] * (6 - ties)], dtype=torch.float64)
    for label in (0, 5):  # the own class among the ties, and not
        y = torch.tensor([label])
        rest = [
            z * (theory.smoothed_hardest(s, y, scale=z) - theory.hardest_violation(s, y)).item() for z in (1.0, 1e3)
        ]
        assert rest[1] == pytest.approx(math.log(ties), abs=1e-9)
        assert ties == 6 or rest[0] > math.log(ties) + 0.1


@pytest.mark.parametrize(("s", "y"), PROBLEMS)
def test_loss_over_scale_falls_at_entropy_over_scale_squared(s, y):
    for scale in (0.5, 5.0, 20.0):
        step = 1e-5 * scale
        ends = [theory.smoothed_hardest(s, y, scale=scale + sign * step) for sign in (1, -1)]
        entropies = [reference.entropy(row) for row in rows(theory.smoothing_weights(s, scale=scale))]
        expected = -torch.tensor(entropies, dtype=torch.float64) / scale**2
        torch.testing.assert_close((ends[0] - ends[1]) / (2 * step), expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(("s", "y"), PROBLEMS)
def test_small_scales_see_mean_and_variance_of_the_violations(s, y):
    v = theory.violations(s, y)
    off = []
    for scale in (0.1, 0.01):
        series = math.log(s.shape[1]) + scale * v.mean(1) + scale**2 / 2 * v.var(1, unbiased=False)
        off.append((scale * theory.smoothed_hardest(s, y, scale=scale) - series).abs().max())
    assert off[0] < 0.1**3
    assert off[1] < 3e-3 * off[0]  # of third order


# The floor


@pytest.mark.parametrize("classes", [2, 3, 5, 40])
@pytest.mark.parametrize("scale", [0.5, 1.0, 5.0, 20.0])
def test_a_simplex_reaches_the_smallest_loss(classes, scale):
    corners = geometry.simplex(classes, classes).double()
    reached = losses.margin_cross_entropy(corners @ corners.T, torch.arange(classes), scale=scale).item()
    assert theory.smallest_softmax_loss(classes, scale=scale) == pytest.approx(reached, rel=1e-4)
    assert reached < math.log(classes)


@pytest.mark.parametrize(("classes", "size"), [(4, 2), (4, 3), (5, 8)])
def test_descent_does_not_get_below_the_smallest_loss_and_reaches_it_where_a_simplex_fits(classes, size):
    random, y = generator(SEED, "floor", classes, size), torch.arange(2 * classes) % classes
    free = torch.randn(3 * classes, size, generator=random, dtype=torch.float64).requires_grad_()
    adam, floor = torch.optim.Adam([free], lr=0.05), theory.smallest_softmax_loss(classes, scale=2.0)
    for _ in range(150):
        points = geometry.normalize(free)
        loss = losses.margin_cross_entropy(points[: 2 * classes] @ points[2 * classes :].T, y, scale=2.0)
        adam.zero_grad()
        loss.backward()
        adam.step()
        assert loss.item() >= floor - 1e-12
    if size >= classes - 1:
        assert loss.item() == pytest.approx(floor, rel=1e-4)
    else:
        assert loss.item() > 1.02 * floor


def test_in_unbalanced_classes_the_floor_is_that_of_the_mean_over_classes():
    y, floor = torch.tensor([0] * 8 + [1, 2]), theory.smallest_softmax_loss(3, scale=2.0)
    lowest = {}
    for name, weights in {"images": torch.ones(3), "classes": 1 / y.bincount()}.items():
        free = torch.randn(13, 4, generator=generator(SEED, "unbalanced"), dtype=torch.float64).requires_grad_()
        adam = torch.optim.Adam([free], lr=0.05)
        for _ in range(300):
            points = geometry.normalize(free)
            loss = F.cross_entropy(2.0 * points[:10] @ points[10:].T, y, weight=weights.double())
            adam.zero_grad()
            loss.backward()
            adam.step()
        lowest[name] = loss.item()
    assert lowest["classes"] == pytest.approx(floor, rel=1e-4)
    assert lowest["images"] < 0.95 * floor  # so this mean must not be compared with it


# Lengths


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_stretching_an_image_changes_its_loss_at_the_mean_violation(factor):
    s, y = problem(seed=3)
    a = torch.tensor(factor, dtype=torch.float64, requires_grad=True)
    mean_violations = (theory.smoothing_weights(s, scale=factor) * theory.violations(s, y)).sum(1)
    for i in range(8):
        (slope,) = torch.autograd.grad(F.cross_entropy(a * s[i : i + 1], y[i : i + 1]), a)
        assert mean_violations[i].item() == pytest.approx(slope.item(), abs=1e-10)
        p, v = reference.weights(rows(s)[i], factor), reference.violations(rows(s)[i], int(y[i]))
        assert slope.item() == pytest.approx(sum(b * c for b, c in zip(p, v, strict=True)), abs=1e-10)


def test_length_lowers_the_loss_of_easy_images_and_in_the_end_raises_that_of_hard_ones():
    s, y = problem(seed=4)
    hard = theory.hardest_violation(s, y) > 1e-2
    assert 5 < hard.sum() < 60
    stretched = torch.stack([each_loss(s, y, factor) for factor in (1.0, 2.0, 10.0, 1e3, 1e4)])
    assert (stretched[1:] < stretched[:-1])[:3, ~hard].all()
    slope = (stretched[4] - stretched[3]) / 9e3
    torch.testing.assert_close(slope[hard], theory.hardest_violation(s, y)[hard], rtol=1e-2, atol=1e-4)


# From centers back to examples


def example_points(count, size, radius, seed):
    """Random x_i, w_y, w_k, x_j, x_k, the last two at distance ``radius`` or nearer to their centers."""
    random = generator(SEED, "points", seed)
    x, own, other, a, b = geometry.normalize(torch.randn(5, count, size, generator=random, dtype=torch.float64))
    examples = []
    for center, towards in ((own, a), (other, b)):
        turn = 2 * math.asin(radius / 2) * torch.rand(count, 1, generator=random, dtype=torch.float64) ** 0.1
        sideways = geometry.normalize(towards - (towards * center).sum(1, keepdim=True) * center)
        examples.append(turn.cos() * center + turn.sin() * sideways)
    return x, own, other, *examples


def margin_and_gap(x, own, other, near_own, near_other):
    return (x * (own - other)).sum(-1), (x * (near_own - near_other)).sum(-1)


@pytest.mark.parametrize("radius", [0.05, 0.3, 1.0, 1.9])
@pytest.mark.parametrize("size", [2, 3, 16])
def test_a_margin_over_centers_carries_over_to_examples(radius, size):
    points = example_points(4000, size, radius, seed=size)
    margin, gap = margin_and_gap(*points)
    eps = torch.full_like(margin, radius)
    assert (gap >= theory.sharp_example_margin(margin, eps) - 1e-12).all()
    assert (gap >= theory.example_margin(margin, eps) - 1e-12).all()
    shorter = 0.5 * points[0]  # the theorem needs length at most 1
    margin, gap = margin_and_gap(shorter, *points[1:])
    assert (gap >= theory.example_margin(margin, eps) - 1e-12).all()


def tightest(delta, radius):
    """Five points of the circle, as ``example_points`` gives them, that come down to the sharp bound."""
    d, turn = math.asin(delta / 2), 2 * math.asin(radius / 2)
    own, other = math.pi / 2 - d, -math.pi / 2 - d
    angles = (0, own, other, own + turn, other + turn)
    return torch.tensor([[math.cos(angle), math.sin(angle)] for angle in angles], dtype=torch.float64)


@pytest.mark.parametrize("radius", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("delta", [-0.5, 0.0, 0.3, 1.0, 1.9])
def test_the_sharp_bound_is_attained_for_every_margin(delta, radius):
    points = tightest(delta, radius)
    margin, gap = margin_and_gap(*points)
    assert (points[3] - points[1]).norm().item() == pytest.approx(radius, abs=1e-6)
    assert (points[4] - points[2]).norm().item() == pytest.approx(radius, abs=1e-6)
    assert margin.item() == pytest.approx(delta, abs=1e-6)
    eps = torch.tensor(radius, dtype=torch.float64)
    assert gap.item() == pytest.approx(theory.sharp_example_margin(margin, eps).item(), abs=1e-6)


def test_the_paper_s_bound_is_attained_at_a_margin_of_the_radius_and_is_weaker_elsewhere():
    margin = torch.linspace(-2, 2, 81, dtype=torch.float64)
    for radius in (0.1, 0.3, 1.0):
        eps = torch.full_like(margin, radius)
        better = theory.sharp_example_margin(margin, eps) - theory.example_margin(margin, eps)
        assert (better >= -1e-12).all()
        at = torch.tensor(radius, dtype=torch.float64)
        assert theory.sharp_example_margin(at, at).item() == pytest.approx(
            theory.example_margin(at, at).item(), abs=1e-12
        )
        assert (better[(margin - radius).abs() > 0.2] > 1e-4).all()


def descend(length, searches=64, steps=300, eps=0.3):
    """Gradient search for a negative slack, gap - (margin - 2 eps), among unit vectors but for the length of x_i."""
    random = generator(SEED, "attack")
    free = torch.randn(5, searches, 4, generator=random, dtype=torch.float64).requires_grad_()
    adam, turn = torch.optim.Adam([free], lr=0.05), 2 * math.asin(eps / 2)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        x, own, other, a, b = geometry.normalize(free)
        near = [
            math.cos(turn) * c + math.sin(turn) * geometry.normalize(t - (t * c).sum(-1, keepdim=True) * c)
            for c, t in ((own, a), (other, b))
        ]
        margin, gap = margin_and_gap(length * x, own, other, *near)
        slack = gap - (margin - 2 * eps)
        adam.zero_grad()
        slack.sum().backward()
        adam.step()
        slower.step()
    return slack.detach()


def test_gradient_search_finds_no_counter_example_and_comes_as_near_as_rounding():
    slack = descend(length=1.0)
    assert slack.min() > -1e-12
    assert slack.min() < 1e-9
    assert slack.median() < 1e-6


def test_the_same_search_finds_counter_examples_where_the_image_is_longer_than_1():
    assert descend(length=2.0).min() < -0.5


def test_the_sharp_bound_ends_at_minus_two_where_the_examples_may_turn_to_the_far_side():
    margin, radius = torch.tensor([-1.5, 0.0, -2.0]), torch.tensor([1.0, 1.9, 0.5])
    torch.testing.assert_close(theory.sharp_example_margin(margin, radius), torch.full((3,), -2.0))


# From the loss to the margin


@pytest.mark.parametrize(("s", "y"), PROBLEMS)
@pytest.mark.parametrize("scale", [1.0, 5.0, 20.0])
def test_a_loss_says_its_margin_up_to_log_c_over_scale(s, y, scale):
    own = F.one_hot(y, s.shape[1]).bool()
    margin = -theory.violations(s, y).masked_fill(own, -math.inf).amax(1)
    others = (scale * theory.violations(s, y)).masked_fill(own, -math.inf)
    loss = torch.nn.functional.softplus(
        others.logsumexp(1), threshold=1e9
    )  # exact also where cross-entropy rounds to 0
    torch.testing.assert_close(loss, each_loss(s, y, scale), **CLOSE)
    promised = theory.margin_from_loss(loss, scale=scale)
    assert (promised <= margin + 1e-9).all()
    assert (margin <= promised + math.log(s.shape[1] - 1) / scale + 1e-9).all()
    if s.shape[1] == 2:
        torch.testing.assert_close(promised, margin, rtol=1e-8, atol=1e-8)


def test_loss_and_radius_promise_a_gap_between_examples():
    drawn, worst = torch.stack(example_points(2000, 3, 0.2, seed=9)), F.pad(tightest(0.2, 0.2), (0, 1))
    x, own, other, near_own, near_other = torch.cat([worst[:, None], drawn], 1)
    s = torch.stack([(x * own).sum(1), (x * other).sum(1)], 1)  # two classes a row, each row its own centers
    loss = each_loss(s, torch.zeros(len(s), dtype=torch.long), 20.0)
    gap = (x * (near_own - near_other)).sum(1)
    promised = (theory.margin_from_loss(loss, scale=20.0)).clamp(-2, 2)
    promise = theory.example_margin(promised, torch.full_like(promised, 0.2))
    assert (gap >= promise - 1e-9).all()
    assert gap[0].item() == pytest.approx(promise[0].item(), abs=1e-9)  # the worst points leave nothing to spare


def test_huge_losses_and_tiny_ones_have_finite_margins():
    found = theory.margin_from_loss(torch.tensor([1e-12, 0.5, 1e4], dtype=torch.float64), scale=1.0)
    expected = [-math.log(math.expm1(1e-12)), -math.log(math.expm1(0.5)), -1e4]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


# Functions at the door


@pytest.mark.bad_input
def test_bad_input_is_named():
    s, y = torch.zeros(2, 3), torch.tensor([0, 1])
    bad = [
        (lambda: theory.violations(s[0], y), "violations: similarities must be a tensor of shape"),
        (lambda: theory.violations(s, torch.tensor([0, 3])), "labels must lie in 0..2; got 0..3"),
        (lambda: theory.hardest_violation(s, y[:1]), "as many as the rows of similarities; got 1 labels for 2 rows"),
        (lambda: theory.smoothed_hardest(s, y, scale=0.0), "scale must be a finite number > 0"),
        (lambda: theory.smoothing_weights(s, scale=-1.0), "scale must be a finite number > 0"),
        (lambda: theory.smoothed_objective(s + 1, s, y), "weights must be >= 0 and sum to 1"),
        (lambda: theory.smoothed_objective(s + torch.tensor([1.5, -0.5, 0.0]), s, y), "got a smallest weight of -0.5"),
        (lambda: theory.smoothed_objective(s[:, :2], s, y), "similarities must be a tensor of shape"),
        (lambda: theory.softmax_gradient(s, y, scale=math.inf), "scale must be a finite number > 0"),
        (lambda: theory.smallest_softmax_loss(1), "num_classes must be an integer >= 2"),
        (lambda: theory.margin_from_loss(torch.tensor([-0.1])), "loss must be >= 0; got -0.1"),
        (lambda: theory.example_margin(torch.tensor([3.0]), torch.tensor([0.1])), r"margin must lie in \[-2, 2\]; got"),
        (lambda: theory.sharp_example_margin(torch.tensor(1.0), torch.tensor(-0.1)), r"radius must lie in \[0, 2\]"),
        (lambda: theory.example_margin(torch.tensor(math.nan), torch.tensor(0.1)), "margin must lie in"),
    ]
    for call, message in bad:
        with pytest.raises(ValueError, match=message):
            call()
