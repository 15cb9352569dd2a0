"""The formulas of chapter 05 as literal loops over triplets, in the manner of ``reference``."""

from __future__ import annotations

import math

from tests.reference import distance, rows, triplets


def roles(labels):
    """For each image how often it is anchor, positive and negative."""
    counts = [[0, 0, 0] for _ in range(len(labels))]
    for triplet in triplets(labels):
        for role, image in enumerate(triplet):
            counts[image][role] += 1
    return counts


def hinged_sum(embeddings, labels, margin):
    x = rows(embeddings)
    return math.fsum(max(distance(x[i], x[j]) - distance(x[i], x[k]) + margin, 0.0) for i, j, k in triplets(labels))


def hinged_bound(embeddings, labels, centroids, margin):
    """[d_i - d_{i y_k} + margin]_+ + d_j + d_k of each triplet."""
    x, c, y = rows(embeddings), rows(centroids), labels.tolist()
    return math.fsum(
        max(distance(x[i], c[y[i]]) - distance(x[i], c[y[k]]) + margin, 0.0)
        + distance(x[j], c[y[j]])
        + distance(x[k], c[y[k]])
        for i, j, k in triplets(labels)
    )


def squared_sum(embeddings, labels):
    x = rows(embeddings)
    return math.fsum(distance(x[i], x[j]) ** 2 - distance(x[i], x[k]) ** 2 for i, j, k in triplets(labels))


def squared_bound(embeddings, labels, centroids, slack):
    """2 d_i^2 + 2 d_j^2 + d_k^2 / t - d_{i y_k}^2 / (1 + t) of each triplet."""
    x, c, y = rows(embeddings), rows(centroids), labels.tolist()
    return math.fsum(
        2 * distance(x[i], c[y[i]]) ** 2
        + 2 * distance(x[j], c[y[j]]) ** 2
        + distance(x[k], c[y[k]]) ** 2 / slack
        - distance(x[i], c[y[k]]) ** 2 / (1 + slack)
        for i, j, k in triplets(labels)
    )


def gap_limit(embeddings, labels, centroids):
    """d_i + d_j + 2 d_k of each triplet."""
    x, c, y = rows(embeddings), rows(centroids), labels.tolist()
    own = [distance(x[i], c[y[i]]) for i in range(len(y))]
    return math.fsum(own[i] + own[j] + 2 * own[k] for i, j, k in triplets(labels))
