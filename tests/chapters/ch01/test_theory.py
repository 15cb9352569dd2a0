"""Chapter 01: what the measures measure, how triplets are counted and sorted, and what a batch holds of the set."""

import itertools
import math

import matplotlib

matplotlib.use("agg")
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmlbook import geometry, losses, retrieval
from dmlbook.chapters.ch01 import theory
from dmlbook.sampling import ClassBatches, UniformBatches
from dmlbook.seeding import generator
from tests import reference
from tests.chapters.ch01 import reference as reference_01
from tests.retrieval import reference_retrieval

QUICK = settings(derandomize=True, deadline=None, max_examples=25)
SEEDS = st.integers(0, 10_000)
FIVE = torch.deg2rad(torch.tensor([0.0, 10.0, 40.0, 50.0, 120.0], dtype=torch.float64))
FIVE, CLASSES = torch.stack([FIVE.cos(), FIVE.sin()], 1), torch.tensor([0, 0, 0, 1, 1])


def unit(n, d, seed):
    return geometry.normalize(torch.randn(n, d, dtype=torch.float64, generator=generator(seed, "chapter 01")))


def labelled(n, classes, seed):
    return torch.randint(classes, (n,), generator=generator(seed, "chapter 01 labels"))


@QUICK
@given(SEEDS, st.integers(1, 12))
def test_squared_distance_of_unit_vectors_is_two_minus_two_cosines(seed, dimension):
    a, b = unit(6, dimension, seed), unit(6, dimension, seed + 1)
    assert_close = torch.testing.assert_close
    assert_close(geometry.squared_distances(a, b), 2 - 2 * a @ b.T)
    assert_close((a - b).square().sum(1), 2 - 2 * (a * b).sum(1))
    assert_close(geometry.squared_distances(a, -a).diagonal(), torch.full((6,), 4.0, dtype=torch.float64))


def test_distance_and_cosine_rank_alike_on_the_sphere_and_not_off_it():
    x = unit(30, 4, 1)
    assert torch.equal(geometry.squared_distances(x, x).argsort(1)[:, 1:], (-x @ x.T).argsort(1)[:, 1:])
    query, near, far = torch.tensor([1.0, 0.0]), torch.tensor([0.8, 0.6]), torch.tensor([3.0, 0.0])
    assert (query - near).norm() < (query - far).norm()
    assert query @ near / near.norm() < query @ far / far.norm()


def test_the_squared_distance_breaks_the_triangle_inequality_and_the_distance_does_not():
    line = torch.tensor([[0.0], [1.0], [2.0]])
    squared, plain = geometry.squared_distances(line, line), geometry.distances(line, line)
    assert squared[0, 2] > squared[0, 1] + squared[1, 2]
    assert plain[0, 2] <= plain[0, 1] + plain[1, 2]


def hit_lists(x, labels):
    apart = reference_retrieval.squared_distances(x.tolist())
    for i, label in enumerate(labels.tolist()):
        order = sorted((j for j in range(len(x)) if j != i), key=lambda j: apart[i][j])
        hits = [int(labels[j] == label) for j in order]
        if any(hits):
            yield hits


@QUICK
@given(SEEDS, st.integers(6, 14))
def test_recall_r_precision_and_map_are_their_formulas(seed, n):
    x, y = unit(n, 3, seed), torch.cat([torch.tensor([0, 0, 1, 1]), labelled(n - 4, 4, seed)])
    lists = list(hit_lists(x, y))
    for k in (1, 2, 4):
        ours = reference_01.mean(max(h[:k]) for h in lists)
        assert retrieval.recall_at_k(x, y, ks=(k,))[k] == pytest.approx(ours, abs=1e-12)
    assert retrieval.r_precision(x, y) == pytest.approx(reference_01.mean(sum(h[: sum(h)]) / sum(h) for h in lists))
    averages = [math.fsum(h[p - 1] * sum(h[:p]) / p for p in range(1, sum(h) + 1)) / sum(h) for h in lists]
    assert retrieval.map_at_r(x, y) == pytest.approx(reference_01.mean(averages), abs=1e-12)


def test_the_five_points_score_what_the_chapter_follows_on_paper():
    lists = list(hit_lists(FIVE, CLASSES))
    assert lists == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
    assert retrieval.recall_at_k(FIVE, CLASSES, ks=(1, 2)) == pytest.approx({1: 0.6, 2: 0.8})
    assert retrieval.r_precision(FIVE, CLASSES) == pytest.approx(0.7)
    assert retrieval.map_at_r(FIVE, CLASSES) == pytest.approx(0.65)


@pytest.mark.parametrize("size", [2, 4, 10])
def test_a_query_in_its_own_list_is_worth_one_over_its_class_size(size):
    x, y = unit(100, 16, size), torch.arange(100) // size
    order = geometry.squared_distances(x, x).argsort(1)
    flattered = []
    for row, label in zip(order, y, strict=True):
        h = (y[row] == label).int().tolist()
        flattered.append(sum(h[p - 1] * sum(h[:p]) / p for p in range(1, size + 1)) / size)
    assert min(flattered) >= 1 / size - 1e-12
    assert reference_01.mean(flattered) > retrieval.map_at_r(x, y) + 0.9 * (1 - 1 / size) / size


@QUICK
@given(st.lists(st.integers(0, 2), min_size=5, max_size=7), SEEDS)
def test_nmi_its_floor_and_ami_are_their_formulas(groups, seed):
    classes = [0, 0, 1, *labelled(len(groups) - 3, 3, seed).tolist()]
    found = retrieval.agreement(torch.tensor(groups), torch.tensor(classes))
    floor = reference_01.nmi_floor(groups, classes)
    assert found.nmi == pytest.approx(reference_01.nmi(groups, classes), abs=1e-9)
    assert found.nmi_floor == pytest.approx(floor, abs=1e-9)
    assert found.ami == pytest.approx((found.nmi - floor) / (1 - floor), abs=1e-9)
    if (clusters := len(set(groups))) > 1:  # each a place of its own, which k-means cannot miss
        images = torch.eye(3, dtype=torch.float64)[groups]
        options = {"num_clusters": clusters, "n_init": 1}
        by_means = retrieval.nmi(images, torch.tensor(classes), **options)
        assert by_means == pytest.approx((reference_01.nmi(groups, classes), floor), abs=1e-9)
        assert retrieval.ami(images, torch.tensor(classes), **options) == pytest.approx((found.ami, 0.0), abs=1e-9)


def test_one_image_of_another_class_amid_each_class_takes_all_first_places_and_little_of_map():
    members, classes = 49, 4
    corners = 0.1 * torch.eye(members, dtype=torch.float64)
    amid = corners.mean(0, keepdim=True)
    far = torch.eye(classes, dtype=torch.float64).repeat_interleave(members + 1, 0)
    x = torch.cat([torch.cat([corners, amid]).repeat(classes, 1), far], 1)
    y = torch.arange(classes).repeat_interleave(members + 1)
    y[members :: members + 1] = (torch.arange(classes) + 1) % classes
    assert torch.bincount(y).tolist() == [50] * classes
    assert retrieval.recall_at_k(x, y, ks=(1,))[1] == 0
    assert retrieval.map_at_r(x, y) == pytest.approx(0.89, abs=0.005)


def test_nmi_of_random_clusters_grows_with_the_number_of_classes_and_ami_does_not():
    floors, adjusted = [], []
    for size in (50, 10, 4):
        y = torch.arange(400) // size
        dealt = y[torch.randperm(400, generator=generator(size, "deal"))]
        found = retrieval.agreement(dealt, y)
        floors.append(found.nmi)
        adjusted.append(abs(found.ami))
    assert floors == sorted(floors)
    assert floors[-1] > 0.5
    assert max(adjusted) < 0.05


def test_one_start_of_kmeans_can_end_in_the_wrong_halves_and_ten_starts_do_not():
    corners = torch.deg2rad(torch.tensor([42.0, 138.0, 222.0, 318.0]))
    x, y = torch.stack([corners.cos(), corners.sin()], 1), torch.tensor([0, 1, 1, 0])
    single = {round(retrieval.nmi(x, y, n_init=1, seed=seed).value, 6) for seed in range(40)}
    assert single == {0.0, 1.0}
    assert {round(retrieval.nmi(x, y, seed=seed).value, 6) for seed in range(10)} == {1.0}


@QUICK
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_triplets_are_counted_by_class_sizes(sizes):
    y = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    n = sum(sizes)
    assert losses.count_triplets(y) == len(reference.triplets(y)) == sum(s * (s - 1) * (n - s) for s in sizes)


@pytest.mark.parametrize(("classes", "size"), [(2, 3), (3, 4), (40, 50)])
def test_balanced_triplets_are_n_cubed_over_c_less_two_corrections(classes, size):
    n = classes * size
    y = torch.arange(n) // size
    assert losses.count_triplets(y) == n * (size - 1) * (n - size)
    assert losses.count_triplets(y) == pytest.approx(n**3 / classes * (1 - classes / n) * (1 - 1 / classes))


@QUICK
@given(SEEDS, st.floats(0, 1))
def test_a_margin_on_cosines_is_half_of_one_on_squared_distances(seed, delta):
    x, y = unit(7, 3, seed), torch.tensor([0, 0, 0, 1, 1, 2, 2])
    cosine, apart = x @ x.T, geometry.squared_distances(x, x)
    for i, j, k in reference.triplets(y):
        gain = float(cosine[i, j] - cosine[i, k])
        torch.testing.assert_close(apart[i, k] - apart[i, j], 2 * (cosine[i, j] - cosine[i, k]))
        if abs(gain - delta) > 1e-9:
            assert (gain >= delta) == (float(apart[i, k] - apart[i, j]) >= 2 * delta)
    short = [max(delta - float(cosine[i, j] - cosine[i, k]), 0) for i, j, k in reference.triplets(y)]
    loss, violated = losses.triplet_mean(apart, y, margin=2 * delta)
    assert float(loss) == pytest.approx(2 * reference_01.mean(short), abs=1e-12)
    assert float(violated) == pytest.approx(reference_01.mean(lack > 0 for lack in short))


@QUICK
@given(SEEDS)
def test_gradients_of_an_active_triplet_are_differences_of_points_and_of_an_easy_one_zero(seed):
    x, y = unit(5, 4, seed), torch.tensor([0, 0, 0, 1, 1])
    triplets, moving = reference.triplets(y), x.clone().requires_grad_()
    for margin in (5.0, 0.2, -5.0):  # squared distances lie in [0, 4]: all are active, some, none
        loss, share = losses.triplet_mean(geometry.squared_distances(moving, moving), y, margin=margin)
        (found,) = torch.autograd.grad(loss, moving)
        expected, active = torch.zeros_like(x), 0
        for a, p, n in triplets:
            if (x[a] - x[p]).square().sum() - (x[a] - x[n]).square().sum() + margin > 0:
                active += 1
                for point, gradient in ((a, x[n] - x[p]), (p, x[p] - x[a]), (n, x[a] - x[n])):
                    expected[point] += 2 * gradient / len(triplets)
        torch.testing.assert_close(found, expected)
        assert float(share) == pytest.approx(active / len(triplets))


@pytest.mark.parametrize("name", ["triplet", "semihard"])
def test_a_collapsed_network_pays_the_margin_and_feels_no_gradient(name):
    x = FIVE[1:2].repeat(5, 1).requires_grad_()
    loss = losses.make(name, num_classes=2, embedding_size=2, margin=0.3, normalize=False)(x, CLASSES)
    loss.backward()
    assert loss.item() == pytest.approx(0.3)
    assert float(x.grad.abs().max()) < 1e-12


@QUICK
@given(SEEDS, st.integers(5, 12), st.sampled_from([0.0, 0.25, 1.0, 5.0]))
def test_kinds_of_triplets_are_those_of_the_loop_with_ties(seed, n, margin):
    # Squared distances of points of a coarse grid are integers: many triplets lie exactly on a border.
    x = torch.randint(-1, 2, (n, 2), generator=generator(seed, "grid")).double()
    y = torch.cat([torch.tensor([0, 0, 1]), labelled(n - 3, 3, seed)])
    apart = geometry.squared_distances(x, x)
    shares = losses.triplet_kinds(apart, y, margin=margin)
    total = losses.count_triplets(y)
    assert [share * total for share in shares] == pytest.approx(reference_01.kind_counts(apart, y, margin))
    assert sum(shares) == pytest.approx(1)
    if margin:
        active = losses.triplet_mean(apart, y, margin=margin)[1]
        assert shares.hard + shares.semihard == pytest.approx(float(active))


def test_the_semihard_rule_by_hand_on_the_five_points():
    apart = geometry.squared_distances(FIVE, FIVE)
    choice = {"AB": "D", "AC": "D", "BA": "D", "BC": "D", "CA": "E", "CB": "E", "DE": "A", "ED": "C"}
    terms = []
    for (i, j), k in ((map("ABCDE".index, pair), "ABCDE".index(k)) for pair, k in choice.items()):
        terms.append(max(float(apart[i, j] - apart[i, k]) + 0.5, 0.0))
    assert reference_01.mean(terms) == pytest.approx(float(losses.semihard_mean(apart, CLASSES, margin=0.5)))
    assert reference.semihard_loss(apart, CLASSES, margin=0.5) == pytest.approx(reference_01.mean(terms))


BATCHES = [(n, b) for n in range(3, 8) for b in range(1, n + 1)]


@pytest.mark.parametrize(("n", "b"), BATCHES)
def test_share_chance_triplets_and_rank_in_a_batch_are_means_over_every_batch(n, b):
    batches = reference_01.batches_with_first(n, b)
    mean = reference_01.mean
    for k in range(1, n):
        nearest = set(range(1, k + 1))  # which images are the neighbors does not matter: all batches are counted
        assert theory.neighbor_share(n, b) == pytest.approx(mean(len(nearest & batch) / k for batch in batches))
        assert theory.neighbor_chance(n, b, k) == pytest.approx(mean(bool(nearest & batch) for batch in batches))
    pairs = list(itertools.permutations(range(1, n), 2))
    inside = mean(mean(set(pair) <= batch for pair in pairs) for batch in batches)
    assert theory.triplet_share(n, b) == pytest.approx(inside)
    if b > 1:
        assert theory.first_rank(n - 1, b - 1) == pytest.approx(mean(min(batch - {0}) for batch in batches))


@pytest.mark.parametrize(("classes", "n", "per_batch", "m"), [(3, 2, 2, 1), (3, 4, 2, 2), (4, 3, 3, 2), (2, 3, 2, 3)])
def test_shares_in_class_batches_are_means_over_every_batch(classes, n, per_batch, m):
    batches = reference_01.class_batches_with_first(classes, n, per_batch, m)
    own, other = theory.class_batch_shares(classes * n, n, per_batch * m, m)
    for neighbor in range(1, classes * n):
        share = reference_01.mean(neighbor in batch for batch in batches)
        assert share == pytest.approx(own if neighbor < n else other)


def test_the_samplers_hold_what_the_formulas_say():
    y = torch.arange(240) // 12
    near = 1 - torch.eye(240)
    for sampler, own, other in (
        (UniformBatches(240, 24, 3), *[theory.neighbor_share(240, 24)] * 2),
        (ClassBatches(y, 24, 4, 3), *theory.class_batch_shares(240, 12, 24, 4)),
    ):
        met = torch.zeros(240, 240)
        epochs = 60
        for batch in itertools.chain(*(sampler.batches(epoch) for epoch in range(epochs))):
            met[batch[:, None], batch] += 1 / epochs
        same = (y[:, None] == y) & near.bool()
        assert float(met[same].mean()) == pytest.approx(own, abs=0.008)
        assert float(met[y[:, None] != y].mean()) == pytest.approx(other, abs=0.002)


@QUICK
@given(st.integers(2, 3000), st.integers(1, 60), st.data())
def test_the_chance_is_hypergeometric_and_its_first_case_the_share(n, k, data):
    from scipy.stats import hypergeom

    k, b = min(k, n - 1), data.draw(st.integers(1, n))
    chance = theory.neighbor_chance(n, b, k)
    assert chance == pytest.approx(1 - float(hypergeom.pmf(0, n - 1, k, b - 1)), abs=1e-9)
    assert theory.neighbor_chance(n, b) == pytest.approx(theory.neighbor_share(n, b))
    assert chance <= min(1.0, k * theory.neighbor_share(n, b)) + 1e-12


@pytest.mark.parametrize(("beta", "k"), [(0.5, 1), (0.1, 10), (0.25, 3)])
def test_the_chance_tends_to_one_minus_a_power(beta, k):
    limit = 1 - (1 - beta) ** k
    errors = [abs(theory.neighbor_chance(n, round(beta * n), k) - limit) for n in (100, 1000, 10_000)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 2e-3


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.neighbor_share(1, 1), "neighbor_share: images must be an integer >= 2; got 1"),
        (lambda: theory.neighbor_share(5, 6), "neighbor_share: batch_size must be an integer >= 1 and <= 5; got 6"),
        (lambda: theory.neighbor_chance(5, 2, 5), "neighbor_chance: neighbors must be .* <= 4; got 5"),
        (lambda: theory.triplet_share(2, 2), "triplet_share: images must be an integer >= 3; got 2"),
        (lambda: theory.first_rank(3, 4), "first_rank: drawn must be an integer >= 1 and <= 3; got 4"),
        (
            lambda: theory.class_batch_shares(10, 3, 4, 2),
            "be whole classes and groups; got 10 images in classes of 3",
        ),
        (lambda: theory.class_batch_shares(8, 4, 5, 2), "be whole classes and groups; got .* 5 in groups of 2"),
        (lambda: theory.class_batch_shares(4, 4, 2, 2), "class_size must be an integer >= 2 and <= 2; got 4"),
        (lambda: losses.triplet_kinds(torch.ones(2, 2), torch.tensor([0, 1])), "triplet_kinds: labels must hold two"),
        (lambda: losses.triplet_kinds(torch.ones(2, 3), torch.tensor([0, 1])), "triplet_kinds: distances must be"),
        (lambda: losses.triplet_kinds(torch.eye(2), torch.tensor([0, 0, 1])), "got 3 labels for 2 rows"),
        (lambda: losses.triplet_kinds(torch.eye(2), torch.tensor([0, 0]), margin=-1), "margin must be .* >= 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
