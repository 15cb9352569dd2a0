"""Exercises of chapter 06: a loss from its formula, a planted bug, an angle as margin, an identity, counted pairs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional as F

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception, value_and_slopes
from dmlbook.losses import angular_margin, count_triplets, npairs_mean, proxy_anchor_loss

ANCHOR_FAULTS = {
    "all proxies in both halves": "You averaged both halves over all proxies. The pull is over those with images.",
    "the 1 forgotten": "The 1 in log(1 + ...) is missing. It stops a proxy's pull once all its images are close.",
    "the margin helps": "In the second half the margin's sign is wrong: foreign images are to stay below -delta.",
    "an image as anchor": "You summed over the proxies, for each image. The proxy is the anchor: sum over images.",
    "own images pushed too": "In the second half each proxy pushes its own images too. Only foreign images are pushed.",
    "the mean over images": "You averaged the exponentials over images. They are summed: one bad image must show.",
}
OVERFLOW = (
    "The exponentials overflow at scale 1000. torch.logsumexp takes them safely, and the 1 is the exponential of 0."
)


def _anchors(
    similarities: Tensor, labels: Tensor, scale: float, margin: float, *, fault: str = "", stable: bool = True
) -> Tensor:
    """Proxy-Anchor, or what learners make of it: one of ``ANCHOR_FAULTS``, and exponentials as they are written."""
    own = F.one_hot(labels, similarities.shape[1]).bool()  # (B, C)
    foreign = torch.ones_like(own) if fault == "own images pushed too" else ~own
    raised = similarities + (-margin if fault == "the margin helps" else margin)
    pull = _smooth_maximum(-scale * (similarities - margin), own, fault, stable)
    push = _smooth_maximum(scale * raised, foreign, fault, stable)
    present = own.any(_axis(fault))
    return pull[present].sum() / (len(pull) if fault == "all proxies in both halves" else present.sum()) + push.mean()


def _smooth_maximum(logits: Tensor, chosen: Tensor, fault: str, stable: bool) -> Tensor:
    """log(1 + sum of exponentials) over the images, or the proxies; 0 where none is chosen."""
    axis, one = _axis(fault), fault != "the 1 forgotten"
    count = chosen.sum(axis).clamp(min=1) ** int(fault == "the mean over images")
    if not stable:
        sums = (logits.exp() * chosen).sum(axis) / count
        return torch.log(int(one) + sums.where(chosen.any(axis), int(not one)))
    logits = logits.masked_fill(~chosen, -torch.inf) - count.log().unsqueeze(axis)
    zero = torch.zeros_like(logits.narrow(axis, 0, 1))
    return torch.logsumexp(torch.cat([zero, logits], axis) if one else logits, axis)


def _axis(fault: str) -> int:
    return int(fault == "an image as anchor")


def _anchor_cases() -> Sequence[Case]:
    small = torch.tensor([[0.8, -0.2], [0.3, 0.1], [-0.4, 0.6]], dtype=torch.float64)
    wide = torch.tensor([[0.7, 0.2, -0.5, 0.1], [0.1, 0.4, 0.3, -0.6], [0.5, -0.1, 0.9, 0.2]], dtype=torch.float64)
    problems = [
        ("three images of two classes", small, torch.tensor([0, 0, 1]), 2.0, 0.0),
        ("the same with a margin", small, torch.tensor([0, 1, 1]), 4.0, 0.2),
        ("four classes, of which two have no image", wide, torch.tensor([0, 2, 2]), 32.0, 0.1),
        ("scale 1000", wide, torch.tensor([1, 1, 3]), 1000.0, 0.1),
    ]
    return [
        Case(
            (s, y, scale, margin),
            value_and_slopes(_anchor, (s, y, scale, margin)),
            f"{text}, labels = {y.tolist()}, scale = {scale:g}, margin = {margin:g}: the value, then its slopes",
        )
        for text, s, y, scale, margin in problems
    ]


def _anchor(similarities: Tensor, labels: Tensor, scale: float, margin: float) -> Tensor:
    return proxy_anchor_loss(similarities, labels, scale=scale, margin=margin)


def _anchor_misconceptions() -> dict[str, Misconception]:
    """Each fault alone, and with exponentials that overflow, which most learners write: neither hides the other."""
    found = {"overflow": Misconception(partial(_anchors, stable=False), OVERFLOW)}
    for fault, message in ANCHOR_FAULTS.items():
        naive = partial(_anchors, fault=fault, stable=False)
        found[fault] = Misconception(partial(_anchors, fault=fault), message)
        found[f"{fault}, and overflow"] = Misconception(naive, f"{message} Then: {OVERFLOW}")
    return found


def _planted(anchors: Tensor, positives: Tensor) -> Tensor:
    similarities = anchors @ positives.T
    differences = similarities - similarities.diag()[:, None]
    differences = differences.masked_fill(torch.eye(len(anchors), dtype=torch.bool), 0.0)
    return torch.log(1 + differences.exp().sum(1)).mean()


def _mended(anchors: Tensor, positives: Tensor) -> Tensor:
    return npairs_mean(anchors @ positives.T)


def _own_nowhere(anchors: Tensor, positives: Tensor) -> Tensor:
    similarities = anchors @ positives.T
    own = torch.eye(len(anchors), dtype=torch.bool)
    return (torch.logsumexp(similarities.masked_fill(own, -torch.inf), 1) - similarities.diag()).mean()


def _bug_cases() -> Sequence[Case]:
    two = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    three = torch.tensor([[1.0, 0.5], [-0.5, 1.5], [0.2, -1.0]])
    other = torch.tensor([[0.4, 1.0], [0.3, 0.8], [-1.2, -0.6]])
    far = 6 * torch.eye(3)
    problems = [("two pairs", two, two), ("three pairs", three, other), ("three far pairs", far, far)]
    return [
        Case((a, p), _mended(a, p), f"{text}: anchors {a.tolist()}, positives {p.tolist()}") for text, a, p in problems
    ]


def _angle(cosine: float, margin: float) -> float:
    return float(angular_margin(torch.tensor([[cosine]]).double(), torch.tensor([0]), margin=margin))


def _guarded(moved: Callable[[float, float], float]) -> Callable[[float, float], float]:
    """``moved`` up to pi - m, and the line of slope 1 beyond."""
    return lambda c, m: c - m * math.sin(m) if c < -math.cos(m) else moved(c, m)


def _angle_cases() -> Sequence[Case]:
    problems = [(0.5, 0.5), (0.96, 0.2), (-0.3, 0.5), (0.0, 1.0), (-0.6, 1.2), (-0.95, 0.5)]
    return [Case(p, _angle(*p), "cosine = {}, margin = {}".format(*p)) for p in problems]


NO_GUARD = "Beyond pi - m the cosine would rise again: there it is cos(theta) - m sin(m)."
ANGLE_FAULTS: dict[str, tuple[Callable[[float, float], float], str]] = {
    "a margin of cosine": (
        lambda c, m: c - m,
        "You subtracted the margin from the cosine: that is SoftTriple's margin. Here it is added to the angle.",
    ),
    "no sine": (
        lambda c, m: c * math.cos(m),
        "cos(theta) cos(m) is half of it: subtract sin(theta) sin(m), with sin(theta) the root of 1 - cos(theta)^2.",
    ),
    "degrees": (
        lambda c, m: math.cos(math.acos(c) + math.radians(m)),
        "The margin was turned from degrees into radians. It is given in radians: 0.5 is 28.6 degrees.",
    ),
    "the sine's sign": (
        lambda c, m: c * math.cos(m) + math.sqrt(1 - c * c) * math.sin(m),
        "That is cos(theta - m): the image counts as closer than it is. The sine's term has a minus.",
    ),
}


def _angle_misconceptions() -> dict[str, Misconception]:
    found = {"no guard": Misconception(lambda c, m: math.cos(math.acos(c) + m), NO_GUARD)}
    for name, (wrong, message) in ANGLE_FAULTS.items():
        found[name] = Misconception(_guarded(wrong), message)
        found[f"{name}, and no guard"] = Misconception(wrong, f"{message} Then: {NO_GUARD}")
    return found


def _exclusive(inclusive: float) -> float:
    return inclusive + math.log(-math.expm1(-inclusive))


def _identity_cases() -> Sequence[Case]:
    problems = [(1 / 9, 0.5), (0.1, 2.0), (1.0, 0.05), (0.25, math.log(2)), (3.0, 12.0)]
    return [
        Case((t, v), (2 / t, _exclusive(v)), f"temperature = {t:.4g}, inclusive = {v:.4g}: scale, exclusive")
        for t, v in problems
    ]


def _counts(labels: Sequence[int], classes: int, centers: int) -> dict[str, int]:
    sizes = Counter(labels)
    return {
        "triplets": count_triplets(torch.tensor(labels)),
        "pairs": len(labels) * (len(labels) - 1) // 2,
        "npairs": sum(n > 1 for n in sizes.values()) ** 2,
        "proxies": len(labels) * classes,
        "centers": len(labels) * classes * centers,
    }


def _counted(name: str, count: Callable[[Sequence[int], int, int], int]) -> Callable:
    """The right counts, one of them counted otherwise."""
    return lambda labels, classes, centers: _counts(labels, classes, centers) | {name: count(labels, classes, centers)}


def _count_cases() -> Sequence[Case]:
    problems = [([0, 0, 1, 1], 2, 2), ([0, 0, 0, 1, 1, 2], 5, 10), ([4, 4, 2, 7, 7, 7, 1, 1], 100, 3)]
    return [Case(p, _counts(*p), "labels = {}, C = {}, K = {}".format(*p)) for p in problems]


EXERCISES: tuple[Exercise, ...] = (
    Exercise("6.1", "from its formula alone", _anchor_cases, _anchor_misconceptions(), call=value_and_slopes),
    Exercise(
        "6.2",
        "the planted bug",
        _bug_cases,
        {
            "the bug itself": Misconception(
                _planted,
                "The bug is still there. Look at one far pair: what does its own column add to the sum?",
            ),
            "the symptom": Misconception(
                lambda a, p: _planted(a, p) - math.log(2),
                "You subtracted the floor, log 2. The gradient is still that of log(2 + ...): mend the sum.",
            ),
            "normalized": Misconception(
                lambda a, p: _mended(F.normalize(a), F.normalize(p)),
                "The bug is gone, and with it the lengths: N-pairs does not normalize, they set how sharp it is.",
            ),
            "normalized instead": Misconception(
                lambda a, p: _planted(F.normalize(a), F.normalize(p)),
                "You normalized the embeddings. That changes the loss, and the own column still adds 1 to the sum.",
            ),
            "the own positive nowhere": Misconception(
                _own_nowhere,
                "You took away both: the own column and the 1. One of them has to stay, it is the positive's share.",
            ),
            "positives as anchors": Misconception(
                lambda a, p: _mended(p, a),
                "Rows and columns are swapped: each positive picks its anchor. That is another loss.",
            ),
        },
    ),
    Exercise("6.3", "HardTriple turned into Sub-center ArcFace", _angle_cases, _angle_misconceptions()),
    Exercise(
        "6.4",
        "which two are one?",
        _identity_cases,
        {
            "one over T": Misconception(
                lambda t, v: (1 / t, _exclusive(v)),
                "The squared distance of unit vectors is 2 - 2 cos: the cosine is multiplied by 2 / T, not by 1 / T.",
            ),
            "upside down": Misconception(
                lambda t, v: (t / 2, _exclusive(v)),
                "The scale is upside down: a small temperature is a large scale.",
            ),
            "softplus again": Misconception(
                lambda t, v: (2 / t, math.log1p(math.exp(v))),
                "You went the wrong way: the inclusive form is the softplus of the exclusive one. Invert it.",
            ),
            "the same value": Misconception(
                lambda t, v: (2 / t, v),
                "The two forms differ: where the own proxy is left out, the loss can be negative.",
            ),
            "1 subtracted outside": Misconception(
                lambda t, v: (2 / t, v - 1),
                "The 1 is subtracted from exp(l), inside the logarithm.",
            ),
        },
        read=lambda answer: tuple(answer) if isinstance(answer, list) else answer,
    ),
    Exercise(
        "6.5",
        "how many pairs?",
        _count_cases,
        {
            "triplets without order": Misconception(
                _counted("triplets", lambda y, c, k: count_triplets(torch.tensor(y)) // 2),
                "Anchor and positive of a triplet are an ordered pair: either can be the anchor.",
            ),
            "its own positive": Misconception(
                _counted("triplets", lambda y, c, k: sum(n * n * (len(y) - n) for n in Counter(y).values())),
                "An image is not its own positive: n (n - 1) ordered pairs in a class of n images.",
            ),
            "pairs in order": Misconception(
                _counted("pairs", lambda y, c, k: len(y) * (len(y) - 1)),
                "A distance has no order: each pair of images is one, not two.",
            ),
            "the whole matrix": Misconception(
                _counted("pairs", lambda y, c, k: len(y) ** 2),
                "That is the whole matrix: each pair twice, and each image with itself.",
            ),
            "every class a pair": Misconception(
                _counted("npairs", lambda y, c, k: len(set(y)) ** 2),
                "A class with one image in the batch has no pair.",
            ),
            "without the own positive": Misconception(
                _counted("npairs", lambda y, c, k: math.perm(sum(n > 1 for n in Counter(y).values()), 2)),
                "Each anchor is compared with its own positive too: P times P.",
            ),
            "classes of the batch": Misconception(
                lambda y, c, k: _counts(y, len(set(y)), k),
                "Proxies and centers of ALL classes are compared, whichever the batch holds: no sampling.",
            ),
            "centers of the own class": Misconception(
                _counted("centers", lambda y, c, k: len(y) * (c - 1 + k)),
                "SoftTriple compares an image with the K centers of EVERY class.",
            ),
        },
    ),
)
