"""How far a run has come: named once, for the loop, for checkpoints and for resuming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import torch

from dmlbook._types import Float, Tensor


@dataclass
class RunState:
    """All of a run that moves, beside weights and optimizer.

    Attributes:
        loss_sum: Sum over the images of the present epoch of their batches' losses, on the run's device.
        images: Images that it has seen.
        seconds: That it has taken.
        step: Its finished steps.
        epoch: Finished epochs; the present one is the one after those.
        history: One record a finished epoch.
        best: ``epoch`` and ``recall_at_1`` of the best epoch measured, with its weights, ``net`` and ``loss``.
    """

    loss_sum: Float[Tensor, ""]
    images: int = 0
    seconds: float = 0.0
    step: int = 0
    epoch: int = 0
    history: list[dict] = field(default_factory=list)
    best: dict | None = None

    @classmethod
    def start(cls, device: torch.device) -> RunState:
        """Of a run that has not begun; sums are exact to 64 bits where the device has them."""
        exact = torch.float32 if device.type == "mps" else torch.float64
        return cls(torch.zeros((), dtype=exact, device=device))

    def begin_epoch(self) -> None:
        """Counts from 0 again what is counted by epoch."""
        self.loss_sum.zero_()
        self.images, self.seconds, self.step = 0, 0.0, 0

    def to_dict(self) -> dict[str, object]:
        """Plain values, and the best epoch's weights."""
        return {**vars(self), "loss_sum": float(self.loss_sum)}

    def load(self, values: Mapping[str, object]) -> None:
        """The inverse of ``to_dict``; further entries are left alone."""
        self.loss_sum.fill_(values["loss_sum"])
        for each in fields(self):
            if each.name != "loss_sum":
                setattr(self, each.name, values[each.name])
