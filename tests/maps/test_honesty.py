"""How far a map may be believed, against literal loops and at the ends of each scale."""

import math

import pytest
import torch

from dmlbook import maps
from dmlbook.maps import Map
from dmlbook.seeding import SEED, generator


def scattered(count=30, dimensions=5, *, name="embeddings"):
    draw = generator(SEED, "maps", name)
    vectors = torch.randn(count, dimensions, generator=draw) * (1 + torch.arange(count)[:, None] % 3)  # unlike lengths
    return vectors, Map(torch.randn(count, 2, generator=draw))


def by_cosine(vectors):
    rows = [vector / vector.norm() for vector in vectors]
    return [[-float(a @ b) for b in rows] for a in rows]


def on_the_map(shown):
    return [[math.dist(a, b) for b in shown.points.tolist()] for a in shown.points.tolist()]


def ranks(far, i):
    """The others, nearest first."""
    return sorted((j for j in range(len(far)) if j != i), key=lambda j: far[i][j])


def literal_trustworthiness(true, seen, k):
    """Venna and Kaski: who is near in ``seen`` and not in ``true`` costs its rank there beyond k."""
    n, cost = len(true), 0
    for i in range(n):
        order, near = ranks(true, i), ranks(seen, i)[:k]
        cost += sum(order.index(j) + 1 - k for j in near if j not in order[:k])
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * cost


@pytest.mark.parametrize("k", [1, 4, 9])
def test_trustworthiness_and_continuity_are_their_loops_by_cosine(k):
    vectors, shown = scattered()
    true, seen = by_cosine(vectors), on_the_map(shown)
    assert maps.trustworthiness(vectors, shown, n_neighbors=k) == pytest.approx(literal_trustworthiness(true, seen, k))
    assert maps.continuity(vectors, shown, n_neighbors=k) == pytest.approx(literal_trustworthiness(seen, true, k))


def test_a_torn_group_is_trustworthy_and_not_continuous():
    """Twelve images around one direction, six drawn here and six there, in order; no two distances are equal."""
    angles = torch.linspace(0, 1, 12, dtype=torch.float64) ** 1.3
    vectors = torch.stack([angles.cos(), angles.sin()], 1)
    torn = Map(torch.stack([angles + 9.0 * (torch.arange(12) >= 6), torch.zeros(12)], 1).float())
    assert maps.trustworthiness(vectors, torn, n_neighbors=2) > maps.continuity(vectors, torn, n_neighbors=2) + 0.02
    glued = Map(torch.stack([angles, torch.zeros(12)], 1).float())
    far = torch.cat([vectors[:6], -vectors[6:]])  # two groups, drawn as one
    assert maps.continuity(far, glued, n_neighbors=2) > maps.trustworthiness(far, glued, n_neighbors=2) + 0.02


@pytest.mark.parametrize("k", [1, 4, 9])
def test_kept_neighbors_are_counted_by_hand(k):
    vectors, shown = scattered()
    true, seen = by_cosine(vectors), on_the_map(shown)
    by_hand = [len({*ranks(true, i)[:k]} & {*ranks(seen, i)[:k]}) / k for i in range(len(vectors))]
    torch.testing.assert_close(maps.kept_neighbors(vectors, shown, n_neighbors=k), torch.tensor(by_hand))


def test_kept_neighbors_do_not_depend_on_the_block(monkeypatch):
    from dmlbook.maps import honesty

    vectors, shown = scattered(50)
    whole, nearest = maps.kept_neighbors(vectors, shown, n_neighbors=7), honesty.nearest
    monkeypatch.setattr(honesty, "nearest", lambda *arguments: nearest(*arguments, block=8))
    assert torch.equal(maps.kept_neighbors(vectors, shown, n_neighbors=7), whole)


def test_random_places_keep_neighbors_by_chance():
    vectors, shown = scattered(2000, 8, name="chance")
    kept = maps.kept_neighbors(vectors, shown, n_neighbors=20)
    assert float(kept.mean()) == pytest.approx(20 / 1999, abs=4 * float(kept.std()) / math.sqrt(2000))
    assert maps.trustworthiness(vectors, shown, n_neighbors=20) == pytest.approx(0.5, abs=0.02)


def test_procrustes_distance_is_the_least_over_turns_mirrors_and_scales():
    first, second = scattered(12)[1], scattered(12, name="other")[1]
    a, b = ((m.points - m.points.mean(0)).double() for m in (first, second))
    a, b = a / a.norm(), b / b.norm()
    least = 1.0
    for mirror in (1.0, -1.0):
        for angle in torch.linspace(0, 2 * math.pi, 2001).tolist():
            turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]).double()
            turned = b @ turn * torch.tensor([1.0, mirror])
            least = min(least, float((a - (a * turned).sum() * turned).square().sum()))
    assert maps.procrustes_distance(first, second) == pytest.approx(least, abs=1e-5)
    assert maps.procrustes_distance(second, first) == pytest.approx(least, abs=1e-5)
    held = Map(5 - 3 * second.points.flip(1))  # mirrored, grown, moved
    assert maps.procrustes_distance(first, held) == pytest.approx(least, abs=1e-5)


@pytest.mark.parametrize("judge", [maps.trustworthiness, maps.continuity, maps.kept_neighbors])
def test_a_map_of_other_images_and_too_many_neighbors_are_refused(judge):
    vectors, shown = scattered(10)
    with pytest.raises(
        ValueError, match=f"{judge.__name__}: shown must have a place for each image; got 10 places for 9"
    ):
        judge(vectors[:9], shown)
    with pytest.raises(
        ValueError, match=r"n_neighbors must be below half the number of images; got 5\. Give at most 4"
    ):
        judge(vectors, shown, n_neighbors=5)
    judge(vectors, shown, n_neighbors=4)
    with pytest.raises(ValueError, match="n_neighbors must be an integer >= 1"):
        judge(vectors, shown, n_neighbors=0)


def test_maps_of_unlike_sets_and_of_one_place_have_no_distance():
    one, other = Map(torch.randn(4, 2)), Map(torch.randn(5, 2))
    with pytest.raises(ValueError, match="procrustes_distance: maps must show the same images"):
        maps.procrustes_distance(one, other)
    with pytest.raises(ValueError, match="procrustes_distance: maps must show images in more than one place"):
        maps.procrustes_distance(one, Map(torch.ones(4, 2)))


@pytest.mark.bad_input
@pytest.mark.parametrize("measure", [maps.trustworthiness, maps.continuity, maps.kept_neighbors])
def test_embeddings_without_a_direction_are_refused(measure):
    places, vectors = Map(torch.rand(8, 2)), torch.rand(8, 3)
    for value, message in ((float("nan"), "embeddings must be finite"), (0.0, "embeddings must have a direction")):
        vectors[1] = value
        with pytest.raises(ValueError, match=message):
            measure(vectors, places, n_neighbors=2)
    with pytest.raises(ValueError, match="Map: points must be finite"):
        Map(torch.full((2, 2), torch.nan))
