"""Splits by class, where what is tested is never of a class that was trained on, and within classes: closed sets."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from dmlbook._checks import at_least, bad_input, checked, inside
from dmlbook._types import Bool, Int, Tensor
from dmlbook.datasets.image_set import ImageSet


@checked(num_classes=at_least(2, "A split needs two classes."))
def training_classes(num_classes: int) -> int:
    """How many classes train: the first half, and the middle one where their number is odd.

    Example:
        >>> training_classes(200), training_classes(5)
        (100, 3)
    """
    return (num_classes + 1) // 2


@checked(validation=inside(0, 1))
def split_classes(
    image_set: ImageSet, *, validation: float = 0.2, generator: torch.Generator
) -> tuple[ImageSet, ImageSet]:
    """Hold out some of the training *classes*, to choose settings on: they are as unseen as the test classes will be.

    Settings that were chosen on the test classes would flatter every result after it; settings chosen on held-out
    images of trained classes answer another question.

    Args:
        image_set: The training half of a set.
        validation: Share of its classes to hold out, in (0, 1); rounded to whole classes.
        generator: Draws the classes: ``generator(SEED, "validation")``.

    Returns:
        The classes that train, and the classes that validate, both in their order and numbered from 0.

    Raises:
        ValueError: The set is a test set, or fewer than two classes would be on one side (with one class, whatever
            is retrieved is right).
    """
    if image_set.split == "test":
        remedy = "Load split='train': the test classes are for the last measurement only."
        raise bad_input("image_set", "hold training classes", "split 'test'", remedy)
    total = image_set.num_classes
    held_out = round(validation * total)
    if held_out < 2 or total - held_out < 2:
        got = f"{total - held_out} and {held_out} of {total}"
        remedy = f"Pass validation={math.ceil(200 / total) / 100:g}, or add classes." if total >= 4 else "Add classes."
        raise bad_input("validation", "leave two classes on each side", got, remedy)
    chosen = torch.zeros(total, dtype=torch.bool)
    chosen[torch.randperm(total, generator=generator)[:held_out]] = True
    train = image_set.of_classes((~chosen).nonzero().flatten())
    return train, image_set.of_classes(chosen.nonzero().flatten(), split="validation")


@checked(held_out=inside(0, 1))
def closed_set(
    image_set: ImageSet, held_out: float = 0.2, *, generator: torch.Generator, split: str = "query"
) -> tuple[ImageSet, ImageSet]:
    """Hold out a share of each *class's* images: queries that search the others, which train and are the gallery.

    All classes train, so what is measured are new images of known classes; of classes that nobody has seen it says
    nothing. Photographs of one object or one minute should lie on one side: a share drawn at random tears them apart,
    and the score is flattered; a file of splits keeps them together.

    Args:
        image_set: Of any classes; those of one image only train.
        held_out: Share of each class, in (0, 1); rounded to whole images, at least one, and at least one stays.
        generator: Draws the images: ``generator(SEED, "closed set")``.
        split: What the queries are called.

    Returns:
        The images that train, of all classes, numbered as before, and the queries, both in their order.

    Raises:
        ValueError: ``held_out`` is out of range, or no class has two images.

    Example:
        >>> from dmlbook.datasets import load
        >>> from dmlbook.seeding import SEED, generator
        >>> train, queries = closed_set(load("digits", "train"), 0.2, generator=generator(SEED, "closed set"))
        >>> len(train), len(queries), train.class_names == queries.class_names
        (721, 180, True)
    """
    chosen = draw_share(image_set.labels, held_out, generator)
    if not chosen.any():
        got, remedy = f"{image_set.num_classes} classes of one image", "Add images: one to ask, one to be found."
        raise bad_input("image_set", "hold two images of some class", got, remedy)
    train = image_set.select((~chosen).nonzero().flatten(), split="train")
    return train, image_set.select(chosen.nonzero().flatten(), split=split)


def draw_share(groups: Int[Tensor, " N"], share: float, generator: torch.Generator) -> Bool[Tensor, " N"]:
    """Which images are drawn: a share of each group, at least one, and never all; none of a group of one."""
    drawn = torch.zeros(len(groups), dtype=torch.bool)
    order = groups.argsort(stable=True)
    for places in order.split(torch.unique(groups, return_counts=True)[1].tolist()):
        if len(places) > 1:
            count = min(max(round(share * len(places)), 1), len(places) - 1)
            drawn[places[torch.randperm(len(places), generator=generator)[:count]]] = True
    return drawn


@checked
def join(first: ImageSet, second: ImageSet, *, split: str = "all") -> ImageSet:
    """The images of both sets, first those of ``first``; classes (and kinds) of one name are one.

    Raises:
        ValueError: One of the sets knows its kinds, aspects or paths and the other does not, or their sizes differ.
    """
    for field in ("kinds", "aspects", "paths"):
        if (getattr(first, field) is None) != (getattr(second, field) is None):
            raise bad_input(field, "be known for both sets or for none", "one", "Leave it out: replace(...=None).")
    if first.images.shape[1:] != second.images.shape[1:]:
        got = f"{tuple(first.images.shape[1:])} and {tuple(second.images.shape[1:])}"
        raise bad_input("images", "have one size", got, "Load both with the same size.")
    class_names, labels = _join(first.class_names, first.labels, second.class_names, second.labels)
    joined = replace(
        first, images=torch.cat([first.images, second.images]), labels=labels, class_names=class_names, split=split,
        kinds=None, kind_names=None, aspects=None, paths=None,
    )  # fmt: skip
    if first.kinds is not None:
        names, kinds = _join(first.kind_names, first.kinds, second.kind_names, second.kinds)
        joined = replace(joined, kinds=kinds, kind_names=names)
    if first.aspects is not None:
        joined = replace(joined, aspects=torch.cat([first.aspects, second.aspects]))
    if first.paths is not None:
        joined = replace(joined, paths=first.paths + second.paths)
    return joined


def _join(
    first_names: tuple[str, ...], first: torch.Tensor, second_names: tuple[str, ...], second: torch.Tensor
) -> tuple[tuple[str, ...], torch.Tensor]:
    names = tuple(dict.fromkeys(first_names + second_names))
    number = {name: place for place, name in enumerate(names)}
    renumber = torch.tensor([number[name] for name in second_names])
    return names, torch.cat([first, renumber[second]])
