"""How centers merge: the pairs that the regularizer pulls together, what it does to two of them, and paths over tau."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from dmlbook._checks import above, at_least, bad_input, between, check_batch, check_filled, check_shape, checked, finite
from dmlbook._types import Float, Int, Tensor
from dmlbook.losses.centers import EPSILON, center_distances
from dmlbook.losses.proxies import margin_cross_entropy
from dmlbook.losses.softtriple import softtriple_similarity
from dmlbook.seeding import SEED, generator

THRESHOLD = 0.02
"""Centers of the toy that are closer than this count as one."""
POSES = ((0.0, 120.0, 240.0), (60.0, 180.0, 300.0))
"""Of the toy's two classes, in degrees."""


@checked(strength=at_least(0))
def shrink_by_norm(vectors: Float[Tensor, "*batch D"], *, strength: float) -> Float[Tensor, "*batch D"]:
    """The minimizer of ||u - v||^2 / 2 + strength ||u||: v shortened by ``strength``, and exactly 0 if it is no longer.

    Args:
        vectors: v, of any length.
        strength: In units of length, >= 0.

    Raises:
        ValueError: ``strength`` is negative.

    Source: soft thresholding of a group, Yuan and Lin, JRSS B 2006. Chapter 4.

    Example:
        >>> shrink_by_norm(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), strength=1.0)
        tensor([[2.4000, 3.2000],
                [0.0000, 0.0000]])
    """
    lengths = vectors.norm(dim=-1, keepdim=True)
    left = (lengths - strength).clamp(min=0)
    return vectors * (left / lengths.clamp(min=torch.finfo(vectors.dtype).tiny))


@checked(strength=at_least(0))
def shrink_by_square(vectors: Float[Tensor, "*batch D"], *, strength: float) -> Float[Tensor, "*batch D"]:
    """The minimizer of ||u - v||^2 / 2 + strength ||u||^2: v / (1 + 2 strength), never 0 where v is not.

    Args:
        vectors: v, of any length.
        strength: What a vector of length 1 pays, >= 0, as for ``shrink_by_norm``.

    Raises:
        ValueError: ``strength`` is negative.

    Source: ridge shrinkage, classical. Chapter 4.

    Example:
        >>> shrink_by_square(torch.tensor([3.0, 4.5]), strength=1.0)
        tensor([1.0000, 1.5000])
    """
    return vectors / (1 + 2 * strength)


@checked(strength=at_least(0))
def fused_pair(wishes: Float[Tensor, "2 D"], *, strength: float, squared: bool = False) -> Float[Tensor, "2 D"]:
    """Where two free points settle that want to be at a_1 and a_2 and pay for being apart.

    Args:
        wishes: a_1 and a_2.
        strength: t >= 0, what they pay at distance 1.
        squared: Whether they pay t ||w_1 - w_2||^2 instead of t ||w_1 - w_2||.

    Returns:
        The minimizer of ||w_1 - a_1||^2 / 2 + ||w_2 - a_2||^2 / 2 + payment. They meet at a finite t, half the
        distance of the wishes, unless the payment is squared.

    Raises:
        ValueError: ``wishes`` is not (2, D), or ``strength`` is negative.

    Source: derived in chapter 4.

    Example:
        >>> fused_pair(torch.tensor([[0.0], [2.0]]), strength=0.25)
        tensor([[0.2500],
                [1.7500]])
    """
    middle, apart = wishes.mean(0), wishes[1] - wishes[0]
    shrink = shrink_by_square if squared else shrink_by_norm
    half = shrink(apart, strength=2 * strength) / 2
    return torch.stack([middle - half, middle + half])


@checked(strength=at_least(0))
def fused_line(wishes: Float[Tensor, " K"], *, strength: float, squared: bool = False) -> Float[Tensor, " K"]:
    """Where K free points of a line settle that want to be at a_k and pay for each pair's distance: exactly.

    Args:
        wishes: a_k, in any order.
        strength: t >= 0.
        squared: Whether each pair pays t (w_s - w_t)^2 instead of t |w_s - w_t|.

    Returns:
        The minimizer of sum_k (w_k - a_k)^2 / 2 + payments. Unsquared, points that meet stay one for every larger t.

    Raises:
        ValueError: ``wishes`` is not (K,), or ``strength`` is negative.

    Source: on a line the sorted points keep their order, so the payment is linear and what is left is an isotonic
        regression; such paths are known as sum-of-norms or convex clustering (Hocking et al., ICML 2011). Chapter 4.

    Example:
        >>> fused_line(torch.tensor([0.0, 1.0, 5.0]), strength=0.5)
        tensor([1., 1., 4.])
    """
    from scipy.optimize import isotonic_regression

    count = len(wishes)
    if squared:
        return (wishes + 2 * strength * wishes.sum()) / (1 + 2 * strength * count)
    ordered, order = wishes.sort()
    pulled = ordered - strength * (2 * torch.arange(count, dtype=wishes.dtype) - count + 1)  # by those on either side
    settled = torch.empty_like(wishes)
    settled[order] = torch.from_numpy(isotonic_regression(pulled.double().numpy()).x.copy()).to(wishes)
    return settled


@checked(half_angle=above(0, up_to=math.pi / 2), strength=at_least(0))
def fused_on_circle(half_angle: float, *, strength: float) -> float:
    """Half the angle between two unit centers that want to be at +- ``half_angle`` and pay for being apart.

    Args:
        half_angle: In radians, in (0, pi / 2).
        strength: t >= 0.

    Returns:
        The angle theta of the minimizer of -a_1 . w_1 - a_2 . w_2 + t ||w_1 - w_2||, in [0, ``half_angle``]: 0 from
        t = sin(half_angle) on, which is half the distance of a_1 and a_2.

    Raises:
        ValueError: A number is out of range.

    Source: derived in chapter 4.

    Example:
        >>> round(math.degrees(fused_on_circle(math.radians(30), strength=0.25)), 2)
        16.1
    """
    return math.atan2(max(math.sin(half_angle) - strength, 0.0), math.cos(half_angle))


@checked(share=between(0, 1 - 1e-12), epsilon=above(0))
def rest_distance(share: float, *, epsilon: float = EPSILON) -> float:
    """How far apart a merged pair rests, because epsilon rounds the corner of the norm.

    Args:
        share: What the images' pull on the pair is of the pull that would part it, in [0, 1).
        epsilon: What stands under the root beside the squared distance, > 0.

    Returns:
        sqrt(epsilon) share / sqrt(1 - share^2): at most 0.1 for the book's epsilon and a share below 0.9995.

    Raises:
        ValueError: A number is out of range.

    Source: derived in chapter 4.

    Example:
        >>> round(rest_distance(0.8, epsilon=1e-5), 4)  # sqrt(1e-5) * 0.8 / 0.6
        0.0042
    """
    return math.sqrt(epsilon) * share / math.sqrt(1 - share**2)


@checked(gradient=finite, lr=above(0), epsilon=above(0))
def adams_first_step(gradient: float, *, lr: float, epsilon: float = 1e-8) -> float:
    """How far the first step of Adam moves a parameter.

    Args:
        gradient: g, of that parameter.
        lr: The learning rate, > 0.
        epsilon: Adam's own, > 0; not the one under the regularizer's root. The default is torch's.

    Returns:
        -lr g / (|g| + epsilon): all of ``lr`` where |g| is much larger than epsilon, and plain descent with the rate
        lr / epsilon where it is much smaller.

    Raises:
        ValueError: A number is out of range.

    Source: Kingma and Ba, ICLR 2015, after its bias correction; derived in chapter 4.

    Example:
        >>> adams_first_step(0.25, lr=0.5, epsilon=0.25)
        -0.25
    """
    return -lr * gradient / (abs(gradient) + epsilon)


@checked(scale=above(0), gamma=above(0), epsilon=above(0), steps=at_least(1), lr=above(0))
def center_paths(
    embeddings: Float[Tensor, "B D"],
    labels: Int[Tensor, " B"],
    start: Float[Tensor, "*T C K D"],
    taus: Float[Tensor, " T"],
    *,
    squared: bool = False,
    scale: float = 20.0,
    gamma: float = 0.1,
    epsilon: float = EPSILON,
    steps: int = 400,
    lr: float = 0.05,
) -> Float[Tensor, "T C K D"]:
    """Where SoftTriple's centers come to rest for each tau, while the embeddings stay where they are.

    They descend side by side by Adam, whose rate falls geometrically to a hundredth of ``lr``.

    Args:
        embeddings: Unit vectors.
        labels: Classes, 0 to C - 1.
        start: Where the centers begin, K >= 2 a class: (C, K, D) for all taus, or one for each (T, C, K, D).
        taus: Weights of the regularizer, >= 0.
        squared: Whether the regularizer takes squared distances of centers (without epsilon).
        scale: lambda, > 0.
        gamma: Smoothing over the centers, > 0.
        epsilon: Under the root of the regularizer, > 0.
        steps: Of the descent, >= 1.
        lr: Its first rate, > 0.

    Raises:
        ValueError: Shapes or labels do not fit, or a number is out of range.

    Source: the objective of Qian et al., ICCV 2019, without margin. Chapter 4.
    """
    if start.ndim == 3:
        start = start.expand(len(taus), *start.shape)
    check_shape(expected="T C K D", start=start, remedy="One start for all taus, or one for each.")
    if len(start) != len(taus):
        got = f"{len(start)} starts for {len(taus)} taus"
        raise bad_input("start", "be one for all taus, or one for each", got, "Repeat them.")
    many, classes = len(taus), start.shape[1]
    labels = check_batch(embeddings, labels, num_classes=classes)
    repeated = labels.repeat(many)
    weight = start.detach().clone().contiguous().requires_grad_()
    adam = torch.optim.Adam([weight], lr=lr)
    fall = torch.optim.lr_scheduler.ExponentialLR(adam, 0.01 ** (1 / steps))
    for _ in range(steps):
        centers = F.normalize(weight, dim=-1)
        similarities = torch.einsum("bd,tckd->tbck", embeddings, centers).flatten(0, 1)
        soft = softtriple_similarity(similarities, gamma=gamma)
        loss = margin_cross_entropy(soft, repeated, scale=scale, margin=0.0) * many  # the sum of the T means
        apart = center_distances(centers, epsilon=epsilon)  # (T, C, P)
        paid = (apart.square() - epsilon if squared else apart).mean(-1).sum(-1) / (2 * classes)  # (T,)
        adam.zero_grad()
        (loss + (taus * paid).sum()).backward()
        adam.step()
        fall.step()
    return F.normalize(weight.detach(), dim=-1)


@checked
def toy(poses: Sequence[Sequence[float]] = POSES) -> tuple[Float[Tensor, "B 2"], Int[Tensor, " B"]]:
    """Classes on the circle: for each pose an image 12 degrees before it and one 12 degrees after it, and their labels.

    Args:
        poses: Of each class, in degrees. By default two classes of three poses, taking turns: a class needs three
            centers.
    """
    check_filled(poses=poses)
    pose = torch.tensor([degrees for of_class in poses for degrees in of_class], dtype=torch.float32)
    turn = torch.deg2rad(torch.cat([pose - 12, pose + 12]))
    sizes = torch.tensor([len(of_class) for of_class in poses])
    return torch.stack([turn.cos(), turn.sin()], -1), torch.arange(len(poses)).repeat_interleave(sizes).repeat(2)


@checked(per_class=at_least(1))
def start(per_class: int, seed: int = SEED) -> Float[Tensor, "2 K 2"]:
    """Random directions for the centers of both classes."""
    turn = 2 * math.pi * torch.rand(2, per_class, generator=generator(seed, "spare centers", per_class))
    return torch.stack([turn.cos(), turn.sin()], -1)
