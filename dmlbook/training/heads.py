"""``fit_head``: trains a head and a loss on features that were computed once, in seconds."""

from __future__ import annotations

import math

import torch
from torch import nn

from dmlbook._checks import bad_input, check_shape
from dmlbook._types import Float, Int, Tensor
from dmlbook.nets import parameter_groups
from dmlbook.sampling import UniformBatches
from dmlbook.training.config import TrainConfig


def fit_head(
    head: nn.Module,
    loss: nn.Module,
    features: Float[Tensor, "N F"],
    labels: Int[Tensor, " N"],
    config: TrainConfig,
) -> list[float]:
    """Trains ``head`` and the loss's own weights, both in place: what ``fit`` does with ``freeze_backbone``.

    For many short runs on the same features: no views, no checkpoints, no bar.

    Args:
        head: Features to embeddings, such as ``nets.Head``; without dropout.
        loss: Called as ``loss(embeddings, labels)``.
        features: From ``embed(net, images, features=True)``.
        labels: 0 to C - 1.
        config: Its settings of batches (sampler ``uniform``), rates, decay and epochs, and its seed, are used.

    Returns:
        The mean loss over the images of each epoch.

    Raises:
        ValueError: Features and labels do not belong together, or the sampler is another one.
        FloatingPointError: The loss of an epoch is not finite.
    """
    check_shape("fit_head", expected="N F", features=features)
    check_shape("fit_head", expected="N", labels=labels)
    if len(features) != len(labels):
        got = f"{len(labels)} for {len(features)} rows of features"
        raise bad_input("fit_head", "labels", "be one an image", got, "Give both for the same images.")
    if config.sampler != "uniform":
        raise bad_input("fit_head", "config.sampler", "be 'uniform'", repr(config.sampler), "Use fit for the other.")
    groups = parameter_groups(head, loss, lr=config.lr, loss_lr=config.loss_lr)
    rates = [group["lr"] for group in groups]
    adam = torch.optim.Adam(groups, eps=config.adam_eps, weight_decay=config.weight_decay)
    batches, history = UniformBatches(len(features), config.batch_size, config.seed, config.drop_last), []
    for epoch in range(1, config.epochs + 1):
        for group, rate in zip(adam.param_groups, rates, strict=True):
            group["lr"] = rate * config.decay(epoch)
        total, images = 0.0, 0
        for index in batches.batches(epoch):
            value = loss(head(features[index]), labels[index])
            adam.zero_grad()
            value.backward()
            adam.step()
            total, images = total + float(value.detach()) * len(index), images + len(index)
        history.append(total / images)
        if not math.isfinite(history[-1]):
            raise FloatingPointError(f"fit_head: the loss of epoch {epoch} is {history[-1]}. Lower the learning rates.")
    return history
