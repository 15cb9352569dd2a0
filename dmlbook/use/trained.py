"""A trained run in use: the network, the view it was trained for, and embeddings of any photographs."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from dmlbook._checks import at_least, bad_input, between, checked, speaker
from dmlbook._types import Float, Tensor
from dmlbook.datasets.image_set import ImageSet
from dmlbook.datasets.photos.decoding import fill
from dmlbook.datasets.photos.formats import printable
from dmlbook.nets import EmbeddingNet, Head
from dmlbook.training import TrainConfig, embed, identity
from dmlbook.use import run_folders

SHOWN = 10  # unreadable files that a message names


@dataclass(frozen=True)
class Embedded:
    """Photographs with their embeddings.

    Attributes:
        vectors: Embeddings (M, D) of those that could be read, float32.
        paths: Their files (M), as they were named.
        unreadable: For each of the other files, why.
    """

    vectors: Float[Tensor, "M D"]
    paths: tuple[str, ...]
    unreadable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What :func:`load_run` returns.

    Attributes:
        folder: Where it lies.
        net: The network, in evaluation mode, on the CPU.
        config: How it was trained, with the view that its test images were measured in.
        size: Side in pixels of the squares that pictures are decoded to.
        class_names: Names of the classes that it was trained on; () where an older version trained it.
        centers: The points that stand for those classes (C, K, D); None where its loss has none.
        settings: All that its folder says of it, as ``run.json`` has it.
        finished: Whether it was trained to its end.
    """

    folder: Path
    net: EmbeddingNet
    config: TrainConfig
    size: int
    class_names: tuple[str, ...]
    centers: Tensor | None
    settings: dict
    finished: bool

    @property
    def view(self) -> dict[str, float]:
        """What the network sees: ``decoded`` and ``seen``, sides in pixels, and ``crop``, a share of the short side."""
        return {"decoded": self.size, "crop": self.config.test_crop, "seen": self.config.image_size}

    @property
    def unit(self) -> bool:
        """Whether embeddings have length 1."""
        heads = [part for part in self.net.modules() if isinstance(part, Head)]
        return bool(heads) and heads[-1].normalize

    @cached_property
    def dimensions(self) -> int:
        """D, the length of a row of embeddings."""
        side, first = self.config.image_size, next(self.net.parameters())
        with torch.inference_mode():
            return self.net(torch.zeros(1, 3, side, side, device=first.device, dtype=first.dtype)).shape[1]

    @cached_property
    def model(self) -> str:
        """A word that changes with every change of an embedding: of the weights, of the network, of the view.

        It is asked for once: whoever changes the network afterwards loads the run again, or makes another ``Run``.
        """
        settings = identity.settings_of("network", self.net)
        parts = [identity.digest(self.net.state_dict()), settings, self.view]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @checked(batch_size=at_least(1))
    def embed(
        self, image_set: ImageSet, *, batch_size: int = 256, device: str | torch.device | None = None
    ) -> Float[Tensor, "N D"]:
        """The embedding of every image of a set, in the view of the test images.

        Args:
            image_set: N images.
            batch_size: Images at a time, >= 1.
            device: Where to compute. None: where the network is.

        Example:
            ``load_run("runs/birds-softtriple").embed(datasets.load("birds", "test"))``
        """
        return embed(self.net, image_set, config=self.config, batch_size=batch_size, device=device)

    @checked
    def embed_files(
        self, paths: Sequence[str | PathLike], *, skip_corrupt: bool = False, **options: object
    ) -> Float[Tensor, "N D"]:
        """The embedding of every photograph: one row a file, in their order.

        Args:
            paths: Of N files.
            skip_corrupt: Leave out the files that cannot be read, with a warning that names them: they have no row.
            options: Of :meth:`embedded`, which says which files have a row.

        Returns:
            float32, on the CPU.

        Raises:
            ValueError: Files cannot be read and ``skip_corrupt`` is False, or none can (they are named, with the
                reason), or an option is out of range.

        Example:
            ``load_run("runs/birds-softtriple").embed_files(["a.jpg", "b.jpg"])`` has the shape ``(2, 64)``.
        """
        found = self.embedded(paths, **{"go_on": skip_corrupt, **options})
        report_unreadable(found.unreadable, len(paths), skip=skip_corrupt)
        return found.vectors

    @checked(batch_size=at_least(1))
    def embedded(
        self,
        paths: Sequence[str | PathLike],
        *,
        root: str | PathLike | None = None,
        go_on: bool = True,
        batch_size: int = 64,
        device: str | torch.device | None = None,
        progress: bool = True,
    ) -> Embedded:
        """Photographs with their embeddings. They are decoded batch by batch: memory does not grow with their number.

        Upright as their EXIF tag says, gray ones in three colors, on white where they are transparent: as in training.

        Args:
            paths: Of the files.
            root: The folder that they are named from; by default the working folder.
            go_on: Whether to embed on once a file could not be read; else the others are only tried to be read.
            batch_size: Photographs at a time, >= 1.
            device: Where to compute. None: where the network is.
            progress: Show a bar where it takes longer than a second.

        Raises:
            ValueError: No files are named, or an option is out of range.
        """
        options = {"root": root, "go_on": go_on, "batch_size": batch_size, "device": device, "progress": progress}
        rows, kept, unreadable = [torch.empty(0, self.dimensions)], [], {}
        for part in self.in_batches(paths, **options):
            rows.append(part.vectors)
            kept += part.paths
            unreadable |= part.unreadable
        return Embedded(torch.cat(rows), tuple(kept), unreadable)

    def in_batches(
        self,
        paths: Sequence[str | PathLike],
        *,
        root: str | PathLike | None,
        go_on: bool,
        batch_size: int,
        device: str | torch.device | None,
        progress: bool,
    ) -> Iterator[Embedded]:
        """As :meth:`embedded`, batch by batch as they are done."""
        if not paths:
            raise bad_input("paths", "name at least one photograph", "none", "Pass the files.")
        bar = tqdm(total=len(paths), desc="embedding", unit="image", delay=1, mininterval=1, disable=not progress)
        home = next(self.net.parameters()).device
        with bar, closing(self._decoded([str(path) for path in paths], Path(root or "."), batch_size)) as batches:
            sound = True
            try:
                self.net.to(home if device is None else device)  # once, not for every batch
                for files, images, broken in batches:
                    sound = sound and not broken
                    vectors = torch.empty(0, self.dimensions)
                    if images is not None and (go_on or sound):
                        vectors = self.embed(images, batch_size=batch_size)
                    bar.update(len(files) + len(broken))
                    yield Embedded(vectors, tuple(files[: len(vectors)]), broken)
            finally:
                self.net.to(home)

    def _decoded(
        self, files: list[str], root: Path, batch_size: int
    ) -> Iterator[tuple[list[str], ImageSet | None, dict[str, str]]]:
        """Batch by batch the readable files, their pictures and what is wrong with the others; one batch ahead."""

        def read(part: list[str]) -> tuple[list[str], ImageSet | None, dict[str, str]]:
            images = np.empty((len(part), 3, self.size, self.size), np.uint8)
            about = fill(images, root, part, progress=False)
            kept = [part[place] for place in about["kept"]]
            broken = {part[int(place)]: why for place, why in about["corrupt"].items()}
            return kept, image_set_of(images[: len(kept)], about["aspects"], kept) if kept else None, broken

        parts = [files[start : start + batch_size] for start in range(0, len(files), batch_size)]
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(read, parts[0])
            for part in parts[1:]:
                ready, coming = coming.result(), ahead.submit(read, part)
                yield ready
            yield coming.result()


def image_set_of(images: np.ndarray, aspects: Sequence[float], paths: Sequence[str] | None = None) -> ImageSet:
    """Decoded pictures of unknown classes, (N, 3, S, S), as a set."""
    return ImageSet(
        torch.from_numpy(images),
        torch.zeros(len(images), dtype=torch.long),
        ("",),
        aspects=torch.tensor(aspects, dtype=torch.float32),
        paths=None if paths is None else tuple(paths),
    )


def report_unreadable(unreadable: dict[str, str], total: int, *, skip: bool) -> None:
    """Names the files that could not be read: in a warning, or in an error where they may not be left out.

    Raises:
        ValueError: There are such files and ``skip`` is False, or none of ``total`` could be read.
    """
    if not unreadable:
        return
    listed = "".join(f"\n  {printable(file)}: {why}" for file, why in list(unreadable.items())[:SHOWN])
    more = f"\n  and {len(unreadable) - SHOWN} more" if len(unreadable) > SHOWN else ""
    said = f"{len(unreadable):,} of {total:,}"
    if not skip or len(unreadable) == total:
        remedy = "Replace or delete them, or pass skip_corrupt=True to leave them out."
        raise bad_input("photographs", "be readable", f"{said} that cannot be:{listed}{more}", remedy)
    text = f"{speaker()}: {said} photographs cannot be read and are left out:{listed}{more}"
    warnings.warn(text, stacklevel=4)


@checked(size=between(1, run_folders.LARGEST))
def load_run(
    folder: str | PathLike,
    *,
    net: nn.Module | None = None,
    size: int | None = None,
    device: str | torch.device | None = None,
    trust_code: bool = False,
) -> Run:
    """A run that ``python -m dmlbook train`` left, ready for use.

    Args:
        folder: Of the run, or of one of its seeds; of several seeds the first is taken.
        net: The network without its weights, where ``nets.build`` did not make it.
        size: Side in pixels that pictures are decoded to; by default that of the training.
        device: Where the network goes. None: it stays on the CPU.
        trust_code: Whether a file of Python that makes its network (``--net my_nets.py:make``) may be run. Say so of
            runs of your own alone: whoever wrote the folder chose the file.

    Raises:
        ValueError: The folder holds no run, or one that does not say what its images were like; or a file makes its
            network, and ``trust_code`` is False or the file is not the one of the training.

    Example:
        ``load_run("runs/birds-softtriple").embed_files(["a.jpg", "b.jpg"])`` has the shape ``(2, 64)``.
    """
    trained = run_folders.read_run(Path(folder), net, trust_code=trust_code)
    settings = run_folders.read_about(trained.folder)
    size, crop = run_folders.view_of(trained, settings, size)
    seen = trained.config.image_size or max(1, round(size * crop))
    net = trained.net.eval() if device is None else trained.net.eval().to(device)
    return Run(
        folder=trained.folder,
        net=net,
        config=replace(trained.config, image_size=seen, test_crop=crop),
        size=size,
        class_names=tuple(map(str, settings.get("classes", ()))),
        centers=trained.centers,
        settings=settings,
        finished=trained.finished,
    )
