"""Which images a study of hidden kinds trains on and which it holds out, and into which classes they are dealt."""

from __future__ import annotations

import fnmatch
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import PurePath

import torch

from dmlbook._checks import bad_input, check_number
from dmlbook._types import Float, Int, Tensor
from dmlbook.commands import common
from dmlbook.commands.kind_figures import retrieved
from dmlbook.datasets import ImageSet, kinds_as_classes, merge_classes, split_images
from dmlbook.datasets.kinds import check_kinds
from dmlbook.seeding import SEED, generator


@dataclass(frozen=True)
class Halves:
    """Rows of the feature matrix, with what is trained on and what is hidden; first those that train.

    ``names`` are those of the classes and of the kinds.
    ``frozen`` are the figures of the features as they are, on the images held out.
    """

    rows: tuple[Int[Tensor, " M"], Int[Tensor, " L"]]
    labels: tuple[Int[Tensor, " M"], Int[Tensor, " L"]]
    kinds: tuple[Int[Tensor, " M"], Int[Tensor, " L"]]
    num_classes: int
    names: tuple[tuple[str, ...], tuple[str, ...]]
    frozen: dict[str, float]


def images_of(options: Namespace) -> ImageSet:
    """All images that may be used. Classes to be merged are the finest kinds; else the kinds are known."""
    split = "all" if options.data in ("folder", "digits", "birds") else "train"
    images = common.load_images(options, split)
    if options.merge is None:
        check_kinds(images)
        return images
    fine = images if images.kinds is None else kinds_as_classes(images)
    remedy = f"There are {fine.num_classes} classes, and two must come of them."
    check_number(low=1, high=fine.num_classes // 2, integer=True, merge=options.merge, remedy=remedy)
    return fine


def halves(options: Namespace, images: ImageSet, features: Float[Tensor, "N F"], seed: int) -> Halves:
    """What one seed trains on and what it measures; the images held out are the same for every seed."""
    numbered = replace(images, paths=tuple(map(str, range(len(images)))))  # paths go with their images: a row's number
    if options.held_out_files is None:  # whole kinds are split before they are dealt into classes, so alike each time
        parts = split_images(numbered, options.held_out, generator=generator(SEED, "split"))
    else:
        parts = _by_name(numbered, images.paths, options.held_out_files)
    if options.validation is not None:
        parts = split_images(parts[0], options.validation, generator=generator(seed, "validation"))
    if options.merge is not None:
        draws = (None if options.relatives else generator(seed, "merge") for _ in parts)
        parts = tuple(
            merge_classes(part, options.merge, generator=draw) for part, draw in zip(parts, draws, strict=True)
        )
    rows = tuple(torch.tensor([int(path) for path in part.paths]) for part in parts)
    frozen, labels, kinds = features[rows[1]], parts[1].labels, parts[1].kinds
    return Halves(
        rows=rows,
        labels=tuple(part.labels for part in parts),
        kinds=tuple(part.kinds for part in parts),
        num_classes=parts[0].num_classes,
        names=(parts[0].class_names, parts[0].kind_names),
        frozen={f"frozen_{key}": value for key, value in retrieved(frozen, labels, kinds).items()},
    )


def _by_name(numbered: ImageSet, files: tuple[str, ...] | None, pattern: str) -> tuple[ImageSet, ImageSet]:
    """The images whose file names do not match, and those whose do; ``numbered.paths`` are places in ``files``."""
    if files is None:
        raise bad_input("--held-out-files", "be used with files", "drawn images", "Use --held-out.")
    fits = torch.tensor([fnmatch.fnmatch(PurePath(files[int(row)]).name, pattern) for row in numbered.paths])
    for chosen, which in ((fits, "match"), (~fits, "do not match")):
        if len(torch.unique(numbered.labels[chosen])) < numbered.num_classes:
            remedy = "Quote the pattern, and compare it with the names of the files."
            got = f"none that {which} {pattern!r} in some class"
            raise bad_input("--held-out-files", "leave images of every class on both sides", got, remedy)
    return numbered.select((~fits).nonzero().flatten()), numbered.select(fits.nonzero().flatten(), split="held out")
