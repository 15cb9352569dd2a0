"""Networks: shapes, weights from files, frozen batch norm, padding, and what the optimizer is given."""

import copy
import io
import pickle

import joblib
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dmlbook import nets

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def _trained(name="small", **options):
    """A network whose batch norms have seen something."""
    net = nets.build(name, embedding_size=8, **options)
    net.train()(IMAGES)
    return net


@pytest.mark.parametrize("name", ["small", "resnet18", "googlenet", "mobilenet_v2"])
def test_embeddings_are_the_unit_length_image_of_the_pooled_features(name):
    net = nets.build(name, embedding_size=8).eval()
    embeddings, features = net(IMAGES), net.features(IMAGES)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))
    expected = F.normalize(features @ net.head.linear.weight.T + net.head.linear.bias, dim=1)
    torch.testing.assert_close(embeddings, expected)


def test_normalization_can_be_left_to_the_loss():
    net, plain = (nets.build("small", embedding_size=8, normalize=n).eval() for n in (True, False))
    raw = plain(IMAGES)
    assert (raw.norm(dim=1) - 1).abs().min() > 1e-3
    torch.testing.assert_close(F.normalize(raw, dim=1), net(IMAGES))


def test_the_small_network_takes_images_of_8_to_96_pixels_and_is_small():
    net = nets.build("small", embedding_size=64).eval()
    assert 100_000 < sum(p.numel() for p in net.parameters()) < 300_000
    for side in (8, 28, 64, 96):
        assert net(torch.rand(1, 3, side, side)).shape == (1, 64)


def test_weights_come_from_the_seed_and_leave_the_global_random_state_alone():
    before = torch.random.get_rng_state()
    one, again, other = (nets.build("small", embedding_size=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.head.linear.weight, again.head.linear.weight)
    assert not torch.equal(one.head.linear.weight, other.head.linear.weight)


@pytest.mark.parametrize(("preprocessing", "expected"), [("unit", 0.6), ("imagenet", (0.8 - 0.485) / 0.229)])
def test_preprocessing_centers_the_colors(preprocessing, expected):
    net = nets.build("small", embedding_size=4, preprocessing=preprocessing)
    net.backbone = nn.Flatten()
    image = torch.full((1, 3, 1, 1), 0.8)
    assert net.features(image)[0, 0].item() == pytest.approx(expected, abs=1e-6)


def test_a_network_of_ones_own_parts_centers_colors_and_shows_its_features():
    head = nn.Linear(3, 2)
    net = nets.EmbeddingNet(nn.Flatten(), head, preprocessing="imagenet")
    images = IMAGES[:, :, :1, :1].contiguous()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(torch.tensor(nets.PREPROCESSING["imagenet"]), torch.stack([mean, std]))
    expected = (images.flatten(1) - mean) / std
    torch.testing.assert_close(net.features(images), expected)
    torch.testing.assert_close(net(images), expected @ head.weight.T + head.bias)
    assert {"mean", "std"} <= set(net.state_dict())


@pytest.mark.parametrize(("name", "preprocessing"), [("small", "unit"), ("resnet18", "imagenet")])
def test_colors_are_centered_as_the_networks_weights_expect_them(name, preprocessing):
    net = nets.build(name, embedding_size=4)
    found = tuple(tuple(values.flatten().tolist()) for values in (net.mean, net.std))
    assert found == tuple(map(pytest.approx, nets.PREPROCESSING[preprocessing]))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_are_read_from_a_file_without_its_classifier(tmp_path, suffix):
    source = _trained(seed=1)
    state = {**source.backbone.state_dict(), "classifier.1.weight": torch.zeros(1000, 160)}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(state, path)
    else:
        pytest.importorskip("safetensors.torch").save_file(state, path)
    net = nets.build("small", embedding_size=8, weights=path, seed=2)
    torch.testing.assert_close(net.eval().features(IMAGES), source.eval().features(IMAGES))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("0.weight"), r"1 missing \(0.weight\)"),
        (lambda s: s.update(extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
        (lambda s: s.update({"0.weight": torch.zeros(1)}), r"1 of another shape \(0.weight\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, change, message):
    state = nets.build("small", embedding_size=4).backbone.state_dict()
    change(state)
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=message):
        nets.build("small", embedding_size=4, weights=tmp_path / "weights.pt")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnet81"}, "Did you mean 'resnet18'"),
        ({"embedding_size": 0}, "embedding_size must be an integer >= 1; got 0"),
        ({"width_mult": 0.0}, "width_mult must be a finite number > 0"),
        ({"name": "resnet18", "width_mult": 0.5}, "width_mult must be 1 for 'resnet18'"),
        ({"weights": "imagenet"}, "torchvision has none"),
        ({"weights": "missing.pt"}, "a file that exists; got 'missing.pt'"),
        ({"preprocessing": "imagnet"}, "Did you mean 'imagenet'"),
        ({"bn_eps": -1.0}, "bn_eps must be a finite number > 0"),
        (
            {"embedding_size": 10**12},
            r"embedding_size must make a network that fits into memory; got 1e\+12, which needs",
        ),
        ({"embedding_size": 10**200}, "embedding_size must be an integer >= 1 of at most 64 bits; got 1000"),
        ({"width_mult": 1e6}, r"width_mult must make a network that fits into memory; got 1e\+06, which needs"),
        ({"name": "mobilenet_v2", "width_mult": 1e300}, "width_mult must make a network that fits into memory"),
        ({"seed": None}, "seed must be an integer"),
        ({"weights": 3}, "weights must be a path or None; got 3"),
        ({"weights": "\0"}, "weights must be a path or None; got a name with a NUL"),
        ({"weights": "w" * 300}, "weights must be a path or None; got a name of 300 letters"),
        ({"weights": "w/" * 3000}, "a file that exists"),
    ],
)
def test_bad_arguments_of_build_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        nets.build(**{"name": "small", "embedding_size": 8} | options)


@pytest.mark.parametrize(
    "sizes", [(10**12, 0, 2), (2, 10**12, 2), (2, 0, 10**12), (10**7, 10**7, 2), (2, 10**7, 10**7)]
)
def test_a_head_beyond_memory_is_refused_before_it_is_made(sizes):
    with pytest.raises(ValueError, match="make_head: .* must make a network that fits into memory; got .* GB of"):
        nets.make_head(*sizes)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": float("nan")}, "lr must be a finite number >= 0; got nan"),
        ({"lr": -1.0}, "lr must be a finite number >= 0; got -1.0"),
        ({"lr": 1.0, "loss_lr": float("inf")}, "loss_lr must be a finite number >= 0; got inf"),
        ({"lr": 1.0, "loss_lr": "1"}, "loss_lr must be a finite number >= 0; got '1'"),
        ({"lr": None}, "lr must be a finite number >= 0; got None"),
        ({"lr": 1.0, "net": nn.Linear}, "net must be a torch.nn.Module; got the class Linear"),
        ({"lr": 1.0, "loss": []}, "loss must be a torch.nn.Module; got list"),
    ],
)
def test_groups_of_no_rate_or_no_module_are_refused(options, message):
    arguments = {"net": nn.Linear(2, 2), "loss": nn.Identity()} | options
    with pytest.raises(ValueError, match=f"^parameter_groups: {message}"):
        nets.parameter_groups(arguments.pop("net"), arguments.pop("loss"), **arguments)


def test_a_loss_that_holds_the_network_is_refused():
    net = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="loss must have weights of its own; got 0.weight, which is the network's"):
        nets.parameter_groups(net, nn.Sequential(net), lr=1.0)


@pytest.mark.bad_input
@pytest.mark.parametrize("function", [nets.freeze_batch_norm, nets.has_untrained_statistics])
def test_what_is_no_module_has_no_batch_norm(function):
    with pytest.raises(ValueError, match=f"^{function.__name__}: module must be a torch.nn.Module; got dict"):
        function({})


@pytest.mark.bad_input
def test_bad_images_are_explained():
    net = nets.build("small", embedding_size=4)
    with pytest.raises(ValueError, match=r"images.expand\(-1, 3, -1, -1\)"):
        net(torch.rand(2, 1, 32, 32))
    with pytest.raises(ValueError, match="Use images / 255"):
        net(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))


def test_frozen_batch_norm_keeps_its_statistics_and_trains_its_scale_and_shift():
    net = nets.freeze_batch_norm(_trained())
    before = copy.deepcopy(net.state_dict())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net.train()
    net(IMAGES).sum().backward()
    optimizer.step()
    after = net.state_dict()
    assert torch.equal(before["backbone.1.running_mean"], after["backbone.1.running_mean"])
    assert not torch.equal(before["backbone.1.weight"], after["backbone.1.weight"])
    assert not torch.equal(before["backbone.1.bias"], after["backbone.1.bias"])
    assert net.training
    assert not net.backbone[1].training


def test_frozen_batch_norm_can_be_thawed_and_copied():
    net = nets.freeze_batch_norm(copy.deepcopy(nets.freeze_batch_norm(_trained())))
    nets.freeze_batch_norm(net, frozen=False).train()
    before = net.backbone[1].running_mean.clone()
    net(IMAGES)
    assert type(net.backbone[1]) is nn.BatchNorm2d
    assert not torch.equal(before, net.backbone[1].running_mean)


def by_pickle(net):
    return pickle.loads(pickle.dumps(net))


def by_torch(net):
    held = io.BytesIO()
    torch.save(net, held)
    held.seek(0)
    return torch.load(held, weights_only=False)


def by_joblib(net):
    held = io.BytesIO()
    joblib.dump(net, held)
    held.seek(0)
    return joblib.load(held)


@pytest.mark.parametrize("copied", [by_pickle, by_torch, by_joblib, copy.deepcopy])
@pytest.mark.parametrize("name", ["small", "mobilenet_v2"])
def test_networks_with_fixed_statistics_and_padding_are_copied_whole(copied, name):
    net = nets.freeze_batch_norm(_trained(name, same_padding=True)).eval()
    other = copied(net)
    torch.testing.assert_close(other(IMAGES), net(IMAGES), rtol=0, atol=0)
    other.train()
    (norm, *_) = [m for m in other.modules() if isinstance(m, nn.BatchNorm2d)]
    before = norm.running_mean.clone()
    other(IMAGES)
    assert torch.equal(before, norm.running_mean)  # they still stay
    assert torch.equal(before, next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d)).running_mean)
    nets.freeze_batch_norm(other, frozen=False).train()(IMAGES)
    assert type(norm) is nn.BatchNorm2d
    assert not torch.equal(before, norm.running_mean)


@pytest.mark.parametrize("plain", [nn.BatchNorm1d, nn.BatchNorm3d, nn.SyncBatchNorm])
def test_every_kind_of_fixed_batch_norm_is_pickled(plain):
    fixed = nets.freeze_batch_norm(plain(3))
    assert type(by_pickle(fixed)) is type(fixed) is not plain
    assert isinstance(fixed, plain)


def test_weights_of_a_fixed_network_are_loaded_as_weights_alone(tmp_path):
    net = nets.freeze_batch_norm(_trained(same_padding=True))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    other = nets.build("small", embedding_size=8, seed=5, same_padding=True)
    other.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    torch.testing.assert_close(other.eval()(IMAGES), net.eval()(IMAGES))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("side", [32, 33])
def test_networks_with_fixed_statistics_and_padding_are_traced_and_exported(side):
    net = nets.freeze_batch_norm(_trained(same_padding=True)).eval()
    images = torch.rand(2, 3, side, side)
    for compiled in (torch.jit.trace(net, images), torch.export.export(net, (images,)).module()):
        torch.testing.assert_close(compiled(images), net(images))


def test_untrained_statistics_are_noticed():
    assert nets.has_untrained_statistics(nets.build("small", embedding_size=4))
    assert not nets.has_untrained_statistics(_trained())
    assert not nets.has_untrained_statistics(nn.Linear(2, 2))


@pytest.mark.parametrize("statistic", ["running_mean", "running_var"])
def test_statistics_that_differ_in_mean_or_variance_are_trained_ones(statistic):
    net = nets.build("small", embedding_size=4)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            getattr(part, statistic).add_(0.5)
    assert not nets.has_untrained_statistics(net)


@pytest.mark.parametrize("side", [7, 8])
def test_same_padding_is_tensorflows(side):
    net = nets.build("mobilenet_v2", embedding_size=4, same_padding=True)
    conv = net.backbone.features[0][0]
    image = torch.rand(1, 3, side, side)
    pads = (0, 1, 0, 1) if side % 2 == 0 else (1, 1, 1, 1)  # even sides: right and bottom only
    expected = F.conv2d(F.pad(image, pads), conv.weight, stride=2)
    torch.testing.assert_close(conv(image), expected)
    assert list(net.state_dict()) == list(nets.build("mobilenet_v2", embedding_size=4).state_dict())


def test_batch_norm_gets_the_constant_asked_for():
    net = nets.build("small", embedding_size=4, bn_eps=1e-3)
    assert {m.eps for m in net.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}


def test_parameter_groups_hold_every_weight_once_and_the_losss_own_at_their_rate():
    net, loss = nets.build("small", embedding_size=4), nn.Linear(4, 5, bias=False)
    groups = nets.parameter_groups(net, loss, lr=1e-4, loss_lr=1e-2)
    assert [(g["name"], g["lr"], len(g["params"])) for g in groups] == [("network", 1e-4, 14), ("loss", 1e-2, 1)]
    assert len(list(net.parameters())) == 14
    assert nets.parameter_groups(net, loss, lr=1e-4)[1]["lr"] == 1e-4
    net.backbone.requires_grad_(False)
    assert [id(p) for p in nets.parameter_groups(net, loss, lr=1e-4)[0]["params"]] == list(
        map(id, net.head.parameters())
    )
    assert len(nets.parameter_groups(net, nn.Identity(), lr=1e-4)) == 1


def test_a_hidden_layer_is_one_more_layer_and_the_seed_decides():
    linear, deeper = (nets.make_head(6, units, 4, seed=1) for units in (0, 10))
    assert [tuple(p.shape) for p in linear.parameters()] == [(4, 6), (4,)]
    assert [tuple(p.shape) for p in deeper.parameters()] == [(10, 6), (10,), (4, 10), (4,)]
    torch.testing.assert_close(linear.linear.weight, nets.make_head(6, 0, 4, seed=1).linear.weight)
    assert (linear.linear.weight - nets.make_head(6, 0, 4, seed=2).linear.weight).abs().max() > 1e-3


@pytest.mark.bad_input
def test_images_that_the_network_cannot_take_are_named():
    net = nets.build("small", embedding_size=4)
    with pytest.raises(ValueError, match="images must be torch.float32 as the network; got torch.float64"):
        net(torch.rand(2, 3, 16, 16, dtype=torch.float64))
    assert net.double()(torch.rand(2, 3, 16, 16, dtype=torch.float64)).dtype == torch.float64
    net.float().train()
    with pytest.raises(ValueError, match="images must be at least two in training; got 1. Batch norm"):
        net(torch.rand(1, 3, 16, 16))
    assert net.eval()(torch.rand(1, 3, 16, 16)).shape == (1, 4)


@pytest.mark.bad_input
def test_a_head_beyond_memory_is_refused():
    with pytest.raises(ValueError, match="Head: in_features must make a network that fits into memory; got 1e.12"):
        nets.Head(10**12, 4)
