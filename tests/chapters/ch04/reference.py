"""Chapter 04's formulas as literal loops over floats, the judge of the package."""

from __future__ import annotations

import math

from tests.reference import distance, dot, rows


def pair_distances(centers, *, epsilon):
    """sqrt(2 + epsilon - 2 w_s . w_t) of each pair of one class's centers, (K, D), in the order (0, 1), (0, 2), ..."""
    c = rows(centers)
    return [math.sqrt(2 + epsilon - 2 * dot(c[t], c[s])) for t in range(len(c)) for s in range(t + 1, len(c))]


def fused_cost(places, wishes, *, strength, squared):
    """sum_k ||w_k - a_k||^2 / 2 plus the price of every pair."""
    w, a = rows(places), rows(wishes)
    cost = sum(distance(x, y) ** 2 / 2 for x, y in zip(w, a, strict=True))
    for t in range(len(w)):
        for s in range(t + 1, len(w)):
            apart = distance(w[s], w[t])
            cost += strength * (apart**2 if squared else apart)
    return cost


def circle_cost(first, second, half_angle, *, strength):
    """-a_1 . w_1 - a_2 . w_2 + t ||w_1 - w_2||, with a_1 and a_2 at +- half_angle in the first two of the axes."""
    (w1,), (w2,) = rows(first[None]), rows(second[None])
    cosine, sine = math.cos(half_angle), math.sin(half_angle)
    pull = cosine * w1[0] + sine * w1[1] + cosine * w2[0] - sine * w2[1]
    return strength * distance(w1, w2) - pull


def closest(embeddings, labels, centers):
    """Which center of its own class each embedding is closest to."""
    found = []
    for x, label in zip(rows(embeddings), labels.tolist(), strict=True):
        values = [dot(x, w) for w in rows(centers)[label]]
        found.append(values.index(max(values)))
    return found
