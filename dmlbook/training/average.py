"""The moving average of a network's weights, which is measured and kept in place of the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dmlbook._types import Tensor


class Average:
    """The exponential moving average of the weights and the statistics of what is trained.

    Args:
        trained: A module on its device.
        decay: What the average keeps of itself in each step, in (0, 1). It begins with the weights after the first one.
    """

    def __init__(self, trained: nn.Module, decay: float):
        self.trained = trained
        self.model = AveragedModel(trained, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        self._weights: list[Tensor] | None = None  # the network's own, while it shows the average

    def update(self) -> None:
        """Takes up the weights after a step."""
        self.model.update_parameters(self.trained)

    @torch.no_grad()
    def show(self) -> None:
        """Puts the average into the network; before the first step there is none, and nothing is done."""
        if self._weights is None and self.model.n_averaged > 0:
            self._weights = [value.clone() for value in _values(self.trained)]
            _copy(_values(self.model.module), _values(self.trained))

    @torch.no_grad()
    def hide(self) -> None:
        """Puts the network's own weights back."""
        if self._weights is not None:
            _copy(self._weights, _values(self.trained))
            self._weights = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Shows the average as long as the block lasts."""
        self.show()
        try:
            yield
        finally:
            self.hide()

    def state(self) -> dict[str, object]:
        """The network's own weights, and how many steps the average has seen; the average itself is the network's."""
        own = self._weights or _values(self.trained)
        return {"steps": int(self.model.n_averaged), "weights": [value.detach().clone() for value in own]}

    @torch.no_grad()
    def load_state(self, state: dict) -> None:
        """Goes on from what ``state`` gave, with a network that holds the average."""
        self.model.n_averaged.fill_(state["steps"])
        _copy(_values(self.trained), _values(self.model.module))
        _copy(state["weights"], _values(self.trained))


def _values(module: nn.Module) -> list[Tensor]:
    return list(chain(module.parameters(), module.buffers()))


def _copy(given: list[Tensor], places: list[Tensor]) -> None:
    for value, place in zip(given, places, strict=True):
        place.copy_(value)
