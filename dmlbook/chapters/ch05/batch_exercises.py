"""Exercises 5.2 and 5.3: the bound's batch loss, built from an empty function, and a factor counted over the batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch.nn import functional as F

from dmlbook._types import Tensor
from dmlbook.book.exercises import Case, Exercise, Misconception, value_and_slopes
from dmlbook.chapters.ch05.theory import balanced_counts
from dmlbook.geometry import distances, simplex
from dmlbook.losses import centroid_terms

WEIGHING = {
    "counts forgotten": "All images weigh alike: that is (5.5). Where classes are of different sizes, (5.7) counts an "
    "image of a large class less.",
    "weights upside down": "The weights are upside down: images of a small class must count more, those of a large one "
    "less.",
    "counts of the batch": "You divided by class sizes of the batch. Those that matter are the whole set's, in counts.",
    "the classes of the batch": "You averaged the classes of the batch. An absent class then hands its share to the "
    "others, so the mean over batches is not (5.7): weigh each image by the counts of the whole set instead.",
    "all classes of the batch": "A class that is absent from the batch has no mean: nan. Weigh each image instead.",
    "weights over their sum": "You divided by the sum of the weights in the batch, which changes from batch to batch. "
    "Divide by B alone.",
    "1 / n": "You divided each term by the size of its class. To be a mean over classes of the whole set, N / C is "
    "still missing.",
    "N / n": "The weights are C times too large: (5.7) is a mean over classes, not their sum.",
    "1 / (C n)": "The N is missing: a batch's mean divides by B, as if by N; multiply by N.",
    "(5.7) summed over the batch": "That is (5.7) with all other images left out: over all batches its mean is B / N "
    "of what is wanted.",
    "C of the batch": "You counted the classes in the batch. C is the number of centroids: a batch may lack a class.",
    "n / N": "You weighed each image with its class's share of the set. Turn it around: images of a large class count "
    "less, each with N / (C n).",
    "weights in whole numbers": "The weights N / (C n) are cut to whole numbers. Divide with one slash.",
    "the own part alone": "The weight goes with the whole term of an image: also with the mean that is taken off.",
    "the sum over the batch": "You summed over the batch. A loss that is a mean does not grow with the batch.",
}
TERMS = {
    "the own one among the others": "The own centroid is still in the sum over the others. Take it off before you "
    "divide by C - 1.",
    "the mean over all centroids": "You averaged over all C centroids. The own one is none of the others: leave it "
    "out, and divide by C - 1.",
    "divided by C": "You summed over C - 1 centroids and divided by C.",
    "a sum, not a mean": "The others enter with their mean, not their sum: with many classes a sum would outweigh the "
    "own centroid, and images would flee from it.",
    "own weight 1": "The own distance counts three times: as anchor, as positive and as negative. With weight 1 it is "
    "no bound.",
    "own weight 2": "The own distance counts three times, not twice: the image is the negative, too.",
    "a third of it": "That is the term of (5.4), which stands behind G. Per triplet it is three times that.",
    "divided by 3 as well": "The 3 is there twice: either 3 d minus the others' mean, or d minus a third of it, times "
    "G.",
    "squared": "You squared the distances. The triangle inequality is about distances: with squares and these weights "
    "it is no bound.",
    "a plus": "The others' mean is added. It is taken off: images shall go away from the other centroids.",
    "turned around": "The sign is turned around: descent on this drives images away from their own centroid.",
    "lengths 1": "You brought the embeddings to length 1. Take them as they come.",
    "cosines": "You took 1 - cosine. The bound is made of distances.",
    "a hinge": "You cut negative terms off at 0. (5.7) has no hinge: they pay for others.",
    "no others": "The others are missing: their mean distance is taken off.",
    "the closest other": "You took the closest of the other centroids. (5.7) has the mean distance to all of them.",
    "masked with infinity": "All that comes out is nan. Was the own centroid masked with infinity, and then averaged? "
    "Sum over all centroids and take the own one off.",
    "(5.4) of the batch": "That is (5.4), with G counted over the batch. No G belongs into a loss per triplet.",
}
NO_ROOT = ("squared", "cosines", "all classes of the batch", "masked with infinity")
"""Where a root at 0 leaves no trace of its own."""
ROOT = "Then: the root of a sum of squares has an infinite slope at 0. torch.cdist and .norm() have the slope 0 there."


def _bound_loss(
    embeddings: Tensor, labels: Tensor, centroids: Tensor, counts: Tensor, *, fault: str = "", root: bool = False
) -> Tensor:
    """(5.7) from a batch, or what learners make of it: one of the faults; ``root``: a root that has no slope at 0."""
    terms = _terms(embeddings, labels, centroids, fault, root)
    classes, images, sizes = len(centroids), counts.sum(), counts[labels]
    if fault in ("the classes of the batch", "all classes of the batch"):
        asked = labels.unique() if fault.startswith("the") else range(classes)
        return torch.stack([terms[labels == m].mean() for m in asked]).mean()
    if fault == "(5.4) of the batch":
        return _factor(len(labels), classes) * terms.sum() / 3
    in_batch = torch.bincount(labels, minlength=classes)
    weights = {
        "counts forgotten": torch.ones_like(terms),
        "weights upside down": classes * sizes / images,
        "counts of the batch": len(labels) / (classes * in_batch[labels]),
        "1 / n": 1 / sizes,
        "N / n": images / sizes,
        "weights in whole numbers": images // (classes * sizes),
        "1 / (C n)": 1 / (classes * sizes),
        "(5.7) summed over the batch": len(labels) / (classes * sizes),
        "C of the batch": images / (len(labels.unique()) * sizes),
        "n / N": sizes / images,
    }.get(fault, images / (classes * sizes))
    if fault == "the own part alone":
        terms = terms + (1 - 1 / weights) * (_terms(embeddings, labels, centroids, "no others", root) - terms)
    total = (weights * terms).sum()
    if fault == "the sum over the batch":
        return total
    return total / (weights.sum() if fault == "weights over their sum" else len(labels))


def _terms(embeddings: Tensor, labels: Tensor, centroids: Tensor, fault: str, root: bool) -> Tensor:
    """The term of each image."""
    x = F.normalize(embeddings, dim=1) if fault in ("lengths 1", "cosines") else embeddings
    apart = (x[:, None] - centroids).square().sum(-1).sqrt() if root else distances(x, centroids)
    if fault == "cosines":
        apart = 1 - x @ F.normalize(centroids, dim=1).T
    apart = apart.square() if fault == "squared" else apart
    own, classes = apart.gather(1, labels[:, None])[:, 0], len(centroids)
    others = {
        "the own one among the others": apart.sum(1) / (classes - 1),
        "the mean over all centroids": apart.mean(1),
        "divided by C": (apart.sum(1) - own) / classes,
        "a sum, not a mean": apart.sum(1) - own,
        "divided by 3 as well": (apart.sum(1) - own) / (3 * (classes - 1)),
        "no others": torch.zeros_like(own),
        "a plus": (own - apart.sum(1)) / (classes - 1),
        "the closest other": apart.scatter(1, labels[:, None], torch.inf).min(1).values,
        "masked with infinity": apart.sum(1) - torch.inf,
    }.get(fault, (apart.sum(1) - own) / (classes - 1))
    terms = {"own weight 1": 1, "own weight 2": 2}.get(fault, 3) * own - others
    if fault == "a hinge":
        return terms.clamp(min=0)
    return {"a third of it": terms / 3, "turned around": -terms}.get(fault, terms)


def _batch_cases() -> Sequence[Case]:
    two = torch.tensor([[0.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    near = torch.tensor([[0.3, 0.4], [-0.6, 0.8], [1.7, -0.4]], dtype=torch.float64)
    three = torch.tensor([[1.0, 0.0], [-0.5, 0.9], [-0.5, -0.9]], dtype=torch.float64)
    four = torch.tensor([[0.9, 0.3], [0.2, 0.1], [-0.8, 0.5], [-0.2, -0.6]], dtype=torch.float64)
    at = torch.tensor([[1.0, 0.0], [-0.4, 0.7], [0.6, 0.4]], dtype=torch.float64)
    few = torch.tensor([[0.5, -0.1, 0.3, 0.2, 0.0], [-0.2, 0.6, 0.1, -0.3, 0.4]], dtype=torch.float64)
    problems = [
        ("two classes of one size", near, [0, 0, 1], two, [4, 4]),
        ("three classes of 2, 5 and 9 images", four, [0, 0, 1, 2], three, [2, 5, 9]),
        ("the same, and class 1 is not in the batch", four, [0, 0, 2, 2], three, [2, 5, 9]),
        ("one image at its centroid", at, [0, 1, 1], three, [3, 4, 2]),
        ("two images, five classes", few, [1, 4], simplex(5, 5).double(), [2, 3, 4, 6, 10]),
    ]
    return [
        _case(f"{text}, labels = {y}, counts = {n}", x, torch.tensor(y), c, torch.tensor(n))
        for text, x, y, c, n in problems
    ]


def _case(text: str, *arguments: Tensor) -> Case:
    return Case(arguments, value_and_slopes(_judged, arguments), f"{text}: the value, then its slopes")


def _judged(embeddings: Tensor, labels: Tensor, centroids: Tensor, counts: Tensor) -> Tensor:
    weights = counts.sum() / (len(counts) * counts)
    return (weights[labels] * centroid_terms(distances(embeddings, centroids), labels)).mean()


def _batch_misconceptions() -> dict[str, Misconception]:
    """Each fault alone, and with a root that has no slope at 0: neither hides the other."""
    found = {"a root at 0": Misconception(partial(_bound_loss, root=True), f"The value is right. {ROOT}")}
    for fault, message in (WEIGHING | TERMS).items():
        found[fault] = Misconception(partial(_bound_loss, fault=fault), message)
        if fault not in NO_ROOT:
            rooted = partial(_bound_loss, fault=fault, root=True)
            found[f"{fault}, and a root at 0"] = Misconception(rooted, f"{message} {ROOT}")
    return found


ESTIMATES = {
    "the bug itself": "That is the bug itself. Of which set are the roles counted in G, and how many images are "
    "summed?",
    "G alone": "N / B is missing once: the sum in (5.4) goes over all N images as well, and here are B of them. (If it "
    "is scaled, G still has the batch in one place.)",
    "the mean, over num_images": "G is mended, and the sum over the batch is divided by num_images. (5.4) sums over N "
    "images, and here are B of them: times N / B.",
    "G times (5.5)": "That is G times the mean of (5.5): one image's term, three times too large. L_d is N G / 3 times "
    "that mean.",
    "the mean over the classes of the batch": "You averaged the classes of the batch. Classes are of one size, so all "
    "images count alike: take the mean over the batch.",
    "a plus": "G is right now, and the others' mean is added: it was taken off before.",
    "the sum alone": "You scaled the sum. G still counts the batch: its N is num_images.",
    "an absolute value": "The absolute value hides the sign and keeps a wrong number: G counts the whole set.",
    "an absolute value, scaled": "The absolute value hides the sign and keeps a wrong number: G counts the whole set.",
    "cut off at 0": "Cutting G off at 0 stops the learning instead of the bug: G counts the whole set.",
    "the batch's mean": "G is mended, and the mean over the batch stands for one image. (5.4) sums over N: times N.",
    "per triplet": "That is (5.5), the bound per triplet: the better loss, and not what was asked for. L_d is N G / 3 "
    "times that.",
    "without G": "G is gone. L_d has it, counted over the whole set.",
    "without G, a mean": "G is gone. L_d has it, counted over the whole set.",
    "N_t in the place of G N": "You multiplied by the number of triplets. The terms of (5.4) are a third of those per "
    "triplet: G N is three times that number.",
    "scaled the wrong way": "You multiplied by B / N. The batch is the smaller: times N / B.",
    "scaled twice": "G counts roles with (M - 1) M: num_images belongs in both, and that is more than (N / B)^2.",
    "scaled three times": "G counts roles with products of two sizes, less one: no power of N / B makes it right. "
    "Count it over the whole set.",
    "whole batches": "N / B is cut to a whole number of batches. Divide with one slash.",
    "the sum alone, whole batches": "You scaled the sum, by a whole number of batches, and G still counts the batch.",
    "the batch in whole numbers": "You scaled the sum. G still counts the batch, and in whole numbers: its N is "
    "num_images.",
    "M squared": "A class of M images has M (M - 1) ordered pairs, not M squared: in G a minus one is missing.",
    "N in the place of N / C": "G holds N / C twice, the number of images of one class. You put N there.",
    "no 3 below": "G is right now, and the others' mean is not divided by 3: with G in front, it must be.",
    "the classes of the batch": "You counted the classes in the batch. C is the number of centroids.",
    "the classes of the batch, in G": "You counted the classes in the batch. C is the number of centroids.",
    "the own one among the others": "G is right now, and the own centroid is among the others: it was not before.",
    "squared": "G is right now, and the distances are squared: they were not before.",
}


def _factor(images: float, classes: int) -> float:
    return 3 * (classes - 1) * (images / classes - 1) * images / classes


def _estimate(embeddings: Tensor, labels: Tensor, centroids: Tensor, num_images: int, *, fault: str = "") -> Tensor:
    """L_d from a batch, or what learners make of it."""
    of_terms = fault if fault in ("squared", "the own one among the others", "a plus") else ""
    of_terms = {"no 3 below": "own weight 1", "the classes of the batch": "no others"}.get(fault, of_terms)
    terms = _terms(embeddings, labels, centroids, of_terms, root=False) / (1 if fault == "no 3 below" else 3)
    if fault == "the mean over the classes of the batch":
        terms = terms * len(labels) / (len(labels.unique()) * torch.bincount(labels)[labels])
    batch, classes = len(labels), len(centroids)
    if fault == "the classes of the batch":
        classes = len(labels.unique())
        terms = terms - (distances(embeddings, centroids).sum(1) - terms) / (3 * (classes - 1))
    right, bug, scale = _factor(num_images, classes), _factor(batch, classes), num_images / batch
    factor = {
        "the bug itself": bug,
        "G alone": right,
        "the sum alone": bug * scale,
        "an absolute value": abs(bug),
        "an absolute value, scaled": abs(bug) * scale,
        "cut off at 0": max(bug, 0.0),
        "the batch's mean": right / batch,
        "the mean, over num_images": right / num_images,
        "G times (5.5)": 3 * right / batch,
        "the classes of the batch, in G": _factor(num_images, len(labels.unique())) * scale,
        "per triplet": 3 / batch,
        "without G": 1.0,
        "without G, a mean": 1 / batch,
        "N_t in the place of G N": right * scale / 3,
        "scaled the wrong way": right / scale,
        "scaled twice": bug * scale**2,
        "scaled three times": bug * scale**3,
        "whole batches": right * (num_images // batch),
        "the sum alone, whole batches": bug * (num_images // batch),
        "the batch in whole numbers": _factor(batch // classes * classes, classes) * scale,
        "M squared": 3 * (classes - 1) * (num_images / classes) ** 2 * scale,
        "N in the place of N / C": _factor(num_images * classes, classes) * scale,
    }.get(fault, right * scale)
    return factor * terms.sum()


def _estimate_cases() -> Sequence[Case]:
    four = torch.tensor([[0.9, 0.3], [0.2, 0.1], [-0.8, 0.5], [-0.2, -0.6]], dtype=torch.float64)
    two = torch.tensor([[0.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    three = torch.tensor([[1.0, 0.0], [-0.5, 0.9], [-0.5, -0.9]], dtype=torch.float64)
    problems = [
        (four, [0, 0, 1, 1], two, 8),
        (four[:3], [0, 1, 2], three, 12),
        (four[1:3], [0, 2], three, 30),
        (four[1:], [0, 1, 1], two, 8),
    ]
    cases = []
    for x, y, c, images in problems:
        arguments = (x, torch.tensor(y), c, images)
        text = f"{len(y)} images of {len(c)} classes, num_images = {images}: the value, then its slopes"
        cases.append(Case(arguments, value_and_slopes(_judged_estimate, arguments), text))
    return cases


def _judged_estimate(embeddings: Tensor, labels: Tensor, centroids: Tensor, num_images: int) -> Tensor:
    _, triplets = balanced_counts(num_images, len(centroids))
    return triplets * centroid_terms(distances(embeddings, centroids), labels).mean()


BATCHES = (
    Exercise("5.2", "build it", _batch_cases, _batch_misconceptions(), call=value_and_slopes),
    Exercise(
        "5.3",
        "the planted bug",
        _estimate_cases,
        {name: Misconception(partial(_estimate, fault=name), message) for name, message in ESTIMATES.items()},
        call=value_and_slopes,
    ),
)
