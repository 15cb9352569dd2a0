"""What the tests of losses share: each loss with several options, batches, its loop, and the other library."""

import pytest
import torch

from dmlbook import losses
from dmlbook.losses.centers import EPSILON
from dmlbook.seeding import generator
from tests import reference

CLASSES, SIZE = 4, 6
OPTIONS = {
    "triplet": [{}, {"distance": "euclidean", "margin": 0.5}, {"average": "active"}, {"hinge": False, "margin": 0.0}],
    "semihard": [{}, {"margin": 1.0}],
    "lifted": [{}, {"margin": 0.3, "normalize": True}],
    "clustering": [{}, {"margin_weight": 0.2, "rounds": 0}],
    "npairs": [{}, {"scale": 5.0, "normalize": True, "length_weight": 0.0}],
    "proxy_nca": [{}, {"scale": 2.0, "denominator": "all"}],
    "triplet_center": [{}, {"margin": 0.4, "negatives": "mean"}],
    "softmax": [{}, {"scale": 3.0, "margin": 0.2}],
    "hardtriple": [{"centers_per_class": 3}, {"centers_per_class": 1}],
    "softtriple": [
        {"centers_per_class": 3},
        {"centers_per_class": 1, "gamma": 0.5},
        {"centers_per_class": 3, "similarity": "logsumexp", "tau": 1.0},
    ],
    "centroid_bound": [{}, {"centroids": "simplex"}, {"centroids": "one_hot"}],
    "proxy_anchor": [{}, {"scale": 4.0, "margin": 0.3}],
    "subcenter_arcface": [{"scale": 8.0}, {"centers_per_class": 1, "margin": 1.2, "scale": 3.0}],
}
ALL = [pytest.param(name, chosen, id=f"{name}-{i}") for name in OPTIONS for i, chosen in enumerate(OPTIONS[name])]
LEARNED = ("proxy_nca", "softmax", "hardtriple", "softtriple", "proxy_anchor", "subcenter_arcface")
"""Those that have learned centers."""
KNOW_CLASSES = (*LEARNED, "triplet_center", "centroid_bound")


def build(name, dtype=torch.float64, **chosen):
    if "generator" in losses.options(name):
        chosen["generator"] = generator(7, name)
    loss = losses.make(name, num_classes=CLASSES, embedding_size=SIZE, **chosen).to(dtype)
    if name == "triplet_center":  # some centroids, which stay where they are
        points = torch.randn(CLASSES, SIZE, generator=generator(7, name), dtype=torch.float64)
        loss.recompute(points.to(dtype), torch.arange(CLASSES))
        loss.eval()
    return loss


def batch(seed, size=12, dtype=torch.float64):
    numbers = generator(seed, "batch")
    x = torch.randn(size, SIZE, generator=numbers, dtype=torch.float64)
    return x.to(dtype), torch.randint(CLASSES, (size,), generator=numbers)


def by_loop(loss, x, y):
    """The value of a loss by the loops of reference.py."""
    if isinstance(loss, losses.ProxyNCA):
        return reference.proxy_nca_loss(x, y, loss.weight[0], scale=loss.scale, denominator=loss.denominator)
    if isinstance(loss, losses.ProxyAnchor):
        return reference.proxy_anchor_loss(x, y, loss.weight[0], scale=loss.scale, margin=loss.margin)
    if isinstance(loss, losses.SubcenterArcFace):
        return reference.subcenter_arcface_loss(x, y, loss.centers, scale=loss.scale, margin=loss.margin)
    if isinstance(loss, losses.CenterLoss):
        kind = {"NormalizedSoftmax": "hard", "HardTriple": "hard"}.get(type(loss).__name__, "expected")
        kind = getattr(loss, "similarity", kind)
        numbers = {"scale": loss.scale, "margin": loss.margin, "gamma": getattr(loss, "gamma", 1.0)}
        tau = getattr(loss, "tau", 0.0)
        return reference.several_centers_loss(x, y, loss.centers, kind=kind, tau=tau, epsilon=EPSILON, **numbers)
    if isinstance(loss, losses.CentroidBound):
        return reference.centroid_bound_loss(x, y, loss.centroids)
    unit = [reference.unit(row) if loss.normalize else row for row in reference.rows(x)]
    points = torch.tensor(unit, dtype=torch.float64)
    if isinstance(loss, losses.TripletCenter):
        given = {"margin": loss.margin, "negatives": loss.negatives}
        return reference.triplet_center_loss(points, y, loss.centroids, **given)
    if isinstance(loss, losses.NPairs):
        return reference.npairs_loss(points, y, length_weight=loss.length_weight, scale=loss.scale)
    apart = torch.tensor([[reference.distance(a, b) for b in unit] for a in unit], dtype=torch.float64)
    if isinstance(loss, losses.LiftedStructure):
        return reference.lifted_loss(apart, y, margin=loss.margin)
    if isinstance(loss, losses.FacilityLocation):
        weight = loss.margin_weight * len(y)
        return reference.clustering_loss(apart, y, weight=weight, rounds=loss.rounds) / len(y)
    if isinstance(loss, losses.SemiHardLoss):
        return reference.semihard_loss(apart.square(), y, margin=loss.margin)
    apart = apart.square() if loss.distance == "squared" else apart
    return reference.triplet_loss(apart, y, margin=loss.margin, hinge=loss.hinge, average=loss.average)


def pml_value_and_gradients(theirs, ours, x, y, transfer):
    """Both losses and their gradients in x, on the unit sphere, after our parameters were copied to theirs."""
    with torch.no_grad():
        transfer(theirs, ours)
    found = []
    for loss in (ours, theirs):
        point = x.clone().requires_grad_()
        value = loss(point, y)
        found.append((value, *torch.autograd.grad(value, [point, *loss.parameters()])))
    return found
