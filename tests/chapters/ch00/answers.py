"""What learners write in chapter 00: a solution of each exercise, and the wrong answers that its check must name."""

import math

import numpy as np
import torch
from torch.nn import functional as F


def recall(x, y):
    hits = 0
    for i in range(len(y)):
        best = max((j for j in range(len(y)) if j != i), key=lambda j: float(x[i] @ x[j]))
        hits += int(y[best] == y[i])
    return hits / len(y)


def zeroed(x):
    cosines = x @ x.T
    return cosines - torch.diag(cosines.diagonal())


def recall_one_hit_a_class(x, y):
    found = {}
    for i in range(len(y)):
        best = max((j for j in range(len(y)) if j != i), key=lambda j: float(x[i] @ x[j]))
        found[int(y[i])] = found.get(int(y[i]), False) or bool(y[best] == y[i])
    return sum(found.values()) / len(found)


def farthest(x, y):
    apart = torch.cdist(x, x)
    return float((y[apart.argmax(1)] == y).double().mean())


ANSWERS = {
    "0.1": {
        "solution": lambda a, b: F.cosine_similarity(a, b, dim=0),
        "plain inner product": lambda a, b: torch.dot(a, b),
        "brackets": lambda a, b: torch.dot(a, b) / torch.linalg.norm(a) * torch.linalg.norm(b),
        "one length only": lambda a, b: sum(a * b) / math.sqrt(float(sum(a * a))),
        "distance": lambda a, b: torch.dist(a, b).item(),
        "squared lengths": lambda a, b: (a @ b) / ((a @ a) * (b @ b)),
    },
    "0.2": {
        "solution": recall,
        "the query finds itself": lambda x, y: float((y[(x @ x.T).argmax(1)] == y).float().mean()),
        "diagonal of zeros": lambda x, y: np.mean([int(y[int(r.argmax())] == y[i]) for i, r in enumerate(zeroed(x))]),
        "positions": lambda x, y: np.mean((x @ x.T - 9 * torch.eye(len(x))).argmax(1).numpy() == y.numpy()),
        "farthest": farthest,
        "counts instead of a share": lambda x, y: recall(x, y) * len(y),
        "one hit a class": recall_one_hit_a_class,
    },
    "0.3": {
        "solution": lambda num_classes, per_class: (per_class - 1) / (num_classes * per_class - 1),
        "one in C": lambda num_classes, per_class: per_class / (num_classes * per_class),
        "self only out of the total": lambda num_classes, per_class: per_class / (num_classes * per_class - 1),
        "self only out of the class": lambda num_classes, per_class: (1 - 1 / per_class) / num_classes,
    },
}
