"""A trained run as a file that other programs run: ONNX, or PyTorch's own; the view of the training is inside.

What is outside is what no such file can hold, reading a picture: decode it upright to RGB, on white where it is
transparent, and squeeze all of it to a square of S x S with an antialiased bilinear filter, whatever its proportions;
hand over its width / height beside it. Inside are the crop in the picture's own proportions, the resize to what the
network sees, the colors, the network and the length of 1.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path

import torch
from torch import nn

from dmlbook import __version__
from dmlbook._checks import bad_input, checked, one_of
from dmlbook._files import unwritable, whole
from dmlbook._types import Float, Tensor, UInt8
from dmlbook.nets.own import is_own
from dmlbook.seeding import SEED, generator
from dmlbook.training.views import center_boxes, draw
from dmlbook.use.trained import Run

FORMATS = ("onnx", "pt2")
TOLERANCE = 1e-4
BATCHES = (1, 2, 5)
"""Sizes on which a file is checked; it was traced with another."""
TRACED = 3
MOST_BYTES = 2_000_000_000
"""An ONNX file holds no more: protobuf's bound."""
INSTALL = 'Install it: pip install -e ".[export]"'


class Exported(nn.Module):
    """Decoded pictures to embeddings: what a file holds.

    Args:
        run: From ``load_run``.
    """

    def __init__(self, run: Run):
        super().__init__()
        self.net, self.crop, self.seen = run.net, run.config.test_crop, run.config.image_size

    def forward(self, images: UInt8[Tensor, "B 3 S S"], aspects: Float[Tensor, " B"]) -> Float[Tensor, "B D"]:
        boxes = center_boxes(aspects, self.crop)
        views = draw(images, boxes, torch.zeros_like(aspects, dtype=torch.bool), self.seen)
        return self.net(views.to(next(self.net.parameters()).dtype)).float()


@checked(format=one_of(*FORMATS))
def export(run: Run, path: str | PathLike, *, format: str = "onnx") -> float:
    """Writes a run's network as a file, checked before it gets its name.

    It takes ``images``, bytes (B, 3, S, S), and ``aspects``, width / height of the originals (B), 1 for squares, and
    gives ``embeddings`` (B, D), for any B >= 1. What it holds, its classes and S are told in its metadata, under
    ``dmlbook``.

    Args:
        run: From ``load_run``.
        path: The file.
        format: ``onnx``, or ``pt2`` for ``torch.export.load``.

    Returns:
        The largest difference from the network's own embeddings, on batches of several sizes.

    Raises:
        ValueError: What the format needs is not installed, the file cannot be written, its name ends as the other
            format's do, the network cannot be exported, or the file cannot be run or gives embeddings that differ from
            the network's by more than 1e-4.
    """
    check_installed(format)
    _check_suffix(Path(path), format)
    if (reason := unwritable(Path(path))) is not None:
        raise bad_input("path", "name a file that can be written", f"{path}: {reason}", "Choose another place.")
    device = next(run.net.parameters()).device
    if format == "onnx" and sum(weights.nbytes for weights in run.net.state_dict().values()) > MOST_BYTES:
        raise bad_input("format", "be pt2 for a network of more than 2 GB", format, "ONNX keeps such in many files.")
    run.net.cpu()
    try:
        return _written(Exported(run).eval(), run, Path(path), format)
    finally:
        run.net.to(device)


def _written(module: Exported, run: Run, path: Path, format: str) -> float:
    example = _pictures(run, TRACED)
    batch = torch.export.Dim("batch", min=1, max=1 << 20)
    try:
        with _quiet():
            shapes = {"images": {0: batch}, "aspects": {0: batch}}
            program = torch.export.export(module, example, dynamic_shapes=shapes)
            for node in program.graph.nodes:
                node.meta.pop("stack_trace", None)  # names folders of this machine
            write = _onnx(program, run) if format == "onnx" else _pt2(program, run)
    except Exception as error:  # of whatever the network does that cannot be traced
        rule = "hold a network that torch.export can trace"
        raise bad_input("run", rule, _first_line(error), "Try the other format.") from error
    with whole(path, durable=True) as unfinished, _quiet():
        write(unfinished)
        try:
            loaded = _loaded(unfinished, format)
            differ = [_difference(module, loaded, _pictures(run, size)) for size in BATCHES]
        except Exception as error:  # of a runtime that lacks what the network does: any kind
            rule = f"hold a network that runs as {format}"
            raise bad_input("run", rule, _first_line(error), f"Export it as {_other(format)}.") from error
        if not all(each <= TOLERANCE for each in differ):  # not a number is no difference that will do
            told = ", ".join(f"{each:.2g}" for each in differ)
            remedy = f"Export it as {_other(format)}."
            raise bad_input("run", f"give the same embeddings, to {TOLERANCE:g}, as {format}", told, remedy)
    return max(differ)


def about(run: Run) -> dict[str, str]:
    """What a file says of itself: texts by name, the one under ``dmlbook`` as JSON."""
    size = run.size
    told = {
        "version": __version__,
        "model": run.model,
        "images": f"uint8, (batch, 3, {size}, {size}), RGB: each picture upright and squeezed to a square as a whole",
        "aspects": "float32, (batch): width / height of each picture before that; 1 for squares",
        "embeddings": f"float32, (batch, {run.dimensions})" + (", of length 1" if run.unit else ""),
        "view": run.view,
        "classes": list(run.class_names),
        "network": _without_folders(run.settings.get("net", {}).get("name")),
        "loss": run.settings.get("loss"),
    }
    return {"dmlbook": json.dumps(told, ensure_ascii=False)}


@checked(format=one_of(*FORMATS))
def check_installed(format: str) -> None:
    """What a format needs is there.

    Raises:
        ValueError: It is not; the message says how to install it.
    """
    from importlib.util import find_spec

    needed = ("onnx", "onnxscript", "onnxruntime") if format == "onnx" else ()
    if missing := [name for name in needed if find_spec(name) is None]:
        raise bad_input("format", f"be pt2 where {', '.join(missing)} is missing", format, INSTALL)


def _check_suffix(path: Path, format: str) -> None:
    """A file is not called by a name that says another format."""
    if path.suffix.lower() != f".{format}":
        remedy = f"Call it {path.stem}.{format}, or choose the format that its name says."
        raise bad_input("path", f"end in .{format}", path.name, remedy)


def _other(format: str) -> str:
    return FORMATS[format == "onnx"]


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def _without_folders(name: object) -> object:
    """A network of the reader's own by its file and function alone: an exported file travels."""
    return name.replace("\\", "/").rpartition("/")[2] if isinstance(name, str) and is_own(name) else name


def _pictures(run: Run, count: int) -> tuple[Tensor, Tensor]:
    """Noise in blocks, of several proportions: an untrained eye would do, an unlike one would show."""
    draw = generator(SEED, "export", count)
    small = torch.randint(256, (count, 3, 8, 8), generator=draw, dtype=torch.uint8)
    places = torch.arange(run.size) * 8 // run.size
    return small[:, :, places][:, :, :, places].contiguous(), 0.5 + 1.5 * torch.rand(count, generator=draw)


def _onnx(program: torch.export.ExportedProgram, run: Run) -> Callable[[Path], None]:
    found = torch.onnx.export(
        program, input_names=["images", "aspects"], output_names=["embeddings"], dynamo=True, verbose=False
    )
    found.model.metadata_props.update(about(run))
    found.model.producer_name, found.model.producer_version = "dmlbook", __version__
    return lambda path: found.save(path, external_data=False)


def _pt2(program: torch.export.ExportedProgram, run: Run) -> Callable[[Path], None]:
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files=about(run))
    return lambda path: path.write_bytes(buffer.getvalue())


def _loaded(path: Path, format: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The file in use."""
    if format == "pt2":
        module = torch.export.load(io.BytesIO(path.read_bytes())).module()
        return lambda images, aspects: module(images, aspects)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def run(images: Tensor, aspects: Tensor) -> Tensor:
        given = {"images": images.numpy(), "aspects": aspects.numpy()}
        return torch.from_numpy(session.run(["embeddings"], given)[0])

    return run


def _difference(module: Exported, loaded: Callable[..., Tensor], pictures: tuple[Tensor, Tensor]) -> float:
    with torch.inference_mode():
        return float((module(*pictures) - loaded(*pictures)).abs().max())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's progress and its advice to developers are kept from the reader; errors still come."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
