"""The attack on the theorem of chapter 02: its five points are what they say, and its ends are the exact bound."""

import math

import pytest
import torch

from dmlbook.chapters.ch02 import attack, theory
from dmlbook.seeding import generator


def free_vectors(searches=50, size=3):
    return torch.randn(5, searches, size, generator=generator(3, "free"), dtype=torch.float64)


@pytest.mark.parametrize("eps", [0.0, 0.3, 1.0, 2.0])
def test_five_points_lie_on_the_sphere_and_two_at_their_distance(eps):
    x, own, other, near_own, near_other = points = attack.five_points(free_vectors(), eps)
    for vectors in points:
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(50, dtype=torch.float64))
    for example, center in ((near_own, own), (near_other, other)):
        distances = (example - center).norm(dim=1)
        torch.testing.assert_close(distances, torch.full_like(distances, eps), rtol=1e-9, atol=1e-7)
    first = free_vectors()[0]
    torch.testing.assert_close(x, first / first.norm(dim=1, keepdim=True))


def test_the_search_for_weights_ends_at_their_maximum_and_knows_its_conditions():
    for scale in (0.5, 5.0):
        value, u = attack.best_weights(torch.tensor([0.0, 0.16, -0.2, 0.1]), scale=scale)
        powers = [math.exp(scale * v) for v in (0.0, 0.16, -0.2, 0.1)]
        assert value == pytest.approx(math.log(sum(powers)), abs=1e-7)
        assert u.tolist() == pytest.approx([power / sum(powers) for power in powers], abs=1e-3)
        assert float(u.sum()) == pytest.approx(1)
        assert bool((u >= 0).all())
    with pytest.raises(ValueError, match="violations"):
        attack.best_weights(torch.tensor([]), scale=1.0)


def test_margin_and_gap_are_differences_of_cosines():
    five = attack.five_points(free_vectors(), 0.4)
    margin, gap = attack.measure(*five)
    for n in range(0, 50, 7):
        x, own, other, near_own, near_other = ([float(value) for value in vectors[n]] for vectors in five)
        for found, first, second in ((margin, own, other), (gap, near_own, near_other)):
            expected = sum(a * (b - c) for a, b, c in zip(x, first, second, strict=True))
            assert float(found[n]) == pytest.approx(expected, abs=1e-12)


def test_the_search_comes_down_to_the_bound_and_never_below():
    (margin_0, gap_0), (margin, gap) = attack.attack(4, 0.3, searches=64)
    slack_0, slack = gap_0 - margin_0 + 0.6, gap - margin + 0.6
    assert float(slack_0.min()) > 0.05
    assert -1e-12 < float(slack.min()) < 1e-9
    assert float(slack.median()) < 1e-6


def test_a_longer_image_breaks_the_theorem():
    _, (margin, gap) = attack.attack(4, 0.3, length=2.0, searches=16)
    assert float((gap - margin + 0.6).min()) < -0.5


def test_each_price_leads_to_the_margin_where_the_exact_bound_has_that_slope():
    margins = torch.tensor([0.0, 0.9, 1.6], dtype=torch.float64)
    turn = 2 * math.asin(0.3 / 2)
    prices = math.cos(turn) + torch.tan(torch.asin(margins / 2)) * math.sin(turn)
    _, (margin, gap) = attack.attack(4, 0.3, price=prices.repeat(4), searches=12, steps=400)
    torch.testing.assert_close(margin, margins.repeat(4), rtol=1e-3, atol=1e-3)
    exact = theory.sharp_example_margin(margin, torch.full_like(margin, 0.3))
    torch.testing.assert_close(gap, exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("delta", [-1.0, 0.0, 0.3, 1.9])
@pytest.mark.parametrize("eps", [0.1, 1.0])
def test_the_tight_case_reaches_the_exact_bound(delta, eps):
    five = attack.tight_case(delta, eps)
    _, own, other, near_own, near_other = five
    assert [float(point.norm()) for point in five] == pytest.approx([1.0] * 5)
    assert float((near_own - own).norm()) == pytest.approx(eps)
    assert float((near_other - other).norm()) == pytest.approx(eps)
    torch.testing.assert_close(own, -other)
    margin, gap = attack.measure(*five)
    assert float(margin) == pytest.approx(delta, abs=1e-12)
    angle = math.asin(delta / 2) - 2 * math.asin(eps / 2)
    assert float(gap) == pytest.approx(2 * math.sin(angle), abs=1e-12)


@pytest.mark.bad_input
def test_bad_input_is_named():
    bad = [
        (lambda: attack.five_points(torch.randn(5, 3, 1), 0.3), "five_points: free must have two dimensions or more"),
        (lambda: attack.five_points(torch.randn(4, 3, 2), 0.3), "five_points: free must be a tensor of shape"),
        (lambda: attack.attack(1, 0.3), "attack: dimension must be an integer >= 2"),
        (lambda: attack.attack(2, 3.0), "attack: eps must be a finite number >= 0 and <= 2"),
        (lambda: attack.attack(2, 0.3, price=torch.ones(3)), "attack: price must be one, or one for each of 256"),
        (lambda: attack.tight_case(3.0, 0.3), "tight_case: delta must be"),
    ]
    for call, message in bad:
        with pytest.raises(ValueError, match=message):
            call()
