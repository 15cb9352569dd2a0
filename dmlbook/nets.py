"""Embedding networks: a backbone, a global average, one linear layer, unit length. One small CNN, and torchvision's.

The papers use BN-Inception, which torchvision lacks; ``googlenet`` (Inception v1 with batch norm) is its nearest kin.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from dmlbook._checks import above, at_least, bad_input, check_memory, checked, finite, one_of
from dmlbook._types import Float, Tensor
from dmlbook.layers import batch_norms, freeze_batch_norm, has_untrained_statistics, pad_as_tensorflow
from dmlbook.seeding import SEED, named_seed
from dmlbook.weight_files import read_weights

TORCHVISION = ("resnet18", "resnet34", "resnet50", "googlenet", "mobilenet_v2", "efficientnet_b0")
NAMES = ("small", *TORCHVISION)
PREPROCESSING = {  # mean and standard deviation of the colors, which the network subtracts and divides by
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
__all__ = [
    "NAMES",
    "PREPROCESSING",
    "TORCHVISION",
    "EmbeddingNet",
    "Head",
    "build",
    "freeze_batch_norm",
    "has_untrained_statistics",
    "make_head",
    "parameter_groups",
]
_CLASSIFIERS = ("fc.", "classifier.", "aux1.", "aux2.")  # not part of an embedding, so not asked of a weights file


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

    @checked(preprocessing=one_of(*PREPROCESSING))
    def __init__(self, backbone: nn.Module, head: nn.Module, *, preprocessing: str = "unit"):
        super().__init__()
        mean, std = PREPROCESSING[preprocessing]
        self.backbone, self.head = backbone, head
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

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


@checked(
    name=one_of(*NAMES),
    embedding_size=at_least(1),
    width_mult=above(0),
    preprocessing=one_of(*PREPROCESSING),
    bn_eps=above(0),
    seed=finite,
)
def build(
    name: str,
    *,
    embedding_size: int,
    weights: str | PathLike | None = None,
    width_mult: float = 1.0,
    normalize: bool = True,
    preprocessing: str | None = None,
    same_padding: bool = False,
    bn_eps: float | None = None,
    seed: int = SEED,
) -> EmbeddingNet:
    """An embedding network by name.

    Args:
        name: One of ``NAMES``. ``small`` is a CNN of 106,000 weights for images of 8 to 96 pixels.
        embedding_size: Dimensions D of an embedding, >= 1. The papers use 64 and 512.
        weights: None: random ones, from ``seed``. ``"imagenet"``: torchvision's, downloaded once. Otherwise a file
            of the backbone's weights under torchvision's names, ``.pt`` or ``.safetensors``, see ``weight_files``.
            The head is random always.
        width_mult: Channels relative to the published network, > 0; ``small`` and ``mobilenet_v2`` only.
        normalize: Whether embeddings get length 1.
        preprocessing: Colors as the weights expect them: ``imagenet`` (mean and deviation of ImageNet) or ``unit``
            ([-1, 1]). None: ``unit`` for ``small`` and ``googlenet``, else ``imagenet``.
        same_padding: For weights that come from TensorFlow: strided convolutions pad as its "SAME" does, which for
            sides of even length means right and bottom only.
        bn_eps: Constant under the root of batch norm, > 0, where the weights were trained with another than torch's.
        seed: The random weights' seed; the global random state is left alone.

    Raises:
        ValueError: An argument is out of range, the network would not fit into memory, the weights' file is damaged
            or holds something else, or they do not fit: every missing, unexpected or misshapen entry except the
            classifier's is an error.
        OSError: The download failed.
    """
    if preprocessing is None:
        preprocessing = "unit" if name in ("small", "googlenet") else "imagenet"
    if width_mult != 1 and name not in ("small", "mobilenet_v2"):
        raise bad_input("width_mult", f"be 1 for {name!r}", width_mult, "Choose mobilenet_v2 or small.")
    check_memory(1e5 * width_mult * width_mult, width_mult=width_mult)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(seed, "nets", name))
        backbone, width = _small(width_mult) if name == "small" else _torchvision(name, width_mult)
        check_memory(float(width) * embedding_size, embedding_size=embedding_size)
        head = Head(width, embedding_size, normalize=normalize)
    if weights is not None:
        _load_weights(backbone, _weights_of(name, weights, width_mult), source=str(weights))
    if same_padding:
        pad_as_tensorflow(backbone)
    if bn_eps is not None:
        for norm in batch_norms(backbone):
            norm.eps = bn_eps
    return EmbeddingNet(backbone, head, preprocessing=preprocessing)


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


def _small(width_mult: float) -> tuple[nn.Module, int]:
    """A stride at once and pooling after it: little arithmetic at full size, for two CPU cores."""
    blocks, before = [], 3
    for block, channels in enumerate((16, 32, 64, 128)):
        after = max(1, round(channels * width_mult))
        conv = nn.Conv2d(before, after, 3, stride=2 if block == 0 else 1, padding=1, bias=False)
        blocks += [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        if block < 3:
            blocks.append(nn.MaxPool2d(2, ceil_mode=True))  # ceil: images of 8 pixels keep one
        before = after
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()), before


def _torchvision(name: str, width_mult: float) -> tuple[nn.Module, int]:
    from torchvision import models  # takes a second to import, and the small network needs none of it

    options = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    if name == "mobilenet_v2":
        options["width_mult"] = width_mult
    backbone = models.get_model(name, weights=None, **options)
    classifier = "fc" if hasattr(backbone, "fc") else "classifier"
    last = getattr(backbone, classifier)
    width = (last if isinstance(last, nn.Linear) else last[-1]).in_features
    setattr(backbone, classifier, nn.Identity())
    if name == "googlenet":
        backbone.dropout = nn.Identity()  # it belongs to the classifier
    return backbone, width


def _weights_of(name: str, weights: str | PathLike, width_mult: float) -> Mapping[str, Tensor]:
    if weights != "imagenet":
        return read_weights(weights)
    if name == "small" or width_mult != 1:
        got = f"{weights!r} with width_mult {width_mult:g}" if width_mult != 1 else repr(weights)
        raise bad_input("weights", f"be None or a file for {name!r}", got, "torchvision has none.")
    from torchvision import models

    published = models.get_model_weights(name).IMAGENET1K_V1
    file = Path(torch.hub.get_dir(), "checkpoints", published.url.rsplit("/", 1)[-1])
    if file.is_file():  # torch would not look whether it is whole
        return read_weights(file)
    try:
        return published.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        remedy = "Check the connection, or pass weights=<file>."
        raise OSError(f"nets.build: the ImageNet weights of {name} did not arrive ({error}). {remedy}") from error


def _load_weights(backbone: nn.Module, given: Mapping[str, Tensor], *, source: str) -> None:
    wanted = backbone.state_dict()
    given = {key: value for key, value in given.items() if not key.startswith(_CLASSIFIERS)}
    missing = [key for key in wanted if key not in given and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in given if key not in wanted]
    misshapen = [key for key in given if key in wanted and given[key].shape != wanted[key].shape]
    other = [
        key
        for key in given
        if key in wanted and given[key].dtype.is_floating_point != wanted[key].dtype.is_floating_point
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen, "of another type": other}
    found = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' * (len(keys) > 3)})"
        for what, keys in problems.items()
        if keys
    ]
    if found:
        remedy = "Check the network's name and width_mult."
        raise bad_input("weights", "fit the network", f"{source}: {'; '.join(found)}", remedy)
    backbone.load_state_dict(given, strict=False)
