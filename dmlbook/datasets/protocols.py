"""Protocols: what trains, what is asked, what is searched, and what a measure of it says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from dmlbook._checks import bad_input, check_number, checked
from dmlbook._types import Int, Tensor
from dmlbook.datasets.image_set import ImageSet
from dmlbook.datasets.splits import closed_set, split_classes
from dmlbook.seeding import SEED, generator

NAMES = ("classes", "closed", "all")
HELD_OUT = 0.2
"""Share of each class's images that a closed set holds out."""
GIVEN = "file"
"""In place of a share for validation: the images that a file of splits names so."""
Load = Callable[..., ImageSet]


@checked
@dataclass(frozen=True)
class Protocol:
    """What a network is trained on and what it is measured on.

    Attributes:
        name: One of ``NAMES``, or the name of the file of splits.
        train: The images that train.
        queries: The images that are asked for.
        gallery: The images that the queries search; None: they search one another, each all others.
        measured_on: What is measured, in a few words, as a record names it.
        says: One sentence on what such a measure says and what it does not.
    """

    name: str
    train: ImageSet
    queries: ImageSet
    gallery: ImageSet | None
    measured_on: str
    says: str

    @property
    def query_labels(self) -> Int[Tensor, " N"]:
        """Class of each query, in the numbers of the gallery where there is one; classes that it lacks come after."""
        if self.gallery is None:
            return self.queries.labels
        return numbered_as(self.queries, self.gallery)

    @property
    def gallery_labels(self) -> Int[Tensor, " M"] | None:
        """Class of each image of the gallery, or None without one: what ``retrieval.evaluate`` takes."""
        return None if self.gallery is None else self.gallery.labels


@checked
def numbered_as(queries: ImageSet, gallery: ImageSet) -> Int[Tensor, " N"]:
    """The classes of the queries by the numbers that classes of these names have in the gallery; others come after."""
    number = {name: place for place, name in enumerate(gallery.class_names)}
    places = [number.setdefault(name, len(number)) for name in queries.class_names]
    return torch.tensor(places)[queries.labels]


def build(
    split: str | Path,
    load: Load,
    *,
    folder: Path | None = None,
    parts: bool = False,
    held_out: float | None = None,
    validation: float | str | None = None,
) -> Protocol:
    """The protocol of a name, or of a file of splits; what can be known before images are loaded is checked before.

    Args:
        split: One of ``NAMES``, or a CSV file.
        load: ``load("train")`` and so on gives the images; it takes ``shared`` and ``splits`` as ``datasets.load``.
        folder: The reader's own photographs, where they are such: what a file of splits speaks of.
        parts: Whether ``folder`` holds ``train`` and ``test``.
        held_out: Share of each class's images that are queries, in (0, 1), in a closed set that has to be made.
        validation: Share to be measured in place of what is measured last: of training classes, or in a closed set of
            each class's training images; ``"file"``: the images that the file of splits names so.

    Raises:
        ValueError: An option has no meaning under this protocol, or images to train on or to measure are missing.
    """
    name = str(split)
    if name not in NAMES and Path(name).suffix.lower() != ".csv":
        raise bad_input("split", f"be one of {', '.join(NAMES)}, or a CSV file", repr(name), "Such as split='closed'.")
    if held_out is not None and (name != "closed" or parts):
        got = f"folders train and test in {folder}" if name == "closed" else f"split={name!r}"
        raise bad_input("held_out", "stand beside split='closed' without parts of its own", got, "Leave it out.")
    for option, share in {"held_out": held_out, "validation": validation}.items():
        if share is not None and share != GIVEN:
            check_number(low=0, high=1, open_low=True, open_high=True, **{option: share})
    if name not in NAMES:
        return _of_file(Path(name).expanduser(), load, folder, validation)
    if validation == GIVEN:
        raise bad_input("validation", "be a share, such as 0.2", repr(GIVEN), "Only a file of splits names images.")
    if name == "closed":
        return _closed(load, folder if parts else None, HELD_OUT if held_out is None else held_out, validation)
    if name == "all":
        return _all(load("all"), validation)
    train, unseen = load("train"), "Classes that were not trained on: their images search one another."
    if validation is not None:
        return _held_out_classes(name, train, validation, f"{validation:g} of the training classes")
    test = load("test")
    if common := sorted(set(train.class_names) & set(test.class_names)):
        got = f"{len(common)} in both: {', '.join(common[:10])}"
        raise bad_input("classes", "be in train or in test, not in both", got, "Say split='closed', if that is meant.")
    return Protocol(name, train, test, None, "test classes", unseen)


@checked
def words_of(kept: Mapping[str, object]) -> str:
    """What is measured, of the options that a run's folder kept, for folders that do not say it themselves.

    Args:
        kept: ``split``, ``held_out`` and ``validation``, as far as they were noted.
    """
    split, share, held_out = str(kept.get("split", "classes")), kept.get("validation"), kept.get("held_out")
    part = f"{share:g}" if isinstance(share, int | float) else str(share)
    if split == "closed":
        side = f"{held_out:g} of each class's images" if isinstance(held_out, int | float) else "images held out"
        side = side if share is None else f"{part} of each class's training images"
        return f"{side} against the rest (closed set)"
    if split not in NAMES:
        what = "images" if share is None else "validation images" if share == GIVEN else f"{part} of the images"
        return f"{what} of {Path(split).name}"
    usual, whole = {"classes": ("test classes", "the training"), "all": ("the images trained on", "all")}[split]
    return usual if share is None else f"{part} of {whole} classes"


@checked
def fingerprint(file: str | Path) -> str:
    """SHA-256 of a file of splits: a run is measured again by the same one.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        return hashlib.sha256(Path(file).expanduser().read_bytes()).hexdigest()
    except OSError as error:
        got = f"{file} ({error.strerror})"
        raise bad_input("split", "be a CSV file that can be read", got, "Check its name.") from error


def _held_out_classes(name: str, train: ImageSet, validation: float, measured_on: str) -> Protocol:
    stay, held = split_classes(train, validation=validation, generator=generator(SEED, "validation"))
    says = "Classes held out of training, to choose settings on: their images search one another."
    return Protocol(name, stay, held, None, measured_on, says)


def _all(images: ImageSet, validation: float | None) -> Protocol:
    if validation is not None:
        return _held_out_classes("all", images, validation, f"{validation:g} of all classes")
    says = (
        "Every image trains, and the images trained on search one another: this says nothing about other images. "
        "Choose settings on classes that are held out (validation) before, and train on all of them last."
    )
    return Protocol("all", images, images, None, "the images trained on", says)


def _closed(load: Load, parts: Path | None, held_out: float, validation: float | None) -> Protocol:
    says = "New images of classes that were trained on search the training images: this says nothing of other classes."
    if parts is not None and validation is not None:
        return _held_out_images("closed", load("train", shared=True), validation, "(closed set)")
    if parts is not None:
        train, queries = load("train", shared=True), load("test", shared=True)
        measured_on = "the test images against the training images (closed set)"
    else:
        train, queries = closed_set(load("all"), held_out, generator=generator(SEED, "closed set"))
        measured_on = f"{held_out:g} of each class's images against the rest (closed set)"
    if validation is not None:
        return _held_out_images("closed", train, validation, "(closed set)")
    return Protocol("closed", train, queries, train, measured_on, says)


def _held_out_images(name: str, train: ImageSet, validation: float, where: str) -> Protocol:
    stay, held = closed_set(train, validation, generator=generator(SEED, "validation"), split="validation")
    says = "Images held out of training, to choose settings on, search the others of the training images."
    measured_on = f"{validation:g} of each class's training images against the rest {where}"
    return Protocol(name, stay, held, stay, measured_on, says)


def _of_file(file: Path, load: Load, folder: Path | None, validation: float | str | None) -> Protocol:
    """The protocol of a file of splits: ``test`` images search one another, ``query`` images the ``gallery``.

    Without ``gallery`` the queries search the images that train: a closed set.
    """
    from dmlbook.datasets.photos import split_files

    if folder is None:
        got, remedy = file.name, "Pass name='folder' and root=FOLDER: its paths are those below root."
        raise bad_input("split", "be of a folder of your own, where it is a file", got, remedy)
    found, _ = split_files.read(file, folder)
    counts = {part: len(inside.entries) for part, inside in found.items()}
    has = counts.keys()
    told = ", ".join(f"{count:,} {part}" for part, count in counts.items())
    if "train" not in has or ("test" in has) == ("query" in has) or ("gallery" in has and "query" not in has):
        rule = "name train images, and either test images or query images (with their gallery, if not those that train)"
        raise bad_input("split", rule, f"{told} in {file.name}", "Correct the file.")
    if validation == GIVEN and "validation" not in has:
        raise bad_input("validation", "be a share where the file names none", f"{told} in {file.name}", "Such as 0.2.")
    if validation not in (None, GIVEN) and "validation" in has:
        got, remedy = f"{validation} beside {counts['validation']:,} in {file.name}", "Pass validation='file'."
        raise bad_input("validation", "be those images that the file names so", got, remedy)

    def part(split: str) -> ImageSet:
        return load(split, splits=str(file))

    closed = "query" in has and "gallery" not in has
    train = part("train")
    if validation not in (None, GIVEN):
        if closed:
            return _held_out_images(file.name, train, validation, f"of {file.name}")
        return _held_out_classes(file.name, train, validation, f"{validation:g} of the training classes of {file.name}")
    asked = "validation" if validation == GIVEN else "query" if "query" in has else "test"
    queries = part(asked)
    gallery = train if closed else part("gallery") if asked == "query" else None
    seen = len(set(queries.class_names) & set(train.class_names))
    of = f"{seen:,} of their {queries.num_classes:,} classes trained"
    where = "one another" if gallery is None else "the images that trained" if closed else "the gallery"
    says = f"{len(queries):,} {asked} images of {file.name} search {where}; {of}."
    if gallery is not None and not set(queries.class_names) & set(gallery.class_names):
        raise bad_input("split", "name a class both in query and in gallery", file.name, "Correct the file.")
    against = "" if gallery is None else " against the training images" if closed else " against its gallery"
    return Protocol(file.name, train, queries, gallery, f"{asked} images of {file.name}{against}", says)
