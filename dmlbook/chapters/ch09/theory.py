"""Where the loss looks in a single image, and a cloud without any group."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dmlbook import losses
from dmlbook._checks import at_least, check_batch, checked
from dmlbook._types import Float, Tensor
from dmlbook.geometry import normalize
from dmlbook.losses import SoftTriple


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
