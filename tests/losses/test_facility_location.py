"""The clustering loss: its medoids against loops and against every set there is."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score
from torch.testing import assert_close

from dmlbook import geometry, losses
from dmlbook.losses.facility_location import facility_score, loss_augmented_medoids
from dmlbook.seeding import generator
from tests import reference
from tests.losses.loss_toys import build


def problem(seed, size=10, classes=3):
    numbers = generator(seed, "clusters")
    x = geometry.normalize(torch.randn(size, 4, generator=numbers, dtype=torch.float64))
    y = torch.randint(classes, (size,), generator=numbers)
    return geometry.distances(x, x), y


def best_of_all_sets(apart, y, weight):
    d, labels = reference.rows(apart), y.tolist()
    sets = itertools.combinations(range(len(labels)), len(set(labels)))
    return max(reference.augmented_score(d, labels, list(chosen), weight=weight) for chosen in sets)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("weight", [0.0, 1.0, 10.0, 1000.0])
@pytest.mark.parametrize("rounds", [0, 5])
def test_medoids_are_those_that_loops_find(seed, weight, rounds):
    apart, y = problem(seed)
    found = loss_augmented_medoids(apart, y, margin_weight=weight, rounds=rounds).tolist()
    assert found == reference.loss_augmented_medoids(apart, y, weight=weight, rounds=rounds)
    loss = losses.clustering_gap(apart, y, margin_weight=weight, rounds=rounds)
    expected = reference.clustering_loss(apart, y, weight=weight, rounds=rounds)
    assert_close(loss, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-10)


def test_the_search_never_beats_the_best_set_and_local_search_finds_it_more_often():
    found = {0: 0, 5: 0}
    for seed in range(30):
        apart, y = problem(seed)
        best = best_of_all_sets(apart, y, 10.0)
        for rounds in found:
            medoids = loss_augmented_medoids(apart, y, margin_weight=10.0, rounds=rounds).tolist()
            score = reference.augmented_score(reference.rows(apart), y.tolist(), medoids, weight=10.0)
            assert score <= best + 1e-9
            found[rounds] += score > best - 1e-9
    assert 0 < found[0] < found[5] < 30


def test_with_the_best_set_the_loss_needs_no_hinge():
    """The classes' own medoids are one of the sets, and their margin is at least 0."""
    for seed in range(10):
        apart, y = problem(seed)
        d, labels = reference.rows(apart), y.tolist()
        own = 0.0
        for label in set(labels):
            members = [i for i, other in enumerate(labels) if other == label]
            own += max(-sum(d[i][j] for i in members) for j in members)
        assert best_of_all_sets(apart, y, 2.0) >= own


def test_a_margin_matters_only_where_it_weighs_as_much_as_the_distances():
    apart, y = problem(1, size=40, classes=5)
    plain, small, large = (
        loss_augmented_medoids(apart, y, margin_weight=weight).tolist() for weight in (0.0, 1e-3, 40.0)
    )
    assert plain == small
    assert large != plain


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=2, max_size=12))
def test_nmi_is_scikit_learns_geometric_one(pairs):
    from dmlbook.losses.facility_location import _agreement

    clusters, classes = (torch.unique(torch.tensor(each), return_inverse=True)[1] for each in zip(*pairs, strict=True))
    if clusters.max() > classes.max():  # the loss never has more clusters than classes, but NMI is symmetric
        clusters, classes = classes, clusters
    ours = float(_agreement(clusters[None], classes)[0])
    theirs = normalized_mutual_info_score(classes, clusters, average_method="geometric")
    assert ours == pytest.approx(theirs, abs=1e-7)
    assert ours == pytest.approx(reference.nmi(clusters.tolist(), classes.tolist()), abs=1e-7)


def test_the_score_counts_each_image_at_its_closest_medoid():
    apart = torch.tensor([[0.0, 1.0, 4.0], [1.0, 0.0, 3.0], [4.0, 3.0, 0.0]])
    assert float(facility_score(apart, torch.tensor([1]))) == -4.0
    assert float(facility_score(apart, torch.tensor([1, 2]))) == -1.0


def test_a_class_is_judged_by_its_own_best_member_though_a_stranger_lies_in_its_middle():
    points = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.0, 0.0], [0.2, 5.0]]).double()
    apart, y = geometry.distances(points, points), torch.tensor([0, 0, 0, 0, 1, 1])
    loss = losses.clustering_gap(apart, y, margin_weight=9.0)
    assert float(loss) == pytest.approx(reference.clustering_loss(apart, y, weight=9.0, rounds=5))


def test_one_class_and_all_classes_lone_lose_nothing():
    apart, _ = problem(3)
    assert float(losses.clustering_gap(apart, torch.zeros(10, dtype=torch.long))) == pytest.approx(0, abs=1e-12)
    assert float(losses.clustering_gap(apart, torch.arange(10))) == pytest.approx(0, abs=1e-7)


def test_the_gradient_pulls_to_the_own_medoid_and_pushes_from_the_wrong_one():
    x = geometry.normalize(torch.tensor([[1.0, 0.1], [1.0, -0.2], [0.9, 0.6], [-0.1, 1.0]], dtype=torch.float64))
    y = torch.tensor([0, 0, 1, 1])  # image 2 stands by the other class
    x.requires_grad_()
    apart = geometry.distances(x, x)
    medoids = loss_augmented_medoids(apart, y, margin_weight=4.0).tolist()
    (gradient,) = torch.autograd.grad(losses.clustering_gap(apart, y, margin_weight=4.0), x)
    assert medoids in ([2, 3], [3, 2], [0, 3], [3, 0])
    own = x[3] - x[2]
    assert (-gradient[2] @ own.detach()) > 0  # a step along minus the gradient brings it to its class's other image


def test_the_loss_is_the_gap_over_the_number_of_images():
    _, y = problem(5)
    loss = build("clustering", margin_weight=0.7)
    x = torch.randn(10, 6, generator=generator(5, "x"), dtype=torch.float64)
    unit = geometry.normalize(x)
    expected = losses.clustering_gap(geometry.distances(unit, unit), y, margin_weight=7.0) / 10
    assert_close(loss(x, y), expected, rtol=0, atol=1e-12)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d, y: losses.clustering_gap(d[:, :4], y), "clustering_gap: distances must"),
        (lambda d, y: losses.clustering_gap(d, y, margin_weight=-1.0), "margin_weight must be a finite number >= 0"),
        (lambda d, y: loss_augmented_medoids(d, y, rounds=-1), "rounds must be an integer >= 0; got -1"),
        (lambda d, y: loss_augmented_medoids(d, y[:4]), "loss_augmented_medoids: labels must"),
        (lambda d, y: facility_score(d[0], y), "facility_score: distances must"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*problem(0))
