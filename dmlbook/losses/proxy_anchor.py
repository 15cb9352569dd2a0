"""Proxy-Anchor: each class's proxy is the anchor, and the batch's images are what it pulls and pushes."""

from __future__ import annotations

import torch

from dmlbook._checks import above, check_batch, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.losses.base import CenterLoss


@checked(scale=above(0), margin=finite)
def proxy_anchor_loss(
    similarities: Float[Tensor, "B C"], labels: Int[Tensor, " B"], *, scale: float = 32.0, margin: float = 0.1
) -> Float[Tensor, ""]:
    """Smooth maxima over the images of a batch, one pair a proxy: its worst positives, its closest negatives.

    The mean over proxies with images in the batch of log(1 + sum_own exp(-scale (s - margin))), plus the mean over all
    proxies of log(1 + sum_foreign exp(scale (s + margin))).

    Args:
        similarities: Cosine of embedding b and the proxy of class c, in [-1, 1].
        labels: Class numbers, 0 to C - 1.
        scale: alpha, > 0.
        margin: delta, in units of cosine.

    Raises:
        ValueError: Shapes or labels do not fit, or ``scale`` is not positive.

    Source: Kim et al., CVPR 2020. The sums are taken by log-sum-exp, which does not overflow. Chapter 6.

    Example:
        >>> proxy_anchor_loss(torch.tensor([[1.0, -1.0]]), torch.tensor([0]), scale=1.0, margin=0.0)
        tensor(0.4699)
    """
    labels = check_batch(similarities, labels, num_classes=similarities.shape[1])
    classes = torch.arange(similarities.shape[1], device=labels.device)
    own = labels[:, None] == classes  # (B, C)
    one = similarities.new_zeros(1, similarities.shape[1])  # the 1 in log(1 + ...), so no proxy's sum is empty
    pulls = (-scale * (similarities - margin)).masked_fill(~own, -torch.inf)
    pushes = (scale * (similarities + margin)).masked_fill(own, -torch.inf)
    pull = torch.logsumexp(torch.cat([one, pulls]), dim=0)  # (C,), 0 where a class has no image here
    push = torch.logsumexp(torch.cat([one, pushes]), dim=0)
    return pull.sum() / own.any(0).sum() + push.mean()


class ProxyAnchor(CenterLoss):
    """Proxies as anchors: each weighs its images in the batch against one another, so it needs a large batch.

    Costs B C D.

    Args:
        num_classes: C, >= 2.
        embedding_size: D, >= 1.
        scale: alpha, > 0; 32 in the paper.
        margin: delta, in units of cosine; 0.1 in the paper.
        generator: Draws the first proxies; None: the book's.

    Source: Kim et al., CVPR 2020; batches of 180 images there. Equal to pytorch-metric-learning's ProxyAnchorLoss.
    Chapter 6.
    """

    @checked(scale=above(0), margin=finite)
    def __init__(
        self,
        *,
        num_classes: int,
        embedding_size: int,
        scale: float = 32.0,
        margin: float = 0.1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_size, 1, generator)
        self.scale, self.margin = scale, margin

    def compute(self, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        similarities = self.similarities(embeddings)[:, :, 0]
        return proxy_anchor_loss(similarities, labels, scale=self.scale, margin=self.margin)
