"""The runs of chapter 06: settings as the searches chose them, and searches beside each other."""

import pytest
import torch

from dmlbook import datasets, losses, records
from dmlbook.chapters.ch06 import experiments
from dmlbook.chapters.ch06.methods import METHODS


@pytest.fixture(scope="module")
def field():
    return records.compare({METHODS[name].title: f"field/birds-{name}" for name in losses.NAMES})


@pytest.fixture(scope="module")
def birds():
    few = torch.arange(4)
    return datasets.load("birds", "train").of_classes(few), datasets.load("birds", "test").of_classes(few)


def test_chosen_settings_fall_into_options_of_the_loss_and_of_training():
    options, config = experiments.loss_options({"loss_option.scale": 20.0, "lr": 0.1, "epochs": 2})
    assert options == {"scale": 20.0}
    assert config == {"lr": 0.1, "epochs": 2}


def test_first_seeds_stand_beside_their_own_records(field, birds):
    live, kept = experiments.first_seeds(field, "softmax", *birds, [1])
    assert kept == [field.rows[METHODS["softmax"].title].values(key)[0] for key in experiments.BOTH]
    assert live == list(experiments.train_one(field, "softmax", *birds, seed=1))
    assert all(0 < score <= 1 for score in live)


def test_searches_are_means_of_their_records_first_to_last():
    again = experiments.searched_again()
    assert len(again) == 2 * len(experiments.ENDS) == 2 * (len(losses.NAMES) - len(experiments.NOT_AGAIN))
    wide = records.compare({"wide": "field/birds-softmax_wide"}).rows["wide"].values("map_at_r")
    assert again["softmax", "map_at_r"][-1] == pytest.approx(experiments.mean(wide))
    (line,) = [line for line in experiments.said_again(again) if line.startswith("softmax ")]
    assert "first, again, wide" in line
    assert line.endswith("  ".join(f"{100 * value:.1f}" for value in again["softmax", "map_at_r"]))


def test_sides_hold_every_search_once_and_the_upper_one_is_above(field):
    again = experiments.searched_again()
    lower, upper = experiments.sides(field, again)
    for key in experiments.BOTH:
        count = len(losses.NAMES) + sum(len(again[name, key]) for name in experiments.ENDS)
        assert len(lower[key]) + len(upper[key]) == count
        assert min(upper[key]) > max(lower[key])
    scores = field.rows[METHODS["proxy_nca"].title].values("recall_at_1")
    assert experiments.mean(scores) in upper["recall_at_1"]
    assert set(experiments.POINTS) < set(losses.NAMES)


def test_running_means_of_a_network_that_stands_still_are_off_by_noise_alone():
    labels = torch.arange(80) % 4
    apart = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))[labels]
    near = experiments.drift(apart, labels, rate=0.0, steps=200)
    noisy = apart + torch.randn(80, 6, generator=torch.Generator().manual_seed(1))
    far = experiments.drift(noisy, labels, rate=0.0, steps=200)
    assert [step for step, _ in near][-1] == 200
    assert near[-1][1] < 0.05 < far[-1][1]


def test_a_network_that_is_begun_has_learned_something(birds):
    net = experiments.begun(birds[0], epochs=1)
    assert net(torch.rand(2, 3, 32, 32)).shape == (2, 64)
    assert experiments.PLAIN["augment"] == "shift"
