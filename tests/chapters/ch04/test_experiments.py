"""Chapter 04's experiments: what is trained on which images, and what is measured, against their definitions."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from dmlbook import datasets, losses, retrieval
from dmlbook.chapters.ch04 import experiments
from dmlbook.chapters.ch04.experiments import Posed
from dmlbook.datasets import birds
from dmlbook.seeding import generator
from tests import reference

KINDS = (1, 2, 3, 2)  # poses of four species


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed, "experiments of chapter 4"))


def made(size=128, spread=0.3):
    """Four species whose poses are clusters; of each, 35 images are shown and 15 held out."""
    places, labels, kinds = [], [], []
    for species, poses in enumerate(KINDS):
        middle = 2 * draws(size, seed=species)
        for number in range(50):
            kind = number % poses
            places.append(middle + 6 * draws(size, seed=10 * species + kind + 7) / math.sqrt(size))
            labels.append(species)
            kinds.append(kind)
    points = torch.stack(places) + spread * draws(200, size, seed=99)
    labels, kinds, first = torch.tensor(labels), torch.tensor(kinds), torch.arange(200) % 50 < 35
    return Posed(
        {"shown": points[first], "held": points[~first], "unseen": draws(30, size, seed=5)},
        {"shown": labels[first], "held": labels[~first], "unseen": torch.arange(30) % 3},
        kinds[first],
        torch.tensor(KINDS),
    )


@pytest.fixture(scope="module")
def posed():
    return made()


@pytest.fixture(scope="module")
def run(posed):
    return experiments.trained(posed, 5, 1.0, 3, epochs=4)


def test_posed_birds_are_features_of_the_first_35_of_each_species_the_others_and_strangers():
    train, test = (datasets.load("birds", part, num_species=6) for part in ("train", "test"))
    posed = experiments.posed_birds(train, test, epochs=1)
    assert posed.truth.tolist() == birds.true_kinds(train).tolist()
    classes = len(posed.truth)
    assert {name: part.shape for name, part in posed.features.items()} == {
        "shown": (35 * classes, 128),
        "held": (15 * classes, 128),
        "unseen": (len(test), 128),
    }
    for species in range(classes):
        own = train.labels == species
        assert posed.kinds[posed.labels["shown"] == species].tolist() == train.kinds[own][:35].tolist()
        assert int((posed.labels["held"] == species).sum()) == 15
    assert_close(posed.features["shown"].mean(0), torch.zeros(128), rtol=0, atol=1e-4)
    assert float(posed.features["shown"].std(0).median()) == pytest.approx(1.0, abs=0.01)
    assert float(posed.features["held"].mean(0).abs().max()) > 0.01


def test_the_squared_price_is_half_the_mean_squared_distance():
    x, y = draws(9, 4), torch.arange(9) % 3
    options = {"num_classes": 3, "embedding_size": 4, "centers_per_class": 3}
    free = losses.SoftTriple(**options, tau=0.0, generator=generator(1))
    priced = experiments.Squared(**options, tau=0.7, generator=generator(1))
    squares = [reference.distance(c[j], c[k]) ** 2 for c in free.centers.tolist() for k in range(3) for j in range(k)]
    assert (priced(x, y) - free(x, y)).item() == pytest.approx(0.7 * sum(squares) / len(squares) / 2, abs=1e-4)
    assert priced.tau == 0.7


def test_a_run_depends_on_its_seed_and_trains_embedding_and_centers(posed, run):
    head, loss = run
    again, _ = experiments.trained(posed, 5, 1.0, 3, epochs=4)
    other, _ = experiments.trained(posed, 5, 1.0, 4, epochs=4)
    x = posed.features["held"]
    with torch.inference_mode():
        assert_close(head(x), again(x))
        assert (head(x) - other(x)).abs().max() > 0.1
    first = losses.SoftTriple(
        num_classes=4, embedding_size=64, centers_per_class=5, tau=1.0, generator=generator(3, "centers")
    )
    assert (loss.centers - first.centers).norm(dim=-1).min() > 0.01
    assert (type(loss), loss.tau, loss.centers.shape) == (losses.SoftTriple, 1.0, (4, 5, 64))
    assert isinstance(experiments.trained(posed, 2, 1.0, 3, epochs=1, squared=True)[1], experiments.Squared)


def test_a_search_trains_on_the_first_28_and_looks_at_the_next_7(posed):
    late = torch.arange(140) % 35 >= 28
    moved = dict(posed.features) | {"shown": posed.features["shown"] + 5 * late[:, None]}
    changed = Posed(moved, posed.labels, posed.kinds, posed.truth)
    heads = [experiments.trained(birds_of, 2, 0.0, 0, epochs=2, early=True)[0] for birds_of in (posed, changed)]
    x = posed.features["held"]
    with torch.inference_mode():
        assert_close(heads[0](x), heads[1](x))
        expected = retrieval.map_at_r(heads[0](posed.features["shown"][late]), posed.labels["shown"][late])
    assert experiments.late_map(posed, heads[0]) == pytest.approx(expected)
    assert 0 < expected < 1


def test_what_a_run_is_worth_follows_its_definitions(posed, run):
    head, loss = run[0], deepcopy(run[1])
    with torch.no_grad():  # two centers of species 0 have met, and three of species 2
        loss.weight[1, 0] = loss.weight[0, 0]
        loss.weight[3:, 2] = loss.weight[1, 2]
    found = experiments.measured(posed, head, loss)
    report = losses.distinct_centers(loss.centers.detach(), threshold=0.1)
    counts = report.counts.tolist()
    assert found["counts"].tolist() == counts
    assert found["distinct"] == pytest.approx(sum(counts) / 4)
    assert found["exact"] == sum(c == t for c, t in zip(counts, KINDS, strict=True)) / 4
    assert counts == [4, 5, 3, 5]
    assert found["correlation"] == pytest.approx(np.corrcoef(counts, KINDS)[0, 1])
    with torch.inference_mode():
        points = {part: head(values) for part, values in posed.features.items()}
    near = [
        max(range(5), key=lambda k: float(x @ loss.centers[y, k].detach()))
        for x, y in zip(points["shown"], posed.labels["shown"].tolist(), strict=True)
    ]
    groups = torch.stack([report.groups[y, k] for y, k in zip(posed.labels["shown"].tolist(), near, strict=True)])
    assert found["recovery"] == pytest.approx(retrieval.kind_recovery(groups, posed.labels["shown"], posed.kinds))
    for part in ("held", "unseen"):
        assert found[part] == retrieval.recall_at_k(points[part], posed.labels[part], ks=(1,))[1]
        assert found[f"{part} MAP"] == retrieval.map_at_r(points[part], posed.labels[part])
    assert found["held"] > found["unseen"]


def test_where_all_species_keep_as_many_the_correlation_is_zero(posed):
    found = experiments.measured(posed, *experiments.trained(posed, 1, 0.0, 0, epochs=1))
    assert (found["distinct"], found["correlation"]) == (1.0, 0.0)
    assert found["exact"] == 0.25


def test_kmeans_finds_clear_poses_if_it_is_told_their_number():
    posed, same = made(spread=0.01), nn.Identity()
    assert experiments.kmeans_recovery(posed, same, posed.truth) == pytest.approx(1.0)
    assert experiments.kmeans_recovery(posed, same, torch.ones(4, dtype=torch.long)) == pytest.approx(0.0)


def test_centers_that_nobody_trained_recover_what_the_nearest_of_them_says():
    posed = made(size=64)
    idle = losses.SoftTriple(
        num_classes=4, embedding_size=64, centers_per_class=6, generator=generator(experiments.SEED, "idle")
    )
    near = losses.assigned_centers(posed.features["shown"], posed.labels["shown"], idle.centers.detach())
    expected = retrieval.kind_recovery(near, posed.labels["shown"], posed.kinds)
    assert experiments.untrained_recovery(posed, nn.Identity(), per_class=6) == pytest.approx(expected)
    assert -0.2 < expected < 0.9


def test_counts_at_thresholds_keep_the_order_of_runs_and_classes(run):
    ends = torch.nn.functional.normalize(draws(2, 3, 4, 5, 2), dim=-1)  # (2 starts, 3 taus, C=4, K=5, D=2)
    found = experiments.counts_at(ends, (0.05, 0.3))
    for threshold, counts in found.items():
        for start in range(2):
            for tau in range(3):
                expected = losses.distinct_centers(ends[start, tau], threshold=threshold).counts
                assert counts[start, tau].tolist() == expected.tolist()
    alike = experiments.agreement(found)
    assert alike.tolist() == (found[0.05] == found[0.3]).double().tolist()
    assert 0 < alike.mean() < 1
    loss = run[1]
    mean = sum(losses.distinct_centers(loss.centers.detach(), threshold=0.4).counts.tolist()) / 4
    assert experiments.mean_distinct(loss, 0.4) == pytest.approx(mean)


def test_gains_are_taken_seed_by_seed():
    these, those = [{"held": 0.5}, {"held": 0.9}], [{"held": 0.25}, {"held": 1.0}]
    assert experiments.gained(these, those, "held") == [{"held": 0.25}, {"held": pytest.approx(-0.1)}]
    assert experiments.over_seeds(these, "held", 100) == "70.00 ± 254.12 (2)"  # 12.706 times 20
    assert experiments.over_seeds(these[:1], "held") == "0.50 (1)"


@pytest.mark.bad_input
def test_runs_of_other_seeds_are_not_compared():
    with pytest.raises(ValueError, match="gained: "):
        experiments.gained([{"held": 1.0}], [], "held")
