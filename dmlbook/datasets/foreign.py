"""Sets of other libraries taken as they are: torch's and torchvision's, HuggingFace's, a list of pairs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image

from dmlbook._checks import bad_input, between, checked
from dmlbook._types import Tensor
from dmlbook.datasets.image_set import ImageSet
from dmlbook.datasets.photos.decoding import squeeze

AT_ONCE = 256
LABELS = ("label", "labels", "target", "fine_label", "class")
"""Names of the column of classes, where a set does not say which it is."""


@checked(size=between(1, 4096))
def from_dataset(
    dataset: object,
    *,
    size: int = 256,
    class_names: Sequence[str] | None = None,
    image: str | None = None,
    label: str | None = None,
    name: str = "",
    split: str = "",
) -> ImageSet:
    """The images and labels of any set with a length, decoded once, as ``fit``, ``embed`` and the measures take them.

    Each item is a pair (image, label, ...), as of ``torchvision.datasets.ImageFolder``, or a mapping with a column of
    images and one of labels, as of ``datasets.load_dataset("imagefolder", ...)``. Images are Pillow's, or tensors or
    arrays: bytes, or floats in [0, 1], of one or three colors, (C, H, W) or (H, W, C) or (H, W). The set's own
    transforms run once, so leave out random ones, and ``Normalize``: views and colors are made in training.

    Args:
        dataset: N items, by number from 0.
        size: Side S of the squares that pictures are squeezed to, in pixels.
        class_names: Names of the classes, at the place of their number; where labels are words, all of these in the
            order that numbers them. None: the set's own, or else the labels.
        image: Column of the images. None: found.
        label: Column of the labels. None: found.
        name: Such as ``"pets"``.
        split: Such as ``"train"``.

    Returns:
        The images with their aspects. Classes of which no image is there are left out; the others are numbered anew.

    Raises:
        ValueError: The set is empty, an item is no such pair, or an image is none of these (its number is named).

    Example:
        >>> pairs = [(torch.zeros(3, 8, 12), "ash"), (torch.ones(1, 8, 8), "elm")]
        >>> found = from_dataset(pairs, size=8)
        >>> found.class_names, found.aspects
        (('ash', 'elm'), tensor([1.5000, 1.0000]))
    """
    try:
        count = len(dataset)
    except TypeError as error:
        remedy = "A stream has none: take a list of its items."
        raise bad_input("dataset", "have a length", type(dataset).__name__, remedy) from error
    if count == 0:
        raise bad_input("dataset", "hold at least one item", "none", "Check where it was read from.")
    columns = _columns(dataset, image, label)
    images, aspects, labels = np.empty((count, 3, size, size), np.uint8), [0.0] * count, [None] * count

    def take(number: int, item: object) -> None:
        try:
            picture, labels[number] = _pair(item, columns)
            images[number], aspects[number] = _pixels(picture, size)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's readers raise nearly anything on a broken picture
            raise _no_item(number, error) from error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for some in _batches(dataset, count):
            list(pool.map(take, *zip(*some, strict=True)))
    found, names = _classes(labels, class_names, _own_names(dataset, columns))
    return ImageSet(
        torch.from_numpy(images), found, names, aspects=torch.tensor(aspects, dtype=torch.float32), name=name,
        split=split,
    )  # fmt: skip


def _batches(dataset: object, count: int) -> Iterator[list[tuple[int, object]]]:
    """Items are asked for one after the other: not every set may be read by several threads."""
    for start in range(0, count, AT_ONCE):
        yield [(number, _item(dataset, number)) for number in range(start, min(count, start + AT_ONCE))]


def _item(dataset: object, number: int) -> object:
    try:
        return dataset[number]
    except MemoryError:
        raise
    except Exception as error:  # of somebody else's code: any kind
        raise _no_item(number, error) from error


def _no_item(number: int, error: Exception) -> ValueError:
    got = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    remedy = "Look at it, or leave it out."
    return bad_input(f"dataset[{number}]", "be an image and a label", got, remedy, function="from_dataset")


def _columns(dataset: object, image: str | None, label: str | None) -> tuple[str, str] | None:
    """The names of both columns, where items are mappings; None: they are pairs."""
    first = _item(dataset, 0)
    if not isinstance(first, Mapping):
        if image or label:
            remedy = "Leave out image= and label=."
            raise bad_input("image and label", "be None for a set of pairs", repr(image or label), remedy)
        return None
    kinds = {name: type(kind).__name__ for name, kind in (getattr(dataset, "features", None) or {}).items()}
    pictures = [name for name in first if kinds.get(name) == "Image" or isinstance(first[name], Image.Image)]
    classes = [name for name in first if kinds.get(name) == "ClassLabel"]
    image = image or next(iter([*pictures, *(name for name in ("image", "img") if name in first)]), None)
    label = label or next(iter([*classes, *(name for name in LABELS if name in first)]), None)
    for argument, column in (("image", image), ("label", label)):
        if column not in first:
            remedy = f"Pass {argument}= one of {', '.join(map(str, first))}."
            raise bad_input(argument, "name a column of the set", repr(column), remedy)
    return image, label


def _pair(item: object, columns: tuple[str, str] | None) -> tuple[object, object]:
    if columns is not None:
        if absent := [column for column in columns if column not in item]:
            raise ValueError(f"an item without {absent[0]!r}")
        return item[columns[0]], item[columns[1]]
    if not isinstance(item, Sequence) or isinstance(item, str) or len(item) < 2:
        raise ValueError(f"a {type(item).__name__}")
    return item[0], item[1]


def _pixels(picture: object, size: int) -> tuple[np.ndarray, float]:
    if not isinstance(picture, Image.Image):
        picture = Image.fromarray(_bytes(picture))
    width, height = picture.size
    pixels, on_its_side = squeeze(picture, size)
    return pixels, height / width if on_its_side else width / height


def _bytes(values: object) -> np.ndarray:
    """A tensor or an array as bytes (H, W, 3)."""
    if not isinstance(values, Tensor | np.ndarray):
        raise ValueError(f"an image of type {type(values).__name__}")
    values = np.ascontiguousarray(values) if isinstance(values, np.ndarray) else values  # torch knows no way backwards
    pixels = torch.as_tensor(values).detach().cpu()
    if pixels.ndim == 2:
        pixels = pixels[None]
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise ValueError(f"an image of shape {tuple(pixels.shape)}")
    if pixels.shape[0] not in (1, 3) and pixels.shape[2] in (1, 3):
        pixels = pixels.permute(2, 0, 1)
    if pixels.shape[0] not in (1, 3):
        raise ValueError(f"an image of shape {tuple(pixels.shape)}, neither of one color nor of three")
    if pixels.is_floating_point():
        low, high = float(pixels.min()), float(pixels.max())
        if not 0 <= low <= high <= 1:
            raise ValueError(f"an image of numbers from {low:.3g} to {high:.3g}, not in [0, 1]: leave out Normalize")
        pixels = (pixels * 255).round().byte()
    if pixels.dtype != torch.uint8:
        raise ValueError(f"an image of {pixels.dtype}")
    return pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()


def _own_names(dataset: object, columns: tuple[str, str] | None) -> Sequence[str] | None:
    if columns is not None:
        feature = (getattr(dataset, "features", None) or {}).get(columns[1])
        return getattr(feature, "names", None)
    while not hasattr(dataset, "classes") and hasattr(dataset, "dataset"):  # torch's Subset, of whatever depth
        dataset = dataset.dataset
    return getattr(dataset, "classes", None)


def _classes(labels: list, given: Sequence[str] | None, own: Sequence[str] | None) -> tuple[Tensor, tuple[str, ...]]:
    """Labels numbered from 0, those present, in the order of their numbers, of the names given, or of words."""
    plain = [each.item() if isinstance(each, Tensor | np.generic) else each for each in labels]
    if odd := [each for each in plain if isinstance(each, bool) or not isinstance(each, int | str)]:
        raise bad_input("label", "be an integer or a word", repr(odd[0]), "Pass label= the column of the classes.")
    if len({type(each) for each in plain}) > 1:
        raise bad_input("label", "be integers or words throughout", "both", "Choose one of them.")
    present, names = sorted(set(plain)), given or own
    numbered = isinstance(present[0], int)
    if given and not numbered:
        if unknown := [each for each in present if each not in given]:
            remedy = "Name all of them, in the order of their numbers."
            raise bad_input("class_names", "hold every label that is a word", f"none {unknown[0]!r}", remedy)
        present = [each for each in dict.fromkeys(given) if each in present]
    if numbered and names is not None and not 0 <= present[0] <= present[-1] < len(names):
        got = f"{present[0]} to {present[-1]} for {len(names)} names"
        raise bad_input("label", "be a place in class_names", got, "Pass class_names= all of them.")
    number = {each: place for place, each in enumerate(present)}
    shown = [str(names[each]) if numbered and names is not None else str(each) for each in present]
    return torch.tensor([number[each] for each in plain]), tuple(shown)
