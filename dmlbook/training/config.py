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
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


def setting(default: object, meaning: str, rule: object = None) -> object:
    """A field of a dataclass that says what it means, in words, range and units: ``help`` in its metadata.

    ``rule`` is what ``checked`` asks of it, where one argument alone can be asked.
    """
    return field(default=default, metadata={"help": meaning, "rule": rule})


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
        >>> [f"{config.rate(epoch):.0e}" for epoch in (19, 20)]
        ['1e-04', '1e-05']
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
    weight_decay: float = setting(1e-4, "Adam's L2 penalty on both, >= 0.", at_least(0))
    milestones: tuple[int, ...] = setting(
        (20, 40), "Epochs, counted from 1, from which on both rates are multiplied by ``lr_decay`` once more."
    )
    lr_decay: float = setting(0.1, "In (0, 1].", above(0, up_to=1))
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
    precision: str = setting("32-true", "``32-true``, ``bf16-mixed`` or ``16-mixed``.", one_of(*PRECISIONS))
    evaluate_every: int = setting(
        1, "Epochs between two measurements of Recall@1 on the validation set, >= 1; the last is measured.", at_least(1)
    )
    seed: int = setting(SEED, "Of batches, views and dropout.", finite)

    def __post_init__(self) -> None:
        for name in ("drop_last", "freeze_batch_norm", "freeze_backbone", "flip"):
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
        if self.sampler == "class" and self.batch_size % self.samples_per_class:
            remedy = "Choose a multiple of samples_per_class."
            got = f"{self.batch_size} for {self.samples_per_class} a class"
            raise bad_input("batch_size", "hold whole classes", got, remedy)

    @checked
    def decay(self, epoch: int) -> float:
        """The factor of both learning rates in ``epoch``, counted from 1."""
        return self.lr_decay ** sum(epoch >= milestone for milestone in self.milestones)

    @checked
    def rate(self, epoch: int) -> float:
        """The network's learning rate in ``epoch``, counted from 1."""
        return self.lr * self.decay(epoch)

    def to_dict(self) -> dict:
        """Plain values, for a record or a checkpoint: tuples become lists, as in JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

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
