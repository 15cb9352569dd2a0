"""What learners write in chapter 04: a solution of each exercise, and the wrong answers that its check must name."""

import math

import numpy as np
import torch


def soft(row, t):
    length = math.sqrt(sum(float(a) ** 2 for a in row))
    return row * 0 if length <= t else row - row * t / length


def by_rows(one):
    """What is written for one row, for each row of a matrix."""
    return lambda matrix, t: torch.stack([one(row, t) for row in matrix])


def pairs(cosines, tau, price, each=1):
    total, (c, k, _) = 0.0, cosines.shape
    for table in cosines.tolist():
        for s in range(k):
            for t in range(s):
                total += each * price(table[s][t])
    return tau * total / (c * k * (k - 1))


def chord(cosine):
    return math.sqrt(2 - 2 * cosine)


def distance(a, b):
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def groups(centers, near):
    """Each center takes over the label of every close one until nothing changes."""
    label = list(range(len(centers)))
    for _ in label:
        for i in range(len(centers)):
            for j in range(len(centers)):
                if near(centers[i], centers[j]):
                    label[i] = label[j] = min(label[i], label[j])
    return len(set(label))


def first_come(centers, threshold):
    seen = []
    for c in centers:
        if not any(distance(c, other) < threshold for other in seen):
            seen.append(c)
    return len(seen)


def minus_pairs(centers, threshold):
    k = len(centers)
    return k - sum(distance(centers[i], centers[j]) < threshold for i in range(k) for j in range(i))


def lonely(centers, threshold):
    k = len(centers)
    return sum(all(distance(centers[i], centers[j]) >= threshold for j in range(k) if j != i) for i in range(k))


def tangent(angle, t, floor=0.0, halve=2):
    phi = math.pi * angle / 180 / halve
    return 2 * 180 / math.pi * math.atan2(max(math.sin(phi) - t, floor), math.cos(phi))


def tried(angle, t):
    """All angles from 0 to the wish, with the squared price."""
    phi = np.radians(angle / 2)
    theta = np.linspace(0, phi, 40001)
    value = -2 * np.cos(phi - theta) + t / 2 * (2 * np.sin(theta)) ** 2
    return 2 * np.degrees(theta[value.argmin()])


def bisected(share, epsilon):
    """The distance at which the slope of the rounded norm is the share."""
    low, high = 0.0, 100.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle / math.sqrt(middle**2 + epsilon) < share:
            low = middle
        else:
            high = middle
    return low


ANSWERS = {
    "4.1": {
        "solution": by_rows(soft),
        "coordinate by coordinate": by_rows(
            lambda v, t: torch.tensor([math.copysign(max(abs(a) - t, 0.0), a) for a in v.tolist()])
        ),
        "the matrix as one group": lambda matrix, t: soft(matrix.flatten(), t).view_as(matrix),
        "past zero": by_rows(lambda v, t: v if not v.any() else (1 - t / torch.linalg.norm(v)) * v),
        "the squared price": lambda matrix, t: matrix * (1 / (1 + t)),
        "all or nothing": by_rows(lambda v, t: v if torch.linalg.norm(v) > t else torch.zeros_like(v)),
        "t as a share": lambda matrix, t: (1 - t) * matrix if t < 1 else 0 * matrix,
    },
    "4.2": {
        "solution": lambda cosines, tau: pairs(cosines, tau, chord),
        "every pair twice": lambda cosines, tau: (
            tau
            * (2 - 2 * cosines).clamp(min=0).sqrt().sum()
            / (len(cosines) * cosines[0].numel() - cosines[:, 0].numel())
        ),
        "squared distances": lambda cosines, tau: pairs(cosines, tau, lambda c: 2 - 2 * c),
        "one minus cosine": lambda cosines, tau: pairs(cosines, tau, lambda c: 1 - c),
        "not divided": lambda cosines, tau: (
            tau * sum(chord(float(c[s, t])) for c in cosines for s in range(len(c)) for t in range(s))
        ),
        "C is missing": lambda cosines, tau: sum(pairs(c[None], tau, chord) for c in cosines),
    },
    "4.3": {
        "solution": lambda centers, threshold: groups(centers, lambda a, b: distance(a, b) < threshold),
        "no chains": first_come,
        "every close pair takes one away": minus_pairs,
        "only lonely centers": lonely,
        "cosine for distance": lambda centers, threshold: groups(
            centers, lambda a, b: 1 - float((a * b).sum()) < threshold
        ),
    },
    "4.4": {
        "solution": tangent,
        "half the angle": lambda angle, t: tangent(angle, t) / 2,
        "the wish was not halved": lambda angle, t: tangent(angle, t, halve=1),
        "past zero": lambda angle, t: tangent(angle, t, floor=-math.inf),
        "the squared price": tried,
        "as on the line": lambda angle, t: max(angle - t * angle / math.sin(math.pi * angle / 360), 0),
    },
    "4.5": {
        "solution": bisected,
        "epsilon without its root": lambda share, epsilon: bisected(share, epsilon) * epsilon**0.5,
        "epsilon divided out": lambda share, epsilon: bisected(share, 1.0),
        "the share itself": lambda share, epsilon: share * epsilon**0.5,
        "without the root": lambda share, epsilon: epsilon**0.5 * share / ((1 - share) * (1 + share)),
        "slope of d squared": lambda share, epsilon: (epsilon * share**2 / (1 + share**2)) ** 0.5,
    },
}
