"""Pairs beyond the batch: the cross-batch memory of pytorch-metric-learning around a loss of ours."""

from __future__ import annotations

import functools
from collections.abc import Callable

from torch import nn

from dmlbook._checks import at_least, bad_input, check_memory, checked
from dmlbook.losses.base import Loss


@checked(embedding_size=at_least(1), memory_size=at_least(1))
def cross_batch_memory(
    loss: Loss, *, embedding_size: int, memory_size: int = 1024, miner: Callable | None = None
) -> nn.Module:
    """pytorch-metric-learning's ``CrossBatchMemory`` of this loss: positives and negatives also from former batches.

    Its own constructor knows the names of its own losses alone; this is it with ours allowed. Called as
    ``loss(embeddings, labels)``: the batch is put into the memory, and then compared with all that is there, without
    its own copies as positives. The memory carries no gradient. ``fit`` trains with it and resumes it.

    Args:
        loss: On pairs or triplets of images: ``triplet``, ``semihard``, ``lifted``, ``npairs``.
        embedding_size: D, >= 1.
        memory_size: M, images that are kept, the oldest overwritten; at least as many as a batch.
        miner: Called as ``miner(embeddings, labels, ref_emb, ref_labels)``: it chooses among the memory's pairs. None:
            all pairs.

    Raises:
        ValueError: The loss compares no images, a size is out of range, or pytorch-metric-learning is not installed.
            When it is called: the batch is larger than the memory.

    Source: Wang et al., CVPR 2020, Cross-Batch Memory for Embedding Learning, as built in pytorch-metric-learning.

    Example:
        >>> from dmlbook.losses import TripletLoss
        >>> cross_batch_memory(TripletLoss(), embedding_size=2, memory_size=64).embedding_memory.shape
        torch.Size([64, 2])
    """
    if not loss.compares_images:
        remedy = f"{loss.why_alone}: use it as it is."
        raise bad_input("loss", "compare images with one another", type(loss).__name__, remedy)
    sizes = {"memory_size": memory_size, "embedding_size": embedding_size}
    check_memory(float(memory_size) * embedding_size, "memory", **sizes)
    return _class()(loss, embedding_size=embedding_size, memory_size=memory_size, miner=miner)


@functools.cache
def _class() -> type[nn.Module]:
    try:
        from pytorch_metric_learning.losses import CrossBatchMemory
    except ImportError:
        remedy = 'pip install -e ".[miners]"'
        raise bad_input("pytorch-metric-learning", "be installed", "no such package", remedy) from None

    class CrossBatchMemoryOfOurs(CrossBatchMemory):
        @classmethod
        def check_loss_support(cls, loss_name: str) -> None:
            """Ours was checked already."""

        def forward(self, embeddings, labels, indices_tuple=None, enqueue_mask=None):
            kept = len(embeddings) if enqueue_mask is None else int(enqueue_mask.sum())
            if kept > self.memory_size:
                got = f"{kept} images for a memory of {self.memory_size}"
                raise bad_input("embeddings", "fit into the memory", got, "Raise memory_size, or pass fewer.")
            return super().forward(embeddings, labels, indices_tuple, enqueue_mask)

    return CrossBatchMemoryOfOurs
