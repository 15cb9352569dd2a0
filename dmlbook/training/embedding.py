"""Embeddings of a whole image set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from dmlbook._checks import at_least, bad_input, checked, one_of
from dmlbook._types import Float, Int, Tensor
from dmlbook.datasets.image_set import ImageSet
from dmlbook.nets import EmbeddingNet
from dmlbook.training.ahead import ahead
from dmlbook.training.allocator import keeping_freed
from dmlbook.training.config import TrainConfig
from dmlbook.training.devices import check_device
from dmlbook.training.memory import is_out_of_memory, release
from dmlbook.training.views import Views

VIEWS = ("test", "whole")


@checked(view=one_of(*VIEWS), batch_size=at_least(1))
def embed(
    net: EmbeddingNet,
    image_set: ImageSet,
    *,
    config: TrainConfig | None = None,
    view: str = "test",
    features: bool = False,
    batch_size: int = 256,
    device: str | torch.device | None = None,
) -> Float[Tensor, "N D"]:
    """The embedding of every image, in evaluation mode and without gradients.

    Args:
        net: From ``nets.build``. Its mode (training or evaluation) is what it was when this returns.
        image_set: N images.
        config: Its ``image_size`` and ``test_crop`` are used; hand over the one that the network was trained with.
            None: the defaults, which cut the middle 224/256 from photographs and show drawings whole.
        view: ``test``, or ``whole`` for the whole picture squeezed to a square.
        features: Pooled features (N, F) of the backbone instead.
        batch_size: Images at a time, >= 1.
        device: Where to compute; the network goes there and comes back. None: where the network is.

    Returns:
        One row an image, float32, on the CPU.

    Raises:
        ValueError: ``view`` or ``batch_size`` is out of range, the device is not there, or an embedding is not finite.

    Example:
        ``embed(nets.build("small", embedding_size=64), birds)`` has the shape ``(len(birds), 64)``.
    """
    views = Views(image_set, config or TrainConfig())
    if view == "whole":
        squares = replace(image_set, aspects=None)
        views = Views(squares, TrainConfig(image_size=views.size if config else None, test_crop=1.0))
    home = next(net.parameters()).device
    target = home if device is None else check_device(device)
    try:
        net.to(target)
        return embed_views(net, views, device=target, features=features, batch_size=batch_size).cpu()
    finally:
        net.to(home)


def embed_views(
    net: EmbeddingNet,
    views: Views,
    *,
    device: torch.device,
    index: Int[Tensor, " n"] | None = None,
    features: bool = False,
    batch_size: int = 256,
) -> Float[Tensor, "n D"]:
    """As ``embed``, from views that are there; what comes back lies on ``device``, where the network is.

    Where memory ends, half as many images go through it at a time: an embedding does not depend on its company.

    Args:
        net: See ``embed``.
        views: Of N images.
        device: Where to compute.
        index: Which of them. None: all.
        features: See ``embed``.
        batch_size: Images at a time, >= 1, at most.
    """
    index = torch.arange(len(views.images)) if index is None else index
    run, dtype = net.features if features else net, next(net.parameters()).dtype
    with evaluating(net), torch.inference_mode(), keeping_freed(device):
        while True:
            try:
                found = _embedded(run, views, index.split(batch_size), device, dtype)
                break
            except (RuntimeError, MemoryError) as error:
                if batch_size == 1 or not is_out_of_memory(error):
                    raise
            release(device)
            batch_size = -(-batch_size // 2)
    broken = (~found.isfinite().all(1)).nonzero().flatten()
    if len(broken):
        got = f"{len(broken)} rows that are not, the first of image {int(broken[0])}"
        raise bad_input("net", "give finite numbers", got, "Load weights from before the training broke.")
    return found.clone()  # outside inference mode, so that a loss may be trained on it


def _embedded(
    run: Callable[[Tensor], Tensor], views: Views, pieces: Sequence[Tensor], device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "n D"]:
    threaded = device.type == "cuda" and views.images.device.type == "cpu"
    with ahead(lambda piece: views.test_parts(piece, device), pieces, device=device, threaded=threaded) as ready:
        return torch.cat([run(views.drawn(parts).to(dtype)).float() for parts in ready])


@contextmanager
@checked
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode; then each part is put back into the mode it was in."""
    before = [(part, part.training) for part in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for part, mode in before:
            part.training = mode
