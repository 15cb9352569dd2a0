"""Exercises of chapter 07: a fair split, two learning rates, the schedule, and an interval over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import torch
from torch import nn

from dmlbook.book.exercises import Case, Exercise, Misconception

T_975 = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 9: 2.2622}
"""Student's t at 97.5 percent, by degrees of freedom."""


def _validation_images(labels: list[int], share: float, by: str = "class") -> list[int]:
    classes = sorted(set(labels))
    held = set(classes[len(classes) - round(share * len(classes)) :])
    if by == "image":
        return list(range(len(labels) - round(share * len(labels)), len(labels)))
    if by == "each class":
        kept = []
        for c in classes:
            members = [i for i, label in enumerate(labels) if label == c]
            kept += members[len(members) - round(share * len(members)) :]
        return sorted(kept)
    if by == "first":
        held = set(classes[: round(share * len(classes))])
    return [i for i, label in enumerate(labels) if label in held]


def _split_cases() -> Sequence[Case]:
    problems = [
        ([0, 0, 1, 1, 2, 2, 3, 3], 0.5),
        ([0, 1, 2, 3], 0.1),
        ([0, 0, 1, 2, 3], 0.4),
        ([3, 0, 2, 0, 1, 3, 3, 1, 2, 2], 0.25),
        ([7, 7, 7, 5, 9, 5, 8, 9], 0.5),
    ]
    return [Case((y, share), _validation_images(y, share), f"labels = {y}, share = {share}") for y, share in problems]


def _groups(net: nn.Module, loss: nn.Module, lr: float, loss_lr: float) -> list[dict]:
    return [{"params": list(net.parameters()), "lr": lr}, {"params": list(loss.parameters()), "lr": loss_lr}]


def _read_groups(groups: object) -> object:
    """Which learning rate each parameter gets, by its shape: the order of groups does not matter."""
    if isinstance(groups, torch.optim.Optimizer):  # who went one step further has the groups inside
        groups = groups.param_groups
    if not isinstance(groups, (list, tuple)):
        return groups
    rates = []
    for group in groups:
        parameters = group["params"]
        parameters = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        rates += [(tuple(p.shape), group.get("lr", "no lr")) for p in parameters]
    return sorted(rates, key=str)


class _Centers(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(*shape))


def _group_cases() -> Sequence[Case]:
    cases = []
    for size, classes in ((4, 3), (2, 7)):
        net, loss = nn.Linear(5, size), _Centers(10, classes, size)
        expected = _read_groups(_groups(net, loss, 1e-4, 1e-2))
        text = f"a linear net to {size} dimensions and {classes} classes of 10 centers, lr 1e-4, loss_lr 1e-2"
        cases.append(Case((net, loss, 1e-4, 1e-2), expected, text))
    return cases


def _rate(epoch: int, base: float, milestones: Sequence[int]) -> float:
    return base * 0.1 ** sum(epoch >= m for m in milestones)


def _rate_cases() -> Sequence[Case]:
    return [
        Case((epoch, 1.0, (20, 40)), _rate(epoch, 1.0, (20, 40)), f"epoch {epoch}, base 1.0, milestones (20, 40)")
        for epoch in (1, 19, 20, 39, 40, 50)
    ]


def _half_width(values: Sequence[float]) -> float:
    n = len(values)
    return T_975[n - 1] * statistics.stdev(values) / n**0.5


def _interval_cases() -> Sequence[Case]:
    samples = ([50.0, 52.0], [41.0, 43.0, 45.0], [60.1, 58.3, 59.4, 61.0, 59.7])
    return [Case((values,), _half_width(values), f"values = {values}") for values in samples]


EXERCISES = (
    Exercise(
        "7.1",
        "hold out classes, not images",
        _split_cases,
        {
            "images, not classes": Misconception(
                lambda y, share: _validation_images(y, share, by="image"),
                "You held out the last images, whatever their class: classes are then cut in two, and validation shows "
                "classes that training has seen.",
            ),
            "the training images": Misconception(
                lambda y, share: sorted(set(range(len(y))) - set(_validation_images(y, share))),
                "Those are the images that are left for training. The task asks for the held-out ones.",
            ),
            "rounded down": Misconception(
                lambda y, share: [i for i in range(len(y)) if y[i] in sorted(set(y))[::-1][: int(share * len(set(y)))]],
                "int() rounds down: 0.4 of 4 classes is 1.6, which rounds to 2.",
            ),
            "some images of each class": Misconception(
                lambda y, share: _validation_images(y, share, by="each class"),
                "You held out some images of every class. That measures known classes; retrieval must find new ones.",
            ),
            "the first classes": Misconception(
                lambda y, share: _validation_images(y, share, by="first"),
                "You held out the lowest class numbers. The task asks for the highest ones.",
            ),
        },
    ),
    Exercise(
        "7.2",
        "two learning rates",
        _group_cases,
        {
            "the centers were forgotten": Misconception(
                lambda net, loss, lr, loss_lr: _groups(net, loss, lr, loss_lr)[:1],
                "The centers are in no group: they stay where they were drawn, and nothing says so. They are "
                "parameters of the loss: loss.parameters().",
            ),
            "one rate for all": Misconception(
                lambda net, loss, lr, loss_lr: _groups(net, loss, lr, lr),
                "Everything learns at lr. The centers need loss_lr: a second group with its own rate.",
            ),
            "rates swapped": Misconception(
                lambda net, loss, lr, loss_lr: _groups(net, loss, loss_lr, lr),
                "The rates are swapped: the network is fine-tuned slowly, the centers move fast.",
            ),
        },
        read=_read_groups,
    ),
    Exercise(
        "7.3",
        "the schedule",
        _rate_cases,
        {
            "one epoch late": Misconception(
                lambda epoch, base, milestones: base * 0.1 ** sum(epoch > m for m in milestones),
                "One epoch late: epoch 20 itself already has the smaller rate (>=, not >).",
            ),
            "only once": Misconception(
                lambda epoch, base, milestones: base * (0.1 if epoch >= milestones[0] else 1.0),
                "The rate falls at every milestone, not only at the first: two of them make 0.01.",
            ),
            "by a tenth": Misconception(
                lambda epoch, base, milestones: base * 0.9 ** sum(epoch >= m for m in milestones),
                "You lowered the rate by a tenth. It falls to a tenth: multiply by 0.1.",
            ),
            "subtracted": Misconception(
                lambda epoch, base, milestones: base - 0.1 * sum(epoch >= m for m in milestones),
                "You subtracted 0.1; the rate is multiplied by it.",
            ),
        },
    ),
    Exercise(
        "7.4",
        "an interval over seeds",
        _interval_cases,
        {
            "the spread of one run": Misconception(
                lambda values: T_975[len(values) - 1] * statistics.stdev(values),
                "That covers a single further run. The mean of n runs varies less: divide by the root of n.",
            ),
            "standard deviation": Misconception(
                statistics.stdev,
                "That is the standard deviation of single runs. The interval is for their mean: divide by root n "
                "and multiply by t.",
            ),
            "the whole width": Misconception(
                lambda values: 2 * _half_width(values),
                "That is the whole width of the interval. The task asks for half of it, what stands after the ±.",
            ),
            "1.96": Misconception(
                lambda values: 1.96 * statistics.stdev(values) / len(values) ** 0.5,
                "1.96 needs many runs. With n of them use Student's t at n - 1 degrees of freedom: 4.30 for n = 3.",
            ),
            "divided by n": Misconception(
                lambda values: T_975[len(values) - 1] * statistics.pstdev(values) / len(values) ** 0.5,
                "Your standard deviation divides by n. Around a mean taken from the same runs it divides by n - 1.",
            ),
            "standard error only": Misconception(
                lambda values: statistics.stdev(values) / len(values) ** 0.5,
                "That is the standard error. Multiply by Student's t for 95 percent.",
            ),
        },
    ),
)
