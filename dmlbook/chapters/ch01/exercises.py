"""Exercises of chapter 01: chord, average precision, triplets counted, semi-hard, what a batch holds, and a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dmlbook.book.exercises import Case, Exercise, Misconception


def _chord(cosine: float) -> float:
    return math.sqrt(max(2 - 2 * cosine, 0))


def _chord_cases() -> Sequence[Case]:
    return [Case((c,), _chord(c), f"cosine = {c}") for c in (0.5, 0.0, -1.0, 0.92, 1.0)]


def _precisions(hits: list[int]) -> list[float]:
    return [sum(hits[:p]) / p for p in range(1, len(hits) + 1)]


def _average_precision(hits: list[int]) -> float:
    r = sum(hits)
    return sum(h * p for h, p in zip(hits[:r], _precisions(hits)[:r], strict=True)) / r


def _whole_list(hits: list[int]) -> float:
    return sum(h * p for h, p in zip(hits, _precisions(hits), strict=True)) / sum(hits)


def _by_found(hits: list[int]) -> float:
    r = sum(hits)
    return r * _average_precision(hits) / max(sum(hits[:r]), 1)


def _hit_cases() -> Sequence[Case]:
    lists = [[0, 1, 1, 0], [1, 0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 1, 1, 0, 1]]
    return [Case((hits,), _average_precision(hits), f"hits = {hits}") for hits in lists]


def _triplets(sizes: list[int]) -> int:
    return sum(n * (n - 1) * (sum(sizes) - n) for n in sizes)


def _size_cases() -> Sequence[Case]:
    lists = [[3, 2], [4, 4], [1, 5], [2, 3, 4], [50] * 40]
    texts = [f"sizes = {sizes}" for sizes in lists[:-1]] + ["40 classes of 50"]
    return [Case((sizes,), _triplets(sizes), text) for sizes, text in zip(lists, texts, strict=True)]


def _semihard(positive: float, negatives: list[float]) -> float:
    beyond = [d for d in negatives if d > positive]
    return min(beyond) if beyond else max(negatives)


def _only_within_margin(positive: float, negatives: list[float]) -> float:
    inside = [d for d in negatives if positive < d < positive + 0.2]
    return min(inside) if inside else max(negatives)


def _within_margin(positive: float, negatives: list[float]) -> float:
    inside = [d for d in negatives if positive < d < positive + 0.2]
    return max(inside) if inside else _semihard(positive, negatives)


def _closest_if_none(positive: float, negatives: list[float]) -> float:
    beyond = [d for d in negatives if d > positive]
    return min(beyond) if beyond else min(negatives)


def _semihard_cases() -> Sequence[Case]:
    problems: list[tuple[float, list[float]]] = [
        (0.5, [0.45, 1.05, 0.6, 0.65]),
        (0.5, [1.4, 0.2, 1.0]),
        (1.0, [0.3, 0.8, 0.5]),
        (0.7, [0.7, 1.3, 2.0]),
    ]  # a margin of 0.2 and one of 0.5 hold the same negatives: misconceptions are recognized with either
    return [Case((p, d), _semihard(p, d), f"positive = {p}, negatives = {d}") for p, d in problems]


def _chance(images: int, batch_size: int, k: int) -> float:
    return 1 - math.comb(images - 1 - k, batch_size - 1) / math.comb(images - 1, batch_size - 1)


def _chance_cases() -> Sequence[Case]:
    problems = [(5, 3, 2), (20, 5, 3), (100, 51, 1), (50, 10, 10), (8, 6, 4)]
    return [Case(p, _chance(*p), f"N = {p[0]}, B = {p[1]}, k = {p[2]}") for p in problems]


def _limit(beta: float, k: int) -> float:
    return 1 - (1 - beta) ** k


def _limit_cases() -> Sequence[Case]:
    problems = [(0.5, 1), (0.1, 10), (0.25, 3), (0.5, 4)]
    return [Case(p, _limit(*p), f"beta = {p[0]}, k = {p[1]}") for p in problems]


EXERCISES = (
    Exercise(
        "1.1",
        "from cosine to distance",
        _chord_cases,
        {
            "the squared distance": Misconception(
                lambda c: 2 - 2 * c,
                "That is the squared distance. Take the root: for orthogonal vectors the distance is 1.41, not 2.",
            ),
            "cosine distance": Misconception(
                lambda c: 1 - c,
                "1 - cosine is half the squared distance. It ranks alike, but it is no distance.",
            ),
            "the angle": Misconception(
                lambda c: math.acos(max(-1.0, min(1.0, c))),
                "That is the angle, the way along the sphere. The distance goes straight through: the chord.",
            ),
            "the sign": Misconception(
                lambda c: math.sqrt(max(2 + 2 * c, 0)),
                "With plus you get the distance to the opposite point. Equal vectors (cosine 1) must have distance 0.",
            ),
        },
    ),
    Exercise(
        "1.2",
        "average precision at R",
        _hit_cases,
        {
            "R-precision": Misconception(
                lambda h: sum(h[: sum(h)]) / sum(h),
                "That is R-precision: each hit among the first R counts 1. Here it counts the share of hits up to its "
                "place.",
            ),
            "the whole list": Misconception(
                _whole_list,
                "You went on to the end of the list. MAP@R stops at place R: hits beyond it count 0.",
            ),
            "misses counted": Misconception(
                lambda h: sum(_precisions(h)[: sum(h)]) / sum(h),
                "You added the precision at every place. Only places with a hit count.",
            ),
            "divided by the hits found": Misconception(
                _by_found,
                "You divided by the hits among the first R. Divide by R itself, or finding less would cost nothing.",
            ),
        },
    ),
    Exercise(
        "1.3",
        "count the triplets",
        _size_cases,
        {
            "an anchor that is its own positive": Misconception(
                lambda s: sum(n * n * (sum(s) - n) for n in s),
                "You let the anchor be its own positive. After the anchor n - 1 images of the class are left.",
            ),
            "pairs without order": Misconception(
                lambda s: sum(n * (n - 1) // 2 * (sum(s) - n) for n in s),
                "You counted each pair of one class once. Anchor and positive have different roles: twice.",
            ),
            "negatives of the own class": Misconception(
                lambda s: sum(n * (n - 1) * (sum(s) - 2) for n in s),
                "Your negatives include images of the anchor's own class. There are N - n of other classes.",
            ),
            "the approximation": Misconception(
                lambda s: sum(s) ** 3 / len(s),
                "N^3 / C is good only for many large classes of equal size. Count exactly: n (n - 1) (N - n), summed.",
            ),
        },
    ),
    Exercise(
        "1.4",
        "the semi-hard negative",
        _semihard_cases,
        {
            "the hardest": Misconception(
                lambda p, d: min(d),
                "You took the hardest negative, the closest of all. Semi-hard ones lie beyond the positive.",
            ),
            "the farthest": Misconception(
                lambda p, d: max(d),
                "You took the farthest negative, the easiest of all. Take the closest of those beyond the positive.",
            ),
            "the nearest to the positive": Misconception(
                lambda p, d: min(d, key=lambda v: abs(v - p)),
                "You took the negative whose distance is most like the positive's. It must also be farther.",
            ),
            "as far as the positive": Misconception(
                lambda p, d: min([v for v in d if v >= p] or [max(d)]),
                "A negative exactly as far as the positive is hard, not semi-hard: farther means >, not >=.",
            ),
            "the closest where none is farther": Misconception(
                _closest_if_none,
                "Where no negative is farther than the positive, the rule takes the farthest one, not the closest.",
            ),
            "only within the margin": Misconception(
                _only_within_margin,
                "You also required d < d_ij + alpha, as the table of 1.8 does. (1.11) does not: the closest beyond the "
                "positive, however far.",
            ),
            "the farthest within the margin": Misconception(
                _within_margin,
                "You took the farthest negative within the margin. The rule takes the closest one beyond the positive.",
            ),
        },
    ),
    Exercise(
        "1.5",
        "a neighbor in the batch",
        _chance_cases,
        {
            "with replacement": Misconception(
                lambda n, b, k: 1 - (1 - k / (n - 1)) ** (b - 1),
                "You drew with replacement. Each image drawn leaves fewer, so a miss becomes less likely.",
            ),
            "independent neighbors": Misconception(
                lambda n, b, k: 1 - (1 - (b - 1) / (n - 1)) ** k,
                "You treated the k neighbors as independent. Once one is known to be outside the batch, the next is a "
                "little more likely to be inside.",
            ),
            "the expected number": Misconception(
                lambda n, b, k: k * (b - 1) / (n - 1),
                "That is the expected number of neighbors in the batch. It can exceed 1; a chance cannot.",
            ),
            "the anchor drawn too": Misconception(
                lambda n, b, k: 1 - math.comb(n - k, b) / math.comb(n, b),
                "The image itself is in the batch for certain: draw B - 1 others from N - 1.",
            ),
            "all of them": Misconception(
                lambda n, b, k: math.comb(n - 1 - k, b - 1 - k) / math.comb(n - 1, b - 1) if b > k else 0.0,
                "That is the chance that all k neighbors are in the batch. Asked for: at least one.",
            ),
            "none of them": Misconception(
                lambda n, b, k: 1 - _chance(n, b, k),
                "That is the chance that none is there. At least one is the opposite: subtract it from 1.",
            ),
        },
    ),
    Exercise(
        "1.6",
        "a limit",
        _limit_cases,
        {
            "the exponential": Misconception(
                lambda beta, k: 1 - math.exp(-k * beta),
                "That is the limit for a small share of a long list of neighbors. Here k stays fixed and beta does not "
                "shrink: each factor tends to 1 - beta.",
            ),
            "the sum": Misconception(
                lambda beta, k: k * beta,
                "k beta is the expected number of neighbors in the batch. A batch with two counts twice in it.",
            ),
            "all of them": Misconception(
                lambda beta, k: beta**k,
                "beta^k is the limit of the chance that all k are there. Asked for: at least one.",
            ),
            "none of them": Misconception(
                lambda beta, k: (1 - beta) ** k,
                "That is the limit of the chance that none is there. Subtract it from 1.",
            ),
        },
    ),
)
