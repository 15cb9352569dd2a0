"""What holds for every loss: it equals its loop, has the right gradient, stays finite, and says what is wrong."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import distances as pml_distances
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from pytorch_metric_learning import reducers as pml_reducers
from torch.overrides import TorchFunctionMode
from torch.testing import assert_close

from dmlbook import geometry, losses
from dmlbook.losses.centers import EPSILON
from dmlbook.seeding import generator
from tests import reference

CLASSES, SIZE = 4, 6
OPTIONS = {
    "triplet": [{}, {"distance": "euclidean", "margin": 0.5}, {"average": "active"}, {"hinge": False, "margin": 0.0}],
    "semihard": [{}, {"margin": 1.0}],
    "softmax": [{}, {"scale": 3.0, "margin": 0.2}],
    "hardtriple": [{"centers_per_class": 3}, {"centers_per_class": 1}],
    "softtriple": [
        {"centers_per_class": 3},
        {"centers_per_class": 1, "gamma": 0.5},
        {"centers_per_class": 3, "similarity": "logsumexp", "tau": 1.0},
    ],
    "centroid_bound": [{}, {"centroids": "simplex"}, {"centroids": "one_hot"}],
}
ALL = [pytest.param(name, chosen, id=f"{name}-{i}") for name in OPTIONS for i, chosen in enumerate(OPTIONS[name])]


def build(name, dtype=torch.float64, **chosen):
    if name in ("softmax", "hardtriple", "softtriple", "centroid_bound"):
        chosen["generator"] = generator(7, name)
    return losses.make(name, num_classes=CLASSES, embedding_size=SIZE, **chosen).to(dtype)


def batch(seed, size=12, dtype=torch.float64):
    numbers = generator(seed, "batch")
    x = torch.randn(size, SIZE, generator=numbers, dtype=torch.float64)
    return x.to(dtype), torch.randint(CLASSES, (size,), generator=numbers)


def by_loop(loss, x, y):
    """The value of a loss by the loops of reference.py."""
    if isinstance(loss, losses.CenterLoss):
        kind = {"NormalizedSoftmax": "hard", "HardTriple": "hard"}.get(type(loss).__name__, "expected")
        kind = getattr(loss, "similarity", kind)
        numbers = {"scale": loss.scale, "margin": loss.margin, "gamma": getattr(loss, "gamma", 1.0)}
        tau = getattr(loss, "tau", 0.0)
        return reference.several_centers_loss(x, y, loss.centers, kind=kind, tau=tau, epsilon=EPSILON, **numbers)
    if isinstance(loss, losses.CentroidBound):
        return reference.centroid_bound_loss(x, y, loss.centroids)
    unit = [reference.unit(row) for row in reference.rows(x)]
    apart = torch.tensor([[reference.distance(a, b) for b in unit] for a in unit], dtype=torch.float64)
    if isinstance(loss, losses.SemiHardLoss):
        return reference.semihard_loss(apart.square(), y, margin=loss.margin)
    apart = apart.square() if loss.distance == "squared" else apart
    return reference.triplet_loss(apart, y, margin=loss.margin, hinge=loss.hinge, average=loss.average)


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
        if name in ("triplet", "semihard"):  # ties are decided by rounding: hand both the same distances
            apart = geometry.squared_distances(geometry.normalize(x), geometry.normalize(x)).round(decimals=6)
            mean = losses.triplet_mean(apart, y, margin=0.2)[0] if name == "triplet" else None
            ours = losses.semihard_mean(apart, y, margin=0.2) if mean is None else mean
            judge = reference.triplet_loss if name == "triplet" else reference.semihard_loss
            assert_close(ours, torch.tensor(judge(apart, y, margin=0.2), dtype=torch.float64), rtol=0, atol=1e-10)
        else:
            assert_close(loss(x, y), torch.tensor(by_loop(loss, x, y), dtype=torch.float64), rtol=0, atol=1e-10)


@pytest.mark.parametrize("margin", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("hinge", [True, False])
def test_triplets_exactly_at_the_margin_are_not_active(margin, hinge):
    """Distances are small whole numbers, so that many triplets lie at the margin without any rounding."""
    apart = torch.randint(4, (10, 10), generator=generator(1, "apart")).double()
    y = torch.arange(10) % 3
    slacks = [float(apart[a, p] - apart[a, n]) + margin for a, p, n in reference.triplets(y)]
    assert slacks.count(0.0) > 20
    mean, active = losses.triplet_mean(apart, y, margin=margin, hinge=hinge)
    expected = reference.triplet_loss(apart, y, margin=margin, hinge=hinge)
    assert_close(mean, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)
    assert float(active) == pytest.approx(sum(slack > 0 for slack in slacks) / len(slacks), abs=1e-12)


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


@pytest.mark.parametrize("name", ["softmax", "hardtriple", "softtriple"])
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
    assert_close(loss(3.0 * x[order], y[order]), loss(x, y), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["softmax", "hardtriple", "softtriple"])
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


def pml_value_and_gradients(theirs, ours, x, y, transfer):
    """Both losses and their gradients in x, on the unit sphere, after our parameters were copied to theirs."""
    with torch.no_grad():
        transfer(theirs, ours)
    found = []
    for loss in (ours, theirs):
        point = x.clone().requires_grad_()
        value = loss(point, y)
        found.append((value, *torch.autograd.grad(value, [point, *loss.parameters()])))
    return found


def test_normalized_softmax_equals_pytorch_metric_learning():
    ours = build("softmax", scale=20.0)
    theirs = pml_losses.NormalizedSoftmaxLoss(CLASSES, SIZE, temperature=1 / 20.0).double()
    x, y = batch(1)
    mine, other = pml_value_and_gradients(theirs, ours, x, y, lambda t, o: t.W.copy_(o.weight[0].T))
    assert_close(mine[0], other[0], rtol=0, atol=1e-10)
    assert_close(mine[1], other[1], rtol=0, atol=1e-10)
    assert_close(mine[2][0].T, other[2], rtol=0, atol=1e-10)


@pytest.mark.parametrize("centers", [1, 3])
def test_softtriple_equals_pytorch_metric_learning(centers):
    ours = build("softtriple", centers_per_class=centers, tau=0.0, gamma=0.1)
    theirs = pml_losses.SoftTripleLoss(CLASSES, SIZE, centers_per_class=centers, la=20, gamma=0.1, margin=0.01).double()
    x, y = batch(2)

    def transfer(theirs, ours):
        theirs.fc.copy_(ours.weight.transpose(0, 1).flatten(0, 1).T)  # (D, C K)

    mine, other = pml_value_and_gradients(theirs, ours, x, y, transfer)
    assert_close(mine[0], other[0], rtol=0, atol=1e-10)
    assert_close(mine[1], other[1], rtol=0, atol=1e-10)
    assert_close(mine[2].transpose(0, 1).flatten(0, 1).T, other[2], rtol=0, atol=1e-10)


@pytest.mark.parametrize("average", ["valid", "active"])
def test_triplet_loss_equals_pytorch_metric_learning(average):
    reducer = pml_reducers.MeanReducer() if average == "valid" else pml_reducers.AvgNonZeroReducer()
    distance = pml_distances.LpDistance(power=1)
    theirs = pml_losses.TripletMarginLoss(margin=0.2, distance=distance, reducer=reducer)
    ours = build("triplet", margin=0.2, distance="euclidean", average=average)
    x, y = batch(3)
    mine, other = pml_value_and_gradients(theirs, ours, x, y, lambda t, o: None)
    assert_close(mine[0], other[0], rtol=0, atol=1e-6)  # theirs takes distances by a matrix product
    assert_close(mine[1], other[1], rtol=0, atol=1e-6)


def test_semihard_takes_semihard_triplets_of_pytorch_metric_learning():
    """Where a semi-hard triplet exists, ours is the one of them with the closest negative."""
    x, y = batch(4, size=20)
    x = geometry.normalize(x)
    miner = pml_miners.TripletMarginMiner(
        margin=10.0, type_of_triplets="semihard", distance=pml_distances.LpDistance(power=2)
    )
    anchor, positive, negative = miner(x, y)
    apart = geometry.squared_distances(x, x)
    positives, negatives = losses.pair_masks(y)
    values = []
    for a, p in positives.nonzero().tolist():
        mined = negative[(anchor == a) & (positive == p)]
        n = mined[apart[a, mined].argmin()] if len(mined) else (apart[a] * negatives[a]).argmax()
        values.append((apart[a, p] - apart[a, n] + 0.2).clamp(min=0))
    assert len(anchor) > 20
    assert_close(losses.semihard_mean(apart, y, margin=0.2), torch.stack(values).mean(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("miner", [pml_miners.TripletMarginMiner(0.8), pml_miners.BatchHardMiner()])
@pytest.mark.parametrize(
    ("chosen", "kept"), [({}, "hinge"), ({"hinge": False}, "all"), ({"average": "active"}, "active")]
)
def test_triplet_loss_averages_over_what_a_miner_found(miner, chosen, kept):
    x, y = batch(5)
    found = miner(x, y)
    ours = build("triplet", margin=0.1, distance="euclidean", **chosen)
    unit = [reference.unit(row) for row in x.tolist()]
    slacks = [
        reference.distance(unit[a], unit[p]) - reference.distance(unit[a], unit[n]) + 0.1
        for a, p, n in torch.stack(found, 1).tolist()
    ]
    assert len(slacks) > 3
    assert isinstance(miner, pml_miners.BatchHardMiner) or min(slacks) < 0 < max(slacks)
    values = {
        "all": slacks,
        "hinge": [max(slack, 0.0) for slack in slacks],
        "active": [slack for slack in slacks if slack > 0],
    }
    expected = torch.tensor(reference.mean(values[kept]), dtype=torch.float64)
    assert_close(ours(x, y, found), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("average", ["valid", "active"])
def test_a_miner_that_found_nothing_leaves_a_loss_of_zero(average):
    x, y = batch(5)
    nothing = torch.zeros(0, dtype=torch.long)
    assert_close(build("triplet", average=average)(x, y, (nothing,) * 3), x.new_zeros(()), rtol=0, atol=0)


def test_a_miner_of_pairs_is_joined_at_the_anchors():
    x, y = batch(5)
    anchor, other = losses.pair_masks(y)[0].nonzero(as_tuple=True)
    enemy_of, enemy = losses.pair_masks(y)[1].nonzero(as_tuple=True)
    loss = build("triplet")
    assert_close(loss(x, y, (anchor, other, enemy_of, enemy)), loss(x, y), rtol=0, atol=1e-12)


def test_no_loss_keeps_a_graph_of_cubic_or_class_squared_size():
    """The largest tensor made or kept for the backward pass: quadratic in the batch, linear in the classes."""

    class Largest(TorchFunctionMode):
        size = 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for found in result if isinstance(result, (tuple, list)) else [result]:
                self.see(found)
            return result

        def see(self, found):
            if isinstance(found, torch.Tensor):
                self.size = max(self.size, found.numel())
            return found

    many, per_class = 500, 4
    x = torch.randn(64, SIZE, generator=generator(1, "x")).requires_grad_()
    y = torch.arange(64) % 16
    for name, bound in {"triplet": 65 * 64, "semihard": 65 * 64, "softtriple": 64 * many * per_class}.items():
        loss = losses.make(
            name, num_classes=many, embedding_size=SIZE, **({"centers_per_class": 4} if bound > 1e5 else {})
        )
        with Largest() as largest, torch.autograd.graph.saved_tensors_hooks(largest.see, lambda kept: kept):
            loss(x, y).backward()
        assert 64 * 64 <= largest.size <= bound, name  # (C K)^2 would be 4,000,000, and B^3 262,144


BAD_CALLS = [
    (lambda loss, x, y: loss(x[0], y), r"embeddings must be a tensor of shape \(B, D\); got shape \(6,\)"),
    (lambda loss, x, y: loss(x, y[:5]), "labels must be as many as the embeddings; got 12 embeddings and 5 labels"),
    (lambda loss, x, y: loss(x, y.double()), "labels must be integers; got torch.float64"),
    (lambda loss, x, y: loss(x, y > 1), "labels must be integers; got torch.bool. Number the classes"),
    (
        lambda loss, x, y: loss(x, y.to("meta")),
        "labels must be on the embeddings' device; got embeddings on cpu and labels on meta",
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
@pytest.mark.parametrize("name", ["softmax", "hardtriple", "softtriple", "centroid_bound"])
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
    with pytest.raises(ValueError, match="indices_tuple must be None; got tuple. This loss samples nothing"):
        loss(x, y, (y, y, y))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("name", "chosen", "message"),
    [
        ("softriple", {}, "name must be one of .*got 'softriple'. Did you mean 'softtriple'"),
        ("softtriple", {"lambda_": 3}, "options must be among those of softtriple: centers_per_class, scale, gamma"),
        ("softtriple", {"gamma": 0.0}, "SoftTriple: gamma must be a finite number > 0; got 0.0"),
        ("softtriple", {"gamma": float("nan")}, "gamma must be a finite number > 0; got nan"),
        ("softtriple", {"scale": -1}, "scale must be a finite number > 0; got -1"),
        ("softtriple", {"tau": -0.1}, "tau must be a finite number >= 0; got -0.1"),
        ("softtriple", {"margin": "wide"}, "margin must be a finite number; got 'wide'"),
        ("softtriple", {"centers_per_class": 2.0}, "centers_per_class must be an integer >= 1; got 2.0"),
        ("softtriple", {"similarity": "max"}, "similarity must be one of 'expected', 'logsumexp'; got 'max'"),
        ("softmax", {"scale": 0}, "NormalizedSoftmax: scale must be a finite number > 0; got 0"),
        ("triplet", {"margin": -1.0}, "TripletLoss: margin must be a finite number >= 0; got -1.0"),
        ("triplet", {"distance": "cosine"}, "distance must be one of 'squared', 'euclidean'; got 'cosine'"),
        ("triplet", {"hinge": False, "average": "active"}, 'average must be "valid" without a hinge; got active'),
        ("semihard", {"margin": float("inf")}, "SemiHardLoss: margin must be a finite number >= 0; got inf"),
        ("centroid_bound", {"centroids": "random"}, "centroids must be one of 'simplex', 'one_hot', 'kmeans'"),
        ("centroid_bound", {"class_counts": torch.tensor([3, 0, 2, 2])}, "class_counts must be at least 1; got 0"),
        ("centroid_bound", {"class_counts": torch.tensor([3, 2])}, r"class_counts must be a tensor of shape \(4,\)"),
    ],
)
def test_bad_options_are_named(name, chosen, message):
    with pytest.raises(ValueError, match=message):
        losses.make(name, num_classes=CLASSES, embedding_size=SIZE, **chosen)


@pytest.mark.bad_input
@pytest.mark.parametrize("name", ["softmax", "hardtriple", "softtriple", "centroid_bound"])
def test_one_class_is_too_few_to_tell_apart(name):
    with pytest.raises(ValueError, match="num_classes must be an integer >= 2; got 1"):
        losses.make(name, num_classes=1, embedding_size=SIZE)


@pytest.mark.bad_input
@pytest.mark.parametrize("function", [losses.triplet_mean, losses.semihard_mean])
@pytest.mark.parametrize(
    ("shape", "labels", "margin", "message"),
    [
        ((3, 3), 2, 0.2, "labels must be as many as the rows of distances; got 2 labels for 3 rows"),
        ((3, 4), 3, 0.2, r"distances must be a tensor of shape \(B, B\); got shape \(3, 4\)"),
        ((3, 3), 3, float("nan"), "margin must be a finite number.*; got nan"),
    ],
)
def test_distances_and_labels_that_do_not_fit_are_named(function, shape, labels, margin, message):
    with pytest.raises(ValueError, match=f"^{function.__name__}: {message}"):
        function(torch.ones(shape), torch.arange(labels), margin=margin)


@pytest.mark.bad_input
def test_a_negative_margin_is_no_semihard_margin():
    with pytest.raises(ValueError, match="semihard_mean: margin must be a finite number >= 0; got -0.1"):
        losses.semihard_mean(torch.ones(3, 3), torch.arange(3), margin=-0.1)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("simplex", 98, "simplex: dimension must be at least num_classes - 1 = 99; got 98. Raise the dimension, or"),
        ("one_hot", 99, "one_hot: dimension must be at least num_classes = 100; got 99. Raise the dimension, or"),
    ],
)
def test_centroids_that_need_more_dimensions_say_so(kind, size, message):
    with pytest.raises(ValueError, match=message):
        losses.make("centroid_bound", num_classes=100, embedding_size=size, centroids=kind)


def test_options_lists_the_papers_defaults():
    several = {"centers_per_class": 10, "scale": 20.0, "margin": 0.01, "generator": None}
    assert {name: losses.options(name) for name in losses.NAMES} == {
        "triplet": {"margin": 0.2, "distance": "squared", "hinge": True, "average": "valid", "normalize": True},
        "semihard": {"margin": 0.2, "normalize": True},
        "softmax": {"scale": 20.0, "margin": 0.0, "generator": None},
        "hardtriple": {**several, "tau": 0.0},
        "softtriple": {**several, "gamma": 0.1, "tau": 0.2, "similarity": "expected"},
        "centroid_bound": {"centroids": "kmeans", "class_counts": None, "normalize": True, "generator": None},
    }


def test_functions_have_the_defaults_of_their_classes():
    x, y = batch(1)
    apart = geometry.squared_distances(x, x) / 9
    assert_close(losses.semihard_mean(apart, y), losses.semihard_mean(apart, y, margin=0.2), rtol=0, atol=0)
    assert_close(losses.triplet_mean(apart, y), losses.triplet_mean(apart, y, margin=0.0, hinge=True), rtol=0, atol=0)
    expected = losses.margin_cross_entropy(apart, y, scale=20.0, margin=0.0)
    assert_close(losses.margin_cross_entropy(apart, y), expected, rtol=0, atol=0)


@pytest.mark.bad_input
def test_options_of_an_unknown_loss_are_refused_with_the_near_name():
    with pytest.raises(ValueError, match=r"losses.options: name must be one of .*Did you mean 'softmax'"):
        losses.options("softmx")


def test_valid_triplets_are_those_of_the_loop_and_are_counted_without_being_listed():
    _, y = batch(11)
    listed = [tuple(triplet) for triplet in losses.valid_triplets(y).nonzero().tolist()]
    assert listed == reference.triplets(y)
    assert losses.count_triplets(y) == len(listed) > 50
