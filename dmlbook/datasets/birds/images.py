"""Drawn birds: species that differ in fine details, in a known number of poses each, for learning and for teaching.

Species ``s`` belongs to genus ``s % 10``. The first half of the species trains and the second half tests, so none is in
both, and each half holds equally many of every genus: what must be learned is not the genus, which is easy, but the
details by which its species differ. The pose is the true local cluster of an image: a species shows one to four of the
six, in its own shares. Looking left or right is part of a pose, so do not mirror images where local clusters matter.
Chapters 0, 4 and 7.
"""

from __future__ import annotations

import hashlib
import json
import random
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from dmlbook._checks import at_least, bad_input, between, checked, finite, one_of, speaker
from dmlbook._files import whole
from dmlbook._types import Int, Tensor, UInt8
from dmlbook.datasets.birds.genera import GENERA, POSES
from dmlbook.datasets.birds.scenes import DIFFICULTIES, clean_picture, picture
from dmlbook.datasets.birds.species import Species, make_species
from dmlbook.datasets.image_set import ImageSet
from dmlbook.seeding import SEED, named_seed
from dmlbook.settings import data_root

SPLITS = ("train", "test", "all")
NUM_SPECIES, IMAGES_PER_SPECIES = 80, 50


@checked(
    split=one_of(*SPLITS),
    size=between(16, 512),
    num_species=at_least(2),
    images_per_species=at_least(1),
    difficulty=one_of(*DIFFICULTIES),
    seed=finite,
)
def load(
    split: str,
    *,
    size: int = 64,
    num_species: int = NUM_SPECIES,
    images_per_species: int = IMAGES_PER_SPECIES,
    difficulty: str = "normal",
    seed: int = SEED,
    root: str | Path | None = None,
) -> ImageSet:
    """Images of the drawn birds, with their species as labels and their poses as kinds.

    Image i of species s is the same whatever else is asked for. The result is kept on disk and read back, after its
    checksum was compared, when the same is asked for again.

    Args:
        split: ``"train"`` (first half of the species, rounded up), ``"test"`` (the others) or ``"all"``.
        size: Side of the images in pixels, 16 to 512.
        num_species: Species in both halves together, at least 2.
        images_per_species: At least 1.
        difficulty: ``"easy"``, ``"normal"`` or ``"hard"``: how fine the differences within a genus are, and how
            strongly scale, rotation, light, noise and occlusion vary.
        seed: Makes other species and other images.
        root: Folder of the kept files; ``settings.data_root() / "birds"`` if None.

    Returns:
        Images sorted by species, labels from 0, ``kinds`` as places in ``kind_names``.

    Raises:
        ValueError: An argument is none of the above.

    Example:
        >>> birds = load("test", num_species=4, images_per_species=3)
        >>> len(birds), birds.num_classes, birds.kind_names[:2]
        (6, 2, ('perched', 'facing'))
    """
    half = (num_species + 1) // 2
    numbers = {"train": range(half), "test": range(half, num_species), "all": range(num_species)}[split]
    chosen = make_species(num_species, seed)[numbers.start : numbers.stop]
    poses = [kind.pose_of(i, seed) for kind in chosen for i in range(images_per_species)]
    folder = data_root() / "birds" if root is None else Path(root)
    request = {"size": size, "difficulty": difficulty, "seed": seed, "first": numbers.start, "end": numbers.stop}
    path = folder / f"{split}-{size}px-{_key(images_per_species=images_per_species, **request)}.birds"
    shape = (len(poses), 3, size, size)
    images = _read(path, shape)
    if images is None:
        drawn = [(kind, i) for kind in chosen for i in range(images_per_species)]
        images = np.stack([_draw_image(kind, i, size=size, difficulty=difficulty, seed=seed) for kind, i in drawn])
        _keep(path, images)
    return ImageSet(
        images=torch.from_numpy(images),
        labels=torch.arange(len(chosen)).repeat_interleave(images_per_species),
        class_names=tuple(kind.name for kind in chosen),
        kinds=torch.tensor(poses),
        kind_names=POSES,
        name="birds",
        split=split,
    )


@checked(
    species=at_least(0), pose=one_of(*POSES), size=between(16, 2048), difficulty=one_of(*DIFFICULTIES), seed=finite
)
def draw(
    species: int,
    pose: str,
    *,
    size: int = 256,
    difficulty: str = "easy",
    seed: int = SEED,
) -> UInt8[Tensor, "3 S S"]:
    """One species in one pose as a field guide would show it, without nuisance; also in poses it never has in ``load``.

    Args:
        species: Its number, at least 0: that of ``load("all")``.
        pose: One of ``POSES``.
        size: Side in pixels, 16 to 2048.
        difficulty: Sets how plain its details are, as in ``load``; ``"easy"`` shows them in full.
        seed: As in ``load``.

    Raises:
        ValueError: An argument is none of the above.

    Example:
        >>> draw(0, "perched", size=128).shape
        torch.Size([3, 128, 128])
    """
    kind = make_species(100 * (species // 100 + 1), seed)[species]  # one list serves a whole page of drawings
    drawn = clean_picture(kind, POSES.index(pose), size, DIFFICULTIES[difficulty].contrast)
    return torch.from_numpy(np.asarray(drawn).copy()).permute(2, 0, 1).contiguous()


@checked
def true_kinds(image_set: ImageSet) -> Int[Tensor, " C"]:
    """How many local clusters (poses) each class of an image set has, (C,): what the number of centers should find.

    Raises:
        ValueError: Nobody knows the kinds of this image set.

    Example:
        >>> true_kinds(load("train", num_species=4)).shape
        torch.Size([2])
    """
    if image_set.kinds is None:
        remedy = "Only drawn birds know them: birds.load."
        raise bad_input("image_set", "know its kinds", f"kinds None of {image_set.name!r}", remedy)
    pairs = torch.unique(torch.stack([image_set.labels, image_set.kinds]), dim=1)
    return torch.bincount(pairs[0], minlength=image_set.num_classes)


@checked(species=at_least(0))
def genus_of(species: int) -> str:
    """The genus that a species belongs to, by its number in ``load("all")``.

    Example:
        >>> genus_of(0), genus_of(10) == genus_of(0)
        ('tit', True)
    """
    return GENERA[species % len(GENERA)].name


def _draw_image(kind: Species, image: int, *, size: int, difficulty: str, seed: int) -> np.ndarray:
    """Image number ``image`` of a species, (3, size, size): all its nuisance comes from a generator of its own."""
    rng = random.Random(named_seed(seed, "birds", "image", kind.number, image))
    drawn = picture(kind, kind.pose_of(image, seed), size, DIFFICULTIES[difficulty], rng)
    return drawn.transpose(2, 0, 1)


@lru_cache(maxsize=1)
def _renderer() -> str:
    """A digest of this folder's source, so that no picture of an older renderer is ever taken for a new one."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def _key(**request: object) -> str:
    text = json.dumps(request | {"renderer": _renderer()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The images kept at ``path``: 32 bytes of SHA-256, then theirs. None where these do not agree or no file is."""
    try:
        content = path.read_bytes()
    except OSError:  # none there, or out of reach: drawn again, and ``_keep`` says so if that lasts
        return None
    whole = len(content) == 32 + np.prod(shape) and hashlib.sha256(memoryview(content)[32:]).digest() == content[:32]
    return np.frombuffer(bytearray(memoryview(content)[32:]), dtype=np.uint8).reshape(shape) if whole else None


def _keep(path: Path, images: np.ndarray) -> None:
    """Written beside its place and then moved there, so that a reader finds all of it or nothing."""
    content = np.ascontiguousarray(images)
    try:
        with whole(path) as unfinished, unfinished.open("wb") as file:
            file.write(hashlib.sha256(content.data).digest())
            file.write(content.data)
    except OSError as error:
        message = (
            f"{speaker()}: the images could not be kept in {path.parent} ({error}), so each call draws them again."
        )
        warnings.warn(f"{message} Pass root=FOLDER, one that can be written.", stacklevel=4)
