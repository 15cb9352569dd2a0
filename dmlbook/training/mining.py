"""A miner in a run: which pairs or triplets of each batch the loss is to look at."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType

import torch
from torch import nn

from dmlbook._checks import bad_input
from dmlbook._types import Float, Int, Tensor
from dmlbook.sampling import ClassBatches, UniformBatches
from dmlbook.seeding import named_seed
from dmlbook.training import identity, outside
from dmlbook.training.config import TrainConfig
from dmlbook.training.devices import Devices

COUNTS = {"num_pos_pairs", "num_neg_pairs", "num_triplets"}
"""What a miner of pytorch-metric-learning notes of its last batch: no settings."""


class Mining:
    """Asks a miner in each step, in every process for the same pairs of the whole batch.

    Args:
        miner: Called as ``miner(embeddings, labels)``.
        config: Its seed makes what is random in the miner, and behind it in the loss, the same in every process and in
            a run that is resumed.
        devices: Where; a module is moved there.
    """

    def __init__(self, miner: Callable, config: TrainConfig, devices: Devices):
        self.miner = miner.to(devices.device) if isinstance(miner, nn.Module) else miner
        self.seed, self.devices = config.seed, devices
        self.found = self.steps = 0

    def __call__(
        self, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"], *, epoch: int, step: int
    ) -> tuple[Tensor, ...]:
        """What the miner found, as its loss is to get it.

        Raises:
            ValueError: It returned neither three nor four tensors.
        """
        self.devices.seed(named_seed(self.seed, "miner", epoch, step))
        with torch.no_grad():
            found = self.miner(embeddings.detach(), labels)
        if not isinstance(found, tuple | list) or len(found) not in (3, 4):
            got = f"{len(found)} of them" if isinstance(found, tuple | list) else f"a {type(found).__name__}"
            remedy = "Anchors, positives and negatives; or anchors, positives, anchors and negatives."
            raise bad_input("miner", "return three or four tensors of indices", got, remedy)
        self.found += len(found[0]) + (len(found[2]) if len(found) == 4 else 0)
        self.steps += 1
        return tuple(found)

    def record(self) -> dict[str, float]:
        """``mined``: triplets, or pairs of both kinds, of a batch of the epoch on average; counts from 0 again."""
        mean = self.found / max(self.steps, 1)
        self.found = self.steps = 0
        return {"mined": mean}

    def facts(self) -> dict[str, object]:
        """Class and settings, for the identity of the run."""
        if not isinstance(self.miner, nn.Module):
            return {"miner": identity.plain(self.miner)}
        passing = COUNTS.union(*(getattr(part, "_record_these_stats", ()) for part in self.miner.modules()))
        settings = identity.settings_of("miner", self.miner)
        facts = {
            name: value
            for name, value in settings.items()
            if name.removesuffix(".start").rpartition(".")[2] not in passing
        }
        weights = self.miner.state_dict()
        return facts | ({"miner.start": identity.digest(weights)} if weights else {})

    def outside(self) -> dict[str, object]:
        """What it keeps outside its ``state_dict``."""
        return outside.outside("miner", self.miner) if isinstance(self.miner, nn.Module) else {}

    def state(self) -> dict[str, object]:
        """Its weights, and the counts of the present epoch."""
        weights = self.miner.state_dict() if isinstance(self.miner, nn.Module) else {}
        return {"weights": weights, "found": self.found, "steps": self.steps}

    def load_state(self, state: Mapping, outside_of_it: Mapping[str, object]) -> None:
        """Goes on from what ``state`` and ``outside`` gave."""
        self.found, self.steps = state["found"], state["steps"]
        if isinstance(self.miner, nn.Module):
            self.miner.load_state_dict(state["weights"])
            outside.restore("miner", self.miner, outside_of_it, self.devices.device)


def check(miner: Callable | None, loss: nn.Module, sampler: ClassBatches | UniformBatches) -> None:
    """Raises where a miner and the loss, or a memory of former batches and a batch, do not fit one another."""
    memory = getattr(loss, "embedding_memory", None)
    if isinstance(memory, Tensor) and memory.ndim == 2 and len(memory) < (most := _most(sampler)):
        got, remedy = f"{len(memory)} for batches of {most}", "Make it larger, or the batches smaller."
        raise bad_input("loss", "remember at least one batch: memory_size", got, remedy)
    if miner is None:
        return
    if not isinstance(miner, nn.Module | FunctionType | MethodType):
        remedy = "Derive it from nn.Module, so that its state can be kept."
        raise bad_input("miner", "be a module or a function", f"a {type(miner).__name__}", remedy)
    name = type(loss).__name__
    if isinstance(memory, Tensor) and hasattr(loss, "miner"):
        remedy = f"Its pairs reach into its memory: give the miner to {name}(..., miner=...)."
        raise bad_input("miner", "be None with a cross-batch memory", type(miner).__name__, remedy)
    alone = None if getattr(loss, "compares_images", True) else getattr(loss, "why_alone", None)
    if alone is not None or not _takes_indices(loss):
        why = alone or "It is called with embeddings and labels alone"
        remedy = f"{why}: leave the miner out, or choose a loss on pairs or triplets."
        raise bad_input("miner", f"be None with {name}", type(miner).__name__, remedy)


def _most(sampler: ClassBatches | UniformBatches) -> int:
    """Images of the largest batch: a last single one joins the batch before it."""
    return max(map(len, sampler.batches(1)))


def _takes_indices(loss: nn.Module) -> bool:
    """Whether the loss can be called with a third argument, as those of pytorch-metric-learning are."""
    try:
        inspect.signature(loss.forward).bind(None, None, None)
    except TypeError:
        return False
    return True
