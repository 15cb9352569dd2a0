"""What learners write in chapter 04: a solution of each exercise, and the wrong answers that its check must name."""

import math
from itertools import pairwise

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components
from torch.nn import functional as F

NO_ROOT = ("no price", "squared distances", "one minus cosine", "one length for a class", "coordinate by coordinate")
NO_ROOT += (
    "one of the closest centers",
    "normalized over the centers",
    "cut off",
    "not normalized",
    "lengths in the price",
    "epsilon for each coordinate",
    "too small an epsilon",
    "classes are paired",
    "the diagonal's epsilon",
    "the diagonal among the pairs",
    "the whole table, summed",
)
DIAGONAL = NO_ROOT[-3:]


def direction(v):
    return v / torch.sqrt((v * v).sum())


def rooted(square, eps):
    return torch.sqrt(square + eps)


def pairs_of(classes):
    """Differences of pairs of centers, class by class; ``classes`` is a list of lists of vectors."""
    return [[a[k] - a[j] for k in range(len(a)) for j in range(k)] for a in classes]


def cosine_root(a, b, eps=1e-8):
    """A distance as the root of 2 - 2 cosine, in the precision of the centers."""
    return torch.sqrt(2 - 2 * (a * b).sum() + eps)


def charge(classes, tau, *, fault="", eps=1e-5):
    """The price in literal loops over a list of classes, each a list of vectors."""
    c, k = len(classes), len(classes[0])
    if fault == "too small an epsilon":
        return (
            tau * sum(cosine_root(a[i], a[j]) for a in classes for i in range(k) for j in range(i)) / (c * k * (k - 1))
        )
    if fault == "neighbors only":
        near = [a[i] - a[i + 1] for a in classes for i in range(k - 1)]
        return tau * sum(rooted((d * d).sum(), eps) for d in near) / (c * k * (k - 1))
    if fault == "classes are paired":
        classes = list(zip(*classes, strict=True))
    if fault.startswith("pairs of all"):
        classes = [[w for of_class in classes for w in of_class]]
    total = torch.zeros((), dtype=torch.float64)
    for differences in pairs_of(classes):
        if fault == "one length for a class":
            total = total + rooted(sum((d * d).sum() for d in differences), eps)
            continue
        if fault == "one length for all classes":
            continue
        for d in differences:
            square = (d * d).sum()
            total = total + {
                "squared distances": square,
                "one minus cosine": square / 2,
                "root of one minus cosine": rooted(square / 2, eps),
                "coordinate by coordinate": d.abs().sum(),
                "epsilon for each coordinate": torch.sqrt((d * d + eps).sum()),
            }.get(fault, rooted(square, eps))
    if fault == "one length for all classes":
        total = sum(rooted(sum((d * d).sum() for d in same), eps) for same in zip(*pairs_of(classes), strict=True))
    if fault == "the diagonal's epsilon":
        total = total + c * k * math.sqrt(eps) / 2
    if fault == "the diagonal among the pairs":
        total = total + c * k * math.sqrt(eps)
    if fault == "the whole table, summed":
        total = total + total + c * k * math.sqrt(eps)
    share = {
        "every pair twice": 2 / (c * k * (k - 1)),
        "the whole table": 2 / (c * k * k),
        "half the whole table": 1 / (c * k * k),
        "not divided": 1,
        "C is missing": 1 / (k * (k - 1)),
        "pairs of all classes, averaged": 1 / (c * k * (c * k - 1)),
    }.get(fault, 1 / (c * k * (k - 1)))
    if fault == "tau is missing":
        return total * share
    if fault == "subtracted":
        return -tau * total * share
    return (total.detach() if fault == "cut off" else total) * tau * share


def softly(s, gamma, scale, fault):
    """Similarity of an image to each class, from its cosines with all centers, (C, K)."""
    if fault == "axes exchanged":  # dealt out class by class instead of center by center
        row = [v for of_class in s for v in of_class]
        return softly([row[n :: len(s)] for n in range(len(s))], gamma, scale, "")
    if fault == "the closest center":  # where several are, each has a share of the slope
        return [sum(v for v in row if v == max(row)) / sum(v == max(row) for v in row) for row in s]
    if fault == "one of the closest centers":
        return [max(row, key=lambda v: v.item()) for row in s]
    if fault == "the plain mean":
        return [sum(row) / len(row) for row in s]
    if fault == "log-sum-exp":
        return [gamma * torch.log(sum(torch.exp(v / gamma) for v in row)) for row in s]
    power = {"gamma multiplies": gamma, "scale in the weights": scale / gamma}.get(fault, 1 / gamma)
    e = [[torch.exp(power * v) for v in row] for row in s]
    if fault == "weights cut off":
        e = [[v.detach() for v in row] for row in e]
    sums = [[sum(row)] * len(row) for row in e]
    if fault == "weights over all centers":
        sums = [[sum(v for row in e for v in row)] * len(e[0])] * len(e)
    if fault == "weights over classes":
        sums = [[sum(row[k] for row in e) for k in range(len(e[0]))]] * len(e)
    if fault == "the weights alone":
        return [sum(v / z for v, z in zip(*rows, strict=True)) for rows in zip(e, sums, strict=True)]
    return [sum(v / z * x for v, z, x in zip(*rows, strict=True)) for rows in zip(e, sums, s, strict=True)]


def softtriple(centers, images, labels, scale, gamma, tau, *, fault="", eps=1e-5):
    """The objective image by image, class by class, center by center."""
    unit = [[direction(w) for w in of_class] for of_class in centers]
    raw = [list(of_class) for of_class in centers]
    if fault == "normalized over the centers":
        unit = [list(w / w.square().sum(0).sqrt()) for w in centers]
    compared = raw if fault in ("not normalized", "lengths in the cosines") else unit
    total = 0.0
    for x, y in zip(images, labels.tolist(), strict=True):
        logits = softly([[(x * w).sum() for w in of_class] for of_class in compared], gamma, scale, fault)
        if fault == "a margin kept":
            logits[y] = logits[y] - 0.01
        logits = torch.stack(logits) * {"no scale": 1, "divided by the scale": 1 / scale}.get(fault, scale)
        total = total + torch.logsumexp(logits, 0) - logits[y]
    total = total if fault == "summed over images" else total / len(images)
    total = total / len(images) if fault == "averaged twice" else total
    if fault == "no price":
        return total
    charged = charge(raw if fault in ("not normalized", "lengths in the price") else unit, tau, fault=fault, eps=eps)
    return total + (scale if fault == "scaled price" else 1) * charged


PRICE_FAULTS = [
    *("squared distances", "one minus cosine", "every pair twice", "the whole table", "half the whole table"),
    *("not divided", "C is missing", "pairs of all classes", "pairs of all classes, averaged"),
    *("one length for a class", "coordinate by coordinate", "tau is missing", "subtracted"),
    *("one length for all classes", "neighbors only", "epsilon for each coordinate", "root of one minus cosine"),
]
LOSS_FAULTS = [
    *("no price", "the closest center", "one of the closest centers", "the plain mean", "log-sum-exp"),
    *("weights over classes", "gamma multiplies", "weights cut off", "no scale", "scale in the weights"),
    *("summed over images", "not normalized", "lengths in the cosines", "lengths in the price", "scaled price"),
    *("cut off", "normalized over the centers", "weights over all centers", "axes exchanged", "averaged twice"),
    *("too small an epsilon", "the weights alone", "a margin kept", "divided by the scale", "classes are paired"),
]


def with_and_without_root(function, faults):
    def wrong(fault, eps):
        return lambda *arguments: function(*arguments, fault=fault, eps=eps)

    rooted_too = [fault for fault in faults if fault not in NO_ROOT]
    return (
        {"no epsilon": wrong("", 0.0)}
        | {fault: wrong(fault, 1e-5) for fault in faults}
        | {f"{fault}, and no epsilon": wrong(fault, 0.0) for fault in rooted_too}
    )


def classes_of(weight):
    """Of a weight (K, C, D): for each class its centers, as directions."""
    return [[direction(weight[k, c]) for k in range(weight.shape[0])] for c in range(weight.shape[1])]


def sliced(weight, tau, *, fault="", eps=1e-5):
    return charge(classes_of(weight), tau, fault=fault, eps=eps)


def in_a_row(weight):
    """The bug: all centers in a row, cut anew into C groups of K."""
    k, c, _ = weight.shape
    row = [direction(w) for of_number in weight for w in of_number]
    return [row[k * n : k * (n + 1)] for n in range(c)]


def with_other_divisor(classes):
    """Divided by K C (C - 1)."""

    def wrong(weight, tau):
        k, c, _ = weight.shape
        return charge(classes(weight), tau, fault="not divided") / (k * c * (c - 1))

    return wrong


def as_first_axis(weight):
    return [[direction(w) for w in of_number] for of_number in weight]


def classes_paired(weight, tau):
    k, c, _ = weight.shape
    return charge(as_first_axis(weight), tau, fault="not divided") / (c * k * (k - 1))


def scrambled(*axes):
    def wrong(weight, tau):
        k, c, d = weight.shape
        unit = weight / weight.square().sum(-1, keepdim=True).sqrt()
        return charge([list(w) for w in unit.permute(*axes).reshape(c, k, d)], tau)

    return wrong


def second_axis(*axes):
    """Pairs of the first K along the second axis, whatever it counts."""

    def wrong(weight, tau):
        k, c, _ = weight.shape
        unit = (weight / weight.square().sum(-1, keepdim=True).sqrt()).permute(*axes)
        total = sum(rooted((unit[:, i] - unit[:, j]).square().sum(-1), 1e-5).sum() for i in range(k) for j in range(i))
        return tau * total / (c * k * (k - 1))

    return wrong


def chord(cosine):
    return math.sqrt(2 - 2 * cosine)


def distance(a, b):
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def cosine(a, b):
    return max(-1.0, min(1.0, float((a * b).sum())))


def groups(centers, near):
    """Each center takes over the label of every close one until nothing changes."""
    label = list(range(len(centers)))
    for _ in label:
        for i in range(len(centers)):
            for j in range(len(centers)):
                if near(centers[i], centers[j]):
                    label[i] = label[j] = min(label[i], label[j])
    return len(set(label))


def counted(centers, threshold):
    return groups(centers, lambda a, b: distance(a, b) < threshold)


def joined(near):
    """Groups by another idea of what is near."""
    return lambda centers, threshold: groups(centers, lambda a, b: near(a, b, threshold))


def first_come(centers, threshold):
    seen = []
    for c in centers:
        if not any(distance(c, other) < threshold for other in seen):
            seen.append(c)
    return len(seen)


def neighbors(centers, threshold):
    """For each center those that are close, itself too."""
    k = range(len(centers))
    return [frozenset(j for j in k if distance(centers[i], centers[j]) < threshold) for i in k]


def pairs_below(centers, threshold):
    k = len(centers)
    return sum(distance(centers[i], centers[j]) < threshold for i in range(k) for j in range(i))


def in_turn(angle_of):
    """By angle, each with the next, and the last with nothing."""

    def wrong(centers, threshold):
        turn = sorted(angle_of(float(w[0]), float(w[1])) for w in centers)
        far = [2 * math.sin((b - a) / 2) >= threshold for a, b in pairwise(turn)]
        return 1 + sum(far)

    return wrong


def level(centers, threshold):
    """Along the first axis, each with the next."""
    row = sorted(centers.tolist())
    return 1 + sum(math.dist(a, b) >= threshold for a, b in zip(row[1:], row[:-1], strict=True))


def twice_removed(centers, threshold):
    near = neighbors(centers, threshold)
    return len({frozenset().union(*(near[k] for k in of_one)) for of_one in near})


def with_nearest(centers, threshold):
    k = range(len(centers))
    close = [min(distance(centers[i], centers[j]) for j in k if j != i) < threshold for i in k]
    return len(centers) - sum(close) // 2


def tangent(phi, t, floor=0.0):
    return 360 / math.pi * math.atan2(max(math.sin(phi) - t, floor), math.cos(phi))


def halved(angle):
    return math.pi * angle / 360


def tried(angle, t):
    """All angles from 0 to the wish, with the price t times the squared distance."""
    phi = np.radians(angle / 2)
    theta = np.linspace(0, phi, 40001)
    value = -2 * np.cos(phi - theta) + t * (2 * np.sin(theta)) ** 2
    return 2 * np.degrees(theta[value.argmin()])


def one_follows(angle, t):
    """The second center stays at its pose."""
    whole = np.radians(angle)
    apart = np.linspace(0, whole, 40001)
    return np.degrees(apart[(t * np.sqrt(2 - 2 * np.cos(apart)) - np.cos(whole - apart)).argmin()])


def right_angle(angle, t):
    return tangent(halved(angle), t)


ANSWERS = {
    "4.1": {"solution": softtriple} | with_and_without_root(softtriple, [*LOSS_FAULTS, *PRICE_FAULTS, *DIAGONAL]),
    "4.2": {
        "solution": sliced,
        "the bug itself": lambda weight, tau: charge(in_a_row(weight), tau),
        "the bug, and the other divisor": with_other_divisor(in_a_row),
        "classes are paired": classes_paired,
        "classes are paired and divided": with_other_divisor(as_first_axis),
        "the other divisor": with_other_divisor(classes_of),
        "scrambled": scrambled(1, 2, 0),
        "scrambled backwards": scrambled(2, 1, 0),
        "scrambled at the end": scrambled(0, 2, 1),
        "the reshape left out": second_axis(0, 1, 2),
        "coordinates second": second_axis(1, 2, 0),
        "coordinates first": second_axis(2, 1, 0),
        "coordinates exchanged with classes": second_axis(0, 2, 1),
        "not normalized": lambda weight, tau: charge([list(w) for w in weight.unbind(1)], tau),
        "normalized over the classes": lambda weight, tau: charge(
            [list(w) for w in (weight / weight.square().sum(1, keepdim=True).sqrt()).unbind(1)], tau
        ),
        "normalized over the centers": lambda weight, tau: charge(
            [list(w) for w in (weight / weight.square().sum(0, keepdim=True).sqrt()).unbind(1)], tau
        ),
    }
    | with_and_without_root(sliced, [*PRICE_FAULTS, *DIAGONAL]),
    "4.3": {
        "solution": counted,
        "no chains": first_come,
        "one step only": lambda centers, threshold: len({min(near) for near in neighbors(centers, threshold)}),
        "none before it": lambda centers, threshold: sum(
            min(near) == number for number, near in enumerate(neighbors(centers, threshold))
        ),
        "rows of the table": lambda centers, threshold: len(set(neighbors(centers, threshold))),
        "rows that are distinct": lambda centers, threshold: len({tuple(w.tolist()) for w in centers}),
        "every close pair takes one away": lambda centers, threshold: len(centers) - pairs_below(centers, threshold),
        "close pairs": pairs_below,
        "spare ones": lambda centers, threshold: len(centers) - counted(centers, threshold),
        "only lonely centers": lambda centers, threshold: sum(len(near) == 1 for near in neighbors(centers, threshold)),
        "in their order": lambda centers, threshold: (
            1 + sum(distance(a, b) >= threshold for a, b in zip(centers[1:], centers[:-1], strict=True))
        ),
        "sorted along one axis": level,
        "not round the circle": in_turn(lambda x, y: math.atan2(y, x)),
        "not round the circle, from 0": in_turn(lambda x, y: math.atan2(y, x) % (2 * math.pi)),
        "two coordinates": lambda centers, threshold: counted(
            [(float(w[0] / w[:2].norm()), float(w[1] / w[:2].norm())) for w in centers], threshold
        ),
        "root of a negative": joined(lambda a, b, t: bool(torch.sqrt(2 - 2 * (a * b).sum()) < t)),
        "two steps only": twice_removed,
        "each with its nearest": with_nearest,
        "rounded places": lambda centers, threshold: len({tuple(np.round(w / threshold)) for w in centers.numpy()}),
        "the threshold included": joined(lambda a, b, t: distance(a, b) <= t),
        "coordinate by coordinate": joined(
            lambda a, b, t: max(abs(float(x) - float(y)) for x, y in zip(a, b, strict=True)) < t
        ),
        "cosine for distance": joined(lambda a, b, t: 1 - cosine(a, b) < t),
        "squared distance": joined(lambda a, b, t: distance(a, b) ** 2 < t),
        "angle for distance": joined(lambda a, b, t: math.acos(cosine(a, b)) < t),
        "degrees": joined(lambda a, b, t: math.degrees(math.acos(cosine(a, b))) < t),
        "far for close": joined(lambda a, b, t: distance(a, b) > t),
        "the lonely ones and one more": lambda centers, threshold: (
            1 + sum(len(near) == 1 for near in neighbors(centers, threshold))
        ),
        "cosine below": joined(lambda a, b, t: cosine(a, b) < t),
        "cosine above": joined(lambda a, b, t: cosine(a, b) > t),
    },
    "4.4": {
        "solution": right_angle,
        "half the angle": lambda angle, t: right_angle(angle, t) / 2,
        "the wish was not halved": lambda angle, t: tangent(2 * halved(angle), t),
        "past zero": lambda angle, t: tangent(halved(angle), t, floor=-math.inf),
        "the squared price": tried,
        "half the squared price": lambda angle, t: tried(angle, 0.5 * t),
        "as on the line": lambda angle, t: max(angle - t * angle / math.sin(halved(angle)), 0),
        "the line's distance": lambda angle, t: (
            360 / math.pi * math.asin(max(2 * math.sin(halved(angle)) - 2 * t, 0) / 2)
        ),
        "t off the angle": lambda angle, t: max(angle - 360 / math.pi * t, 0),
        "twice t off the degrees": lambda angle, t: max(0.0, angle - t - t),
        "t off the tangent": lambda angle, t: 360 / math.pi * math.atan(max(0, math.tan(halved(angle)) - t)),
        "how far they moved": lambda angle, t: angle - right_angle(angle, t),
        "all or nothing": lambda angle, t: angle * (math.sin(halved(angle)) > t),
        "degrees as radians, by the tangent": lambda angle, t: (
            360 / math.pi * math.atan(max(0.0, (math.sin(angle / 2) - t) / math.cos(angle / 2)))
        ),
        "twice t as a share": lambda angle, t: angle - min(2 * t, 1) * angle,
        "the price on the arc": lambda angle, t: max(0.0, angle - 360 / math.pi * math.asin(t)),
        "only one moves": one_follows,
        "the whole angle, answer not doubled": lambda angle, t: tangent(2 * halved(angle), t) / 2,
        "a share": lambda angle, t: (1 - t) * angle,
        "twice the price": lambda angle, t: tangent(halved(angle), t + t),
        "half the price": lambda angle, t: tangent(halved(angle), 0.5 * t),
        "radians out": lambda angle, t: math.pi / 180 * right_angle(angle, t),
        "half, in radians": lambda angle, t: math.pi / 360 * right_angle(angle, t),
        "degrees as radians": lambda angle, t: tangent(angle / 2, t),
        "no conversion at all": lambda angle, t: 2 * math.atan2(max(math.sin(angle / 2) - t, 0.0), math.cos(angle / 2)),
        "no conversion, by the tangent": lambda angle, t: (
            2 * math.atan(max(math.sin(angle / 2) - t, 0.0) / math.cos(angle / 2))
        ),
        "the distance left": lambda angle, t: chord(math.cos(math.pi / 180 * right_angle(angle, t))),
        "the cosine shrunk": lambda angle, t: (
            360 / math.pi * math.atan2(math.sin(halved(angle)), math.cos(halved(angle)) - t)
        ),
    },
}


# Wrong answers as they came, not written after the misconceptions: most of them must be named.


def soft_loss(w, images, labels, scale, gamma):
    s = torch.einsum("bd,ckd->bck", images, w)
    return F.cross_entropy(scale * (torch.softmax(s / gamma, -1) * s).sum(-1), labels)


def with_price(total, unit=lambda centers: F.normalize(centers, dim=-1)):
    """SoftTriple and whatever is charged for its centers."""

    def answer(centers, images, labels, scale, gamma, tau):
        w = unit(centers)
        return soft_loss(w, images, labels, scale, gamma) + tau * total(w)

    return answer


def upper(w):
    """Cosines of the pairs of a class, and C K (K - 1)."""
    C, K, _ = w.shape
    j, k = torch.triu_indices(K, K, 1)
    return (w @ w.mT)[:, j, k], C * K * (K - 1)


def naive_root(w):
    cosines, divisor = upper(w)
    return (2 - 2 * cosines).sqrt().sum() / divisor


def epsilon_outside(w):
    cosines, divisor = upper(w)
    return ((2 - 2 * cosines).clamp(min=0).sqrt() + 1e-5).sum() / divisor


def table(w):
    return torch.cdist(w, w).sum() / upper(w)[1]


def by_similarity(similarity, reduction="mean"):
    def answer(centers, images, labels, scale, gamma, tau):
        w = F.normalize(centers, dim=-1)
        s = torch.einsum("bd,ckd->bck", images, w)
        value = F.cross_entropy(scale * similarity(s, gamma), labels, reduction=reduction)
        return value + tau * table(w) / 2

    return answer


def paper_margin(centers, images, labels, scale, gamma, tau):
    w = F.normalize(centers, dim=-1)
    s = torch.einsum("bd,ckd->bck", images, w)
    logits = (torch.softmax(s / gamma, -1) * s).sum(-1) - 0.1 * F.one_hot(labels, len(w))
    return F.cross_entropy(scale * logits, labels) + tau * table(w) / 2


def repaired(axes, total):
    """The planted bug's function with other axes and another last line."""

    def answer(weight, tau):
        w = axes(weight)
        K, C = weight.shape[:2]
        j, k = torch.triu_indices(K, K, 1)
        return tau * total(((w[:, j] - w[:, k]).square().sum(-1) + 1e-5).sqrt(), K, C)

    return answer


def swapped(weight):
    return F.normalize(weight, dim=-1).transpose(0, 1)


def paper(apart, K, C):
    return apart.sum() / (C * K * (K - 1))


def all_in_a_row(weight, tau):
    return tau * torch.pdist(F.normalize(weight, dim=-1).flatten(0, 1)).mean() / 2


def between_classes(weight, tau):
    K, C, _ = weight.shape
    w = F.normalize(weight, dim=-1)
    return tau * torch.stack([torch.pdist(of_number).sum() for of_number in w]).sum() / (C * K * (K - 1))


def reshaped_and_turned(weight, tau):
    K, C, D = weight.shape
    w = F.normalize(weight, dim=-1).reshape(C, K, D).transpose(0, 1)
    return tau * torch.stack([torch.pdist(row).sum() for row in w]).sum() / (C * K * (K - 1))


def taken_off(centers, threshold):
    left = list(range(len(centers)))
    for i in range(len(centers)):
        for j in range(i):
            if j in left and i in left and torch.dist(centers[i], centers[j]) < threshold:
                left.remove(i)
    return len(left)


def components(near):
    return lambda centers, threshold: int(connected_components(near(centers, threshold).numpy(), directed=False)[0])


def best_of_many(angle, t):
    """All places to a fraction of a degree, with half of t on the squared distance."""
    places = np.linspace(0, angle / 2, 20001)
    cost = -2 * np.cos(np.radians(angle / 2 - places)) + t / 2 * (2 * np.sin(np.radians(places))) ** 2
    return float(2 * places[cost.argmin()])


def sine(degrees):
    return math.sin(math.radians(degrees))


def arc(angle, t):
    return math.atan(max(0.0, sine(angle / 2) - t) / math.cos(math.radians(angle / 2)))


def all_at_once(centers, images, labels, scale, gamma, tau):
    """One softmax over the centers of all classes."""
    C, K, D = centers.shape
    w = F.normalize(centers, dim=-1)
    s = images @ w.reshape(C * K, D).T
    soft = (torch.softmax(s / gamma, 1) * s).view(-1, C, K).sum(-1)
    return F.cross_entropy(scale * soft, labels) + tau * table(w) / 2


def wrong_view(centers, images, labels, scale, gamma, tau):
    C, K, D = centers.shape
    w = F.normalize(centers, dim=-1)
    s = (images @ w.reshape(C * K, D).T).view(-1, K, C).transpose(1, 2)
    return F.cross_entropy(scale * (torch.softmax(s / gamma, -1) * s).sum(-1), labels) + tau * table(w) / 2


def scaled_first(centers, images, labels, scale, gamma, tau):
    w = F.normalize(centers, dim=-1)
    s = scale * torch.einsum("bd,ckd->bck", images, w)
    return F.cross_entropy((torch.softmax(s / gamma, -1) * s).sum(-1), labels) + tau * table(w) / 2


def cut_weights(centers, images, labels, scale, gamma, tau):
    w = F.normalize(centers, dim=-1)
    s = torch.einsum("bd,ckd->bck", images, w)
    q = torch.softmax(s / gamma, -1).detach()
    return F.cross_entropy(scale * (q * s).sum(-1), labels) + tau * table(w) / 2


def divided_again(centers, images, labels, scale, gamma, tau):
    w = F.normalize(centers, dim=-1)
    return soft_loss(w, images, labels, scale, gamma) / len(images) + tau * table(w) / 2


def raw_price(centers, images, labels, scale, gamma, tau):
    w = F.normalize(centers, dim=-1)
    C, K, _ = centers.shape
    j, k = torch.triu_indices(K, K, 1)
    apart = ((centers[:, j] - centers[:, k]).square().sum(-1) + 1e-5).sqrt()
    return soft_loss(w, images, labels, scale, gamma) + tau * apart.sum() / (C * K * (K - 1))


def in_place(centers, images, labels, scale, gamma, tau):
    centers.data = F.normalize(centers.data, dim=-1)
    return soft_loss(centers, images, labels, scale, gamma) + tau * table(centers) / 2


def small_epsilon(w):
    cosines, divisor = upper(w)
    return (2 - 2 * cosines + 1e-8).sqrt().sum() / divisor


def epsilon_everywhere(w):
    C, K, _ = w.shape
    j, k = torch.triu_indices(K, K, 1)
    return ((w[:, j] - w[:, k]).square() + 1e-5).sum(-1).sqrt().sum() / (C * K * (K - 1))


def next_alone(w):
    C, K, _ = w.shape
    return ((w[:, 1:] - w[:, :-1]).square().sum(-1) + 1e-5).sqrt().sum() / (C * K * (K - 1))


def of_stored(charged, *, dim=-1):
    """A price of (K, C, D) from its directions, class by class."""
    return lambda weight, tau: tau * charged(F.normalize(weight, dim=dim).transpose(0, 1))


def table_with_diagonal(w):
    C, K, _ = w.shape
    return ((w[:, :, None] - w[:, None]).square().sum(-1) + 1e-5).sqrt().sum() / 2 / (C * K * (K - 1))


def squares_of_all_classes(w):
    C, K, _ = w.shape
    j, k = torch.triu_indices(K, K, 1)
    return ((w[:, j] - w[:, k]).square().sum((0, 2)) + 1e-5).sqrt().sum() / (C * K * (K - 1))


def read_as_classes_first(weight, tau):
    C, K, _ = weight.shape
    w = F.normalize(weight, dim=-1)
    j, k = torch.triu_indices(K, K, 1)
    return tau * ((w[:, j] - w[:, k]).square().sum(-1) + 1e-5).sqrt().sum() / (C * K * (K - 1))


def last_left_out(weight, tau):
    K, C, _ = weight.shape
    w, total = F.normalize(weight, dim=-1), 0.0
    for j in range(K):
        for k in range(j + 1, K - 1):
            total = total + ((w[j] - w[k]).square().sum(-1) + 1e-5).sqrt().sum()
    return tau * total / (C * K * (K - 1))


def along_x(centers, threshold):
    row = centers[centers[:, 0].argsort()]
    return 1 + int(((row[1:] - row[:-1]).norm(dim=1) >= threshold).sum())


def squared_table(centers, threshold):
    near = (torch.cdist(centers, centers) < threshold).double()
    return len(torch.unique(near @ near > 0, dim=0))


def halved_pairs(centers, threshold):
    apart = torch.cdist(centers, centers).fill_diagonal_(9.0)
    return len(centers) - int((apart.min(1).values < threshold).sum()) // 2


def marked_once(centers, threshold):
    seen, groups = set(), 0
    for i in range(len(centers)):
        if i not in seen:
            groups += 1
            seen |= {j for j in range(len(centers)) if torch.dist(centers[i], centers[j]) < threshold}
    return groups


def middles(centers, threshold):
    left = list(centers)
    for i in reversed(range(len(left))):
        for j in range(i):
            if torch.dist(left[i], left[j]) < threshold:
                left[j] = (left[i] + left.pop(i)) / 2
                break
    return len(left)


def searched(cost):
    """The best of many angles between the two, each at theta from the middle."""

    def answer(angle, t):
        theta = np.radians(np.linspace(0, angle, 200001)) / 2
        return float(2 * np.degrees(theta[cost(np.radians(angle) / 2, theta, t).argmin()]))

    return answer


def stopped_early(angle, t):
    phi = math.radians(angle) / 2
    theta = torch.tensor(phi, requires_grad=True)
    for _ in range(20):
        (slope,) = torch.autograd.grad(-2 * torch.cos(theta - phi) + 2 * t * theta.sin().abs(), theta)
        theta = (theta - 0.1 * slope).detach().requires_grad_()
    return 2 * math.degrees(theta.item())


def margin_of_before(centers, images, labels, scale, gamma, tau):
    w = F.normalize(centers, dim=-1)
    s = torch.einsum("bd,ckd->bck", images, w)
    logits = (torch.softmax(s / gamma, -1) * s).sum(-1) - 0.01 * F.one_hot(labels, len(w))
    return F.cross_entropy(scale * logits, labels) + tau * table(w) / 2


def one_over_scale(centers, images, labels, scale, gamma, tau):
    w = F.normalize(centers, dim=-1)
    s = torch.einsum("bd,ckd->bck", images, w)
    return F.cross_entropy((torch.softmax(s / gamma, -1) * s).sum(-1) / scale, labels) + tau * table(w) / 2


def with_themselves(w):
    C, K, _ = w.shape
    j, k = torch.triu_indices(K, K, 0)
    return ((w[:, j] - w[:, k]).square().sum(-1) + 1e-5).sqrt().sum() / (C * K * (K - 1))


def half_root(w):
    cosines, divisor = upper(w)
    return (1 - cosines + 1e-5).sqrt().sum() / divisor


def between(w):
    C, K, _ = w.shape
    j, k = torch.triu_indices(C, C, 1)
    return ((w[j] - w[k]).square().sum(-1) + 1e-5).sqrt().sum() / (C * K * (K - 1))


def by_angle(turn):
    def answer(centers, threshold):
        angles = turn(torch.atan2(centers[:, 1], centers[:, 0])).sort().values
        places = torch.stack([angles.cos(), angles.sin()], 1)
        return 1 + int(((places[1:] - places[:-1]).norm(dim=1) >= threshold).sum())

    return answer


def walked(near):
    """From center to center along a table of who is close."""

    def answer(centers, threshold):
        close, left, groups = near(centers, threshold), set(range(len(centers))), 0
        while left:
            groups, todo = groups + 1, [left.pop()]
            while todo:
                here = todo.pop()
                found = {k for k in left if close[here, k]}
                left, todo = left - found, todo + list(found)
        return groups

    return answer


def joined_to_one(centers, threshold):
    groups = []
    for center in centers:
        for group in groups:
            if any(torch.dist(center, other) < threshold for other in group):
                group.append(center)
                break
        else:
            groups.append([center])
    return len(groups)


INVENTED = {
    "4.1": {
        "the margin of chapter 03": margin_of_before,
        "divided by lambda": one_over_scale,
        "triu_indices(K, K, 0)": with_price(with_themselves),
        "the table with its diagonal": with_price(lambda w: 2 * table_with_diagonal(w)),
        "the root of 1 - cosine": with_price(half_root),
        "triu_indices(C, C, 1)": with_price(between),
        "q without s": by_similarity(lambda s, gamma: torch.softmax(s / gamma, -1).sum(-1)),
        "one softmax for all centers": all_at_once,
        "viewed as K times C": wrong_view,
        "the cosines scaled first": scaled_first,
        "q.detach()": cut_weights,
        "divided by B again": divided_again,
        "the price of raw centers": raw_price,
        "normalized in place": in_place,
        "1e-8 beside the cosines": with_price(small_epsilon),
        "1e-5 for each coordinate": with_price(epsilon_everywhere),
        "w[:, 1:] - w[:, :-1]": with_price(next_alone),
        "the root of 2 - 2 cosine, as it stands": with_price(naive_root),
        "epsilon beside the root": with_price(epsilon_outside),
        "cdist, summed over the table": with_price(table),
        "cdist, averaged over the table": with_price(lambda w: torch.cdist(w, w).mean() / 2),
        "pdist of all centers, averaged": with_price(lambda w: torch.pdist(w.flatten(0, 1)).mean() / 2),
        "F.normalize without dim": with_price(lambda w: table(w) / 2, unit=F.normalize),
        "softmax along dim 1": by_similarity(lambda s, gamma: (torch.softmax(s / gamma, 1) * s).sum(-1)),
        "amax": by_similarity(lambda s, gamma: s.amax(-1)),
        "logsumexp": by_similarity(lambda s, gamma: gamma * torch.logsumexp(s / gamma, -1)),
        "reduction sum": by_similarity(lambda s, gamma: (torch.softmax(s / gamma, -1) * s).sum(-1), "sum"),
        "a margin": paper_margin,
    },
    "4.2": {
        "the reshape deleted": repaired(lambda weight: F.normalize(weight, dim=-1), paper),
        "permute(1, 2, 0)": repaired(lambda weight: F.normalize(weight, dim=-1).permute(1, 2, 0), paper),
        "permute(2, 1, 0)": repaired(lambda weight: F.normalize(weight, dim=-1).permute(2, 1, 0), paper),
        "mT": repaired(lambda weight: F.normalize(weight, dim=-1).mT, paper),
        "permute(2, 1, 0), reshaped": repaired(
            lambda weight: F.normalize(weight, dim=-1).permute(2, 1, 0).reshape(*weight.shape[1::-1], -1), paper
        ),
        "permute(0, 2, 1), reshaped": repaired(
            lambda weight: F.normalize(weight, dim=-1).permute(0, 2, 1).reshape(*weight.shape[1::-1], -1), paper
        ),
        "the table, twice and with its diagonal": of_stored(lambda w: 2 * table_with_diagonal(w)),
        "1e-5 for each coordinate of it": of_stored(epsilon_everywhere),
        "half of the table": of_stored(table_with_diagonal),
        "summed over classes before the root": of_stored(squares_of_all_classes),
        "neighbors": of_stored(next_alone),
        "normalized along dim 0": of_stored(lambda w: table(w) / 2, dim=0),
        "read as (C, K, D)": read_as_classes_first,
        "a loop that ends too early": last_left_out,
        "sizes of coordinates": of_stored(
            lambda w: torch.cdist(w, w, p=1).sum() / 2 / (w.shape[0] * w.shape[1] * (w.shape[1] - 1))
        ),
        "K (K - 1) alone": of_stored(lambda w: table(w) / 2 * len(w)),
        "tau forgotten": lambda weight, tau: of_stored(lambda w: table(w) / 2)(weight, 1.0),
        "view for reshape": repaired(
            lambda weight: F.normalize(weight, dim=-1).view(weight.shape[1], weight.shape[0], -1), paper
        ),
        "pairs of classes": between_classes,
        "transposed, K and C exchanged below": repaired(swapped, lambda apart, K, C: apart.sum() / (K * C * (C - 1))),
        "transposed, then the mean": repaired(swapped, lambda apart, K, C: apart.mean()),
        "transposed, not normalized": repaired(lambda weight: weight.transpose(0, 1), paper),
        "F.normalize without dim": repaired(lambda weight: F.normalize(weight).permute(1, 0, 2), paper),
        "squares": repaired(swapped, lambda apart, K, C: paper(apart.square() - 1e-5, K, C)),
        "permute that moves the coordinates": repaired(
            lambda weight: F.normalize(weight, dim=-1).permute(1, 2, 0).reshape(*weight.shape[1::-1], -1), paper
        ),
        "all centers in a row": all_in_a_row,
        "reshaped, then transposed": reshaped_and_turned,
    },
    "4.3": {
        "sorted by angle": by_angle(lambda angles: angles),
        "sorted by angle from 0": by_angle(lambda angles: angles.remainder(2 * math.pi)),
        "walked by the root of 2 - 2 cosine": walked(lambda w, t: (2 - 2 * w @ w.T).sqrt() < t),
        "groups never joined to each other": joined_to_one,
        "sorted by x": along_x,
        "the table squared": squared_table,
        "half of those that have a close one": halved_pairs,
        "no further than its own neighbors": marked_once,
        "put in their middle": middles,
        "<=": components(lambda w, t: torch.cdist(w, w) <= t),
        "each coordinate": components(lambda w, t: ((w[:, None] - w[None]).abs() < t).all(-1)),
        "those without a neighbor": lambda centers, threshold: int(
            ((torch.cdist(centers, centers) < threshold).sum(1) == 1).sum()
        ),
        "how many went": lambda centers, threshold: (
            len(centers) - components(lambda w, t: torch.cdist(w, w) < t)(centers, threshold)
        ),
        "each row with the next": lambda centers, threshold: (
            1 + int(((centers[1:] - centers[:-1]).norm(dim=1) >= threshold).sum())
        ),
        "torch.unique of the rows": lambda centers, threshold: len(torch.unique(centers, dim=0)),
        "different rows of the table": lambda centers, threshold: len(
            {tuple(row.tolist()) for row in torch.cdist(centers, centers) < threshold}
        ),
        "the later one of a close pair is taken off": taken_off,
        "components by 1 - cosine": components(lambda w, t: 1 - w @ w.T < t),
        "components by 2 - 2 cosine": components(lambda w, t: 2 - 2 * w @ w.T < t),
        "components by angle": components(lambda w, t: torch.acos((w @ w.T).clamp(-1, 1)) < t),
        "components of those apart": components(lambda w, t: torch.cdist(w, w) > t),
        "pairs taken from K": lambda centers, threshold: len(centers) - int((torch.pdist(centers) < threshold).sum()),
        "sizes of groups of one": lambda centers, threshold: int(
            ((torch.cdist(centers, centers) < threshold).sum(0) == 1).sum()
        ),
        "places rounded to the threshold": lambda centers, threshold: len(
            torch.unique((centers / threshold).round(), dim=0)
        ),
    },
    "4.4": {
        "2 t off the degrees": lambda angle, t: max(angle - 2 * t, 0),
        "tan(phi) - t": lambda angle, t: 2 * math.degrees(math.atan(max(0, math.tan(math.radians(angle / 2)) - t))),
        "how far": lambda angle, t: angle - 2 * math.degrees(arc(angle, t)),
        "none or all": lambda angle, t: 0.0 if t >= sine(angle / 2) else angle,
        "sine of degrees, by a ratio": lambda angle, t: (
            2 * math.degrees(math.atan(max(0, (math.sin(angle / 2) - t) / math.cos(angle / 2))))
        ),
        "the arc": searched(lambda phi, theta, t: -2 * np.cos(phi - theta) + 2 * t * theta),
        "one pull": searched(lambda phi, theta, t: -np.cos(phi - theta) + 2 * t * np.sin(theta)),
        "half the distance": searched(lambda phi, theta, t: -2 * np.cos(phi - theta) + t * np.sin(theta)),
        "the square": searched(lambda phi, theta, t: -2 * np.cos(phi - theta) + 4 * t * np.sin(theta) ** 2),
        "one stays": searched(lambda phi, theta, t: 2 * t * np.sin(theta) - np.cos(2 * phi - 2 * theta)),
        "whole degrees": lambda angle, t: float(round(2 * math.degrees(arc(angle, t)))),
        "radians for degrees, by atan": lambda angle, t: (
            2 * math.atan(max(math.sin(angle / 2) - t, 0) / math.cos(angle / 2))
        ),
        "the whole angle, once": lambda angle, t: math.degrees(
            math.atan2(max(sine(angle) - t, 0), math.cos(math.radians(angle)))
        ),
        "the other way round": lambda angle, t: -2 * math.degrees(arc(angle, t)),
        "20 steps": stopped_early,
        "one center's angle": lambda angle, t: math.degrees(arc(angle, t)),
        "atan in radians": lambda angle, t: 2 * arc(angle, t),
        "one center's, in radians": arc,
        "sine of degrees": lambda angle, t: (
            2 * math.degrees(math.atan2(max(0.0, math.sin(angle / 2) - t), math.cos(angle / 2)))
        ),
        "the whole angle": lambda angle, t: (
            2 * math.degrees(math.atan2(max(sine(angle) - t, 0), math.cos(math.radians(angle))))
        ),
        "nothing stops it": lambda angle, t: (
            2 * math.degrees(math.atan((sine(angle / 2) - t) / math.cos(math.radians(angle / 2))))
        ),
        "the chord of the line": lambda angle, t: (
            2 * math.degrees(math.asin(max(sine(angle / 2) * (1 - t / sine(angle / 2)), 0)))
        ),
        "the line's formula": lambda angle, t: max(1 - t / sine(angle / 2), 0) * angle,
        "a search with squares": best_of_many,
        "twice t as a share": lambda angle, t: max(1 - 2 * t, 0) * angle,
    },
}
