"""Sub-center ArcFace: HardTriple whose margin is an angle."""

import math

import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from torch.testing import assert_close

from dmlbook import losses
from tests.losses.loss_toys import CLASSES, SIZE, batch, build, pml_value_and_gradients


def to_theirs(theirs, ours):
    theirs.W.copy_(ours.centers.flatten(0, 1).T)


@pytest.mark.parametrize(("scale", "margin"), [(64.0, 0.5), (10.0, 1.4), (5.0, 0.0)])
def test_it_equals_pytorch_metric_learning(scale, margin):
    ours = build("subcenter_arcface", scale=scale, margin=margin)
    with torch.no_grad():  # unit weights, whose gradient is not rescaled
        ours.weight.copy_(torch.nn.functional.normalize(ours.weight, dim=-1))
    theirs = pml_losses.SubCenterArcFaceLoss(
        num_classes=CLASSES, embedding_size=SIZE, margin=math.degrees(margin), scale=scale, sub_centers=3
    ).double()
    mine, other = pml_value_and_gradients(theirs, ours, *batch(1), to_theirs)
    assert_close(mine[0], other[0], rtol=0, atol=1e-6)
    assert_close(mine[1], other[1], rtol=0, atol=1e-5)
    assert_close(mine[2].transpose(0, 1).flatten(0, 1).T, other[2], rtol=0, atol=1e-5)


def test_without_its_margin_it_is_hardtriple_without_its_own():
    arcface = build("subcenter_arcface", scale=20.0, margin=0.0)
    hard = build("hardtriple", centers_per_class=3, scale=20.0, margin=0.0)
    with torch.no_grad():
        hard.weight.copy_(arcface.weight)
    assert_close(arcface(*batch(2)), hard(*batch(2)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.5])
def test_the_margin_turns_the_image_away_until_it_is_opposite(margin):
    angles = torch.linspace(0.01, math.pi - 0.01, 200, dtype=torch.float64)
    label = torch.zeros(len(angles)).long()
    moved = losses.angular_margin(angles.cos()[:, None].expand(-1, 2), label, margin=margin)
    expected = [
        math.cos(t + margin) if t <= math.pi - margin else math.cos(t) - margin * math.sin(margin)
        for t in angles.tolist()
    ]
    assert_close(moved[:, 0], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)
    assert_close(moved[:, 1], angles.cos(), rtol=0, atol=0)  # other classes are as they were


def test_beyond_pi_the_margin_does_not_turn_into_a_bonus():
    """Without the last case an opposite image would have cos(pi + m) > -1, and cost less than one a little nearer."""
    similarities = torch.tensor([[-1.0, 0.0], [-0.9, 0.0]], dtype=torch.float64)
    opposite, nearer = losses.angular_margin(similarities, torch.zeros(2).long(), margin=0.5)[:, 0].tolist()
    assert opposite < -1
    assert opposite < nearer


def test_the_slope_is_finite_where_image_and_center_coincide():
    similarities = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    value = losses.angular_margin(similarities, torch.zeros(2).long(), margin=0.5).sum()
    (gradient,) = torch.autograd.grad(value, similarities)
    assert torch.isfinite(gradient).all()


def test_only_the_winning_center_of_a_class_moves():
    loss = build("subcenter_arcface", scale=8.0)
    x, y = batch(4, size=1)
    (gradient,) = torch.autograd.grad(loss(x, y), loss.weight)
    assert (gradient.norm(dim=-1) > 0).sum(0).tolist() == [1] * CLASSES


@pytest.mark.bad_input
def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"angular_margin: labels must lie in 0..1; got 0..2"):
        losses.angular_margin(torch.zeros(2, 2), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="margin must be a finite number >= 0 and <= 1.5708; got 30"):
        losses.angular_margin(torch.zeros(2, 2), torch.tensor([0, 1]), margin=30)
