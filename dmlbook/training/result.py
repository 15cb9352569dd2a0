"""What a training run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from dmlbook._checks import bad_input, checked


@dataclass
class FitResult:
    """The outcome of ``fit``.

    Attributes:
        net: The network that was handed over, trained.
        loss: The loss that was handed over, its centers trained.
        history: One record an epoch: ``epoch`` (from 1), ``loss`` (mean over the images), ``lr``, ``loss_lr``,
            ``seconds`` and ``images_per_second`` of the training part, ``recall_at_1`` where it was measured, and with
            a miner ``mined``: the triplets, or the pairs of both kinds, that it found in a batch on average.
        best_epoch: The epoch of the highest Recall@1 on the validation set, the earliest of equals; None without one.
        interrupted: Whether a signal ended the run early: Ctrl-C, or SIGTERM, or SIGHUP.
        signal: Its number; a program that ends for it returns 128 + ``signal``. None where another process got it.
        checkpoint: The last checkpoint, or None where no folder was given.
        rank: Number of this process; write files in process 0 only.
    """

    net: nn.Module
    loss: nn.Module
    history: list[dict]
    best_epoch: int | None = None
    interrupted: bool = False
    signal: int | None = None
    checkpoint: Path | None = None
    rank: int = 0
    best: dict | None = field(default=None, repr=False)

    @checked
    def restore_best(self) -> FitResult:
        """Puts network and loss back to ``best_epoch``.

        Raises:
            ValueError: There was no validation set, so no epoch is known to be the best.
        """
        if self.best is None:
            remedy = "Pass validation=<a split of the training classes>, or keep the last epoch."
            raise bad_input("validation", "have been given to fit", None, remedy)
        self.net.load_state_dict(self.best["net"])
        self.loss.load_state_dict(self.best["loss"])
        return self
