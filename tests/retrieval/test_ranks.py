"""The pieces of the measures: chances over the orders of a tie, by listing the orders."""

import inspect
import itertools
import math

import pytest
import torch

from dmlbook import retrieval
from dmlbook.retrieval import ranking, ranks
from dmlbook.retrieval.exact import sort_by_class
from dmlbook.retrieval.ranking import BLOCK, check_ks, expected_recall, precision, precision_of_rows
from dmlbook.seeding import generator
from tests.retrieval.reference_retrieval import (
    map_at_r_of_ranking,
    mean_over_queries,
    r_precision_of_ranking,
    squared_distances,
)


@pytest.mark.parametrize("better", [0, 1, 3])
@pytest.mark.parametrize(("tied", "matches"), [(1, 1), (3, 1), (4, 2), (5, 4)])
def test_the_chance_of_a_match_among_the_first_is_its_share_of_all_orders(better, tied, matches):
    for k in range(1, better + tied + 2):
        orders = list(itertools.permutations([True] * matches + [False] * (tied - matches)))
        hits = sum(any(([False] * better + list(order))[:k]) for order in orders)
        assert expected_recall(better, matches, tied, k) == pytest.approx(hits / len(orders), abs=1e-12)


@pytest.mark.parametrize(
    ("own", "others"),
    [([0.9, 0.5], [0.7, 0.1]), ([0.5, 0.5], [0.5, 0.2]), ([0.3, 0.3, 0.1], [0.3, 0.3, 0.9]), ([0.1], [0.4, 0.3])],
)
def test_the_precisions_of_a_row_are_their_means_over_the_orders_of_its_ties(own, others):
    marked = [(s, True) for s in own] + [(s, False) for s in others]
    wanted = []
    for order in itertools.permutations(marked):
        hits = [match for _, match in sorted(order, key=lambda pair: -pair[0])][: len(own)]  # sorting is stable
        shares = [sum(hits[: p + 1]) / (p + 1) if hits[p] else 0.0 for p in range(len(own))]
        wanted.append((sum(hits) / len(own), sum(shares) / len(own)))
    top = sorted((s for s, _ in marked), reverse=True)
    cut = top[len(own) - 1] == (top[len(own)] if len(top) > len(own) else None)
    tied_last = torch.tensor([top.count(top[len(own) - 1]) if cut else 0])
    row = [torch.tensor([values], dtype=torch.float64) for values in (sorted(own, reverse=True), top[: len(own)])]
    found = [float(value) for value in precision_of_rows(*row, tied_last)]
    assert found == pytest.approx([math.fsum(column) / len(wanted) for column in zip(*wanted, strict=True)], abs=1e-12)


@pytest.mark.parametrize("block", [1, 2, 100])
def test_the_precision_of_a_set_is_the_mean_of_its_queries(block):
    x, labels = torch.tensor([[0.0], [1.0], [2.0], [4.0], [4.0], [9.0]]), [0, 0, 1, 0, 1, 0]
    prepared = sort_by_class(x, torch.tensor(labels), "euclidean", block)
    distances = squared_distances(x.tolist())
    measures = (r_precision_of_ranking, map_at_r_of_ranking)
    expected = [mean_over_queries(distances, labels, measure) for measure in measures]
    assert precision(prepared, block) == pytest.approx(expected, abs=1e-12)
    assert 0.1 < expected[1] < expected[0] < 0.9


def test_every_measure_takes_the_same_block_unless_told():
    measures = (ranks.recall_at_k, ranks.r_precision, ranks.map_at_r, retrieval.evaluate)
    assert {inspect.signature(measure).parameters["block"].default for measure in measures} == {BLOCK}
    assert BLOCK**2 * 8 < 2**27  # a block of float64 similarities stays below 128 MiB


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("ks", "message"),
    [
        ((), "ks must hold a number of neighbours; got none"),
        ((1, 5), "ks must be an integer >= 1 and <= 4; got 5. There are 5 images, so 4 others"),
        ((0,), "ks must be an integer >= 1 and <= 4; got 0"),
        ((2, 1, 2), "ks must hold no value twice; got 2 repeated"),
    ],
)
def test_numbers_of_neighbors_that_do_not_fit_are_named(ks, message):
    with pytest.raises(ValueError, match=f"^check_ks: {message}"):
        check_ks(ks, 5)


def test_queries_without_a_match_cost_no_exact_arithmetic(monkeypatch):
    asked = []
    settled = ranking._settled_ranks
    monkeypatch.setattr(ranking, "_settled_ranks", lambda *args: asked.append(len(args[1])) or settled(*args))
    x = torch.randn(60, 8, generator=generator(1), dtype=torch.float64)
    labels = torch.cat([torch.arange(40), torch.arange(40, 50).repeat(2)])  # 40 images alone in their class
    expected = retrieval.recall_at_k(x[40:], labels[40:], (1,), gallery=x, gallery_labels=labels)
    assert asked == []
    assert retrieval.recall_at_k(x, labels, (1,)).keys() == expected.keys()
    assert asked == []
    ties = torch.cat([x[:1].expand(4, -1), x])
    retrieval.recall_at_k(ties, torch.cat([torch.tensor([40, 41, 40, 41]), labels]), (1,))
    assert sum(asked) > 0
