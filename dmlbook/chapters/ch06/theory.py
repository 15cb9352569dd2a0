"""The thirteen losses of chapter 06 on one stage: their forces, what still pushes at the end, what a step costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from dmlbook import losses
from dmlbook._checks import at_least, bad_input, check_batch, checked, finite, one_of
from dmlbook._types import Float, Int, Tensor
from dmlbook.book import on_circle
from dmlbook.geometry import normalize, simplex
from dmlbook.losses import Loss
from dmlbook.seeding import SEED, generator


@checked(points=finite, labels=at_least(0), proxies=finite, centers=finite, centroids=finite)
@dataclass(frozen=True)
class Stage:
    """Images, and where the representatives of their classes stand: the same for every loss.

    Attributes:
        points: The images.
        labels: Class numbers, 0 to C - 1.
        proxies: Unit vectors, one a class, for the losses that learn one.
        centers: Unit vectors, K a class, for those that learn several.
        centroids: One a class, for the loss whose points are fixed.
    """

    points: Float[Tensor, "N D"]
    labels: Int[Tensor, " N"]
    proxies: Float[Tensor, "C D"]
    centers: Float[Tensor, "C K D"]
    centroids: Float[Tensor, "C D"]


def stage() -> Stage:
    """Three classes of three images on the unit circle, in double precision, proxies and fixed points at one place.

    Proxies and fixed points stand at 90, 210 and 330 degrees, two centers a class at 25 degrees from them. Image 0 is
    fine, image 1 is close to the boundary at 150 degrees, and image 4, of class 1, lies among those of class 2.

    Source: made for chapter 6.

    Example:
        >>> stage().points.shape, stage().labels.tolist()
        (torch.Size([9, 2]), [0, 0, 0, 1, 1, 1, 2, 2, 2])
    """
    middles = torch.tensor([90.0, 210.0, 330.0], dtype=torch.float64)
    images = torch.tensor([84.0, 143.0, 62.0, 218.0, 318.0, 187.0, 343.0, 296.0, 372.0], dtype=torch.float64)
    corners = _unit(middles)
    centers = _unit(middles[:, None] + torch.tensor([-25.0, 25.0], dtype=torch.float64))
    return Stage(_unit(images), torch.arange(3).repeat_interleave(3), corners, centers, corners)


@checked(labels=at_least(0), centers_per_class=at_least(1))
def around(embeddings: Float[Tensor, "N D"], labels: Int[Tensor, " N"], *, centers_per_class: int = 2) -> Stage:
    """A stage whose representatives stand where the images are: each class's at the direction of its images' mean.

    Args:
        embeddings: One row an image.
        labels: Class numbers, 0 to C - 1, each at least ``centers_per_class`` times.
        centers_per_class: K >= 1. Center k stands at the mean of the class's images number k, k + K, k + 2 K, ...

    Raises:
        ValueError: Shapes or labels do not fit, or a class has too few images.

    Source: made for chapter 6.

    Example:
        >>> around(torch.eye(2), torch.tensor([0, 1]), centers_per_class=1).proxies
        tensor([[1., 0.],
                [0., 1.]])
    """
    labels = check_batch(embeddings, labels)
    counts = torch.bincount(labels.clamp(min=0))
    if int(labels.min()) < 0 or int(counts.min()) < centers_per_class:
        rule = f"hold each class 0..{len(counts) - 1} at least {centers_per_class} times"
        raise bad_input("labels", rule, f"counts {counts.tolist()}", "Give more images, or fewer centers.")
    of_class = [normalize(embeddings[labels == c]) for c in range(len(counts))]
    proxies = normalize(torch.stack([x.mean(0) for x in of_class]))
    turns = range(centers_per_class)
    centers = torch.stack([torch.stack([x[k::centers_per_class].mean(0) for k in turns]) for x in of_class])
    return Stage(embeddings, labels, proxies, normalize(centers), proxies)


@checked(name=one_of(*losses.NAMES))
def place(name: str, on: Stage, **chosen: object) -> Loss:
    """The loss called ``name`` with its representatives where the stage has them, in evaluation mode.

    Its options are the papers', as ``losses.make`` has them, but for the number of centers a class, which is the
    stage's. Triplet-center's means are those of the stage's images.

    Args:
        name: One of ``losses.NAMES``.
        on: The stage. Its precision is the loss's.
        **chosen: Options that are to be others.

    Raises:
        ValueError: No loss has that name, or it has no such option.

    Source: made for chapter 6.

    Example:
        >>> place("softtriple", stage()).centers.shape
        torch.Size([3, 2, 2])
    """
    classes, per_class, size = on.centers.shape
    if "centers_per_class" in losses.options(name):
        chosen = {"centers_per_class": per_class, **chosen}
    if name == "centroid_bound":  # any will do, since the stage's take their place; simplex is quick, but needs room
        chosen = {"centroids": "simplex", **chosen}
        loss = losses.make(name, num_classes=classes, embedding_size=max(size, classes - 1), **chosen)
        loss.embedding_size, loss.centroids = size, on.centroids.clone()
    else:
        loss = losses.make(name, num_classes=classes, embedding_size=size, **chosen)
    loss = loss.to(on.points.dtype).eval()
    if isinstance(loss, losses.CenterLoss):
        rows = on.centers if "centers_per_class" in losses.options(name) else on.proxies[:, None]
        loss.weight.data = rows.transpose(0, 1).clone()  # (K, C, D)
    if isinstance(loss, losses.TripletCenter):
        loss.recompute(on.points, on.labels)
    return loss


@checked
def forces(loss: Loss, points: Float[Tensor, "N D"], labels: Int[Tensor, " N"]) -> Float[Tensor, "N D"]:
    """Where a step of descent would move each image: minus the gradient of N times the mean loss.

    Args:
        loss: Taken in evaluation mode, so that nothing of it moves.
        points: The images. Where they have unit length, a loss that normalizes has forces along the sphere only.
        labels: Class numbers.

    Raises:
        ValueError: Shapes or labels do not fit.

    Source: elementary. Chapter 6.

    Example:
        >>> forces(losses.make("triplet", num_classes=2, embedding_size=2), torch.eye(2), torch.tensor([0, 1]))
        tensor([[-0., -0.],
                [-0., -0.]])
    """
    was = loss.training
    loss.eval()
    leaf = points.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(len(points) * loss(leaf, labels), leaf)
    loss.train(was)
    return -gradient


@checked
def alike(fields: Mapping[str, Float[Tensor, "N D"]]) -> tuple[tuple[str, ...], Float[Tensor, "M M"]]:
    """The cosine between the forces of each two methods, taken over all images at once.

    Args:
        fields: For each method its forces on the same images.

    Returns:
        The names, and cosines in [-1, 1]: 1 where one method's forces are the other's times a number, 0 where a method
        exerts none.

    Raises:
        ValueError: There are no methods, or their forces are not of one shape.

    Source: elementary. Chapter 6.

    Example:
        >>> alike({"a": torch.eye(2), "b": torch.tensor([[2.0, 0.0], [0.0, 0.0]])})[1]
        tensor([[1.0000, 0.7071],
                [0.7071, 1.0000]])
    """
    shapes = {tuple(field.shape) for field in fields.values()}
    if len(shapes) != 1:
        raise bad_input("fields", "be forces on the same images", f"shapes {sorted(shapes)}", "Take one stage for all.")
    rows = normalize(torch.stack([field.flatten() for field in fields.values()]))
    return tuple(fields), rows @ rows.T


@checked(name=one_of(*losses.NAMES), classes=at_least(2), distance=at_least(0), per_class=at_least(2))
def still_pushes(
    name: str, *, classes: int = 10, distance: float = 0.005, per_class: int = 4, **chosen: object
) -> float:
    """How hard a loss still pushes where nothing is left to do: the mean length of an image's force at a simplex.

    Representatives stand at the corners of a regular simplex, and every image at a random direction's ``distance`` from
    its class's corner, put back onto the sphere. Triplet-center's means are those of the images.

    Args:
        name: One of ``losses.NAMES``.
        classes: C, >= 2; there are as many dimensions.
        distance: Of the images to the corners, >= 0, before they are put back.
        per_class: Images a class, >= 2.
        **chosen: Options of the loss.

    Returns:
        The mean over images of the length of ``forces``.

    Raises:
        ValueError: No loss has that name, or a number or an option is out of range.

    Source: made for chapter 6.

    Example:
        >>> round(still_pushes("semihard"), 3), round(still_pushes("centroid_bound"), 1)
        (0.0, 3.0)
    """
    corners = simplex(classes, classes).double()
    labels = torch.arange(classes).repeat_interleave(per_class)
    noise = torch.randn(len(labels), classes, dtype=torch.float64, generator=generator(SEED, "still pushes"))
    points = normalize(corners[labels] + distance * normalize(noise))
    at_corners = Stage(points, labels, corners, corners[:, None].repeat(1, 2, 1), corners)
    return float(forces(place(name, at_corners, **chosen), points, labels).norm(dim=1).mean())


@checked(
    name=one_of(*losses.NAMES),
    batch=at_least(4),
    classes=at_least(2),
    dimensions=at_least(1),
    centers_per_class=at_least(1),
    repeat=at_least(1),
)
def step_seconds(
    name: str, *, batch: int, classes: int, dimensions: int, centers_per_class: int = 10, repeat: int = 5
) -> float:
    """Median seconds of a loss's own part of a step: its value, and the gradients in embeddings and representatives.

    The batch holds as many images a class as the loss asks for, and 4 where it asks for none.

    Args:
        name: One of ``losses.NAMES``.
        batch: B, >= 4.
        classes: C, >= 2, of the whole training set.
        dimensions: D, >= 1.
        centers_per_class: K, for the losses with several.
        repeat: How often it is timed, after one run that does not count.

    Raises:
        ValueError: No loss has that name, or a number is out of range.

    Source: made for chapter 6.

    Example:
        >>> step_seconds("softmax", batch=8, classes=4, dimensions=3, repeat=1) < 1
        True
    """
    draw = generator(SEED, "step", name, batch, classes, dimensions)
    points = normalize(torch.randn(batch, dimensions, generator=draw))
    centers = normalize(torch.randn(classes, centers_per_class, dimensions, generator=draw))
    labels = torch.arange(batch) // (losses.images_per_class(name) or 4) % classes
    loss = place(name, Stage(points, labels, centers[:, 0], centers, centers[:, 0]))
    leaves, seconds = [points.requires_grad_(), *loss.parameters()], []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        torch.autograd.grad(loss(points, labels), leaves)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def _unit(degrees: Tensor) -> Tensor:
    """Unit vectors at these angles, in double precision."""
    return normalize(on_circle(degrees).double())
