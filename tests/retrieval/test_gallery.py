"""Queries that search a gallery: the same measures against literal loops and other libraries, with nothing excluded."""

import itertools
from functools import partial

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dmlbook.retrieval import chance, evaluate, map_at_r, r_precision, recall_at_k
from dmlbook.retrieval.exact import check_gallery, sort_by_class
from tests.largest import LargestGiven
from tests.retrieval.reference_retrieval import map_at_r_of_ranking, r_precision_of_ranking, recall_of_ranking

EXACT = partial(pytest.approx, rel=0, abs=1e-12)
calm = settings(derandomize=True, deadline=None, max_examples=40)
FIRST = ("precision_at_1", "r_precision", "mean_average_precision_at_r")


def drawn(queries=90, gallery=140, classes=9, spread=1.5, seed=0):
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (queries + gallery,), generator=random)
    centers = torch.randn(classes, 8, generator=random)
    x = centers[labels] + spread * torch.randn(queries + gallery, 8, generator=random)
    return x[:queries], labels[:queries], {"gallery": x[queries:], "gallery_labels": labels[queries:]}


def all_scores(x, labels, ks=(1, 2, 5), **options):
    recall = recall_at_k(x, labels, ks, **options)
    return [*recall.values(), r_precision(x, labels, **options), map_at_r(x, labels, **options)]


def by_loop(queries, labels, gallery, gallery_labels, measure):
    """Mean over queries with a match of the mean over all orders of the gallery that its distances allow."""
    values = []
    for query, label in zip(queries, labels, strict=True):
        if label in gallery_labels:
            distances = [sum((a - b) ** 2 for a, b in zip(query, other, strict=True)) for other in gallery]
            orders = [o for o in itertools.permutations(range(len(gallery))) if is_sorted([distances[j] for j in o])]
            found = [measure([gallery_labels[j] == label for j in order]) for order in orders]
            values.append(sum(found) / len(found))
    return float(sum(values) / len(values))


def is_sorted(values):
    return all(a <= b for a, b in itertools.pairwise(values))


@st.composite
def small_sets(draw):
    """Up to five queries and five images of a gallery on a coarse lattice: full of ties and duplicates."""
    sizes, reach = (draw(st.integers(1, 5)), draw(st.integers(1, 5))), draw(st.integers(0, 2))
    place = st.tuples(*[st.integers(-reach, reach)] * 2)
    points = [draw(st.lists(place, min_size=n, max_size=n)) for n in sizes]
    labels = [draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)) for n in sizes]
    assume(set(labels[0]) & set(labels[1]))
    return points[0], labels[0], points[1], labels[1]


@calm
@given(small_sets(), st.integers(1, 6))
def test_every_measure_in_a_gallery_is_its_mean_over_all_orders_of_the_ties(case, block):
    queries, labels, gallery, gallery_labels = case
    x, y = torch.tensor(queries, dtype=torch.float32), torch.tensor(labels)
    options = {"gallery": torch.tensor(gallery, dtype=torch.float32), "gallery_labels": torch.tensor(gallery_labels)}
    options |= {"metric": "euclidean", "block": block}
    ks = tuple(range(1, len(gallery) + 1))
    measured = recall_at_k(x, y, ks, **options)
    for k in ks:
        assert measured[k] == EXACT(by_loop(*case, partial(recall_of_ranking, k=k)))
    assert r_precision(x, y, **options) == EXACT(by_loop(*case, r_precision_of_ranking))
    assert map_at_r(x, y, **options) == EXACT(by_loop(*case, map_at_r_of_ranking))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_measures_in_a_gallery_are_those_of_pytorch_metric_learning(metric):
    from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    x, labels, searched = drawn(classes=12)
    distance = CosineSimilarity() if metric == "cosine" else LpDistance(normalize_embeddings=False)
    judge = AccuracyCalculator(FIRST, k="max_bin_count", knn_func=CustomKNN(distance), device=torch.device("cpu"))
    expected = judge.get_accuracy(x, labels, searched["gallery"], searched["gallery_labels"])
    assert 0.1 < expected["mean_average_precision_at_r"] < 0.9
    assert all_scores(x, labels, (1,), metric=metric, **searched) == pytest.approx([expected[n] for n in FIRST])


def test_recall_in_a_gallery_is_what_nearest_neighbors_of_scikit_learn_find():
    from sklearn.metrics import top_k_accuracy_score
    from sklearn.neighbors import KNeighborsClassifier

    x, labels, searched = drawn(spread=2.5)
    nearest = KNeighborsClassifier(1).fit(searched["gallery"].numpy(), searched["gallery_labels"].numpy())
    found = recall_at_k(x, labels, (1, 3), metric="euclidean", **searched)
    assert found[1] == EXACT(nearest.score(x.numpy(), labels.numpy()))
    # A class is found among three where it is among the three that hold the nearest images: -distance as a score.
    apart = torch.cdist(x.double(), searched["gallery"].double())
    closest = torch.stack([apart[:, searched["gallery_labels"] == c].amin(1) for c in range(9)], 1)
    within = top_k_accuracy_score(labels.numpy(), -closest.numpy(), k=3, labels=range(9))
    assert found[1] < found[3] <= within


def test_one_left_out_at_a_time_is_a_query_in_the_gallery_of_all_others():
    x, labels, _ = drawn(queries=30, classes=4)
    x[::4] = x[0]  # ties
    apart = []
    for i in range(30):
        others = torch.arange(30) != i
        searched = {"gallery": x[others], "gallery_labels": labels[others]}
        apart.append(all_scores(x[i : i + 1], labels[i : i + 1], **searched))
    assert [sum(column) / 30 for column in zip(*apart, strict=True)] == EXACT(all_scores(x, labels))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_scores_in_a_gallery_do_not_depend_on_order_names_or_block(metric):
    x, labels, searched = drawn()
    gallery, known = searched["gallery"], searched["gallery_labels"]
    x[::5], gallery[::3] = gallery[0], gallery[0]
    plain = all_scores(x, labels, metric=metric, **searched)
    random = torch.Generator().manual_seed(3)
    one, other = torch.randperm(len(x), generator=random), torch.randperm(len(gallery), generator=random)
    names = torch.tensor([5, -7, 2**62, 11, 3, -(2**63), 0, 2**24 + 1, 2**24])
    moved = {"gallery": gallery[other], "gallery_labels": names[known][other]}
    assert all_scores(x[one], names[labels][one], metric=metric, **moved) == plain  # to the last bit
    for block in (1, 40, 90, 5000):
        assert all_scores(x, labels, metric=metric, block=block, **searched) == plain


def test_copies_of_the_queries_in_the_gallery_are_found():
    x, labels, _ = drawn(queries=20)
    x = torch.nn.functional.normalize(x)
    assert recall_at_k(x, labels, (1,), gallery=x, gallery_labels=labels) == {1: 1.0}
    assert recall_at_k(x, labels, (1,))[1] < 0.9


def test_queries_of_no_class_of_the_gallery_are_left_out_and_counted():
    x, labels, searched = drawn()
    plain = evaluate(x, labels, (1, 4), clusters=False, **searched)
    strange = torch.cat([x[:7], x]), torch.cat([torch.full((7,), 77), labels])
    found = evaluate(*strange, (1, 4), clusters=False, **searched)
    assert (found["queries"], found["left_out"], found["images"], found["gallery"]) == (90, 7, 97, 140)
    assert (plain["left_out"], plain["classes"], found["classes"]) == (0, 9, 10)
    same = ("recall_at_1", "recall_at_4", "r_precision", "map_at_r", "chance_recall_at_4", "chance_map_at_r")
    assert [found[key] for key in same] == [plain[key] for key in same]


def test_equal_embeddings_score_exactly_chance_in_a_gallery():
    _, labels, searched = drawn(queries=40, gallery=23, classes=6)
    labels[:3] = 50  # without a match
    equal = {"gallery": torch.ones(23, 4), "gallery_labels": searched["gallery_labels"]}
    floors = chance(labels, (1, 3, 23), gallery_labels=searched["gallery_labels"])
    recall = recall_at_k(torch.ones(40, 4), labels, (1, 3, 23), **equal)
    assert list(recall.values()) == EXACT([floors[f"recall_at_{k}"] for k in (1, 3, 23)])
    assert r_precision(torch.ones(40, 4), labels, **equal) == EXACT(floors["r_precision"])
    assert map_at_r(torch.ones(40, 4), labels, **equal) == EXACT(floors["map_at_r"])
    counts = (labels[:, None] == searched["gallery_labels"]).sum(1).double()
    assert floors["recall_at_1"] == EXACT(float(counts[counts > 0].mean()) / 23)
    assert floors["recall_at_23"] == 1


def test_evaluate_in_a_gallery_gives_every_measure_and_clusters_the_queries():
    x, labels, searched = drawn()
    found = evaluate(x, labels, (1,), n_init=1, **searched)
    measures = ("recall_at_1", "r_precision", "map_at_r")
    assert [found[key] for key in measures] == all_scores(x, labels, (1,), **searched)
    alone = evaluate(x, labels, (1,), n_init=1)
    assert (found["nmi"], found["ami"], found["chance_nmi"]) == (alone["nmi"], alone["ami"], alone["chance_nmi"])
    assert "gallery" not in alone
    with pytest.warns(UserWarning, match="NMI and AMI are left out: .* not of one image each"):
        single = evaluate(x[:2], torch.tensor([0, 1]), (1,), **searched)
    assert "nmi" not in single


def test_memory_in_a_gallery_is_bounded_by_the_block():
    x, labels, searched = drawn(queries=1500, gallery=1700, classes=60)
    with LargestGiven() as largest:
        evaluate(x, labels, clusters=False, block=64, **searched)
    assert largest.size <= 3200 * 16  # of all pairs: 2,550,000


def test_a_gallery_is_sorted_behind_its_queries():
    x, _, searched = drawn(queries=3, gallery=5)
    searched["gallery_labels"] = torch.tensor([4, 2, 4, 2, 4])
    found = sort_by_class(x, torch.tensor([2, 9, 4]), "euclidean", 8, **searched)
    assert (found.apart, found.classes.tolist(), found.sizes.tolist()) == (3, [0, 1, 2, 1, 1, 2, 2, 2], [0, 2, 3])
    assert found.queries == slice(1, 3)  # the one of class 9 is not asked


good, classes = torch.eye(6), torch.arange(6) // 2
broken = good.clone()
broken[4, 1] = torch.nan


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gallery": good}, "gallery_labels must be given with the other"),
        ({"gallery_labels": classes}, "gallery must be given with the other"),
        (
            {"gallery": good[:, :5], "gallery_labels": classes},
            "gallery must have the dimension of .*; got dimensions 6 and 5",
        ),
        ({"gallery": broken, "gallery_labels": classes}, "gallery must be finite; got 1 rows .* first at index 4"),
        ({"gallery": 0 * good, "gallery_labels": classes}, "gallery must have a direction; got 6 zero vectors"),
        ({"gallery": good[:5], "gallery_labels": classes}, "gallery_labels must be as many as the gallery; got 5 .* 6"),
        ({"gallery": good[:0], "gallery_labels": classes[:0]}, "gallery must hold at least one row"),
        ({"gallery": good, "gallery_labels": classes.float()}, "gallery_labels must be integers"),
        ({"gallery": good, "gallery_labels": classes + 3}, "gallery_labels must name a class of the queries"),
        ({"gallery": good, "gallery_labels": classes, "ks": (7,)}, "ks must be .* got 7. The gallery holds 6"),
    ],
)
def test_a_gallery_that_cannot_be_searched_is_refused(options, message):
    options = {"ks": (1, 6)} | options
    with pytest.raises(ValueError, match=f"^recall_at_k: .*({message})"):
        recall_at_k(good, classes, **options)
    with pytest.raises(ValueError, match=f"^retrieval.evaluate: .*({message})"):
        evaluate(good, classes, **options)


@pytest.mark.bad_input
def test_what_a_gallery_must_be_is_asked_of_all_its_parts():
    assert check_gallery(good, classes, good, classes.to(torch.int16)).dtype == torch.int64
    with pytest.raises(ValueError, match=r"^check_gallery: gallery must have the dimensions and the device"):
        check_gallery(good, classes, torch.ones(6, 3), classes)
    with pytest.raises(ValueError, match=r"^retrieval.chance: gallery_labels must name a class of the queries"):
        chance(classes, (1,), gallery_labels=classes + 3)
