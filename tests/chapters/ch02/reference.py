"""Chapter 02 as literal loops over floats, the judge of dmlbook.losses.smoothing and of what its figures draw."""

from __future__ import annotations

import math

from tests.reference import dot


def softmax_loss(similarities, y, scale):
    """-log( e^{scale s_y} / sum_c e^{scale s_c} ), written so that no exponential overflows."""
    top = max(similarities)
    return math.log(math.fsum(math.exp(scale * (s - top)) for s in similarities)) + scale * (top - similarities[y])


def violations(similarities, y):
    return [s - similarities[y] for s in similarities]


def weights(similarities, scale):
    top = max(similarities)
    e = [math.exp(scale * (s - top)) for s in similarities]
    return [value / math.fsum(e) for value in e]


def entropy(p):
    return -math.fsum(weight * math.log(weight) for weight in p if weight > 0)


def divergence(p, q):
    return math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def objective(p, similarities, y, scale):
    return scale * dot(p, violations(similarities, y)) + entropy(p)


def gradient(similarities, y, scale):
    p = weights(similarities, scale)
    return [scale * (p[j] - (1 if j == y else 0)) for j in range(len(p))]
