"""The explorer of chapter 03: its pictures and words agree with the formulas."""

import matplotlib

matplotlib.use("agg")
import pytest
import torch
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.chapters.ch03.explorer import CircleExplorer

LABELS = torch.tensor([0, 0, 1, 1])


def test_the_widget_draws_the_packages_similarities_everywhere_on_its_grid():
    explorer = CircleExplorer()
    for name in ("gamma", "margin", "center_1", "image_east"):
        for value in explorer.grid(name, 3):
            explorer.set(**{name: value})
            images, labels, centers = explorer.scene()
            cosine = torch.einsum("nd,ckd->nck", images, centers)
            gamma, margin = explorer.controls["gamma"].value, explorer.controls["margin"].value
            similar = losses.softtriple_similarity(cosine, gamma=gamma)
            drawn = torch.tensor([list(points.get_ydata()) for points in explorer.points]).flatten()
            assert_close(drawn, similar[torch.arange(4), labels], rtol=0, atol=1e-5)
            goals = torch.tensor([segment[0, 1] for segment in explorer.goals.get_segments()], dtype=torch.float32)
            assert_close(goals, similar[torch.arange(4), 1 - labels] + margin, rtol=0, atol=1e-5)
            for curve in explorer.curves:
                assert abs(curve.get_ydata()).max() <= 1 + 1e-6
            value = losses.margin_cross_entropy(similar, labels, scale=20.0, margin=margin)
            assert f"Mean loss {value:.3f} " in explorer.text.value


def test_the_widgets_gradient_is_autograds():
    explorer = CircleExplorer()
    explorer.set(gamma=0.3, margin=0.1)
    degrees = explorer.angles("center")
    turned = torch.deg2rad(degrees).requires_grad_()
    centers = torch.stack([turned.cos(), turned.sin()], -1).view(2, 2, 2)
    similar = losses.softtriple_similarity(torch.einsum("nd,ckd->nck", explorer.scene()[0], centers), gamma=0.3)
    value = losses.margin_cross_entropy(similar, LABELS, scale=20.0, margin=0.1)
    (slope,) = torch.autograd.grad(value, turned)
    found, by_formula = explorer.gradient(degrees)
    assert found == pytest.approx(value.item(), rel=1e-5)
    assert_close(by_formula, slope, rtol=1e-4, atol=1e-5)


def test_steps_of_the_widget_solve_its_start_and_random_starts_are_the_same_again():
    first, second = CircleExplorer(), CircleExplorer()
    before = first.gradient(first.angles("center"))[0]
    for _ in range(10):
        first.buttons["20 steps"].click()
    after = first.gradient(first.angles("center"))[0]
    assert after < 0.1 < before
    assert "4 of 4 images" in first.text.value
    assert first.angles("center").abs().max() <= 180
    first.buttons["random start"].click()
    second.buttons["random start"].click()
    assert first.text.value == second.text.value
