"""What learners write in chapter 08: a solution of each exercise, and the wrong answers that its check must name."""

import torch


def gallery_recall(queries, query_labels, gallery, gallery_labels, k, *, skip=0, sign=1.0):
    right = asked = 0
    for query, label in zip(queries, query_labels.tolist(), strict=True):
        if label not in gallery_labels.tolist():
            continue
        asked += 1
        order = sorted(range(len(gallery)), key=lambda i, q=query: -sign * float(q @ gallery[i]))
        right += label in [int(gallery_labels[i]) for i in order[skip : skip + k]]
    return right / asked


def all_queries(queries, query_labels, gallery, gallery_labels, k):
    known = sum(label in gallery_labels.tolist() for label in query_labels.tolist())
    return gallery_recall(queries, query_labels, gallery, gallery_labels, k) * known / len(query_labels)


def precision(queries, query_labels, gallery, gallery_labels, k):
    shares = []
    for query, label in zip(queries, query_labels.tolist(), strict=True):
        if label in gallery_labels.tolist():
            best = (gallery @ query).topk(k).indices
            shares.append(float((gallery_labels[best] == label).double().mean()))
    return sum(shares) / len(shares)


def among_queries(queries, query_labels, gallery, gallery_labels, k):
    right = []
    for i, label in enumerate(query_labels.tolist()):
        if label in gallery_labels.tolist():
            others = [j for j in range(len(queries)) if j != i]
            best = sorted(others, key=lambda j, i=i: -float(queries[i] @ queries[j]))[:k]
            right.append(label in [int(query_labels[j]) for j in best])
    return sum(right) / len(right)


def by_class(queries, query_labels, gallery, gallery_labels, k):
    labels = [label for label in set(query_labels.tolist()) if label in gallery_labels.tolist()]
    found = [
        gallery_recall(queries[query_labels == c], query_labels[query_labels == c], gallery, gallery_labels, k)
        for c in labels
    ]
    return sum(found) / len(found)


def only_kth(queries, query_labels, gallery, gallery_labels, k):
    return gallery_recall(queries, query_labels, gallery, gallery_labels, 1, skip=k - 1)


def recall_at_1(x, y):
    right = 0
    for i in range(len(x)):
        others = [j for j in range(len(x)) if j != i]
        best = max(others, key=lambda j, i=i: float(x[i] @ x[j]))
        right += int(y[best] == y[i])
    return right / len(x)


def first_column(x, y):
    order = (x @ x.T).argsort(dim=1, descending=True, stable=True)
    return (y[order[:, 1]] == y).float().mean()


def minus_eye(x, y):
    return (y[(x @ x.T - torch.eye(len(x))).argmax(1)] == y).float().mean()


def no_copies(x, y):
    similar = x @ x.T
    similar[similar > 0.9999] = -2
    return (y[similar.argmax(1)] == y).float().mean()


def parts(net, loss, images, labels, size):
    slices = [slice(start, start + size) for start in range(0, len(images), size)]
    points = []
    for each in slices:
        with torch.no_grad():
            points.append(net(images[each]))
    points = torch.cat(points).requires_grad_(True)
    value = loss(points, labels)
    (slope,) = torch.autograd.grad(value, points)
    for each in slices:
        (net(images[each]) * slope[each]).sum().backward()
    return value


def part_losses(net, loss, images, labels, size, *, mean=True):
    count = -(-len(images) // size)
    total = 0.0
    for x, y in zip(images.split(size), labels.split(size), strict=True):
        value = loss(net(x), y) / (count if mean else 1)
        value.backward()
        total += float(value)
    return total


def value_alone(net, loss, images, labels, size):
    points = torch.cat([net(x).detach() for x in images.split(size)]).requires_grad_()
    value = loss(points, labels)
    value.backward()
    return value


def at_once(net, loss, images, labels, size):
    value = loss(net(images), labels)
    value.backward()
    return value


def divided(net, loss, images, labels, size):
    value = parts(net, loss, images, labels, size)
    for p in net.parameters():
        p.grad /= -(-len(images) // size)
    return value


def cleared(net, loss, images, labels, size):
    points = torch.cat([net(x).detach() for x in images.split(size)]).requires_grad_()
    value = loss(points, labels)
    value.backward()
    for x, slope in zip(images.split(size), points.grad.split(size), strict=True):
        net.zero_grad()
        net(x).backward(slope)
    return value


ANSWERS = {
    "8.1": {
        "solution": gallery_recall,
        "the nearest dropped": lambda *a: gallery_recall(*a, skip=1),
        "queries without an answer": all_queries,
        "precision": precision,
        "the farthest": lambda *a: gallery_recall(*a, sign=-1.0),
        "only the k-th": only_kth,
        "among the queries": among_queries,
        "by class": by_class,
        "one too many": lambda q, yq, g, yg, k: gallery_recall(q, yq, g, yg, k + 1),
        "percent": lambda *a: 100 * gallery_recall(*a),
    },
    "8.2": {
        "solution": recall_at_1,
        "the bug itself": first_column,
        "minus the identity": minus_eye,
        "copies removed": no_copies,
        "itself included": lambda x, y: (y[(x @ x.T).argmax(1)] == y).float().mean(),
        "the second best": lambda x, y: (y[(x @ x.T).topk(2).indices[:, 1]] == y).float().mean(),
    },
    "8.3": {
        "solution": parts,
        "a loss of each part": part_losses,
        "the parts' losses added": lambda *a: part_losses(*a, mean=False),
        "no second pass": value_alone,
        "all at once": at_once,
        "divided by the parts": divided,
        "the last part alone": cleared,
    },
}
