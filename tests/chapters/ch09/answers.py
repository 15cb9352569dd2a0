"""What learners write in chapter 09: a solution of each exercise, and the wrong answers that its check must name."""

from collections import Counter, defaultdict

import torch


def ranks(far):
    """For each point the rank of each other, 1 for the nearest, 0 for itself."""
    table = torch.tensor(far, dtype=torch.float64)
    table.fill_diagonal_(-1)
    return table.argsort(1).argsort(1)


def trust(true, seen, k, beyond=None):
    n, beyond = len(true), k if beyond is None else beyond
    there, here = ranks(true), ranks(seen)
    false = (here >= 1) & (here <= k) & (there > k)
    return 1 - 2 * float((there[false] - beyond).sum()) / (n * k * (2 * n - 3 * k - 1))


def trust_counting_itself(true, seen, k):
    n, there, here = len(true), ranks(true) + 1, ranks(seen) + 1
    false = (here <= k) & (there > k)
    return 1 - 2 * float((there[false] - k).sum()) / (n * k * (2 * n - 3 * k - 1))


def trust_counted(true, seen, k):
    n, there, here = len(true), ranks(true), ranks(seen)
    return 1 - 2 * int(((here >= 1) & (here <= k) & (there > k)).sum()) / (n * k * (2 * n - 3 * k - 1))


def kept(true, seen, k, first=1):
    there, here = ranks(true), ranks(seen)
    both = (there >= first) & (here >= first) & (there < first + k) & (here < first + k)
    return float(both.sum()) / (k * len(true))


def kept_in_place(true, seen, k):
    there, here = ranks(true), ranks(seen)
    return float(((there == here) & (there >= 1) & (there <= k)).sum()) / (k * len(true))


def together(similar, group, k, *, first=1, members=None, sign=1):
    n, inside = len(group), torch.tensor(group)
    table = -sign * torch.tensor(similar, dtype=torch.float64)
    table[torch.arange(n), torch.arange(n)] = -torch.inf
    near = table.argsort(1)[:, first : first + k]
    same = inside[near] == inside[:, None]
    return float(same[inside if members is None else members].double().mean())


def together_fully(similar, group, k):
    inside = torch.tensor(group)
    table = -torch.tensor(similar, dtype=torch.float64)
    table.fill_diagonal_(-torch.inf)
    return float(inside[table.argsort(1)[:, 1 : k + 1]][inside].all(1).double().mean())


def purity(served, key=lambda label, center, kind: (label, center), what=lambda label, center, kind: kind):
    groups = defaultdict(Counter)
    for row in served:
        groups[key(*row)][what(*row)] += 1
    return sum(counts.most_common(1)[0][1] for counts in groups.values()) / len(served)


def purity_of_centers(served):
    groups = defaultdict(Counter)
    for label, center, kind in served:
        groups[label, center][kind] += 1
    shares = [counts.most_common(1)[0][1] / counts.total() for counts in groups.values()]
    return sum(shares) / len(shares)


ANSWERS = {
    "9.1": {
        "solution": trust,
        "the other way round": lambda true, seen, k: trust(seen, true, k),
        "itself a neighbor": trust_counting_itself,
        "the whole rank": lambda true, seen, k: trust(true, seen, k, beyond=0),
        "counted": trust_counted,
    },
    "9.2": {
        "solution": kept,
        "the bug itself": lambda true, seen, k: kept(true, seen, k, first=0),
        "itself taken off": lambda true, seen, k: kept(true, seen, k - 1) * (k - 1) / k if k > 1 else 0.0,
        "the same place in the list": kept_in_place,
    },
    "9.3": {
        "solution": together,
        "itself a neighbor": lambda *arguments: together(*arguments, first=0),
        "everybody": lambda similar, group, k: together(similar, group, k, members=torch.ones(len(group)).bool()),
        "the least similar": lambda similar, group, k: together(
            [[2.0 if i == j else -v for j, v in enumerate(row)] for i, row in enumerate(similar)], group, k
        ),
        "all or nothing": together_fully,
    },
    "9.4": {
        "solution": purity,
        "classes mixed": lambda served: purity(served, key=lambda label, center, kind: center),
        "the mean of centers": purity_of_centers,
        "kinds at one center": lambda served: purity(
            served, key=lambda label, center, kind: (label, kind), what=lambda label, center, kind: center
        ),
    },
}
