"""What ranking stands on: sums whose order is fixed, points on a grid, a set in the order of its classes."""

import math
from fractions import Fraction

import pytest
import torch

from dmlbook.retrieval.exact import GRID, METRICS, Sorted, check_set, grid_points, sort_by_class, sum_in_fixed_order
from dmlbook.seeding import generator


def drawn(n=12, dimension=5, seed=0):
    return torch.randn(n, dimension, generator=generator(seed, "exact"), dtype=torch.float64)


@pytest.mark.parametrize("columns", [1, 2, 3, 7, 8, 64, 100])
def test_a_sum_by_halving_is_the_same_in_every_block_and_right(columns):
    terms = drawn(9, columns)
    sums = sum_in_fixed_order(terms)
    assert sums.tolist() == pytest.approx([math.fsum(row) for row in terms.tolist()], abs=1e-12)
    assert sums.tolist() == [float(sum_in_fixed_order(row[None])) for row in terms]


def test_a_sum_of_four_adds_the_halves_and_then_the_pair():
    huge = 2.0**60
    assert sum_in_fixed_order(torch.tensor([[huge, 1.0, -huge, 1.0]], dtype=torch.float64)).tolist() == [2.0]
    assert sum_in_fixed_order(torch.tensor([[huge, -huge, 1.0, 1.0]], dtype=torch.float64)).tolist() == [0.0]


@pytest.mark.parametrize("metric", METRICS)
def test_points_on_the_grid_are_multiples_of_its_step_within_the_unit_ball(metric):
    points = grid_points(7.3 * drawn(), metric)
    assert (points * GRID == (points * GRID).round()).all()
    assert points.norm(dim=1).max() <= 1 + 1e-7
    rows = [[Fraction(value) for value in row] for row in points.tolist()]
    exact = [[float(sum((a - b) ** 2 for a, b in zip(u, v, strict=True))) for v in rows] for u in rows]
    lengths = (points * points).sum(1)
    found = lengths[:, None] + lengths - 2 * points @ points.T
    assert found.tolist() == exact  # no rounding at all


def test_the_grid_keeps_directions_for_cosines_and_proportions_for_distances():
    x = drawn()
    unit = x / x.norm(dim=1, keepdim=True)
    torch.testing.assert_close(grid_points(1e30 * x, "cosine"), unit, rtol=0, atol=1 / GRID)
    points, apart = grid_points(1e30 * x + 1e29, "euclidean"), torch.cdist(x, x)
    ratio = torch.cdist(points, points) / apart.fill_diagonal_(1.0)
    off = ~torch.eye(len(x), dtype=torch.bool)
    torch.testing.assert_close(ratio[off], ratio[0, 1].expand(off.sum()), rtol=1e-5, atol=0)


def test_a_sorted_set_has_small_classes_first_and_minus_squared_distances():
    x, labels = drawn(7), torch.tensor([7, -1, 7, 3, 7, -1, 9])
    prepared = sort_by_class(x, labels, "cosine", 2)
    assert isinstance(prepared, Sorted)
    assert (len(prepared), prepared.classes.tolist(), prepared.sizes.tolist()) == (
        7,
        [0, 1, 2, 2, 3, 3, 3],
        [1, 1, 2, 3],
    )
    assert prepared.queries == slice(2, 7)  # the lone images of classes 3 and 9 are searched and do not ask
    order = [3, 6, 1, 5, 0, 2, 4]
    points = grid_points(x, "cosine")[order]
    expected = -(points[:, None] - points).square().sum(-1)
    torch.testing.assert_close(prepared.left @ prepared.right.T, expected, rtol=0, atol=1e-12)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("x", "labels", "options", "message"),
    [
        (torch.ones(3, 2), torch.tensor([0, 1, 2]), {}, "labels must name some class twice; got 3 images of 3 classes"),
        (torch.ones(3, 0), torch.zeros(3).long(), {}, r"embeddings must have a dimension; got shape \(N, 0\)"),
        (
            torch.tensor([[1.0], [math.inf]]),
            torch.zeros(2).long(),
            {},
            "embeddings must be finite; .* first at index 1",
        ),
        (torch.ones(2, 2), torch.zeros(2).long(), {"metric": "cos"}, "metric must be one of .* Did you mean 'cosine'"),
        (torch.ones(2, 2), torch.zeros(2).long(), {"block": 0}, "block must be an integer >= 1; got 0"),
    ],
)
def test_a_set_that_cannot_be_ranked_is_refused(x, labels, options, message):
    with pytest.raises(ValueError, match=f"^check_set: {message}"):
        check_set(x, labels, **options)
