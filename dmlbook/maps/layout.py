"""Images and centers in the plane: UMAP and PCA, and one map turned so that it can be compared with another."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch

from dmlbook._checks import at_least, bad_input, between, check_finite, checked
from dmlbook._types import Bool, Float, Tensor
from dmlbook.geometry import normalize
from dmlbook.seeding import SEED


@checked
@dataclass(frozen=True)
class Map:
    """Where things lie in the plane. Distances between far groups, sizes and directions of a UMAP mean nothing.

    Attributes:
        points: One row an image.
        centers: One row a center of each class, NaN for those that were left out; None where none were given.
    """

    points: Float[Tensor, "N 2"]
    centers: Float[Tensor, "C K 2"] | None = None

    def __post_init__(self) -> None:
        check_finite(points=self.points)


@checked(n_neighbors=at_least(2), min_dist=between(0, 1))
def umap_map(
    embeddings: Float[Tensor, "N D"],
    centers: Float[Tensor, "C K D"] | None = None,
    *,
    used: Bool[Tensor, "C K"] | None = None,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    seed: int = SEED,
) -> Map:
    """A UMAP of embeddings and, laid out with them, of learned centers, by cosine.

    Centers are rows like any other: they are pulled to the images that they are close to, and take part in the
    neighborhoods. The first call in a process takes some ten seconds, in which umap is imported and compiled.

    Args:
        embeddings: Of N images, of any length except 0.
        centers: K of each of C classes.
        used: Which of them to lay out, as :class:`Serving` knows them; all if not given. Copies of one merged center,
            and those that serve nobody, have only each other for neighbors: they make islands that mean nothing.
        n_neighbors: How many neighbors count as near, fewer than there are rows. Small shows crumbs, large the whole.
        min_dist: How close points may lie in the plane, in [0, 1].
        seed: Of the layout. The same seed gives the same picture on the same machine and versions; another seed gives
            another picture of the same data, which is why no conclusion may rest on one.

    Raises:
        ValueError: Shapes do not fit, an embedding or a center is 0, or there are not more rows than neighbors.

    Source: McInnes, Healy, Melville, 2018, as in umap-learn. Chapter 9.
    """
    rows = _together(embeddings, centers, used)
    if len(rows) <= n_neighbors:
        remedy = f"Give at most {len(rows) - 1}, or more images."
        raise bad_input("n_neighbors", "be smaller than the number of images and centers", n_neighbors, remedy)
    threads = torch.get_num_threads()
    import umap

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="n_jobs value")  # a seed asks for one thread: that is meant
            layout = umap.UMAP(n_neighbors=n_neighbors, min_dist=min_dist, metric="cosine", random_state=seed)
            places = torch.from_numpy(layout.fit_transform(rows.numpy())).float()
    finally:
        torch.set_num_threads(threads)  # numba gives torch as many as there are processors
    return _apart(places, embeddings, centers, used)


@checked
def pca_map(
    embeddings: Float[Tensor, "N D"],
    centers: Float[Tensor, "C K D"] | None = None,
    *,
    used: Bool[Tensor, "C K"] | None = None,
) -> Map:
    """The two directions of largest variance of the images; centers are seen from there, and decide nothing.

    A shadow: it invents no groups, and may lay apart ones onto each other. Rows are made unit vectors first. ``used``
    as of :func:`umap_map`.

    Raises:
        ValueError: Shapes do not fit, D or N is below 2, or an embedding or a center is 0.

    Source: Pearson, 1901, as in scikit-learn. Chapter 9.

    Example:
        >>> pca_map(torch.eye(3)).points.norm(dim=1)
        tensor([0.8165, 0.8165, 0.8165])
    """
    if min(embeddings.shape) < 2:
        raise bad_input("embeddings", "have two rows and two columns or more", tuple(embeddings.shape), "Give more.")
    from sklearn.decomposition import PCA

    rows = _together(embeddings, centers, used).double().numpy()
    places = PCA(n_components=2, svd_solver="full").fit(rows[: len(embeddings)]).transform(rows)
    return _apart(torch.from_numpy(places).float(), embeddings, centers, used)


@checked
def align(moved: Map, onto: Map) -> Map:
    """A map turned, mirrored, moved and scaled, as a whole, so that its images lie as near as can be to another's.

    What remains apart after that is a difference of the maps, not of how they happen to be held.

    Args:
        moved: Of the same images as ``onto``, in the same order; its centers, if any, go with them.
        onto: What stays.

    Raises:
        ValueError: The maps do not show the same number of images, or all images of one lie in one place.

    Source: Schönemann, Psychometrika 1966, as in scipy. Chapter 9.

    Example:
        >>> onto = Map(torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))
        >>> turned = Map(3 * onto.points[:, [1, 0]] + 5)
        >>> torch.allclose(align(turned, onto).points, onto.points, atol=1e-5)
        True
    """
    from scipy.linalg import orthogonal_procrustes

    check_same_images(moved, onto)
    middle, target = moved.points.double().mean(0), onto.points.double().mean(0)
    a, b = moved.points.double() - middle, onto.points.double() - target
    if not (a.any() and b.any()):
        raise bad_input("maps", "show images in more than one place", "all in one", "Look at the embeddings.")
    turn, spread = orthogonal_procrustes(a.numpy(), b.numpy())
    grown = torch.from_numpy(turn) * (float(spread) / float(a.square().sum()))

    def move(places: Tensor) -> Tensor:
        return ((places.double() - middle) @ grown + target).to(onto.points)

    return Map(move(moved.points), None if moved.centers is None else move(moved.centers))


def check_same_images(first: Map, second: Map) -> None:
    """Raise a ValueError where two maps cannot show the same images."""
    if first.points.shape != second.points.shape:
        got = f"{len(first.points)} and {len(second.points)}"
        raise bad_input("maps", "show the same images, in the same order", got, "Map one set of images twice.")


def _together(embeddings: Tensor, centers: Tensor | None, used: Tensor | None) -> Tensor:
    """Unit rows: the images, then the centers that are used, class by class."""
    named = {"embeddings": embeddings}
    if centers is not None:
        named["centers"] = centers.flatten(0, 1) if used is None else centers[used]
    elif used is not None:
        raise bad_input("used", "come with centers", "no centers", "Pass both.")
    rows = {name: vectors.detach().cpu().float() for name, vectors in named.items()}
    for name, vectors in rows.items():
        lengths = vectors.norm(dim=1)
        lost = (~lengths.isfinite() | (lengths == 0)).nonzero().flatten()
        if len(lost):
            got = f"{len(lost)} rows that are 0 or not finite, the first at {int(lost[0])}"
            raise bad_input(name, "have a direction", got, "Find out where they come from.")
    return normalize(torch.cat(list(rows.values())))


def _apart(places: Tensor, embeddings: Tensor, centers: Tensor | None, used: Tensor | None) -> Map:
    points, rest = places.split([len(embeddings), len(places) - len(embeddings)])
    if centers is None:
        return Map(points)
    if used is None:
        return Map(points, rest.unflatten(0, centers.shape[:2]))
    found = torch.full((*centers.shape[:2], 2), torch.nan)
    found[used.cpu()] = rest
    return Map(points, found)
