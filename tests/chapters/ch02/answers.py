"""What learners write in chapter 02: a solution of each exercise, and the wrong answers that its check must name.

``INVENTED`` holds more wrong answers, as they would be written, with what is wrong in words.
"""

import math

import numpy as np
import torch
from torch.nn import functional as F

# 2.1 and 2.2: a batch loss


def rows(vectors):
    return vectors / vectors.pow(2).sum(-1, keepdim=True).sqrt()


def cosine_logits(x, w, scale):
    return scale * torch.einsum("bd,cd->bc", rows(x), rows(w))


def literal(logits, labels):
    """The loss image by image; the largest logit is taken out."""
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        top = row.max()
        total = total + top + torch.log(sum(torch.exp(value - top) for value in row)) - row[label]
    return total / len(labels)


def naive(logits, labels):
    e = torch.exp(logits)
    p = e / e.sum(dim=1, keepdim=True)
    return -torch.log(p[torch.arange(len(labels)), labels]).mean()


def frozen(vectors):
    with torch.no_grad():
        length = vectors.norm(dim=1, keepdim=True)
    return vectors / length


def in_place(vectors):
    with torch.no_grad():
        vectors /= vectors.norm(dim=1, keepdim=True)
    return vectors


LOGITS = {
    "embeddings not normalized": lambda x, w, scale: scale * (x @ rows(w).T),
    "centers not normalized": lambda x, w, scale: rows(x) @ w.T * scale,
    "nothing normalized": lambda x, w, scale: (scale * x) @ w.T,
    "the scale lost": lambda x, w, scale: rows(x) @ rows(w).T,
    "the scale divides": lambda x, w, scale: rows(x) @ rows(w).T / scale,
    "the scale twice": lambda x, w, scale: (scale * rows(x)) @ (scale * rows(w)).T,
    "columns normalized": lambda x, w, scale: scale * (x / x.norm(dim=0)) @ (w / w.norm(dim=0)).T,
    "one length for all": lambda x, w, scale: scale * x @ w.T / (torch.linalg.norm(x) * torch.linalg.norm(w)),
    "squared lengths": lambda x, w, scale: scale * x @ w.T / (x * x).sum(1)[:, None] / (w * w).sum(1)[None],
    "lengths held constant": lambda x, w, scale: scale * frozen(x) @ frozen(w).T,
    "centers held constant": lambda x, w, scale: scale * rows(x) @ rows(w.data).T,
    "squared distances": lambda x, w, scale: -scale * (rows(x)[:, None] - rows(w)[None]).pow(2).sum(-1),
    "distances": lambda x, w, scale: -scale * (rows(x)[:, None] - rows(w)[None]).norm(dim=-1),
    "lengths changed in place": lambda x, w, scale: scale * in_place(x) @ in_place(w).T,
    "the root of the scale": lambda x, w, scale: (scale**0.5 * rows(x)) @ rows(w).T,
    "a scale of its own": lambda x, w, scale: 20 * rows(x) @ rows(w).T,
    "softmax twice": lambda x, w, scale: F.softmax(cosine_logits(x, w, scale), dim=-1),
}


def probabilities(logits, y):
    return torch.softmax(logits, 1)[torch.arange(len(y)), y]


def others_only(logits, y):
    total = 0.0
    for row, label in zip(logits, y, strict=True):
        total = total + torch.logsumexp(torch.cat([row[:label], row[label + 1 :]]), 0) - row[label]
    return total / len(y)


def others_only_naive(logits, y):
    own = torch.arange(logits.shape[1]) == y[:, None]
    return -torch.log(logits.exp()[own] / (logits.exp() * ~own).sum(1)).mean()


def class_by_class(logits, y, one=literal):
    found = {}
    for row, label in zip(logits, y.tolist(), strict=True):
        found.setdefault(label, []).append(one(row[None], torch.tensor([label])))
    return sum(sum(losses) / len(losses) for losses in found.values()) / len(found)


def one_maximum(logits, y):
    top = max(value for row in logits for value in row)
    shifted = logits - top
    return (torch.log(torch.exp(shifted).sum(1)) - shifted[range(len(y)), y]).mean()


def expected_violation(logits, y, p):
    total = 0.0
    for row, weights, label in zip(logits, p, y, strict=True):
        total = total + weights @ (row - row[label])
    return total / len(y)


LOSSES = {
    "sum over the batch": lambda logits, y: F.cross_entropy(logits, y, reduction="sum"),
    "one loss an image": lambda logits, y: F.cross_entropy(logits, y, reduction="none"),
    "a plain number": lambda logits, y: F.cross_entropy(logits, y).item(),
    "divided by the classes": lambda logits, y: F.cross_entropy(logits, y, reduction="sum") / logits.size(1),
    "mean over images and classes": lambda logits, y: -(F.one_hot(y, logits.shape[1]) * logits.log_softmax(1)).mean(),
    "down the batch": lambda logits, y: -torch.stack([logits.log_softmax(0)[i, c] for i, c in enumerate(y)]).mean(),
    "own class left out": others_only,
    "without keepdim": lambda logits, y: torch.logsumexp(logits - logits[range(len(y)), y], dim=1).mean(),
    "no logarithm": lambda logits, y: -probabilities(logits, y).mean(),
    "one minus the probability": lambda logits, y: (1 - probabilities(logits, y)).mean(),
    "logarithm of the mean": lambda logits, y: -torch.log(probabilities(logits, y).mean()),
    "sign turned around": lambda logits, y: logits.log_softmax(1)[torch.arange(len(y)), y].mean(),
    "no denominator": lambda logits, y: -logits[torch.arange(len(y)), y].mean(),
    "only the hardest": lambda logits, y: (logits.max(1).values - logits[torch.arange(len(y)), y]).mean(),
    "class by class": class_by_class,
    "the maximum of the batch": one_maximum,
    "without the entropy": lambda logits, y: expected_violation(logits, y, torch.softmax(logits, 1)),
    "fixed weights and no entropy": lambda logits, y: expected_violation(logits, y, torch.softmax(logits.detach(), 1)),
    "the largest not added back": lambda logits, y: torch.stack(
        [(row - row.max()).exp().sum().log() for row in logits]
    ).mean(),
    "violations turned around": lambda logits, y: torch.stack(
        [torch.logsumexp(row[label] - row, 0) for row, label in zip(logits, y, strict=True)]
    ).mean(),
    "base 2": lambda logits, y: F.cross_entropy(logits, y) * 1.4427,
}
NAIVE = {
    "class by class": lambda logits, y: class_by_class(logits, y, naive),
    "sum over the batch": lambda logits, y: naive(logits, y) * len(y),
    "one loss an image": lambda logits, y: -torch.log((logits.exp() / logits.exp().sum(1, True))[range(len(y)), y]),
    "a plain number": lambda logits, y: float(naive(logits, y).detach()),
    "divided by the classes": lambda logits, y: naive(logits, y) * len(y) / logits.shape[1],
    "mean over images and classes": lambda logits, y: naive(logits, y) / logits.shape[1],
    "down the batch": lambda logits, y: -torch.log((logits.exp() / logits.exp().sum(0))[range(len(y)), y]).mean(),
    "own class left out": others_only_naive,
    "without keepdim": lambda logits, y: (logits - logits[range(len(y)), y]).exp().sum(dim=1).log().mean(),
    "no logarithm": lambda logits, y: -(logits.exp() / logits.exp().sum(1, True))[range(len(y)), y].mean(),
    "one minus the probability": lambda logits, y: (
        1 - (logits.exp() / logits.exp().sum(1, True))[range(len(y)), y].mean()
    ),
    "logarithm of the mean": lambda logits, y: (
        -(logits.exp() / logits.exp().sum(1, True))[range(len(y)), y].mean().log()
    ),
    "sign turned around": lambda logits, y: -naive(logits, y),
    "base 2": lambda logits, y: -torch.log2((logits.exp() / logits.exp().sum(1, True))[range(len(y)), y]).mean(),
}
FINITE = {
    "the scale lost",
    "the scale divides",
    "one length for all",
    "squared distances",
    "distances",
    "softmax twice",
    "a scale of its own",
    "the root of the scale",
}


def of(logits, loss):
    return lambda x, centers, labels, scale: loss(logits(x, centers, scale), labels)


def typed_in(x, w, y, scale, most=math.inf):
    """(2.3), image by image, with exponents of at most ``most``."""
    total = 0.0
    for row, label in zip(cosine_logits(x, w, scale), y, strict=True):
        total = total + torch.log(sum(torch.exp((value - row[label]).clamp(max=most)) for value in row))
    return total / len(y)


def loss_answers(*names):
    """Each fault, and the same with exponentials that overflow."""
    found = {"solution": of(cosine_logits, literal), "overflow": of(cosine_logits, naive)}
    found |= {"overflow of the violations": typed_in, "exponents cut off": lambda *given: typed_in(*given, most=700)}
    for name in names:
        if name == "divided by the scale":
            found[name] = lambda x, w, y, scale: literal(cosine_logits(x, w, scale), y) / scale
            found[f"{name}, and overflow"] = lambda x, w, y, scale: naive(cosine_logits(x, w, scale), y) / scale
            continue
        found[name] = of(LOGITS[name], literal) if name in LOGITS else of(cosine_logits, LOSSES[name])
        if name in LOGITS or name in NAIVE:
            slow = of(LOGITS[name], naive) if name in LOGITS else of(cosine_logits, NAIVE[name])
            found |= {f"{name}, and overflow": slow} if name not in FINITE else {}
    return found


def unit(vector):
    """A vector, given as a list, of length 1."""
    length = sum(value**2 for value in vector) ** 0.5
    return [value / length for value in vector]


def at_scale_one(image, centers, label, stretched):
    """The loss of one image that is stretched before its length is divided out, coordinate by coordinate."""
    point = unit([stretched * value for value in image])
    powers = [math.e ** sum(a * b for a, b in zip(point, unit(list(c)), strict=True)) for c in centers]
    return -torch.log(powers[label] / sum(powers))


def swallowed(x, centers, labels, scale, factor=1.0, less=0.0):
    """The mean over the images of ``factor`` times the loss of each, ``less`` something."""
    total = 0.0
    for image, label in zip(x, labels, strict=True):
        total = total + factor * at_scale_one(image, centers, label, scale) - less
    return total / len(x)


def floor_at_one(classes):
    """The loss of an image on its center, and of others at the cosine that sums to 0 with it."""
    powers = [math.e] + [math.e ** (-1 / (classes - 1))] * (classes - 1)
    return -math.log(powers[0] / sum(powers))


def columns_of_all(x, w, y, scale):
    lengths = sum(v**2 for v in [*x, *w]) ** 0.5  # (D,)
    return literal(scale * (x / lengths) @ (w / lengths).T, y)


# 2.3 and 2.4


def stable(similarities, label, scale):
    v = similarities - similarities[label]
    return torch.log(torch.exp(scale * (v - v.max())).sum())


def overflowing(similarities, label, scale):
    v = similarities - similarities[label]
    return torch.log(torch.sum(torch.exp(scale * v))) - scale * torch.max(v)


def in_python(similarities, label, scale):
    v = [float(s - similarities[label]) for s in similarities]
    return math.log(sum(math.exp(scale * value) for value in v)) - scale * max(v)


def without_own_maximum(similarities, label, scale):
    v = similarities - similarities[label]
    others = torch.cat([v[:label], v[label + 1 :]])
    return torch.logsumexp(scale * v, 0) - scale * others.max()


def left_out(similarities, label):
    v = similarities - similarities[label]
    return torch.cat([v[:label], v[label + 1 :]])


def without_own(similarities, label, scale):
    return stable(left_out(similarities, label), 0, scale)


def without_own_term(similarities, label, scale):
    v = left_out(similarities, label)
    return torch.logsumexp(scale * v, 0) - scale * max(float(v.max()), 0.0)


def without_own_term_naive(similarities, label, scale):
    v = left_out(similarities, label)
    return torch.log(torch.exp(scale * v).sum()) - scale * max(float(v.max()), 0.0)


def loss_of(similarities, label, scale):
    return F.cross_entropy(scale * similarities[None], torch.tensor([label]))


def solve(num_classes, target, margin):
    return np.log((num_classes - 1) / (np.exp(target) - 1)) / margin


def next_whole(num_classes, target):
    scale = 1
    while math.log1p((num_classes - 1) * math.exp(-scale * num_classes / (num_classes - 1))) > target:
        scale += 1
    return scale


# 2.6


def point(degrees):
    return (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))


def five(delta, eps, sense=1, turn=None, tilted=None):
    """In degrees, as a learner with a protractor would; ``tilted`` are the angles of the two centers."""
    half = math.degrees(math.asin(delta / 2))
    own, other = (90 - half, 270 - half) if tilted is None else tilted
    turn = sense * 2 * math.degrees(math.asin(eps / 2)) if turn is None else turn
    return (point(0), point(own), point(other), point(own + turn), point(other + turn))


def straight(delta, eps):
    own, other = five(delta, eps)[1:3]
    return ((1.0, 0.0), own, other, (own[0] - eps, own[1]), (other[0] + eps, other[1]))


def examples_first(delta, eps):
    image, own, other, near_own, near_other = five(delta, eps)
    return [image, own, near_own, other, near_other]


def both_turned(delta, eps):
    d, t = math.asin(delta / 2), 2 * math.asin(eps / 2)
    angles = (0, math.pi / 2 - d, -math.pi / 2 - d, math.pi / 2 - d + t, -math.pi / 2 - d - t)
    return [torch.tensor([math.cos(a), math.sin(a)]) for a in angles]


def half_turn(delta, eps):
    d, t = math.asin(delta / 2), math.asin(eps / 2)
    angles = (0, math.pi / 2 - d, -math.pi / 2 - d, math.pi / 2 - d + t, -math.pi / 2 - d + t)
    return [torch.tensor([math.cos(a), math.sin(a)]) for a in angles]


def in_degrees(*angles):
    return [[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in angles]


def mirrored(delta, eps):
    """Both centers above, the other one at a right angle more."""
    own = math.degrees(math.acos(delta))
    t = 2 * math.degrees(math.asin(eps / 2))
    return in_degrees(0, own, 90, own + t, 90 - t)


def printed_case(delta, eps):
    t = math.degrees(math.asin(eps / 2))
    return in_degrees(0, 90 - t, -(90 + t), 90 + t, -(90 - t))


def full_tilt(delta, eps):
    """Tilted by arcsin(delta), not of its half."""
    d, t = math.degrees(math.asin(delta)), 2 * math.degrees(math.asin(eps / 2))
    return in_degrees(0, 90 - d, 270 - d, 90 - d + t, 270 - d + t)


def straight_down(delta, eps):
    image, own, other, _, _ = five(delta, eps)
    return [image, own, other, (own[0], own[1] - eps), (other[0], other[1] + eps)]


def pulled_to_length(delta, eps):
    image, own, other, near_own, near_other = straight(delta, eps)
    return [image, own, other, *(np.array(p) / np.linalg.norm(p) for p in (near_own, near_other))]


def by_vectors(delta, eps, sense=-1):
    """With coordinates instead of angles: each center moved along its tangent, and brought back to length 1."""
    image, own, other, _, _ = five(delta, eps)
    step = math.tan(2 * math.asin(eps / 2))
    moved = [np.array(p) + step * np.array([-p[1], p[0]]) * s for p, s in ((own, 1), (other, sense))]
    return [image, own, other, *(p / np.linalg.norm(p) for p in moved)]


def chord_as_step(delta, eps):
    """A step of eps at right angles to the center, back to the circle."""
    image, own, other, _, _ = five(delta, eps)
    moved = [np.array(p) + eps * np.array([-p[1], p[0]]) for p in (own, other)]
    return [image, own, other, *(p / np.linalg.norm(p) for p in moved)]


def tilted_twice(delta, eps):
    """Each center is given the whole margin."""
    tilt = math.degrees(math.acos(delta))
    return five(delta, eps, tilted=(tilt, 180 + tilt))


ANSWERS = {
    "2.1": loss_answers(*LOGITS, *LOSSES, "divided by the scale"),
    "2.2": loss_answers(
        "embeddings not normalized",
        "centers not normalized",
        "nothing normalized",
        "the scale divides",
        "the scale twice",
        "the root of the scale",
        "a scale of its own",
        "columns normalized",
        "divided by the scale",
        "sum over the batch",
        "no logarithm",
        "softmax twice",
        "lengths held constant",
        "a plain number",
    )
    | {
        "the bug itself": swallowed,
        "the loss times the scale": lambda x, w, y, scale: swallowed(x, w, y, scale, factor=scale),
        "the floor subtracted": lambda x, w, y, scale: swallowed(x, w, y, scale, less=floor_at_one(len(w))),
        "columns of both": columns_of_all,
    },
    "2.3": {
        "solution": stable,
        "overflow": overflowing,
        "the gap itself": lambda s, label, scale: stable(s, label, scale) / scale,
        "own class left out of the maximum": without_own_maximum,
        "own class left out": without_own,
        "own class left out of the sum": without_own_term,
        "own class left out, and overflow": without_own_term_naive,
        "the largest similarity": lambda s, label, scale: loss_of(s, label, scale) - scale * s.max(),
        "the own similarity": loss_of,
        "the own similarity only once": lambda s, label, scale: (
            torch.logsumexp(scale * s, 0) - scale * (s - s[label]).max()
        ),
        "lambda forgotten": lambda s, label, scale: torch.exp(s - s.max()).sum().log(),
        "violations turned around": lambda s, label, scale: stable(s[label] - s, 0, scale),
        "exponents cut off": lambda s, label, scale: torch.logsumexp(
            (cut := (scale * (s - s[label])).clamp(max=700)) - cut.max(), 0
        ),
        "the hardest not times the scale": lambda s, label, scale: loss_of(s, label, scale) - (s - s[label]).max(),
        "sign turned around": lambda s, label, scale: scale * (s - s[label]).max() - loss_of(s, label, scale),
        "the limit": lambda s, label, scale: math.log(sum(float(x) == float(max(s)) for x in s)),
        "the own class twice": lambda s, label, scale: torch.log(1 + torch.exp(scale * (s - max(s))).sum()),
        "cut off at 0": lambda s, label, scale: stable(torch.stack([max(t, s[label]) for t in s]), label, scale),
        "the mean of the terms": lambda s, label, scale: torch.exp(scale * (s - s.max())).mean().log(),
        "no logarithm": lambda s, label, scale: torch.exp(scale * (s - torch.max(s))).sum(),
    },
    "2.4": {
        "solution": lambda num_classes, target: solve(num_classes, target, num_classes / (num_classes - 1)),
        "centers at right angles": lambda num_classes, target: solve(num_classes, target, 1),
        "opposite centers": lambda num_classes, target: solve(num_classes, target, 2),
        "one other class": lambda num_classes, target: (
            -math.log(math.exp(target) - 1) * (num_classes - 1) / num_classes
        ),
        "e^target": lambda num_classes, target: (math.log(num_classes - 1) - target) * (num_classes - 1) / num_classes,
        "the target itself": lambda c, target: (math.log(c - 1) - math.log(target)) * (c - 1) / c,
        "upside down": lambda c, target: solve(c, target, (c - 1) / c),
        "all classes": lambda c, target: -math.log((math.exp(target) - 1) / c) * (1 - 1 / c),
        "sign turned around": lambda c, target: math.log((math.exp(target) - 1) / (c - 1)) * (c - 1) / c,
        "the exponential left out": lambda c, target: (c - 1) ** 2 / c / (math.exp(target) - 1),
        "whole numbers": next_whole,
        "the cosine with the wrong sign": lambda c, target: solve(c, target, 1 - 1 / (c - 1)),
        "logarithm of a part": lambda c, target: np.log(c - 1) / (np.exp(target) - 1) * (c - 1) / c,
        "the bound of the gap": lambda c, target: np.log(c) / target,
        "right angles, one other class": lambda c, target: -math.log(math.exp(target) - 1),
        "right angles, e^target": lambda c, target: math.log(c - 1) - target,
    },
    "2.6": {
        "solution": five,
        "off the sphere": straight,
        "angle instead of distance": lambda delta, eps: five(delta, eps, turn=math.degrees(eps)),
        "the good direction": lambda delta, eps: five(delta, eps, sense=-1),
        "half the angle": half_turn,
        "straight on, and back to the circle": pulled_to_length,
        "one example the good way": both_turned,
        "tilted by the whole margin": full_tilt,
        "one center does it all": lambda delta, eps: five(delta, eps, tilted=(math.degrees(math.acos(delta)), 270)),
        "the case of margin eps": lambda delta, eps: five(eps, eps),
        "examples on their centers": lambda delta, eps: five(delta, eps, turn=0),
        "order of the five": examples_first,
    },
}


# More wrong answers, as they would be written


def vectors(x, w):
    return F.normalize(x), F.normalize(w)


def picked_columns(x, w, y, scale):
    x, w = vectors(x, w)
    s = x @ w.T
    own = s[torch.arange(len(y)), y]
    return torch.logsumexp(scale * (s - own), 1).mean()


def nll_of_probabilities(x, w, y, scale):
    x, w = vectors(x, w)
    return F.nll_loss(torch.log(torch.softmax(scale * x @ w.T, dim=1)), y)


def nll_without_logarithm(x, w, y, scale):
    x, w = vectors(x, w)
    return F.nll_loss(torch.softmax(scale * x @ w.T, dim=1), y)


def transposed_softmax(x, w, y, scale):
    x, w = vectors(x, w)
    p = torch.log_softmax(scale * w @ x.T, dim=1)  # (C, B)
    return -p[y, torch.arange(len(y))].mean()


def hinge_in_it(x, w, y, scale):
    x, w = vectors(x, w)
    s = x @ w.T
    return torch.logsumexp(scale * (s - s.gather(1, y[:, None])).clamp(min=0), 1).mean()


def both_at_once(x, w, labels, scale):
    both = F.normalize(scale * torch.cat([x, w]), dim=1)
    return F.cross_entropy(both[: len(x)] @ both[len(x) :].T, labels)


def rest_of_softmax(s, label, scale):
    v = s - s[label]
    return -torch.log(torch.softmax(scale * s, 0)[label]) - scale * v.max()


def rest_float(s, label, scale):
    v = (s - s[label]).numpy()
    return float(np.log(np.sum(np.exp(scale * (v - v.max())))) / scale)


def rest_squared(s, label, scale):
    v = s - s[label]
    return torch.logsumexp(scale * (v - v.max()), 0) - torch.logsumexp(v - v.max(), 0)


def other_maximum_taken_out(s, label, scale):
    others = left_out(s, label)
    return torch.log(torch.exp(scale * (others - others.max())).sum())


def batch_maximum(x, w, y, scale):
    x, w = vectors(x, w)
    z = scale * x @ w.T
    z = z - z.max()
    return (z.exp().sum(1).log() - z[torch.arange(len(y)), y]).mean()


def loss_of_classes(x, w, y, scale):
    x, w = vectors(x, w)
    each = F.cross_entropy(scale * x @ w.T, y, reduction="none")
    return torch.stack([each[y == label].mean() for label in set(y.tolist())]).mean()


def divided_in_place(x, w, y, scale):
    with torch.no_grad():
        x /= x.norm(dim=1, keepdim=True)
        w /= w.norm(dim=1, keepdim=True)
    return F.cross_entropy(scale * x @ w.T, y)


def probability_of_no_less(x, w, y, scale):
    x, w = vectors(x, w)
    p = (scale * x @ w.T).softmax(1)
    return -(p[torch.arange(len(y)), y] + 1e-8).log().mean()


def cut_at_80(x, w, y, scale):
    x, w = vectors(x, w)
    z = (scale * x @ w.T).clamp(max=80)
    return (z.exp().sum(1).log() - z[torch.arange(len(y)), y]).mean()


def own_set_to_nothing(x, w, y, scale):
    x, w = vectors(x, w)
    z = scale * x @ w.T
    own = z.gather(1, y[:, None])[:, 0]
    return (z.scatter(1, y[:, None], -torch.inf).logsumexp(1) - own).mean()


def as_in_the_text(x, w, y, scale):
    x, w = vectors(x, w)
    v = x @ w.T - (x * w[y]).sum(1, keepdim=True)
    return torch.log(torch.exp(scale * v).sum(1)).mean()


def log_of_softmax(x, w, y, scale):
    x, w = vectors(x, w)
    return -torch.log(torch.softmax(scale * x @ w.T, 1)[torch.arange(len(y)), y]).mean()


def row_maximum_then_ratio(x, w, y, scale):
    x, w = vectors(x, w)
    z = scale * x @ w.T
    q = torch.exp(z - z.max(1, keepdim=True).values)
    return -torch.log(q[torch.arange(len(y)), y] / q.sum(1)).mean()


def cut_at_700(x, w, y, scale):
    x, w = vectors(x, w)
    z = scale * x @ w.T
    return torch.log(torch.exp((z - z.gather(1, y[:, None])).clamp(max=700)).sum(1)).mean()


def mean_by_p(x, w, y, scale):
    x, w = vectors(x, w)
    z = scale * x @ w.T
    return (torch.softmax(z, 1) * (z - z.gather(1, y[:, None]))).sum(1).mean()


def limit_from_100_on(s, label, scale):
    v = s - s[label]
    if scale > 100:
        return torch.log((v == v.max()).sum().double())
    return torch.log(torch.exp(scale * v).sum()) - scale * v.max()


def both_cut_at(most):
    return lambda s, label, scale: (
        torch.log(torch.exp((scale * (s - s[label])).clamp(max=most)).sum())
        - (scale * (s - s[label]).max()).clamp(max=most)
    )


UNSTABLE = {
    "(2.3) typed in": as_in_the_text,
    "the logarithm of the softmax": log_of_softmax,
    "each row's maximum, then a ratio": row_maximum_then_ratio,
    "violations cut at 700": cut_at_700,
}


def both_by_columns(x, w, y, scale):
    x, w = F.normalize(torch.cat([x, w]), dim=0).split([len(x), len(w)])
    return F.cross_entropy(scale * x @ w.T, y)


def split_the_other_way(x, w, y, scale):
    w, x = F.normalize(torch.cat([x, w])).split([len(x), len(w)])
    return F.cross_entropy(scale * x @ w.T, y)


def without_gradient(x, w, y, scale):
    with torch.no_grad():
        x, w = vectors(x, w)
    return F.cross_entropy(scale * x @ w.T, y)


def bounded_exponents(s, label, scale):
    v = s - s[label]
    return torch.logsumexp((scale * v).clamp(max=700), 0) - scale * v.max()


def on_a_grid(c, t):
    scale = 0.0
    while math.log(1 + (c - 1) * math.exp(-scale * c / (c - 1))) > t:
        scale += 0.01
    return scale


def next_integer(c, t):
    scale = 1
    while math.log(1 + (c - 1) * math.exp(-scale * c / (c - 1))) > t:
        scale += 1
    return float(scale)


def searched_up_to_20(c, t):
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.log1p((c - 1) * math.exp(-middle * c / (c - 1))) > t else (low, middle)
    return high


INVENTED = {
    "2.1": {
        "own similarities subtracted along the columns": picked_columns,
        "logarithm of a softmax": nll_of_probabilities,
        "nll_loss of probabilities": nll_without_logarithm,
        "centers down, images across": transposed_softmax,
        "the hinge of the triplet loss kept": hinge_in_it,
        "only the embeddings normalized": lambda x, w, y, scale: F.cross_entropy(scale * F.normalize(x) @ w.T, y),
        "cdist instead of cosines": lambda x, w, y, scale: F.cross_entropy(
            -scale * torch.cdist(*vectors(x, w)) ** 2, y
        ),
        "scale as a temperature": lambda x, w, y, scale: F.cross_entropy(
            vectors(x, w)[0] @ vectors(x, w)[1].T / scale, y
        ),
        "cosine_similarity without scale": lambda x, w, y, scale: F.cross_entropy(
            F.cosine_similarity(x[:, None], w[None], dim=-1), y
        ),
        "a python sum": lambda x, w, y, scale: sum(
            F.cross_entropy(scale * F.cosine_similarity(image[None], w), label)
            for image, label in zip(x, y, strict=True)
        ),
        "one maximum for the batch": batch_maximum,
        "the mean of the classes' means": loss_of_classes,
        "divided in place, without gradient": divided_in_place,
        "1e-8 added to the probability": probability_of_no_less,
        "logits cut at 80": cut_at_80,
        "minus infinity in the own column": own_set_to_nothing,
        "w.detach()": lambda x, w, y, scale: F.cross_entropy(scale * F.normalize(x) @ F.normalize(w.detach()).T, y),
        "divided by the squared lengths": lambda x, w, y, scale: F.cross_entropy(
            scale * (x / (x**2).sum(1, keepdim=True)) @ (w / (w**2).sum(1, keepdim=True)).T, y
        ),
        "norm() of the matrix": lambda x, w, y, scale: F.cross_entropy(scale * (x / x.norm()) @ (w / w.norm()).T, y),
        "the weighted mean of the violations": mean_by_p,
        **UNSTABLE,
        "cross_entropy of a softmax": lambda x, w, y, scale: F.cross_entropy(
            (scale * F.normalize(x) @ F.normalize(w).T).softmax(1), y
        ),
    },
    "2.2": {
        "the factor put on the centers": lambda x, w, y, scale: F.cross_entropy(rows(x) @ rows(scale * w).T, y),
        "the factor on both": both_at_once,
        "the factor in front of the loss": lambda x, w, y, scale: scale * F.cross_entropy(rows(x) @ rows(w).T, y),
        "no normalizing of x, to keep the factor": lambda x, w, y, scale: F.cross_entropy((scale * x) @ rows(w).T, y),
        "no normalizing at all": lambda x, w, y, scale: F.cross_entropy(scale * x @ w.T, y),
        "normalized, then both times the scale": lambda x, w, y, scale: F.cross_entropy(
            (scale * rows(x)) @ (scale * rows(w)).T, y
        ),
        "a temperature": lambda x, w, y, scale: F.cross_entropy(rows(x) @ rows(w).T / scale, y),
        "dim=0": lambda x, w, y, scale: F.cross_entropy(scale * F.normalize(x, dim=0) @ F.normalize(w, dim=0).T, y),
        "rewritten by hand": lambda x, w, y, scale: naive(cosine_logits(x, w, scale), y),
        "a larger factor inside": lambda x, w, y, scale: F.cross_entropy(rows(100 * scale * x) @ rows(w).T, y),
        "columns, images and centers together": both_by_columns,
        "the two halves exchanged": split_the_other_way,
        "under no_grad": without_gradient,
        "the root of it on the images": lambda x, w, y, scale: F.cross_entropy(
            math.sqrt(scale) * rows(x) @ rows(w).T, y
        ),
        "always 20": lambda x, w, y, scale: F.cross_entropy(20.0 * rows(x) @ rows(w).T, y),
        "nll_loss of a softmax": lambda x, w, y, scale: F.nll_loss((scale * rows(x) @ rows(w).T).softmax(1), y),
        "images alone": lambda x, w, y, scale: F.cross_entropy(scale * rows(x) @ w.T, y),
        "the factor on the centers alone": lambda x, w, y, scale: F.cross_entropy(rows(x) @ (scale * w).T, y),
        "a sum": lambda x, w, y, scale: F.cross_entropy(scale * rows(x) @ rows(w).T, y, reduction="sum"),
        **UNSTABLE,
        "softmax before cross_entropy": lambda x, w, y, scale: F.cross_entropy(
            (scale * rows(x) @ rows(w).T).softmax(1), y
        ),
    },
    "2.3": {
        "math.exp": in_python,
        "through the probability": rest_of_softmax,
        "the gap, in numpy": rest_float,
        "the rest at scale 1 subtracted": rest_squared,
        "other classes only, and their maximum": other_maximum_taken_out,
        "the loss": lambda s, label, scale: torch.logsumexp(scale * (s - s[label]), 0),
        "lambda forgotten before h": lambda s, label, scale: loss_of(s, label, scale) - max(s - s[label]),
        "the count of ties": lambda s, label, scale: torch.exp(stable(s, label, scale)),
        "the logarithm of the count of ties": lambda s, label, scale: torch.log(torch.isclose(s, s.max()).sum()),
        "h minus the loss": lambda s, label, scale: -stable(s, label, scale),
        "log1p of the sum": lambda s, label, scale: torch.log1p(torch.exp(scale * (s - s.max())).sum()),
        "clamped violations": lambda s, label, scale: stable((s - s[label]).clamp(min=0), label, scale),
        "a mean for the sum": lambda s, label, scale: torch.exp(scale * (s - s.max())).mean().log(),
        "exponents of 700 at most": bounded_exponents,
        "the own entry cut out": lambda s, label, scale: stable(torch.cat([s[:label], s[label + 1 :]]), 0, scale),
        "the gap": lambda s, label, scale: torch.logsumexp(scale * (s - s.max()), 0) / scale,
        "cross_entropy": lambda s, label, scale: F.cross_entropy((scale * s)[None], torch.tensor([label])),
        "logsumexp without lambda behind": lambda s, label, scale: (
            torch.logsumexp(scale * (s - s[label]), 0) - (s - s[label]).max()
        ),
        "the number of ties": lambda s, label, scale: (s == s.max()).sum().double().log(),
        "both cut at 80": both_cut_at(80.0),
        "both cut at 700": both_cut_at(700.0),
        "the limit from a scale of 100 on": limit_from_100_on,
        "the sum itself": lambda s, label, scale: torch.exp(scale * (s - s.max())).sum(),
    },
    "2.4": {
        "margin 1": lambda c, t: math.log(c - 1) - math.log(math.exp(t) - 1),
        "margin 2": lambda c, t: 0.5 * (math.log(c - 1) - math.log(math.exp(t) - 1)),
        "the - 1 forgotten": lambda c, t: (c - 1) / c * math.log((c - 1) * math.exp(-t)),
        "C for C - 1": lambda c, t: (c - 1) / c * math.log(c / (math.exp(t) - 1)),
        "the fraction turned": lambda c, t: c / (c - 1) * math.log((c - 1) / (math.exp(t) - 1)),
        "minus lost": lambda c, t: (c - 1) / c * math.log((math.exp(t) - 1) / (c - 1)),
        "two classes": lambda c, t: -math.log(math.exp(t) - 1) / 2,
        "target for e^target - 1": lambda c, t: (c - 1) / c * math.log((c - 1) / t),
        "C - 1 forgotten": lambda c, t: (c - 1) / c * math.log(1 / (math.exp(t) - 1)),
        "no logarithm": lambda c, t: (c - 1) / c * ((c - 1) / (math.exp(t) - 1)),
        "steps of 0.01": on_a_grid,
        "the next integer": next_integer,
        "a search up to 20": searched_up_to_20,
        "the cosine subtracted": lambda c, t: math.log((c - 1) / math.expm1(t)) / (1 - 1 / (c - 1)),
        "the bracket closed too early": lambda c, t: (c - 1) / c * math.log(c - 1) / math.expm1(t),
        "log C over the target": lambda c, t: math.log(c) / t,
        "integer division": lambda c, t: (c - 1) // c * math.log((c - 1) / math.expm1(t)),
        "log10": lambda c, t: (c - 1) / c * math.log10((c - 1) / math.expm1(t)),
        "half of it": lambda c, t: (c - 1) / 2 * math.log((c - 1) / math.expm1(t)) / c,
        "e^target alone": lambda c, t: (c - 1) / c * (math.log(c - 1) - t),
    },
    "2.6": {
        "both turned away from x_i": by_vectors,
        "turned by arcsin(eps / 2)": lambda delta, eps: five(delta, eps, turn=math.degrees(math.asin(eps / 2))),
        "both centers above": mirrored,
        "the printed case": printed_case,
        "each center makes the whole margin": tilted_twice,
        "straight along the other axis": straight_down,
        "a tangent step of eps": chord_as_step,
        "in the order of the two pairs": lambda delta, eps: [five(delta, eps)[n] for n in (0, 1, 3, 2, 4)],
        "turned by the angle eps": lambda delta, eps: five(delta, eps, turn=180 / math.pi * eps),
        "examples on the centers": lambda delta, eps: [point(0), *(five(delta, eps)[n] for n in (1, 2, 1, 2))],
    },
}
