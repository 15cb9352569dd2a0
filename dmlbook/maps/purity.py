"""How much of one true kind the centers serve, and how much they would by chance."""

from __future__ import annotations

import torch

from dmlbook._checks import at_least, bad_input, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.maps.serving import Serving


@checked
def kind_purity(served: Serving, kinds: Int[Tensor, " N"]) -> tuple[float, Float[Tensor, "C K"]]:
    """How much of one kind the centers are: the share of images whose kind is the most frequent one at their center.

    Args:
        served: Which images each center serves.
        kinds: The true kind of each image, any integers.

    Returns:
        The share over all images, in (0, 1], and that of each center; NaN where it serves nobody. One image a center
        gives 1: compare with :func:`purity_by_chance`.

    Raises:
        ValueError: There is not one kind an image.

    Source: Manning, Raghavan, Schütze, *Introduction to Information Retrieval*, 2008, section 16.3. Chapter 9.

    Example:
        >>> from dmlbook.maps import serving
        >>> images, labels = torch.eye(2)[[0, 0, 1]], torch.zeros(3, dtype=torch.long)
        >>> kind_purity(serving(images, labels, torch.eye(2)[None]), torch.tensor([7, 8, 8]))
        (0.6666666666666666, tensor([[0.5000, 1.0000]]))
    """
    _check_kinds(served, kinds)
    _, numbers = torch.unique(kinds, return_inverse=True)
    classes, per_class = served.counts.shape
    table = torch.zeros(classes, per_class, int(numbers.max()) + 1, dtype=torch.long)
    table.index_put_((served.labels, served.assigned, numbers), torch.ones_like(numbers), accumulate=True)
    largest = table.amax(2)
    return float(largest.sum()) / len(kinds), torch.where(served.used, largest / served.counts, torch.nan)


@checked(repeat=at_least(1))
def purity_by_chance(
    served: Serving, kinds: Int[Tensor, " N"], *, generator: torch.Generator, repeat: int = 20
) -> float:
    """The purity of the same centers, with as many images each, if each class's kinds were dealt to them at random.

    Args:
        served: Which images each center serves.
        kinds: The true kind of each image.
        generator: Deals.
        repeat: How many deals the mean is taken over.

    Source: made for chapter 9.
    """
    _check_kinds(served, kinds)
    dealt, home = [], served.labels.argsort(stable=True)
    for _ in range(repeat):
        order = torch.randperm(len(kinds), generator=generator)
        order = order[served.labels[order].argsort(stable=True)]
        shuffled = torch.empty_like(kinds)
        shuffled[home] = kinds[order]
        dealt.append(kind_purity(served, shuffled)[0])
    return sum(dealt) / repeat


def _check_kinds(served: Serving, kinds: Tensor) -> None:
    if len(kinds) != len(served.labels):
        raise bad_input("kinds", f"be one for each of {len(served.labels)} images", len(kinds), "Pass image_set.kinds.")
