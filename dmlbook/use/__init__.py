"""Trained runs in use: read again, their images embedded, searched, exported; all of them in a list, or as records."""

from dmlbook.use.gallery import Gallery
from dmlbook.use.nearest import nearest_in
from dmlbook.use.run_list import find_runs
from dmlbook.use.run_records import own_records
from dmlbook.use.trained import Embedded, Run, load_run

__all__ = ["Embedded", "Gallery", "Run", "find_runs", "load_run", "nearest_in", "own_records"]
