"""Digits 0 to 4 learned by SoftMax, with free lengths or on the sphere, and what is measured on them and on 5 to 9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch.nn import functional as F

from dmlbook import datasets, losses, records, retrieval
from dmlbook._checks import above, at_least, bad_input, between, check_filled, check_lengths, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.chapters.ch02 import theory
from dmlbook.geometry import cosines
from dmlbook.seeding import SEED, generator

CLASSES = 5
"""The digits 0 to 4 are learned, 5 to 9 are new."""
HELD_OUT = tuple((digit, (digit + 1) % CLASSES) for digit in range(CLASSES))
"""Pairs of digits that do not train while a learning rate is chosen."""
MEASURES = ("Recall@1", "MAP@R")


@cache
@checked
def digits(part: str = "train") -> tuple[Float[Tensor, "N 64"], Int[Tensor, " N"]]:
    """Images of eight by eight pixels, as rows about 0, and their classes, 0 to 4.

    ``train`` holds the digits 0 to 4, ``test`` the digits 5 to 9, in this order.

    Example:
        >>> pixels, labels = digits()
        >>> tuple(pixels.shape), labels.unique().tolist()
        ((901, 64), [0, 1, 2, 3, 4])
    """
    loaded = datasets.load("digits", part, size=8)
    return loaded.images[:, 0].flatten(1).float() / 255 - 0.3, loaded.labels


@dataclass(frozen=True)
class Learned:
    """What a training run leaves.

    Attributes:
        points: Embeddings of the digits 0 to 4, (N, D), as long as the net made them.
        new_points: Embeddings of the digits 5 to 9, (M, D).
        centers: One a digit that was trained, (C, D).
        scales: lambda before each step, where it was learned.
    """

    points: Tensor
    new_points: Tensor
    centers: Tensor
    scales: tuple[float, ...] = ()


@checked(
    size=between(1, 4096),
    scale=above(0),
    steps=between(0, 100_000),
    seed=at_least(0),
    rate=above(0),
    without=between(0, CLASSES - 1),
    scale_rate=at_least(0),
)
def fit_digits(
    size: int,
    scale: float | None = None,
    *,
    steps: int = 300,
    seed: int = SEED,
    rate: float = 3e-3,
    without: Sequence[int] = (),
    scale_rate: float = 0.0,
) -> Learned:
    """Train a net of two layers on the digits 0 to 4 by SoftMax: Adam, all images in every step.

    Args:
        size: Dimension D of the embedding.
        scale: lambda of normalized SoftMax; None: lengths are free, and the logits are inner products.
        steps: How many.
        seed: Of the first weights.
        rate: Learning rate of the net; centers learn faster by a factor of 1 / 0.3.
        without: Digits that do not train.
        scale_rate: Above 0 lambda is learned too: its logarithm, at this learning rate.

    Returns:
        Embeddings of all digits, the centers, and the path of lambda.

    Raises:
        ValueError: A number is out of range, fewer than two digits would train, or free lengths come with a scale_rate.

    Example:
        >>> fit_digits(2, 20.0, steps=1).centers.shape
        torch.Size([5, 2])
    """
    if len(set(without)) > CLASSES - 2:
        raise bad_input("without", f"leave two of {CLASSES} digits", len(set(without)), "Name fewer.")
    if scale is None and scale_rate:
        raise bad_input("scale_rate", "be 0 where lengths are free", scale_rate, "Give a scale, or leave it out.")
    (pixels, labels), (new, _) = digits(), digits("test")
    kept = ~torch.isin(labels, torch.tensor(sorted(set(without)), dtype=torch.long))
    seen, own = pixels[kept], labels[kept].unique(return_inverse=True)[1]
    random, classes = generator(seed, "digits"), CLASSES - len(set(without))
    first, second = ((torch.randn(64, n, generator=random) / 8).requires_grad_() for n in (64, size))
    w = (torch.randn(classes, size, generator=random) / size**0.5).requires_grad_()
    log_scale = torch.tensor(float(scale or 1.0)).log().requires_grad_(scale_rate > 0)
    groups = [{"params": [first, second], "lr": rate}, {"params": [w], "lr": rate / 0.3}]
    groups += [{"params": [log_scale], "lr": scale_rate}] if scale_rate > 0 else []
    adam, path = torch.optim.Adam(groups), []
    for _ in range(steps):
        x = F.relu(seen @ first) @ second  # (N, D)
        factor = log_scale.exp() if scale_rate > 0 else scale
        logits = x @ w.T if scale is None else factor * F.normalize(x, dim=1) @ F.normalize(w, dim=1).T
        path += [float(factor.detach())] if scale_rate > 0 else []
        loss = F.cross_entropy(logits, own)
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        points, new_points = (F.relu(inputs @ first) @ second for inputs in (pixels, new))
    return Learned(points, new_points, w.detach(), tuple(path))


@checked(points=finite, centers=finite)
def hardest_tenth(points: Float[Tensor, "N D"], centers: Float[Tensor, "5 D"]) -> tuple[float, int]:
    """Of digits 0 to 4: how long the tenth with the smallest margin in angle is, and how many images are lost.

    Returns:
        Its mean length as a share of the others', and for how many images the own center is beaten by inner product.
    """
    labels = digits()[1]
    check_lengths(points=points, images=labels)
    own, similarities = F.one_hot(labels, CLASSES).bool(), cosines(points, centers)
    margin = similarities[own] - similarities.masked_fill(own, -2).amax(1)  # how far the own center is ahead
    length, order, count = points.norm(dim=1), margin.argsort(), len(labels) // 10
    beaten = int((theory.hardest_violation(points @ centers.T, labels) > 0).sum())
    return float(length[order[:count]].mean() / length[order[count:]].mean()), beaten


@checked(new_points=finite)
def on_unseen(new_points: Float[Tensor, "M D"]) -> tuple[float, float]:
    """Recall@1 and MAP@R, by cosine, of the digits 5 to 9."""
    labels = digits("test")[1]
    check_lengths(new_points=new_points, images=labels)
    return retrieval.recall_at_k(new_points, labels, ks=(1,))[1], retrieval.map_at_r(new_points, labels)


@checked
def lead(ours: Sequence[tuple[float, float]], theirs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """By how much ours is ahead of theirs, seed by seed, in both measures.

    Example:
        >>> lead([(0.75, 0.5)], [(0.5, 0.25)])
        [(0.25, 0.25)]
    """
    check_lengths(ours=ours, theirs=theirs)
    return [(a - c, b - d) for (a, b), (c, d) in zip(ours, theirs, strict=True)]


@checked
def leads(results: Mapping[float | None, Sequence[tuple[float, float]]]) -> dict[str, tuple[float, ...]]:
    """How far lambda 20 is ahead of 1 and of 5, seed by seed, in both measures, by a row's name.

    Example:
        >>> leads({1.0: [(0.5, 0.25)], 5.0: [(0.75, 0.25)], 20.0: [(0.75, 0.5)]}).popitem()[1]  # over 5, MAP@R
        (0.25,)
    """
    rows = {}
    for scale in (1.0, 5.0):
        columns = zip(*lead(results[20.0], results[scale]), strict=True)
        rows |= {f"{name}\nover {scale:g}": values for name, values in zip(MEASURES, columns, strict=True)}
    return rows


@checked
def line(name: str, by_seed: Sequence[tuple[float, float]]) -> str:
    """Both measures, or leads in them, as one line of a table: means over the seeds with their intervals, in percent.

    Example:
        >>> line("ours", [(0.5, 0.25), (0.52, 0.25)])
        'ours                              Recall@1 51.0 ± 12.7 (2)   MAP@R 25.0 ± 0.0 (2)'
    """
    check_filled(by_seed=by_seed)
    columns = zip(MEASURES, zip(*by_seed, strict=True), strict=True)
    return f"{name:33} " + "   ".join(f"{measure} {records.percent(values)}" for measure, values in columns)


@checked
def told_apart(ours: Sequence[tuple[float, float]], theirs: Sequence[tuple[float, float]]) -> list[str]:
    """The measures in which the interval of the lead does not contain 0.

    Example:
        >>> told_apart([(0.5, 0.1), (0.6, 0.9)], [(0.3, 0.5), (0.4, 0.5)])
        ['Recall@1']
    """
    check_filled(ours=ours)
    intervals = [records.interval(values) for values in zip(*lead(ours, theirs), strict=True)]
    return [measure for measure, (mean, half) in zip(MEASURES, intervals, strict=True) if abs(mean) > half]


@checked(rates=above(0), pairs=between(1, CLASSES), steps=between(0, 100_000))
def rates_tried(scale: float | None, rates: Sequence[float], *, pairs: int = CLASSES, steps: int = 300) -> dict:
    """MAP@R among two held-out digits, in the mean over pairs of them, for each learning rate.

    Args:
        scale: lambda, or None for free lengths.
        rates: Those to try.
        pairs: How many of ``HELD_OUT``.
        steps: Of each run.

    Returns:
        The measure by rate, as fractions.

    Raises:
        ValueError: A number is out of range, or there are not so many pairs.
    """
    labels, found = digits()[1], {}
    for rate in rates:
        values = []
        for pair in HELD_OUT[:pairs]:
            points = fit_digits(16, scale, steps=steps, rate=rate, without=pair).points
            held = torch.isin(labels, torch.tensor(pair))
            values.append(retrieval.map_at_r(points[held], labels[held]))
        found[rate] = sum(values) / len(values)
    return found


@dataclass(frozen=True)
class Promise:
    """What margin and radius say of triplets of training images.

    Attributes:
        holds: Share of the triplets that hold.
        sure: Share that must hold, since the margin exceeds twice the radius.
        margin: Mean over the images, in units of cosine.
        radius: Mean distance from the own center.
        loss: Mean over the classes of their mean losses.
        pull: Mean weight that is left on other centers.
        slack: The smallest difference between a triplet's gap and what is promised; the theorem says >= 0.
    """

    holds: float
    sure: float
    margin: float
    radius: float
    loss: float
    pull: float
    slack: float


@checked(scale=above(0), every=between(4, 100))
def promised(
    points: Float[Tensor, "N D"], centers: Float[Tensor, "5 D"], *, scale: float = 20.0, every: int = 6
) -> Promise:
    """Of triplets of every sixth training image, how many hold and how many must.

    Args:
        points: Embeddings of the digits 0 to 4, of any length.
        centers: One a digit.
        scale: lambda, of the loss and of its weights.
        every: Triplets of every so manieth image are looked at; means are over all images.

    Raises:
        ValueError: Not all images were given, or ``scale`` is not positive.
    """
    y = digits()[1]
    check_lengths(points=points, images=y)
    x, w = (F.normalize(vectors.double(), dim=1) for vectors in (points, centers))
    s, own = x @ w.T, F.one_hot(y, CLASSES).bool()
    margin, radius = s[own] - s.masked_fill(own, -2).amax(1), (x - w[y]).norm(dim=1)
    loss = F.cross_entropy(scale * s, y, weight=1 / y.bincount().double())  # every class counts once
    pull = 1 - theory.smoothing_weights(s, scale=scale)[own]
    x, y, near = x[::every], y[::every], radius[::every]
    delta = -theory.violations(x @ w.T, y)[:, y]  # (n, n): of image i against the class of image k
    eps = torch.maximum(near[:, None], near[None, :])  # of x_j and x_k
    gap = (x @ x.T)[:, :, None] - (x @ x.T)[:, None, :]  # (n, n, n): x_i.x_j - x_i.x_k
    promise, valid = delta[:, None, :] - 2 * eps[None], losses.valid_triplets(y)
    shares = ((values[valid] > 0).double().mean() for values in (gap, promise))
    means = (margin.mean(), radius.mean(), loss, pull.mean(), (gap - promise)[valid].min())
    return Promise(*(float(value) for value in (*shares, *means)))
