"""Embeddings as a file: ``.npz`` for numpy, ``.parquet`` for everything else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from dmlbook._checks import bad_input, checked
from dmlbook._files import whole
from dmlbook._types import Float, Tensor
from dmlbook.use.store import INSTALL

SUFFIXES = (".npz", ".parquet")
REMEDY = "Write it with: python -m dmlbook embed"


@checked
@dataclass(frozen=True)
class Vectors:
    """Embeddings with what is known of their photographs.

    Attributes:
        vectors: One row a photograph (N, D).
        paths: Their files (N).
        labels: The names of their classes (N), "" where it is unknown.
        about: The model that made them, its view, and where the files are; plain values.
    """

    vectors: Float[Tensor, "N D"]
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    about: Mapping[str, object]

    def __post_init__(self) -> None:
        counts = {len(self.vectors), len(self.paths), len(self.labels)}
        if len(counts) > 1:
            got = f"{len(self.vectors)}, {len(self.paths)} and {len(self.labels)}"
            raise bad_input("vectors, paths and labels", "be equally many", got, "Give all three for each photograph.")


@checked
def check_suffix(path: str | PathLike, *, argument: str = "path") -> None:
    """The file's name says how to read and write it, and what that needs is installed.

    Args:
        path: Of the file.
        argument: What the message calls it.

    Raises:
        ValueError: It does not, or it is not.
    """
    if Path(path).suffix not in SUFFIXES:
        raise bad_input(argument, f"end in {' or '.join(SUFFIXES)}", str(path), "Choose one of them.")
    if Path(path).suffix == ".parquet":
        _pyarrow(argument)


@checked
def write_vectors(path: str | PathLike, vectors: Vectors) -> Path:
    """Writes ``.npz`` (``vectors``, ``paths``, ``labels``, ``about`` as JSON) or ``.parquet`` (a row a photograph).

    Raises:
        ValueError: The name ends otherwise, or pyarrow is missing for ``.parquet``.
    """
    check_suffix(path)
    path, rows = Path(path), vectors.vectors.detach().cpu().float().contiguous().numpy()
    about = json.dumps(dict(vectors.about), ensure_ascii=False)
    with whole(path) as unfinished:
        if path.suffix == ".npz":
            with unfinished.open("wb") as file:
                texts = {"paths": _texts(vectors.paths), "labels": _texts(vectors.labels), "about": np.array(about)}
                np.savez(file, vectors=rows, **texts)
        else:
            arrow, parquet = _pyarrow()
            table = arrow.table(
                {
                    "path": list(vectors.paths),
                    "label": [label or None for label in vectors.labels],
                    "vector": arrow.FixedSizeListArray.from_arrays(arrow.array(rows.reshape(-1)), rows.shape[1]),
                },
                schema=arrow.schema(
                    [
                        ("path", arrow.string()),
                        ("label", arrow.string()),
                        ("vector", arrow.list_(arrow.float32(), rows.shape[1])),
                    ],
                    metadata={"dmlbook": about},
                ),
            )
            parquet.write_table(table, unfinished)
    return path


@checked
def read_vectors(path: str | PathLike) -> Vectors:
    """What ``write_vectors`` wrote.

    Raises:
        ValueError: The file is absent, damaged, or something else.
    """
    check_suffix(path)
    path = Path(path)
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                rows, paths, labels = file["vectors"], file["paths"].tolist(), file["labels"].tolist()
                about = json.loads(str(file["about"]))
        else:
            _, parquet = _pyarrow()
            table = parquet.read_table(path)
            rows = table["vector"].combine_chunks()
            rows = rows.values.to_numpy().reshape(-1, rows.type.list_size)
            paths, labels = table["path"].to_pylist(), [label or "" for label in table["label"].to_pylist()]
            about = json.loads(table.schema.metadata[b"dmlbook"])
        if not all(isinstance(text, str) for text in (*paths, *labels)) or not isinstance(about, dict):
            raise TypeError("its paths, labels or description are none")
        if not isinstance(about.get("root"), str | None):
            raise TypeError(f"its root is {about['root']!r}, no folder")
        if rows.ndim != 2 or rows.dtype.kind != "f":
            raise TypeError(f"its vectors are {rows.dtype} of shape {rows.shape}")
        return Vectors(torch.from_numpy(np.array(rows, np.float32)), tuple(paths), tuple(labels), about)
    except Exception as error:  # a damaged file can break the readers at any point
        got = f"{path}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise bad_input("vectors", "be a file of embeddings", got, REMEDY) from error


def _texts(texts: Sequence[str]) -> np.ndarray:
    return np.array(texts, dtype=np.str_) if texts else np.empty(0, np.str_)


def _pyarrow(argument: str = "path") -> tuple:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise bad_input(argument, "end in .npz where pyarrow is missing", ".parquet", INSTALL) from error
    return pyarrow, parquet
