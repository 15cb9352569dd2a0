"""Distances that are right at zero, and point sets that are as far apart as they claim."""

import math

import pytest
import torch
from torch.testing import assert_close

from dmlbook import geometry
from dmlbook.seeding import generator
from tests import reference


def points(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed, "points"), dtype=dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_distances_equal_their_loop(dtype, tolerance):
    a, b = points(30, 5, dtype=dtype), points(40, 5, seed=1, dtype=dtype)
    expected = torch.tensor([[reference.distance(u, v) for v in b.tolist()] for u in a.tolist()], dtype=dtype)
    assert_close(geometry.distances(a, b), expected, rtol=tolerance, atol=tolerance)
    assert_close(geometry.squared_distances(a, b), expected.square(), rtol=tolerance, atol=tolerance)
    angles = [[reference.dot(reference.unit(u), reference.unit(v)) for v in b.tolist()] for u in a.tolist()]
    assert_close(geometry.cosines(a, b), torch.tensor(angles, dtype=dtype), rtol=tolerance, atol=tolerance)


def test_a_point_is_at_distance_zero_of_itself_with_a_finite_gradient():
    """torch.cdist alone says 1e-3 here, once there are more than 25 rows."""
    x = points(60, 64, dtype=torch.float32).requires_grad_()
    apart = geometry.distances(x, x)
    assert (apart.diagonal() == 0).all()
    (gradient,) = torch.autograd.grad(apart.sum(), x)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 1


def test_rounding_leaves_no_squared_distance_below_zero():
    x = points(60, 64, dtype=torch.float32)
    lengths = x.square().sum(1)
    assert (lengths[:, None] + lengths - 2 * x @ x.T).min() < 0  # what is cut off
    assert geometry.squared_distances(x, x).min() == 0


@pytest.mark.parametrize(("classes", "dimension"), [(2, 1), (3, 2), (5, 4), (5, 9), (100, 99)])
def test_simplex_is_regular_and_unit(classes, dimension):
    gram = geometry.simplex(classes, dimension).double()
    gram = gram @ gram.T
    expected = torch.full((classes, classes), -1 / (classes - 1), dtype=torch.float64).fill_diagonal_(1.0)
    assert_close(gram, expected, rtol=0, atol=1e-6)


def test_no_unit_vectors_are_farther_apart_than_the_simplex():
    """Ascent on the smallest distance from many starts never passes sqrt(2 C / (C - 1))."""
    limit = math.sqrt(2 * 4 / 3)
    best = 0.0
    for seed in range(2):
        x = points(4, 3, seed=seed).requires_grad_()
        optimizer = torch.optim.Adam([x], lr=0.1)
        for _ in range(150):
            unit = geometry.normalize(x)
            apart = geometry.distances(unit, unit)[torch.triu_indices(4, 4, 1).unbind()]
            optimizer.zero_grad()
            (apart * -20).exp().sum().log().backward()
            optimizer.step()
            assert apart.min() <= limit + 1e-9
        best = max(best, float(apart.min().detach()))
    assert best > limit - 0.01


@pytest.mark.parametrize("dimension", [4, 6])
def test_one_hot_vectors_are_sqrt_two_apart(dimension):
    x = geometry.one_hot(4, dimension)
    assert x.shape == (4, dimension)
    apart = geometry.distances(x, x)[torch.triu_indices(4, 4, 1).unbind()]
    assert_close(apart, torch.full((6,), math.sqrt(2)))


def test_kmeans_centers_are_unit_repeatable_and_better_spread_than_random_points():
    x = geometry.kmeans_on_sphere(20, 8, generator=generator(1))
    assert_close(x, geometry.kmeans_on_sphere(20, 8, generator=generator(1)), rtol=0, atol=1e-6)
    assert_close(x.norm(dim=1), torch.ones(20))

    def nearest(y):
        return geometry.cosines(y, y).fill_diagonal_(-1).amax().item()

    random = [nearest(geometry.normalize(points(20, 8, seed=s))) for s in range(20)]
    assert nearest(x) < min(random)


def test_many_centers_are_spread_as_well_by_the_quick_way(monkeypatch):
    def spread(x):  # mean distance of each to the nearest other one
        return geometry.distances(x, x).fill_diagonal_(9).amin(1).mean().item()

    slow = spread(geometry.kmeans_on_sphere(60, 8, generator=generator(1)))
    monkeypatch.setattr(geometry, "QUICK_FROM", 50)
    quick = spread(geometry.kmeans_on_sphere(60, 8, generator=generator(1)))
    random = spread(geometry.normalize(points(60, 8, seed=1)))
    assert quick != slow
    assert quick - random > 0.9 * (slow - random) > 0.05


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: geometry.distances(torch.ones(2, 3), torch.ones(2, 4)), "right must have the dimension of left"),
        (lambda: geometry.cosines(torch.ones(2), torch.ones(2, 4)), r"left must be a tensor of shape \(N, D\)"),
        (lambda: geometry.simplex(1, 3), "num_classes must be an integer >= 2; got 1"),
        (lambda: geometry.one_hot(3, 2), "dimension must be at least num_classes = 3; got 2"),
        (lambda: geometry.kmeans_on_sphere(3, 2, points_per_class=1), "points_per_class must be an integer >= 2"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.bad_input
@pytest.mark.parametrize("measure", [geometry.cosines, geometry.squared_distances, geometry.distances])
def test_two_precisions_are_not_mixed(measure):
    with pytest.raises(ValueError, match="right must be torch.float64 as left is; got torch.float32"):
        measure(torch.ones(2, 3, dtype=torch.float64), torch.ones(2, 3))


@pytest.mark.bad_input
def test_points_beyond_memory_are_refused():
    for call in (
        lambda: geometry.one_hot(3, 10**12),
        lambda: geometry.simplex(3, 10**12),
        lambda: geometry.kmeans_on_sphere(3, 10**12),
    ):
        with pytest.raises(ValueError, match="dimension must make a table that fits into memory; got 1e.12"):
            call()
