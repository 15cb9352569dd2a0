"""A set, a network and a loss that train in a second, for the tests of training."""

import os
from pathlib import Path

import torch

from dmlbook import nets
from dmlbook.datasets.image_set import ImageSet
from dmlbook.losses import make
from dmlbook.seeding import generator
from dmlbook.training import TrainConfig

CLASSES, EACH, SIDE = 5, 8, 16
ROOT = Path(__file__).resolve().parents[2]


def environment(**more):
    """Of a process that trains these: in smoke mode, on one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "DMLBOOK_MODE": "smoke", **more}


def toy_set(seed=0, split="train"):
    """Five classes of noisy colored blocks, 40 images of 16 pixels."""
    colors = torch.rand(CLASSES, 3, 4, 4, generator=generator(0, "colors")).repeat_interleave(EACH, dim=0)
    images = torch.nn.functional.interpolate(colors, size=SIDE)
    images = images + 0.2 * torch.randn(images.shape, generator=generator(seed, "noise", split))
    labels = torch.arange(CLASSES).repeat_interleave(EACH)
    return ImageSet((images.clamp(0, 1) * 255).byte(), labels, tuple("abcde"), name="toy", split=split)


def toy_net(seed=1, **options):
    return nets.build("small", **{"embedding_size": 8, "width_mult": 0.2, "seed": seed} | options)


def toy_loss(name="softtriple", seed=2):
    return make(name, num_classes=CLASSES, embedding_size=8, seed=seed)


def toy_config(**options):
    usual = {
        "epochs": 3,
        "batch_size": 16,
        "lr": 1e-3,
        "milestones": (3,),
        "freeze_batch_norm": False,
        "augment": "shift",
    }
    return TrainConfig(**usual | options)


def outcome(result):
    """All that must agree between two runs: weights, centers, and the history without its times."""
    times = ("seconds", "images_per_second")
    history = [{name: value for name, value in record.items() if name not in times} for record in result.history]
    state = {f"net.{k}": v.cpu() for k, v in result.net.state_dict().items()}
    state |= {f"loss.{k}": v.cpu() for k, v in result.loss.state_dict().items()}
    return {"history": history, "state": state, "best_epoch": result.best_epoch}


def assert_same(one, other):
    """Bit for bit."""
    assert one["history"] == other["history"]
    assert one["best_epoch"] == other["best_epoch"]
    assert list(one["state"]) == list(other["state"])
    differing = [name for name, value in one["state"].items() if not torch.equal(value, other["state"][name])]
    assert not differing
