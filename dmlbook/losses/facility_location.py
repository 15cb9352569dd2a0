"""Clustering as a loss: the best clustering of the batch that is wrong must score worse than the classes themselves."""

from __future__ import annotations

import torch

from dmlbook._checks import at_least, bad_input, check_batch, check_finite, check_labels, checked, under_vmap
from dmlbook._types import Float, Int, Tensor
from dmlbook.geometry import distances, normalize
from dmlbook.losses.base import Loss


@checked
def facility_score(distances: Float[Tensor, "B B"], medoids: Int[Tensor, " M"]) -> Float[Tensor, ""]:
    """F = -sum_i min_{j in S} d_ij: how well a set S of images stands for all of them; 0 is best.

    Args:
        distances: Of each image to each; Euclidean, not squared, in the paper.
        medoids: The images of S, at least one.

    Raises:
        ValueError: Shapes do not fit.

    Source: Oh Song et al., CVPR 2017, the facility location function. Chapter 6.

    Example:
        >>> facility_score(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([1]))
        tensor(-1.)
    """
    return -distances[:, check_labels(medoids, argument="medoids")].amin(1).sum()


@checked(margin_weight=at_least(0), rounds=at_least(0))
def loss_augmented_medoids(
    distances: Float[Tensor, "B B"], labels: Int[Tensor, " B"], *, margin_weight: float = 1.0, rounds: int = 5
) -> Int[Tensor, " M"]:
    """The medoids, one a class of the batch, whose clusters score high and agree little with the classes.

    They make F(S) + weight (1 - NMI) large: greedily, each step adding the best image; then in ``rounds`` of local
    search every cluster tries its members as its medoid. Neither finds the best set always.

    Args:
        distances: Of each image to each.
        labels: Class numbers.
        margin_weight: gamma, in units of the sum of B distances, >= 0.
        rounds: Passes of local search, >= 0.

    Raises:
        ValueError: Shapes or labels do not fit, a distance is not finite, or a number is negative.

    Source: Oh Song et al., CVPR 2017; the local search as in TensorFlow's ``cluster_loss``, which judges a candidate by
    its own cluster's distances. NMI divides by the geometric mean of the entropies, as in the paper. Chapter 6.
    """
    check_finite(distances=distances)
    return _medoids(distances, check_batch(distances, labels), margin_weight, rounds)


def _medoids(distances: Tensor, labels: Tensor, margin_weight: float, rounds: int) -> Int[Tensor, " M"]:
    with torch.no_grad():
        apart = distances.detach().double()
        classes = torch.unique(labels, return_inverse=True)[1]  # (B,)
        medoids = _greedy_medoids(apart, classes, margin_weight)
        for _ in range(rounds):
            before = medoids
            for place in range(len(medoids)):
                members = (apart[:, medoids].argmin(1) == place).nonzero()[:, 0]
                if len(members) == 0:
                    continue  # copies of one point: another cluster has them all
                trials = medoids.repeat(len(members), 1)
                trials[:, place] = members
                inside = apart[members][:, members].sum(0)
                moved = apart[:, trials].argmin(2)  # (B, T)
                scores = margin_weight * (1 - _agreement(moved.T, classes)) - inside
                medoids = trials[scores.argmax()]
            if torch.equal(medoids, before):
                break
        return medoids


def _greedy_medoids(apart: Float[Tensor, "B B"], classes: Int[Tensor, " B"], weight: float) -> Int[Tensor, " M"]:
    """One image after the other, as many as there are classes, each the one that raises the score most."""
    medoids: list[int] = []
    nearest, clusters = torch.full_like(apart[0], torch.inf), torch.zeros_like(classes)
    for place in range(int(classes.max()) + 1):
        taken = apart < nearest[:, None]  # (B, T) whom each candidate would take over
        moved = torch.where(taken, place, clusters[:, None])
        scores = weight * (1 - _agreement(moved.T, classes)) - torch.where(taken, apart, nearest[:, None]).sum(0)
        scores[medoids] = -torch.inf
        medoids.append(int(scores.argmax()))
        nearest, clusters = torch.minimum(nearest, apart[:, medoids[-1]]), moved[:, medoids[-1]]
    return torch.tensor(medoids, device=apart.device)


@checked(margin_weight=at_least(0), rounds=at_least(0))
def clustering_gap(
    distances: Float[Tensor, "B B"], labels: Int[Tensor, " B"], *, margin_weight: float = 1.0, rounds: int = 5
) -> Float[Tensor, ""]:
    """[ F(S) + weight (1 - NMI) - sum_c max_{j in c} F(c, {j}) ]_+ with the medoids S of ``loss_augmented_medoids``.

    Args:
        distances: Of each image to each; Euclidean, not squared, in the paper.
        labels: Class numbers.
        margin_weight: gamma, in units of the sum of B distances, >= 0.
        rounds: Passes of local search, >= 0.

    Returns:
        A sum over the batch, >= 0. With the best set instead of a found one no hinge would be needed: the classes' own
        medoids are among the sets, with a margin of 0 or more.

    Raises:
        ValueError: Shapes do not fit, or a number is negative.

    Source: Oh Song et al., CVPR 2017. Chapter 6.
    """
    labels = check_batch(distances, labels)
    medoids = _medoids(distances, labels, margin_weight, rounds)
    classes = torch.unique(labels, return_inverse=True)[1]  # (B,)
    clusters = distances.detach()[:, medoids].argmin(1)
    margin = (1 - _agreement(clusters[None], classes)[0]).to(distances.dtype)
    members = torch.nn.functional.one_hot(classes).to(distances.dtype)  # (B, M)
    within = distances @ members  # (B, M) from image j to all of class c
    own = within.masked_fill(members == 0, torch.inf).amin(0).sum()  # a class's medoid is its best member
    return (facility_score(distances, medoids) + margin_weight * margin + own).clamp(min=0)


class FacilityLocation(Loss):
    """Structured clustering: a batch's classes must be a better clustering than any that disagrees with them.

    Args:
        margin_weight: gamma / B, in units of distance: what a clustering that has nothing in common with the classes is
            worth for each image, >= 0. The paper's gamma falls by 0.94 at a time from a start that we do not know.
        rounds: Passes of local search over the medoids, >= 0; 5 in TensorFlow's code.
        normalize: Whether embeddings are scaled to unit length first, as in the paper.

    The mean over the batch of what the paper sums. Costs B^2 D, and B^2 M (B + M for each
    image and class) to find M medoids, one a class of the batch, without a gradient; that then passes through 2 B
    distances.

    Source: Oh Song et al., CVPR 2017. Chapter 6.
    """

    why_alone = "It scores the clustering of a whole batch, which has no single pairs"
    images_per_class = 4

    @checked(margin_weight=at_least(0), rounds=at_least(0))
    def __init__(self, *, margin_weight: float = 1.0, rounds: int = 5, normalize: bool = True) -> None:
        super().__init__()
        self.margin_weight, self.rounds, self.normalize = margin_weight, rounds, normalize

    def compute(self, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        if under_vmap(embeddings):
            remedy = "Its medoids are searched for one by one: loop over the batches."
            raise bad_input("embeddings", "be a tensor of one batch", "a batch of them under vmap", remedy)
        points = normalize(embeddings) if self.normalize else embeddings
        weight = self.margin_weight * len(points)
        gap = clustering_gap(distances(points, points), labels, margin_weight=weight, rounds=self.rounds)
        return gap / len(points)

    def extra_repr(self) -> str:
        return f"margin_weight={self.margin_weight}, rounds={self.rounds}"


def _agreement(clusters: Int[Tensor, "T B"], classes: Int[Tensor, " B"]) -> Float[Tensor, " T"]:
    """NMI of each of T clusterings with the classes, by the geometric mean of entropies; 1 where both are trivial."""
    count = int(classes.max()) + 1
    cells = clusters * count + classes  # (T, B) there are as many clusters as classes
    table = torch.zeros(len(clusters), count * count, dtype=torch.float64, device=classes.device)
    table = table.scatter_add_(1, cells, torch.ones_like(cells, dtype=torch.float64)) / len(classes)
    by_cluster = table.unflatten(1, (count, count))
    of_clusters, of_classes = _entropy(by_cluster.sum(2)), _entropy(by_cluster.sum(1))  # (T,)
    information = of_clusters + of_classes - _entropy(table)
    scale = (of_clusters * of_classes).sqrt()
    trivial = (of_clusters <= 0) & (of_classes <= 0)
    return torch.where(trivial, 1.0, information / scale.where(scale > 0, 1)).clamp(0, 1)


def _entropy(shares: Float[Tensor, "T n"]) -> Float[Tensor, " T"]:
    return -torch.special.xlogy(shares, shares).sum(1)
