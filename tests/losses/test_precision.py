"""Narrow labels, half precision, TF32, rows of any length: the values are exact arithmetic's, or not a number."""

import math

import pytest
import torch
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from dmlbook import geometry, losses
from dmlbook.seeding import generator
from tests import reference
from tests.losses.loss_toys import ALL, CLASSES, LEARNED, SIZE, batch, build, by_loop

HALVES = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize("width", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16])
@pytest.mark.parametrize("name", losses.NAMES)
def test_labels_beyond_what_a_byte_can_count_are_right_in_every_width(name, width):
    """120 classes of 20 images and numbers up to 119: products of two of them overflow int8 and uint8."""
    numbers = generator(1, "many")
    x, y = torch.randn(140, SIZE, generator=numbers, dtype=torch.float64), torch.randint(120, (140,), generator=numbers)
    options = {"rounds": 0} if name == "clustering" else {}
    if name == "centroid_bound":
        options["class_counts"] = (torch.arange(120) % 100 + 1).to(width)
    loss = losses.make(name, num_classes=120, embedding_size=SIZE, **options).double()
    wide = losses.make(
        name,
        num_classes=120,
        embedding_size=SIZE,
        **options | ({"class_counts": torch.arange(120) % 100 + 1} if name == "centroid_bound" else {}),
    ).double()
    assert_close(loss(x, y.to(width)), wide(x, y), rtol=0, atol=0)


def test_counts_of_any_width_weigh_roles_and_medoids_alike():
    sizes = torch.tensor([100, 90, 7])
    for narrow in (torch.uint8, torch.int8, torch.int16):
        for found, expected in zip(losses.role_counts(sizes.to(narrow)), losses.role_counts(sizes), strict=True):
            assert torch.equal(found, expected)
    assert losses.role_counts(sizes)[0].tolist() == [99 * 97, 89 * 107, 6 * 190]


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(("name", "chosen"), ALL)
def test_a_loss_cast_to_half_is_the_loss_of_its_rounded_weights(name, chosen, dtype):
    loss = build(name, torch.float32, **chosen).to(dtype)
    exact = build(name, torch.float32, **chosen)
    exact.load_state_dict(loss.state_dict())  # copied into float32
    x, y = batch(3, dtype=torch.float32)
    for embeddings in (x, x.to(dtype)):
        assert_close(loss(embeddings, y), exact(embeddings.float(), y), rtol=0, atol=0)
        with torch.autocast("cpu", torch.bfloat16):
            assert_close(loss(embeddings, y), exact(embeddings.float(), y), rtol=0, atol=0)
    value = loss(x.requires_grad_(), y)
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, [x, *loss.parameters()]))


@pytest.mark.parametrize("dtype", HALVES)
def test_centers_in_half_are_normalized_after_the_cast(dtype):
    loss = losses.SoftTriple(num_classes=2, embedding_size=2, centers_per_class=2).to(dtype)
    with torch.no_grad():
        loss.weight[:] = torch.tensor([[0.1, 1.0], [1.0, 0.0]])  # both centers of a class in one place
    value = loss(torch.eye(2, dtype=dtype), torch.tensor([0, 1]))
    assert value.item() == pytest.approx(by_loop(loss, torch.eye(2), torch.tensor([0, 1])), abs=1e-5)
    assert float(value) == pytest.approx(19.156, abs=5e-3)
    assert_close(loss.centers.square().sum(-1), torch.ones(2, 2), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", HALVES)
def test_merged_centers_in_half_never_lose_the_loss(dtype):
    for seed in range(50):
        numbers = generator(seed, "merged")
        loss = losses.SoftTriple(num_classes=3, embedding_size=8, centers_per_class=4, generator=numbers).to(dtype)
        with torch.no_grad():
            loss.weight[:] = loss.weight[:1]
        x = torch.randn(4, 8, generator=numbers)
        value = loss(x, torch.tensor([0, 1, 2, 0]))
        assert value.isfinite()
        assert torch.autograd.grad(value, loss.weight)[0].isfinite().all()


def test_means_of_classes_are_taken_in_full_precision_in_half_too():
    """Half precision ends at 65,504, and so did the sum over a class of that many images."""
    loss = losses.TripletCenter(num_classes=2, embedding_size=2).half()
    loss.recompute(torch.tensor([[0.6, 0.8]]).expand(200_000, 2), torch.arange(200_000) % 2)
    assert_close(loss.centroids.float(), torch.tensor([[0.6, 0.8]]).expand(2, 2), rtol=0, atol=1e-3)


@pytest.mark.parametrize("dtype", HALVES)
def test_centers_that_are_unit_vectors_only_in_half_have_a_finite_price(dtype):
    """Their squared lengths are off by up to 1e-2, many times the epsilon under the root."""
    rough = geometry.normalize(torch.randn(50, 1, 16, generator=generator(2, "rough"))).to(dtype).repeat(1, 3, 1)
    assert (rough.double().square().sum(-1) > 1 + 1e-5).any()
    rough.requires_grad_()
    price = losses.center_distances(rough)
    assert price.dtype == torch.float32
    assert price.isfinite().all()
    assert torch.autograd.grad(price.sum(), rough)[0].isfinite().all()


class ReducedProducts(TorchDispatchMode):
    """Matrix products as TF32 takes them: float32 factors cut to ten bits behind the point."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm, torch.ops.aten.addmm):
            args = [self.cut(a) if isinstance(a, torch.Tensor) and a.dtype == torch.float32 else a for a in args]
        return function(*args, **(kwargs or {}))

    def cut(self, tensor):
        bits = tensor.contiguous().view(torch.int32)
        return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


def test_reduced_products_are_those_of_tf32():
    one = torch.tensor([[1.0, 0.0]])
    with ReducedProducts():
        product = geometry.squared_distances(torch.tensor([[1 + 2**-12 + 2**-10, 0.0]]), one)
    assert product.item() == pytest.approx((1 + 2**-12 + 2**-10) ** 2 + 1 - 2 * (1 + 2**-10), abs=1e-6)  # 5e-4


def merged(seed, dimension=64, per_class=4, dtype=torch.float32):
    """Unit centers, all of a class in one place but for their last digits."""
    numbers = generator(seed, "tf32", dimension)
    one = torch.randn(3, 1, dimension, generator=numbers, dtype=dtype)
    return geometry.normalize(one + 1e-6 * torch.randn(3, per_class, dimension, generator=numbers, dtype=dtype))


def test_the_price_of_centers_is_exact_whatever_precision_products_have():
    lost = 0
    for seed in range(100):
        centers = merged(seed).requires_grad_()
        with ReducedProducts():
            value = losses.center_regularizer(centers)
            (gradient,) = torch.autograd.grad(value, centers)
            lost += int(((2 + 1e-5 - 2 * centers @ centers.mT) <= 0).any())  # what the formula as it stands would see
        with torch.autocast("cpu", torch.bfloat16):
            assert_close(losses.center_regularizer(centers), value, rtol=0, atol=0)
        expected = reference.center_regularizer(centers, epsilon=1e-5)
        assert float(value) == pytest.approx(expected, rel=1e-3)
        exact = centers.detach().double().requires_grad_()
        (slope,) = torch.autograd.grad(losses.center_regularizer(exact), exact)
        assert_close(gradient.double(), slope, rtol=1e-3, atol=1e-5)
    assert lost > 20


@pytest.mark.parametrize(("name", "chosen"), ALL)
def test_every_loss_stays_finite_and_near_where_products_are_reduced(name, chosen):
    loss = build(name, torch.float32, **chosen)
    x, y = batch(5, dtype=torch.float32)
    x[1] = x[0] * (1 + 1e-6)
    with torch.no_grad():
        for weight in loss.parameters():
            weight[:] = weight[:1]
            weight[:, y[0]] = x[0]
    expected = loss(x, y)
    with ReducedProducts():
        value = loss(x.requires_grad_(), y)
        gradients = torch.autograd.grad(value, [x, *loss.parameters()])
    assert_close(value, expected, rtol=0.05, atol=0.05)
    assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("epsilon", [1e-6, 1e-5])
@pytest.mark.parametrize("dimension", [64, 2048])
def test_no_accepted_epsilon_loses_coinciding_centers(dimension, epsilon):
    for seed in range(20):
        centers = merged(seed, dimension)[:, :1].repeat(1, 4, 1).requires_grad_()
        value = losses.center_regularizer(centers, epsilon=epsilon)
        assert value.isfinite()
        assert torch.autograd.grad(value, centers)[0].isfinite().all()
        assert float(value) == pytest.approx(math.sqrt(epsilon) / 2, rel=0.5)


LENGTHS = [1e-30, 1e-15, 1e-6, 1e15, 1e20, 1e30, 3e38]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_row_of_any_length_has_its_direction(length):
    x = torch.tensor([[0.6, -0.8, 0.0]]) * length
    assert_close(geometry.normalize(x), torch.tensor([[0.6, -0.8, 0.0]]), rtol=0, atol=1e-6)
    both = torch.cat([x, torch.tensor([[1.0, 0.0, 0.0]])])
    assert_close(geometry.cosines(both, both)[0], torch.tensor([1.0, 0.6]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", losses.NAMES)
def test_the_length_of_one_row_changes_no_loss_on_the_sphere(name, length):
    options = {"normalize": True} if "normalize" in losses.options(name) else {}
    loss = build(name, torch.float32, **options)
    x, y = batch(8, dtype=torch.float32)
    x = geometry.normalize(x)
    long = x.clone()
    long[3] *= length
    if name in LEARNED:  # and a center of that length is a center too
        with torch.no_grad():
            loss.weight[0, 1] = geometry.normalize(loss.weight[0, 1])
    expected = loss(x, y)
    if name in LEARNED:
        with torch.no_grad():
            loss.weight[0, 1] *= length
    found = loss(long.requires_grad_(), y)
    if name == "npairs":  # whose lengths have a price where they are not normalized
        assert options
    assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert torch.autograd.grad(found, long)[0].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALVES])
def test_ordinary_vectors_are_divided_as_torch_does_to_the_last_bit(dtype):
    x = torch.randn(40, 7, generator=generator(1, "rows")).to(dtype).requires_grad_()
    y = x.detach().clone().requires_grad_()
    found, theirs = geometry.normalize(x), torch.nn.functional.normalize(y, dim=-1)
    assert torch.equal(found, theirs)
    assert_close(*(torch.autograd.grad((u * u.detach().cos()).sum(), v)[0] for u, v in ((found, x), (theirs, y))))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", losses.NAMES)
def test_a_row_of_length_zero_stays_zero_and_gets_no_gradient(name, dtype):
    options = {"normalize": True} if "normalize" in losses.options(name) else {}
    loss = build(name, dtype, **options)
    x, y = batch(2, dtype=dtype)
    x[4] = 0
    learned = list(loss.parameters())
    with torch.no_grad():
        for weight in learned:
            weight[0, 2] = 0
    gradients = torch.autograd.grad(loss(x.requires_grad_(), y), [x, *learned])
    assert (gradients[0][4] == 0).all()
    assert (gradients[0][torch.arange(12) != 4] != 0).any()
    assert all((g[0, 2] == 0).all() for g in gradients[1:])
    assert all(g.abs().max() < 1e3 for g in gradients)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(("name", "chosen"), ALL)
def test_an_image_that_is_lost_makes_the_loss_not_a_number(name, chosen, bad):
    """So that the guard of a training run sees it, even where no pair would have looked at that image."""
    for place in range(12):
        x, y = batch(2)
        x[place, 1] = bad
        assert build(name, **chosen)(x, y).isnan()
    one = torch.zeros(12, dtype=torch.long)
    assert build(name, **chosen)(x, one).isnan()


@pytest.mark.parametrize("name", LEARNED)
def test_a_center_that_is_lost_makes_the_loss_not_a_number(name):
    loss = build(name)
    with torch.no_grad():
        loss.weight[0, CLASSES - 1, 0] = math.nan
    assert loss(*batch(2)).isnan()
