"""``--split``: which images train and which are measured, as options, as a run's folder keeps it, and loaded."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace, _ArgumentGroup
from collections.abc import Mapping
from pathlib import Path

from dmlbook import datasets
from dmlbook._checks import bad_input
from dmlbook.commands import common
from dmlbook.datasets import Protocol, protocols
from dmlbook.training import preflight

BY_CLASS = "classes"


def add_split_arguments(parser: ArgumentParser | _ArgumentGroup) -> None:
    """``--split`` and ``--held-out``, as ``train`` has them."""
    hint = "classes, closed, all or FILE.csv, see below (default: classes)"
    parser.add_argument("--split", default=BY_CLASS, metavar="HOW", help=hint)
    parser.add_argument(
        "--held-out", type=float, metavar="SHARE", help="of each class's images, for --split closed (default: 0.2)"
    )


def share(text: str) -> float | str:
    """For ``type=``: a share, or the word ``file``, where a file of splits names the validation images."""
    try:
        return text if text == protocols.GIVEN else float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is neither a share such as 0.2 nor the word {protocols.GIVEN}") from None


def load(options: Namespace, split: str, validation: float | str | None) -> Protocol:
    """The images of a protocol, loaded.

    Args:
        options: Those that name the images, and ``held_out``.
        split: One of ``protocols.NAMES``, or a file of splits.
        validation: What is measured in place of the rest, or None.

    Raises:
        ValueError: Something does not fit, or what would be measured means nothing.
    """
    own = dict(options.data_option)
    found = protocols.build(
        split,
        lambda part, **more: common.load_images(options, part, **more),
        folder=datasets.own_folder(options.data, options.root),
        parts=split == "closed" and datasets.own_parts(options.data, options.root, own),
        held_out=options.held_out,
        validation=validation,
    )
    preflight.check_classes("the training half", found.train)
    if found.gallery is None:
        preflight.check_measurable("the measured half", found.queries)
    else:
        preflight.check_classes("the gallery", found.gallery)
    return found


def kept(options: Namespace) -> dict[str, object]:
    """What a run's folder keeps of ``--split``: nothing of the usual one, so that older runs ask the same."""
    if options.split == BY_CLASS:
        return {}
    if options.split in protocols.NAMES:
        return {"split": options.split, "held_out": options.held_out}
    file = Path(options.split).expanduser().resolve()
    return {"split": str(file), "held_out": None, "split_sha256": protocols.fingerprint(file)}


def of_run(data: Mapping[str, object]) -> dict[str, object]:
    """What a run's folder kept, as options: ``protocol`` is what ``--split`` was.

    Raises:
        ValueError: The file of splits is gone, or is another one now.
    """
    split, known = data.get("split", BY_CLASS), data.get("split_sha256")
    if known is not None and protocols.fingerprint(split) != known:
        remedy = "Bring it back as it was, or name one with --split."
        raise bad_input("--run", "find the file of splits that it was trained by", f"{split}, which differs", remedy)
    return {"protocol": split, "held_out": data.get("held_out")}


def as_trained(given: Namespace, options: Namespace, data: Mapping[str, object]) -> bool:
    """Whether a run is measured on what its own protocol holds out, or on the half that it names.

    Args:
        given: What the command line says.
        options: The same, with all that the run's folder says beside.
        data: What the run's folder kept.
    """
    images = {
        "data": options.data, "data_option": dict(options.data_option),
        "root": None if options.root is None else str(Path(options.root).expanduser().resolve()),
    }  # fmt: skip
    kept = {**data, "data_option": dict(data.get("data_option", []))}
    if any(kept.get(key) != value for key, value in images.items()):
        return False
    split = given.split if given.split not in (None, "train", "test") else options.protocol
    held_out = {None: protocols.HELD_OUT}
    asked, own = options.held_out, data.get("held_out")
    if split != data.get("split", BY_CLASS) and split in protocols.NAMES:
        return False
    if split not in protocols.NAMES and protocols.fingerprint(split) != data.get("split_sha256"):
        return False
    if split == "closed" and held_out.get(asked, asked) != held_out.get(own, own):
        return False
    share, held = options.validation, data.get("validation")
    return share == held or (share is None and split != "all" and given.split != "train")


def described(split: str) -> dict[str, object]:
    """What a record says of it beside ``measured_on``: nothing of the usual one, so that older records continue."""
    if split == BY_CLASS:
        return {}
    file = {"file": Path(split).name, "sha256": protocols.fingerprint(split)} if split not in protocols.NAMES else None
    return {"split": file or split}
