"""Exercises of chapter 03: SoftTriple built and mended, each judged in value and gradient; where pull turns to push."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional as F

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch03.theory import softtriple_batch_loss
from dmlbook.losses import hardtriple_similarity, logsumexp_similarity

LOSS_FAULTS = {
    "embeddings as they are": "Cosines need unit vectors: you normalized the centers and not the embeddings.",
    "centers as they are": "Cosines need unit vectors: you normalized the embeddings and not the centers.",
    "nothing normalized": "You took plain products. Cosines need unit vectors: normalize embeddings and centers.",
    "softmax over classes": "Your inner softmax runs over the classes. It chooses among the K centers of one class: "
    "the last axis of (B, C, K).",
    "softmax over all centers": "Your inner softmax runs over all C K centers at once. Each class has weights of its "
    "own, of sum 1 over its K centers.",
    "gamma multiplied": "You multiplied by gamma. It divides: a *small* gamma lets the closest center win.",
    "no gamma": "Gamma does not enter: these are the weights for gamma = 1, where cosines hardly differ.",
    "the scale inside": "You put the scale into the inner softmax. There it is 1 / gamma; the scale compares classes.",
    "the log-sum-exp value": "That is gamma times log-sum-exp, the value V (3.12). S' is the mean of the cosines under "
    "the weights: lower by gamma times their entropy.",
    "the closest center": "That is HardTriple: the closest center alone. Let every center count by its weight.",
    "the plain mean": "All centers of a class count alike here, as for an infinite gamma. Weigh them.",
    "the sum over centers": "You added a class's cosines up. Their *weighted mean* is asked for, weights of sum 1.",
    "weights held fixed": "The value is right, the gradient is not: the weights were cut off (detach, no_grad, item). "
    "They depend on the cosines, and that is where the pushes of §3.7 come from.",
    "no margin": "The margin has no effect. Lowered on every class it cancels: lower the own class alone.",
    "margin after scaling": "You subtracted the margin after scaling. It is in units of cosine: the scale multiplies "
    "it too.",
    "margin helps": "The margin has the wrong sign (or lowers the others): the own class must win by *more*.",
    "no scale": "The scale does not enter. Cosines as logits differ by 2 at most: they need it.",
    "the sum over the batch": "You added the losses of the batch up. Return their mean, as all losses of the book do.",
    "the own class is not below": "Below the fraction the own class is missing: its sum runs over *all* classes.",
}
PUSHED = (
    "The gradient is still that of weights held fixed: its slopes are the weights. Let torch see where q comes from."
)
CANCELS = "The margin is still without effect: it is subtracted from every class, and cancels."


def _unit(vectors: Tensor, wanted: bool) -> Tensor:
    return F.normalize(vectors, dim=-1) if wanted else vectors


def _similar(s: Tensor, scale: float, gamma: float, fault: str) -> Tensor:
    """Class similarities (B, C) from cosines (B, C, K), with a fault of ``LOSS_FAULTS`` or without."""
    if fault == "the log-sum-exp value":
        return logsumexp_similarity(s, gamma=gamma)
    if fault == "the closest center":
        return hardtriple_similarity(s)
    if fault == "the plain mean":
        return s.mean(-1)
    if fault == "the sum over centers":
        return s.sum(-1)
    sharpness = {"gamma multiplied": gamma, "no gamma": 1.0, "the scale inside": scale}.get(fault, 1 / gamma)
    if fault == "softmax over all centers":
        q = (sharpness * s).flatten(1).softmax(1).view_as(s)
    else:
        q = (sharpness * s).softmax(1 if fault == "softmax over classes" else -1)
    return ((q.detach() if fault == "weights held fixed" else q) * s).sum(-1)


def _loss(
    embeddings: Tensor, centers: Tensor, labels: Tensor, scale: float, gamma: float, margin: float, *, fault: str
) -> Tensor:
    """SoftTriple of a batch with a fault of ``LOSS_FAULTS``."""
    plain = {"nothing normalized"}
    x = _unit(embeddings, fault not in plain | {"embeddings as they are"})
    w = _unit(centers, fault not in plain | {"centers as they are"})
    similar = _similar(torch.einsum("bd,ckd->bck", x, w), scale, gamma, fault)
    scale = 1.0 if fault == "no scale" else scale
    margin *= {"no margin": 0.0, "margin after scaling": 1 / scale, "margin helps": -1.0}.get(fault, 1.0)
    own = F.one_hot(labels, len(centers)).bool()
    logits = scale * torch.where(own, similar - margin, similar)
    if fault == "the own class is not below":
        return (torch.logsumexp(logits.masked_fill(own, -torch.inf), 1) - logits[own]).mean()
    return F.cross_entropy(logits, labels, reduction="sum" if fault == "the sum over the batch" else "mean")


def _value_and_both_slopes(function: Callable, arguments: tuple) -> object:
    """What a loss returns and its slopes in embeddings and in centers, in one tensor; nan where one is not finite."""
    embeddings, centers = (given.clone().requires_grad_() for given in arguments[:2])
    value = function(embeddings, centers, *arguments[2:])
    if value is None or value is Ellipsis:
        return value
    if not isinstance(value, torch.Tensor) or value.ndim > 0 or not value.requires_grad:
        raise TypeError("return a tensor that holds one number and was computed from embeddings and centers")
    slopes = torch.autograd.grad(value, (embeddings, centers), allow_unused=True)
    if None in slopes:
        which = "embeddings" if slopes[0] is None else "centers"
        raise TypeError(f"return a loss that depends on the {which}; no gradient reaches them")
    found = torch.cat([value.detach()[None], *(slope.flatten() for slope in slopes)])
    return found if found.isfinite().all() else torch.full_like(found, torch.nan)


def _loss_cases() -> Sequence[Case]:
    toy = torch.tensor([[[0.8, 0.6], [0.6, 0.8]], [[0.6, -0.8], [0.28, -0.96]]], dtype=torch.float64)
    stretched = toy * torch.tensor([[[2.0], [0.5]], [[1.5], [3.0]]], dtype=torch.float64)
    image, three = torch.tensor([[2.0, 0.0]]).double(), torch.tensor([[3.0, 0.4], [-0.2, 0.5], [0.9, -1.2]]).double()
    spread = torch.tensor([[[1.0, 0.2], [-0.4, 0.9], [0.3, -2.0]], [[-1.0, 0.1], [0.5, 0.5], [0.0, 1.0]]]).double()
    third = torch.tensor([[[0.2, -0.9], [1.1, 1.0], [-0.7, -0.3]]]).double()
    problems = [
        ("the toy of §3.2, its image twice as long", image, toy, [0], 4.0, 0.3, 0.1),
        ("three images, the toy's centers stretched", three, stretched, [0, 1, 1], 5.0, 0.2, 0.0),
        ("three images, three classes of three centers", three, torch.cat([spread, third]), [2, 0, 1], 3.0, 0.5, 0.2),
        ("the book's defaults", three, spread, [1, 0, 0], 20.0, 0.1, 0.01),
    ]
    cases = []
    for text, x, w, y, *numbers in problems:
        arguments = (x, w, torch.tensor(y), *numbers)
        told = "labels = {}, scale = {:g}, gamma = {:g}, margin = {:g}".format(y, *numbers)
        expected = _value_and_both_slopes(softtriple_batch_loss, arguments)
        cases.append(Case(arguments, expected, f"{text}, {told}: value, slopes in embeddings, slopes in centers"))
    return cases


def _planted(embeddings: Tensor, centers: Tensor, labels: Tensor, margin: float, *, fixed: bool, every: bool) -> Tensor:
    """The colleague's loss: weights held fixed, and the margin on every class; either may be mended."""
    faults = ("weights held fixed" if fixed else "", "no margin" if every else "")
    similar = _similar(_cosines(embeddings, centers), 20.0, 0.1, faults[0])
    return _with_margin(similar, labels, 0.0 if every else margin)


def _cosines(embeddings: Tensor, centers: Tensor) -> Tensor:
    return torch.einsum("bd,ckd->bck", F.normalize(embeddings, dim=-1), F.normalize(centers, dim=-1))


def _with_margin(similar: Tensor, labels: Tensor, margin: float, *, scale: float = 20.0) -> Tensor:
    return F.cross_entropy(scale * (similar - margin * F.one_hot(labels, similar.shape[1])), labels)


def _repaired(
    embeddings: Tensor, centers: Tensor, labels: Tensor, margin: float, *, smooth: str, by: float = 1.0
) -> Tensor:
    """A repair that goes astray: another similarity, or the margin in other units."""
    return _with_margin(_similar(_cosines(embeddings, centers), 20.0, 0.1, smooth), labels, by * margin)


def _bug_cases() -> Sequence[Case]:
    problems = [(x, w, y, margin) for x, w, y, *_, margin in (case.arguments for case in _loss_cases())]
    return [
        Case(
            (x, w, y, margin),
            _value_and_both_slopes(softtriple_batch_loss, (x, w, y, 20.0, 0.1, margin)),
            f"labels = {y.tolist()}, {w.shape[1]} centers a class, margin = {margin:g}: value, then all slopes",
        )
        for x, w, y, margin in problems
    ]


def _turning_point() -> float:
    low, high = 0.0, 10.0
    for _ in range(80):
        u = (low + high) / 2
        low, high = (u, high) if u / (1 + math.exp(-u)) < 1 else (low, u)
    return low


def _gap_cases() -> Sequence[Case]:
    u = _turning_point()
    return [Case((gamma,), u * gamma, f"gamma = {gamma}") for gamma in (0.1, 0.3, 1.0)]


EXERCISES = (
    Exercise(
        "3.1",
        "SoftTriple from an empty function",
        _loss_cases,
        {fault: Misconception(partial(_loss, fault=fault), message) for fault, message in LOSS_FAULTS.items()},
        call=_value_and_both_slopes,
    ),
    Exercise(
        "3.2",
        "the planted bugs",
        _bug_cases,
        {
            "both bugs": Misconception(
                partial(_planted, fixed=True, every=True), f"Both are there. {CANCELS} {PUSHED}"
            ),
            "the margin alone": Misconception(
                partial(_planted, fixed=True, every=False), f"The margin is mended. {PUSHED}"
            ),
            "the gradient alone": Misconception(
                partial(_planted, fixed=False, every=True), f"The gradient is mended. {CANCELS}"
            ),
            "the value in its place": Misconception(
                partial(_repaired, smooth="the log-sum-exp value"),
                "You put gamma times log-sum-exp in, the value V. This chapter's loss takes S', the mean under q.",
            ),
            "no choice any more": Misconception(
                partial(_repaired, smooth="the closest center"),
                "You took the weights away: this is HardTriple. Keep the mean under q, and let the gradient through q.",
            ),
            "all centers alike": Misconception(
                partial(_repaired, smooth="the plain mean"),
                "You took the weights away: this is the plain mean. Keep q, and let the gradient through it.",
            ),
            "cosines held fixed": Misconception(
                lambda x, w, y, margin: _with_margin(
                    ((s := _cosines(x, w)).detach() * (s / 0.1).softmax(-1)).sum(-1), y, margin
                ),
                "Now the cosines are held fixed and only the weights learn. Nothing here may be: S' moves by both.",
            ),
            "margin after scaling": Misconception(
                partial(_repaired, smooth="", by=1 / 20),
                "The gradient is mended. The margin is now on the own class, but after scaling: it is in units of "
                "cosine, and the scale multiplies it too.",
            ),
            "margin helps": Misconception(
                partial(_repaired, smooth="", by=-1.0),
                "The gradient is mended. The margin has the wrong sign: the own class must win by more, not by less.",
            ),
            "margin helps, and the weights": Misconception(
                partial(_repaired, smooth="weights held fixed", by=-1.0),
                f"The margin has the wrong sign: the own class must win by more. {PUSHED}",
            ),
            "margin after scaling, and the weights": Misconception(
                partial(_repaired, smooth="weights held fixed", by=1 / 20),
                f"The margin is subtracted after scaling: it is in units of cosine. {PUSHED}",
            ),
        },
        call=_value_and_both_slopes,
    ),
    Exercise(
        "3.3",
        "where pull turns into push",
        _gap_cases,
        {
            "gamma itself": Misconception(
                lambda gamma: gamma,
                "Gamma is the distance from S' at which the slope is 0. S' lies below the larger cosine, so the gap "
                "of the two cosines is larger.",
            ),
            "in units of gamma": Misconception(
                lambda gamma: _turning_point(),
                "That is the gap in units of gamma: multiply by gamma.",
            ),
            "twice gamma": Misconception(
                lambda gamma: 2 * gamma,
                "You put S' in the middle of the two cosines, where it is for equal weights. The closer center has the "
                "larger weight, so S' lies nearer to it.",
            ),
            "divided by gamma": Misconception(
                lambda gamma: _turning_point() / gamma,
                "You divided by gamma: a small gamma means sharp weights, so the push begins at a *small* gap.",
            ),
            "the distance from S'": Misconception(
                lambda gamma: gamma * (_turning_point() - 1),
                "That is how far S' lies below the larger cosine. Add gamma: the smaller cosine is that much lower.",
            ),
            "rounded": Misconception(
                lambda gamma: 1.28 * gamma,
                "Close, but rounded: the constant that multiplies gamma is not quite 1.28. Halve the interval further.",
            ),
            "rounded to a tenth": Misconception(
                lambda gamma: 1.3 * gamma,
                "Close, but the constant that multiplies gamma is not quite 1.3. Halve the interval further.",
            ),
            "the weights' own point": Misconception(
                lambda gamma: math.log(2) * gamma,
                "At that gap the closer center has twice the other's weight. Asked is where the *slope* of S' is 0.",
            ),
            "a half": Misconception(
                lambda gamma: gamma / 2,
                "That is below gamma. S' lies below the larger cosine, and s_2 lies gamma below S': more than gamma.",
            ),
            "the largest slope of q": Misconception(
                lambda gamma: 0.0,
                "At equal cosines both slopes are 1/2: both centers are pulled. The push begins at a positive gap.",
            ),
            "never": Misconception(
                lambda gamma: math.inf,
                "That is so for the log-sum-exp value, which never pushes. For S' there is such a gap.",
            ),
        },
    ),
)
