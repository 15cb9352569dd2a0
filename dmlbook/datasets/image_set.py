"""What every data set is once loaded: images as bytes, class numbers, names, and the truth where it is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import torch

from dmlbook._checks import bad_input, check_labels, checked
from dmlbook._types import Float, Int, Tensor, UInt8


@checked
@dataclass(frozen=True)
class ImageSet:
    """Images of one split, decoded.

    Attributes:
        images: Bytes in [0, 255], (N, 3, S, S). Photographs are squeezed to a square; ``aspects`` undoes it.
        labels: Class numbers (N,), 0 to C - 1, each of them present.
        class_names: C names, at the place of their number, no two alike.
        kinds: The true local cluster of each image (N,), such as a bird's pose, or None where nobody knows it.
        kind_names: Names of the kinds, or None.
        aspects: Width / height of each original picture (N,), or None where all are square.
        paths: The file of each image, or None where it was drawn.
        name: Such as ``"birds"``.
        split: Such as ``"test"``.
    """

    images: UInt8[Tensor, "N 3 S S"]
    labels: Int[Tensor, " N"]
    class_names: tuple[str, ...]
    kinds: Int[Tensor, " N"] | None = None
    kind_names: tuple[str, ...] | None = None
    aspects: Float[Tensor, " N"] | None = None
    paths: tuple[str, ...] | None = None
    name: str = ""
    split: str = ""

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8:
            raise bad_input("images", "be uint8", self.images.dtype, "Scale to 0..255, call .byte().")
        if self.images.numel() == 0:
            raise bad_input("images", "hold at least one", f"shape {tuple(self.images.shape)}", "Pass more images.")
        if self.paths is not None and len(self.paths) != len(self.images):
            got = f"{len(self.images)} images and {len(self.paths)} paths"
            raise bad_input("paths", "be as many as the images", got, "Give both for the same images.")
        object.__setattr__(self, "labels", check_labels(self.labels))
        present = torch.unique(self.labels).tolist()
        if present != list(range(len(self.class_names))):
            got = f"{len(present)} classes from {present[:1]} to {present[-1:]} and {len(self.class_names)} names"
            raise bad_input("labels", "be 0 to C - 1, each present", got, "Renumber the classes.")
        if len(set(self.class_names)) < len(self.class_names):
            twice = [name for name, count in Counter(self.class_names).items() if count > 1]
            remedy = "Classes are matched by their names: name each otherwise, or make one class of them."
            raise bad_input("class_names", "name each class once", f"twice {', '.join(twice[:10])}", remedy)
        if self.kinds is not None:
            object.__setattr__(self, "kinds", check_labels(self.kinds, argument="kinds"))
            if self.kind_names is None:
                raise bad_input("kind_names", "be known where kinds are", "None", "Name them, or leave out kinds.")
            _check_numbers("kinds", self.kinds, len(self.kind_names), "kinds")
        if self.aspects is not None and not bool((torch.isfinite(self.aspects) & (self.aspects > 0)).all()):
            got = f"{float(self.aspects.min()):g} to {float(self.aspects.max()):g}"
            raise bad_input("aspects", "be width / height, finite and > 0", got, "Leave them out for squares.")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @checked
    def select(self, index: Int[Tensor, " M"], *, split: str | None = None) -> ImageSet:
        """The images at ``index`` (M,), in that order; the classes left are numbered anew from 0, in their order.

        Raises:
            ValueError: ``index`` is empty, no integers (a mask: ``mask.nonzero().flatten()``), or not in 0..N - 1.
        """
        index = _check_numbers("index", index, len(self), "images")
        kept, labels = torch.unique(self.labels[index], return_inverse=True)
        return replace(
            self,
            images=self.images[index],
            labels=labels,
            class_names=tuple(self.class_names[c] for c in kept.tolist()),
            kinds=None if self.kinds is None else self.kinds[index],
            aspects=None if self.aspects is None else self.aspects[index],
            paths=None if self.paths is None else tuple(self.paths[i] for i in index.tolist()),
            split=self.split if split is None else split,
        )

    @checked
    def of_classes(self, classes: Int[Tensor, " M"], *, split: str | None = None) -> ImageSet:
        """All images of the classes named by number.

        Raises:
            ValueError: ``classes`` is empty, no integers, or not in 0..C - 1.
        """
        classes = _check_numbers("classes", classes, self.num_classes, "classes")
        return self.select(torch.isin(self.labels, classes).nonzero().flatten(), split=split)


def _check_numbers(argument: str, numbers: Tensor, count: int, of: str) -> Tensor:
    """Integers, one at least, in 0..count - 1; they come back as int64."""
    numbers = check_labels(numbers, argument=argument)
    if len(numbers) == 0:
        raise bad_input(argument, "name at least one", "none", f"There are {count} {of}.")
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= count:
        remedy = f"There are {count} {of}, numbered from 0."
        raise bad_input(argument, f"lie in 0..{count - 1}", low if low < 0 else high, remedy)
    return numbers
