"""Triplet-center: its formula, and the means that have to follow the network."""

import pytest
import torch
from torch.testing import assert_close

from dmlbook import geometry, losses
from dmlbook.training import Features, TrainConfig, fit
from tests import reference
from tests.losses.loss_toys import CLASSES, SIZE, batch


def running(**chosen):
    return losses.TripletCenter(num_classes=CLASSES, embedding_size=SIZE, **chosen).double()


def test_the_exact_centroids_are_the_means_of_the_whole_set():
    x, y = batch(1)
    loss = running()
    loss.recompute(x, y)
    for c in range(CLASSES):
        members = [reference.unit(row) for row, label in zip(x.tolist(), y.tolist(), strict=True) if label == c]
        assert_close(loss.centroids[c], torch.tensor(members, dtype=torch.float64).mean(0), rtol=0, atol=1e-12)
    before = loss.centroids.clone()
    loss.recompute(x[y == 1] * 2 + 1, y[y == 1])
    assert loss.known.all()
    assert_close(loss.centroids[[0, 2, 3]], before[[0, 2, 3]], rtol=0, atol=0)
    assert (loss.centroids[1] - before[1]).norm() > 0.01


def test_a_class_begins_at_its_first_images_and_then_follows_by_the_rule_of_center_loss():
    loss = running(rate=0.5, normalize=False)
    first, second = torch.randn(2, 3, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 0, 1])
    loss(first, labels)
    start = torch.stack([first[:2].mean(0), first[2]])
    assert_close(loss.centroids[:2], start, rtol=0, atol=1e-12)  # the mean already: following moves nothing
    assert loss.known.tolist() == [True, True, False, False]
    loss(second, labels)
    for c, members in ((0, second[:2]), (1, second[2:])):
        step = sum((x - start[c] for x in members), torch.zeros(SIZE, dtype=torch.float64)) / (1 + len(members))
        assert_close(loss.centroids[c], start[c] + 0.5 * step, rtol=0, atol=1e-12)


def test_the_loss_is_taken_before_the_centroids_move():
    x, y = batch(2)
    loss = running()
    loss(x, y)
    before = loss.centroids.clone()
    z, _ = batch(3)
    expected = reference.triplet_center_loss(
        geometry.normalize(z), y, before, margin=1.0, negatives="closest", known=loss.known
    )
    assert float(loss(z, y)) == pytest.approx(expected)
    assert (loss.centroids - before).abs().max() > 1e-3


@pytest.mark.parametrize("still", ["evaluating", "fixed"])
def test_centroids_stand_still_where_they_should(still):
    x, y = batch(2)
    loss = running(update="fixed" if still == "fixed" else "running")
    loss.recompute(x, y)
    if still == "evaluating":
        loss.eval()
    before = loss.centroids.clone()
    loss(batch(3)[0], y)
    assert_close(loss.centroids, before, rtol=0, atol=0)


def test_without_any_centroid_nothing_is_lost_and_from_zeros_nothing_would_move():
    x, y = batch(2)
    loss = running(update="fixed")
    x.requires_grad_()
    value = loss(x, y)
    value.backward()
    assert float(value.detach()) == 0.0
    assert not x.grad.any()
    loss.known |= True  # centroids at 0, as if they had been found: every image is as far from all of them
    x.grad = None
    loss(x, y).backward()
    assert x.grad.norm() < 1e-12


def test_an_active_image_moves_along_the_line_between_two_centroids_wherever_it_stands():
    c = geometry.normalize(torch.randn(CLASSES, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(4)))
    for seed in range(3):
        x = batch(seed, size=1)[0].requires_grad_()
        apart = geometry.squared_distances(x, c)
        value = losses.triplet_center_mean(apart, torch.tensor([0]), margin=9.0)
        (gradient,) = torch.autograd.grad(value, x)
        nearest = 1 + int(apart[0, 1:].argmin())
        assert_close(gradient[0], c[nearest] - c[0], rtol=0, atol=1e-12)


def test_with_the_mean_it_is_linear_in_the_other_centroids_and_not_below_the_closest_form():
    x, y = batch(5)
    c = torch.randn(CLASSES, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    apart = geometry.squared_distances(x, c)
    mean, closest = (losses.triplet_center_mean(apart, y, margin=99.0, negatives=kind) for kind in ("mean", "closest"))
    assert mean < closest
    own = apart.gather(1, y[:, None])[:, 0]
    others = (apart.sum(1) - own) / (CLASSES - 1)
    assert_close(mean, ((own - others) / 2 + 99).mean(), rtol=0, atol=1e-10)


def test_a_stopped_training_goes_on_with_its_centroids(tmp_path):
    """They are saved with the weights: stopped after two epochs and resumed, the end is the same bit for bit."""
    x, y = batch(6, size=40, dtype=torch.float32)
    data = Features(x, y, CLASSES)

    def train(epochs, folder):
        torch.manual_seed(0)
        net, loss = torch.nn.Linear(SIZE, SIZE), losses.TripletCenter(num_classes=CLASSES, embedding_size=SIZE)
        config = TrainConfig(epochs=epochs, batch_size=8, lr=1e-2, freeze_batch_norm=False)
        fit(net, loss, data, config, folder=folder, progress=False)
        return net.weight.detach(), loss.centroids

    train(2, tmp_path)
    resumed, whole = train(4, tmp_path), train(4, None)
    for a, b in zip(resumed, whole, strict=True):
        assert torch.equal(a, b)


@pytest.mark.bad_input
def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"triplet_center_mean: labels must lie in 0..1; got 0..2"):
        losses.triplet_center_mean(torch.zeros(2, 2), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="squared_distances must have 2 columns or more; got 1"):
        losses.triplet_center_mean(torch.zeros(2, 1), torch.tensor([0, 0]))
    with pytest.raises(ValueError, match=r"recompute: labels must lie in 0..3; got 0..9"):
        running().recompute(torch.zeros(2, SIZE), torch.tensor([0, 9]))
