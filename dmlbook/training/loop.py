"""``fit``: trains an embedding network, and can be stopped and resumed anywhere without a trace in the result."""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from os import PathLike
from pathlib import Path

import torch
from torch import nn

from dmlbook import settings
from dmlbook._checks import bad_input, checked
from dmlbook._files import write_whole
from dmlbook._types import Tensor
from dmlbook.datasets.image_set import ImageSet
from dmlbook.nets import freeze_batch_norm
from dmlbook.retrieval import recall_at_k
from dmlbook.training import checkpoints, identity, outside, preflight
from dmlbook.training.checkpoints import Checkpoints
from dmlbook.training.config import TrainConfig
from dmlbook.training.devices import Devices, Place
from dmlbook.training.guards import FiniteGuard, Interruption
from dmlbook.training.report import Estimate, Report
from dmlbook.training.result import FitResult
from dmlbook.training.shared_norm import shared_statistics
from dmlbook.training.sources import Features, kind_of_source
from dmlbook.training.state import RunState
from dmlbook.training.stepping import Stepper

ASK_EVERY = 10  # steps between two questions whether another process was interrupted


@checked
def fit(
    net: nn.Module,
    loss: nn.Module,
    train_set: ImageSet | Features,
    config: TrainConfig,
    *,
    validation: ImageSet | Features | None = None,
    folder: str | PathLike | Checkpoints | None = None,
    device: str | torch.device | Place | None = None,
    progress: bool | Report = True,
) -> FitResult:
    """Trains ``net`` and the loss's own weights, both in place.

    Args:
        net: From ``nets.build``; for ``Features`` also a head alone. It ends on ``device``.
        loss: Called as ``loss(embeddings, labels)``; ours, or one of pytorch-metric-learning. Its parameters are
            trained at ``config.loss_lr`` without further ado.
        train_set: Images of the training classes, or features of them. Features train the head alone, without views;
            so do images with ``config.freeze_backbone``, whose features are computed first.
        config: Everything else that decides the outcome.
        validation: Of the kind of ``train_set`` and apart from it: its Recall@1 is measured and decides on the best
            epoch. A split of the training classes; never the test set. None: nothing is measured, and the last epoch is
            what you get.
        folder: Where to keep checkpoints, one an epoch, the last two, and ``history.csv``. A run that finds its own
            there goes on from the newest one; ``Checkpoints`` says otherwise. One run uses it at a time. None: nothing
            is written.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or a ``Place`` for several. None: the first that this machine
            has of GPU and CPU; for features, where they lie.
        progress: Whether to show a bar; or a ``Report``, which may also be told of every epoch.

    Raises:
        ValueError: Arguments do not fit one another, a set cannot be trained or measured on, the device is not there,
            the folder cannot be written, lacks room or is used by another run, a checkpoint is damaged or belongs to
            another run.
        OSError: A checkpoint could not be written; those before it stay.
        FloatingPointError: The loss or its gradient is not finite; the message names epoch, step and images.

    Source: the training of Qian et al., ICCV 2019. Chapter 7.

    Example:
        ``fit(net, SoftTriple(num_classes=40, embedding_size=64), birds, TrainConfig(epochs=5)).history[-1]["loss"]``
    """
    place = device if isinstance(device, Place) else Place(device)
    kept = folder if isinstance(folder, Checkpoints | None) else Checkpoints(folder)
    report = progress if isinstance(progress, Report) else Report(bar=progress)
    preflight.check_fit(net, loss, train_set, config, validation)
    chosen = place.device
    if chosen is None:
        chosen = train_set.features.device if isinstance(train_set, Features) else settings.device()
    chosen = preflight.check_device(chosen, place.devices)
    if kept is not None:
        preflight.check_folder(Path(kept.folder))
        preflight.check_room(Path(kept.folder), net, loss, measured=validation is not None)
    with nullcontext() if kept is None else kept.held():
        start = None if kept is None else kept.newest()
        freeze_batch_norm(net, config.freeze_batch_norm)
        devices = Devices(chosen, place.devices, config.precision)
        run = _Run(net, loss, train_set, config, validation, None if kept is None else Path(kept.folder), devices)
        if start is not None:
            run.restore(start, any_start=kept.any_start)
        if kept is not None and kept.about is not None and devices.rank == 0:
            write_whole(Path(kept.folder) / "run.json", json.dumps(kept.about, indent=2) + "\n")
        forked = [devices.device] if devices.device.type == "cuda" else []
        with torch.random.fork_rng(devices=forked), Interruption() as interruption, shared_statistics(net, devices):
            run.train(interruption, report)
        return run.result(interruption.signal)


class _Run:
    """The parts of one call of ``fit``. What moves is weights, optimizer and ``state``."""

    def __init__(
        self,
        net: nn.Module,
        loss: nn.Module,
        train_set: ImageSet | Features,
        config: TrainConfig,
        validation: ImageSet | Features | None,
        folder: Path | None,
        devices: Devices,
    ):
        self.net, self.loss, self.config, self.validation, self.folder = net, loss, config, validation, folder
        self.devices = devices
        net.to(devices.device)
        kind = kind_of_source(train_set, config)
        self.source = kind.of(train_set, net, config, devices.device)
        self.held_out = None if validation is None else kind.of(validation, net, config, devices.device)
        self.stepper = Stepper(kind.trained(net), loss, config, devices)
        self.sampler = preflight.sampler(train_set.labels, config)
        self.labels = train_set.labels.to(devices.device)
        if folder is not None:
            self.fingerprint = identity.fingerprint(net, loss, train_set, validation, config)
            self._outside()  # refused before the first step, not at the first checkpoint
        self.state = RunState.start(devices.device)
        self.checkpoint: Path | None = None

    def train(self, interruption: Interruption, report: Report) -> None:
        """All epochs that are left, up to an interruption."""
        state, steps, epochs = self.state, len(self.sampler), self.config.epochs
        self.estimate = Estimate(report, left=epochs - state.epoch)
        done = state.epoch * steps + state.step
        with report.open_bar(done=done, total=epochs * steps, rank=self.devices.rank) as self.bar:
            while state.epoch < epochs and not self.devices.any(interruption.requested):
                self._steps(interruption)
                if state.step < steps:
                    break
                record = self._finish_epoch()
                self.save()
                report.tell_epoch(self.bar, record, epochs=epochs)
                if report.each_epoch is not None:
                    report.each_epoch(record)
        if state.epoch < epochs:
            self.save()
            if self.devices.rank == 0:
                print(self._farewell(), file=sys.stderr)

    def _steps(self, interruption: Interruption) -> None:
        """What is left of the epoch, up to an interruption."""
        devices, stepper, state, epoch = self.devices, self.stepper, self.state, self.state.epoch + 1
        stepper.set_epoch(epoch)
        guard = FiniteGuard(lag=0 if devices.device.type == "cpu" else 1)
        before, start = state.seconds, time.perf_counter()
        for step, index in list(enumerate(self.sampler.batches(epoch)))[state.step :]:
            inputs = self.source.inputs(index, epoch=epoch, step=step, part=devices.part(len(index)))
            labels = self.labels[index.to(self.labels.device)]
            value, numbers = stepper.gradients(inputs, labels, epoch=epoch, step=step)
            guard.add(epoch, step + 1, index, numbers)
            stepper.apply()
            state.loss_sum += value.to(state.loss_sum) * len(index)
            state.images, state.step = state.images + len(index), step + 1
            state.seconds = before + time.perf_counter() - start
            rate = f"{state.images / state.seconds:.0f}"
            self.bar.set_postfix({"epoch": epoch, "loss": f"{guard.latest:.4f}", "images/s": rate}, refresh=False)
            self.bar.update()
            if self.estimate is not None and self.estimate.told(self.bar, len(index)):
                self.estimate = None
            if (devices.world == 1 or state.step % ASK_EVERY == 0) and devices.any(interruption.requested):
                break
        guard.flush()
        self.bar.refresh()  # also where an epoch is over before the bar's next turn
        state.seconds = before + time.perf_counter() - start

    def _finish_epoch(self) -> dict:
        state, epoch = self.state, self.state.epoch + 1
        record = {"epoch": epoch, "loss": float(state.loss_sum) / state.images, **self.stepper.rates()}
        record |= {"seconds": state.seconds, "images_per_second": state.images / state.seconds}
        if self.held_out is not None and (epoch % self.config.evaluate_every == 0 or epoch == self.config.epochs):
            record["recall_at_1"] = recall = self.devices.agreed(self._recall())
            if state.best is None or recall > state.best["recall_at_1"]:
                states = {"net": _copied(self.net), "loss": _copied(self.loss)}
                state.best = {"epoch": epoch, "recall_at_1": recall, **states}
        state.history.append(record)
        state.epoch = epoch
        state.begin_epoch()
        return record

    def _recall(self) -> float:
        """Recall@1 on the validation set, in [0, 1]."""
        return float(recall_at_k(self.held_out.embeddings(self.net), self.validation.labels, ks=(1,))[1])

    def save(self) -> None:
        """Writes a checkpoint, where there is a folder for it."""
        if self.folder is None or self.devices.rank > 0:
            return
        weights = {"net": self.net.state_dict(), "loss": self.loss.state_dict()}
        weights["outside"] = self._outside()
        content = {"run": self.fingerprint, **self.state.to_dict(), **weights, **self.stepper.state()}
        self.checkpoint = checkpoints.save(self.folder, content, epoch=self.state.epoch, step=self.state.step)
        checkpoints.write_history(self.folder, self.state.history)

    def _outside(self) -> dict[str, object]:
        return outside.outside("network", self.net) | outside.outside("loss", self.loss)

    def restore(self, path: Path, *, any_start: bool) -> None:
        """Goes on from a checkpoint of this run."""
        content = {"outside": {}, **checkpoints.load(path)}
        if missing := [key for key in ("run", "net", "loss", "best") if key not in content]:
            remedy = "It is none that fit wrote: move it elsewhere."
            raise bad_input(str(path), "hold a whole run", f"none of {', '.join(missing)}", remedy)
        left, best = (
            {name: [identity.plain(value)] for name, value in content["outside"].items()},
            content["best"] or content,
        )
        for role, key in (("network", "net"), ("loss", "loss")):  # or as the run left them, or put back to its best
            left[f"{role}.start"] = [identity.digest(each[key]) for each in (content, best)]
        identity.check_same_run(content["run"], self.fingerprint, path=path, left=left, any_start=any_start)
        self.fingerprint = {**content["run"], "config.epochs": self.config.epochs}
        self.net.load_state_dict(content["net"])
        self.loss.load_state_dict(content["loss"])
        outside.restore("network", self.net, content["outside"], self.devices.device)
        outside.restore("loss", self.loss, content["outside"], self.devices.device)
        self.stepper.load_state(content)
        self.state.load(content)
        self.checkpoint = path

    def result(self, signal: int | None) -> FitResult:
        """What the run leaves behind."""
        state = self.state
        return FitResult(
            net=self.net,
            loss=self.loss,
            history=state.history,
            best_epoch=None if state.best is None else state.best["epoch"],
            interrupted=state.epoch < self.config.epochs,
            signal=signal if state.epoch < self.config.epochs else None,
            checkpoint=self.checkpoint,
            rank=self.devices.rank,
            best=state.best,
        )

    def _farewell(self) -> str:
        place = f"Interrupted after epoch {self.state.epoch} and {self.state.step} steps of the next."
        if self.checkpoint is None:
            return f"{place} Nothing was saved: pass folder=... to be able to go on."
        return f"{place} Saved as {self.checkpoint}. To go on, call fit with the same arguments again."


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
