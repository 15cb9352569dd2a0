"""The centroid bound is a bound: by brute force, by drawn batches, and against a search for a counter-example."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from dmlbook import geometry, losses
from dmlbook.losses.centroid_bound import own_and_others
from dmlbook.seeding import generator
from tests import reference

DRAWN = {"max_examples": 60, "deadline": None, "derandomize": True}


def points(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed, "points"), dtype=torch.float64)


def bound_sum(x, y, c):
    return losses.centroid_bound_sum(geometry.distances(x, c), y)


@st.composite
def problems(draw):
    """Embeddings on a coarse grid, so that many coincide, labels of any sizes, and any centroids."""
    classes = draw(st.integers(2, 4))
    y = draw(st.lists(st.integers(0, classes - 1), min_size=2, max_size=9))
    grid = st.floats(-3, 3, allow_nan=False).map(lambda v: round(v * 2) / 2)
    size = draw(st.integers(1, 3))
    numbers = draw(st.lists(grid, min_size=(len(y) + classes) * size, max_size=(len(y) + classes) * size))
    both = torch.tensor(numbers, dtype=torch.float64).view(-1, size)
    return both[: len(y)], torch.tensor(y), both[len(y) :]


@settings(**DRAWN)
@given(problems())
def test_bound_is_never_below_the_triplet_loss_for_classes_of_any_sizes(problem):
    x, y, c = problem
    bound = bound_sum(x, y, c)
    assert bound >= reference.linear_triplet_sum(x, y) - 1e-9
    assert_close(float(bound), reference.centroid_bound_sum(x, y, c), rtol=0, atol=1e-9)


@settings(**DRAWN)
@given(st.integers(2, 4), st.integers(2, 4), st.integers(0, 1000))
def test_balanced_mean_of_the_terms_is_the_papers_form_and_a_bound(classes, per_class, seed):
    y = torch.arange(classes).repeat_interleave(per_class)
    x, c = points(len(y), 3, seed=seed), points(classes, 3, seed=seed + 1)
    apart = geometry.distances(x, c)
    own = apart.gather(1, y[:, None])[:, 0]
    others = apart.sum(1) - own
    g = 3 * (classes - 1) * (per_class - 1) * per_class
    papers = g * (own - others / (3 * (classes - 1))).sum()
    assert_close(losses.centroid_bound_sum(apart, y), papers, rtol=1e-12, atol=1e-9)
    count = losses.count_triplets(y)
    assert_close(losses.centroid_terms(apart, y).mean(), papers / count, rtol=1e-12, atol=1e-12)
    assert papers >= reference.linear_triplet_sum(x, y) - 1e-9


@pytest.mark.parametrize("sizes", [(2, 2), (2, 5, 3), (7, 2, 2, 2)])
def test_class_balanced_weights_keep_the_bound_for_unbalanced_classes(sizes):
    y = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    loss = losses.CentroidBound(
        num_classes=len(sizes), embedding_size=4, class_counts=torch.tensor(sizes), generator=generator(1)
    ).double()
    for seed in range(20):
        x = geometry.normalize(points(len(y), 4, seed=seed))
        truth, bound = reference.balanced_triplet_means(x, y, loss.centroids)
        assert_close(float(loss(x, y)), bound, rtol=0, atol=1e-7)  # class weights are kept in float32
        assert bound >= truth - 1e-12
        by_loop = reference.centroid_bound_loss(x, y, loss.centroids, list(sizes))
        assert_close(float(loss(x, y)), by_loop, rtol=0, atol=1e-7)


@pytest.mark.parametrize("sizes", [(2, 2), (3, 3, 3), (2, 4, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_gradient_search_finds_no_counter_example(sizes, seed):
    """Descend on bound - truth over embeddings and centroids together: it comes near 0 and never below."""
    y = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    x = points(len(y), 2, seed=seed).requires_grad_()
    c = points(len(sizes), 2, seed=seed + 50).requires_grad_()
    count = losses.count_triplets(y)
    optimizer = torch.optim.Adam([x, c], lr=0.05)
    first = None
    for _ in range(300):
        truth, _ = losses.triplet_mean(geometry.distances(x, x), y, hinge=False)
        gap = bound_sum(x, y, c) / count - truth
        assert gap >= -1e-12
        first = float(gap.detach()) if first is None else first
        optimizer.zero_grad()
        gap.backward()
        optimizer.step()
    assert gap < 0.25 * first


def test_bound_is_reached_where_every_class_has_collapsed_to_its_centroid():
    c = points(3, 4)
    y = torch.arange(3).repeat_interleave(3)
    truth = torch.tensor(reference.linear_triplet_sum(c[y], y), dtype=torch.float64)
    assert truth < -1
    assert_close(bound_sum(c[y], y, c), truth, rtol=0, atol=1e-9)


def test_squared_distances_with_the_same_constants_are_no_bound():
    """What both public re-implementations compute, on four points of a line."""
    x = torch.tensor([[1 / 6], [1 / 6], [5 / 6], [5 / 6]], dtype=torch.float64)
    y, c = torch.tensor([0, 0, 1, 1]), torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    apart = geometry.distances(x, c).square()
    own = apart.gather(1, y[:, None])[:, 0]
    g = 3 * (2 - 1) * (2 - 1) * 2
    squared = g * (own - (apart.sum(1) - own) / 3).sum()
    truth = sum((x[i] - x[j]).square().item() - (x[i] - x[k]).square().item() for i, j, k in reference.triplets(y))
    assert truth == pytest.approx(-3.556, abs=1e-3)
    assert float(squared) == pytest.approx(-4.889, abs=1e-3)
    assert bound_sum(x, y, c) >= reference.linear_triplet_sum(x, y)


def test_the_gap_is_at_most_two_eps_a_triplet():
    y = torch.arange(4).repeat_interleave(3)
    for seed in range(10):
        c = points(4, 5, seed=seed)
        noise = points(12, 5, seed=seed + 99)
        x = c[y] + 0.2 * geometry.normalize(noise)
        gap = bound_sum(x, y, c) - reference.linear_triplet_sum(x, y)
        assert 0 <= gap <= 2 * 0.4 * losses.count_triplets(y)  # every d_i is below eps / 2 = 0.2


def test_centroids_are_buffers_that_travel_with_the_loss():
    loss = losses.CentroidBound(num_classes=4, embedding_size=6, centroids="simplex")
    assert list(loss.parameters()) == []
    assert {"centroids", "class_weights"} <= set(loss.state_dict())
    other = losses.CentroidBound(num_classes=4, embedding_size=6, centroids="one_hot")
    other.load_state_dict(loss.state_dict())
    assert_close(other.centroids, loss.centroids, rtol=0, atol=0)


def test_own_and_others_take_apart_what_an_image_is_distant_from():
    apart = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    own, others = own_and_others(apart, torch.tensor([2, 0]))
    assert own.tolist() == [3.0, 4.0]
    assert others.tolist() == [[1.0, 2.0, 0.0], [0.0, 5.0, 6.0]]
    assert apart[0, 2] == 3.0, "the distances stay as they were"


def test_drawn_centroids_are_the_generators():
    def draw(seed):
        return losses.CentroidBound(num_classes=4, embedding_size=6, generator=generator(seed)).centroids

    assert_close(draw(1), draw(1), rtol=0, atol=1e-6)
    assert (draw(1) - draw(2)).abs().max() > 0.1


def test_descent_collapses_embeddings_onto_their_centroids():
    loss = losses.CentroidBound(num_classes=3, embedding_size=4, centroids="simplex")
    x = torch.randn(30, 4, generator=generator(3)).requires_grad_()
    y = torch.arange(30) % 3
    optimizer = torch.optim.SGD([x], lr=5.0)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 5.0 * (1 - step / 300)
        optimizer.zero_grad()
        loss(x, y).backward()
        optimizer.step()
    assert_close(geometry.normalize(x.detach()), loss.centroids[y], rtol=0, atol=0.02)
    assert loss(x, y).item() == pytest.approx(-(3**0.5), abs=0.05)  # minus the simplex's distance sqrt(2 C / (C - 1))


@pytest.mark.bad_input
def test_bad_input_is_named():
    with pytest.raises(ValueError, match="distances must have 2 columns or more; got 1. One class has no negatives"):
        losses.centroid_terms(torch.ones(3, 1), torch.zeros(3).long())
    with pytest.raises(ValueError, match=r"centroid_bound_sum: labels must lie in 0..1; got 0..2"):
        losses.centroid_bound_sum(torch.ones(3, 2), torch.arange(3))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("simplex", 98, "simplex: dimension must be at least num_classes - 1 = 99; got 98. Raise the dimension, or"),
        ("one_hot", 99, "one_hot: dimension must be at least num_classes = 100; got 99. Raise the dimension, or"),
    ],
)
def test_centroids_that_need_more_dimensions_say_so(kind, size, message):
    with pytest.raises(ValueError, match=message):
        losses.make("centroid_bound", num_classes=100, embedding_size=size, centroids=kind)
