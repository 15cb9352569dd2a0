"""``fit``: trains an embedding network, and can be stopped and resumed anywhere without a trace in the result."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from dmlbook import settings
from dmlbook._checks import bad_input, check_choice, check_number
from dmlbook._types import Tensor
from dmlbook.datasets.image_set import ImageSet
from dmlbook.nets import EmbeddingNet, freeze_batch_norm, has_untrained_statistics
from dmlbook.retrieval import recall_at_k
from dmlbook.sampling import ClassBatches, UniformBatches
from dmlbook.training import checkpoints
from dmlbook.training.config import TrainConfig
from dmlbook.training.embedding import embed
from dmlbook.training.engine import Engine
from dmlbook.training.guards import FiniteGuard, Interruption
from dmlbook.training.result import FitResult
from dmlbook.training.views import Views

RESUME = ("auto", "never", "must")
ASK_EVERY = 10  # steps between two questions whether another process was interrupted


def fit(
    net: EmbeddingNet,
    loss: nn.Module,
    train_set: ImageSet,
    config: TrainConfig,
    *,
    validation: ImageSet | None = None,
    folder: str | PathLike | None = None,
    resume: str = "auto",
    device: str | torch.device | None = None,
    devices: int = 1,
    progress: bool = True,
    callback: Callable[[dict], object] | None = None,
) -> FitResult:
    """Trains ``net`` and the loss's own weights, both in place.

    Args:
        net: From ``nets.build``. It ends on ``device``.
        loss: Called as ``loss(embeddings, labels)``; ours, or one of pytorch-metric-learning. Its parameters are
            trained at ``config.loss_lr`` without further ado.
        train_set: Images of the training classes.
        config: Everything else that decides the outcome.
        validation: Images, apart from ``train_set``, whose Recall@1 is measured and decides on the best epoch. A split
            of the training classes; never the test set. None: nothing is measured, and the last epoch is what you get.
        folder: Where to keep checkpoints, one an epoch, the last two. None: nothing is written.
        resume: ``auto`` (go on from the folder's newest checkpoint, if any), ``must``, or ``never`` (the folder must
            hold none). A resumed run ends as the uninterrupted one would have: on a CPU, bit for bit.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``. None: the first that this machine has of GPU and CPU.
        devices: How many of that kind, >= 1. More than one starts the present script once for each: from a file, not
            from a notebook. They share each batch, and the loss sees all of it.
        progress: Whether to show a bar; there is none in smoke mode.
        callback: Called with each epoch's record.

    Raises:
        ValueError: Arguments do not fit one another, a checkpoint is damaged or belongs to another run.
        FloatingPointError: The loss or its gradient is not finite; the message names epoch, step and images.

    Source: the training of Qian et al., ICCV 2019. Chapter 7.

    Example:
        ``fit(net, SoftTriple(num_classes=40, embedding_size=64), birds, TrainConfig(epochs=5)).history[-1]["loss"]``
    """
    check_choice("fit", choices=RESUME, resume=resume)
    check_number("fit", low=1, integer=True, devices=devices)
    _check_fit(net, loss, train_set, config, validation, devices)
    start = None if folder is None else _checkpoint(Path(folder), resume)
    freeze_batch_norm(net, config.freeze_batch_norm)
    place = torch.device(settings.device() if device is None else device)
    run = _Run(net, loss, train_set, config, validation, None if folder is None else Path(folder), place, devices)
    if start is not None:
        run.restore(start)
    bar = progress and settings.mode() != "smoke" and run.engine.rank == 0
    forked = [run.engine.device] if run.engine.device.type == "cuda" else []
    with torch.random.fork_rng(devices=forked), Interruption() as interruption:
        run.train(interruption, bar, callback)
    return run.result()


class _Run:
    """The moving parts of one call of ``fit``; what a checkpoint holds is what ``save`` and ``restore`` name."""

    def __init__(
        self,
        net: EmbeddingNet,
        loss: nn.Module,
        train_set: ImageSet,
        config: TrainConfig,
        validation: ImageSet | None,
        folder: Path | None,
        place: torch.device,
        devices: int,
    ):
        self.net, self.loss, self.config, self.validation, self.folder = net, loss, config, validation, folder
        self.engine = Engine(net.head if config.freeze_backbone else net, loss, config, place, devices)
        net.to(self.engine.device)
        if config.sampler == "class":
            per_class, small = config.samples_per_class, config.small_classes
            self.sampler = ClassBatches(
                train_set.labels, config.batch_size, per_class, config.seed, small_classes=small
            )
        else:
            self.sampler = UniformBatches(len(train_set), config.batch_size, config.seed, config.drop_last)
        self.labels = train_set.labels.to(self.engine.device)
        if config.freeze_backbone:
            self.features, self.held_out = self._features(train_set), self._features(validation)
        else:
            self.views = Views(train_set, config, images=_near(train_set.images, self.engine.device))
        self.fingerprint = checkpoints.fingerprint(net, loss, train_set, validation, config)
        self.epoch = self.step = 0  # finished ones; steps are of the epoch after those
        self.history: list[dict] = []
        self.best: dict | None = None
        self.checkpoint: Path | None = None
        self._forget_epoch()

    def train(self, interruption: Interruption, bar: bool, callback: Callable[[dict], object] | None) -> None:
        steps = len(self.sampler)
        done, total = self.epoch * steps + self.step, self.config.epochs * steps
        with tqdm(total=total, initial=done, disable=not bar, leave=False, unit="step") as self.bar:
            while self.epoch < self.config.epochs and not self.engine.any(interruption.requested):
                self._steps(interruption)
                if self.step < steps:
                    break
                record = self._finish_epoch()
                self.save()
                if callback is not None:
                    callback(record)
        if self.epoch < self.config.epochs:
            self.save()
            if self.engine.rank == 0:
                print(self._farewell(), file=sys.stderr)

    def _steps(self, interruption: Interruption) -> None:
        """What is left of the epoch, up to an interruption."""
        engine, epoch = self.engine, self.epoch + 1
        engine.set_epoch(epoch)
        guard = FiniteGuard(lag=0 if engine.device.type == "cpu" else 1)
        before, start = self.seconds, time.perf_counter()
        for step, index in list(enumerate(self.sampler.batches(epoch)))[self.step :]:
            inputs = self._inputs(index, epoch, step)
            labels = self.labels[index.to(self.labels.device)]
            value, numbers = engine.gradients(inputs, labels, epoch=epoch, step=step)
            guard.add(epoch, step + 1, index, numbers)
            engine.apply()
            self.loss_sum += value.to(self.loss_sum) * len(index)
            self.images, self.step = self.images + len(index), step + 1
            self.seconds = before + time.perf_counter() - start
            rate = f"{self.images / self.seconds:.0f}"
            self.bar.set_postfix({"epoch": epoch, "loss": f"{guard.latest:.4f}", "images/s": rate}, refresh=False)
            self.bar.update()
            if (engine.world == 1 or self.step % ASK_EVERY == 0) and engine.any(interruption.requested):
                break
        guard.flush()
        self.bar.refresh()  # also where an epoch is over before the bar's next turn
        self.seconds = before + time.perf_counter() - start

    def _inputs(self, index: Tensor, epoch: int, step: int) -> Tensor:
        part = self.engine.part(len(index))
        if self.config.freeze_backbone:
            return self.features[index[part].to(self.features.device)]
        return self.views.train(index, self.engine.device, epoch=epoch, step=step, part=part)

    def _finish_epoch(self) -> dict:
        epoch, rates = self.epoch + 1, {f"{group['name']}": group["lr"] for group in self.engine.adam.param_groups}
        record = {"epoch": epoch, "loss": float(self.loss_sum) / self.images, "lr": rates["network"]}
        record |= {"loss_lr": rates["loss"]} if "loss" in rates else {}
        record |= {"seconds": self.seconds, "images_per_second": self.images / self.seconds}
        if self.validation is not None and (epoch % self.config.evaluate_every == 0 or epoch == self.config.epochs):
            record["recall_at_1"] = recall = self.engine.agreed(self._recall())
            if self.best is None or recall > self.best["recall_at_1"]:
                states = {"net": _copied(self.net), "loss": _copied(self.loss)}
                self.best = {"epoch": epoch, "recall_at_1": recall, **states}
        self.history.append(record)
        self.epoch, self.step = epoch, 0
        self._forget_epoch()
        return record

    def _forget_epoch(self) -> None:
        exact = torch.float32 if self.engine.device.type == "mps" else torch.float64
        self.loss_sum = torch.zeros((), dtype=exact, device=self.engine.device)
        self.images, self.seconds = 0, 0.0

    def _recall(self) -> float:
        """Recall@1 on the validation set, in [0, 1]."""
        if self.config.freeze_backbone:
            with torch.inference_mode():
                embeddings = self.net.head(self.held_out).cpu()
        else:
            embeddings = embed(self.net, self.validation, config=self.config)
        return float(recall_at_k(embeddings.float(), self.validation.labels, ks=(1,))[1])

    def _features(self, image_set: ImageSet | None) -> Tensor | None:
        found = None if image_set is None else embed(self.net, image_set, config=self.config, features=True)
        return None if found is None else found.to(self.engine.device)

    def save(self) -> None:
        if self.folder is None or self.engine.rank > 0:
            return
        state = {"run": self.fingerprint, "epoch": self.epoch, "step": self.step, "history": self.history}
        state |= {"loss_sum": float(self.loss_sum), "images": self.images, "seconds": self.seconds, "best": self.best}
        state |= {"net": self.net.state_dict(), "loss": self.loss.state_dict(), **self.engine.state()}
        self.checkpoint = checkpoints.save(self.folder, state, epoch=self.epoch, step=self.step)

    def restore(self, path: Path) -> None:
        state = checkpoints.load(path)
        checkpoints.check_same_run(state["run"], self.fingerprint, path=path)
        self.net.load_state_dict(state["net"])
        self.loss.load_state_dict(state["loss"])
        self.engine.load_state(state)
        self.epoch, self.step, self.history, self.best = (state[k] for k in ("epoch", "step", "history", "best"))
        self.loss_sum.fill_(state["loss_sum"])
        self.images, self.seconds, self.checkpoint = state["images"], state["seconds"], path

    def result(self) -> FitResult:
        stopped, best_epoch = self.epoch < self.config.epochs, None if self.best is None else self.best["epoch"]
        return FitResult(
            self.net, self.loss, self.history, best_epoch, stopped, self.checkpoint, self.engine.rank, self.best
        )

    def _farewell(self) -> str:
        place = f"Interrupted after epoch {self.epoch} and {self.step} steps of the next."
        if self.checkpoint is None:
            return f"{place} Nothing was saved: pass folder=... to be able to go on."
        return f"{place} Saved as {self.checkpoint}. To go on, call fit with the same arguments again."


def _check_fit(
    net: EmbeddingNet,
    loss: nn.Module,
    train_set: ImageSet,
    config: TrainConfig,
    validation: ImageSet | None,
    devices: int,
) -> None:
    if len(train_set) == 0:
        raise bad_input("fit", "train_set", "hold at least one image", "none", "Load another split.")
    known = getattr(loss, "num_classes", None)
    if isinstance(known, int) and known != train_set.num_classes:
        got = f"num_classes = {known} for {train_set.num_classes} classes"
        remedy = "Make the loss with num_classes=train_set.num_classes."
        raise bad_input("fit", "loss", "be made for the classes of train_set", got, remedy)
    if validation is not None and validation.split == "test":
        remedy = (
            "Choosing the epoch there would be learning from it: split some images or classes off the training set."
        )
        raise bad_input("fit", "validation", "be a split of the training classes", "the test split", remedy)
    if config.freeze_batch_norm and not config.freeze_backbone and has_untrained_statistics(net):
        remedy = "Pass freeze_batch_norm=False, or build the network with weights=..."
        raise bad_input("fit", "config.freeze_batch_norm", "be False for random weights", True, remedy)
    if devices > 1 and hasattr(sys, "ps1"):
        remedy = "Run a script, or: python -m dmlbook train --devices."
        raise bad_input("fit", "devices", "be 1 in a notebook or at a prompt", devices, remedy)


def _checkpoint(folder: Path, resume: str) -> Path | None:
    """The one to go on from."""
    found = checkpoints.find(folder)
    if resume == "never" and found:
        remedy = 'Choose another folder, remove them, or pass resume="auto".'
        raise bad_input("fit", "folder", 'hold no checkpoint for resume="never"', str(found[-1]), remedy)
    if resume == "must" and not found:
        remedy = 'Check the path, or pass resume="auto".'
        raise bad_input("fit", "folder", 'hold a checkpoint for resume="must"', str(folder), remedy)
    return found[-1] if found else None


def _near(images: Tensor, device: torch.device) -> Tensor:
    """All images on the GPU, once, where they take up less than half of its free memory."""
    if device.type == "cuda" and 2 * images.numel() < torch.cuda.mem_get_info(device)[0]:
        return images.to(device)
    return images


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
