"""Maps: what goes where, what a seed decides, and how one is laid onto another. No coordinate of a UMAP is asserted."""

import math

import pytest
import torch

from dmlbook import maps
from dmlbook.maps import Map
from dmlbook.seeding import SEED, generator


@pytest.fixture(scope="module")
def groups():
    """Three tight groups of 20 in 6 dimensions, of unlike lengths, and two centers in each."""
    draw = generator(SEED, "groups")
    corners = torch.eye(6)[:3]
    labels = torch.arange(3).repeat_interleave(20)
    images = (corners[labels] + 0.05 * torch.randn(60, 6, generator=draw)) * (1 + torch.arange(60)[:, None] % 4)
    centers = corners[:, None] + 0.05 * torch.randn(3, 2, 6, generator=draw)
    return images, labels, 7 * centers


@pytest.fixture(scope="module")
def drawn(groups):
    images, _, centers = groups
    return maps.umap_map(images, centers, n_neighbors=8)


def test_centers_are_laid_out_with_the_images_of_their_class(groups, drawn):
    images, labels, _ = groups
    assert drawn.points.shape == (60, 2)
    assert drawn.centers.shape == (3, 2, 2)
    for label in range(3):
        for center in drawn.centers[label]:
            nearest = (drawn.points - center).norm(dim=1).argmin()
            assert labels[nearest] == label
    # Neighbors, not places, are what a UMAP keeps.
    assert maps.trustworthiness(images, drawn, n_neighbors=8) > 0.9


def test_a_seed_decides_the_picture_and_length_does_not(groups, drawn):
    images, _, centers = groups
    again = maps.umap_map(images * 4, centers / 2, n_neighbors=8)  # by powers of two: nothing is rounded otherwise
    assert torch.equal(again.points, drawn.points)
    assert torch.equal(again.centers, drawn.centers)
    other = maps.umap_map(images, centers, n_neighbors=8, seed=SEED + 1)
    assert not torch.allclose(other.points, drawn.points)


def test_pca_is_the_shadow_with_the_largest_variance_and_centers_do_not_turn_it(groups):
    images, _, centers = groups
    unit = (images / images.norm(dim=1, keepdim=True)).double()
    middle = unit.mean(0)
    _, _, directions = torch.linalg.svd(unit - middle)
    expected = (unit - middle) @ directions[:2].T
    shown = maps.pca_map(images, 100 * centers)
    signs = torch.sign((shown.points * expected).sum(0))
    torch.testing.assert_close(shown.points.double() * signs, expected, atol=1e-5, rtol=0)
    seen = torch.nn.functional.normalize(centers, dim=-1).double()
    torch.testing.assert_close(shown.centers.double() * signs, (seen - middle) @ directions[:2].T, atol=1e-5, rtol=0)
    assert torch.equal(shown.points, maps.pca_map(images).points)
    assert maps.pca_map(images).centers is None


def test_only_used_centers_are_laid_out(groups):
    images, _, centers = groups
    used = torch.tensor([[True, False], [True, True], [False, False]])
    for draw in (maps.pca_map, lambda *rows, used: maps.umap_map(*rows, used=used, n_neighbors=8)):
        shown = draw(images, centers, used=used)
        assert torch.equal(shown.centers.isfinite().all(2), used)
    torch.testing.assert_close(
        maps.pca_map(images, centers, used=used).centers[used], maps.pca_map(images, centers).centers[used]
    )
    with pytest.raises(ValueError, match="pca_map: used must come with centers"):
        maps.pca_map(images, used=used)


def test_alignment_finds_a_turned_mirrored_grown_and_moved_map_again_with_its_centers():
    draw = generator(SEED, "align")
    onto = Map(torch.randn(9, 2, generator=draw), torch.randn(2, 3, 2, generator=draw))
    for angle, mirror in ((0.4, 1), (2.5, -1)):
        turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

        def moved(places, turn=turn, mirror=mirror):
            return 0.3 * (places * torch.tensor([1.0, mirror])) @ turn + torch.tensor([4.0, -2.0])

        found = maps.align(Map(moved(onto.points), moved(onto.centers)), onto)
        torch.testing.assert_close(found.points, onto.points, atol=1e-5, rtol=0)
        torch.testing.assert_close(found.centers, onto.centers, atol=1e-5, rtol=0)


def test_what_alignment_leaves_apart_is_the_procrustes_distance():
    draw = generator(SEED, "rest")
    one, other = (Map(torch.randn(15, 2, generator=draw)) for _ in range(2))
    laid = maps.align(other, one)
    assert laid.centers is None
    spread = (one.points - one.points.mean(0)).square().sum()
    left = float((laid.points - one.points).square().sum() / spread)
    assert left == pytest.approx(maps.procrustes_distance(one, other), abs=1e-5)


def test_only_maps_of_as_many_images_can_be_compared():
    maps.layout.check_same_images(Map(torch.zeros(4, 2)), Map(torch.ones(4, 2)))
    with pytest.raises(ValueError, match="in the same order; got 4 and 3"):
        maps.layout.check_same_images(Map(torch.zeros(4, 2)), Map(torch.ones(3, 2)))


def test_rows_without_a_direction_are_named():
    images = torch.randn(20, 3)
    images[4] = 0
    for draw in (maps.pca_map, maps.umap_map):
        with pytest.raises(ValueError, match=r"embeddings must have a direction; got 1 rows .* the first at 4"):
            draw(images)
    images[4] = torch.nan
    with pytest.raises(ValueError, match=r"embeddings must have a direction"):
        maps.pca_map(images)
    images[4] = 1
    with pytest.raises(ValueError, match=r"centers must have a direction; got 2 rows .* the first at 0"):
        maps.pca_map(images, torch.zeros(1, 2, 3))


def test_sizes_that_make_no_map_are_refused_before_the_work():
    images = torch.randn(20, 3)
    with pytest.raises(
        ValueError, match=r"umap_map: n_neighbors must be smaller than the number of images and centers; got 21"
    ):
        maps.umap_map(images, torch.randn(1, 1, 3), n_neighbors=21)
    with pytest.raises(ValueError, match="n_neighbors must be an integer >= 2"):
        maps.umap_map(images, n_neighbors=1)
    with pytest.raises(ValueError, match="min_dist must be"):
        maps.umap_map(images, min_dist=2.0)
    with pytest.raises(ValueError, match="pca_map: centers"):
        maps.pca_map(images, torch.randn(2, 2, 4))
    with pytest.raises(ValueError, match="pca_map: embeddings must have two rows and two columns"):
        maps.pca_map(torch.randn(5, 1))
    with pytest.raises(ValueError, match="align: maps must show the same images"):
        maps.align(Map(torch.randn(4, 2)), Map(torch.randn(5, 2)))
    with pytest.raises(ValueError, match="align: maps must show images in more than one place"):
        maps.align(Map(torch.ones(4, 2)), Map(torch.randn(4, 2)))


def test_a_map_leaves_torch_the_threads_that_it_had():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        maps.umap_map(torch.randn(40, 5, generator=generator(SEED, "threads")), n_neighbors=5)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
