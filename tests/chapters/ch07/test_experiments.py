"""The runs of chapter 07: budgets are counted, settings follow the validation classes, leads are paired by seed."""

import copy

import pytest
import torch

from dmlbook import datasets
from dmlbook.chapters.ch07 import experiments
from dmlbook.training import TrainConfig, embed, fit


@pytest.fixture(scope="module")
def birds():
    return datasets.load("birds", "train").of_classes(torch.arange(4))


SOFTMAX = ("softmax", {}, {})


def test_steps_and_images_are_those_of_training_alone(birds):
    found = experiments.run(SOFTMAX, birds, rate=1e-3, epochs=1)
    assert isinstance(found, experiments.Trained)
    assert found.budget == (len(birds) // experiments.BATCH, len(birds)) == (found.steps, found.images)
    assert len(found.falls) == 1


def test_another_rate_of_the_centers_moves_the_centers_and_nothing_else_at_the_start(birds):
    slow = experiments.run(SOFTMAX, birds, rate=1e-3, epochs=1, center_rate=1e-4)
    fast = experiments.run(SOFTMAX, birds, rate=1e-3, epochs=1)
    assert slow.falls != fast.falls


def test_a_start_is_the_same_for_one_seed_and_another_for_the_next():
    ours, again, other = (experiments.start("softtriple", seed=seed, classes=3, size=8) for seed in (1, 1, 2))
    assert torch.equal(ours[1].centers, again[1].centers)
    assert not torch.equal(ours[1].centers, other[1].centers)
    assert ours[0](torch.rand(2, 3, 32, 32)).shape == (2, 8)


def test_a_search_takes_the_mean_over_seeds_and_stars_the_best_by_recall(birds):
    methods = {"one": SOFTMAX, "other": ("softtriple", {"centers_per_class": 2}, {})}
    found = experiments.search(methods, (1e-4, 1e-3), birds, birds, epochs=1, seeds=(1, 2))
    runs = [experiments.run(SOFTMAX, birds, rate=1e-4, epochs=1, seed=seed) for seed in (1, 2)]
    both = [experiments.scores(embed(run.net, birds), birds.labels) for run in runs]
    assert found.tried["one"][1e-4]["MAP@R"] == pytest.approx(sum(each["MAP@R"] for each in both) / 2)
    assert found.budgets == {(5, 200)}


def searched(best):
    tried = {
        "a": {rate: {"R@1": 0.5 + 0.1 * (rate == best), "MAP@R": 0.9 - rate} for rate in (0.1, 0.2, 0.3)},
    }
    return experiments.Searched(tried, {(1, 2)})


def test_the_table_has_one_star_at_the_rate_with_the_best_recall():
    found = searched(0.2)
    assert found.chosen() == {"a": 0.2}
    assert found.at_the_edge() == []
    assert searched(0.3).at_the_edge() == searched(0.1).at_the_edge() == ["a"]
    head, line = found.table().splitlines()
    assert head.split() == ["R@1", "/", "MAP@R,", "validation", "rate", "0.1", "rate", "0.2", "rate", "0.3"]
    assert line.split() == ["a", "50.0", "/", "80.0", "60.0", "/", "70.0", "*", "50.0", "/", "60.0"]


def test_leads_are_paired_by_seed_and_clear_where_the_interval_leaves_out_0():
    scored = experiments.by_measure(
        {
            "near": [{"R@1": 0.50, "MAP@R": 0.2}, {"R@1": 0.70, "MAP@R": 0.3}],
            "first": [{"R@1": 0.51, "MAP@R": 0.3}, {"R@1": 0.7104, "MAP@R": 0.3}],
        }
    )
    assert scored == {
        "R@1": {"near": [0.5, 0.7], "first": [0.51, 0.7104]},
        "MAP@R": {"near": [0.2, 0.3], "first": [0.3, 0.3]},
    }
    (line,), clear = experiments.leads(scored, first="first")
    assert line == "first              minus near                 R@1 1.0 ± 0.3 (2)   MAP@R 5.0 ± 63.5 (2)"
    assert clear == {("first", "near", "R@1")}


@pytest.mark.parametrize("learning", [True, False])
def test_forgotten_centers_do_not_turn_and_the_loss_falls_all_the_same(birds, learning):
    told = {"rate": 1e-3, "epochs": 2, "size": 8, "seed": 3}
    net, falls, turned = experiments.with_centers(learning, birds, **told)
    assert (turned > 1) is learning
    assert falls[1] < falls[0]
    assert net(torch.rand(2, 3, 32, 32)).shape == (2, 8)


def test_drawn_batches_are_those_that_fit_shows(birds):
    config = TrainConfig(epochs=2, batch_size=80, lr=1e-3, loss_lr=1e-2, **experiments.FOR_DRAWINGS)
    net, loss = experiments.start("softmax", classes=4, size=8)
    shown = []
    copied = copy.deepcopy(net)
    copied.register_forward_hook(lambda net, given, _: shown.append(given[0]) if net.training else None)
    fit(copied, loss, birds, config, device="cpu", progress=False)
    ours = list(experiments.drawn(birds, config))
    assert len(ours) == len(shown) == 6
    assert all(torch.equal(pixels, theirs) for (pixels, _), theirs in zip(ours, shown, strict=True))
    second = list(experiments.drawn(birds, config, [2]))
    assert torch.equal(second[0][0], ours[3][0])
    assert torch.equal(second[0][1], ours[3][1])
