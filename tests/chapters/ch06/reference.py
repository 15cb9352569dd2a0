"""What chapter 06 computes from losses as literal loops, in the manner of ``reference``."""

from __future__ import annotations

import math

import torch

from tests import reference
from tests.losses.loss_toys import by_loop

STEP = 1e-6


def forces(loss, points, labels):
    """Minus N times the slope of the mean loss, by its loop, at each coordinate of each image."""
    field = []
    for i in range(len(points)):
        slopes = []
        for axis in range(points.shape[1]):
            ends = []
            for sign in (1, -1):
                moved = points.clone()
                moved[i, axis] += sign * STEP
                ends.append(by_loop(loss, moved, labels))
            slopes.append(-len(points) * (ends[0] - ends[1]) / (2 * STEP))
        field.append(slopes)
    return torch.tensor(field, dtype=torch.float64)


def slopes(value, pairs, labels, *, symmetric):
    """Absolute slopes of ``value(pairs)`` in its numbers, of one class and of two classes; d_ij and d_ji are one."""
    sorts = ([], [])
    shape = pairs.shape
    for place in range(pairs.numel()):
        i, j = place // math.prod(shape[1:]), place // math.prod(shape[2:]) % shape[1]
        if symmetric and j <= i:
            continue
        ends = []
        for sign in (1, -1):
            moved = pairs.clone()
            moved.view(-1)[place] += sign * STEP
            if symmetric:
                moved[j, i] += sign * STEP
            ends.append(value(moved))
        own = labels[i] == (labels[j] if symmetric else j)
        sorts[0 if own else 1].append(abs(ends[0] - ends[1]) / (2 * STEP))
    return sorts


def active_triplets(distances, labels, *, margin, semihard):
    """Which share of all valid triplets loses something, of those that are chosen."""
    d, found = reference.rows(distances), 0
    every = reference.triplets(labels)
    for i, j, k in every:
        beyond = [d[i][n] for a, p, n in every if (a, p) == (i, j) and d[i][n] > d[i][j]]
        negatives = [d[i][n] for a, p, n in every if (a, p) == (i, j)]
        chosen = not semihard or d[i][k] == (min(beyond) if beyond else max(negatives))
        found += chosen and d[i][j] - d[i][k] + margin > 0
    return found / len(every)
