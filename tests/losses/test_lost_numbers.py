"""NaN is never counted, ranked or chosen by: functions that return such things refuse it, and formulas pass it on."""

import math

import pytest
import torch

from dmlbook import geometry, losses
from dmlbook.chapters.ch06 import pairs
from dmlbook.losses.facility_location import loss_augmented_medoids
from dmlbook.losses.mined import joined_mean, lost_distance
from tests.losses.loss_toys import CLASSES, batch, build

X, Y = batch(4)
SQUARE, WIDE = geometry.distances(X, X), X[:, :CLASSES].abs()
CENTERS = build("softtriple").centers.detach().contiguous()


@pytest.mark.bad_input
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("count", "table", "name"),
    [
        (lambda t: losses.triplet_kinds(t, Y), SQUARE, "distances"),
        (lambda t: loss_augmented_medoids(t, Y), SQUARE, "distances"),
        (lambda t: losses.assigned_centers(t, Y, CENTERS), X, "embeddings"),
        (lambda t: losses.assigned_centers(X, Y, t), CENTERS, "centers"),
        (lambda t: losses.distinct_centers(t), CENTERS, "centers"),
        (lambda t: pairs.used_pairs(build("triplet"), t, Y), X, "embeddings"),
    ],
)
def test_what_counts_or_chooses_refuses_what_is_not_finite(count, table, name, bad):
    count(table)
    lost = table.clone()
    lost.flatten()[7] = bad
    message = f"{name} must be finite; got 1 of {table.numel()} entries that are not. Look where they come from"
    with pytest.raises(ValueError, match=message):
        count(lost)


@pytest.mark.bad_input
def test_the_report_of_a_diverged_loss_says_so():
    loss = build("softtriple")
    with torch.no_grad():
        loss.weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="centers must be finite"):
        loss.report()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_lost_distance_is_enough(dtype):
    table = torch.zeros(2, 2, dtype=dtype)
    assert lost_distance(table) == 0
    table[1, 0] = math.nan
    assert lost_distance(table).isnan()
    assert lost_distance(table).dtype == dtype


def joined(table, labels):
    found = [end for mask in losses.pair_masks(labels) for end in mask.nonzero().T]
    return joined_mean(table, *found, margin=0.5)


@pytest.mark.parametrize(
    ("formula", "table"),
    [
        (losses.triplet_mean, SQUARE),
        (losses.semihard_mean, SQUARE),
        (losses.triplet_sum, SQUARE),
        (losses.lifted_mean, SQUARE),
        (losses.clustering_gap, SQUARE),
        (joined, SQUARE),
        (losses.margin_cross_entropy, WIDE),
        (losses.proxy_nca_mean, WIDE),
        (losses.proxy_anchor_loss, WIDE),
        (losses.triplet_center_mean, WIDE),
        (losses.centroid_bound_sum, WIDE),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_formula_passes_on_that_a_pair_is_lost_wherever_it_stands(formula, table):
    for i in range(table.shape[0]):
        for j in range(table.shape[1]):
            if table is SQUARE and i == j:
                continue  # no pair
            lost = table.clone()
            lost[i, j] = math.nan
            values = formula(lost, Y)
            values = values if isinstance(values, tuple) else (values,)
            assert all(value.isnan() for value in values), (i, j)
