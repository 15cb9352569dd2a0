"""What the companion of chapter 05 tries, on small inputs: the toy, walks around the sphere, runs and ways."""

import math

import pytest
import torch

from dmlbook import geometry, losses, nets, records
from dmlbook.chapters.ch05 import deeper, experiments
from dmlbook.seeding import SEED
from tests import reference
from tests.losses.test_centroid_bound import points

BOUND = losses.CentroidBound(num_classes=5, embedding_size=experiments.SIZE, centroids="simplex")


@pytest.fixture(scope="module")
def data():
    return experiments.digits(20)


def test_the_toy_is_the_lessons():
    x, labels, centroids = deeper.eight_images()
    assert centroids.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    for wanted, at in (((-0.7, 0.4), 0), ((-1.3, 0.4), 1), ((1.4, -0.3), 5)):
        assert x[at].tolist() == pytest.approx(wanted)
    assert [math.dist(a, centroids[y]) for a, y in zip(x.tolist(), labels.tolist(), strict=True)] == pytest.approx(
        [0.5] * 8
    )
    assert reference.linear_triplet_sum(x, labels) == pytest.approx(-121.379, abs=5e-4)


def test_triplets_are_those_of_the_reference():
    labels = [0, 1, 1, 2, 0, 1]
    found = deeper.triplets(labels)
    assert sorted(found) == sorted(reference.triplets(torch.tensor(labels)))
    assert len(found) == losses.count_triplets(torch.tensor(labels))


def test_a_valley_is_where_its_neighbors_on_the_circle_are_higher(monkeypatch):
    centroids, side = geometry.simplex(2, 2).double(), torch.tensor([3.0, 2.0], dtype=torch.float64)
    assert deeper.valleys(centroids, side) == [0.0]
    right = losses.centroid_terms
    monkeypatch.setattr(deeper.losses, "centroid_terms", lambda apart, labels: -right(apart, labels))
    assert deeper.valleys(centroids, side) == [180.0]  # pushed by its own: the far end is the lowest


def test_runs_take_the_rate_whose_triplet_loss_ends_lowest(data):
    runs = deeper.at_its_best_rate(BOUND, data, rates=(0.0001, 0.02), seeds=(SEED, SEED + 1), steps=15)
    assert isinstance(runs, deeper.Runs)
    assert list(runs.ends) == [0.0001, 0.02]
    assert runs.rate == 0.02
    assert runs.ends[0.02] < runs.ends[0.0001] - 0.1
    means = [
        experiments.three_means(net(data.images).detach(), data.labels, geometry.simplex(5, 16)) for net in runs.nets
    ]
    assert runs.ends[0.02] == pytest.approx(sum(mean["triplet loss"] for mean in means) / 2)
    assert runs.gaps == pytest.approx([mean["bound"] - mean["triplet loss"] for mean in means])
    again, _ = experiments.train(BOUND, data, seed=SEED + 1, steps=15, rate=0.02)
    assert torch.equal(again(data.images), runs.nets[1](data.images))


def test_gains_are_points_after_less_before_seed_by_seed(data):
    seeds = (SEED, SEED + 1, SEED + 2)
    found = deeper.gains(BOUND, data, seeds=seeds, rate=0.02, steps=10)
    wanted = []
    for seed in seeds:
        after = experiments.retrieved(experiments.train(BOUND, data, seed=seed, steps=10, rate=0.02)[0], data)
        before = experiments.retrieved(nets.make_head(64, 64, experiments.SIZE, seed=seed), data)
        wanted.append([100 * (after[n] - before[n]) for n in (0, 1)])
    assert found == [pytest.approx(records.interval(column)) for column in zip(*wanted, strict=True)]
    assert found[0][0] < -2  # on new digits


def test_the_search_finds_both_traps_and_nothing_below_the_remedies():
    found = deeper.search(steps=60)
    assert list(found) == list(deeper.CANDIDATES)
    assert {name: least < -0.1 for name, least in found.items()} == {
        "L_d with margins, hinged": True,
        "(5.12), hinged": False,
        "weights 3 and 1, squared": True,
        "(5.13), squared": False,
    }
    assert min(found["(5.12), hinged"], found["(5.13), squared"]) > -1e-9


def test_the_search_holds_each_candidate_against_the_loss_that_it_names(monkeypatch):
    x, y = points(6, 2), torch.tensor([0, 0, 1, 1, 2, 2])
    monkeypatch.setattr(deeper.experiments, "lowest_gap", lambda _, truth, steps: float(truth(torch.cdist(x, x), y)))
    count = losses.count_triplets(y)
    each = [(math.dist(x[i], x[j]), math.dist(x[i], x[k])) for i, j, k in deeper.triplets(y.tolist())]
    hinged = sum(max(near - far + 0.5, 0.0) for near, far in each) / count
    squared = sum(near**2 - far**2 for near, far in each) / count
    assert list(deeper.search(steps=1).values()) == pytest.approx([hinged, hinged, squared, squared], abs=1e-6)


def test_the_four_ways_over_triplets_agree_and_the_two_over_batches_do_where_means_are_the_centroids():
    y = torch.arange(40) % 4
    x = geometry.normalize(points(40, 5))
    hinged = sum(
        max(math.dist(x[i], x[j]) - math.dist(x[i], x[k]) + 0.2, 0.0) for i, j, k in deeper.triplets(y.tolist())
    )
    count = losses.count_triplets(y)
    said = {name: deeper.WAYS[name].call(x, y) for name in deeper.WAYS}
    assert float(said["listed"]) == pytest.approx(hinged)
    assert float(said["masks"]) == pytest.approx(hinged)
    assert float(said["sorted"]) * count == pytest.approx(hinged)
    assert float(said["pairs"]) == pytest.approx(reference.linear_triplet_sum(x, y))
    simplex, means = geometry.simplex(4, 5).double(), torch.stack([x[y == m].mean(0) for m in range(4)])
    for name, c in (("bound", simplex), ("means each batch", means)):
        assert float(said[name]) == pytest.approx(float(losses.centroid_terms(torch.cdist(x, c), y).sum()))
    at_means = simplex[y]
    one, other = (float(deeper.WAYS[name].call(at_means, y)) for name in ("bound", "means each batch"))
    assert one == pytest.approx(other)


def test_the_clock_times_each_way_up_to_its_share_of_the_largest_size():
    seen = []
    ways = {
        "small": deeper.Way(1, 64, lambda x, y: seen.append((tuple(x.shape), y.tolist()[:5], float(x.norm(dim=1)[0])))),
        "large": deeper.Way(2, 512, lambda x, y: None),
    }
    found = deeper.clock(ways, dimensions=5, times=0.5)
    assert {name: list(by_size) for name, by_size in found.items()} == {"small": [8, 32], "large": [8, 32, 128]}
    assert {shape for shape, _, _ in seen} == {(8, 5), (32, 5)}
    assert seen[0][1] == [0, 1, 2, 3, 0]
    assert seen[0][2] == pytest.approx(1.0)
    assert all(took >= 0 for by_size in found.values() for took in by_size.values())


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda data: deeper.search(steps=0), "search: steps must be an integer >= 1; got 0"),
        (lambda data: deeper.clock({}, dimensions=2), "clock: dimensions must be an integer >= 3; got 2"),
        (lambda data: deeper.clock({}, patience=-1.0), "clock: patience must be a finite number >= 0"),
        (
            lambda data: deeper.gains(BOUND, data, seeds=(), rate=0.1, steps=1),
            "gains: seeds must",
        ),
        (
            lambda data: deeper.at_its_best_rate(BOUND, data, rates=(), seeds=(1,), steps=1),
            "at_its_best_rate: rates must",
        ),
    ],
)
def test_bad_input_is_named(call, message, data):
    with pytest.raises(ValueError, match=message):
        call(data)
