"""A seed decides every number that a loss draws, and torch's global state neither decides nor notices."""

import inspect
import subprocess
import sys

import pytest
import torch

from dmlbook import geometry, losses
from dmlbook.seeding import SEED, generator
from tests.losses.loss_toys import CLASSES, LEARNED, SIZE

SIZES = {"num_classes": CLASSES, "embedding_size": SIZE}
DRAWN = tuple(name for name in losses.NAMES if "generator" in losses.options(name))


def drawn(loss):
    return torch.cat([value.detach().flatten().float() for value in loss.state_dict().values()])


def test_all_losses_with_drawn_points_are_tried_here():
    assert set(DRAWN) == {*LEARNED, "centroid_bound"}
    takes = [f for f in vars(geometry).values() if inspect.isfunction(f) and f.__module__ == geometry.__name__]
    assert [f.__name__ for f in takes if "generator" in inspect.signature(f).parameters] == ["kmeans_on_sphere"]


@pytest.mark.parametrize("name", DRAWN)
def test_a_seed_alone_decides_the_start_and_the_global_state_stays_as_it_is(name):
    starts, state = [], torch.get_rng_state()
    for seed in (None, None, SEED, SEED + 1, SEED + 1):
        starts.append(drawn(losses.make(name, **SIZES, seed=seed)))
        assert torch.equal(torch.get_rng_state(), state)
        torch.rand(3)
        state = torch.get_rng_state()
    assert torch.equal(starts[0], starts[1])
    assert torch.equal(starts[0], starts[2])
    assert torch.equal(starts[3], starts[4])
    assert not torch.equal(starts[0], starts[3])
    by_hand = losses.make(name, **SIZES, generator=generator(SEED + 1, "centers"))
    assert torch.equal(drawn(by_hand), starts[3])
    without_make = type(by_hand)(**SIZES)
    assert torch.equal(drawn(without_make), starts[0])


def test_centroids_drawn_without_a_loss_follow_the_book_too():
    state = torch.get_rng_state()
    first, second = (geometry.kmeans_on_sphere(5, 3) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(first, geometry.kmeans_on_sphere(5, 3, generator=generator(SEED, "centers")))
    assert torch.equal(torch.get_rng_state(), state)


def test_three_processes_start_alike():
    code = (
        "from dmlbook import losses; loss = losses.make('softtriple', num_classes=3, embedding_size=2)\n"
        "print(loss.weight.flatten().tolist())"
    )
    lines = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(3)}
    assert len(lines) == 1


@pytest.mark.bad_input
def test_a_seed_that_is_none_or_stands_beside_a_generator_is_refused():
    with pytest.raises(ValueError, match=r"losses.make: seed must be an integer; got 0.5"):
        losses.make("softmax", **SIZES, seed=0.5)
    with pytest.raises(ValueError, match="losses.make: seed must be left out beside generator; got 3"):
        losses.make("softmax", **SIZES, seed=3, generator=generator(3))
    assert losses.make("triplet", **SIZES, seed=3).margin == 0.2  # which draws nothing


@pytest.mark.bad_input
@pytest.mark.parametrize("name", DRAWN)
def test_what_cannot_be_distinct_is_refused(name):
    if name == "centroid_bound":
        message = "dimension must be at least 2 for more than two classes; got 1. A line has two directions"
        with pytest.raises(
            ValueError, match="kmeans_on_sphere: dimension must be at least 2 for more than two classes"
        ):
            geometry.kmeans_on_sphere(3, 1)
        for kind in ("simplex", "one_hot"):
            with pytest.raises(ValueError, match=f"{kind}: dimension must be at least"):
                losses.make(name, num_classes=3, embedding_size=1, centroids=kind)
    else:
        message = "embedding_size must be at least 2 for more than two classes; got 1. A line has two directions"
    with pytest.raises(ValueError, match=message):
        losses.make(name, num_classes=3, embedding_size=1)


@pytest.mark.parametrize(("classes", "size"), [(2, 1), (3, 2), (40, 2)])
def test_drawn_centroids_are_distinct(classes, size):
    assert len(torch.unique(geometry.kmeans_on_sphere(classes, size), dim=0)) == classes
