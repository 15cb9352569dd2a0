"""More of what learners write in chapter 07: by misconception (WRITTEN), and invented by a reader (READ)."""

import copy
import math
import random
import statistics
from collections import Counter

import numpy as np
import torch
from torch import optim

from dmlbook.retrieval import recall_at_k

T = {2: 12.7062, 3: 4.3027, 4: 3.1824, 5: 2.7764}


def top(y, share):
    classes = np.unique(y)
    return classes[len(classes) - round(share * len(classes)) :].tolist()


def at(y, held):
    return np.flatnonzero(np.isin(y, held)).tolist()


def largest(y, share):
    ordered = [c for c, _ in sorted(Counter(y).items(), key=lambda pair: (pair[1], pair[0]))]
    return at(y, ordered[len(ordered) - round(share * len(ordered)) :])


def appearing(y, share):
    seen = []
    for c in y:
        if c not in seen:
            seen.append(c)
    return [i for i, c in enumerate(y) if c in seen[len(seen) - round(share * len(seen)) :]]


def grouped(y, share):
    found = []
    for c in top(y, share):
        found += [i for i, label in enumerate(y) if label == c]
    return found


def one_more(y, share):
    classes = np.unique(y)
    return at(y, classes[max(0, len(classes) - 1 - round(share * len(classes))) :])


def in_a_row(y, share):
    ordered = sorted(y)
    return [place for place, c in enumerate(ordered) if c in top(y, share)]


def from_all_numbers(y, share):
    numbers = list(range(max(y) + 1))
    return at(y, numbers[len(numbers) - round(share * len(numbers)) :])


def fill_up(y, share):
    """Whole classes, until the share of the images is reached."""
    held = []
    for c in sorted(set(y), reverse=True):
        if len(at(y, held)) >= round(share * len(y)):
            break
        held.append(c)
    return at(y, held)


def while_they_fit(y, share):
    held = []
    for c in sorted(set(y), reverse=True):
        if len(at(y, [*held, c])) > share * len(y):
            break
        held.append(c)
    return at(y, held)


def train_loop(
    net,
    loss,
    batches,
    lr,
    loss_lr,
    *,
    kind=optim.Adam,
    copied=False,
    by_images=False,
    cleared="both",
    after=False,
    first=False,
    keep=False,
    bare=False,
    **options,
):
    if copied:
        net, loss = copy.deepcopy(net), copy.deepcopy(loss)
    net.train()
    centers = {"params": loss.parameters()} if bare else {"params": loss.parameters(), "lr": loss_lr}
    adam = kind([{"params": net.parameters(), "lr": lr}, centers], **options)
    history = []
    for x, y in batches:
        if cleared == "both":
            adam.zero_grad()
        else:
            net.zero_grad()
        value = loss(net(x), y)
        if by_images:
            value = value * x.shape[0]
        value.backward()
        adam.step()
        if after:
            value = loss(net(x), y).detach()
        history.append(value if keep else value.item())
        if first:
            return history
    return history


def so_far(*arguments, **options):
    return [statistics.fmean(values) for values in growing(train_loop(*arguments, **options))]


def growing(values):
    return [values[: n + 1] for n in range(len(values))]


LOOPS = {
    "momentum": {"kind": optim.SGD, "momentum": 0.9},
    "weight decay": {"kind": optim.AdamW},
    "copies were trained": {"copied": True},
    "times the size of the batch": {"by_images": True},
    "the centers' slopes add up": {"cleared": "net"},
    "measured after the step": {"after": True},
    "one batch alone": {"first": True},
    "a little decay": {"weight_decay": 1e-4},
    "more decay": {"weight_decay": 0.01},
    "the papers' epsilon": {"eps": 0.01},
    "a group without a rate": {"bare": True},
    "graphs are kept": {"keep": True},
}


def looped(**chosen):
    return lambda *arguments: train_loop(*arguments, **chosen)


def clones(net, loss, batches, lr, loss_lr):
    """The centers' group holds copies, which state_dict() gives."""
    net.train()
    copied = [value.clone().requires_grad_() for value in loss.state_dict().values()]
    adam = optim.Adam([{"params": net.parameters(), "lr": lr}, {"params": copied, "lr": loss_lr}])
    history = []
    for x, y in batches:
        value = loss(net(x), y)
        adam.zero_grad()
        loss.zero_grad()
        value.backward()
        adam.step()
        history.append(value.item())
    return history


def two_rates(net, loss, lr, center_rate):
    return [{"params": net.parameters(), "lr": lr}, {"params": loss.parameters(), "lr": center_rate}]


def measured(net, loss, epochs, held_out, lr, *, wrong=""):
    weights = list(net.parameters()) if wrong == "no centers" else [*net.parameters(), *loss.parameters()]
    if wrong in ("ten times", "0.03"):
        weights = two_rates(net, loss, lr, 10 * lr if wrong == "ten times" else 0.03)
    once = wrong in ("new Adam, no train()", "train() after the step")
    net.train()
    adam, scores = optim.Adam(weights, lr=lr), []

    def score(x, y):
        net.eval()
        with torch.no_grad():
            return recall_at_k(net(x), y, ks=(1,))[1]

    if wrong == "before and after":
        scores.append(score(*held_out))
    for epoch in epochs:
        if not once:
            net.train()
        if wrong.startswith("new Adam"):
            adam = optim.Adam(weights, lr=lr)
        if wrong == "cleared once":
            adam.zero_grad()
        for x, y in epoch:
            if wrong not in ("never cleared", "cleared once"):
                adam.zero_grad()
                loss.zero_grad()
            with torch.set_grad_enabled(wrong != "no_grad"):
                value = loss(net(x), y)
            if wrong != "no_grad":
                value.backward()
                adam.step()
            if wrong == "train() after the step":
                net.train()
            if wrong == "eval in the batches":
                net.eval()
            if wrong == "every batch":
                scores.append(score(*held_out))
                net.train()
        if wrong == "every batch":
            continue
        scores.append(score(x, y) if wrong == "last batch" else score(*held_out))
        if wrong == "percent":
            scores[-1] *= 100
        if wrong == "return inside":
            return scores
    return scores


def bug(wrong):
    return lambda *arguments: measured(*arguments, wrong=wrong)


def half(values):
    return T[len(values)] * float(np.std(values, ddof=1)) / math.sqrt(len(values))


def differences(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]


def pooled(a, b):
    return T[len(a)] * float(np.append(a, b).std(ddof=1)) / math.sqrt(len(a))


def of(values):
    return float(np.mean(values)), half(values)


def lead(spread):
    return lambda a, b: (float(np.mean(a) - np.mean(b)), spread(np.array(a), np.array(b)))


def ends(a, b):
    mean, width = of(differences(a, b))
    return mean - width, mean + width


def every_epoch(epoch, base, milestones):
    for milestone in milestones:
        for _ in range(milestone, epoch + 1):
            base /= 10
    return base


def overwritten(epoch, base, milestones):
    for milestone in milestones:
        found = base / 10 if epoch >= milestone else base
    return found


def reached(epoch, milestones):
    return len([m for m in milestones if m <= epoch])


WRITTEN = {
    "7.1": {
        "their labels": lambda y, share: [y[i] for i in at(y, top(y, share))],
        "class numbers": top,
        "one image a class": lambda y, share: [at(y, [c])[0] for c in top(y, share)],
        "in order of appearance": appearing,
        "class by class": grouped,
        "counted from 1": lambda y, share: [i for i, c in enumerate(y, 1) if c in top(y, share)],
        "a mask": lambda y, share: np.isin(y, top(y, share)).tolist(),
        "one class more": one_more,
        "the largest classes": largest,
        "positions after sorting": in_a_row,
        "numbers up to the highest": from_all_numbers,
        "labels without gaps": lambda y, share: np.flatnonzero(
            np.array(y) >= len(set(y)) - round(share * len(set(y)))
        ).tolist(),
        "labels above a share of the classes": lambda y, share: [
            i for i, c in enumerate(y) if c >= (1 - share) * len(set(y))
        ],
        "labels above a share of the highest": lambda y, share: [
            i for i, c in enumerate(y) if c > (1 - share) * max(y)
        ],
        "as many classes as a share of the images": lambda y, share: at(
            y, sorted(set(y))[::-1][: round(share * len(y))]
        ),
        "classes until the images suffice": fill_up,
        "classes while the images allow": while_they_fit,
        "one image a class, sorted": lambda y, share: sorted(at(y, [c])[0] for c in top(y, share)),
    },
    "7.2": {
        "means so far": so_far,
        **{name: looped(**chosen) for name, chosen in LOOPS.items()},
    },
    "7.3": {
        "an optimizer an epoch": bug("new Adam"),
        "slopes add up": bug("never cleared"),
        "the centers were forgotten": bug("no centers"),
        "nothing moves": bug("no_grad"),
        "evaluation after a batch": bug("eval in the batches"),
        "a score a batch": bug("every batch"),
        "measured on training images": bug("last batch"),
        "percent": bug("percent"),
        "the first epoch alone": bug("return inside"),
        "an optimizer an epoch, and the bug": bug("new Adam, no train()"),
        "training from the second batch on": bug("train() after the step"),
        "ten times the rate for the centers": bug("ten times"),
        "0.03 for the centers": bug("0.03"),
        "a score too many": bug("before and after"),
    },
    "7.4": {
        "sizes of the differences": lambda a, b: of(np.abs(np.subtract(a, b))),
        "sorted before": lambda a, b: of(np.subtract(np.sort(a), np.sort(b))),
        "shares": lambda a, b: of(np.subtract(a, b) / np.array(b)),
        "around 0": lead(lambda a, b: T[len(a)] * math.sqrt(((a - b) ** 2).sum() / (len(a) - 1)) / math.sqrt(len(a))),
        "no root of the variance": lead(lambda a, b: T[len(a)] * float((a - b).var(ddof=1)) / math.sqrt(len(a))),
        "no root at all": lead(lambda a, b: T[len(a)] * float((a - b).var(ddof=1)) / len(a)),
        "both ends": ends,
        "the lead alone": lambda a, b: float(np.mean(a) - np.mean(b)),
        "the median": lambda a, b: (statistics.median_high(differences(a, b)), half(differences(a, b))),
        "the first one's spread": lead(lambda a, b: half(a)),
        "the second one's spread": lead(lambda a, b: half(b)),
        "two half-widths added": lead(lambda a, b: half(a) + half(b)),
        "root of n - 1": lead(lambda a, b: half(a - b) * math.sqrt(len(a)) / math.sqrt(len(a) - 1)),
        "the t of two seeds for all": lead(lambda a, b: half(a - b) * T[2] / T[len(a)]),
        "one line too early": lead(lambda a, b: half(a - b) * {2: T[2], 3: T[2], 4: T[3], 5: T[4]}[len(a)] / T[len(a)]),
        "one line too late": lead(
            lambda a, b: half(a - b) * {2: T[3], 3: T[4], 4: T[5], 5: 2.5706}[len(a)] / T[len(a)]
        ),
        "all scores in one list": lead(pooled),
        "one t for all": lead(lambda a, b: half(a - b) * T[5] / T[len(a)]),
    },
    "7.6": {
        "the last milestone alone": overwritten,
        "the milestones to come": lambda epoch, base, milestones: base / 10 ** sum(m > epoch for m in milestones),
        "in every epoch since": every_epoch,
        "without the base": lambda epoch, base, milestones: 0.1 ** reached(epoch, milestones),
        "ten times how many": lambda epoch, base, milestones: (
            base / 10 / n if (n := reached(epoch, milestones)) else base
        ),
        "a hundredth": lambda epoch, base, milestones: base / 100 ** reached(epoch, milestones),
        "linearly": lambda epoch, base, milestones: base - 0.9 * base * reached(epoch, milestones) / len(milestones),
    },
}
READ = {
    "7.1": {
        "the labels themselves": lambda y, share: [c for c in y if c in top(y, share)],
        "the classes": top,
        "index of each class": lambda y, share: [y.index(c) for c in top(y, share)],
        "max(labels) + 1 classes": from_all_numbers,
        "dict.fromkeys": appearing,
        "from 1": lambda y, share: [i + 1 for i, c in enumerate(y) if c in top(y, share)],
        "true and false": lambda y, share: [c in top(y, share) for c in y],
        "a slice that starts one early": one_more,
        "sorted labels": in_a_row,
        "classes until the images suffice": fill_up,
        "a loop over classes": grouped,
        "random images": lambda y, share: sorted(random.Random(0).sample(range(len(y)), round(share * len(y)))),
        "n - round(share * n) and above": WRITTEN["7.1"]["labels without gaps"],
        "round(share * len(labels)) classes": WRITTEN["7.1"]["as many classes as a share of the images"],
        "classes while they fit": while_they_fit,
    },
    "7.2": {
        "AdamW": looped(kind=optim.AdamW),
        "a little decay": looped(weight_decay=1e-4),
        "SGD with momentum": looped(kind=optim.SGD, momentum=0.9),
        "deepcopy": looped(copied=True),
        "net.zero_grad()": looped(cleared="net"),
        "loss after the step": looped(after=True),
        "return inside the loop": looped(first=True),
        "running mean": so_far,
        "loss times images": looped(by_images=True),
        "epsilon of the papers": looped(eps=0.01),
        "tensors appended": looped(keep=True),
        "tensors of a loop that clears too little": looped(keep=True, cleared="net"),
        "no rate for the centers": looped(bare=True),
        "copies of the centers": clones,
    },
    "7.3": {
        "Adam in the loop over epochs": bug("new Adam"),
        "zero_grad deleted": bug("never cleared"),
        "zero_grad in the loop over epochs": bug("cleared once"),
        "net.parameters() alone": bug("no centers"),
        "no_grad around the training": bug("no_grad"),
        "eval() one level too deep": bug("eval in the batches"),
        "measured one level too deep": bug("every batch"),
        "the last batch measured": bug("last batch"),
        "times 100": bug("percent"),
        "return one level too deep": bug("return inside"),
        "a score before the first epoch": bug("before and after"),
        "a new Adam, and the bug": bug("new Adam, no train()"),
        "train() after each step": bug("train() after the step"),
        "another rate for the centers": bug("0.03"),
    },
    "7.4": {
        "abs": lambda a, b: of([abs(d) for d in differences(a, b)]),
        "sorted": lambda a, b: of(differences(sorted(a), sorted(b))),
        "squares without the mean": WRITTEN["7.4"]["around 0"],
        "statistics.variance": WRITTEN["7.4"]["no root of the variance"],
        "low and high": ends,
        "the mean only": lambda a, b: sum(differences(a, b)) / len(a),
        "the spread of the first": lead(lambda a, b: half(a)),
        "the spread of the second": lead(lambda a, b: half(b)),
        "half-widths subtracted": lead(lambda a, b: half(a) - half(b)),
        "in percent of the second": lambda a, b: of([x / y - 1 for x, y in zip(a, b, strict=True)]),
        "n - 1 under the root": WRITTEN["7.4"]["root of n - 1"],
        "table by n - 1": lambda a, b: (sum(differences(a, b)) / len(a), T[len(a) - 1] * half(differences(a, b))),
        "both lists in one": lead(pooled),
        "12.7 for all": WRITTEN["7.4"]["the t of two seeds for all"],
    },
    "7.6": {
        "the base forgotten": WRITTEN["7.6"]["without the base"],
        "overwritten in the loop": overwritten,
        "less than": WRITTEN["7.6"]["the milestones to come"],
        "an inner loop": every_epoch,
        "divided by 10 times how many": WRITTEN["7.6"]["ten times how many"],
        "a straight line": WRITTEN["7.6"]["linearly"],
        "divided by 100": WRITTEN["7.6"]["a hundredth"],
        "all of them at once": lambda epoch, base, milestones: base * 0.1 ** len(milestones),
        "whole numbers": lambda epoch, base, milestones: base // 10 ** reached(epoch, milestones),
        "break at the first": lambda epoch, base, milestones: next((base / 10 for m in milestones if epoch >= m), base),
    },
}
