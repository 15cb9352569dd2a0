"""Classes that hide several kinds of images: the kinds are known and not trained on, so what was found can be judged.

``kinds`` of an :class:`ImageSet` are such kinds: birds know their poses, folders of folders their inner folders, and
``merge_classes`` makes them of any set.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from dmlbook._checks import bad_input, check_number, checked, inside
from dmlbook.datasets.image_set import ImageSet
from dmlbook.datasets.splits import draw_share


@checked
def merge_classes(image_set: ImageSet, per_class: int, *, generator: torch.Generator | None) -> ImageSet:
    """Classes made of ``per_class`` old ones each; the old ones become the kinds, known and hidden.

    Args:
        image_set: C classes. Modes that it has are forgotten.
        per_class: Old classes in a new one, 1 to C / 2.
        generator: Draws which ones, without regard to how alike they are: ``generator(SEED, "merge")``. None: those
            that follow one another in the set's order, which in many sets are relatives.

    Returns:
        C // per_class classes, named by their parts with `` + `` between them. Old classes that are left over, fewer
        than ``per_class``, are left out.

    Raises:
        ValueError: ``per_class`` is out of range: fewer than two classes would come of it.

    Example:
        >>> from dmlbook.datasets import load
        >>> pairs = merge_classes(load("digits", "train"), 2, generator=None)
        >>> pairs.class_names, pairs.kind_names
        (('0 + 1', '2 + 3'), ('0', '1', '2', '3'))
    """
    total = image_set.num_classes
    remedy = f"There are {total} classes, and two must come of them."
    check_number(low=1, high=total // 2, integer=True, per_class=per_class, remedy=remedy)
    order = torch.arange(total) if generator is None else torch.randperm(total, generator=generator)
    groups = order[: total // per_class * per_class].view(-1, per_class).sort(1).values  # (new classes, per_class)
    new = torch.full((total,), -1)
    new[groups.flatten()] = torch.arange(len(groups)).repeat_interleave(per_class)
    kept = image_set.of_classes(groups.flatten())
    old = torch.unique(image_set.labels[torch.isin(image_set.labels, groups)])  # numbers of kept classes, in order
    names = tuple(" + ".join(image_set.class_names[c] for c in group) for group in groups.tolist())
    return replace(
        kept, labels=new[old][kept.labels], class_names=names, kinds=kept.labels, kind_names=kept.class_names
    )


@checked
def kinds_as_classes(image_set: ImageSet) -> ImageSet:
    """The same images, their kinds being the classes.

    Raises:
        ValueError: The set does not know its kinds.
    """
    check_kinds(image_set)
    kept, labels = torch.unique(image_set.kinds, return_inverse=True)
    names = tuple(image_set.kind_names[kind] for kind in kept.tolist())
    return replace(image_set, labels=labels, class_names=names, kinds=None, kind_names=None)


@checked(share=inside(0, 1))
def split_images(
    image_set: ImageSet, share: float, *, generator: torch.Generator, split: str = "held out"
) -> tuple[ImageSet, ImageSet]:
    """Hold out a share of each kind's images (of each class's, where no kinds are known).

    Not the zero-shot protocol: both halves hold images of every class, so that trained centers and hidden kinds can be
    compared on images that were not trained on. Photographs of one object or one minute should lie in one half: shares
    drawn at random tear them apart, and the score is then flattered.

    Args:
        image_set: At least two images of each kind.
        share: To hold out, in (0, 1); rounded to whole images of each kind, at least one, and at least one stays.
        generator: Draws the images: ``generator(SEED, "split")``.
        split: What the part held out is called.

    Returns:
        The images that stay, and those held out, both in their order, with classes and kinds numbered as before.

    Raises:
        ValueError: ``share`` is out of range, or a kind has one image only.

    Example:
        >>> from dmlbook.datasets import load
        >>> from dmlbook.seeding import SEED, generator
        >>> stay, held_out = split_images(load("digits", "train"), 0.5, generator=generator(SEED, "split"))
        >>> len(stay), len(held_out), stay.class_names == held_out.class_names
        (451, 450, True)
    """
    kinds = image_set.labels if image_set.kinds is None else image_set.kinds
    alone = (torch.bincount(kinds) == 1).nonzero().flatten().tolist()
    if alone:
        names = image_set.class_names if image_set.kinds is None else image_set.kind_names
        remedy = "Leave it out: a part to train on and a part to measure need an image each."
        raise bad_input("image_set", "hold two images of each kind", f"one of {names[alone[0]]!r}", remedy)
    held_out = draw_share(kinds, share, generator)
    return image_set.select((~held_out).nonzero().flatten()), image_set.select(
        held_out.nonzero().flatten(), split=split
    )


def check_kinds(image_set: ImageSet) -> None:
    """The set must know its kinds."""
    if image_set.kinds is None:
        remedy = "Take folders inside the class folders, drawn birds, or merge_classes(...)."
        raise bad_input("image_set", "know its kinds", f"{image_set.name!r}, which does not", remedy)
