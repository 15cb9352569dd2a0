"""Second derivatives, forward mode and vmap: right for every loss, or refused in words."""

import pytest
import torch
from torch.func import grad, hessian, jacfwd, vmap
from torch.testing import assert_close

from dmlbook import geometry, losses
from dmlbook.seeding import generator
from tests.losses.loss_toys import ALL, OPTIONS, batch, build


@pytest.mark.parametrize(("name", "chosen"), ALL)
def test_second_derivatives_pass_gradgradcheck(name, chosen):
    loss = build(name, **chosen)
    x, y = batch(5, size=7)
    given = (x.requires_grad_(), *loss.parameters())
    assert torch.autograd.gradgradcheck(lambda x, *_: loss(x, y), given, atol=1e-5)


@pytest.mark.parametrize(("name", "chosen"), ALL)
def test_forward_mode_finds_the_gradient(name, chosen):
    loss = build(name, **chosen)
    x, y = batch(5, size=7)
    (gradient,) = torch.autograd.grad(loss(x.requires_grad_(), y), x)
    assert gradient.abs().max() > 1e-3
    assert_close(jacfwd(lambda x: loss(x, y))(x.detach()), gradient, rtol=1e-8, atol=1e-10)


def test_distances_have_all_derivatives_in_both_of_their_sets():
    numbers = generator(3, "two sets")
    left, right = (torch.randn(n, 3, generator=numbers, dtype=torch.float64).requires_grad_() for n in (4, 5))
    assert torch.autograd.gradcheck(geometry.distances, (left, right), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(geometry.distances, (left, right))
    assert torch.autograd.gradcheck(geometry.normalize, left, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(geometry.normalize, left)


def test_the_gradient_of_a_step_is_the_exact_one_of_cdist_to_the_last_bit():
    x = torch.randn(30, 8, generator=generator(4, "near"))
    x[1] = x[0] * (1 + 1e-6)  # where differences of products would leave rounding
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    weights = torch.randn(30, 30, generator=generator(4, "weights"))
    (found,) = torch.autograd.grad((geometry.distances(ours, ours) * weights).sum(), ours)
    apart = torch.cdist(theirs, theirs, compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.equal(found, torch.autograd.grad((apart * weights).sum(), theirs)[0])
    (twice,) = torch.autograd.grad((geometry.distances(ours, ours) * weights).sum(), ours, create_graph=True)
    assert_close(twice[2:], found[2:], rtol=1e-4, atol=1e-5)  # of the first two rounding leaves one digit
    assert twice.isfinite().all()


@pytest.mark.parametrize("name", OPTIONS)
def test_second_derivatives_stay_finite_where_points_coincide_and_at_zero(name):
    loss = build(name, **OPTIONS[name][0])
    x, y = batch(5)
    x[1], x[2] = x[0], 0
    (gradient,) = torch.autograd.grad(loss(x.requires_grad_(), y), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    assert second.isfinite().all()


def test_the_hessian_of_a_euclidean_triplet_loss_is_symmetric_and_not_zero():
    loss = build("triplet", distance="euclidean", margin=0.5)
    x, y = batch(6, size=5)
    found = hessian(lambda x: loss(x, y))(x).flatten(2).flatten(0, 1)
    assert_close(found, found.T)
    assert found.abs().max() > 1e-3


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "clustering"])
def test_vmap_over_embeddings_is_the_loop(name):
    loss = build(name, **OPTIONS[name][-1])
    x, y = batch(5, size=7)
    many = torch.stack([x, x.flip(0), x + 1])
    assert_close(vmap(lambda x: loss(x, y))(many), torch.stack([loss(x, y) for x in many]))
    one_by_one = torch.stack([torch.autograd.grad(loss(x, y), x)[0] for x in many.clone().requires_grad_()])
    assert_close(vmap(grad(lambda x: loss(x, y)))(many), one_by_one)


@pytest.mark.bad_input
def test_vmap_is_refused_where_values_decide():
    x, y = batch(5)
    for name in losses.NAMES:
        loss = build(name)
        message = f"^{type(loss).__name__}: labels must be a tensor of one batch; got a batch of them under vmap. Their"
        with pytest.raises(ValueError, match=message):
            vmap(loss)(torch.stack([x, x]), torch.stack([y, y]))
        with pytest.raises(ValueError, match=message):
            vmap(grad(loss))(torch.stack([x, x]), torch.stack([y, y]))
    with pytest.raises(ValueError, match="^FacilityLocation: embeddings must be a tensor of one batch; got a batch of"):
        vmap(lambda x: build("clustering")(x, y))(torch.stack([x, x]))
    with pytest.raises(ValueError, match="pair_masks: labels must be a tensor of one batch"):
        vmap(losses.pair_masks)(torch.stack([y, y]))
