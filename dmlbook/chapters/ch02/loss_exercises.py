"""Exercises of chapter 02 in which a batch loss is written: normalized SoftMax from nothing, and one with a bug."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional as F

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception, value_and_slopes
from dmlbook.chapters.ch02 import loss_faults as faults
from dmlbook.chapters.ch02.theory import smallest_softmax_loss


def _tried(function: Callable, arguments: tuple) -> object:
    """Value and slopes in embeddings and centers; an answer that is no number with a slope, as it is."""
    x, w, *rest = arguments
    said = []

    def of_both(both: Tensor) -> object:
        said.append(function(both[: len(x)].clone(), both[len(x) :].clone(), *rest))
        return said[-1]

    try:
        return value_and_slopes(of_both, (torch.cat([x, w]),))
    except TypeError:
        if not said:
            raise
        return _or_nan(said[-1])


def _or_nan(said: object) -> object:
    """As ``value_and_slopes`` has it: all are nan where one is not finite."""
    if not isinstance(said, (float, Tensor)) or bool(torch.as_tensor(said).isfinite().all()):
        return said
    return torch.full_like(torch.as_tensor(said), torch.nan)


def _loss_cases() -> Sequence[Case]:
    """One image, or as many images as classes: what is subtracted along the wrong axis still has a value."""
    problems = [
        ("one image", [[2.0, 0.5]], [[1.6, 1.2], [0.48, -0.14], [0.6, -0.8]], [0], 5.0),
        ("two images", [[0.3, 0.4], [-1.0, 2.0]], [[1.0, 2.0], [0.5, -0.5]], [0, 1], 2.0),
        ("three images", [[1.0, 2.0], [-0.5, 0.2], [2.0, 1.0]], [[0.1, 0.4], [-3.0, 0.5], [1.0, -0.5]], [0, 1, 0], 4.0),
        (
            "a scale of 1000",
            [[3.0, 1.0], [0.2, 0.7], [-1.0, 0.4]],
            [[0.1, 0.4], [2.0, 0.5], [-1.0, 2.0]],
            [0, 0, 2],
            1e3,
        ),
        ("the own center opposite", [[1.0, 0.2], [3.0, 0.5]], [[-2.0, -0.2], [1.0, 0.1]], [0, 1], 1e3),
        ("one image far from all", [[1.0, 0.5], [-2.0, -0.5]], [[2.0, 1.5], [3.0, 0.5]], [0, 1], 1e3),
    ]
    cases = []
    for text, x, w, labels, scale in problems:
        arguments = (torch.tensor(x).double(), torch.tensor(w).double(), torch.tensor(labels), scale)
        said = f"{text}, x = {x}, centers = {w}, labels = {labels}, scale = {scale:g}: value, then slopes"
        cases.append(Case(arguments, _tried(faults.loss, arguments), said))
    return cases


def _named(*names: str) -> dict[str, Misconception]:
    """Each fault alone, and with exponentials that overflow."""
    found = {
        "overflow": Misconception(partial(faults.loss, stable=False), faults.OVERFLOW),
        "overflow of the violations": Misconception(faults.by_violations, faults.OPPOSITE),
        "exponents cut off": Misconception(faults.cut_off, faults.CUT_OFF),
    }
    for fault in names:
        message = (faults.OF_LOGITS | faults.OF_LOSS)[fault][1]
        found[fault] = Misconception(partial(faults.loss, fault=fault), message)
        naive = partial(faults.loss, fault=fault, stable=False)
        if fault not in faults.FINITE.split(", "):
            found[f"{fault}, and overflow"] = Misconception(naive, f"{message} Then: {faults.OVERFLOW}")
    return found


def _planted(x: Tensor, w: Tensor, labels: Tensor, scale: float) -> Tensor:
    unit_x, unit_w = F.normalize(torch.cat([scale * x, w]), dim=1).split([len(x), len(w)])
    return F.cross_entropy(unit_x @ unit_w.T, labels)


def _columns_of_both(x: Tensor, w: Tensor, labels: Tensor, scale: float) -> Tensor:
    unit_x, unit_w = F.normalize(torch.cat([x, w]), dim=0).split([len(x), len(w)])
    return F.cross_entropy(scale * unit_x @ unit_w.T, labels)


LOSS_EXERCISES: tuple[Exercise, ...] = (
    Exercise("2.1", "the loss of a batch", _loss_cases, _named(*faults.OF_LOGITS, *faults.OF_LOSS), call=_tried),
    Exercise(
        "2.2",
        "the planted bug",
        _loss_cases,
        {
            "the bug itself": Misconception(
                _planted,
                "The bug is still there: the value does not depend on the scale. What does F.normalize do to a factor?",
            ),
            "the loss times the scale": Misconception(
                lambda x, w, y, scale: scale * _planted(x, w, y, scale),
                "You multiplied the loss. Slopes grow, the weights of the triplets stay those of lambda = 1, and so "
                "does the floor, times the scale.",
            ),
            "the floor subtracted": Misconception(
                lambda x, w, y, scale: _planted(x, w, y, scale) - smallest_softmax_loss(len(w), scale=1.0),
                "You subtracted the floor. The value can reach 0 now, and no slope has changed.",
            ),
            "columns of both": Misconception(
                _columns_of_both,
                "Columns were brought to length 1, images and centers together. Each row needs its own length: dim=1.",
            ),
            **_named(
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
            ),
        },
        call=_tried,
    ),
)
