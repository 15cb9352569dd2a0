"""What learners write in chapter 03: a solution of each exercise, and the wrong answers that its check must name."""

import math

import torch
from torch.nn import functional as F


def length_one(v):
    return v / v.pow(2).sum(-1, keepdim=True).sqrt()


def as_is(v):
    return v


def weights_of(cosines, gamma):
    """Of one image and one class, (K,)."""
    e = torch.exp((cosines - cosines.max().detach()) / gamma)
    return e / e.sum()


def expected(cosines, gamma):
    return (weights_of(cosines, gamma) * cosines).sum()


def loop(similarity=expected, *, x=length_one, w=length_one, lower=None, mean=True, below=None):
    """SoftTriple image by image, class by class; each part may be another."""

    def loss(embeddings, centers, labels, scale, gamma, margin):
        values = []
        for image, y in zip(x(embeddings), labels.tolist(), strict=True):
            similar = [similarity(of_class @ image, gamma) for of_class in w(centers)]
            logits = [scale * (v - margin) if c == y else scale * v for c, v in enumerate(similar)]
            if lower is not None:
                logits = lower(similar, y, scale, margin)
            summed = [v for c, v in enumerate(logits) if below is None or below(c, y)]
            values.append(torch.logsumexp(torch.stack(summed), 0) - logits[y])
        return sum(values) / (len(values) if mean else 1)

    return loss


def over_classes(embeddings, centers, labels, scale, gamma, margin):
    s = torch.einsum("bd,ckd->bck", F.normalize(embeddings, dim=-1), F.normalize(centers, dim=-1))
    similar = (F.softmax(s / gamma, dim=1) * s).sum(2)
    similar = similar - margin * F.one_hot(labels, len(centers))
    return F.cross_entropy(scale * similar, labels)


def over_all(embeddings, centers, labels, scale, gamma, margin):
    s = torch.einsum("bd,ckd->bck", F.normalize(embeddings, dim=-1), F.normalize(centers, dim=-1))
    e = torch.exp(s / gamma)
    similar = (e / e.sum((1, 2), keepdim=True) * s).sum(2)
    similar[torch.arange(len(labels)), labels] -= margin
    return F.cross_entropy(scale * similar, labels)


def scale_inside(embeddings, centers, labels, scale, gamma, margin):
    return loop(lambda s, gamma: expected(s, 1 / scale))(embeddings, centers, labels, scale, gamma, margin)


def fixed(cosines, gamma):
    return weights_of(cosines.detach(), gamma) @ cosines


def lower_none(similar, y, scale, margin):
    return [scale * (v - margin) for v in similar]


def lower_late(similar, y, scale, margin):
    return [scale * v - (margin if c == y else 0) for c, v in enumerate(similar)]


def lower_others(similar, y, scale, margin):
    return [scale * (v if c == y else v - margin) for c, v in enumerate(similar)]


def unscaled(similar, y, scale, margin):
    return [v - margin if c == y else v for c, v in enumerate(similar)]


def log_sum_exp(cosines, gamma):
    return gamma * torch.log(torch.exp(cosines / gamma).sum())


def colleague(similarity=expected, **changed):
    """The loss of exercise 3.2, whose scale and gamma are the book's."""
    return lambda x, w, y, margin: loop(similarity, **changed)(x, w, y, 20.0, 0.1, margin)


def with_q_alone(x, w, y, margin):
    s = torch.einsum("bd,ckd->bck", length_one(x), length_one(w))
    with torch.no_grad():
        kept = s.clone()
    similar = (torch.softmax(s / 0.1, -1) * kept).sum(-1) - margin * F.one_hot(y, len(w))
    return F.cross_entropy(20 * similar, y)


def slope_of_second(gap, gamma):
    q = [1 / (1 + math.exp(-gap / gamma)), 1 / (1 + math.exp(gap / gamma))]
    mean = q[0] * gap
    return q[1] * (1 + (0 - mean) / gamma)


def by_bisection(gamma):
    low, high = 0.0, 5 * gamma
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if slope_of_second(middle, gamma) > 0 else (low, middle)
    return low


ANSWERS = {
    "3.1": {
        "solution": loop(),
        "embeddings as they are": loop(x=as_is),
        "centers as they are": loop(w=as_is),
        "nothing normalized": loop(x=as_is, w=as_is),
        "softmax over classes": over_classes,
        "softmax over all centers": over_all,
        "gamma multiplied": loop(lambda s, gamma: expected(s, 1 / gamma)),
        "no gamma": loop(lambda s, gamma: torch.softmax(s, 0) @ s),
        "the scale inside": scale_inside,
        "the log-sum-exp value": loop(log_sum_exp),
        "the closest center": loop(lambda s, gamma: s.max()),
        "the plain mean": loop(lambda s, gamma: s.mean()),
        "the sum over centers": loop(lambda s, gamma: s.sum()),
        "weights held fixed": loop(fixed),
        "no margin": loop(lower=lower_none),
        "margin after scaling": loop(lower=lower_late),
        "margin helps": loop(lower=lower_others),
        "no scale": loop(lower=unscaled),
        "the sum over the batch": loop(mean=False),
        "the own class is not below": loop(below=lambda c, y: c != y),
    },
    "3.2": {
        "solution": colleague(),
        "both bugs": colleague(fixed, lower=lower_none),
        "the margin alone": colleague(fixed),
        "the gradient alone": colleague(lower=lower_none),
        "the value in its place": colleague(log_sum_exp),
        "no choice any more": colleague(lambda s, gamma: s.max()),
        "all centers alike": colleague(lambda s, gamma: s.sum() / len(s)),
        "cosines held fixed": with_q_alone,
        "margin after scaling": colleague(lower=lower_late),
        "margin helps": colleague(lower=lower_others),
        "margin helps, and the weights": colleague(fixed, lower=lower_others),
        "margin after scaling, and the weights": colleague(fixed, lower=lower_late),
    },
    "3.3": {
        "solution": by_bisection,
        "gamma itself": lambda gamma: gamma,
        "in units of gamma": lambda gamma: by_bisection(gamma) / gamma,
        "twice gamma": lambda gamma: gamma + gamma,
        "divided by gamma": lambda gamma: by_bisection(1.0) / gamma,
        "the distance from S'": lambda gamma: by_bisection(gamma) - gamma,
        "rounded": lambda gamma: round(by_bisection(1.0), 2) * gamma,
        "rounded to a tenth": lambda gamma: round(by_bisection(1.0), 1) * gamma,
        "the weights' own point": lambda gamma: gamma * math.log(2),
        "a half": lambda gamma: 0.5 * gamma,
        "the largest slope of q": lambda gamma: 0,
        "never": lambda gamma: float("inf"),
    },
}


# Written later, as a student would, without a look at what the check knows


def student(*, cosine=True, axis=-1, similarity="mean", margin="own", reduction="mean", scale=None, divide=True):
    """Tensors all through, as most write it."""

    def loss(embeddings, centers, labels, lam, gamma, delta):
        x, w = (F.normalize(v, dim=-1) if cosine else v for v in (embeddings, centers))
        s = torch.einsum("bd,ckd->bck", x, w)
        q = torch.softmax(s / gamma if divide else s * gamma, dim=axis)
        similar = {
            "mean": lambda: (q * s).sum(-1),
            "log": lambda: gamma * torch.logsumexp(s / gamma, -1),
            "top": lambda: s.max(-1).values,
            "picked": lambda: s.gather(-1, q.argmax(-1, keepdim=True)).squeeze(-1),
            "constant": lambda: (q.detach() * s).sum(-1),
        }[similarity]()
        own = F.one_hot(labels, len(centers))
        logits = (scale or lam) * (similar - (delta if margin == "all" else delta * own if margin == "own" else 0))
        return F.cross_entropy(logits + delta * own * (margin == "plus"), labels, reduction=reduction)

    return loss


def mended(**chosen):
    return lambda x, w, y, margin: student(**chosen)(x, w, y, 20.0, 0.1, margin)


def normalized_over_classes(embeddings, centers, labels, scale, gamma, margin):
    return student()(embeddings, centers / centers.norm(dim=(1, 2), keepdim=True), labels, scale, gamma, margin)


def centers_first(embeddings, centers, labels, scale, gamma, margin):
    """The centers' axes taken for (K, C, D), as the package keeps them."""
    return student()(embeddings, centers.reshape(centers.shape[1], len(centers), -1), labels, scale, gamma, margin)


def entropy_added(embeddings, centers, labels, scale, gamma, margin):
    s = torch.einsum("bd,ckd->bck", F.normalize(embeddings, dim=-1), F.normalize(centers, dim=-1))
    q = torch.softmax(s / gamma, -1)
    similar = (q * s).sum(-1) - gamma * (q * q.log()).sum(-1)
    return F.cross_entropy(scale * (similar - margin * F.one_hot(labels, len(centers))), labels)


def steps_of_newton(gamma):
    """u = 1 + exp(-u), iterated too few times."""
    u = 1.0
    for _ in range(2):
        u = 1 + math.exp(-u)
    return u * gamma


def grid(gamma):
    """The first gap of a coarse grid at which the second is pushed."""
    return next(n / 10 for n in range(1, 100) if slope_of_second(n / 10, gamma) < 0)


INVENTED = {
    "3.1": {
        "forgets to normalize": student(cosine=False),
        "softmax over dim=1": student(axis=1),
        "logsumexp": student(similarity="log"),
        "s.max(-1)": student(similarity="top"),
        "gather of the argmax": student(similarity="picked"),
        "q.detach()": student(similarity="constant"),
        "margin from all logits": student(margin="all"),
        "reduction sum": student(reduction="sum"),
        "s * gamma": student(divide=False),
        "adds the entropy back": entropy_added,
    },
    "3.2": {
        "nothing changed": mended(similarity="constant", margin="all"),
        "one_hot, weights still constant": mended(similarity="constant"),
        "gradient through q, margin on all": mended(margin="all"),
        "margin left out": mended(margin="none"),
        "margin left out, weights constant": mended(similarity="constant", margin="none"),
        "logsumexp, margin right": mended(similarity="log"),
        "max, margin right": mended(similarity="top"),
        "argmax picked, margin right": mended(similarity="picked"),
        "softmax over dim=1 instead": mended(axis=1),
        "no normalization": mended(cosine=False),
    },
    "3.3": {
        "gamma": lambda gamma: gamma * 1.0,
        "2 gamma": lambda gamma: gamma * 2,
        "gamma log 2": lambda gamma: gamma * 0.6931,
        "the constant": lambda gamma: 1.27846,
        "1.28 gamma": lambda gamma: 1.28 * gamma,
        "1.3 gamma": lambda gamma: 1.3 * gamma,
        "1 / gamma": lambda gamma: 1.27846 / gamma,
        "0.28 gamma": lambda gamma: 0.27846 * gamma,
        "too few steps": steps_of_newton,
        "a coarse grid": grid,
    },
}
