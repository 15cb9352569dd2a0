"""More of what learners write on the measures of chapter 01: wrong answers to name, and ten more made up afresh."""

import math

import torch
from torch.nn import functional as F


def lists(x, y, cosines=None, cut=1):
    """Hits in the order of each query's list, as one matrix; the last ``cut`` of each list are cut off."""
    cosines = (x @ x.T).fill_diagonal_(-torch.inf) if cosines is None else cosines
    order = cosines.argsort(dim=1, descending=True, stable=True)
    return y[order[:, : len(y) - cut]] == y[:, None]


def both(hits, k, counted=None, average=None, alone=None):
    """Recall at k and MAP@R of a matrix of hits; ``average`` makes one number of a row and its R."""
    hits = hits[hits.any(1)] if counted is None else hits[counted]
    average = average or (lambda row, r: sum(float(row[:p].float().mean()) for p in range(1, r + 1) if row[p - 1]) / r)
    values = [(float(row[:k].any()), average(row, int(row.sum()))) for row in hits] + [(1.0, 1.0)] * (alone or 0)
    return tuple(sum(column) / len(values) for column in zip(*values, strict=True))


def without_singles(x, y, k):
    keep = (y[:, None] == y).sum(0) > 1
    return both(lists(x[keep], y[keep]), k)


def without_twins(x, y, k):
    cosines = x @ x.T
    return both(lists(x, y, cosines.masked_fill(cosines > 0.999999, -torch.inf)), k)


def one_r(x, y, k):
    hits = lists(x, y)
    hits = hits[hits.sum(1) > 0]
    r = int(hits[0].sum())
    return both(
        hits, k, average=lambda row, _: sum(float(row[:p].sum()) / p for p in range(1, r + 1) if row[p - 1]) / r
    )


def singles_perfect(x, y, k):
    hits = lists(x, y)
    return both(hits, k, alone=int((~hits.any(1)).sum()))


def too_many(x, y, k):
    return both(lists(x, y), k + 1)[0], both(lists(x, y), k)[1]


def uncut(cosines, y, k):
    hits = y[cosines.argsort(dim=1, descending=True, stable=True)] == y[:, None]
    hits = hits[hits.sum(1) > 1].double()
    r, places = hits.sum(1, keepdim=True) - 1, torch.arange(1, hits.shape[1] + 1)
    average = (hits * hits.cumsum(1) / places * (places <= r)).sum(1) / r[:, 0]
    return hits[:, :k].amax(1).mean().item(), average.mean().item()


def first_dropped(x, y, k):
    found = []
    for i in range(len(y)):
        r = int((y == y[i]).sum()) - 1
        row = (y[(x @ x[i]).argsort(descending=True, stable=True)[1:]] == y[i]).tolist()
        if r:
            found.append((any(row[:k]), sum(sum(row[:p]) / p for p in range(1, r + 1) if row[p - 1]) / r))
    return tuple(sum(column) / len(found) for column in zip(*found, strict=True))


def to(places, over):
    """An average over the places of the hits among the first ``places``."""
    return lambda row, r: sum(float(row[:p].float().mean()) for p in range(1, places + 1) if row[p - 1]) / over(r)


def reciprocal(row, r):
    return 1 / (1 + row.tolist().index(True))


def pooled(x, y, k):
    hits = lists(x, y)
    whole = both(hits, k, average=lambda row, r: r * summed(lambda row, p: float(row[:p].float().mean()))(row, r))
    return whole[0], whole[1] / both(hits, k, average=lambda row, r: r)[1]


def summed(term, end=0):
    """An average over the places of the hits among the first R."""
    return lambda row, r: sum(term(row, p) for p in range(1, r + 1 + end) if row[p - 1]) / r


def firsts(x, y, ratio, near=None, nearest=None):
    """The mean of ``ratio`` of how many are right and how many are tied, over the queries."""
    values = []
    for i in range(len(y)):
        apart = [math.inf if i == j else math.dist(x[i].tolist(), x[j].tolist()) for j in range(len(y))]
        least = nearest(apart, y == y[i]) if nearest else min(apart)
        tied = [j for j, d in enumerate(apart) if (near(d, least) if near else d == least)]
        values.append(ratio(sum(int(y[j] == y[i]) for j in tied), len(tied)))
    values = [value for value in values if value is not None]
    return sum(values) / max(len(values), 1)


def of_match(apart, same):
    return min(d for d, own in zip(apart, same.tolist(), strict=True) if own)


def one_over_ties(x, y):
    apart = torch.cdist(x, x).fill_diagonal_(torch.inf)
    own = apart.masked_fill(y[:, None] != y, torch.inf).amin(1, keepdim=True)
    return (((apart < own).sum(1) == 0) / (apart <= own).sum(1)).mean().item()


def at_most(x, y):
    apart = torch.cdist(x, x).fill_diagonal_(torch.inf)
    own = apart.masked_fill(y[:, None] != y, torch.inf).amin(1)
    return ((apart <= own[:, None]).sum(1) < 1).float().mean().item()


def self_found(x, y):
    apart = torch.cdist(x, x)
    tied = apart == apart.amin(1, keepdim=True)
    return ((tied & (y[:, None] == y)).sum(1) / tied.sum(1)).mean().item()


def by_list(x, y):
    apart, same = torch.cdist(x, x).fill_diagonal_(torch.inf), y[:, None] == y
    own = apart.masked_fill(~same, torch.inf).amin(1)
    other = apart.masked_fill(same, torch.inf).amin(1)
    chance = (same.sum(1) - 1) / (len(y) - 1)
    return ((own < other) + (own == other) * chance).mean().item()


def city(x, y):
    apart = torch.cdist(x, x, p=1).fill_diagonal_(torch.inf)
    tied = apart == apart.amin(1)[:, None]
    return ((tied * (y[:, None] == y)).sum(1) / tied.sum(1)).mean()


ANSWERS = {
    "1.1": {
        "half of the cosine": lambda cosine: (2 - cosine) ** 0.5,
        "the cosine outside": lambda cosine: 2**0.5 - 2 * cosine,
        "twice the sine": lambda cosine: 2 * math.sin(math.acos(cosine)),
        "the cosine squared": lambda cosine: math.sqrt(2) * math.sqrt(1 - cosine**2),
        "the cosine without its sign": lambda cosine: math.sqrt(2 * (1 - abs(cosine))),
    },
    "1.2": {
        "images alone in their class out of the lists": without_singles,
        "identical images out of the lists": without_twins,
        "a diagonal of zeros": lambda x, y, k: both(lists(x, y, (x @ x.T) * (1 - torch.eye(len(x)))), k),
        "the query finds itself, alone too": lambda x, y, k: both(lists(x, y, x @ x.T, cut=0), k),
        "one over the place": lambda x, y, k: both(lists(x, y), k, average=summed(lambda row, p: 1 / p)),
        "the share before the hit": lambda x, y, k: both(
            lists(x, y), k, average=summed(lambda row, p: float(row[: p - 1].sum()) / max(p - 1, 1))
        ),
        "a place too few": lambda x, y, k: both(
            lists(x, y), k, average=summed(lambda row, p: float(row[:p].float().mean()), end=-1)
        ),
        "a place too many": too_many,
        "queries without a match perfect": singles_perfect,
        "one R for all": one_r,
        "recall alone": lambda x, y, k: both(lists(x, y), k)[0],
        "the query finds itself, not counted in R": lambda x, y, k: uncut(x @ x.T, y, k),
        "a diagonal of zeros, and the whole list": lambda x, y, k: uncut((x @ x.T) * (1 - torch.eye(len(x))), y, k),
        "the first of the list dropped, R from the labels": first_dropped,
        "average precision up to k, over k": lambda x, y, k: both(lists(x, y), k, average=to(k, lambda r: k)),
        "average precision up to k, over the smaller": lambda x, y, k: both(
            lists(x, y), k, average=to(k, lambda r: min(r, k))
        ),
        "hits so far, undivided": lambda x, y, k: both(
            lists(x, y), k, average=summed(lambda row, p: float(row[:p].sum()))
        ),
        "one over the first hit's place": lambda x, y, k: both(lists(x, y), k, average=reciprocal),
        "sums over the sum of R": pooled,
        "recall at 1": lambda x, y, k: (both(lists(x, y), 1)[0], both(lists(x, y), k)[1]),
    },
    "1.3": {
        "the city's distance": city,
        "nearly tied": lambda x, y: firsts(x, y, lambda right, tied: right / tied, near=lambda d, low: d < low + 0.5),
        "one match of the tied": one_over_ties,
        "at the match's distance": lambda x, y: firsts(x, y, lambda right, tied: right / tied, nearest=of_match),
        "queries without a chance left out": lambda x, y: firsts(x, y, lambda right, tied: right / tied or None),
        "how many are right": lambda x, y: firsts(x, y, lambda right, tied: right),
        "one tied image too many": lambda x, y: firsts(x, y, lambda right, tied: right / (1 + tied)),
        "right against wrong": lambda x, y: firsts(x, y, lambda right, tied: right / max(tied - right, 1)),
        "the match counted against itself": at_most,
        "the query finds itself": self_found,
        "the chance of the whole list": by_list,
        "one against the wrong": lambda x, y: firsts(x, y, lambda right, tied: (right > 0) / (1 + tied - right)),
    },
}

INVENTED = {
    "1.1": {
        "the root of the first 2": lambda cosine: math.sqrt(2) - 2 * cosine,
        "2 - cos under the root": lambda cosine: math.sqrt(2 - cosine),
        "2 sin": lambda cosine: 2 * math.sin(math.acos(cosine)),
        "2 - 2 cos squared": lambda cosine: math.sqrt(2 - 2 * cosine**2),
        "the size of the cosine": lambda cosine: math.sqrt(2 - 2 * abs(cosine)),
        "a whole number": lambda cosine: int(math.sqrt(2 - 2 * cosine)),
        "two digits": lambda cosine: round(math.sqrt(2 - 2 * cosine), 2),
        "minus the root": lambda cosine: -math.sqrt(2 - 2 * cosine),
        "2 minus the root": lambda cosine: 2 - math.sqrt(max(2 * cosine, 0)),
        "1 over it": lambda cosine: 1 / math.sqrt(2 - 2 * cosine + 1e-12),
    },
    "1.2": {
        "singles filtered first": without_singles,
        "masked where the cosine is 1": without_twins,
        "the identity taken away": lambda x, y, k: both(lists(x, y, x @ x.T - torch.diag((x * x).sum(1))), k),
        "no mask at all": lambda x, y, k: both(lists(x, y, x @ x.T, cut=0), k),
        "hits over places": lambda x, y, k: both(lists(x, y), k, average=summed(lambda row, p: 1 / p)),
        "hits before the place": lambda x, y, k: both(
            lists(x, y), k, average=summed(lambda row, p: float(row[: p - 1].float().mean()) if p > 1 else 0.0)
        ),
        "range(1, R)": lambda x, y, k: both(
            lists(x, y),
            k,
            average=lambda row, r: sum(float(row[:p].float().mean()) * row[p - 1] for p in range(1, r)) / r,
        ),
        "k + 1 because of the query": too_many,
        "singles are right": singles_perfect,
        "R of the first row": one_r,
        "the first number alone": lambda x, y, k: both(lists(x, y), k)[0],
        "zeros on the diagonal, nothing cut off": lambda x, y, k: uncut((x @ x.T).fill_diagonal_(0), y, k),
        "nothing cut off, R less one": lambda x, y, k: uncut(x @ x.T, y, k),
        "order[1:] in a loop": first_dropped,
        "MAP@k": lambda x, y, k: both(lists(x, y), k, average=to(k, lambda r: k)),
        "MAP@k over min(R, k)": lambda x, y, k: both(lists(x, y), k, average=to(k, lambda r: min(r, k))),
        "a count, not a share": lambda x, y, k: both(
            lists(x, y), k, average=summed(lambda row, p: row[:p].sum().item())
        ),
        "MRR": lambda x, y, k: both(lists(x, y), k, average=reciprocal),
        "over the sum of all R": pooled,
        "places from 0": lambda x, y, k: both(
            lists(x, y), k, average=summed(lambda row, p: row[:p].sum().item() / (p + 1))
        ),
    },
    "1.3": {
        "p = 1": city,
        "within a half": lambda x, y: firsts(
            x, y, lambda right, tied: right / tied, near=lambda d, low: d <= low + 0.5
        ),
        "one over the tied": one_over_ties,
        "tied with the match": lambda x, y: firsts(x, y, lambda right, tied: right / tied, nearest=of_match),
        "zeros skipped": lambda x, y: firsts(x, y, lambda right, tied: right / tied or None),
        "no division": lambda x, y: firsts(x, y, lambda right, tied: right),
        "the query among the tied": lambda x, y: firsts(x, y, lambda right, tied: right / (tied + 1)),
        "<= for <": at_most,
        "no infinity on the diagonal": self_found,
        "a random list where there is a tie": by_list,
        "1 / (1 + wrong ones)": lambda x, y: firsts(x, y, lambda right, tied: min(right, 1) / (1 + tied - right)),
        "odds": lambda x, y: firsts(x, y, lambda right, tied: right / max(tied - right, 1)),
        "a sum over the queries": lambda x, y: len(y) * firsts(x, y, lambda right, tied: right / tied),
        "cosines": lambda x, y: firsts(F.normalize(x, dim=1), y, lambda right, tied: right / tied),
    },
}
