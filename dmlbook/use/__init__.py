"""A trained run in use: read again, its images embedded, searched, exported."""

from dmlbook.use.trained import Embedded, Run, load_run

__all__ = ["Embedded", "Run", "load_run"]
