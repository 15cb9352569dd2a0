"""Handwritten digits: 1,797 drawings of 8 x 8 pixels that come with scikit-learn, so that nothing is downloaded."""

from __future__ import annotations

import torch

from dmlbook._checks import between, checked, one_of
from dmlbook._types import Tensor
from dmlbook.datasets.image_set import ImageSet
from dmlbook.datasets.splits import training_classes


@checked(split=one_of("train", "test", "all"), size=between(8, 1024, "The drawings have 8 x 8 pixels."))
def load(split: str, *, size: int = 32) -> ImageSet:
    """The digits 0 to 4 (train), 5 to 9 (test) or all ten, white on black, enlarged and repeated over the three colors.

    Args:
        split: ``"train"``, ``"test"`` or ``"all"``.
        size: Side of the images in pixels, 8 to 1024; the drawings are enlarged bilinearly.

    Returns:
        901 (train), 896 (test) or 1,797 (all) images; the kinds are unknown.

    Raises:
        ValueError: ``split`` is none of these, or ``size`` is no integer in 8..1024.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (its test part), as bundled with
    scikit-learn. The split by class is ours.
    """
    from sklearn.datasets import load_digits

    drawings = load_digits()
    labels = torch.as_tensor(drawings.target).long()
    everything = ImageSet(
        images=_enlarge(torch.as_tensor(drawings.images).float(), size),
        labels=labels,
        class_names=tuple(str(digit) for digit in range(10)),
        name="digits",
        split="all",
    )
    half = training_classes(10)
    chosen = {"train": range(half), "test": range(half, 10), "all": range(10)}[split]
    return everything.of_classes(torch.tensor(chosen), split=split)


def _enlarge(drawings: Tensor, size: int) -> Tensor:
    """Ink from 0 to 16, (N, 8, 8), as bytes (N, 3, size, size)."""
    enlarged = torch.nn.functional.interpolate(drawings[:, None], (size, size), mode="bilinear")
    return (enlarged * 255 / 16).round().byte().expand(-1, 3, -1, -1).contiguous()
