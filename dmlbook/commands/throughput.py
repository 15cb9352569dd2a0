"""The whole of training against the same network stepping on one batch that lies where it is wanted."""

from __future__ import annotations

import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dmlbook import losses, nets, settings
from dmlbook._checks import check_number
from dmlbook._types import Tensor, UInt8
from dmlbook.datasets import ImageSet
from dmlbook.datasets.photos import cache
from dmlbook.seeding import SEED, generator
from dmlbook.settings import by_mode
from dmlbook.training import TrainConfig, fit, preflight
from dmlbook.training.allocator import keeping_freed
from dmlbook.training.cost import measured
from dmlbook.training.devices import Devices
from dmlbook.training.stepping import Stepper

AIM = 0.85
"""Of the images a second that a resident batch allows."""
CLASSES = 20


@dataclass(frozen=True)
class Sizes:
    """What is measured.

    Attributes:
        net: One of ``nets.NAMES``.
        side: Pixels that the network sees.
        batch: Images a step.
        steps: That are timed at a time.
        device: Where.
        compiled: Whether ``torch.compile`` is used.
    """

    net: str
    side: int
    batch: int
    steps: int
    device: torch.device
    compiled: bool

    def config(self, precision: str) -> TrainConfig:
        """Two epochs of so many steps, of which the second one is timed."""
        return TrainConfig(
            epochs=2,
            batch_size=self.batch,
            image_size=self.side,
            freeze_batch_norm=False,
            precision=precision,
            compile=self.compiled,
        )

    def described(self) -> dict[str, object]:
        """What a record says of them."""
        return {
            "net": self.net,
            "size": self.side,
            "batch_size": self.batch,
            "steps": self.steps,
            "device": self.device.type,
            "compile": self.compiled,
        }

    def pair(self) -> tuple[torch.nn.Module, torch.nn.Module]:
        """A network and a loss with random weights."""
        net = nets.build(self.net, embedding_size=64, seed=SEED)
        return net, losses.make("softtriple", num_classes=CLASSES, embedding_size=64)


def sizes_of(options: Namespace) -> Sizes:
    """What the options of ``bench`` ask for, and what suits the mode where they ask for nothing.

    Raises:
        ValueError: A size is out of range, or the device is not there.
    """
    side, batch, steps = (
        by_mode(**usual) if getattr(options, name) is None else getattr(options, name)
        for name, usual in {
            "size": {"smoke": 16, "class_": 64, "full": 224},
            "batch_size": {"smoke": 4, "class_": 32, "full": 128},
            "steps": {"smoke": 2, "class_": 8, "full": 50},
        }.items()
    )
    check_number(low=8, integer=True, **{"--size": side})
    check_number(low=2, integer=True, **{"--batch-size": batch})
    check_number(low=1, integer=True, **{"--steps": steps})
    device = preflight.check_device(options.device or settings.device())
    return Sizes(options.net, side, batch, steps, device, options.compile)


def measure(options: Namespace) -> dict[str, float]:
    """Measures and prints; returns seconds an image by contestant.

    Raises:
        ValueError: See ``sizes_of``.
    """
    sizes, seconds = sizes_of(options), {}
    print(f"Training {sizes.net} on {sizes.batch} images of {sizes.side} pixels a step, on {sizes.device}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        images = photographs(sizes.batch * sizes.steps, round(sizes.side * 256 / 224))
        kept = stored(Path(folder), images)
        for precision in precisions(sizes.device):
            seconds |= _measured(sizes, precision, images, kept, options.repeat)
    return seconds


def precisions(device: torch.device) -> list[str]:
    """Those that are worth measuring on a device."""
    bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return ["32-true", "bf16-mixed"] if bf16 else ["32-true"]


def photographs(count: int, side: int) -> UInt8[Tensor, "N 3 side side"]:
    """Smooth random pictures, made on the spot."""
    coarse = torch.rand(count, 3, 8, 8, generator=generator(SEED, "throughput"))
    pieces = [torch.nn.functional.interpolate(piece, size=side, mode="bilinear") for piece in coarse.split(64)]
    return torch.cat([(255 * piece).byte() for piece in pieces])


def stored(folder: Path, images: UInt8[Tensor, "N 3 S S"]) -> Path:
    """The same pictures in a file, as the cache of decoded photographs keeps them."""

    def fill(pixels: np.ndarray) -> dict:
        pixels[:] = images.numpy()
        return {"key": "bench", "folder": "", "aspects": [1.0] * len(images), "kept": list(range(len(images)))}

    path = cache.path_of(folder, "bench", folder, images.shape[-1], "0" * 16)
    cache.write(path, tuple(images.shape), fill)
    return path


def _measured(sizes: Sizes, precision: str, images: Tensor, kept: Path, repeat: int) -> dict[str, float]:
    """One table: the contestants take turns, after one that does not count; ratios are taken turn by turn."""
    contest = {
        "resident batch": resident(sizes, precision),
        "all of it, from memory": pipeline(sizes, precision, lambda: images),
        "all of it, from a mapped file": pipeline(
            sizes, precision, lambda: torch.from_numpy(np.memmap(kept, np.uint8, "c", shape=tuple(images.shape)))
        ),
    }
    speeds: dict[str, list[float]] = {name: [] for name in contest}
    peaks: dict[str, str] = {}
    for turn in range(repeat + 1):
        for name, call in contest.items():
            with measured(sizes.device) as cost:
                speed = call()
            words = {"peak": cost.get("peak_gb"), "GPU": cost.get("gpu_peak_gb")}
            peaks[name] = ", ".join(f"{word} {value:.2f} GB" for word, value in words.items() if value is not None)
            if turn:
                speeds[name].append(speed)
    for name, found in speeds.items():
        ratio = statistics.median(a / b for a, b in zip(found, speeds["resident batch"], strict=True))
        aim = "" if name == "resident batch" else f"   {'reached' if ratio >= AIM else 'below'} {AIM:.0%}"
        line = f"  {precision:10} {name:30} {statistics.median(found):10.1f} images/s   {ratio:6.1%}"
        print(f"{line}   {peaks[name]}{aim}")
    return {f"throughput: {name}, {precision}": 1 / statistics.median(found) for name, found in speeds.items()}


def resident(sizes: Sizes, precision: str) -> Callable[[], float]:
    """Steps on one batch of random numbers; images a second."""
    config = sizes.config(precision)

    def call() -> float:
        net, loss = sizes.pair()
        devices = Devices(sizes.device, 1, precision)
        net.to(devices.device)
        stepper = Stepper(net, loss, config, devices)
        numbers = generator(SEED, "resident")
        inputs = torch.rand(sizes.batch, 3, sizes.side, sizes.side, generator=numbers).to(devices.device)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        labels = (torch.arange(sizes.batch) % CLASSES).to(devices.device)
        stepper.set_epoch(1)
        with keeping_freed(devices.device):
            for epoch in (1, 2):
                _wait(devices.device)
                start = time.perf_counter()
                for step in range(sizes.steps):
                    stepper.gradients(inputs, labels, epoch=epoch, step=step)
                    stepper.apply()
                _wait(devices.device)
        return sizes.batch * sizes.steps / (time.perf_counter() - start)

    return call


def pipeline(sizes: Sizes, precision: str, pictures: Callable[[], Tensor]) -> Callable[[], float]:
    """``fit`` as it is, on random crops of these pictures; images a second."""
    config = sizes.config(precision)

    def call() -> float:
        images = pictures()
        labels = torch.arange(len(images)) % CLASSES
        count = min(CLASSES, len(images))
        data = ImageSet(images, labels, tuple(f"class {n}" for n in range(count)), aspects=torch.ones(len(images)))
        net, _ = sizes.pair()
        loss = losses.make("softtriple", num_classes=count, embedding_size=64)
        result = fit(net, loss, data, config, device=sizes.device, progress=False)
        return result.history[-1]["images_per_second"]

    return call


def _wait(device: torch.device) -> None:
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()
