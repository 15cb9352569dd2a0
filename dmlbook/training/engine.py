"""One training step on whatever there is: a CPU, a GPU, several; full or mixed precision. Lightning Fabric places it.

Several devices share each batch: every one computes the embeddings of its part, all embeddings are gathered, and the
loss is computed on the whole batch everywhere. So triplets across devices count, and N devices do what one would.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager

import torch
from torch import nn

from dmlbook._checks import bad_input
from dmlbook._types import Float, Int, Tensor
from dmlbook.nets import parameter_groups
from dmlbook.seeding import named_seed
from dmlbook.training.config import TrainConfig


class Engine:
    """Network, loss and optimizer, placed on their devices.

    Attributes:
        device: Where this process computes.
        rank: Number of this process, 0 to ``world`` - 1.
        world: Number of processes.
    """

    def __init__(self, trained: nn.Module, loss: nn.Module, config: TrainConfig, device: torch.device, devices: int):
        from lightning.fabric import Fabric  # takes seconds to import

        if config.precision == "16-mixed" and device.type == "cpu":
            remedy = "Pass bf16-mixed or 32-true, or train on a GPU."
            raise bad_input("fit", "config.precision", "not be 16-mixed on a CPU", repr(config.precision), remedy)
        one = [device.index] if device.index is not None else 1
        with _quiet():
            self.fabric = Fabric(
                accelerator=device.type,
                devices=one if devices == 1 else devices,
                strategy="auto" if devices == 1 else "ddp",
                precision=config.precision,
            )
            self.fabric.launch()
        self.device, self.rank, self.world = self.fabric.device, self.fabric.global_rank, self.fabric.world_size
        self.config, self.loss = config, loss.to(self.device)
        if self.device.type in ("cpu", "cuda"):
            trained.to(memory_format=torch.channels_last)  # the faster order for convolutions on both
        self.trained = self.fabric.setup_module(trained)
        groups = parameter_groups(trained, loss, lr=config.lr, loss_lr=config.loss_lr)
        self.weights = [weight for group in groups for weight in group["params"]]
        self.base_rates = [group["lr"] for group in groups]
        self.adam = torch.optim.Adam(groups, eps=config.adam_eps, weight_decay=config.weight_decay)
        self.optimizer = self.fabric.setup_optimizers(self.adam)

    def set_epoch(self, epoch: int) -> None:
        """Modes and learning rates of ``epoch``, counted from 1."""
        self.trained.train()
        self.loss.train()
        for group, rate in zip(self.adam.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * self.config.decay(epoch)

    def part(self, count: int) -> Int[Tensor, " b"]:
        """The places in a batch of ``count`` that this process takes: as many in each, the last ones filled up."""
        each = -(-count // self.world)
        return torch.arange(self.rank * each, (self.rank + 1) * each).clamp(max=count - 1)

    def gradients(
        self, inputs: Tensor, labels: Int[Tensor, " B"], *, epoch: int, step: int
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " 2"]]:
        """Forward and backward.

        Args:
            inputs: This process's part of the batch.
            labels: Of the whole batch.
            epoch: With ``step`` it fixes what is random inside the network, such as dropout.
            step: See there.

        Returns:
            The loss, and the loss beside the gradient's norm for the guard.
        """
        torch.manual_seed(named_seed(self.config.seed, "step", epoch, step, self.rank))
        self.optimizer.zero_grad()
        value = self.loss(self._gathered(self.trained(inputs), len(labels)), labels)
        if value.ndim or not value.requires_grad:
            remedy = "Return a mean over the batch that is computed from the embeddings."
            got = f"shape {tuple(value.shape)}, requires_grad {value.requires_grad}"
            raise bad_input("fit", "loss", "give one number with a gradient", got, remedy)
        self.fabric.backward(value)
        if self.world > 1:
            for weight in self.loss.parameters():
                if weight.grad is not None:
                    weight.grad = self.fabric.all_reduce(weight.grad, reduce_op="mean")
        value = value.detach().float()
        if self.config.precision == "16-mixed":  # its gradients overflow now and then, and the step is left out
            return value, torch.stack([value, torch.zeros_like(value)])
        norm = torch.nn.utils.get_total_norm([weight.grad for weight in self.weights if weight.grad is not None])
        return value, torch.stack([value, norm.to(value)])

    def apply(self) -> None:
        """Moves the weights along the last gradients."""
        self.optimizer.step()

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        if self.world == 1:
            return flag
        return bool(self.fabric.all_reduce(torch.tensor(float(flag), device=self.device), reduce_op="sum") > 0)

    def agreed(self, value: float) -> float:
        """The first process's number, in all of them."""
        return value if self.world == 1 else self.fabric.broadcast(value)

    def state(self) -> dict:
        """Of the optimizer and of the precision's loss scale."""
        return {"optimizer": self.adam.state_dict(), "precision": self.fabric.strategy.precision.state_dict()}

    def load_state(self, state: dict) -> None:
        self.adam.load_state_dict(state["optimizer"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])

    def _gathered(self, embeddings: Float[Tensor, "b D"], count: int) -> Float[Tensor, "B D"]:
        """All processes' embeddings, with gradients, in the batch's order; what only filled up is cut off."""
        if self.world == 1:
            return embeddings
        return self.fabric.all_gather(embeddings, sync_grads=True).flatten(0, 1)[:count]


@contextmanager
def _quiet():
    """Fabric's notes on devices and processes are kept from the reader; errors still come."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("fabric", "pytorch")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
