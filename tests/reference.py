"""The formulas as literal loops over floats: slow, plain, and the judge of the package.

Every function takes tensors and reads them as nested lists; none uses a tensor operation to compute.
"""

from __future__ import annotations

import math


def rows(tensor):
    return tensor.detach().double().tolist()


def dot(a, b):
    return math.fsum(u * v for u, v in zip(a, b, strict=True))


def unit(a):
    length = math.sqrt(dot(a, a))
    return [u / length for u in a] if length > 0 else list(a)


def distance(a, b):
    return math.sqrt(math.fsum((u - v) ** 2 for u, v in zip(a, b, strict=True)))


def mean(values):
    values = list(values)
    return math.fsum(values) / len(values) if values else 0.0


def triplets(labels):
    """All (anchor, positive, negative)."""
    labels = labels.tolist()
    everyone = range(len(labels))
    return [
        (i, j, k)
        for i in everyone
        for j in everyone
        for k in everyone
        if i != j and labels[i] == labels[j] and labels[i] != labels[k]
    ]


def triplet_loss(distances, labels, *, margin, hinge=True, average="valid"):
    d = rows(distances)
    values = [d[i][j] - d[i][k] + margin for i, j, k in triplets(labels)]
    if hinge:
        values = [max(v, 0.0) for v in values]
    return mean(v for v in values if v > 0) if average == "active" else mean(values)


def semihard_loss(distances, labels, *, margin):
    d, y = rows(distances), labels.tolist()
    losses = []
    for i in range(len(y)):
        negatives = [d[i][k] for k in range(len(y)) if y[k] != y[i]]
        for j in range(len(y)):
            if j == i or y[j] != y[i] or not negatives:
                continue
            beyond = [v for v in negatives if v > d[i][j]]
            negative = min(beyond) if beyond else max(negatives)
            losses.append(max(d[i][j] - negative + margin, 0.0))
    return mean(losses)


def cross_entropy(similarities, labels, *, scale, margin):
    """-log( e^{scale (S_y - margin)} / (e^{scale (S_y - margin)} + sum_{j != y} e^{scale S_j}) ), mean over images."""
    losses = []
    for row, y in zip(similarities, labels.tolist(), strict=True):
        logits = [scale * (s - (margin if c == y else 0.0)) for c, s in enumerate(row)]
        top = max(logits)
        losses.append(top + math.log(math.fsum(math.exp(v - top) for v in logits)) - logits[y])
    return mean(losses)


def similarity_to_class(similarities, kind, gamma):
    """Of one image to the K centers of one class, by ``kind``: hard, expected or logsumexp."""
    top = max(similarities)
    if kind == "hard":
        return top
    weights = [math.exp((s - top) / gamma) for s in similarities]
    if kind == "logsumexp":
        return top + gamma * math.log(math.fsum(weights))
    return math.fsum(w * s for w, s in zip(weights, similarities, strict=True)) / math.fsum(weights)


def center_regularizer(centers, *, epsilon):
    """1 / (C K (K - 1)) sum over classes and pairs s > t of sqrt(2 + epsilon - 2 w_s . w_t)."""
    c = rows(centers)
    per_class = len(c[0])
    if per_class == 1:
        return 0.0
    total = 0.0
    for centers_of_class in c:
        for t in range(per_class):
            for s in range(t + 1, per_class):
                total += math.sqrt(2 + epsilon - 2 * dot(centers_of_class[s], centers_of_class[t]))
    return total / (len(c) * per_class * (per_class - 1))


def several_centers_loss(embeddings, labels, centers, *, kind, scale, gamma, margin, tau, epsilon):
    """HardTriple (kind "hard") and SoftTriple ("expected", "logsumexp"); with K = 1 normalized SoftMax."""
    similarities = [
        [similarity_to_class([dot(unit(x), w) for w in of_class], kind, gamma) for of_class in rows(centers)]
        for x in rows(embeddings)
    ]
    value = cross_entropy(similarities, labels, scale=scale, margin=margin)
    return value + (tau * center_regularizer(centers, epsilon=epsilon) if tau else 0.0)


def linear_triplet_sum(embeddings, labels):
    """L_t: sum over all triplets of ||x_i - x_j|| - ||x_i - x_k||."""
    x = rows(embeddings)
    return math.fsum(distance(x[i], x[j]) - distance(x[i], x[k]) for i, j, k in triplets(labels))


def centroid_bound_sum(embeddings, labels, centroids):
    """The sum over all triplets of l_d, each bounded by the triangle inequality used twice."""
    x, c, y = rows(embeddings), rows(centroids), labels.tolist()
    return math.fsum(
        distance(x[i], c[y[i]]) - distance(x[i], c[y[k]]) + distance(x[j], c[y[i]]) + distance(x[k], c[y[k]])
        for i, j, k in triplets(labels)
    )


def balanced_triplet_means(embeddings, labels, centroids):
    """The mean triplet loss and the mean bound where each class, then each image of it, is drawn alike."""
    x, c, y = rows(embeddings), rows(centroids), labels.tolist()
    sizes = {label: y.count(label) for label in y}
    classes = len(sizes)
    loss = bound = 0.0
    for i, j, k in triplets(labels):
        a, b = y[i], y[k]
        weight = 1 / (classes * sizes[a] * (sizes[a] - 1) * (classes - 1) * sizes[b])
        loss += weight * (distance(x[i], x[j]) - distance(x[i], x[k]))
        ends = distance(x[i], c[a]) - distance(x[i], c[b]) + distance(x[j], c[a]) + distance(x[k], c[b])
        bound += weight * ends
    return loss, bound


def centroid_bound_loss(embeddings, labels, centroids, class_counts=None):
    """The batch mean of w_y (3 d_i - (1 / (C - 1)) sum_m d_im), w_c = N / (C n_c)."""
    c = rows(centroids)
    values = []
    for x, y in zip(rows(embeddings), labels.tolist(), strict=True):
        x = unit(x)
        others = [distance(x, c[m]) for m in range(len(c)) if m != y]
        weight = 1.0 if class_counts is None else sum(class_counts) / (len(c) * class_counts[y])
        values.append(weight * (3 * distance(x, c[y]) - sum(others) / (len(c) - 1)))
    return mean(values)


def distinct_centers(centers, *, threshold):
    """Distinct centers of each class: chains of steps shorter than the threshold are followed by hand."""
    counts = []
    for centers_of_class in rows(centers):
        left, groups = set(range(len(centers_of_class))), 0
        while left:
            groups += 1
            reached = [left.pop()]
            while reached:
                here = reached.pop()
                near = {k for k in left if distance(centers_of_class[here], centers_of_class[k]) < threshold}
                left -= near
                reached.extend(near)
        counts.append(groups)
    return counts
