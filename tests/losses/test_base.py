"""What holds for every loss: it equals its loop, has the right gradient, stays finite, and says what is wrong."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from dmlbook import geometry, losses
from dmlbook.seeding import generator
from tests import reference
from tests.largest import LargestGiven
from tests.losses.loss_toys import (
    ALL,
    CLASSES,
    KNOW_CLASSES,
    LEARNED,
    OPTIONS,
    SIZE,
    batch,
    build,
    by_loop,
)


class Spread(losses.Loss):
    """A loss of one's own: minus the mean squared length; with a miner's triplets, how many there are."""

    compares_images = True
    embedding_size = SIZE

    def compute(self, embeddings, labels, references=None, mined=None):
        if mined is not None:
            return embeddings.new_tensor(float(len(mined[0])))
        return -embeddings.square().sum(1).mean()


def test_a_loss_of_ones_own_writes_compute_and_gets_the_checks_and_the_precision():
    x, y = batch(0, dtype=torch.bfloat16)
    value = Spread()(x, y)
    assert value.dtype == torch.float32
    expected = -reference.mean(reference.dot(row, row) for row in reference.rows(x))
    assert_close(value, torch.tensor(expected, dtype=torch.float32))
    assert Spread()(x, y, (y[:5],) * 3).item() == 5
    with pytest.raises(ValueError, match="^Spread: embeddings must have embedding_size = 6 columns; got 5"):
        Spread()(x[:, :5].contiguous(), y)
    with pytest.raises(NotImplementedError):
        losses.Loss().compute(x, y)


@pytest.mark.parametrize(
    ("name", "chosen", "said"),
    [
        ("triplet", {"margin": 0.5}, "margin=0.5, distance=squared, hinge=True, average=valid"),
        ("semihard", {"margin": 0.3}, "margin=0.3"),
        ("softmax", {}, "num_classes=4, centers_per_class=1, embedding_size=6"),
        ("softtriple", {"centers_per_class": 3}, "num_classes=4, centers_per_class=3, embedding_size=6"),
        ("centroid_bound", {"centroids": "one_hot"}, "num_classes=4, embedding_size=6, centroids=one_hot"),
    ],
)
def test_a_loss_shows_its_sizes_or_options_when_printed(name, chosen, said):
    loss = build(name, **chosen)
    assert loss.extra_repr() == said
    assert f"({said})" in str(loss)


def test_every_name_is_tried_here():
    assert set(OPTIONS) == set(losses.NAMES)


@pytest.mark.parametrize(("name", "chosen"), ALL)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("seed", range(3))
def test_loss_equals_its_loop(name, chosen, dtype, tolerance, seed):
    loss = build(name, dtype, **chosen)
    x, y = batch(seed, dtype=dtype)
    expected = torch.tensor(by_loop(loss, x, y), dtype=dtype)
    assert expected.abs() > 1e-3  # a comparison with 0 would show little
    assert_close(loss(x, y), expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    y=st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=9),
    digits=st.lists(st.integers(-2, 2), min_size=9 * SIZE, max_size=9 * SIZE),
)
def test_loss_equals_its_loop_on_ties_copies_and_lone_classes(y, digits):
    x = torch.tensor(digits, dtype=torch.float64).view(9, SIZE)[: len(y)]
    x[:, 0] += 0.5  # no row is 0
    y = torch.tensor(y)
    for name, options in OPTIONS.items():
        loss = build(name, **options[0])
        if name == "clustering":  # of two sets that score alike either may be found: see test_facility_location
            assert loss(x, y) >= 0
        elif name in ("triplet", "semihard"):  # ties are decided by rounding: hand both the same distances
            apart = geometry.squared_distances(geometry.normalize(x), geometry.normalize(x)).round(decimals=6)
            mean = losses.triplet_mean(apart, y, margin=0.2)[0] if name == "triplet" else None
            ours = losses.semihard_mean(apart, y, margin=0.2) if mean is None else mean
            judge = reference.triplet_loss if name == "triplet" else reference.semihard_loss
            assert_close(ours, torch.tensor(judge(apart, y, margin=0.2), dtype=torch.float64), rtol=0, atol=1e-10)
        else:
            assert_close(loss(x, y), torch.tensor(by_loop(loss, x, y), dtype=torch.float64), rtol=0, atol=1e-10)


def test_without_normalization_a_loss_sees_the_length_of_embeddings():
    x, y = batch(2)
    apart = torch.tensor([[reference.distance(a, b) for b in x.tolist()] for a in x.tolist()], dtype=torch.float64)
    expected = {
        "triplet": reference.triplet_loss(apart.square(), y, margin=0.2),
        "semihard": reference.semihard_loss(apart.square(), y, margin=0.2),
    }
    for name, value in expected.items():
        assert float(build(name, normalize=False)(x, y)) == pytest.approx(value, abs=1e-10)
    loss = build("centroid_bound", normalize=False)
    terms = losses.centroid_terms(geometry.distances(x, loss.centroids), y)
    assert_close(loss(x, y), terms.mean(), rtol=0, atol=1e-12)
    assert (loss(x, y) - build("centroid_bound")(x, y)).abs() > 0.1


@pytest.mark.parametrize(("name", "chosen"), ALL)
def test_gradients_pass_gradcheck(name, chosen):
    loss = build(name, **chosen)
    x, y = batch(5, size=7)
    x.requires_grad_()
    parameters = tuple(loss.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: loss(x, y), (x, *parameters), atol=1e-6)


def hard_cases():
    """Embeddings and labels that break careless code, by name."""
    x, y = batch(9)
    one = torch.zeros(12, dtype=torch.long)
    return {
        "all embeddings are one": (x[:1].expand(12, SIZE), y),
        "pairs coincide": (x[:6].repeat(2, 1), y[:6].repeat(2)),
        "opposite points": (torch.cat([x[:6], -x[:6]]), y),
        "one class only": (x, one),
        "each class once": (x[:CLASSES], torch.arange(CLASSES)),
        "a batch of one": (x[:1], y[:1]),
        "a class has one sample": (x, torch.cat([one[:11], one[:1] + 1])),
        "tiny": (x * 1e-6, y),
        "huge": (x * 1e6, y),
    }


@pytest.mark.parametrize("case", hard_cases())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "chosen"), ALL)
def test_value_and_gradient_stay_finite(name, chosen, dtype, case):
    loss = build(name, dtype, **chosen)
    x, y = hard_cases()[case]
    x = x.to(dtype).clone().requires_grad_()
    with torch.no_grad():
        for weight in loss.parameters():  # all centers of a class coincide, and one of them is at an embedding
            weight[:] = weight[:1]
            weight[:, 0] = x[0]
    value = loss(x, y)
    gradients = torch.autograd.grad(value, [x, *loss.parameters()], allow_unused=True)
    assert torch.isfinite(value)
    assert all(torch.isfinite(g).all() for g in gradients if g is not None)


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("scale", [1.0, 200.0, 1000.0])
def test_large_scales_stay_finite_and_right(name, scale):
    loss = build(name, torch.float32, scale=scale)
    x, y = batch(3, dtype=torch.float32)
    x.requires_grad_()
    value = loss(x, y)
    value.backward()
    assert_close(value, torch.tensor(by_loop(loss, x, y), dtype=torch.float32), rtol=1e-5, atol=scale * 1e-6)
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(("name", "chosen"), ALL)
def test_autocast_and_half_precision_compute_in_float32(name, chosen):
    loss = build(name, torch.float32, **chosen)
    x, y = batch(4, dtype=torch.bfloat16)
    expected = loss(x.float(), y)
    x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(x, y)
    value.backward()
    assert value.dtype == torch.float32
    assert_close(value, expected, rtol=0, atol=0)
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("width", [torch.int8, torch.uint8, torch.int16, torch.int32])
@pytest.mark.parametrize("name", losses.NAMES)
def test_labels_may_be_integers_of_any_width(name, width):
    x, y = batch(4)
    assert_close(build(name)(x, y.to(width)), build(name)(x, y), rtol=0, atol=0)


@pytest.mark.parametrize("width", [torch.int8, torch.uint8, torch.int32])
def test_formulas_take_labels_of_any_width_too(width):
    x, y = batch(4)
    square, wide, centers = geometry.distances(x, x), x[:, :CLASSES].abs(), build("softtriple").centers
    for formula, table in {
        losses.triplet_mean: square,
        losses.semihard_mean: square,
        losses.triplet_sum: square,
        losses.triplet_kinds: square,
        losses.lifted_mean: square,
        losses.clustering_gap: square,
        losses.margin_cross_entropy: wide,
        losses.proxy_nca_mean: wide,
        losses.proxy_anchor_loss: wide,
        losses.triplet_center_mean: wide,
        losses.angular_margin: wide / 9,
        losses.centroid_terms: wide,
        losses.centroid_bound_sum: wide,
    }.items():
        assert_close(formula(table, y.to(width)), formula(table, y), rtol=0, atol=0)
    assert torch.equal(losses.assigned_centers(x, y.to(width), centers), losses.assigned_centers(x, y, centers))
    assert losses.count_triplets(y.to(width)) == losses.count_triplets(y)


@pytest.mark.parametrize(("name", "chosen"), ALL)
def test_a_rotation_of_everything_changes_nothing(name, chosen):
    loss = build(name, **chosen)
    x, y = batch(6)
    before = loss(x, y)
    turn = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=generator(1, "turn"), dtype=torch.float64)).Q
    with torch.no_grad():
        for points in itertools.chain(loss.parameters(), (b for n, b in loss.named_buffers() if n == "centroids")):
            points.copy_(points @ turn)
    assert_close(loss(x @ turn, y), before, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "chosen"), ALL)
def test_the_order_of_images_and_the_length_of_embeddings_change_nothing(name, chosen):
    loss = build(name, **chosen)
    x, y = batch(8)
    order = torch.randperm(len(x), generator=generator(2, "order"))
    if name == "npairs":  # whose pairs are the first two images of a class
        order = torch.cat([order[y[order] == c].sort().values for c in (2, 0, 3, 1)])
    times = 3.0 if getattr(loss, "normalize", True) else 1.0
    assert_close(loss(times * x[order], y[order]), loss(x, y), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LEARNED)
def test_relabelling_images_and_centers_alike_changes_nothing(name):
    loss = build(name)
    x, y = batch(8)
    before = loss(x, y)
    order = torch.tensor([2, 0, 3, 1])  # the new class c is the old class order[c]
    with torch.no_grad():
        loss.weight.copy_(loss.weight[:, order])
    assert_close(loss(x, order.argsort()[y]), before, rtol=0, atol=1e-12)


def test_centers_start_uniform_around_zero_and_smaller_the_more_there_are():
    """As in SoftTriple's official code: an optimizer's step turns short centers farther than long ones."""
    weight = losses.SoftTriple(num_classes=25, embedding_size=8, centers_per_class=4, generator=generator(1)).weight
    ends = torch.stack([weight.detach().amin(), weight.detach().amax()])
    assert_close(ends, torch.tensor([-0.1, 0.1]), rtol=0, atol=2e-3)  # 1 / sqrt(25 * 4)
    assert ends.abs().max() <= 0.1


def test_centers_are_the_directions_of_the_weights():
    loss = build("softtriple", centers_per_class=3)
    directions = [[reference.unit(row) for row in of_class] for of_class in reference.rows(loss.weight.transpose(0, 1))]
    assert_close(loss.centers, torch.tensor(directions, dtype=torch.float64))


def test_no_loss_keeps_a_graph_of_cubic_or_class_squared_size():
    """The largest tensor made or kept for the backward pass: quadratic in the batch, linear in the classes."""

    many, per_class = 500, 4
    x = torch.randn(64, SIZE, generator=generator(1, "x")).requires_grad_()
    y = torch.arange(64) % 16
    of_pairs, of_classes, of_centers = 65 * 64, 65 * many, 64 * many * per_class
    bounds = dict.fromkeys(("triplet", "semihard", "lifted", "npairs"), of_pairs)
    bounds |= dict.fromkeys(("proxy_nca", "triplet_center", "softmax", "centroid_bound", "proxy_anchor"), of_classes)
    bounds |= dict.fromkeys(("hardtriple", "softtriple", "subcenter_arcface"), of_centers)
    bounds["clustering"] = 64 * 64 * 16  # B^2 M for the M = 16 classes of the batch
    assert bounds.keys() == set(losses.NAMES)
    for name, bound in bounds.items():
        several = {"centers_per_class": per_class} if bound == of_centers else {}
        loss = losses.make(name, num_classes=many, embedding_size=SIZE, **several)
        with LargestGiven() as largest, torch.autograd.graph.saved_tensors_hooks(largest.see, lambda kept: kept):
            loss(x, y).backward()
        assert min(bound, 64 * 64) // 16 <= largest.size <= bound, name  # (C K)^2 would be 4,000,000, and B^3 262,144


BAD_CALLS = [
    (lambda loss, x, y: loss(x[0], y), r"embeddings must be a tensor of shape \(B, D\); got shape \(6,\)"),
    (lambda loss, x, y: loss(x, y[:5]), "labels must be as many as the embeddings; got 12 embeddings and 5 labels"),
    (lambda loss, x, y: loss(x, y.double()), "labels must be integers; got torch.float64"),
    (lambda loss, x, y: loss(x, y > 1), "labels must be integers; got torch.bool. Number the classes"),
    (
        lambda loss, x, y: loss(x, y.to("meta")),
        "labels must hold its values, densely; got a tensor on meta",
    ),
    (lambda loss, x, y: loss(x.long(), y), "embeddings must be floating point; got torch.int64"),
    (lambda loss, x, y: loss(x[:0], y[:0]), "embeddings must hold at least one row; got none"),
    (lambda loss, x, y: loss(x.tolist(), y), r"embeddings must be a tensor of shape \(B, D\); got list"),
]


@pytest.mark.bad_input
@pytest.mark.parametrize("name", losses.NAMES)
@pytest.mark.parametrize(("call", "message"), BAD_CALLS)
def test_bad_batches_are_named(name, call, message):
    loss = build(name)
    with pytest.raises(ValueError, match=f"^{type(loss).__name__}: {message}"):
        call(loss, *batch(0))


@pytest.mark.bad_input
@pytest.mark.parametrize("name", KNOW_CLASSES)
def test_losses_that_know_their_classes_name_what_does_not_fit(name):
    loss = build(name)
    x, y = batch(0)
    with pytest.raises(ValueError, match=r"labels must lie in 0..3; got \d..9. Number the training classes from 0"):
        loss(x, torch.cat([y[:-1], torch.tensor([9])]))
    with pytest.raises(ValueError, match=r"labels must lie in 0..3; got -1..3"):
        loss(x, torch.cat([y[:-2], torch.tensor([-1, 3])]))
    with pytest.raises(ValueError, match=r"labels must lie in 0..3; got \d..4"):
        loss(x, torch.cat([y[:-1], torch.tensor([4])]))
    with pytest.raises(ValueError, match="embeddings must have embedding_size = 6 columns; got 5"):
        loss(x[:, :5], y)
    with pytest.raises(ValueError, match="embeddings must have embedding_size = 6 columns; got 12"):
        loss(torch.cat([x, x], 1), y)
    with pytest.raises(ValueError, match="indices_tuple must be None; got tuple. It compares images with cent"):
        loss(x, y, (y, y, y))
