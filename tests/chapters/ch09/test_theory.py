"""Where the loss looks, against a literal loop."""

import math

import pytest
import torch

from dmlbook import losses
from dmlbook.chapters.ch09 import theory
from dmlbook.seeding import SEED, generator


def test_where_the_loss_looks_is_a_loop():
    draw = generator(SEED, "look")
    loss = losses.make(
        *("softtriple",), num_classes=3, embedding_size=5, centers_per_class=4, scale=9.0, gamma=0.3, margin=0.2
    ).double()
    x, label = 3 * torch.randn(5, generator=draw, dtype=torch.float64), 1
    seen = theory.look(loss, x, label)
    assert isinstance(seen, theory.Look)
    unit, w = x / x.norm(), loss.centers.detach()
    s = [[float(unit @ w[c, k]) for k in range(4)] for c in range(3)]
    q = [[math.exp(v / 0.3) / sum(math.exp(u / 0.3) for u in row) for v in row] for row in s]
    of = [sum(a * b for a, b in zip(*both, strict=True)) for both in zip(q, s, strict=True)]
    logits = [9.0 * (v - 0.2 * (c == label)) for c, v in enumerate(of)]
    p = [math.exp(v) / sum(math.exp(u) for u in logits) for v in logits]
    for found, expected in ((seen.similar, s), (seen.weights, q), (seen.classes, of), (seen.probabilities, p)):
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert seen.value == pytest.approx(-math.log(p[label]))
    assert seen.value == pytest.approx(
        float(loss(x[None], torch.tensor([label])).detach()) - loss.tau * float(losses.center_regularizer(w))
    )
    for c in range(3):
        for k in range(4):
            slope = 9.0 * (p[c] - (c == label)) * q[c][k] * (1 + (s[c][k] - of[c]) / 0.3)
            assert float(seen.pulls[c, k]) == pytest.approx(-slope)


def test_a_class_without_centers_cannot_be_looked_at():
    loss = losses.make("softtriple", num_classes=3, embedding_size=5)
    with pytest.raises(ValueError, match="look: labels must"):
        theory.look(loss, torch.ones(5), 3)


def test_structureless_points_have_no_direction_in_common():
    points = theory.structureless(4000, 6, generator=generator(SEED, "cloud"))
    torch.testing.assert_close(points.norm(dim=1), torch.ones(4000))
    assert float(points.mean(0).norm()) < 0.05
    spread = torch.linalg.eigvalsh(points.T @ points / 4000)
    assert float(spread.max() - spread.min()) < 0.03
