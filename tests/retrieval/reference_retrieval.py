"""Retrieval measures as literal loops in rational arithmetic, over every order of the ties: slow, and the judge."""

from fractions import Fraction
from itertools import permutations


def squared_distances(points):
    """All pairs, by the definition; exact for integer coordinates."""
    return [[sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for y in points] for x in points]


def rankings(distances, query):
    """Every ranking of the other images by distance, one for each order of the ties, all equally likely."""
    others = [j for j in range(len(distances)) if j != query]
    ties = {}
    for j in others:
        ties.setdefault(distances[query][j], []).append(j)
    rankings = [[]]
    for distance in sorted(ties):
        rankings = [ranking + list(tie) for ranking in rankings for tie in permutations(ties[distance])]
    return rankings


def recall_of_ranking(hits, k):
    return Fraction(any(hits[:k]))


def r_precision_of_ranking(hits):
    r = sum(hits)
    return Fraction(sum(hits[:r]), r)


def map_at_r_of_ranking(hits):
    r = sum(hits)
    return sum((Fraction(sum(hits[:p]), p) for p in range(1, r + 1) if hits[p - 1]), Fraction(0)) / r


def mean_over_queries(distances, labels, measure):
    """Mean over the queries that have a match of the mean over their rankings; ``measure`` takes a list of hits."""
    values = []
    for query, label in enumerate(labels):
        if list(labels).count(label) > 1:
            hits = [[labels[j] == label for j in ranking] for ranking in rankings(distances, query)]
            values.append(sum(map(measure, hits)) / Fraction(len(hits)))
    return float(sum(values) / len(values))
