"""Exercises of chapter 01, on measures, on triplets, and on what a batch holds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch01 import measure_exercises, triplet_exercises


def _chance(images: int, batch_size: int, k: int) -> float:
    return 1 - math.comb(images - 1 - k, batch_size - 1) / math.comb(images - 1, batch_size - 1)


def _missed(images: int, batch_size: int, factors: range) -> float:
    return math.prod((images - batch_size - t) / (images - 1 - t) for t in factors)


def _chance_cases() -> Sequence[Case]:
    problems = [(5, 3, 2), (20, 5, 3), (100, 51, 1), (50, 10, 10), (8, 6, 4)]
    return [Case(p, _chance(*p), f"N = {p[0]}, B = {p[1]}, k = {p[2]}") for p in problems]


def _limit(share: float, k: int) -> float:
    return 1 - (1 - share) ** k


def _limit_cases() -> Sequence[Case]:
    problems = [(0.5, 1), (0.1, 10), (0.25, 3), (0.5, 4)]
    return [Case(p, _limit(*p), f"B/N = {p[0]}, k = {p[1]}") for p in problems]


EXERCISES = (
    *measure_exercises.EXERCISES,
    *triplet_exercises.EXERCISES,
    Exercise(
        "1.7",
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
            "a share of the batch, independent": Misconception(
                lambda n, b, k: 1 - (1 - b / n) ** k,
                "You treated the k neighbors as independent, each there with chance B / N. The image itself fills one "
                "place, and each miss makes the next hit more likely.",
            ),
            "the expected number": Misconception(
                lambda n, b, k: k * (b - 1) / (n - 1),
                "That is the expected number of neighbors in the batch. It can exceed 1; a chance cannot.",
            ),
            "the share": Misconception(
                lambda n, b, k: (b - 1) / (n - 1),
                "That is (1.12), the expected share of the neighbors. It is the chance of one of them: k = 1 alone.",
            ),
            "the share of the set": Misconception(
                lambda n, b, k: b / n,
                "That is the share of the set that is in the batch. The image itself is there for certain, and there "
                "are k neighbors.",
            ),
            "the anchor drawn too": Misconception(
                lambda n, b, k: 1 - math.comb(n - k, b) / math.comb(n, b),
                "The image itself is in the batch for certain: draw B - 1 others from N - 1.",
            ),
            "B drawn from the others": Misconception(
                lambda n, b, k: 1 - math.comb(n - 1 - k, b) / math.comb(n - 1, b),
                "You drew B others. The image itself takes one of the B places: B - 1 are drawn.",
            ),
            "all of them": Misconception(
                lambda n, b, k: math.comb(n - 1 - k, b - 1 - k) / math.comb(n - 1, b - 1) if b > k else 0.0,
                "That is the chance that all k neighbors are in the batch. Asked for: at least one.",
            ),
            "exactly one": Misconception(
                lambda n, b, k: k * math.comb(n - 1 - k, b - 2) / math.comb(n - 1, b - 1),
                "That is the chance of exactly one of them. Two or more count as well.",
            ),
            "none of them": Misconception(
                lambda n, b, k: 1 - _chance(n, b, k),
                "That is the chance that none is there. At least one is the opposite: subtract it from 1.",
            ),
            "the expected number, at most 1": Misconception(
                lambda n, b, k: min(1.0, k * (b - 1) / (n - 1)),
                "That is the expected number of neighbors in the batch, cut off at 1. It bounds the chance: two at "
                "once count twice in it.",
            ),
            "one factor too many": Misconception(
                lambda n, b, k: 1 - _missed(n, b, range(k + 1)),
                "There is one factor too many. k neighbors are missed, one after the other: k factors. (With `comb`: "
                "N - 1 - k above the line.)",
            ),
            "the first factor left out": Misconception(
                lambda n, b, k: 1 - _missed(n, b, range(1, k)),
                "The product starts one too late. Its first factor, (N - B) / (N - 1), is the miss of one neighbor.",
            ),
            "the last factor left out": Misconception(
                lambda n, b, k: 1 - _missed(n, b, range(k - 1)),
                "One factor is missing. k neighbors are missed, one after the other: k factors. (With `comb`: N - 1 - "
                "k above the line, for the image itself is not drawn.)",
            ),
            "the 1 of the batch alone": Misconception(
                lambda n, b, k: 1 - math.comb(n - k, b - 1) / math.comb(n, b - 1),
                "You drew B - 1 from all N. The image itself is not among those to be drawn: there are N - 1 of them.",
            ),
            "with replacement, from all": Misconception(
                lambda n, b, k: 1 - (1 - k / n) ** b,
                "You drew with replacement, B times from all N. The image itself is there: B - 1 others are drawn, and "
                "each leaves fewer.",
            ),
            "with replacement, B times": Misconception(
                lambda n, b, k: 1 - (1 - k / (n - 1)) ** b,
                "You drew with replacement, and one too many. B - 1 others are drawn, and each leaves fewer.",
            ),
            "all of them, independent": Misconception(
                lambda n, b, k: ((b - 1) / (n - 1)) ** k,
                "That would be the chance that all k are there, were they independent. Asked for: at least one.",
            ),
            "one miss": Misconception(
                lambda n, b, k: 1 - (b - 1) / (n - 1),
                "That is the chance that one certain neighbor is missing. Asked for: at least one of k is there.",
            ),
            "only above the line": Misconception(
                lambda n, b, k: 1 - math.prod((n - b - t) / (n - 1) for t in range(k)),
                "Below the line the number stays. Once one neighbor is known to be outside, N - 2 places are left for "
                "the next.",
            ),
            "only below the line": Misconception(
                lambda n, b, k: 1 - math.prod((n - b) / (n - 1 - t) for t in range(k)),
                "Above the line the number stays. Each neighbor found outside leaves one place fewer there.",
            ),
            "below the line with the anchor": Misconception(
                lambda n, b, k: 1 - math.comb(n - 1 - k, b - 1) / math.comb(n, b),
                "You divide by all batches. Count only those that hold the image: B - 1 others of N - 1.",
            ),
            "neighbors and places exchanged": Misconception(
                lambda n, b, k: 1 - math.comb(n - 1 - b, k - 1) / math.comb(n - 1, k - 1),
                "The k and the B stand in each other's place, or a 1 was not subtracted. Of the N - 1 others B - 1 are "
                "drawn; for a miss, all of them from the N - 1 - k that are no neighbors.",
            ),
        },
    ),
    Exercise(
        "1.9",
        "a limit",
        _limit_cases,
        {
            "the exponential": Misconception(
                lambda share, k: 1 - math.exp(-k * share),
                "That is the limit for a small share and a long list of neighbors. Here k and B/N stay as they are: "
                "each factor tends to 1 - B/N.",
            ),
            "the sum": Misconception(
                lambda share, k: k * share,
                "k times the share is the expected number of neighbors in the batch. Two at once count twice in it.",
            ),
            "the sum, at most 1": Misconception(
                lambda share, k: min(1.0, k * share),
                "That is the expected number of neighbors, cut off at 1. It bounds the chance, and is not it.",
            ),
            "one neighbor": Misconception(
                lambda share, k: share,
                "That is the limit for k = 1. With k neighbors a miss has to happen k times.",
            ),
            "all of them": Misconception(
                lambda share, k: share**k,
                "That is the limit of the chance that all k are there. Asked for: at least one.",
            ),
            "none of them": Misconception(
                lambda share, k: (1 - share) ** k,
                "That is the limit of the chance that none is there. Subtract it from 1.",
            ),
            "not all of them": Misconception(
                lambda share, k: 1 - share**k,
                "That is the limit of the chance that at least one is missing. Asked for: at least one is there.",
            ),
            "exactly one": Misconception(
                lambda share, k: k * share * (1 - share) ** (k - 1),
                "That is the limit for exactly one of them. Two or more count as well.",
            ),
            "certainty": Misconception(
                lambda share, k: 1.0,
                "The set grows, but so does the batch, and k does not: the chance stays below 1.",
            ),
            "nothing": Misconception(
                lambda share, k: 0.0,
                "That would be the limit for a batch that does not grow. Here it holds the same share of the set.",
            ),
            "one factor too many": Misconception(
                lambda share, k: 1 - (1 - share) ** (k + 1),
                "The product of (1.13) runs from 0 to k - 1: k factors, and you have one more.",
            ),
            "one factor too few": Misconception(
                lambda share, k: 1 - (1 - share) ** (k - 1),
                "The product of (1.13) runs from 0 to k - 1: k factors, and you have one fewer.",
            ),
            "k times the miss": Misconception(
                lambda share, k: 1 - k * (1 - share),
                "You added the k factors. They are multiplied: every neighbor has to be missed.",
            ),
            "the share divided by k": Misconception(
                lambda share, k: 1 - (1 - share / k) ** k,
                "You divided the share by k. Each of the k factors tends to 1 - B/N, with the whole share.",
            ),
            "the k-th root": Misconception(
                lambda share, k: 1 - (1 - share) ** (1 / k),
                "That is a root, 1 over k in the exponent. k factors are multiplied: their limit is a power.",
            ),
            "one miss": Misconception(
                lambda share, k: 1 - share,
                "That is the limit of one factor, the miss of one neighbor. All k have to be missed.",
            ),
            "at the last one": Misconception(
                lambda share, k: share * (1 - share) ** (k - 1),
                "That is the chance that the last of k is the first to be met. Any of them will do.",
            ),
        },
    ),
)
