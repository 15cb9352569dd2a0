"""Every setting of a training run, in one frozen record with the papers' defaults."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise

from dmlbook._checks import above, at_least, bad_input, between, check_choice, checked, finite, one_of
from dmlbook.sampling import SMALL_CLASSES
from dmlbook.seeding import SEED

SAMPLERS = ("uniform", "class")
AUGMENTATIONS = ("crop", "shift", "none")
OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("step", "cosine")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "64-true")
ON_MEMORY = ("stop", "halve")


def setting(default: object, meaning: str, rule: object = None, *, later: bool = False) -> object:
    """A field of a dataclass that says what it means, in words, range and units: ``help`` in its metadata.

    Args:
        default: Its default.
        meaning: In words.
        rule: What ``checked`` asks of it, where one argument alone can be asked.
        later: Whether there are stored results from before it was a setting, all made with what is its default. It is
            left out of ``to_dict`` there, so that they stay results of the same configuration.
    """
    return field(default=default, metadata={"help": meaning, "rule": rule, "later": later})


def described(settings: type) -> type:
    """Makes a dataclass ask what its fields' rules say, and list what they mean, so that ``help`` shows all of it."""
    lines = [f"    {each.name}: {each.metadata['help']}" for each in fields(settings)]
    settings.__doc__ = "\n".join([inspect.cleandoc(settings.__doc__ or ""), "", "Attributes:", *lines, ""])
    rules = {each.name: each.metadata["rule"] for each in fields(settings) if each.metadata["rule"] is not None}
    return checked(**rules)(settings)


@described
@dataclass(frozen=True)
class TrainConfig:
    """How to train. The defaults are SoftTriple's for photographs of CUB and Cars with a pretrained network.

    For a network that starts from random weights, ``freeze_batch_norm=False`` and a larger ``lr`` (1e-3) are needed;
    for drawn images ``augment="shift"``; for digits also ``flip=False``.

    Raises:
        ValueError: A value is out of its range.

    Source: Qian et al., ICCV 2019, section 5 and the official code. Chapter 7.

    Example:
        >>> config = TrainConfig(epochs=30, milestones=(20,))
        >>> [config.decay(epoch) for epoch in (19, 20)]
        [1.0, 0.1]
    """

    epochs: int = setting(
        50, "Passes over the training set, >= 1. A finished run is continued by resuming it with more.", at_least(1)
    )
    batch_size: int = setting(32, "Images a step, >= 1, over all devices together.", at_least(1))
    sampler: str = setting(
        "uniform",
        "``uniform`` (shuffled) or ``class`` (``samples_per_class`` images of each class drawn).",
        one_of(*SAMPLERS),
    )
    samples_per_class: int = setting(
        4, "Images of each class in a batch, >= 1, a divisor of ``batch_size``; sampler ``class`` only.", at_least(1)
    )
    small_classes: str = setting(
        "error",
        "``error``, ``repeat`` or ``leave_out`` classes with fewer images; sampler ``class`` only.",
        one_of(*SMALL_CLASSES),
    )
    drop_last: bool = setting(
        False, "Whether the last batch of an epoch is left out where it is smaller; sampler ``uniform`` only."
    )
    lr: float = setting(1e-4, "Learning rate of the network, > 0.", above(0))
    loss_lr: float | None = setting(
        1e-2, "Learning rate of the loss's own weights (its centers), > 0. None: the network's.", above(0)
    )
    adam_eps: float = setting(
        0.01, "Constant in Adam's denominator, > 0. 0.01 makes Adam act as plain descent on small gradients.", above(0)
    )
    weight_decay: float = setting(
        1e-4, "On both, >= 0: an L2 penalty in the gradient; for ``adamw`` a share of the rate by itself.", at_least(0)
    )
    optimizer: str = setting(
        "adam", "``adam``, ``adamw`` (decay apart from the gradient) or ``sgd``.", one_of(*OPTIMIZERS), later=True
    )
    momentum: float = setting(0.9, "Of ``sgd`` only, in [0, 0.9999].", between(0, 0.9999), later=True)
    schedule: str = setting(
        "step",
        "``step`` (see ``milestones``) or ``cosine`` (half a wave from the full rates to 0, in every step).",
        one_of(*SCHEDULES),
        later=True,
    )
    milestones: tuple[int, ...] = setting(
        (20, 40),
        "Epochs, counted from 1, from which on both rates are multiplied by ``lr_decay`` once more; ``step`` only.",
    )
    lr_decay: float = setting(0.1, "In (0, 1]; schedule ``step`` only.", above(0, up_to=1))
    warmup_epochs: float = setting(
        0.0,
        "Epochs, or a part of one, in which both rates rise in every step, evenly; >= 0, before any milestone.",
        at_least(0),
        later=True,
    )
    head_epochs: int = setting(
        0,
        "First epochs in which the backbone rests, its statistics too: head and loss train alone, >= 0.",
        at_least(0),
        later=True,
    )
    clip_norm: float = setting(
        0.0, "Largest norm of the gradient, of network and loss together, > 0. 0: any.", at_least(0), later=True
    )
    ema_decay: float = setting(
        0.0,
        "What the moving average of the network's weights keeps in each step, in [0, 0.99999], such as 0.999: the "
        "average is what is measured and kept. 0: none is taken.",
        between(0, 0.99999),
        later=True,
    )
    freeze_batch_norm: bool = setting(True, "Whether running statistics are fixed; scale and shift train in any case.")
    freeze_backbone: bool = setting(
        False, "Train the head alone, on features computed once from the test view (no augmentation)."
    )
    image_size: int | None = setting(
        None, "Side in pixels that the network sees, >= 1. None: as many as the test view cuts out.", at_least(1)
    )
    augment: str = setting(
        "crop",
        "``crop`` (random resized crop), ``shift`` (whole picture, moved a little) or ``none`` (the test view).",
        one_of(*AUGMENTATIONS),
    )
    flip: bool = setting(True, "Whether training images are mirrored at random.")
    crop_scale: tuple[float, float] = setting((0.08, 1.0), "Range of a crop's share of the picture's area, in (0, 1].")
    crop_ratio: tuple[float, float] = setting((3 / 4, 4 / 3), "Range of a crop's width / height, > 0.")
    shift: float = setting(0.08, "Largest move in each direction as a share of the side, in [0, 0.5].", between(0, 0.5))
    test_crop: float | None = setting(
        None,
        "Side of the square that the test view cuts from the middle, as a share of the short side, in (0, 1]. "
        "None: 224/256 for photographs (sets with ``aspects``), all for drawings.",
        above(0, up_to=1),
    )
    precision: str = setting(
        "32-true", "``32-true``, ``bf16-mixed``, ``16-mixed`` or ``64-true``.", one_of(*PRECISIONS)
    )
    evaluate_every: int = setting(
        1, "Epochs between two measurements of Recall@1 on the validation set, >= 1; the last is measured.", at_least(1)
    )
    seed: int = setting(SEED, "Of batches, views and dropout.", finite)
    compile: bool = setting(
        False, "Whether torch.compile compiles the network: it takes a minute or more at first.", later=True
    )
    micro_batch: int | None = setting(
        None,
        "Images that pass the network at a time, >= 1, the loss still seeing all of ``batch_size``: the same result in "
        "less memory and about 1.3 x the time; needs ``freeze_batch_norm`` or no batch norm. None: all at once.",
        at_least(1),
        later=True,
    )
    on_memory: str = setting(
        "stop",
        "Where memory ends: ``stop`` with a word on what to change, or ``halve`` ``micro_batch`` and go on.",
        one_of(*ON_MEMORY),
        later=True,
    )

    def __post_init__(self) -> None:
        for name in ("drop_last", "freeze_batch_norm", "freeze_backbone", "flip", "compile"):
            if not isinstance(getattr(self, name), bool):
                raise bad_input(name, "be True or False", repr(getattr(self, name)), "Pass one of them.")
        _check_range(high=1, crop_scale=self.crop_scale)
        _check_range(high=math.inf, crop_ratio=self.crop_ratio)
        steps = self.milestones
        whole = isinstance(steps, tuple) and all(
            isinstance(e, int) and not isinstance(e, bool) and e > 0 for e in steps
        )
        if not whole or any(a >= b for a, b in pairwise(steps)):
            remedy = "Write (20, 40), or () for a constant rate."
            raise bad_input("milestones", "be a tuple of epochs >= 1 that increase", repr(steps), remedy)
        got, remedy = f"{self.warmup_epochs:g} of {self.epochs}", "Warm up for less, or train for longer."
        if self.schedule == "cosine" and self.warmup_epochs >= self.epochs:
            raise bad_input("warmup_epochs", "leave epochs for the cosine", got, remedy)
        if self.warmup_epochs > self.epochs:
            raise bad_input("warmup_epochs", "be at most epochs", got, remedy)
        early = [each for each in steps if each <= self.warmup_epochs] if self.schedule == "step" else []
        if early:  # in an epoch in which the rates still rise
            got, remedy = f"{early[0]} for {self.warmup_epochs:g} of warm-up", "Warm up for less, or drop it."
            raise bad_input("milestones", "begin after the warm-up", got, remedy)
        if self.sampler == "class" and self.batch_size % self.samples_per_class:
            remedy = "Choose a multiple of samples_per_class."
            got = f"{self.batch_size} for {self.samples_per_class} a class"
            raise bad_input("batch_size", "hold whole classes", got, remedy)

    @checked(epoch=at_least(1), step=at_least(0), steps=at_least(1))
    def decay(self, epoch: int, step: int = 0, steps: int = 1) -> float:
        """The factor of both learning rates, in [0, 1].

        Args:
            epoch: Counted from 1.
            step: Of the epoch, counted from 0.
            steps: Of each epoch.

        Example:
            >>> rises = TrainConfig(epochs=3, warmup_epochs=1, schedule="cosine")
            >>> [rises.decay(epoch, step, 2) for epoch in (1, 2) for step in (0, 1)] + [rises.decay(3)]
            [0.5, 1.0, 1.0, 0.8535533905932737, 0.5]
        """
        done, warm = (epoch - 1) * steps + step, self.warmup_epochs * steps
        if done + 1 < warm:
            return (done + 1) / warm
        if self.schedule == "cosine":
            return (1 + math.cos(math.pi * max(0.0, done - warm) / (self.epochs * steps - warm))) / 2
        return self.lr_decay ** sum(epoch >= milestone for milestone in self.milestones)

    @property
    def changes_each_step(self) -> bool:
        """Whether the rates change within an epoch."""
        return self.schedule == "cosine" or self.warmup_epochs > 0

    def to_dict(self) -> dict:
        """Plain values, for a record or a checkpoint: tuples become lists, as in JSON.

        Settings younger than the first stored results are named where they are not at their default.
        """
        kept = {
            each.name
            for each in fields(self)
            if not (each.metadata["later"] and getattr(self, each.name) == each.default)
        }
        values = {name: value for name, value in asdict(self).items() if name in kept}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    @checked
    def from_dict(cls, values: Mapping[str, object]) -> TrainConfig:
        """The inverse of ``to_dict``. An unknown name is an error; a field that is not named gets its default."""
        check_choice(choices=[f.name for f in fields(cls)], **{f"name {n!r}": n for n in values})
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _check_range(*, high: float, **ranges: object) -> None:
    for name, pair in ranges.items():
        numbers = isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(x, int | float) for x in pair)
        if not numbers or not (0 < pair[0] <= pair[1] <= high and math.isfinite(pair[1])):
            rule = f"be a tuple (low, high) with 0 < low <= high{'' if high == math.inf else f' <= {high:g}'}"
            raise bad_input(name, rule, repr(pair), "Pass two numbers, low first.")
