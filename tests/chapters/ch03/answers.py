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


def parts(embeddings, centers, gamma):
    """Cosines, and weights in each class."""
    s = torch.stack([length_one(embeddings) @ length_one(of_class).T for of_class in centers], 1)
    return s, torch.exp(s / gamma) / torch.exp(s / gamma).sum(-1, keepdim=True)


def with_logits(then, *, weigh=lambda q, s, y: (q * s).sum(-1), lower=lambda v, y, margin: own_lowered(v, y, margin)):
    """SoftTriple up to its logits, and then something."""

    def loss(embeddings, centers, labels, scale, gamma, margin):
        s, q = parts(embeddings, centers, gamma)
        return then(scale * lower(weigh(q, s, labels), labels, margin), labels)

    return loss


def own_lowered(v, y, margin):
    return torch.stack([row - margin * (torch.arange(len(row)) == label) for row, label in zip(v, y, strict=True)])


def in_columns(v, y, margin):
    v[:, y] -= margin
    return v


def in_first_row(v, y, margin):
    return torch.cat([own_lowered(v[:1], y[:1], margin), v[1:]])


def doubled(v, y, margin):
    return torch.stack([row + margin - 2 * margin * F.one_hot(c, len(row)) for row, c in zip(v, y, strict=True)])


def first_lowered(v, y, margin):
    return torch.cat([v[:, :1] - margin, v[:, 1:]], 1)


def closest_lowered(embeddings, centers, labels, scale, gamma, margin):
    s, _ = parts(embeddings, centers, gamma)
    off = torch.zeros_like(s)
    for n, y in enumerate(labels.tolist()):
        off[n, y, s[n, y].argmax()] = margin
    return F.cross_entropy(scale * (F.softmax((s - off) / gamma, -1) * (s - off)).sum(-1), labels)


def numerator_alone(embeddings, centers, labels, scale, gamma, margin):
    s, q = parts(embeddings, centers, gamma)
    similar = (q * s).sum(-1)
    return F.cross_entropy(scale * similar, labels) + scale * margin


def reshaped(embeddings, centers, labels, scale, gamma, margin):
    C, K, _ = centers.shape
    s = torch.stack([(length_one(embeddings) @ length_one(centers).reshape(C * K, -1).T)[:, c::C] for c in range(C)], 1)
    similar = (F.softmax(s / gamma, -1) * s).sum(-1)
    return F.cross_entropy(scale * own_lowered(similar, labels, margin), labels)


def no_slope_of_lengths(v):
    return v / v.detach().pow(2).sum(-1, keepdim=True).sqrt()


def own_weights(q, s, y):
    return torch.stack([s[n] @ q[n, label] for n, label in enumerate(y.tolist())])


def scaled_first(embeddings, centers, labels, scale, gamma, margin):
    s, _ = parts(embeddings, centers, gamma)
    similar = (F.softmax(scale * s / gamma, -1) * scale * s).sum(-1)
    return F.cross_entropy(own_lowered(similar, labels, scale * margin), labels)


def others_constant(x, w, y, margin):
    s, q = parts(x, w, 0.1)
    similar = torch.stack(
        [torch.stack([(q[n, c] if c == label else q[n, c].detach()) @ s[n, c] for c in range(len(w))])
         for n, label in enumerate(y.tolist())]
    )  # fmt: skip
    return F.cross_entropy(20 * own_lowered(similar, y, margin), y)


def columns_and_constant_weights(x, w, y, margin):
    s, q = parts(x, w, 0.1)
    similar = (q.detach() * s).sum(-1)
    return F.cross_entropy(20 * in_columns(similar, y, margin), y)


def at_twenty(loss):
    """A loss of exercise 3.1 as an answer to 3.2."""
    return lambda x, w, y, margin: loss(x, w, y, 20.0, 0.1, margin)


def where(rising):
    low, high = 0.0, 100.0
    while high - low > 1e-12 * high:
        low, high = ((low + high) / 2, high) if rising((low + high) / 2) < 0 else (low, (low + high) / 2)
    return low


LOSSES = {
    "normalized over another axis": loop(w=lambda v: v / v.pow(2).sum(1, keepdim=True).sqrt()),
    "centers averaged first": loop(w=lambda v: length_one(v.mean(1, keepdim=True))),
    "divided by K as well": loop(lambda s, gamma: expected(s, gamma) / len(s)),
    "one image's weights for all": with_logits(F.cross_entropy, weigh=own_weights),
    "C and K mixed up": reshaped,
    "lengths held fixed": loop(x=no_slope_of_lengths, w=no_slope_of_lengths),
    "no margin below": numerator_alone,
    "the margin in every labeled column": with_logits(F.cross_entropy, lower=in_columns),
    "as many columns as labels": with_logits(F.cross_entropy, lower=lambda v, y, margin: v - margin * F.one_hot(y)),
    "the margin in the first row alone": with_logits(F.cross_entropy, lower=in_first_row),
    "the margin counts twice": with_logits(F.cross_entropy, lower=doubled),
    "the margin for class 0": with_logits(F.cross_entropy, lower=first_lowered),
    "the margin on one center": closest_lowered,
    "softmax twice": with_logits(lambda z, y: F.cross_entropy(F.softmax(z, 1), y)),
    "softmax over the batch": with_logits(lambda z, y: F.nll_loss(F.log_softmax(z, 0), y)),
    "the mean over all classes": with_logits(lambda z, y: -F.log_softmax(z, 1).mean()),
    "one loss an image": with_logits(lambda z, y: F.cross_entropy(z, y, reduction="none")),
    "scaled before the weights": scaled_first,
}

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
    }
    | LOSSES,
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
        "the other classes' weights held fixed": others_constant,
        "the margin in every labeled column, and the weights": columns_and_constant_weights,
        "a margin of 0.3": lambda x, w, y, margin: colleague()(x, w, y, 0.3),
        "softmax over classes": at_twenty(over_classes),
        "softmax over all centers": at_twenty(over_all),
        "gamma multiplied": colleague(lambda s, gamma: expected(s, 1 / gamma)),
        "no gamma": colleague(lambda s, gamma: torch.softmax(s, 0) @ s),
        "the scale inside": at_twenty(scale_inside),
        "nothing normalized": colleague(x=as_is, w=as_is),
        "embeddings as they are": colleague(x=as_is),
        "centers as they are": colleague(w=as_is),
        "the sum over the batch": colleague(mean=False),
        "no scale": colleague(lower=unscaled),
    }
    | {
        name: at_twenty(LOSSES[name])
        for name in (
            "lengths held fixed",
            "no margin below",
            "the margin in every labeled column",
            "as many columns as labels",
            "the margin in the first row alone",
            "the margin counts twice",
            "the margin for class 0",
            "the margin on one center",
            "one loss an image",
            "scaled before the weights",
        )
    },
    "3.3": {
        "solution": by_bisection,
        "gamma itself": lambda gamma: gamma,
        "in units of gamma": lambda gamma: by_bisection(gamma) / gamma,
        "twice gamma": lambda gamma: gamma + gamma,
        "divided by gamma": lambda gamma: by_bisection(1.0) / gamma,
        "the distance from S'": lambda gamma: by_bisection(gamma) - gamma,
        "rounded": lambda gamma: round(by_bisection(1.0), 2) * gamma,
        "a grid that ends": lambda gamma: min(
            torch.linspace(0, 1, 1001).tolist(), key=lambda gap: abs(slope_of_second(gap, gamma))
        ),
        "gamma in the exponential alone": lambda gamma: where(lambda gap: gap - 1 - math.exp(-gap / gamma)),
        "the square root": lambda gamma: by_bisection(1.0) * math.sqrt(gamma),
        "the square": lambda gamma: by_bisection(1.0) * gamma * gamma,
        "rounded to a tenth": lambda gamma: round(by_bisection(1.0), 1) * gamma,
        "the weights' own point": lambda gamma: gamma * math.log(2),
        "a half": lambda gamma: 0.5 * gamma,
        "the largest slope of q": lambda gamma: 0,
        "the largest slope": lambda gamma: (
            min(range(1, 5000), key=lambda n: slope_of_second(n / 1000 * gamma, gamma)) / 1000 * gamma
        ),
        "the other weight": lambda gamma: gamma * max(u / 1000 for u in range(10_001) if u < 1000 * math.exp(u / 1000)),
        "gamma in the bracket alone": lambda gamma: where(lambda gap: gap - gamma * (1 + math.exp(-gap))),
        "gamma multiplied in the weights": lambda gamma: where(lambda gap: gap - gamma * (1 + math.exp(-gap * gamma))),
        "an angle": lambda gamma: math.acos(max(1 - by_bisection(gamma), -1.0)),
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


def axes_forgotten(embeddings, centers, labels, scale, gamma, margin):
    s = torch.einsum("bd,ckd->bck", F.normalize(embeddings), F.normalize(centers))
    similar = (torch.softmax(s / gamma, -1) * s).sum(-1)
    return F.cross_entropy(scale * (similar - margin * F.one_hot(labels, len(centers))), labels)


def tail(then):
    """Right up to the logits."""

    def loss(embeddings, centers, labels, scale, gamma, margin):
        s = torch.einsum("bd,ckd->bck", F.normalize(embeddings, dim=-1), F.normalize(centers, dim=-1))
        similar = (torch.softmax(s / gamma, -1) * s).sum(-1)
        return then(scale * (similar - margin * F.one_hot(labels, len(centers))), labels)

    return loss


def mended_tail(lower):
    def loss(x, w, y, margin):
        s = torch.einsum("bd,ckd->bck", F.normalize(x, dim=-1), F.normalize(w, dim=-1))
        similar = (torch.softmax(s / 0.1, -1) * s).sum(-1)
        return F.cross_entropy(20 * lower(similar, F.one_hot(y, len(w)), y, margin), y)

    return loss


def tail_of(lower):
    """Exercise 3.1, but for the margin."""

    def loss(embeddings, centers, labels, scale, gamma, margin):
        s = torch.einsum("bd,ckd->bck", F.normalize(embeddings, dim=-1), F.normalize(centers, dim=-1))
        similar = (torch.softmax(s / gamma, -1) * s).sum(-1)
        return F.cross_entropy(scale * lower(similar, F.one_hot(labels, len(centers)), labels, margin), labels)

    return loss


def first_row(v, own, y, margin):
    v = v.clone()
    v[0, y[0]] -= margin
    return v


def labeled_columns_no_grad(x, w, y, margin):
    s = torch.einsum("bd,ckd->bck", F.normalize(x, dim=-1), F.normalize(w, dim=-1))
    with torch.no_grad():
        q = torch.softmax(s / 0.1, -1)
    similar = (q * s).sum(-1)
    similar[:, y] -= margin
    return F.cross_entropy(20 * similar, y)


def numerator_only(embeddings, centers, labels, scale, gamma, margin):
    s = torch.einsum("bd,ckd->bck", F.normalize(embeddings, dim=-1), F.normalize(centers, dim=-1))
    similar = (torch.softmax(s / gamma, -1) * s).sum(-1)
    own = similar.gather(1, labels[:, None])[:, 0]
    return -(scale * (own - margin) - torch.logsumexp(scale * similar, 1)).mean()


def columns(embeddings, centers, labels, scale, gamma, margin):
    s = torch.einsum("bd,ckd->bck", F.normalize(embeddings, dim=-1), F.normalize(centers, dim=-1))
    similar = (torch.softmax(s / gamma, -1) * s).sum(-1)
    similar[:, labels] -= margin
    return F.cross_entropy(scale * similar, labels)


def viewed(embeddings, centers, labels, scale, gamma, margin):
    C, K, D = centers.shape
    s = F.normalize(embeddings, dim=-1) @ F.normalize(centers, dim=-1).reshape(C * K, D).T
    s = s.view(-1, K, C).permute(0, 2, 1)
    similar = (torch.softmax(s / gamma, -1) * s).sum(-1)
    return F.cross_entropy(scale * (similar - margin * F.one_hot(labels, C)), labels)


def detached_lengths(embeddings, centers, *rest):
    units = (v / v.norm(dim=-1, keepdim=True).detach() for v in (embeddings, centers))
    return student(cosine=False)(*units, *rest)


def mean_center(embeddings, centers, labels, scale, gamma, margin):
    s = F.normalize(embeddings, dim=-1) @ F.normalize(centers.mean(1), dim=-1).T
    return F.cross_entropy(scale * (s - margin * F.one_hot(labels, len(centers))), labels)


def no_grad_cosines(x, w, y, margin):
    with torch.no_grad():
        s = torch.einsum("bd,ckd->bck", F.normalize(x, dim=-1), F.normalize(w, dim=-1))
    similar = (torch.softmax(s / 0.1, -1) * s).sum(-1) - margin * F.one_hot(y, len(w))
    return F.cross_entropy(20 * similar, y)


def margin_first(x, w, y, margin):
    s = torch.einsum("bd,ckd->bck", F.normalize(x, dim=-1), F.normalize(w, dim=-1)).clone()
    rows = torch.arange(len(y))
    s[rows, y, s[rows, y].argmax(-1)] -= margin
    return F.cross_entropy(20 * (torch.softmax(s / 0.1, -1) * s).sum(-1), y)


def half_detached(x, w, y, margin):
    s = torch.einsum("bd,ckd->bck", F.normalize(x, dim=-1), F.normalize(w, dim=-1))
    q, own = torch.softmax(s / 0.1, -1), F.one_hot(y, len(w))
    q = q * own[..., None] + q.detach() * (1 - own[..., None])
    return F.cross_entropy(20 * ((q * s).sum(-1) - margin * own), y)


def scaled_cosines(x, w, y, margin):
    s = 20 * torch.einsum("bd,ckd->bck", F.normalize(x, dim=-1), F.normalize(w, dim=-1))
    return F.cross_entropy((torch.softmax(s / 0.1, -1) * s).sum(-1) - 20 * margin * F.one_hot(y, len(w)), y)


def newton(rising, g=1.0):
    for _ in range(100):
        g -= rising(g) / ((rising(g + 1e-6) - rising(g - 1e-6)) / 2e-6)
    return g


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
        "F.normalize without dim, of three axes": axes_forgotten,
        "softmax, then cross_entropy": tail(lambda z, y: F.cross_entropy(z.softmax(-1), y)),
        "the mean of all log_softmax": tail(lambda z, y: -z.log_softmax(-1).mean()),
        "log_softmax over dim=0": tail(lambda z, y: -z.log_softmax(0)[torch.arange(len(y)), y].mean()),
        "reduction none": student(reduction="none"),
        "margin in the numerator": numerator_only,
        "similar[:, labels] -= margin": columns,
        "view(B, K, C)": viewed,
        "one_hot without C": tail_of(lambda v, own, y, m: v - m * F.one_hot(y)),
        "S[0, labels[0]] -= margin": tail_of(first_row),
        "divides by norm().detach()": detached_lengths,
        "the mean center": mean_center,
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
        "own minus, others plus": mended_tail(lambda v, own, y, m: v - m * own + m * (1 - own)),
        "similar[:, 0] - margin": mended_tail(lambda v, own, y, m: v - m * (torch.arange(v.shape[1]) == 0)),
        "margin typed as 0.3": mended_tail(lambda v, own, y, m: v - 0.3 * own),
        "one_hot without C": mended_tail(lambda v, own, y, m: v - m * F.one_hot(y)),
        "S[0, labels[0]] -= margin": mended_tail(first_row),
        "no_grad kept, similar[:, labels]": labeled_columns_no_grad,
        "similar[:, labels] of all rows": mended_tail(lambda v, own, y, m: in_columns(v, y, m)),
        "no_grad around the cosines": no_grad_cosines,
        "margin off the closest cosine": margin_first,
        "q of the other classes detached": half_detached,
        "scaled cosines everywhere": scaled_cosines,
        "s * 0.1": mended(divide=False),
        "reduction sum, bugs mended": mended(reduction="sum"),
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
        "the strongest push": lambda gamma: 2.4 * gamma,
        "weights softmax(s)": lambda gamma: newton(lambda g: g - gamma * (1 + math.exp(-g))),
        "weights softmax(s * gamma)": lambda gamma: newton(lambda g: g - gamma * (1 + math.exp(-g * gamma))),
        "as an angle": lambda gamma: math.acos(1 - min(2.0, 1.278464 * gamma)),
        "for gamma 0.1 only": lambda gamma: 0.1278464,
        "the lower cosine": lambda gamma: 1 - 1.278464 * gamma,
        "negative": lambda gamma: -1.278464 * gamma,
        "u = exp(-u)": lambda gamma: 0.567143 * gamma,
        "u tanh u = 1": lambda gamma: 1.199679 * gamma,
        "linspace(0, 1, 1001)": lambda gamma: next(
            (n / 1000 for n in range(1001) if slope_of_second(n / 1000, gamma) <= 0), 1.0
        ),
        "t = 1 + exp(-t / gamma)": lambda gamma: newton(lambda t: t - 1 - math.exp(-t / gamma)),
        "times sqrt(gamma)": lambda gamma: 1.278464 * gamma**0.5,
        "times gamma squared": lambda gamma: 1.278464 * gamma**2,
        "two places": lambda gamma: round(1.278464 * gamma, 2),
    },
}
