"""Purity and where the loss looks, against literal loops."""

import math

import pytest
import torch

from dmlbook import losses, maps
from dmlbook.chapters.ch09 import theory
from dmlbook.seeding import SEED, generator


@pytest.fixture
def dealt():
    """Sixty images of three classes with four centers each, and three kinds a class."""
    draw = generator(SEED, "dealt")
    images, centers = torch.randn(60, 6, generator=draw), torch.randn(3, 4, 6, generator=draw)
    labels = torch.randint(3, (60,), generator=draw)
    kinds = 100 * labels + 7 * torch.randint(3, (60,), generator=draw)
    return maps.serving(images, labels, centers), labels, kinds


def test_purity_is_counted_center_by_center(dealt):
    served, labels, kinds = dealt
    share, each = theory.kind_purity(served, kinds)
    right = 0
    for label in range(3):
        for center in range(4):
            members = [
                int(kind)
                for kind, own, at in zip(kinds, labels, served.assigned, strict=True)
                if own == label and at == center
            ]
            most = max((members.count(kind) for kind in members), default=0)
            right += most
            assert (
                math.isnan(each[label, center])
                if not members
                else each[label, center] == pytest.approx(most / len(members))
            )
    assert share == pytest.approx(right / 60)
    with pytest.raises(ValueError, match="kind_purity: kinds must be one for each of 60 images; got 59"):
        theory.kind_purity(served, kinds[1:])


def test_chance_keeps_each_centers_size_and_each_classs_kinds(dealt, monkeypatch):
    served, labels, kinds = dealt
    seen = []
    pure = theory.kind_purity
    monkeypatch.setattr(theory, "kind_purity", lambda served, dealt: seen.append(dealt) or pure(served, dealt))
    mean = theory.purity_by_chance(served, kinds, generator=generator(SEED, "chance"), repeat=5)
    assert len(seen) == 5
    assert mean == pytest.approx(sum(pure(served, dealt)[0] for dealt in seen) / 5)
    for dealt in seen:
        assert not torch.equal(dealt, kinds)
        for label in range(3):
            own = labels == label
            assert torch.equal(dealt[own].sort().values, kinds[own].sort().values)


def test_chance_is_below_what_centers_on_the_kinds_score():
    kinds = torch.arange(6).repeat_interleave(10)
    images = torch.eye(6)[kinds]
    labels = kinds // 3
    served = maps.serving(images, labels, torch.eye(6).view(2, 3, 6))
    assert theory.kind_purity(served, kinds)[0] == 1
    assert theory.purity_by_chance(served, kinds, generator=generator(SEED, "chance")) < 0.65


def test_where_the_loss_looks_is_a_loop():
    draw = generator(SEED, "look")
    loss = losses.make(
        *("softtriple",), num_classes=3, embedding_size=5, centers_per_class=4, scale=9.0, gamma=0.3, margin=0.2
    ).double()
    x, label = 3 * torch.randn(5, generator=draw, dtype=torch.float64), 1
    seen = theory.look(loss, x, label)
    assert isinstance(seen, theory.Look)
    unit, w = x / x.norm(), loss.centers.detach()
    s = [[float(unit @ w[c, k]) for k in range(4)] for c in range(3)]
    q = [[math.exp(v / 0.3) / sum(math.exp(u / 0.3) for u in row) for v in row] for row in s]
    of = [sum(a * b for a, b in zip(*both, strict=True)) for both in zip(q, s, strict=True)]
    logits = [9.0 * (v - 0.2 * (c == label)) for c, v in enumerate(of)]
    p = [math.exp(v) / sum(math.exp(u) for u in logits) for v in logits]
    for found, expected in ((seen.similar, s), (seen.weights, q), (seen.classes, of), (seen.probabilities, p)):
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert seen.value == pytest.approx(-math.log(p[label]))
    assert seen.value == pytest.approx(
        float(loss(x[None], torch.tensor([label])).detach()) - loss.tau * float(losses.center_regularizer(w))
    )
    for c in range(3):
        for k in range(4):
            slope = 9.0 * (p[c] - (c == label)) * q[c][k] * (1 + (s[c][k] - of[c]) / 0.3)
            assert float(seen.pulls[c, k]) == pytest.approx(-slope)


def test_a_class_without_centers_cannot_be_looked_at():
    loss = losses.make("softtriple", num_classes=3, embedding_size=5)
    with pytest.raises(ValueError, match="look: labels must"):
        theory.look(loss, torch.ones(5), 3)


def test_structureless_points_have_no_direction_in_common():
    points = theory.structureless(4000, 6, generator=generator(SEED, "cloud"))
    torch.testing.assert_close(points.norm(dim=1), torch.ones(4000))
    assert float(points.mean(0).norm()) < 0.05
    spread = torch.linalg.eigvalsh(points.T @ points / 4000)
    assert float(spread.max() - spread.min()) < 0.03
