"""What TensorBoard shows of a run: its epochs' numbers, beside ``history.csv``, where ``tensorboard`` is installed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from dmlbook._checks import checked

SUFFIX = ".dmlbook"
NAMES = {"loss": "train/loss", "images_per_second": "train/images_per_second", "recall_at_1": "validation/recall_at_1"}


class Board:
    """Keeps one event file in a run's folder; nothing where ``tensorboard`` is not installed, and no word of it.

    Where it is installed and broken, one note says so and the run goes on.

    A run that goes on writes its history anew, so that no epoch is there twice and none is missing.

    Args:
        folder: Of the run. None: nothing is written.

    Example:
        ``Board(Path("runs/birds")).show([{"epoch": 1, "loss": 0.5}])``, then ``tensorboard --logdir runs``.
    """

    @checked
    def __init__(self, folder: Path | None):
        self.folder, self.shown, self._writer = folder, 0, None

    @checked
    def show(self, history: Sequence[Mapping[str, float]]) -> None:
        """Writes the records that are not there yet, of those in ``FitResult.history``."""
        if self.folder is not None and len(history) > self.shown:
            kind = _writer() if self._writer is None else None
            if self._writer is None and kind is None:
                self.folder = None
                return
            with suppress(OSError):  # a full disk ends no run here: checkpoints say it
                self._write(history[self.shown :], kind)
                self.shown = len(history)

    def _write(self, records: Sequence[Mapping[str, float]], kind: type | None) -> None:
        if self._writer is None:
            for former in self.folder.glob(f"events.out.tfevents.*{SUFFIX}"):
                former.unlink()
            self._writer = kind(str(self.folder), filename_suffix=SUFFIX)
        for record in records:
            for name, value in record.items():
                title = f"rates/{name}" if name == "lr" or name.endswith("_lr") else NAMES.get(name)
                if title is not None:
                    self._writer.add_scalar(title, value, record["epoch"])
        self._writer.flush()

    @checked
    def close(self) -> None:
        """Ends the file."""
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()


def _writer() -> type | None:
    """TensorBoard's own; None where it is not there, or cannot be used."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError:
        return None
    except Exception as error:  # whatever two packages that do not suit one another may end in
        why = (str(error).splitlines() or [""])[0][:120]
        print(
            f"note: tensorboard cannot be used ({type(error).__name__}: {why}); history.csv says all", file=sys.stderr
        )
        return None
    return SummaryWriter
