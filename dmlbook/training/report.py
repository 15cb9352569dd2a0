"""What a run shows while it goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from dmlbook import settings
from dmlbook._checks import at_least, checked

LONG = 60.0  # seconds: shorter runs are not estimated


@checked
@dataclass(frozen=True)
class Report:
    """What ``fit`` tells while it trains, on stderr; nothing in smoke mode.

    Attributes:
        bar: Whether to show a bar with loss and speed, a line an epoch that stays, and how long the whole will take.
        each_epoch: Called with each epoch's record, when its checkpoint is written. None: nothing is.
        advice: Called once, after the first steps of a run of more than a minute, with the seconds that are left and
            the images a second; what it returns stands behind the estimate. None: nothing does.

    Example:
        ``fit(net, loss, images, config, progress=Report(bar=False, each_epoch=print))``
    """

    bar: bool = True
    each_epoch: Callable[[dict], object] | None = None
    advice: Callable[[float, float], str] | None = None

    @checked(done=at_least(0), total=at_least(0), rank=at_least(0))
    def open_bar(self, *, done: int, total: int, rank: int) -> tqdm:
        """The bar of a run of ``total`` steps, ``done`` of them before; the first process alone shows it."""
        shown = self.bar and settings.mode() != "smoke" and rank == 0
        return tqdm(total=total, initial=done, disable=not shown, leave=False, unit="step", file=sys.stderr)

    def tell_epoch(self, bar: tqdm, record: dict, *, epochs: int) -> None:
        """A finished epoch's line, which stays above the bar."""
        parts = [f"epoch {record['epoch']} of {epochs}", f"loss {record['loss']:.4f}"]
        if "recall_at_1" in record:
            parts.append(f"R@1 {100 * record['recall_at_1']:.1f}")
        parts += [f"{record['images_per_second']:.1f} images/s", duration(record["seconds"])]
        _tell(bar, "   ".join(parts))

    def tell_estimate(self, bar: tqdm, seconds: float, *, epochs: int, images_per_second: float) -> None:
        """How long what is left will take, with advice where there is any."""
        if seconds < LONG or bar.disable:
            return
        many = f"{epochs} epoch{'s' * (epochs != 1)}"
        line = f"about {duration(seconds)} for {many} at {images_per_second:.1f} images/s"
        advice = "" if self.advice is None else self.advice(seconds, images_per_second)
        _tell(bar, f"{line}. {advice}" if advice else line)


class Estimate:
    """Measures the speed of the first steps, and tells it once.

    Args:
        report: Whose line it is.
        left: Epochs that are left.
    """

    STEPS, SECONDS = 5, 3.0  # measured at least, after the first step, which is slower

    def __init__(self, report: Report, left: int):
        self.report, self.left, self.steps, self.images, self.start = report, left, -1, 0, 0.0

    def told(self, bar: tqdm, images: int) -> bool:
        """Counts a step of so many images; whether the estimate was told.

        Args:
            bar: Of the run.
            images: Of the step.
        """
        if bar.disable:
            return True
        self.steps += 1
        if self.steps == 0:
            self.start = time.perf_counter()
            return False
        self.images += images
        seconds = time.perf_counter() - self.start
        if self.steps < self.STEPS or seconds < self.SECONDS:
            return False
        still = seconds / self.steps * (bar.total - bar.n)
        self.report.tell_estimate(bar, still, epochs=self.left, images_per_second=self.images / seconds)
        return True


def _tell(bar: tqdm, line: str) -> None:
    if not bar.disable:
        tqdm.write(line, file=sys.stderr)


@checked(epoch=at_least(0), step=at_least(0))
def farewell(epoch: int, step: int, checkpoint: Path | None) -> str:
    """What is said where a run is interrupted.

    Args:
        epoch: Finished ones.
        step: Finished ones of the next.
        checkpoint: Where it is saved; None: nowhere.
    """
    place = f"Interrupted after epoch {epoch} and {step} steps of the next."
    if checkpoint is None:
        return f"{place} Nothing was saved: pass folder=... to be able to go on."
    return f"{place} Saved as {checkpoint}. To go on, start the same run again."


@checked(seconds=at_least(0))
def duration(seconds: float) -> str:
    """Seconds in words, to two places at most.

    Example:
        >>> [duration(s) for s in (0.4, 41, 59.7, 260, 7800, 180_000)]
        ['0 s', '41 s', '1 min', '4 min', '2 h 10 min', '2 d 2 h']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
