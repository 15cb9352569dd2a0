"""What learners write in chapter 07: a solution of each exercise, and the wrong answers that its check must name."""

import math

import numpy as np


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
