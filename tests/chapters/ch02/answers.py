"""What learners write in chapter 02: a solution of each exercise, and the wrong answers that its check must name."""

import math

import numpy as np
import torch


def by_difference(x, centers, labels):
    """(2.2) literally: the image times the difference of the two centers."""
    return torch.einsum("bd,bcd->bc", x, centers[None] - centers[labels][:, None])


def by_distance(x, centers, labels):
    rows = []
    for point, label in zip(x, labels, strict=True):
        d = [(point - center).norm() for center in centers]
        rows.append(torch.stack([d[label] - other for other in d]))
    return torch.stack(rows)


def objective(p, v, scale, entropy=1.0, base=math.e):
    total = scale * float(p @ v)
    for weight in p.tolist():
        if weight > 0:
            total -= entropy * weight * math.log(weight, base)
    return torch.tensor(total)


def objective_with_nan(p, v, scale):
    return torch.sum(p * (scale * v - torch.log(p)))


def stable(similarities, label, scale):
    v = similarities - similarities[label]
    return torch.log(torch.exp(scale * (v - v.max())).sum())


def overflowing(similarities, label, scale):
    v = similarities - similarities[label]
    return torch.log(torch.sum(torch.exp(scale * v))) - scale * torch.max(v)


def without_own_maximum(similarities, label, scale):
    v = similarities - similarities[label]
    others = torch.cat([v[:label], v[label + 1 :]])
    return torch.logsumexp(scale * v, 0) - scale * others.max()


def without_own(similarities, label, scale):
    v = similarities - similarities[label]
    return stable(torch.cat([v[:label], v[label + 1 :]]), 0, scale)


def solve(num_classes, target, margin):
    return np.log((num_classes - 1) / (np.exp(target) - 1)) / margin


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


ANSWERS = {
    "2.1": {
        "solution": by_difference,
        "sign turned around": lambda x, centers, labels: -by_difference(x, centers, labels),
        "own center not subtracted": lambda x, centers, labels: torch.matmul(x, centers.t()),
        "hinged": lambda x, centers, labels: torch.relu(by_difference(x, centers, labels)),
        "distances": by_distance,
        "only the hardest": lambda x, centers, labels: by_difference(x, centers, labels).max(dim=1).values,
    },
    "2.2": {
        "solution": objective,
        "0 log 0": objective_with_nan,
        "entropy with the wrong sign": lambda p, v, scale: objective(p, v, scale, entropy=-1.0),
        "no entropy": lambda p, v, scale: objective(p, v, scale, entropy=0.0),
        "scale on everything": lambda p, v, scale: objective(p, v, scale, entropy=scale),
        "bits": lambda p, v, scale: objective(p, v, scale, base=2),
    },
    "2.3": {
        "solution": stable,
        "overflow": overflowing,
        "the gap itself": lambda s, label, scale: stable(s, label, scale) / scale,
        "own class left out of the maximum": without_own_maximum,
        "own class left out": without_own,
    },
    "2.4": {
        "solution": lambda num_classes, target: solve(num_classes, target, num_classes / (num_classes - 1)),
        "centers at right angles": lambda num_classes, target: solve(num_classes, target, 1),
        "opposite centers": lambda num_classes, target: solve(num_classes, target, 2),
        "one other class": lambda num_classes, target: (
            -math.log(math.exp(target) - 1) * (num_classes - 1) / num_classes
        ),
        "e^target": lambda num_classes, target: (math.log(num_classes - 1) - target) * (num_classes - 1) / num_classes,
    },
    "2.5": {
        "solution": five,
        "off the sphere": straight,
        "angle instead of distance": lambda delta, eps: five(delta, eps, turn=math.degrees(eps)),
        "the good direction": lambda delta, eps: five(delta, eps, sense=-1),
        "one center does it all": lambda delta, eps: five(delta, eps, tilted=(math.degrees(math.acos(delta)), 270)),
        "the case of 2.7": lambda delta, eps: five(eps, eps),
        "examples on their centers": lambda delta, eps: five(delta, eps, turn=0),
        "order of the five": examples_first,
    },
}
