"""One training step: forward, backward, a look at the gradient, and a move along it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from dmlbook._checks import bad_input
from dmlbook._types import Float, Int, Tensor
from dmlbook.nets import EmbeddingNet, parameter_groups
from dmlbook.seeding import named_seed
from dmlbook.training.average import Average
from dmlbook.training.compiling import compiled
from dmlbook.training.config import TrainConfig
from dmlbook.training.devices import Devices
from dmlbook.training.memory import in_pieces
from dmlbook.training.mining import Mining


class Stepper:
    """What is trained, the loss and the optimizer, placed on their devices.

    Args:
        trained: The network, or the part of it that is trained; it is moved to the device.
        loss: Moved there too.
        config: Its rates, their schedule, the optimizer's constants, precision and seed are used.
        devices: Where.
        mining: Chooses the pairs that the loss looks at; None: it looks at the whole batch.
        steps: Of each epoch, for rates that change within one.
    """

    def __init__(
        self,
        trained: nn.Module,
        loss: nn.Module,
        config: TrainConfig,
        devices: Devices,
        mining: Mining | None = None,
        *,
        steps: int = 1,
    ):
        self.config, self.devices, self.loss = config, devices, loss.to(devices.device)
        self.mining, self.steps = mining, steps
        if devices.device.type in ("cpu", "cuda"):
            trained.to(memory_format=torch.channels_last)  # the faster order for convolutions on both
        self.average = Average(trained, config.ema_decay) if config.ema_decay else None
        self.backbone = trained.backbone if isinstance(trained, EmbeddingNet) else None
        self.whole = trained
        self.inner = in_pieces(compiled(trained, config), config)
        self.trained = devices.fabric.setup_module(self.inner)
        groups = parameter_groups(trained, loss, lr=config.lr, loss_lr=config.loss_lr)
        self.weights = [weight for group in groups for weight in group["params"]]
        self.base_rates = [group["lr"] for group in groups]
        self.plain_optimizer = _optimizer(groups, config)
        self.optimizer = devices.fabric.setup_optimizers(self.plain_optimizer)

    def set_epoch(self, epoch: int) -> None:
        """Modes and learning rates of ``epoch``, counted from 1."""
        self.trained.train()
        self.loss.train()
        if self._rests(epoch):
            self.backbone.eval()
        self._set_rates(self.config.decay(epoch))

    def rates(self) -> dict[str, float]:
        """The present learning rates: ``lr``, and ``loss_lr`` where the loss has weights of its own."""
        names = {"network": "lr", "loss": "loss_lr"}
        return {names[group["name"]]: group["lr"] for group in self.plain_optimizer.param_groups}

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
        if self.config.changes_each_step:
            self._set_rates(self.config.decay(epoch, step, self.steps))
        self.devices.seed(named_seed(self.config.seed, "step", epoch, step, self.devices.rank))
        self.optimizer.zero_grad()
        rests = self._rests(epoch)
        embeddings = self.devices.gathered(self._resting(inputs) if rests else self.trained(inputs), len(labels))
        chosen = () if self.mining is None else (self.mining(embeddings, labels, epoch=epoch, step=step),)
        value = self.loss(embeddings, labels, *chosen)
        if value.ndim or not value.requires_grad:
            remedy = "Return a mean over the batch that is computed from the embeddings."
            got = f"shape {tuple(value.shape)}, requires_grad {value.requires_grad}"
            raise bad_input("loss", "give one number with a gradient", got, remedy)
        self.devices.fabric.backward(value)
        for weight in (*self.loss.parameters(), *(self.whole.parameters() if rests else ())):  # else Fabric's own mean
            if weight.grad is not None:
                weight.grad = self.devices.mean(weight.grad)
        value, fabric = value.detach().float(), self.devices.fabric
        if self.config.clip_norm:
            most = {"max_norm": self.config.clip_norm, "error_if_nonfinite": False}
            norm = fabric.clip_gradients(self.trained, self.optimizer, **most)
        if self.config.precision == "16-mixed":  # its gradients overflow now and then, and the step is left out
            return value, torch.stack([value, torch.zeros_like(value)])
        if not self.config.clip_norm:
            norm = torch.nn.utils.get_total_norm([weight.grad for weight in self.weights if weight.grad is not None])
        return value, torch.stack([value, norm.to(value)])

    def apply(self) -> None:
        """Moves the weights along the last gradients, and their average after them."""
        self.optimizer.step()
        if self.average is not None:
            self.average.update()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The network holds the average of its weights as long as the block lasts, where one is taken."""
        if self.average is None:
            yield
        else:
            with self.average.shown():
                yield

    def state(self) -> dict:
        """Of the optimizer, of the precision's loss scale, and of the average."""
        precision = self.devices.fabric.strategy.precision
        average = {} if self.average is None else {"average": self.average.state()}
        return {"optimizer": self.plain_optimizer.state_dict(), "precision": precision.state_dict(), **average}

    def load_state(self, state: dict) -> None:
        """Goes on from what ``state`` gave, with the network as it was saved: the average, where one is taken."""
        self.plain_optimizer.load_state_dict(state["optimizer"])
        self.devices.fabric.strategy.precision.load_state_dict(state["precision"])
        if self.average is not None:
            self.average.load_state(state["average"])

    def _rests(self, epoch: int) -> bool:
        return self.backbone is not None and epoch <= self.config.head_epochs

    def _resting(self, inputs: Tensor) -> Float[Tensor, "b D"]:
        """Forward with a backbone that asks for no gradient; around DDP, which waits for one of every weight."""
        weights = [weight for weight in self.backbone.parameters() if weight.requires_grad]
        precision = self.devices.fabric.strategy.precision
        for weight in weights:
            weight.requires_grad_(False)
        try:
            with precision.forward_context():
                return precision.convert_output(self.inner(precision.convert_input(inputs)))
        finally:
            for weight in weights:
                weight.requires_grad_(True)

    def _set_rates(self, factor: float) -> None:
        for group, rate in zip(self.plain_optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor


def _optimizer(groups: list[dict], config: TrainConfig) -> torch.optim.Optimizer:
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=config.momentum, weight_decay=config.weight_decay)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, eps=config.adam_eps, weight_decay=config.weight_decay)
