"""Which images a center serves, by hand."""

import math

import pytest
import torch

from dmlbook import losses, maps
from dmlbook.seeding import SEED, generator


def at(*degrees):
    return torch.tensor([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees])


CENTERS = torch.stack([at(0, 90, 2, 180), at(45, 225, 315, 135)])  # class 0: the first and the third are one


def test_each_image_is_served_by_the_nearest_center_of_its_class_and_merged_ones_count_as_one():
    images, labels = at(5, 1, 100, 95, 40, 50, 300), torch.tensor([0, 0, 0, 0, 1, 1, 1])
    found = maps.serving(images * torch.arange(1, 8)[:, None], labels, 3 * CENTERS)  # lengths do not matter
    assert isinstance(found, maps.Serving)
    assert found.assigned.tolist() == [0, 0, 1, 1, 0, 0, 2]
    assert found.counts.tolist() == [[2, 2, 0, 0], [2, 0, 1, 0]]
    assert found.stands.tolist() == [[0, 1, 0, 3], [0, 1, 2, 3]]
    assert found.merged.tolist() == [[False, False, True, False], [False] * 4]
    assert found.used.tolist() == [[True, True, False, False], [True, False, True, False]]
    assert found.unused.tolist() == [[False, False, False, True], [False, True, False, True]]
    angles = [5, 1, 10, 5, 5, 5, 15]
    torch.testing.assert_close(found.similarity, torch.tensor([math.cos(math.radians(a)) for a in angles]))


def test_what_a_center_serves_comes_nearest_first_and_from_its_own_class():
    images, labels = at(10, 2, 5, 3), torch.tensor([0, 0, 1, 0])
    found = maps.serving(images, labels, CENTERS)
    assert found.of(0, 0).tolist() == [1, 3, 0]
    assert found.of(1, 0).tolist() == [2]
    assert found.of(0, 1).tolist() == []


def test_it_is_the_assignment_that_the_loss_counts():
    draw = generator(SEED, "serving")
    loss = losses.make("softtriple", num_classes=3, embedding_size=5, centers_per_class=4, generator=draw)
    images, labels = torch.randn(40, 5, generator=draw), torch.randint(3, (40,), generator=draw)
    report = loss.report(threshold=0.8)
    found = maps.serving(images, labels, loss.centers, threshold=0.8)
    assigned = losses.assigned_centers(images, labels, loss.centers.detach())
    assert torch.equal(report.groups[labels, found.assigned], report.groups[labels, assigned])
    assert (report.counts < 4).any()
    assert torch.equal(found.merged.sum(1), 4 - report.counts)


def test_images_of_classes_without_centers_are_refused():
    with pytest.raises(ValueError, match="serving: labels must be classes that have centers; got 0 to 2 for 2 classes"):
        maps.serving(at(0, 10), torch.tensor([0, 2]), CENTERS)
