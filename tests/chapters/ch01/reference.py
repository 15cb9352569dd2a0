"""Chapter 01 as literal loops: kinds of triplets, mutual information, and every batch that could be drawn."""

from __future__ import annotations

import itertools
import math

from tests.reference import triplets


def kind_counts(distances, labels, margin):
    """Hard, semi-hard and easy triplets, one after the other."""
    counts = [0, 0, 0]
    for i, j, k in triplets(labels):
        positive, negative = float(distances[i, j]), float(distances[i, k])
        if negative <= positive:
            counts[0] += 1
        elif negative < positive + margin:
            counts[1] += 1
        else:
            counts[2] += 1
    return counts


def entropy(groups):
    return -math.fsum(groups.count(g) / len(groups) * math.log(groups.count(g) / len(groups)) for g in set(groups))


def nmi(groups, classes):
    pairs = list(zip(groups, classes, strict=True))
    information = math.fsum(
        pairs.count((g, c))
        / len(pairs)
        * math.log(len(pairs) * pairs.count((g, c)) / groups.count(g) / classes.count(c))
        for g, c in set(pairs)
    )
    return 2 * information / (entropy(groups) + entropy(classes))


def nmi_floor(groups, classes):
    """Mean over every order in which the clusters could be dealt to the images."""
    orders = [nmi(list(order), classes) for order in itertools.permutations(groups)]
    return math.fsum(orders) / len(orders)


def batches_with_first(images, batch_size):
    """Every batch of ``batch_size`` of the images 0, 1, ... that holds image 0."""
    return [{0, *others} for others in itertools.combinations(range(1, images), batch_size - 1)]


def class_batches_with_first(classes, class_size, classes_per_batch, samples_per_class):
    """Every batch of that many classes with as many images of each that holds image 0; image i is of class i // n."""
    members = [range(c * class_size, (c + 1) * class_size) for c in range(classes)]
    found = []
    for chosen in itertools.combinations(range(1, classes), classes_per_batch - 1):
        groups = [itertools.combinations(members[c], samples_per_class) for c in (0, *chosen)]
        found += [set(itertools.chain(*groups)) for groups in itertools.product(*groups)]
    return [batch for batch in found if 0 in batch]


def mean(values):
    values = list(values)
    return math.fsum(values) / len(values)
