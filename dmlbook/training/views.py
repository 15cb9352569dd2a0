"""What the network sees of a picture: random crops in training, the middle at test time, a whole batch at once.

A view is a box in a picture, drawn into a square of pixels. Boxes are chosen in the picture's own proportions, although
pictures are stored squeezed to a square. Drawing is two small matrix products, one for rows and one for columns, with
the weights of an antialiased bilinear resize: exact on every kind of device, and without a loop over images.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from dmlbook._checks import above, at_least, bad_input, check_below, checked
from dmlbook._types import Bool, Float, Int, Tensor, UInt8
from dmlbook.datasets.image_set import ImageSet
from dmlbook.seeding import generator
from dmlbook.training.ahead import rows, sent
from dmlbook.training.config import TrainConfig

PHOTO_CROP = 224 / 256  # of the short side: the papers resize to 256 and cut 224 from the middle
TRIES = 10  # at random crops that fit, as torchvision; then the largest one in the middle


class Parts(NamedTuple):
    """What a batch of views is drawn from, on the device where it is drawn."""

    images: UInt8[Tensor, "B 3 S S"]
    boxes: Float[Tensor, "B 4"]
    flips: Bool[Tensor, " B"]


class Views:
    """The views of one image set under one configuration.

    Args:
        image_set: Images (N, 3, S, S), squeezed squares, with ``aspects`` where they were not square.
        config: Its image size, augmentation and seed are used.
        images: The set's images where they lie on another device.

    Attributes:
        size: Side of a view, in pixels.
    """

    @checked
    def __init__(self, image_set: ImageSet, config: TrainConfig, *, images: UInt8[Tensor, "N 3 S S"] | None = None):
        self.images = image_set.images if images is None else images
        aspects = torch.ones(len(image_set)) if image_set.aspects is None else image_set.aspects.float().cpu()
        self.aspects, self.config = aspects, config
        self.test_crop = config.test_crop or (1.0 if image_set.aspects is None else PHOTO_CROP)
        self.size = config.image_size or max(1, round(self.images.shape[-1] * self.test_crop))

    @checked
    def for_test(self, index: Int[Tensor, " B"], device: torch.device) -> Float[Tensor, "B 3 size size"]:
        """The middle of each picture, in [0, 1]."""
        return self.drawn(self.test_parts(index, device))

    def test_parts(self, index: Int[Tensor, " B"], device: torch.device) -> Parts:
        """What ``for_test`` is drawn from; any thread may ask for it."""
        self._check(index=index)
        boxes = center_boxes(self.aspects[index], self.test_crop)
        return self._parts(index, boxes, torch.zeros(len(index), dtype=torch.bool), device)

    @checked
    def for_training(
        self,
        index: Int[Tensor, " B"],
        device: torch.device,
        *,
        epoch: int,
        step: int,
        part: Int[Tensor, " b"] | None = None,
    ) -> Float[Tensor, "b 3 size size"]:
        """Random views of the pictures, in [0, 1]; what is random depends on seed, epoch and step alone.

        Args:
            index: The batch.
            device: Where the views are wanted.
            epoch: Any number.
            step: Any number.
            part: Places in the batch to draw, None for all; boxes are chosen for the whole batch in any case.
        """
        return self.drawn(self.training_parts(index, device, epoch=epoch, step=step, part=part))

    def training_parts(
        self,
        index: Int[Tensor, " B"],
        device: torch.device,
        *,
        epoch: int,
        step: int,
        part: Int[Tensor, " b"] | None = None,
    ) -> Parts:
        """What ``for_training`` is drawn from; any thread may ask for it."""
        self._check(index=index)
        if part is not None:
            check_below(len(index), "images of the batch", part=part)
            _check_counted(part=part)
        config, random = self.config, generator(self.config.seed, "views", epoch, step)
        flips = torch.rand(len(index), generator=random) < (0.5 if config.flip else 0.0)
        aspects = self.aspects[index]
        if config.augment == "crop":
            boxes = random_boxes(aspects, random, scale=config.crop_scale, ratio=config.crop_ratio)
        else:
            boxes = center_boxes(aspects, self.test_crop)
            if config.augment == "shift":
                moves = (2 * torch.rand(len(index), 2, generator=random) - 1) * config.shift
                boxes = boxes + moves.repeat(1, 2) * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
        part = slice(None) if part is None else part
        return self._parts(index[part], boxes[part], flips[part], device)

    def drawn(self, parts: Parts) -> Float[Tensor, "b 3 size size"]:
        """The views of which these are the parts."""
        pixels = draw(*parts, self.size)
        return pixels.contiguous(memory_format=torch.channels_last)  # as the networks are laid out

    def _check(self, *, index: Tensor) -> None:
        """Another index would wrap around, or end in a message of torch's."""
        check_below(len(self.images), "images", index=index)
        _check_counted(index=index)

    def _parts(
        self, index: Int[Tensor, " B"], boxes: Float[Tensor, "B 4"], flips: Bool[Tensor, " B"], device: torch.device
    ) -> Parts:
        return Parts(rows(self.images, index, device), sent(boxes, device), sent(flips, device))


def _check_counted(**places: Int[Tensor, " B"]) -> None:
    for name, each in places.items():
        if bool((each < 0).any()):
            raise bad_input(name, "be >= 0", int(each.min()), "Images are numbered from 0.")


@checked(crop=above(0, up_to=1))
def center_boxes(aspects: Float[Tensor, " B"], crop: float) -> Float[Tensor, "B 4"]:
    """The middle square of each picture, ``crop`` times its short side: (left, top, right, bottom) in [0, 1].

    Example:
        >>> center_boxes(torch.tensor([2.0]), 1.0)  # twice as wide as high: the middle half
        tensor([[0.2500, 0.0000, 0.7500, 1.0000]])
    """
    half = crop / 2 * torch.stack([(1 / aspects).clamp(max=1), aspects.clamp(max=1)], dim=1)  # (B, 2): of width, height
    return torch.cat([0.5 - half, 0.5 + half], dim=1)


@checked(aspects=above(0), scale=above(0, up_to=1), ratio=above(0))
def random_boxes(
    aspects: Float[Tensor, " B"],
    random: torch.Generator,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Float[Tensor, "B 4"]:
    """Random crops as torchvision's RandomResizedCrop draws them, but all at once and to fractions of a pixel.

    Args:
        aspects: Width / height of each picture, > 0.
        random: Source of chance, on the CPU.
        scale: Range of a crop's share of the picture's area, in (0, 1], uniform.
        ratio: Range of a crop's width / height in the picture's own proportions, log-uniform.

    Returns:
        (left, top, right, bottom), in [0, 1] of the picture's width and height.

    Raises:
        ValueError: A number is out of its range.
    """
    for name, (least, most) in {"scale": scale, "ratio": ratio}.items():
        if least > most:
            raise bad_input(name, "be a range", f"{least:g} to {most:g}", "Pass two numbers, low first.")
    count = len(aspects)
    area = scale[0] + (scale[1] - scale[0]) * torch.rand(count, TRIES, generator=random)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    shape = torch.exp(low + (high - low) * torch.rand(count, TRIES, generator=random))
    relative = shape / aspects[:, None]  # the same in the squeezed square
    sides = torch.stack([(area * relative).sqrt(), (area / relative).sqrt()], dim=-1)  # (B, TRIES, 2)
    fits = (sides <= 1).all(-1)
    first = fits.to(torch.uint8).argmax(1)  # the first try that fits
    chosen = sides[torch.arange(count), first]
    fallback = aspects.clamp(*ratio) / aspects  # of the whole picture, or the most that the ratio allows
    largest = torch.stack([fallback.clamp(max=1), (1 / fallback).clamp(max=1)], dim=1)
    chosen = torch.where(fits.any(1, keepdim=True), chosen, largest)
    places = torch.rand(count, 2, generator=random) * (1 - chosen)
    places = torch.where(fits.any(1, keepdim=True), places, (1 - chosen) / 2)
    return torch.cat([places, places + chosen], dim=1)


@checked(size=at_least(1))
def draw(
    images: UInt8[Tensor, "B 3 S S"], boxes: Float[Tensor, "B 4"], flips: Bool[Tensor, " B"], size: int
) -> Float[Tensor, "B 3 size size"]:
    """Each box of its picture as ``size`` x ``size`` pixels in [0, 1], mirrored where asked.

    A box may reach over the picture's edge: the edge is continued there.
    """
    count, _, side, _ = images.shape
    left, top, right, bottom = boxes.unbind(1)
    columns = _resize_weights(torch.where(flips, right, left), torch.where(flips, left, right), side, size)
    rows = _resize_weights(top, bottom, side, size) / 255  # (B, size, S), and bytes become [0, 1] on the way
    pixels = images.transpose(1, 2).to(rows.dtype).reshape(count, side, 3 * side)  # one product for three colors
    drawn = torch.bmm(rows, pixels).view(count, size * 3, side)
    return torch.bmm(drawn, columns.transpose(1, 2)).view(count, size, 3, size).transpose(1, 2)


def _resize_weights(start: Tensor, end: Tensor, side: int, size: int) -> Tensor:
    """(B, size, side): how much each of ``side`` pixels adds to each of ``size``; a triangle, as wide as a new pixel.

    A box that ends before it starts is a mirrored one.
    """
    places = (torch.arange(size, device=start.device) + 0.5) / size
    centers = (start[:, None] + (end - start)[:, None] * places) * side  # (B, size), in old pixels
    centers = centers.clamp(0.5, side - 0.5)
    reach = ((end - start).abs() * side / size).clamp(min=1)[:, None, None]  # never under one old pixel
    old = torch.arange(side, device=start.device) + 0.5
    weights = (1 - (old - centers[..., None]).abs() / reach).clamp(min=0)
    return weights / weights.sum(-1, keepdim=True)
