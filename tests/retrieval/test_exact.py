"""What ranking stands on: sums whose order is fixed, distances without rounding, a set in its classes' order."""

import math
from fractions import Fraction

import pytest
import torch

from dmlbook.retrieval.exact import METRICS, Sorted, check_set, exact_points, sort_by_class, sum_in_fixed_order
from dmlbook.seeding import generator
from tests.retrieval.reference_retrieval import squared_distances


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


def rational_distances(points):
    """Squared distances of all pairs without rounding, by the definition."""
    return squared_distances([[Fraction(value) for value in row] for row in points.tolist()])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimension", [1, 2, 5, 64])
def test_settled_similarities_are_the_true_ones_rounded_once(metric, dimension):
    x = drawn(9, dimension) * 10.0 ** torch.arange(-12, 6, 2)[:, None]
    x[7], x[8] = x[0], 3 * x[1]
    prepared = sort_by_class(x, torch.tensor([4, 2, 4, 2, 0, 1, 0, 1, 3]), metric, 1)
    everything = torch.arange(9)
    exact = [[-float(d) for d in row] for row in rational_distances(prepared.points)]
    found = prepared.settled(everything, everything)
    assert found.tolist() == exact
    assert (found == found.T).all()
    for i in range(9):  # the same numbers, whatever else is in the block, and however many digits that needs
        assert prepared.settled(everything[i : i + 1], everything[::2]).tolist() == found[i : i + 1, ::2].tolist()


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("dimension", [1, 5, 300])
def test_quick_similarities_err_by_less_than_half_of_the_slack(dimension, offset):
    x = drawn(40, dimension) + offset
    x[-1] *= 1e6
    prepared = sort_by_class(x, torch.arange(40) % 5, "euclidean", 1)
    everything = slice(None)
    exact, quick = prepared.settled(*[torch.arange(40)] * 2), prepared.similarities(everything, everything)
    slack = torch.stack([prepared.slack(column, everything) for column in exact.T], 1)
    assert ((quick - exact).abs() < slack / 2).all()
    assert slack.max() < 1e-9  # and it is small: all lie within the unit cube


@pytest.mark.parametrize("order", [[2, 0, 1, 4, 3], [4, 3, 2, 1, 0]])
def test_coordinates_in_another_order_have_the_same_length(order):
    x = drawn(200)
    assert (exact_points(x, "cosine")[:, order] == exact_points(x[:, order], "cosine")).all()


def test_points_for_cosines_are_unit_vectors_and_those_for_distances_keep_every_digit():
    x = drawn()
    unit = x / x.norm(dim=1, keepdim=True)
    for scale in (1e-300, 1.0, 1e300):
        torch.testing.assert_close(exact_points(scale * x, "cosine"), unit, rtol=1e-15, atol=1e-15)
    points = exact_points(x, "euclidean")
    assert 0.25 < points.abs().max() < 1
    assert torch.equal(x / points, torch.full_like(x, float((x / points)[0, 0])))
    assert math.frexp(float((x / points)[0, 0]))[0] == 0.5  # a power of two
    assert exact_points(torch.tensor([[1.7e308], [-1.7e308]], dtype=torch.float64), "euclidean").abs().max() < 1
    assert exact_points(torch.tensor([[5e-324]], dtype=torch.float64), "euclidean").tolist() == [[0.5]]
    assert exact_points(torch.zeros(3, 2), "euclidean").tolist() == [[0.0, 0.0]] * 3


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
    points = exact_points(x, "cosine")[order]
    expected = -(points[:, None] - points).square().sum(-1)
    assert torch.equal(prepared.points, points)
    for found in (prepared.similarities(slice(None), slice(None)), prepared.settled(*[torch.arange(7)] * 2)):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


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
