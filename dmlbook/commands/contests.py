"""What ``bench`` races: each contest makes its contestants, which do the same work in different ways."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Callable

import torch
from torch.nn import functional as F

from dmlbook import geometry, losses, nets, retrieval
from dmlbook._types import Tensor
from dmlbook.datasets import birds
from dmlbook.seeding import SEED, generator
from dmlbook.settings import by_mode
from dmlbook.training.allocator import keeping_freed

Contest = dict[str, Callable[[], object]]
NO_BOOK = "not run, since it needs what `make lab` installs"


def regularizer() -> tuple[str, Contest]:
    """SoftTriple's regularizer by class, against the (C K) x (C K) Gram matrix of the official code."""
    classes, per_class, size = by_mode(smoke=(10, 4, 8), class_=(1000, 10, 64), full=(1000, 10, 512))
    start = torch.randn(classes, per_class, size, generator=generator(SEED, "bench"))

    def step(value: Callable[[Tensor], Tensor]) -> Callable[[], None]:
        def call() -> None:
            weight = start.clone().requires_grad_()
            value(F.normalize(weight, dim=-1)).backward()

        return call

    block = torch.ones(per_class, per_class, dtype=torch.bool).triu(1)
    mask = torch.block_diag(*[block] * classes)

    def whole_gram(centers: Tensor) -> Tensor:
        flat = centers.flatten(0, 1)
        apart = (2 + 1e-5 - 2 * flat @ flat.T)[mask].sqrt()
        return apart.sum() / (classes * per_class * (per_class - 1))

    torch.testing.assert_close(whole_gram(start := F.normalize(start, dim=-1)), losses.center_regularizer(start))
    title = f"SoftTriple's regularizer, forward and backward, C = {classes}, K = {per_class}, D = {size}"
    return title, {"ours, class by class": step(losses.center_regularizer), "whole Gram matrix": step(whole_gram)}


def softtriple() -> tuple[str, Contest]:
    """One step of the whole loss, against pytorch-metric-learning's, with and without its regularizer."""
    classes, per_class, size, batch = by_mode(smoke=(10, 4, 8, 8), class_=(100, 10, 64, 32), full=(1000, 10, 512, 128))
    numbers = generator(SEED, "bench")
    x, y = torch.randn(batch, size, generator=numbers), torch.randint(classes, (batch,), generator=numbers)

    def step(loss: torch.nn.Module) -> Callable[[], None]:
        return lambda: loss(x, y).backward()

    ours = losses.make("softtriple", num_classes=classes, embedding_size=size, centers_per_class=per_class)
    contest = {"ours": step(ours)}
    try:
        from pytorch_metric_learning import losses as theirs
        from pytorch_metric_learning.regularizers import SparseCentersRegularizer
    except ImportError:
        print("pytorch-metric-learning is not installed, so it does not take part")
    else:
        regularized = {
            "weight_regularizer": SparseCentersRegularizer(classes, per_class),
            "weight_reg_weight": 0.2,
        }
        contest["pytorch-metric-learning"] = step(theirs.SoftTripleLoss(classes, size, per_class, **regularized))
        contest["the same without regularizer"] = step(theirs.SoftTripleLoss(classes, size, per_class))
    return f"SoftTriple, one step, C = {classes}, K = {per_class}, D = {size}, B = {batch}", contest


def triplets() -> tuple[str, Contest]:
    """All valid triplets of a batch by sorted rows, against all B^3 entries; and the losses that need fewer."""
    batch, classes = by_mode(smoke=(16, 4), class_=(256, 10), full=(256, 10))
    x = F.normalize(torch.randn(batch, 64, generator=generator(SEED, "bench")), dim=-1)
    y = torch.arange(batch) % classes

    def step(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], None]:
        def call() -> None:
            points = x.clone().requires_grad_()
            loss(points, y).backward()

        return call

    def cube(points: Tensor, labels: Tensor) -> Tensor:
        apart = geometry.squared_distances(points, points)
        hinge = (apart[:, :, None] - apart[:, None, :] + 0.2).clamp(min=0)
        return hinge[losses.valid_triplets(labels)].mean()

    exact = losses.make("triplet", num_classes=classes, embedding_size=64)
    torch.testing.assert_close(cube(x, y), exact(x, y))  # a contest of unequals would say nothing
    contest = {"all triplets, sorted rows": step(exact)}
    contest["all triplets, B x B x B"] = step(cube)
    contest["semi-hard"] = step(losses.make("semihard", num_classes=classes, embedding_size=64))
    contest["centroid bound"] = step(losses.make("centroid_bound", num_classes=classes, embedding_size=64))
    return f"Triplets of a batch, forward and backward, B = {batch}, {classes} classes", contest


def field() -> tuple[str, Contest]:
    """One step of every loss of chapter 06 on one batch, and pytorch-metric-learning's where it has the same."""
    batch, classes, size = by_mode(smoke=(16, 8, 8), class_=(128, 100, 64), full=(256, 1000, 512))
    x, y = torch.randn(batch, size, generator=generator(SEED, "bench")), torch.arange(batch) // 4 % classes

    def step(loss: torch.nn.Module) -> Callable[[], None]:
        return lambda: loss(x.clone().requires_grad_(), y).backward()

    names = ("softtriple", *(name for name in losses.NAMES if name != "softtriple"))
    contest = {name: step(losses.make(name, num_classes=classes, embedding_size=size)) for name in names}
    with contextlib.suppress(ImportError):
        from pytorch_metric_learning import losses as theirs

        of_classes = {"num_classes": classes, "embedding_size": size}
        others = {
            "lifted": theirs.LiftedStructureLoss(),
            "npairs": theirs.NPairsLoss(),
            "proxy_nca": theirs.ProxyNCALoss(**of_classes),
            "proxy_anchor": theirs.ProxyAnchorLoss(**of_classes),
            "subcenter_arcface": theirs.SubCenterArcFaceLoss(**of_classes),
        }
        contest |= {f"{name}, pytorch-metric-learning": step(loss) for name, loss in others.items()}
    return f"All losses, one step, B = {batch}, C = {classes}, D = {size}", contest


def recall() -> tuple[str, Contest]:
    """Recall at four K by counting ranks, against a search for the nearest."""
    images, classes = by_mode(smoke=(200, 20), class_=(10_000, 1000), full=(60_502, 11_316))
    x = F.normalize(torch.randn(images, 64, generator=generator(SEED, "bench")), dim=-1)
    y = torch.arange(images) % classes

    def search() -> None:
        for block in torch.arange(images).split(1024):
            similarity = x[block] @ x.T
            similarity[torch.arange(len(block)), block] = -torch.inf
            y[similarity.topk(8).indices]

    title = f"Recall@1, 2, 4, 8 of {images} embeddings of 64 dimensions"
    contest = {
        "ours, exact, ties and all": lambda: retrieval.recall_at_k(x, y),
        "float32 search, ties left to luck": search,
    }
    return title, contest


def drawing() -> tuple[str, Contest]:
    """Birds drawn, and read back."""
    count = by_mode(smoke=2, class_=25, full=25)
    title = f"{20 * count} drawn birds of 64 pixels"

    def fresh() -> None:
        with tempfile.TemporaryDirectory() as folder:
            birds.load("train", num_species=40, images_per_species=count, root=folder)

    kept = tempfile.TemporaryDirectory()
    return title, {
        "drawn": fresh,
        "read back": lambda: birds.load("train", num_species=40, images_per_species=count, root=kept.name),
    }


def network() -> tuple[str, Contest]:
    """One training step of the small network, and of torchvision's at the size that a laptop bears."""
    batch = by_mode(smoke=4, class_=64, full=64)

    def step(name: str, side: int) -> Callable[[], None]:
        net = nets.build(name, embedding_size=64).train().to(memory_format=torch.channels_last)
        images = torch.rand(batch, 3, side, side, generator=generator(SEED, "bench"))
        return lambda: net(images).square().sum().backward()

    return f"A training step on {batch} images, without the loss", {
        "small, 64 pixels": step("small", 64),
        "mobilenet_v2, 64 pixels": step("mobilenet_v2", 64),
    }


def allocator() -> tuple[str, Contest]:
    """Steps of a wide network whose memory is kept from step to step, as `fit` does, and as the system has it."""
    side, batch, steps = by_mode(smoke=(32, 2, 1), class_=(160, 32, 3), full=(160, 32, 3))
    net = nets.build("mobilenet_v2", embedding_size=64).train().to(memory_format=torch.channels_last)
    images = torch.rand(batch, 3, side, side, generator=generator(SEED, "bench"))

    def walk() -> None:
        for _ in range(steps):
            net(images).square().sum().backward()

    def kept() -> None:
        with keeping_freed("cpu"):
            walk()

    title = f"{steps} steps of mobilenet_v2 on {batch} images of {side} pixels, without the loss"
    return title, {"memory kept, as in training": kept, "memory given back": walk}


def cost() -> tuple[str, Contest]:
    """How an epoch grows with N for each way to sum triplets; what chapter 05 measures."""
    try:
        from dmlbook.book.cost import cost as ways
    except ImportError:
        return f"How an epoch grows with N: {NO_BOOK}", {}
    return ways()


def widgets() -> tuple[str, Contest]:
    """One answer of each chapter's explorer: what a reader waits for after moving a slider; at most 100 ms."""
    title = "One update of each chapter's explorer"
    try:
        from dmlbook.chapters import explorers

        found = explorers()
    except ImportError:
        return f"{title}: {NO_BOOK}", {}

    def update(explorer: object) -> Callable[[], None]:
        grids = {name: itertools.cycle(explorer.grid(name)) for name in explorer.controls}
        return lambda: explorer.set(**{name: next(values) for name, values in grids.items()})

    return title, {f"chapter {number}": update(explorer()) for number, explorer in found.items()}


def imports() -> tuple[str, Contest]:
    """Python alone, and with the package."""

    def start(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    return "Start of a process", {
        "python": start("pass"),
        "python, import dmlbook": start("import dmlbook"),
        "python, import torch": start("import torch"),
    }


CONTESTS = {
    contest.__name__: contest
    for contest in (
        softtriple,
        regularizer,
        triplets,
        field,
        cost,
        recall,
        drawing,
        network,
        allocator,
        widgets,
        imports,
    )
}
