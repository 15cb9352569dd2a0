"""``fit``: trains an embedding network, and can be stopped and resumed anywhere without a trace in the result."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from os import PathLike
from pathlib import Path

import torch
from torch import nn

from dmlbook._checks import checked
from dmlbook._files import write_whole
from dmlbook._types import Tensor
from dmlbook.datasets.image_set import ImageSet
from dmlbook.nets import freeze_batch_norm
from dmlbook.retrieval import recall_at_k
from dmlbook.sampling import places
from dmlbook.training import checkpoints, identity, mining, outside, preflight
from dmlbook.training.ahead import LoaderDied, ahead, sent
from dmlbook.training.allocator import keeping_freed
from dmlbook.training.board import Board
from dmlbook.training.checkpoints import Checkpoints
from dmlbook.training.config import TrainConfig
from dmlbook.training.devices import Devices, Place
from dmlbook.training.guards import FiniteGuard, Interruption
from dmlbook.training.memory import Remedied
from dmlbook.training.processes import together
from dmlbook.training.report import Estimate, Report, farewell
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
    miner: Callable | None = None,
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
        miner: One of pytorch-metric-learning, or a module or function of that form: called as
            ``miner(embeddings, labels)`` on each whole batch, it returns the indices of triplets (anchors, positives,
            negatives) or of pairs (anchors, positives, anchors, negatives), which the loss gets as its third argument.
            Where it finds none, the loss of that batch is 0 and has no gradient. For losses on pairs and triplets; a
            ``losses.cross_batch_memory`` has a miner of its own. None: the loss looks at the whole batch.
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
    chosen = preflight.check(net, loss, train_set, config, miner=miner, validation=validation, place=place)
    preflight.check_kept(kept, net, loss, train_set, config, best=validation is not None)
    held, processes = nullcontext() if kept is None else kept.held(), place.devices * place.nodes
    with held, together(processes), keeping_freed(chosen):
        start = None if kept is None else kept.newest()
        freeze_batch_norm(net, config.freeze_batch_norm)
        devices = Devices(chosen, place.devices, config.precision, place.nodes)
        place_of_it = None if kept is None else Path(kept.folder)
        run = _Run(net, loss, train_set, config, validation, place_of_it, devices, miner)
        if start is not None:
            run.restore(start, any_start=kept.any_start)
        devices.check_agreed(run.state.epoch, run.state.step)
        if kept is not None and kept.about is not None and devices.rank == 0:
            write_whole(Path(kept.folder) / "run.json", json.dumps(kept.about, indent=2) + "\n")
        forked = [devices.device] if devices.device.type == "cuda" else []
        with torch.random.fork_rng(devices=forked), Interruption() as interruption, shared_statistics(net, devices):
            try:
                run.train(interruption, report)
            except LoaderDied as error:
                run.guard.flush()
                run.save()  # the weights are those of the last step
                if kept is None:
                    raise
                raise LoaderDied(f"{error} Start the run again: it goes on.") from error
            finally:
                run.board.close()
        devices.done()
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
        miner: Callable | None,
    ):
        self.net, self.loss, self.config, self.validation, self.folder = net, loss, config, validation, folder
        self.devices = devices
        net.to(devices.device)
        if config.precision == "64-true":
            net.double()
            loss.double()
        kind = kind_of_source(train_set, config)
        self.source = kind.of(train_set, net, config, devices.device)
        self.held_out = None if validation is None else kind.of(validation, net, config, devices.device)
        self.sampler = preflight.sampler(train_set.labels, config)
        self.mining = None if miner is None else mining.Mining(miner, config, devices)
        self.stepper = Stepper(kind.trained(net), loss, config, devices, self.mining, steps=len(self.sampler))
        self.steps = Remedied(self.stepper, config, kept=folder is not None)
        lag, names = 0 if devices.device.type == "cpu" else 1, getattr(train_set, "paths", None)
        self.guard = FiniteGuard(lag=lag, kept=folder is not None, names=names)
        self.labels = train_set.labels.cpu()
        if folder is not None:
            self.fingerprint = identity.fingerprint(net, loss, train_set, validation, config)
            self.fingerprint |= {} if self.mining is None else self.mining.facts()
            self._outside()  # refused before the first step, not at the first checkpoint
        self.state = RunState.start(devices.device)
        self.checkpoint: Path | None = None
        self.board = Board(folder if devices.rank == 0 else None)

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
                print(farewell(state.epoch, state.step, self.checkpoint), file=sys.stderr)

    def _steps(self, interruption: Interruption) -> None:
        """What is left of the epoch, up to an interruption."""
        devices, stepper, guard = self.devices, self.stepper, self.guard
        state, epoch = self.state, self.state.epoch + 1
        stepper.set_epoch(epoch)
        before, start = state.seconds, time.perf_counter()
        todo = list(enumerate(self.sampler.batches(epoch)))[state.step :]
        prepare, threaded = partial(self._prepared, epoch), self.source.threaded
        batches = ahead(prepare, todo, device=devices.device, threaded=threaded)
        with self.steps.told(devices.device), batches as ready:
            for (step, index), (parts, labels) in zip(todo, ready, strict=True):
                devices.begin_batch(len(index))
                inputs = self.source.inputs(parts).to(devices.dtype)
                value, numbers = self.steps(inputs, labels, epoch=epoch, step=step)
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

    def _prepared(self, epoch: int, batch: tuple[int, Tensor]) -> tuple[object, Tensor]:
        """This process's part of a batch and the labels of all of it, on the device; any thread may ask for them."""
        (step, index), devices = batch, self.devices
        part = places(len(index), devices.rank, devices.world)
        parts = self.source.parts(index, epoch=epoch, step=step, part=part)
        return parts, sent(self.labels[index], devices.device)

    def _finish_epoch(self) -> dict:
        state, epoch = self.state, self.state.epoch + 1
        record = {"epoch": epoch, "loss": float(state.loss_sum) / state.images, **self.stepper.rates()}
        record |= {} if self.mining is None else self.mining.record()
        record |= {"seconds": state.seconds, "images_per_second": state.images / state.seconds}
        if self.held_out is not None and (epoch % self.config.evaluate_every == 0 or epoch == self.config.epochs):
            with self.stepper.averaged():
                record["recall_at_1"] = recall = self.devices.agreed(self._recall())
                if state.best is None or recall > state.best["recall_at_1"]:
                    states = {"net": _copied(self.net), "loss": _copied(self.loss)}
                    state.best = {"epoch": epoch, "recall_at_1": recall, **states}
        state.history.append(record)
        state.epoch = epoch
        state.begin_epoch()
        return record

    def _recall(self) -> float:
        """Recall@1 on the validation set, in [0, 1]: each process embeds a part of it, and the first one measures."""
        devices, count = self.devices, len(self.validation)
        part = places(count, devices.rank, devices.world) if devices.world > 1 else None
        found = devices.all_rows(self.held_out.embeddings(self.net, part), count)
        if devices.rank > 0:
            return 0.0
        return float(recall_at_k(found, self.validation.labels.to(found.device), ks=(1,))[1])

    def save(self) -> None:
        """Writes a checkpoint, where there is a folder for it."""
        if self.folder is None or self.devices.rank > 0:
            return
        with self.stepper.averaged():
            weights = {"net": self.net.state_dict(), "loss": self.loss.state_dict()}
            weights |= {"outside": self._outside(), "mining": None if self.mining is None else self.mining.state()}
            content = {"run": self.fingerprint, **self.state.to_dict(), **weights, **self.stepper.state()}
            self.checkpoint = checkpoints.save(self.folder, content, epoch=self.state.epoch, step=self.state.step)
        checkpoints.write_history(self.folder, self.state.history)
        self.board.show(self.state.history)

    def _outside(self) -> dict[str, object]:
        of_miner = {} if self.mining is None else self.mining.outside()
        return outside.outside("network", self.net) | outside.outside("loss", self.loss) | of_miner

    def restore(self, path: Path, *, any_start: bool) -> None:
        """Goes on from a checkpoint of this run."""
        content = checkpoints.load_run(path)
        left = identity.left_by(content)
        identity.check_same_run(content["run"], self.fingerprint, path=path, left=left, any_start=any_start)
        self.fingerprint = {**content["run"], "config.epochs": self.config.epochs}
        self.net.load_state_dict(content["net"])
        self.loss.load_state_dict(content["loss"])
        outside.restore("network", self.net, content["outside"], self.devices.device)
        outside.restore("loss", self.loss, content["outside"], self.devices.device)
        if self.mining is not None:
            self.mining.load_state(content["mining"], content["outside"])
        self.stepper.load_state(content)
        self.state.load(content)
        self.checkpoint = path

    def result(self, signal: int | None) -> FitResult:
        """What the run leaves behind: the network holds the average of its weights, where one was taken."""
        state = self.state
        if self.stepper.average is not None:
            self.stepper.average.show()
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


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
