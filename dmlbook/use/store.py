"""Where embeddings are kept: a table of LanceDB's, one row a photograph.

The store is LanceDB's: a folder by default; ``s3://``, ``gs://`` and ``az://`` for a gallery that machines share, and
``db://`` for its server, all by the same calls. Tried beside it on one core of a busy 2-core machine, with 10,000 x
128, 60,000 x 128 and 1,000,000 x 64 numbers:

=============================  =====================  =====================  ===========================
what                           LanceDB 0.40           Qdrant 1.20 local      faiss 1.15 with parquet
=============================  =====================  =====================  ===========================
build                          0.4 s, 0.5 s, 7.3 s    228 s, over 480 s, --  --, 1.2 s, 4.7 s
one query, exact               31 ms, 18 ms, 540 ms   35 ms                  --, 3 ms, 40 ms (in memory)
open and ask once              21 ms, 17 ms, 160 ms   850 ms                 --, 0.5 s, 4.7 s
50 new and 50 changed          27 ms, 9 ms, 360 ms    880 ms                 --, 0.4 s, 4.0 s (all anew)
on disk, in MB                 10, 60, 508            20                     --, 30, 250
kept as                        Arrow files            pickles in SQLite      parquet
several machines               yes                    its server only        no
=============================  =====================  =====================  ===========================

Qdrant's local mode reads pickles, which run code, and reads all of them at every start. Faiss keeps no names, and its
file is written anew for one photograph; torch searches an ``.npz`` as exactly in 12 and 66 ms (``nearest``). LanceDB
changes rows in one step that is whole or not there, and reads what it needs. It takes 4 s to import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property

from dmlbook._checks import bad_input
from dmlbook._types import Float, Tensor

INSTALL = 'Install it: pip install -e ".[search]"'
PLACES = re.compile(r"[a-z][a-z0-9+]*://")
COLUMNS = ("path", "label", "bytes", "modified", "content", "model")
KEY = {b"lance-schema:unenforced-primary-key": b"true"}
"""Of the column ``path``: two processes that add the same new path are then in conflict, and the second replaces."""
KEPT_VERSIONS = timedelta(hours=1)
"""Former states of a table stay as long: another process may be reading them."""


class Table:
    """The rows of one model in one table.

    Every call sees the newest state, whichever process wrote it. A path has one row at most, whoever else writes.

    Args:
        place: A folder, or an address such as ``s3://bucket/vectors`` or ``db://ours``.
        name: Of the table.
        model: Whose rows are seen.
        dimensions: D, of its embeddings.

    Raises:
        ValueError: LanceDB is missing, or the place cannot be opened. So do all methods where the store fails, or the
            table is none of ours.
    """

    def __init__(self, place: str, name: str, *, model: str, dimensions: int):
        check_installed()
        import lancedb  # takes seconds

        self.place, self.name, self.model, self.dimensions = place, name, model, dimensions
        self._known = None
        with self._told():
            self._store = lancedb.connect(place, read_consistency_interval=timedelta(0))

    def __len__(self) -> int:
        table = self._fitting()
        with self._told():
            return 0 if table is None else table.count_rows(self._own)

    @property
    def shared(self) -> bool:
        """Whether other machines may reach it."""
        return PLACES.match(self.place) is not None

    @property
    def of_others(self) -> int:
        """How many rows other models have in it."""
        table = self._found()
        with self._told():
            return 0 if table is None else table.count_rows(f"NOT ({self._own})")

    @property
    def _own(self) -> str:
        return f"model = '{self.model}'"

    @cached_property
    def _schema(self):
        import pyarrow

        kinds = {"bytes": pyarrow.int64(), "modified": pyarrow.int64()}
        fields = [pyarrow.field(name, kinds.get(name, pyarrow.string())) for name in COLUMNS]
        fields[0] = pyarrow.field("path", pyarrow.string(), nullable=False, metadata=KEY)
        return pyarrow.schema([*fields, ("vector", pyarrow.list_(pyarrow.float32(), self.dimensions))])

    def _found(self):
        """LanceDB's table, of whatever width; None where it is not there."""
        if self._known is None:
            with self._told():
                try:
                    found = self._store.open_table(self.name)
                except (ValueError, FileNotFoundError):
                    return None
                columns = found.schema.names
            if not {*COLUMNS, "vector"} <= set(columns):
                got = f"{self.name} with the columns {', '.join(columns[:8])}"
                raise bad_input("table", "name a gallery, or nothing that is there", got, "Choose another name.")
            self._known = found
        return self._known

    def _fitting(self):
        """As ``_found``; None where it is of another width, too."""
        table = self._found()
        if table is None:
            return None
        with self._told():
            return table if table.schema.field("vector").type == self._schema.field("vector").type else None

    def rows(self, columns: Sequence[str]) -> list[dict]:
        """Some columns of all rows, in no order."""
        table = self._fitting()
        if table is None:
            return []
        with self._told():
            asked = table.search().where(self._own).select(list(columns)).limit(table.count_rows() + 1)
            return asked.to_arrow().to_pylist()

    def nearest(self, query: Float[Tensor, " D"], most: int) -> list[dict]:
        """Path, label and vector of the nearest rows: all are compared, none is missed, whatever index there is."""
        table = self._fitting()
        if table is None:
            return []
        with self._told():
            asked = table.search(query.numpy()).distance_type("l2").bypass_vector_index()
            asked = asked.where(self._own, prefilter=True).limit(most)
            return asked.select(["path", "label", "vector", "_distance"]).to_arrow().to_pylist()

    def put(self, known: dict[str, list], vectors: Float[Tensor, "M D"]) -> None:
        """Adds rows; those of a path that is there, of whichever model, are replaced, all in one step.

        Args:
            known: All columns but ``model``.
            vectors: Their embeddings.

        Raises:
            ValueError: The store could not be written.
        """
        import pyarrow

        flat = pyarrow.array(vectors.contiguous().numpy().reshape(-1))
        columns = {**known, "model": [self.model] * len(vectors)}
        columns["vector"] = pyarrow.FixedSizeListArray.from_arrays(flat, self.dimensions)
        added = pyarrow.table(columns, schema=self._schema)
        table = self._fitting()
        if table is None:
            table = self._made(added)
        if table is not None:
            with self._told():
                merge = table.merge_insert("path").when_matched_update_all().when_not_matched_insert_all()
                merge.execute(added)

    def _made(self, added):
        """Makes the table of these rows; or returns the one that another process has made meanwhile."""
        mode = "create" if self._found() is None else "overwrite"
        try:
            with self._told():
                self._known = self._store.create_table(self.name, added, mode=mode)
        except ValueError:
            self._known = None
            table = self._fitting()
            if table is None:
                raise
            return table
        return None

    def remove(self, paths: Sequence[str]) -> None:
        """Removes the rows of these paths."""
        table = self._fitting()
        for start in range(0, len(paths) if table is not None else 0, 500):
            listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths[start : start + 500])
            with self._told():
                table.delete(f"path IN ({listed})")

    def tidy(self) -> None:
        """Removes the rows of other models, and what former states have left; a server does the latter by itself."""
        table = self._fitting()
        if table is not None:
            with self._told():
                table.delete(f"NOT ({self._own})")
                if not self.place.startswith("db://"):
                    table.optimize(cleanup_older_than=KEPT_VERSIONS)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever the store answers, the reader is told in one sentence."""
        try:
            yield
        except Exception as error:  # LanceDB raises nearly anything
            got = f"{self.place}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
            remedy = "Choose another place."
            raise bad_input("store", "be a vector store that can be opened and written", got, remedy) from error


def check_installed() -> None:
    """LanceDB is there.

    Raises:
        ValueError: It is not; the message says how to install it.
    """
    from importlib.util import find_spec

    if find_spec("lancedb") is None:
        raise bad_input("lancedb", "be installed to keep a gallery", "none", INSTALL)
