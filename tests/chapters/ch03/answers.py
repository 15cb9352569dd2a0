"""What learners write in chapter 03: a solution of each exercise, and the wrong answers that its check must name."""

import math

import numpy as np


def softmax(values):
    e = np.exp(np.array(values) - np.max(values))
    return e / e.sum()


def expected(cosines, gamma):
    return float(softmax(np.array(cosines) / gamma) @ np.array(cosines))


def log_sum_exp(cosines, gamma):
    return gamma * math.log(sum(math.exp(c / gamma) for c in cosines))


def unnormalized(cosines, gamma):
    total = 0.0
    for c in cosines:
        total += math.exp(c / gamma) * c
    return total


def minus_log(logits, y):
    return -math.log(math.exp(logits[y]) / sum(math.exp(v) for v in logits))


def lower_own(similar, y, scale, margin):
    logits = list(similar)
    logits[y] -= margin
    return minus_log([scale * v for v in logits], y)


def lower_all(similar, y, scale, margin):
    return minus_log([scale * (v - margin) for v in similar], y)


def lower_late(similar, y, scale, margin):
    logits = [scale * v for v in similar]
    logits[y] -= margin
    return minus_log(logits, y)


def lower_others(similar, y, scale, margin):
    return minus_log([scale * (v if c == y else v - margin) for c, v in enumerate(similar)], y)


def only_above(similar, y, scale, margin):
    below = sum(math.exp(scale * v) for v in similar)
    return -math.log(math.exp(scale * (similar[y] - margin)) / below)


def unscaled(similar, y, scale, margin):
    return lower_own(similar, y, 1, margin)


def others_below(similar, y, scale, margin):
    below = sum(math.exp(scale * v) for c, v in enumerate(similar) if c != y)
    return -math.log(math.exp(scale * (similar[y] - margin)) / below)


def slopes(cosines, gamma, base=expected, unit=None, sign=1):
    s = np.array(cosines)
    q = softmax(s / gamma)
    return list(q + sign * q * (s - base(cosines, gamma)) / (unit or gamma))


def by_bisection(gamma):
    def slope(gap):
        return slopes([gap, 0.0], gamma)[1]

    low, high = 0.0, 5 * gamma
    while high - low > 1e-9:
        middle = (low + high) / 2
        if slope(middle) > 0:
            low = middle
        else:
            high = middle
    return low


def price(C, scale, margin):
    return math.log(1 + (C - 1) * math.exp(scale * margin))


ANSWERS = {
    "3.1": {
        "solution": expected,
        "gamma multiplied": lambda s, gamma: float(softmax(np.array(s) * gamma) @ np.array(s)),
        "no gamma": lambda s, gamma: float(softmax(s) @ np.array(s)),
        "the log-sum-exp value": log_sum_exp,
        "the closest center": lambda s, gamma: sorted(s)[-1],
        "the plain mean": lambda s, gamma: float(np.mean(s)),
        "weights not normalized": unnormalized,
    },
    "3.2": {
        "solution": lower_own,
        "no margin": lower_all,
        "margin after scaling": lower_late,
        "margin helps": lower_others,
        "margin only above": only_above,
        "no scale": unscaled,
        "no own class below": others_below,
    },
    "3.3": {
        "solution": slopes,
        "the weights alone": lambda s, gamma: [float(q) for q in softmax(np.array(s) / gamma)],
        "distance to the closest": lambda s, gamma: slopes(s, gamma, base=lambda s, gamma: max(s)),
        "distance to the plain mean": lambda s, gamma: slopes(s, gamma, base=lambda s, gamma: np.mean(s)),
        "not in units of gamma": lambda s, gamma: slopes(s, gamma, unit=1.0),
        "the sign turned": lambda s, gamma: slopes(s, gamma, sign=-1),
    },
    "3.4": {
        "solution": by_bisection,
        "gamma itself": lambda gamma: gamma,
        "in units of gamma": lambda gamma: by_bisection(gamma) / gamma,
        "twice gamma": lambda gamma: gamma + gamma,
        "rounded": lambda gamma: round(by_bisection(1.0), 2) * gamma,
        "never": lambda gamma: float("inf"),
    },
    "3.5": {
        "solution": price,
        "two classes only": lambda C, scale, margin: price(2, scale, margin),
        "guessing without margin": lambda C, scale, margin: math.log(C),
        "the margin lowers it": lambda C, scale, margin: price(C, scale, -margin),
        "margin without scale": lambda C, scale, margin: price(C, 1, margin),
        "zero": lambda C, scale, margin: 0,
    },
}
