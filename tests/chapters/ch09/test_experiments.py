"""The runs and numbers of chapter 09, beside slow loops."""

import pytest
import torch
from matplotlib.figure import Figure
from torch.nn import functional as F

from dmlbook import datasets, losses, maps
from dmlbook.chapters.ch09 import experiments, figures
from dmlbook.datasets.kinds import merge_classes
from dmlbook.seeding import generator


@pytest.fixture(scope="module")
def train():
    birds = datasets.load("birds", "train").of_classes(torch.arange(4))
    return merge_classes(birds, 2, generator=generator(0, "merge")).select(torch.arange(0, 200, 5))


def vectors(count, dimensions=5, name="vectors"):
    return torch.randn(count, dimensions, generator=generator(3, name))


@pytest.mark.parametrize("name", ["softtriple", "centroid_bound"])
def test_what_is_seen_after_a_stage_is_what_the_loss_holds_then(train, name):
    _, loss, seen = experiments.learn(train, name, {"lr": 1e-3}, stages=(0, 1))
    assert [each.epochs for each in seen] == [0, 1]
    assert isinstance(seen[0], experiments.Seen)
    assert torch.equal(seen[-1].centers, experiments.points_of(loss))
    assert seen[-1].centers.shape[0] == train.num_classes
    assert not torch.equal(seen[0].embeddings, seen[1].embeddings)
    assert torch.equal(seen[0].centers, seen[1].centers) is (name == "centroid_bound")


def test_cosines_are_those_of_the_loop():
    x, labels, kinds = vectors(8), torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    unit = F.normalize(x, dim=1)
    means = [F.normalize(unit[kinds == kind].mean(0), dim=0) for kind in range(4)]
    of_class = [float(means[0] @ means[1]), float(means[2] @ means[3])]
    other = [float(unit[i] @ unit[j]) for i in range(8) for j in range(8) if labels[i] != labels[j]]
    alike, unlike = experiments.cosines(x, labels, kinds)
    assert alike == pytest.approx(sum(of_class) / 2, abs=1e-5)
    assert unlike == pytest.approx(sum(other) / len(other), abs=1e-5)
    together = experiments.kinds_together(x, labels, kinds)
    assert together == pytest.approx(dict(enumerate(of_class)), abs=1e-5)


def test_the_first_of_each_kind_come_kind_by_kind():
    kinds = torch.tensor([1, 0, 1, 0, 1, 2])
    assert experiments.some_of_each(kinds, 2).tolist() == [1, 3, 0, 2, 5]


def test_beyond_is_the_mean_place_of_made_up_neighbors():
    x = vectors(30)
    shown = maps.Map(vectors(30, 2, "map"))
    found = experiments.judged(x, shown, 3)
    far, drawn = 1 - F.normalize(x, dim=1) @ F.normalize(x, dim=1).T, torch.cdist(shown.points, shown.points)
    beyond = []
    for i in range(30):
        others = [j for j in range(30) if j != i]
        true = sorted(others, key=lambda j, i=i: float(far[i, j]))
        near = sorted(others, key=lambda j, i=i: float(drawn[i, j]))[:3]
        beyond += [true.index(j) + 1 - 3 for j in near if j not in true[:3]]
    assert found["beyond"] == pytest.approx(sum(beyond) / len(beyond), rel=1e-4)
    assert found["kept"] == pytest.approx(1 - len(beyond) / 90)
    assert set(found) == {"trustworthiness", "continuity", "kept", "beyond"}


def test_shared_neighbors_are_all_for_a_turned_map_and_few_for_another():
    one, other = maps.Map(vectors(40, 2, "one")), maps.Map(vectors(40, 2, "other"))
    turned = maps.Map(one.points.flip(1))
    assert experiments.shared_neighbors([one, turned], 5) == 1
    assert experiments.shared_neighbors([one, other], 5) < 0.5


def test_the_image_on_the_fence_has_the_smallest_gap():
    x, labels = vectors(12, 4), torch.arange(12) % 3
    loss = losses.make("softtriple", num_classes=3, embedding_size=4, generator=generator(0, "centers"))
    gaps = []
    for i, y in enumerate(labels.tolist()):
        cosines = torch.einsum("d,ckd->ck", F.normalize(x[i], dim=0), loss.centers.detach())
        of_class = losses.softtriple_similarity(cosines[None], gamma=loss.gamma)[0].tolist()
        gaps.append(abs(of_class[y] - max(v for c, v in enumerate(of_class) if c != y)))
    assert experiments.on_the_fence(loss, x, labels) == gaps.index(min(gaps))


def test_torn_is_the_mean_distance_on_the_map():
    shown = maps.Map(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    assert experiments.torn(shown, torch.tensor([[1, 2], [0, 0], [0, 2]])).tolist() == [3.0, 5.0, 0.5]


def test_a_heading_stands_at_the_left_of_the_figure():
    figure = figures.headed(Figure(), "The finding")
    assert figure.get_suptitle() == "The finding"
    assert figure._suptitle.get_ha() == "left"
