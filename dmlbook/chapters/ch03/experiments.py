"""Experiments on the circle: centers from many random starts at once, which hear nothing, and what margins do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.stats import binomtest
from torch.nn import functional as F

from dmlbook import losses
from dmlbook._checks import (
    above,
    at_least,
    between,
    check_below,
    check_filled,
    check_lengths,
    check_memory,
    checked,
    finite,
    one_of,
)
from dmlbook._types import Bool, Float, Int, Tensor
from dmlbook.seeding import SEED, generator

SIMILARITIES = {
    "HardTriple": lambda cosines, gamma: losses.hardtriple_similarity(cosines),
    "SoftTriple": lambda cosines, gamma: losses.softtriple_similarity(cosines, gamma=gamma),
    "log-sum-exp": lambda cosines, gamma: losses.logsumexp_similarity(cosines, gamma=gamma),
}
"""From cosines (B, C, K) to class similarities (B, C), by the names that figures show."""


class Trained(NamedTuple):
    """Of many runs from random starts: where the centers ended, each run's least win, and its mean loss."""

    centers: Float[Tensor, "R C K 2"]
    win: Float[Tensor, " R"]
    loss: Float[Tensor, " R"]


@checked(
    method=one_of(*SIMILARITIES),
    images=finite,
    labels=between(0, 1),
    K=at_least(1),
    runs=between(1, 10_000),
    steps=between(0, 100_000),
    gamma=above(0),
    scale=above(0),
    margin=finite,
)
def train_centers(
    method: str,
    images: Float[Tensor, "B 2"],
    labels: Int[Tensor, " B"],
    K: int,
    *,
    runs: int,
    steps: int,
    gamma: float | Sequence[float] = 0.1,
    scale: float = 20.0,
    margin: float = 0.01,
) -> Trained:
    """Adam on the centers of two classes, from many random starts at once; the images stay where they are.

    Each start is a run of its own: no two share a number, and Adam scales its step for each number by itself. The same
    ``K`` and ``runs`` begin at the same centers, whatever the method.

    Args:
        method: A name of ``SIMILARITIES``.
        images: Unit vectors.
        labels: Their classes, 0 or 1.
        K: Centers a class.
        runs: R, how many starts.
        steps: Of Adam, with a rate of 0.05.
        gamma: Smoothing, > 0; or several, through which it goes evenly as the steps go by, to end at the last.
        scale: lambda, > 0.
        margin: delta, in units of cosine.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> east_west, north_south = [[1.0, 0.0], [-1.0, 0.0]], [[0.0, 1.0], [0.0, -1.0]]
        >>> cross = torch.tensor(east_west + north_south)
        >>> found = train_centers("SoftTriple", cross, torch.tensor([0, 0, 1, 1]), 4, runs=3, steps=200)
        >>> (found.win > 0).tolist()
        [True, True, True]
    """
    gammas = list(gamma) if isinstance(gamma, Sequence) else [gamma]
    check_filled(images=images, gamma=gammas)
    check_memory(float(runs) * len(images) * K, "experiment", runs=runs, images=len(images), K=K)
    draws = torch.randn(runs, 2, K, 2, generator=generator(SEED, "starts", K), dtype=torch.float32)
    w, many = F.normalize(draws, dim=-1).to(images.dtype).requires_grad_(), labels.repeat(runs)
    adam = torch.optim.Adam([w], lr=0.05)
    for step in range(steps + 1):
        cosines = torch.einsum("bd,rckd->rbck", images, F.normalize(w, dim=-1)).flatten(0, 1)  # (R * B, C, K)
        now = gammas[min(step * len(gammas) // max(steps, 1), len(gammas) - 1)]
        similar = SIMILARITIES[method](cosines, now)
        adam.zero_grad()
        (losses.margin_cross_entropy(similar, many, scale=scale, margin=margin) * runs).backward()  # the sum over runs
        adam.step()
    rows = torch.arange(len(many))
    win = (similar[rows, many] - similar[rows, 1 - many]).detach()
    each = F.softplus(-scale * (win - margin))
    return Trained(F.normalize(w.detach(), dim=-1), win.view(runs, -1).amin(1), each.view(runs, -1).mean(1))


@checked(
    name=one_of("hardtriple", "softtriple"), images=finite, labels=at_least(0), K=at_least(1), starts=between(1, 10_000)
)
def share_without_gradient(
    name: str, images: Float[Tensor, "B 2"], labels: Int[Tensor, " B"], K: int, *, starts: int
) -> float:
    """The share of centers whose gradient is exactly 0 at a random start of a loss on two classes.

    Args:
        name: Of the loss.
        images: Their embeddings.
        labels: Their classes, 0 or 1.
        K: Centers a class.
        starts: How many are drawn; the share is the mean over them.

    Raises:
        ValueError: A number is out of range.
    """
    check_below(2, "classes", labels=labels)
    shares = []
    for seed in range(starts):
        sizes = {"num_classes": 2, "embedding_size": 2, "centers_per_class": K}
        loss = losses.make(name, **sizes, tau=0.0, generator=generator(seed, "start", K))
        loss(images, labels).backward()
        shares.append((loss.weight.grad.norm(dim=-1) == 0).float().mean().item())
    return sum(shares) / starts


@checked(images=finite, labels=between(0, 1), centers=finite, gamma=above(0), scale=above(0), margin=finite)
def center_turns(
    images: Float[Tensor, "B 2"],
    labels: Int[Tensor, " B"],
    centers: Float[Tensor, "R 2 K 2"],
    *,
    gamma: float = 0.1,
    scale: float = 20.0,
    margin: float = 0.01,
) -> Float[Tensor, "R B 2 K"]:
    """How descent on each image's SoftTriple loss would turn each center, against the clock, in radians a unit of rate.

    Args:
        images: Unit vectors.
        labels: Their classes, 0 or 1.
        centers: Unit vectors of R runs.
        gamma: Smoothing, > 0.
        scale: lambda, > 0.
        margin: delta, in units of cosine.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> centers = torch.tensor([[[[0.8, 0.6]], [[0.0, -1.0]]]])  # one run, one center for each of two classes
        >>> turns = center_turns(torch.tensor([[1.0, 0.0]]), torch.tensor([0]), centers, scale=2.0, margin=0.0)
        >>> turns.sign().flatten().tolist()  # towards the image, and away from it
        [-1.0, -1.0]
    """
    angle = torch.atan2(centers[..., 1], centers[..., 0])[:, None].repeat(1, len(images), 1, 1)
    angle.requires_grad_()  # (R, B, C, K): a copy of each center for each image
    cosines = (torch.stack([angle.cos(), angle.sin()], -1) * images[:, None, None]).sum(-1)
    similar = losses.softtriple_similarity(cosines.flatten(0, 1), gamma=gamma)
    many = labels.repeat(len(centers))
    value = losses.margin_cross_entropy(similar, many, scale=scale, margin=margin) * len(many)
    return -torch.autograd.grad(value, angle)[0]


@checked(margin=finite, runs=between(1, 10_000), steps=between(0, 100_000))
def wins_with_margin(margin: float, *, runs: int, steps: int) -> Float[Tensor, "R 8"]:
    """By how much eight images win after so many steps of Adam in which they move too, as a network would move them.

    Four images and two centers for each of two classes, on the circle, by SoftTriple; the same starts for any margin.

    Args:
        margin: delta, in units of cosine.
        runs: R, how many random starts.
        steps: Of Adam, with a rate of 0.02.

    Raises:
        ValueError: A number is out of range.
    """
    free = [torch.randn(runs, count, 2, generator=generator(SEED, count)).requires_grad_() for count in (8, 4)]
    adam = torch.optim.Adam(free, lr=0.02)
    own = 1 - 2 * (torch.arange(8) // 4)  # class 0's similarity minus class 1's, or the reverse
    for step in range(steps + 1):
        cosines = torch.einsum("rbd,rmd->rbm", *(F.normalize(points, dim=-1) for points in free)).unflatten(2, (2, 2))
        similar = losses.softtriple_similarity(cosines.flatten(0, 1)).view(runs, 8, 2)
        win = (similar[:, :, 0] - similar[:, :, 1]) * own
        if step < steps:
            adam.zero_grad()
            F.softplus(-20 * (win - margin)).mean(1).sum().backward()
            adam.step()
    return win.detach()


@checked
def alone(ours: Bool[Tensor, " R"], theirs: Bool[Tensor, " R"]) -> tuple[int, int, float]:
    """Starts that only one of two methods solves, either way; and McNemar's exact p-value, were they tosses of a coin.

    Args:
        ours: Which starts are solved by the one method.
        theirs: And by the other, from the same starts.

    Example:
        >>> alone(torch.tensor([True, True, True, False]), torch.tensor([True, False, False, False]))
        (2, 0, 0.5)
    """
    check_lengths(ours=ours, theirs=theirs)
    only = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return *only, float(binomtest(only[0], sum(only)).pvalue) if sum(only) else 1.0
