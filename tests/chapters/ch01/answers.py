"""What learners write in chapter 01: a solution of each exercise, and the wrong answers that its check must name."""

import math


def average_precision(hits, places=None, only_hits=True, divide_by=None):
    total = sum(hits)
    found = value = 0
    for p, hit in enumerate(hits[: total if places is None else places], 1):
        found += hit
        if hit or not only_hits:
            value += found / p
    return value / (divide_by(found) if divide_by else total)


def count(sizes, positives=lambda n: n - 1, negatives=lambda n, total: total - n):
    total = 0
    for n in sizes:
        total += n * positives(n) * negatives(n, sum(sizes))
    return total


def semihard(positive, negatives):
    for d in sorted(negatives):
        if d > positive:
            return d
    return sorted(negatives)[-1]


def semihard_inclusive(positive, negatives):
    for d in sorted(negatives):
        if d >= positive:
            return d
    return sorted(negatives)[-1]


def semihard_closest(positive, negatives):
    for d in sorted(negatives):
        if d > positive:
            return d
    return sorted(negatives)[0]


def semihard_strict(positive, negatives, alpha=0.5):
    for d in sorted(negatives):
        if positive < d and d - positive < alpha:
            return d
    return sorted(negatives)[-1]


def semihard_band(positive, negatives):
    band = [d for d in sorted(negatives) if 0 < d - positive < 0.2]
    return band[-1] if band else semihard(positive, negatives)


def miss(n, b, k):
    chance = 1.0
    for t in range(k):
        chance *= max(n - b - t, 0) / (n - 1 - t)
    return chance


def miss_with_anchor(n, b, k):
    chance = 1.0
    for t in range(b):
        chance *= max(n - k - t, 0) / (n - t)
    return chance


def every(n, b, k):
    chance = 1.0
    for t in range(k):
        chance *= max(b - 1 - t, 0) / (n - 1 - t)
    return chance


ANSWERS = {
    "1.1": {
        "solution": lambda cosine: (2 - 2 * cosine) ** 0.5,
        "the squared distance": lambda cosine: 2 * (1 - cosine),
        "cosine distance": lambda cosine: -cosine + 1,
        "the angle": lambda cosine: math.atan2(math.sqrt(1 - cosine**2), cosine),
        "the sign": lambda cosine: math.sqrt(2) * math.sqrt(1 + cosine),
    },
    "1.2": {
        "solution": average_precision,
        "R-precision": lambda hits: len([h for h in hits[: sum(hits)] if h]) / sum(hits),
        "the whole list": lambda hits: average_precision(hits, places=len(hits)),
        "misses counted": lambda hits: average_precision(hits, only_hits=False),
        "divided by the hits found": lambda hits: average_precision(hits, divide_by=lambda found: max(found, 1)),
    },
    "1.3": {
        "solution": count,
        "an anchor that is its own positive": lambda sizes: count(sizes, positives=lambda n: n),
        "pairs without order": lambda sizes: count(sizes) / 2,
        "negatives of the own class": lambda sizes: count(sizes, negatives=lambda n, total: total - 2),
        "the approximation": lambda sizes: sum(sizes) * sum(sizes) * (sum(sizes) / len(sizes)),
    },
    "1.4": {
        "solution": semihard,
        "the hardest": lambda positive, negatives: sorted(negatives)[0],
        "the farthest": lambda positive, negatives: sorted(negatives)[-1],
        "the nearest to the positive": lambda positive, negatives: sorted(negatives, key=lambda d: (d - positive) ** 2)[
            0
        ],
        "as far as the positive": semihard_inclusive,
        "the closest where none is farther": semihard_closest,
        "only within the margin": semihard_strict,
        "the farthest within the margin": semihard_band,
    },
    "1.5": {
        "solution": lambda n, b, k: 1 - miss(n, b, k),
        "with replacement": lambda n, b, k: 1 - ((n - 1 - k) / (n - 1)) ** (b - 1),
        "independent neighbors": lambda n, b, k: 1 - ((n - b) / (n - 1)) ** k,
        "the expected number": lambda n, b, k: (b - 1) * k / (n - 1),
        "the anchor drawn too": lambda n, b, k: 1 - miss_with_anchor(n, b, k),
        "all of them": every,
        "none of them": miss,
    },
    "1.6": {
        "solution": lambda beta, k: 1 - math.prod([1 - beta] * k),
        "the exponential": lambda beta, k: -math.expm1(-beta * k),
        "the sum": lambda beta, k: sum([beta] * k),
        "all of them": lambda beta, k: math.prod([beta] * k),
        "none of them": lambda beta, k: math.exp(k * math.log(1 - beta)),
    },
}
