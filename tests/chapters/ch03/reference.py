"""Chapter 03 as literal loops over floats: weights, their objective, slopes by finite differences."""

from __future__ import annotations

import math


def weights(similarities, gamma):
    raw = [math.exp((s - max(similarities)) / gamma) for s in similarities]
    return [value / math.fsum(raw) for value in raw]


def similarity(similarities, gamma):
    return math.fsum(q * s for q, s in zip(weights(similarities, gamma), similarities, strict=True))


def objective(q, similarities, gamma):
    entropy = -math.fsum(value * math.log(value) for value in q if value > 0)
    return math.fsum(value * s for value, s in zip(q, similarities, strict=True)) + gamma * entropy


def divergence(q, p):
    return math.fsum(a * math.log(a / b) for a, b in zip(q, p, strict=True) if a > 0)


def slopes(similarities, gamma, step=1e-6):
    """dS'/ds_k by central differences."""
    found = []
    for k in range(len(similarities)):
        ends = []
        for sign in (1, -1):
            moved = list(similarities)
            moved[k] += sign * step
            ends.append(similarity(moved, gamma))
        found.append((ends[0] - ends[1]) / (2 * step))
    return found
