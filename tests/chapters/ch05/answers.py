"""What learners write in chapter 05: a solution of each exercise, and the wrong answers that its check must name."""

import itertools
import math

import numpy as np
import torch


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


def itself(sizes, m):
    others = [n for r, n in enumerate(sizes) if r != m]
    return sizes[m] * sum(others), sizes[m] * sum(others), sum(n**2 for n in others)


def itself_as_anchor(sizes, m):
    a, _, n = count_roles(sizes, m)
    others = sum(sizes) - sizes[m]
    return a + others, a + others, n


def term(d, y, own=3.0, power=1, share=None):
    d = [float(v) ** power for v in d]
    rest = [v for m, v in enumerate(d) if m != y]
    return own * d[y] - sum(rest) * (1 / len(rest) if share is None else share(len(d)))


def hinged(d, y, margin, own=2):
    rest = [float(v) for m, v in enumerate(d) if m != y]
    return own * float(d[y]) + sum(max(float(d[y]) - v + margin, 0) for v in rest) / len(rest)


def mean_inside(d, y, margin):
    rest = np.delete(d.numpy(), y)
    return float(2 * d[y] + max(np.mean(float(d[y]) - rest + margin), 0))


def no_hinge(d, y, margin):
    rest = np.delete(d.numpy(), y)
    return float(2 * d[y] + np.mean(float(d[y]) - rest + margin))


def margin_outside(d, y, margin):
    rest = np.delete(d.numpy(), y)
    return float(2 * d[y] + np.mean(np.maximum(float(d[y]) - rest, 0)) + margin)


def all_classes(d, y, margin):
    return float(2 * d[y] + np.mean(np.maximum(float(d[y]) - d.numpy() + margin, 0)))


def whole_in_each(d, y, margin):
    rest = [float(v) for m, v in enumerate(d) if m != y]
    return sum(max(3 * float(d[y]) - v + margin, 0) for v in rest) / len(rest)


def left_in(d, y, margin):
    return float(2 * d[y] + sum((d[y] - v + margin).clamp(min=0) for v in d) / (len(d) - 1))


def whole(d, y, margin):
    return max(term(d, y) + margin, 0)


def gap_by_listing(eps, classes, first=0.5, second=0.5):
    """What each triplet wastes; the two images of each class go outward by these parts of eps."""
    c = np.eye(classes) - 1 / classes
    c /= np.linalg.norm(c, axis=1, keepdims=True)
    images = [(m, (1 + part * eps) * c[m]) for m in range(classes) for part in (first, second)]
    wasted, far = [], lambda a, b: float(np.linalg.norm(a - b))
    for i, j in itertools.permutations(range(2 * classes), 2):
        for k in range(2 * classes):
            (a, x), (b, positive), (n, negative) = images[i], images[j], images[k]
            if a == b and n != a:
                straight = far(x, positive) - far(x, negative)
                wasted.append(far(x, c[a]) - far(x, c[n]) + far(positive, c[a]) + far(negative, c[n]) - straight)
    return np.array(wasted)


def shortfall(c, power=1):
    one_hot, simplex = math.sqrt(2), math.sqrt(2 * c / (c - 1))
    return c * (1 - (one_hot / simplex) ** power)


ANSWERS = {
    "5.1": {
        "solution": count_roles,
        "its own positive": itself,
        "its own positive, as anchor": itself_as_anchor,
        "pairs without order": half_negative,
        "all classes of one size": balanced,
        "negative as often as anchor": lambda sizes, m: [count_roles(sizes, m)[0]] * 3,
    },
    "5.2": {
        "solution": term,
        "the own one among the others": lambda d, y: 3 * d[y] - torch.mean(d),
        "divided by C": lambda d, y: term(d, y, share=lambda c: 1 / c),
        "a sum, not a mean": lambda d, y: term(d, y, share=lambda c: 1),
        "divided by 3 as well": lambda d, y: term(d, y, share=lambda c: 1 / (3 * (c - 1))),
        "a third of it": lambda d, y: term(d, y, own=1, share=lambda c: 1 / (3 * (c - 1))),
        "own weight 1": lambda d, y: term(d, y, own=1),
        "squared": lambda d, y: term(d, y, power=2),
    },
    "5.3": {
        "solution": hinged,
        "the whole in the hinge": whole,
        "the whole in each hinge": whole_in_each,
        "the own one left in the sum": left_in,
        "the hinge of the mean": mean_inside,
        "no hinge": no_hinge,
        "the margin outside": margin_outside,
        "the own one among the others": all_classes,
        "three times the own": lambda d, y, margin: hinged(d, y, margin, own=3),
    },
    "5.4": {
        "solution": lambda s, t: [(1 + s) + (1 + 1 / s) + (1 + 1 / t) / (1 + t), 1 / (1 + t)],
        "the others in full": lambda s, t: ((1 + s) + (1 + 1 / s) + 1 / t, 1),
        "not divided by 1 + t": lambda s, t: ((1 + s) + (1 + 1 / s) + (1 + 1 / t), 1 / (1 + t)),
        "t upside down": lambda s, t: ((1 + s) + (1 + 1 / s) + t, 1 / (1 + 1 / t)),
        "the triangle's weights": lambda s, t: (3, 1),
        "the positive forgotten": lambda s, t: (1 + s + 1 / t, 1 / (1 + t)),
    },
    "5.5": {
        "solution": lambda eps, classes: gap_by_listing(eps, classes).mean() / eps,
        "the limit itself": lambda eps, classes: 2,
        "inward": lambda eps, classes: gap_by_listing(eps, classes, -0.5, -0.5).mean() / eps,
        "scattered": lambda eps, classes: gap_by_listing(eps, classes, 0.5, -0.5).mean() / eps,
        "by eps": lambda eps, classes: gap_by_listing(eps, classes, 1, 1).mean() / eps,
        "not divided by eps": lambda eps, classes: gap_by_listing(eps, classes).mean(),
    },
    "5.6": {
        "solution": shortfall,
        "squared distances": lambda c: shortfall(c, power=2),
        "upside down": lambda c: c * (math.sqrt(2 * c / (c - 1)) / math.sqrt(2) - 1),
        "not multiplied by C": lambda c: shortfall(c) / c,
        "angles": lambda c: c * (1 - 90 / math.degrees(math.acos(-1 / (c - 1)))),
    },
}
