"""Image sets, all loaded by one function and all split by class: training classes never occur in the test set.

>>> train, test = load("birds", "train"), load("birds", "test")  # doctest: +SKIP
"""

from __future__ import annotations

import inspect
from pathlib import Path

from dmlbook._checks import check_choice, checked, one_of
from dmlbook.datasets.image_set import ImageSet
from dmlbook.datasets.kinds import kinds_as_classes, merge_classes, split_images
from dmlbook.datasets.splits import split_classes

__all__ = [
    "NAMES",
    "ImageSet",
    "describe",
    "fetch",
    "kinds_as_classes",
    "load",
    "merge_classes",
    "split_classes",
    "split_images",
]

NAMES = ("birds", "digits", "cub", "cars", "sop", "folder")
"""``birds`` is drawn here, ``digits`` comes with scikit-learn, ``folder`` is your own; the others are fetched."""


@checked(name=one_of(*NAMES), split=one_of("train", "test", "all"))
def load(name: str, split: str, root: str | Path | None = None, size: int | None = None, **options: object) -> ImageSet:
    """A set's training or test half, or all of it, decoded.

    Args:
        name: One of ``NAMES``.
        split: ``"train"`` (the first half of the classes), ``"test"`` (the others) or ``"all"``.
        root: Where the photographs are: a folder that holds ``cub/``, ``cars/``, ``sop/`` ..., or the set's own
            folder. By default ``settings.data_root()``, which ``DMLBOOK_DATA`` changes. ``folder`` needs it.
        size: Side of the images in pixels. By default 64 for birds, 32 for digits, 256 for photographs.
        options: For birds those of :func:`dmlbook.datasets.birds.load`, for photographs ``partial``,
            ``skip_corrupt``, ``merge``, ``cache`` and ``progress`` of
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
