"""What a run trains on: pictures, of which every step sees other views, or features that were computed once.

The loop does not know which. Either kind of source says which part of the network its inputs go into, makes inputs
ready by index, and embeds all its rows, as a validation set must.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import nn

from dmlbook._checks import bad_input, check_number, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.datasets.image_set import ImageSet
from dmlbook.nets import EmbeddingNet
from dmlbook.training.config import TrainConfig
from dmlbook.training.embedding import embed, embed_views, evaluating
from dmlbook.training.views import Parts, Views

LARGE = 1 << 30
"""Bytes of images on the CPU from which on a thread reads them ahead: they may lie on a disk."""


class Pictures:
    """The images of a set, shown in views; the whole network is trained.

    Args:
        image_set: N images.
        config: Its settings of views are used.
        device: Where the views are wanted.
    """

    def __init__(self, image_set: ImageSet, config: TrainConfig, device: torch.device):
        self.image_set, self.config, self.device = image_set, config, device

    @classmethod
    def of(cls, data: ImageSet, net: nn.Module, config: TrainConfig, device: torch.device) -> Pictures:
        """The source for one run."""
        del net  # features would be its
        return cls(data, config, device)

    @staticmethod
    def trained(net: nn.Module) -> nn.Module:
        """The part of the network that is trained: all of it."""
        return net

    @property
    def threaded(self) -> bool:
        """Whether the next batches are worth a thread of their own."""
        return self.device.type == "cuda" or self._views.images.numel() >= LARGE

    def parts(self, index: Int[Tensor, " B"], *, epoch: int, step: int, part: Int[Tensor, " b"]) -> Parts:
        """What the views of the ``part`` of a batch are drawn from: random by seed, epoch and step alone."""
        return self._views.training_parts(index, self.device, epoch=epoch, step=step, part=part)

    def inputs(self, parts: Parts) -> Tensor:
        """The views (b, 3, size, size)."""
        return self._views.drawn(parts)

    def embeddings(self, net: nn.Module, part: Int[Tensor, " n"] | None = None) -> Float[Tensor, "n D"]:
        """Of all images, or of those named, from their test views, on the source's device."""
        return embed_views(net, self._views, index=part, device=self.device)

    @cached_property
    def _views(self) -> Views:
        """Made when first asked for: a set that is only embedded need not lie on the GPU."""
        return Views(self.image_set, self.config, images=_near(self.image_set.images, self.device))


@checked
@dataclass(frozen=True)
class Features:
    """Features that were computed once, with their labels: what ``fit`` trains a head on, in seconds.

    Attributes:
        features: From ``embed(net, images, features=True)``, (N, F).
        labels: Class numbers (N,), 0 to C - 1.
        num_classes: C. None: as many as the labels name.
        name: Such as ``"birds"``.
        split: Such as ``"train"``.

    Raises:
        ValueError: Features and labels do not belong together, or a label is out of range.

    Example:
        ``fit(nets.Head(128, 64), loss, Features(features, labels), TrainConfig(epochs=20))``
    """

    features: Float[Tensor, "N F"]
    labels: Int[Tensor, " N"]
    num_classes: int | None = None
    name: str = "features"
    split: str = ""

    def __post_init__(self) -> None:
        if self.num_classes is None:
            object.__setattr__(self, "num_classes", int(self.labels.max()) + 1 if len(self.labels) else 0)
        check_number(low=0, integer=True, num_classes=self.num_classes)
        if len(self.labels) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < self.num_classes:
            got = f"{int(self.labels.min())} to {int(self.labels.max())} for {self.num_classes} classes"
            raise bad_input("labels", "number the classes from 0", got, "Renumber them, or pass more num_classes.")

    def __len__(self) -> int:
        return len(self.features)

    @classmethod
    def of(cls, data: ImageSet | Features, net: nn.Module, config: TrainConfig, device: torch.device) -> Features:
        """The source for one run, on ``device``: ``data`` itself, or what the network's backbone makes of images."""
        if isinstance(data, ImageSet):
            features = embed(net, data, config=config, features=True)
            data = cls(features, data.labels, data.num_classes, data.name, data.split)
        return replace(data, features=data.features.to(device))

    @staticmethod
    def trained(net: nn.Module) -> nn.Module:
        """The part of the network that is trained: its head, or all of what is no ``EmbeddingNet``."""
        return net.head if isinstance(net, EmbeddingNet) else net

    threaded = False  # they lie where they are wanted

    def parts(self, index: Int[Tensor, " B"], *, epoch: int, step: int, part: Int[Tensor, " b"]) -> Tensor:
        """Features of the ``part`` of a batch, (b, F): the same in every epoch and step."""
        del epoch, step
        return self.features[index[part].to(self.features.device)]

    @staticmethod
    def inputs(parts: Tensor) -> Tensor:
        """They are what the head sees."""
        return parts

    def embeddings(self, net: nn.Module, part: Int[Tensor, " n"] | None = None) -> Float[Tensor, "n D"]:
        """Of all rows, or of those named, where the features lie."""
        head = self.trained(net)
        features = self.features if part is None else self.features[part.to(self.features.device)]
        with evaluating(head), torch.inference_mode():
            return head(features.to(next(head.parameters()).dtype)).float()


def kind_of_source(data: ImageSet | Features, config: TrainConfig) -> type[Pictures] | type[Features]:
    """Features where such are handed over or the backbone is frozen, else pictures."""
    return Features if isinstance(data, Features) or config.freeze_backbone else Pictures


def _near(images: Tensor, device: torch.device) -> Tensor:
    """All images on the GPU, once, where they take up less than half of its free memory."""
    if device.type == "cuda" and 2 * images.numel() < torch.cuda.mem_get_info(device)[0]:
        return images.to(device)
    return images  # a thread reads them, pins them and sends them
