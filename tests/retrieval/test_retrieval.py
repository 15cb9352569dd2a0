"""Retrieval measures against literal loops, other libraries, and the traps that evaluation code falls into."""

import dataclasses
import math
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dmlbook import retrieval
from dmlbook.retrieval import chance, evaluate, map_at_r, r_precision, recall_at_k
from dmlbook.retrieval.clustering import MOST_STARTS
from dmlbook.retrieval.exact import exact_points
from tests.largest import LargestGiven
from tests.retrieval.reference_retrieval import (
    map_at_r_of_ranking,
    mean_over_queries,
    r_precision_of_ranking,
    recall_of_ranking,
    squared_distances,
)

EXACT = partial(pytest.approx, rel=0, abs=1e-12)
calm = settings(derandomize=True, deadline=None, max_examples=40)


def drawn(n=120, classes=9, dimension=8, spread=1.0, seed=0, dtype=torch.float32):
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=random)
    centers = torch.randn(classes, dimension, generator=random)
    return (centers[labels] + spread * torch.randn(n, dimension, generator=random)).to(dtype), labels


def all_scores(embeddings, labels, ks=(1, 2, 5), **options):
    recall = recall_at_k(embeddings, labels, ks, **options)
    return [*recall.values(), r_precision(embeddings, labels, **options), map_at_r(embeddings, labels, **options)]


@st.composite
def small_sets(draw):
    """Up to six points on a coarse lattice: full of ties and duplicates, within and across classes."""
    n, reach = draw(st.integers(2, 6)), draw(st.integers(0, 2))
    points = draw(st.lists(st.tuples(*[st.integers(-reach, reach)] * 2), min_size=n, max_size=n))
    labels = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    assume(len(set(labels)) < n)
    return points, labels


@calm
@given(small_sets(), st.integers(1, 8))
def test_every_measure_is_its_mean_over_all_orders_of_the_ties(case, block):
    points, labels = case
    distances = squared_distances(points)
    embeddings, classes = torch.tensor(points, dtype=torch.float32), torch.tensor(labels)
    ks = tuple(range(1, len(points)))
    measured = recall_at_k(embeddings, classes, ks, metric="euclidean", block=block)
    for k in ks:
        assert measured[k] == EXACT(mean_over_queries(distances, labels, partial(recall_of_ranking, k=k)))
    loop = mean_over_queries(distances, labels, r_precision_of_ranking)
    assert r_precision(embeddings, classes, metric="euclidean", block=block) == EXACT(loop)
    loop = mean_over_queries(distances, labels, map_at_r_of_ranking)
    assert map_at_r(embeddings, classes, metric="euclidean", block=block) == EXACT(loop)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", range(4))
def test_measures_on_random_embeddings_are_the_literal_loops(seed, metric):
    embeddings, labels = drawn(n=25, classes=6, seed=seed)
    rows = embeddings.double()
    rows = rows / rows.norm(dim=1, keepdim=True) if metric == "cosine" else rows
    distances = squared_distances(rows.tolist())
    expected = [
        mean_over_queries(distances, labels.tolist(), measure)
        for measure in (partial(recall_of_ranking, k=3), r_precision_of_ranking, map_at_r_of_ranking)
    ]
    assert all_scores(embeddings, labels, ks=(3,), metric=metric, block=7) == EXACT(expected)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_measures_are_those_of_pytorch_metric_learning(metric):
    from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    embeddings, labels = drawn(n=300, classes=12, spread=1.5)
    distance = CosineSimilarity() if metric == "cosine" else LpDistance(normalize_embeddings=False)
    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    judge = AccuracyCalculator(
        include=names, k="max_bin_count", knn_func=CustomKNN(distance), device=torch.device("cpu")
    )
    expected = judge.get_accuracy(embeddings, labels)
    assert all_scores(embeddings, labels, ks=(1,), metric=metric) == pytest.approx([expected[n] for n in names])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_scores_do_not_depend_on_order_of_images_names_of_classes_or_block(metric):
    embeddings, labels = drawn(spread=1.5)
    embeddings[::3] = embeddings[0]  # ties in plenty
    plain = all_scores(embeddings, labels, metric=metric)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(3))
    names = torch.tensor([5, -7, 2**62, 11, 3, -(2**63), 0, 2**24 + 1, 2**24])
    assert all_scores(embeddings[order], names[labels][order], metric=metric) == plain  # to the last bit
    for block in (3, 50, 120, 5000):
        assert all_scores(embeddings, labels, metric=metric, block=block) == plain


def test_near_ties_by_rounding_fall_alike_in_every_order_and_block():
    # Permuted coordinates: equal distances on paper, which a float32 matrix product rounds this way or that.
    random = torch.Generator().manual_seed(0)
    base = torch.rand(37, generator=random)
    shuffles = torch.stack([torch.randperm(37, generator=random) for _ in range(199)])
    embeddings = torch.cat([torch.ones(1, 37), base[shuffles]])
    labels = torch.arange(200) % 4
    plain = all_scores(embeddings, labels)
    for seed, block in ((1, 17), (2, 50), (3, 1024)):
        order = torch.randperm(200, generator=torch.Generator().manual_seed(seed))
        assert all_scores(embeddings[order], labels[order], block=block) == plain
    # All the others are exactly as far from the first: as a query it finds the second by chance alone.
    alone = torch.where(torch.arange(200) == 0, 0, torch.arange(200))
    alone[1] = 0
    cosines = torch.nn.functional.normalize(embeddings.double()) @ embeddings.double()[1]
    rank = int((cosines[2:] > cosines[0]).sum())  # of the first among the neighbours of the second
    recall = recall_at_k(embeddings, alone, (1, 50, 198))
    for k, value in recall.items():
        assert value == EXACT((k / 199 + (rank < k)) / 2)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_scores_do_not_depend_on_rotation_or_scale(metric):
    embeddings, labels = drawn(spread=1.5, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    plain = all_scores(embeddings, labels, metric=metric)
    assert all_scores(37 * embeddings @ rotation, labels, metric=metric) == plain
    if metric == "euclidean":
        assert all_scores(embeddings + 10**7, labels, metric=metric) == plain


def test_cosine_and_euclidean_agree_on_the_unit_sphere_and_differ_elsewhere():
    embeddings, labels = drawn(spread=1.5)
    unit = torch.nn.functional.normalize(embeddings.double())
    assert all_scores(unit, labels, metric="euclidean") == all_scores(embeddings, labels, metric="cosine")
    assert all_scores(embeddings, labels, metric="euclidean") != all_scores(embeddings, labels, metric="cosine")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_floating_type_is_ranked_as_the_numbers_it_holds(dtype):
    embeddings, labels = drawn(spread=1.5, dtype=dtype)
    assert all_scores(embeddings, labels) == all_scores(embeddings.float(), labels)
    assert all_scores(embeddings.requires_grad_(), labels.to(torch.int16)) == all_scores(embeddings.float(), labels)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_scores_on_a_gpu_are_those_of_the_cpu_to_the_last_bit():
    embeddings, labels = drawn(n=3000, classes=50, dimension=64, spread=1.5)
    embeddings[::7] = embeddings[0]
    for metric in ("cosine", "euclidean"):
        ours, theirs = (all_scores(embeddings.to(d), labels.to(d), metric=metric) for d in ("cuda", "cpu"))
        assert ours == theirs


def test_queries_without_a_match_are_searched_but_not_scored():
    points = torch.tensor([[0.0], [1.0], [1.5], [9.0]])
    labels = torch.tensor([0, 0, 1, 2])  # 1.5 stands between 1 and nothing else; 1 finds it before 0
    assert recall_at_k(points, labels, (1, 2), metric="euclidean") == {1: 0.5, 2: 1.0}
    assert r_precision(points, labels, metric="euclidean") == map_at_r(points, labels, metric="euclidean") == 0.5
    assert evaluate(points, labels, (1,), metric="euclidean", n_init=1)["queries"] == 2


# The traps of known evaluation code.


def test_neighbouring_labels_beyond_the_integers_of_float32_stay_apart():
    random = torch.Generator().manual_seed(0)
    embeddings = torch.randn(400, 8, generator=random)
    labels = 2**24 + torch.randint(2, (400,), generator=random)
    assert 0.4 < recall_at_k(embeddings, labels, (1,))[1] < 0.6  # 1.0 where both round to 16777216
    assert recall_at_k(embeddings, labels + 2**60, (1,)) == recall_at_k(embeddings, labels, (1,))


def test_twins_in_another_class_are_found_first_and_not_taken_for_the_query():
    embeddings, _ = drawn(n=60)
    twins, labels = embeddings.repeat_interleave(2, 0), torch.arange(120) % 2 * 1000 + torch.arange(120) // 4
    assert recall_at_k(twins, labels, (1,))[1] == 0.0  # positive where the first column is dropped as the query


def test_a_query_is_never_its_own_match_however_large_k_is():
    # One other image of the class, opposite to the query: found last. A self-match left in at similarity 0 comes first.
    embeddings = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.6, 0.8], [0.6, -0.8], [0.8, 0.6]])
    labels = torch.tensor([0, 0, 1, 2, 3])
    assert recall_at_k(embeddings, labels, (1, 2, 3, 4)) == {1: 0.0, 2: 0.0, 3: 0.0, 4: 1.0}


def test_ties_among_a_few_distinct_embeddings_score_chance_in_every_order():
    random = torch.Generator().manual_seed(0)
    embeddings, labels = torch.randn(16, 8, generator=random)[torch.arange(1600) % 16], torch.arange(1600) // 16
    distances = torch.cdist(embeddings[:16], embeddings[:16], compute_mode="donot_use_mm_for_euclid_dist")
    assert distances.fill_diagonal_(1).min() > 0.1
    # Every query shares its place with 99 images, none of its class: a match never comes before place 100.
    assert recall_at_k(embeddings, labels, (1, 99))[99] == 0.0
    mixed = labels[torch.randperm(1600, generator=random)]
    found = [recall_at_k(embeddings[o], mixed[o], (1,))[1] for o in (torch.arange(1600), torch.arange(1600).flip(0))]
    assert found[0] == found[1]
    assert found[0] == pytest.approx(15 / 1599, abs=0.003)  # chance


def test_equal_embeddings_score_exactly_chance():
    labels = torch.tensor([0] * 2 + [1] * 5 + [2] * 9 + [3])
    floor = chance(labels, (1, 3, 16))
    measured = all_scores(torch.ones(17, 3), labels, (1, 3, 16))
    assert measured == EXACT(list(floor.values()))
    assert 0 < floor["map_at_r"] < floor["r_precision"] < floor["recall_at_1"] + 1e-12 < floor["recall_at_16"] == 1.0


def test_twenty_six_equal_rows_far_from_the_origin_are_at_distance_zero():
    # torch.cdist puts equal rows 1e-3 apart there: then a row of another class, 1e-4 away, comes first.
    embeddings = torch.full((26, 16), 10.0)
    embeddings[13:] += 1e-4
    labels = torch.arange(26) // 13
    assert recall_at_k(embeddings, labels, (1,), metric="euclidean") == {1: 1.0}
    assert recall_at_k(embeddings.double(), labels, (1,), metric="euclidean") == {1: 1.0}


def test_embeddings_closer_than_a_float32_cosine_can_tell_are_ranked():
    angles = torch.tensor([0.0, 1e-4, 3e-4, 1.0], dtype=torch.float64)  # cosines 1 - 5e-9 and 1 - 4.5e-8
    circle = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert recall_at_k(circle, torch.tensor([0, 0, 1, 2]), (1,)) == {1: 1.0}
    assert recall_at_k(circle, torch.tensor([0, 1, 0, 2]), (1,)) == {1: 0.0}


@pytest.mark.parametrize("block", [1, 2, 1024])
def test_directions_that_differ_by_a_billionth_are_ranked(block):
    # Chords from the first: 4e-9 and 1.2e-8; 8e-9 between the others. Three of four find their class first.
    embeddings, labels = torch.tensor([[1, 0], [1, 4e-9], [1, 1.2e-8], [0, 1]]), torch.tensor([0, 0, 1, 1])
    assert recall_at_k(embeddings, labels, (1, 2), block=block) == {1: 0.75, 2: 0.75}
    assert r_precision(embeddings, labels, block=block) == map_at_r(embeddings, labels, block=block) == 0.75


@pytest.mark.parametrize("gap", [1e-5, 1e-9, 1e-15, 1e-30])
@pytest.mark.parametrize("far", [900.0, 9e5, 9e15])
def test_one_image_far_away_does_not_blur_the_others(gap, far):
    # Of six queries only the one far away finds its class first, beside it: 2.
    points = torch.tensor([[0, gap, 2.5 * gap, 1, -1, 2, far]], dtype=torch.float64).T
    labels = torch.tensor([0, 1, 0, 2, 2, 3, 3])
    for embeddings in (points, points.float()):
        assert recall_at_k(embeddings, labels, (1,), metric="euclidean") == EXACT({1: 1 / 6})
        assert map_at_r(embeddings, labels, metric="euclidean") == EXACT(1 / 6)


@pytest.mark.parametrize("far", [3e2, 3e4, 3e12])
def test_an_outlier_costs_a_tight_set_nothing(far):
    embeddings, labels = drawn(n=200, classes=20, spread=0.5)
    tight = torch.cat([1e-3 * embeddings, torch.full((1, 8), far)])
    alone = all_scores(embeddings, labels, metric="euclidean")
    assert all_scores(tight, torch.cat([labels, torch.tensor([99])]), metric="euclidean") == EXACT(alone)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("spread", [1e-7, 1e-14])
def test_places_that_have_collapsed_are_ranked_as_by_the_literal_loops(metric, spread):
    embeddings, places = drawn(n=30, classes=3, spread=0.0, dtype=torch.float64)
    embeddings += spread * torch.randn(30, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    embeddings[20:24] = embeddings[3:7]
    labels = torch.arange(30) % 4  # at every place some of each
    rows = [[Fraction(value) for value in row] for row in exact_points(embeddings, metric).tolist()]
    distances = [[float(distance) for distance in row] for row in squared_distances(rows)]
    expected = [
        mean_over_queries(distances, labels.tolist(), measure)
        for measure in (partial(recall_of_ranking, k=2), r_precision_of_ranking, map_at_r_of_ranking)
    ]
    assert len(torch.unique(places)) == 3
    for block in (7, 64):
        assert all_scores(embeddings, labels, ks=(2,), metric=metric, block=block) == EXACT(expected)


def test_memory_is_bounded_by_the_block_not_by_the_square_of_the_images():
    embeddings, labels = drawn(n=600, classes=100, dimension=8)
    two_classes = torch.arange(600) % 2  # R is half of the set
    for classes in (labels, two_classes):
        with LargestGiven() as largest:
            all_scores(embeddings, classes, block=64)
        assert 64**2 <= largest.size <= 4 * 64**2 < 600**2 / 20


def test_a_perfect_embedding_scores_one_and_an_inverted_one_nothing():
    labels = torch.arange(12) // 3
    assert all_scores(torch.eye(4)[labels], labels, (1, 2)) == [1.0] * 4
    # Each class spread over the corners of a simplex, each corner shared by all classes.
    assert all_scores(torch.eye(3)[torch.arange(12) % 3], labels, (1, 2)) == [0.0] * 4


# Clusters.


def test_nmi_and_ami_of_given_clusters_are_those_of_scikit_learn():
    from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

    random = torch.Generator().manual_seed(0)
    labels = torch.randint(7, (200,), generator=random)
    clusters = torch.where(
        torch.rand(200, generator=random) < 0.6, labels % 5, torch.randint(9, (200,), generator=random)
    )
    ours = retrieval.agreement(clusters * 2**40, labels + 2**24)
    assert ours.nmi == pytest.approx(normalized_mutual_info_score(labels, clusters), rel=1e-12)
    assert ours.ami == pytest.approx(adjusted_mutual_info_score(labels, clusters), rel=1e-12)
    assert ours.ami == pytest.approx((ours.nmi - ours.nmi_floor) / (1 - ours.nmi_floor), rel=1e-12)
    assert ours.clusters == len(torch.unique(clusters))


def test_two_pairs_found_again_score_one_over_a_floor_of_a_third():
    """Dealt at random, two clusters of two are the classes in 8 of 24 orders, and know nothing in the others."""
    labels = torch.tensor([5, 5, 7, 7])
    for clusters, exact in (
        ([1, 1, 0, 0], retrieval.Clustering(nmi=1.0, nmi_floor=1 / 3, ami=1.0, clusters=2)),
        ([0, 1, 0, 1], retrieval.Clustering(nmi=0.0, nmi_floor=1 / 3, ami=-0.5, clusters=2)),
    ):
        found = retrieval.agreement(torch.tensor(clusters), labels)
        assert dataclasses.asdict(found) == EXACT(dataclasses.asdict(exact))


def test_nmi_floor_is_the_mean_over_shuffled_clusters():
    labels = torch.arange(90) // 6
    clusters = (labels * 7 + torch.arange(90) % 2) % 12
    floor = retrieval.agreement(clusters, labels).nmi_floor
    random = torch.Generator().manual_seed(0)
    shuffled = [retrieval.agreement(clusters[torch.randperm(90, generator=random)], labels) for _ in range(300)]
    values = np.array([s.nmi for s in shuffled])
    assert floor == pytest.approx(values.mean(), abs=4 * values.std() / math.sqrt(300))
    assert abs(np.mean([s.ami for s in shuffled])) < 0.01 < floor


def test_random_labels_reach_an_nmi_of_a_fifth_on_the_test_set_of_cub():
    random = torch.Generator().manual_seed(0)
    clusters, labels = torch.randint(100, (2, 5924), generator=random)
    found = retrieval.agreement(clusters, labels)
    assert found.nmi_floor == pytest.approx(0.19, abs=0.005)
    assert found.nmi == pytest.approx(found.nmi_floor, abs=0.004)
    assert abs(found.ami) < 0.005


def test_k_means_depends_on_seed_and_settings_but_not_on_the_order_of_images():
    embeddings, labels = drawn(n=200, spread=1.2)
    plain = retrieval.clustering(embeddings, labels, n_init=1)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(3))
    assert retrieval.clustering(embeddings[order], labels[order], n_init=1) == plain
    assert retrieval.clustering(embeddings * 3, labels, n_init=1) == plain  # cosine: unit norm first
    assert retrieval.clustering(embeddings, labels, n_init=1, seed=5) != plain
    assert retrieval.clustering(embeddings, labels, n_init=10) != plain  # the tightest of ten starts
    assert retrieval.clustering(embeddings, labels, num_clusters=5).clusters == 5
    assert retrieval.nmi(embeddings, labels, n_init=1) == retrieval.WithFloor(value=plain.nmi, floor=plain.nmi_floor)
    assert retrieval.ami(embeddings, labels, n_init=1) == retrieval.WithFloor(value=plain.ami, floor=0.0)


def test_nmi_by_k_means_is_that_of_scikit_learn_on_separate_classes():
    embeddings, labels = drawn(n=200, classes=6, spread=0.05)
    assert retrieval.nmi(embeddings, labels, n_init=3).value == pytest.approx(1.0)


def test_evaluate_gives_every_measure_beside_its_floor():
    embeddings, labels = drawn(spread=1.2)
    scores = evaluate(embeddings, labels, (1, 4), block=50)
    both = ["recall_at_1", "recall_at_4", "r_precision", "map_at_r", "nmi", "ami"]
    assert list(scores) == [*both, *(f"chance_{name}" for name in both), "images", "classes", "queries"]
    assert all(scores[f"chance_{name}"] < scores[name] < 1 for name in both)
    assert [scores[n] for n in both[:4]] == all_scores(embeddings, labels, (1, 4))
    assert all(type(value) in (float, int) for value in scores.values())
    assert "nmi" not in evaluate(embeddings, labels, clusters=False)


def test_in_a_set_of_one_class_nmi_is_left_out_and_said_to_be():
    embeddings = drawn(n=9)[0]
    with pytest.warns(UserWarning, match="NMI and AMI are left out: they compare two classes or more"):
        scores = evaluate(embeddings, torch.full((9,), 7))
    assert [scores[name] for name in ("recall_at_1", "map_at_r", "chance_recall_at_1")] == EXACT([1.0, 1.0, 1.0])
    assert {"nmi", "ami", "chance_nmi", "chance_ami"}.isdisjoint(scores)
    assert (scores["classes"], scores["queries"]) == (1, 9)


WIDTHS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32, torch.uint64)


@pytest.mark.parametrize("dtype", WIDTHS)
def test_integer_labels_of_every_width_are_those_of_int64(dtype):
    embeddings, labels = drawn(n=60, classes=5)
    kinds = torch.arange(60) % 3
    narrow, narrow_kinds = labels.to(dtype), kinds.to(dtype)
    assert evaluate(embeddings, narrow, n_init=1) == evaluate(embeddings, labels, n_init=1)
    assert chance(narrow) == chance(labels)
    assert retrieval.agreement(narrow_kinds, narrow) == retrieval.agreement(kinds, labels)
    recovered = retrieval.kind_recovery(narrow_kinds, narrow, narrow_kinds)
    assert recovered == retrieval.kind_recovery(kinds, labels, kinds) == 1.0
    close = retrieval.kind_cosine(embeddings, narrow, narrow_kinds)
    assert close == retrieval.kind_cosine(embeddings, labels, kinds)


# Bad input.

good, classes = torch.eye(6), torch.arange(6) // 2
nan = good.clone()
nan[4, 1], nan[2, 0] = math.nan, math.inf


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("embeddings", "labels", "options", "message"),
    [
        (nan, classes, {}, "be finite; got 2 rows with NaN or infinity, the first at index 2"),
        (good.index_fill(0, torch.tensor([3, 5]), 0), classes, {}, "2 zero vectors, the first at index 3"),
        (good, torch.arange(6), {}, "name some class twice; got 6 images of 6 classes"),
        (good, classes, {"ks": (1, 6)}, "There are 6 images, so 5 others"),
        (good, classes, {"ks": (0,)}, "ks must be an integer >= 1"),
        (good, classes, {"ks": ()}, "ks must hold a number"),
        (good, classes, {"ks": (1, 1)}, "no value twice"),
        (good, classes, {"metric": "cosin"}, "Did you mean 'cosine'"),
        (good, classes, {"block": 0}, "block must be an integer >= 1"),
        (good, classes.float(), {}, "labels must be integers"),
        (good.long(), classes, {}, "embeddings must be floating point"),
        (good[:5], classes, {}, "5 embeddings and 6 labels"),
        (good[0], classes, {}, "shape \\(6,\\)"),
        (good[:, :0], classes, {}, "have a dimension"),
    ],
)
def test_bad_input_is_refused_with_the_value_and_the_remedy(embeddings, labels, options, message):
    options = {"ks": (1,)} | options
    with pytest.raises(ValueError, match=r"^recall_at_k: .*" + message):
        recall_at_k(embeddings, labels, **options)
    with pytest.raises(ValueError, match=r"^retrieval.evaluate: .*" + message):
        evaluate(embeddings, labels, **options)
    if set(options) - {"block"} == {"ks"} and options["ks"] == (1,):
        with pytest.raises(ValueError, match=message):
            map_at_r(embeddings, labels, block=options.get("block", 1))


@pytest.mark.bad_input
@pytest.mark.parametrize("bad", [classes.double(), classes > 1, classes * math.nan, classes + 0j])
def test_labels_that_are_no_integers_are_refused(bad):
    for measure in (*(partial(m, good) for m in (recall_at_k, r_precision, map_at_r, evaluate, retrieval.nmi)), chance):
        with pytest.raises(ValueError, match="labels must be integers; got torch"):
            measure(bad)
    for arguments, name in (((bad, classes), "clusters"), ((classes, bad), "labels")):
        with pytest.raises(ValueError, match=f"agreement: {name} must be integers"):
            retrieval.agreement(*arguments)
    for place, name in enumerate(("assigned", "labels", "kinds")):
        arguments = [classes] * 3
        arguments[place] = bad
        with pytest.raises(ValueError, match=f"kind_recovery: {name} must be integers"):
            retrieval.kind_recovery(*arguments)
    with pytest.raises(ValueError, match="kind_cosine: kinds must be integers"):
        retrieval.kind_cosine(good, classes, bad)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluate(good, classes, (1,), seed=None), "evaluate: seed must be an integer; got None"),
        (lambda: retrieval.nmi(good, classes, seed=0.5), "retrieval.nmi: seed must be an integer"),
        (lambda: evaluate(good, classes, 1), r"ks must be a sequence of integers; got 1. Put it in brackets: \(1,\)"),
        (lambda: evaluate(good, classes, "1"), "ks must be a sequence of integers; got '1'"),
        (lambda: recall_at_k(good, classes, (True,)), "ks must be a sequence of integers; got True at 0"),
        (lambda: recall_at_k(good, classes, (1.0,)), "ks must be a sequence of integers; got 1.0 at 0"),
        (lambda: chance(classes[:0]), "chance: labels must hold at least one class; got none"),
        (lambda: recall_at_k(good[:0], classes[:0]), "embeddings must hold at least one row; got none"),
        (lambda: map_at_r(good, classes, block=2.0), "block must be an integer >= 1"),
        (lambda: retrieval.nmi(good, classes, n_init=10**12), "n_init must be an integer >= 1 and <= 1000; got 10"),
        (
            lambda: evaluate(good, classes, (1,), n_init=MOST_STARTS + 1),
            "n_init must be an integer >= 1 and <= 1000; got 1001",
        ),
        (lambda: retrieval.clustering(good, classes, num_clusters=1), "num_clusters must be an integer >= 2"),
        (lambda: retrieval.kind_cosine(nan, classes, torch.arange(6)), "kind_cosine: embeddings must be finite"),
    ],
)
def test_what_is_no_number_or_empty_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.bad_input
def test_numbers_of_neighbors_may_be_numpys():
    found = recall_at_k(good, classes, np.arange(1, 4, dtype=np.uint8))
    assert found == recall_at_k(good, classes, (1, 2, 3))
    assert {type(k) for k in found} == {int}


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (retrieval.nmi, {"labels": torch.zeros(6, dtype=torch.long)}, "^retrieval.nmi: labels must hold two classes"),
        (retrieval.ami, {"n_init": 0}, "^retrieval.ami: n_init must be an integer >= 1"),
        (
            retrieval.clustering,
            {"num_clusters": 7},
            "^retrieval.clustering: num_clusters must be an integer >= 2 and <= 6",
        ),
    ],
)
def test_clustering_refuses_what_cannot_be_compared(function, options, message):
    with pytest.raises(ValueError, match=message):
        function(good, **{"labels": classes} | options)
