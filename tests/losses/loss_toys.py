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
    "softmax": [{}, {"scale": 3.0, "margin": 0.2}],
    "hardtriple": [{"centers_per_class": 3}, {"centers_per_class": 1}],
    "softtriple": [
        {"centers_per_class": 3},
        {"centers_per_class": 1, "gamma": 0.5},
        {"centers_per_class": 3, "similarity": "logsumexp", "tau": 1.0},
    ],
    "centroid_bound": [{}, {"centroids": "simplex"}, {"centroids": "one_hot"}],
}
ALL = [pytest.param(name, chosen, id=f"{name}-{i}") for name in OPTIONS for i, chosen in enumerate(OPTIONS[name])]


def build(name, dtype=torch.float64, **chosen):
    if name in ("softmax", "hardtriple", "softtriple", "centroid_bound"):
        chosen["generator"] = generator(7, name)
    return losses.make(name, num_classes=CLASSES, embedding_size=SIZE, **chosen).to(dtype)


def batch(seed, size=12, dtype=torch.float64):
    numbers = generator(seed, "batch")
    x = torch.randn(size, SIZE, generator=numbers, dtype=torch.float64)
    return x.to(dtype), torch.randint(CLASSES, (size,), generator=numbers)


def by_loop(loss, x, y):
    """The value of a loss by the loops of reference.py."""
    if isinstance(loss, losses.CenterLoss):
        kind = {"NormalizedSoftmax": "hard", "HardTriple": "hard"}.get(type(loss).__name__, "expected")
        kind = getattr(loss, "similarity", kind)
        numbers = {"scale": loss.scale, "margin": loss.margin, "gamma": getattr(loss, "gamma", 1.0)}
        tau = getattr(loss, "tau", 0.0)
        return reference.several_centers_loss(x, y, loss.centers, kind=kind, tau=tau, epsilon=EPSILON, **numbers)
    if isinstance(loss, losses.CentroidBound):
        return reference.centroid_bound_loss(x, y, loss.centroids)
    unit = [reference.unit(row) for row in reference.rows(x)]
    apart = torch.tensor([[reference.distance(a, b) for b in unit] for a in unit], dtype=torch.float64)
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
