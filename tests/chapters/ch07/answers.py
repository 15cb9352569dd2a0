"""What learners write in chapter 07: a solution of each exercise, and the wrong answers that its check must name."""

import math

import numpy as np
import torch
from torch import optim

from dmlbook.retrieval import recall_at_k
from tests.chapters.ch07.more_answers import READ, WRITTEN


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


def split_up(y, share):
    classes = sorted(set(y))
    keep = classes[len(classes) - math.ceil(share * len(classes)) :]
    return [i for i, label in enumerate(y) if label in keep]


def split_each(y, share):
    held = []
    for c in set(y):
        members = [i for i in range(len(y)) if y[i] == c]
        count = round(share * len(members))
        held += members[-count:] if count else []
    return sorted(held)


def split_by_number(y, share):
    top, count = max(y), int(share * len(set(y)) + 0.5)
    return [i for i, label in enumerate(y) if label > top - count]


def train_loop(
    net,
    loss,
    batches,
    lr,
    loss_lr,
    *,
    groups=lambda net, loss, lr, loss_lr: [
        {"params": net.parameters(), "lr": lr},
        {"params": loss.parameters(), "lr": loss_lr},
    ],
    adam=optim.Adam,
    zero=True,
    sign=1,
    fresh=False,
    step=True,
    mode=True,
):
    """As a learner writes it, with what may be forgotten."""
    if mode:
        net.train()
    optimizer = adam(groups(net, loss, lr, loss_lr))
    history = []
    for x, y in batches:
        if fresh:
            optimizer = adam(groups(net, loss, lr, loss_lr))
        value = loss(net(x), y)
        if zero:
            optimizer.zero_grad()
            for module in (net, loss):
                for p in module.parameters():
                    p.grad = None
        (sign * value).backward()
        if step:
            optimizer.step()
        history.append(value.item())
    return history


LOOPS = {
    "the centers were forgotten": {"groups": lambda net, loss, lr, loss_lr: [{"params": net.parameters(), "lr": lr}]},
    "the network was forgotten": {
        "groups": lambda net, loss, lr, loss_lr: [{"params": loss.parameters(), "lr": loss_lr}]
    },
    "one rate for all": {
        "groups": lambda net, loss, lr, loss_lr: [{"params": [*net.parameters(), *loss.parameters()], "lr": lr}]
    },
    "the loss's rate for all": {
        "groups": lambda net, loss, lr, loss_lr: [{"params": [*net.parameters(), *loss.parameters()], "lr": loss_lr}]
    },
    "rates swapped": {
        "groups": lambda net, loss, lr, loss_lr: [
            {"params": loss.parameters(), "lr": lr},
            {"params": net.parameters(), "lr": loss_lr},
        ]
    },
    "slopes add up": {"zero": False},
    "nothing moves": {"step": False},
    "an optimizer a step": {"fresh": True},
    "uphill": {"sign": -1},
    "plain descent": {"adam": optim.SGD},
}


def looped(**chosen):
    return lambda *arguments: train_loop(*arguments, **chosen)


def watched(net, loss, epochs, held_out, lr, *, modes=("train", "eval"), begin=None, first=False, last=False):
    """Training with a score after each epoch; ``modes`` before its steps and before measuring."""
    images, labels = held_out
    adam = optim.Adam(list(net.parameters()) + list(loss.parameters()), lr)
    history = []

    def put(mode):
        if mode is not None:
            net.train(mode == "train")

    def score():
        put(modes[1])
        with torch.no_grad():
            history.append(recall_at_k(net(images), labels, ks=(1,))[1])

    put(begin)
    for epoch in epochs:
        if first:
            score()
        put(modes[0])
        for x, y in epoch:
            adam.zero_grad()
            loss(net(x), y).backward()
            adam.step()
        if not first and not last:
            score()
    if last:
        score()
    return history


def t(values):
    return {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 10: 2.262}[len(values)]


def spread(values, ddof=1):
    return float(np.std(values, ddof=ddof))


def lead(a, b, half):
    difference = np.subtract(a, b)
    return float(difference.mean()), half(difference)


def leads(half):
    return lambda a, b: lead(a, b, half)


def half_width(values):
    return t(values) * spread(values) / math.sqrt(len(values))


def schedule(epoch, base, milestones):
    for milestone in milestones:
        if epoch >= milestone:
            base = base / 10
    return base


def after_measuring(net, loss, epochs, held_out, lr):
    found = []
    for epoch in epochs:
        found += watched_one(net, loss, epoch, held_out, lr, found)
        net.train()
    return found


def watched_one(net, loss, epoch, held_out, lr, found):
    """One epoch with Adam's memory kept between calls."""
    if not found:
        net.adam = optim.Adam([*net.parameters(), *loss.parameters()], lr)
    for x, y in epoch:
        net.adam.zero_grad()
        loss(net(x), y).backward()
        net.adam.step()
    net.eval()
    with torch.no_grad():
        return [recall_at_k(net(held_out[0]), held_out[1], ks=(1,))[1]]


ANSWERS = {
    "7.1": {
        "solution": lambda y, share: split(y, share, lambda classes, count: classes[len(classes) - count :]),
        "images, not classes": split_images,
        "the training images": lambda y, share: [
            i for i in range(len(y)) if i not in ANSWERS["7.1"]["solution"](y, share)
        ],
        "rounded down": split_down,
        "rounded up": split_up,
        "some images of each class": split_each,
        "the first classes": lambda y, share: split(y, share, lambda classes, count: classes[:count]),
        "none is all": lambda y, share: split(y, share, lambda classes, count: classes[-count:]),
        "numbers that no class has": split_by_number,
    },
    "7.2": {
        "solution": train_loop,
        "left in evaluation": looped(mode=False),
        **{name: looped(**chosen) for name, chosen in LOOPS.items()},
        **{f"{name}, left in evaluation": looped(mode=False, **chosen) for name, chosen in LOOPS.items()},
    },
    "7.3": {
        "solution": watched,
        "the bug itself": lambda *arguments: watched(*arguments, begin="train", modes=(None, "eval")),
        "never in evaluation": lambda *arguments: watched(*arguments, modes=("train", None)),
        "always in evaluation": lambda *arguments: watched(*arguments, modes=("eval", "eval")),
        "the last epoch alone": lambda *arguments: watched(*arguments, last=True),
        "measured before": lambda *arguments: watched(*arguments, first=True),
        "the first epoch in evaluation": after_measuring,
    },
    "7.4": {
        "solution": leads(half_width),
        "not paired": lambda a, b: (
            float(np.mean(a) - np.mean(b)),
            t(a) * math.sqrt(spread(a) ** 2 / len(a) + spread(b) ** 2 / len(b)),
        ),
        "the other way round": lambda a, b: lead(b, a, half_width),
        "the spread of one run": leads(lambda d: t(d) * spread(d)),
        "standard deviation": leads(spread),
        "the whole width": leads(lambda d: 2 * half_width(d)),
        "1.96": leads(lambda d: 1.96 * spread(d) / math.sqrt(len(d))),
        "divided by n": leads(lambda d: t(d) * spread(d, ddof=0) / math.sqrt(len(d))),
        "standard error only": leads(lambda d: spread(d) / math.sqrt(len(d))),
        "not the root": leads(lambda d: t(d) * spread(d) / len(d)),
    },
    "7.6": {
        "solution": schedule,
        "one epoch late": lambda epoch, base, milestones: schedule(epoch - 1, base, milestones),
        "only once": lambda epoch, base, milestones: schedule(epoch, base, milestones[:1]),
        "by a tenth": lambda epoch, base, milestones: base * math.prod(0.9 for m in milestones if m <= epoch),
        "subtracted": lambda epoch, base, milestones: base - sum(0.1 for m in milestones if epoch >= m),
        "from zero": lambda epoch, base, milestones: schedule(epoch + 1, base, milestones),
        "at the milestone alone": lambda epoch, base, milestones: base / 10 if epoch in milestones else base,
        "halved": lambda epoch, base, milestones: base / 2 ** len([m for m in milestones if m <= epoch]),
        "a factor a step": lambda epoch, base, milestones: (
            base * sum(epoch >= m for m in milestones) / 10 if epoch >= milestones[0] else base
        ),
    },
}


def copies(net, loss, batches, lr, loss_lr):
    """Of the weights: they get no slope, and never come back."""
    groups = [{"params": [*net.state_dict().values()], "lr": lr}, {"params": [*loss.state_dict().values()], "lr": 1.0}]
    groups = [{**group, "params": [p for p in group["params"] if p.is_floating_point()]} for group in groups]
    net.train()
    adam, values = optim.Adam(groups), []
    for x, y in batches:
        value = loss(net(x), y)
        adam.zero_grad()
        value.backward()
        adam.step()
        values.append(value)
    return values


def cleared_too_late(net, loss, batches, lr, loss_lr):
    net.train()
    adam = optim.Adam([{"params": net.parameters(), "lr": lr}, {"params": loss.parameters(), "lr": loss_lr}])
    values = []
    for x, y in batches:
        value = loss(net(x), y)
        value.backward()
        adam.zero_grad()
        adam.step()
        values += [value.detach()]
    return values


def net_cleared_alone(net, loss, batches, lr, loss_lr):
    """Two optimizers, of which one is never cleared."""
    net.train()
    one, other = optim.Adam(net.parameters(), lr), optim.Adam(loss.parameters(), loss_lr)
    values = []
    for x, y in batches:
        value = loss(net(x), y)
        one.zero_grad()
        value.backward()
        one.step()
        other.step()
        values.append(value.item())
    return values


def by_hand(net, loss, batches, lr, loss_lr):
    net.train()
    values = []
    for x, y in batches:
        value = loss(net(x), y)
        net.zero_grad()
        loss.zero_grad()
        value.backward()
        with torch.no_grad():
            for p in net.parameters():
                p -= lr * p.grad
            for p in loss.parameters():
                p -= loss_lr * p.grad
        values.append(value.item())
    return values


def own_groups(groups, **chosen):
    return lambda *arguments: train_loop(*arguments, groups=groups, **chosen)


INVENTED = {
    "7.1": {
        "first half of the images": lambda y, share: list(range(round(share * len(y)))),
        "every image, by a slice from the end": lambda y, share: [
            i for i, c in enumerate(y) if c in sorted(set(y))[-round(share * len(set(y))) :]
        ],
        "int instead of round": lambda y, share: [
            i for i, c in enumerate(y) if c in sorted(set(y))[len(set(y)) - int(share * len(set(y))) :]
        ],
        "ceil": lambda y, share: [
            i for i, c in enumerate(y) if c in sorted(set(y))[len(set(y)) - math.ceil(share * len(set(y))) :]
        ],
        "what is left": lambda y, share: [
            i for i, c in enumerate(y) if c in sorted(set(y))[: len(set(y)) - round(share * len(set(y)))]
        ],
        "lowest": lambda y, share: [i for i, c in enumerate(y) if c in sorted(set(y))[: round(share * len(set(y)))]],
        "last images": lambda y, share: list(range(len(y)))[len(y) - round(len(y) * share) :],
        "above a number": lambda y, share: [i for i, c in enumerate(y) if c > max(y) - round(share * len(set(y)))],
        "last of every class": lambda y, share: sorted(
            i for c in set(y) for i in [j for j, d in enumerate(y) if d == c][y.count(c) - round(share * y.count(c)) :]
        ),
        "at least one class": lambda y, share: [
            i for i, c in enumerate(y) if c in sorted(set(y))[len(set(y)) - max(1, round(share * len(set(y)))) :]
        ],
    },
    "7.2": {
        "copies of the weights": copies,
        "cleared between backward and step": cleared_too_late,
        "only the network's optimizer cleared": net_cleared_alone,
        "written by hand, without Adam": by_hand,
        "only the network": own_groups(lambda net, loss, lr, loss_lr: [{"params": net.parameters(), "lr": lr}]),
        "one list at lr": own_groups(
            lambda net, loss, lr, loss_lr: [
                {"params": net.parameters(), "lr": lr},
                {"params": loss.parameters(), "lr": lr},
            ]
        ),
        "swapped": own_groups(
            lambda net, loss, lr, loss_lr: [
                {"params": net.parameters(), "lr": loss_lr},
                {"params": loss.parameters(), "lr": lr},
            ]
        ),
        "no train()": looped(mode=False),
        "never cleared": looped(zero=False),
        "minus the loss": looped(sign=-1),
    },
    "7.3": {
        "as it was": lambda *arguments: watched(*arguments, begin="train", modes=(None, "eval")),
        "eval() deleted": lambda *arguments: watched(*arguments, begin="train", modes=(None, None)),
        "train() right before measuring": lambda *arguments: watched(*arguments, begin="train", modes=(None, "train")),
        "eval() at the top": lambda *arguments: watched(*arguments, begin="eval", modes=(None, None)),
        "train() deleted": lambda *arguments: watched(*arguments, modes=(None, "eval")),
        "measured once": lambda *arguments: watched(*arguments, begin="train", last=True),
        "measured before its steps": lambda *arguments: watched(*arguments, first=True),
        "train() after measuring, not at first": after_measuring,
        "eval() in every epoch": lambda *arguments: watched(*arguments, modes=("eval", None)),
        "the mean of the scores": lambda *arguments: [sum(watched(*arguments)) / len(arguments[2])],
    },
    "7.4": {
        "two intervals added": lambda a, b: (lead(a, b, half_width)[0], half_width(a) + half_width(b)),
        "two intervals, as a root of squares": lambda a, b: (
            lead(a, b, half_width)[0],
            math.hypot(half_width(a), half_width(b)),
        ),
        "second minus first": lambda a, b: (float(np.mean(b) - np.mean(a)), half_width(np.subtract(b, a))),
        "np.std as it comes": leads(lambda d: t(d) * float(np.std(d)) / len(d) ** 0.5),
        "no t": leads(lambda d: spread(d) / len(d) ** 0.5),
        "no root": leads(lambda d: t(d) * spread(d) / len(d)),
        "no n": leads(lambda d: t(d) * spread(d)),
        "deviation": leads(lambda d: spread(d)),
        "normal": leads(lambda d: 1.96 * spread(d) / len(d) ** 0.5),
        "from end to end": leads(lambda d: half_width(d) * 2),
    },
    "7.6": {
        "greater than": lambda epoch, base, milestones: base * 0.1 ** len([m for m in milestones if epoch > m]),
        "counted from 0": lambda epoch, base, milestones: base * 0.1 ** len([m for m in milestones if epoch >= m - 1]),
        "the first one": lambda epoch, base, milestones: base / 10 if epoch >= milestones[0] else base,
        "0.9": lambda epoch, base, milestones: base * 0.9 ** len([m for m in milestones if epoch >= m]),
        "minus 0.1": lambda epoch, base, milestones: base - len([m for m in milestones if epoch >= m]) / 10,
        "in that epoch": lambda epoch, base, milestones: base * (1 - 0.9 * (epoch in milestones)),
        "a half": lambda epoch, base, milestones: base * 0.5 ** len([m for m in milestones if epoch >= m]),
        "0.1 times how many": lambda epoch, base, milestones: (
            base if epoch < milestones[0] else base * 0.1 * len([m for m in milestones if epoch >= m])
        ),
        "the last one": lambda epoch, base, milestones: base / 10 if epoch >= milestones[-1] else base,
        "a hundredth": lambda epoch, base, milestones: base * 0.01 ** len([m for m in milestones if epoch >= m]),
    },
}

ANSWERS = {id: answers | WRITTEN.get(id, {}) for id, answers in ANSWERS.items()}
INVENTED = {id: invented | READ.get(id, {}) for id, invented in INVENTED.items()}
