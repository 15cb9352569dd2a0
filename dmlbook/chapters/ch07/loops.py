"""The loops of chapter 07's exercises, as the book writes them and as learners do, and the cases that try them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
from torch import nn

from dmlbook import losses, nets
from dmlbook.book.exercises import Case, Misconception, same
from dmlbook.chapters.ch07.messages import BUG_FAULTS, IN_EVALUATION, LOOP_FAULTS, RARE_LOOP_FAULTS
from dmlbook.retrieval import recall_at_k
from dmlbook.sampling import UniformBatches
from dmlbook.seeding import generator
from dmlbook.training import Features, TrainConfig, fit

Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]


class _Net(nn.Module):
    """A little network with batch norm, for features of 6 numbers."""

    def __init__(self, seed: int):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nets.Head(5, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def _features(count: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw, labels = generator(seed, "features"), torch.arange(count) % classes
    return torch.randn(classes, 6, generator=draw)[labels] + 0.7 * torch.randn(count, 6, generator=draw), labels


def _loss(classes: int, seed: int) -> nn.Module:
    return losses.make(
        "softtriple", num_classes=classes, embedding_size=3, centers_per_class=2, generator=generator(seed, "centers")
    )


def _weights(*modules: nn.Module) -> torch.Tensor:
    return torch.cat([value.detach().flatten().float() for m in modules for value in m.state_dict().values()])


def loop_cases() -> Sequence[Case]:
    """What ``fit`` makes of features, and of the same batches in the same order."""
    cases = []
    for seed, classes, lr, loss_lr in ((0, 3, 0.01, 0.1), (1, 4, 0.02, 0.3)):
        x, y = _features(24, classes, seed)
        net, loss = _Net(seed).eval(), _loss(classes, seed)
        told = {"epochs": 2, "batch_size": 8, "lr": lr, "loss_lr": loss_lr, "seed": seed, "milestones": ()}
        config = TrainConfig(adam_eps=1e-8, weight_decay=0.0, freeze_batch_norm=False, **told)
        order = [index for epoch in (1, 2) for index in UniformBatches(24, 8, seed).batches(epoch)]
        batches = [(x[index], y[index]) for index in order]
        ours, theirs = copy.deepcopy((net, loss)), copy.deepcopy((net, loss))
        values = loop(*ours, batches, lr, loss_lr)
        fit(*theirs, Features(x, y), config, device="cpu", progress=False)
        expected = torch.cat([torch.tensor([0.0, *values]), _weights(*theirs)])
        text = f"{len(batches)} batches of {classes} classes, lr {lr}, loss_lr {loss_lr}: "
        text += "how many losses hold a graph, the losses, then all weights"
        cases.append(Case((net, loss, batches, lr, loss_lr), expected, text))
    return cases


def trained(function: Callable, arguments: tuple) -> object:
    """What the function returns, and all that network and loss hold afterwards; it trains copies."""
    net, loss, *rest = copy.deepcopy(arguments)
    values = function(net, loss, *rest)
    if values is None or values is Ellipsis:
        return values
    if not isinstance(values, Iterable):
        raise TypeError("return a list of numbers, one for each step (7.2) or epoch (7.3)")
    values = list(values)
    if any(isinstance(value, dict) for value in values):
        raise TypeError("recall_at_k returns a dictionary: recall_at_k(...)[1] is the number")
    found = torch.cat([torch.tensor([float(torch.as_tensor(value).detach()) for value in values]), _weights(net, loss)])
    return found if found.isfinite().all() else torch.full_like(found, torch.nan)


def looped(function: Callable, arguments: tuple) -> object:
    """As ``trained``; before it how many losses hold a graph, which is told once all else is right."""
    kept: list[torch.Tensor] = []

    def told(*given: object) -> object:
        values = function(*given)
        if isinstance(values, Iterable):
            values = list(values)
            kept.extend(value for value in values if isinstance(value, torch.Tensor) and value.requires_grad)
        return values

    found = trained(told, arguments)
    if not isinstance(found, torch.Tensor):
        return found
    right = same(found, trained(loop, arguments))
    return torch.cat([torch.tensor([float(len(kept)) if right else 0.0]), found])


def loop(
    net: nn.Module, loss: nn.Module, batches: Batches, lr: float, loss_lr: float, *, fault: str = "", mode: bool = True
) -> list[float] | list[torch.Tensor]:
    """The loop, or what learners make of it: one of the faults below, and a network left in evaluation."""
    if fault == "copies were trained":
        net, loss = copy.deepcopy((net, loss))
    rates = {
        "one rate for all": (lr, lr),
        "rates swapped": (loss_lr, lr),
        "the loss's rate for all": (loss_lr, loss_lr),
    }
    rates = rates.get(fault, (lr, loss_lr))
    groups = [{"params": m.parameters(), "lr": rate} for m, rate in zip((net, loss), rates, strict=True)]
    groups = {"the centers were forgotten": groups[:1], "the network was forgotten": groups[1:]}.get(fault, groups)
    if fault == "a group without a rate":
        del groups[1]["lr"]
    groups = [{**group, "params": list(group["params"])} for group in groups]
    kind = OPTIMIZERS.get(fault, torch.optim.Adam)
    optimizer, values = kind(groups), []
    if mode:
        net.train()
    for inputs, labels in batches:
        value = loss(net(inputs), labels) * (len(inputs) if fault == "times the size of the batch" else 1)
        if fault == "an optimizer a step":
            optimizer = kind(groups)
        if fault != "slopes add up":
            net.zero_grad()
            if fault != "the centers' slopes add up":
                loss.zero_grad()
        if fault != "nothing moves":
            value.backward()
            optimizer.step()
        if fault == "measured after the step":
            with torch.no_grad():
                value = loss(net(inputs), labels)
        values.append(value if fault == "graphs are kept" else float(value.detach()))
        if fault == "one batch alone":
            break
    if fault == "means so far":
        return [sum(values[:n]) / n for n in range(1, len(values) + 1)]
    return values


OPTIMIZERS = {
    "plain descent": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
    "uphill": partial(torch.optim.Adam, maximize=True),
    "weight decay": torch.optim.AdamW,
    "a little decay": partial(torch.optim.Adam, weight_decay=1e-4),
    "more decay": partial(torch.optim.Adam, weight_decay=1e-2),
    "the papers' epsilon": partial(torch.optim.Adam, eps=0.01),
}


def loop_misconceptions() -> dict[str, Misconception]:
    """Each fault alone, and the usual ones with a network left in evaluation: neither hides the other."""
    found = {"left in evaluation": Misconception(partial(loop, mode=False), IN_EVALUATION)}
    for fault, message in LOOP_FAULTS.items():
        found[fault] = Misconception(partial(loop, fault=fault), message)
        both = Misconception(partial(loop, fault=fault, mode=False), f"{message} Then: {IN_EVALUATION}")
        found[f"{fault}, left in evaluation"] = both
    for fault, message in RARE_LOOP_FAULTS.items():
        found[fault] = Misconception(partial(loop, fault=fault), message)
    return found


def measured(
    net: nn.Module,
    loss: nn.Module,
    epochs: Sequence[Batches],
    held_out: tuple[torch.Tensor, torch.Tensor],
    lr: float,
    *,
    train: str = "each epoch",
    evaluate: bool = True,
    measure: str = "each epoch",
    fault: str = "",
) -> list[float]:
    """Training that is measured after each epoch, or what learners make of it.

    ``train`` says when the network is put into training, ``measure`` when it is measured; ``fault`` is one of
    ``BUG_FAULTS``.
    """
    rate = {"ten times the rate for the centers": 10 * lr, "0.03 for the centers": 0.03}.get(fault, lr)
    weights = [{"params": list(m.parameters()), "lr": each} for m, each in ((net, lr), (loss, rate))]
    weights = weights[:1] if fault == "the centers were forgotten" else weights
    optimizer = torch.optim.Adam(weights, lr=lr)
    net.train(train in ("each epoch", "once"))
    found = []
    for batches in epochs:
        if measure == "before" or (measure == "both" and not found):
            found.append(_recall(net, held_out, evaluate))
        if train == "each epoch":
            net.train()
        if fault == "an optimizer an epoch":
            optimizer = torch.optim.Adam(weights, lr=lr)
        for inputs, labels in batches:
            value = loss(net(inputs), labels)
            if fault != "slopes add up":
                optimizer.zero_grad()
                loss.zero_grad()
            if fault != "nothing moves":
                value.backward()
                optimizer.step()
            if fault in ("evaluation after a batch", "training from the second batch on"):
                net.train(fault != "evaluation after a batch")
            if fault == "a score a batch":
                found.append(_recall(net, held_out, evaluate))
                net.train()
        if fault == "a score a batch":
            continue
        if fault == "measured on training images":
            held_out = inputs, labels
        if measure in ("each epoch", "both"):
            found.append(_recall(net, held_out, evaluate) * (100 if fault == "percent" else 1))
        if train == "after measuring":
            net.train()
        if fault == "the first epoch alone":
            break
    return found if measure != "once" else [_recall(net, held_out, evaluate)]


def _recall(net: nn.Module, held_out: tuple[torch.Tensor, torch.Tensor], evaluate: bool) -> float:
    if evaluate:
        net.eval()
    with torch.no_grad():
        return float(recall_at_k(net(held_out[0]), held_out[1], ks=(1,))[1])


def bug_cases() -> Sequence[Case]:
    cases = []
    for seed, lr in ((2, 0.02), (3, 0.05)):
        (x, y), held_out = _features(24, 3, seed), _features(20, 4, seed + 10)
        order = [[*UniformBatches(24, 8, seed).batches(epoch)] for epoch in (1, 2, 3)]
        epochs = [[(x[index], y[index]) for index in each] for each in order]
        arguments = (_Net(seed).eval(), _loss(3, seed), epochs, held_out, lr)
        text = f"3 epochs of 3 batches, lr {lr}: three scores, then all weights and statistics"
        cases.append(Case(arguments, trained(measured, arguments), text))
    return cases


def bug_misconceptions() -> dict[str, Misconception]:
    """The bug itself, and the usual wrong repairs."""
    return {
        "the bug itself": Misconception(
            partial(measured, train="once"),
            "The bug is still there. Which mode is the network in when the second epoch begins?",
        ),
        "never in evaluation": Misconception(
            partial(measured, evaluate=False),
            "The network is measured in training mode: each image's score then depends on the others of its batch, "
            "and the held-out images enter the stored statistics. It must be in evaluation while it is measured.",
        ),
        "always in evaluation": Misconception(
            partial(measured, train="never"),
            "Now batch norm is in evaluation in every epoch: its stored statistics stay those of the start.",
        ),
        "the last epoch alone": Misconception(
            partial(measured, measure="once"),
            "One score is left. The task asks for one after each epoch.",
        ),
        "measured before": Misconception(
            partial(measured, measure="before"),
            "The scores were taken before each epoch. Measure after its last step.",
        ),
        "the first epoch in evaluation": Misconception(
            partial(measured, train="after measuring"),
            "The first epoch still runs in evaluation, as the network came: call net.train() before its first step.",
        ),
        "a score too many": Misconception(
            partial(measured, measure="both"),
            "One score too many: the first was taken before any training. Measure after each epoch alone.",
        ),
        "an optimizer an epoch, and the bug": Misconception(
            partial(measured, train="once", fault="an optimizer an epoch"),
            "A new optimizer in every epoch mends nothing, and loses Adam's memory. Which mode is the network in when "
            "the second epoch begins?",
        ),
        **{
            name: Misconception(
                partial(measured, fault=name, train="once" if "second" in name else "each epoch"), message
            )
            for name, message in BUG_FAULTS.items()
        },
    }
