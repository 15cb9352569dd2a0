"""Backbones of timm, the library of a thousand image networks: an optional part, imported where one is asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from types import ModuleType

from torch import nn

from dmlbook._checks import bad_input
from dmlbook.nets.backbones import Backbone, blank_pass, not_arrived

PREFIX = "timm/"
RESIZABLE = ({"dynamic_img_size": True}, {})
"""What a network is asked for so that it takes images of any size: the first of these that it knows."""


def of_timm(name: str, *, pretrained: bool) -> Backbone:
    """timm's network of that name, without its classifier; random weights are torch's global generator's.

    Args:
        name: Such as ``timm/vit_small_patch16_224``; a tag after a point names the weights.
        pretrained: Whether timm's own weights are loaded, downloaded once.

    Raises:
        ValueError: timm is not installed, does not know the name, or has no weights for it.
        OSError: The weights did not arrive.
    """
    timm, short, known = known_to_timm(name)
    if pretrained and not known.has_weights:
        raise bad_input("weights", f"be None or a file for {name!r}", "'timm'", "timm has none for it.")
    module = _made(timm, short, pretrained=pretrained)
    side = known.input_size[-1]
    classifier = known.classifier if isinstance(known.classifier, tuple) else (known.classifier,)
    names = tuple(f"{each}." for each in classifier if each)
    mean, std = (tuple(map(float, values)) for values in (known.mean, known.std))
    return Backbone(module, blank_pass(module, side).shape[1], (mean, std), names)


def known_to_timm(name: str) -> tuple[ModuleType, str, object]:
    """timm itself, its name of a network, and what it says of its weights.

    Raises:
        ValueError: timm is not installed, or does not know the name.
    """
    timm, short = _timm(name), name.removeprefix(PREFIX)
    known = timm.models.get_pretrained_cfg(short) if timm.is_model(short) and _has_tag(timm, short) else None
    if known is None:
        raise bad_input("name", "be a network of timm", repr(name), _near(timm, short))
    return timm, short, known


def _timm(name: str) -> ModuleType:
    try:
        import timm
    except ImportError as error:
        remedy = 'Install it: pip install -e ".[backbones]".'
        raise bad_input("name", "be one of torchvision's while timm is missing", repr(name), remedy) from error
    return timm


def _has_tag(timm: ModuleType, short: str) -> bool:
    base, _, tag = short.partition(".")
    return not tag or short in timm.list_pretrained(f"{base}.*")


def _near(timm: ModuleType, short: str) -> str:
    base = short.partition(".")[0]
    if timm.is_model(base):
        tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{base}.*")]
        return f"Its weights are {', '.join(f'{PREFIX}{base}.{tag}' for tag in tags[:6]) or 'none'}."
    near = get_close_matches(base, timm.list_models(), 3)
    return f"Did you mean {' or '.join(PREFIX + each for each in near)}?" if near else "timm.list_models() lists them."


def _made(timm: ModuleType, short: str, *, pretrained: bool) -> nn.Module:
    for options in RESIZABLE:
        try:
            with _quiet():
                return timm.create_model(short, pretrained=pretrained, num_classes=0, **options)
        except TypeError as error:
            if not any(option in str(error) for option in options):
                raise
        except (OSError, RuntimeError) as error:
            if not pretrained:
                raise
            raise not_arrived(f"{PREFIX}{short}", error) from error
    raise AssertionError("the last one asks for nothing")


@contextmanager
def _quiet() -> Iterator[None]:
    """The hub's notes on each retry are kept from the reader; what comes of it is said once."""
    loggers = [logging.getLogger(name) for name in ("huggingface_hub", "timm")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
