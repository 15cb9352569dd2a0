"""The parts that ``nets.build`` is made of, each by itself."""

import hashlib

import pytest
import torch
from torch import nn

from dmlbook.nets import backbones, from_timm, own


@pytest.mark.parametrize("name", backbones.TORCHVISION)
def test_every_backbone_of_torchvision_gives_as_many_features_as_it_says(name):
    found = backbones.of_torchvision(name, 1.0)
    assert isinstance(found, backbones.Backbone)
    assert backbones.blank_pass(found.module, 64).shape == (1, found.width)
    assert found.preprocessing == ("unit" if name == "googlenet" else "imagenet")


def test_a_blank_pass_is_in_evaluation_mode_and_without_gradients():
    seen = []

    class Noted(nn.Module):
        def forward(self, images):
            seen.append((self.training, torch.is_grad_enabled(), tuple(images.shape), float(images.abs().max())))
            return images.mean((2, 3))

    module = Noted().train()
    assert backbones.blank_pass(module, 20).shape == (1, 3)
    assert seen == [(False, False, (1, 3, 20, 20), 0.0)]
    assert module.training
    assert backbones.of_module(module, "unit").width == 3


def test_weights_of_a_classifier_are_left_aside_and_others_are_named():
    found = backbones.Backbone(nn.Linear(2, 3), 3, "unit", classifier=("head.",))
    given = {"weight": torch.ones(3, 2), "bias": torch.zeros(3), "head.weight": torch.ones(7)}
    backbones.load_weights(found, given, source="a file")
    assert torch.equal(found.module.weight, torch.ones(3, 2))
    with pytest.raises(ValueError, match=r"fit the network; got a file: 1 unexpected \(fc.weight\)"):
        backbones.load_weights(found, {**given, "fc.weight": torch.ones(1)}, source="a file")


def test_published_weights_that_do_not_arrive_are_told(monkeypatch, tmp_path):
    def unreachable(*_, **__):
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(OSError, match=r"the weights of resnet18 did not arrive \(no route to host\)\. Check"):
        backbones.published_weights("resnet18", 1.0)
    assert str(backbones.not_arrived("a", OSError("b"))).startswith("nets.build: the weights of a did not arrive (b)")
    with pytest.raises(ValueError, match="be None or a file for 'mobilenet_v2'; got 'imagenet' with width_mult 0.5"):
        backbones.published_weights("mobilenet_v2", 0.5)


def test_timm_says_what_it_knows_of_a_name():
    pytest.importorskip("timm")
    name = f"{from_timm.PREFIX}test_resnet"
    _, short, known = from_timm.known_to_timm(name)
    assert (short, known.architecture, known.tag) == ("test_resnet", "test_resnet", "r160_in1k")
    with torch.random.fork_rng(devices=[]):
        found = from_timm.of_timm(name, pretrained=False)
    assert (found.width, found.classifier) == (96, ("fc.",))
    assert found.preprocessing == (known.mean, known.std)


def test_a_name_of_ones_own_is_a_file_and_a_function(tmp_path):
    assert own.is_own(own.FORM)
    assert not own.is_own("timm/resnet50")
    file = tmp_path / "nets.py"
    file.write_text("from torch import nn\nmake = lambda: nn.Conv2d(3, 7, 3)\n")
    name, found = own.settled_name(f"{file}:make")
    assert name == f"{file.resolve()}:make"
    assert found == own.digest(file) == hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    assert own.of_file(name, found).width == own.of_file(name, None).width == 7
