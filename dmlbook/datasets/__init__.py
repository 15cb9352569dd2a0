"""Image sets, all loaded by one function and, unless asked otherwise, split by class: no training class is tested.

>>> train, test = load("birds", "train"), load("birds", "test")  # doctest: +SKIP
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path

from dmlbook._checks import bad_input, check_choice, checked, one_of
from dmlbook.datasets import protocols
from dmlbook.datasets.foreign import from_dataset
from dmlbook.datasets.image_set import ImageSet
from dmlbook.datasets.kinds import kinds_as_classes, merge_classes, split_images
from dmlbook.datasets.protocols import Protocol
from dmlbook.datasets.splits import closed_set, split_classes

__all__ = [
    "NAMES",
    "ImageSet",
    "Protocol",
    "closed_set",
    "describe",
    "fetch",
    "from_dataset",
    "kinds_as_classes",
    "load",
    "merge_classes",
    "protocol",
    "split_classes",
    "split_images",
]

NAMES = ("birds", "digits", "cub", "cars", "sop", "folder")
"""``birds`` is drawn here, ``digits`` comes with scikit-learn, ``folder`` is your own; the others are fetched."""
SAID_BY_SPLIT = {"shared": "split='closed'", "splits": "split='FILE.csv'"}
"""Options of ``load`` that ``protocol`` sets by itself, and how they are said to it."""


@checked(name=one_of(*NAMES))
def load(name: str, split: str, root: str | Path | None = None, size: int | None = None, **options: object) -> ImageSet:
    """A set's training or test half, or all of it, decoded.

    Args:
        name: One of ``NAMES``.
        split: ``"train"`` (the first half of the classes), ``"test"`` (the others) or ``"all"``; with ``splits`` also
            ``"validation"``, ``"query"`` and ``"gallery"``, as far as the file names them.
        root: Where the photographs are: a folder that holds ``cub/``, ``cars/``, ``sop/`` ..., or the set's own
            folder. By default ``settings.data_root()``, which ``DMLBOOK_DATA`` changes. ``folder`` needs it.
        size: Side of the images in pixels. By default 64 for birds, 32 for digits, 256 for photographs.
        options: For birds those of :func:`dmlbook.datasets.birds.load`, for photographs ``partial``,
            ``skip_corrupt``, ``merge``, ``shared``, ``splits``, ``cache`` and ``progress`` of
            :func:`dmlbook.datasets.photos.benchmarks.load`.

    Returns:
        The images as bytes, with their labels from 0, names, and what else is known of them.

    Raises:
        ValueError: ``name``, ``split``, ``size`` or an option is none that the set has, the set is not found, it is
            not whole, or an image cannot be read.

    Example:
        >>> load("digits", "test").class_names
        ('5', '6', '7', '8', '9')
    """
    if options.get("splits") is None:
        check_choice(choices=("train", "test", "all"), split=split)
    if name == "birds":
        from dmlbook.datasets import birds

        loader, first = birds.load, (split,)
    elif name == "digits":
        from dmlbook.datasets import digits

        loader, first = digits.load, (split,)
    else:
        from dmlbook.datasets.photos import benchmarks

        loader, first = benchmarks.load, (name, split)
    accepted = list(inspect.signature(loader).parameters)[len(first) :]
    given = {key: value for key, value in {"root": root, "size": size, **options}.items() if value is not None}
    if name == "digits":
        given.pop("root", None)  # they come with scikit-learn, wherever the photographs are
    if name == "birds" and root is not None:
        given["root"] = Path(root).expanduser() / "birds"  # beside cub/, cars/ and sop/
    for option in given:
        check_choice(choices=accepted, option=option)
    return loader(*first, **given)


@checked(name=one_of(*NAMES))
def protocol(
    name: str,
    split: str | Path = "classes",
    root: str | Path | None = None,
    size: int | None = None,
    *,
    held_out: float | None = None,
    validation: float | str | None = None,
    **options: object,
) -> Protocol:
    """What trains and what is measured, loaded: by class, as a closed set, of all images, or as a file says.

    Args:
        name: One of ``NAMES``.
        split: ``"classes"``: the first half of the classes trains, the others' images search one another.
            ``"closed"``: all classes train, and a share of each one's images, held out, searches those that train;
            where the ``folder`` holds ``train`` and ``test``, these are the sides. ``"all"``: everything trains and
            is measured. A CSV file with ``path,split`` and perhaps ``label``, for a ``folder``: see
            :func:`dmlbook.datasets.photos.split_files.read`.
        root: As ``load`` has it.
        size: As ``load`` has it.
        held_out: Share of each class's images, in (0, 1), 0.2 by default, for ``"closed"``.
        validation: A share, in (0, 1), of what trains, to be measured instead, to choose settings on: whole classes,
            and in a closed set a share of each class's images. ``"file"``: the images that a file of splits names so.
        options: As ``load`` has them, but for ``shared`` and ``splits``, which ``split`` says.

    Returns:
        The images, and in words what a measure of them says.

    Raises:
        ValueError: As ``load``; or an option has no meaning beside ``split``.

    Example:
        >>> closed = protocol("digits", "closed")
        >>> closed.measured_on, len(closed.train), len(closed.queries), closed.gallery is closed.train
        ("0.2 of each class's images against the rest (closed set)", 1438, 359, True)
    """
    for option, remedy in SAID_BY_SPLIT.items():
        if options.get(option) not in (None, False):
            raise bad_input(option, "be left to split", options[option], f"Say {remedy}.")
    options = {option: value for option, value in options.items() if option not in SAID_BY_SPLIT}
    return protocols.build(
        split,
        lambda part, **more: load(name, part, root, size, **options, **more),
        folder=own_folder(name, root),
        parts=str(split) == "closed" and own_parts(name, root, options),
        held_out=held_out,
        validation=validation,
    )


def own_folder(name: str, root: str | Path | None) -> Path | None:
    """The folder of the reader's own photographs, or None for another set."""
    return Path(root).expanduser() if name == "folder" and root is not None else None


def own_parts(name: str, root: str | Path | None, options: Mapping[str, object]) -> bool:
    """Whether the reader's own photographs lie in ``train`` and ``test``, and are not to be merged."""
    from dmlbook.datasets.photos import own_folders

    return name == "folder" and not options.get("merge") and own_folders.has_parts(root)


@checked
def fetch(name: str, root: str | Path | None = None, *, progress: bool = True) -> Path | None:
    """Download a set if it is not there; see :func:`dmlbook.datasets.photos.fetching.fetch`."""
    from dmlbook.datasets.photos import fetching

    return fetching.fetch(name, root, progress=progress)


@checked
def describe(name: str, root: str | Path | None = None) -> dict[str, object]:
    """What is there of a set; see :func:`dmlbook.datasets.photos.fetching.describe`."""
    from dmlbook.datasets.photos import fetching

    return fetching.describe(name, root)
