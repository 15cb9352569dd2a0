"""A gallery: photographs of a folder, embedded by a run, kept in a vector store, and searched exactly."""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch

from dmlbook._checks import at_least, bad_input, checked
from dmlbook._files import held
from dmlbook._types import Float, Tensor
from dmlbook.use.photographs import Found, Photograph, content_of, find_photographs, leads_out
from dmlbook.use.store import PLACES, Table
from dmlbook.use.trained import Run, report_unreadable

AT_ONCE = 2048
"""Photographs between two savings: so much is lost at most where it is stopped."""

READING = 4
"""Threads that read files once more, for the digests of their contents."""
SPARE = 16
"""Photographs that are measured again beyond those that are wanted: rounding may have put one of them too low."""
MOST_LETTERS = 80
"""Of a folder's name in a table's."""
OTHERS = "Choose another name for the table, or pass replace=True where nobody needs the former."
STATE = ("bytes", "modified")
"""What tells that a file is another one now."""


@dataclass(frozen=True)
class Hit:
    """One photograph that was found.

    Attributes:
        path: Below the gallery's folder.
        label: Its class folder; "" where it lies in none.
        distance: Euclidean distance of the embeddings, in [0, 2] where they have length 1.
    """

    path: str
    label: str
    distance: float


@dataclass(frozen=True)
class Change:
    """What an update did.

    Attributes:
        new: Photographs that were not there before, or were embedded by another model.
        changed: Photographs whose file is another one now.
        removed: Photographs that are gone from the folder.
        kept: Photographs that were left as they were.
        unreadable: For each file that could not be read, why: it is not in the gallery.
        remarks: Sentences about what lies in the folder and was not taken.
    """

    new: int
    changed: int
    removed: int
    kept: int
    unreadable: dict[str, str]
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = {"new": self.new, "changed": self.changed, "removed": self.removed, "as before": self.kept}
        told = ", ".join(f"{count:,} {what}" for what, count in parts.items() if count or what == "new")
        return told + (f", {len(self.unreadable):,} unreadable" if self.unreadable else "")


class Gallery:
    """Photographs of a folder in a vector store, as one run sees them.

    Args:
        run: From ``load_run``.
        folder: Of the photographs.
        store: A folder, or an address such as ``s3://bucket/vectors`` or ``db://ours``. None: in the run's folder.
        table: The gallery's name in the store. "": the folder's name and a digest of where it lies, with that of the
            model where ``store`` is given, so that runs which share a store keep a gallery each. Name it where several
            machines share the store.

    Raises:
        ValueError: LanceDB is missing, the store cannot be opened, or ``table`` is no name, or that of something else.

    Example:
        ``Gallery(load_run("runs/birds-softtriple"), "photos").update()``
    """

    @checked
    def __init__(self, run: Run, folder: str | PathLike, *, store: str | PathLike | None = None, table: str = ""):
        self.run, self.folder = run, Path(folder).expanduser()
        self.own = store is None
        name = table or _table_name(os.path.realpath(self.folder), "" if self.own else run.model)
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name):
            rule = "be a word of at most 100 letters, digits, -, _ and ., that begins with none of - and ."
            raise bad_input("table", rule, repr(table), "Choose another name.")
        place = str(run.folder / "galleries") if store is None else os.fspath(store)
        place = place if PLACES.match(place) else str(Path(place).expanduser())
        self.table = Table(place, name, model=run.model, dimensions=run.dimensions)

    def __len__(self) -> int:
        return len(self.table)

    @checked(batch_size=at_least(1))
    def update(
        self,
        *,
        verify: bool = False,
        replace: bool = False,
        skip_corrupt: bool = False,
        batch_size: int = 64,
        device: str | torch.device | None = None,
        progress: bool = True,
    ) -> Change:
        """Makes the gallery what the folder is: only new and changed photographs are embedded, those gone are removed.

        A photograph is known by its path, its size and the time of its last change. What is done is saved every 2,048
        photographs, so that a call that was stopped goes on from there.

        Args:
            verify: Compare contents, too: for files that changed while size and time did not.
            replace: Throw away what another model has in the table. In the run's own folder that is always done: it can
                only be the same run's, of another time.
            skip_corrupt: Leave out files that cannot be read, with a warning that names them.
            batch_size: Photographs at a time, >= 1.
            device: Where to compute. None: where the network is.
            progress: Show a bar where it takes longer than a second.

        Raises:
            ValueError: The folder holds no photographs, some cannot be read and ``skip_corrupt`` is False (what could
                be read is in the gallery), another process updates it, the table holds another model's rows and
                ``replace`` is False, or the store fails.
        """
        found = find_photographs(self.folder)
        with self._held():
            self._check_owner(replace)
            known = {row["path"]: row for row in self.table.rows(("path", "label", *STATE, "content"))}
            wanted = self._wanted(found, known, verify=verify)
            there = {photograph.path for photograph in found.photographs}
            gone = [path for path in known if path not in there]
            unreadable = self._embed(wanted, batch_size=batch_size, device=device, progress=progress)
            gone_or_broken = [*gone, *(path for path in unreadable if path in known)]
            self.table.remove(gone_or_broken)
            if len(unreadable) < len(wanted) or gone_or_broken or self.table.of_others:
                self.table.tidy()
        report_unreadable(unreadable, len(there), skip=skip_corrupt)
        embedded = [photograph.path for photograph in wanted if photograph.path not in unreadable]
        changed = sum(path in known for path in embedded)
        counts = len(embedded) - changed, changed, len(gone), len(there) - len(wanted)
        return Change(*counts, unreadable, tuple(found.remarks()))

    @checked(most=at_least(1))
    def search(self, queries: Float[Tensor, "Q D"], *, most: int = 12) -> list[list[Hit]]:
        """For each query the nearest photographs, nearest first: all are compared, so none is missed.

        Args:
            queries: Embeddings of the same run.
            most: How many, >= 1.

        Raises:
            ValueError: The gallery is empty, or the queries are not finite or of another width.
        """
        if queries.shape[1] != self.run.dimensions or not bool(queries.isfinite().all()):
            got = f"{tuple(queries.shape)}, or not finite"
            raise bad_input("queries", f"be finite and (Q, {self.run.dimensions})", got, "Embed them by this run.")
        self.check_filled()
        return [self._nearest(query, most) for query in queries.detach().cpu().float()]

    def check_filled(self, remedy: str = "Call update() first.") -> None:
        """It holds photographs of this run.

        Args:
            remedy: What to do where it does not.

        Raises:
            ValueError: It does not.
        """
        if len(self) == 0:
            others = self.table.of_others
            got = f"none in {self.table.place}" + (f", but {others:,} of another model" if others else "")
            raise bad_input("gallery", "hold photographs", got, remedy)

    def file_of(self, path: str) -> Path:
        """The file of a hit, which is never outside the folder, whatever a store that others write to may say.

        Links in the folder are its owner's: they are followed, as they were when they were indexed.

        Raises:
            ValueError: It would be.
        """
        if leads_out(Path(path)):
            raise bad_input("path", "lie below the gallery's folder", repr(path), "Index the folder again.")
        return self.folder / path

    def paths(self) -> list[tuple[str, str]]:
        """Path and label of every photograph in the gallery, in the order of their paths."""
        return sorted((row["path"], row["label"]) for row in self.table.rows(("path", "label")))

    def _nearest(self, query: Tensor, most: int) -> list[Hit]:
        rows = self.table.nearest(query, most + SPARE)
        vectors = torch.tensor([row["vector"] for row in rows])  # measured again: the store has float32 alone
        distances = (vectors.double() - query.double()).norm(dim=1).tolist()
        hits = [Hit(row["path"], row["label"], far) for row, far in zip(rows, distances, strict=True)]
        return sorted(hits, key=lambda hit: (hit.distance, hit.path))[:most]

    def _check_owner(self, replace: bool) -> None:
        others = 0 if replace or self.own else self.table.of_others
        if others:
            got = f"{self.table.name} with {others:,} photographs of another one"
            raise bad_input("table", "hold photographs of this model alone", got, OTHERS)

    def _held(self) -> AbstractContextManager[None]:
        """One process updates a gallery at a time, as far as this machine can see."""
        if self.table.shared:
            return nullcontext()
        lock = Path(self.table.place) / f"{self.table.name}.lock"
        rule = "be updated by one process at a time"
        return held(lock, argument="gallery", rule=rule, remedy="Wait until that one has ended.", wait=1.0)

    def _wanted(self, found: Found, known: dict[str, dict], *, verify: bool) -> list[Photograph]:
        def same(photograph: Photograph) -> bool:
            former = known.get(photograph.path)
            if former is None or any(former[name] != getattr(photograph, name) for name in ("label", *STATE)):
                return False
            return not verify or former["content"] == content_of(found.root / photograph.path)

        return [photograph for photograph in found.photographs if not same(photograph)]

    def _embed(self, wanted: list[Photograph], **options: object) -> dict[str, str]:
        """Embeds and stores; returns what could not be read."""
        if not wanted:
            return {}
        unreadable, waiting, rows = {}, [], []
        known = {photograph.path: photograph for photograph in wanted}
        with ThreadPoolExecutor(READING) as reading:  # beside the network
            for part in self.run.in_batches(list(known), root=self.folder, go_on=True, **options):
                unreadable |= part.unreadable
                waiting += [(known[path], reading.submit(content_of, self.folder / path)) for path in part.paths]
                rows.append(part.vectors)
                if len(waiting) >= AT_ONCE:
                    self._put(waiting, torch.cat(rows))
                    waiting, rows = [], []
            if waiting:
                self._put(waiting, torch.cat(rows))
        return unreadable

    def _put(self, photographs: list[tuple[Photograph, Future[str]]], vectors: Float[Tensor, "M D"]) -> None:
        columns = {name: [getattr(each, name) for each, _ in photographs] for name in ("path", "label", *STATE)}
        columns["content"] = [digest.result() for _, digest in photographs]
        self.table.put(columns, vectors)


def _table_name(where: str, model: str) -> str:
    digest = hashlib.sha256(os.fsencode(where)).hexdigest()[:8]
    word = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(where).name)[:MOST_LETTERS].strip(".-") or "all"
    return "-".join(part for part in (word, digest, model[:8]) if part)
