"""Exercises of chapter 08: queries in a gallery, an evaluation with a planted bug, and a batch that does not fit."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch08.in_parts import IN_PARTS
from dmlbook.geometry import normalize
from dmlbook.seeding import SEED, generator

Rows = torch.Tensor


def _similar(queries: Rows, gallery: Rows) -> Rows:
    return queries @ gallery.T


def _hits(similar: Rows, own: Rows, theirs: Rows, first: int, last: int, *, descending: bool = True) -> Rows:
    """Whether each of a query's neighbors number ``first`` + 1 to ``last`` is of its class, (Q, last - first)."""
    order = similar.argsort(dim=1, descending=descending)[:, first:last]
    return theirs[order] == own[:, None]


def _answerable(own: Rows, theirs: Rows) -> Rows:
    return torch.isin(own, theirs)


def _in_gallery(q: Rows, yq: Rows, g: Rows, yg: Rows, k: int, *, first: int = 0, least: bool = False) -> Rows:
    """Whether each answerable query finds its class."""
    hits = _hits(_similar(q, g), yq, yg, first, first + k, descending=not least).any(1)
    return hits[_answerable(yq, yg)].double()


def _among_queries(q: Rows, yq: Rows, g: Rows, yg: Rows, k: int) -> float:
    similar = _similar(q, q).fill_diagonal_(-2)
    return float(_hits(similar, yq, yq, 0, k).any(1)[_answerable(yq, yg)].double().mean())


def _precision(q: Rows, yq: Rows, g: Rows, yg: Rows, k: int) -> float:
    hits = _hits(_similar(q, g), yq, yg, 0, k).double().mean(1)
    return float(hits[_answerable(yq, yg)].mean())


def _share_found(q: Rows, yq: Rows, g: Rows, yg: Rows, k: int) -> float:
    """The share of a class's images that is found."""
    hits = _hits(_similar(q, g), yq, yg, 0, k).double().sum(1)
    there = (yq[:, None] == yg).sum(1)
    return float((hits / there)[_answerable(yq, yg)].mean())


def _vote(q: Rows, yq: Rows, g: Rows, yg: Rows, k: int) -> float:
    """Whether the class that most of the k are of is the query's; the smallest number among equals."""
    voted = yg[_similar(q, g).topk(k, dim=1).indices].mode(1).values
    return float((voted == yq)[_answerable(yq, yg)].double().mean())


def _by_class(q: Rows, yq: Rows, g: Rows, yg: Rows, k: int) -> float:
    hits, own = _in_gallery(q, yq, g, yg, k), yq[_answerable(yq, yg)]
    return float(torch.stack([hits[own == label].mean() for label in own.unique()]).mean())


def _gallery_cases() -> Sequence[Case]:
    numbers = generator(SEED, "exercise 8.1, draw 210")  # one that tells all mistakes below apart
    cases = []
    for queries, asked, held, k in (
        (7, (0, 1, 2, 3), (0, 2, 3, 4, 5), 1),
        (9, (1, 2, 4, 5), (0, 1, 3, 4, 5), 2),
        (8, (2, 3, 6), (0, 2, 5, 6), 3),
    ):
        q, g = (normalize(torch.randn(n, 3, generator=numbers, dtype=torch.float64)) for n in (queries, 12))
        yq, yg = (_drawn(classes, n, numbers) for classes, n in ((asked, queries), (held, 12)))
        arguments = (q, yq, g, yg, k)
        text = f"{queries} queries of classes {yq.tolist()}, a gallery of classes {yg.tolist()}, k = {k}"
        cases.append(Case(arguments, float(_in_gallery(*arguments).mean()), text))
    return cases


def _drawn(classes: Sequence[int], count: int, numbers: torch.Generator) -> Rows:
    """Labels of these classes in any order, each of them at least once."""
    chosen = torch.randint(len(classes), (count,), generator=numbers)
    chosen[: len(classes)] = torch.arange(len(classes))
    return torch.tensor(classes)[chosen[torch.randperm(count, generator=numbers)]]


def _planted(embeddings: Rows, labels: Rows) -> float:
    order = _similar(embeddings, embeddings).argsort(dim=1, descending=True, stable=True)
    return float((labels[order[:, 1]] == labels).double().mean())


def _found(similar: Rows, labels: Rows) -> float:
    return float((labels[similar.argmax(1)] == labels).double().mean())


def _mended(embeddings: Rows, labels: Rows) -> float:
    return _found(_similar(embeddings, embeddings).fill_diagonal_(-torch.inf), labels)


def _twins_out(embeddings: Rows, labels: Rows) -> float:
    similar = _similar(embeddings, embeddings)
    return _found(similar.masked_fill(similar > 1 - 1e-9, -torch.inf), labels)


def _ranked(embeddings: Rows) -> Rows:
    """The others of each row, the nearest first, and the row itself last."""
    return _similar(embeddings, embeddings).fill_diagonal_(-torch.inf).argsort(dim=1, descending=True, stable=True)


def _two_others(embeddings: Rows, labels: Rows) -> float:
    return float((labels[_ranked(embeddings)[:, :2]] == labels[:, None]).any(1).double().mean())


def _bug_cases() -> Sequence[Case]:
    """Every class has two pictures or more, and no picture two nearest ones."""
    cases = []
    for angles, labels, text in (
        ((0, 0, 90, 90, 200, 200), (0, 1, 1, 2, 2, 0), "six pictures, each with a copy in another class"),
        ((0, 10, 120, 135, 250, 262), (0, 0, 1, 1, 2, 2), "three classes of two, no copies"),
        ((0, 0, 15, 28, 118, 140), (0, 1, 0, 0, 1, 0), "one picture with a copy in another class"),
        ((0, 20, 150, 250), (0, 1, 0, 1), "four pictures, two of them farther than 90 degrees from all others"),
    ):
        turned = torch.tensor(angles, dtype=torch.float64).deg2rad()
        points, y = torch.stack([turned.cos(), turned.sin()], dim=1), torch.tensor(labels)
        cases.append(Case((points, y), _mended(points, y), f"{text}, classes {list(labels)}"))
    return cases


EXERCISES = (
    Exercise(
        "8.1",
        "queries in a gallery",
        _gallery_cases,
        {
            "the nearest dropped": Misconception(
                lambda *a: float(_in_gallery(*a, first=1).mean()),
                "You left out the nearest one. A query is not in the gallery: there is no self-match to drop.",
            ),
            "queries without an answer": Misconception(
                lambda q, yq, g, yg, k: float(_in_gallery(q, yq, g, yg, k).sum() / len(yq)),
                "You divided by all queries. Those whose class the gallery lacks cannot be answered: leave them out.",
            ),
            "precision": Misconception(
                _precision, "That is the share of the k that are right. Recall@K asks whether any of them is."
            ),
            "the farthest": Misconception(
                lambda *a: float(_in_gallery(*a, least=True).mean()),
                "You took the least similar ones: a cosine is large where two vectors are close.",
            ),
            "a share of the class": Misconception(
                _share_found, "You returned the share of its class that was found. Recall@K asks whether any was."
            ),
            "the nearest alone": Misconception(
                lambda q, yq, g, yg, k: float(_in_gallery(q, yq, g, yg, 1).mean()),
                "You looked at the nearest image alone. Any of the first k may be the right one.",
            ),
            "all of them": Misconception(
                lambda q, yq, g, yg, k: float(
                    _hits(_similar(q, g), yq, yg, 0, k).all(1)[_answerable(yq, yg)].double().mean()
                ),
                "You asked for all of the k to be right. Recall@K asks whether any is.",
            ),
            "counted as found": Misconception(
                lambda q, yq, g, yg, k: float(
                    (_in_gallery(q, yq, g, yg, k).sum() + (~_answerable(yq, yg)).sum()) / len(yq)
                ),
                "You counted queries without an answer as found. They are left out.",
            ),
            "a vote": Misconception(_vote, "You let the k vote. Recall@K asks whether any of them is right."),
            "both habits": Misconception(
                lambda q, yq, g, yg, k: float(_in_gallery(q, yq, g, yg, k, first=1).sum() / len(yq)),
                "You dropped the nearest, and divided by all queries. Here is no self-match to drop, and queries "
                "without an answer are left out.",
            ),
            "only the k-th": Misconception(
                lambda q, yq, g, yg, k: float(_in_gallery(q, yq, g, yg, 1, first=k - 1).mean()),
                "You looked at neighbor number k alone. Any of the first k may be the right one.",
            ),
            "among the queries": Misconception(
                _among_queries, "You searched among the queries themselves. They are looked up in the gallery."
            ),
            "by class": Misconception(_by_class, "You averaged within each class first. Every query counts the same."),
            "one too many": Misconception(
                lambda q, yq, g, yg, k: float(_in_gallery(q, yq, g, yg, k + 1).mean()),
                "You looked at k + 1 neighbors, as one does where the query itself is the first. Here it is not there.",
            ),
            "percent": Misconception(
                lambda *a: 100 * float(_in_gallery(*a).mean()), "In percent that is right. Return a fraction."
            ),
        },
    ),
    Exercise(
        "8.2",
        "the planted bug",
        _bug_cases,
        {
            "the bug itself": Misconception(
                _planted,
                "The bug is still there. Where a picture has a copy, which of the two does the sort put first?",
            ),
            "both cures": Misconception(
                lambda x, y: float((y[_ranked(x)[:, 1]] == y).double().mean()),
                "You took the query out, and still looked at the second column: now the nearest is in the first.",
            ),
            "percent": Misconception(lambda x, y: 100 * _mended(x, y), "In percent that is right. Return a fraction."),
            "two others": Misconception(
                _two_others, "You looked at the two nearest others. Recall@1 looks at the nearest one alone."
            ),
            "minus the identity": Misconception(
                lambda x, y: _found(_similar(x, x) - torch.eye(len(x), dtype=x.dtype), y),
                "The query is still there, at similarity 0: where all others are farther than 90 degrees, it wins.",
            ),
            "copies removed": Misconception(
                _twins_out,
                "You removed every copy. A copy of another class is a real and wrong neighbor: only the query goes.",
            ),
            "itself included": Misconception(
                lambda x, y: _found(_similar(x, x), y), "Now nothing is left out: every query finds itself or a copy."
            ),
        },
    ),
    IN_PARTS,
)
