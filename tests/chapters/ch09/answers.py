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


def trust_by_the_map(true, seen, k):
    n, there, here = len(true), ranks(true), ranks(seen)
    false = (here >= 1) & (here <= k) & (there > k)
    return 1 - 2 * float((here[false] - k).sum()) / (n * k * (2 * n - 3 * k - 1))


def trust_of_all(true, seen, k):
    n, there, here = len(true), ranks(true), ranks(seen)
    near = (here >= 1) & (here <= k)
    return 1 - 2 * float((there[near] - k).sum()) / (n * k * (2 * n - 3 * k - 1))


def kept(true, seen, k, first=1):
    there, here = ranks(true), ranks(seen)
    both = (there >= first) & (here >= first) & (there < first + k) & (here < first + k)
    return float(both.sum()) / (k * len(true))


def kept_in_place(true, seen, k):
    there, here = ranks(true), ranks(seen)
    return float(((there == here) & (there >= 1) & (there <= k)).sum()) / (k * len(true))


def kept_of_either(true, seen, k):
    there, here = ranks(true), ranks(seen)
    near = [(table >= 1) & (table <= k) for table in (there, here)]
    return float(((near[0] & near[1]).sum(1) / (near[0] | near[1]).sum(1)).double().mean())


def together(similar, group, k, *, first=1, members=None, sign=1):
    n, inside = len(group), torch.tensor(group)
    table = -sign * torch.tensor(similar, dtype=torch.float64)
    table[torch.arange(n), torch.arange(n)] = -torch.inf
    near = table.argsort(1)[:, first : first + k]
    same = inside[near] == inside[:, None]
    return float(same[inside if members is None else members].double().mean())


def together_of_everybody(similar, group, k):
    table = -torch.tensor(similar, dtype=torch.float64)
    table.fill_diagonal_(-torch.inf)
    return float(torch.tensor(group)[table.argsort(1)[:, 1 : k + 1]].double().mean())


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


def purity_of_the_first(served):
    first, right = {}, 0
    for label, center, kind in served:
        right += first.setdefault((label, center), kind) == kind
    return right / len(served)


def purity_with_ties(served):
    groups = defaultdict(Counter)
    for label, center, kind in served:
        groups[label, center][kind] += 1
    ties = [[count for count in counts.values() if count == max(counts.values())] for counts in groups.values()]
    return sum(map(sum, ties)) / len(served)


ANSWERS = {
    "9.1": {
        "solution": trust,
        "the other way round": lambda true, seen, k: trust(seen, true, k),
        "itself a neighbor": trust_counting_itself,
        "the whole rank": lambda true, seen, k: trust(true, seen, k, beyond=0),
        "counted": trust_counted,
        "ranks from 0": lambda true, seen, k: trust(true, seen, k, beyond=k + 1),
        "the rank on the map": trust_by_the_map,
        "true ones charged": trust_of_all,
        "not taken from 1": lambda true, seen, k: 1 - trust(true, seen, k),
    },
    "9.2": {
        "solution": kept,
        "the bug itself": lambda true, seen, k: kept(true, seen, k, first=0),
        "itself taken off": lambda true, seen, k: kept(true, seen, k - 1) * (k - 1) / k if k > 1 else 0.0,
        "itself taken off, of k - 1": lambda true, seen, k: kept(true, seen, k - 1),
        "k + 1 with itself": lambda true, seen, k: kept(true, seen, k + 1, first=0),
        "of either": kept_of_either,
        "the same place in the list": kept_in_place,
    },
    "9.3": {
        "solution": together,
        "itself a neighbor": lambda *arguments: together(*arguments, first=0),
        "everybody": together_of_everybody,
        "everybody and their like": lambda similar, group, k: together(
            similar, group, k, members=torch.ones(len(group)).bool()
        ),
        "of the group": lambda similar, group, k: together(similar, group, k) * k / group.count(True),
        "the least similar": lambda similar, group, k: together(
            [[2.0 if i == j else -v for j, v in enumerate(row)] for i, row in enumerate(similar)], group, k
        ),
        "all or nothing": together_fully,
    },
    "9.4": {
        "solution": purity,
        "classes mixed": lambda served: purity(served, key=lambda label, center, kind: center),
        "the mean of centers": purity_of_centers,
        "the first kind": purity_of_the_first,
        "all of a tie": purity_with_ties,
        "centers ignored": lambda served: purity(served, key=lambda label, center, kind: label),
        "kinds at one center": lambda served: purity(
            served, key=lambda label, center, kind: (label, kind), what=lambda label, center, kind: center
        ),
    },
}
