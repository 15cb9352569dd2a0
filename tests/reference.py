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


def lifted_loss(distances, labels, *, margin):
    """1 / (2 |P|) sum over unordered positive pairs of [d_ij + log(sum_k e^{a - d_ik} + sum_l e^{a - d_jl})]_+^2."""
    d, y = rows(distances), labels.tolist()
    squares = []
    for i in range(len(y)):
        for j in range(i + 1, len(y)):
            exponents = [margin - d[end][k] for end in (i, j) for k in range(len(y)) if y[k] != y[i]]
            if y[i] == y[j]:
                squares.append(max(d[i][j] + log_sum_exp(exponents), 0.0) ** 2)
    return mean(squares) / 2


def log_sum_exp(values):
    if not values:
        return -math.inf
    top = max(values)
    return top + math.log(math.fsum(math.exp(v - top) for v in values))


def npairs_loss(embeddings, labels, *, length_weight, scale=1.0):
    """Each class's first two images are its pair; log(1 + sum_{j != i} e^{a_i . p_j - a_i . p_i}), and the lengths."""
    x, y = rows(embeddings), labels.tolist()
    of_class = {label: [i for i in range(len(y)) if y[i] == label][:2] for label in y}
    pairs = [pair for pair in of_class.values() if len(pair) == 2]
    losses = []
    for i, (anchor, positive) in enumerate(pairs):
        right = scale * dot(x[anchor], x[positive])
        wrong = [scale * dot(x[anchor], x[other]) - right for j, (_, other) in enumerate(pairs) if j != i]
        losses.append(log_sum_exp([0.0, *wrong]))
    return mean(losses) + length_weight * mean(dot(x[i], x[i]) for pair in pairs for i in pair)


def proxy_nca_loss(embeddings, labels, proxies, *, scale, denominator):
    """-log( e^{-d_y} / sum_z e^{-d_z} ), d squared distances on the sphere; z over the others, or over all."""
    losses = []
    for x, y in zip(rows(embeddings), labels.tolist(), strict=True):
        apart = [scale * distance(unit(x), unit(p)) ** 2 for p in rows(proxies)]
        below = [-d for c, d in enumerate(apart) if c != y or denominator == "all"]
        losses.append(apart[y] + log_sum_exp(below))
    return mean(losses)


def triplet_center_loss(embeddings, labels, centroids, *, margin, negatives, known=None):
    """[d_y / 2 + m - d_n / 2]_+, d squared; n the closest other centroid, or the mean over them."""
    c, losses = rows(centroids), []
    known = [True] * len(c) if known is None else known.tolist()
    for x, y in zip(rows(embeddings), labels.tolist(), strict=True):
        others = [distance(x, c[m]) ** 2 for m in range(len(c)) if m != y and known[m]]
        if not others or not known[y]:
            losses.append(0.0)
            continue
        other = min(others) if negatives == "closest" else mean(others)
        losses.append(max(distance(x, c[y]) ** 2 / 2 + margin - other / 2, 0.0))
    return mean(losses)


def proxy_anchor_loss(embeddings, labels, proxies, *, scale, margin):
    """Over proxies: log(1 + sum of own images e^{-a(s - m)}) and log(1 + sum of foreign images e^{a(s + m)})."""
    x, y = [unit(row) for row in rows(embeddings)], labels.tolist()
    pulls, pushes = [], []
    for c, proxy in enumerate(rows(proxies)):
        similarities = [dot(row, unit(proxy)) for row in x]
        own = [-scale * (s - margin) for s, label in zip(similarities, y, strict=True) if label == c]
        foreign = [scale * (s + margin) for s, label in zip(similarities, y, strict=True) if label != c]
        if own:
            pulls.append(log_sum_exp([0.0, *own]))
        pushes.append(log_sum_exp([0.0, *foreign]))
    return mean(pulls) + mean(pushes)


def subcenter_arcface_loss(embeddings, labels, centers, *, scale, margin):
    """Cross-entropy of the closest centers' cosines, the own one's angle made larger by the margin."""
    losses = []
    for x, y in zip(rows(embeddings), labels.tolist(), strict=True):
        cosines = [max(dot(unit(x), unit(w)) for w in of_class) for of_class in rows(centers)]
        angle = math.acos(min(max(cosines[y], -1.0), 1.0))
        wide = angle > math.pi - margin
        cosines[y] = math.cos(angle) - margin * math.sin(margin) if wide else math.cos(angle + margin)
        losses.append(log_sum_exp([scale * s for s in cosines]) - scale * cosines[y])
    return mean(losses)


def nmi(clusters, classes):
    """Mutual information over the geometric mean of the entropies; 1 where both have one cluster."""
    total = len(classes)

    def entropy(values):
        return -math.fsum(n / total * math.log(n / total) for n in (values.count(v) for v in set(values)))

    of_both = entropy(list(zip(clusters, classes, strict=True)))
    one, other = entropy(clusters), entropy(classes)
    if one <= 0 and other <= 0:
        return 1.0
    return (one + other - of_both) / math.sqrt(one * other) if one > 0 and other > 0 else 0.0


def clusters_of(distances, medoids):
    """The place among the medoids of each image's closest one, the first of equals."""
    return [min(range(len(medoids)), key=lambda place: row[medoids[place]]) for row in distances]


def facility_score(distances, medoids):
    return -math.fsum(min(row[j] for j in medoids) for row in distances)


def augmented_score(distances, labels, medoids, *, weight):
    return facility_score(distances, medoids) + weight * (1 - nmi(clusters_of(distances, medoids), labels))


def loss_augmented_medoids(distances, labels, *, weight, rounds):
    """Greedy, then local search: each cluster in turn tries its members as its medoid."""
    d, y, medoids = rows(distances), labels.tolist(), []
    for _ in set(y):
        left = [j for j in range(len(y)) if j not in medoids]
        medoids.append(max(left, key=lambda j: augmented_score(d, y, [*medoids, j], weight=weight)))
    for _ in range(rounds):
        for place in range(len(medoids)):
            members = [i for i, cluster in enumerate(clusters_of(d, medoids)) if cluster == place]

            def score(j, place=place, members=members):
                trial = [*medoids[:place], j, *medoids[place + 1 :]]
                return -math.fsum(d[i][j] for i in members) + weight * (1 - nmi(clusters_of(d, trial), y))

            if members:
                medoids[place] = max(members, key=score)
    return medoids


def clustering_loss(distances, labels, *, weight, rounds):
    """[ F(S) + weight (1 - NMI) - sum over classes of its best medoid's F ]_+."""
    d, y = rows(distances), labels.tolist()
    medoids = loss_augmented_medoids(distances, labels, weight=weight, rounds=rounds)
    own = 0.0
    for label in set(y):
        members = [i for i in range(len(y)) if y[i] == label]
        own += max(-math.fsum(d[i][j] for i in members) for j in members)
    return max(augmented_score(d, y, medoids, weight=weight) - own, 0.0)
