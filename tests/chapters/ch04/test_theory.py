"""Chapter 04: what a price on distances does to centers, each statement on random and on adversarial inputs."""

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
from dmlbook.chapters.ch04 import theory
from dmlbook.chapters.ch04.objective import objective
from dmlbook.chapters.ch04.theory import THRESHOLD, start, toy
from dmlbook.seeding import SEED, generator
from tests import reference
from tests.chapters.ch04 import reference as reference_04

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
NUMBER = st.floats(-5, 5, allow_subnormal=False)
STRENGTH = st.floats(0, 6)


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed, "chapter 4"), dtype=torch.float64)


def near(place, count=30, seed=1):
    """Places around a place, at distances from a millionth to a few units."""
    return [place + draws(*place.shape, seed=seed + n) * 10.0 ** (-6 + 6.5 * n / count) for n in range(count)]


@QUICK
@given(st.lists(NUMBER, min_size=1, max_size=4), STRENGTH)
def test_charging_the_length_shortens_by_a_fixed_amount_and_no_vector_does_better(numbers, t):
    v = torch.tensor(numbers, dtype=torch.float64)
    u = theory.shrink_by_norm(v, strength=t)
    assert_close(u.norm(), (v.norm() - t).clamp(min=0), rtol=0, atol=1e-9)

    def cost(w):
        return float((w - v).square().sum() / 2 + t * w.norm())

    assert all(cost(u) <= cost(other) + 1e-12 for other in [*near(u), v, torch.zeros_like(v)])


@QUICK
@given(st.lists(NUMBER, min_size=1, max_size=4), STRENGTH)
def test_charging_the_square_divides_and_no_vector_does_better(numbers, t):
    v = torch.tensor(numbers, dtype=torch.float64)
    u = theory.shrink_by_square(v, strength=t)

    def cost(w):
        return float((w - v).square().sum() / 2 + t * w.square().sum())

    assert all(cost(u) <= cost(other) + 1e-12 for other in [*near(u), v, torch.zeros_like(v)])
    assert ((u == 0) == (v == 0)).all()


def test_a_group_vanishes_whole_however_the_axes_lie():
    v, turn = draws(3), torch.linalg.qr(draws(3, 3, seed=2))[0]
    for share in (0.5, 0.99, 1.01):
        u = theory.shrink_by_norm(v, strength=share * float(v.norm()))
        assert_close(theory.shrink_by_norm(turn @ v, strength=share * float(v.norm())), turn @ u, rtol=0, atol=1e-12)
        assert (u == 0).all() == (share > 1)
        assert (u == 0).any() == (share > 1)
    one_by_one = v.sign() * (v.abs() - 0.5).clamp(min=0)
    turned = (turn @ v).sign() * ((turn @ v).abs() - 0.5).clamp(min=0)
    assert (turned - turn @ one_by_one).norm() > 0.1


def test_shrinking_a_batch_shrinks_each_row():
    v = draws(2, 3, 4)
    for shrink in (theory.shrink_by_norm, theory.shrink_by_square):
        rows = torch.stack([shrink(row, strength=0.7) for row in v.flatten(0, 1)]).view_as(v)
        assert_close(shrink(v, strength=0.7), rows, rtol=0, atol=1e-12)


@QUICK
@given(st.lists(NUMBER, min_size=6, max_size=6), STRENGTH, st.booleans())
def test_the_fused_pair_is_the_cheapest_pair(numbers, t, squared):
    wishes = torch.tensor(numbers, dtype=torch.float64).view(2, 3)
    pair = theory.fused_pair(wishes, strength=t, squared=squared)
    assert_close(pair.mean(0), wishes.mean(0), rtol=0, atol=1e-12)

    def cost(places):
        return reference_04.fused_cost(places, wishes, strength=t, squared=squared)

    merged = wishes.mean(0).expand(2, 3)
    assert all(cost(pair) <= cost(other) + 1e-10 for other in [*near(pair, 15), wishes, merged])


def test_a_pair_meets_at_half_the_distance_and_under_a_squared_price_never():
    wishes = draws(2, 5)
    half = float((wishes[0] - wishes[1]).norm()) / 2
    assert (theory.fused_pair(wishes, strength=0.999 * half).diff(dim=0)).norm() > 1e-4
    assert (theory.fused_pair(wishes, strength=1.001 * half).diff(dim=0) == 0).all()
    for t in (1.0, 100.0, 1e6):
        left = theory.fused_pair(wishes, strength=t, squared=True).diff(dim=0).norm()
        assert_close(left, torch.tensor(2 * half / (1 + 4 * t), dtype=torch.float64), rtol=1e-6, atol=0)
        assert left > 0


@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.parametrize("degrees", [3, 30, 60, 89])
def test_the_pair_on_the_circle_is_the_cheapest_of_the_sphere_and_of_the_ball(degrees, size):
    phi = math.radians(degrees)
    for t in (0.0, 0.3 * math.sin(phi), 0.9 * math.sin(phi), math.sin(phi), 1.5):
        theta = theory.fused_on_circle(phi, strength=t)
        first, second = torch.zeros(2, size, dtype=torch.float64)
        first[0] = second[0] = math.cos(theta)
        first[1] = math.sin(theta)
        second[1] = -first[1]
        best = reference_04.circle_cost(first, second, phi, strength=t)
        others = [near(point, 25, seed=7 * n) for n, point in enumerate((first, second))]
        for a, b in [*zip(*others, strict=True), *zip(draws(25, size), draws(25, size, seed=3), strict=True)]:
            a, b = F.normalize(a, dim=0), F.normalize(b, dim=0)
            assert best <= reference_04.circle_cost(a, b, phi, strength=t) + 1e-12
            assert best <= reference_04.circle_cost(0.7 * a, 0.9 * b, phi, strength=t) + 1e-12
        assert (theta == 0) == (t >= math.sin(phi))


def test_a_pair_on_the_circle_meets_at_half_the_distance_of_the_wishes():
    for degrees in (5, 40, 85):
        phi = math.radians(degrees)
        wishes = torch.tensor([[math.cos(phi), math.sin(phi)], [math.cos(phi), -math.sin(phi)]], dtype=torch.float64)
        half = float(wishes.diff(dim=0).norm()) / 2
        assert half == pytest.approx(math.sin(phi))
        assert theory.fused_on_circle(phi, strength=half * 1.0001) == 0
        assert theory.fused_on_circle(phi, strength=half * 0.9999) > 0
        assert theory.fused_on_circle(phi, strength=0) == pytest.approx(phi)


def test_distances_of_centers_equal_their_loop():
    centers = F.normalize(draws(3, 5, 4), dim=-1)
    found = losses.center_distances(centers, epsilon=1e-5)
    expected = [reference_04.pair_distances(of_class, epsilon=1e-5) for of_class in centers]
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)
    lengths = torch.stack([F.pdist(of_class) for of_class in centers])
    assert_close(losses.center_distances(centers, epsilon=0.0), lengths, rtol=0, atol=1e-7)


def test_the_objective_charges_tau_times_half_the_mean_distance():
    centers = F.normalize(draws(4, 6, 3), dim=-1)
    pairs = [reference.distance(c[s], c[t]) for c in centers.tolist() for t in range(6) for s in range(t + 1, 6)]
    assert_close(
        losses.center_regularizer(centers, epsilon=1e-6),
        torch.tensor(sum(pairs) / (4 * 6 * 5), dtype=torch.float64),
        rtol=0,
        atol=1e-5,
    )
    assert sum(pairs) / (4 * 6 * 5) == pytest.approx(sum(pairs) / len(pairs) / 2)
    for tau in (0.0, 0.2, 3.0):
        options = {"num_classes": 4, "embedding_size": 3, "centers_per_class": 6, "tau": tau}
        loss = losses.SoftTriple(**options, generator=generator(0))
        free = losses.SoftTriple(**{**options, "tau": 0.0}, generator=generator(0))
        x, y = draws(9, 3).float(), torch.arange(9) % 4
        assert_close(loss(x, y), free(x, y) + tau * losses.center_regularizer(loss.centers), rtol=0, atol=1e-6)


def test_a_merged_pair_holds_if_its_pulls_differ_by_at_most_twice_the_strength():
    for seed in range(10):
        wishes = draws(2, 3, seed=seed)
        merged = wishes.mean(0).expand(2, 3)
        pulls = wishes - merged
        difference = pulls[1] - pulls[0]
        apart = torch.stack([-difference, difference]) / difference.norm()
        for share, holds in ((1.05, True), (0.95, False)):
            t = share * float(difference.norm()) / 2

            def gain(direction, squared=False, t=t, merged=merged, wishes=wishes):
                cost = [
                    reference_04.fused_cost(places, wishes, strength=t, squared=squared)
                    for places in (merged, merged + 1e-4 * direction)
                ]
                return cost[0] - cost[1]

            assert (gain(apart) < 0) == holds
            pair = theory.fused_pair(wishes, strength=t)
            assert bool((pair.diff(dim=0) == 0).all()) == holds
            parted = merged + apart / 2 * (difference.norm() - 2 * t)
            assert_close(pair, merged if holds else parted, rtol=0, atol=1e-12)
            assert gain(apart, squared=True) > 0
            sideways = F.normalize(draws(20, 3, seed=seed + 50), dim=-1)
            assert not holds or all(gain(torch.stack([-v, v])) < 0 for v in sideways)


@pytest.mark.parametrize("similarity", ["expected", "logsumexp"])
def test_centers_equal_in_place_length_and_optimizer_state_stay_together(similarity):
    loss = losses.SoftTriple(
        num_classes=3, embedding_size=4, centers_per_class=4, tau=0.0, similarity=similarity, generator=generator(4)
    )
    with torch.no_grad():
        loss.weight[2:] = loss.weight[:2]  # (K, C, D): centers 0 and 2 are one, and 1 and 3
    before = loss.centers.detach().clone()
    x, y = draws(60, 4).float(), torch.arange(60) % 3
    adam = torch.optim.Adam(loss.parameters(), lr=0.02)
    for _ in range(100):
        adam.zero_grad()
        loss(x, y).backward()
        adam.step()
    assert (loss.centers[:, :2] - loss.centers[:, 2:]).norm(dim=-1).max() < 1e-5
    assert (loss.centers - before).norm(dim=-1).min() > 0.01
    assert (loss.centers[:, 0] - loss.centers[:, 1]).norm(dim=-1).min() > 0.05


def test_centers_in_one_place_can_part_if_their_raw_lengths_differ():
    images, labels = toy()
    longer = start(6)[:, [0, 1, 2, 0, 1, 2]]
    longer[:, 3:] *= 1.5
    (after,) = theory.center_paths(images, labels, longer, torch.zeros(1), steps=150)
    assert (after[:, :3] - after[:, 3:]).norm(dim=-1).max() > 0.1


@QUICK
@given(st.lists(NUMBER, min_size=1, max_size=6), st.floats(0, 2), st.booleans())
def test_points_on_a_line_settle_at_the_cheapest_places(numbers, t, squared):
    wishes = torch.tensor(numbers, dtype=torch.float64)
    settled = theory.fused_line(wishes, strength=t, squared=squared)

    def cost(places):
        return reference_04.fused_cost(places[:, None], wishes[:, None], strength=t, squared=squared)

    merged = wishes.mean().expand_as(wishes)
    assert all(cost(settled) <= cost(other) + 1e-9 for other in [*near(settled, 15), wishes, merged])


def test_two_points_on_a_line_are_the_fused_pair():
    wishes = draws(2, 1)
    for t in (0.0, 0.2, 5.0):
        for squared in (False, True):
            line = theory.fused_line(wishes[:, 0], strength=t, squared=squared)
            assert_close(line, theory.fused_pair(wishes, strength=t, squared=squared)[:, 0], rtol=0, atol=1e-12)


def test_points_on_a_line_that_have_met_stay_one():
    for seed in range(5):
        wishes, met = draws(7, seed=seed), torch.zeros(7, 7, dtype=torch.bool)
        for t in torch.linspace(0, 1, 60).tolist():
            settled = theory.fused_line(wishes, strength=t)
            now = (settled[:, None] - settled[None]).abs() < 1e-9
            assert (now | ~met).all()
            met = now
        assert met.all()
        spread = theory.fused_line(wishes, strength=100.0, squared=True).sort().values.diff()
        assert (spread > 0).all()


def test_the_naive_root_has_no_gradient_where_centers_coincide_and_the_safe_one_has():
    weight = torch.tensor([[[2.0, 0.0], [3.0, 0.0]]], requires_grad=True)
    losses.center_distances(F.normalize(weight, dim=-1), epsilon=0.0).sum().backward()
    assert weight.grad.isnan().any()
    for epsilon, lost in ((torch.finfo(torch.float32).tiny, True), (1e-8, True), (1e-6, False), (1e-5, False)):
        first, second = F.normalize(weight, dim=-1)[0]
        (naive,) = torch.autograd.grad((2 + epsilon - 2 * first @ second).sqrt(), weight)
        assert bool(naive.isnan().any()) == lost
        assert (torch.tensor(2.0) + epsilon == 2) == lost
        (safe,) = torch.autograd.grad(
            losses.center_distances(F.normalize(weight, dim=-1), epsilon=epsilon).sum(), weight
        )
        assert safe.isfinite().all()


def test_the_safe_root_has_the_slope_of_a_square_near_zero_and_of_a_distance_far_away():
    distance = torch.tensor([0.0, 1e-5, 1e-3, 0.1, 1.5], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad((distance.square() + losses.centers.EPSILON).sqrt().sum(), distance)
    assert_close(slope, distance / (distance.square() + 1e-5).sqrt(), rtol=0, atol=1e-12)
    assert slope[0] == 0
    assert slope[-1] > 0.999
    turn = torch.tensor([0.0, 0.01, 1.2], dtype=torch.float64)
    for angle in turn:  # and the distance of centers is that root
        pair = torch.stack([torch.ones(2, dtype=torch.float64).cumsum(0) * 0, torch.stack([angle * 0, angle])]).sum(0)
        centers = torch.stack([pair.cos(), pair.sin()], -1)
        chord = 2 * math.sin(float(angle) / 2)
        assert float(losses.center_distances(centers)) == pytest.approx(math.sqrt(chord**2 + 1e-5), abs=1e-12)


@QUICK
@given(st.floats(0, 0.999), st.floats(1e-8, 1e-2))
def test_a_merged_pair_rests_where_pull_and_price_balance(share, epsilon):
    d = theory.rest_distance(share, epsilon=epsilon)
    assert d / math.sqrt(d**2 + epsilon) == pytest.approx(share, abs=1e-9)
    assert theory.rest_distance(share, epsilon=epsilon / 100) == pytest.approx(d / 10)


def test_a_descent_ends_at_the_rest_distance():
    """Two points of a line whose wishes part them with a share of what the price holds."""
    t, share, epsilon = 1.0, 0.8, 1e-2
    wishes = torch.tensor([0.0, 2 * t * share], dtype=torch.float64)
    w = torch.tensor([0.5, 0.7], dtype=torch.float64, requires_grad=True)
    for _ in range(2000):
        cost = (w - wishes).square().sum() / 2 + t * ((w[1] - w[0]).square() + epsilon).sqrt()
        (slope,) = torch.autograd.grad(cost, w)
        with torch.no_grad():
            w -= 0.04 * slope
    d = float((w[1] - w[0]).detach())
    left = (2 * t * share - d) / (2 * t)  # the share that pulls at the place of rest itself
    assert d == pytest.approx(theory.rest_distance(left, epsilon=epsilon), abs=1e-6)
    assert d == pytest.approx(theory.rest_distance(share, epsilon=epsilon), rel=0.3)


@QUICK
@given(st.floats(1e-7, 10), st.sampled_from([1e-8, 1e-4, 1e-2]), st.booleans())
def test_adams_first_step_is_its_rate_or_plain_descent(size, eps, negative):
    gradient = -size if negative else size
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    weight.grad = torch.tensor([gradient], dtype=torch.float64)
    torch.optim.Adam([weight], lr=0.01, eps=eps).step()
    step = theory.adams_first_step(gradient, lr=0.01, epsilon=eps)
    assert step == pytest.approx(weight.item(), rel=1e-6)
    if size > 100 * eps:
        assert abs(step) == pytest.approx(0.01, rel=0.02)
    if size < eps / 100:
        assert step == pytest.approx(-0.01 * gradient / eps, rel=0.02)


def test_the_regularizer_pulls_a_center_by_at_most_tau_over_c_k():
    for classes, per_class in ((3, 2), (5, 10)):
        centers = F.normalize(draws(classes, per_class, 6), dim=-1).requires_grad_()
        (pull,) = torch.autograd.grad(losses.center_regularizer(centers, epsilon=1e-6), centers)
        tangential = pull - (pull * centers).sum(-1, keepdim=True) * centers
        assert tangential.norm(dim=-1).max() <= 1 / (classes * per_class) + 1e-12
    together = torch.zeros(1, 6, 2, dtype=torch.float64)
    together[0, :5, 0] = together[0, 5, 1] = 1.0  # five in one place pull the sixth with nearly all of it
    together.requires_grad_()
    (pull,) = torch.autograd.grad(losses.center_regularizer(together, epsilon=1e-6), together)
    tangential = pull[0, 5, 0]
    assert_close(tangential.abs(), torch.tensor(1 / 6 / math.sqrt(2), dtype=torch.float64), rtol=1e-3, atol=0)


def test_assigned_centers_equal_their_loop():
    x, y, centers = draws(30, 4), torch.arange(30) % 3, F.normalize(draws(3, 5, 4, seed=1), dim=-1)
    assert losses.assigned_centers(x, y, centers).tolist() == reference_04.closest(x, y, centers)


def test_each_tau_descends_by_itself_and_as_softtriple_would():
    images, labels = toy()
    begin = start(4)
    taus = torch.tensor([0.0, 3.0, 30.0])
    together = theory.center_paths(images, labels, begin, taus, steps=20)
    alone = [theory.center_paths(images, labels, begin, taus[n : n + 1], steps=20)[0] for n in range(3)]
    assert_close(together, torch.stack(alone), rtol=0, atol=2e-3)
    assert (together[0] - together[2]).norm(dim=-1).max() > 0.1
    for tau, found in zip(taus.tolist(), together, strict=True):
        loss = losses.SoftTriple(num_classes=2, embedding_size=2, centers_per_class=4, tau=tau, margin=0.0)
        loss.weight.data = begin.transpose(0, 1).clone()
        adam = torch.optim.Adam(loss.parameters(), lr=0.05)
        for step in range(20):
            adam.param_groups[0]["lr"] = 0.05 * 0.01 ** (step / 20)
            adam.zero_grad()
            loss(images, labels).backward()
            adam.step()
        assert_close(found, loss.centers.detach(), rtol=0, atol=2e-3)


def toy_counts(tau, *, squared, steps, starts=12):
    """Distinct centers of the toy's classes at each of three thresholds, (3, 2 starts)."""
    begin = torch.stack([start(6, SEED + n) for n in range(starts)])
    ends = theory.center_paths(*toy(), begin, torch.full((starts,), tau), squared=squared, steps=steps).flatten(0, 1)
    return torch.stack([losses.distinct_centers(ends, threshold=value).counts for value in (THRESHOLD, 0.1, 0.3)])


def share(these):
    return float(these.double().mean())


def test_at_a_large_threshold_nearly_every_class_of_the_toy_keeps_three_with_almost_no_price_of_either_kind():
    for squared in (False, True):
        counts = toy_counts(0.003, squared=squared, steps=250)
        assert share(counts[2] == 3) > 0.85
        assert share(counts[0] == 3) < 0.3


def test_a_price_on_distances_keeps_three_of_six_centers_at_every_threshold_and_a_squared_one_at_the_largest():
    distance, square = (toy_counts(1.8, squared=squared, steps=250) for squared in (False, True))
    assert min(share(counts == 3) for counts in distance) > 0.75
    assert share(square[0] == 3) < 0.5
    assert share(square[2] == 3) > share(square[0] == 3) + 0.25
    assert share((distance == distance[0]).all(0)) > 0.75 > 0.5 > share((square == square[0]).all(0))


def test_four_times_the_steps_bring_the_thresholds_together_under_a_small_squared_price():
    short, long = (toy_counts(0.32, squared=True, steps=steps) for steps in (250, 1000))
    assert share((short == short[0]).all(0)) < 0.5
    assert share((long == long[0]).all(0)) > 0.75
    assert share(long == 3) > 0.75


def test_a_heavy_price_leaves_one_center_and_none_leaves_several():
    images, labels = toy()
    ends = theory.center_paths(images, labels, start(6), torch.tensor([0.0, 1000.0]), steps=300)
    counts = losses.distinct_centers(ends.flatten(0, 1)).counts.view(2, 2)
    assert (counts[0] >= 3).all()
    assert (counts[1] == 1).all()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.center_distances(torch.ones(1, 2)), "centers must be a tensor .* with K >= 2"),
        (lambda: losses.center_distances(torch.eye(2), epsilon=-1.0), "epsilon must be a finite number >= 0"),
        (lambda: theory.shrink_by_norm(torch.ones(2), strength=-1.0), "shrink_by_norm: strength must"),
        (lambda: theory.shrink_by_square(torch.ones(2), strength=math.nan), "shrink_by_square: strength must"),
        (lambda: theory.fused_pair(torch.ones(3, 2), strength=1.0), "wishes must be a tensor of shape"),
        (lambda: theory.fused_line(torch.ones(3, 2), strength=1.0), "wishes must be a tensor of shape"),
        (lambda: theory.fused_on_circle(0.0, strength=1.0), "half_angle must be a finite number > 0"),
        (lambda: theory.rest_distance(1.0), "share must be"),
        (lambda: theory.adams_first_step(math.inf, lr=0.1), "gradient must be a finite number"),
        (lambda: theory.adams_first_step(0.0, lr=0.1, epsilon=0.0), "epsilon must be a finite number > 0"),
        (lambda: losses.assigned_centers(torch.ones(2, 2), torch.ones(2).long(), torch.eye(2)), "centers must be"),
        (
            lambda: theory.center_paths(*toy(), start(3).expand(2, 2, 3, 2), torch.zeros(3)),
            "start must be one for all taus, or one for each; got 2 starts for 3 taus",
        ),
        (lambda: theory.center_paths(*toy(), start(3), torch.zeros(2), steps=0), "steps must be an integer >= 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("half_angle", [0.3, 1.0])
@pytest.mark.parametrize("t", [0.1, 1.0, 30.0])
def test_a_pair_on_the_circle_never_meets_under_a_squared_price_and_rests_where_pull_and_price_balance(half_angle, t):
    angles = torch.linspace(0, half_angle, 20001, dtype=torch.float64)
    pairs = torch.stack([torch.stack([angles.cos(), side * angles.sin()], -1) for side in (1, -1)], 1)  # (T, K=2, 2)
    apart = losses.center_distances(pairs, epsilon=0.0)[:, 0]
    cost = 2 - 2 * (half_angle - angles).cos() + t * apart.square()
    found = angles[cost.argmin()].item()
    assert found > 0
    assert math.sin(half_angle - found) == pytest.approx(2 * t * math.sin(2 * found), abs=2e-3 * (1 + t))
    merged = theory.fused_on_circle(half_angle, strength=t) == 0  # under a price on the distance itself
    assert merged == (t >= math.sin(half_angle))


@pytest.mark.parametrize(("neighbors", "kept"), [(30, 2), (60, 3), (100, 4)])
def test_poses_without_a_stranger_between_them_keep_as_many_centers_as_they_are_far_apart(neighbors, kept):
    """What the investigation says that others found: four poses in two pairs, at tau = 2, from twelve starts."""
    half = neighbors / 2
    images, labels = toy(((0.0, 180.0), (90 - half, 90 + half, 270 - half, 270 + half)))
    begin = torch.stack([start(6, SEED + n) for n in range(12)])
    ends = theory.center_paths(images, labels, begin, torch.full((12,), 2.0))
    for value in (THRESHOLD, 0.1, 0.3):
        counts = losses.distinct_centers(ends.flatten(0, 1), threshold=value).counts.view(12, 2)[:, 1]
        assert share(counts == kept) > 0.5


def test_a_toy_of_other_poses_has_two_images_beside_each_pose():
    images, labels = toy(((0.0,), (90.0, 200.0)))
    degrees = torch.rad2deg(torch.atan2(images[:, 1], images[:, 0])) % 360
    assert [round(float(angle)) for angle in degrees] == [348, 78, 188, 12, 102, 212]
    assert labels.tolist() == [0, 1, 1, 0, 1, 1]
    assert_close(images.norm(dim=1), torch.ones(6))


def test_the_objective_is_softtriples_without_a_margin_whatever_the_lengths_of_the_centers():
    x, y = F.normalize(draws(9, 3), dim=1), torch.arange(9) % 4
    loss = losses.SoftTriple(
        num_classes=4, embedding_size=3, centers_per_class=6, scale=7.0, gamma=0.3, tau=1.5, margin=0.0
    ).double()
    centers = loss.weight.detach().transpose(0, 1) * torch.linspace(0.5, 2, 24, dtype=torch.float64).view(4, 6, 1)
    assert_close(objective(centers, x, y, 7.0, 0.3, 1.5), loss(x, y).detach(), rtol=0, atol=1e-9)
    assert objective(centers, x, y, 7.0, 0.3, 3.0) > objective(centers, x, y, 7.0, 0.3, 1.5) + 0.1
