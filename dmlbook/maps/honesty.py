"""How far a map may be believed: what it kept of the neighborhoods, and what another seed makes of the same data."""

from __future__ import annotations

from dmlbook._checks import at_least, bad_input, check_finite, checked
from dmlbook._types import Float, Tensor
from dmlbook.geometry import cosines, squared_distances
from dmlbook.maps.layout import Map, check_same_images
from dmlbook.maps.near import nearest


@checked(n_neighbors=at_least(1))
def trustworthiness(embeddings: Float[Tensor, "N D"], shown: Map, *, n_neighbors: int = 15) -> float:
    """May one believe that what lies together on the map belongs together? Only then is it near 1.

    Each image's ``n_neighbors`` nearest on the map that are *not* among its nearest by cosine cost as much as they are
    far down its list.

    Args:
        embeddings: One row an image, as for the map.
        shown: The map.
        n_neighbors: How many neighbors, below N / 2.

    Returns:
        In [0, 1]: 1 if every neighbor on the map is one, about 0.5 for places drawn at random.

    Raises:
        ValueError: The map does not show N images, or N / 2 is not above the number of neighbors.

    Source: Venna and Kaski, ICANN 2001, as in scikit-learn. Chapter 9.

    Example:
        >>> vectors = torch.tensor([[1.0, 0.0], [0.9, 0.3], [0.4, 0.9], [0.0, 1.0], [-0.5, 0.9]])
        >>> trustworthiness(vectors, Map(vectors), n_neighbors=1)
        1.0
    """
    from sklearn.manifold import trustworthiness as judged

    _check(embeddings, shown, n_neighbors)
    return float(judged(_by_cosine(embeddings), shown.points.double().numpy(), n_neighbors=n_neighbors))


@checked(n_neighbors=at_least(1))
def continuity(embeddings: Float[Tensor, "N D"], shown: Map, *, n_neighbors: int = 15) -> float:
    """Does what belongs together also lie together on the map? Trustworthiness the other way round.

    Each image's nearest by cosine that are *not* among its nearest on the map cost as much as they are far away there:
    a map that tears a group apart is trustworthy, and not continuous.

    Args and errors as of :func:`trustworthiness`.

    Returns:
        In [0, 1]: 1 if every neighbor is one on the map, too.

    Source: Venna and Kaski, Neural Networks 2006. Chapter 9.
    """
    from sklearn.manifold import trustworthiness as judged

    _check(embeddings, shown, n_neighbors)
    return float(judged(shown.points.double().numpy(), _by_cosine(embeddings), n_neighbors=n_neighbors))


@checked(n_neighbors=at_least(1))
def kept_neighbors(embeddings: Float[Tensor, "N D"], shown: Map, *, n_neighbors: int = 15) -> Float[Tensor, " N"]:
    """For each image the share of its nearest neighbors by cosine that are among its nearest on the map.

    Args and errors as of :func:`trustworthiness`.

    Returns:
        In [0, 1]; for places drawn at random ``n_neighbors / (N - 1)`` on average.

    Source: Chen and Buja, JASA 2009 (their local continuity, without the correction for chance). Chapter 9.

    Example:
        >>> vectors = torch.tensor([[1.0, 0.0], [0.9, 0.3], [0.4, 0.9], [0.0, 1.0], [-0.5, 0.9]])
        >>> kept_neighbors(vectors, Map(vectors[[0, 3, 1, 4, 2]]), n_neighbors=1)
        tensor([0., 0., 0., 0., 0.])
    """
    _check(embeddings, shown, n_neighbors)
    exact = embeddings.double()  # in float32 near duplicates have one cosine
    meant = nearest(len(exact), n_neighbors, lambda rows: -cosines(exact[rows], exact))
    points = shown.points.double()
    drawn = nearest(len(embeddings), n_neighbors, lambda rows: squared_distances(points[rows], points))
    return (meant[:, :, None] == drawn[:, None, :]).any(2).float().mean(1)


@checked
def procrustes_distance(first: Map, second: Map) -> float:
    """How unlike two maps of the same images are, however they are turned, mirrored, moved or scaled.

    Returns:
        In [0, 1]: the share of variance of one map that the other, laid onto it as well as can be, leaves unexplained.

    Raises:
        ValueError: The maps do not show the same number of images, or all images of one lie in one place.

    Source: Gower, Psychometrika 1975, as in scipy. Chapter 9.

    Example:
        >>> shown = Map(torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))
        >>> round(procrustes_distance(shown, Map(7 - shown.points)), 6)
        0.0
    """
    from scipy.spatial import procrustes

    check_same_images(first, second)
    if not all((shown.points - shown.points[:1]).any() for shown in (first, second)):
        raise bad_input("maps", "show images in more than one place", "all in one", "Look at the embeddings.")
    return float(procrustes(first.points.double().numpy(), second.points.double().numpy())[2])


def _by_cosine(embeddings: Tensor) -> object:
    """Unit rows: their distances are in the order of their cosines."""
    rows = embeddings.detach().cpu().double()
    return (rows / rows.norm(dim=1, keepdim=True)).numpy()


def _check(embeddings: Tensor, shown: Map, n_neighbors: int) -> None:
    if len(shown.points) != len(embeddings):
        got = f"{len(shown.points)} places for {len(embeddings)} images"
        raise bad_input(
            "shown", "have a place for each image", got, "Judge a map by the embeddings that it was made of."
        )
    check_finite(embeddings=embeddings)
    if not bool(embeddings.any(1).all()):
        raise bad_input("embeddings", "have a direction", "a row of zeros", "Leave it out: it has no cosine.")
    if 2 * n_neighbors >= len(embeddings):
        remedy = f"Give at most {(len(embeddings) - 1) // 2}, or more images."
        raise bad_input("n_neighbors", "be below half the number of images", n_neighbors, remedy)
