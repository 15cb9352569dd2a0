"""Exercises of chapter 02: violations, the objective at its edges, a limit, a floor, and a case that is tight."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception


def _violations(x: Tensor, centers: Tensor, labels: Tensor) -> Tensor:
    similarities = x @ centers.T
    return similarities - similarities.gather(1, labels[:, None])


def _hinged(x: Tensor, centers: Tensor, labels: Tensor) -> Tensor:
    return _violations(x, centers, labels).clamp(min=0)


def _of_distances(x: Tensor, centers: Tensor, labels: Tensor) -> Tensor:
    distances = torch.cdist(x, centers)
    return distances.gather(1, labels[:, None]) - distances


def _violation_cases() -> Sequence[Case]:
    toy = torch.tensor([[0.8, 0.6], [0.96, -0.28], [0.6, -0.8]])
    cross = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    problems = [
        (torch.tensor([[1.0, 0.0]]), toy, torch.tensor([0]), "x = (1, 0), the chapter's three centers, class 0"),
        (
            torch.tensor([[0.6, 0.8], [-0.8, 0.6]]),
            cross,
            torch.tensor([1, 0]),
            "two images, centers E N W S, classes 1, 0",
        ),
    ]
    return [Case((x, w, y), _violations(x, w, y), text) for x, w, y, text in problems]


def _objective(p: Tensor, v: Tensor, scale: float) -> Tensor:
    return scale * (p * v).sum() + torch.special.entr(p).sum()


def _objective_cases() -> Sequence[Case]:
    v = torch.tensor([0.0, 0.16, -0.2])
    problems = [((0.2, 0.5, 0.3), 5.0), ((0.25, 0.5, 0.25), 1.0), ((1 / 3, 1 / 3, 1 / 3), 20.0), ((0.0, 1.0, 0.0), 5.0)]
    return [
        Case((torch.tensor(p), v, scale), _objective(torch.tensor(p), v, scale), f"p = {p}, scale = {scale}")
        for p, scale in ((tuple(round(x, 4) for x in p), scale) for p, scale in problems)
    ]


def _rest(similarities: Tensor, label: int, scale: float) -> Tensor:
    return torch.logsumexp(scale * (similarities - similarities.max()), 0)


def _rest_naive(similarities: Tensor, label: int, scale: float) -> Tensor:
    v = similarities - similarities[label]
    return v.mul(scale).exp().sum().log() - scale * v.max()


def _others(similarities: Tensor, label: int) -> Tensor:
    v = similarities - similarities[label]
    return v[torch.arange(len(v)) != label]


def _rest_cases() -> Sequence[Case]:
    problems = [
        ((0.8, 0.96, 0.6), 0, 20.0),
        ((0.8, 0.96, 0.6), 1, 5.0),
        ((0.5, 0.5, -0.25), 0, 1e3),
        ((0.25, 0.5, 0.5, 0.5), 0, 1e6),
        ((0.5, 0.5, 0.5, 0.5), 2, 1e6),
    ]
    cases = []
    for numbers, label, scale in problems:
        similarities = torch.tensor(numbers, dtype=torch.float64)
        text = f"similarities = {numbers}, class {label}, scale = {scale:g}"
        cases.append(Case((similarities, label, scale), _rest(similarities, label, scale), text))
    return cases


def _scale(num_classes: int, target: float) -> float:
    return (num_classes - 1) / num_classes * math.log((num_classes - 1) / math.expm1(target))


def _scale_cases() -> Sequence[Case]:
    problems = [(100, 0.1), (5, 0.01), (3, 1.0), (11318, 0.5)]
    return [Case((c, t), _scale(c, t), f"num_classes = {c}, target = {t}") for c, t in problems]


def _at(angle: float) -> Tensor:
    return torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)


def _tight(delta: float, eps: float, *, turn: float | None = None, alone: bool = False) -> list[Tensor]:
    """The worst case; or examples ``turn`` away from their centers, or the own center alone making the margin."""
    d, right = math.asin(delta / 2), math.pi / 2
    turn = 2 * math.asin(eps / 2) if turn is None else turn
    own, other = (right - math.asin(delta), -right) if alone else (right - d, -right - d)
    return [_at(0), _at(own), _at(other), _at(own + turn), _at(other + turn)]


def _straight(delta: float, eps: float) -> list[Tensor]:
    """From the centers straight on, parallel to the image."""
    x, own, other = _tight(delta, eps)[:3]
    return [x, own, other, own - eps * x, other + eps * x]


def _read_tight(points: object) -> object:
    """What matters of the five points, in numbers short enough for one line."""
    if not isinstance(points, (list, tuple)) or len(points) != 5:
        return points
    five = torch.stack([torch.as_tensor(p, dtype=torch.float64) for p in points])
    if five.shape != (5, 2):
        return f"five vectors of shape {tuple(five.shape[1:])}"
    x, own, other, near_own, near_other = five
    found = {
        "margin": x @ (own - other),
        "radii": torch.stack([(near_own - own).norm(), (near_other - other).norm()]),
        "gap": x @ (near_own - near_other),
        "lengths": five.norm(dim=1),
    }

    def short(numbers: float | list[float]) -> float | list[float]:
        return [round(n, 4) for n in numbers] if isinstance(numbers, list) else round(numbers, 4)

    return {name: short(value.tolist()) for name, value in found.items()}


def _tight_cases() -> Sequence[Case]:
    problems = [(0.3, 0.3), (0.9, 0.3), (0.4, 0.8)]
    return [Case((d, eps), _read_tight(_tight(d, eps)), f"delta = {d}, eps = {eps}") for d, eps in problems]


EXERCISES = (
    Exercise(
        "2.1",
        "the violations",
        _violation_cases,
        {
            "sign turned around": Misconception(
                lambda x, w, y: -_violations(x, w, y),
                "The sign is turned around: this is by how much the own center wins. A violation is positive where "
                "the wrong center is more similar.",
            ),
            "own center not subtracted": Misconception(
                lambda x, w, y: x @ w.T,
                "These are the similarities. Subtract that of the own center, so that the own class has violation 0.",
            ),
            "hinged": Misconception(
                _hinged,
                "Negative violations became 0. SoftMax needs them too: a constraint that holds narrowly weighs more "
                "than one that holds by far.",
            ),
            "distances": Misconception(
                _of_distances,
                "These are differences of distances. (2.2) takes similarities; half the difference of squared "
                "distances would be the same.",
            ),
            "only the hardest": Misconception(
                lambda x, w, y: _violations(x, w, y).amax(1),
                "That is the hardest violation of each image. SoftMax looks at all of them: return (B, C).",
            ),
        },
    ),
    Exercise(
        "2.2",
        "the objective, at its edges",
        _objective_cases,
        {
            "0 log 0": Misconception(
                lambda p, v, scale: scale * (p * v).sum() - (p * p.log()).sum(),
                "Right inside the simplex, and not a number at its edge: 0 * log(0) is nan to a computer. Leave "
                "weights of 0 out of the entropy.",
            ),
            "entropy with the wrong sign": Misconception(
                lambda p, v, scale: scale * (p * v).sum() - torch.special.entr(p).sum(),
                "The entropy has the wrong sign: sum p log p is negative, and H is minus that. The adversary is "
                "paid for not deciding.",
            ),
            "no entropy": Misconception(
                lambda p, v, scale: scale * (p * v).sum(),
                "The entropy is missing. Without it the maximum is the hardest violation, with it the SoftMax loss.",
            ),
            "scale on everything": Misconception(
                lambda p, v, scale: scale * _objective(p, v, 1.0),
                "The scale multiplies the violations only. On the entropy too, it would cancel, and every scale would "
                "have the same weights.",
            ),
            "bits": Misconception(
                lambda p, v, scale: scale * (p * v).sum() + torch.special.entr(p).sum() / math.log(2),
                "Your logarithm is to base 2. The loss is in nats: with bits the maximum is not the loss.",
            ),
        },
    ),
    Exercise(
        "2.3",
        "a limit, checked numerically",
        _rest_cases,
        {
            "overflow": Misconception(
                _rest_naive,
                "As written, (2.3) overflows at a large scale: exp of 710 is infinite in float64, of 89 in float32. "
                "Take the hardest violation out first.",
            ),
            "the gap itself": Misconception(
                lambda s, y, scale: _rest(s, y, scale) / scale,
                "You divided by the scale. That gap tends to 0 whatever the ties; times the scale it tends to the "
                "logarithm of their number.",
            ),
            "own class left out of the maximum": Misconception(
                lambda s, y, scale: _rest(s, y, scale) + scale * (s.max() - s[y] - _others(s, y).max()),
                "The hardest violation was taken over the other classes only. The own class takes part with 0, so "
                "it is never negative.",
            ),
            "own class left out": Misconception(
                lambda s, y, scale: torch.logsumexp(scale * (_others(s, y) - _others(s, y).max()), 0),
                "The own class is missing from the sum and from the maximum. Its violation 0 is a term like the "
                "others.",
            ),
        },
    ),
    Exercise(
        "2.4",
        "how large must the scale be?",
        _scale_cases,
        {
            "centers at right angles": Misconception(
                lambda c, t: math.log((c - 1) / math.expm1(t)),
                "That is for centers at right angles, margin 1. In a regular simplex the margin is C / (C - 1), a "
                "little more.",
            ),
            "opposite centers": Misconception(
                lambda c, t: 0.5 * math.log((c - 1) / math.expm1(t)),
                "You gave every pair of centers the margin 2: opposite centers. Only two classes can all be opposite.",
            ),
            "one other class": Misconception(
                lambda c, t: (c - 1) / c * -math.log(math.expm1(t)),
                "There are C - 1 other classes, and each adds its exponential: the factor C - 1 is missing.",
            ),
            "e^target": Misconception(
                lambda c, t: (c - 1) / c * math.log((c - 1) / math.exp(t)),
                "The 1 inside the logarithm of (2.13) is the own class: the others add up to e^target - 1.",
            ),
        },
    ),
    Exercise(
        "2.5",
        "nothing left to give",
        _tight_cases,
        {
            "off the sphere": Misconception(
                _straight,
                "Parallel to x_i and of length eps, and so off the sphere: x_j and x_k are not of length 1. Turn them "
                "away from their centers, along the circle.",
            ),
            "angle instead of distance": Misconception(
                lambda delta, eps: _tight(delta, eps, turn=eps),
                "The radii are too small: you turned by the angle eps. Two unit vectors at that angle are nearer than "
                "eps: the distance is 2 sin(angle / 2).",
            ),
            "the good direction": Misconception(
                lambda delta, eps: _tight(delta, eps, turn=-2 * math.asin(eps / 2)),
                "The examples moved the wrong way: x_j towards x_i and x_k away from it. The gap grew instead of "
                "shrinking.",
            ),
            "one center does it all": Misconception(
                lambda delta, eps: _tight(delta, eps, alone=True),
                "Margin and radii are right, the gap is too large: w_k is at right angles to x_i and w_y alone makes "
                "the margin. Share it: the two centers lie opposite each other.",
            ),
            "the case of 2.7": Misconception(
                lambda delta, eps: _tight(eps, eps),
                "That is the worst case of 2.7, whose margin is eps. Here the margin is given: tilt the centers "
                "by arcsin(delta / 2).",
            ),
            "examples on their centers": Misconception(
                lambda delta, eps: _tight(delta, eps, turn=0.0),
                "The radii are 0: x_j and x_k lie on their centers. Move each to the distance eps.",
            ),
            "order of the five": Misconception(
                lambda delta, eps: [_tight(delta, eps)[n] for n in (0, 1, 3, 2, 4)],
                "Right points, other order: x_i, then both centers w_y and w_k, then both examples x_j and x_k.",
            ),
        },
        read=_read_tight,
    ),
)
