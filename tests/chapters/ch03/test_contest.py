"""The contest on merged birds: tasks by the book's splits, one search for all, scores seed by seed, and their table."""

import statistics

import pytest
import torch

from dmlbook import datasets, nets
from dmlbook.chapters.ch03 import contest, merged
from dmlbook.seeding import SEED, generator

SOFT = {"name": "softtriple", "centers_per_class": 2}


@pytest.fixture(scope="module")
def tasks():
    return contest.bird_tasks(20, 6, 6)


def test_settings_are_chosen_within_the_species_to_train_on(tasks):
    drawn = {"difficulty": "easy", "size": 16, "num_species": 20, "images_per_species": 6}
    train, test = (datasets.load("birds", split, **drawn) for split in ("train", "test"))
    torch.testing.assert_close(tasks.pictures.images, train.images)
    parts = datasets.split_classes(train, generator=generator(SEED, "validation"))
    assert [part.num_classes for part in parts] == [8, 2]
    for found, pair in ((tasks.choose, parts), (tasks.final, (train, test))):
        wanted = merged.make_task(*pair, directions=6)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one.values, other.values)
            torch.testing.assert_close(one.species, other.species)


def test_a_rival_gets_the_rate_that_retrieves_held_out_species_best(tasks):
    settled = {"species_per_class": 2, "steps": 4}
    found = contest.compete(tasks, SOFT, seeds=[1, 2, 3], rates=(0.001, 0.1), **settled)
    assert found.tried == merged.try_rates(tasks.choose, SOFT, (0.001, 0.1), seeds=[1, 2], **settled)
    assert found.tried[found.rate] == max(found.tried.values())
    runs = [merged.trial(tasks.final, SOFT, rate=found.rate, seed=seed, **settled) for seed in (1, 2, 3)]
    assert found.scores == {measure: [run[measure] for run in runs] for measure in runs[0]}
    deeper = contest.scores(tasks.final, SOFT, rate=0.1, seeds=[1], hidden_units=3, **settled)
    assert deeper["seen R@1"] == [
        merged.trial(tasks.final, SOFT, rate=0.1, seed=1, hidden_units=3, **settled)["seen R@1"]
    ]


def test_the_search_takes_the_best_of_all_combinations(tasks):
    settled = {"species_per_class": 2, "steps": 4}
    grid = {"embedding_size": (2, 16), "scale": (1.0, 20.0)}
    rate, changed = contest.search(tasks, SOFT, grid, rates=(0.001, 0.1), seeds=[1, 2, 3], **settled)
    tried = {
        (rate, size, scale): recall
        for size in (2, 16)
        for scale in (1.0, 20.0)
        for rate, recall in merged.try_rates(
            tasks.choose, SOFT | {"embedding_size": size, "scale": scale}, (0.001, 0.1), seeds=[1, 2], **settled
        ).items()
    }
    assert tried[rate, changed["embedding_size"], changed["scale"]] == max(tried.values())
    assert min(tried.values()) < max(tried.values())
    with pytest.raises(ValueError, match="search: grid must hold a value or more of each option"):
        contest.search(tasks, SOFT, {"scale": ()}, rates=(0.1,), seeds=[1], **settled)


def test_floors_are_the_numbers_and_the_untrained_maps(tasks):
    found = contest.floors(tasks.final, seeds=[4, 5])
    numbers = merged.retrieved(tasks.final)
    assert found["the numbers"] == {measure: [score] for measure, score in numbers.items()}
    first = merged.retrieved(tasks.final, nets.make_head(6, 0, merged.EMBEDDING_SIZE, seed=5))
    assert {measure: scores[1] for measure, scores in found["the first map"].items()} == first
    assert first != numbers


def test_differences_are_paired_by_seed():
    first, second = {"R@1": [0.5, 0.75], "more": [1.0, 1.0]}, {"R@1": [0.25, 1.0]}
    assert contest.minus(first, second) == {"R@1": [0.25, -0.25]}
    with pytest.raises(ValueError, match=r"minus: first must have the measures of the second; got \['R@1'\]"):
        contest.minus(second, first)
    with pytest.raises(ValueError, match="minus: second must be as many as the first"):
        contest.minus(first, {"R@1": [0.5]})


def test_the_table_says_mean_and_interval_and_breaks_its_heads():
    rows = {"a longer name": {"unseen R@1": [0.5, 0.52], "MAP@R": [0.25]}, "short": {"MAP@R": [0.125]}}
    said = contest.table(rows, ["unseen R@1", "MAP@R"]).splitlines()
    half = 12.706 * statistics.stdev([50.0, 52.0]) / 2**0.5
    assert said == [
        "              unseen      MAP@R",
        "              R@1",
        f"a longer name 51.0 ± {half:.1f} 25.0",
        "short         .           12.5",
    ]
    assert contest.table({"short": {"MAP@R": [0.125]}}, ["MAP@R"]) == "      MAP@R\nshort 12.5"
