"""Where memory ends: what it means, what to change, and a step that needs less of it and gives the same gradient.

The losses compare the images of a batch with one another, so the mean of the gradients of two halves is another
gradient: halving the batch, or accumulating over smaller ones, would train something else. Instead images pass the
network some at a time without keeping its insides, all embeddings meet in one loss, and each piece passes the network
once more when its gradient is asked for. That is exact for every loss of embeddings, as long as no image sees another
inside the network, as it does in batch norms that measure.

Source: Gao et al., Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, RepL4NLP 2021 (GradCache),
here by torch's own activation checkpoints.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from dmlbook._checks import bad_input, speaker
from dmlbook._types import Float, Tensor
from dmlbook.training import outside
from dmlbook.training.config import TrainConfig

WORDS = ("out of memory", "can't allocate memory", "not enough memory")  # torch has no type for it on a CPU
BEFORE = " The last checkpoint was written before it."
LESS = 0.7  # of a side: half of the pixels


class OutOfMemory(MemoryError):
    """Memory has ended; the message says what to change."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has ended."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in WORDS)


class InPieces(nn.Module):
    """A network that images pass some at a time, with the result and the gradient of all at once.

    Args:
        net: Images (B, ...) to embeddings (B, D), each image on its own.
        size: Images at a time, >= 1; None: all.
    """

    def __init__(self, net: nn.Module, size: int | None):
        super().__init__()
        self.net, self.size = net, size

    def forward(self, inputs: Tensor) -> Float[Tensor, "B D"]:
        if self.size is None or len(inputs) <= self.size or not torch.is_grad_enabled():
            return self.net(inputs)
        return torch.cat([checkpoint(self.net, piece, use_reentrant=False) for piece in inputs.split(self.size)])


def in_pieces(net: nn.Module, config: TrainConfig) -> nn.Module:
    """The network as ``config.micro_batch`` and ``config.on_memory`` ask for it; itself where they ask for nothing."""
    asked = config.micro_batch is not None or config.on_memory == "halve"
    return InPieces(net, config.micro_batch) if asked else net


def check_pieces(net: nn.Module, config: TrainConfig, processes: int) -> None:
    """Raises where pieces would change the result, or processes would wait for one another.

    Raises:
        ValueError: The message says which setting to change.
    """
    live = not config.freeze_batch_norm and any(isinstance(part, _BatchNorm) for part in net.modules())
    name = "micro_batch" if config.micro_batch is not None else "on_memory"
    got = getattr(config, name)
    if live and got not in (None, "stop"):
        remedy = "Each piece would have statistics of its own: pass freeze_batch_norm=True, or a smaller batch_size."
        raise bad_input(f"config.{name}", "be left out with batch norm that measures", repr(got), remedy)
    if config.on_memory == "halve" and processes > 1:
        remedy = "The others would wait for the one that halves: pass micro_batch instead."
        raise bad_input("config.on_memory", "be stop with several processes", repr("halve"), remedy)


def halved(net: nn.Module, count: int) -> int | None:
    """Makes the pieces of a network half as large; None where it has none, or they hold one image already.

    Args:
        net: Made by ``in_pieces``, or wrapped around it.
        count: Images of the batch.
    """
    found = next((part for part in net.modules() if isinstance(part, InPieces)), None)
    size = None if found is None else min(found.size or count, count)
    if size is None or size == 1:
        return None
    found.size = -(-size // 2)
    return found.size


class Remedied:
    """A stepper's gradients; where memory ends, a word on what to change, or the step again in smaller pieces.

    Args:
        stepper: Its ``gradients`` are asked for, in the same way.
        config: Its ``on_memory`` says which.
        kept: Whether there are checkpoints to speak of.
    """

    def __init__(self, stepper: object, config: TrainConfig, *, kept: bool = False):
        self.stepper, self.config, self.kept, self.shape = stepper, config, kept, (config.batch_size,)

    def __call__(self, inputs: Tensor, *arguments: object, **options: object) -> tuple[Tensor, Tensor]:
        """The loss, and the numbers for the guard.

        Raises:
            OutOfMemory: Memory has ended, and there is no smaller piece or none was asked for.
        """
        loss, net, halve = self.stepper.loss, self.stepper.trained, self.config.on_memory == "halve"
        before, self.shape = outside.with_buffers("loss", loss) if halve else {}, tuple(inputs.shape)
        while True:
            try:
                return self.stepper.gradients(inputs, *arguments, **options)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                ended = error.with_traceback(None)  # its frames hold what must be freed
            release(inputs.device)
            size = halved(net, len(inputs)) if halve else None
            if size is None:
                raise self._told(inputs.device) from ended
            outside.restore("loss", loss, before, inputs.device)
            print(f"note: memory ended; {size} images pass the network at a time from now on", file=sys.stderr)

    @contextmanager
    def told(self, device: torch.device) -> Iterator[None]:
        """The same word where memory ends elsewhere in the block: where batches are made, and weights are moved.

        Raises:
            OutOfMemory: Memory has ended.
        """
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, OutOfMemory) or not is_out_of_memory(error):
                raise
            raise self._told(device) from error

    def _told(self, device: torch.device) -> OutOfMemory:
        text = advice(self.config, self.shape, device, self.stepper.trained)
        return OutOfMemory(f"{text}{BEFORE if self.kept else ''}")


def release(device: torch.device) -> None:
    """Gives back what torch keeps for later on a GPU."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def advice(config: TrainConfig, shape: tuple[int, ...], device: torch.device, net: nn.Module) -> str:
    """Where memory ended, how much there was, and what to change: one message.

    Args:
        config: Of the run.
        shape: Of the inputs of the step.
        device: Where they are.
        net: That they were to pass.
    """
    count, pictures = shape[0], len(shape) == 4
    live = any(isinstance(part, _BatchNorm) and part.training for part in net.modules())
    size = next((part.size for part in net.modules() if isinstance(part, InPieces)), None)
    pixels = f" of {shape[-1]} x {shape[-2]} pixels" if pictures else ""
    smaller = [f"batch_size={max(1, config.batch_size // 2)}"]
    if pictures and shape[-1] > 32:
        smaller.append(f"image_size={int(shape[-1] * LESS) // 16 * 16}")
    if config.precision in ("32-true", "64-true"):
        smaller.append('precision="bf16-mixed"' if device.type == "cuda" else 'precision="32-true"')
        smaller = smaller if config.precision == "64-true" or device.type == "cuda" else smaller[:-1]
    other = f"train on less with {' or '.join(smaller)}"
    now = min(size or count, count)
    same = f"Pass micro_batch={max(1, now // 2)} for the same result in less memory and more time"
    remedy = f"{other[0].upper()}{other[1:]}" if live or now == 1 else f"{same}, or {other}"
    at_once = f", {now} at a time" if now < count else ""
    return (
        f"{speaker()}: memory ended on {device} in a step of {count} images{pixels} in {config.precision}{at_once}"
        f"{_in_use(device)}. {remedy}."
    )


def _in_use(device: torch.device) -> str:
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        peak = torch.cuda.max_memory_allocated(device)
        return f" ({peak / 1e9:.1f} GB in use at the most, {free / 1e9:.1f} of {total / 1e9:.1f} GB free)"
    try:
        page = os.sysconf("SC_PAGE_SIZE") / 1e9
        return f" ({os.sysconf('SC_AVPHYS_PAGES') * page:.1f} of {os.sysconf('SC_PHYS_PAGES') * page:.1f} GB free)"
    except (AttributeError, OSError, ValueError):
        return ""
