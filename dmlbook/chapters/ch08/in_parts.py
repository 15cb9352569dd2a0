"""Exercise 8.3: the gradient of a batch that does not fit, and how it is seen what was in memory at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial

import torch
from torch import nn

from dmlbook.book.exercises import Case, Exercise, Misconception, same
from dmlbook.losses import TripletLoss
from dmlbook.seeding import SEED, generator

Rows = torch.Tensor
HIDDEN = 13
"""Width of the small network of 8.3: no table of a loss on so few images is so wide, which tells activations apart."""


def _toy(seed: int, images: int) -> tuple[nn.Module, nn.Module, Rows, Rows]:
    numbers = generator(seed, "exercise 8.3")
    net = nn.Sequential(nn.Linear(3, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2)).double()
    for weight in net.parameters():
        weight.data.copy_(torch.randn(weight.shape, generator=numbers, dtype=torch.float64))
    pixels = torch.randn(images, 3, generator=numbers, dtype=torch.float64)
    return net, TripletLoss(margin=1.0), pixels, torch.arange(images) % 2


def _whole(net: nn.Module, loss: nn.Module, images: Rows, labels: Rows, size: int) -> Rows:
    del size
    value = loss(net(images), labels)
    value.backward()
    return value


def _in_parts(
    net: nn.Module,
    loss: nn.Module,
    images: Rows,
    labels: Rows,
    size: int,
    *,
    factor: float = 1.0,
    second: bool = True,
    slopes: bool = True,
) -> Rows:
    with torch.no_grad():
        embeddings = torch.cat([net(part) for part in images.split(size)])
    value = loss(embeddings.requires_grad_(), labels)
    value.backward()
    if second:
        for part, slope in zip(images.split(size), embeddings.grad.split(size), strict=True):
            net(part).backward(factor * slope if slopes else torch.ones_like(slope))
    return value


def _losses_of_parts(
    net: nn.Module, loss: nn.Module, images: Rows, labels: Rows, size: int, *, mean: bool = True
) -> Rows:
    parts = list(zip(images.split(size), labels.split(size), strict=True))
    values = [loss(net(x), y) for x, y in parts]
    value = torch.stack(values).sum() / (len(parts) if mean else 1)
    value.backward()
    return value


def _cleared_first(net: nn.Module, loss: nn.Module, images: Rows, labels: Rows, size: int) -> Rows:
    net.zero_grad()
    return _in_parts(net, loss, images, labels, size)


def _not_returned(net: nn.Module, loss: nn.Module, images: Rows, labels: Rows, size: int) -> None:
    _in_parts(net, loss, images, labels, size)


def _last_part(net: nn.Module, loss: nn.Module, images: Rows, labels: Rows, size: int) -> Rows:
    value = _in_parts(net, loss, images, labels, size)
    for weight in net.parameters():
        weight.grad = None
    with torch.no_grad():
        embeddings = torch.cat([net(part) for part in images.split(size)])
    loss(embeddings.requires_grad_(), labels).backward()
    net(images.split(size)[-1]).backward(embeddings.grad.split(size)[-1])
    return value


class _Kept:
    """What autograd keeps of a tensor; ``live`` counts the rows of activations: kept now, and most at once."""

    def __init__(self, tensor: Rows, weights: set[int], live: list[int]) -> None:
        activation = tensor.ndim == 2 and tensor.shape[1] == HIDDEN
        activation = activation and tensor.untyped_storage().data_ptr() not in weights
        # Detached: an activation that knew its own graph would keep it alive, and be counted forever.
        self.tensor, self.live, self.rows = tensor.detach(), live, len(tensor) if activation else 0
        live[0] += self.rows
        live[1] = max(live)

    def __del__(self) -> None:
        self.live[0] -= self.rows


def _tried(function: Callable, arguments: tuple) -> object:
    """The loss, the network's gradient, which was 1 before, and of how many images the graphs were kept at once.

    What is at once counts where the rest is right alone; weights that were changed are said, too.
    """
    net, loss, images, labels, size = arguments
    expected = _after(deepcopy(net), loss, images, labels, size, _whole)[0]
    before = [p.detach().clone() for p in net.parameters()]
    found, at_once = _after(net, loss, images, labels, size, function)
    if found is None:
        return None
    at_once = at_once if same(found, expected) else size
    moved = any(bool((p != old).any()) for p, old in zip(net.parameters(), before, strict=True))
    return {
        **({"weights": "changed"} if moved else {}),
        "images at once": max(size, at_once),
        **found,
    }  # fewer are fine


def _after(
    net: nn.Module, loss: nn.Module, images: Rows, labels: Rows, size: int, function: Callable
) -> tuple[dict | None, int]:
    weights, live = {p.untyped_storage().data_ptr() for p in net.parameters()}, [0, 0]
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: _Kept(tensor, weights, live), lambda kept: kept.tensor
    ):
        value = function(net, loss, images, labels, size)
    slopes = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in net.parameters()]
    if value is Ellipsis or (value is None and all(bool((slope == 1).all()) for slope in slopes)):
        return None, 0
    value = "nothing was returned" if value is None else round(float(torch.as_tensor(value).detach()), 5)
    # Tanh and the layer after it keep each image's row
    return {"loss": value, "gradient": torch.cat([slope.flatten() for slope in slopes]).round(decimals=5)}, live[1] // 2


def _part_cases() -> Sequence[Case]:
    cases = []
    for seed, images, size in ((SEED, 8, 4), (SEED + 1, 9, 2), (SEED + 2, 6, 3)):
        net, loss, pixels, labels = _toy(seed, images)
        expected = {**_tried(_whole, (net, loss, pixels, labels, size)), "images at once": size}
        net.zero_grad(set_to_none=True)
        text = f"{images} images of classes {labels.tolist()}, {size} at once, a gradient of 1 everywhere before"
        cases.append(Case((net, loss, pixels, labels, size), expected, text))
    return cases


IN_PARTS = Exercise(
    "8.3",
    "a batch that does not fit",
    _part_cases,
    {
        "a loss of each part": Misconception(
            _losses_of_parts,
            "You took the loss of each part and their mean: pairs across parts are lost. The loss must see all "
            "embeddings.",
        ),
        "the parts' losses added": Misconception(
            partial(_losses_of_parts, mean=False),
            "You added the losses of the parts. The loss must see all embeddings, once.",
        ),
        "cleared first": Misconception(
            _cleared_first,
            "You cleared the gradient that was there. Add to it, as backward does: losses may have come before.",
        ),
        "nothing returned": Misconception(_not_returned, "The gradient is right. Now return the loss, too."),
        "no second pass": Misconception(
            partial(_in_parts, second=False),
            "The value is right, and the network has no gradient: run each part again, and go back from it with "
            "its embeddings' gradient.",
        ),
        "all at once": Misconception(
            _whole,
            "The gradient is right, but the graphs of too many images were there at once: that does not fit. It "
            "is so, too, where parts go through one by one and all wait for one backward.",
        ),
        "slopes left out": Misconception(
            partial(_in_parts, slopes=False),
            "You went back from each part with 1 everywhere. Its embeddings have a gradient: that of the loss.",
        ),
        "divided by the parts": Misconception(
            lambda net, loss, x, y, size: _in_parts(net, loss, x, y, size, factor=1 / len(x.split(size))),
            "The gradient is too small by the number of parts. The loss is a mean already: parts add up.",
        ),
        "the last part alone": Misconception(
            _last_part, "Only the last part's gradient is left. Gradients of the parts add up: clear them once."
        ),
    },
    call=_tried,
)
