"""Exercises of chapter 04: SoftTriple with its price, a planted bug in it, counting centers, a pair on the circle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional as F

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception, value_and_slopes
from dmlbook.chapters.ch04 import loss_faults as faults
from dmlbook.chapters.ch04.center_faults import COUNT_FAULTS, distinct
from dmlbook.chapters.ch04.circle_faults import CIRCLE_FAULTS, left
from dmlbook.chapters.ch04.objective import objective
from dmlbook.seeding import generator


def _draws(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed, "exercise 4"), dtype=torch.float64)


def _met(centers: Tensor, pairs: int) -> Tensor:
    """Centers (C, K, D), the first few of each class with a double of twice the length, in the same place exactly."""
    return torch.cat([centers, 2 * centers[:, :pairs]], dim=1)


def _rounded() -> tuple[Tensor, Tensor]:
    """Centers whose cosine with their own doubles is rounded to more than 1 in single precision, and images."""
    draws = _draws(400, 64, seed=30).float()
    unit = F.normalize(draws, dim=1).double()
    longest = unit.square().sum(1).argsort(descending=True)[:6]  # beyond 1 by most, whoever adds the products up
    alone = _draws(3, 1, 64, seed=31).float()  # of each class the one closest to any image: no ties
    plane = F.normalize(alone[:, 0], dim=1)
    images = plane[[0, 1, 2, 0]] + plane.sum(0) + _draws(4, 64, seed=32).float() / 20
    return torch.cat([alone, _met(draws[longest].view(3, 2, 64), 2)], dim=1), images


def _objective_cases() -> Sequence[Case]:
    met = torch.tensor([[[2.0, 0.0], [3.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [0.0, -2.0], [-1.0, 1.0]]]).double()
    images = F.normalize(torch.tensor([[1.0, 0.2], [0.3, 1.0], [-1.0, 0.1], [-0.2, -1.0]]), dim=1)
    problems = [
        ("two classes of two centers, tau = 0", _draws(2, 2, 2, seed=17), images, [0, 0, 1, 1], 5.0, 0.2, 0.0),
        (
            "three classes of four centers",
            _draws(3, 4, 3, seed=20),
            _draws(6, 3, seed=3),
            [0, 2, 1, 2, 0, 1],
            8.0,
            0.3,
            9.0,
        ),
        ("two centers of class 0 in one place", met, images, [0, 0, 1, 1], 4.0, 0.5, 3.0),
        ("three classes of five centers, twice two in one place, float32", *_rounded(), [0, 1, 2, 0], 6.0, 0.3, 3.0),
    ]
    cases = []
    for text, centers, points, labels, *numbers in problems:
        arguments = (centers, F.normalize(points, dim=1).to(centers.dtype), torch.tensor(labels), *numbers)
        said = "scale = {:g}, gamma = {:g}, tau = {:g}".format(*numbers)
        expected = value_and_slopes(objective, arguments)
        cases.append(Case(arguments, expected, f"{text}, {said}: the value, then its slopes in the centers"))
    return cases


WITHOUT_ROOT = {
    "no price",
    "squared distances",
    "one minus cosine",
    "one length for a class",
    "coordinate by coordinate",
    "epsilon for each coordinate",
    "too small an epsilon",
    "classes are paired",
    *faults.DIAGONAL,
}
WITHOUT_ROOT |= {
    "one of the closest centers",
    "normalized over the centers",
    "cut off",
    "not normalized",
    "lengths in the price",
}
"""Faults that meet no root of 0 in the cases, or that have no slope there."""


def _with_and_without_epsilon(function: Callable, messages: dict[str, str]) -> dict[str, Misconception]:
    """Each fault alone, and with a root whose slope is not a number, as many write it: neither hides the other."""
    found = {"no epsilon": Misconception(partial(function, epsilon=0.0), faults.NO_EPSILON)}
    for fault, message in messages.items():
        found[fault] = Misconception(partial(function, fault=fault), message)
        if fault not in WITHOUT_ROOT:
            naive = partial(function, fault=fault, epsilon=0.0)
            found[f"{fault}, and no epsilon"] = Misconception(naive, f"{message} Then: {faults.NO_EPSILON}")
    return found


def _by_center(weight: Tensor, *, raw: bool = False) -> Tensor:
    """Centers (C, K, D) of a weight (K, C, D)."""
    return (weight if raw else F.normalize(weight, dim=-1)).transpose(0, 1)


def _reshaped(weight: Tensor) -> Tensor:
    per_class, classes, size = weight.shape
    return F.normalize(weight, dim=-1).reshape(classes, per_class, size)


def _price(weight: Tensor, tau: float, **how: object) -> Tensor:
    return faults.price(_by_center(weight), tau, **how)


def _other_divisor(weight: Tensor, tau: float, *, of: Callable[[Tensor], Tensor]) -> Tensor:
    """K and C exchanged in the divisor."""
    per_class, classes, _ = weight.shape
    return faults.price(of(weight), tau, fault="not divided") / (per_class * classes * (classes - 1))


def _paired_classes(weight: Tensor, tau: float) -> Tensor:
    per_class, classes, _ = weight.shape
    unit = F.normalize(weight, dim=-1)
    return faults.price(unit, tau, fault="not divided") / (classes * per_class * (per_class - 1))


def _moved(weight: Tensor, tau: float, *, axes: Sequence[int], reshaped: bool = False) -> Tensor:
    """The axes in another order, and the first K of what is second then taken for a class's centers."""
    per_class, classes, size = weight.shape
    unit = F.normalize(weight, dim=-1).permute(*axes)
    unit = unit.reshape(classes, per_class, size) if reshaped else unit[:, :per_class]
    return faults.price(unit, tau, fault="not divided") / (classes * per_class * (per_class - 1))


SCRAMBLED = "You mixed coordinates of several centers. Exchange the first two axes and leave the last."
COORDINATES = "You moved the coordinates away from the last axis. Exchange the first two axes alone: transpose(0, 1)."
BETWEEN_CLASSES = "The first axis counts the centers, the second the classes: you compare different classes."
BUG_FAULTS: dict[str, tuple[Callable, str]] = {
    "the bug itself": (
        lambda weight, tau: faults.price(_reshaped(weight), tau),
        "The bug is still there. Which centers stand side by side after a reshape of (K, C, D) to (C, K, D)? It moves "
        "no number: the axes must change places.",
    ),
    "the bug, and the other divisor": (
        partial(_other_divisor, of=_reshaped),
        "The divisor was right, and the bug is still there: a reshape does not exchange two axes.",
    ),
    "the reshape left out": (partial(_moved, axes=(0, 1, 2)), f"{BETWEEN_CLASSES} Exchange the two axes first."),
    "classes are paired": (_paired_classes, f"{BETWEEN_CLASSES} Exchange the two axes first."),
    "classes are paired and divided": (
        partial(_other_divisor, of=lambda weight: F.normalize(weight, dim=-1)),
        f"{BETWEEN_CLASSES} Exchange the two axes first.",
    ),
    "the other divisor": (
        partial(_other_divisor, of=_by_center),
        "The pairs are right now. The divisor is C K (K - 1): after the change of axes, which number is K?",
    ),
    "scrambled": (partial(_moved, axes=(1, 2, 0), reshaped=True), SCRAMBLED),
    "scrambled backwards": (partial(_moved, axes=(2, 1, 0), reshaped=True), SCRAMBLED),
    "scrambled at the end": (partial(_moved, axes=(0, 2, 1), reshaped=True), SCRAMBLED),
    "coordinates second": (partial(_moved, axes=(1, 2, 0)), COORDINATES),
    "coordinates first": (partial(_moved, axes=(2, 1, 0)), COORDINATES),
    "coordinates exchanged with classes": (partial(_moved, axes=(0, 2, 1)), COORDINATES),
    "not normalized": (
        lambda weight, tau: faults.price(_by_center(weight, raw=True), tau),
        "The axes are right now, but a center is a direction: divide each by its length before you compare.",
    ),
    "normalized over the classes": (
        lambda weight, tau: faults.price(F.normalize(weight, dim=1).transpose(0, 1), tau),
        "The pairs are right now. F.normalize works along its second axis unless told otherwise, here over the "
        "classes: dim=-1.",
    ),
    "normalized over the centers": (
        lambda weight, tau: faults.price(F.normalize(weight, dim=0).transpose(0, 1), tau),
        "The pairs are right now. You normalized over the centers of a class; a center's coordinates are the last "
        "axis: dim=-1.",
    ),
}


def _bug_cases() -> Sequence[Case]:
    # Nowhere more centers than classes or coordinates: a wrong axis then is no IndexError, and gets its name.
    problems = [
        ("two centers for each of three classes", _draws(2, 3, 2, seed=15), 6.0),
        ("three centers for each of four classes, in three dimensions", _draws(3, 4, 3, seed=14), 9.0),
        ("three centers for each of three classes", _draws(3, 3, 3, seed=18), 9.0),
        (
            "three centers for each of three classes, two of which coincide",
            _met(_draws(3, 2, 3, seed=16), 1).transpose(0, 1).roll(1, 0),  # the two stand side by side
            5.0,
        ),
        (
            "four centers for each of five classes in 64 dimensions, two of which coincide",
            _met(_draws(5, 3, 64, seed=33), 1).transpose(0, 1),
            4.0,
        ),
    ]
    return [
        Case((w, tau), value_and_slopes(_price, (w, tau)), f"{text}, tau = {tau:g}: the value, then its slopes")
        for text, w, tau in problems
    ]


def _bug_misconceptions() -> dict[str, Misconception]:
    found = {name: Misconception(*fault) for name, fault in BUG_FAULTS.items()}
    messages = {fault: message for fault, message in faults.PRICE_FAULTS.items() if fault != "cut off"}
    return found | _with_and_without_epsilon(_price, messages | faults.DIAGONAL)


def _on_circle(degrees: Sequence[float]) -> Tensor:
    turn = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([turn.cos(), turn.sin()], -1)


def _two_pairs() -> Tensor:
    """Two close pairs on the sphere, the second turned out of the plane: they take turns along the first axis."""
    x, y = _on_circle([40.0, 40.5, 41.0, 41.5]).T
    plane, upright = torch.stack([x, y, 0 * y], -1), torch.stack([x, 0 * y, y], -1)
    return torch.stack([plane[0], upright[1], plane[2], upright[3]])


def _twice_rounded_up() -> Tensor:
    """Two equal centers and another, of length 1 in single precision, whose product with itself is above 1."""
    unit = F.normalize(_draws(2, 64, seed=34).float(), dim=1) * (1 + 2**-22)
    return torch.stack([unit[0], unit[1], unit[0]])


def _count_cases() -> Sequence[Case]:
    problems = [
        ([0.0, 90.0, 90.5], 0.1),
        ([0.0, 0.5, 1.0, 180.0], 0.1),
        ([0.0, 10.0, 5.0, 120.0], 0.1),
        ([20.0, 26.0, 32.0, 38.0, 200.0, 203.0], 0.15),
        ([0.0, 12.0, 40.0], 0.1),
        ([0.0, 25.0, 100.0, 118.0], 0.1),
        ([0.0, 58.0, 58.5, 180.0, 240.5], 1.0),
        ([0.0, 3.0, 90.0, 3.0, 0.0], 0.06),
        ([179.0, 0.0, 181.0], 0.1),
        ([358.0, 90.0, 2.0, 180.0], 0.1),
    ]
    found = [(_on_circle(degrees), f"angles {degrees}", t) for degrees, t in problems]
    found.append(
        (torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), "angles [0.0, 180.0]", 2.0)
    )  # as far as the threshold, exactly
    above = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.0, 0.8], [0.0, 1.0, 0.0]])
    found.append((above, "centers [1, 0, 0], [0.6, 0, 0.8], [0, 1, 0]", 0.1))
    found.append((_twice_rounded_up(), "two equal centers and another in 64 dimensions, float32", 0.1))
    sphere = _two_pairs()
    rounded = ", ".join(str([round(number, 3) for number in center]) for center in sphere.tolist())
    found.append((sphere, f"centers {rounded}", 0.05))
    return [Case((w, t), distinct(w, t), f"{text}, threshold {t}") for w, text, t in found]


def _angle_cases() -> Sequence[Case]:
    problems = [(60.0, 0.0), (60.0, 0.25), (60.0, 0.5), (100.0, 0.5), (100.0, 0.9), (20.0, 0.1), (40.0, 0.1)]
    return [Case((a, t), left(a, t), f"wishes {a:g} degrees apart, t = {t}") for a, t in problems]


EXERCISES = (
    Exercise(
        "4.1",
        "SoftTriple and its price",
        _objective_cases,
        _with_and_without_epsilon(faults.loss, faults.LOSS_FAULTS | faults.PRICE_FAULTS | faults.DIAGONAL),
        call=value_and_slopes,
    ),
    Exercise("4.2", "the planted bug", _bug_cases, _bug_misconceptions(), call=value_and_slopes),
    Exercise(
        "4.3",
        "how many are distinct",
        _count_cases,
        {name: Misconception(*fault) for name, fault in COUNT_FAULTS.items()},
    ),
    Exercise(
        "4.4",
        "two centers on the circle",
        _angle_cases,
        {name: Misconception(*fault) for name, fault in CIRCLE_FAULTS.items()},
    ),
)
