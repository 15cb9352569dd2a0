"""What ends a training run early: numbers that are not finite, and signals such as Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Sequence

from dmlbook._checks import speaker
from dmlbook._types import Float, Int, Tensor
from dmlbook.training.memory import BEFORE


class FiniteGuard:
    """Stops training at the first loss or gradient that is not finite, and names the batch.

    Args:
        lag: Steps between a number's arrival and the look at it. 0 looks at once, before the weights are changed; 1
            lets an accelerator work on while the number of the step before is fetched.
        kept: Whether there are checkpoints to speak of.
        names: The file of each training image, to name those of the batch by; None: their numbers do.

    Attributes:
        latest: The last loss that was looked at.
    """

    def __init__(self, lag: int, *, kept: bool = False, names: Sequence[str] | None = None):
        self.lag, self.kept, self.names, self.latest = lag, kept, names, math.nan
        self._waiting: list[tuple[int, int, Int[Tensor, " B"], Float[Tensor, " 2"]]] = []

    def add(self, epoch: int, step: int, index: Int[Tensor, " B"], numbers: Float[Tensor, " 2"]) -> None:
        """Notes the loss and the norm of the gradient, and looks at those that are due.

        Raises:
            FloatingPointError: One of them is not finite.
        """
        self._waiting.append((epoch, step, index, numbers))
        self._look(self.lag)

    def flush(self) -> None:
        """Looks at what is still waiting."""
        self._look(0)

    def _look(self, left: int) -> None:
        while len(self._waiting) > left:
            epoch, step, index, numbers = self._waiting.pop(0)
            self.latest, norm = numbers.tolist()
            if not (math.isfinite(self.latest) and math.isfinite(norm)):
                before = BEFORE if self.kept else ""
                images = [str(n) if self.names is None else self.names[n] for n in index.tolist()]
                raise FloatingPointError(_not_finite(epoch, step, images, self.latest, norm, before))


def _not_finite(epoch: int, step: int, images: list[str], loss: float, norm: float, before: str) -> str:
    what = (
        f"the loss is {loss}"
        if not math.isfinite(loss)
        else f"the loss is {loss:.4g} but its gradient's norm is {norm}"
    )
    shown = ", ".join(images[:32]) + (f", ... ({len(images)} in all)" if len(images) > 32 else "")
    return (
        f"{speaker()}: {what} in epoch {epoch}, step {step}, on the images {shown} of train_set.{before} "
        "Try a smaller lr or loss_lr, a smaller scale of the loss, "
        'precision="32-true", and look at those images.'
    )


SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
"""Ctrl-C, a cluster's time limit, a closed terminal, and Ctrl-Break on Windows."""


class Interruption:
    """Turns the first of ``SIGNALS`` into a request that the loop reads between two steps; a second one acts at once.

    Python lets only the main thread receive them: elsewhere nothing is changed. Those that are ignored, as under
    ``nohup``, stay so. The former handlers are put back.

    Attributes:
        signal: The number of the one that came; None: none has.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._former: dict[int, object] = {}

    @property
    def requested(self) -> bool:
        """Whether one came."""
        return self.signal is not None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):  # None: set from outside Python
                    self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)

    def _note(self, number: int, frame: object) -> None:
        if self.requested:
            signal.signal(number, self._former[number])
            signal.raise_signal(number)
        self.signal = self.signal or number
