"""Proxy-NCA: each class has one learned proxy, and an image is to be closer to its own than to all others."""

from __future__ import annotations

import torch

from dmlbook._checks import above, bad_input, check_batch, checked, one_of
from dmlbook._types import Float, Int, Tensor
from dmlbook.losses.base import CenterLoss

DENOMINATORS = ("others", "all")


@checked(denominator=one_of(*DENOMINATORS))
def proxy_nca_mean(
    squared_distances: Float[Tensor, "B C"], labels: Int[Tensor, " B"], *, denominator: str = "others"
) -> Float[Tensor, ""]:
    """Mean over the batch of d_y + log sum_z exp(-d_z), the sum over the other proxies, or over all of them.

    Args:
        squared_distances: Of embedding b to the proxy of class c, multiplied by the scale.
        labels: Class numbers, 0 to C - 1; C >= 2.
        denominator: ``"others"`` leaves the own proxy out of the sum, as Proxy-NCA does: the loss can be negative, and
            the pull to the own proxy never weakens. ``"all"`` keeps it, as ProxyNCA++ does: a cross-entropy.

    Raises:
        ValueError: Shapes or labels do not fit, or there is only one class.

    Source: Movshovitz-Attias et al., ICCV 2017; ``"all"``: Teh et al., ECCV 2020. The one is the softplus of the other,
    image by image. Chapter 6.

    Example:
        >>> proxy_nca_mean(torch.tensor([[0.5, 2.0]]), torch.tensor([0]))  # 0.5 + log exp(-2)
        tensor(-1.5000)
    """
    labels = check_batch(squared_distances, labels, num_classes=squared_distances.shape[1])
    if squared_distances.shape[1] < 2:
        raise bad_input("squared_distances", "have 2 columns or more", 1, "One class has no negatives.")
    own = labels[:, None]
    logits = -squared_distances
    pull = squared_distances.gather(1, own)[:, 0]
    if denominator == "others":
        logits = logits.scatter(1, own, -torch.inf)
    return (pull + torch.logsumexp(logits, dim=1)).mean()


class ProxyNCA(CenterLoss):
    """Neighbourhood components analysis against proxies: one learned point a class, softmax over squared distances.

    Costs B C D.

    Args:
        num_classes: C, >= 2.
        embedding_size: D, >= 1.
        scale: Multiplies squared distances of unit vectors, > 0: one over ProxyNCA++'s temperature, 1/9. Proxy-NCA's
            formula has none, its text speaks of scaling factors and gives no values. Without one (scale 1) squared
            distances of at most 4 cannot tell many classes apart.
        denominator: ``"others"``, the paper's, or ``"all"``: ProxyNCA++'s assignment probabilities, which are
            normalized SoftMax with scale 2 * ``scale``.
        generator: Draws the first proxies; None: the book's.

    Source: Movshovitz-Attias et al., ICCV 2017; ``scale`` and ``"all"``: Teh et al., ECCV 2020, whose further changes
    (pooling, normalization layers, batches, rates) are none of the loss's. With ``"all"`` equal to
    pytorch-metric-learning's ProxyNCALoss, with softmax_scale = ``scale``. Chapter 6.
    """

    @checked(scale=above(0), denominator=one_of(*DENOMINATORS))
    def __init__(
        self,
        *,
        num_classes: int,
        embedding_size: int,
        scale: float = 9.0,
        denominator: str = "others",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_size, 1, generator)
        self.scale, self.denominator = scale, denominator

    def compute(self, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        apart = 2 - 2 * self.similarities(embeddings)[:, :, 0]  # squared distances of unit vectors
        return proxy_nca_mean(self.scale * apart, labels, denominator=self.denominator)
