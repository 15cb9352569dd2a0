"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import ast
import re
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction, Namespace, _ArgumentGroup
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path

from dmlbook import datasets, nets, records, retrieval
from dmlbook._checks import bad_input, check_number
from dmlbook._files import unwritable
from dmlbook._types import Float, Int, Tensor
from dmlbook.datasets import ImageSet
from dmlbook.nets.from_timm import PREFIX
from dmlbook.seeding import SEED
from dmlbook.training import TrainConfig

KS = (1, 2, 4, 8)
OWN = {
    "name": "--data", "split": "--split", "root": "--root", "size": "--size", "shared": "--split closed",
    "splits": "--split FILE.csv",
}  # fmt: skip
"""Arguments of ``datasets.load`` that are options by themselves, and are no ``--data-option``."""


class Stopped(KeyboardInterrupt):
    """A run was stopped by a signal: ``status`` is what the shell is told."""

    def __init__(self, signal: int | None) -> None:
        super().__init__()
        self.status = 128 + (signal or 2)


def word(*known: str) -> Callable[[str], str]:
    """For ``type=``: one of these words; a word that is none of them is answered with the nearest."""

    def read(text: str) -> str:
        if text in known:
            return text
        near = get_close_matches(text, known, 1)
        raise ArgumentTypeError(
            f"{text!r} is none of {', '.join(known)}" + (f"; did you mean {near[0]}?" if near else "")
        )

    return read


def network(text: str) -> str:
    """For ``type=``: the name of a network; one that is none is answered with the nearest."""
    try:
        return nets.check_name(text)
    except ValueError as error:
        if "must be one of" in str(error) and not text.startswith(PREFIX):
            return word(*nets.NAMES, "timm/NAME", "FILE.py:FUNCTION")(text)
        raise ArgumentTypeError(str(error).partition("name must ")[2]) from error


def pair(text: str) -> tuple[str, object]:
    """``key=value``, the value read as a Python number, tuple or word."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ArgumentTypeError(f"{text!r} is not of the form key=value, such as scale=20")
    try:
        read = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # whatever is no literal is a word
        read = value
    return key.replace("-", "_"), integer(value) if isinstance(read, int) and not isinstance(read, bool) else read


def integer(text: str) -> int:
    """For ``type=``: an integer of 64 bits; a larger one counts nothing that a machine holds."""
    number = int(text, 0)
    if abs(number) >= 2**63:
        raise ArgumentTypeError(f"{text[:20]}... is beyond the integers of 64 bits")
    return number


def add_data_arguments(parser: ArgumentParser, *, required: bool = True) -> None:
    group = parser.add_argument_group("images")
    group.add_argument(
        "--data",
        required=required,
        type=word(*datasets.NAMES),
        choices=datasets.NAMES,
        help="the image set; classes are split in halves",
    )
    group.add_argument("--root", help="where it is (default: DMLBOOK_DATA); for --data folder: your folder of classes")
    group.add_argument("--size", type=integer, help="side in pixels to which pictures are decoded")
    group.add_argument(
        "--data-option", type=pair, action="append", default=[], metavar="KEY=VALUE", help="such as difficulty=hard"
    )


def add_net_arguments(parser: ArgumentParser, *, required: bool = False, sizes: bool = False) -> _ArgumentGroup:
    """``sizes``: whether several embedding sizes may be given, one after the other. Returns the options' group."""
    group = parser.add_argument_group("network")
    group.add_argument(
        "--net",
        type=network,
        required=required,
        metavar="NAME",
        help=f"{', '.join(nets.NAMES)}; timm/NAME, one of timm's, such as timm/resnet50; or my_nets.py:make, a "
        "function in a file of your own that makes a torch module; the file is run (default: by --data)",
    )
    group.add_argument(
        "--weights",
        help="imagenet (torchvision's, or timm's for its networks), a file, or none for random weights "
        "(default: none with --net, or with a --recipe what is published for it; else by --recipe or --data)",
    )
    many = {"nargs": "+", "default": [64]} if sizes else {"default": 64}
    group.add_argument("--embedding-size", type=integer, help="dimensions of an embedding (default: 64)", **many)
    group.add_argument("--width-mult", type=float, default=1.0, help="channels relative to the published network")
    group.add_argument("--preprocessing", choices=nets.PREPROCESSING, help="colors as the weights expect them")
    group.add_argument("--same-padding", action="store_true", help="pad as TensorFlow's SAME, for weights from there")
    group.add_argument(
        "--bn-eps", type=float, help="batch norm's constant, where the weights were trained with another"
    )
    return group


def add_config_arguments(
    group: _ArgumentGroup, names: Iterable[str], defaults: Mapping[str, object] | None = None
) -> None:
    """One option for each named field of ``TrainConfig``, explained as there; ``defaults`` are those to be shown.

    What is not given is None: ``given_config`` finds what was.
    """
    known = {field.name: field for field in fields(TrainConfig)}
    for name in names:
        text = known[name].metadata["help"].replace("%", "%%").replace("``", "")
        flag, default = f"--{name.replace('_', '-')}", (defaults or {}).get(name, known[name].default)
        if isinstance(default, bool):
            group.add_argument(flag, action=BooleanOptionalAction, default=None, help=text)
        elif isinstance(default, tuple):
            kind = integer if isinstance(default[0], int) else type(default[0])
            group.add_argument(flag, type=kind, nargs="*", metavar="N", help=f"{text} (default: {default})")
        else:
            optional = {"loss_lr": float, "image_size": int, "test_crop": float, "micro_batch": int}
            kind = optional.get(name, type(default))
            read = integer if kind is int else kind
            group.add_argument(flag, type=read, metavar=kind.__name__.upper(), help=f"{text} (default: {default})")


def given_config(options: Namespace) -> dict[str, object]:
    """The fields of ``TrainConfig`` that were given on the command line."""
    given = {}
    for field in fields(TrainConfig):
        value = getattr(options, field.name, None)
        if value is not None:
            given[field.name] = tuple(value) if isinstance(value, list) else value
    return given


def add_record_arguments(parser: ArgumentParser | _ArgumentGroup, where: str = "NAME.json") -> None:
    parser.add_argument("--record", metavar="NAME", help=f"write the figures to data/results/{where}")
    parser.add_argument(
        "--replace", action="store_true", help="throw away a record of that name that was made with other settings"
    )


def load_images(options: Namespace, split: str, **more: object) -> ImageSet:
    """The images that the options name; ``more`` are arguments of ``datasets.load`` that no option gives.

    Raises:
        ValueError: They name an argument twice, or ``datasets.load`` refuses them.
    """
    for name in dict(options.data_option):
        if name in OWN:
            remedy = f"Use {OWN[name]}, where the command has it."
            raise bad_input("--data-option", "name no option of the command itself", name, remedy)
    given = {**dict(options.data_option), **more}
    return datasets.load(options.data, split, root=options.root, size=options.size, **given)


def net_settings(options: Namespace, defaults: Mapping[str, object]) -> dict[str, object]:
    """The arguments of ``nets.build``: what was asked for, else what suits the data."""
    weights = options.weights if options.net or options.weights else defaults["weights"]
    return {
        **nets.settled(options.net or defaults["net"]),
        "embedding_size": options.embedding_size,
        "weights": None if weights == "none" else weights,
        "width_mult": options.width_mult,
        "preprocessing": options.preprocessing,
        "same_padding": options.same_padding,
        "bn_eps": options.bn_eps,
    }


def continued(
    name: str | None, title: str, configuration: dict, root: Path | None = None, *, replace: bool = False
) -> records.Record:
    """``records.continued``, or where no name is given a record that is not to be saved."""
    if name is None:
        return records.Record("unnamed", title, configuration)
    with _naming("--record"):
        return records.continued(name, title, configuration, root=root, replace=replace)


def check_record(name: str | None, root: Path | None = None, *, flag: str = "--record") -> None:
    """A record of that name can be written; None is no record.

    Raises:
        ValueError: It cannot, and ``flag`` is what the command line must say otherwise.
    """
    if name is not None:
        with _naming(flag):
            records.check_writable(name, root)


def check_file(path: Path, flag: str) -> None:
    """A file can be written there: asked before the work that fills it.

    Raises:
        ValueError: It cannot; the reason is said.
    """
    if (reason := unwritable(path)) is not None:
        raise bad_input(flag, "name a file that can be written", f"{path}: {reason}", "Choose another place.")


@contextmanager
def _naming(flag: str) -> Iterator[None]:
    """What the library says of a name is said of the option that gave it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(re.sub(r"^[\w.]+: name must", f"{flag} must", str(error))) from error


def seeds(count: int) -> list[int]:
    """The seeds of ``count`` runs.

    Raises:
        ValueError: ``count`` is less than one.
    """
    check_number(low=1, integer=True, **{"--seeds": count})
    return [SEED + n for n in range(count)]


def scores(
    vectors: Float[Tensor, "N D"],
    labels: Int[Tensor, " N"],
    *,
    unit: bool = True,
    gallery: tuple[Float[Tensor, "M D"], Int[Tensor, " M"]] | None = None,
    clusters: bool = True,
) -> dict[str, float]:
    """All measures of embeddings, Recall@K for each K that there are so many images for.

    Args:
        vectors: Embeddings.
        labels: Their classes.
        unit: Whether they were trained to be compared by direction alone; else two Euclidean measures join in.
        gallery: Embeddings and classes to be searched; None: the others.
        clusters: Whether to measure NMI and AMI, where they are defined.
    """
    ks = [k for k in KS if k < len(labels)] if gallery is None else [k for k in KS if k <= len(gallery[1])]
    searched = {} if gallery is None else {"gallery": gallery[0], "gallery_labels": gallery[1]}
    defined = clusters and (gallery is None or 1 < len(labels.unique()) < len(labels))
    figures = retrieval.evaluate(vectors, labels, ks, clusters=defined, **searched)
    if not unit:  # the loss knew lengths; the measures above do not
        lengths = retrieval.evaluate(vectors, labels, ks, metric="euclidean", clusters=defined, **searched)
        figures |= {f"euclidean_{key}": lengths[key] for key in ("recall_at_1", "map_at_r")}
    return figures


def percents(figures: Mapping[str, float]) -> str:
    """The figures that a reader looks at first, on one line."""
    shown = {"recall_at_1": "R@1", "recall_at_2": "R@2", "recall_at_4": "R@4", "recall_at_8": "R@8"}
    parts = [f"{title} {100 * figures[key]:.1f}" for key, title in shown.items() if key in figures]
    parts += [f"MAP@R {100 * figures['map_at_r']:.1f}"]
    if "nmi" in figures:
        parts += [f"NMI {100 * figures['nmi']:.1f} (floor {100 * figures['chance_nmi']:.1f})"]
        parts += [f"AMI {100 * figures['ami']:.1f}"]
    return "   ".join(parts)
