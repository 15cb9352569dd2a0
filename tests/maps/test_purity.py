"""Purity of centers and its chance, against literal loops."""

import math

import pytest
import torch

from dmlbook import maps
from dmlbook.maps import purity
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
    share, each = maps.kind_purity(served, kinds)
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
        maps.kind_purity(served, kinds[1:])
    with pytest.raises(ValueError, match="purity_by_chance: kinds must be one for each of 60 images; got 59"):
        maps.purity_by_chance(served, kinds[1:], generator=generator(SEED, "chance"))


def test_chance_keeps_each_centers_size_and_each_classs_kinds(dealt, monkeypatch):
    served, labels, kinds = dealt
    seen = []
    pure = maps.kind_purity
    monkeypatch.setattr(purity, "kind_purity", lambda served, dealt: seen.append(dealt) or pure(served, dealt))
    mean = maps.purity_by_chance(served, kinds, generator=generator(SEED, "chance"), repeat=5)
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
    assert maps.kind_purity(served, kinds)[0] == 1
    assert maps.purity_by_chance(served, kinds, generator=generator(SEED, "chance")) < 0.65
