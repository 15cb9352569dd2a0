"""``--miner``: one of pytorch-metric-learning's miners by name, with its options."""

from __future__ import annotations

import inspect
from argparse import ArgumentParser, Namespace, _ArgumentGroup

import torch
from torch import nn
from torch.nn import functional as F

from dmlbook import losses
from dmlbook._checks import bad_input, check_choice
from dmlbook._types import Tensor
from dmlbook.commands import common
from dmlbook.seeding import SEED

NONE_HERE = {"BaseMiner", "BaseSubsetBatchMiner", "BaseTupleMiner", "EmbeddingsAlreadyPackagedAsTriplets"}
"""Of their miners: the bases of all, and one for batches that are drawn as triplets."""
KINDS = ("all", "easy", "hard", "semihard")
"""What ``TripletMarginMiner`` knows as ``type_of_triplets``."""


def add_miner_arguments(parser: ArgumentParser | _ArgumentGroup) -> None:
    parser.add_argument(
        "--miner", metavar="NAME", help="chooses the pairs of each batch: a miner of pytorch-metric-learning's"
    )
    parser.add_argument(
        "--miner-option", type=common.pair, action="append", default=[], metavar="KEY=VALUE", help="such as epsilon=0.1"
    )


def made(options: Namespace) -> nn.Module | None:
    """The miner that is asked for, new; None where none is.

    Raises:
        ValueError: There is no such miner, it has no such option or refuses its value where it is made or on a small
            batch, or the package is missing.
    """
    name, chosen = getattr(options, "miner", None), dict(getattr(options, "miner_option", ()))
    if name is None:
        if chosen:
            raise bad_input(
                "--miner-option", "come with --miner", "it alone", "Name one: --miner MultiSimilarityMiner."
            )
        return None
    try:
        from pytorch_metric_learning import miners
    except ImportError:
        remedy = 'pip install -e ".[miners]"'
        raise bad_input("--miner", "have pytorch-metric-learning installed", "no such package", remedy) from None
    base = miners.BaseMiner
    known = {key: kind for key, kind in vars(miners).items() if isinstance(kind, type) and issubclass(kind, base)}
    check_choice(choices=sorted(known.keys() - NONE_HERE), **{"--miner": name})
    given = inspect.signature(known[name]).parameters.values()
    taken = [each.name for each in given if each.kind is not each.VAR_KEYWORD]
    check_choice(choices=taken, **{f"--miner-option {key}": key for key in chosen})
    if "type_of_triplets" in chosen:  # it takes every other word for "all"
        check_choice(choices=KINDS, **{"--miner-option type_of_triplets": chosen["type_of_triplets"]})
    try:
        with torch.random.fork_rng(devices=[]):
            known[name](**chosen)(*_batch())
        return known[name](**chosen)
    except (TypeError, ValueError, AssertionError, ArithmeticError, RuntimeError, LookupError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise bad_input("--miner-option", f"suit {name}", chosen or "none", f"It says: {said}.") from error


def _batch() -> tuple[Tensor, Tensor]:
    """Four classes of four embeddings, near their class and apart from the others: what a miner is tried on."""
    labels, numbers = torch.arange(4).repeat_interleave(4), torch.Generator().manual_seed(SEED)
    rows = torch.eye(4)[labels] + 0.5 * torch.randn(16, 4, generator=numbers)
    return F.normalize(rows, dim=1), labels


def check(options: Namespace) -> None:
    """The miner can be made and the loss takes what it finds, before any image is read."""
    if made(options) is None:
        return
    kinds = {name: losses.make(name, num_classes=2, embedding_size=2) for name in losses.NAMES}
    if not kinds[options.loss].compares_images:
        fitting = ", ".join(name for name, kind in kinds.items() if kind.compares_images)
        remedy = f"{kinds[options.loss].why_alone}."
        raise bad_input("--miner", f"come with a loss on pairs: {fitting}", f"--loss {options.loss}", remedy)


def said(options: Namespace) -> dict[str, object]:
    """What a record and a run's folder say of the miner; nothing where there is none."""
    if getattr(options, "miner", None) is None:
        return {}
    return {"miner": options.miner, "miner_options": dict(options.miner_option)}
