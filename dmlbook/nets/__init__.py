"""Embedding networks: a backbone, a global average, one linear layer, unit length.

A backbone is the small CNN, one of torchvision's, one of timm's, or a module of one's own. The papers use BN-Inception,
which neither library has; ``googlenet`` (Inception v1 with batch norm) is its nearest kin.
"""

from __future__ import annotations

from difflib import get_close_matches
from os import PathLike

import torch
from torch import nn

from dmlbook._checks import above, at_least, bad_input, check_memory, check_number, checked, finite
from dmlbook.layers import batch_norms, freeze_batch_norm, has_untrained_statistics, pad_as_tensorflow
from dmlbook.nets.backbones import (
    TORCHVISION,
    Backbone,
    blank_pass,
    load_weights,
    of_module,
    of_torchvision,
    published_weights,
    small,
)
from dmlbook.nets.from_timm import PREFIX, known_to_timm, of_timm
from dmlbook.nets.own import FORM, is_own, of_file, settled_name
from dmlbook.nets.parts import PREPROCESSING, Colors, EmbeddingNet, Head, colors, make_head, parameter_groups
from dmlbook.seeding import SEED, named_seed
from dmlbook.weight_files import read_weights

NAMES = ("small", *TORCHVISION)
PUBLISHED = ("imagenet", "timm")
"""Words for the weights that the library of a network has published for it."""
__all__ = [
    "NAMES",
    "PREPROCESSING",
    "PUBLISHED",
    "TORCHVISION",
    "EmbeddingNet",
    "Head",
    "build",
    "check_image_size",
    "check_name",
    "freeze_batch_norm",
    "has_untrained_statistics",
    "make_head",
    "parameter_groups",
    "settled",
    "wrap",
]


@checked(embedding_size=at_least(1), width_mult=above(0), bn_eps=above(0), seed=finite)
def build(
    name: str,
    *,
    embedding_size: int,
    weights: str | PathLike | None = None,
    width_mult: float = 1.0,
    normalize: bool = True,
    preprocessing: str | Colors | None = None,
    same_padding: bool = False,
    bn_eps: float | None = None,
    code_digest: str | None = None,
    seed: int = SEED,
) -> EmbeddingNet:
    """An embedding network by name.

    Args:
        name: One of ``NAMES``; or ``timm/`` and a name of timm's, such as ``timm/resnet50`` (an optional part:
            ``pip install -e ".[backbones]"``); or ``my_nets.py:make``, a function without arguments in a file of
            your own, **which is run**: it makes a module as ``wrap`` takes it. ``small`` is a CNN of 106,000 weights
            for images of 8 to 96 pixels.
        embedding_size: Dimensions D of an embedding, >= 1. The papers use 64 and 512.
        weights: None: random ones, from ``seed``. ``"imagenet"``: torchvision's, or timm's for its networks, downloaded
            once (``"timm"`` says the same of those). Otherwise a file of the backbone's weights under the library's
            names, ``.pt`` or ``.safetensors``, see ``weight_files``. The head is random always.
        width_mult: Channels relative to the published network, > 0; ``small`` and ``mobilenet_v2`` only.
        normalize: Whether embeddings get length 1.
        preprocessing: Colors as the weights expect them: ``imagenet`` (mean and deviation of ImageNet), ``unit``
            ([-1, 1]), ``none`` ([0, 1] as they come), or mean and deviation, three numbers each. None: ``unit`` for
            ``small`` and ``googlenet``, what timm says for its networks, else ``imagenet``.
        same_padding: For weights that come from TensorFlow: strided convolutions pad as its "SAME" does, which for
            sides of even length means right and bottom only.
        bn_eps: Constant under the root of batch norm, > 0, where the weights were trained with another than torch's.
        code_digest: For a file of your own: the beginning of its SHA-256, 16 letters, without which it is not run.
            None: whatever it holds.
        seed: The random weights' seed; the global random state is left alone.

    Raises:
        ValueError: An argument is out of range, timm is needed and missing, a file of your own is not there, has
            changed or makes no backbone, the network would not fit into memory, the weights' file is damaged or holds
            something else, or they do not fit: every missing, unexpected or misshapen entry except the classifier's is
            an error.
        OSError: The download failed.

    Example:
        >>> build("small", embedding_size=64)(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 64])
    """
    _known_name(name)
    if preprocessing is not None:
        colors(preprocessing)
    if width_mult != 1 and name not in ("small", "mobilenet_v2"):
        raise bad_input("width_mult", f"be 1 for {name!r}", width_mult, "Choose mobilenet_v2 or small.")
    check_memory(1e5 * width_mult * width_mult, width_mult=width_mult)
    published = str(weights) in PUBLISHED
    if published and (is_own(name) or (weights == "timm" and not name.startswith(PREFIX))):
        raise bad_input("weights", f"be None or a file for {name!r}", repr(weights), "That library has none for it.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(seed, "nets", name if not is_own(name) else name.rpartition(":")[2]))
        backbone = _backbone(name, width_mult, code_digest, pretrained=published)
        check_memory(float(backbone.width) * embedding_size, embedding_size=embedding_size)
        head = Head(backbone.width, embedding_size, normalize=normalize)
    if weights is not None and not published:
        load_weights(backbone, read_weights(weights), source=weights)
    elif published and not name.startswith(PREFIX):
        load_weights(backbone, published_weights(name, width_mult), source=weights)
    if same_padding:
        pad_as_tensorflow(backbone.module)
    if bn_eps is not None:
        for norm in batch_norms(backbone.module):
            norm.eps = bn_eps
    return EmbeddingNet(backbone.module, head, preprocessing=preprocessing or backbone.preprocessing)


@checked(embedding_size=at_least(1), seed=finite)
def wrap(
    backbone: nn.Module,
    *,
    embedding_size: int,
    preprocessing: str | Colors = "imagenet",
    normalize: bool = True,
    seed: int = SEED,
) -> EmbeddingNet:
    """An embedding network of a backbone of your own, which keeps its weights; the head is random.

    Args:
        backbone: Images (B, 3, H, W) to features (B, F), or to maps (B, F, H', W'), which are averaged. F is found out
            with one blank image.
        embedding_size: Dimensions D of an embedding, >= 1.
        preprocessing: What the network makes of images in [0, 1] before the backbone sees them: see ``build``.
        normalize: Whether embeddings get length 1.
        seed: Of the head's weights; the global random state is left alone.

    Raises:
        ValueError: The backbone takes no images or gives something else, or an argument is out of range.

    Example:
        >>> net = wrap(torch.nn.Conv2d(3, 16, 3, stride=2), embedding_size=8, preprocessing="unit")
        >>> net(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 8])
    """
    found = of_module(backbone, preprocessing)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(seed, "nets", "head"))
        head = Head(found.width, embedding_size, normalize=normalize)
    return EmbeddingNet(found.module, head, preprocessing=preprocessing)


@checked
def check_name(name: str) -> str:
    """The name, if it is one of ``NAMES`` or timm's, or of the form ``file.py:function``.

    Raises:
        ValueError: It is not; the nearest ones are named. Or timm is needed and missing.

    Example:
        >>> check_name("timm/resnet50")
        'timm/resnet50'
    """
    return _known_name(name)


def _known_name(name: str) -> str:
    """As ``check_name``, under the name of its caller."""
    if name.startswith(PREFIX):
        known_to_timm(name)
        return name
    if name in NAMES or is_own(name):
        return name
    near = get_close_matches(name, NAMES, 1)
    remedy = f"Did you mean {near[0]!r}?" if near else f"Others: {PREFIX}NAME for one of timm's, {FORM} for your own."
    raise bad_input("name", f"be one of {', '.join(NAMES)}", repr(name), remedy)


@checked
def settled(name: str) -> dict[str, str]:
    """The arguments ``name`` and ``code_digest`` of ``build`` that find the same network again from any folder.

    Raises:
        ValueError: It names a file of one's own that is not there.

    Example:
        >>> settled("resnet18")
        {'name': 'resnet18'}
    """
    if not is_own(name):
        return {"name": name}
    place, digest = settled_name(name)
    return {"name": place, "code_digest": digest}


@checked
def check_image_size(net: nn.Module, size: int) -> None:
    """Shows the network one blank image of that side, as training will, so that a refusal comes before the work.

    Raises:
        ValueError: The network refuses it; the message says why, in the network's own words.

    Example:
        >>> check_image_size(build("small", embedding_size=4), 32)
    """
    check_number(low=1, integer=True, size=size)
    try:
        blank_pass(net, size)
    except Exception as error:  # of any library's code: any kind
        if isinstance(error, MemoryError) or "memory" in str(error):
            raise
        got = f"{size} ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        remedy = "Choose another one: vision transformers ask for a multiple of their patches, or for one size alone."
        raise bad_input("image_size", "be a side that the network takes", got, remedy) from error


def _backbone(name: str, width_mult: float, code_digest: str | None, *, pretrained: bool) -> Backbone:
    if name == "small":
        return small(width_mult)
    if name.startswith(PREFIX):
        return of_timm(name, pretrained=pretrained)
    return of_file(name, code_digest) if is_own(name) else of_torchvision(name, width_mult)
