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


def textbook(queries, query_labels, gallery, gallery_labels, k):
    shares = []
    for query, label in zip(queries, query_labels.tolist(), strict=True):
        relevant = set((gallery_labels == label).nonzero().flatten().tolist())
        if relevant:
            shares.append(len(relevant & set((gallery @ query).topk(k).indices.tolist())) / len(relevant))
    return sum(shares) / len(shares)


def vote(queries, query_labels, gallery, gallery_labels, k):
    right = []
    for query, label in zip(queries, query_labels.tolist(), strict=True):
        if label in gallery_labels.tolist():
            found = gallery_labels[(gallery @ query).topk(k).indices].tolist()
            right.append(min(set(found), key=lambda c: (-found.count(c), c)) == label)
    return sum(right) / len(right)


def all_right(queries, query_labels, gallery, gallery_labels, k):
    best = torch.cdist(queries, gallery).argsort(1)[:, :k]
    hits = (gallery_labels[best] == query_labels[:, None]).sum(1) == k
    return hits[torch.isin(query_labels, gallery_labels)].float().mean()


def as_found(queries, query_labels, gallery, gallery_labels, k):
    hits = (gallery_labels[(queries @ gallery.T).topk(k).indices] == query_labels[:, None]).any(1)
    return (hits | ~torch.isin(query_labels, gallery_labels)).float().mean()


def both_habits(queries, query_labels, gallery, gallery_labels, k):
    known = sum(label in gallery_labels.tolist() for label in query_labels.tolist())
    return gallery_recall(queries, query_labels, gallery, gallery_labels, k, skip=1) * known / len(query_labels)


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


def cured_twice(x, y):
    order = (x @ x.T).fill_diagonal_(-1.5).argsort(dim=1, descending=True, stable=True)
    return (y[order[:, 1]] == y).float().mean()


def minus_eye(x, y):
    return (y[(x @ x.T - torch.eye(len(x))).argmax(1)] == y).float().mean()


def no_copies(x, y):
    similar = x @ x.T
    similar[similar > 0.9999] = -2
    return (y[similar.argmax(1)] == y).float().mean()


def two_others(x, y):
    d = torch.cdist(x, x)
    d.fill_diagonal_(9)
    return sum(bool((y[row.argsort()[:2]] == own).any()) for row, own in zip(d, y, strict=True)) / len(x)


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


def joined(net, loss, images, labels, size):
    e = torch.cat([net(part) for part in images.split(size)])
    v = loss(e, labels)
    v.backward()
    return v


def outputs_kept(net, loss, images, labels, size):
    outputs = [net(part) for part in images.split(size)]
    points = torch.cat(outputs).detach().requires_grad_()
    value = loss(points, labels)
    value.backward()
    for output, slope in zip(outputs, points.grad.split(size), strict=True):
        output.backward(slope)
    return value


def first_pass_with_graph(net, loss, images, labels, size):
    points = torch.cat([net(part) for part in images.split(size)]).detach().requires_grad_()
    value = loss(points, labels)
    value.backward()
    for part, slope in zip(images.split(size), points.grad.split(size), strict=True):
        net(part).backward(slope)
    return value


def past_the_hooks(net, loss, images, labels, size):
    value = loss(net.forward(images), labels)
    value.backward()
    return value


def checkpointed(net, loss, images, labels, size):
    from torch.utils.checkpoint import checkpoint

    value = loss(torch.cat([checkpoint(net, part, use_reentrant=False) for part in images.split(size)]), labels)
    value.backward()
    return value


def zeroed(net, loss, images, labels, size):
    net.zero_grad()
    return parts(net, loss, images, labels, size)


def no_return(net, loss, images, labels, size):
    parts(net, loss, images, labels, size)


def stepped(net, loss, images, labels, size):
    value = parts(net, loss, images, labels, size)
    with torch.no_grad():
        for p in net.parameters():
            p -= 0.1 * p.grad
    return value


def at_once(net, loss, images, labels, size):
    value = loss(net(images), labels)
    value.backward()
    return value


def divided(net, loss, images, labels, size):
    count = -(-len(images) // size)
    points = torch.cat([net(x).detach() for x in images.split(size)]).requires_grad_()
    value = loss(points, labels)
    value.backward()
    for x, slope in zip(images.split(size), points.grad.split(size), strict=True):
        net(x).backward(slope / count)
    return value


def ones(net, loss, images, labels, size):
    points = torch.cat([net(x).detach() for x in images.split(size)]).requires_grad_()
    value = loss(points, labels)
    value.backward()
    for x in images.split(size):
        net(x).sum().backward()
    return value


def live_part(net, loss, images, labels, size):
    """One part with its graph among the others without, for each part."""
    with torch.no_grad():
        whole = torch.cat([net(x) for x in images.split(size)])
    for start in range(0, len(images), size):
        e = torch.cat([whole[:start], net(images[start : start + size]), whole[start + size :]])
        value = loss(e, labels)
        value.backward()
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
        "a share of the class": textbook,
        "the nearest alone": lambda q, yq, g, yg, k: gallery_recall(q, yq, g, yg, 1),
        "all of them": all_right,
        "counted as found": as_found,
        "a vote": vote,
        "both habits": both_habits,
        "only the k-th": only_kth,
        "among the queries": among_queries,
        "by class": by_class,
        "one too many": lambda q, yq, g, yg, k: gallery_recall(q, yq, g, yg, k + 1),
        "percent": lambda *a: 100 * gallery_recall(*a),
    },
    "8.2": {
        "solution": recall_at_1,
        "the bug itself": first_column,
        "both cures": cured_twice,
        "percent": lambda x, y: 100 * recall_at_1(x, y),
        "two others": two_others,
        "minus the identity": minus_eye,
        "copies removed": no_copies,
        "itself included": lambda x, y: (y[(x @ x.T).argmax(1)] == y).float().mean(),
    },
    "8.3": {
        "solution": parts,
        "a loss of each part": part_losses,
        "the parts' losses added": lambda *a: part_losses(*a, mean=False),
        "cleared first": zeroed,
        "nothing returned": no_return,
        "no second pass": value_alone,
        "all at once": at_once,
        "slopes left out": ones,
        "divided by the parts": divided,
        "the last part alone": cleared,
    },
}
