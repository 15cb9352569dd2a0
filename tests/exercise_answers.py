"""What learners write: for every exercise a solution and the wrong answers that its check must recognize by name.

Written apart from dmlbook.exercises, in the words of a learner, so that the check is tried on code it has not seen.
"""

import math

import numpy as np
import torch
from torch.nn import functional as F


def split(y, share, keep):
    classes = sorted(set(y))
    count = int(share * len(classes) + 0.5)
    return [i for i, label in enumerate(y) if label in keep(classes, count)]


def split_images(y, share):
    return [i for i in range(len(y)) if i >= len(y) - round(share * len(y))]


def split_down(y, share):
    classes = sorted(set(y))
    keep = classes[len(classes) - math.floor(share * len(classes)) :]
    return [i for i, label in enumerate(y) if label in keep]


def split_each(y, share):
    held = []
    for c in set(y):
        members = [i for i in range(len(y)) if y[i] == c]
        count = round(share * len(members))
        held += members[-count:] if count else []
    return sorted(held)


def recall(x, y):
    hits = 0
    for i in range(len(y)):
        best = max((j for j in range(len(y)) if j != i), key=lambda j: float(x[i] @ x[j]))
        hits += int(y[best] == y[i])
    return hits / len(y)


def zeroed(x):
    cosines = x @ x.T
    return cosines - torch.diag(cosines.diagonal())


def recall_one_hit_a_class(x, y):
    found = {}
    for i in range(len(y)):
        best = max((j for j in range(len(y)) if j != i), key=lambda j: float(x[i] @ x[j]))
        found[int(y[i])] = found.get(int(y[i]), False) or bool(y[best] == y[i])
    return sum(found.values()) / len(found)


def farthest(x, y):
    apart = torch.cdist(x, x)
    return float((y[apart.argmax(1)] == y).double().mean())


def t(values):
    return {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 10: 2.262}[len(values)]


def spread(values, ddof=1):
    return float(np.std(values, ddof=ddof))


def two_groups(net, loss, lr, loss_lr):
    return [{"params": loss.parameters(), "lr": loss_lr}, {"params": net.parameters(), "lr": lr}]


def schedule(epoch, base, milestones):
    for milestone in milestones:
        if epoch >= milestone:
            base = base / 10
    return base


ANSWERS = {
    "0.1": {
        "solution": lambda a, b: F.cosine_similarity(a, b, dim=0),
        "plain inner product": lambda a, b: torch.dot(a, b),
        "brackets": lambda a, b: torch.dot(a, b) / torch.linalg.norm(a) * torch.linalg.norm(b),
        "one length only": lambda a, b: sum(a * b) / math.sqrt(float(sum(a * a))),
        "distance": lambda a, b: torch.dist(a, b).item(),
        "squared lengths": lambda a, b: (a @ b) / ((a @ a) * (b @ b)),
    },
    "0.2": {
        "solution": recall,
        "the query finds itself": lambda x, y: float((y[(x @ x.T).argmax(1)] == y).float().mean()),
        "diagonal of zeros": lambda x, y: np.mean([int(y[int(r.argmax())] == y[i]) for i, r in enumerate(zeroed(x))]),
        "positions": lambda x, y: np.mean((x @ x.T - 9 * torch.eye(len(x))).argmax(1).numpy() == y.numpy()),
        "farthest": farthest,
        "counts instead of a share": lambda x, y: recall(x, y) * len(y),
        "one hit a class": recall_one_hit_a_class,
    },
    "0.3": {
        "solution": lambda num_classes, per_class: (per_class - 1) / (num_classes * per_class - 1),
        "one in C": lambda num_classes, per_class: per_class / (num_classes * per_class),
        "self only out of the total": lambda num_classes, per_class: per_class / (num_classes * per_class - 1),
        "self only out of the class": lambda num_classes, per_class: (1 - 1 / per_class) / num_classes,
    },
    "7.1": {
        "solution": lambda y, share: split(y, share, lambda classes, count: classes[len(classes) - count :]),
        "images, not classes": split_images,
        "the training images": lambda y, share: [
            i for i in range(len(y)) if i not in ANSWERS["7.1"]["solution"](y, share)
        ],
        "rounded down": split_down,
        "some images of each class": split_each,
        "the first classes": lambda y, share: split(y, share, lambda classes, count: classes[:count]),
    },
    "7.2": {
        "solution": two_groups,
        "the centers were forgotten": lambda net, loss, lr, loss_lr: [{"params": net.parameters(), "lr": lr}],
        "one rate for all": lambda net, loss, lr, loss_lr: [
            {"params": [*net.parameters(), *loss.parameters()], "lr": lr}
        ],
        "rates swapped": lambda net, loss, lr, loss_lr: two_groups(net, loss, loss_lr, lr),
    },
    "7.3": {
        "solution": schedule,
        "one epoch late": lambda epoch, base, milestones: schedule(epoch - 1, base, milestones),
        "only once": lambda epoch, base, milestones: schedule(epoch, base, milestones[:1]),
        "by a tenth": lambda epoch, base, milestones: base * math.prod(0.9 for m in milestones if m <= epoch),
        "subtracted": lambda epoch, base, milestones: base - sum(0.1 for m in milestones if epoch >= m),
    },
    "7.4": {
        "solution": lambda values: t(values) * spread(values) / math.sqrt(len(values)),
        "the spread of one run": lambda values: t(values) * spread(values),
        "standard deviation": lambda values: spread(values),
        "the whole width": lambda values: 2 * t(values) * spread(values) / math.sqrt(len(values)),
        "1.96": lambda values: 1.96 * spread(values) / math.sqrt(len(values)),
        "divided by n": lambda values: t(values) * spread(values, ddof=0) / math.sqrt(len(values)),
        "standard error only": lambda values: spread(values) / math.sqrt(len(values)),
    },
}
