"""What happened to the kinds of images that a class hides: does each have its center, and are they still apart?"""

from __future__ import annotations

import torch

from dmlbook._checks import bad_input, check_batch, check_labels, checked
from dmlbook._types import Float, Int, Tensor


@checked
def kind_recovery(assigned: Int[Tensor, " N"], labels: Int[Tensor, " N"], kinds: Int[Tensor, " N"]) -> float:
    """How well the centers to which images are assigned recover the kinds: adjusted Rand index, mean over classes.

    Args:
        assigned: Which center of its own class each image is closest to, any integers.
        labels: Class of each image, any integers.
        kinds: The true kind of each image within its class, any integers.

    Returns:
        At most 1, where each kind has centers of its own and only one; 0 on average for centers that know nothing,
        and for a single center. Only classes with two kinds or more count: in the others there is nothing to recover.

    Raises:
        ValueError: Shapes differ, labels are no integers, or no class has two kinds.

    Source: Hubert and Arabie, Journal of Classification 1985, as in scikit-learn. Chapter 4.

    Example:
        >>> labels = torch.zeros(4, dtype=torch.long)
        >>> kind_recovery(torch.tensor([5, 5, 2, 2]), labels, torch.tensor([0, 0, 1, 1]))
        1.0
    """
    from sklearn.metrics import adjusted_rand_score

    assigned = check_labels(assigned, argument="assigned")
    owns = _several_kinds(labels, kinds)
    found = [float(adjusted_rand_score(kinds[own].cpu().numpy(), assigned[own].cpu().numpy())) for own in owns]
    return sum(found) / len(found)


@checked
def kind_cosine(embeddings: Float[Tensor, "N D"], labels: Int[Tensor, " N"], kinds: Int[Tensor, " N"]) -> float:
    """How close the kinds of a class lie together: cosine of two kinds' mean directions, mean over pairs and classes.

    Args:
        embeddings: One row an image; its length does not matter.
        labels: Class of each image, any integers.
        kinds: The true kind of each image within its class, any integers.

    Returns:
        In [-1, 1]; 1 where a class's kinds have been moved onto one another. Only classes with two kinds or more count.

    Raises:
        ValueError: Shapes differ, no class has two kinds, an embedding is not finite, or those of a kind cancel out.

    Example:
        >>> kind_cosine(torch.eye(2), torch.tensor([0, 0]), torch.tensor([0, 1]))
        0.0
    """
    check_batch(embeddings, labels)
    if not torch.isfinite(embeddings).all():
        raise bad_input("embeddings", "be finite", "NaN or infinity", "Find out which images give them, and why.")
    unit, found = torch.nn.functional.normalize(embeddings.double(), dim=1), []
    for own in _several_kinds(labels, kinds):
        means = torch.stack([unit[own & (kinds == kind)].mean(0) for kind in torch.unique(kinds[own])])  # (M, D)
        lengths = means.norm(dim=1, keepdim=True)
        if float(lengths.min()) < 1e-9:
            remedy = "Check that the embeddings are not all zero."
            raise bad_input("embeddings", "give each kind a mean direction", "a mean of 0", remedy)
        first, second = torch.triu_indices(len(means), len(means), 1)
        found.append(float(((means / lengths) @ (means / lengths).T)[first, second].mean()))
    return sum(found) / len(found)


def _several_kinds(labels: Tensor, kinds: Tensor) -> list[Tensor]:
    """For each class with two kinds or more: which images are its own, (N,)."""
    labels, kinds = check_labels(labels), check_labels(kinds, argument="kinds")
    owns = [labels == label for label in torch.unique(labels)]
    several = [own for own in owns if len(torch.unique(kinds[own])) > 1]
    if not several:
        raise bad_input("kinds", "be two or more in some class", "one in each", "Merge classes first.")
    return several
