"""What is asked before the first step, so that no run ends in what could have been known before it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dmlbook import settings
from dmlbook._checks import bad_input, checked
from dmlbook._files import unwritable
from dmlbook._types import Tensor
from dmlbook.datasets.image_set import ImageSet
from dmlbook.nets import EmbeddingNet, check_image_size, has_untrained_statistics
from dmlbook.sampling import ClassBatches, UniformBatches
from dmlbook.training import mining
from dmlbook.training.checkpoints import KEEP, Checkpoints, epochs_of, find
from dmlbook.training.compiling import check_compile
from dmlbook.training.config import TrainConfig
from dmlbook.training.devices import Place, check_device, check_precision
from dmlbook.training.memory import check_pieces
from dmlbook.training.sources import Features, kind_of_source
from dmlbook.training.views import Views


def check(
    net: nn.Module,
    loss: nn.Module,
    train_set: ImageSet | Features,
    config: TrainConfig,
    *,
    miner: Callable | None,
    validation: ImageSet | Features | None,
    place: Place,
) -> torch.device:
    """All that ``fit`` can know before it looks at its folder; returns the device that it computes on.

    Raises:
        ValueError: The arguments do not fit one another, cannot be trained or measured on, or the device is not there.
    """
    check_fit(net, loss, train_set, config, validation)
    mining.check(miner, loss, sampler(train_set.labels, config))
    chosen = place.device
    if chosen is None:
        chosen = train_set.features.device if isinstance(train_set, Features) else settings.device()
    chosen = check_device(chosen, place.devices)
    check_precision(config.precision, chosen)
    check_means(net, train_set, config, chosen, place.devices * place.nodes)
    return chosen


def check_kept(
    kept: Checkpoints | None,
    net: nn.Module,
    loss: nn.Module,
    train_set: ImageSet | Features,
    config: TrainConfig,
    *,
    best: bool,
) -> None:
    """Raises unless the checkpoints that a run has still to write can be written, where any are kept.

    Args:
        kept: Where. None: nothing is.
        net: Of the run.
        loss: Of the run.
        train_set: With ``config`` it decides what of the network is trained.
        config: Of the run.
        best: Whether the weights of the best epoch are kept, too.
    """
    if kept is None:
        return
    folder = Path(kept.folder)
    check_folder(folder)
    found = find(folder)
    if not found or epochs_of(found[-1]) < config.epochs:
        check_room(folder, net, loss, kind_of_source(train_set, config).trained(net), config, best=best)


def check_fit(
    net: nn.Module,
    loss: nn.Module,
    train_set: ImageSet | Features,
    config: TrainConfig,
    validation: ImageSet | Features | None,
) -> None:
    """Raises where the arguments of ``fit`` do not fit one another, or cannot be trained or measured on."""
    if len(train_set) == 0:
        raise bad_input("train_set", "hold at least one image", "none", "Load another split.")
    check_classes("train_set", train_set)
    known = getattr(loss, "num_classes", None)
    if isinstance(known, int) and known > 0 and known != train_set.num_classes:  # some losses of others say 0
        got = f"num_classes = {known} for {train_set.num_classes} classes"
        remedy = "Make the loss with num_classes=train_set.num_classes."
        raise bad_input("loss", "be made for the classes of train_set", got, remedy)
    if validation is not None:
        _check_validation(train_set, validation)
    trained = kind_of_source(train_set, config).trained(net)
    if config.freeze_batch_norm and has_untrained_statistics(trained):
        remedy = "Pass freeze_batch_norm=False, or build the network with weights=..."
        raise bad_input("config.freeze_batch_norm", "be False for random weights", True, remedy)
    live = not config.freeze_batch_norm and any(isinstance(part, _BatchNorm) for part in trained.modules())
    if live and config.batch_size == 1:
        remedy = "Its statistics would be those of one image: choose a larger one, or freeze_batch_norm=True."
        raise bad_input("config.batch_size", "be >= 2 with batch norm that measures", 1, remedy)
    if config.head_epochs and not isinstance(net, EmbeddingNet):
        remedy = "It has no backbone and head: pass 0, or build it with nets.build or nets.wrap."
        raise bad_input("config.head_epochs", f"be 0 for a {type(net).__name__}", config.head_epochs, remedy)
    if isinstance(net, EmbeddingNet) and isinstance(train_set, ImageSet):
        check_image_size(net, Views(train_set, config).size)


def _check_validation(train_set: ImageSet | Features, validation: ImageSet | Features) -> None:
    if validation.split == "test":
        remedy = (
            "Choosing the epoch there would be learning from it: split some images or classes off the training set."
        )
        raise bad_input("validation", "be a split of the training classes", "the test split", remedy)
    if isinstance(validation, Features) != isinstance(train_set, Features):
        got, remedy = type(validation).__name__, "Compute the features of both, or hand over the images of both."
        raise bad_input("validation", f"be {type(train_set).__name__} as train_set is", got, remedy)
    check_measurable("validation", validation)


def check_classes(role: str, data: ImageSet | Features) -> None:
    """Raises unless there are two classes to be told apart; ``role`` is what the message calls the images."""
    count = len(torch.unique(data.labels))
    if count < 2:
        remedy = "Nothing can be told apart in one class: load more."
        raise bad_input(role, "hold images of at least two classes", count, remedy)


def check_measurable(role: str, data: ImageSet | Features) -> None:
    """Raises unless retrieval among these images means something: two classes, and a pair of one class."""
    check_classes(role, data)
    if int(torch.bincount(data.labels).max()) < 2:
        got, remedy = f"{len(data)} classes of one image", "Hold out classes with more images."
        raise bad_input(role, "hold two images of some class, or Recall@1 has no meaning", got, remedy)


def check_means(
    net: nn.Module, train_set: ImageSet | Features, config: TrainConfig, device: torch.device, processes: int
) -> None:
    """Raises where the run cannot be computed as its settings say: in pieces, compiled, by so many processes."""
    trained = kind_of_source(train_set, config).trained(net)
    check_pieces(trained, config, processes)
    check_compile(trained, config, device, processes)


@checked
def check_folder(folder: Path) -> None:
    """Raises unless checkpoints can be written there; nothing is made or left behind.

    Raises:
        ValueError: It is a file, cannot be written, or its name will not do.
    """
    reason = "an empty name" if not str(folder).strip() else None
    if reason is None and os.path.isfile(folder):
        reason = f"{folder}, which is a file"
    if reason is None:
        reason = unwritable(Path(folder) / "checkpoint-00000-0000000.pt")
    if reason is not None:
        raise bad_input("folder", "be a folder that can be written", reason, "Choose another one.")


def check_room(
    folder: Path, net: nn.Module, loss: nn.Module, trained: nn.Module, config: TrainConfig, *, best: bool
) -> None:
    """Raises unless the disk has room for the checkpoints that are still to come.

    Args:
        folder: Of the run; it need not be there yet.
        net: Its weights are counted.
        loss: And so are its.
        trained: The part of the network that is trained: the optimizer keeps numbers for each of its weights, and
            where an average of them is measured, its own values are kept beside that.
        config: Its optimizer, precision and average are used.
        best: Whether the weights of the best epoch are kept, too.
    """
    least = 8 if config.precision == "64-true" else 1  # bytes of a number: the run makes them so
    weights = _bytes((value for part in (net, loss) for value in part.state_dict().values()), least)
    moving = _bytes((p for part in (trained, loss) for p in part.parameters() if p.requires_grad), least)
    moments = (2 if config.optimizer != "sgd" else int(config.momentum > 0)) * moving
    average = _bytes([*trained.parameters(), *trained.buffers()], least) if config.ema_decay > 0 else 0
    more = KEEP + 1 - len(find(folder))  # the one that is written is there beside those that are kept
    needed = more * (weights * (1 + best) + moments + average)
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        got = f"{free:,} bytes free of the {needed:,} that {more} checkpoints in {folder} need"
        raise bad_input("folder", "have room for the checkpoints", got, "Free some, or choose another folder.")


def _bytes(values: Iterable[object], least: int) -> int:
    return sum(value.numel() * max(least, value.element_size()) for value in values if isinstance(value, Tensor))


def sampler(labels: Tensor, config: TrainConfig) -> ClassBatches | UniformBatches:
    """The batches of a run; one that cannot be made is refused."""
    if config.sampler == "uniform":
        return UniformBatches(len(labels), config.batch_size, config.seed, config.drop_last)
    small = config.small_classes
    return ClassBatches(labels, config.batch_size, config.samples_per_class, config.seed, small_classes=small)
