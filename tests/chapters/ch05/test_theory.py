"""What chapter 05 states: bounds that are bounds, how loose they can be, where they end, and what breaks them."""

import math

import matplotlib

matplotlib.use("agg")
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from dmlbook import geometry, losses, records
from dmlbook.book import cost as bench_cost
from dmlbook.chapters.ch05 import theory
from dmlbook.seeding import SEED, generator
from tests import reference
from tests.chapters.ch05 import reference as reference_05
from tests.losses.test_centroid_bound import DRAWN, points, problems

LINE = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
FEW = {**DRAWN, "max_examples": 25}
SIDE = torch.tensor([0, 0, 0, 1, 1, 1])


def sums(x, y, c):
    """L_t and L_d."""
    truth = losses.triplet_sum(geometry.distances(x, x), y)
    return float(truth), float(losses.centroid_bound_sum(geometry.distances(x, c), y))


@settings(**FEW)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=7))
def test_roles_are_counted_as_listing_counts_them(labels):
    y = torch.tensor(labels)
    anchor, negative = losses.role_counts(torch.bincount(y))
    assert [[int(anchor[m]), int(anchor[m]), int(negative[m])] for m in labels] == reference_05.roles(y)


@pytest.mark.parametrize(("classes", "per_class"), [(2, 4), (3, 2), (4, 3), (2, 1)])
def test_counts_of_classes_of_one_size(classes, per_class):
    y = torch.arange(classes * per_class) % classes
    g, h = theory.balanced_counts(len(y), classes)
    assert h == losses.count_triplets(y) == len(reference.triplets(y))
    assert g * len(y) == 3 * h
    assert g == sum(reference_05.roles(y)[0])


def test_eight_images_of_two_classes_have_96_triplets():
    assert theory.balanced_counts(8, 2) == (36, 96)


@settings(**FEW)
@given(st.integers(0, 10_000))
def test_each_triplet_is_bounded_and_each_detour_accounted_for(seed):
    x, y = points(7, 2, seed=seed), torch.tensor([0, 0, 1, 1, 1, 2, 2])
    c = points(3, 2, seed=seed + 1)
    i, j, k = torch.tensor(reference.triplets(y)).T
    truth, bound = theory.triplet_terms(x[i], x[j], x[k], c[y[i]], c[y[k]])
    assert (bound >= truth - 1e-12).all()
    own = geometry.distances(x, c).gather(1, y[:, None])[:, 0]
    assert (bound - truth <= own[i] + own[j] + 2 * own[k] + 1e-12).all()
    assert_close(float(truth.sum()), reference.linear_triplet_sum(x, y), rtol=0, atol=1e-9)
    assert_close(float(bound.sum()), reference.centroid_bound_sum(x, y, c), rtol=0, atol=1e-9)


@settings(**FEW)
@given(problems())
def test_the_triplet_sum_is_a_weighted_sum_of_pairs(problem):
    x, y, _ = problem
    pairs = geometry.distances(x, x)
    assert_close(float(losses.triplet_sum(pairs, y)), reference.linear_triplet_sum(x, y), rtol=0, atol=1e-9)
    mean, _ = losses.triplet_mean(pairs, y, hinge=False)
    assert_close(losses.triplet_sum(pairs, y), mean * losses.count_triplets(y), rtol=1e-9, atol=1e-9)


@settings(**FEW)
@given(problems())
def test_the_squared_triplet_sum_is_exact_in_one_pass(problem):
    x, y, _ = problem
    assert_close(float(theory.squared_triplet_sum(x, y)), reference_05.squared_sum(x, y), rtol=0, atol=1e-8)


def test_sums_have_the_gradients_of_their_pairs():
    x, y = points(8, 3).requires_grad_(), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    squares = losses.triplet_sum((x[:, None] - x).square().sum(-1), y)
    (expected,) = torch.autograd.grad(squares, x)
    (found,) = torch.autograd.grad(theory.squared_triplet_sum(x, y), x)
    assert found.abs().max() > 1
    assert_close(found, expected, rtol=1e-9, atol=1e-9)


@settings(**FEW)
@given(problems())
def test_the_gap_is_within_its_limit_for_classes_of_any_sizes(problem):
    x, y, c = problem
    truth, bound = sums(x, y, c)
    own = geometry.distances(x, c).gather(1, y[:, None])[:, 0]
    limit = float(theory.gap_limit_sum(own, y))
    assert_close(limit, reference_05.gap_limit(x, y, c), rtol=0, atol=1e-9)
    assert -1e-9 <= bound - truth <= limit + 1e-9


def test_with_unequal_sizes_the_plain_mean_is_no_bound():
    x, y = torch.tensor([0.0] * 6 + [1.0, 0.6], dtype=torch.float64)[:, None], torch.tensor([0] * 6 + [1] * 2)
    truth, bound = sums(x, y, LINE)
    mean, h = float(losses.centroid_terms(geometry.distances(x, LINE), y).mean()), losses.count_triplets(y)
    assert mean == pytest.approx(-0.8)
    assert truth / h == pytest.approx(-52.8 / 72)
    assert mean < truth / h <= bound / h + 1e-12


@pytest.mark.parametrize("classes", [3, 4, 7])
def test_three_classes_outward_on_a_simplex_stay_below_two_eps_and_near_their_limit(classes):
    c, y, eps = geometry.simplex(classes, classes).double(), torch.arange(classes).repeat(2), 1e-3
    truth, bound = sums((1 + eps / 2) * c[y], y, c)
    found = (bound - truth) / losses.count_triplets(y) / eps
    assert found == pytest.approx(1.5 + math.sqrt(2 * classes / (classes - 1)) / 4, abs=2e-3)
    assert found < 1.95


@pytest.mark.parametrize("eps", [0.01, 0.3, 1.5])
def test_outward_images_attain_two_eps_a_triplet(eps):
    x = LINE[SIDE] + eps / 2 * (2 * SIDE - 1).double()[:, None]
    truth, bound = sums(x, SIDE, LINE)
    g, h = theory.balanced_counts(6, 2)
    assert bound - truth == pytest.approx(2 * eps * h, rel=1e-9)
    limit = float(theory.gap_limit_sum(torch.full((6,), eps / 2, dtype=torch.float64), SIDE))
    assert limit == pytest.approx(2 * eps * h, rel=1e-12)
    assert limit == pytest.approx(4 / 3 * g * 6 * eps / 2, rel=1e-12)


def on_a_line(places):
    return torch.tensor(places, dtype=torch.float64)[:, None]


def gap_and_limit(x, y, c):
    truth, bound = sums(x, y, c)
    own = geometry.distances(x, c).gather(1, y[:, None])[:, 0]
    return bound - truth, float(theory.gap_limit_sum(own, y))


@pytest.mark.parametrize(
    ("row", "places"),
    [
        ([0.0, 1.0, 2.0], [-0.2, 1.0, 2.2]),
        ([0.0, 1.0, 2.0], [-0.7, 1.0, 2.0]),  # one end alone
        ([0.0, 1.0, 2.5, 3.0], [-0.2, 1.0, 2.5, 3.4]),
        ([3.0, 1.0, 0.0, 2.0, 7.0], [3.0, 1.0, -0.5, 2.0, 7.1]),
    ],
)
def test_a_row_of_classes_of_which_only_the_ends_are_off_attains_the_limit(row, places):
    y = torch.arange(2 * len(row)) % len(row)
    gap, limit = gap_and_limit(on_a_line(places)[y], y, on_a_line(row))
    assert gap == pytest.approx(limit, rel=1e-12)
    assert gap > 1
    if places == [-0.2, 1.0, 2.2]:
        assert limit == pytest.approx(12.8)


def nothing_is_spared(places, y, row):
    """Each class is one point, and where that is off its centroid, the centroid lies between it and all others."""
    at = [{place for place, label in zip(places, y, strict=True) if label == m} for m in range(len(row))]
    if any(len(points) > 1 for points in at):
        return False
    at = [min(points) for points in at]
    for m, (point, centroid) in enumerate(zip(at, row, strict=True)):
        others = [place for r, place in enumerate(at) if r != m]
        if point != centroid and not (point < centroid <= min(others) or point > centroid >= max(others)):
            return False
    return True


def test_the_limit_is_attained_where_each_class_is_a_point_at_or_behind_its_centroid_and_nowhere_else():
    y, draw, seen = [0, 0, 1, 1, 2, 2], torch.Generator().manual_seed(5), []
    for n in range(600):
        row = torch.randint(4, (3,), generator=draw).tolist()
        if n % 3:  # each class one point, and every other time most points at their centroids
            points = torch.randint(6, (3,), generator=draw) - 1
            keep = torch.rand(3, generator=draw) < 0.6 * (n % 2)
            places = torch.where(keep, torch.tensor(row), points).repeat_interleave(2).tolist()
        else:
            places = (torch.randint(6, (6,), generator=draw) - 1).tolist()
        gap, limit = gap_and_limit(on_a_line(places), torch.tensor(y), on_a_line(row))
        assert (limit - gap < 1e-9) is nothing_is_spared(places, y, row)
        seen.append((limit - gap < 1e-9, len({m for m, place in zip(y, places, strict=True) if place != row[m]})))
    assert {off for attained, off in seen if attained} == {0, 1, 2}  # never three
    assert {off for attained, off in seen if not attained} == {1, 2, 3}


def test_classes_of_one_image_spare_nothing_however_many_are_off():
    """They are never anchors, so that no two of them have to see each other behind a centroid."""
    c = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    gap, limit = gap_and_limit(1.5 * c[[0, 0, 1, 2, 3]], torch.tensor([0, 0, 1, 2, 3]), c)
    assert gap == pytest.approx(limit, rel=1e-12)
    assert gap > 1


@pytest.mark.parametrize("seed", range(8))
def test_the_restated_limit_holds_and_is_the_weaker_one(seed):
    y = torch.arange(12) % 4
    c = points(4, 3, seed=seed)
    x = c[y] + 0.2 * geometry.normalize(points(12, 3, seed=seed + 40))
    truth, bound = sums(x, y, c)
    h = losses.count_triplets(y)
    limit = theory.restated_gap_limit(c, eps=0.4)
    apart = [reference.distance(a, b) for n, a in enumerate(c.tolist()) for b in c.tolist()[:n]]
    assert limit == pytest.approx(max(apart) - min(apart) + 1.2, rel=1e-9)
    assert 0 <= bound - truth <= 2 * 0.4 * h < limit * h


@pytest.mark.parametrize(
    ("places", "exact"),
    [
        ([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], True),
        ([0.0, 0.0, 0.3, 1.0, 1.0, 0.8], True),  # one image of each class, inward, not past each other
        ([0.0, 0.0, 0.8, 1.0, 1.0, 0.3], False),  # past each other
        ([0.0, 0.3, 0.3, 1.0, 1.0, 1.0], False),  # two of one class
        ([0.0, 0.0, -0.3, 1.0, 1.0, 1.0], False),  # outward
    ],
)
def test_equality_needs_no_waste_in_any_triplet(places, exact):
    x = torch.tensor(places, dtype=torch.float64)[:, None]
    truth, bound = sums(x, SIDE, LINE)
    assert (bound - truth < 1e-9) is exact


@pytest.mark.parametrize("seed", range(6))
def test_with_centroids_in_several_directions_only_collapse_is_exact(seed):
    """One image off its centroid, in a drawn direction or towards another centroid, already leaves a gap."""
    y = torch.arange(9) % 3
    c = geometry.simplex(3, 2).double()
    truth, bound = sums(c[y], y, c)
    assert_close(bound, truth, rtol=0, atol=1e-9)
    for direction in (geometry.normalize(points(2, seed=seed)), geometry.normalize(c[1 + seed % 2] - c[0])):
        x = c[y].clone()
        x[0] += 0.1 * direction
        truth, bound = sums(x, y, c)
        assert bound - truth > 1e-3


@settings(**FEW)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 4))
def test_every_term_rises_from_its_centroid_at_least_as_a_cone(seed, classes, size):
    c, x = points(classes, size, seed=seed), 2 * points(40, size, seed=seed + 1)
    y = torch.arange(40) % classes
    f = losses.centroid_terms(geometry.distances(x, c), y) / 3
    lowest = losses.centroid_terms(geometry.distances(c, c), torch.arange(classes)) / 3
    assert (f >= lowest[y] + 2 / 3 * (x - c[y]).norm(dim=1) - 1e-12).all()


@settings(**FEW)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 4), st.floats(0, 1))
def test_every_step_towards_the_centroid_lowers_the_term_by_two_thirds_of_it(seed, classes, size, part):
    c, x = points(classes, size, seed=seed), 2 * points(40, size, seed=seed + 1)
    y = torch.arange(40) % classes
    before, after = (losses.centroid_terms(geometry.distances(place, c), y) / 3 for place in (x, x + part * (c[y] - x)))
    assert (before - after >= 2 / 3 * part * (x - c[y]).norm(dim=1) - 1e-12).all()


def shares(places, c, sizes):
    """What an image of class 0 adds to the bound, over the weight of its own distance."""
    anchor, negative = losses.role_counts(torch.tensor(sizes))
    own = int(2 * anchor[0] + negative[0])
    apart = geometry.distances(places, c)
    push = (sizes[0] - 1) * (apart[:, 1:] @ torch.tensor(sizes[1:], dtype=torch.float64))
    return apart[:, 0] - push / own, int(anchor[0]) / own


KINDS_OF_SIZES = st.sampled_from(["even", "large", "one"])
HILLS = st.tuples(st.integers(0, 10_000), st.integers(2, 6), st.integers(2, 5), KINDS_OF_SIZES)


def hill(problem):
    """Unit centroids, some crowded together, class sizes, and a unit vector at right angles to the own centroid."""
    seed, classes, size, kind = problem
    c = points(classes, size, seed=seed)
    if seed % 3:
        c[1:] = (-c[0] if seed % 3 == 1 else c[1]) + 0.2 * c[1:]
    c = geometry.normalize(c)
    towards = c[1] if seed % 2 else points(size, seed=seed + 1)
    side = geometry.normalize((towards - (towards @ c[0]) * c[0])[None])[0]
    sizes = {"even": [3] * classes, "large": [50] + [2] * (classes - 1), "one": [3] + [1] * (classes - 1)}[kind]
    return c, side, sizes


@settings(**FEW)
@given(HILLS)
def test_each_great_circle_through_the_own_centroid_has_one_hill_and_one_valley(problem):
    """And the slopes are within the bounds of the proof: with w the push, f' >= cos - w and f'' <= w / 2 - sin / 2."""
    c, side, sizes = hill(problem)
    turn = torch.linspace(0, 2 * math.pi, 721, dtype=torch.float64)
    walk = turn.cos()[:, None] * c[0] + turn.sin()[:, None] * side
    f, w = shares(walk, c, sizes)
    assert 0 < w <= 1 / 2
    if sizes[0] == sizes[1]:
        assert_close(f, losses.centroid_terms(geometry.distances(walk, c), torch.zeros(721).long()) / 3)
        assert w == pytest.approx(1 / 3)
    rises = (f.diff() > 0).int()
    assert [int(rises[0]), int(rises[-1])] == [1, 0]
    assert rises.diff().abs().sum() == 1
    own = 2 * (turn / 2).sin()
    assert (((f - own).diff() / turn.diff()).abs() <= w + 1e-9).all()
    bend = (f - own).diff().diff() / (turn[1] - turn[0]) ** 2
    assert (bend <= w / 2 + 1e-6).all()


@settings(**FEW)
@given(HILLS)
def test_next_to_every_point_of_the_sphere_but_the_own_centroid_lie_lower_ones(problem):
    """Other centroids and the far end among them, where the slope along the circle may be 0 or have none."""
    c, side, sizes = hill(problem)
    there = torch.cat([c[1:], -c[:1], geometry.normalize(points(20, c.shape[1], seed=problem[0]))])
    there = there[(there - c[0]).norm(dim=1) > 1e-3]
    sides = there - (there @ c[0])[:, None] * c[0]
    sides = torch.where((sides.norm(dim=1) < 1e-6)[:, None], side, sides)  # at the far end any will do
    sides, turn = geometry.normalize(sides), torch.arccos((there @ c[0]).clamp(-1, 1))
    near = [(turn + step).cos()[:, None] * c[0] + (turn + step).sin()[:, None] * sides for step in (-1e-3, 1e-3)]
    here, left, right = (shares(places, c, sizes)[0] for places in (there, *near))
    assert (torch.minimum(left, right) < here).all()


def test_the_cone_is_not_steeper_than_two_thirds():
    """Away from all others, on a line, the slope is exactly two thirds."""
    f = losses.centroid_terms(geometry.distances(torch.tensor([[0.0], [-5.0]], dtype=torch.float64), LINE), SIDE[:2])
    assert float(f[1] - f[0]) / 3 == pytest.approx(2 / 3 * 5)


@settings(**FEW)
@given(st.integers(2, 9), st.integers(1, 9), st.integers(0, 1000))
def test_no_unit_vectors_are_farther_apart_on_average_than_a_simplex(classes, size, seed):
    c = geometry.normalize(points(classes, size, seed=seed))
    assert -float(theory.smallest_bound(c)) <= theory.farthest_mean_distance(classes) + 1e-12


@pytest.mark.parametrize("classes", [2, 3, 10, 50])
def test_simplex_reaches_what_one_hot_misses_by_the_root_of_one_minus_one_over_c(classes):
    best = -theory.farthest_mean_distance(classes)
    assert float(theory.smallest_bound(geometry.simplex(classes, 64).double())) == pytest.approx(best, rel=1e-6)
    one_hot = float(theory.smallest_bound(geometry.one_hot(classes, 64).double()))
    assert one_hot == pytest.approx(best * math.sqrt(1 - 1 / classes), rel=1e-9)


@pytest.mark.parametrize(("classes", "size"), [(50, 16), (100, 64)])
def test_where_no_simplex_fits_descent_spreads_centroids_better_than_kmeans_in_mean_and_closest_pair(classes, size):
    numbers = generator(SEED, "spread", classes)
    kmeans = geometry.kmeans_on_sphere(classes, size, generator=numbers)
    found = torch.randn(classes, size, generator=numbers).requires_grad_()
    adam, off = torch.optim.Adam([found], lr=0.05), ~torch.eye(classes, dtype=torch.bool)
    for _ in range(300):
        unit = geometry.normalize(found)
        adam.zero_grad()
        (30 * (unit @ unit.T)[off]).logsumexp(0).backward()
        adam.step()
    better = geometry.normalize(found.detach())
    assert theory.smallest_bound(better) < theory.smallest_bound(kmeans) - 5e-4
    assert (better @ better.T)[off].max() < (kmeans @ kmeans.T)[off].max() - 0.1


def test_smallest_bound_is_the_mean_at_collapse_and_the_least_of_a_search():
    c, y = points(4, 3), torch.arange(12) % 4
    at_collapse = losses.centroid_terms(geometry.distances(c[y], c), y).mean()
    assert_close(theory.smallest_bound(c), at_collapse, rtol=1e-12, atol=1e-12)
    for seed in range(20):
        x = c[y] + 10 ** (-seed / 5) * points(12, 3, seed=seed)
        assert losses.centroid_terms(geometry.distances(x, c), y).mean() > at_collapse


@pytest.mark.parametrize("classes", [3, 4])
def test_no_unit_embeddings_have_a_triplet_loss_below_the_simplex(classes):
    """Descent on the triplet loss itself, over points of the sphere, comes near the value and never below."""
    y = torch.arange(2 * classes) % classes
    x = points(2 * classes, 4, seed=classes).requires_grad_()
    adam = torch.optim.Adam([x], lr=0.05)
    for _ in range(150):
        unit = geometry.normalize(x)
        value = losses.triplet_sum(geometry.distances(unit, unit), y) / losses.count_triplets(y)
        assert value >= -theory.farthest_mean_distance(classes) - 1e-9
        adam.zero_grad()
        value.backward()
        adam.step()
    assert value.item() == pytest.approx(-theory.farthest_mean_distance(classes), abs=0.15)


@settings(**FEW)
@given(problems(), st.sampled_from([0.0, 0.2, 1.0, 4.0]))
def test_hinged_bound_is_never_below_the_hinged_loss(problem, margin):
    x, y, c = problem
    bound = float(theory.hinged_bound_sum(geometry.distances(x, c), y, margin=margin))
    assert_close(bound, reference_05.hinged_bound(x, y, c, margin), rtol=0, atol=1e-9)
    assert bound >= reference_05.hinged_sum(x, y, margin) - 1e-9


@pytest.mark.parametrize("margin", [0.2, 2.0, 5.0])
def test_hinged_bound_is_the_papers_kin_when_balanced_and_exact_at_collapse(margin):
    y, c, x = torch.arange(9) % 3, points(3, 2), points(9, 2, seed=1)
    apart = geometry.distances(x, c)
    own = apart.gather(1, y[:, None])
    hinge = (own - apart + margin).clamp(min=0).scatter(1, y[:, None], 0).sum(1) / 2
    g, _ = theory.balanced_counts(9, 3)
    expected = g / 3 * (2 * own[:, 0] + hinge).sum()
    assert_close(theory.hinged_bound_sum(apart, y, margin=margin), expected, rtol=1e-12, atol=1e-12)
    at_collapse = theory.hinged_bound_sum(geometry.distances(c[y], c), y, margin=margin)
    assert_close(float(at_collapse), reference_05.hinged_sum(c[y], y, margin), rtol=0, atol=1e-9)


def test_adding_a_margin_to_the_bound_is_no_bound_of_a_hinged_loss():
    x = LINE[SIDE]
    _, bound = sums(x, SIDE, LINE)
    assert bound + 0.2 * losses.count_triplets(SIDE) < -1
    assert reference_05.hinged_sum(x, SIDE, 0.2) == 0


@settings(**FEW)
@given(problems(), st.sampled_from([0.1, 0.5, 1.0, 4.0]))
def test_squared_bound_is_never_below_the_squared_loss(problem, slack):
    x, y, c = problem
    bound = float(theory.squared_bound_sum(geometry.distances(x, c).square(), y, slack=slack))
    assert_close(bound, reference_05.squared_bound(x, y, c, slack), rtol=0, atol=1e-8)
    assert bound >= reference_05.squared_sum(x, y) - 1e-8


def test_squared_bound_of_balanced_classes_has_the_constants_5_and_a_tenth():
    y, c, x = torch.arange(12) % 4, points(4, 2), points(12, 2, seed=1)
    apart = geometry.distances(x, c).square()
    own = apart.gather(1, y[:, None])[:, 0]
    expected = 5 * 3 * 3 * 2 * (own - (apart.sum(1) - own) / (10 * 3)).sum()
    assert_close(theory.squared_bound_sum(apart, y), expected, rtol=1e-12, atol=1e-12)


def test_squared_bound_nears_the_loss_at_collapse_as_the_slack_vanishes():
    y, c = torch.arange(6) % 3, points(3, 2)
    truth, apart = reference_05.squared_sum(c[y], y), geometry.distances(c[y], c).square()
    for slack in (1.0, 0.1, 0.001):
        bound = float(theory.squared_bound_sum(apart, y, slack=slack))
        assert bound == pytest.approx(truth / (1 + slack), rel=1e-9)


@pytest.mark.parametrize("kind", ["hinged", "squared"])
@pytest.mark.parametrize("seed", range(2))
def test_gradient_search_finds_no_counter_example_to_the_valid_forms(kind, seed):
    y = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    x, c = points(7, 2, seed=seed).requires_grad_(), points(3, 2, seed=seed + 30).requires_grad_()
    count, first = losses.count_triplets(y), None
    adam = torch.optim.Adam([x, c], lr=0.05)
    for _ in range(120):
        apart, pairs = geometry.distances(x, c), geometry.distances(x, x)
        if kind == "hinged":
            bound = theory.hinged_bound_sum(apart, y, margin=0.5)
            gap = bound / count - losses.triplet_mean(pairs, y, margin=0.5)[0]
        else:
            gap = (theory.squared_bound_sum(apart.square(), y) - theory.squared_triplet_sum(x, y)) / count
        assert gap >= -1e-9
        first = gap.item() if first is None else first
        adam.zero_grad()
        gap.backward()
        adam.step()
    assert gap.item() < 0.4 * first


@pytest.mark.bad_input
def test_a_batch_size_in_the_place_of_n_is_refused():
    for size, classes in ((32, 100), (33, 32)):
        with pytest.raises(ValueError, match=f"num_images must be a multiple of num_classes = {classes}; got {size}"):
            theory.balanced_counts(size, classes)
    assert 3 * (100 - 1) * (32 / 100 - 1) * 32 / 100 < 0


def test_an_exponent_is_the_slope_of_the_logarithms():
    assert records.exponent({8: 3 * 8**2.5, 20: 3 * 20**2.5, 64: 3 * 64**2.5}) == pytest.approx(2.5)
    noisy = {10: 1.0, 100: 8.0, 1000: 100.0}
    u, v = [math.log(n) for n in noisy], [math.log(t) for t in noisy.values()]
    mean_u, mean_v = sum(u) / 3, sum(v) / 3
    slope = sum((a - mean_u) * (b - mean_v) for a, b in zip(u, v, strict=True)) / sum((a - mean_u) ** 2 for a in u)
    assert records.exponent(noisy) == pytest.approx(slope, rel=1e-12)


def test_bench_names_the_growth_of_what_ran_at_three_sizes():
    times = {f"way, N = {n}": 1e-6 * n**2 for n in (10, 20, 40)} | {
        "other, N = 10": 1.0,
        "other, N = 20": 2.0,
        "x": 1.0,
    }
    (line,) = bench_cost.growth_lines(times)
    assert line.split() == ["way", "grows", "as", "N^2.0"]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.role_counts(torch.ones(2, 2).long()), r"role_counts: sizes must be a tensor of shape \(C,\)"),
        (lambda: losses.triplet_sum(torch.ones(3, 2), torch.arange(3)), "triplet_sum: distances must be a tensor"),
        (lambda: theory.triplet_terms(*[torch.ones(3, 2)] * 4, torch.ones(2, 2)), "triplet_terms: other must be"),
        (lambda: theory.squared_triplet_sum(torch.ones(3, 2), torch.ones(3)), "labels must be integers"),
        (lambda: theory.hinged_bound_sum(torch.ones(3, 1), torch.zeros(3).long(), margin=0.1), "2 columns or more"),
        (
            lambda: theory.squared_bound_sum(torch.ones(3, 2), torch.zeros(3).long(), slack=0.0),
            "slack must be a finite",
        ),
        (lambda: theory.gap_limit_sum(torch.ones(3), torch.arange(2)), "labels must be as many as the own_distances"),
        (lambda: theory.restated_gap_limit(torch.ones(1, 2), eps=0.1), "centroids must be two or more; got 1"),
        (lambda: theory.smallest_bound(torch.ones(1, 2)), "centroids must be two or more; got 1"),
        (lambda: theory.farthest_mean_distance(1), "num_classes must be an integer >= 2; got 1"),
        (lambda: records.exponent({3: 1.0}), "by_size must hold two sizes or more; got 1"),
        (lambda: records.exponent({3: 1.0, 4: 0.0}), "cost must be a finite number > 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
