"""What a run shows while it goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from tqdm import tqdm

from dmlbook import settings


@dataclass(frozen=True)
class Report:
    """What ``fit`` tells while it trains.

    Attributes:
        bar: Whether to show a bar with loss and speed, on stderr; there is none in smoke mode.
        each_epoch: Called with each epoch's record, when its checkpoint is written. None: nothing is.

    Example:
        ``fit(net, loss, images, config, progress=Report(bar=False, each_epoch=print))``
    """

    bar: bool = True
    each_epoch: Callable[[dict], object] | None = None

    def open_bar(self, *, done: int, total: int, rank: int) -> tqdm:
        """The bar of a run of ``total`` steps, ``done`` of them before; the first process alone shows it."""
        shown = self.bar and settings.mode() != "smoke" and rank == 0
        return tqdm(total=total, initial=done, disable=not shown, leave=False, unit="step", file=sys.stderr)
