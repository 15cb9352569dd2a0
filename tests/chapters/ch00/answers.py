"""What learners write in chapter 00: a solution of each exercise, and the wrong answers that its check must name.

``INVENTED`` holds wrong answers as students would write them, made up without a look at the misconceptions.
"""

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


def second_place(x, y):
    order = np.argsort(-(x @ x.T).numpy(), axis=1)
    return float(np.mean(y.numpy()[order[:, 1]] == y.numpy()))


def normalized_by(rows=None, columns=None):
    def table(x):
        cosines = x @ x.T
        cosines = cosines / rows(x).unsqueeze(1) if rows else cosines
        return cosines / columns(x).unsqueeze(0) if columns else cosines

    return table


def length(x):
    return x.pow(2).sum(1).sqrt()


def counted_to(x, y, places):
    order = (x @ x.T).fill_diagonal_(-1.1).argsort(1, descending=True)[:, :places]
    return float((y[order] == y[:, None]).any(1).float().mean())


def hits(x, y, out=None):
    """Whether the first of each list is right; ``out`` says who leaves it, by default the query."""
    cosines = np.where(np.eye(len(y), dtype=bool) if out is None else out, -9, (x @ x.T).numpy())
    return (y.numpy()[cosines.argmax(1)] == y.numpy()).astype(float)


def later_alone(x, y):
    found = [int(y[i + 1 + int((x[i + 1 :] @ x[i]).argmax())] == y[i]) for i in range(len(y) - 1)]
    return sum(found) / len(y)


def cut_out(x, y):
    found = [int((torch.cat([x[:i], x[i + 1 :]]) @ x[i]).argmax()) for i in range(len(y))]
    return np.mean([int(y[j] == y[i]) for i, j in enumerate(found)])


ANSWERS = {
    "0.1": {
        "solution": lambda x: F.normalize(x, dim=1) @ F.normalize(x, dim=1).T,
        "the bug itself": normalized_by(columns=lambda x: length(x) ** 2),
        "plain inner products": lambda x: torch.einsum("id,jd->ij", x, x),
        "the column's length alone": normalized_by(columns=length),
        "the row's length alone": normalized_by(rows=length),
        "the row's length twice": normalized_by(rows=lambda x: length(x) ** 2),
        "one length for all": lambda x: x @ x.T / (x * x).sum(),
        "along the wrong axis": lambda x: F.normalize(x, dim=0) @ F.normalize(x, dim=0).T,
        "squared lengths": normalized_by(lambda x: length(x) ** 2, lambda x: length(x) ** 2),
        "distances": lambda x: torch.cdist(x, x),
        "sums of sizes for lengths": lambda x: F.normalize(x, p=1, dim=1) @ F.normalize(x, p=1, dim=1).T,
        "the largest entry for the length": lambda x: F.normalize(x, p=torch.inf) @ F.normalize(x, p=torch.inf).T,
        "the mean point taken out": lambda x: F.cosine_similarity((x - x.mean(0))[:, None], x - x.mean(0), dim=2),
        "correlations": torch.corrcoef,
        "each with itself": lambda x: F.cosine_similarity(x, x),
        "the diagonal emptied": lambda x: F.normalize(x) @ F.normalize(x).T * (1 - torch.eye(len(x))),
        "the mean of the two lengths": lambda x: 2 * x @ x.T / (length(x).unsqueeze(1) + length(x)),
        "the longer of the two": lambda x: x @ x.T / (x * x).sum(1).view(-1, 1).clamp(min=(x * x).sum(1)),
    },
    "0.2": {
        "solution": recall,
        "the query finds itself": lambda x, y: float((y[(x @ x.T).argmax(1)] == y).float().mean()),
        "the first of the list dropped": second_place,
        "diagonal of zeros": lambda x, y: np.mean([int(y[int(r.argmax())] == y[i]) for i, r in enumerate(zeroed(x))]),
        "diagonal of minus ones": lambda x, y: (
            sum(int(y[(x @ x[i]).index_fill(0, torch.tensor(i), -1.0).argmax()] == y[i]) for i in range(len(y)))
            / len(y)
        ),
        "rows alone in their class left out": lambda x, y: np.mean(
            [hit for hit, c in zip(hits(x, y), y.tolist(), strict=True) if y.tolist().count(c) > 1]
        ),
        "the first query alone": lambda x, y: float(y[1 + int((x[1:] @ x[0]).argmax())] == y[0]),
        "the size of the cosine": lambda x, y: (y[((x @ x.T) ** 2).fill_diagonal_(-1).argmax(1)] == y).float().mean(),
        "positions": lambda x, y: np.mean((x @ x.T - 9 * torch.eye(len(x))).argmax(1).numpy() == y.numpy()),
        "farthest": farthest,
        "counts instead of a share": lambda x, y: recall(x, y) * len(y),
        "misses instead of hits": lambda x, y: 1 - recall(x, y),
        "percent": lambda x, y: recall(x, y) * 100,
        "not normalized by N": lambda x, y: recall(x, y) * len(y) / (len(y) - 1),
        "any match in the list": lambda x, y: sum(int(list(y).count(c) > 1) for c in y) / len(y),
        "one hit a class": recall_one_hit_a_class,
        "the mean over classes": lambda x, y: np.mean([hits(x, y)[(y == c).numpy()].mean() for c in y.unique()]),
        "later images alone": later_alone,
        "one number too low": cut_out,
        "all identical ones out": lambda x, y: hits(x, y, (x @ x.T > 0.99999).numpy()).mean(),
        "two places": lambda x, y: counted_to(x, y, 2),
        "the hits themselves": lambda x, y: torch.tensor(hits(x, y)),
    },
    "0.3": {
        "solution": lambda num_classes, per_class: (per_class - 1) / (num_classes * per_class - 1),
        "one in C": lambda num_classes, per_class: per_class / (num_classes * per_class),
        "self only out of the total": lambda num_classes, per_class: per_class / (num_classes * per_class - 1),
        "self only out of the class": lambda num_classes, per_class: (1 - 1 / per_class) / num_classes,
        "one in N": lambda num_classes, per_class: (num_classes * per_class - 1) ** -1,
        "one class fewer": lambda num_classes, per_class: per_class / (num_classes * per_class - per_class),
        "one image of all": lambda num_classes, per_class: 1 / per_class / num_classes,
        "one image of its class": lambda num_classes, per_class: per_class**-1,
        "the query out of the classes": lambda num_classes, per_class: (1 - per_class) / (1 - num_classes),
        "no parentheses": lambda num_classes, per_class: per_class - (num_classes * per_class - 1) ** -1,
        "no parentheses below": lambda num_classes, per_class: (
            (per_class * (per_class - 1) - num_classes) / num_classes
        ),
        "images by classes": lambda num_classes, per_class: per_class * num_classes**-1,
        "classes by images": lambda num_classes, per_class: 1 / (per_class - 1 / num_classes),
        "the miss": lambda num_classes, per_class: 1 - (per_class - 1) / (num_classes * per_class - 1),
        "in percent": lambda num_classes, per_class: (per_class - 1) / (num_classes * per_class - 1) * 100,
        "the query's two sides swapped": lambda num_classes, per_class: (
            (num_classes - 1) / (num_classes * per_class - 1)
        ),
        "the class drawn first": lambda num_classes, per_class: (
            1 / num_classes * (per_class - 1) / (num_classes * per_class - 1)
        ),
        "right against wrong": lambda num_classes, per_class: (per_class - 1) / (num_classes * per_class - per_class),
        "within the class": lambda num_classes, per_class: 1 - 1 / per_class,
        "another class": lambda num_classes, per_class: (num_classes - 1) / num_classes,
    },
}


INVENTED = {
    "0.1": {
        "dim=1 kept for one of two": lambda x: x @ x.T / x.norm(dim=1, keepdim=True) / x.norm(dim=1, keepdim=True),
        "no division": lambda x: x.mm(x.t()),
        "norm of everything, twice": lambda x: x @ x.T / x.norm() / x.norm(),
        "normalize's default said wrong": lambda x: (x / x.norm(dim=0, keepdim=True)) @ F.normalize(x, dim=0).T,
        "the matrix of products normalized": lambda x: F.normalize(x @ x.T, dim=1),
        "only the left side normalized": lambda x: F.normalize(x, dim=1) @ x.T,
        "only the right side normalized": lambda x: x @ F.normalize(x, dim=1).T,
        "sums instead of norms": lambda x: x @ x.T / torch.outer((x * x).sum(1), (x * x).sum(1)),
        "the bug in other words": lambda x: x @ (x / x.norm(dim=1)[:, None] / x.norm(dim=1)[:, None]).T,
        "cdist": lambda x: (x.unsqueeze(1) - x.unsqueeze(0)).square().sum(-1).sqrt(),
        "normalize with p=1": lambda x: F.normalize(x, p=1) @ F.normalize(x, p=1).T,
        "scaled by the largest entry": lambda x: (x / x.abs().amax(1, True)) @ (x / x.abs().amax(1, True)).T,
        "centered first": lambda x: F.normalize(x - x.mean(0)) @ F.normalize(x - x.mean(0)).T,
        "corrcoef": torch.corrcoef,
        "cosine_similarity(x, x)": lambda x: F.cosine_similarity(x, x),
        "1 - cosine": lambda x: 1 - F.normalize(x) @ F.normalize(x).T,
        "their size": lambda x: (F.normalize(x) @ F.normalize(x).T).abs(),
        "nothing with itself": lambda x: (F.normalize(x) @ F.normalize(x).T).fill_diagonal_(0),
        "lengths added, not multiplied": lambda x: x @ x.T / (x.norm(dim=1)[:, None] + x.norm(dim=1)) * 2,
        "the longer one": lambda x: x @ x.T / torch.maximum(x.norm(dim=1)[:, None], x.norm(dim=1)).pow(2),
    },
    "0.2": {
        "topk(2)[:, 1]": lambda x, y: (y[torch.topk(x @ x.T, 2).indices[:, 1]] == y).float().mean(),
        "sorted, second column": lambda x, y: (y[(x @ x.T).sort(descending=True)[1][:, 1]] == y).float().mean().item(),
        "no exclusion": lambda x, y: (y[torch.argmax(x @ x.T, dim=-1)] == y).double().mean(),
        "minus one on the diagonal alone": lambda x, y: (
            (y[(x @ x.T * (1 - torch.eye(len(x)))).argmax(1)] == y).float().mean()
        ),
        "argmin": lambda x, y: (y[(x @ x.T).argmin(1)] == y).float().mean().item(),
        "a sum": lambda x, y: (y[(x @ x.T).fill_diagonal_(-2).argmax(1)] == y).sum(),
        "index compared": lambda x, y: ((x @ x.T).fill_diagonal_(-2).argmax(1) == y).float().mean(),
        "two places": lambda x, y: counted_to(x, y, 2),
        "percentages": lambda x, y: 100.0 * counted_to(x, y, 1),
        "the wrong ones": lambda x, y: (y[(x @ x.T).fill_diagonal_(-2).argmax(1)] != y).float().mean(),
        "farthest but itself": lambda x, y: (y[(x @ x.T).fill_diagonal_(2).argmin(1)] == y).float().mean(),
        "j > i": later_alone,
        "the list without the query, its numbers kept": cut_out,
        "classes averaged": lambda x, y: (
            sum(hits(x[:], y)[(y == c).numpy()].mean() for c in y.unique()) / len(set(y.tolist()))
        ),
        "over N - 1": lambda x, y: hits(x, y).sum() / (len(y) - 1),
        "cosine below one": lambda x, y: hits(x, y, (x @ x.T > 1 - 1e-5).numpy()).mean(),
        "the identity subtracted": lambda x, y: (y[(x @ x.T - torch.eye(len(x))).argmax(1)] == y).float().mean(),
        "no mean": lambda x, y: (y[(x @ x.T).fill_diagonal_(-9).argmax(1)] == y).float(),
        "one of two": lambda x, y: counted_to(x, y, 2),
        "-1 on the diagonal": lambda x, y: (y[(x @ x.T).fill_diagonal_(-1).argmax(1)] == y).float().mean().item(),
        "no mate, no query": lambda x, y: hits(x, y)[((y[:, None] == y).sum(1) > 1).numpy()].mean(),
        "return in the loop": lambda x, y: float(y[(x @ x.T).fill_diagonal_(-9)[0].argmax()] == y[0]),
        "above the diagonal": lambda x, y: (y[(x @ x.T).triu(1).argmax(1)] == y).float().mean().item(),
        "abs": lambda x, y: (y[(x @ x.T).fill_diagonal_(0).abs().argmax(1)] == y).float().mean().item(),
        "itself and the next": lambda x, y: (y[(x @ x.T).topk(2).indices] == y[:, None]).any(1).float().mean(),
    },
    "0.3": {
        "1 / C": lambda num_classes, per_class: 1.0 / num_classes,
        "n / (N - 1)": lambda num_classes, per_class: per_class / (per_class * num_classes - 1),
        "(n - 1) / N": lambda num_classes, per_class: (per_class - 1) / (per_class * num_classes),
        "1 / N": lambda num_classes, per_class: 1 / (per_class * num_classes),
        "1 / (N - 1)": lambda num_classes, per_class: 1 / (per_class * num_classes - 1),
        "1 / (C - 1)": lambda num_classes, per_class: 1 / (num_classes - 1),
        "the opposite": lambda num_classes, per_class: 1 - (per_class - 1) / (per_class * num_classes - 1),
        "times a hundred": lambda num_classes, per_class: 100 * (per_class - 1) / (per_class * num_classes - 1),
        "classes less one": lambda num_classes, per_class: (num_classes - 1) / (per_class * num_classes - 1),
        "per class alone": lambda num_classes, per_class: 1 / per_class,
        "whole-number division": lambda num_classes, per_class: (per_class - 1) // (num_classes * per_class - 1),
        "1 / C of the rest": lambda num_classes, per_class: (per_class - 1) / (num_classes * (per_class - 1)),
        "both drawn": lambda num_classes, per_class: (
            (1 / num_classes) * (per_class - 1) / (num_classes * per_class - 1)
        ),
        "against the wrong ones": lambda num_classes, per_class: (per_class - 1) / ((num_classes - 1) * per_class),
        "its class alone": lambda num_classes, per_class: (per_class - 1) / per_class,
        "not its class": lambda num_classes, per_class: 1 - 1 / num_classes,
        "the birds' own": lambda num_classes, per_class: 49 / 1999,
        "three digits": lambda num_classes, per_class: round((per_class - 1) / (num_classes * per_class - 1), 3),
        "the birds' percent": lambda num_classes, per_class: 2.5,
        "(n - 1) / (C - 1)": lambda num_classes, per_class: (per_class - 1) / (num_classes - 1),
        "n - 1 / (C n - 1)": lambda num_classes, per_class: per_class - 1 / (num_classes * per_class - 1),
        "(n - 1) / C n - 1": lambda num_classes, per_class: (per_class - 1) / num_classes * per_class - 1,
        "n / C": lambda num_classes, per_class: per_class / num_classes,
        "C / (N - 1)": lambda num_classes, per_class: num_classes / (num_classes * per_class - 1),
        "C and n added": lambda num_classes, per_class: (per_class - 1) / (num_classes + per_class - 1),
    },
}
