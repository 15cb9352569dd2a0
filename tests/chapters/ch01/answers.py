"""What learners write in chapter 01: a solution of each exercise, and the wrong answers that its check must name.

``INVENTED`` holds wrong answers as students would write them, made up without a look at the misconceptions.
"""

import math

import torch
from torch.nn import functional as F

from tests.chapters.ch01 import measure_answers

# 1.2 two scores from nothing


def ranked(x, y, drop=lambda order, i: [j for j in order if j != i], descending=True):
    order = torch.argsort(x @ x.T, dim=1, descending=descending, stable=True)
    return [[bool(y[j] == y[i]) for j in drop(order[i].tolist(), i)] for i in range(len(y))]


def scores(x, y, k, lists=ranked, recall=None, precision=None, everyone=False, mean=None):
    recall = recall or (lambda h: float(any(h[:k])))
    precision = precision or average_precision
    counted = [everyone or y.tolist().count(int(c)) > 1 for c in y]
    queries = [(h, int(c)) for h, c, counts in zip(lists(x, y), y, counted, strict=True) if counts]
    mean = mean or (lambda values, classes: sum(values) / len(values))
    classes = [c for _, c in queries]
    return mean([recall(h) for h, _ in queries], classes), mean([precision(h) for h, _ in queries], classes)


def average_precision(hits, places=None, only_hits=True, divide_by=None, total=None):
    total = sum(hits) if total is None else total
    found = value = 0
    for p, hit in enumerate(hits[: total if places is None else places], 1):
        found += hit
        if hit or not only_hits:
            value += found / p
    return value / max(divide_by(found) if divide_by else total, 1)


def class_means(values, classes):
    by_class = [[v for v, c in zip(values, classes, strict=True) if c == one] for one in sorted(set(classes))]
    return sum(sum(of) / len(of) for of in by_class) / len(by_class)


def with_itself(x, y):
    return ranked(x, y, drop=lambda order, i: order)


def without_the_first(x, y):
    return ranked(x, y, drop=lambda order, i: order[1:])


def farthest_first(x, y):
    return ranked(x, y, descending=False)


def swapped(x, y, k):
    first, second = scores(x, y, k)
    return second, first


# 1.3 the planted bug


def ties(x, y):
    """For each query, whether each of the images at its smallest distance is right."""
    found = []
    for i, point in enumerate(x):
        apart = [float((point - other).norm()) if j != i else math.inf for j, other in enumerate(x)]
        found.append([bool(y[j] == y[i]) for j, d in enumerate(apart) if d == min(apart)])
    return found


def mean(values):
    values = list(values)
    return sum(values) / max(len(values), 1)


# 1.5 the semi-hard batch loss


def mined(x, y, margin, choose=None, apart=None, pairs=None, term=None, average=None):
    apart = (apart or (lambda x: torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist") ** 2))(x)
    terms = []
    for i in range(len(y)):
        for j in range(len(y)):
            if y[i] == y[j] and (pairs or (lambda i, j: i != j))(i, j):
                far = [apart[i, k] for k in range(len(y)) if y[k] != y[i]]
                terms += [(term or hinged)(apart[i, j], d, margin) for d in (choose or semihard)(apart[i, j], far)]
    return (average or (lambda terms: torch.stack(terms).mean()))(terms)


def hinged(positive, negative, margin):
    return torch.relu(positive - negative + margin)


def semihard(positive, negatives):
    for d in sorted(negatives):
        if d > positive:
            return [d]
    return [sorted(negatives)[-1]]


def semihard_inclusive(positive, negatives):
    return [([d for d in sorted(negatives) if d >= positive] or [max(negatives)])[0]]


def semihard_closest(positive, negatives):
    return [([d for d in sorted(negatives) if d > positive] or [min(negatives)])[0]]


def semihard_or_nothing(positive, negatives):
    return [d for d in sorted(negatives) if d > positive][:1]


def none_costs_nothing(positive, negatives):
    return semihard_or_nothing(positive, negatives) or [positive + 1]


def nearest_to_positive(positive, negatives):
    return [min(negatives, key=lambda d: float((d - positive).detach() ** 2))]


def strictly_inside(margin):
    return lambda positive, negatives: [d for d in sorted(negatives) if positive < d < positive + margin][:1]


def squared(x):
    return ((x[None] - x[:, None]) ** 2).sum(-1)


def far_from_the_positive(x, y, margin):
    d, terms = squared(x), []
    for i in range(len(y)):
        for j in range(len(y)):
            if i != j and y[i] == y[j]:
                far = [d[i, k] for k in range(len(y)) if y[k] != y[i] and d[j, k] > d[i, j]]
                last = max(d[i, k] for k in range(len(y)) if y[k] != y[i])
                terms.append(hinged(d[i, j], min(far) if far else last, margin))
    return sum(terms) / len(terms)


def place_in_a_shorter_list(x, y, margin):
    d, terms = squared(x), []
    for i in range(len(y)):
        negatives = d[i][y != y[i]]
        for j in range(len(y)):
            if i != j and y[i] == y[j]:
                far = negatives[negatives > d[i, j]]
                k = far.argmin() if len(far) else negatives.argmax()
                terms.append(hinged(d[i, j], d[i, k], margin))
    return torch.stack(terms).mean()


def one_positive(x, y, margin):
    d, same, terms = squared(x), y[:, None] == y, []
    for i in range(len(y)):
        if same[i].sum() > 1:
            positive = d[i][same[i]].sum() / (same[i].sum() - 1)
            terms.append(hinged(positive, semihard(positive, d[i][~same[i]])[0], margin))
    return torch.stack(terms).mean()


def anchor_by_anchor(x, y, margin):
    d, same, means = squared(x), y[:, None] == y, []
    for i in range(len(y)):
        positives = [d[i, j] for j in range(len(y)) if same[i, j] and j != i]
        terms = [hinged(p, semihard(p, d[i][~same[i]])[0], margin) for p in positives]
        means += [sum(terms) / len(terms)] if terms else []
    return sum(means) / len(means)


def in_one_table(x, y, margin, masked=False, per_anchor=None, end=None):
    """The solution without loops, and what goes wrong in its masks and means."""
    apart, same = squared(x), y[:, None] == y
    beyond = ~same[:, None] & (apart[:, None] > apart[:, :, None])
    if masked:
        chosen = (apart[:, None] * beyond).amin(2)
    else:
        near = torch.where(beyond, apart[:, None], torch.inf).amin(2)
        chosen = torch.where(near < 9, near, apart.masked_fill(same, -1).amax(1, keepdim=True))
    lost = F.relu(apart - chosen + margin)
    if per_anchor:
        return (
            sum(per_anchor(lost[i][row]) for i, row in enumerate(others(same)) if row.any()) / others(same).any(1).sum()
        )
    return end(apart - chosen + margin, others(same)) if end else lost[others(same)].mean()


def farthest_of_all(x, y, margin):
    d, terms = squared(x), []
    for i in range(len(y)):
        for j in range(len(y)):
            if i != j and y[i] == y[j]:
                far = [d[i, k] for k in range(len(y)) if y[k] != y[i] and d[i, k] > d[i, j]]
                terms.append(hinged(d[i, j], min(far) if far else max(d[i]), margin))
    return torch.stack(terms).mean()


def all_but_two(x, y, margin):
    d, terms = squared(x), []
    for i in range(len(y)):
        for j in range(len(y)):
            if i != j and y[i] == y[j]:
                rest = [d[i, k] for k in range(len(y)) if k not in (i, j)]
                terms.append(hinged(d[i, j], beyond_or(d[i, j], rest, max), margin))
    return torch.stack(terms).mean()


# 1.6 the planted bug


def every_positive(x, y, margin):
    apart, same = squared(x), y[:, None] == y
    lost = apart - apart.masked_fill(same, 5).amin(1, keepdim=True) + margin
    return F.relu(lost[others(same)]).mean()


def hardest(x, y, margin, closest=None, farthest=None, end=None):
    apart, same = squared(x), y[:, None] == y
    far = (farthest or (lambda apart, same: (apart * same).max(1).values))(apart, same)
    near = (closest or (lambda apart, same: (apart + 9 * same).min(1).values))(apart, same)
    return (end or (lambda far, near: torch.relu(far - near + margin).mean()))(far, near)


def beyond_the_farthest(x, y, margin, most=torch.inf):
    apart, same = squared(x), y[:, None] == y
    far = (apart * same).amax(1)
    return F.relu(far - apart.masked_fill(same | (apart <= far[:, None]), most).amin(1) + margin).mean()


def others(same):
    return same & ~torch.eye(len(same), dtype=torch.bool)


# 1.7 a neighbor in the batch


def miss(n, b, k):
    chance = 1.0
    for t in range(k):
        chance *= max(n - b - t, 0) / (n - 1 - t)
    return chance


def miss_with_anchor(n, b, k):
    chance = 1.0
    for t in range(b):
        chance *= max(n - k - t, 0) / (n - t)
    return chance


def every(n, b, k):
    chance = 1.0
    for t in range(k):
        chance *= max(b - 1 - t, 0) / (n - 1 - t)
    return chance


ANSWERS = {
    "1.1": {
        "solution": lambda cosine: (2 - 2 * cosine) ** 0.5,
        "the squared distance": lambda cosine: 2 * (1 - cosine),
        "cosine distance": lambda cosine: -cosine + 1,
        "the root of one minus the cosine": lambda cosine: (1 - cosine) ** 0.5,
        "the 2 before the root": lambda cosine: 2 * (1 - cosine) ** 0.5,
        "the angle": lambda cosine: math.atan2(math.sqrt(1 - cosine**2), cosine),
        "the angle in degrees": lambda cosine: math.acos(cosine) * 180 / math.pi,
        "the sine": lambda cosine: math.sin(math.acos(cosine)),
        "the sign": lambda cosine: math.sqrt(2) * math.sqrt(1 + cosine),
        "the square of the square": lambda cosine: 4 * (1 - cosine) ** 2,
    },
    "1.2": {
        "solution": scores,
        "the query finds itself": lambda x, y, k: scores(x, y, k, with_itself),
        "the first of the list dropped": lambda x, y, k: scores(x, y, k, without_the_first),
        "the least similar first": lambda x, y, k: scores(x, y, k, farthest_first),
        "queries without a match counted": lambda x, y, k: scores(x, y, k, everyone=True),
        "recall as a share of k": lambda x, y, k: scores(x, y, k, recall=lambda h: sum(h[:k]) / k),
        "recall as a share of all hits": lambda x, y, k: scores(x, y, k, recall=lambda h: sum(h[:k]) / sum(h)),
        "recall at place k alone": lambda x, y, k: scores(x, y, k, recall=lambda h: h[k - 1]),
        "average precision of the whole list": lambda x, y, k: scores(
            x, y, k, precision=lambda h: average_precision(h, places=len(h))
        ),
        "average precision of the first k": lambda x, y, k: scores(
            x, y, k, precision=lambda h: average_precision(h, places=k)
        ),
        "R-precision": lambda x, y, k: scores(x, y, k, precision=lambda h: sum(h[: sum(h)]) / sum(h)),
        "misses counted": lambda x, y, k: scores(x, y, k, precision=lambda h: average_precision(h, only_hits=False)),
        "divided by the hits found": lambda x, y, k: scores(
            x, y, k, precision=lambda h: average_precision(h, divide_by=lambda found: found)
        ),
        "the query counted in R": lambda x, y, k: scores(
            x, y, k, precision=lambda h: average_precision(h, total=sum(h) + 1)
        ),
        "the two swapped": swapped,
        "sums": lambda x, y, k: scores(x, y, k, mean=lambda values, classes: sum(values)),
        "the mean over classes": lambda x, y, k: scores(x, y, k, mean=class_means),
    },
    "1.3": {
        "solution": lambda x, y: mean(mean(tied) for tied in ties(x, y)),
        "the bug itself": lambda x, y: mean(any(tied) for tied in ties(x, y)),
        "always a miss": lambda x, y: mean(all(tied) for tied in ties(x, y)),
        "the first of the tied": lambda x, y: mean(tied[0] for tied in ties(x, y)),
        "the last of the tied": lambda x, y: mean(tied[-1] for tied in ties(x, y)),
        "a tie counts one half": lambda x, y: mean((any(tied) + all(tied)) / 2 for tied in ties(x, y)),
        "ties left out": lambda x, y: mean(tied[0] for tied in ties(x, y) if len(tied) == 1),
        "the query among the tied": lambda x, y: mean(mean([True, *tied]) for tied in ties(x, y)),
        "one mean for all": lambda x, y: mean(one for tied in ties(x, y) for one in tied),
        "the majority": lambda x, y: mean(mean(tied) > 0.5 for tied in ties(x, y)),
    },
    "1.5": {
        "solution": mined,
        "the hardest": lambda *a: mined(*a, choose=lambda p, n: [min(n)]),
        "the farthest": lambda *a: mined(*a, choose=lambda p, n: [max(n)]),
        "the nearest to the positive": lambda *a: mined(*a, choose=nearest_to_positive),
        "as far as the positive": lambda *a: mined(*a, choose=semihard_inclusive, apart=squared),
        "the closest where none is farther": lambda *a: mined(*a, choose=semihard_closest),
        "left out where none is farther": lambda *a: mined(*a, choose=semihard_or_nothing),
        "nothing where none is farther": lambda *a: mined(*a, choose=none_costs_nothing),
        "only within the margin": lambda x, y, margin: mined(
            x,
            y,
            margin,
            choose=strictly_inside(margin),
            average=lambda t: torch.stack(t).mean() if t else 0 * x.sum(),
        ),
        "all triplets": lambda *a: mined(*a, choose=lambda p, n: n),
        "a mask that multiplies": lambda *a: in_one_table(*a, masked=True),
        "the farthest of any class": farthest_of_all,
        "negatives of the own class": all_but_two,
        "the hinge of the mean": lambda *a: in_one_table(*a, end=lambda gaps, pairs: F.relu(gaps[pairs].mean())),
        "the costliest pair of an anchor": lambda *a: in_one_table(*a, per_anchor=torch.amax),
        "the mean over the whole table": lambda *a: in_one_table(
            *a, end=lambda gaps, pairs: (F.relu(gaps) * pairs).mean()
        ),
        "the mean over active pairs": lambda *a: mined(
            *a, average=lambda t: sum(t) / max(sum(bool(v > 0) for v in t), 1)
        ),
        "the mean over images": lambda x, y, margin: mined(x, y, margin, average=lambda t: sum(t) / len(x)),
        "the sum": lambda *a: mined(*a, average=sum),
        "pairs without order": lambda *a: mined(*a, pairs=lambda i, j: i < j),
        "the image with itself": lambda *a: mined(*a, pairs=lambda i, j: True, apart=squared),
        "no hinge": lambda *a: mined(*a, term=lambda p, n, margin: p - n + margin),
        "a margin's sign": lambda *a: mined(*a, term=lambda p, n, margin: torch.relu(p - n - margin)),
        "distances": lambda *a: mined(*a, apart=lambda x: (squared(x) + 1e-12) ** 0.5),
        "cosines": lambda *a: mined(*a, apart=lambda x: -x @ x.T),
        "positive and negative swapped": lambda *a: mined(*a, term=lambda p, n, margin: torch.relu(n - p + margin)),
        "measured from the positive": far_from_the_positive,
        "a place in a shorter list": place_in_a_shorter_list,
        "one positive an anchor": one_positive,
        "the mean of the anchors' means": anchor_by_anchor,
        "a soft hinge": lambda *a: mined(*a, term=lambda p, n, margin: (1 + (p - n + margin).exp()).log()),
        "a fixed margin": lambda x, y, margin: mined(x, y, 1 / 5),
        "twice the margin": lambda *a: mined(*a, term=lambda p, n, margin: hinged(p, n, margin + margin)),
        "no gradient through the negative": lambda *a: mined(*a, term=lambda p, n, m: hinged(p, n.detach(), m)),
        "no gradient through the positive": lambda *a: mined(*a, term=lambda p, n, m: hinged(p.detach(), n, m)),
        "not a number": lambda *a: mined(*a, apart=lambda x: squared(x).sqrt() ** 2),
    },
    "1.6": {
        "solution": hardest,
        "the bug itself": lambda *a: hardest(*a, closest=lambda apart, same: (apart * ~same).min(1).values),
        "the smallest that is not 0": lambda *a: hardest(
            *a, closest=lambda apart, same: torch.stack([row[row > 0].min() for row in apart])
        ),
        "the diagonal alone hidden": lambda *a: hardest(
            *a, closest=lambda apart, same: (apart + 9 * torch.eye(len(apart))).min(1).values
        ),
        "a zero taken for hidden": lambda *a: hardest(
            *a, closest=lambda apart, same: torch.where(apart * ~same > 0, apart * ~same, torch.inf).amin(1)
        ),
        "the farthest of any class": lambda *a: hardest(*a, farthest=lambda apart, same: apart.amax(1)),
        "both of the batch": lambda *a: hardest(
            *a, farthest=lambda apart, same: apart[same].max(), closest=lambda apart, same: apart[~same].min()
        ),
        "beyond the farthest positive": beyond_the_farthest,
        "beyond the farthest positive, or at 4": lambda *a: beyond_the_farthest(*a, most=4),
        "the margin outside": lambda x, y, margin: hardest(
            x, y, margin, end=lambda far, near: F.relu(far - near).mean() + margin
        ),
        "a margin's sign": lambda x, y, margin: hardest(x, y, -margin),
        "twice the margin": lambda x, y, margin: hardest(x, y, 2 * margin),
        "hidden behind the margin": lambda x, y, margin: hardest(
            x, y, margin, closest=lambda apart, same: (apart * ~same + margin * same).amin(1)
        ),
        "the farthest negative": lambda *a: hardest(*a, closest=lambda apart, same: (apart * ~same).max(1).values),
        "the mean negative": lambda *a: hardest(
            *a,
            closest=lambda apart, same: torch.stack([row[~own].mean() for row, own in zip(apart, same, strict=True)]),
        ),
        "the closest of the batch": lambda *a: hardest(*a, closest=lambda apart, same: apart[~same].min()),
        "the closest positive": lambda *a: hardest(
            *a, farthest=lambda apart, same: (apart + 9 * ~others(same)).min(1).values
        ),
        "no hinge": lambda x, y, margin: hardest(x, y, margin, end=lambda far, near: (far - near + margin).mean()),
        "the sum": lambda x, y, margin: hardest(x, y, margin, end=lambda far, near: F.relu(far - near + margin).sum()),
        "distances": lambda x, y, margin: hardest(
            x, y, margin, end=lambda far, near: F.relu((far + 1e-12) ** 0.5 - (near + 1e-12) ** 0.5 + margin).mean()
        ),
        "swapped": lambda x, y, margin: hardest(x, y, margin, end=lambda far, near: F.relu(near - far + margin).mean()),
        "the margin forgotten": lambda *a: hardest(*a, end=lambda far, near: F.relu(far - near).mean()),
        "no gradient through the negative": lambda *a: hardest(
            *a, closest=lambda apart, same: (apart.detach() + 9 * same).min(1).values
        ),
        "the mask's sign": lambda *a: hardest(*a, closest=lambda apart, same: (apart + 9 * ~others(same)).amin(1)),
        "hidden behind a 1": lambda *a: hardest(*a, closest=lambda apart, same: (apart * ~same + 1.0 * same).amin(1)),
        "hidden behind a 2": lambda *a: hardest(*a, closest=lambda apart, same: (apart * ~same + 2.0 * same).amin(1)),
        "not a number": lambda *a: hardest(*a, closest=lambda apart, same: (apart + same * torch.inf).amin(1)),
        "the farthest pair of the batch": lambda *a: hardest(*a, farthest=lambda apart, same: (apart * same).max()),
        "the mean positive": lambda *a: hardest(
            *a, farthest=lambda apart, same: (apart * same).sum(1) / others(same).sum(1)
        ),
        "all positives": every_positive,
        "the mean over active anchors": lambda x, y, margin: hardest(
            x, y, margin, end=lambda far, near: torch.stack([v for v in far - near + margin if v > 0]).mean()
        ),
        "the hinge of the mean": lambda x, y, margin: hardest(
            x, y, margin, end=lambda far, near: F.relu((far - near + margin).mean())
        ),
        "a soft hinge": lambda x, y, margin: hardest(
            x, y, margin, end=lambda far, near: F.softplus(far - near + margin).mean()
        ),
        "a fixed margin": lambda x, y, margin: hardest(x, y, 0.2),
        "the semi-hard rule": mined,
    },
    "1.7": {
        "solution": lambda n, b, k: 1 - miss(n, b, k),
        "with replacement": lambda n, b, k: 1 - ((n - 1 - k) / (n - 1)) ** (b - 1),
        "independent neighbors": lambda n, b, k: 1 - ((n - b) / (n - 1)) ** k,
        "a share of the batch, independent": lambda n, b, k: 1 - ((n - b) / n) ** k,
        "the expected number": lambda n, b, k: (b - 1) * k / (n - 1),
        "the share": lambda n, b, k: (b - 1) / (n - 1),
        "the share of the set": lambda n, b, k: b / n,
        "the anchor drawn too": lambda n, b, k: 1 - miss_with_anchor(n, b, k),
        "B drawn from the others": lambda n, b, k: 1 - miss(n, b + 1, k),
        "all of them": every,
        "exactly one": lambda n, b, k: (
            k * (b - 1) * math.prod(n - b - t for t in range(k - 1)) / math.prod(n - 1 - t for t in range(k))
        ),
        "none of them": miss,
        "the expected number, at most 1": lambda n, b, k: min((b - 1) * k / (n - 1), 1),
        "one factor too many": lambda n, b, k: 1 - miss(n, b, k + 1),
        "the first factor left out": lambda n, b, k: 1 - miss(n - 1, b, k - 1) if k > 1 else 0,
        "the last factor left out": lambda n, b, k: 1 - miss(n, b, k - 1),
        "the 1 of the batch alone": lambda n, b, k: 1 - math.prod((n - k - t) / (n - t) for t in range(b - 1)),
        "with replacement, from all": lambda n, b, k: 1 - ((n - k) / n) ** b,
        "with replacement, B times": lambda n, b, k: 1 - ((n - 1 - k) / (n - 1)) ** b,
        "all of them, independent": lambda n, b, k: math.prod([(b - 1) / (n - 1)] * k),
        "one miss": lambda n, b, k: (n - b) / (n - 1),
        "only above the line": lambda n, b, k: 1 - math.prod(n - b - t for t in range(k)) / (n - 1) ** k,
        "only below the line": lambda n, b, k: 1 - (n - b) ** k / math.prod(n - 1 - t for t in range(k)),
        "below the line with the anchor": lambda n, b, k: 1 - miss(n, b, k) * b / n,
        "neighbors and places exchanged": lambda n, b, k: 1 - miss(n, k, b),
    },
    "1.9": {
        "solution": lambda share, k: 1 - math.prod([1 - share] * k),
        "the exponential": lambda share, k: -math.expm1(-share * k),
        "the sum": lambda share, k: sum([share] * k),
        "the sum, at most 1": lambda share, k: min(sum([share] * k), 1),
        "one neighbor": lambda share, k: share,
        "all of them": lambda share, k: math.prod([share] * k),
        "none of them": lambda share, k: math.exp(k * math.log(1 - share)),
        "not all of them": lambda share, k: 1 - math.prod([share] * k),
        "exactly one": lambda share, k: k * share * (1 - share) ** k / (1 - share),
        "certainty": lambda share, k: 1,
        "nothing": lambda share, k: 0,
        "one factor too many": lambda share, k: sum(share * (1 - share) ** t for t in range(k + 1)),
        "one factor too few": lambda share, k: sum(share * (1 - share) ** t for t in range(k - 1)),
        "k times the miss": lambda share, k: 1 - sum(1 - share for _ in range(k)),
        "the share divided by k": lambda share, k: 1 - math.prod([1 - share / k] * k),
        "the k-th root": lambda share, k: 1 - math.exp(math.log(1 - share) / k),
        "one miss": lambda share, k: 1 - share,
        "at the last one": lambda share, k: math.prod([share] + [1 - share] * (k - 1)),
    },
}


def in_tensors(x, y, k, drop=1, match=None, recall="any", r=None, order=None):
    """As somebody writes it who knows torch: whole matrices, no loop but the last."""
    order = (x @ x.T).argsort(dim=1, descending=True) if order is None else order(x)
    hit = (y[order[:, drop:]] == y[:, None]).float()
    r = hit.sum(1) if r is None else r(hit)
    precision = hit.cumsum(1) / torch.arange(1, hit.shape[1] + 1)
    inside = torch.arange(1, hit.shape[1] + 1)[None] <= r[:, None]
    first = hit[:, :k].amax(1) if recall == "any" else hit[:, :k].mean(1)
    return float(first.mean()), float(((precision * hit * inside).sum(1) / r.clamp(min=1)).mean())


def masked(x):
    return (x @ x.T).fill_diagonal_(torch.inf).argsort(dim=1, descending=True, stable=True)


def tied(x, y, rule):
    total = 0.0
    for i in range(len(x)):
        apart = (x - x[i]).abs().sum(1) if rule == "city blocks" else ((x - x[i]) ** 2).sum(1)
        apart[i] = torch.inf if rule != "itself" else 0
        nearest = (apart == apart.min()).nonzero().flatten()
        right = (y[nearest] == y[i]).float()
        total += {
            "any": right.max(),
            "all": right.min(),
            "first": right[0],
            "last": right[-1],
            "round": right.mean().round(),
            "itself": right.mean(),
            "half": right.max() if len(right) == 1 or right.min() == right.max() else 0.5,
            "ceil": right.mean().ceil(),
        }[rule]
    return total / len(x)


def loops(x, y, margin, pick, square=True, divide=None, pairs=None, start=0.0):
    total, count = x.sum() * start, 0
    for a in range(len(x)):
        for p in range(len(x)):
            if a == p or y[a] != y[p] or (pairs == "once" and p < a):
                continue
            d = [(x[a] - x[n]).square().sum() for n in range(len(x)) if y[n] != y[a]]
            positive = (x[a] - x[p]).square().sum()
            if not square:
                d, positive = [(v + 1e-12).sqrt() for v in d], (positive + 1e-12).sqrt()
            found = pick(positive, d)
            if found is not None:
                total, count = total + torch.clamp(positive - found + margin, min=0), count + 1
    return total / (len(x) if divide == "images" else 1 if divide == "one" else max(count, 1))


def beyond_or(positive, negatives, otherwise):
    far = [d for d in negatives if d > positive]
    return min(far) if far else otherwise(negatives)


def rows_of(x, y):
    apart = ((x[:, None] - x[None]) ** 2).sum(-1)
    return apart, y.unsqueeze(0) == y.unsqueeze(1)


def hard_batch(x, y, margin, near, far=None):
    apart, same = rows_of(x, y)
    far = apart.masked_fill(~same, -1).max(1)[0] if far is None else far(apart, same)
    return F.relu(far - near(apart, same) + margin).mean()


INVENTED = {
    "1.1": {
        "no root": lambda cosine: 2 - 2 * cosine,
        "1 - cos": lambda cosine: 1 - cosine,
        "root of 1 - cos": lambda cosine: math.sqrt(1 - cosine),
        "2 (1 - cos), halved": lambda cosine: (2 - 2 * cosine) / 2,
        "arc": lambda cosine: math.acos(cosine),
        "arc in degrees": lambda cosine: math.degrees(math.acos(cosine)),
        "plus": lambda cosine: math.sqrt(2 + 2 * cosine),
        "twice the root": lambda cosine: 2 * math.sqrt(1 - cosine),
        "Pythagoras": lambda cosine: math.sqrt(1 - cosine**2),
        "root of cosine": lambda cosine: abs(cosine) ** 0.5,
    },
    "1.2": {
        "slice from 0": lambda x, y, k: in_tensors(x[y < 2], y[y < 2], k, drop=0),
        "argsort()[:, 1:]": lambda x, y, k: scores(x, y, k, lambda x, y: ranked(x, y, lambda o, i: o[1:])),
        "argsort ascending": lambda x, y, k: scores(x, y, k, lambda x, y: ranked(x, y, descending=False)),
        "all N queries": lambda x, y, k: in_tensors(x, y, k, order=masked),
        "mean of the k": lambda x, y, k: scores(x, y, k, recall=lambda h: sum(h[:k]) / len(h[:k])),
        "k instead of R": lambda x, y, k: scores(x, y, k, precision=lambda h: average_precision(h, k)),
        "up to the end": lambda x, y, k: scores(x, y, k, precision=lambda h: average_precision(h, len(h))),
        "share of R": lambda x, y, k: scores(x, y, k, precision=lambda h: sum(h[: sum(h)]) / sum(h)),
        "MAP@R first": lambda x, y, k: scores(x, y, k)[::-1],
        "found of all": lambda x, y, k: scores(x, y, k, recall=lambda h: sum(h[:k]) / sum(h)),
        "normalized by what was found": lambda x, y, k: scores(
            x, y, k, precision=lambda h: average_precision(h, divide_by=lambda n: n)
        ),
    },
    "1.3": {
        "less or equal": lambda x, y: tied(x, y, "any"),
        "strictly nearer": lambda x, y: tied(x, y, "all"),
        "argmin": lambda x, y: tied(x, y, "first"),
        "argmin of the flipped": lambda x, y: tied(x, y, "last"),
        "rounded": lambda x, y: tied(x, y, "round"),
        "the query kept": lambda x, y: tied(x, y, "itself"),
        "fifty-fifty": lambda x, y: tied(x, y, "half"),
        "rounded up": lambda x, y: tied(x, y, "ceil"),
        "only clear ones": lambda x, y: mean(t[0] for t in ties(x, y) if len(t) < 2),
        "zero": lambda x, y: 0.0,
    },
    "1.5": {
        "min of all": lambda x, y, margin: loops(x, y, margin, lambda p, d: min(d)),
        "max of all": lambda x, y, margin: loops(x, y, margin, lambda p, d: max(d)),
        "min as fallback": lambda x, y, margin: loops(x, y, margin, lambda p, d: beyond_or(p, d, min)),
        "skipped": lambda x, y, margin: loops(x, y, margin, lambda p, d: beyond_or(p, d, lambda d: None)),
        "norms": lambda x, y, margin: loops(x, y, margin, lambda p, d: beyond_or(p, d, max), square=False),
        "by images": lambda x, y, margin: loops(x, y, margin, lambda p, d: beyond_or(p, d, max), divide="images"),
        "not divided": lambda x, y, margin: loops(x, y, margin, lambda p, d: beyond_or(p, d, max), divide="one"),
        "i < j": lambda x, y, margin: loops(x, y, margin, lambda p, d: beyond_or(p, d, max), pairs="once"),
        "inside or skipped": lambda x, y, margin: loops(
            x, y, margin, lambda p, d: min([v for v in d if p < v < p + margin], default=None), start=0
        ),
        "mean of the farther ones": lambda x, y, margin: loops(
            x, y, margin, lambda p, d: beyond_or(p, [torch.stack(d).mean()], max)
        ),
        "far from j": far_from_the_positive,
        "softplus": lambda x, y, margin: mined(x, y, margin, term=lambda p, n, m: F.softplus(p - n + m)),
        "0.2": lambda x, y, margin: mined(x, y, 0.2),
        "alpha is two delta": lambda x, y, margin: mined(x, y, 2 * margin),
        "d.mean() of the positives": one_positive,
        "argmin of d[neg]": place_in_a_shorter_list,
        "mean of means": anchor_by_anchor,
        "1 - x @ x.T": lambda x, y, margin: mined(x, y, margin, apart=lambda x: 1 - x @ x.T),
        "torch.tensor(value)": lambda x, y, margin: torch.tensor(mined(x, y, margin).item()),
        "amin of the masked": lambda x, y, margin: in_one_table(x, y, margin, masked=True),
        "max(d[i])": farthest_of_all,
        "k not in (i, j)": all_but_two,
        "mean, then clamp": lambda x, y, margin: in_one_table(x, y, margin, end=lambda g, p: g[p].mean().clamp(min=0)),
        "worst pair of each row": lambda x, y, margin: in_one_table(x, y, margin, per_anchor=torch.max),
        "masked_fill(~pairs, 0).mean()": lambda x, y, margin: in_one_table(
            x, y, margin, end=lambda g, p: F.relu(g).masked_fill(~p, 0).mean()
        ),
        "d > positive + margin": lambda x, y, margin: mined(x, y, margin, choose=lambda p, n: semihard(p + margin, n)),
    },
    "1.6": {
        "still times the mask": lambda x, y, margin: hard_batch(x, y, margin, lambda d, s: (d * (~s)).amin(1)),
        "max for min": lambda x, y, margin: hard_batch(x, y, margin, lambda d, s: (d * (~s)).amax(1)),
        "eye added": lambda x, y, margin: hard_batch(x, y, margin, lambda d, s: (d + 100 * torch.eye(len(d))).amin(1)),
        "mean": lambda x, y, margin: hard_batch(x, y, margin, lambda d, s: (d * ~s).sum(1) / (~s).sum(1)),
        "global": lambda x, y, margin: hard_batch(x, y, margin, lambda d, s: d.masked_fill(s, 9).min()),
        "mask turned": lambda x, y, margin: hard_batch(
            x, y, margin, lambda d, s: d.masked_fill(~s, 9).fill_diagonal_(9).amin(1)
        ),
        "zeros for positives, again": lambda x, y, margin: hard_batch(
            x, y, margin, lambda d, s: d.where(~s, 0).amin(1)
        ),
        "both mended": lambda x, y, margin: hard_batch(
            x, y, margin, lambda d, s: d.masked_fill(s, 9).amin(1), lambda d, s: (d + 9 * ~others(s)).amin(1)
        ),
        "detached": lambda x, y, margin: hard_batch(x, y, margin, lambda d, s: d.masked_fill(s, 9).amin(1).detach()),
        "nothing subtracted": lambda x, y, margin: hard_batch(x, y, margin, lambda d, s: torch.zeros(len(d))),
        "max over all": lambda x, y, margin: hard_batch(
            x, y, margin, lambda d, s: d.masked_fill(s, 9).amin(1), lambda d, s: d[s].max()
        ),
        "+ 1 for the own class": lambda x, y, margin: hard_batch(x, y, margin, lambda d, s: (d * ~s + s * 1.0).amin(1)),
        "+ 2 for the own class": lambda x, y, margin: hard_batch(x, y, margin, lambda d, s: (d * ~s + s * 2.0).amin(1)),
        "inf * mask": lambda x, y, margin: hard_batch(x, y, margin, lambda d, s: (d * ~s + s * torch.inf).amin(1)),
        "v[v > 0].mean()": lambda x, y, margin: hardest(
            x, y, margin, end=lambda f, n: (f - n + margin)[f - n + margin > 0].mean()
        ),
        "clamp last": lambda x, y, margin: hardest(x, y, margin, end=lambda f, n: (f - n + margin).mean().clamp(min=0)),
        "softplus": lambda x, y, margin: hardest(x, y, margin, end=lambda f, n: F.softplus(f - n + margin).mean()),
        "mean of the positives": lambda x, y, margin: hard_batch(
            x, y, margin, lambda d, s: d.masked_fill(s, 9).amin(1), lambda d, s: (d * s).sum(1) / (s.sum(1) - 1)
        ),
        "the default margin": lambda x, y, margin: hardest(x, y, 0.2),
        "1.5 again": lambda x, y, margin: loops(x, y, margin, lambda p, d: beyond_or(p, d, max)),
        "every positive": every_positive,
        "own class searched": lambda x, y, margin: hard_batch(x, y, margin, lambda d, s: d.where(s, torch.inf).amin(1)),
        "where > 0": lambda x, y, margin: hard_batch(
            x, y, margin, lambda d, s: torch.where(d * ~s > 0, d * ~s, torch.inf).amin(1)
        ),
        "semi-hard, at most 4": lambda x, y, margin: beyond_the_farthest(x, y, margin, most=4),
        "amax without a mask": lambda x, y, margin: hard_batch(
            x, y, margin, lambda d, s: d.masked_fill(s, 9).amin(1), lambda d, s: d.amax(1)
        ),
        "global, both": lambda x, y, margin: hard_batch(
            x, y, margin, lambda d, s: d[~s].min(), lambda d, s: (d * s).amax()
        ),
        "plus margin, last": lambda x, y, margin: (
            hard_batch(x, y, 0, lambda d, s: d.masked_fill(s, 9).amin(1)) + margin
        ),
        "minus margin": lambda x, y, margin: hard_batch(x, y, -margin, lambda d, s: d.masked_fill(s, 9).amin(1)),
        "filled with margin": lambda x, y, margin: hard_batch(
            x, y, margin, lambda d, s: d.masked_fill(s, margin).amin(1)
        ),
    },
    "1.7": {
        "share to the k": lambda images, batch_size, k: 1 - (1 - batch_size / images) ** k,
        "others, to the k": lambda images, batch_size, k: 1 - (1 - (batch_size - 1) / (images - 1)) ** k,
        "k times": lambda images, batch_size, k: k * (batch_size - 1) / (images - 1),
        "once": lambda images, batch_size, k: (batch_size - 1) / (images - 1),
        "B / N": lambda images, batch_size, k: batch_size / images,
        "comb without the ones": lambda images, batch_size, k: (
            1 - math.comb(images - k, batch_size) / math.comb(images, batch_size)
        ),
        "B others": lambda images, batch_size, k: (
            1 - math.comb(images - k - 1, batch_size) / math.comb(images - 1, batch_size)
        ),
        "the miss": lambda images, batch_size, k: (
            math.comb(images - k - 1, batch_size - 1) / math.comb(images - 1, batch_size - 1)
        ),
        "drawn again": lambda images, batch_size, k: 1 - ((images - 1 - k) / (images - 1)) ** (batch_size - 1),
        "from N, B times": lambda images, batch_size, k: 1 - ((images - k) / images) ** batch_size,
        "1 - comb(N - k, B - 1) / comb(N, B - 1)": lambda images, batch_size, k: (
            1 - math.comb(images - k, batch_size - 1) / math.comb(images, batch_size - 1)
        ),
        "1 - comb(N - k, B - 1) / comb(N - 1, B - 1)": lambda images, batch_size, k: (
            1 - math.comb(images - k, batch_size - 1) / math.comb(images - 1, batch_size - 1)
        ),
        "(1 - k / (N - 1)) ** B": lambda images, batch_size, k: 1 - (1 - k / (images - 1)) ** batch_size,
        "share ** k": lambda images, batch_size, k: ((batch_size - 1) / (images - 1)) ** k,
        "1 - share": lambda images, batch_size, k: 1 - (batch_size - 1) / (images - 1),
        "min with 1": lambda images, batch_size, k: min(1.0, k * (batch_size - 1) / (images - 1)),
        "range(k + 1)": lambda images, batch_size, k: 1 - miss(images, batch_size, k + 1),
        "range(1, k)": lambda images, batch_size, k: (
            1 - math.prod((images - batch_size - t) / (images - 1 - t) for t in range(1, k))
        ),
        "N - 1 each time": lambda images, batch_size, k: (
            1 - math.prod((images - batch_size - t) / (images - 1) for t in range(k))
        ),
        "N - B each time": lambda images, batch_size, k: (
            1 - math.prod((images - batch_size) / (images - 1 - t) for t in range(k))
        ),
        "of all batches": lambda images, batch_size, k: (
            1 - math.comb(images - 1 - k, batch_size - 1) / math.comb(images, batch_size)
        ),
        "k and B exchanged": lambda images, batch_size, k: (
            1 - math.comb(images - 1 - batch_size, k - 1) / math.comb(images - 1, k - 1)
        ),
        "whole numbers": lambda images, batch_size, k: (
            1 - math.comb(images - 1 - k, batch_size - 1) // math.comb(images - 1, batch_size - 1)
        ),
        "in percent": lambda images, batch_size, k: 100 * (1 - miss(images, batch_size, k)),
        "two decimals": lambda images, batch_size, k: round(1 - miss(images, batch_size, k), 2),
    },
    "1.9": {
        "e": lambda share, k: 1 - math.exp(-share * k),
        "k times": lambda share, k: share * k,
        "cut off": lambda share, k: min(1, share * k),
        "alone": lambda share, k: share,
        "power": lambda share, k: share**k,
        "miss": lambda share, k: (1 - share) ** k,
        "one minus power": lambda share, k: 1 - share**k,
        "one": lambda share, k: 1.0,
        "zero": lambda share, k: 0.0,
        "k-th root": lambda share, k: 1 - (1 - share) ** (1 / k),
        "k + 1": lambda share, k: 1 - (1 - share) ** (k + 1),
        "k - 1": lambda share, k: 1 - (1 - share) ** (k - 1),
        "sum of misses": lambda share, k: 1 - k * (1 - share),
        "a k-th of the share": lambda share, k: 1 - (1 - share / k) ** k,
        "logarithm": lambda share, k: 1 - k * math.log(1 - share),
        "the miss of one": lambda share, k: 1 - share,
        "first met at k": lambda share, k: share * (1 - share) ** (k - 1),
        "N = 1000": lambda share, k: 1 - miss(1000, int(share * 1000), k),
        "the cell's": lambda share, k: 0.6513,
        "in percent": lambda share, k: 100 - 100 * (1 - share) ** k,
    },
}

for id in measure_answers.ANSWERS:
    ANSWERS[id] |= measure_answers.ANSWERS[id]
    INVENTED[id] |= measure_answers.INVENTED[id]
