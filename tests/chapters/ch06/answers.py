"""What learners write in chapter 06: a solution of each exercise, and the wrong answers that its check must name."""

import itertools
import math

import torch


def proxy_anchor(s, labels, scale, margin):
    """Literally, proxy by proxy; log1p of exponentials by a running log-sum-exp."""
    return anchor_loop(s, labels, scale, margin)


def soft(terms, one=True):
    """log(1 + sum exp), whatever the size of the terms."""
    terms = [*terms, torch.zeros((), dtype=torch.float64)] if one else terms
    top = max(float(term.detach()) for term in terms)
    return top + torch.log(sum(torch.exp(term - top) for term in terms))


def naive(terms, one=True):
    return torch.log(float(one) + sum(torch.exp(term) for term in terms))


def anchor_loop(
    s, labels, scale, margin, *, log=soft, one=True, plus=1, pushed=lambda y, c: y != c, mean=False, all=False
):
    images, classes = s.shape
    pulls, pushes = [], []
    for c in range(classes):
        near = [-scale * (s[i, c] - margin) for i in range(images) if labels[i] == c]
        far = [scale * (s[i, c] + plus * margin) for i in range(images) if pushed(labels[i], c)]
        if mean:
            near, far = ([term - math.log(len(terms)) for term in terms] for terms in (near, far))
        pulls += [log(near, one)] if near else []
        pushes += [log(far, one)]
    return sum(pulls) / (classes if all else len(pulls)) + sum(pushes) / classes


def image_loop(s, labels, scale, margin, log=soft):
    total = 0.0
    for row, y in zip(s, labels, strict=True):
        total = total + log([-scale * (row[y] - margin)])
        total = total + log([scale * (v + margin) for c, v in enumerate(row) if c != y])
    return total / len(s)


def anchor_answers(log, ending):
    def loop(**chosen):
        return lambda *arguments: anchor_loop(*arguments, log=log, **chosen)

    return {
        f"all proxies in both halves{ending}": loop(all=True),
        f"the 1 forgotten{ending}": loop(one=False),
        f"the margin helps{ending}": loop(plus=-1),
        f"an image as anchor{ending}": lambda *arguments: image_loop(*arguments, log=log),
        f"own images pushed too{ending}": loop(pushed=lambda y, c: True),
        f"the mean over images{ending}": loop(mean=True),
    }


def npairs(anchors, positives):
    """For each anchor, over the other pairs."""
    values = []
    for i, anchor in enumerate(anchors):
        own = anchor @ positives[i]
        values.append(math.log(1 + sum(math.exp(anchor @ p - own) for j, p in enumerate(positives) if j != i)))
    return sum(values) / len(values)


def bugged(anchors, positives):
    s = anchors @ positives.T
    d = (s - s.diag().unsqueeze(1)) * (1 - torch.eye(len(s)))
    return (1 + d.exp().sum(1)).log().mean()


def no_positive(anchors, positives):
    s = anchors @ positives.T
    s_own = s.diag().unsqueeze(1)
    s = s.clone().fill_diagonal_(-torch.inf)
    return (torch.logsumexp(s, 1, keepdim=True) - s_own).mean()


def lengths_1(x):
    return x / x.norm(dim=1, keepdim=True)


def moved(cosine, m):
    theta = math.acos(cosine)
    return math.cos(theta + m) if theta + m <= math.pi else cosine - m * math.sin(m)


def guard(wrong):
    return lambda c, m: c - m * math.sin(m) if math.acos(c) > math.pi - m else wrong(c, m)


def plain_product(c, m):
    return c * math.cos(m)


def in_degrees(c, m):
    return math.cos(math.acos(c) + m * math.pi / 180)


def other_way(c, m):
    return math.cos(math.acos(c) - m)


def of_cosine(c, m):
    return c - m


ANGLES = {
    "a margin of cosine": of_cosine,
    "no sine": plain_product,
    "degrees": in_degrees,
    "the sine's sign": other_way,
}


def exclusive(v):
    return math.log(math.exp(v) - 1)


def count(labels, classes, centers, pairs=itertools.combinations):
    """By listing."""
    images = range(len(labels))
    triplets = sum(
        a != p and labels[a] == labels[p] != labels[n] for a, p, n in itertools.product(images, images, images)
    )
    with_pair = {y for y in labels if labels.count(y) >= 2}
    return {
        "triplets": triplets,
        "pairs": len(list(pairs(images, 2))),
        "npairs": len(list(itertools.product(with_pair, with_pair))),
        "proxies": len(labels) * classes,
        "centers": len(labels) * classes * centers,
    }


def own_positive(labels, classes, centers):
    listed = itertools.product(labels, labels, labels)
    return count(labels, classes, centers) | {"triplets": sum(a == p != n for a, p, n in listed)}


def half(labels, classes, centers):
    found = count(labels, classes, centers)
    return found | {"triplets": found["triplets"] / 2}


def every_class(labels, classes, centers):
    return count(labels, classes, centers) | {"npairs": len(set(labels)) * len(set(labels))}


def negatives_only(labels, classes, centers):
    pairs = sum(labels.count(y) > 1 for y in set(labels))
    return count(labels, classes, centers) | {"npairs": pairs * (pairs - 1)}


def own_class(labels, classes, centers):
    return count(labels, classes, centers) | {"centers": len(labels) * (classes - 1) + len(labels) * centers}


ANSWERS = {
    "6.1": {
        "solution": proxy_anchor,
        "overflow": lambda *arguments: anchor_loop(*arguments, log=naive),
        **anchor_answers(soft, ""),
        **anchor_answers(naive, ", and overflow"),
    },
    "6.2": {
        "solution": npairs,
        "the bug itself": bugged,
        "the symptom": lambda a, p: bugged(a, p) - math.log(2),
        "normalized": lambda a, p: npairs(lengths_1(a), lengths_1(p)),
        "normalized instead": lambda a, p: bugged(lengths_1(a), lengths_1(p)),
        "the own positive nowhere": no_positive,
        "positives as anchors": lambda a, p: npairs(p, a),
    },
    "6.3": {
        "solution": moved,
        "no guard": lambda c, m: c * math.cos(m) - (1 - c * c) ** 0.5 * math.sin(m),
        **{name: guard(wrong) for name, wrong in ANGLES.items()},
        **{f"{name}, and no guard": wrong for name, wrong in ANGLES.items()},
    },
    "6.4": {
        "solution": lambda t, v: (2 / t, exclusive(v)),
        "one over T": lambda t, v: [1 / t, exclusive(v)],
        "upside down": lambda t, v: (0.5 * t, exclusive(v)),
        "softplus again": lambda t, v: (2 / t, math.log(1 + math.exp(v))),
        "the same value": lambda t, v: (2 / t, v),
        "1 subtracted outside": lambda t, v: (2 / t, math.log(math.exp(v)) - 1),
    },
    "6.5": {
        "solution": count,
        "triplets without order": half,
        "its own positive": own_positive,
        "pairs in order": lambda *arguments: count(*arguments, pairs=itertools.permutations),
        "the whole matrix": lambda *arguments: count(*arguments, pairs=lambda i, n: itertools.product(i, i)),
        "every class a pair": every_class,
        "without the own positive": negatives_only,
        "classes of the batch": lambda labels, classes, centers: count(labels, len(set(labels)), centers),
        "centers of the own class": own_class,
    },
}
