"""What chapter 05 tries out, on small inputs: what it trains, searches, follows and times."""

import time

import pytest
import torch
from torch.testing import assert_close

from dmlbook import datasets, geometry, losses
from dmlbook.chapters.ch05 import experiments, theory
from dmlbook.seeding import SEED
from tests import reference
from tests.chapters.ch05 import reference as reference_05
from tests.losses.test_centroid_bound import points

BOUND = losses.CentroidBound(num_classes=5, embedding_size=experiments.SIZE, centroids="simplex")


@pytest.fixture(scope="module")
def data():
    return experiments.digits(20)


def test_digits_are_split_by_class_and_as_many_of_each_are_trained_on(data):
    assert torch.bincount(data.labels).tolist() == [20] * 5
    test = datasets.load("digits", "test", size=8)
    assert [name[0] for name in test.class_names] == list("56789")
    assert data.unseen_labels.tolist() == test.labels.tolist()
    assert len(data.unseen) == len(test.labels)
    assert data.images.shape == (100, 64)
    assert 0 <= float(data.images.min()) < 0.1 < 0.9 < float(data.images.max()) <= 1


def test_only_keeps_the_chosen_images_with_their_labels_and_all_unseen_ones(data):
    few = experiments.only(data, torch.tensor([3, 99]))
    assert few.labels.tolist() == [0, 4]
    assert_close(few.images, data.images[[3, 99]])
    assert few.unseen is data.unseen


def test_three_means_are_those_of_the_loops_for_classes_of_any_sizes():
    x, y, c = points(8, 2), torch.tensor([0, 0, 1, 1, 1, 1, 2, 2]), points(3, 2, seed=1)
    count = len(reference.triplets(y))
    found = experiments.three_means(x, y, c)
    truth, bound = reference.linear_triplet_sum(x, y), reference.centroid_bound_sum(x, y, c)
    assert found["triplet loss"] == pytest.approx(truth / count)
    assert found["bound"] == pytest.approx(bound / count)
    assert found["floor"] == pytest.approx((bound - reference_05.gap_limit(x, y, c)) / count)
    assert found["floor"] < found["triplet loss"] < found["bound"]


def test_training_notes_the_embeddings_before_each_step_and_draws_images_to_their_centroids(data):
    def watch(embeddings):
        assert not embeddings.requires_grad
        return experiments.three_means(embeddings, data.labels, BOUND.centroids)["bound"]

    net, noted = experiments.train(BOUND, data, seed=SEED, steps=40, watch=watch)
    untrained = experiments.nets.make_head(64, 64, experiments.SIZE, seed=SEED)
    assert len(noted) == 40
    assert noted[0] == pytest.approx(watch(untrained(data.images).detach()), abs=1e-5)
    assert watch(net(data.images).detach()) < noted[-1] < noted[0] - 2


def test_the_rate_of_training_falls_to_a_twentieth(data, monkeypatch):
    rates, step = [], torch.optim.Adam.step

    def noting(self, *arguments, **named):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.Adam, "step", noting)
    experiments.train(BOUND, data, seed=SEED, steps=19, rate=0.1)
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.1 * (1 - 0.95 * 18 / 19))


def test_retrieval_is_of_the_unseen_digits_alone(data):
    recall, mean = experiments.retrieved(lambda pixels: pixels, data)
    assert recall > 0.95
    assert 0.5 < mean < recall
    five = torch.nn.functional.one_hot(data.unseen_labels).float()
    perfect = experiments.retrieved(lambda pixels: five if pixels is data.unseen else pixels, data)
    assert perfect == pytest.approx((1.0, 1.0))


def test_the_search_finds_what_is_no_bound_and_nothing_below_what_is():
    def truth(pairs, y):
        return losses.triplet_mean(pairs, y, hinge=False)[0]

    assert experiments.lowest_gap(losses.centroid_bound_sum, truth, steps=60) > -1e-9
    half = experiments.lowest_gap(lambda a, y: losses.centroid_bound_sum(a, y) - 5, truth, steps=60)
    assert half < -0.01


def test_free_embeddings_go_where_the_loss_takes_them():
    def pull(z, y, c):
        return losses.centroid_terms(geometry.distances(z, c), y).mean()

    near = experiments.descend(pull, batch=6, classes=4)
    far = experiments.descend(lambda z, y, c: -pull(z, y, c), batch=6, classes=4)
    assert len(near) == 40
    assert near[0][1:] == far[0][1:]
    assert near[-1][1] < near[0][1] - 0.5
    assert far[-1][1] > far[0][1] + 0.2
    for _, mean, least in near:
        assert 0 <= least <= mean <= 2


def test_seconds_are_the_least_of_several_runs_on_one_core():
    waits, threads = iter([0.03, 0.0, 0.02, 0.02, 0.02]), []

    def work():
        threads.append(torch.get_num_threads())
        end = time.process_time() + next(waits)
        while time.process_time() < end:
            pass

    before = torch.get_num_threads()
    assert experiments.seconds(work) < 0.01
    assert threads == [1, 1]
    assert torch.get_num_threads() == before
    assert experiments.seconds(work, patience=0.05) == pytest.approx(0.02, abs=0.01)
    assert len(threads) == 5


def test_the_gap_per_triplet_is_what_the_loops_leave_between():
    x, y, c = points(7, 2), torch.tensor([0, 0, 1, 1, 1, 1, 2]), points(3, 2, seed=1)
    gap = reference.centroid_bound_sum(x, y, c) - reference.linear_triplet_sum(x, y)
    assert theory.gap_per_triplet(x, y, c) == pytest.approx(gap / len(reference.triplets(y)))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda data: experiments.digits(1), "digits: per_class must be an integer >= 2; got 1"),
        (lambda data: experiments.only(data, torch.tensor([100])), "only: chosen must number one of 100 images"),
        (lambda data: experiments.train(BOUND, data, seed=1, steps=0), "train: steps must be an integer >= 1; got 0"),
        (lambda data: experiments.train(BOUND, data, seed=1, steps=1, rate=0.0), "rate must be a finite number > 0"),
        (lambda data: experiments.seconds(lambda: None, patience=-1.0), "patience must be a finite number >= 0"),
        (lambda data: experiments.descend(BOUND, batch=1, classes=1), "classes must be an integer >= 2; got 1"),
        (
            lambda data: theory.gap_per_triplet(torch.ones(2, 1), torch.arange(2), torch.ones(2, 1)),
            "gap_per_triplet: labels must hold a triplet; got none",
        ),
    ],
)
def test_bad_input_is_named(call, message, data):
    with pytest.raises(ValueError, match=message):
        call(data)
