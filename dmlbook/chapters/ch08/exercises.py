"""Exercises of chapter 08: queries in a gallery, an evaluation with a planted bug, and a batch that does not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.geometry import normalize
from dmlbook.losses import TripletLoss
from dmlbook.seeding import SEED, generator

Rows = torch.Tensor


def _similar(queries: Rows, gallery: Rows) -> Rows:
    return queries @ gallery.T


def _hits(similar: Rows, own: Rows, theirs: Rows, first: int, last: int, *, descending: bool = True) -> Rows:
    """Whether each of a query's neighbors number ``first`` + 1 to ``last`` is of its class, (Q, last - first)."""
    order = similar.argsort(dim=1, descending=descending)[:, first:last]
    return theirs[order] == own[:, None]


def _answerable(own: Rows, theirs: Rows) -> Rows:
    return torch.isin(own, theirs)


def _in_gallery(q: Rows, yq: Rows, g: Rows, yg: Rows, k: int, *, first: int = 0, least: bool = False) -> Rows:
    """Whether each answerable query finds its class."""
    hits = _hits(_similar(q, g), yq, yg, first, first + k, descending=not least).any(1)
    return hits[_answerable(yq, yg)].double()


def _among_queries(q: Rows, yq: Rows, g: Rows, yg: Rows, k: int) -> float:
    similar = _similar(q, q).fill_diagonal_(-2)
    return float(_hits(similar, yq, yq, 0, k).any(1)[_answerable(yq, yg)].double().mean())


def _precision(q: Rows, yq: Rows, g: Rows, yg: Rows, k: int) -> float:
    hits = _hits(_similar(q, g), yq, yg, 0, k).double().mean(1)
    return float(hits[_answerable(yq, yg)].mean())


def _by_class(q: Rows, yq: Rows, g: Rows, yg: Rows, k: int) -> float:
    hits, own = _in_gallery(q, yq, g, yg, k), yq[_answerable(yq, yg)]
    return float(torch.stack([hits[own == label].mean() for label in own.unique()]).mean())


def _gallery_cases() -> Sequence[Case]:
    numbers = generator(SEED, "exercise 8.1")
    cases = []
    for queries, classes, k in ((7, 3, 1), (9, 4, 2), (8, 3, 3)):
        q, g = (normalize(torch.randn(n, 3, generator=numbers, dtype=torch.float64)) for n in (queries, 10))
        yq = torch.randint(classes + 1, (queries,), generator=numbers)  # the last class is not in the gallery
        yq[:2] = torch.tensor([classes, 0])
        yg = torch.randint(classes, (10,), generator=numbers)
        yg[0] = 0
        arguments = (q, yq, g, yg, k)
        text = f"{queries} queries of classes {yq.tolist()}, a gallery of classes {yg.tolist()}, k = {k}"
        cases.append(Case(arguments, float(_in_gallery(*arguments).mean()), text))
    return cases


def _planted(embeddings: Rows, labels: Rows) -> float:
    order = _similar(embeddings, embeddings).argsort(dim=1, descending=True, stable=True)
    return float((labels[order[:, 1]] == labels).double().mean())


def _found(similar: Rows, labels: Rows) -> float:
    return float((labels[similar.argmax(1)] == labels).double().mean())


def _mended(embeddings: Rows, labels: Rows) -> float:
    return _found(_similar(embeddings, embeddings).fill_diagonal_(-torch.inf), labels)


def _twins_out(embeddings: Rows, labels: Rows) -> float:
    similar = _similar(embeddings, embeddings)
    return _found(similar.masked_fill(similar > 1 - 1e-9, -torch.inf), labels)


def _bug_cases() -> Sequence[Case]:
    cases = []
    for angles, labels, text in (
        ((0, 0, 90, 90, 200, 200), (0, 1, 1, 0, 2, 3), "six pictures, each with a copy in another class"),
        ((0, 10, 120, 135, 250, 262), (0, 0, 1, 1, 2, 2), "three classes of two, no copies"),
        ((0, 0, 15, 100, 118, 240), (0, 1, 0, 1, 1, 0), "one picture with a copy in another class"),
        ((0, 100, 190, 281), (0, 1, 0, 1), "four pictures, none within 90 degrees of another"),
    ):
        turned = torch.tensor(angles, dtype=torch.float64).deg2rad()
        points, y = torch.stack([turned.cos(), turned.sin()], dim=1), torch.tensor(labels)
        cases.append(Case((points, y), _mended(points, y), f"{text}, classes {list(labels)}"))
    return cases


def _toy(seed: int, images: int) -> tuple[nn.Module, nn.Module, Rows, Rows]:
    numbers = generator(seed, "exercise 8.3")
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
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
    net: nn.Module, loss: nn.Module, images: Rows, labels: Rows, size: int, *, factor: float = 1.0, second: bool = True
) -> Rows:
    with torch.no_grad():
        embeddings = torch.cat([net(part) for part in images.split(size)])
    value = loss(embeddings.requires_grad_(), labels)
    value.backward()
    if second:
        for part, slope in zip(images.split(size), embeddings.grad.split(size), strict=True):
            net(part).backward(factor * slope)
    return value


def _losses_of_parts(
    net: nn.Module, loss: nn.Module, images: Rows, labels: Rows, size: int, *, mean: bool = True
) -> Rows:
    parts = list(zip(images.split(size), labels.split(size), strict=True))
    values = [loss(net(x), y) for x, y in parts]
    value = torch.stack(values).sum() / (len(parts) if mean else 1)
    value.backward()
    return value


def _last_part(net: nn.Module, loss: nn.Module, images: Rows, labels: Rows, size: int) -> Rows:
    value = _in_parts(net, loss, images, labels, size)
    for weight in net.parameters():
        weight.grad = None
    with torch.no_grad():
        embeddings = torch.cat([net(part) for part in images.split(size)])
    loss(embeddings.requires_grad_(), labels).backward()
    net(images.split(size)[-1]).backward(embeddings.grad.split(size)[-1])
    return value


def _tried(function: Callable, arguments: tuple) -> object:
    """The loss, the network's gradient, and the most images that were in the network at once with a graph."""
    net, loss, images, labels, size = arguments
    sizes = [size]  # fewer are fine
    hook = net.register_forward_hook(lambda _, given, out: sizes.append(len(given[0])) if out.requires_grad else None)
    try:
        value = function(net, loss, images, labels, size)
    finally:
        hook.remove()
    if value is None or value is Ellipsis:
        return value
    slopes = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in net.parameters()]
    value = value.detach() if isinstance(value, torch.Tensor) else value
    return {"loss": float(value), "gradient": torch.cat([s.flatten() for s in slopes]), "at once": max(sizes)}


def _part_cases() -> Sequence[Case]:
    cases = []
    for seed, images, size in ((SEED, 8, 4), (SEED + 1, 9, 2), (SEED + 2, 6, 3)):
        net, loss, pixels, labels = _toy(seed, images)
        expected = {**_tried(_whole, (net, loss, pixels, labels, size)), "at once": size}
        net.zero_grad(set_to_none=True)
        text = f"{images} images of classes {labels.tolist()}, {size} at once"
        cases.append(Case((net, loss, pixels, labels, size), expected, text))
    return cases


EXERCISES = (
    Exercise(
        "8.1",
        "queries in a gallery",
        _gallery_cases,
        {
            "the nearest dropped": Misconception(
                lambda *a: float(_in_gallery(*a, first=1).mean()),
                "You left out the nearest one. A query is not in the gallery: there is no self-match to drop.",
            ),
            "queries without an answer": Misconception(
                lambda q, yq, g, yg, k: float(_in_gallery(q, yq, g, yg, k).sum() / len(yq)),
                "You divided by all queries. Those whose class the gallery lacks cannot be answered: leave them out.",
            ),
            "precision": Misconception(
                _precision, "That is the share of the k that are right. Recall@K asks whether any of them is."
            ),
            "the farthest": Misconception(
                lambda *a: float(_in_gallery(*a, least=True).mean()),
                "You took the least similar ones: a cosine is large where two vectors are close.",
            ),
            "only the k-th": Misconception(
                lambda q, yq, g, yg, k: float(_in_gallery(q, yq, g, yg, 1, first=k - 1).mean()),
                "You looked at neighbor number k alone. Any of the first k may be the right one.",
            ),
            "among the queries": Misconception(
                _among_queries, "You searched among the queries themselves. They are looked up in the gallery."
            ),
            "by class": Misconception(_by_class, "You averaged within each class first. Every query counts the same."),
            "one too many": Misconception(
                lambda q, yq, g, yg, k: float(_in_gallery(q, yq, g, yg, k + 1).mean()),
                "You looked at k + 1 neighbors, as one does where the query itself is the first. Here it is not there.",
            ),
            "percent": Misconception(
                lambda *a: 100 * float(_in_gallery(*a).mean()), "In percent that is right. Return a fraction."
            ),
        },
    ),
    Exercise(
        "8.2",
        "the planted bug",
        _bug_cases,
        {
            "the bug itself": Misconception(
                _planted,
                "The bug is still there. Where a picture has a copy, which of the two does the sort put first?",
            ),
            "minus the identity": Misconception(
                lambda x, y: _found(_similar(x, x) - torch.eye(len(x), dtype=x.dtype), y),
                "The query is still there, at similarity 0: where all others are farther than 90 degrees, it wins.",
            ),
            "copies removed": Misconception(
                _twins_out,
                "You removed every copy. A copy of another class is a real and wrong neighbor: only the query goes.",
            ),
            "itself included": Misconception(
                lambda x, y: _found(_similar(x, x), y), "Now nothing is left out: every query finds itself or a copy."
            ),
            "the second best": Misconception(
                lambda x, y: float((y[_similar(x, x).topk(2).indices[:, 1]] == y).double().mean()),
                "The second of two is still not always another picture. Take the query out before you sort.",
            ),
        },
    ),
    Exercise(
        "8.3",
        "a batch that does not fit",
        _part_cases,
        {
            "a loss of each part": Misconception(
                _losses_of_parts,
                "You took the loss of each part and their mean: pairs across parts are lost, and all parts' graphs "
                "are there at once. The loss must see all embeddings.",
            ),
            "the parts' losses added": Misconception(
                partial(_losses_of_parts, mean=False),
                "You added the losses of the parts. The loss must see all embeddings, once.",
            ),
            "no second pass": Misconception(
                partial(_in_parts, second=False),
                "The value is right, and the network has no gradient: run each part again, and go back from it with "
                "its embeddings' gradient.",
            ),
            "all at once": Misconception(
                _whole, "The gradient is right, but all images were in the network at once: that does not fit."
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
    ),
)
