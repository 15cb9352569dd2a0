"""One training step: forward, backward, a look at the gradient, and a move along it."""

from __future__ import annotations

import torch
from torch import nn

from dmlbook._checks import bad_input
from dmlbook._types import Float, Int, Tensor
from dmlbook.nets import parameter_groups
from dmlbook.seeding import named_seed
from dmlbook.training.config import TrainConfig
from dmlbook.training.devices import Devices


class Stepper:
    """What is trained, the loss and Adam, placed on their devices.

    Args:
        trained: The network, or the part of it that is trained; it is moved to the device.
        loss: Moved there too.
        config: Its rates, decay, Adam's constants, precision and seed are used.
        devices: Where.
    """

    def __init__(self, trained: nn.Module, loss: nn.Module, config: TrainConfig, devices: Devices):
        self.config, self.devices, self.loss = config, devices, loss.to(devices.device)
        if devices.device.type in ("cpu", "cuda"):
            trained.to(memory_format=torch.channels_last)  # the faster order for convolutions on both
        self.trained = devices.fabric.setup_module(trained)
        groups = parameter_groups(trained, loss, lr=config.lr, loss_lr=config.loss_lr)
        self.weights = [weight for group in groups for weight in group["params"]]
        self.base_rates = [group["lr"] for group in groups]
        self.adam = torch.optim.Adam(groups, eps=config.adam_eps, weight_decay=config.weight_decay)
        self.optimizer = devices.fabric.setup_optimizers(self.adam)

    def set_epoch(self, epoch: int) -> None:
        """Modes and learning rates of ``epoch``, counted from 1."""
        self.trained.train()
        self.loss.train()
        for group, rate in zip(self.adam.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * self.config.decay(epoch)

    def rates(self) -> dict[str, float]:
        """The present learning rates: ``lr``, and ``loss_lr`` where the loss has weights of its own."""
        names = {"network": "lr", "loss": "loss_lr"}
        return {names[group["name"]]: group["lr"] for group in self.adam.param_groups}

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
        self.devices.seed(named_seed(self.config.seed, "step", epoch, step, self.devices.rank))
        self.optimizer.zero_grad()
        value = self.loss(self.devices.gathered(self.trained(inputs), len(labels)), labels)
        if value.ndim or not value.requires_grad:
            remedy = "Return a mean over the batch that is computed from the embeddings."
            got = f"shape {tuple(value.shape)}, requires_grad {value.requires_grad}"
            raise bad_input("loss", "give one number with a gradient", got, remedy)
        self.devices.fabric.backward(value)
        for weight in self.loss.parameters():  # the network's are averaged by Fabric
            if weight.grad is not None:
                weight.grad = self.devices.mean(weight.grad)
        value = value.detach().float()
        if self.config.precision == "16-mixed":  # its gradients overflow now and then, and the step is left out
            return value, torch.stack([value, torch.zeros_like(value)])
        norm = torch.nn.utils.get_total_norm([weight.grad for weight in self.weights if weight.grad is not None])
        return value, torch.stack([value, norm.to(value)])

    def apply(self) -> None:
        """Moves the weights along the last gradients."""
        self.optimizer.step()

    def state(self) -> dict:
        """Of the optimizer and of the precision's loss scale."""
        precision = self.devices.fabric.strategy.precision
        return {"optimizer": self.adam.state_dict(), "precision": precision.state_dict()}

    def load_state(self, state: dict) -> None:
        """Goes on from what ``state`` gave."""
        self.adam.load_state_dict(state["optimizer"])
        self.devices.fabric.strategy.precision.load_state_dict(state["precision"])
