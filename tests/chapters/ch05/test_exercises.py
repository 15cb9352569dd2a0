"""The exercises of chapter 05: fresh wrong answers are named, and what is planted as a bug is one."""

import pytest
import torch

from dmlbook import chapters, losses
from dmlbook.chapters.ch05 import experiments
from dmlbook.chapters.ch05.batch_exercises import BATCHES
from dmlbook.chapters.ch05.deeper_exercises import DEEPER
from dmlbook.seeding import SEED
from tests.chapters.ch05.answers import ANSWERS


def test_the_exercises_are_those_of_lesson_and_companion_in_order():
    found = chapters.exercises("05")
    assert list(found) == ["5.1", "5.2", "5.3", "5.4", "5.6", "5.7"]  # 5.5 is open
    assert [found["5.2"], found["5.3"]] == list(BATCHES)
    assert [found["5.6"], found["5.7"]] == list(DEEPER)


@pytest.mark.parametrize("form", [list, tuple, lambda pair: dict(zip("ab", pair, strict=True))])
def test_two_weights_are_read_from_a_list_a_tuple_or_a_dictionary(form):
    solution = ANSWERS["5.6"]["solution"]
    assert chapters.judge("5.6", lambda s, t: form(solution(s, t))).state == "right"


def test_the_built_loss_is_the_packages_with_class_counts():
    counts = torch.tensor([2, 5, 9])
    loss = losses.CentroidBound(num_classes=3, embedding_size=4, class_counts=counts, normalize=False)
    z, y = torch.randn(6, 4, generator=torch.Generator().manual_seed(SEED)), torch.tensor([0, 0, 1, 2, 2, 2])
    mine = ANSWERS["5.2"]["solution"](z, y, loss.centroids, counts)
    torch.testing.assert_close(mine, loss(z, y), rtol=1e-5, atol=1e-5)


def test_the_mean_of_the_built_loss_over_all_batches_is_the_mean_over_classes():
    y = torch.tensor([0, 0, 1, 1, 1, 1])
    z, c = torch.randn(6, 2, generator=torch.Generator().manual_seed(SEED)), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    terms = losses.centroid_terms(torch.cdist(z, c), y)
    batches = [torch.tensor([a, b]) for a in range(6) for b in range(a)]
    mean = sum(ANSWERS["5.2"]["solution"](z[at], y[at], c, torch.tensor([2, 4])) for at in batches) / len(batches)
    torch.testing.assert_close(mean, (terms[:2].mean() + terms[2:].mean()) / 2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("batch", "away"), [(40, False), (5, True)])
def test_the_planted_bug_trains_with_large_batches_and_flees_with_small_ones(batch, away):
    bug = ANSWERS["5.3"]["the bug itself"]
    seen = experiments.descend(lambda z, y, c: bug(z, y, c, 1000), batch=batch, classes=10)
    assert seen[-1][0] < seen[0][0]
    assert (seen[-1][1] > seen[0][1] + 0.1) is away
    assert away or seen[-1][1] < seen[0][1] - 0.1


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_mean_of_the_estimate_over_all_batches_is_the_bound(size):
    y, images = torch.tensor([0, 1, 2, 0, 1, 2]), torch.arange(6)
    z, c = torch.randn(6, 2, generator=torch.Generator().manual_seed(SEED)).double(), torch.eye(3)[:, :2].double()
    batches = list(torch.combinations(images, size))
    mean = sum(ANSWERS["5.3"]["solution"](z[at], y[at], c, 6) for at in batches) / len(batches)
    torch.testing.assert_close(mean, losses.centroid_bound_sum(torch.cdist(z, c), y))
