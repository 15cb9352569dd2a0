"""Backbones of timm and of one's own: found, built, frozen, trained, and refused in one sentence."""

import os
import py_compile
import sys

import pytest
import torch
from torch import nn

from dmlbook import nets
from dmlbook.training import Checkpoints, Views, embed, fit
from tests.training.training_toys import assert_same, outcome, toy_config, toy_loss, toy_set

timm = pytest.importorskip("timm")
IMAGES = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
SMALL = [
    "timm/test_vit",
    "timm/test_resnet",
    "timm/test_efficientnet",
    "timm/test_efficientnet_ln",
    "timm/test_byobnet",
]


@pytest.mark.parametrize("name", SMALL)
def test_a_network_of_timm_gives_what_timm_gives_of_centered_colors(name):
    net = nets.build(name, embedding_size=8).eval()
    assert nets.check_name(name) == name
    config = timm.data.resolve_model_data_config(net.backbone)
    assert net.mean.flatten().tolist() == pytest.approx(list(config["mean"]))
    assert net.std.flatten().tolist() == pytest.approx(list(config["std"]))
    plain = timm.create_model(name.removeprefix("timm/"), pretrained=False, num_classes=0).eval()
    plain.load_state_dict(net.backbone.state_dict())
    side = config["input_size"][-1]
    images = torch.rand(2, 3, side, side)
    expected = plain((images - net.mean) / net.std)
    torch.testing.assert_close(net.features(images), expected)
    assert net.head.linear.in_features == expected.shape[1]
    torch.testing.assert_close(net(images).norm(dim=1), torch.ones(2))


def test_weights_of_timms_networks_come_from_the_seed_and_leave_the_global_random_state_alone():
    before = torch.random.get_rng_state()
    one, again, other = (nets.build("timm/test_vit", embedding_size=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in one.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    differing = [name for name, value in one.state_dict().items() if not torch.equal(value, other.state_dict()[name])]
    assert {"backbone.patch_embed.proj.weight", "head.linear.weight"} <= set(differing)


def test_vision_transformers_take_every_multiple_of_their_patches_and_say_so_of_others():
    net = nets.build("timm/vit_tiny_patch16_224", embedding_size=4).eval()  # by itself it takes 224 alone
    for side in (32, 64, 96):
        assert net(torch.rand(1, 3, side, side)).shape == (1, 4)
        nets.check_image_size(net, side)
    with pytest.raises(ValueError, match=r"image_size must be a side that the network takes; got 100 \(.*divisible"):
        nets.check_image_size(net, 100)


def test_a_size_that_the_network_refuses_is_known_before_training(monkeypatch):
    net = nets.build("timm/test_vit", embedding_size=8)
    monkeypatch.setattr("dmlbook.training.stepping.Stepper.apply", lambda self: pytest.fail("a step was taken"))
    with pytest.raises(ValueError, match="image_size must be a side that the network takes; got 20 "):
        fit(net, toy_loss(), toy_set(), toy_config(image_size=20), progress=False)


def test_looking_at_one_blank_image_changes_nothing():
    net = nets.build("small", embedding_size=4).train()
    net.backbone[1].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    nets.check_image_size(net, 16)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training
    assert not net.backbone[1].training


@pytest.mark.parametrize("name", ["timm/test_vit", "timm/test_resnet", "timm/test_efficientnet"])
def test_a_network_of_timm_trains_and_its_frozen_statistics_stay(name):
    net = nets.build(name, embedding_size=8)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.add_(0.1)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    config = toy_config(epochs=1, freeze_batch_norm=True, image_size=32)
    fit(net, toy_loss(), toy_set(), config, progress=False, device="cpu")
    after = net.state_dict()
    statistics = [key for key in before if "running" in key]
    assert bool(statistics) == (name != "timm/test_vit")
    assert all(torch.equal(before[key], after[key]) for key in statistics)
    moved = [key for key in before if not torch.equal(before[key], after[key])]
    assert len(moved) > len(before) / 4  # timm begins with the branches of residual blocks at 0
    nets.freeze_batch_norm(net, frozen=False).train()(IMAGES)
    if statistics:
        assert any(not torch.equal(before[key], net.state_dict()[key]) for key in statistics)


@pytest.mark.parametrize("name", ["timm/test_vit", "timm/test_resnet"])
def test_a_checkpoint_of_a_network_of_timm_is_read_and_gone_on_from(tmp_path, name):
    config, longer = (toy_config(epochs=epochs, image_size=32, milestones=()) for epochs in (1, 2))
    build = lambda: (nets.build(name, embedding_size=8), toy_loss(), toy_set())  # noqa: E731
    fit(*build(), config, folder=tmp_path, progress=False, device="cpu")
    result = fit(*build(), longer, folder=Checkpoints(tmp_path, resume="must"), progress=False, device="cpu")
    whole = fit(*build(), longer, progress=False, device="cpu")
    assert_same(outcome(whole), outcome(result))


def test_a_batch_norm_with_an_activation_of_its_own_keeps_it_while_frozen():
    norm = timm.layers.BatchNormAct2d(3)
    images = torch.randn(4, 3, 5, 5)
    expected = torch.relu(nn.functional.batch_norm(images, norm.running_mean, norm.running_var, eps=norm.eps))
    frozen = nets.freeze_batch_norm(norm.train())
    torch.testing.assert_close(frozen(images), expected)
    assert float(expected.min()) == 0


def test_weights_of_timm_come_from_a_file_without_its_classifier(tmp_path):
    whole = timm.create_model("test_vit", num_classes=7)
    torch.save(whole.state_dict(), tmp_path / "vit.pt")
    net = nets.build("timm/test_vit", embedding_size=4, weights=tmp_path / "vit.pt").eval()
    centered = (IMAGES - net.mean) / net.std
    bare = timm.create_model("test_vit", num_classes=0, dynamic_img_size=True).eval()
    bare.load_state_dict({k: v for k, v in whole.state_dict().items() if not k.startswith("head.")})
    torch.testing.assert_close(net.features(IMAGES), bare(centered))


@pytest.mark.parametrize("word", ["imagenet", "timm"])
def test_timms_own_weights_are_asked_of_timm(monkeypatch, word):
    asked, make = [], timm.create_model

    def noted(name, pretrained, **options):
        asked.append((name, pretrained))
        return make(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", noted)
    nets.build("timm/test_resnet.r160_in1k", embedding_size=4, weights=word)
    assert asked[-1] == ("test_resnet.r160_in1k", True)
    nets.build("timm/test_resnet.r160_in1k", embedding_size=4)
    assert asked[-1] == ("test_resnet.r160_in1k", False)


def test_a_download_that_fails_is_told_in_one_sentence(monkeypatch):
    def unreachable(name, pretrained, **options):
        raise FileNotFoundError("cannot find the requested files\nwith more lines")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(
        OSError, match=r"weights of timm/test_vit did not arrive \(cannot find [^\n]*\). Check the conn"
    ):
        nets.build("timm/test_vit", embedding_size=4, weights="timm")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "timm/resnet5O"}, "name must be a network of timm; got 'timm/resnet5O'. Did you mean timm/resnet50"),
        ({"name": "timm/"}, "must be a network of timm; got 'timm/'"),
        ({"name": "timm/test_vit.nope"}, "Its weights are timm/test_vit.r160_in1k"),
        ({"name": "timm/test_mambaout", "width_mult": 0.5}, "width_mult must be 1"),
        ({"name": "resnet18", "weights": "timm"}, "weights must be None or a file for 'resnet18'; got 'timm'"),
        ({"name": "timm/test_efficientnet_gn", "weights": "missing.pt"}, "a file that exists; got 'missing.pt'"),
        ({"name": "my_nets.py:make"}, "name must be a file of Python that is there, and its function; got 'my_nets.py"),
        ({"name": "vit"}, "timm/NAME for one of timm's, my_nets.py:make for your own"),
    ],
)
def test_networks_that_are_not_there_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        nets.build(**{"embedding_size": 4} | options)


def test_a_missing_timm_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ValueError, match=r'while timm is missing.*pip install -e ".\[backbones\]"'):
        nets.build("timm/resnet50", embedding_size=4)
    with pytest.raises(ValueError, match="check_name: name must be one of torchvision's while timm is missing"):
        nets.check_name("timm/resnet50")


def test_a_network_of_timm_without_published_weights_says_so():
    name = next(name for name in timm.list_models("resnet*") if not timm.models.get_pretrained_cfg(name).has_weights)
    with pytest.raises(ValueError, match=f"weights must be None or a file for 'timm/{name}'; got 'timm'"):
        nets.build(f"timm/{name}", embedding_size=4, weights="timm")


# --- one's own


MAPS = nn.Conv2d(3, 5, 3, stride=2, padding=1)


@pytest.mark.parametrize("maps", [True, False])
def test_any_module_is_a_backbone_and_maps_are_averaged(maps):
    backbone = MAPS if maps else nn.Sequential(MAPS, nn.AdaptiveMaxPool2d(1), nn.Flatten())
    net = nets.wrap(backbone, embedding_size=4, preprocessing=((0.1, 0.2, 0.3), (0.5, 0.6, 0.7)))
    found = MAPS((IMAGES - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.5, 0.6, 0.7])[:, None, None])
    expected = found.mean((2, 3)) if maps else found.amax((2, 3))
    torch.testing.assert_close(net.features(IMAGES), expected)
    assert net(IMAGES).shape == (3, 4)


def test_a_backbone_of_one_size_alone_is_wrapped():
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 6))
    net = nets.wrap(backbone, embedding_size=4, preprocessing="none")
    images = torch.rand(2, 3, 28, 28)
    torch.testing.assert_close(net.features(images), backbone(images))
    assert torch.equal(nets.wrap(backbone, embedding_size=4, seed=1).head.linear.weight,
                       nets.wrap(backbone, embedding_size=4, seed=1).head.linear.weight)  # fmt: skip
    assert not nets.wrap(backbone, embedding_size=4, normalize=False).head.normalize


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (nn.Linear(7, 2), "backbone must take images .*RuntimeError: mat1 and mat2"),
        (nn.Flatten(0), r"backbone must give \(B, F\) or \(B, F, H, W\) .*; got shape \(150528,\)"),
        (nn.LSTM(224, 3), "backbone must "),
    ],
)
def test_modules_that_are_no_backbones_are_explained(backbone, message):
    with pytest.raises(ValueError, match=message):
        nets.wrap(backbone, embedding_size=4)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("preprocessing", "message"),
    [
        ("imagnet", "Did you mean 'imagenet'"),
        (((0.5, 0.5), (0.5, 0.5)), "be a name, or mean and deviation of three colors"),
        (((0.5, 0.5, 0.5), (0.5, 0.5, 0.0)), r"preprocessing\[1\]\[2\] must be"),
    ],
)
def test_colors_that_are_none_are_explained(preprocessing, message):
    with pytest.raises(ValueError, match=message):
        nets.EmbeddingNet(nn.Flatten(), nets.Head(3, 2), preprocessing=preprocessing)


OWN = "import torch\n\ndef make():\n    return torch.nn.Conv2d(3, 5, 3)\n\ndef word():\n    return 'no module'\n"


@pytest.fixture
def own(tmp_path):
    (tmp_path / "my_nets.py").write_text(OWN)
    return tmp_path / "my_nets.py"


def test_a_file_of_ones_own_is_run_and_found_again_from_its_settings(own, monkeypatch):
    monkeypatch.chdir(own.parent)
    before = torch.random.get_rng_state()
    net = nets.build("my_nets.py:make", embedding_size=4, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    settings = nets.settled("my_nets.py:make")
    assert settings["name"] == f"{own.resolve()}:make"
    monkeypatch.chdir("/")
    again = nets.build(**settings, embedding_size=4, seed=3).eval()
    torch.testing.assert_close(again(IMAGES), net.eval()(IMAGES), rtol=0, atol=0)
    assert nets.settled("timm/resnet50") == {"name": "timm/resnet50"}


@pytest.mark.bad_input
def test_a_changed_or_missing_file_is_told_and_not_run(own):
    settings = nets.settled(f"{own}:make")
    own.write_text("raise SystemExit('it was run')\n")
    with pytest.raises(
        ValueError, match=r"name must be a file that is as it was \(\w{16}\); got my_nets.py with \w{16}"
    ):
        nets.build(**settings, embedding_size=4)
    own.unlink()
    with pytest.raises(ValueError, match="name must be a file of Python that is there"):
        nets.build(**settings, embedding_size=4)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("function", "content", "message"),
    [
        ("nothing", OWN, "name must name a function of my_nets.py; got 'nothing'. It has make, word."),
        ("word", OWN, "name must name a function that makes a module; got str. Return the backbone"),
        ("make", "def make(size): pass", "got TypeError: .* It is called without arguments"),
        (
            "make",
            "import nowhere_to_be_found",
            "name must be a file of Python that runs; got my_nets.py: ModuleNotFound",
        ),
        ("make", "def make(:", "name must be a file of Python that runs; got my_nets.py: SyntaxError"),
    ],
)
def test_a_file_that_makes_no_backbone_is_explained(own, function, content, message):
    own.write_text(content)
    with pytest.raises(ValueError, match=message):
        nets.build(f"{own}:{function}", embedding_size=4)


@pytest.mark.bad_input
def test_a_file_of_ones_own_has_no_published_weights(own):
    with pytest.raises(ValueError, match="weights must be None or a file for .*; got 'imagenet'"):
        nets.build(f"{own}:make", embedding_size=4, weights="imagenet")


def test_a_wrapped_network_trains_and_embeds():
    net = nets.wrap(nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU()), embedding_size=8, preprocessing="unit")
    data, config = toy_set(), toy_config(epochs=2)
    result = fit(net, toy_loss(), data, config, progress=False, device="cpu")
    assert result.history[1]["loss"] < result.history[0]["loss"]
    assert embed(net, data, config=config).shape == (len(data), 8)
    assert Views(data, config).size == 16


def test_the_very_bytes_that_were_hashed_are_run_and_not_what_was_compiled_before(own):
    text = "import torch\n\ndef make():\n    return torch.nn.Conv2d(3, {}, 3)\n"
    times = (1_700_000_000, 1_700_000_000)
    for width in (5, 7):  # of one length and one time: what Python takes for the same file
        own.write_text(text.format(width))
        os.utime(own, times)
        py_compile.compile(str(own)) if width == 5 else None
        net = nets.build(f"{own}:make", embedding_size=4)
        assert net.head.linear.in_features == width


def test_weights_from_a_file_fit_a_backbone_of_ones_own_that_gives_maps(own, tmp_path):
    net = nets.build(f"{own}:make", embedding_size=4, seed=5)
    bare = net.backbone[0]
    for name, weights in {"bare": bare.state_dict(), "whole": net.backbone.state_dict()}.items():
        torch.save(weights, tmp_path / f"{name}.pt")
        found = nets.build(f"{own}:make", embedding_size=4, weights=tmp_path / f"{name}.pt", seed=6)
        torch.testing.assert_close(found.backbone[0].weight, bare.weight, rtol=0, atol=0)
    torch.save({"wrong": bare.weight}, tmp_path / "wrong.pt")
    with pytest.raises(ValueError, match="weights must fit the network; got .*1 unexpected"):
        nets.build(f"{own}:make", embedding_size=4, weights=tmp_path / "wrong.pt")


def test_whole_numbers_are_colors_too():
    net = nets.wrap(MAPS, embedding_size=4, preprocessing=((0, 0, 0), (1, 1, 1)))
    assert (net.mean.dtype, net.std.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(net.half().mean, torch.zeros(1, 3, 1, 1, dtype=torch.float16))
