"""What learners write in chapter 05: a solution of each exercise, and the wrong answers that its check must name."""

import itertools
import math
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from dmlbook.chapters import exercises


def count_roles(sizes, m, pairs=itertools.permutations):
    """By listing: the first image of class m, in every triplet."""
    images = [(c, n) for c, size in enumerate(sizes) for n in range(size)]
    me, counts = (m, 0), [0, 0, 0]
    for i, j in pairs(images, 2):
        if i[0] == j[0]:
            for k in images:
                if k[0] != i[0]:
                    for role, image in enumerate((i, j, k)):
                        counts[role] += image == me
    return tuple(counts)


def half_negative(sizes, m):
    a, p, n = count_roles(sizes, m)
    return a, p, n / 2


def balanced(sizes, m):
    classes, images = len(sizes), sum(sizes)
    each = (images / classes - 1) * (images - images / classes)
    return each, each, each


def others(sizes, m):
    return [n for r, n in enumerate(sizes) if r != m]


def itself(sizes, m):
    return sizes[m] * sum(others(sizes, m)), sizes[m] * sum(others(sizes, m)), sum(n**2 for n in others(sizes, m))


def itself_as_anchor(sizes, m):
    return *itself(sizes, m)[:2], count_roles(sizes, m)[2]


def as_anchor(sizes, m, count):
    return count, count, count_roles(sizes, m)[2]


def as_negative(sizes, m, count):
    return *count_roles(sizes, m)[:2], count


def in_whole_numbers(sizes):
    size = sum(sizes) // len(sizes)
    return (len(sizes) - 1) * (size * size - size)


def whole_class(sizes, m):
    return tuple(sizes[m] * count for count in count_roles(sizes, m))


def all_pairs_elsewhere(sizes, m):
    images = [(c, n) for c, size in enumerate(sizes) for n in range(size) if c != m]
    return as_negative(sizes, m, len(list(itertools.permutations(images, 2))))


def batch_loss(z, y, c, counts, wrong="", root=False):
    """Image by image, in the manner of a learner, who may go wrong in one way."""
    classes, of_class, total, weighed = len(c), {}, 0.0, 0.0
    if wrong in ("lengths 1", "cosines"):
        z = z / z.norm(dim=1, keepdim=True)
    for x, m in zip(z, y.tolist(), strict=True):
        far = [((x - at) ** 2).sum().sqrt() if root else torch.dist(x, at) for at in c]
        if wrong == "cosines":
            far = [1 - F.cosine_similarity(x, at, dim=0) for at in c]
        if wrong == "squared":
            far = [one * one for one in far]
        rest = sum(one for r, one in enumerate(far) if r != m)
        mean = rest / (classes - 1)
        mean = {
            "the own one among the others": sum(far) / (classes - 1),
            "the mean over all centroids": sum(far) / classes,
            "divided by C": rest / classes,
            "a sum, not a mean": rest,
            "divided by 3 as well": mean / 3,
            "no others": 0.0,
            "the closest other": min(one for r, one in enumerate(far) if r != m),
            "masked with infinity": mean * -math.inf,
            "a plus": -mean,
        }.get(wrong, mean)
        term = {"own weight 1": far[m], "own weight 2": far[m] + far[m]}.get(wrong, 3 * far[m]) - mean
        term = {"a third of it": term / 3, "turned around": -term, "a hinge": F.relu(term)}.get(wrong, term)
        n, in_batch = int(counts[m]), int((y == m).sum())
        weight = {
            "counts forgotten": 1.0,
            "weights upside down": n * classes / int(counts.sum()),
            "counts of the batch": len(y) / in_batch / classes,
            "1 / n": 1 / n,
            "N / n": int(counts.sum()) / n,
            "1 / (C n)": 1 / n / classes,
            "(5.7) summed over the batch": len(y) / n / classes,
            "C of the batch": int(counts.sum()) / n / len(set(y.tolist())),
            "n / N": n / int(counts.sum()),
            "weights in whole numbers": int(counts.sum()) // (n * classes),
        }.get(wrong, int(counts.sum()) / n / classes)
        if wrong == "the own part alone":
            term, weight = weight * 3 * far[m] - mean, 1
        total, weighed = total + weight * term, weighed + weight
        of_class.setdefault(m, []).append(term)
    if wrong in ("the classes of the batch", "all classes of the batch"):
        means = [torch.stack(terms).mean() for terms in of_class.values()]
        absent = len(of_class) < classes and wrong.startswith("all")
        return sum(means) / len(means) * (math.nan if absent else 1)
    if wrong == "(5.4) of the batch":
        per_class = len(y) / classes
        plain = batch_loss(z, y, c, counts, "counts forgotten", root)
        return (classes - 1) * (per_class - 1) * per_class * len(y) * plain
    if wrong == "the sum over the batch":
        return total
    return total / (weighed if wrong == "weights over their sum" else len(y))


def set_sum(z, y, c, num_images, g=None, images=None, power=1, included=False):
    """L_d: by loops, with G of ``g`` images and a sum scaled to ``images``."""
    classes, total = len(c), 0.0
    for x, m in zip(z, y.tolist(), strict=True):
        far = [torch.dist(x, at) ** power for at in c]
        rest = sum(one for r, one in enumerate(far) if r != m or included)
        total = total + far[m] - rest / 3 / (classes - 1)
    per_class = (num_images if g is None else g) / classes
    factor = 3 * (classes - 1) * (per_class - 1) * per_class
    return factor * total * (num_images if images is None else images) / len(y)


def of_batch(z, y, c, num_images, change=lambda value, sign, scale: value, **settings):
    """The bug, and what is done to it: with the sign of G and N / B at hand."""
    value = set_sum(z, y, c, num_images, g=len(y), images=len(y))
    return change(value, 1 if len(y) > len(c) else -1, num_images / len(y))


def mean_term(z, y, c):
    return set_sum(z, y, c, 2 * len(c), images=1) / (6 * (len(c) - 1))


def gap_by_listing(eps, classes, first=0.5, second=0.5, move=lambda c, part: (1 + part) * c, normalize=False):
    """What each triplet wastes; the two images of each class go outward by these parts of eps."""
    c = np.eye(classes) - 1 / classes
    c /= np.linalg.norm(c, axis=1, keepdims=True)
    images = [(m, move(c[m], part * eps)) for m in range(classes) for part in (first, second)]
    if normalize:
        images = [(m, point / np.linalg.norm(point)) for m, point in images]
    wasted, far = [], lambda a, b: float(np.linalg.norm(a - b))
    for i, j in itertools.permutations(range(2 * classes), 2):
        for k in range(2 * classes):
            (a, x), (b, positive), (n, negative) = images[i], images[j], images[k]
            if a == b and n != a:
                straight = far(x, positive) - far(x, negative)
                wasted.append(far(x, c[a]) - far(x, c[n]) + far(positive, c[a]) + far(negative, c[n]) - straight)
    return np.array(wasted)


def along_the_axes(eps, classes):
    """``geometry.simplex`` is turned another way than the one above."""
    from dmlbook import geometry, losses

    c, y = geometry.simplex(classes, classes).double(), torch.arange(2 * classes) % classes
    x = c[y] + eps / 2
    bound = losses.centroid_terms(torch.cdist(x, c), y).mean()
    return float(bound - losses.triplet_mean(torch.cdist(x, x), y, hinge=False)[0]) / eps


def one_before(sizes, m):
    """sizes[m - 1], which is the last for m = 0, and the sum over all r but m - 1."""
    own = sizes[m - 1]
    anchor = own * sum(sizes) - own**2 - sum(sizes) + own
    return anchor, anchor, sum(n * (n - 1) for n in (sizes if m == 0 else sizes[: m - 1] + sizes[m:]))


def seen_classes(z, y, c, n):
    seen = len(set(y.tolist()))
    d = torch.cdist(z, c)
    own = d[torch.arange(len(y)), y]
    return n * _factor(n, seen) * (own - (d.sum(1) - own) / (3 * (seen - 1))).mean()


def shortfall(c, power=1):
    one_hot, simplex = math.sqrt(2), math.sqrt(2 * c / (c - 1))
    return c * (1 - (one_hot / simplex) ** power)


def square_weights(s, t, anchor=True, positive=True, negative=True):
    own = anchor * (1 + s) + positive * (1 + 1 / s) + negative * (1 + 1 / t) / (1 + t)
    return [own, 1 / (1 + t)]


BUILT = [name for name in exercises("05")["5.2"].misconceptions if name != "a root at 0"]

ANSWERS = {
    "5.1": {
        "solution": count_roles,
        "its own positive": itself,
        "its own positive, as anchor": itself_as_anchor,
        "its own positive, as negative": lambda sizes, m: as_negative(sizes, m, itself(sizes, m)[2]),
        "pairs without order": half_negative,
        "all classes of one size": balanced,
        "all classes of one size, in whole numbers": lambda sizes, m: [in_whole_numbers(sizes)] * 3,
        "its own size for all": lambda sizes, m: [count_roles([sizes[m]] * len(sizes), m)[0]] * 3,
        "its own size for all, as anchor": lambda sizes, m: as_anchor(
            sizes, m, count_roles([sizes[m]] * len(sizes), m)[0]
        ),
        "its own size for all, as negative": lambda sizes, m: as_negative(
            sizes, m, count_roles([sizes[m]] * len(sizes), m)[2]
        ),
        "positives, not pairs": lambda sizes, m: as_negative(sizes, m, sum(others(sizes, m)) - len(sizes) + 1),
        "negative as often as anchor": lambda sizes, m: [count_roles(sizes, m)[0]] * 3,
        "the whole class": whole_class,
        "partners, not triplets": lambda sizes, m: (sizes[m] - 1, sizes[m] - 1, sum(others(sizes, m))),
        "negatives from its own class": lambda sizes, m: as_anchor(sizes, m, (sizes[m] - 1) * (sum(sizes) - 1)),
        "negatives from all images": lambda sizes, m: as_anchor(sizes, m, (sizes[m] - 1) * sum(sizes)),
        "one negative a class": lambda sizes, m: as_anchor(sizes, m, (sizes[m] - 1) * len(others(sizes, m))),
        "pairs of two classes": all_pairs_elsewhere,
        "pairs of its own class": lambda sizes, m: as_negative(sizes, m, sum(n * n for n in sizes) - sum(sizes)),
        "anchors, not pairs": lambda sizes, m: as_negative(sizes, m, sum(others(sizes, m))),
        "negatives first": lambda sizes, m: list(reversed(count_roles(sizes, m))),
        "counted from 1": lambda sizes, m: count_roles(sizes, m - 1 if m else len(sizes) - 1),
        "index m - 1": one_before,
        "half the positives": lambda sizes, m: np.array(count_roles(sizes, m)) // np.array([1, 2, 1]),
        "anchors alone, as positive": lambda sizes, m: [
            count_roles(sizes, m)[0],
            sizes[m] - 1,
            count_roles(sizes, m)[2],
        ],
        "one negative too few": lambda sizes, m: as_anchor(sizes, m, (sizes[m] - 1) * (sum(others(sizes, m)) - 1)),
        "the total": lambda sizes, m: sum(count_roles(sizes, m)),
    },
    "5.2": {
        "solution": batch_loss,
        "a root at 0": partial(batch_loss, root=True),
        **{
            name: partial(batch_loss, wrong=name.removesuffix(", and a root at 0"), root=name.endswith("root at 0"))
            for name in BUILT
        },
    },
    "5.3": {
        "solution": set_sum,
        "the bug itself": of_batch,
        "G alone": lambda z, y, c, n: set_sum(z, y, c, n, images=len(y)),
        "the sum alone": lambda z, y, c, n: set_sum(z, y, c, n, g=len(y)),
        "an absolute value": partial(of_batch, change=lambda value, sign, scale: sign * value),
        "an absolute value, scaled": partial(of_batch, change=lambda value, sign, scale: sign * scale * value),
        "cut off at 0": partial(of_batch, change=lambda value, sign, scale: max(sign, 0) * value),
        "the mean, over num_images": lambda z, y, c, n: set_sum(z, y, c, n, images=len(y) / n),
        "G times (5.5)": lambda z, y, c, n: set_sum(z, y, c, n, images=3),
        "the mean over the classes of the batch": lambda z, y, c, n: (
            sum(set_sum(z[y == m], y[y == m], c, n) for m in set(y.tolist())) / len(set(y.tolist()))
        ),
        "a plus": lambda z, y, c, n: n * _factor(n, len(c)) * (_bound(z, y, c)[0] + _bound(z, y, c)[1] / 3).mean(),
        "the classes of the batch, in G": lambda z, y, c, n: n * _factor(n, len(set(y.tolist()))) * mean_term(z, y, c),
        "the batch's mean": lambda z, y, c, n: set_sum(z, y, c, n, images=1),
        "per triplet": lambda z, y, c, n: 3 * mean_term(z, y, c),
        "without G": lambda z, y, c, n: len(y) * mean_term(z, y, c),
        "without G, a mean": lambda z, y, c, n: mean_term(z, y, c),
        "N_t in the place of G N": lambda z, y, c, n: n * (n / len(c) - 1) * (n - n / len(c)) * mean_term(z, y, c),
        "scaled the wrong way": lambda z, y, c, n: set_sum(z, y, c, n, images=len(y) ** 2 / n),
        "scaled twice": partial(of_batch, change=lambda value, sign, scale: scale**2 * value),
        "scaled three times": partial(of_batch, change=lambda value, sign, scale: scale**3 * value),
        "whole batches": lambda z, y, c, n: set_sum(z, y, c, n, images=n // len(y) * len(y)),
        "the sum alone, whole batches": lambda z, y, c, n: n // len(y) * of_batch(z, y, c, n),
        "the batch in whole numbers": lambda z, y, c, n: set_sum(z, y, c, n, g=len(y) // len(c) * len(c)),
        "M squared": lambda z, y, c, n: n * (len(c) - 1) * (n / len(c)) ** 2 * mean_term(z, y, c) * 3,
        "N in the place of N / C": lambda z, y, c, n: set_sum(z, y, c, n, g=n * len(c)),
        "no 3 below": lambda z, y, c, n: n * _factor(n, len(c)) * (_bound(z, y, c)[0] - _bound(z, y, c)[1]).mean(),
        "the classes of the batch": seen_classes,
        "the own one among the others": partial(set_sum, included=True),
        "squared": partial(set_sum, power=2),
    },
    "5.4": {
        "solution": shortfall,
        "squared distances": lambda c: shortfall(c, power=2),
        "upside down": lambda c: c * (math.sqrt(2 * c / (c - 1)) / math.sqrt(2) - 1),
        "upside down, with its minus": lambda c: shortfall(c, power=-1),
        "not multiplied by C": lambda c: shortfall(c) / c,
        "angles": lambda c: c * (1 - 90 / math.degrees(math.acos(-1 / (c - 1)))),
        "the limit itself": lambda c: 0.5,
        "a guess for large C": lambda c: 0.5 / c,
        "a difference": lambda c: c * (math.sqrt(2 * c / (c - 1)) - math.sqrt(2)),
        "a difference, the other way": lambda c: c * (math.sqrt(2) - math.sqrt(2 * c / (c - 1))),
        "a difference of squares": lambda c: 2 * c / (c - 1),
        "one with its minus": lambda c: c * (1 - math.sqrt(2) / -math.sqrt(2 * c / (c - 1))),
        "C times 1, minus the ratio": lambda c: c * 1 - math.sqrt((c - 1) / c),
        "1 minus C times the ratio": lambda c: 1 - c * math.sqrt((c - 1) / c),
        "times C - 1": lambda c: (c - 1) * (1 - math.sqrt((c - 1) / c)),
        "the ratio": lambda c: c * math.sqrt((c - 1) / c),
        "the bare ratio": lambda c: math.sqrt((c - 1) / c),
        "one class more": lambda c: c * (1 - math.sqrt(2) / math.sqrt(2 * (c + 1) / c)),
        "no root of the denominator": lambda c: c * (1 - math.sqrt(2) / (math.sqrt(2 * c) / (c - 1))),
        "one-hot 2 apart": lambda c: c * (1 - 2 / math.sqrt(2 * c / (c - 1))),
        "in whole numbers": lambda c: c * (1 - math.sqrt(2) / math.sqrt(2 * c // (c - 1))),
        "no root of the simplex": lambda c: c - c * math.sqrt(2) * (c - 1) / (2 * c),
        "all pairs": lambda c: (c - 1) * shortfall(c),
        "times the root of C": lambda c: shortfall(c) / math.sqrt(c),
    },
    "5.6": {
        "solution": square_weights,
        "the others in full": lambda s, t: (square_weights(s, t)[0], 1),
        "not divided by 1 + t": lambda s, t: ((1 + s) + (1 + 1 / s) + (1 + 1 / t), 1 / (1 + t)),
        "nothing divided by 1 + t": lambda s, t: ((1 + s) + (1 + 1 / s) + (1 + 1 / t), 1),
        "multiplied by 1 + t": lambda s, t: ((1 + s) + (1 + 1 / s) + (1 + 1 / t), 1 + t),
        "t upside down": lambda s, t: ((1 + s) + (1 + 1 / s) + t, 1 / (1 + 1 / t)),
        "t upside down, for the own one": lambda s, t: ((1 + s) + (1 + 1 / s) + t, 1 / (1 + t)),
        "the triangle's weights": lambda s, t: (3, 1),
        "the positive forgotten": partial(square_weights, positive=False),
        "the anchor forgotten": partial(square_weights, anchor=False),
        "the negative forgotten": partial(square_weights, negative=False),
        "the positive's slack left at 1": lambda s, t: square_weights(1, t),
        "both as anchors": lambda s, t: (2 * (1 + s) + 1 / t, 1 / (1 + t)),
        "slacks swapped": lambda s, t: square_weights(t, s),
        "others first": lambda s, t: square_weights(s, t)[::-1],
        "a minus": lambda s, t: (square_weights(s, t)[0], -1 / (1 + t)),
        "a mean over roles": lambda s, t: (square_weights(s, t)[0] / 3, 1 / (1 + t)),
        "1 / (1 + t) for both": lambda s, t: (1 + s + 1 + 1 / s + 1 / (t + 1), 1 / (t + 1)),
        "1 / t for both": lambda s, t: (square_weights(s, t)[0], 1 / t),
        "1 + t for the others": lambda s, t: [square_weights(s, t)[0], t + 1],
        "one taken off the other": lambda s, t: (square_weights(s, t)[0] - 1 / (1 + t), 1 / (1 + t)),
    },
    "5.7": {
        "solution": lambda eps, classes: gap_by_listing(eps, classes).mean() / eps,
        "the limit itself": lambda eps, classes: 2,
        "the limit for tiny eps": lambda eps, classes: gap_by_listing(1e-7, classes).mean() / 1e-7,
        "inward": lambda eps, classes: gap_by_listing(eps, classes, -0.5, -0.5).mean() / eps,
        "scattered": lambda eps, classes: gap_by_listing(eps, classes, 0.5, -0.5).mean() / eps,
        "one of two": lambda eps, classes: gap_by_listing(eps, classes, 0.5, 0).mean() / eps,
        "by eps": lambda eps, classes: gap_by_listing(eps, classes, 1, 1).mean() / eps,
        "along the axes": along_the_axes,
        "not divided by eps": lambda eps, classes: gap_by_listing(eps, classes).mean(),
        "divided by eps / 2": lambda eps, classes: gap_by_listing(eps, classes).mean() / (eps / 2),
        "the sum": lambda eps, classes: gap_by_listing(eps, classes).sum() / eps,
        "the sum, not divided by eps": lambda eps, classes: gap_by_listing(eps, classes).sum(),
        "per image": lambda eps, classes: gap_by_listing(eps, classes).sum() / (2 * classes) / eps,
        "turned around": lambda eps, classes: -gap_by_listing(eps, classes).mean() / eps,
        "labels in another order": lambda eps, classes: _outward(
            eps, classes, lambda c, y: (1 + eps / 2) * c[torch.arange(2 * classes).div(2, rounding_mode="floor")]
        ),
        "one-hot": lambda eps, classes: _outward(eps, classes, centroids=torch.eye(classes, dtype=torch.float64)),
        "the bound alone": lambda eps, classes: _outward(eps, classes, loss=lambda x, y: 0.0),
        "1 added": lambda eps, classes: _outward(eps, classes, lambda c, y: 1 + eps * c[y] / 2),
        "back on the sphere": lambda eps, classes: gap_by_listing(eps, classes, normalize=True).mean() / eps,
    },
}


def _bound(z, y, c):
    """As the lesson's loops have it, in tensors."""
    d = torch.cdist(z, c)
    own = d[torch.arange(len(y)), y]
    return own, (d.sum(1) - own) / (len(c) - 1)


def _factor(n, classes):
    return 3 * (classes - 1) * (n / classes - 1) * n / classes


def _mask_with_infinity(z, y, c, n):
    d = torch.cdist(z, c)
    mask = F.one_hot(y, len(c)).bool()
    own, far = d[mask], d.masked_fill(mask, -torch.inf).mean(1)
    return (n.sum() / (len(c) * n[y]) * (3 * own - far)).mean()


def _means_of_batch_as_centroids(z, y, c, n):
    means = torch.stack([z[y == m].mean(0) if (y == m).any() else c[m] for m in range(len(c))])
    own, far = _bound(z, y, means)
    return (n.sum() / (len(c) * n[y]) * (3 * own - far)).mean()


def _shares(z, y, c, n):
    own, far = _bound(z, y, c)
    return ((3 * own - far) * n[y] / n.sum()).sum()


def _nearest_other(z, y, c, n):
    d = torch.cdist(z, c)
    own = d[torch.arange(len(y)), y]
    near = d.masked_fill(F.one_hot(y, len(c)).bool(), torch.inf).min(1).values
    return (n.sum() / (len(c) * n[y]) * (3 * own - near)).mean()


def _outward(eps, classes, images=None, scale=1.0, by=None, centroids=None, loss=None):
    from dmlbook import geometry, losses

    c = geometry.simplex(classes, classes).double() if centroids is None else centroids
    y = torch.arange(classes).repeat(2)
    x = ((1 + eps / 2) * c[y]) if images is None else images(c, y)
    truth = losses.triplet_sum(torch.cdist(x, x), y) if loss is None else loss(x, y)
    gap = losses.centroid_bound_sum(torch.cdist(x, c), y) - truth
    return scale * float(gap) / (losses.count_triplets(y) if by is None else by(classes)) / eps


INVENTED = {
    "5.1": {
        "pairs in the class, times the rest": lambda s, m: (
            s[m] * (s[m] - 1) * (sum(s) - s[m]),
            s[m] * (s[m] - 1) * (sum(s) - s[m]),
            s[m] * sum(r * (r - 1) for r in others(s, m)),
        ),
        "combinations": lambda s, m: as_negative(s, m, sum(math.comb(r, 2) for r in others(s, m))),
        "as in the balanced formula": lambda s, m: [(len(s) - 1) * (sum(s) / len(s)) * (sum(s) / len(s) - 1)] * 3,
        "the same thrice": lambda s, m: dict.fromkeys("apn", (s[m] - 1) * (sum(s) - s[m])),
        "no minus one": lambda s, m: (s[m] * (sum(s) - s[m]),) * 2 + (sum(r * r for r in others(s, m)),),
        "negatives: everybody else": lambda s, m: as_anchor(s, m, (s[m] - 1) * (sum(s) - 1)),
        "who it meets": lambda s, m: (s[m] - 1, s[m] - 1, sum(s) - s[m]),
        "any two of the rest": lambda s, m: as_negative(s, m, (sum(s) - s[m]) * (sum(s) - s[m] - 1)),
        "the sum over all classes": lambda s, m: as_negative(s, m, sum(r * (r - 1) for r in s)),
        "half a pair everywhere": lambda s, m: tuple(count / 2 for count in count_roles(s, m)),
        "positives without order": lambda s, m: (count_roles(s, m)[0], count_roles(s, m)[1] // 2, count_roles(s, m)[2]),
        "two of all the others": lambda s, m: as_negative(s, m, math.perm(sum(s) - s[m], 2)),
        "a negative is a class": lambda s, m: as_anchor(s, m, (s[m] - 1) * (len(s) - 1)),
        "the negative first": lambda s, m: (count_roles(s, m)[2], *count_roles(s, m)[:2]),
        "squares of the others": lambda s, m: as_negative(s, m, sum(r * r for r in others(s, m))),
        "m from one": one_before,
        "all in one number": lambda s, m: sum(count_roles(s, m)),
        "three times the anchor": lambda s, m: (count_roles(s, m)[0],) * 3,
        "positives: anchors alone": lambda s, m: (count_roles(s, m)[0], s[m] - 1, count_roles(s, m)[2]),
        "everybody but itself twice": lambda s, m: as_anchor(s, m, (s[m] - 1) * (sum(s) - s[m] - 1)),
        "N // C everywhere": lambda s, m: ((sum(s) // len(s) - 1) * (len(s) - 1) * (sum(s) // len(s)),) * 3,
        "the toy's formula, with n": lambda s, m: ((len(s) - 1) * s[m] * (s[m] - 1),) * 3,
        "the same pairs in each other class": lambda s, m: as_negative(s, m, (len(s) - 1) * s[m] * (s[m] - 1)),
        "(C - 1) n negatives": lambda s, m: as_anchor(s, m, (len(s) - 1) * s[m] * (s[m] - 1)),
        "other classes' positives": lambda s, m: as_negative(s, m, sum(r - 1 for r in others(s, m))),
    },
    "5.2": {
        "plain mean": lambda z, y, c, n: (3 * _bound(z, y, c)[0] - _bound(z, y, c)[1]).mean(),
        "weighted mean": lambda z, y, c, n: (
            ((3 * _bound(z, y, c)[0] - _bound(z, y, c)[1]) / n[y]).sum() / (1 / n[y]).sum()
        ),
        "a loop over the batch's classes": lambda z, y, c, n: (
            sum((3 * _bound(z, y, c)[0] - _bound(z, y, c)[1])[y == m].mean() for m in set(y.tolist()))
            / len(set(y.tolist()))
        ),
        "masked with infinity": _mask_with_infinity,
        "own included": lambda z, y, c, n: (
            n.sum() / (len(c) * n[y]) * (3 * _bound(z, y, c)[0] - torch.cdist(z, c).sum(1) / (len(c) - 1))
        ).mean(),
        "squares from a product": lambda z, y, c, n: batch_loss(z, y, c, n, "squared"),
        "shares of the set": _shares,
        "the closest other": _nearest_other,
        "own root": lambda z, y, c, n: batch_loss(z, y, c, n, root=True),
        "bincount of the labels": lambda z, y, c, n: (
            len(y) / (len(c) * torch.bincount(y)[y]) * (3 * _bound(z, y, c)[0] - _bound(z, y, c)[1])
        ).mean(),
        "a sum over the batch": lambda z, y, c, n: len(y) * batch_loss(z, y, c, n),
        "two slashes": lambda z, y, c, n: (
            n.sum() // (len(c) * n[y]) * (3 * _bound(z, y, c)[0] - _bound(z, y, c)[1])
        ).mean(),
        "others summed": lambda z, y, c, n: (
            n.sum() / (len(c) * n[y]) * (3 * _bound(z, y, c)[0] - (len(c) - 1) * _bound(z, y, c)[1])
        ).mean(),
        "own detached": lambda z, y, c, n: (
            n.sum() / (len(c) * n[y]) * (3 * _bound(z, y, c)[0].detach() - _bound(z, y, c)[1])
        ).mean(),
        "normalized first": lambda z, y, c, n: batch_loss(F.normalize(z, dim=1), y, c, n),
        "weights before the minus": lambda z, y, c, n: (
            n.sum() / (len(c) * n[y]) * 3 * _bound(z, y, c)[0] - _bound(z, y, c)[1]
        ).mean(),
        "N over n": lambda z, y, c, n: (n.sum() / n[y] * (3 * _bound(z, y, c)[0] - _bound(z, y, c)[1])).mean(),
        "added": lambda z, y, c, n: (n.sum() / (len(c) * n[y]) * (3 * _bound(z, y, c)[0] + _bound(z, y, c)[1])).mean(),
        "one value an image": lambda z, y, c, n: 3 * _bound(z, y, c)[0] - _bound(z, y, c)[1],
        "a float": lambda z, y, c, n: batch_loss(z, y, c, n).item(),
        "(5.7) itself, a sum": lambda z, y, c, n: (
            (3 * _bound(z, y, c)[0] - _bound(z, y, c)[1]) / (len(c) * n[y])
        ).sum(),
        "a loop over all classes, over counts": lambda z, y, c, n: (
            sum((3 * _bound(z, y, c)[0] - _bound(z, y, c)[1])[y == m].sum() / n[m] for m in range(len(c))) / len(c)
        ),
        "unique labels": lambda z, y, c, n: (
            n.sum() / (len(y.unique()) * n[y]) * (3 * _bound(z, y, c)[0] - _bound(z, y, c)[1])
        ).mean(),
        "class means, over all classes": lambda z, y, c, n: (
            sum((3 * _bound(z, y, c)[0] - _bound(z, y, c)[1])[y == m].mean() for m in y.unique()) / len(c)
        ),
        "the largest over n": lambda z, y, c, n: (
            n.max() / n[y] * (3 * _bound(z, y, c)[0] - _bound(z, y, c)[1])
        ).mean(),
    },
    "5.3": {
        "only N put in": lambda z, y, c, n: _factor(n, len(c)) * (_bound(z, y, c)[0] - _bound(z, y, c)[1] / 3).sum(),
        "mean for sum": lambda z, y, c, n: _factor(n, len(c)) * (_bound(z, y, c)[0] - _bound(z, y, c)[1] / 3).mean(),
        "abs": lambda z, y, c, n: abs(_factor(len(y), len(c))) * (_bound(z, y, c)[0] - _bound(z, y, c)[1] / 3).sum(),
        "max with 0": lambda z, y, c, n: (
            max(0, _factor(len(y), len(c))) * (_bound(z, y, c)[0] - _bound(z, y, c)[1] / 3).sum()
        ),
        "no g": lambda z, y, c, n: (_bound(z, y, c)[0] - _bound(z, y, c)[1] / 3).sum(),
        "five point five": lambda z, y, c, n: (3 * _bound(z, y, c)[0] - _bound(z, y, c)[1]).mean(),
        "scaled by n over b": lambda z, y, c, n: (
            n / len(y) * _factor(len(y), len(c)) * (_bound(z, y, c)[0] - _bound(z, y, c)[1] / 3).sum()
        ),
        "batches an epoch, rounded": lambda z, y, c, n: (
            (n // len(y)) * _factor(len(y), len(c)) * (_bound(z, y, c)[0] - _bound(z, y, c)[1] / 3).sum()
        ),
        "triplets times the term": lambda z, y, c, n: (
            n * (n / len(c) - 1) * (n - n / len(c)) * (_bound(z, y, c)[0] - _bound(z, y, c)[1] / 3).mean()
        ),
        "times 3 once more": lambda z, y, c, n: (
            n * _factor(n, len(c)) * (3 * _bound(z, y, c)[0] - _bound(z, y, c)[1]).mean()
        ),
        "a class of the batch, in whole numbers": lambda z, y, c, n: set_sum(z, y, c, n, g=len(y) // len(c) * len(c)),
        "b over n": lambda z, y, c, n: _factor(n, len(c)) * len(y) / n * len(y) * mean_term(z, y, c),
        "M M": lambda z, y, c, n: 3 * (len(c) - 1) * (n / len(c)) ** 2 * n * mean_term(z, y, c),
        "G without 3": lambda z, y, c, n: set_sum(z, y, c, n) / 3,
        "others over C - 1": lambda z, y, c, n: (
            n * _factor(n, len(c)) * (_bound(z, y, c)[0] - _bound(z, y, c)[1]).mean()
        ),
        "N for M": lambda z, y, c, n: 3 * (len(c) - 1) * (n - 1) * n * n * mean_term(z, y, c),
        "classes that are seen": seen_classes,
        "scaled by the cube": lambda z, y, c, n: (n / len(y)) ** 3 * of_batch(z, y, c, n),
        "so many whole batches": lambda z, y, c, n: (
            n // len(y) * _factor(n, len(c)) * (_bound(z, y, c)[0] - _bound(z, y, c)[1] / 3).sum()
        ),
        "others less own": lambda z, y, c, n: -set_sum(z, y, c, n),
        "only the classes seen, in G": lambda z, y, c, n: (
            n * _factor(n, len(y.unique())) * (_bound(z, y, c)[0] - _bound(z, y, c)[1] / 3).mean()
        ),
        "G times the sum over N": lambda z, y, c, n: (
            _factor(n, len(c)) * (_bound(z, y, c)[0] - _bound(z, y, c)[1] / 3).sum() / n
        ),
        "G times the chapter's loss": lambda z, y, c, n: (
            _factor(n, len(c)) * (3 * _bound(z, y, c)[0] - _bound(z, y, c)[1]).mean()
        ),
        "others added": lambda z, y, c, n: (
            n * _factor(n, len(c)) * (_bound(z, y, c)[0] + _bound(z, y, c)[1] / 3).mean()
        ),
        "one place of two": lambda z, y, c, n: (
            3 * (len(c) - 1) * (len(y) / len(c) - 1) * n / len(c) * n * mean_term(z, y, c)
        ),
    },
    "5.4": {
        "squares": lambda c: c * (1 - 2 / (2 * c / (c - 1))),
        "simplex over one-hot": lambda c: c * (math.sqrt(c / (c - 1)) - 1),
        "forgot C": lambda c: 1 - math.sqrt(1 - 1 / c),
        "in percent": lambda c: 100 * c * (1 - math.sqrt(1 - 1 / c)),
        "half": lambda c: 1 / 2,
        "subtracted": lambda c: c * (math.sqrt(2 * c / (c - 1)) - 2**0.5),
        "negative": lambda c: c * (math.sqrt(1 - 1 / c) - 1),
        "the ratio times C": lambda c: c * math.sqrt(1 - 1 / c),
        "root of the top only": lambda c: c * (1 - 2**0.5 / ((2 * c) ** 0.5 / (c - 1))),
        "values of the bound": lambda c: c * (-math.sqrt(2) + math.sqrt(2 * c / (c - 1))) / math.sqrt(2),
        "C - 1 times": lambda c: (c - 1) * (1 - math.sqrt(1 - 1 / c)),
        "two for one-hot": lambda c: c * (1 - 2 / math.sqrt(2 * c / (c - 1))),
        "two slashes": lambda c: c * (1 - math.sqrt(2) / math.sqrt(2 * c // (c - 1))),
        "C + 1 corners": lambda c: c * (1 - math.sqrt(2) / math.sqrt(2 * (c + 1) / c)),
        "minus": lambda c: -c * (1 - math.sqrt(1 - 1 / c)),
        "half of C": lambda c: c / 2 * (1 - math.sqrt(1 - 1 / c)),
        "ordered pairs": lambda c: c * (c - 1) * (1 - math.sqrt(1 - 1 / c)),
        "root of C": lambda c: math.sqrt(c) * (1 - math.sqrt(1 - 1 / c)),
        "the simplex squared": lambda c: c * (1 - math.sqrt(2) * (c - 1) / (2 * c)),
        "against the bound's value": lambda c: c * (1 - math.sqrt(2) / -math.sqrt(2 * c / (c - 1))),
        "one-hot less simplex": lambda c: c * (2**0.5 - math.sqrt(2 * c / (c - 1))),
        "no brackets": lambda c: c * 1 - math.sqrt(2) / math.sqrt(2 * c / (c - 1)),
        "C times the ratio, from 1": lambda c: 1 - c * math.sqrt(1 - 1 / c),
        "squares subtracted": lambda c: c * (2 * c / (c - 1) - 2),
        "rounded": lambda c: round(c * (1 - math.sqrt(1 - 1 / c)), 1),
    },
    "5.6": {
        "as in (5.13)": lambda s, t: (4 + 1 / t, 1 / (1 + t)),
        "one role left out": lambda s, t: (2 + s + 1 / s, 1 / (1 + t)),
        "anchor and negative": lambda s, t: (1 + s + 1 / t, 1 / (1 + t)),
        "not divided at all": lambda s, t: (3 + s + 1 / s + 1 / t, 1),
        "with the sign of the formula": lambda s, t: (2 + s + 1 / s + 1 / t, -1 / (1 + t)),
        "s for t": lambda s, t: (2 + t + 1 / t + 1 / s, 1 / (1 + s)),
        "t as it stands": lambda s, t: (2 + s + 1 / s + t, 1 / (1 + t)),
        "pair order": lambda s, t: [1 / (1 + t), 2 + s + 1 / s + 1 / t],
        "two of (1 + s)": lambda s, t: (2 * (1 + s) + 1 / t, 1 / (1 + t)),
        "a third": lambda s, t: ((2 + s + 1 / s + 1 / t) / 3, 1 / (3 * (1 + t))),
        "canceled wrongly": lambda s, t: (2 + s + 1 / s + 1 / (1 + t), 1 / (1 + t)),
        "others first": lambda s, t: (1 / (1 + t), 2 + s + 1 / s + 1 / t),
        "a negative weight": lambda s, t: (2 + s + 1 / s + 1 / t, -1 / (1 + t)),
        "1 / t": lambda s, t: (2 + s + 1 / s + 1 / t, 1 / t),
        "positive as anchor": lambda s, t: (2 * (1 + s) + 1 / t, 1 / (1 + t)),
        "four": lambda s, t: (4 + 1 / t, 1 / (1 + t)),
        "t, not 1 / t": lambda s, t: (2 + s + 1 / s + t, 1 / (1 + t)),
        "three roles' mean": lambda s, t: ((2 + s + 1 / s + 1 / t) / 3, 1 / (1 + t)),
        "times 1 + t": lambda s, t: (2 + s + 1 / s + 1 / t, 1 + t),
        "their difference": lambda s, t: (2 + s + 1 / s + 1 / t - 1 / (1 + t), 1 / (1 + t)),
    },
    "5.7": {
        "two": lambda eps, classes: 2.0,
        "inwards": lambda eps, classes: _outward(eps, classes, lambda c, y: (1 - eps / 2) * c[y]),
        "a whole eps": lambda eps, classes: _outward(eps, classes, lambda c, y: (1 + eps) * c[y]),
        "added to the coordinates": lambda eps, classes: _outward(eps, classes, lambda c, y: c[y] + eps / 2),
        "not per triplet": lambda eps, classes: _outward(eps, classes, by=lambda c: 1),
        "per image": lambda eps, classes: _outward(eps, classes, by=lambda c: 2 * c),
        "eps forgotten": lambda eps, classes: _outward(eps, classes, scale=eps),
        "with G in the place of the triplets": lambda eps, classes: _outward(
            eps, classes, by=lambda c: _factor(2 * c, c)
        ),
        "from the paper proof": lambda eps, classes: 1.5 + math.sqrt(2 * classes / (classes - 1)) / 4,
        "normalized": lambda eps, classes: _outward(eps, classes, lambda c, y: c[y]),
        "repeated the other way": lambda eps, classes: _outward(
            eps, classes, lambda c, y: (1 + eps / 2) * c.repeat_interleave(2, 0)
        ),
        "plus eps / 2": lambda eps, classes: _outward(eps, classes, lambda c, y: c[y] + eps / 2),
        "axes for centroids": lambda eps, classes: _outward(eps, classes, centroids=torch.eye(classes).double()),
        "the gap itself": lambda eps, classes: _outward(eps, classes, scale=eps),
        "by half of eps": lambda eps, classes: 2 * _outward(eps, classes),
        "for eps to 0": lambda eps, classes: 3 / 2 + math.sqrt(2 * classes / (classes - 1)) / 4,
        "always 2": lambda eps, classes: 2,
        "the sum over triplets": lambda eps, classes: _outward(eps, classes, by=lambda c: 1.0),
        "the bound over eps": lambda eps, classes: _outward(eps, classes, loss=lambda x, y: 0.0),
        "no brackets": lambda eps, classes: _outward(eps, classes, lambda c, y: 1 + eps / 2 * c[y]),
    },
}
