"""Exercises of chapter 03: SoftTriple built and mended, each judged in value and gradient; where pull turns to push."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional as F

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch03 import loss_faults as faults
from dmlbook.chapters.ch03.theory import softtriple_batch_loss

PUSHED = (
    "The gradient is still that of weights held fixed: its slopes are the weights. Let torch see where q comes from."
)
CANCELS = "The margin is still without effect: left out, or subtracted from every class, where it cancels."
REPAIRS = (
    "softmax over classes", "softmax over all centers", "gamma multiplied", "no gamma", "the scale inside",
    "nothing normalized", "embeddings as they are", "centers as they are", "lengths held fixed", "no margin below",
    "the margin in every labeled column", "as many columns as labels", "the margin in the first row alone",
    "the margin counts twice", "the margin for class 0", "the margin on one center", "the sum over the batch",
    "one loss an image", "no scale", "scaled before the weights",
)  # fmt: skip
"""What ``faults.loss`` knows, and a repair may bring in."""


def _value_and_both_slopes(function: Callable, arguments: tuple) -> object:
    """What a loss returns and its slopes in embeddings and in centers, in one tensor; nan where one is not finite."""
    embeddings, centers = (given.clone().requires_grad_() for given in arguments[:2])
    value = function(embeddings, centers, *arguments[2:])
    if value is None or value is Ellipsis:
        return value
    if isinstance(value, torch.Tensor) and value.ndim == 1 and value.requires_grad:
        return value.detach()  # one loss an image: told by its name
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
    smooth = "weights held fixed" if fixed else ""
    return _repaired(embeddings, centers, labels, margin, smooth=smooth, by=0.0 if every else 1.0)


def _repaired(
    embeddings: Tensor, centers: Tensor, labels: Tensor, margin: float, *, smooth: str, by: float = 1.0
) -> Tensor:
    """A repair that goes astray: another similarity, or the margin in other units."""
    return faults.loss(embeddings, centers, labels, 20.0, 0.1, by * margin, fault=smooth)


def _fixed(embeddings: Tensor, centers: Tensor, labels: Tensor, margin: float, *, part: str) -> Tensor:
    """Cosines, all weights, or the other classes' weights, cut off from the gradient."""
    s = faults.cosines(embeddings, centers)
    q = (s / 0.1).softmax(-1)
    if part == "others":
        own = F.one_hot(labels, len(centers))[..., None].bool()
        q = torch.where(own, q, q.detach())
    q = q.detach() if part == "weights, margin by columns" else q
    found = (q * (s.detach() if part == "cosines" else s)).sum(-1)
    fault = "the margin in every labeled column" if part == "weights, margin by columns" else ""
    return F.cross_entropy(20 * faults.lowered(found, labels, margin, fault), labels)


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


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function of a gap is 0, up to a gap of 10."""
    low, high = 0.0, 10.0
    for _ in range(80):
        gap = (low + high) / 2
        low, high = (gap, high) if rising(gap) < 0 else (low, gap)
    return low


def _turning_point() -> float:
    return _root(lambda u: u / (1 + math.exp(-u)) - 1)


def _gap_cases() -> Sequence[Case]:
    u = _turning_point()
    return [Case((gamma,), u * gamma, f"gamma = {gamma}") for gamma in (0.1, 0.3, 1.0)]


EXERCISES = (
    Exercise(
        "3.1",
        "SoftTriple from an empty function",
        _loss_cases,
        {name: Misconception(partial(faults.loss, fault=name), text) for name, text in faults.LOSS_FAULTS.items()},
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
                partial(_fixed, part="cosines"),
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
            "the other classes' weights held fixed": Misconception(
                partial(_fixed, part="others"),
                "The own class's weights learn and the others' do not. All q depend on the cosines: cut nothing off.",
            ),
            "the margin in every labeled column, and the weights": Misconception(
                partial(_fixed, part="weights, margin by columns"),
                f"{faults.LOSS_FAULTS['the margin in every labeled column']} {PUSHED}",
            ),
            "a margin of 0.3": Misconception(
                lambda x, w, y, margin: _repaired(x, w, y, 0.3, smooth=""),
                "Your margin is 0.3 whatever is given: take the argument.",
            ),
            "margin helps, and the weights": Misconception(
                partial(_repaired, smooth="weights held fixed", by=-1.0),
                f"The margin has the wrong sign: the own class must win by more. {PUSHED}",
            ),
            "margin after scaling, and the weights": Misconception(
                partial(_repaired, smooth="weights held fixed", by=1 / 20),
                f"The margin is subtracted after scaling: it is in units of cosine. {PUSHED}",
            ),
        }
        | {fault: Misconception(partial(_repaired, smooth=fault), faults.LOSS_FAULTS[fault]) for fault in REPAIRS},
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
            "a grid that ends": Misconception(
                lambda gamma: min(1.0, math.ceil(1000 * gamma * _turning_point()) / 1000),
                "A grid from 0 to 1 is too coarse for a small gamma and ends too early for a large one. Search in "
                "units of gamma, and halve an interval.",
            ),
            "gamma in the exponential alone": Misconception(
                lambda gamma: _root(lambda gap: gap - 1 - math.exp(-gap / gamma)),
                "Your bracket in (3.15) lacks its gamma: u = 1 + exp(-u) is for u = gap / gamma. Multiply by gamma.",
            ),
            "the square root": Misconception(
                lambda gamma: _turning_point() * gamma**0.5,
                "The gap grows with gamma itself, not with its root: only gap / gamma enters.",
            ),
            "the square": Misconception(
                lambda gamma: _turning_point() * gamma**2,
                "The gap grows with gamma itself, not with its square: only gap / gamma enters.",
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
            "the largest slope": Misconception(
                lambda gamma: 2.39936 * gamma,
                "There the second slope is *lowest*, the push strongest. It is 0 before: set (3.15) itself to 0.",
            ),
            "the other weight": Misconception(
                lambda gamma: 10.0 * gamma,
                "u / (1 + e^u) never reaches 1: your weight is that of the farther center. S' lies below s_1 by the "
                "*farther* center's weight times the gap, so s_2 lies below S' by the closer one's.",
            ),
            "gamma in the bracket alone": Misconception(
                lambda gamma: _root(lambda gap: gap / (1 + math.exp(-gap)) - gamma),
                "Your weights are softmax(s), without gamma. In (3.5) gamma divides the cosines.",
            ),
            "gamma multiplied in the weights": Misconception(
                lambda gamma: _root(lambda gap: gap / (1 + math.exp(-gap * gamma)) - gamma),
                "Your weights multiply by gamma. In (3.5) gamma divides: a small one sharpens them.",
            ),
            "an angle": Misconception(
                lambda gamma: math.acos(max(-1.0, 1 - _turning_point() * gamma)),
                "That is an angle. Return the gap of the two cosines themselves.",
            ),
            "never": Misconception(
                lambda gamma: math.inf,
                "That is so for the log-sum-exp value, which never pushes. For S' there is such a gap.",
            ),
        },
    ),
)
