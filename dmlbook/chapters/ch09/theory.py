"""What the centers learned: how pure they are, how far chance gets, and what the loss sees in a single image."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dmlbook import losses
from dmlbook._checks import at_least, bad_input, check_batch, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.geometry import normalize
from dmlbook.losses import SoftTriple
from dmlbook.maps import Serving


@checked
def kind_purity(served: Serving, kinds: Int[Tensor, " N"]) -> tuple[float, Float[Tensor, "C K"]]:
    """How much of one kind the centers are: the share of images whose kind is the most frequent one at their center.

    Args:
        served: Which images each center serves.
        kinds: The true kind of each image, any integers.

    Returns:
        The share over all images, in (0, 1], and that of each center; NaN where it serves nobody. One image a center
        gives 1: compare with :func:`purity_by_chance`.

    Raises:
        ValueError: There is not one kind an image.

    Source: Manning, Raghavan, Schütze, *Introduction to Information Retrieval*, 2008, section 16.3. Chapter 9.

    Example:
        >>> from dmlbook.maps import serving
        >>> images, labels = torch.eye(2)[[0, 0, 1]], torch.zeros(3, dtype=torch.long)
        >>> kind_purity(serving(images, labels, torch.eye(2)[None]), torch.tensor([7, 8, 8]))
        (0.6666666666666666, tensor([[0.5000, 1.0000]]))
    """
    if len(kinds) != len(served.labels):
        raise bad_input("kinds", f"be one for each of {len(served.labels)} images", len(kinds), "Pass image_set.kinds.")
    _, numbers = torch.unique(kinds, return_inverse=True)
    classes, per_class = served.counts.shape
    table = torch.zeros(classes, per_class, int(numbers.max()) + 1, dtype=torch.long)
    table.index_put_((served.labels, served.assigned, numbers), torch.ones_like(numbers), accumulate=True)
    largest = table.amax(2)
    return float(largest.sum()) / len(kinds), torch.where(served.used, largest / served.counts, torch.nan)


@checked(repeat=at_least(1))
def purity_by_chance(
    served: Serving, kinds: Int[Tensor, " N"], *, generator: torch.Generator, repeat: int = 20
) -> float:
    """The purity of the same centers, with as many images each, if each class's kinds were dealt to them at random.

    Args:
        served: Which images each center serves.
        kinds: The true kind of each image.
        generator: Deals.
        repeat: How many deals the mean is taken over.

    Source: made for chapter 9.
    """
    dealt, home = [], served.labels.argsort(stable=True)
    for _ in range(repeat):
        order = torch.randperm(len(kinds), generator=generator)
        order = order[served.labels[order].argsort(stable=True)]
        shuffled = torch.empty_like(kinds)
        shuffled[home] = kinds[order]
        dealt.append(kind_purity(served, shuffled)[0])
    return sum(dealt) / repeat


@dataclass(frozen=True)
class Look:
    """What SoftTriple sees in one image.

    Attributes:
        similar: Its cosine with every center (C, K).
        weights: q, the share that each center has in its class's similarity (C, K); rows sum to 1.
        classes: Its similarity to every class (C,).
        probabilities: p, softmax of lambda times the similarities less the own margin (C,).
        pulls: Minus the slope of its loss in each cosine (C, K): above 0 the center and the image attract each other,
            below 0 they push each other away.
        value: Its loss.
    """

    similar: Float[Tensor, "C K"]
    weights: Float[Tensor, "C K"]
    classes: Float[Tensor, " C"]
    probabilities: Float[Tensor, " C"]
    pulls: Float[Tensor, "C K"]
    value: float


@checked
def look(loss: SoftTriple, embedding: Float[Tensor, " D"], label: int) -> Look:
    """Where the loss looks: an image's similarities, their weights, and whom its gradient moves.

    Args:
        loss: Its centers, gamma, scale and margin. The price on centers, which no image pays, is left out.
        embedding: Of the image, of any length but 0.
        label: Its class.

    Raises:
        ValueError: The loss has no such class, or the sizes do not fit.

    Source: Qian et al., ICCV 2019; the slopes as in chapter 3. Chapter 9.
    """
    one, own = embedding.detach()[None], torch.tensor([label])
    check_batch(one, own, num_classes=loss.num_classes)
    centers = loss.centers.detach()
    similar = torch.einsum("bd,ckd->bck", normalize(one), centers).requires_grad_()
    classes = losses.softtriple_similarity(similar, gamma=loss.gamma)
    value = losses.margin_cross_entropy(classes, own, scale=loss.scale, margin=loss.margin)
    (slope,) = torch.autograd.grad(value, similar)
    margin = loss.margin * torch.nn.functional.one_hot(own, loss.num_classes)
    return Look(
        similar.detach()[0],
        torch.softmax(similar.detach() / loss.gamma, 2)[0],
        classes.detach()[0],
        torch.softmax(loss.scale * (classes.detach() - margin), 1)[0],
        -slope[0],
        float(value.detach()),
    )


@checked(count=at_least(4), dimensions=at_least(2))
def structureless(count: int, dimensions: int, *, generator: torch.Generator) -> Float[Tensor, "N D"]:
    """Points spread evenly over the sphere, without any group: what a map shows of them, it made up.

    Args:
        count: N.
        dimensions: D.
        generator: Draws.

    Source: made for chapter 9.

    Example:
        >>> structureless(5, 3, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([5, 3])
    """
    return normalize(torch.randn(count, dimensions, generator=generator))
