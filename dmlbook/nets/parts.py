"""What an embedding network is made of beside its backbone: the head, the colors, and what an optimizer is given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from dmlbook._checks import at_least, bad_input, check_choice, check_memory, check_number, checked, finite
from dmlbook._types import Float, Tensor
from dmlbook.seeding import SEED, named_seed

PREPROCESSING = {  # mean and standard deviation of the colors, which the network subtracts and divides by
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
Colors = tuple[Sequence[float], Sequence[float]]
"""Mean and standard deviation of red, green and blue, of images in [0, 1]."""


class Head(nn.Module):
    """The last layer: F pooled features to an embedding of D dimensions, brought to length 1 if ``normalize``."""

    @checked(in_features=at_least(1), embedding_size=at_least(1))
    def __init__(self, in_features: int, embedding_size: int, *, normalize: bool = True):
        super().__init__()
        check_memory(float(in_features) * embedding_size, in_features=in_features, embedding_size=embedding_size)
        self.linear, self.normalize = nn.Linear(in_features, embedding_size), normalize

    def forward(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B D"]:
        embeddings = self.linear(features)
        return F.normalize(embeddings, dim=-1) if self.normalize else embeddings


@checked(in_features=at_least(1), hidden_units=at_least(0), embedding_size=at_least(1), seed=finite)
def make_head(in_features: int, hidden_units: int, embedding_size: int, *, seed: int = SEED) -> nn.Module:
    """A linear embedding of features; or, for ``hidden_units`` > 0, one with a hidden layer and ReLU before it.

    Raises:
        ValueError: A size is out of range, or beyond this machine's memory.
    """
    sizes = {"in_features": in_features, "hidden_units": hidden_units, "embedding_size": embedding_size}
    check_memory(max(hidden_units, 1) * float(max(in_features, embedding_size)), **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(seed, "head"))
        if hidden_units == 0:
            return Head(in_features, embedding_size)
        return nn.Sequential(nn.Linear(in_features, hidden_units), nn.ReLU(), Head(hidden_units, embedding_size))


class EmbeddingNet(nn.Module):
    """Images to embeddings: colors centered, backbone, one linear layer, unit length.

    It can be pickled, copied, traced, and exported: ``torch.export.export(net.eval(), (images,))``.
    ``torch.jit.script`` cannot compile it: it does not know annotations of shapes.

    Attributes:
        backbone: Images (B, 3, H, W) to pooled features (B, F).
        head: Features to embeddings.
    """

    @checked
    def __init__(self, backbone: nn.Module, head: nn.Module, *, preprocessing: str | Colors = "unit"):
        super().__init__()
        mean, std = colors(preprocessing)
        self.backbone, self.head = backbone, head
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.get_default_dtype()).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.get_default_dtype()).view(1, 3, 1, 1))

    @checked(images="Gray images: images.expand(-1, 3, -1, -1).")
    def features(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B F"]:
        """Pooled features of the backbone, before the head; images in [0, 1]."""
        if images.dtype == torch.float64 and self.mean.dtype != torch.float64:
            raise bad_input("images", f"be {self.mean.dtype} as the network", images.dtype, "Call .float() on them.")
        centered = (images - self.mean) / self.std
        if not (self.training and len(images) == 1):
            return self.backbone(centered)
        try:
            return self.backbone(centered)
        except ValueError as error:  # batch norm's, where one number a channel is left
            remedy = "Batch norm measures the batch: pass more, or call net.eval()."
            raise bad_input("images", "be at least two in training", 1, remedy) from error

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Embeddings of images in [0, 1]; of length 1 unless the head was built with ``normalize=False``."""
        return self.head(self.features(images))


def colors(preprocessing: str | Colors) -> Colors:
    """Mean and standard deviation by their name, or as they are given.

    Raises:
        ValueError: There is no such name, or they are not three numbers each, or a deviation is not above 0.
    """
    if isinstance(preprocessing, str):
        check_choice(choices=PREPROCESSING, preprocessing=preprocessing)
        return PREPROCESSING[preprocessing]
    pair = tuple(tuple(values) if isinstance(values, Sequence) else () for values in preprocessing)
    if [len(values) for values in pair] != [3, 3]:
        remedy = "Pass ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), or one of the names."
        raise bad_input(
            "preprocessing", "be a name, or mean and deviation of three colors", repr(preprocessing), remedy
        )
    for number, (mean, std) in enumerate(zip(*pair, strict=True)):
        check_number(**{f"preprocessing[0][{number}]": mean})
        check_number(low=1e-6, **{f"preprocessing[1][{number}]": std})
    return pair


@checked(lr=at_least(0), loss_lr=at_least(0))
def parameter_groups(net: nn.Module, loss: nn.Module, *, lr: float, loss_lr: float | None = None) -> list[dict]:
    """What an optimizer must be given: the network's weights at ``lr``, the loss's own (its centers) at ``loss_lr``.

    Forgetting the second group is the commonest mistake with such losses: the centers then never move, and no error
    says so. ``loss_lr=None`` is the same rate for both. Weights that need no gradient are left out.

    Raises:
        ValueError: A rate is negative or not finite, or the loss holds a weight of the network.

    Example:
        >>> [len(g["params"]) for g in parameter_groups(torch.nn.Linear(2, 2), torch.nn.Bilinear(2, 2, 1), lr=1e-4)]
        [2, 2]
    """
    of_net = {id(parameter) for parameter in net.parameters()}
    shared = [name for name, parameter in loss.named_parameters() if id(parameter) in of_net]
    if shared:
        raise bad_input("loss", "have weights of its own", f"{shared[0]}, which is the network's", "Keep them apart.")
    groups = [{"params": [p for p in net.parameters() if p.requires_grad], "lr": lr, "name": "network"}]
    centers = [p for p in loss.parameters() if p.requires_grad]
    if centers:
        groups.append({"params": centers, "lr": lr if loss_lr is None else loss_lr, "name": "loss"})
    return groups
