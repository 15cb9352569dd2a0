"""Backbones by name: the small CNN, and torchvision's; each with its weights and what its colors must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import nn

from dmlbook._checks import bad_input
from dmlbook._types import Tensor
from dmlbook.nets.parts import Colors
from dmlbook.weight_files import read_weights

TORCHVISION = ("resnet18", "resnet34", "resnet50", "googlenet", "mobilenet_v2", "efficientnet_b0")
SIDES = (224, 160, 96, 64, 32, 28, 518)
"""Sides in pixels of the blank images that a backbone of the reader's own is shown until it takes one."""


@dataclass(frozen=True)
class Backbone:
    """Images (B, 3, H, W) to pooled features (B, F).

    Attributes:
        module: Without its classifier.
        width: F.
        preprocessing: What its colors must be, where nobody says otherwise.
        classifier: What the names of its classifier's weights begin with: a file of weights may hold them.
        inner: What a file of weights is of, where ``module`` only averages what that gives; None: ``module``.
    """

    module: nn.Module
    width: int
    preprocessing: str | Colors
    classifier: tuple[str, ...] = ("fc.", "classifier.", "aux1.", "aux2.")
    inner: nn.Module | None = None


def small(width_mult: float) -> Backbone:
    """A stride at once and pooling after it: little arithmetic at full size, for two CPU cores."""
    blocks, before = [], 3
    for block, channels in enumerate((16, 32, 64, 128)):
        after = max(1, round(channels * width_mult))
        conv = nn.Conv2d(before, after, 3, stride=2 if block == 0 else 1, padding=1, bias=False)
        blocks += [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        if block < 3:
            blocks.append(nn.MaxPool2d(2, ceil_mode=True))  # ceil: images of 8 pixels keep one
        before = after
    return Backbone(nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()), before, "unit")


def of_torchvision(name: str, width_mult: float) -> Backbone:
    """One of ``TORCHVISION``, with random weights."""
    from torchvision import models  # takes a second to import, and the small network needs none of it

    options = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    if name == "mobilenet_v2":
        options["width_mult"] = width_mult
    module = models.get_model(name, weights=None, **options)
    classifier = "fc" if hasattr(module, "fc") else "classifier"
    last = getattr(module, classifier)
    width = (last if isinstance(last, nn.Linear) else last[-1]).in_features
    setattr(module, classifier, nn.Identity())
    if name == "googlenet":
        module.dropout = nn.Identity()  # it belongs to the classifier
    return Backbone(module, width, "unit" if name == "googlenet" else "imagenet")


def of_module(module: nn.Module, preprocessing: str | Colors) -> Backbone:
    """Any module that gives (B, F), or (B, F, H, W), which is averaged over H and W.

    Raises:
        ValueError: It takes no image of any of ``SIDES``, or gives something else.
    """
    shape = _output_shape(module)
    if len(shape) == 2:
        return Backbone(module, shape[1], preprocessing)
    whole = nn.Sequential(module, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Backbone(whole, shape[1], preprocessing, inner=module)


def blank_pass(module: nn.Module, side: int) -> object:
    """What a module makes of one blank image, in evaluation mode and without gradients; its modes are put back."""
    modes = [(part, part.training) for part in module.modules()]
    like = next(module.parameters(), torch.zeros(()))
    module.eval()
    try:
        with torch.inference_mode():
            return module(torch.zeros(1, 3, side, side, dtype=like.dtype, device=like.device))
    finally:
        for part, mode in modes:
            part.training = mode


def published_weights(name: str, width_mult: float) -> Mapping[str, Tensor]:
    """torchvision's ImageNet weights, downloaded once.

    Raises:
        ValueError: There are none of this network, or the file that is there is damaged.
        OSError: They did not arrive.
    """
    if name == "small" or width_mult != 1:
        got = f"'imagenet' with width_mult {width_mult:g}" if width_mult != 1 else "'imagenet'"
        raise bad_input("weights", f"be None or a file for {name!r}", got, "torchvision has none.")
    from torchvision import models

    published = models.get_model_weights(name).IMAGENET1K_V1
    file = Path(torch.hub.get_dir(), "checkpoints", published.url.rsplit("/", 1)[-1])
    if file.is_file():  # torch would not look whether it is whole
        return read_weights(file)
    try:
        return published.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise not_arrived(name, error) from error


def not_arrived(name: str, error: Exception) -> OSError:
    """What is said where a download failed."""
    remedy = "Check the connection, or pass weights=<file>."
    return OSError(f"nets.build: the weights of {name} did not arrive ({str(error).splitlines()[0]}). {remedy}")


def load_weights(backbone: Backbone, given: Mapping[str, Tensor], *, source: str | PathLike) -> None:
    """Puts weights into a backbone; those of a classifier are left aside.

    Raises:
        ValueError: One is missing, unexpected, or of another shape or type.
    """
    module = backbone.module
    if backbone.inner is not None and not module.state_dict().keys() <= given.keys():
        module = backbone.inner
    wanted = module.state_dict()
    given = {key: value for key, value in given.items() if not key.startswith(backbone.classifier) or key in wanted}
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
    module.load_state_dict(given, strict=False)


def _output_shape(module: nn.Module) -> tuple[int, ...]:
    refusals = []
    for side in SIDES:
        try:
            out = blank_pass(module, side)
        except Exception as error:  # of somebody else's code: any kind
            refusals.append(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            continue
        if isinstance(out, Tensor) and out.ndim in (2, 4) and len(out) == 1 and out.is_floating_point():
            return tuple(out.shape)
        got = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        remedy = "Pool inside, and return features: drop the classifier, take one tensor of several."
        raise bad_input("backbone", "give (B, F) or (B, F, H, W) for images (B, 3, H, W)", got, remedy)
    remedy = f"A blank image was tried with sides of {', '.join(map(str, sorted(SIDES)))}."
    raise bad_input("backbone", "take images (B, 3, H, W)", refusals[0], remedy)
